"""Rounds: the whole pool once, published at once, and nothing decided or undone meanwhile is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, Policy, Prediction, Reason, Side
from core.services import annotation, queueing, sending
from core.services import pool as pools
from core.services.rules import change_policy
from db import decisions, explorations, golds, models, queue
from db.engine import read, write
from db.tables import distinct_text, post, queue_entry, queue_round
from db.tables import lease as lease_table
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync, undo, unlike

MakePool = Callable[[int], None]


def current(engine: Engine) -> dict[int, int]:
    """Post to rank in the round that is served."""
    with read(engine) as conn:
        entries = rows(engine, queue_entry, round_id=queue.current_round(conn))
    return {entry["post_id"]: entry["rank"] for entry in entries}


def test_round_holds_every_undecided_post_once_and_older_ones_are_gone(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(40)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=3, label=Label.normal, now=NOW)
    queueing.renew_queue(engine, now=NOW, seed=3)
    assert set(current(engine)) == set(range(1, 41)) - {3}
    assert sorted(current(engine).values()) == list(range(39))
    assert {entry["round_id"] for entry in rows(engine, queue_entry)} == {2}
    assert len(rows(engine, queue_round)) == 2


def test_without_a_model_the_queue_goes_over_hit_words_and_says_so(engine: Engine, pool: MakePool) -> None:
    pool(100)
    assert {entry["reason"] for entry in rows(engine, queue_entry)} - {"audit"} == {"hit"}
    assert rows(engine, queue_round)[-1]["strategy"] == "cold start"


def test_once_the_audit_slice_is_judged_audit_draws_from_the_pool_blind_and_may_be_trained_on(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(120)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE text SET side = 'train'")
        conn.exec_driver_sql("UPDATE text SET side = 'audit' WHERE id IN (SELECT text_id FROM post WHERE id < 4)")
    queueing.renew_queue(engine, now=NOW, seed=3)

    def drawn() -> list[int]:
        found = sorted(rows(engine, queue_entry, reason="audit"), key=lambda entry: entry["rank"])
        assert all(entry["selection_probability"] for entry in found)
        return [entry["post_id"] for entry in found]

    assert set(drawn()[:3]) == {1, 2, 3}
    for post_id in (1, 2, 3):
        annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=post_id, label=Label.normal, now=NOW)
    queueing.renew_queue(engine, now=NOW, seed=3)
    assert len(drawn()) >= 10
    entry = rows(engine, queue_entry, post_id=drawn()[0])[0]
    assert entry["selection_probability"] == pytest.approx(0.1 / 117)
    (card,) = [card for card in sync(engine, moderator, want=25).cards if card.lease.post_id == drawn()[0]]
    assert (card.lease.reason, card.is_blind) == (Reason.audit, True)
    sync(engine, moderator, decide(card))
    (lease,) = rows(engine, lease_table, id=card.lease.id)
    assert lease["selection_probability"] == pytest.approx(0.1 / 117)
    with read(engine) as conn:
        sides = {gold.post_id: gold.side for gold in golds.gold_posts(conn)}
    assert sides == {1: Side.audit, 2: Side.audit, 3: Side.audit, card.lease.post_id: Side.train}


def test_what_is_decided_while_a_round_is_built_leaves_it_and_what_is_undone_joins_it(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(6)
    first, second = sync(engine, moderator, want=2).cards
    sync(engine, moderator, decide(first))
    with write(engine) as conn:
        round_id = queue.open_round(conn, now=NOW)
        last_decision = decisions.newest_id(conn)
        left = [post_id for post_id in range(1, 7) if post_id != first.lease.post_id]
        entries = [(round_id, p, rank, "random", None, None) for rank, p in enumerate(left)]
        queue.add_entries(conn, entries, taken_back=0)
    sync(engine, moderator, decide(second), undo(first))
    with write(engine) as conn:
        queue.publish_round(conn, round_id, version_id=None, strategy="test", last_decision=last_decision, now=NOW)
    assert set(current(engine)) == set(range(1, 7)) - {second.lease.post_id}


def test_moderators_are_served_from_the_old_round_until_the_new_one_is_complete(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(5)
    with write(engine) as conn:
        queue.open_round(conn, now=NOW)
    assert len(sync(engine, moderator, want=5).cards) == 5


def test_head_of_the_queue_is_in_order_with_reasons(engine: Engine, pool: MakePool, lead: Actor) -> None:
    pool(5)
    head = queueing.head_of_queue(engine, lead, limit=3)
    assert [found.entry.rank for found in head] == [0, 1, 2]
    assert all(found.entry.reason in Reason for found in head)


@pytest.mark.parametrize("count", [0, 1])
def test_small_and_empty_pools_make_a_round_too(engine: Engine, pool: MakePool, count: int) -> None:
    pool(count)
    assert len(current(engine)) == count


def test_round_over_an_older_pool_never_replaces_one_over_a_newer(
    engine: Engine, pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(3)
    load = queueing.load_pool

    def load_and_be_overtaken(conn: Connection, *which: object, **others: object) -> object:
        found = load(conn, *which, **others)
        monkeypatch.setattr(queueing, "load_pool", load)
        path = tmp_path / "more.tsv"
        path.write_text("pid\tcontext\n900\tone more\n")
        import_file(engine, path)
        queueing.renew_queue(engine, now=NOW)
        return found

    monkeypatch.setattr(queueing, "load_pool", load_and_be_overtaken)
    queueing.renew_queue(engine, now=NOW)
    assert len(current(engine)) == 4


def test_author_is_not_in_the_head_of_the_queue_for_moderators(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(2)
    assert queueing.head_of_queue(engine, moderator, limit=1)[0].post.author is None
    assert queueing.head_of_queue(engine, lead, limit=1)[0].post.author is not None


def test_kinds_of_posts_have_their_share_in_their_order_as_long_as_nobody_judged_them(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(60)
    learned: dict[str, object] = {"examples": {"training": {"normal": 80, "suspicious": 20, "violation": 20}}}
    with write(engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base="b", folder="v1", manifest=learned, metrics={}, now=NOW
        )
        models.promote(conn, version.id, promoted_by="lea", now=NOW)
        text_of = {row["id"]: row["text_id"] for row in rows(engine, post)}
        said = (0.6, 0.3, 0.1)
        models.add_predictions(conn, [Prediction(version.id, text_id, said) for text_id in text_of.values()])
        explorations.replace_exploration(conn, version.id, [text_of[n] for n in (50, 7, 31)])
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=7, label=Label.normal, now=NOW)
    change_policy(engine, OPERATOR, Policy(shares={"exploration": 1.0}), now=NOW)
    queueing.renew_queue(engine, now=NOW)
    entries = sorted(rows(engine, queue_entry), key=lambda entry: entry["rank"])
    aside = {row["id"] for row in rows(engine, distinct_text) if row["side"] == "audit"}
    expected = [n for n in (50, 31) if text_of[n] not in aside]
    assert [entry["post_id"] for entry in entries if entry["reason"] == "exploration"] == expected
    assert [entry["post_id"] for entry in entries[: len(expected)]] == expected


# --- the first cards of a large pool ----------------------------------------------------------------------------------


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of any size count as large: eight cards come first, from a sample of forty texts."""
    for name, value in (("WHOLE_UP_TO", 0), ("SAMPLED", 40), ("BLOCK", 5)):
        monkeypatch.setattr(pools, name, value)
    monkeypatch.setattr(queueing, "IN_FRONT", 8)


def renew_and_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Renew the queue; what happens when the first cards are there and the whole pool is to be read."""
    load = queueing.load_pool

    def load_and(*which: object, sample: object = None, **others: object) -> object:
        if sample is None:
            monkeypatch.setattr(queueing, "load_pool", load)
            happens()
        return load(*which, sample=sample, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(queueing, "load_pool", load_and)
    queueing.renew_queue(engine, now=NOW, seed=5)


@pytest.mark.usefixtures("small_samples")
def test_first_cards_are_served_before_the_whole_order_is_there_and_then_stand_before_it(
    engine: Engine, pool: MakePool, moderator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(120)
    first, served = [], []

    def look() -> None:
        building = max(row["id"] for row in rows(engine, queue_round))
        first.extend(row["post_id"] for row in rows(engine, queue_entry, round_id=building))
        served.extend(card.lease.post_id for card in sync(engine, moderator, want=12).cards)
        head = queueing.head_of_queue(engine, OPERATOR, limit=10)
        assert len({each.entry.post_id for each in head}) == 10
        assert {each.entry.post_id for each in head[:8]} == set(first)

    renew_and_meanwhile(engine, monkeypatch, look)
    assert len(first) == 8
    assert set(served[:8]) == set(first)
    assert len(set(served)) == 12
    order = sorted(current(engine).items(), key=lambda entry: entry[1])
    assert [rank for _, rank in order] == list(range(120))
    assert {post_id for post_id, _ in order[:8]} == set(first)
    assert sorted(current(engine)) == list(range(1, 121)), "each post once"


@pytest.mark.usefixtures("small_samples")
def test_what_a_lead_sends_comes_before_the_first_cards_and_these_are_not_kept_from_round_to_round(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(120)
    served: list[int] = []

    def send_and_look() -> None:
        sending.send_first(engine, lead, [77], reason=Reason.likely_violation, now=NOW)
        served.extend(card.lease.post_id for card in sync(engine, moderator, want=3).cards)

    renew_and_meanwhile(engine, monkeypatch, send_and_look)
    assert served[0] == 77
    first = {post_id for post_id, rank in current(engine).items() if 0 <= rank < 8}
    assert set(served[1:]) <= first
    queueing.renew_queue(engine, now=NOW, seed=6)
    ranks = current(engine)
    assert sorted(rank for rank in ranks.values() if rank < 0) == [-1]
    assert ranks[77] == -1
    assert {post_id for post_id, rank in ranks.items() if 0 <= rank < 8} != first


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("is_first_round", [True, False])
def test_first_cards_decided_while_the_order_is_built_leave_it_and_one_undone_is_in_it(
    engine: Engine, pool: MakePool, moderator: Actor, monkeypatch: pytest.MonkeyPatch, is_first_round: bool
) -> None:
    pool(60)
    if is_first_round:
        with write(engine) as conn:
            conn.exec_driver_sql("DELETE FROM queue_entry")
            conn.exec_driver_sql("DELETE FROM queue_round")
    decided = []

    def decide_two() -> None:
        one, other = sync(engine, moderator, want=2).cards
        sync(engine, moderator, decide(one), decide(other))
        answer = sync(engine, moderator, undo(other))
        assert answer.left > 0
        decided.append(one.lease.post_id)

    renew_and_meanwhile(engine, monkeypatch, decide_two)
    assert sorted(current(engine)) == sorted(set(range(1, 61)) - set(decided))


@pytest.mark.usefixtures("small_samples")
def test_draws_among_the_first_cards_are_as_likely_as_from_the_whole_pool(
    engine: Engine, pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(100)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE text SET side = 'train'")
    monkeypatch.setattr(queueing, "IN_FRONT", 30)
    queueing.renew_queue(engine, now=NOW, seed=5)
    likely = [row["selection_probability"] for row in rows(engine, queue_entry, reason="audit") if row["rank"] < 30]
    assert 2 <= len(likely) <= 4
    assert likely == pytest.approx([0.1 / 100] * len(likely))


@pytest.mark.usefixtures("small_samples")
def test_preview_of_a_large_pool_reads_a_sample_of_it(
    engine: Engine, pool: MakePool, lead: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(300)
    read_posts: list[int] = []
    load = queueing.load_pool

    def counting(*which: object, **others: object) -> object:
        loaded = load(*which, **others)  # type: ignore[arg-type]
        read_posts.append(len(loaded.post_ids))
        return loaded

    monkeypatch.setattr(queueing, "load_pool", counting)
    assert len(queueing.preview(engine, lead, Policy(), limit=20)) == 20
    assert read_posts == [40]


@pytest.mark.usefixtures("small_samples")
def test_near_copies_stand_once_in_the_order_whichever_of_them_came_first(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "今天我们去公园看花吃饭说话好的了是不在有人这中大来上"
    lines = [f"{n}\t{text}{'!' * (n % 3)}" for n in range(40)]
    path = tmp_path / "copies.tsv"
    others = [f"{n}\t{unlike(n)}" for n in range(100, 160)]
    path.write_text("\n".join(["pid\tcontext", *lines, *others]) + "\n")
    import_file(engine, path)
    for seed in range(5):  # in front or not
        queueing.renew_queue(engine, now=NOW, seed=seed)
        assert len(current(engine)) == 61


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_numbers_that_are_repeated_are_dropped_in_place(values: list[int], at_once: int) -> None:
    numbers = np.array(sorted(values), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "HITS_AT_ONCE", at_once)
        kept = pools._drop_repeated(numbers)
    assert numbers[:kept].tolist() == sorted(set(values))
