"""Versions beside one another: on which texts they are compared, and what the gate lets through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Engine, insert, select

from core.clock import utc_now
from core.comparison import Verdict
from core.domain import Actor, Label, Policy, Prediction, Side
from core.errors import Conflict
from core.evaluation import ENOUGH
from core.services import models, retraining
from core.services.rules import change_policy
from db import models as model_rows
from db.engine import read, write
from db.tables import audit_log, decision, distinct_text, post, promotion, source
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR

Say = Callable[..., None]


@pytest.fixture
def judged(engine: Engine, pool: Callable[[int], None], moderator: Actor) -> Callable[..., list[int]]:
    """Posts decided by the moderator, one in five a violation, on a given side; returns their text ids."""

    def make(count: int, *, side: Side) -> list[int]:
        pool(count)
        with write(engine) as conn:
            by = conn.execute(select(source.c.id).where(source.c.name == moderator.name)).scalar_one()
            found = list(conn.execute(select(post.c.id, post.c.text_id).order_by(post.c.id)))
            conn.execute(distinct_text.update().values(side=side))
            conn.execute(
                insert(decision),
                [
                    {
                        "post_id": row.id,
                        "text_id": row.text_id,
                        "source_id": by,
                        "label": int(truth(number)),
                        "saw_model": False,
                        "decided_at": NOW,
                    }
                    for number, row in enumerate(found)
                ],
            )
        return [row.text_id for row in found]

    return make


def truth(number: int) -> Label:
    return Label.violation if number % 5 == 0 else Label.normal


def add_version(
    engine: Engine, name: str, text_ids: Sequence[int], said: Callable[[int], Label], *, baseline_of: int | None = None
) -> int:
    """A version that says this of these texts, by their number."""
    with write(engine) as conn:
        options = {"run_id": None, "base": "b", "folder": name, "manifest": {}, "metrics": {}}
        made = model_rows.add_version(conn, name=name, now=NOW, baseline_of=baseline_of, **options)  # type: ignore[arg-type]
        sure = {label: tuple(0.8 if each is label else 0.1 for each in Label) for label in Label}
        found = [Prediction(made.id, text_id, sure[said(n)]) for n, text_id in enumerate(text_ids)]  # type: ignore[arg-type]
        model_rows.add_predictions(conn, found)
        return made.id


def blind(number: int) -> Label:
    """Misses every violation."""
    return Label.normal


def misses_one(number: int) -> Label:
    return Label.normal if number == 0 else truth(number)


def test_version_that_is_worse_beyond_the_interval_is_not_promoted_without_a_reason(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(100, side=Side.evaluation)
    add_version(engine, "v1", text_ids, truth)
    add_version(engine, "v2", text_ids, blind)
    models.promote(engine, OPERATOR, "v1", now=utc_now())
    assert set(models.compare(engine, OPERATOR, "v2").losses) == {"macro_f1", "violation recall"}
    for reason in ("", "  "):
        with pytest.raises(Conflict, match="worse than v1"):
            models.promote(engine, OPERATOR, "v2", reason=reason, now=utc_now())
    assert len(rows(engine, promotion)) == 1
    models.promote(engine, OPERATOR, "v2", reason="v1 was measured on spam only", now=utc_now())
    said = [row["details"] for row in rows(engine, audit_log, action="promote")]
    assert said[-1] == {"version": "v2", "instead_of": "v1", "reason": "v1 was measured on spam only"}


def test_training_by_itself_promotes_nothing_that_is_worse_and_says_why(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(100, side=Side.evaluation)
    add_version(engine, "v1", text_ids, truth)
    add_version(engine, "v2", text_ids, blind)
    change_policy(engine, OPERATOR, Policy(promotes_by_itself=True), now=utc_now())
    models.promote(engine, OPERATOR, "v1", now=utc_now())
    assert "v2 is worse than v1" in retraining.finish(engine, retraining.BY_ITSELF, "v2", now=utc_now())
    assert [row.version.name for row in models.list_versions(engine, OPERATOR) if row.is_active] == ["v1"]


def test_version_that_was_active_before_comes_back_without_a_question(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(100, side=Side.evaluation)
    add_version(engine, "v1", text_ids, blind)
    add_version(engine, "v2", text_ids, truth)
    for name in ("v1", "v2", "v1"):
        models.promote(engine, OPERATOR, name, now=utc_now())
    assert [row.version.name for row in models.list_versions(engine, OPERATOR) if row.is_active] == ["v1"]


def test_difference_within_the_interval_keeps_nobody_out(engine: Engine, judged: Callable[..., list[int]]) -> None:
    text_ids = judged(100, side=Side.evaluation)
    add_version(engine, "v1", text_ids, truth)
    add_version(engine, "v2", text_ids, misses_one)
    models.promote(engine, OPERATOR, "v1", now=utc_now())
    found = models.compare(engine, OPERATOR, "v2")
    assert found.gaps["violation recall"].value == pytest.approx(-0.05)
    assert found.gaps["violation recall"].verdict is Verdict.cannot_tell
    models.promote(engine, OPERATOR, "v2", now=utc_now())


def test_before_any_promotion_there_is_nothing_to_be_worse_than(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    add_version(engine, "v1", judged(20, side=Side.evaluation), blind)
    found = models.compare(engine, OPERATOR, "v1")
    assert (found.active, found.losses, found.judged) == (None, {}, 20)
    models.promote(engine, OPERATOR, "v1", now=utc_now())


def test_only_the_audit_slice_measures_once_enough_of_it_is_judged(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(ENOUGH + 100, side=Side.audit)
    with write(engine) as conn:
        conn.execute(
            distinct_text.update().where(distinct_text.c.id.in_(text_ids[ENOUGH:])).values(side=Side.evaluation)
        )
    add_version(engine, "v1", text_ids, truth)
    found = models.compare(engine, OPERATOR, "v1")
    assert (found.is_random, found.judged) == (True, ENOUGH)
    with write(engine) as conn:
        conn.execute(distinct_text.update().where(distinct_text.c.id == text_ids[0]).values(side=Side.evaluation))
    found = models.compare(engine, OPERATOR, "v1")
    assert (found.is_random, found.judged) == (False, ENOUGH + 100)


def test_baseline_stands_beside_its_version_and_may_be_the_better_one(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(100, side=Side.evaluation)
    tuned = add_version(engine, "v1", text_ids, blind)
    add_version(engine, "v1-tfidf", text_ids, truth, baseline_of=tuned)
    found = models.compare(engine, OPERATOR, "v1")
    assert found.baseline is not None
    assert found.baseline.is_baseline
    assert found.baseline_gaps["macro_f1"].verdict is Verdict.better
    add_version(engine, "v2", text_ids, truth)
    assert [row.version.name for row in models.list_versions(engine, OPERATOR)] == ["v2", "v1", "v1-tfidf"]
    models.promote(engine, OPERATOR, "v1-tfidf", now=utc_now())
    with read(engine) as conn:
        assert model_rows.next_version_name(conn) == "v3"


def test_baseline_that_has_not_scored_all_texts_is_left_out_rather_than_compared_on_others(
    engine: Engine, judged: Callable[..., list[int]]
) -> None:
    text_ids = judged(100, side=Side.evaluation)
    tuned = add_version(engine, "v1", text_ids, truth)
    add_version(engine, "v1-tfidf", text_ids[:50], truth, baseline_of=tuned)
    found = models.compare(engine, OPERATOR, "v1")
    assert (found.baseline, found.baseline_metrics, found.baseline_gaps, found.judged) == (None, None, {}, 100)
