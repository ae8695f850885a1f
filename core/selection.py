"""Selection strategies: from probabilities and hit words to the order in which posts are shown, and why.

Positions are relative to the arrays given. Rankings are deterministic for a given rng.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.domain import Reason

Probabilities = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]


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


def rank_by_hit_words(words: Sequence[Sequence[str]], *, rng: np.random.Generator) -> IntArray:
    """Order posts round-robin over hit words, rare words first; posts without a hit are left out.

    words: for each post its hit words.
    Cold start: with 3 % to 8 % of posts not normal, a plain random order shows few of them.
    """
    by_word: dict[str, list[int]] = {}
    for position in rng.permutation(len(words)):
        for word in words[position]:
            by_word.setdefault(word, []).append(int(position))
    rarest_first = sorted(by_word.values(), key=len)
    order: dict[int, None] = {}
    for turn in range(max(map(len, rarest_first), default=0)):
        rarest_first = [positions for positions in rarest_first if len(positions) > turn]
        order.update((positions[turn], None) for positions in rarest_first if positions[turn] not in order)
    return np.fromiter(order, dtype=np.intp, count=len(order))


def interleave(streams: Sequence[Stream]) -> Iterator[Pick]:
    """Merge rankings by share: after any number of picks each stream is within one of its share.

    A position comes once, for the stream that reaches it first. A stream that has run out leaves its share to
    the others in proportion; streams with share 0 follow last, in the order given.
    """
    queues = [_Turns(stream) for stream in streams]
    seen: set[int] = set()
    for group in ([q for q in queues if q.stream.share > 0], *([q] for q in queues if q.stream.share <= 0)):
        yield from _merge(group, seen)


class _Turns:
    """A stream and how far it has been served, in units of its share."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.positions = iter(stream.order.tolist())
        self.served = 0.0

    def next_unseen(self, seen: set[int]) -> int | None:
        return next((position for position in self.positions if position not in seen), None)


def _merge(group: list[_Turns], seen: set[int]) -> Iterator[Pick]:
    while group:
        turn = _next_turn(group)
        position = turn.next_unseen(seen)
        if position is None:
            group.remove(turn)
            _restart(group)
            continue
        turn.served += 1
        seen.add(position)
        yield _pick(turn.stream, position)


def _next_turn(group: list[_Turns]) -> _Turns:
    """The quota method (Balinski and Young 1975): whose next turn is due first, of those that are not ahead."""
    whole = sum(turn.stream.share for turn in group) or 1.0
    picks = sum(turn.served for turn in group) + 1
    due = [turn for turn in group if turn.served < turn.stream.share / whole * picks]
    return min(due or group, key=lambda turn: (turn.served + 1) / (turn.stream.share or 1.0))


def _restart(group: list[_Turns]) -> None:
    """Count anew from here, so that the others share what the ended stream leaves."""
    for turn in group:
        turn.served = 0.0


def _pick(stream: Stream, position: int) -> Pick:
    score = None if stream.score is None else float(stream.score[position])
    is_drawn = stream.is_uniform and stream.share > 0  # the rest that comes last is no draw
    return Pick(position, stream.reason, score, stream.share / len(stream.order) if is_drawn else None)


def order_pool(
    *,
    proba: Probabilities,
    is_scored: npt.NDArray[np.bool_],
    is_audit: npt.NDArray[np.bool_],
    words: Sequence[Sequence[str]],
    shares: Mapping[str, float],
    rng: np.random.Generator,
) -> Iterator[Pick]:
    """Yield every post of the pool once, in the order in which it is to be shown.

    proba: (n_posts, 3); rows of posts that are not scored are ignored. Arrays are (n_posts,), words likewise.
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
        drawn = [() if aside else found for found, aside in zip(words, is_audit.tolist(), strict=True)]
        streams += _cold_streams(drawn, share=1.0 - shares.get("audit", 0.0), rng=rng)
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


def _cold_streams(words: Sequence[Sequence[str]], *, share: float, rng: np.random.Generator) -> list[Stream]:
    return [Stream(Reason.hit, rank_by_hit_words(words, rng=rng), share=share / 2)]
