"""Scoring: COLD's test posts by three ways, at BERT-base size (random weights) and with the starter encoder.

The note's way: one text at a time, padded to 128 tokens, fp32 on a CPU and fp16 on CUDA. The Hugging Face pipeline at
its best batch size, in the same precision. Ours: what `tiebreak score` runs.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.calibration import Correction
from core.domain import LABEL_NAMES
from core.loading import prepare_libraries
from core.settings import PROJECT_DIR
from tests.benchmarks.cold import FILES, cold_folder, read_examples
from tests.benchmarks.figures import Figure, target
from tests.benchmarks.workshop import Workshop

PADDED_TO = 128
MAX_TOKENS = 256
BATCHES = (1, 8, 32, 64, 128)
ROUNDS = 3  # ways take turns, and the best of each counts: a shared machine has slow minutes
SECONDS_A_TURN = 4.0
TEXTS_TO_CHOOSE_BY = 128
TARGETS = {"cpu": (6, 2), "cuda": (None, 3)}  # times the note's way, times the pipeline

Score = Callable[[Sequence[str]], object]


def measure(workshop: Workshop) -> list[Figure]:
    texts = [text for text, _ in read_examples(cold_folder() / FILES[1])]
    prepare_libraries()
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from core.learning.classifiers import load_base, load_tokenizer

    tokenizer = load_tokenizer(PROJECT_DIR / "models" / "starter")
    torch.manual_seed(1)
    base = BertForSequenceClassification(BertConfig(vocab_size=21_128, num_labels=len(LABEL_NAMES)))
    return [
        *_beside_each_other("BERT-base", base, tokenizer, texts, int8=False),
        *_beside_each_other("starter", load_base(PROJECT_DIR / "models" / "starter"), tokenizer, texts, int8=True),
    ]


def _beside_each_other(name: str, model: Any, tokenizer: Any, texts: Sequence[str], *, int8: bool) -> list[Figure]:
    import torch

    from core.learning.device import find_device
    from core.learning.scoring import Classifier

    device = find_device()
    plain = copy.deepcopy(model).eval().to(device.kind, torch.float16 if device.kind == "cuda" else torch.float32)
    ours = Classifier(
        copy.deepcopy(model), tokenizer, device, max_tokens=MAX_TOKENS, correction=Correction(1.0, (0.0, 0.0, 0.0))
    )
    ways: dict[str, Score] = {"note's way": lambda some: [_score_as_the_note(plain, tokenizer, text) for text in some]}
    pipelines = {size: _pipeline(plain, tokenizer, batch_size=size) for size in BATCHES}
    best = min(pipelines, key=lambda size: _seconds(pipelines[size], texts[:TEXTS_TO_CHOOSE_BY]))
    ways |= {"pipeline": pipelines[best], "ours": ours.probabilities}
    if int8 and device.kind == "cpu":
        ways["ours in int8"] = _in_int8(model, tokenizer, device)
    speeds = _speeds(ways, texts)
    times_note, times_pipeline = (speeds["ours"] / speeds[way] for way in ("note's way", "pipeline"))
    wanted_note, wanted_pipeline = TARGETS[device.kind] if name == "BERT-base" else (None, None)
    tokens = float(np.mean([len(ids) for ids in ours.encode(texts)]))
    operations = operations_per_text(model.config, tokens)
    limit = arithmetic_limit(device)
    said = f"{device.name}, {device.precision}; {tokens:.0f} tokens a text"
    return [
        Figure(f"{name}, note's way: scoring", speeds["note's way"], "posts/s", "one by one, padded to 128"),
        Figure(f"{name}, pipeline: scoring", speeds["pipeline"], "posts/s", f"batches of {best}"),
        Figure(f"{name}, ours: scoring", speeds["ours"], "posts/s", said),
        *(
            [
                Figure(
                    f"{name}, ours in int8: scoring", speeds["ours in int8"], "posts/s", "torch's dynamic quantisation"
                )
            ]
            if "ours in int8" in speeds
            else []
        ),
        Figure(f"{name}, ours / note's way", times_note, "times", _target(times_note, wanted_note)),
        Figure(f"{name}, ours / pipeline", times_pipeline, "times", _target(times_pipeline, wanted_pipeline)),
        Figure(
            f"{name}, share of the arithmetic limit",
            speeds["ours"] * operations / limit * 100,
            "%",
            f"{operations / 1e9:.2f} GFLOP a text; a matrix product of 2,048 reaches {limit / 1e9:,.0f} GFLOP/s",
        ),
    ]


def _target(times: float, wanted: float | None) -> str:
    return "" if wanted is None else target(times >= wanted, f"{wanted} times or more")


def _speeds(ways: dict[str, Score], texts: Sequence[str]) -> dict[str, float]:
    """Posts/s of each way: the best of some turns, each on as many of the texts as fit into some seconds."""
    counts: dict[str, int] = {}
    for way, score in ways.items():
        score(texts[:8])
        counts[way] = min(len(texts), max(32, int(32 * SECONDS_A_TURN / _seconds(score, texts[:32]))))
    best = dict.fromkeys(ways, 0.0)
    for turn in range(ROUNDS):
        for way, score in ways.items():
            # An equal share of all texts, so that each way meets the same lengths.
            some = texts[turn :: max(1, len(texts) // counts[way])][: counts[way]]
            best[way] = max(best[way], len(some) / _seconds(score, some))
    return best


def _seconds(score: Score, texts: Sequence[str]) -> float:
    begun = time.perf_counter()
    score(texts)
    return time.perf_counter() - begun


def _score_as_the_note(model: Any, tokenizer: Any, text: str) -> list[float]:
    import torch

    encoded = tokenizer(text, truncation=True, padding="max_length", max_length=PADDED_TO, return_tensors="pt")
    with torch.no_grad():
        found: list[float] = model(**encoded.to(model.device)).logits.float().softmax(dim=-1)[0].tolist()
    return found


def _pipeline(model: Any, tokenizer: Any, *, batch_size: int) -> Score:
    from transformers import pipeline

    run = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, device=model.device)
    return lambda texts: run(list(texts), batch_size=batch_size, truncation=True, max_length=MAX_TOKENS)


def _in_int8(model: Any, tokenizer: Any, device: Any) -> Score:
    """Ours with linear layers whose weights are int8 and whose inputs are rounded as they come; the CPU has it only."""
    import torch

    from core.learning.scoring import Classifier

    ours = Classifier(
        copy.deepcopy(model), tokenizer, device, max_tokens=MAX_TOKENS, correction=Correction(1.0, (0.0, 0.0, 0.0))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will drop it in favour of another package
        ours._model = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model).eval(), {torch.nn.Linear})
    return ours.probabilities


def operations_per_text(config: Any, tokens: float) -> float:
    """Floating point operations of an encoder for a text of so many tokens: two for each product and its sum."""
    width, inner = config.hidden_size, config.intermediate_size
    a_token = 2 * (4 * width * width + 2 * width * inner) + 2 * 2 * tokens * width  # projections, attention itself
    return float(config.num_hidden_layers * tokens * a_token)


def arithmetic_limit(device: Any) -> float:
    """Operations/s of the best of ten products, (2048, 2048) by (2048, 2048), in the device's precision."""
    import torch

    size, kind = 2_048, device.autocast or torch.float32
    left, right = (torch.rand(size, size, device=device.kind).to(kind) for _ in range(2))
    seconds = []
    for _ in range(11):
        begun = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - begun)
    return 2 * size**3 / min(seconds)
