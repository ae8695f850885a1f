"""Whether hit words earn their keep: what became of the posts that have them, and what is expected of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.columns import Floats32, PostColumns, Selection
from core.domain import Label
from core.proportions import wilson

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

FEWEST = 20  # decided families: with fewer a word has not shown what it is worth
SELDOM = 0.05  # share of violations: a word that brings fewer costs moderators twenty posts for one


class Worth(StrEnum):
    """What can be said of a word. retire: neither people nor the model find violations by it, beyond chance."""

    keep = "keep"
    retire = "retire"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class WordFigures:
    """posts: that have the word; alone: those of them that have no other. decided: of the posts.

    families: of the decided posts; violations: families that are violations; share: of the families, with its interval.
    expected: the share of violations that the version expects among the posts that nobody has decided; None where it
    has scored none.
    """

    word: str
    posts: int
    alone: int
    decided: int
    families: int
    violations: int
    interval: tuple[float, float]
    expected: float | None

    @property
    def share(self) -> float | None:
        return self.violations / self.families if self.families else None

    @property
    def worth(self) -> Worth:
        if self.families < FEWEST:
            return Worth.unknown
        is_expected = self.expected is not None and self.expected >= SELDOM
        return Worth.retire if self.interval[1] < SELDOM and not is_expected else Worth.keep


def word_figures(
    posts: PostColumns, proba: Floats32, labels: npt.NDArray[np.int8], is_chosen: Selection
) -> list[WordFigures]:
    """Figures of every hit word that stands in any of the chosen posts, those with the most posts first.

    proba: (n_labels, n_posts), NaN where unscored. labels: (n_posts,), -1 where undecided. is_chosen: (n_posts,).
    """
    count = len(posts.words)
    word_of = np.repeat(np.arange(count, dtype=np.int32), np.diff(posts.word_starts))
    held = posts.word_posts
    if not is_chosen.all():
        kept = is_chosen[held]
        word_of, held = word_of[kept], held[kept]
    words_of_post = np.bincount(held, minlength=len(posts))
    of_each = np.bincount(word_of, minlength=count)
    alone = np.bincount(word_of[words_of_post[held] == 1], minlength=count)
    is_decided = labels[held] >= 0
    families, violations = _families(word_of[is_decided], held[is_decided], posts, labels)
    low, high = wilson(violations, families)
    likely = proba[Label.violation][held]
    is_rest = ~is_decided & ~np.isnan(likely)
    rest = np.bincount(word_of[is_rest], minlength=count)
    expected = np.bincount(word_of[is_rest], weights=likely[is_rest], minlength=count) / np.maximum(rest, 1)
    decided = np.bincount(word_of[is_decided], minlength=count)
    found = [
        WordFigures(
            word, int(of_each[at]), int(alone[at]), int(decided[at]), int(families[at]), int(violations[at]),
            (float(low[at]), float(high[at])), float(expected[at]) if rest[at] else None,
        )
        for at, word in enumerate(posts.words)
        if of_each[at]
    ]  # fmt: skip
    return sorted(found, key=lambda each: (-each.posts, each.word))


def _families(
    words: npt.NDArray[np.integer], held: npt.NDArray[np.integer], posts: PostColumns, labels: npt.NDArray[np.int8]
) -> tuple[Ids, Ids]:
    """(families, those that are violations), (n_words,) each; what most of a family's decided posts are, it is.

    words, held: (n,), the word and the position of each decided post that has it.
    """
    most = int(posts.families.max(initial=0)) + 1
    pairs, numbers = np.unique(words.astype(np.int64) * most + posts.families[held], return_inverse=True)
    is_violation = (labels[held] == Label.violation).astype(np.float64)
    members = np.bincount(numbers, minlength=len(pairs))
    bad = np.bincount(numbers, weights=is_violation, minlength=len(pairs)) >= members / 2
    count = len(posts.words)
    of_pair = pairs // most
    return np.bincount(of_pair, minlength=count), np.bincount(of_pair[bad], minlength=count)
