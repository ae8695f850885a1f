"""Searching: what is there is found, from two characters on, by whoever may; many are decided and undone at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.domain import Actor, Label, Place, Policy, Prediction, Reason, Role
from core.errors import BadInput, NotAllowed
from core.services import annotation, checks, queueing, rules, searching, takeback
from core.services.annotation import Press, PressKind
from core.services.launching import Supervisor
from core.services.searching import Query
from core.settings import Settings
from core.worker import execute
from db import leases, models, search
from db.engine import read, write
from db.tables import decision, distinct_text, post, queue_entry
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync

TEXTS = ("加微信返利，日结", "今天的天气真好", "微信公众号Tiebreak", "信微加", "100%_真好", "vx: AbC123")
Bring = Callable[..., None]


@pytest.fixture
def bring(engine: Engine, tmp_path: Path) -> Bring:
    """Import these texts as posts, pids from 1, with all of them in the index."""

    def make(*texts: str, name: str = "posts.tsv") -> None:
        lines = [f"{n}\tau{n % 2}\tword{n % 3}\t{text}" for n, text in enumerate(texts, 1)]
        (tmp_path / name).write_text("\n".join(["pid\tauthor\thit_word\tcontext", *lines]) + "\n")
        import_file(engine, tmp_path / name)
        searching.index_new_texts(engine)

    return make


def pids(engine: Engine, actor: Actor = OPERATOR, **query: object) -> list[str | None]:
    return [found.pid for found in searching.find(engine, actor, Query(**query))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("微信", ["3", "1"]),
        ("加微信", ["1"]),
        ("真好", ["5", "2"]),
        ("tiebreak", ["3"]),
        ("aBc123", ["6"]),
        ("100%_", ["5"]),
        ("信返利，日", ["1"]),
        ("微加", ["4"]),
        ("没有的", []),
        ("  微信 ", ["3", "1"]),
    ],
)
def test_words_are_found_wherever_they_stand_newest_first(
    engine: Engine, bring: Bring, words: str, found: list[str]
) -> None:
    bring(*TEXTS)
    assert pids(engine, text=words) == found


@pytest.mark.parametrize("words", ["微", "%", "a b c", "，。"])
def test_words_without_two_characters_together_are_refused(engine: Engine, bring: Bring, words: str) -> None:
    with pytest.raises(BadInput, match="too short"):
        pids(engine, text=words)


@given(st.text(alphabet="ab微信加 ,%_\"'*(", min_size=0, max_size=12), st.integers(0, 11), st.integers(2, 5))
def test_pairs_of_any_piece_are_among_those_of_the_whole(text: str, start: int, length: int) -> None:
    assert set(search.pairs_of(text[start : start + length])) <= set(search.pairs_of(text))


def test_every_piece_of_every_text_is_found(engine: Engine, bring: Bring) -> None:
    bring(*TEXTS)
    for number, text in enumerate(TEXTS, 1):
        for start in range(len(text)):
            for end in range(start + 2, len(text) + 1):
                if search.pairs_of(piece := text[start:end]):
                    assert str(number) in pids(engine, text=piece), piece


def test_pages_hold_each_post_once(engine: Engine, bring: Bring) -> None:
    bring(*(f"同一句话 {n % 7}" for n in range(23)))
    seen, after = [], None
    while page := searching.find(engine, OPERATOR, Query(text="同一"), limit=5, after=after):
        seen += [found.pid for found in page]
        after = page[-1].place
    assert sorted(map(int, filter(None, seen))) == list(range(1, 24))
    assert len(seen) == 23


@pytest.mark.parametrize("few", [0, search.FEW], ids=["newest first until enough", "from the rarest"])
def test_conditions_narrow_what_is_found(
    engine: Engine, bring: Bring, moderator: Actor, lead: Actor, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    bring(*TEXTS)
    assert pids(engine, text="微信", author="au1") == ["3", "1"]
    assert pids(engine, text="微信", hit_word="word1") == ["1"]
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.violation, now=NOW)
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=2, label=Label.normal, now=NOW)
    assert pids(engine, is_decided=True) == ["2", "1"]
    assert pids(engine, is_decided=False, text="微信") == ["3"]
    assert pids(engine, label=Label.violation) == ["1"]
    assert pids(engine, decided_by="lea") == ["2"]
    assert pids(engine, pid="4") == ["4"]
    assert pids(engine, author="au0") == ["6", "4", "2"]
    assert pids(engine, hit_word="word1") == ["4", "1"]
    assert pids(engine, import_id=1) == ["6", "5", "4", "3", "2", "1"]
    assert pids(engine, import_id=2) == []
    assert pids(engine, family=3) == ["3"]


def test_scores_are_those_of_the_active_version(engine: Engine, bring: Bring) -> None:
    bring(*TEXTS)
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO model_version VALUES (1, 'v', NULL, 'b', 'f', '{}', '{}', '2026-01-01', NULL)"
        )
        conn.exec_driver_sql("INSERT INTO promotion VALUES (1, 1, 'lea', '2026-01-01')")
        conn.exec_driver_sql("INSERT INTO prediction VALUES (1, 2, 0.1, 0.2, 0.7), (1, 3, 0.95, 0.03, 0.02)")
    assert pids(engine, confidence=(0.6, 0.8)) == ["2"]
    found = searching.find(engine, OPERATOR, Query(pid="2"))[0]
    assert (found.predicted, found.confidence) == (Label.violation, 0.7)


def test_moderator_sees_neither_authors_nor_who_decided(engine: Engine, bring: Bring, moderator: Actor) -> None:
    bring(*TEXTS)
    other = add_user(engine, "other", Role.moderator)
    for name, post_id in (("mo", 1), ("other", 2)):
        annotation.decide_post(engine, OPERATOR, user_name=name, post_id=post_id, label=Label.normal, now=NOW)
    found = searching.find(engine, moderator, Query(is_decided=True))
    assert [(each.author, each.decided_by) for each in found] == [(None, None), (None, "mo")]
    assert pids(engine, moderator, decided_by="mo") == ["1"]
    for query in (Query(author="au1"), Query(decided_by=other.name)):
        with pytest.raises(NotAllowed):
            searching.find(engine, moderator, query)


# --- the index ------------------------------------------------------------------------------------------------------


def test_texts_of_an_import_that_was_taken_back_leave_the_index(
    engine: Engine, settings: Settings, bring: Bring
) -> None:
    bring(*TEXTS)
    execute(settings, engine, takeback.queue_take_back(engine, OPERATOR, 1, now=NOW).id)
    assert rows(engine, distinct_text) == []
    bring("完全不同的内容", "也是新的", name="new.tsv")  # texts of the same ids as before
    assert pids(engine, text="微信") == []
    assert pids(engine, text="不同") == ["1"]
    with engine.connect() as conn:
        conn.exec_driver_sql("INSERT INTO text_pairs (text_pairs) VALUES ('integrity-check')")


def test_server_goes_on_with_the_index_where_an_import_was_cut_off(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\tcontext\n1\t加微信返利\n")
    import_file(engine, path)
    assert (pids(engine, text="微信"), searching.count_unindexed(engine)) == ([], 1)
    Supervisor(engine, settings, launch=lambda settings, run_id: pytest.fail("nothing is queued")).step(now=NOW)
    assert (pids(engine, text="微信"), searching.count_unindexed(engine)) == (["1"], 0)


# --- many at once ---------------------------------------------------------------------------------------------------


def chosen(engine: Engine, *post_ids: int) -> list[tuple[int, int]]:
    found = {each.post_id: each for each in searching.find(engine, OPERATOR, Query())}
    return [(post_id, found[post_id].text_id) for post_id in post_ids]


def standing(engine: Engine) -> dict[int, tuple[str | None, str | None]]:
    return {
        each.post_id: (each.label and each.label.name, each.decided_by)
        for each in searching.find(engine, OPERATOR, Query(is_decided=True))
    }


def decide_many(engine: Engine, lead: Actor, *post_ids: int, batch: str = "batch-0001") -> searching.Outcome:
    picked = chosen(engine, *post_ids)
    return searching.decide_many(engine, lead, picked, label=Label.violation, batch=batch, now=NOW)


def test_many_posts_are_decided_at_once_and_undone_at_once(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor
) -> None:
    pool(6)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.normal, now=NOW)
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=2, label=Label.suspicious, now=NOW)
    before, queued = standing(engine), {entry["post_id"] for entry in rows(engine, queue_entry)}
    assert decide_many(engine, lead, 1, 2, 3, 4) == searching.Outcome(4, 0, (), ())
    assert standing(engine) == {n: ("violation", "lea") for n in (1, 2, 3, 4)}
    assert [made["settles"] for made in rows(engine, decision)][2:] == [True, False, False, False]
    assert not {3, 4} & {entry["post_id"] for entry in rows(engine, queue_entry)}
    assert searching.undo_many(engine, lead, "batch-0001", now=NOW) == 4
    assert standing(engine) == before
    assert {entry["post_id"] for entry in rows(engine, queue_entry)} == queued
    assert searching.undo_many(engine, lead, "batch-0001", now=NOW) == 0


def test_batch_sent_twice_counts_once(engine: Engine, pool: Callable[[int], None], lead: Actor) -> None:
    pool(3)
    decide_many(engine, lead, 1, 2)
    assert decide_many(engine, lead, 1, 2) == searching.Outcome(0, 2, (), ())
    assert len(rows(engine, decision)) == 2


def test_posts_in_other_hands_or_with_another_text_are_left_alone(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor
) -> None:
    pool(3)
    held = sync(engine, moderator, want=1).cards[0].lease.post_id
    free = next(n for n in (1, 2, 3) if n != held)
    picked = [*chosen(engine, held), (free, 999)]
    outcome = searching.decide_many(engine, lead, picked, label=Label.normal, batch="batch-0001", now=NOW)
    assert outcome == searching.Outcome(0, 0, (held,), (free,))
    assert rows(engine, decision) == []


def test_nobody_undoes_the_batch_of_another(engine: Engine, pool: Callable[[int], None], lead: Actor) -> None:
    pool(2)
    decide_many(engine, lead, 1)
    assert searching.undo_many(engine, add_user(engine, "other", Role.lead), "batch-0001", now=NOW) == 0
    with read(engine) as conn:
        assert len(search.find(conn, Query(is_decided=True), version_id=None, limit=9)) == 1


# --- what moderators are to judge without ---------------------------------------------------------------------------


def seen_by(engine: Engine, actor: Actor, **query: object) -> dict[str | None, Label | None]:
    found = searching.find(engine, actor, Query(**query))  # type: ignore[arg-type]
    return {each.pid: each.label for each in found}


def test_search_does_not_tell_what_another_said_of_a_post_that_is_judged_twice(
    engine: Engine, bring: Bring, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    bring(*TEXTS)
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    queueing.renew_queue(engine, now=NOW, seed=1)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card, Label.violation))
    for query in ({"pid": card.pid}, {"is_decided": False}):
        assert seen_by(engine, second_moderator, **query)[card.pid] is None
    for query in ({"is_decided": True}, {"label": Label.violation}):
        assert seen_by(engine, second_moderator, **query) == {}
        assert seen_by(engine, moderator, **query) == {card.pid: Label.violation}  # it is their own word
        assert seen_by(engine, lead, **query) == {card.pid: Label.violation}
    other = next(each for each in sync(engine, second_moderator, want=9).cards if each.pid == card.pid)
    sync(engine, second_moderator, decide(other, Label.normal, id="another-one"))
    assert seen_by(engine, moderator, pid=card.pid) == {card.pid: Label.normal}  # both have judged it by now


def test_search_does_not_tell_what_was_said_of_near_copies_of_a_card_or_of_what_measures_people(
    engine: Engine, bring: Bring, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    spam = [
        f"我们公司诚信经营，需要兼职的朋友请加微信{n}，日结五百元，在家轻松做" for n in (11111111, 22222222, 33333333)
    ]
    bring(*spam, *TEXTS)
    for number in (1, 4):
        annotation.decide_post(
            engine, OPERATOR, user_name="lea", post_id=number, label=Label.violation, now=NOW - timedelta(hours=1)
        )
    told = {"1": Label.violation, "4": Label.violation}
    everything = {"label": Label.violation}
    assert seen_by(engine, moderator, **everything) == told
    with write(engine) as conn:  # a near-copy comes to one of them as a card
        place = Place(3, 1, Reason.audit, None, None, None)
        ttl = timedelta(minutes=10)
        (held,) = leases.claim_places(conn, [place], user_id=moderator.user_id or 0, now=NOW, ttl=ttl)
    assert seen_by(engine, moderator, **everything) == {"4": Label.violation}
    assert seen_by(engine, moderator, pid="1") == {"1": None}
    assert seen_by(engine, second_moderator, **everything) == told
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    text_id = next(found["text_id"] for found in rows(engine, post, id=3))
    press = Press("decide-000001", PressKind.decide, held.id, 3, text_id, Label.normal)
    assert sync(engine, moderator, press).refused == []
    for person in (moderator, second_moderator):  # it waits for another opinion
        assert seen_by(engine, person, **everything) == {"4": Label.violation}
    assert seen_by(engine, moderator, pid="3") == {"3": Label.normal}
    assert seen_by(engine, lead, **everything) == told


def test_search_does_not_tell_the_label_of_a_check_post(
    engine: Engine, bring: Bring, moderator: Actor, lead: Actor
) -> None:
    bring(*TEXTS)
    queueing.renew_queue(engine, now=NOW, seed=1)
    card = sync(engine, lead, want=1).cards[0]
    sync(engine, lead, decide(card, Label.violation))
    assert seen_by(engine, moderator, pid=card.pid) == {card.pid: Label.violation}
    checks.make_check(engine, lead, card.lease.post_id, text_id=card.text_id, label=Label.violation, now=NOW)
    assert seen_by(engine, moderator, pid=card.pid) == {card.pid: None}
    assert seen_by(engine, lead, pid=card.pid) == {card.pid: Label.violation}


def test_what_the_model_says_is_not_found_by_those_who_are_to_judge_without(
    engine: Engine, bring: Bring, moderator: Actor, analyst: Actor
) -> None:
    bring(*TEXTS)
    with write(engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW
        )
        models.promote(conn, version.id, promoted_by="lea", now=NOW)
        scored = [Prediction(version.id, text["id"], (0.1, 0.2, 0.7)) for text in rows(engine, distinct_text)]
        models.add_predictions(conn, scored)
    assert {each.predicted for each in searching.find(engine, analyst, Query())} == {Label.violation}
    told = searching.find(engine, moderator, Query())
    assert {(each.predicted, each.confidence) for each in told} == {(None, None)}
    with pytest.raises(NotAllowed):
        searching.find(engine, moderator, Query(confidence=(0.6, 0.8)))
