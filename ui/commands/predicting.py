"""`tiebreak predict`: one text, a file of texts, or texts typed one after the other."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.batches import Batch, Form, TextRow, form_for, look_through, result_of, results_as, rows_of
from core.domain import LABEL_NAMES, Label
from core.errors import BadInput
from core.labels import parse_order
from core.markup import read_markup
from core.settings import read_settings
from core.text import model_text
from ui.commands.console import In8Bit, Json, open_installation, say, show, wrong_use

if TYPE_CHECKING:
    from core.shipping import Found

ROWS_AT_ONCE = 4_096  # sorted by length among themselves; no more are in memory
SAY_EVERY_S = 10.0
BAR = 30  # characters of a probability of 1


def predict(
    model: Annotated[
        str, typer.Option(help="Version name, the folder of one, or of an adapter that PEFT saved.", show_default=False)
    ],
    text: Annotated[str | None, typer.Option(help="One text.")] = None,
    batch: Annotated[
        Path | None, typer.Option(help="File: .tsv or .csv (column context or text), .jsonl (text), or a text a line.")
    ] = None,
    interactive: Annotated[bool, typer.Option("--interactive", help="Ask for texts until an empty line.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the batch's results to a .tsv or .jsonl file (default: standard output).")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="How results are written, where the ending of --out does not say.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column with the text, where it has another name.")] = None,
    base: Annotated[
        str | None, typer.Option(help="For an adapter of PEFT: its base encoder, where its name is not known here.")
    ] = None,
    label_order: Annotated[
        str | None, typer.Option(help="For an adapter without id2label: its labels in order, comma-separated.")
    ] = None,
    load_in_8bit: In8Bit = False,
    as_json: Json = False,
) -> None:
    """Predict label, confidence and all probabilities for texts.

    A batch keeps its order and all its columns, and is read and written as a stream. A file with a row that cannot be
    judged is refused, with the line, before anything is written.
    """
    if sum([text is not None, batch is not None, interactive]) != 1:
        raise typer.BadParameter("give exactly one of --text, --batch and --interactive")
    if batch is None and (out or form or column):
        raise typer.BadParameter("--out, --format and --column go with --batch")
    with wrong_use():
        order = parse_order(label_order.split(",")) if label_order else ()
    # Loading a model takes seconds: what cannot be used is said before.
    looked_at = None if batch is None else look_through(batch, text_column=column)
    if batch is not None and out is not None and out.resolve() == batch.resolve():
        raise BadInput(f"--out is {out}, the file that is read; name another one.")
    written_as = None if looked_at is None else form_for(out, asked=form, batch=looked_at)
    given = None if text is None else _checked(text)
    judge = _Judge(model, base, order, load_in_8bit)
    if given is not None:
        found = _as_dict(judge([given])[0])
        show(found, as_json=as_json, text=lambda: [_line(found)])
    elif looked_at is not None and written_as is not None:
        _judge_batch(judge, looked_at, out, written_as, as_json=as_json)
    else:
        results = [{"text": typed} | found for typed, found in _judge_typed(judge, as_json=as_json)]
        show(results, as_json=as_json, text=list)


class _Judge:
    """Texts → probabilities, (n, 3), as tuples. Texts are read the way an import reads them."""

    def __init__(self, model: str, base: str | None, order: Sequence[str], in_8bit: bool) -> None:
        from core.shipping import is_model_folder, load_model

        settings = read_settings(os.environ)
        engine = None if is_model_folder(model) else open_installation().engine  # a folder needs no database
        self._found: Found = load_model(settings, engine, model, base=base, order=order, in_8bit=in_8bit)
        self.base = None if self._found.base is None else self._found.base.words
        if self._found.base is not None:
            say(f"Base encoder: {self.base}, {self._found.base.path}")

    def __call__(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        proba = self._found.classifier.probabilities([model_text(read_markup(text)) for text in texts])
        return [tuple(row) for row in proba.tolist()]


def _checked(text: str) -> str:
    if not text.strip():
        raise BadInput("--text is empty; give a text to judge.")
    return text


def _as_dict(proba: tuple[float, ...]) -> dict[str, Any]:
    top = max(range(len(proba)), key=proba.__getitem__)
    return {
        "label": LABEL_NAMES[top],
        "confidence": proba[top],
        "probabilities": dict(zip(LABEL_NAMES, proba, strict=True)),
    }


def _line(prediction: dict[str, Any]) -> str:
    parts = "  ".join(f"{name} {value:.3f}" for name, value in prediction["probabilities"].items())
    return f"{prediction['label']:<10}  {parts}"


# --- a file ---------------------------------------------------------------------------------------------------------


def _judge_batch(judge: _Judge, batch: Batch, out: Path | None, form: Form, *, as_json: bool) -> None:
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    judged = _counted(_judged(judge, batch, begun), counts)
    if out is None:
        lines = _as_array(judged) if as_json else results_as(form, batch, judged)
        sys.stdout.writelines(lines)
        return
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(results_as(form, batch, judged))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    done = {
        "rows": batch.rows,
        "labels": {name: counts[name] for name in LABEL_NAMES},
        "out": str(out),
        "base": judge.base,
        "seconds": round(time.monotonic() - begun, 3),
    }
    listed = ", ".join(f"{name} {counts[name]:,}" for name in LABEL_NAMES)
    show(done, as_json=as_json, text=lambda: [f"{batch.rows:,} rows: {listed}; written to {out}."])


def _judged(judge: _Judge, batch: Batch, begun: float) -> Iterator[tuple[TextRow, tuple[float, ...]]]:
    rows, done, said_at = rows_of(batch), 0, begun
    while part := list(islice(rows, ROWS_AT_ONCE)):
        yield from zip(part, judge([row.text for row in part]), strict=True)
        done += len(part)
        now = time.monotonic()
        if now - said_at > SAY_EVERY_S and done < batch.rows:
            said_at, speed = now, done / (now - begun)
            left = (batch.rows - done) / speed / 60
            say(f"{done:,} of {batch.rows:,} rows, {speed:,.0f} rows/s, {left:,.1f} minutes left")


def _counted(
    judged: Iterator[tuple[TextRow, tuple[float, ...]]], counts: Counter[str]
) -> Iterator[tuple[TextRow, tuple[float, ...]]]:
    for row, proba in judged:
        counts[LABEL_NAMES[max(range(len(proba)), key=proba.__getitem__)]] += 1
        yield row, proba


def _as_array(judged: Iterator[tuple[TextRow, tuple[float, ...]]]) -> Iterator[str]:
    """One JSON value all the same, a row a line."""
    mark = "["
    for row, proba in judged:
        yield mark + json.dumps(result_of(row, proba), ensure_ascii=False)
        mark = ",\n"
    yield "]\n"


# --- typed texts ----------------------------------------------------------------------------------------------------


def _judge_typed(judge: _Judge, *, as_json: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answer each text as it comes, with a bar for each class; with JSON one list at the end."""
    for typed in _typed_texts():
        proba = judge([typed])[0]
        if not as_json:
            typer.echo("\n".join(_bars(proba)))
        yield typed, _as_dict(proba)


def _bars(proba: tuple[float, ...]) -> Iterator[str]:
    top = max(proba)
    for label, value in zip(Label, proba, strict=True):
        filled = round(value * BAR)
        mark = "<" if value == top else ""
        yield f"{label.chinese} {label.name:<10} {'█' * filled}{'·' * (BAR - filled)} {value:6.1%} {mark}".rstrip()


def _typed_texts() -> Iterator[str]:
    """Texts from standard input until an empty line or its end."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("text> ")
            sys.stderr.flush()
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            return
        yield line
