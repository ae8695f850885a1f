"""Who gives a label more often than the others, on posts that chance drew: told beyond chance, and to leads alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Role
from core.services import leaning
from core.services.leaning import Lean, LeaningReport
from db.engine import write
from db.tables import decision, lease, queue_entry
from tests.conftest import add_user
from tests.core.services.conftest import decide, sync

Work = Callable[[Actor, int, int], None]


@pytest.fixture
def work(engine: Engine, pool: Callable[[int], None]) -> Work:
    """Let somebody judge so many posts that chance drew, so many of them as violations."""
    pool(400)
    with write(engine) as conn:
        conn.execute(queue_entry.update().values(reason="audit"))

    def judge(actor: Actor, count: int, violations: int) -> None:
        done = 0
        while done < count:
            cards = sync(engine, actor, want=min(20, count - done)).cards
            presses = [
                decide(card, Label.violation if done + at < violations else Label.normal)
                for at, card in enumerate(cards)
            ]
            sync(engine, actor, *presses)
            done += len(cards)

    return judge


def told(engine: Engine, lead: Actor) -> LeaningReport:
    return leaning.leanings(engine, lead, rng=np.random.default_rng(1))


def test_whoever_gives_a_label_far_more_often_than_the_others_is_told_from_them(
    engine: Engine, work: Work, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    third = add_user(engine, "max", Role.moderator)
    work(moderator, 100, 60)
    work(second_moderator, 100, 10)
    work(third, 100, 12)
    found = told(engine, lead)
    assert found.posts == 300
    assert found.everybody[Label.violation].value == pytest.approx(82 / 300)
    by_name = {each.name: each for each in found.people}
    assert by_name["mo"].leans == {Label.normal: Lean.less, Label.suspicious: Lean.alike, Label.violation: Lean.more}
    assert by_name["mo"].shares[Label.violation].value == 0.6
    assert {by_name[name].leans[Label.violation] for name in ("mimi", "max")} == {Lean.less}


def test_equal_shares_and_few_posts_tell_nothing(
    engine: Engine, work: Work, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    work(moderator, 100, 10)
    work(second_moderator, 100, 11)
    assert {lean for each in told(engine, lead).people for lean in each.leans.values()} == {Lean.alike}
    third = add_user(engine, "max", Role.moderator)
    work(third, 20, 20)
    (few,) = [each for each in told(engine, lead).people if each.name == "max"]
    assert (few.posts, set(few.leans.values())) == (20, {Lean.unknown})


def test_what_chance_did_not_draw_does_not_count(engine: Engine, work: Work, moderator: Actor, lead: Actor) -> None:
    work(moderator, 30, 0)
    with write(engine) as conn:
        chosen = [row.id for row in conn.execute(lease.select().limit(10))]
        conn.execute(lease.update().where(lease.c.id.in_(chosen)).values(reason="uncertain"))
        settled = [row.id for row in conn.execute(decision.select().where(decision.c.lease_id.not_in(chosen)).limit(5))]
        conn.execute(decision.update().where(decision.c.id.in_(settled)).values(settles=True))
    assert told(engine, lead).posts == 15


def test_nothing_judged_is_no_error(engine: Engine, lead: Actor) -> None:
    found = told(engine, lead)
    assert (found.posts, found.people) == (0, ())
