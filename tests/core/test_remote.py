"""Training elsewhere, between two homes: a snapshot goes out, a version comes back, is checked and measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from core.calibration import softmax
from core.clock import utc_now
from core.domain import LABEL_NAMES, RunKind, RunPoint, Side
from core.errors import BadInput, Conflict, NotFound
from core.services import models, runs
from core.settings import Settings, read_settings
from db.tables import audit_log, distinct_text, model_version, prediction, snapshot_decision
from tests.conftest import NOW, marked_text, rows
from tests.core.services.conftest import OPERATOR, import_file

POSTS = 300


@pytest.fixture
def forum(engine: Engine, tmp_path: Path) -> Engine:
    """300 posts with authors and addresses, all of them labelled, a good part of them kept aside."""
    export, labels = tmp_path / "export.tsv", tmp_path / "labels.jsonl"
    texts = {n: marked_text(n % 3, n) for n in range(1, POSTS + 1)}
    lines = [f"{n}\t{text}\tauthor{n}\t192.0.2.{n % 250}\n" for n, text in texts.items()]
    export.write_text("pid\tcontext\tauthor\tuseip\n" + "".join(lines))
    known = [{"pid": str(n), "text": text, "label": LABEL_NAMES[n % 3]} for n, text in texts.items()]
    labels.write_text("".join(json.dumps(record) + "\n" for record in known))
    import_file(engine, export)
    import_file(engine, labels)
    return engine


def export(engine: Engine, folder: Path) -> Path:
    from core.remote import export_snapshot

    export_snapshot(engine, OPERATOR, folder, now=NOW)
    return folder


def examples_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_snapshot_holds_texts_and_labels_of_two_sides_and_nothing_of_the_audit_slice_or_of_people(
    forum: Engine, tmp_path: Path
) -> None:
    folder = export(forum, tmp_path / "snapshot")
    sides = {row["body"]: Side(row["side"]) for row in rows(forum, distinct_text)}
    found = {name: examples_in(folder / f"{name}.jsonl") for name in ("train", "validation")}
    assert {name: {sides[each["text"]] for each in listed} for name, listed in found.items()} == {
        "train": {Side.train}, "validation": {Side.evaluation},
    }  # fmt: skip
    of_sides = [body for body, side in sides.items() if side is not Side.audit]
    assert len(of_sides) == len(found["train"]) + len(found["validation"]) < POSTS
    assert all(set(each) <= {"text", "label", "weight"} for listed in found.values() for each in listed)
    said = "".join(path.read_text() for path in folder.iterdir())
    assert "author" not in said
    assert "192.0.2" not in said
    assert [entry["action"] for entry in rows(forum, audit_log)][-1] == "export"
    with pytest.raises(Conflict, match="holds something already"):
        export(forum, folder)


def test_weight_of_a_family_goes_along(forum: Engine, tmp_path: Path) -> None:
    from core.domain import FamilyWeight, Policy
    from core.services import rules

    copies = tmp_path / "copies.tsv"
    spam = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结"
    copies.write_text("pid\tcontext\n" + "".join(f"{n}\t{spam.format(n)}\n" for n in range(901, 905)))
    labels = tmp_path / "copies.jsonl"
    labels.write_text(json.dumps({"pid": "901", "text": spam.format(901), "label": "violation"}) + "\n")
    import_file(forum, copies)
    import_file(forum, labels)
    rules.change_policy(forum, OPERATOR, Policy(family_weight=FamilyWeight.root), now=NOW)
    folder = export(forum, tmp_path / "snapshot")
    found = [each for path in folder.iterdir() for each in examples_in(path) if "兼职" in each["text"]]
    assert [each.get("weight") for each in found] == [2.0]


def test_too_few_labels_are_said_before_anything_is_written(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="at least two classes"):
        export(engine, tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()


# --- back again -----------------------------------------------------------------------------------------------------

Train = Callable[..., Path]


@pytest.fixture
def gpu(tmp_path: Path) -> Settings:
    """Another home, with no database in it."""
    return read_settings({"TIEBREAK_HOME": str(tmp_path / "gpu"), "HF_HOME": str(tmp_path / "gpu-hf")})


@pytest.fixture
def trained(forum: Engine, settings: Settings, gpu: Settings, tiny_base: Path, tmp_path: Path) -> Train:
    """Export here, train in the other home on the files alone, with a base that has another name there."""
    shutil.copytree(tiny_base, settings.models_dir / "base" / "org" / "tiny")
    shutil.copytree(tiny_base, gpu.models_dir / "base" / "copy-of-tiny")

    def make(*, snapshot: Path | None = None) -> Path:
        from core.encoders import resolve_encoder
        from core.learning.examples import TrainingExample
        from core.learning.schedules import Schedule
        from core.learning.training import TrainingConfig, train
        from core.loading import encoder_places
        from core.training_files import hash_of, read_training_file

        folder = snapshot or export(forum, tmp_path / "snapshot")
        learn, choose = (read_training_file(folder / name) for name in ("train.jsonl", "validation.jsonl"))
        encoder = resolve_encoder("copy-of-tiny", **encoder_places(gpu))
        out = gpu.home / "out"
        train(
            [TrainingExample(text.text, int(text.label), text.weight) for text in learn],
            [TrainingExample(text.text, int(text.label)) for text in choose],
            config=TrainingConfig(
                base_path=encoder.path, base_name=encoder.name, quick=True, seed=1, learning_rate=3e-3,
                snapshot_hash=hash_of(learn, choose), max_tokens=64,
            ),
            schedule=Schedule(16, 60, evaluates=False, chooses_best=False),
            out_dir=out,
        )  # fmt: skip
        return Path(shutil.copytree(out, tmp_path / "came-back"))

    return make


def take_in(engine: Engine, settings: Settings, folder: Path, name: str | None = None) -> Any:
    from core.remote import import_version

    return import_version(settings, engine, OPERATOR, folder, name=name, now=utc_now())


@pytest.mark.training
def test_version_trained_elsewhere_is_measured_here_and_promoted_like_any_other(
    forum: Engine, settings: Settings, trained: Train
) -> None:
    from core.learning.scoring import load_classifier

    folder = trained()
    assert json.loads((folder / "manifest.json").read_text())["metrics"] == {}
    told = [{"step": 6, "macro_f1": 0.5, "recall": {"normal": 0.9}}, {"step": 9, "macro_f1": 0.6}, "odd"]
    change_manifest(folder, evaluations=told)
    made = take_in(forum, settings, folder)
    assert (made.name, made.base, made.manifest["warnings"]) == ("import-1", "org/tiny", [])
    assert made.metrics["judged"] == len([row for row in rows(forum, distinct_text) if row["side"] != "train"])
    stored = json.loads((settings.versions_dir / "import-1" / "manifest.json").read_text())
    assert stored == rows(forum, model_version)[0]["manifest"]
    texts = {row["id"]: row["body"] for row in rows(forum, distinct_text) if row["side"] != "train"}
    said = load_classifier(folder, base_path=settings.models_dir / "base" / "org" / "tiny")
    expected = softmax(said.logits(list(texts.values())).astype(float))  # too few random texts to calibrate by
    found = {row["text_id"]: [row[f"p_{name}"] for name in LABEL_NAMES] for row in rows(forum, prediction)}
    np.testing.assert_allclose([found[text_id] for text_id in texts], expected, atol=1e-5)
    run = runs.show_run(forum, OPERATOR, made.run_id)
    assert (run.kind, run.result["version"], run.config) == (RunKind.training, "import-1", {"imported": "import-1"})
    assert (
        len(rows(forum, snapshot_decision, run_id=run.id)) == POSTS
    )  # what it learned from, and what it was judged on
    assert runs.points_of(forum, OPERATOR, run.id) == [
        RunPoint(6, None, 0.5, (0.9, None, None)),
        RunPoint(9, None, 0.6),
    ]
    models.promote(forum, OPERATOR, "import-1", now=utc_now())
    assert [row.version.name for row in models.list_versions(forum, OPERATOR) if row.is_active] == ["import-1"]
    assert take_in(forum, settings, folder).name == "import-2"


@pytest.mark.training
def test_version_of_an_unknown_snapshot_is_taken_in_with_a_warning(
    forum: Engine, settings: Settings, trained: Train, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name, numbers in (("train", range(60)), ("validation", range(60, 70))):
        lines = [json.dumps({"text": marked_text(n % 3, n), "label": LABEL_NAMES[n % 3]}) for n in numbers]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    made = take_in(forum, settings, trained(snapshot=folder), "theirs-1")
    assert ["may have learned from posts" in warning for warning in made.manifest["warnings"]] == [True]
    assert "theirs-1" in [path.name for path in settings.versions_dir.iterdir()]


# --- strangers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrival(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.learning.examples import TrainingExample
    from core.learning.schedules import Schedule
    from core.learning.training import TrainingConfig, train

    folder = tmp_path_factory.mktemp("versions") / "v1"
    train(
        [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(30)],
        [],
        config=TrainingConfig(base_path=tiny_base, base_name="tiny", quick=True, seed=1, snapshot_hash="s"),
        schedule=Schedule(16, 2, evaluates=False, chooses_best=False),
        out_dir=folder,
    )
    return folder


@pytest.fixture
def stranger(arrival: Path, settings: Settings, tiny_base: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of a good version, to be spoilt; nothing of a spoilt one stays behind."""
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    yield Path(shutil.copytree(arrival, tmp_path / "stranger"))
    assert not settings.versions_dir.exists() or list(settings.versions_dir.iterdir()) == []


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.training
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": ["normal", "violation", "suspicious"]}, "expected .*in this order"),
        ({"format": 2}, "in format 2"),
        ({"files": {}}, "no hash of adapter_model.safetensors"),
        ({"files": None}, "no hash"),
        ({"base": {"name": "tiny", "sha256": "0" * 64}}, "put the original base encoder back"),
        ({"base": {"name": "nowhere", "sha256": "0" * 64}}, "no base encoder 'nowhere'"),
        ({"base": "tiny"}, "base is missing or odd"),
        ({"snapshot": "<script>"}, "snapshot is missing or odd"),
        ({"training_mix": {"normal": 2, "suspicious": 0, "violation": 0}}, "training_mix"),
        ({"hyper_parameters": {"max_tokens": 10**9}}, "hyper_parameters"),
        ({"libraries": {"torch": "x" * 300}}, "what it says of the training"),
        ({"examples": {"training": "many"}}, "examples"),
        ({"evaluations": [[[[[[[[[1]]]]]]]]]}, "what it says of the training"),
    ],
)
def test_manifest_that_does_not_fit_is_refused(
    engine: Engine, settings: Settings, stranger: Path, changes: dict[str, object], says: str
) -> None:
    change_manifest(stranger, **changes)
    with pytest.raises((BadInput, NotFound), match=says):
        take_in(engine, settings, stranger)


@pytest.mark.training
def test_file_that_was_changed_on_the_way_is_noticed(engine: Engine, settings: Settings, stranger: Path) -> None:
    path = stranger / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match="hash differs"):
        take_in(engine, settings, stranger)


@pytest.mark.training
@pytest.mark.parametrize("name", ["manifest.json", "adapter_model.safetensors", "adapter_config.json"])
def test_links_are_not_followed(engine: Engine, settings: Settings, stranger: Path, tmp_path: Path, name: str) -> None:
    shutil.move(stranger / name, tmp_path / name)
    (stranger / name).symlink_to(tmp_path / name)
    with pytest.raises(BadInput, match="is a link"):
        take_in(engine, settings, stranger)


@pytest.mark.training
@pytest.mark.parametrize("name", ["../v9", "a/b", "", ".hidden", "x" * 41, "v3", "v3-tfidf"])
def test_name_that_is_none_of_a_folder_is_refused(
    engine: Engine, settings: Settings, stranger: Path, name: str
) -> None:
    from core.services import training

    with pytest.raises(BadInput, match="no name for an imported version"):
        training.refuse_taken_name(engine, OPERATOR, name)


@pytest.mark.training
def test_what_else_lies_in_the_folder_stays_behind_and_the_tokenizer_is_the_base_encoders_own(
    engine: Engine, settings: Settings, arrival: Path, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    folder = Path(shutil.copytree(arrival, tmp_path / "mixed"))
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "extra.bin").write_bytes(b"x")
    (folder / "tokenizer.json").write_text("{}")
    change_manifest(folder, warnings=["![](https://example.org/x.png)"], anything="else")
    made = take_in(engine, settings, folder, "mixed")
    names = {path.name for path in (settings.versions_dir / "mixed").iterdir()}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert len((settings.versions_dir / "mixed" / "tokenizer.json").read_text()) > 1_000
    assert ["may have learned" in warning for warning in made.manifest["warnings"]] == [True]
    assert "anything" not in made.manifest
    with pytest.raises(Conflict, match="version mixed already"):
        take_in(engine, settings, folder, "mixed")


@pytest.mark.slow
def test_baseline_from_elsewhere_is_taken_in_without_an_encoder(
    forum: Engine, settings: Settings, tmp_path: Path
) -> None:
    from core.evaluation import NOTHING
    from core.learning.baseline import make_baseline
    from core.learning.examples import TrainingExample

    folder = tmp_path / "v1-tfidf"
    known = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(400, 490)]
    make_baseline(known, seed=1, snapshot_hash="s", out_dir=folder, measure=lambda partial: NOTHING)
    made = take_in(forum, settings, folder, "simple")
    assert (made.base, made.is_baseline) == ("tfidf", False)
    assert made.metrics["macro_f1"] > 0.8
