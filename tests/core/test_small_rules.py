"""Split, gold label, metrics, settings, permissions, local encoders: small rules that everything else rests on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from argon2 import PasswordHasher
from sklearn.metrics import accuracy_score, f1_score

from core.domain import Actor, Label, Role, Side, SourceKind
from core.encoders import Encoder, local_encoders, resolve_encoder
from core.errors import BadInput, NotAllowed, NotFound, SettingsError
from core.gold import Vote, gold_label
from core.metrics import measure
from core.passwords import check_password, hash_password, is_password
from core.permissions import ROLES, Permission, require
from core.settings import PROJECT_DIR, read_settings
from core.splits import side_of

PERSON, FILE = SourceKind.person, SourceKind.file
# Never to change: installations would train on what they measure with.
FIRST_OF_EACH_SIDE = {Side.train: 0, Side.evaluation: 16, Side.audit: 92}


def test_two_percent_are_audit_and_eighteen_evaluation_and_the_rest_train() -> None:
    sides = Counter(side_of(f"text {n}") for n in range(20_000))
    assert sides[Side.audit] == pytest.approx(400, abs=80)
    assert sides[Side.evaluation] == pytest.approx(3_600, abs=250)


def test_side_of_a_text_is_the_same_on_every_machine_for_ever() -> None:
    first = {side: next(n for n in range(2_000) if side_of(f"text {n}") is side) for side in Side}
    assert first == FIRST_OF_EACH_SIDE


@pytest.mark.parametrize(
    ("votes", "gold"),
    [
        ([], None),
        ([(FILE, 2)], 2),
        ([(FILE, 2), (PERSON, 0)], 0),
        ([(PERSON, 0), (PERSON, 2)], None),
        ([(PERSON, 0), (PERSON, 2), (PERSON, 2)], 2),
        ([(FILE, 0), (FILE, 1)], None),
        ([(PERSON, 0), (PERSON, 2), (FILE, 2)], None),
    ],
)
def test_people_outrank_files_and_a_tie_has_no_gold_label(
    votes: list[tuple[SourceKind, int]], gold: int | None
) -> None:
    assert gold_label(Vote(kind, Label(label)) for kind, label in votes) == gold


def test_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 3, 500).tolist(), rng.integers(0, 3, 500).tolist()
    found = measure(truth, said)
    assert found.accuracy == pytest.approx(accuracy_score(truth, said))
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))
    assert np.array(found.confusion).sum() == 500
    assert [c.support for c in found.per_class] == [truth.count(label) for label in range(3)]


def test_class_that_nobody_has_seen_does_not_drag_the_mean_down() -> None:
    assert measure([0, 0, 2], [0, 0, 2]).macro_f1 == 1.0


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="not none"):
        measure([], [])


# --- settings, passwords, permissions -------------------------------------------------------------------------------


def test_home_holds_data_and_models_and_shipped_files_lie_beside_the_source(tmp_path: Path) -> None:
    settings = read_settings({"TIEBREAK_HOME": str(tmp_path)})
    assert settings.database_path == tmp_path / "data" / "tiebreak.db"
    assert settings.versions_dir == tmp_path / "models" / "versions"
    assert settings.starter_dir == PROJECT_DIR / "models" / "starter"
    assert settings.samples_dir == PROJECT_DIR / "data" / "samples"
    assert read_settings({}).home == PROJECT_DIR


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/db", "mysql://h/db", "sqlite://", "sqlite:///:memory:", "x"])
def test_database_other_than_a_sqlite_file_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(SettingsError, match="SQLite") as caught:
        read_settings({"TIEBREAK_DATABASE_URL": url})
    assert "secret" not in str(caught.value)


def test_password_is_stored_as_argon2_and_nobody_has_none() -> None:
    stored = hash_password("correct horse battery", name="mo")
    assert stored.startswith("$argon2id$")
    assert is_password("correct horse battery", stored)
    assert not is_password("correct horse batterY", stored)
    assert not is_password("anything", None)
    assert not is_password("anything", "!")


def test_password_typed_with_another_keyboards_letters_is_the_same_one() -> None:
    stored = hash_password("ｃorrect horse battery！", name="mo")
    assert is_password("correct horse battery!", stored)
    assert is_password("ｃｏｒｒｅｃｔ horse battery！", stored)
    assert is_password("short！", PasswordHasher().hash("short！"))  # stored before there was one form


@pytest.mark.parametrize("password", ["", "short", "fourteen chars", "xy" * 101])
def test_short_and_huge_passwords_are_refused(password: str) -> None:
    with pytest.raises(BadInput, match="15 to 200"):
        hash_password(password, name="mo")


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword", "Password123456789", "qwertyuiop123456", "1qaz2wsx3edc4rfv5", "123456789012345",
        "aaaaaaaaaaaaaaaaaa", "abababababababab", "woaini5201314520", "horseyhorseyhorsey", "zhangsanzhangsan1",
        "Zhang.San-2026-San", "tiebreakmoderator1", "zyxwvutsrqponmlkji",
    ],
)  # fmt: skip
def test_password_put_together_from_what_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(BadInput, match="guessed first"):
        check_password(password, name="Zhang San")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "今天公园里的花开得真好看我们去吧", "kV9#tz!mQ2&wpL7x", "mo likes cold noodles"],
)
def test_any_other_long_password_is_taken_whatever_its_characters(password: str) -> None:
    check_password(password, name="mo")


def test_lead_may_everything_and_the_others_what_the_design_says() -> None:
    assert ROLES[Role.lead] == set(Permission)
    assert ROLES[Role.moderator] == {
        Permission.own_account, Permission.label, Permission.search, Permission.read_guidelines,
    }  # fmt: skip
    assert ROLES[Role.analyst] == {
        Permission.own_account, Permission.look, Permission.search, Permission.export, Permission.save_thresholds,
        Permission.read_guidelines,
    }  # fmt: skip
    with pytest.raises(NotAllowed, match="ask a lead"):
        require(Actor(1, "mo", Role.moderator), Permission.promote)


# --- encoders on this machine ---------------------------------------------------------------------------------------


def put_encoder(folder: Path, *, model_type: str = "bert", weights: str = "model.safetensors") -> None:
    folder.mkdir(parents=True)
    config = {"model_type": model_type, "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 100}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / weights).write_bytes(b"x")
    (folder / "vocab.txt").write_text("[PAD]\n")


def found(tmp_path: Path) -> list[Encoder]:
    return local_encoders(models_dir=tmp_path / "models", starter_dir=tmp_path / "starter", hub_cache=tmp_path / "hub")


def test_reference_comes_first_and_the_starter_last(tmp_path: Path) -> None:
    put_encoder(tmp_path / "starter")
    put_encoder(tmp_path / "models" / "base" / "another")
    revision = tmp_path / "hub" / "models--hfl--chinese-roberta-wwm-ext" / "snapshots" / "abc"
    put_encoder(revision, weights="pytorch_model.bin")
    names = [encoder.name for encoder in found(tmp_path)]
    assert names == ["hfl/chinese-roberta-wwm-ext", "another", "starter"]


def test_incomplete_folders_and_other_architectures_are_not_offered(tmp_path: Path) -> None:
    put_encoder(tmp_path / "models" / "base" / "gpt", model_type="gpt2")
    put_encoder(tmp_path / "models" / "base" / "nothing")
    (tmp_path / "models" / "base" / "nothing" / "model.safetensors").unlink()
    (tmp_path / "models" / "base" / "broken").mkdir()
    (tmp_path / "models" / "base" / "broken" / "config.json").write_text("{")
    assert found(tmp_path) == []


def test_hub_cache_gives_the_revision_that_main_points_to(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--org--name"
    put_encoder(model / "snapshots" / "aaa")
    put_encoder(model / "snapshots" / "bbb")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("bbb")
    assert [encoder.path.name for encoder in found(tmp_path)] == ["bbb"]


def test_unknown_encoder_is_named_with_those_there_are_and_where_to_put_more(tmp_path: Path) -> None:
    put_encoder(tmp_path / "starter")
    places = {"models_dir": tmp_path / "models", "starter_dir": tmp_path / "starter", "hub_cache": tmp_path / "hub"}
    with pytest.raises(NotFound, match=r"there are: starter.*models/base"):
        resolve_encoder("nowhere", **places)
    assert resolve_encoder(None, **places).name == "starter"
    put_encoder(tmp_path / "elsewhere")
    assert resolve_encoder(str(tmp_path / "elsewhere"), **places).origin == "folder"
