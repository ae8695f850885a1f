"""The queue: building a new round from the latest scores, and looking at its head."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.domain import Actor, ModelVersion, Policy, Post, QueueEntry, Reason, RunKind
from core.permissions import Permission, may, require
from core.selection import Pick, Rules, order_pool, trust_in
from core.services.pool import LoadedPool, Sample, draw_sample, load_pool
from db import decisions, leases, models, policies, posts, queue, runs
from db.engine import in_turns, read, write, write_unseen
from db.queue import QueueRow

IN_FRONT = 1_000  # cards: what a large team decides until the whole order is there
ENTRIES_PER_TRANSACTION = 5_000  # some 20 ms of writing: deciding never waits longer for a new round
SKIPS_LOOKED_AT = 200  # cards that were shown because the model is unsure, the last ones
MOST_NOT_JUDGED = 0.2  # of them; when more cannot be judged, the most uncertain posts come last
CLIPPED = 0.01
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


def renew_queue(engine: Engine, *, now: datetime, seed: int | None = None) -> int:
    """Build a round over the whole pool, a post a family, publish it, drop the entries of older ones; returns its id.

    Built aside in short transactions: moderators are served from the old round until the new one is complete,
    and cards already in their hands stay there. Of a large pool the first cards are put in front of the old round at
    once, chosen from a sample by the same rules.
    """
    rng = np.random.default_rng(seed)
    with write(engine) as conn:
        round_id = queue.open_round(conn, now=now)
    with read(engine) as conn:
        last_decision = decisions.newest_id(conn)
        version = models.active_version(conn)
        rules = _rules(conn, policies.current_policy(conn), version)
    version_id = None if version is None else version.id
    in_front = _put_in_front(engine, round_id, version, rules, rng=rng)
    with read(engine) as conn:
        taken_back = posts.count_taken_back(conn)
        loaded = load_pool(conn, version, rules, without=in_front)
    strategy = _strategy(loaded, rules)
    picks = order_pool(loaded.pool, rules, rng=rng)
    post_ids, judged_before = loaded.post_ids, loaded.judged_before
    del loaded  # of hits there are several times as many as posts, and the order is made of them by now
    entries = _entries(picks, post_ids, judged_before)
    entries["rank"] += len(in_front)
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


def _put_in_front(
    engine: Engine, round_id: int, version: ModelVersion | None, rules: Rules, *, rng: np.random.Generator
) -> list[int]:
    """Serve the first cards of a round before what is served until it is complete; returns their families.

    They come from a sample that is soon read, so that millions of posts keep nobody waiting. None of a small pool.
    """
    with read(engine) as conn:
        sample = draw_sample(conn, rng=rng)
        if sample is None:
            return []
        taken_back = posts.count_taken_back(conn)
        loaded = load_pool(conn, version, rules, sample=sample)
    picks = _first_picks(loaded, rules, IN_FRONT, sample=sample, rng=rng)
    entries = _ranked(picks, loaded.post_ids, count=-1)
    with write(engine) as conn:
        queue.add_entries(conn, _rows(entries, round_id), taken_back=taken_back)
        queue.open_first_cards(
            conn,
            round_id,
            first_cards=len(entries),
            version_id=None if version is None else version.id,
            strategy=_strategy(loaded, rules),
        )
    return [int(loaded.family_ids[pick.position]) for pick in picks]


def _strategy(loaded: LoadedPool, rules: Rules) -> str:
    return rules.strategy.value if loaded.pool.is_scored.any() else "cold start"


def _first_picks(
    loaded: LoadedPool, rules: Rules, count: int, *, sample: Sample | None, rng: np.random.Generator
) -> list[Pick]:
    """The first of the order. What chance draws from a sample had to be in the sample first, which counts as well."""
    picks = islice(order_pool(loaded.pool, rules, rng=rng), count)
    if sample is None:
        return list(picks)
    return [
        pick
        if pick.selection_probability is None
        else replace(pick, selection_probability=pick.selection_probability * sample.share)
        for pick in picks
    ]


def catch_up(engine: Engine, *, now: datetime) -> bool:
    """Renew the queue if an import died right after publishing; returns whether that was needed."""
    with read(engine) as conn:
        is_idle = not runs.open_runs(conn, kind=RunKind.importing)
        if not (is_idle and queue.is_older_than_newest_import(conn)):
            return False
    renew_queue(engine, now=now)
    return True


def preview(engine: Engine, actor: Actor, chosen: Policy, *, limit: int) -> list[QueuedPost]:
    """The posts that would come first were the queue renewed by this policy now; draws by chance come out otherwise.

    Of a large pool, from a sample, as the first cards are.
    """
    require(actor, Permission.manage_policy)
    rng = np.random.default_rng()
    with read(engine) as conn:
        version = models.active_version(conn)
        rules = _rules(conn, chosen, version)
        sample = draw_sample(conn, rng=rng)
        loaded = load_pool(conn, version, rules, sample=sample)
        picks = _first_picks(loaded, rules, limit, sample=sample, rng=rng)
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


def _entries(
    picks: Iterable[Pick], post_ids: npt.NDArray[np.int64], judged_before: npt.NDArray[np.int64]
) -> npt.NDArray[np.void]:
    """What _ENTRY says of each pick, then of what was judged before."""
    ranked = _ranked(picks, post_ids, count=len(post_ids))
    last = np.zeros(len(judged_before), dtype=_ENTRY)
    last["post_id"] = judged_before
    last["rank"] = np.arange(len(ranked), len(ranked) + len(last))
    last["reason"] = _REASONS.index(Reason.random)
    last["score"] = last["probability"] = np.nan
    return np.concatenate((ranked, last)) if len(last) else ranked


def _ranked(picks: Iterable[Pick], post_ids: npt.NDArray[np.int64], *, count: int) -> npt.NDArray[np.void]:
    """What _ENTRY says of each pick. count: how many there are, -1 if that is not known."""
    ranked = np.fromiter(
        (
            (pick.position, rank, _REASONS.index(pick.reason), _maybe(pick.score), _maybe(pick.selection_probability))
            for rank, pick in enumerate(picks)
        ),
        dtype=_ENTRY,
        count=count,
    )
    ranked["post_id"] = post_ids[ranked["post_id"]]
    return ranked


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
