"""Search: posts by what stands in them and by what is known of them.

Chinese has no blanks between words, so texts are found by their pairs of neighbouring characters, from two characters
on; what has all pairs of the words looked for is then compared with the text itself. SQLite's FTS5 holds the pairs
(https://www.sqlite.org/fts5.html): without the texts, which are there already, and without positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Integer, Select, column, func, literal_column, select, table, tuple_

from core.domain import Label
from db.distributions import predicted_label, top_probability
from db.engine import plain_rows
from db.posts import decides, is_decided, is_visible
from db.tables import decision, distinct_text, family_place, hit, post, prediction, source

_RUN = re.compile(r"[^\W_]{2,}")
_text_pairs = table("text_pairs", column("rowid", Integer), column("pairs"))


@dataclass(frozen=True, slots=True)
class Query:
    """What all found posts have in common; None makes no difference.

    confidence: of the active version in its most likely label, (least, most). decided_by: name of a source.
    """

    text: str | None = None
    pid: str | None = None
    author: str | None = None
    hit_word: str | None = None
    is_decided: bool | None = None
    label: Label | None = None
    decided_by: str | None = None
    family: int | None = None
    import_id: int | None = None
    confidence: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FoundPost:
    """label, decided_by: of the newest decision that stands. predicted, confidence: of the version asked for."""

    post_id: int
    pid: str | None
    text_id: int
    text: str
    author: str | None
    label: Label | None
    decided_by: str | None
    predicted: Label | None
    confidence: float | None

    @property
    def place(self) -> tuple[int, int]:
        """Where the next page goes on."""
        return self.text_id, self.post_id


def pairs_of(words: str) -> list[str]:
    """The pairs of neighbouring letters, digits and characters, each once.

    There is neither a blank nor punctuation in them, so FTS5's tokenizer "ascii" takes each as one word.
    """
    found = _RUN.findall(words.lower())
    return list(dict.fromkeys(pair for run in found for pair in map(str.__add__, run, run[1:])))


# --- the index ------------------------------------------------------------------------------------------------------


def newest_indexed(conn: Connection) -> int:
    """Texts up to that id can be found."""
    return conn.exec_driver_sql("SELECT max(id) FROM text_pairs_docsize").scalar() or 0


def index_texts(conn: Connection, *, limit: int) -> int:
    """Take the next texts into the index; returns how many."""
    unknown = select(distinct_text.c.id, distinct_text.c.body).where(distinct_text.c.id > newest_indexed(conn))
    found = list(plain_rows(conn, unknown.order_by(distinct_text.c.id).limit(limit)))
    if found:
        rows = [(text_id, " ".join(pairs_of(body))) for text_id, body in found]
        conn.exec_driver_sql("INSERT INTO text_pairs (rowid, pairs) VALUES (?, ?)", rows)
    return len(found)


def forget_texts(conn: Connection, text_ids: Sequence[int]) -> None:
    """Before texts are removed: what the index holds of them is told to it once more, for it keeps no texts."""
    last = newest_indexed(conn)
    gone = [text_id for text_id in text_ids if text_id <= last]
    for start in range(0, len(gone), 500):
        some = select(distinct_text.c.id, distinct_text.c.body).where(distinct_text.c.id.in_(gone[start : start + 500]))
        rows = [(text_id, " ".join(pairs_of(body))) for text_id, body in plain_rows(conn, some)]
        conn.exec_driver_sql("INSERT INTO text_pairs (text_pairs, rowid, pairs) VALUES ('delete', ?, ?)", rows)


# --- the search -----------------------------------------------------------------------------------------------------


def find(
    conn: Connection, query: Query, *, version_id: int | None, limit: int, after: tuple[int, int] | None = None
) -> list[FoundPost]:
    """Visible posts, those with the newest texts first; after: the place of the last one on the page before."""
    return list(_found(conn, _select(query, version_id=version_id, after=after).limit(limit)))


def _select(query: Query, *, version_id: int | None, after: tuple[int, int] | None) -> Select[tuple[object, ...]]:
    made = decision.alias("made")
    newest = (
        select(func.max(decision.c.id)).where(decision.c.post_id == post.c.id, decides()).correlate(post)
    ).scalar_subquery()
    said = (prediction.c.text_id == post.c.text_id) & (prediction.c.version_id == version_id)
    columns = (
        post.c.id, post.c.pid, post.c.text_id, distinct_text.c.body, post.c.author, made.c.label, source.c.name,
        predicted_label().label("predicted"), top_probability().label("confidence"), prediction.c.version_id,
    )  # fmt: skip
    begun = select(*columns)
    # The index hands its rows out newest first, so that what is common is found without looking at all of it.
    first = begun.select_from(_text_pairs) if query.text else begun
    order = _text_pairs.c.rowid if query.text else post.c.text_id
    joined = (
        first.join(distinct_text, distinct_text.c.id == _text_pairs.c.rowid).join(
            post, post.c.text_id == distinct_text.c.id
        )
        if query.text
        else first.join_from(post, distinct_text, distinct_text.c.id == post.c.text_id)
    )
    whole = (
        joined.outerjoin(made, made.c.id == newest)
        .outerjoin(source, source.c.id == made.c.source_id)
        .outerjoin(prediction, said)
        .where(is_visible(in_order=True), *_conditions(query, made.c.label, source.c.name))
        .order_by(order.desc(), post.c.id.desc())
    )
    return whole if after is None else whole.where(tuple_(order, post.c.id) < tuple_(*after))


def _conditions(query: Query, label: ColumnElement[int], name: ColumnElement[str]) -> Iterator[ColumnElement[bool]]:
    if query.text:
        match = " AND ".join(f'"{pair}"' for pair in pairs_of(query.text))
        yield literal_column("text_pairs").op("MATCH")(match)
        yield distinct_text.c.body.icontains(query.text.strip(), autoescape=True)
    if query.pid is not None:
        yield post.c.pid == query.pid
    if query.author is not None:
        yield post.c.author == query.author
    if query.hit_word is not None:
        yield select(hit.c.post_id).where(hit.c.post_id == post.c.id, hit.c.word == query.hit_word).exists()
    if query.is_decided is not None:
        yield is_decided() if query.is_decided else ~is_decided()
    if query.label is not None:
        yield label == int(query.label)
    if query.decided_by is not None:
        yield name == query.decided_by
    if query.family is not None:
        own = family_place.c.text_id == post.c.text_id
        yield select(family_place.c.text_id).where(own, family_place.c.representative_id == query.family).exists()
    if query.import_id is not None:
        yield select(hit.c.post_id).where(hit.c.post_id == post.c.id, hit.c.import_id == query.import_id).exists()
    if query.confidence is not None:
        yield top_probability().between(*query.confidence)


def _found(conn: Connection, query: Select[tuple[object, ...]]) -> Iterator[FoundPost]:
    for post_id, pid, text_id, body, author, label, name, predicted, confidence, version_id in plain_rows(conn, query):
        is_scored = version_id is not None
        yield FoundPost(
            post_id, pid, text_id, body, author,
            None if label is None else Label(label), name,
            Label(predicted) if is_scored else None, confidence if is_scored else None,
        )  # fmt: skip
