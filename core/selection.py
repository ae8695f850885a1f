"""Selection strategies: from probabilities and hit words to the order in which posts are shown, and why.

Positions are relative to the arrays given. Rankings are deterministic for a given rng.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from core.domain import Reason

Probabilities = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Stream:
    """One ranking and its share of the queue; share 0 serves only when all others are used up."""

    reason: Reason
    order: IntArray
    score: npt.NDArray[np.floating] | None = None  # by position
    share: float = 0.0
    is_uniform: bool = False  # drawn at random: its selection probability is known


@dataclass(frozen=True, slots=True)
class Pick:
    """A position in the pool, why it was picked, and how likely a random draw was to pick it (None: not random)."""

    position: int
    reason: Reason
    score: float | None
    selection_probability: float | None


def _check(proba: Probabilities) -> None:
    if proba.ndim != 2 or proba.shape[1] != 3:
        raise ValueError(f"expected probabilities of shape (n_posts, 3), got {proba.shape}")
    if not (proba >= 0).all() or not (np.abs(proba.sum(axis=1) - 1) <= 1e-3).all():  # NaN is neither
        raise ValueError("probabilities are negative or do not sum to 1 within 1e-3")


def margins(proba: Probabilities) -> npt.NDArray[np.floating]:
    """Return the gap between the two most likely labels, (n_posts,); small is uncertain."""
    _check(proba)
    top = np.partition(proba, 1, axis=1)
    result: npt.NDArray[np.floating] = top[:, 2] - top[:, 1]
    return result


def rank_by_margin(proba: Probabilities, *, rng: np.random.Generator) -> IntArray:
    """Order posts from most to least uncertain.

    proba: (n_posts, 3), rows sum to 1, columns in Label order.
    Returns positions into proba, (n_posts,); ties are broken by rng.
    Margin sampling: Scheffer et al. 2001; "breaking ties": Luo et al. 2005.
    """
    return _ascending(margins(proba), rng=rng)


def rank_by_violation(proba: Probabilities, *, rng: np.random.Generator) -> IntArray:
    """Order posts from most to least likely not normal, a likely violation before a likely suspicion."""
    _check(proba)
    return _ascending(-(proba[:, 2] + 0.5 * proba[:, 1]), rng=rng)


def _ascending(values: npt.NDArray[np.floating], *, rng: np.random.Generator) -> IntArray:
    return np.lexsort((rng.random(len(values)), values))


@dataclass(frozen=True, slots=True)
class WordHits:
    """Which post has which hit word, each pair once and in order, (n_hits,).

    packed: word << 32 | post, words as numbers from 0 and posts as positions into the pool. One number a pair: there
    are several times as many as posts.
    """

    packed: npt.NDArray[np.int64]


def rank_by_hit_words(hits: WordHits, *, rng: np.random.Generator) -> IntArray:
    """Order posts round-robin over hit words, rare words first; posts without a hit are left out.

    Within a word the order is random. Returns positions, each once.
    Cold start: with 3 % to 8 % of posts not normal, a plain random order shows few of them.
    """
    if not len(hits.packed):
        return np.empty(0, dtype=np.intp)
    bounds = np.searchsorted(hits.packed, np.arange((hits.packed[-1] >> 32) + 2) << 32)
    counts = np.diff(bounds)
    newest = max(int(_positions(hits, end - 1, end)[0]) for end in bounds[1:][counts > 0])
    due = np.full(newest + 1, NEVER)  # of each post, the first turn of its words
    for rarity, word in enumerate(np.argsort(counts, kind="stable")):
        positions = _positions(hits, bounds[word], bounds[word + 1])
        turns = rng.permutation(len(positions)) * len(counts) + rarity
        due[positions] = np.minimum(due[positions], turns)
    order: IntArray = np.argsort(due)[: np.count_nonzero(due != NEVER)]
    return order


def _positions(hits: WordHits, begin: int, end: int) -> npt.NDArray[np.int64]:
    return hits.packed[begin:end] & 0xFFFFFFFF


def interleave(streams: Sequence[Stream]) -> Iterator[Pick]:
    """Merge rankings by share: after any number of picks each stream is within one of its share.

    A position comes once, for the stream that reaches it first. A stream that has run out leaves its share to
    the others in proportion; streams with share 0 follow last, in the order given.
    """
    queues = [_Turns(stream) for stream in streams]
    seen = bytearray(max((int(stream.order.max(initial=-1)) for stream in streams), default=-1) + 1)
    for group in ([q for q in queues if q.stream.share > 0], *([q] for q in queues if q.stream.share <= 0)):
        yield from _merge(group, seen)


class _Turns:
    """A stream, how often it has been served, and the part of all turns that is its own."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.positions = _in_turn(stream.order)
        self.served = 0
        self.part = 1.0

    def next_unseen(self, seen: bytearray) -> int | None:
        return next((position for position in self.positions if not seen[position]), None)


def _in_turn(order: IntArray) -> Iterator[int]:
    """Some thousand at a time: millions of Python's integers would take more memory than all else here."""
    for start in range(0, len(order), 4_096):
        yield from order[start : start + 4_096].tolist()


def _merge(group: list[_Turns], seen: bytearray) -> Iterator[Pick]:
    while group:
        turn = yield from _merge_until_one_ends(group, seen)
        group.remove(turn)


def _merge_until_one_ends(group: list[_Turns], seen: bytearray) -> Generator[Pick, None, _Turns]:
    """The quota method (Balinski and Young 1975): whose next turn is due first, of those that are not ahead.

    Counts from here, so that the others share what an ended stream left. Returns the stream that has ended.
    """
    whole = sum(turn.stream.share for turn in group) or 1.0
    for turn in group:
        turn.served, turn.part = 0, (turn.stream.share or 1.0) / whole
    for picks in count(1):
        chosen, first_due = group[0], math.inf
        for turn in group:
            due = (turn.served + 1) / turn.part
            if due < first_due and (turn.served < turn.part * picks or len(group) == 1):
                chosen, first_due = turn, due
        position = chosen.next_unseen(seen)
        if position is None:
            return chosen
        chosen.served += 1
        seen[position] = 1
        yield _pick(chosen.stream, position)
    raise AssertionError("count does not end")


def _pick(stream: Stream, position: int) -> Pick:
    score = None if stream.score is None else float(stream.score[position])
    is_drawn = stream.is_uniform and stream.share > 0  # the rest that comes last is no draw
    return Pick(position, stream.reason, score, stream.share / len(stream.order) if is_drawn else None)


def order_pool(
    *,
    proba: Probabilities,
    is_scored: npt.NDArray[np.bool_],
    is_audit: npt.NDArray[np.bool_],
    hits: WordHits,
    shares: Mapping[str, float],
    rng: np.random.Generator,
) -> Iterator[Pick]:
    """Yield every post of the pool once, in the order in which it is to be shown.

    proba: (n_posts, 3); rows of posts that are not scored are ignored. The masks are (n_posts,).
    shares: by Reason name; what they lack of 1 goes to random. Without any scored post the model's shares go
    half to hit words, half to random.
    """
    # The audit slice comes by its own draw alone: what the model picks of it would no longer be a random sample.
    others = rng.permutation(np.flatnonzero(~is_audit))
    audit = rng.permutation(np.flatnonzero(is_audit))
    streams = [Stream(Reason.audit, audit, share=shares.get("audit", 0.0), is_uniform=True)]
    scored = np.flatnonzero(is_scored & ~is_audit)
    if len(scored):
        streams += _model_streams(proba, scored, shares=shares, rng=rng)
    else:
        by_word = rank_by_hit_words(hits, rng=rng)
        streams += [Stream(Reason.hit, by_word[~is_audit[by_word]], share=(1.0 - shares.get("audit", 0.0)) / 2)]
    rest = max(0.0, round(1.0 - sum(stream.share for stream in streams), 9))
    return interleave([*streams, Stream(Reason.random, others, share=rest, is_uniform=True)])


def _model_streams(
    proba: Probabilities, scored: IntArray, *, shares: Mapping[str, float], rng: np.random.Generator
) -> list[Stream]:
    """Rankings over the scored posts, as positions into the whole pool."""
    known = proba[scored]
    margin, violation = np.full(len(proba), np.nan), np.full(len(proba), np.nan)
    margin[scored], violation[scored] = margins(known), known[:, 2]
    by_margin, by_violation = scored[rank_by_margin(known, rng=rng)], scored[rank_by_violation(known, rng=rng)]
    return [
        Stream(Reason.uncertain, by_margin, margin, shares.get("uncertain", 0.0)),
        Stream(Reason.likely_violation, by_violation, violation, shares.get("likely_violation", 0.0)),
    ]
