"""Hit words and what became of the posts that have them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from core.domain import Label, WordRecord
from db.checks import is_measuring
from db.engine import plain_rows
from db.posts import decides, living_imports, taken_back_imports
from db.tables import decision, hit, run


def records(conn: Connection, *, since: datetime | None = None, until: datetime | None = None) -> dict[str, WordRecord]:
    """By word, of decided posts: by the newest decision on each; near-copies that were decided along count once.

    since, until: by decisions made from then on, and before then.

    Posts that somebody may still be measured by are left out: of a rare word the record would tell what was said.
    Goes from the decisions to the hits: there are fewer of the former, and the latter lie together by post.
    """
    newest = select(func.max(decision.c.id).label("id")).where(
        decides(), decision.c.via_id.is_(None), ~is_measuring(decision.c.post_id)
    )
    if since is not None:
        newest = newest.where(decision.c.decided_at >= since)
    if until is not None:
        newest = newest.where(decision.c.decided_at < until)
    of_posts = newest.group_by(decision.c.post_id).subquery()
    worded = (
        select(hit.c.post_id, hit.c.word, decision.c.label)
        .join_from(of_posts, decision, decision.c.id == of_posts.c.id)
        .join(hit, hit.c.post_id == decision.c.post_id)
        .where(hit.c.word != "", hit.c.import_id.in_(living_imports()))
        .distinct()
        .subquery()
    )
    violations = func.sum(worded.c.label == int(Label.violation))
    counted = select(worded.c.word, func.count(), violations).group_by(worded.c.word)
    return {word: WordRecord(decided, found) for word, decided, found in plain_rows(conn, counted)}


def state(conn: Connection) -> tuple[int, int, int]:
    """Something else as soon as records could be: the newest decision, imports published and imports taken back."""
    newest = conn.execute(select(func.max(decision.c.id))).scalar() or 0
    published = select(func.count()).select_from(run).where(run.c.published_at.is_not(None))
    taken_back = select(func.count()).select_from(taken_back_imports().subquery())
    return newest, conn.execute(published).scalar_one(), conn.execute(taken_back).scalar_one()
