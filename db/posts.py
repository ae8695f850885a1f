"""Posts and their hits. A post is visible once the import that brought it is published."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, case, exists, func, select, update

from core.domain import Label, Post, SourceTrust
from core.drafts import DraftHit
from core.errors import NotFound
from core.wording import _
from db.engine import each_of, insert_rows, plain_rows
from db.tables import decision, distinct_text, family_place, hit, post, prediction, run, sighting, source

_later = decision.alias("later")
_said = decision.alias("said")  # not to be mistaken for a decision that the query around it is about


@dataclass(frozen=True, slots=True)
class NewPost:
    """Exactly one of pid and text_identity is given."""

    pid: str | None
    text_identity: str | None
    text_id: int
    original: str
    author: str | None
    author_id: str | None
    ip: str | None
    extra: dict[str, str]
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class KnownPost:
    """A post as an import meets it again; hits in the order in which they came.

    None are left of a post that was taken back with its import, but is still referred to by that import's decisions.
    """

    id: int
    import_id: int
    text_id: int
    original: str
    hits: tuple[tuple[str, int, str, int], ...]  # (word, fingerprint, excerpt, import_id)


def living_imports() -> Select[int]:
    """Imports that count: published and not taken back. Few, so the list is looked up once a query."""
    return select(run.c.id).where(run.c.published_at.is_not(None), run.c.taken_back_at.is_(None))


def taken_back_imports() -> Select[int]:
    return select(run.c.id).where(run.c.taken_back_at.is_not(None))


def count_taken_back(conn: Connection) -> int:
    """How many imports have been taken back: as long as it stays the same, visible posts stay visible."""
    return conn.execute(select(func.count()).select_from(taken_back_imports().subquery())).scalar_one()


def is_decided_beside_taken_back() -> ColumnElement[bool]:
    """A decision, standing or not, refers to the post that no import taken back has brought."""
    counts = _said.c.import_id.is_(None) | _said.c.import_id.not_in(taken_back_imports())
    return exists().where(_said.c.post_id == post.c.id, counts)


def is_visible(*, in_order: bool = False) -> ColumnElement[bool]:
    """The post's import counts; of one that was taken back, those that were decided stay.

    in_order: posts are read in order of id. Found by the index of imports, millions would be sorted in memory.
    """
    import_id = post.c.import_id + 0 if in_order else post.c.import_id
    stays = import_id.in_(taken_back_imports()) & is_decided_beside_taken_back()
    return import_id.in_(living_imports()) | stays


def is_decided() -> ColumnElement[bool]:
    """Somebody's decision stands on the post (or on an earlier text of it); suggestions decide nothing."""
    return exists().where(decision.c.post_id == post.c.id, decides())


def is_settled_since(time: ColumnElement[datetime]) -> ColumnElement[bool]:
    """A lead has settled the post then or later, whichever text it had."""
    stands = ~exists().where(_later.c.supersedes == _said.c.id)
    return exists().where(_said.c.post_id == post.c.id, _said.c.settles, _said.c.decided_at >= time, stands)


def stands() -> ColumnElement[bool]:
    """The decision gives a label and nothing supersedes it."""
    return decision.c.label.is_not(None) & ~exists().where(_later.c.supersedes == decision.c.id)


def decides() -> ColumnElement[bool]:
    """The decision stands and is neither a suggestion nor the answer to a check post.

    Few sources suggest, so they are looked up once a query.
    """
    return (
        stands()
        & ~decision.c.is_check
        & decision.c.source_id.not_in(select(source.c.id).where(source.c.trust == SourceTrust.suggestion))
    )


_KNOWN = (post.c.id, post.c.import_id, post.c.text_id, post.c.original)


def known_by_pid(conn: Connection, pids: Sequence[str]) -> dict[str, KnownPost]:
    return _with_hits(conn, select(post.c.pid, *_KNOWN).where(post.c.pid.in_(each_of(pids))))


def known_by_text(conn: Connection, normal_hashes: Sequence[str]) -> dict[str, KnownPost]:
    """The first post with each normalised text."""
    has_text = post.c.text_id == distinct_text.c.id
    first = (
        select(func.min(post.c.id))
        .join_from(distinct_text, post, has_text)
        .where(distinct_text.c.normal_hash.in_(each_of(normal_hashes)))
        .group_by(distinct_text.c.normal_hash)
    )
    columns = (distinct_text.c.normal_hash, *_KNOWN)
    return _with_hits(conn, select(*columns).join_from(distinct_text, post, has_text).where(post.c.id.in_(first)))


def _with_hits(conn: Connection, query: Select[Any]) -> dict[str, KnownPost]:
    """query: of the key by which a post is known, and of _KNOWN."""
    found = list(plain_rows(conn, query))
    hits: dict[int, list[tuple[str, int, str, int]]] = {post_id: [] for _, post_id, *_ in found}
    columns = (hit.c.post_id, hit.c.word, hit.c.fingerprint, hit.c.excerpt, hit.c.import_id)
    of_posts = select(*columns).where(hit.c.post_id.in_(each_of(hits))).order_by(hit.c.import_id, hit.c.place)
    for post_id, *brought in plain_rows(conn, of_posts):
        hits[post_id].append(tuple(brought))
    return {
        key: KnownPost(post_id, import_id, text_id, original, tuple(hits[post_id]))
        for key, post_id, import_id, text_id, original in found
    }


def add_posts(conn: Connection, import_id: int, posts: Sequence[NewPost]) -> list[int]:
    """Insert invisible posts; returns their ids in the order given."""
    first = (conn.execute(select(func.max(post.c.id))).scalar() or 0) + 1
    ids = list(range(first, first + len(posts)))  # SQLite's own, given: spares asking for them
    columns = (
        "id", "pid", "text_identity", "text_id", "import_id", "original", "author", "author_id", "ip", "extra",
        "thread",
    )  # fmt: skip
    rows = [
        (
            at,
            p.pid,
            p.text_identity,
            p.text_id,
            import_id,
            p.original,
            p.author,
            p.author_id,
            p.ip,
            json.dumps(p.extra),
            p.thread,
        )
        for at, p in zip(ids, posts, strict=True)
    ]
    insert_rows(conn, post, columns, rows)
    return ids


def add_hits(conn: Connection, import_id: int, hits: Sequence[tuple[int, Sequence[DraftHit]]]) -> None:
    """hits: (post_id, hits that the post does not have yet); a hit's line is its place within the import."""
    columns = ("post_id", "fingerprint", "word", "import_id", "place", "excerpt")
    rows = [
        (post_id, fingerprint, word, import_id, line, excerpt)
        for post_id, of_post in hits
        for line, word, excerpt, fingerprint in of_post
    ]
    insert_rows(conn, hit, columns, rows)


def text_ids_of(conn: Connection, post_ids: Sequence[int]) -> dict[int, int]:
    return dict(plain_rows(conn, select(post.c.id, post.c.text_id).where(post.c.id.in_(each_of(post_ids)))))


def add_sightings(conn: Connection, import_id: int, seen: Sequence[tuple[int, Sequence[DraftHit]]]) -> None:
    """Note hits that the import found again. seen: (post_id, hits that another import brought)."""
    columns = ("post_id", "fingerprint", "word", "import_id", "place")
    rows = [
        (post_id, fingerprint, word, import_id, line)
        for post_id, of_post in seen
        for line, word, _, fingerprint in of_post
    ]
    insert_rows(conn, sighting, columns, rows, leaves_known=True)


def adopt_taken_back(conn: Connection, import_id: int) -> None:
    """Posts that were taken back with their import, and that this one brings again, are its own from now on."""
    brings = exists().where(hit.c.post_id == post.c.id, hit.c.import_id == import_id)
    gone = post.c.import_id.in_(taken_back_imports())
    conn.execute(update(post).where(gone, brings).values(import_id=import_id))


def change_texts(conn: Connection, changes: Sequence[tuple[int, int, str]]) -> None:
    """changes: (post_id, text_id, original)."""
    if changes:
        changed = update(post).where(post.c.id == bindparam("of_post"))
        conn.execute(
            changed.values(text_id=bindparam("text"), original=bindparam("made_of")),
            [{"of_post": post_id, "text": text_id, "made_of": original} for post_id, text_id, original in changes],
        )


def _posts() -> Select[int, str, int, str, str, str, str]:
    columns = (post.c.id, post.c.pid, post.c.text_id, distinct_text.c.body, post.c.original, post.c.author)
    return (
        select(*columns, post.c.thread)
        .join_from(post, distinct_text, post.c.text_id == distinct_text.c.id)
        .where(is_visible())
    )


def _to_post(row: Row[int, str, int, str, str, str, str]) -> Post:
    return Post(row.id, row.pid, row.text_id, row.body, row.original, row.author, row.thread)


def require_post(conn: Connection, post_id: int) -> Post:
    row = conn.execute(_posts().where(post.c.id == post_id)).one_or_none()
    if row is None:
        raise NotFound(
            _("There is no post {post_id}; `tiebreak queue` lists posts with their ids.").format(post_id=post_id)
        )
    return _to_post(row)


def id_of_pid(conn: Connection, pid: str) -> int | None:
    """Of the visible post with that pid."""
    return conn.execute(select(post.c.id).where(post.c.pid == pid, is_visible())).scalar()


def ids_of_visible(conn: Connection, post_ids: Sequence[int]) -> set[int]:
    """Those among the ids whose posts are there and visible."""
    return set(conn.execute(select(post.c.id).where(post.c.id.in_(each_of(post_ids)), is_visible())).scalars())


def posts_by_id(conn: Connection, post_ids: Sequence[int]) -> dict[int, Post]:
    found: dict[int, Post] = {}
    for start in range(0, len(post_ids), 500):
        query = _posts().where(post.c.id.in_(post_ids[start : start + 500]))
        found.update({row.id: _to_post(row) for row in conn.execute(query)})
    return found


def _is_published() -> ColumnElement[bool]:
    """The hit's import counts (that of its post may be older)."""
    return hit.c.import_id.in_(living_imports())


def decided_among(conn: Connection, post_ids: Sequence[int]) -> set[int]:
    """Those of the posts that somebody has decided."""
    return set(conn.execute(select(post.c.id).where(post.c.id.in_(each_of(post_ids)), is_decided())).scalars())


def hit_words(conn: Connection, post_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Distinct words by post, in the order in which they came."""
    query = select(hit.c.post_id, hit.c.word).where(hit.c.post_id.in_(post_ids), hit.c.word != "", _is_published())
    words: dict[int, dict[str, None]] = {}
    for row in conn.execute(query.order_by(hit.c.import_id, hit.c.place)):
        words.setdefault(row.post_id, {})[row.word] = None
    return {post_id: tuple(found) for post_id, found in words.items()}


def hits_with_words(conn: Connection, *, among: Collection[int] | None = None) -> Iterator[tuple[int, str]]:
    """(post_id, word) of every published hit with a word; one for each excerpt, and of decided posts too.

    among: of these posts only. To join the posts, or to order, would cost more than to leave the others out where they
    are read.
    """
    query = select(hit.c.post_id, hit.c.word).where(hit.c.word != "", _is_published())
    return plain_rows(conn, query if among is None else query.where(hit.c.post_id.in_(each_of(among))))


def are_there_any(conn: Connection) -> bool:
    return conn.execute(select(post.c.id).where(is_visible()).limit(1)).first() is not None


def count_posts(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(post).where(is_visible())).scalar_one()


def count_decided(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(post).where(is_visible(), is_decided())).scalar_one()


def count_audit(conn: Connection) -> tuple[int, int]:
    """(posts of the audit slice, decided ones among them)."""
    audit = distinct_text.c.side == "audit"
    joined = select(func.count()).join_from(post, distinct_text, post.c.text_id == distinct_text.c.id)
    query = joined.where(audit, is_visible())
    return conn.execute(query).scalar_one(), conn.execute(query.where(is_decided())).scalar_one()


def count_by_label(conn: Connection) -> dict[str, int]:
    """Standing decisions by label name, without suggestions."""
    query = select(decision.c.label, func.count().label("decisions")).where(decides()).group_by(decision.c.label)
    counted = {row.label: row.decisions for row in conn.execute(query)}
    return {label.name: counted.get(int(label), 0) for label in Label}


def pool(
    conn: Connection, *, version_id: int | None, among: Collection[int] | None = None
) -> Iterator[tuple[int, int, str, str | None, float | None, float | None, float | None]]:
    """Undecided visible posts: (id, family, side, body, p_normal, p_suspicious, p_violation), in order of id.

    body: of texts so short that only exact copies join their family; None for others. Probabilities are those of the
    version for the post's current text, None where there are none yet. among: of the texts with these ids only, and of
    these only those that lead their family: so families are as likely to be met as each other, however large.
    """
    scored = (prediction.c.text_id == post.c.text_id) & (prediction.c.version_id == version_id)
    query = (
        select(
            post.c.id,
            family_place.c.representative_id.label("family"),
            distinct_text.c.side,
            case((family_place.c.bands.is_(None), distinct_text.c.body)),
            prediction.c.p_normal,
            prediction.c.p_suspicious,
            prediction.c.p_violation,
        )
        .join_from(post, distinct_text, post.c.text_id == distinct_text.c.id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .outerjoin(prediction, scored)
        .where(is_visible(in_order=True), ~is_decided())
    )
    if among is None:
        return plain_rows(conn, query.order_by(post.c.id))
    leads = family_place.c.representative_id == post.c.text_id
    # Ordered by what is no column: some ten thousand are quickly sorted, and millions not read for their order.
    return plain_rows(conn, query.where(post.c.text_id.in_(each_of(among)), leads).order_by(post.c.id + 0))
