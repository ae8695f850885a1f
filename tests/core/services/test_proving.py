"""The proof: decisions by the reason they were shown for, beside what chance drew; nothing claimed from too little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
from sqlalchemy import Engine, insert

from core.domain import Actor, Label, Prediction, Reason
from core.growth import ENOUGH_JUDGED
from core.prevalence import ENOUGH_DRAWN
from core.services import proving
from core.services.proving import Proof
from db import models
from db.engine import write
from db.tables import decision, lease, post, source
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, sync, undo

MakePool = Callable[[int], None]
numbers = count(1)


def prove(engine: Engine, actor: Actor = OPERATOR) -> Proof:
    return proving.prove(engine, actor, rng=np.random.default_rng(1))


def judge(
    engine: Engine, who: Actor, post_ids: Iterator[int], reason: Reason, labels: list[int], *, drawn: bool = False,
    check: bool = False, seconds: float | None = 2.0,
) -> None:  # fmt: skip
    """Decisions on cards that were shown for that reason, in turn."""
    said = list(zip(post_ids, labels, strict=False))
    (mine,) = [row["id"] for row in rows(engine, source) if row["user_id"] == who.user_id]
    texts = {row["id"]: row["text_id"] for row in rows(engine, post)}
    with write(engine) as conn:
        for post_id, label in said:
            held = {
                "post_id": post_id, "user_id": who.user_id, "claimed_at": NOW, "expires_at": NOW, "ended_at": NOW,
                "outcome": "decided", "reason": reason, "rank": 1, "is_check": check,
                "selection_probability": 0.01 if drawn else None,
            }  # fmt: skip
            lease_id = conn.execute(insert(lease).values(held).returning(lease.c.id)).scalar_one()
            made = {
                "post_id": post_id, "text_id": texts[post_id], "source_id": mine, "label": label,
                "lease_id": lease_id, "decided_at": NOW, "seconds": seconds, "is_check": check,
                "press_id": f"press-{next(numbers):06d}",
            }  # fmt: skip
            conn.execute(insert(decision).values(made))


def set_slice(engine: Engine, up_to: int) -> None:
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE text SET side = 'train'")
        among = f"SELECT text_id FROM post WHERE id <= {up_to}"
        conn.exec_driver_sql(f"UPDATE text SET side = 'audit' WHERE id IN ({among})")


def test_before_anything_is_decided_nothing_is_said(engine: Engine, pool: MakePool, analyst: Actor) -> None:
    pool(3)
    found = prove(engine, analyst)
    assert (found.queue.decisions, found.audit.decisions, found.versions, found.drawn) == (0, 0, 0, 0)
    assert (found.by_reason, found.paces, found.surplus, found.curve.points) == ({}, {}, None, ())
    assert not found.prevalence[Label.violation].is_enough


def test_yield_is_counted_by_reason_beside_chance_and_the_forum_estimated_from_draws(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(400)
    set_slice(engine, 60)
    ids = iter(range(1, 401))
    judge(engine, moderator, ids, Reason.audit, [2] * 3 + [0] * 57, drawn=True, seconds=3.0)
    judge(engine, moderator, ids, Reason.uncertain, [2] * 40 + [1] * 10 + [0] * 50)
    judge(engine, moderator, ids, Reason.likely_violation, [2] * 30 + [0] * 10)
    found = prove(engine)
    assert (found.audit.decisions, found.queue.decisions, found.drawn, found.in_slice) == (60, 140, 60, 60)
    assert found.queue.violations.value == pytest.approx(0.5)
    assert found.by_reason[Reason.uncertain].violations.value == pytest.approx(0.4)
    assert found.by_reason[Reason.uncertain].not_normal.value == pytest.approx(0.5)
    assert not found.by_reason[Reason.likely_violation].violations.is_enough
    assert found.audit.violations.value == pytest.approx(0.05)
    assert found.surplus
    assert found.surplus.interval[0] > 0.3
    assert found.prevalence[Label.violation].value == pytest.approx(0.05), "the queue's finds are not the forum's share"
    assert found.paces[Reason.audit].median == 3.0
    assert found.paces[Reason.uncertain].decisions == 100


def test_check_posts_second_opinions_and_what_was_taken_back_do_not_count(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(40)
    (card,) = sync(engine, moderator, want=1).cards
    sync(engine, moderator, decide(card, Label.violation))
    sync(engine, moderator, undo(card))
    assert prove(engine).queue.decisions + prove(engine).audit.decisions == 0
    judge(engine, moderator, iter([7, 8]), Reason.uncertain, [2, 0])
    judge(engine, second_moderator, iter([7]), Reason.uncertain, [0])
    judge(engine, second_moderator, iter([8]), Reason.uncertain, [2], check=True)
    found = prove(engine)
    assert found.queue.decisions == 2
    assert found.queue.violations.value == pytest.approx(0.5), "the first opinion is what the card found"
    assert found.paces[Reason.uncertain].decisions == 3


def test_draws_on_which_people_disagree_are_counted_apart(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(40)
    judge(engine, moderator, iter([1, 2]), Reason.audit, [2, 0], drawn=True)
    judge(engine, second_moderator, iter([1]), Reason.audit, [0])
    found = prove(engine)
    assert (found.drawn, found.disputed) == (1, 1)


def test_versions_are_points_by_their_labels_measured_on_the_slice_alone(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    judged = ENOUGH_JUDGED + 20
    pool(judged + 40)
    set_slice(engine, judged)
    labels = [2, 0, 0, 1] * (judged // 4)
    judge(engine, moderator, iter(range(1, judged + 1)), Reason.audit, labels, drawn=True)
    judge(engine, moderator, iter(range(judged + 1, judged + 41)), Reason.uncertain, [2] * 40)
    texts = {row["id"]: row["text_id"] for row in rows(engine, post)}
    with write(engine) as conn:
        for n, (learned, base) in enumerate([(100, "starter"), (50, "other"), (400, "starter"), (400, "starter")]):
            manifest: dict[str, object] = {"examples": {"training": {"normal": learned - 20, "violation": 20}}}
            version = models.add_version(
                conn, name=f"v{n}", run_id=None, base=base, folder=f"v{n}", manifest=manifest, metrics={}, now=NOW,
                baseline_of=1 if n == 3 else None,
            )  # fmt: skip
            said = [
                Prediction(version.id, texts[post_id], tuple(0.9 if at == label else 0.05 for at in range(3)))  # type: ignore[arg-type]
                for post_id, label in zip(range(1, judged + 1), labels, strict=True)
            ]
            models.add_predictions(conn, said)
    found = prove(engine)
    assert [(point.version, point.labels, point.judged) for point in found.curve.points] == [
        ("v0", 100, judged),
        ("v2", 400, judged),
    ]
    assert found.curve.points[0].figures["macro_f1"].value == pytest.approx(1.0)
    assert (found.base, found.other_bases, found.versions) == ("starter", 1, 2)
    assert found.curve.forecasts == {}


def test_draws_from_the_pool_after_the_slice_speak_for_what_was_left_then(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    """The queue had found all 50 violations among 200 posts before chance drew 60 of the others."""
    pool(200)
    set_slice(engine, 0)
    ids = iter(range(1, 201))
    judge(engine, moderator, ids, Reason.likely_violation, [2] * 50)
    judge(engine, moderator, ids, Reason.audit, [0] * ENOUGH_DRAWN, drawn=True)
    assert prove(engine).prevalence[Label.violation].value == pytest.approx(0.25)
