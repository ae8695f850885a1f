"""Training: steps of LoRA on COLD's posts, at BERT-base size (random weights) and with the starter encoder.

The note's way: every text padded to 128 tokens, fp32 on a CPU and fp16 with scaling on CUDA, batches of 32. Ours: what
`tiebreak train` runs. Both train the same adapters, on the same posts.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.domain import LABEL_NAMES
from core.loading import prepare_libraries
from core.settings import PROJECT_DIR
from tests.benchmarks.cold import FILES, cold_folder, read_examples
from tests.benchmarks.figures import Figure, target
from tests.benchmarks.workshop import Workshop

PADDED_TO, BATCH = 128, 32
ROUNDS = 3  # ways take turns, and the best of each counts: a shared machine has slow minutes
STEPS = {"BERT-base": 6, "starter": 60}
NOTE_STEPS = {"BERT-base": 2, "starter": 10}  # each of its posts costs the same
TIMES = {"cpu": 4, "cuda": 3}
MOST_GB = 3.0  # of CUDA memory, at batches of 32
A10_POSTS, A10_EPOCHS, A10_MOST_S = 4_799, 3, 60  # the note's own training, which took 30 minutes

Train = Callable[[int], float]  # steps → seconds


def measure(workshop: Workshop) -> list[Figure]:
    examples = read_examples(cold_folder() / FILES[0])
    prepare_libraries()
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from core.learning.classifiers import load_base, load_tokenizer

    starter = PROJECT_DIR / "models" / "starter"
    tokenizer = load_tokenizer(starter)
    torch.manual_seed(1)
    base = BertForSequenceClassification(BertConfig(vocab_size=21_128, num_labels=len(LABEL_NAMES)))
    return [
        *_beside_each_other("BERT-base", base, tokenizer, examples, is_target=True),
        *_beside_each_other("starter", load_base(starter), tokenizer, examples, is_target=False),
    ]


def _beside_each_other(
    name: str, model: Any, tokenizer: Any, examples: Sequence[tuple[str, int]], *, is_target: bool
) -> list[Figure]:
    import torch

    from core.learning.device import find_device

    device = find_device()
    faster = 1 if device.kind == "cpu" else 10
    steps = {"note's way": NOTE_STEPS[name] * faster, "ours": STEPS[name] * faster}
    ways: dict[str, Train] = {
        "note's way": _note(model, tokenizer, _some(examples, steps["note's way"]), device),
        "ours": _ours(model, tokenizer, _some(examples, steps["ours"]), device),
    }
    for train in ways.values():
        train(1)
    speeds, peaks = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, train in ways.items():
            if device.kind == "cuda":
                torch.cuda.reset_peak_memory_stats()
            speeds[way] = max(speeds[way], BATCH * steps[way] / train(steps[way]))
            if device.kind == "cuda":
                peaks[way] = torch.cuda.max_memory_allocated() / 1e9
    times = speeds["ours"] / speeds["note's way"]
    said = {"note's way": f"padded to {PADDED_TO}", "ours": f"{device.name}, {device.precision}"}
    wanted = TIMES[device.kind]
    figures = [Figure(f"{name}, {way}: training", speeds[way], "posts/s", said[way]) for way in ways]
    note = target(times >= wanted, f"{wanted} times or more") if is_target else ""
    figures.append(Figure(f"{name}, training, ours / note's way", times, "times", note))
    if device.kind == "cuda":
        figures += _of_cuda(name, speeds, peaks, is_target=is_target)
    return figures


def _some(examples: Sequence[tuple[str, int]], steps: int) -> Sequence[tuple[str, int]]:
    """As many as the steps take once, from all over the file: texts of all lengths, as they are."""
    return examples[:: len(examples) // (BATCH * steps)][: BATCH * steps]


def _of_cuda(name: str, speeds: dict[str, float], peaks: dict[str, float], *, is_target: bool) -> list[Figure]:
    figures = [Figure(f"{name}, {way}: peak memory", peaks[way], "GB") for way in peaks]
    if is_target:
        seconds = A10_POSTS * A10_EPOCHS / speeds["ours"]
        figures += [
            Figure(f"{name}, ours: peak memory", peaks["ours"], "GB", target(peaks["ours"] <= MOST_GB, "3 GB at most")),
            Figure(
                f"{name}, {A10_EPOCHS} epochs over {A10_POSTS:,} posts at this speed",
                seconds,
                "s",
                target(seconds <= A10_MOST_S, f"{A10_MOST_S} s at most"),
            ),
        ]
    return figures


def _note(model: Any, tokenizer: Any, examples: Sequence[tuple[str, int]], device: Any) -> Train:
    import torch
    from torch.nn.functional import cross_entropy

    texts, labels = [text for text, _ in examples], torch.tensor([label for _, label in examples])
    encoded = tokenizer(texts, truncation=True, padding="max_length", max_length=PADDED_TO, return_tensors="pt")

    def train(steps: int) -> float:
        tuned = _with_adapters(model).to(device.kind).train()
        optimizer = torch.optim.AdamW([w for w in tuned.parameters() if w.requires_grad], lr=2e-5)
        scaler = torch.amp.GradScaler(device.kind, enabled=device.kind == "cuda")
        begun = time.perf_counter()
        for step in range(steps):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            batch = {name: encoded[name][rows].to(device.kind) for name in ("input_ids", "attention_mask")}
            with torch.autocast(device.kind, torch.float16, enabled=device.kind == "cuda"):
                loss = cross_entropy(tuned(**batch).logits, labels[rows].to(device.kind))
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            loss.item()
        return time.perf_counter() - begun

    return train


def _ours(model: Any, tokenizer: Any, examples: Sequence[tuple[str, int]], device: Any) -> Train:
    import torch

    from core.learning.examples import TrainingExample
    from core.learning.fitting import Place, Rates, Setup, fit
    from core.learning.schedules import Schedule
    from core.learning.training import encode, prepare

    weights = [1.0] * len(LABEL_NAMES)
    training = encode(
        [TrainingExample(text, label) for text, label in examples],
        tokenizer,
        max_tokens=256,
        class_weights=weights,
    )

    def train(steps: int) -> float:
        place = Place(torch.device(device.kind), device.precision)
        tuned = prepare(copy.deepcopy(model), _config(), place)
        setup = Setup(device.name, 1, device.precision, BATCH, BATCH, steps, dict.fromkeys(LABEL_NAMES, 1.0), False)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            fit(
                tuned,
                training,
                None,
                schedule=Schedule(BATCH, steps, evaluates=False, chooses_best=False),
                rates=Rates(3e-4, 0.08, 0.01, seed=1),
                setup=setup,
                place=place,
                padding=tokenizer.pad_token_id,
                report=lambda progress: None,
                is_cancelled=lambda: False,
                metric_folder=folder,
            )
            return time.perf_counter() - begun

    return train


def _with_adapters(model: Any) -> Any:
    from core.learning.training import add_lora

    return add_lora(copy.deepcopy(model), _config())


def _config() -> Any:
    from core.learning.training import TrainingConfig

    return TrainingConfig(base_path=Path(), base_name="", quick=True, seed=1, snapshot_hash="")
