"""What a version is worth: on which posts it was measured, how sure that is, and what its probabilities are worth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.calibration import confidence_error, softmax
from core.domain import Side
from core.evaluation import ENOUGH, Aside, evaluate, shares_of

TRAINED = np.array([0.4, 0.3, 0.3])
POOL = np.array([0.9, 0.05, 0.05])


def made(random: int, chosen: int, *, seed: int = 1) -> tuple[np.ndarray, Aside]:
    """Logits of a version that learned from a balanced mix and is too sure of itself; random texts are the pool's."""
    rng = np.random.default_rng(seed)
    is_random = np.arange(random + chosen) < random
    truth = np.where(is_random, rng.choice(3, size=random + chosen, p=POOL), rng.choice(3, size=random + chosen))
    evidence = rng.normal(size=(random + chosen, 3)) + 1.2 * np.eye(3)[truth]
    logits = 2.5 * (1.2 * evidence + np.log(TRAINED))
    return logits, Aside(truth, np.arange(len(truth)), np.ones(len(truth)), is_random)


def test_before_enough_random_texts_are_labelled_all_count_and_nothing_is_calibrated() -> None:
    logits, aside = made(ENOUGH - 1, 200)
    found = evaluate(logits, aside, trained=TRAINED, seed=1)
    assert (found.correction, found.figures["measured_on"], found.figures["judged"]) == (
        None,
        "evaluation",
        ENOUGH + 199,
    )
    np.testing.assert_allclose(found.proba, softmax(logits))


def test_with_enough_random_texts_only_these_measure_and_calibrate() -> None:
    logits, aside = made(2_000, 500)
    found = evaluate(logits, aside, trained=TRAINED, seed=1)
    assert found.correction is not None
    assert (found.figures["measured_on"], found.figures["judged"]) == (Side.audit.value, 2_000)
    assert found.proba.shape == (2_500, 3)
    random = aside.is_random
    weights = np.ones(2_000)
    before = confidence_error(softmax(logits)[random], aside.truth[random], weights)
    after = confidence_error(found.proba[random], aside.truth[random], weights)
    assert (before > 0.1, after < 0.03) == (True, True)
    assert found.figures["calibration"]["error"] == pytest.approx(after, abs=0.01)  # type: ignore[index]


def test_figures_are_out_of_fold_not_of_the_texts_that_were_fitted_on() -> None:
    logits, aside = made(ENOUGH, 0)
    found = evaluate(logits, aside, trained=TRAINED, seed=1)
    said = found.proba.argmax(axis=1)
    fitted_and_measured = confidence_error(found.proba, aside.truth, np.ones(ENOUGH))
    assert found.figures["calibration"]["error"] != fitted_and_measured  # type: ignore[index]
    assert found.figures["accuracy"] == pytest.approx(float((said == aside.truth).mean()), abs=0.03)


def test_larger_families_weigh_more_in_what_is_thought_of_the_pool() -> None:
    assert shares_of(np.array([0, 2]), np.array([9.0, 1.0])).argmax() == 0
    np.testing.assert_allclose(shares_of(np.array([0, 2]), np.array([9.0, 1.0])), np.array([9.5, 0.5, 1.5]) / 11.5)


def test_nothing_kept_aside_measures_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    aside = Aside(none, none, np.zeros(0), np.zeros(0, dtype=bool))
    found = evaluate(np.zeros((0, 3)), aside, trained=TRAINED, seed=1)
    assert (found.correction, found.figures) == (None, {})


def test_same_seed_gives_the_same_figures_and_they_can_be_stored_as_json() -> None:
    logits, aside = made(400, 0)
    first, second = (evaluate(logits, aside, trained=TRAINED, seed=7).figures for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
