"""Searching: the index that follows imports, posts by what is known of them, and deciding many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, Decision, Label, SourceKind
from core.errors import BadInput, NotAllowed
from core.permissions import Permission, may, require
from core.wording import N_, _
from db import audit, decisions, flags, leases, models, posts, queue, search, seconds, sources, texts
from db.decisions import NewDecision
from db.engine import in_turns, read, write, write_unseen
from db.search import FoundPost, Query

__all__ = ["FoundPost", "Query"]

TEXTS_PER_TRANSACTION = 500
MOST_AT_ONCE = 200  # posts that are decided together

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


# --- the index ------------------------------------------------------------------------------------------------------


def index_new_texts(engine: Engine, *, report: Report = lambda *progress: None, most: int | None = None) -> int:
    """Let texts be found that came in since, the oldest first; at most so many. Returns how many were taken in.

    What interrupts it is no loss: the next time goes on where this one ended.
    """
    with read(engine) as conn:
        first, newest = search.newest_indexed(conn), texts.newest_id(conn)
    done, some = 0, 1
    while some and (most is None or done < most):
        report(N_("indexing for search"), done, newest - first, "")
        with in_turns(engine, write_unseen) as conn:
            some = search.index_texts(conn, limit=TEXTS_PER_TRANSACTION)
        done += some
    return done


def count_unindexed(engine: Engine) -> int:
    """How many of the newest texts cannot be found yet, about: ids have gaps."""
    with read(engine) as conn:
        return max(0, texts.newest_id(conn) - search.newest_indexed(conn))


# --- the search -----------------------------------------------------------------------------------------------------


def find(
    engine: Engine, actor: Actor, query: Query, *, limit: int = 50, after: tuple[int, int] | None = None
) -> list[FoundPost]:
    """Posts by what they have in common, those with the newest texts first; after: the place of the last one so far.

    Authors and who decided are for those who may see them: asking by them is refused to others, and they are left out.
    To moderators nothing is told that they are to judge without: what others said of a post that measures people, of
    those on their cards and of the near-copies of both, and what the model says.
    Raises BadInput for words in which no two letters or characters stand together.
    """
    require(actor, Permission.search)
    if query.author is not None:
        require(actor, Permission.see_author)
    if query.decided_by is not None and query.decided_by != actor.name:
        require(actor, Permission.review)
    if query.confidence is not None:
        require(actor, Permission.look)
    if query.text is not None and not search.pairs_of(query.text):
        raise BadInput(
            _("{text!r} is too short: two letters or characters next to each other are needed.").format(
                text=query.text.strip()[:40]
            )
        )
    with read(engine) as conn:
        active = models.active_version(conn)
        version_id = None if active is None else active.id
        measured = None if may(actor, Permission.look) else actor
        found = search.find(conn, query, version_id=version_id, limit=limit, after=after, measured=measured)
    return [_as_seen_by(actor, each) for each in found]


def _as_seen_by(actor: Actor, found: FoundPost) -> FoundPost:
    shows_model = may(actor, Permission.look)
    shows_source = may(actor, Permission.review) or found.decided_by == actor.name
    return FoundPost(
        found.post_id, found.pid, found.text_id, found.text,
        found.author if may(actor, Permission.see_author) else None,
        found.label,
        found.decided_by if shows_source else None,
        found.predicted if shows_model else None, found.confidence if shows_model else None,
    )  # fmt: skip


# --- many at once ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of posts that were decided together. held: on somebody's card. changed: another text by now."""

    decided: int
    unchanged: int
    held: tuple[int, ...]
    changed: tuple[int, ...]


def decide_many(
    engine: Engine, actor: Actor, read_posts: Sequence[tuple[int, int]], *, label: Label, batch: str, now: datetime
) -> Outcome:
    """Decide posts as one batch, in one transaction; where others said something, it settles them.

    read_posts: (post, the text that was read). batch: a name by which all of it is undone at once; sent twice it counts
    once. Posts in other people's hands and those whose text has changed are left alone.
    """
    user_id = _require_decider(actor)
    if not 0 < len(read_posts) <= MOST_AT_ONCE or not 8 <= len(batch) <= 40:
        raise BadInput(
            _("{count} posts are chosen; from 1 to {most} are decided at once.").format(
                count=len(read_posts), most=MOST_AT_ONCE
            )
        )
    decided, unchanged = [], 0
    held: list[int] = []
    changed: list[int] = []
    with write(engine) as conn:
        leases.expire(conn, now=now)
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=user_id)
        found = posts.posts_by_id(conn, [post_id for post_id, _text_id in read_posts])
        for post_id, text_id in read_posts:
            holder = leases.holder_of(conn, post_id)
            if holder is not None and holder.user_id != user_id:
                held.append(post_id)
            elif post_id not in found or found[post_id].text_id != text_id:
                changed.append(post_id)
            elif _decide_one(conn, source_id, post_id, text_id, label, f"{batch}:{post_id}", now):
                decided.append(post_id)
            else:
                unchanged += 1
        queue.take_out(conn, decided)
        if decided:
            details = {"batch": batch, "posts": len(decided), "label": label.name}
            audit.record_action(conn, actor, "decide many", details=details, now=now)
    return Outcome(len(decided), unchanged, tuple(held), tuple(changed))


def _require_decider(actor: Actor) -> int:
    require(actor, Permission.review)
    if actor.user_id is None:
        raise NotAllowed(_("Only a signed-in user decides."))
    return actor.user_id


def _decide_one(
    conn: Connection, source_id: int, post_id: int, text_id: int, label: Label, press_id: str, now: datetime
) -> bool:
    """Returns whether that changed anything."""
    if decisions.made_by_press(conn, press_id) is not None:
        return False
    standing = [made for made, _kind, _name in decisions.standing_on_post(conn, post_id)]
    own = next((made for made in standing if made.source_id == source_id), None)
    if own is not None and (own.label, own.text_id) == (label, text_id):
        return False
    made = NewDecision(
        post_id,
        text_id,
        source_id,
        label,
        supersedes=None if own is None else own.id,
        press_id=press_id,
        settles=any(other.source_id != source_id for other in standing) or (own is not None and own.settles),
    )
    decisions.add_decision(conn, made, now=now)
    return True


def undo_many(engine: Engine, actor: Actor, batch: str, *, now: datetime) -> int:
    """Take back what stands of a batch; returns how many posts.

    What its author had said of a post before stands again, a flag that it answered is open again, and the post waits
    again for whoever it waited for.
    """
    user_id = _require_decider(actor)
    with write(engine) as conn:
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=user_id)
        made = [each for each in decisions.standing_of_batch(conn, batch) if each.source_id == source_id]
        for each in made:
            _take_back(conn, each, actor, now)
        if made:
            audit.record_action(conn, actor, "undo many", details={"batch": batch, "posts": len(made)}, now=now)
        return len(made)


def _take_back(conn: Connection, made: Decision, actor: Actor, now: datetime) -> None:
    before = None if made.supersedes is None else decisions.get_decision(conn, made.supersedes)
    gone = NewDecision(made.post_id, made.text_id, made.source_id, None, supersedes=made.id)
    if before is not None:
        gone = _said_again(conn, before, supersedes=made.id)
    decisions.add_decision(conn, gone, now=now)
    flags.reopen(conn, made.post_id, closed_by=actor.name, closed_at=made.decided_at)
    _wait_again(conn, made.post_id)


def _said_again(conn: Connection, before: Decision, *, supersedes: int) -> NewDecision:
    """What its author had said before; it settles only where no lead has settled the post otherwise since."""
    standing = [made for made, _kind, _name in decisions.standing_on_post(conn, before.post_id)]
    is_overruled = any(made.settles and made.id > before.id and made.id != supersedes for made in standing)
    return NewDecision(
        before.post_id, before.text_id, before.source_id, before.label, supersedes=supersedes,
        lease_id=before.lease_id, model_view=before.model_view, view_version_id=before.view_version_id,
        via_id=before.via_id, settles=before.settles and not is_overruled, rule=before.rule, note=before.note,
    )  # fmt: skip


def _wait_again(conn: Connection, post_id: int) -> None:
    """Back into the queue, at the place where another person was to judge it, or else behind all others."""
    if queue.holds_any(conn, [post_id]):
        return
    if seconds.is_open(conn, post_id):
        queue.put_second(conn, post_id)
    elif not decisions.standing_on_post(conn, post_id):
        queue.put_last(conn, post_id)
