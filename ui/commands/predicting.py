"""`tiebreak predict`: one text, a file of texts, or texts typed one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.markup import read_markup
from core.text import model_text

if TYPE_CHECKING:
    from ui.commands.console import Installation

Predict = Callable[[Sequence[str]], list[dict[str, Any]]]
TEXTS_AT_ONCE = 1_000


def make_predict(installation: Installation, model: str) -> Predict:
    """Load the version once; texts are read the way an import reads them."""
    from core.worker import predictor

    probabilities = predictor(installation.settings, installation.engine, model)

    def predict(texts: Sequence[str]) -> list[dict[str, Any]]:
        proba = probabilities([model_text(read_markup(text)) for text in texts])
        return [_prediction(row.tolist()) for row in proba]

    return predict


def _prediction(row: list[float]) -> dict[str, Any]:
    top = max(range(len(row)), key=row.__getitem__)
    return {
        "label": LABEL_NAMES[top],
        "confidence": row[top],
        "probabilities": dict(zip(LABEL_NAMES, row, strict=True)),
    }


def line_of(prediction: dict[str, Any]) -> str:
    parts = "  ".join(f"{name} {value:.3f}" for name, value in prediction["probabilities"].items())
    return f"{prediction['label']:<10}  {parts}"


def texts_in(path: Path) -> list[str]:
    """One text a line, or a .csv, .tsv or .jsonl with `text`; blank lines are left out."""
    from core.texts import read_texts

    return read_texts([path])


def typed_texts() -> Iterator[str]:
    """Texts from standard input until an empty line or its end."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("text> ")
            sys.stderr.flush()
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            return
        yield line


def predict_batch(predict: Predict, texts: Sequence[str]) -> list[dict[str, Any]]:
    results = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = texts[start : start + TEXTS_AT_ONCE]
        results += [{"text": text} | found for text, found in zip(part, predict(part), strict=True)]
        sys.stderr.write(f"{min(start + TEXTS_AT_ONCE, len(texts)):,} of {len(texts):,} texts\n")
    return results


def checked(text: str | None) -> str:
    """The text of --text; raises BadInput for an empty one."""
    if not text or not text.strip():
        raise BadInput("--text is empty; give a text to judge.")
    return text


def predict_typed(predict: Predict, *, as_json: bool, write: Callable[[str], None]) -> list[dict[str, Any]]:
    """Answer each text as it comes; with JSON one list at the end."""
    results = []
    for text in typed_texts():
        found = predict([text])[0]
        results.append({"text": text} | found)
        if not as_json:
            write(line_of(found))
    return results
