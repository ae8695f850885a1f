"""Selection strategies: from probabilities and hit words to the order in which posts are shown, and why.

Positions are relative to the arrays given. Rankings are deterministic for a given rng.

Margin sampling: Scheffer et al. 2001; "breaking ties": Luo et al. 2005. Entropy: Settles 2009. Leaving the most
uncertain out: Gonsior et al. 2024. The band of confidence is a rule of thumb without a source.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from core.domain import Reason, Strategy

Probabilities = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]
NEVER = np.iinfo(np.int64).max
BY_MODEL = (Reason.uncertain, Reason.likely_violation, Reason.exploration)
LABELS_TO_TRUST = 8


@dataclass(frozen=True, slots=True)
class Stream:
    """One ranking and its share of the queue; share 0 serves only when all others are used up."""

    reason: Reason
    order: IntArray
    score: npt.NDArray[np.floating] | None = None  # by position
    share: float = 0.0
    is_uniform: bool = False  # drawn at random: its selection probability is known
    then: Stream | None = None  # has the share once this one has run out


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
    """
    return _ascending(margins(proba), rng=rng)


def entropies(proba: Probabilities) -> npt.NDArray[np.floating]:
    """Return how spread out each row is, (n_posts,), in nats: 0 for one sure label, log 3 for three equal ones."""
    _check(proba)
    logs = np.log(proba, out=np.zeros_like(proba), where=proba > 0)
    result: npt.NDArray[np.floating] = -(proba * logs).sum(axis=1)
    return result


def rank_by_entropy(proba: Probabilities, *, rng: np.random.Generator) -> IntArray:
    """Order posts from the most spread out to the surest; as rank_by_margin."""
    return _ascending(-entropies(proba), rng=rng)


def rank_in_band(proba: Probabilities, band: tuple[float, float], *, rng: np.random.Generator) -> IntArray:
    """Posts whose likeliest label has a probability within the band, both ends included, in random order."""
    _check(proba)
    low, high = band
    confidence = proba.max(axis=1)
    return rng.permutation(np.flatnonzero((confidence >= low) & (confidence <= high)))


def clipped(order: IntArray, share: float) -> IntArray:
    """The ranking with its first posts, a share of all, at its end.

    The most uncertain posts are often such as nobody can judge.
    """
    return np.roll(order, -int(len(order) * share))


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

    A position comes once, for the stream that reaches it first. A stream that has run out leaves its share to the one
    that it names, or else to the others in proportion; streams with share 0 follow last, in the order given.
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
        then = turn.stream.then
        place = group.index(turn)
        group[place : place + 1] = [] if then is None else [_Turns(then)]


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


@dataclass(frozen=True, slots=True)
class Pool:
    """Posts that may be shown, as parallel arrays (n_posts,).

    proba: (n_posts, 3) in Label order; rows of posts that are not scored are ignored. is_short: too little to be judged
    by itself. explored: positions, representatives of what the pool holds, the first one first.
    """

    proba: Probabilities
    is_scored: npt.NDArray[np.bool_]
    is_audit: npt.NDArray[np.bool_]
    is_short: npt.NDArray[np.bool_]
    hits: WordHits
    explored: IntArray


@dataclass(frozen=True, slots=True)
class Rules:
    """What the lead chose, and how far the model is to be followed.

    shares: of the mix, by Reason name; audit has its share under every strategy, and what they lack of 1 goes to
    random. band: of confidence, for that strategy. trust: what part of its shares the model has, from 0 to 1; the rest
    is drawn evenly over hit words. clip: share of the most uncertain posts that comes last.
    """

    strategy: Strategy
    shares: Mapping[str, float]
    band: tuple[float, float] = (0.4, 0.6)
    trust: float = 1.0
    clip: float = 0.0


def trust_in(rarest: int) -> float:
    """How far to follow a model that has seen so many labels of the rarest class that occurs."""
    return min(1.0, rarest / LABELS_TO_TRUST)


def order_pool(pool: Pool, rules: Rules, *, rng: np.random.Generator) -> Iterator[Pick]:
    """Yield every post of the pool once, in the order in which it is to be shown; short ones last.

    Audit draws are from the slice, and from all other posts once nothing of it is left.
    """
    audit_share = rules.shares.get(Reason.audit, 0.0)
    is_open = ~pool.is_audit & ~pool.is_short
    # The audit slice comes by its own draw alone: what the model picks of it would no longer be a random sample.
    audit = rng.permutation(np.flatnonzero(pool.is_audit & ~pool.is_short))
    streams = []
    if rules.strategy is not Strategy.random:
        streams = _model_streams(pool, rules, is_open, rng=rng)
        meant = sum(_shares_of_model(rules).values())
        left = round(meant - sum(stream.share for stream in streams), 9)
        if left > 0:
            streams += _word_streams(pool, is_open, left, rng=rng)
    rest = max(0.0, round(1.0 - audit_share - sum(stream.share for stream in streams), 9))
    others = rng.permutation(np.flatnonzero(is_open))
    short = rng.permutation(np.flatnonzero(pool.is_short))
    later = Stream(Reason.audit, others, share=audit_share, is_uniform=True) if audit_share else None
    return interleave(
        [
            Stream(Reason.audit, audit, share=audit_share, is_uniform=True, then=later),
            *streams,
            Stream(Reason.random, others, share=rest, is_uniform=True),
            Stream(Reason.random, short),
        ]
    )


def _shares_of_model(rules: Rules) -> dict[Reason, float]:
    """By reason, were the model to be followed in full."""
    whole = 1.0 - rules.shares.get(Reason.audit, 0.0)
    alone = {
        Strategy.margin: Reason.uncertain,
        Strategy.entropy: Reason.uncertain,
        Strategy.band: Reason.uncertain,
        Strategy.violations: Reason.likely_violation,
    }
    if rules.strategy in alone:
        return {alone[rules.strategy]: whole}
    return {reason: rules.shares.get(reason, 0.0) for reason in BY_MODEL}


def _model_streams(
    pool: Pool, rules: Rules, is_open: npt.NDArray[np.bool_], *, rng: np.random.Generator
) -> list[Stream]:
    """Rankings over the scored posts, as positions into the whole pool; none where nothing is scored or trusted."""
    scored = np.flatnonzero(pool.is_scored & is_open)
    if not len(scored) or not rules.trust:
        return []
    shares = {reason: share * rules.trust for reason, share in _shares_of_model(rules).items()}
    known, streams = pool.proba[scored], []
    if share := shares.get(Reason.uncertain):
        order, values = _uncertain(known, rules, rng=rng)
        streams.append(Stream(Reason.uncertain, scored[order], _spread(values, scored, pool), share))
    if share := shares.get(Reason.likely_violation):
        order = scored[rank_by_violation(known, rng=rng)]
        streams.append(Stream(Reason.likely_violation, order, _spread(known[:, 2], scored, pool), share))
    explored = pool.explored[is_open[pool.explored]]
    if (share := shares.get(Reason.exploration)) and len(explored):
        streams.append(Stream(Reason.exploration, explored, share=share))
    return streams


def _uncertain(
    known: Probabilities, rules: Rules, *, rng: np.random.Generator
) -> tuple[IntArray, npt.NDArray[np.floating]]:
    """The ranking that the strategy means by uncertain, and the score of each post in it."""
    if rules.strategy is Strategy.band:
        return rank_in_band(known, rules.band, rng=rng), known.max(axis=1)
    if rules.strategy is Strategy.entropy:
        return clipped(rank_by_entropy(known, rng=rng), rules.clip), entropies(known)
    return clipped(rank_by_margin(known, rng=rng), rules.clip), margins(known)


def _spread(values: npt.NDArray[np.floating], scored: IntArray, pool: Pool) -> npt.NDArray[np.floating]:
    whole = np.full(len(pool.proba), np.nan)
    whole[scored] = values
    return whole


def _word_streams(
    pool: Pool, is_open: npt.NDArray[np.bool_], share: float, *, rng: np.random.Generator
) -> list[Stream]:
    """The hit words in turn, rare ones first; posts without any have the part of one more word."""
    by_word = rank_by_hit_words(pool.hits, rng=rng)
    by_word = by_word[is_open[by_word]]
    is_wordless = is_open.copy()
    is_wordless[by_word] = False
    wordless = rng.permutation(np.flatnonzero(is_wordless))
    words = int(pool.hits.packed[-1] >> 32) + 1 if len(by_word) else 0
    part = share / (words + 1) if len(wordless) else 0.0
    return [Stream(Reason.hit, by_word, share=share - part), Stream(Reason.random, wordless, share=part)]
