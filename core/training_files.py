"""Files to train from and to measure on: labelled texts, all of them good, or none is used."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain import Label
from core.errors import BadInput
from core.families import family_form, keys_of
from core.labelled import read_file
from core.markup import read_markup
from core.text import model_text
from core.tsv import RejectedRow
from core.wording import _

WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class FiledText:
    """text: as the model reads it. family: equal for near-copies by form. weight: how much it counts in training."""

    line: int
    text: str
    label: Label
    weight: float
    family: int


def read_training_file(path: Path, *, label_order: Sequence[str] = ()) -> list[FiledText]:
    """All texts of a labelled file of any kind that can be imported (core.labelled), with a `weight` where it has one.

    Raises BadInput with file and line for the first record that cannot be used, and for a file without any.
    """
    if not path.is_file():
        raise BadInput(
            _("{path} is not a file; name a labelled one, such as JSONL with text and label.").format(path=path)
        )
    rows = []
    with path.open("rb") as stream:
        for row in read_file(stream, name=path.name, label_order=label_order):
            if isinstance(row, RejectedRow):
                raise BadInput(_bad_line(path, row.line, row.reason))
            if row.label is None:  # an export
                raise BadInput(_bad_line(path, row.line, _("no label")))
            rows.append((row.line, model_text(read_markup(row.text)), Label[row.label], row.extra.get(WEIGHT)))
    if not rows:
        raise BadInput(_("{path} is empty; give it at least one labelled text.").format(path=path))
    families = keys_of([family_form(text) for _line, text, _label, _weight in rows]).tolist()
    return [
        FiledText(line, text, label, _weight_of(weight, path, line), family)
        for (line, text, label, weight), family in zip(rows, families, strict=True)
    ]


def _bad_line(path: Path, line: int, reason: str) -> str:
    return _("{path}, line {line}: {reason}.").format(path=path, line=line, reason=reason.removesuffix("."))


def _weight_of(value: str | None, path: Path, line: int) -> float:
    if value is None:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise BadInput(_bad_line(path, line, _("weight {value!r} is not a number above 0").format(value=value[:40])))
    return weight


def apart_from(training: Sequence[FiledText], evaluation: Sequence[FiledText]) -> list[FiledText]:
    """Those evaluation texts of which no near-copy is trained on: figures on the others would mean nothing."""
    learned = {text.family for text in training}
    return [text for text in evaluation if text.family not in learned]


def hash_of(training: Sequence[FiledText], evaluation: Sequence[FiledText]) -> str:
    """What a version was made from, as a snapshot of decisions has one."""
    digest = hashlib.sha256()
    for side, texts in (("train", training), ("evaluation", evaluation)):
        for text in texts:
            digest.update(
                f"{side}\t{int(text.label)}\t{text.weight:.6g}\t{text.text}\n".encode("utf-8", "surrogatepass")
            )
    return digest.hexdigest()
