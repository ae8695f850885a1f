"""the thread of a post, from its further columns, and indexes for the posts of an author and of a thread"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

THREAD_COLUMNS = ("tid", "thread_id", "threadid", "thread", "topic_id")
POSTS_AT_ONCE = 10_000


def upgrade() -> None:
    op.add_column("post", sa.Column("thread", sa.Text(), nullable=True))
    conn = op.get_bind()
    last = 0
    while found := _posts_after(conn, last):
        named = [{"id": post_id, "thread": thread} for post_id, extra in found if (thread := _thread_of(extra))]
        if named:
            conn.execute(sa.text("UPDATE post SET thread = :thread WHERE id = :id"), named)
        last = found[-1][0]
    for column in ("author", "thread"):
        op.create_index(f"ix_post_{column}", "post", [column], sqlite_where=sa.text(f"{column} IS NOT NULL"))


def _posts_after(conn: sa.Connection, last: int) -> list[tuple[int, str]]:
    query = "SELECT id, extra FROM post WHERE id > :last AND extra <> '{}' ORDER BY id LIMIT :limit"
    return [(row[0], row[1]) for row in conn.execute(sa.text(query), {"last": last, "limit": POSTS_AT_ONCE})]


def _thread_of(extra: str) -> str | None:
    by_name = {name.strip().lower(): value for name, value in reversed(list(json.loads(extra).items()))}
    named = next((by_name[name].strip() for name in THREAD_COLUMNS if name in by_name), "")
    return named if named.strip("0") else None
