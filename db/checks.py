"""Check posts: clear cases whose label is known, and what people said when one was mixed among their cards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    case,
    exists,
    func,
    insert,
    select,
    union_all,
    update,
)

from core.domain import CheckStatus, Label, SkipKind
from db import seconds
from db.posts import is_decided, is_visible, stands
from db.tables import check_post, decision, distinct_text, family_place, lease, post, skip, source


@dataclass(frozen=True, slots=True)
class CheckPost:
    """label: what is right. answered, right: by how many people, standing. has_changed: the post's text is another now.

    skipped: how many passed it on.
    """

    post_id: int
    pid: str | None
    text: str
    label: Label
    status: CheckStatus
    made_by: str
    made_at: datetime
    answered: int
    right: int
    skipped: int
    has_changed: bool


def put_check(conn: Connection, *, post_id: int, text_id: int, label: Label, made_by: str, now: datetime) -> None:
    """Make the post a check post, or an active one again, with this label for this text."""
    values = {"text_id": text_id, "label": label, "status": CheckStatus.active, "made_by": made_by, "made_at": now}
    again = update(check_post).where(check_post.c.post_id == post_id)
    if not conn.execute(again.values(values)).rowcount:
        conn.execute(insert(check_post).values(post_id=post_id, **values))


def set_status(conn: Connection, post_id: int, status: CheckStatus) -> bool:
    """Returns False where the post is no check post, or was so already."""
    other = update(check_post).where(check_post.c.post_id == post_id, check_post.c.status != status)
    return conn.execute(other.values(status=status)).rowcount == 1


def status_of(conn: Connection, post_id: int) -> CheckStatus | None:
    status = conn.execute(select(check_post.c.status).where(check_post.c.post_id == post_id)).scalar()
    return None if status is None else CheckStatus(status)


def is_measuring(post_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Somebody may still be handed the post to be measured by it, so what is said of it so far is told to nobody."""
    is_check = exists().where(check_post.c.post_id == post_id, check_post.c.status == CheckStatus.active)
    return seconds.is_wanted(post_id) | is_check


def is_near_measuring(text_id: ColumnElement[int], *, user_id: int | None = None) -> ColumnElement[bool]:
    """The text's family holds a post that people may still be measured by, or one on a card of the user's.

    What was said of a near-copy would tell what to say of the post. Cards count all alike: or what is left out would
    tell which of them are judged blind.
    """
    active = select(check_post.c.post_id).where(check_post.c.status == CheckStatus.active)
    theirs: CompoundSelect[int] = union_all(seconds.waiting_posts(), active)
    if user_id is not None:
        on_cards = select(lease.c.post_id).where(lease.c.user_id == user_id, lease.c.ended_at.is_(None))
        theirs = union_all(seconds.waiting_posts(), active, on_cards)
    families = (  # a list that is put together once a query
        select(family_place.c.representative_id)
        .join_from(post, family_place, family_place.c.text_id == post.c.text_id)
        .where(post.c.id.in_(theirs))
    )
    own = family_place.alias("own_place")
    family = select(own.c.representative_id).where(own.c.text_id == text_id).scalar_subquery()
    return family.in_(families)


def is_judged_by(post_id: ColumnElement[int], user_id: int) -> ColumnElement[bool]:
    """Whatever they said of it stands, as an answer to a check or as a decision."""
    own = select(decision.c.id).join_from(decision, source, source.c.id == decision.c.source_id)
    return own.where(decision.c.post_id == post_id, source.c.user_id == user_id, stands()).exists()


def is_answered_by(conn: Connection, post_id: int, *, source_id: int) -> bool:
    answered = select(decision.c.id).where(decision.c.post_id == post_id, decision.c.source_id == source_id, stands())
    return conn.execute(answered.where(decision.c.is_check)).first() is not None


def open_to(conn: Connection, *, user_id: int) -> list[int]:
    """Check posts that this person can get: active, never judged or passed on by them, and on nobody's card."""
    post_id = check_post.c.post_id
    query = (
        select(post_id)
        .join(post, (post.c.id == post_id) & (post.c.text_id == check_post.c.text_id))
        .where(check_post.c.status == CheckStatus.active, is_visible(), is_decided())
        .where(~_is_held())
        .where(~exists().where(skip.c.post_id == post_id, skip.c.user_id == user_id))
        .where(~is_judged_by(post_id, user_id), ~seconds.is_wanted(post_id))
    )
    return list(conn.execute(query).scalars())


def left_for_later(conn: Connection, *, user_id: int) -> list[int]:
    """The latest lease of this person on each check post that they left for later and could still get."""
    post_id = check_post.c.post_id
    query = (
        select(func.max(lease.c.id))
        .join_from(check_post, lease, (lease.c.post_id == post_id) & lease.c.is_check)
        .join(post, (post.c.id == post_id) & (post.c.text_id == check_post.c.text_id))
        .join(skip, (skip.c.post_id == post_id) & (skip.c.user_id == user_id))
        .where(check_post.c.status == CheckStatus.active, is_visible(), is_decided())
        .where(lease.c.user_id == user_id, skip.c.kind == SkipKind.later)
        .where(~_is_held(), ~is_judged_by(post_id, user_id), ~seconds.is_wanted(post_id))
        .group_by(post_id)
        .order_by(func.max(lease.c.id))
    )
    return list(conn.execute(query).scalars())


def _is_held() -> ColumnElement[bool]:
    """On somebody's card."""
    held = lease.alias("held")
    return exists().where(held.c.post_id == check_post.c.post_id, held.c.ended_at.is_(None))


def list_checks(conn: Connection, *, status: CheckStatus | None = None, limit: int, offset: int = 0) -> list[CheckPost]:
    """Newest first."""
    query = _checks().order_by(check_post.c.made_at.desc(), check_post.c.post_id.desc()).limit(limit).offset(offset)
    if status is not None:
        query = query.where(check_post.c.status == status)
    return [_to_check(row) for row in conn.execute(query)]


def count_checks(conn: Connection) -> dict[CheckStatus, int]:
    query = select(check_post.c.status, func.count().label("posts")).group_by(check_post.c.status)
    counted = {row.status: row.posts for row in conn.execute(query)}
    return {status: counted.get(status, 0) for status in CheckStatus}


def _checks() -> Select[tuple[object, ...]]:
    said = (
        select(
            decision.c.post_id,
            decision.c.text_id,
            func.count().label("answered"),
            func.sum(case((decision.c.label == check_post.c.label, 1), else_=0)).label("right"),
        )
        .join(check_post, check_post.c.post_id == decision.c.post_id)
        .where(decision.c.is_check, stands())
        .group_by(decision.c.post_id, decision.c.text_id)
        .subquery()
    )
    passed = select(func.count()).where(skip.c.post_id == check_post.c.post_id).correlate(check_post).scalar_subquery()
    return (
        select(
            check_post,
            post.c.pid,
            distinct_text.c.body,
            func.coalesce(said.c.answered, 0).label("answered"),
            func.coalesce(said.c.right, 0).label("right"),
            passed.label("skipped"),
            (post.c.text_id != check_post.c.text_id).label("has_changed"),
        )
        .join(post, post.c.id == check_post.c.post_id)
        .join(distinct_text, distinct_text.c.id == check_post.c.text_id)
        .outerjoin(said, (said.c.post_id == check_post.c.post_id) & (said.c.text_id == check_post.c.text_id))
    )


def _to_check(row: Row[tuple[object, ...]]) -> CheckPost:
    return CheckPost(
        row.post_id, row.pid, row.body, Label(row.label), CheckStatus(row.status), row.made_by, row.made_at,
        row.answered, row.right, row.skipped, bool(row.has_changed),
    )  # fmt: skip
