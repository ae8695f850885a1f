"""Search: posts by what stands in them and by what is known of them.

Chinese has no blanks between words, so texts are found by their pairs of neighbouring characters, from two characters
on; what has all pairs of the words looked for is then compared with the text itself. SQLite's FTS5 holds the pairs
(https://www.sqlite.org/fts5.html): without the texts, which are there already, and without positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    case,
    column,
    func,
    literal_column,
    select,
    table,
)

from core.domain import Actor, Label
from db.checks import is_near_measuring
from db.distributions import predicted_label, top_probability
from db.engine import each_of, plain_rows
from db.posts import decides, is_visible
from db.tables import decision, distinct_text, family_place, hit, post, prediction, source

FEW = 5_000  # posts that are looked through one by one
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
    conn: Connection,
    query: Query,
    *,
    version_id: int | None,
    limit: int,
    after: tuple[int, int] | None = None,
    measured: Actor | None = None,
) -> list[FoundPost]:
    """Visible posts, the newest first; where words are looked for, those with the newest texts.

    after: the place of the last one on the page before. measured: who asks, where they may be handed a post to be
    measured by it; what others said of such a one and of its near-copies is left out, and it is found as if they had
    not.
    """
    few = _few(conn, query, version_id)
    found = _found(conn, _select(query, few, version_id=version_id, after=after, measured=measured))
    return list(islice(_newest_first(found, after) if query.text else found, limit))


def _newest_first(found: Iterator[FoundPost], after: tuple[int, int] | None) -> Iterator[FoundPost]:
    """Of each text, whose posts follow one another, the newest first. after: some of the first may be shown already."""
    for _text_id, posts in groupby(found, key=lambda each: each.text_id):
        for each in sorted(posts, key=lambda each: each.post_id, reverse=True):
            if after is None or each.place < after:
                yield each


def _few(conn: Connection, query: Query, version_id: int | None) -> list[int] | None:
    """Posts among which all are that are looked for, when one of the conditions alone leaves few of them.

    Where none does, posts are read from the newest on: what is not rare is met soon.
    """
    for candidates in _candidates(query, version_id):
        found = [post_id for (post_id,) in plain_rows(conn, candidates.limit(FEW + 1))]
        if len(found) <= FEW:
            return found
    return None


def _candidates(query: Query, version_id: int | None) -> Iterator[Select[int]]:
    """For each condition that has an index: posts that fit, or that did once. All conditions are looked at later."""
    if query.pid is not None:
        yield select(post.c.id).where(post.c.pid == query.pid)
    if query.family is not None:
        same_text = family_place.c.text_id == post.c.text_id
        yield select(post.c.id).join(family_place, same_text).where(family_place.c.representative_id == query.family)
    if query.author is not None:
        yield select(post.c.id).where(post.c.author == query.author)
    if query.decided_by is not None:
        by = decision.join(source, source.c.id == decision.c.source_id)
        yield select(decision.c.post_id).select_from(by).where(source.c.name == query.decided_by)
    if query.label is not None or query.is_decided:
        is_it = decision.c.label.is_not(None) if query.label is None else decision.c.label == int(query.label)
        yield select(decision.c.post_id).where(is_it)
    if query.hit_word is not None:
        yield select(hit.c.post_id).where(hit.c.word == query.hit_word)
    if query.confidence is not None:
        same_text = prediction.c.text_id == post.c.text_id
        is_it = (prediction.c.version_id == version_id) & top_probability().between(*query.confidence)
        yield select(post.c.id).select_from(prediction.join(post, same_text)).where(is_it)
    if query.import_id is not None:
        yield select(hit.c.post_id).where(hit.c.import_id == query.import_id)


def _select(
    query: Query,
    few: list[int] | None,
    *,
    version_id: int | None,
    after: tuple[int, int] | None,
    measured: Actor | None,
) -> Select[tuple[object, ...]]:
    made = decision.alias("made")
    label: ColumnElement[int] = made.c.label
    name: ColumnElement[str] = source.c.name
    if measured is not None:
        # Of what measures people, only what they said themselves is told to those whom it may measure.
        is_near = is_near_measuring(post.c.text_id, user_id=measured.user_id or 0)
        is_untold = is_near & (source.c.name != measured.name)
        label, name = (case((is_untold, None), else_=each) for each in (label, name))
    newest = (
        select(func.max(decision.c.id)).where(decision.c.post_id == post.c.id, decides()).correlate(post)
    ).scalar_subquery()
    said = (prediction.c.text_id == post.c.text_id) & (prediction.c.version_id == version_id)
    columns = (
        post.c.id, post.c.pid, post.c.text_id, distinct_text.c.body, post.c.author, label, name,
        predicted_label().label("predicted"), top_probability().label("confidence"), prediction.c.version_id,
    )  # fmt: skip
    begun = select(*columns)
    by_pairs = query.text is not None and few is None
    # The index hands its rows out newest first, so that what is common is found without looking at all of it. To order
    # posts within a text as well, SQLite would gather all that is found.
    by_text = _text_pairs.c.rowid if by_pairs else post.c.text_id
    place = by_text if query.text else post.c.id
    joined = (
        begun.select_from(_text_pairs)
        .join(distinct_text, distinct_text.c.id == _text_pairs.c.rowid)
        .join(post, post.c.text_id == distinct_text.c.id)
        if by_pairs
        else begun.join_from(post, distinct_text, distinct_text.c.id == post.c.text_id)
    )
    whole = (
        joined.outerjoin(made, made.c.id == newest)
        .outerjoin(source, source.c.id == made.c.source_id)
        .outerjoin(prediction, said)
        .where(is_visible(in_order=True), *_conditions(query, label, name, by_pairs=by_pairs))
        .order_by(place.desc())
    )
    if few is not None:
        whole = whole.where(post.c.id.in_(each_of(few)))
    if after is None:
        return whole
    return whole.where(place <= after[0] if query.text else place < after[1])


def _conditions(
    query: Query, label: ColumnElement[int], name: ColumnElement[str], *, by_pairs: bool
) -> Iterator[ColumnElement[bool]]:
    if by_pairs:
        match = " AND ".join(f'"{pair}"' for pair in pairs_of(query.text or ""))
        yield literal_column("text_pairs").op("MATCH")(match)
    if query.text:
        yield distinct_text.c.body.icontains(query.text.strip(), autoescape=True)
    if query.pid is not None:
        yield post.c.pid == query.pid
    if query.author is not None:
        yield post.c.author == query.author
    if query.hit_word is not None:
        yield select(hit.c.post_id).where(hit.c.post_id == post.c.id, hit.c.word == query.hit_word).exists()
    if query.is_decided is not None:
        yield label.is_not(None) if query.is_decided else label.is_(None)
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
