"""The TF-IDF baseline: trained, kept without pickle, and the same after loading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from core.errors import BadInput
from core.learning.baseline import VOCABULARY, WEIGHTS, load_baseline, save_baseline, train_baseline

TEXTS = [
    "今天天气很好",
    "加微信日结兼职",
    "滚出去废物",
    "晚饭吃什么",
    "兼职加微信私聊",
    "废物去死",
    "明天天气如何",
    "日结工资",
]
LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
ONES = [1.0] * len(TEXTS)


def test_it_says_what_scikit_learn_says() -> None:
    model = train_baseline(TEXTS, LABELS, ONES, seed=1)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    expected = LogisticRegression(C=3.0, max_iter=1_000).fit(vectorizer.fit_transform(TEXTS), LABELS)
    new = ["天气好", "微信兼职", "完全不同的话"]
    logits = model.logits(new).astype(float)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, expected.predict_proba(vectorizer.transform(new)), atol=1e-3)


def test_two_classes_leave_the_third_as_unlikely_as_can_be_said() -> None:
    kept = [place for place, label in enumerate(LABELS) if label != 1]
    texts, labels = [TEXTS[place] for place in kept], [LABELS[place] for place in kept]
    model = train_baseline(texts, labels, [1.0] * len(texts), seed=1)
    said = model.logits(texts)
    assert said.argmax(axis=1).tolist() == labels
    assert (said[:, 1] == -20).all()


def test_weight_counts_like_as_many_copies() -> None:
    doubled = train_baseline(TEXTS, LABELS, [2.0, *ONES[1:]], seed=1)
    plain = train_baseline(TEXTS, LABELS, ONES, seed=1)
    assert doubled.logits([TEXTS[0]])[0, 0] > plain.logits([TEXTS[0]])[0, 0]


def test_saved_and_loaded_it_says_the_same_to_the_bit(tmp_path: Path) -> None:
    model = train_baseline(TEXTS, LABELS, ONES, seed=1)
    save_baseline(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [WEIGHTS, VOCABULARY]
    np.testing.assert_array_equal(
        load_baseline(tmp_path).logits([*TEXTS, "", "新的话"]), model.logits([*TEXTS, "", "新的话"])
    )


def test_many_texts_are_scored_in_their_order() -> None:
    model = train_baseline(TEXTS, LABELS, ONES, seed=1)
    many = [TEXTS[n % len(TEXTS)] for n in range(10_001)]
    np.testing.assert_allclose(model.logits(many)[:16], model.logits(many[:16]), atol=1e-6)
    np.testing.assert_allclose(model.logits(many)[-9:], model.logits(many[-9:]), atol=1e-6)


@pytest.mark.parametrize("break_it", ["missing", "no safetensors", "shorter vocabulary", "doubled", "no list"])
def test_broken_one_is_refused_with_a_sentence(tmp_path: Path, break_it: str) -> None:
    save_baseline(train_baseline(TEXTS, LABELS, ONES, seed=1), tmp_path)
    words = json.loads((tmp_path / VOCABULARY).read_text(encoding="utf-8"))
    if break_it == "missing":
        (tmp_path / WEIGHTS).unlink()
    elif break_it == "no safetensors":
        (tmp_path / WEIGHTS).write_bytes(b"\x80\x04pickle")
    else:
        broken = {"shorter vocabulary": words[:-1], "doubled": [*words[:-1], words[0]], "no list": {"a": 1}}[break_it]
        (tmp_path / VOCABULARY).write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(BadInput):
        load_baseline(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_baseline(train_baseline(TEXTS, LABELS, ONES, seed=1), tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    save_file(tensors | {"intercepts": tensors["intercepts"][:2].copy()}, tmp_path / WEIGHTS)
    with pytest.raises(BadInput, match="do not belong together"):
        load_baseline(tmp_path)
