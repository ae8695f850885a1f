"""Families of near-copies: found at import, judged once, taken back once, learned once, split off for good."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine

from core.domain import Actor, FamilyWeight, Label, Policy, Prediction, Reason, RunKind, Side
from core.errors import Conflict, NotAllowed
from core.services import annotation, families, queueing, rules, training
from core.services.annotation import Press, PressKind
from core.services.importing import sweep_leftovers
from core.services.models import measure_version
from db import engine as db_engine
from db import families as family_rows
from db import models, runs
from db.cards import Card
from db.engine import migrate, open_engine, read, write
from db.queue import current_round
from db.tables import audit_log, decision, distinct_text, family_place, hit, lease, post, queue_entry
from tests.benchmarks.exports import read_templates, write_export
from tests.conftest import NOW, rows
from tests.core.near_copies import agreement
from tests.core.services.conftest import OPERATOR, decide, import_file, sync, undo, unlike

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
LOANS = "无需抵押当天到账，正规平台办理快速贷款，联系客服电话{}咨询，名额有限"
MakePool = Callable[..., None]


def copies(template: str, count: int, *, first: int = 10_000_000) -> list[str]:
    return [template.format(first + 7 * n) for n in range(count)]


@pytest.fixture
def bring(engine: Engine, tmp_path: Path) -> MakePool:
    """Import texts with these pids and renew the queue."""

    def make(texts: Sequence[str], *, first_pid: int = 1) -> None:
        path = tmp_path / f"export-{first_pid}.tsv"
        lines = [f"{first_pid + n}\tword\t{text}" for n, text in enumerate(texts)]
        path.write_text("\n".join(["pid\thit_word\tcontext", *lines]) + "\n")
        import_file(engine, path)
        queueing.renew_queue(engine, now=NOW, seed=1)

    return make


def family_of(engine: Engine) -> dict[str, int]:
    """pid to the family of its text."""
    places = {place["text_id"]: place["representative_id"] for place in rows(engine, family_place)}
    return {found["pid"]: places[found["text_id"]] for found in rows(engine, post)}


def in_queue(engine: Engine) -> list[int]:
    """Posts in the order in which they come."""
    with read(engine) as conn:
        entries = rows(engine, queue_entry, round_id=current_round(conn))
    return [entry["post_id"] for entry in sorted(entries, key=lambda entry: entry["rank"])]


def decide_family(card: Card, label: Label = Label.violation, *, until: int, id: str | None = None) -> Press:
    single = decide(card, label, id=id)
    return Press(
        single.id, PressKind.decide, single.lease_id, single.post_id, single.text_id, label, family_until=until
    )


def standing(engine: Engine) -> dict[int, int]:
    """post to the label that stands on it (of one source)."""
    made = rows(engine, decision)
    replaced = {found["supersedes"] for found in made}
    return {m["post_id"]: m["label"] for m in made if m["id"] not in replaced and m["label"] is not None}


# --- placing --------------------------------------------------------------------------------------------------------


def test_near_copies_of_an_import_are_one_family_and_others_are_alone(engine: Engine, bring: MakePool) -> None:
    bring([*copies(SPAM, 3), unlike(1), *copies(LOANS, 2), unlike(2), SPAM.format("①②③④⑤⑥")])
    found = family_of(engine)
    assert {found[pid] for pid in "1238"} == {1}
    assert found["5"] == found["6"]
    assert len({found[pid] for pid in "14567"}) == 4


def test_second_import_joins_the_families_of_the_first(engine: Engine, bring: MakePool) -> None:
    bring([*copies(SPAM, 2), unlike(1)])
    bring([LOANS.format(5), SPAM.format(99), SPAM.format(98).replace("轻松", "开心"), LOANS.format(6)], first_pid=11)
    found = family_of(engine)
    assert found["12"] == found["13"] == found["1"]
    assert found["11"] == found["14"] not in (found["1"], found["3"])


def test_no_family_stands_on_two_sides_and_new_members_take_its_side(engine: Engine, bring: MakePool) -> None:
    bring([text for n in range(40) for text in copies(f"{unlike(n)}{{}}", 2)])
    sides = {text["id"]: text["side"] for text in rows(engine, distinct_text)}
    assert len(set(sides.values())) == 3
    bring([f"{unlike(n)}{n + 500_000}" for n in range(40)], first_pid=1_000)
    sides = {text["id"]: text["side"] for text in rows(engine, distinct_text)}
    by_family: dict[int, set[str]] = {}
    for place in rows(engine, family_place):
        by_family.setdefault(place["representative_id"], set()).add(sides[place["text_id"]])
    assert len(by_family) == 40
    assert all(len(found) == 1 for found in by_family.values())


@pytest.mark.slow
def test_templates_of_a_real_import_are_found_and_told_apart(engine: Engine, tmp_path: Path) -> None:
    export = write_export(tmp_path / "export.tsv", rows=20_000)
    import_file(engine, export.path)
    template_of = read_templates(export.templates)
    found = family_of(engine)
    truth = [pid if template_of[pid] is None else template_of[pid] for pid in found]
    precision, recall = agreement(list(found.values()), truth)
    assert precision >= 0.99
    assert recall >= 0.95


def test_text_whose_family_closes_while_it_is_placed_looks_for_another(
    engine: Engine, bring: MakePool, lead: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(copies(SPAM, 2))
    really_match, calls = families.match, []

    def match(*args: object, **options: object) -> object:
        matched = really_match(*args, **options)  # type: ignore[arg-type]
        calls.append(matched)
        return matched

    really_write = families.write_unseen

    def write_later(engine: Engine) -> object:
        if len(calls) == 1:
            calls.append(None)
            families.split_off(engine, lead, 1, now=NOW)
        return really_write(engine)

    monkeypatch.setattr(families, "match", match)
    monkeypatch.setattr(families, "write_unseen", write_later)
    bring([SPAM.format(77)], first_pid=11)
    assert family_of(engine) == {"1": 1, "2": 2, "11": 2}


def test_what_an_unfinished_import_brought_is_no_member(engine: Engine, bring: MakePool, lead: Actor) -> None:
    bring(copies(SPAM, 3))
    with write(engine) as conn:
        unfinished = runs.add_run(conn, kind=RunKind.importing, config={}, created_by="x", now=NOW)
        conn.exec_driver_sql("UPDATE post SET import_id = ? WHERE pid = '3'", (unfinished.id,))
    (listed,) = families.list_families(engine, lead, limit=9)
    assert listed.family.size == 2
    assert families.count_families(engine, lead) == families.FamilyCounts(1, 2, 2)
    with read(engine) as conn:
        assert [member.pid for member in family_rows.members(conn, 1)] == ["1", "2"]
    sweep_leftovers(engine)


# --- the queue and the card -----------------------------------------------------------------------------------------


def test_queue_shows_a_family_once_with_its_number_of_near_copies(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    bring([*copies(SPAM, 5), unlike(1)])
    cards = sync(engine, moderator, want=9).cards
    assert {card.lease.post_id: card.copies for card in cards} == {1: 4, 6: 0}


def test_preview_counts_what_a_press_would_decide_and_points_out_what_tells_first(
    engine: Engine, bring: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    bring([SPAM.format(10_000_000), SPAM.format(10_000_000) + "！", *copies(SPAM, 3, first=20_000_000)])
    card = sync(engine, moderator, want=1).cards[0]
    hold(engine, second_moderator, 4)
    found = families.preview_family(engine, moderator, card.lease.post_id)
    assert (found.total, found.telling, found.newest) == (3, 2, 5)
    assert [copy.post_id for copy in found.copies] == [3, 5, 2]
    assert found.copies[0].telling == ("10000000", "20000000")
    assert found.copies[2].telling == ()
    cut = found.copies[2].differences[0]
    assert (found.text[cut.a_start : cut.a_end], found.copies[2].text[cut.b_start : cut.b_end]) == ("", "！")


def test_preview_points_out_links_that_lead_elsewhere_under_the_same_words(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    link = "今天晚上大家一起来看比赛直播吧 [url=http://t.cn/{}]点这里[/url]"
    bring(
        [
            link.format("aaaa"),
            link.format("aaaa"),
            link.format("bbbb"),
            link.format("aaaa").replace("url=http://", "url="),
        ]
    )
    card = sync(engine, moderator, want=1).cards[0]
    found = families.preview_family(engine, moderator, card.lease.post_id)
    assert {copy.text for copy in found.copies} == {found.text}
    assert found.telling == 1
    assert (found.copies[0].post_id, found.copies[0].telling) == (3, ("t.cn/aaaa", "t.cn/bbbb"))


def hold(engine: Engine, actor: Actor, post_id: int) -> int:
    """Put a post on somebody's card, as another round of the queue might have; returns the lease."""
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO lease (post_id, user_id, claimed_at, expires_at, reason, rank) "
            "VALUES (?, ?, '2026-03-02 09:00:00', '2026-03-02 09:10:00', 'random', 50)",
            (post_id, actor.user_id),
        )
        return int(conn.exec_driver_sql("SELECT max(id) FROM lease").scalar_one())


def test_moderator_previews_only_what_is_on_a_card_or_decided_by_the_same_person(
    engine: Engine, bring: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    bring([*copies(SPAM, 3), unlike(1)])
    cards = sync(engine, moderator, want=1).cards
    families.preview_family(engine, moderator, 1)
    families.preview_family(engine, lead, 2)
    for actor, post_id in ((second_moderator, 1), (moderator, 2), (moderator, 4)):
        with pytest.raises(NotAllowed, match="not on a card of yours"):
            families.preview_family(engine, actor, post_id)
    sync(engine, moderator, decide(cards[0]))
    assert families.preview_family(engine, moderator, 1).total == 2
    with pytest.raises(NotAllowed):
        families.preview_family(engine, second_moderator, 1)


# --- deciding at once -----------------------------------------------------------------------------------------------


def test_family_is_decided_by_one_press_and_each_copy_says_where_it_came_from(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    bring([*copies(SPAM, 4), unlike(1)])
    card = next(card for card in sync(engine, moderator, want=2).cards if card.copies)
    answer = sync(engine, moderator, decide_family(card, until=4))
    first, *others = rows(engine, decision)
    assert (first["post_id"], first["via_id"], first["lease_id"]) == (1, None, card.lease.id)
    assert [(m["post_id"], m["text_id"], m["label"], m["via_id"]) for m in others] == [
        (n, n, int(Label.violation), first["id"]) for n in (2, 3, 4)
    ]
    assert {made["source_id"] for made in others} == {first["source_id"]}
    assert in_queue(engine) == [5]
    assert (answer.today, [(made.post_id, made.copies) for made in answer.recent]) == (1, [(1, 3)])


def test_press_for_a_family_that_arrives_twice_decides_once(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    bring(copies(SPAM, 4))
    card = sync(engine, moderator, want=1).cards[0]
    for _ in range(2):
        assert sync(engine, moderator, decide_family(card, until=4, id="the-same-press")).acked == ["the-same-press"]
    assert len(rows(engine, decision)) == 4


def test_what_others_hold_what_is_decided_and_what_came_in_later_is_left_alone(
    engine: Engine, bring: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    bring(copies(SPAM, 5))
    card = sync(engine, moderator, want=1).cards[0]
    hold(engine, second_moderator, 2)
    annotation.decide_post(engine, OPERATOR, user_name="mimi", post_id=3, label=Label.normal, now=NOW)
    until = families.preview_family(engine, moderator, 1).newest
    bring([SPAM.format(123)], first_pid=11)
    sync(engine, moderator, decide_family(card, until=until))
    assert standing(engine) == {1: 2, 3: 0, 4: 2, 5: 2}
    assert rows(engine, lease, post_id=2)[0]["outcome"] is None


def test_press_without_a_preview_decides_the_post_alone(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    bring(copies(SPAM, 3))
    sync(engine, moderator, decide(sync(engine, moderator, want=1).cards[0]))
    assert standing(engine) == {1: 0}


def test_copies_on_ones_own_cards_are_decided_along_and_leave_the_hand(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    bring(copies(SPAM, 3))
    card = sync(engine, moderator, want=1).cards[0]
    other = hold(engine, moderator, 3)
    assert families.preview_family(engine, moderator, 1).total == 2
    answer = sync(engine, moderator, decide_family(card, until=3), holding=[other])
    assert (standing(engine), answer.lost) == ({1: 2, 2: 2, 3: 2}, [other])
    assert {found["outcome"] for found in rows(engine, lease)} == {"decided"}


def test_one_undo_takes_all_back_and_the_post_returns(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    bring([*copies(SPAM, 4), unlike(1)])
    card = next(card for card in sync(engine, moderator, want=2).cards if card.copies)
    sync(engine, moderator, decide_family(card, until=4))
    answer = sync(engine, moderator, undo(card))
    (again,) = answer.cards
    assert (again.lease.post_id, again.copies, answer.front) == (1, 3, [again.lease.id])
    assert (standing(engine), answer.today, answer.recent) == ({}, 0, [])
    assert [made["via_id"] for made in rows(engine, decision)] == [None, 1, 1, 1, None, 5, 5, 5]
    assert sorted(in_queue(engine)) == [1, 5]
    sync(engine, moderator, decide_family(again, Label.normal, until=4))
    assert standing(engine) == dict.fromkeys((1, 2, 3, 4), 0)


def test_undo_leaves_what_somebody_decided_about_a_copy(
    engine: Engine, bring: MakePool, moderator: Actor, lead: Actor
) -> None:
    bring(copies(SPAM, 3))
    card = sync(engine, moderator, want=1).cards[0]
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=2, label=Label.normal, now=NOW)
    sync(engine, moderator, decide_family(card, until=3))
    sync(engine, moderator, undo(card))
    assert standing(engine) == {2: 0}


def test_correcting_corrects_all_and_can_be_undone_as_one(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    bring(copies(SPAM, 3))
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide_family(card, until=3))
    better = Press("correct-1", PressKind.correct, decision_id=1, text_id=card.text_id, label=Label.suspicious)
    answer = sync(engine, moderator, better)
    assert standing(engine) == dict.fromkeys((1, 2, 3), 1)
    assert [(made.label, made.copies) for made in answer.recent] == [(Label.suspicious, 2)]
    assert sync(engine, moderator, undo(card)).today == 0
    assert standing(engine) == {}


def test_undecided_copies_of_a_decided_post_come_last_and_once_a_family(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    bring([*copies(SPAM, 4), *(unlike(n) for n in range(6))])
    card = next(card for card in sync(engine, moderator, want=9).cards if card.copies)
    sync(engine, moderator, decide(card))
    queueing.renew_queue(engine, now=NOW, seed=2)
    assert in_queue(engine)[-1] == 2
    assert len(in_queue(engine)) == 7
    last = rows(engine, queue_entry, post_id=2)[0]
    assert last["reason"] == Reason.random


# --- splitting off --------------------------------------------------------------------------------------------------


def test_member_that_was_split_off_stays_out_for_good_and_others_still_join(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    texts = copies(SPAM, 3)
    bring(texts)
    sync(engine, moderator, want=1)
    assert families.split_off(engine, moderator, 2, now=NOW) == 2
    assert family_of(engine) == {"1": 1, "2": 2, "3": 1}
    bring([texts[1], SPAM.format(55)], first_pid=11)
    assert family_of(engine) == {"1": 1, "2": 2, "3": 1, "11": 2, "12": 1}
    assert [found["actor"] for found in rows(engine, audit_log, action="split off")] == ["mo"]


def test_split_off_post_is_judged_by_itself_at_the_end_of_the_queue(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    bring([*copies(SPAM, 3), unlike(1), unlike(2)])
    card = next(card for card in sync(engine, moderator, want=9).cards if card.copies)
    families.split_off(engine, moderator, 3, now=NOW)
    assert in_queue(engine)[-1] == 3
    sync(engine, moderator, decide_family(card, until=3))
    assert standing(engine) == {1: 2, 2: 2}


def test_representative_that_is_split_off_passes_its_part_on(engine: Engine, bring: MakePool, lead: Actor) -> None:
    bring(copies(SPAM, 3))
    assert families.split_off(engine, lead, 1, now=NOW) == 2
    assert family_of(engine) == {"1": 1, "2": 2, "3": 2}
    places = {place["text_id"]: place for place in rows(engine, family_place)}
    assert (places[1]["form_hash"], places[1]["bands"], len(places[2]["bands"])) == (None, None, 128)
    assert set(in_queue(engine)) == {1, 2}
    bring([SPAM.format(55), SPAM.format(66).replace("轻松", "开心")], first_pid=11)
    found = family_of(engine)
    assert found["11"] == found["12"] == 2


def test_every_copy_can_be_split_off_until_one_is_alone(engine: Engine, bring: MakePool, lead: Actor) -> None:
    bring(copies(SPAM, 3))
    assert [families.split_off(engine, lead, post_id, now=NOW) for post_id in (1, 2)] == [2, 1]
    assert sorted(family_of(engine).values()) == [1, 2, 3]
    with pytest.raises(Conflict, match="nothing to split off"):
        families.split_off(engine, lead, 3, now=NOW)


def test_moderator_splits_off_only_near_copies_of_own_posts(
    engine: Engine, bring: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    bring(copies(SPAM, 3))
    sync(engine, moderator, want=1)
    with pytest.raises(NotAllowed, match="no near-copy of a post of yours"):
        families.split_off(engine, second_moderator, 2, now=NOW)
    assert set(family_of(engine).values()) == {1}
    families.split_off(engine, moderator, 2, now=NOW)


# --- lists ----------------------------------------------------------------------------------------------------------


def test_families_are_listed_largest_first_with_what_was_decided_and_by_whom(
    engine: Engine, bring: MakePool, moderator: Actor, lead: Actor, analyst: Actor
) -> None:
    bring([*copies(LOANS, 2), *copies(SPAM, 4), unlike(1)])
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=6, label=Label.normal, now=NOW)
    card = next(card for card in sync(engine, moderator, want=9).cards if card.lease.post_id == 3)
    sync(engine, moderator, decide_family(card, until=6))
    large, small = families.list_families(engine, analyst, limit=9)
    assert (large.family.size, large.family.text, small.family.size) == (4, SPAM.format(10_000_000), 2)
    assert large.family.first_seen_at == large.family.last_seen_at
    assert [(d.source, d.label, d.posts, d.by_family) for d in large.decided] == [
        ("mo", Label.violation, 3, 2),
        ("lea", Label.normal, 1, 0),
    ]
    assert large.labels == Counter({Label.violation: 3, Label.normal: 1})
    assert families.list_families(engine, analyst, limit=1, offset=1) == [small]
    counts = families.count_families(engine, analyst)
    assert (counts, counts.judgements) == (families.FamilyCounts(2, 6, 7), 3)
    assert counts.saved == pytest.approx(4 / 7)
    members = families.list_members(engine, analyst, large.family.id, limit=3, offset=1)
    assert [(m.pid, m.label, m.decided_by, m.by_family) for m in members] == [
        ("4", Label.violation, "mo", True),
        ("5", Label.violation, "mo", True),
        ("6", Label.normal, "lea", False),
    ]
    walked = list(families.walk_families(engine, analyst, limit=None))
    assert [[m.pid for m in found] for _, found in walked] == [["3", "4", "5", "6"], ["1", "2"]]
    assert [families.representative_of(*found).pid for found in walked] == ["3", "1"]


def test_walking_families_is_refused_at_once(engine: Engine, moderator: Actor) -> None:
    with pytest.raises(NotAllowed):
        families.walk_families(engine, moderator, limit=None)


def test_pool_without_families_saves_nothing(engine: Engine, lead: Actor) -> None:
    assert families.count_families(engine, lead).saved == 0.0
    assert families.list_families(engine, lead, limit=5) == []


# --- learning -------------------------------------------------------------------------------------------------------


def decided_families(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    """Families of 12, 4 and 1 posts, decided as violation, suspicious, normal."""
    bring([*copies(SPAM, 12), *copies(LOANS, 4), unlike(1)])
    by_size = {card.copies: card for card in sync(engine, moderator, want=9).cards}
    presses = [
        decide_family(by_size[size - 1], label, until=17)
        for size, label in ((12, Label.violation), (4, Label.suspicious), (1, Label.normal))
    ]
    assert sync(engine, moderator, *presses).refused == []


def snapshot(engine: Engine, moderator: Actor) -> training.Snapshot:
    with write(engine) as conn:
        run = runs.add_run(conn, kind=RunKind.training, config={}, created_by="x", now=NOW)
    return training.take_snapshot(engine, run.id)


def test_snapshot_counts_a_family_once_and_says_how_many_posts_it_stands_for(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    decided_families(engine, bring, moderator)
    taken = snapshot(engine, moderator)
    assert sorted((t.posts, t.label.name, t.weight) for t in taken.texts) == [
        (1, "normal", 1.0),
        (4, "suspicious", 1.0),
        (12, "violation", 1.0),
    ]
    counts = training.count_labels(engine, OPERATOR)
    assert sum([*counts.train.values(), *counts.held_out.values()]) == 3


def test_policy_lets_a_family_weigh_by_the_root_of_its_size_three_at_most(
    engine: Engine, bring: MakePool, moderator: Actor
) -> None:
    decided_families(engine, bring, moderator)
    before = snapshot(engine, moderator)
    rules.change_policy(engine, OPERATOR, Policy(family_weight=FamilyWeight.root), now=NOW)
    taken = snapshot(engine, moderator)
    assert {t.posts: t.weight for t in taken.texts} == {1: 1.0, 4: 2.0, 12: 3.0}
    assert math.sqrt(12) > 3.0
    assert taken.hash != before.hash


def test_label_of_a_family_is_that_of_most_of_its_posts(engine: Engine, bring: MakePool, moderator: Actor) -> None:
    bring(copies(SPAM, 5))
    for post_id, label in ((1, Label.normal), (2, Label.violation), (3, Label.violation)):
        annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=post_id, label=label, now=NOW)
    (text,) = snapshot(engine, moderator).texts
    assert (text.label, text.posts) == (Label.violation, 5)


def test_version_is_measured_on_families_weighed_by_their_size(
    engine: Engine, bring: MakePool, moderator: Actor, analyst: Actor
) -> None:
    """One wrong about the 12 copies is wrong about 12 of 17 posts, not about one of three."""
    decided_families(engine, bring, moderator)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE text SET side = 'evaluation'")
        version = models.add_version(
            conn, name="v1", run_id=None, base="x", folder="x", manifest={}, metrics={}, now=NOW
        )
        said = {1: (0.8, 0.1, 0.1), 13: (0.1, 0.8, 0.1), 17: (0.8, 0.1, 0.1)}
        models.add_predictions(conn, [Prediction(version.id, text_id, p) for text_id, p in said.items()])
    measured = measure_version(engine, analyst, "v1")
    assert measured is not None
    assert (measured.judged, measured.total) == (3, 17)
    assert measured.accuracy == pytest.approx(5 / 17)
    assert measured.confusion == ((1, 0, 0), (0, 4, 0), (12, 0, 0))


# --- before there were families -------------------------------------------------------------------------------------


def test_database_from_before_keeps_its_hits_and_every_text_a_family_of_its_own(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = db_engine._alembic()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
    with write(engine) as conn:
        for statement in (
            "INSERT INTO text (id, hash, normal_hash, body, side) VALUES (1, 'h1', 'n1', 'a', 'train'), "
            "(2, 'h2', 'n2', 'b', 'audit')",
            "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at, "
            "published_at) VALUES (1, 'import', 'succeeded', '', 0, '', '{}', '{}', 'x', '2026-01-01 00:00:00', "
            "'2026-01-01 00:00:00')",
            "INSERT INTO post (id, pid, text_id, import_id, original, extra) VALUES (1, '1', 1, 1, 'a', '{}'), "
            "(2, '2', 2, 1, 'b', '{}')",
            "INSERT INTO hit (id, post_id, import_id, word, excerpt, fingerprint) VALUES "
            "(5, 2, 1, 'w2', 'b1', 21), (6, 1, 1, 'w1', 'a1', 11), (7, 2, 1, 'w3', 'b2', 20)",
        ):
            conn.exec_driver_sql(statement)
    migrate(engine, backups_dir=tmp_path / "backups")
    assert [(h["post_id"], h["word"], h["excerpt"], h["fingerprint"], h["place"]) for h in rows(engine, hit)] == [
        (1, "w1", "a1", 11, 6),
        (2, "w3", "b2", 20, 7),
        (2, "w2", "b1", 21, 5),
    ]
    assert [tuple(place.values()) for place in rows(engine, family_place)] == [(1, 1, None, None), (2, 2, None, None)]
    assert [text["side"] for text in rows(engine, distinct_text)] == [Side.train, Side.audit]
    path = tmp_path / "more.tsv"
    path.write_text(f"pid\tcontext\n11\t{SPAM.format(1)}\n12\t{SPAM.format(2)}\n")
    import_file(engine, path)
    assert family_of(engine) == {"1": 1, "2": 2, "11": 3, "12": 3}
