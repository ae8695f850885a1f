"""Scoring the pool: every text once, whatever interrupts it, and nothing of a text that is gone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core import scorer
from core.domain import Actor, ModelVersion, RunStatus
from core.errors import BadInput, Cancelled
from core.learning.baseline import BaselineClassifier, train_baseline
from core.learning.manifests import NO_CORRECTION
from core.learning.tokens import TokenCache
from core.loading import load_on_all_devices
from core.scorer import score_texts, windows_of
from core.services import scoring
from core.services.scoring import Score
from core.settings import Settings
from db import models, runs
from db.engine import write
from db.tables import audit_log, distinct_text, exploration, prediction
from tests.conftest import NOW, marked_text, rows
from tests.core.services.conftest import OPERATOR, import_file

POSTS = 90


class Watched(BaselineClassifier):
    """The baseline; remembers which texts it was given."""

    seen: list[str]

    def encode(self, texts: Sequence[str]) -> Sequence[str]:
        self.seen += texts
        return super().encode(texts)


@pytest.fixture
def classifier() -> Watched:
    texts = [marked_text(n % 3, n) for n in range(60)]
    watched = Watched(train_baseline(texts, [n % 3 for n in range(60)], [1.0] * 60, seed=1), NO_CORRECTION)
    watched.seen = []
    return watched


def import_posts(engine: Engine, folder: Path, numbers: Sequence[int]) -> None:
    """Posts of which every tenth says the same as the one before it."""
    export = folder / f"{numbers[0]}.tsv"
    lines = (f"{n}\t{marked_text(m % 3, m)}\n" for n in numbers for m in [n - (n % 10 == 0)])
    export.write_text("pid\tcontext\n" + "".join(lines))
    import_file(engine, export)


def add_version(engine: Engine, name: str = "v1") -> ModelVersion:
    with write(engine) as conn:
        return models.add_version(
            conn, name=name, run_id=None, base="tfidf", folder=name, manifest={}, metrics={}, now=NOW
        )


@pytest.fixture
def version(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """A version that has scored nothing yet; windows and transactions are as small as the pool asks for."""
    for name, size in (("FIRST_TEXTS", 10), ("WINDOW", 16), ("STORED_AT_ONCE", 7)):
        monkeypatch.setattr(scorer, name, size)
    import_posts(engine, tmp_path, range(1, POSTS + 1))
    return add_version(engine)


def score(engine: Engine, version: ModelVersion, classifier: Any, *, share: float = 1.0, **options: Any) -> int:
    rng = np.random.default_rng(4)
    text_ids = scoring.texts_to_score(engine, version, share=share, rng=rng)
    return score_texts(engine, version, classifier, text_ids, cache=None, rng=rng, **options)


def scored(engine: Engine) -> dict[int, list[float]]:
    return {
        row["text_id"]: [row["p_normal"], row["p_suspicious"], row["p_violation"]] for row in rows(engine, prediction)
    }


def test_each_distinct_text_is_scored_once_by_what_the_model_says_of_it(
    engine: Engine, version: ModelVersion, classifier: Watched
) -> None:
    assert score(engine, version, classifier) == POSTS - POSTS // 10
    assert len(classifier.seen) == len(set(classifier.seen)) == POSTS - POSTS // 10
    bodies = {row["id"]: row["body"] for row in rows(engine, distinct_text)}
    expected = classifier.probabilities(list(bodies.values()))
    np.testing.assert_allclose([scored(engine)[text_id] for text_id in bodies], expected, atol=1e-6)
    assert score(engine, version, classifier) == 0


def test_kinds_of_posts_are_looked_for_once_and_again_when_the_pool_has_grown(
    engine: Engine, version: ModelVersion, classifier: Watched
) -> None:
    score(engine, version, classifier)
    assert scoring.is_unexplored(engine, version, new=0)
    drawn = scoring.draw_shortlist(engine, version, most=50, rng=np.random.default_rng(1))
    assert len(set(drawn)) == 50
    scoring.store_exploration(engine, version, [*drawn[::-1], 9_999])
    assert [row["text_id"] for row in sorted(rows(engine, exploration), key=lambda row: row["place"])] == drawn[::-1]
    assert not scoring.is_unexplored(engine, version, new=8)
    assert scoring.is_unexplored(engine, version, new=9)


def test_what_is_cancelled_goes_on_later_without_scoring_a_text_twice(
    engine: Engine, version: ModelVersion, classifier: Watched
) -> None:
    stored: list[tuple[int, int]] = []

    def report(done: int) -> None:
        stored.append((done, len(scored(engine))))
        if done >= 30:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        score(engine, version, classifier, report=report)
    before = scored(engine)
    assert len(before) >= 30
    assert all(done - known <= scorer.STORED_AT_ONCE for done, known in stored), "told before it is stored"
    rest = score(engine, version, classifier)
    assert rest == POSTS - POSTS // 10 - len(before)
    assert {text_id: scored(engine)[text_id] for text_id in before} == before


def test_a_model_that_breaks_leaves_what_it_said_before(
    engine: Engine, version: ModelVersion, classifier: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = classifier.stream

    def stream(encoded: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if len(scored(engine)) > 20:
            raise RuntimeError("the device is gone")
        yield from whole(encoded)

    monkeypatch.setattr(classifier, "stream", stream)
    with pytest.raises(RuntimeError, match="device is gone"):
        score(engine, version, classifier)
    assert 20 < len(scored(engine)) < POSTS - POSTS // 10


def test_scores_of_a_text_that_is_gone_are_dropped_even_where_another_has_its_id(
    engine: Engine, version: ModelVersion
) -> None:
    known = rows(engine, distinct_text)[0]
    of_another = Score(known["id"], "0" * 32, (0.2, 0.3, 0.5))
    gone = Score(9_999, known["hash"], (0.2, 0.3, 0.5))
    right = Score(known["id"], known["hash"], (0.7, 0.2, 0.1))
    scoring.store_scores(engine, version, [of_another, gone, right])
    assert scored(engine) == {known["id"]: [0.7, 0.2, 0.1]}
    scoring.store_scores(engine, version, [Score(known["id"], known["hash"], (0.1, 0.2, 0.7))])
    assert scored(engine) == {known["id"]: [0.7, 0.2, 0.1]}, "what somebody may have seen stays"


def test_a_share_is_drawn_from_the_whole_pool_and_grows_with_it(
    engine: Engine, version: ModelVersion, classifier: Watched, tmp_path: Path
) -> None:
    texts = POSTS - POSTS // 10
    with write(engine) as conn:
        models.promote(conn, version.id, promoted_by="operator", now=NOW)
    run = scoring.queue_scoring(engine, OPERATOR, version=None, share=0.25, now=NOW)
    assert run.config == {"version": "v1", "share": 0.25}
    wanted = math.ceil(0.25 * texts)
    assert score(engine, version, classifier, share=0.25) == wanted
    halves = [text_id > texts // 2 for text_id in scored(engine)]
    assert 4 < sum(halves) < wanted - 4
    assert scoring.queue_scoring_if_needed(engine, created_by="operator", now=NOW) is None
    import_posts(engine, tmp_path, range(201, 201 + POSTS))
    again = scoring.queue_scoring_if_needed(engine, created_by="operator", now=NOW)
    assert again is not None
    assert again.config["share"] == 0.25
    assert score(engine, version, classifier, share=0.25) == math.ceil(0.25 * 2 * texts) - wanted
    whole = scoring.queue_scoring(engine, OPERATOR, version="v1", share=1.0, now=NOW)
    assert whole.config["share"] == 1.0
    said = [row["details"] for row in rows(engine, audit_log, action="score")]
    assert said == [{"version": "v1", "share": 0.25}, {"version": "v1", "share": 1.0}]


def test_outlook_tells_what_is_left_and_how_long_it_takes_at_the_pace_that_was_measured(
    engine: Engine, version: ModelVersion, classifier: Watched, analyst: Actor
) -> None:
    texts = POSTS - POSTS // 10
    before = scoring.outlook(engine, analyst, "v1")
    assert (before.texts, before.scored, before.pace, before.seconds()) == (texts, 0, None, None)
    run = scoring.queue_scoring(engine, OPERATOR, version="v1", share=0.5, now=NOW)
    score(engine, version, classifier, share=0.5)
    with write(engine) as conn:
        runs.finish_run(conn, run.id, status=RunStatus.succeeded, now=NOW, result={"scored": 41, scoring.PACE: 4.0})
    after = scoring.outlook(engine, analyst, "v1")
    assert (after.scored, after.share, after.pace) == (math.ceil(texts / 2), 0.5, 4.0)
    assert after.seconds() == pytest.approx((texts - math.ceil(texts / 2)) / 4)
    assert after.seconds(0.5) == 0


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_share_outside_of_nothing_and_all_is_refused(engine: Engine, version: ModelVersion, share: float) -> None:
    with pytest.raises(BadInput, match="above 0 and at most 1"):
        scoring.queue_scoring(engine, OPERATOR, version="v1", share=share, now=NOW)


@given(st.sets(st.integers(1, 10**9), max_size=200), st.integers(0, 2**32))
def test_windows_hold_each_text_once_each_in_order_of_id(ids: set[int], seed: int) -> None:
    text_ids = np.array(sorted(ids), dtype=np.int64)
    windows = windows_of(text_ids, np.random.default_rng(seed))
    assert sorted(text_id for window in windows for text_id in window.tolist()) == sorted(ids)
    assert all(np.all(np.diff(window) > 0) for window in windows)


@pytest.mark.training
def test_texts_are_tokenised_once_for_all_versions_of_a_tokenizer(
    engine: Engine, version: ModelVersion, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.learning.classifiers import load_base, load_tokenizer
    from core.learning.device import find_device
    from core.learning.scoring import Classifier

    loaded = Classifier(
        load_base(tiny_base), load_tokenizer(tiny_base), find_device(), max_tokens=64, correction=NO_CORRECTION
    )
    encoded: list[str] = []
    tokenise = loaded.encode
    monkeypatch.setattr(loaded, "encode", lambda texts: encoded.extend(texts) or tokenise(texts))

    def score_with_cache(of: ModelVersion) -> None:
        rng = np.random.default_rng(1)
        cache = loaded.open_cache(tmp_path / "tokens")
        assert isinstance(cache, TokenCache)
        text_ids = scoring.texts_to_score(engine, of, share=1.0, rng=rng)
        score_texts(engine, of, loaded, text_ids, cache=cache, rng=rng)

    score_with_cache(version)
    second = add_version(engine, "v2")
    score_with_cache(second)
    assert len(encoded) == len(set(encoded)) == POSTS - POSTS // 10
    by_version: dict[int, dict[int, list[float]]] = {version.id: {}, second.id: {}}
    for row in rows(engine, prediction):
        by_version[row["version_id"]][row["text_id"]] = [row["p_normal"], row["p_suspicious"], row["p_violation"]]
    assert by_version[version.id] == by_version[second.id]


@pytest.mark.training
def test_several_devices_score_each_text_once_and_say_the_same_as_one(
    engine: Engine,
    version: ModelVersion,
    settings: Settings,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.learning import device
    from core.learning.fleet import Fleet
    from core.learning.schedules import Schedule
    from core.learning.scoring import load_classifier
    from core.learning.training import TrainingConfig, TrainingExample, train

    config = TrainingConfig(base_path=tiny_base, base_name="tiny", quick=True, seed=1, snapshot_hash="x")
    examples = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(48)]
    few = Schedule(16, 9, evaluates=False, chooses_best=False)
    train(examples, [], config=config, schedule=few, out_dir=tmp_path / "v")
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    two = [device.find_device()] * 2
    monkeypatch.setattr(device, "find_devices", lambda: two)
    with load_on_all_devices(settings, tmp_path / "v") as fleet:
        assert isinstance(fleet, Fleet)
        assert score(engine, version, fleet) == POSTS - POSTS // 10
    bodies = {row["id"]: row["body"] for row in rows(engine, distinct_text)}
    alone = load_classifier(tmp_path / "v", base_path=tiny_base).probabilities(list(bodies.values()))
    found = scored(engine)
    assert set(found) == set(bodies)
    np.testing.assert_allclose([found[text_id] for text_id in bodies], alone, atol=2e-2)


@pytest.mark.training
def test_batch_that_does_not_fit_is_halved_and_each_text_scored_all_the_same(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from core.learning.classifiers import load_base, load_tokenizer
    from core.learning.device import find_device
    from core.learning.scoring import Classifier

    loaded = Classifier(
        load_base(tiny_base), load_tokenizer(tiny_base), find_device(), max_tokens=64, correction=NO_CORRECTION
    )
    texts = [marked_text(n % 3, n) for n in range(70)]
    expected = loaded.logits(texts)
    forward, sizes = loaded._model.forward, []

    def forward_of_a_small_device(**batch: Any) -> Any:
        sizes.append(len(batch["input_ids"]))
        if sizes[-1] > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**batch)

    monkeypatch.setattr(loaded._model, "forward", forward_of_a_small_device)
    np.testing.assert_allclose(loaded.logits(texts), expected, atol=2e-2)
    assert max(sizes[-10:]) <= 5
    monkeypatch.setattr(loaded._model, "forward", lambda **batch: (_ for _ in ()).throw(torch.OutOfMemoryError("x")))
    with pytest.raises(torch.OutOfMemoryError):
        loaded.logits(texts)
