"""Text files for pretraining: one text a line, or a named column."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import BadInput
from core.wording import _

COLUMN = "text"


def read_texts(paths: Sequence[Path]) -> list[str]:
    """Return the texts of all files in order, blank ones left out.

    .csv and .tsv: the column `text` (in any case); .jsonl: the field `text`; anything else: one text a line.
    UTF-8. Raises BadInput with file and line.
    """
    readers = {".csv": _csv_texts, ".tsv": _csv_texts, ".jsonl": _jsonl_texts}
    texts: list[str] = []
    for path in paths:
        if not path.is_file():
            raise BadInput(_("{path!r} is not a file; name text files to read.").format(path=str(path)))
        try:
            found = readers.get(path.suffix.lower(), _line_texts)(path)
            texts += [text.strip() for text in found if text.strip()]
        except UnicodeDecodeError as err:
            raise BadInput(
                _("{path} is not UTF-8 (byte {start}); convert it first.").format(path=path, start=err.start)
            ) from err
    if not texts:
        raise BadInput(_("The files hold no text."))
    return texts


def _csv_texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        header = [name.strip().lower() for name in next(rows, [])]
        if COLUMN not in header:
            raise BadInput(
                _("{path}, line 1: there is no column {column!r} among {header}.").format(
                    path=path, column=COLUMN, header=", ".join(header)
                )
            )
        column = header.index(COLUMN)
        for row in rows:
            if len(row) != len(header):
                raise BadInput(
                    _("{path}, line {line}: {count} fields, the header has {wanted}.").format(
                        path=path, line=rows.line_num, count=len(row), wanted=len(header)
                    )
                )
            yield row[column]


def _jsonl_texts(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)[COLUMN]
        except (ValueError, KeyError, TypeError) as err:
            raise BadInput(
                _("{path}, line {number}: not a JSON object with a field {column!r}.").format(
                    path=path, number=number, column=COLUMN
                )
            ) from err
        if not isinstance(text, str):
            raise BadInput(
                _("{path}, line {number}: {column!r} is not a string.").format(path=path, number=number, column=COLUMN)
            )
        yield text


def _line_texts(path: Path) -> Iterator[str]:
    yield from path.read_text(encoding="utf-8-sig").splitlines()
