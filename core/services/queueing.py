"""The queue: building a new round from the latest scores, and looking at its head."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, ModelVersion, Policy, Post, QueueEntry, Reason, RunKind
from core.permissions import Permission, may, require
from core.selection import Pick, Pool, Rules, WordHits, order_pool, trust_in
from core.text import is_too_short
from db import decisions, explorations, families, leases, models, policies, posts, queue, runs, texts
from db.engine import in_turns, read, write, write_unseen
from db.queue import QueueRow

ENTRIES_PER_TRANSACTION = 5_000  # some 20 ms of writing: deciding never waits longer for a new round
POSTS_AT_ONCE = 50_000
HITS_AT_ONCE = 500_000
SKIPS_LOOKED_AT = 200  # cards that were shown because the model is unsure, the last ones
MOST_NOT_JUDGED = 0.2  # of them; when more cannot be judged, the most uncertain posts come last
CLIPPED = 0.01
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
_ENTRY = np.dtype(
    [
        ("post_id", np.int64),
        ("rank", np.int32),
        ("reason", np.int8),  # its place among _REASONS
        ("score", np.float64),  # NaN for none
        ("probability", np.float64),
    ]
)
_REASONS = list(Reason)


@dataclass(frozen=True, slots=True)
class QueuedPost:
    entry: QueueEntry
    post: Post


@dataclass(frozen=True, slots=True)
class _Loaded:
    """post_ids: (n_posts,), the first undecided post of each family, in order of id; the pool is parallel to it.

    judged_before: posts of families in which another post is decided, but not these. They come after all others.
    """

    post_ids: npt.NDArray[np.int64]
    pool: Pool
    judged_before: npt.NDArray[np.int64]


def renew_queue(engine: Engine, *, now: datetime, seed: int | None = None) -> int:
    """Build a round over the whole pool, a post a family, publish it, drop the entries of older ones; returns its id.

    Built aside in short transactions: moderators are served from the old round until the new one is complete,
    and cards already in their hands stay there.
    """
    with write(engine) as conn:
        round_id = queue.open_round(conn, now=now)
    with read(engine) as conn:
        last_decision = decisions.newest_id(conn)
        taken_back = posts.count_taken_back(conn)
        version = models.active_version(conn)
        version_id = None if version is None else version.id
        rules = _rules(conn, policies.current_policy(conn), version)
        loaded = _load_pool(conn, version, rules)
    strategy = rules.strategy.value if loaded.pool.is_scored.any() else "cold start"
    picks = order_pool(loaded.pool, rules, rng=np.random.default_rng(seed))
    post_ids, judged_before = loaded.post_ids, loaded.judged_before
    del loaded  # of hits there are several times as many as posts, and the order is made of them by now
    entries = _entries(picks, post_ids, judged_before)
    by_post = np.argsort(entries["post_id"])  # so they are quickest stored
    for start in range(0, len(entries), ENTRIES_PER_TRANSACTION):
        with in_turns(engine, write_unseen) as conn:
            rows = _rows(entries[by_post[start : start + ENTRIES_PER_TRANSACTION]], round_id)
            queue.add_entries(conn, rows, taken_back=taken_back)
    with write(engine) as conn:
        queue.publish_round(
            conn, round_id, version_id=version_id, strategy=strategy, last_decision=last_decision, now=now
        )
    while _drop_some_old_entries(engine, round_id):
        pass
    return round_id


def catch_up(engine: Engine, *, now: datetime) -> bool:
    """Renew the queue if an import died right after publishing; returns whether that was needed."""
    with read(engine) as conn:
        is_idle = not runs.open_runs(conn, kind=RunKind.importing)
        if not (is_idle and queue.is_older_than_newest_import(conn)):
            return False
    renew_queue(engine, now=now)
    return True


def preview(engine: Engine, actor: Actor, chosen: Policy, *, limit: int) -> list[QueuedPost]:
    """The posts that would come first were the queue renewed by this policy now; draws by chance come out otherwise."""
    require(actor, Permission.manage_policy)
    with read(engine) as conn:
        version = models.active_version(conn)
        rules = _rules(conn, chosen, version)
        loaded = _load_pool(conn, version, rules)
        picks = list(islice(order_pool(loaded.pool, rules, rng=np.random.default_rng()), limit))
        ids = [int(loaded.post_ids[pick.position]) for pick in picks]
        found = posts.posts_by_id(conn, ids)
    return [
        QueuedPost(
            QueueEntry(post_id, rank, pick.reason, pick.score, rules.strategy, 0, pick.selection_probability),
            found[post_id],
        )
        for rank, (post_id, pick) in enumerate(zip(ids, picks, strict=True))
    ]


def _rules(conn: Connection, policy: Policy, version: ModelVersion | None) -> Rules:
    """The lead's policy, and how far the active version is to be followed."""
    too_hard = leases.share_not_judged(conn, reason=Reason.uncertain, last=SKIPS_LOOKED_AT)
    return Rules(
        policy.strategy,
        policy.shares,
        band=(policy.band_low, policy.band_high),
        trust=0.0 if version is None else trust_in(_rarest_label(version)),
        clip=CLIPPED if too_hard is not None and too_hard > MOST_NOT_JUDGED else 0.0,
    )


def _rarest_label(version: ModelVersion) -> int:
    """How many labels of the rarest class that occurs it was trained on."""
    examples = version.manifest.get("examples")
    counts = examples["training"] if isinstance(examples, dict) else {}
    return min((count for count in counts.values() if count), default=0)


def _load_pool(conn: Connection, version: ModelVersion | None, rules: Rules) -> _Loaded:
    """Some ten thousand rows at a time: of millions of posts, what is not kept must not be in memory together."""
    is_seen = np.zeros(texts.newest_id(conn) + 1, dtype=np.bool_)  # by family
    is_judged = np.zeros_like(is_seen)
    is_judged[list(families.decided_families(conn))] = True
    found = posts.pool(conn, version_id=None if version is None else version.id)
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
    pool = Pool(
        np.frombuffer(columns["probabilities"], dtype=np.float32).reshape(-1, len(Label)),
        is_scored,
        np.frombuffer(columns["is_audit"], dtype=np.bool_),
        np.frombuffer(columns["is_short"], dtype=np.bool_),
        _word_hits(conn, post_ids) if is_by_word else _no_hits(),
        _explored(conn, version, np.frombuffer(columns["family"], dtype=np.int64)),
    )
    return _Loaded(post_ids, pool, np.frombuffer(judged_before, dtype=np.int64) if judged_before else _no_ids())


def _explored(
    conn: Connection, version: ModelVersion | None, families_there: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions of the families that stand for kinds of posts, in their order. families_there: (n_posts,)."""
    texts_meant = [] if version is None else explorations.explored_texts(conn, version_id=version.id)
    places = {text_id: place for place, text_id in enumerate(texts_meant)}
    found = np.flatnonzero(np.isin(families_there, np.array(texts_meant, dtype=np.int64)))
    order = np.argsort([places[family] for family in families_there[found].tolist()])
    return found[order.astype(np.int64)]


def _no_ids() -> npt.NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _no_hits() -> WordHits:
    return WordHits(_no_ids())


def _word_hits(conn: Connection, post_ids: npt.NDArray[np.int64]) -> WordHits:
    """Hit words of these posts, which are in order of id; each word of a post once."""
    if not len(post_ids):
        return _no_hits()
    numbers: dict[str, int] = {}
    pairs = ((post_id, numbers.setdefault(word, len(numbers))) for post_id, word in posts.hits_with_words(conn))
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


def _drop_repeated(values: npt.NDArray[np.int64]) -> int:
    """Move what differs from the one before it to the front, in pieces and in place; returns how many there are."""
    kept, last = 0, -1
    for start in range(0, len(values), HITS_AT_ONCE):
        piece = values[start : start + HITS_AT_ONCE]
        new = piece[np.diff(piece, prepend=last) != 0]
        last = int(piece[-1])
        values[kept : kept + len(new)] = new
        kept += len(new)
    return kept


def _entries(
    picks: Iterable[Pick], post_ids: npt.NDArray[np.int64], judged_before: npt.NDArray[np.int64]
) -> npt.NDArray[np.void]:
    """What _ENTRY says of each pick."""
    ranked = np.fromiter(
        (
            (pick.position, rank, _REASONS.index(pick.reason), _maybe(pick.score), _maybe(pick.selection_probability))
            for rank, pick in enumerate(picks)
        ),
        dtype=_ENTRY,
        count=len(post_ids),
    )
    ranked["post_id"] = post_ids[ranked["post_id"]]
    last = np.zeros(len(judged_before), dtype=_ENTRY)
    last["post_id"] = judged_before
    last["rank"] = np.arange(len(ranked), len(ranked) + len(last))
    last["reason"] = _REASONS.index(Reason.random)
    last["score"] = last["probability"] = np.nan
    return np.concatenate((ranked, last)) if len(last) else ranked


def _maybe(value: float | None) -> float:
    return np.nan if value is None else value


def _rows(entries: npt.NDArray[np.void], round_id: int) -> list[QueueRow]:
    return [
        (round_id, post_id, rank, _REASONS[reason].value, _known(score), _known(probability))
        for post_id, rank, reason, score, probability in entries.tolist()
    ]


def _known(value: float) -> float | None:
    return None if value != value else value  # NaN alone is not itself


def _drop_some_old_entries(engine: Engine, round_id: int) -> bool:
    with in_turns(engine, write_unseen) as conn:
        return queue.drop_entries_before(conn, round_id, limit=ENTRIES_PER_TRANSACTION) > 0


def head_of_queue(engine: Engine, actor: Actor, *, limit: int) -> list[QueuedPost]:
    """The next posts to be shown, in order, whoever holds them."""
    require(actor, Permission.label)
    with read(engine) as conn:
        entries = queue.head_of_queue(conn, limit=limit)
        found = posts.posts_by_id(conn, [entry.post_id for entry in entries])
        if not (may(actor, Permission.see_author) or policies.current_policy(conn).show_author):
            found = {post_id: replace(post, author=None) for post_id, post in found.items()}
    return [QueuedPost(entry, found[entry.post_id]) for entry in entries if entry.post_id in found]
