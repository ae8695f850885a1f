"""The search for doubtful labels finds those that were turned round, and says nothing where it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import Cancelled
from core.learning.doubts import FOLDS, find_doubts
from tests.conftest import marked_text

LABELS = [n % 3 for n in range(120)]
TEXTS = [marked_text(label, n) for n, label in enumerate(LABELS)]


def test_labels_that_were_turned_round_are_found_the_least_likely_first() -> None:
    turned = {7: 2, 40: 0, 90: 1}
    given = [turned.get(n, label) for n, label in enumerate(LABELS)]
    found = find_doubts(TEXTS, given, seed=1)
    assert {doubt.position for doubt in found} == set(turned)
    assert [doubt.quality for doubt in found] == sorted(doubt.quality for doubt in found)
    for doubt in found:
        assert int(np.argmax(doubt.probabilities)) == LABELS[doubt.position]
        assert doubt.quality == pytest.approx(doubt.probabilities[given[doubt.position]])


def test_class_that_is_too_rare_to_be_learned_is_left_out_and_the_others_are_looked_at() -> None:
    kept = [n for n, label in enumerate(LABELS) if label < 2]
    texts, given = [TEXTS[n] for n in kept], [LABELS[n] for n in kept]
    for turned in (0, 11, 30, 41):
        given[turned] = 1 - given[turned]
    given[5] = 2  # a single one
    found = find_doubts(texts, given, seed=1)
    assert {doubt.position for doubt in found} == {0, 11, 30, 41}
    assert found[0].probabilities[2] < 0.01


def test_nothing_is_found_where_there_is_but_one_class() -> None:
    assert find_doubts(TEXTS[: FOLDS * 3], [1] * FOLDS * 3, seed=1) == []
    assert find_doubts([], [], seed=1) == []


def test_search_can_be_cancelled_between_folds() -> None:
    def cancel(done: int, total: int) -> None:
        if done == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        find_doubts(TEXTS, LABELS, seed=1, report=cancel)
