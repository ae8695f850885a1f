"""Sending to the front: a lead's finds are judged next, and stay next when the queue is renewed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Reason
from core.errors import BadInput, Conflict
from core.services import queueing, sending
from core.services.sending import Sent
from db.tables import audit_log, queue_entry
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, next_posts, sync, unlike

PILE = [30, 12, 25]


def send(engine: Engine, actor: Actor, post_ids: list[int], reason: Reason = Reason.uncertain) -> Sent:
    return sending.send_first(engine, actor, post_ids, reason=reason, now=NOW)


def test_sent_posts_are_dealt_first_in_their_order_with_the_reason(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor
) -> None:
    pool(40)
    assert send(engine, lead, PILE, Reason.likely_violation) == Sent(3, 0, 0, 0)
    assert next_posts(engine, moderator)[:3] == PILE
    entries = [row for row in rows(engine, queue_entry) if row["post_id"] in PILE]
    assert {row["reason"] for row in entries} == {"likely_violation"}
    assert {row["selection_probability"] for row in entries} == {None}
    assert len(rows(engine, queue_entry)) == 40
    logged = rows(engine, audit_log)[-1]
    assert (logged["actor"], logged["action"]) == ("lea", "send to the front")
    assert logged["details"] == {"posts": PILE, "reason": "likely_violation"}


def test_what_is_sent_later_comes_before_what_was_sent_earlier(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor
) -> None:
    pool(40)
    send(engine, lead, PILE)
    send(engine, lead, [7, 12])
    assert next_posts(engine, moderator)[:4] == [7, 12, 30, 25]
    send(engine, lead, [7, 12])
    assert next_posts(engine, moderator)[:4] == [7, 12, 30, 25]


def test_renewing_the_queue_keeps_them_first_until_they_are_decided(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor
) -> None:
    pool(40)
    send(engine, lead, PILE)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card, Label.normal))
    queueing.renew_queue(engine, now=NOW, seed=2)
    assert next_posts(engine, moderator)[:2] == PILE[1:]
    assert len(rows(engine, queue_entry)) == 39


def test_decided_and_held_posts_are_counted_and_left(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    pool(40)
    first, second = sync(engine, moderator, want=2).cards
    sync(engine, moderator, decide(first), holding=[second.lease.id])
    asked = [first.lease.post_id, second.lease.post_id, 999]
    free = next(n for n in range(1, 41) if n not in asked)
    assert send(engine, lead, [*asked, free, free]) == Sent(1, 1, 1, 0)
    assert next_posts(engine, second_moderator)[0] == free


def test_of_near_copies_the_first_is_sent_and_stands_for_all(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor, tmp_path: Path
) -> None:
    path = tmp_path / "copies.tsv"
    path.write_text("pid\tcontext\n" + "".join(f"{n}\t{unlike(n // 3)}\n" for n in range(12)))
    import_file(engine, path)
    queueing.renew_queue(engine, now=NOW, seed=1)
    assert send(engine, lead, [6, 5, 4, 8]) == Sent(2, 0, 0, 2)
    assert next_posts(engine, moderator)[:2] == [6, 8]
    assert len(rows(engine, queue_entry)) == 4
    queueing.renew_queue(engine, now=NOW, seed=2)
    assert next_posts(engine, moderator)[:2] == [6, 8]
    assert len(rows(engine, queue_entry)) == 4


def test_what_cannot_be_sent_is_said(engine: Engine, pool: Callable[[int], None], lead: Actor) -> None:
    with pytest.raises(Conflict, match="no queue yet"):
        send(engine, lead, [1])
    pool(3)
    with pytest.raises(BadInput, match="'audit'"):
        send(engine, lead, [1], Reason.audit)
    with pytest.raises(BadInput, match="201 posts"):
        send(engine, lead, list(range(201)))
    assert send(engine, OPERATOR, []) == Sent(0, 0, 0, 0)
