"""The side of the split when an import changes a post's text: what one version is measured on no other learns from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, RunKind, Side
from core.markup import BETWEEN_EXCERPTS, read_markup
from core.services import annotation, takeback, training
from core.settings import Settings
from core.splits import side_of
from core.text import model_text, normalised
from core.worker import execute
from db import golds, runs
from db.engine import read, write
from db.tables import distinct_text, family_place, post
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, import_file, unlike

Import = Callable[..., None]
HELD_OUT, TRAIN = (Side.evaluation, Side.audit), (Side.train,)


@pytest.fixture
def bring(engine: Engine, tmp_path: Path) -> Import:
    """Import an export of rows (pid, excerpt)."""

    def make(*lines: tuple[int, str]) -> None:
        path = tmp_path / "export.tsv"
        path.write_text("pid\tcontext\n" + "".join(f"{pid}\t{excerpt}\n" for pid, excerpt in lines))
        import_file(engine, path)

    return make


def side(*excerpts: str) -> Side:
    return side_of(normalised(model_text(read_markup(BETWEEN_EXCERPTS.join(excerpts)))))


def change(before: tuple[Side, ...], after: tuple[Side, ...]) -> tuple[str, str]:
    """Two excerpts: the first alone stands on one side, both together on another."""
    pairs = ((unlike(n), unlike(n + 10_000)) for n in range(10_000))
    return next((a, b) for a, b in pairs if side(a) in before and side(a, b) in after)


def text_of(engine: Engine, pid: int) -> dict[str, object]:
    text_id = rows(engine, post, pid=str(pid))[0]["text_id"]
    place = rows(engine, family_place, text_id=text_id)[0]
    return rows(engine, distinct_text, id=text_id)[0] | {"family": place["representative_id"]}


def sides_of_families(engine: Engine) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for place in rows(engine, family_place):
        of_text = rows(engine, distinct_text, id=place["text_id"])[0]["side"]
        found.setdefault(place["representative_id"], set()).add(of_text)
    return found


def used(engine: Engine, pid: int) -> list[Side]:
    """On which side a version made now would use the post; empty where it would not."""
    post_id = rows(engine, post, pid=str(pid))[0]["id"]
    with read(engine) as conn:
        return [gold.side for gold in golds.gold_posts(conn) if gold.post_id == post_id]


def decide(engine: Engine, pid: int) -> None:
    post_id = rows(engine, post, pid=str(pid))[0]["id"]
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=post_id, label=Label.normal, now=NOW)


def train_version(engine: Engine) -> None:
    """What a training run leaves behind that counts here: its snapshot."""
    with write(engine) as conn:
        version = runs.add_run(conn, kind=RunKind.training, config={}, created_by="lea", now=NOW)
    training.take_snapshot(engine, version.id)


def test_new_text_of_a_held_out_post_stays_held_out(engine: Engine, bring: Import) -> None:
    before, more = change(HELD_OUT, TRAIN)
    bring((1, before))
    was = text_of(engine, 1)["side"]
    bring((1, before), (1, more))
    assert (was in HELD_OUT, text_of(engine, 1)["side"]) == (True, was)


def test_new_text_of_a_held_out_post_joins_its_near_copies_on_their_side(engine: Engine, bring: Import) -> None:
    before, more = change(HELD_OUT, TRAIN)
    copy = next(f"{more}{n}" for n in range(100) if side(before, f"{more}{n}") is Side.train)
    bring((1, before), (2, before), (2, copy))
    bring((1, before), (1, more))
    first, second = text_of(engine, 1), text_of(engine, 2)
    assert first["family"] == second["family"]
    assert (first["side"], second["side"]) == (Side.train, Side.train)
    bring((3, before), (3, copy + "0"))
    assert text_of(engine, 3)["family"] == second["family"]
    assert all(len(found) == 1 for found in sides_of_families(engine).values())


def test_post_that_a_version_was_measured_on_is_left_out_when_it_joins_a_family_that_is_trained_on(
    engine: Engine, bring: Import, moderator: Actor
) -> None:
    before, more = change(HELD_OUT, TRAIN)
    copy = next(f"{more}{n}" for n in range(100) if side(before, f"{more}{n}") is Side.train)
    bring((1, before), (2, before), (2, copy))
    decide(engine, 1)
    train_version(engine)
    bring((1, before), (1, more))
    decide(engine, 1)
    decide(engine, 2)
    assert (used(engine, 1), used(engine, 2)) == ([], [Side.train])
    assert training.count_labels(engine, OPERATOR).left_out == 1


def test_near_copies_join_the_new_text_of_a_held_out_post_on_its_side(engine: Engine, bring: Import) -> None:
    before, more = change(HELD_OUT, TRAIN)
    bring((1, before))
    bring((1, before), (1, more))
    copy = next(f"{more}{n}" for n in range(100) if side(before, f"{more}{n}") is Side.train)
    bring((2, before), (2, copy))
    assert text_of(engine, 2)["family"] == text_of(engine, 1)["family"]
    assert all(len(found) == 1 for found in sides_of_families(engine).values())


@pytest.mark.parametrize(("before", "after"), [(HELD_OUT, TRAIN), (TRAIN, HELD_OUT)], ids=["measured", "learned"])
def test_post_that_a_version_used_is_left_out_once_it_has_a_text_of_the_other_side(
    engine: Engine, bring: Import, moderator: Actor, before: tuple[Side, ...], after: tuple[Side, ...]
) -> None:
    was, more = change(before, after)
    bring((1, was), (2, was), (2, more))  # the text that post 1 will have is known already, and stands where it stands
    decide(engine, 1)
    assert used(engine, 1)[0] in before
    train_version(engine)
    bring((1, was), (1, more))
    decide(engine, 1)
    decide(engine, 2)
    assert (text_of(engine, 1)["side"] in after, used(engine, 1), used(engine, 2)[0] in after) == (True, [], True)


def test_post_whose_text_no_version_has_used_counts_on_the_side_of_its_new_text(
    engine: Engine, bring: Import, moderator: Actor
) -> None:
    was, more = change(TRAIN, HELD_OUT)
    bring((1, was))
    decide(engine, 1)
    bring((1, was), (1, more))
    decide(engine, 1)
    assert used(engine, 1)[0] in HELD_OUT


def test_post_that_was_held_out_stays_so_when_an_import_is_taken_back(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Three imports bring one excerpt each; those of the first and the third alone would be a text to train on."""
    triples = ((unlike(n), unlike(n + 10_000), unlike(n + 20_000)) for n in range(10_000))
    brought = next((a, b, c) for a, b, c in triples if side(a, b, c) in HELD_OUT and side(a, c) is Side.train)
    ended = []
    for number, excerpt in enumerate(brought):
        path = tmp_path / f"{number}.tsv"
        path.write_text(f"pid\tcontext\n1\t{excerpt}\n")
        ended.append(import_file(engine, path))
    was = text_of(engine, 1)["side"]
    assert was in HELD_OUT
    queued = takeback.queue_take_back(engine, OPERATOR, ended[1].id, now=NOW)
    execute(settings, engine, queued.id)
    assert text_of(engine, 1)["body"] == f"{brought[0]} …… {brought[2]}"
    assert text_of(engine, 1)["side"] == was
