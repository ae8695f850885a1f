"""Sibling posts: the same author's, and those around a post in its thread, to whom they may be shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine

from core.domain import Actor, Label, Policy
from core.errors import BadInput, NotAllowed
from core.services import checks, queueing, rules, siblings
from core.services.annotation import decide_post
from core.services.siblings import AROUND_SHOWN, AUTHOR_SHOWN
from db import engine as db_engine
from db.cards import Card
from db.engine import migrate, open_engine, read, write
from db.search import Query, find
from db.tables import post
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync, unlike


@pytest.fixture
def forum(engine: Engine, tmp_path: Path) -> None:
    """Forty posts: in thread 5 those with even numbers, the others in none; of Ann by threes, Bob's, and of nobody."""
    authors = ("Ann", "Bob", "")
    lines = ["pid\tTID\tauthor\tcontext"]
    lines += [f"{n}\t{5 if n % 2 == 0 else 0}\t{authors[n % 3]}\t{unlike(n)}" for n in range(40, 0, -1)]
    (tmp_path / "forum.tsv").write_text("\n".join(lines) + "\n")
    import_file(engine, tmp_path / "forum.tsv")
    queueing.renew_queue(engine, now=NOW, seed=1)


def card_with(engine: Engine, actor: Actor, *, has_author: bool, has_thread: bool) -> Card:
    for card in sync(engine, actor, want=25).cards:
        if (card.has_author, card.thread is not None) == (has_author, has_thread):
            return card
    raise AssertionError("no such card among the first 25")


def test_thread_is_stored_with_the_post_and_the_column_stays(engine: Engine, forum: None) -> None:
    stored = {made["pid"]: (made["thread"], made["extra"]) for made in rows(engine, post)}
    assert stored["2"] == ("5", {"TID": "5"})
    assert stored["1"] == (None, {"TID": "0"})


def test_posts_of_the_author_come_newest_first_and_those_of_the_thread_in_its_order(
    engine: Engine, forum: None, moderator: Actor
) -> None:
    card = card_with(engine, moderator, has_author=True, has_thread=True)
    found = siblings.siblings_of(engine, moderator, card.lease.post_id)
    pid = int(card.pid or 0)
    of_author = [n for n in range(1, 41) if n % 3 == pid % 3 and n != pid]
    assert found.author
    assert [post.pid for post in found.author.posts] == [str(n) for n in of_author]  # imported from the highest number
    assert (found.author.total, len(of_author) <= AUTHOR_SHOWN) == (len(of_author), True)
    in_thread = list(range(2, 41, 2))
    place = in_thread.index(pid)
    around = in_thread[max(0, place - AROUND_SHOWN) : place + AROUND_SHOWN + 1]
    assert found.thread
    assert [post.pid for post in found.thread.posts] == [str(n) for n in around]
    assert [post.pid for post in found.thread.posts if post.is_card] == [card.pid]
    assert found.thread.total == 19


def test_post_without_author_and_thread_has_no_siblings(engine: Engine, forum: None, moderator: Actor) -> None:
    card = card_with(engine, moderator, has_author=False, has_thread=False)
    found = siblings.siblings_of(engine, moderator, card.lease.post_id)
    assert (found.author, found.thread) == (None, None)


def test_labels_of_siblings_are_told_and_counted(engine: Engine, forum: None, moderator: Actor, lead: Actor) -> None:
    card = card_with(engine, moderator, has_author=True, has_thread=True)
    for other in sync(engine, lead, want=25).cards:
        sync(engine, lead, decide(other, Label.violation))
    found = siblings.siblings_of(engine, moderator, card.lease.post_id)
    assert found.author
    said = [post.label for post in found.author.posts]
    assert found.author.decided
    assert found.author.decided[Label.violation] == said.count(Label.violation) > 0
    assert set(said) <= {None, Label.violation}


def test_card_that_is_judged_blind_is_not_told_what_became_of_its_siblings(
    engine: Engine, forum: None, moderator: Actor, lead: Actor
) -> None:
    card = card_with(engine, moderator, has_author=True, has_thread=True)
    for other in sync(engine, lead, want=25).cards:
        sync(engine, lead, decide(other, Label.violation))
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    found = siblings.siblings_of(engine, moderator, card.lease.post_id)
    assert found.author
    assert found.thread
    assert (found.author.decided, found.thread.decided) == (None, None)
    assert {post.label for post in (*found.author.posts, *found.thread.posts)} == {None}


def test_label_of_a_sibling_that_measures_people_is_told_to_nobody(
    engine: Engine, forum: None, moderator: Actor, lead: Actor
) -> None:
    card = card_with(engine, moderator, has_author=True, has_thread=True)
    decided = sync(engine, lead, want=25).cards
    for other in decided:
        sync(engine, lead, decide(other, Label.violation))
    for other in decided[::2]:
        checks.make_check(engine, lead, other.lease.post_id, text_id=other.text_id, label=Label.violation, now=NOW)
    found = siblings.siblings_of(engine, moderator, card.lease.post_id)
    assert found.author
    assert found.thread
    told = {post.post_id: post.label for post in (*found.author.posts, *found.thread.posts)}
    hidden = {other.lease.post_id for other in decided[::2]}
    assert hidden & told.keys()
    assert {told[post_id] for post_id in hidden & told.keys()} == {None}
    assert Label.violation in told.values()


def test_label_of_a_near_copy_of_what_measures_people_is_told_to_nobody(
    engine: Engine, tmp_path: Path, moderator: Actor, lead: Actor
) -> None:
    spam = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
    texts = [spam.format(11111111), spam.format(22222222), "今天的天气真好大家出去走走", "楼主说的这家店早就不在了"]
    lines = [f"{n}\tAnn\t{text}" for n, text in enumerate(texts, 1)]
    (tmp_path / "few.tsv").write_text("\n".join(["pid\tauthor\tcontext", *lines]) + "\n")
    import_file(engine, tmp_path / "few.tsv")
    queueing.renew_queue(engine, now=NOW, seed=1)
    for post_id in (1, 2, 3):
        decide_post(engine, OPERATOR, user_name="lea", post_id=post_id, label=Label.violation, now=NOW)
    (card,) = sync(engine, moderator, want=4).cards

    def told() -> dict[int, Label | None]:
        found = siblings.siblings_of(engine, moderator, card.lease.post_id).author
        assert found
        return {post.post_id: post.label for post in found.posts}

    assert told() == dict.fromkeys((1, 2, 3), Label.violation)
    checks.make_check(engine, lead, 1, text_id=1, label=Label.violation, now=NOW)
    assert told() == {1: None, 2: None, 3: Label.violation}


def test_siblings_are_for_whoever_has_the_post_on_a_card(
    engine: Engine, forum: None, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    post_id = sync(engine, moderator, want=1).cards[0].lease.post_id
    with pytest.raises(NotAllowed, match="not on a card of yours"):
        siblings.siblings_of(engine, second_moderator, post_id)
    assert siblings.siblings_of(engine, lead, post_id).post_id == post_id


def test_name_on_the_card_follows_the_policy_whatever_siblings_are_shown(
    engine: Engine, forum: None, moderator: Actor, lead: Actor
) -> None:
    card = card_with(engine, moderator, has_author=True, has_thread=True)
    assert (card.author, card.has_author) == (None, True)
    shown = siblings.siblings_of(engine, moderator, card.lease.post_id)
    assert not any(name in repr(shown) for name in ("Ann", "Bob"))


def test_siblings_are_found_by_an_index(engine: Engine, forum: None) -> None:
    with engine.connect() as conn:
        for column in ("author", "thread"):
            plan = conn.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT id FROM post WHERE {column} = 'x' ORDER BY id DESC LIMIT 9"
            )
            told = " ".join(str(row[3]) for row in plan)
            assert f"ix_post_{column}" in told
            assert "TEMP B-TREE" not in told
    with read(engine) as conn:
        assert len(find(conn, Query(author="Ann"), version_id=None, limit=50)) == 13


def test_card_links_to_the_forum_where_the_policy_says_how(
    engine: Engine, forum: None, moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(forum_link="https://f.example/{tid}/{pid}", second_share=0), now=NOW)
    by_pid = {card.pid: card.forum_link for card in sync(engine, moderator, want=25).cards}
    for pid, link in by_pid.items():
        assert link == (f"https://f.example/5/{pid}" if int(pid or 0) % 2 == 0 else None)
    with pytest.raises(BadInput, match="javascript"):
        rules.change_policy(engine, lead, Policy(forum_link="javascript:{pid}"), now=NOW)


def test_threads_of_an_older_database_are_read_from_its_further_columns(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = db_engine._alembic()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0007")
    with write(engine) as conn:
        conn.exec_driver_sql("INSERT INTO text (id, hash, normal_hash, body, side) VALUES (1, 'h', 'n', 'b', 'train')")
        conn.exec_driver_sql(
            "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at) "
            "VALUES (1, 'import', 'succeeded', '', 0, '', '{}', '{}', 'x', '2026-01-01 00:00:00')"
        )
        for pid, extra in enumerate(({}, {"TID": "7"}, {"tid": "0"}, {"fid": "3"}, {"thread": "t"})):
            conn.exec_driver_sql(
                "INSERT INTO post (pid, text_id, import_id, original, extra) VALUES (?, 1, 1, 'b', ?)",
                (str(pid), json.dumps(extra)),
            )
    migrate(engine, backups_dir=tmp_path / "backups")
    assert [made["thread"] for made in rows(engine, post)] == [None, "7", None, None, "t"]
