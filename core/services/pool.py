"""The pool as arrays: the first undecided post of each family, of all texts or of some that chance has drawn."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from core.domain import Label, ModelVersion
from core.selection import Pool, Rules, WordHits
from core.text import is_too_short
from db import explorations, families, posts, texts

Ids = npt.NDArray[np.int64]

POSTS_AT_ONCE = 50_000
HITS_AT_ONCE = 500_000
SAMPLED, BLOCK = 40_000, 100  # texts; those of a block lie together, so that few pages are read
WHOLE_UP_TO = 100_000  # texts: read as quickly as a sample is
_POOL_ROW = np.dtype(
    [
        ("id", np.int64),
        ("family", np.int64),
        ("is_audit", np.bool_),
        ("is_scored", np.bool_),
        ("is_short", np.bool_),
        ("probabilities", np.float32, 3),
    ]
)
_HIT = np.dtype([("post", np.int64), ("word", np.int64)])


@dataclass(frozen=True, slots=True)
class LoadedPool:
    """post_ids, family_ids: (n_posts,), the first undecided post of each family, in order of id; pool is parallel.

    judged_before: posts of families in which another post is decided, but not these. They come after all others.
    """

    post_ids: Ids
    family_ids: Ids
    pool: Pool
    judged_before: Ids


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that chance has drawn, each as likely as any other: share, of all that there are."""

    text_ids: Ids
    share: float


def draw_sample(conn: Connection, *, rng: np.random.Generator) -> Sample | None:
    """Some ten thousand texts; None of a pool that is small enough to be read whole."""
    newest = texts.newest_id(conn)
    if newest <= max(WHOLE_UP_TO, SAMPLED):
        return None
    blocks = rng.choice(-(-newest // BLOCK), SAMPLED // BLOCK, replace=False)
    ids = np.sort((blocks[:, None] * BLOCK + np.arange(1, BLOCK + 1)).ravel())
    return Sample(ids[ids <= newest], SAMPLED / newest)


def load_pool(
    conn: Connection,
    version: ModelVersion | None,
    rules: Rules,
    *,
    sample: Sample | None = None,
    without: Collection[int] = (),
) -> LoadedPool:
    """Probabilities are those of the version. sample: of these texts only. without: families that are left out.

    Some ten thousand rows at a time: of millions of posts, what is not kept must not be in memory together.
    """
    is_seen = np.zeros(texts.newest_id(conn) + 1, dtype=np.bool_)  # by family
    is_judged = np.zeros_like(is_seen)
    is_judged[list(families.decided_families(conn))] = True
    is_seen[list(without)] = True
    among = None if sample is None else sample.text_ids.tolist()
    found = posts.pool(conn, version_id=None if version is None else version.id, among=among)
    rows = (
        (post_id, family, side == "audit", p_normal is not None, body is not None and is_too_short(body),
         (p_normal or 0.0, p_suspicious or 0.0, p_violation or 0.0))
        for post_id, family, side, body, p_normal, p_suspicious, p_violation in found
    )  # fmt: skip
    columns = {name: bytearray() for name in _POOL_ROW.names or ()}  # grown in place: many small arrays leave holes
    judged_before = array("q")
    while len(piece := np.fromiter(islice(rows, POSTS_AT_ONCE), dtype=_POOL_ROW)):
        families_met, first = np.unique(piece["family"], return_index=True)
        firsts = piece[np.sort(first[~is_seen[families_met]])]
        is_seen[families_met] = True
        was_judged = is_judged[firsts["family"]]
        judged_before.frombytes(firsts["id"][was_judged].tobytes())
        shown = firsts[~was_judged]
        for name, column in columns.items():
            column += shown[name].tobytes()
    post_ids = np.frombuffer(columns["id"], dtype=np.int64)
    is_scored = np.frombuffer(columns["is_scored"], dtype=np.bool_)
    is_by_word = not is_scored.any() or rules.trust < 1
    family_ids = np.frombuffer(columns["family"], dtype=np.int64)
    pool = Pool(
        np.frombuffer(columns["probabilities"], dtype=np.float32).reshape(-1, len(Label)),
        is_scored,
        np.frombuffer(columns["is_audit"], dtype=np.bool_),
        np.frombuffer(columns["is_short"], dtype=np.bool_),
        _word_hits(conn, post_ids, is_sample=sample is not None) if is_by_word else _no_hits(),
        _explored(conn, version, family_ids),
    )
    judged = np.frombuffer(judged_before, dtype=np.int64) if judged_before else _no_ids()
    return LoadedPool(post_ids, family_ids, pool, judged)


def _explored(conn: Connection, version: ModelVersion | None, families_there: Ids) -> Ids:
    """Positions of the families that stand for kinds of posts, in their order. families_there: (n_posts,)."""
    texts_meant = [] if version is None else explorations.explored_texts(conn, version_id=version.id)
    places = {text_id: place for place, text_id in enumerate(texts_meant)}
    found = np.flatnonzero(np.isin(families_there, np.array(texts_meant, dtype=np.int64)))
    order = np.argsort([places[family] for family in families_there[found].tolist()])
    return found[order.astype(np.int64)]


def _no_ids() -> Ids:
    return np.empty(0, dtype=np.int64)


def _no_hits() -> WordHits:
    return WordHits(_no_ids())


def _word_hits(conn: Connection, post_ids: Ids, *, is_sample: bool) -> WordHits:
    """Hit words of these posts, which are in order of id; each word of a post once."""
    if not len(post_ids):
        return _no_hits()
    numbers: dict[str, int] = {}
    hits = posts.hits_with_words(conn, among=post_ids.tolist() if is_sample else None)
    pairs = ((post_id, numbers.setdefault(word, len(numbers))) for post_id, word in hits)
    packed = array("q")  # to be sorted in place
    while len(piece := np.fromiter(islice(pairs, HITS_AT_ONCE), dtype=_HIT)):
        places = np.searchsorted(post_ids, piece["post"])
        places[places == len(post_ids)] = 0
        is_shown = post_ids[places] == piece["post"]
        packed.frombytes((piece["word"][is_shown] << 32 | places[is_shown]).tobytes())
    if not packed:
        return _no_hits()
    found = np.frombuffer(packed, dtype=np.int64)
    found.sort()
    return WordHits(found[: _drop_repeated(found)])


def _drop_repeated(values: Ids) -> int:
    """Move what differs from the one before it to the front, in pieces and in place; returns how many there are."""
    kept, last = 0, -1
    for start in range(0, len(values), HITS_AT_ONCE):
        piece = values[start : start + HITS_AT_ONCE]
        new = piece[np.diff(piece, prepend=last) != 0]
        last = int(piece[-1])
        values[kept : kept + len(new)] = new
        kept += len(new)
    return kept
