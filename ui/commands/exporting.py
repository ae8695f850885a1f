"""`tiebreak export`: what leaves the program for other programs and other machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from core.clock import utc_now
from core.services.exporting import Authors, Content, Wanted, open_sheet
from core.sheets import Batch, Sheet, SheetForm, write_sheet
from core.shipping import ExportForm, export_model
from ui.commands.console import Json, open_installation, show, wrong_use


def export_one_model(
    version: Annotated[str, typer.Argument(metavar="VERSION_OR_PATH", help="Version name, or the folder of one.")],
    form: Annotated[
        ExportForm, typer.Option("--format", help="adapter for PEFT, merged for transformers, onnx for onnxruntime.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist yet.")],
    as_json: Json = False,
) -> None:
    """Write a version for other programs, with its calibration folded into the head, and a model card.

    Whoever takes the softmax of its logits gets the probabilities that are stored here. The TF-IDF baseline has the
    form adapter alone: its own safetensors and JSON. ONNX needs the extra tiebreak[onnx].
    """
    installation = open_installation()
    encoder = export_model(
        installation.settings, installation.engine, installation.actor, version, form, out, now=utc_now()
    )
    base = None if encoder is None else encoder.words
    files = sorted(path.name for path in out.iterdir())
    value = {"version": version, "format": form.value, "out": str(out), "base": base, "files": files}
    on = "" if base is None else f" on {base}"
    show(value, as_json=as_json, text=lambda: [f"{version}{on} is in {out} as {form}: {', '.join(files)}."])


def export_one_snapshot(
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist yet.")],
    as_json: Json = False,
) -> None:
    """Write what there is to learn from, for `tiebreak train` on another machine: train.jsonl and validation.jsonl.

    Texts and labels, without author or IP. The audit slice stays here: what comes back is measured on it.
    """
    from core.remote import FILES, export_snapshot

    installation = open_installation()
    run = export_snapshot(installation.engine, installation.actor, out, now=utc_now())
    counts = {str(side): run.result[str(side)] for side in FILES}
    value = {"run": run.id, "out": str(out), "snapshot": run.result["snapshot"], **counts}
    show(value, as_json=as_json, text=lambda: _snapshot_lines(out, counts))


def _snapshot_lines(out: Path, counts: dict[str, object]) -> Iterable[str]:
    yield f"{out}: {counts['train']:,} texts to learn from, {counts['evaluation']:,} to choose the best epoch by."
    yield "`tiebreak train` on the other machine, then `tiebreak models import` here, make a version of it."


# --- tables -----------------------------------------------------------------------------------------------------------

Form = Annotated[SheetForm, typer.Option("--format", help="csv, tsv, jsonl or parquet; gold also for other tools.")]
Out = Annotated[Path | None, typer.Option(help="File to write (default: named after what it holds); - for stdout.")]
Safe = Annotated[
    bool, typer.Option("--spreadsheet-safe", help="No cell of a TSV is read as a formula (in CSV none ever is).")
]
OfAuthors = Annotated[Authors, typer.Option(help="Authors and addresses: left out, by pseudonyms, or as they are.")]
OfVersion = Annotated[str | None, typer.Option("--model", help="Version name (default: the active one).")]


def export_decisions(
    form: Form = SheetForm.csv,
    out: Out = None,
    policy: Annotated[
        str | None, typer.Option(help="Thresholds by name: every post instead, with what they say of it.")
    ] = None,
    version: OfVersion = None,
    authors: Annotated[
        Authors | None, typer.Option(help="With --policy: authors and addresses (default: as they are).")
    ] = None,
    is_safe: Safe = False,
    as_json: Json = False,
) -> None:
    """Write every decision: its post, label, source, time, why the post was shown, and whether it stands.

    With --policy, write the forum instead: the columns that came in, a row for each hit as there, and beside them the
    label that counts, what the version says, and the verdict: passes, moderators or removed.
    """
    if policy is None:
        _export(lambda: Wanted(Content.decisions, form), out, is_safe=is_safe, as_json=as_json)
    else:
        shown = authors or Authors.plain
        _export(lambda: Wanted(Content.verdicts, form, shown, version, policy), out, is_safe=is_safe, as_json=as_json)


def export_gold(
    form: Form = SheetForm.csv,
    out: Out = None,
    authors: OfAuthors = Authors.left_out,
    is_safe: Safe = False,
    as_json: Json = False,
) -> None:
    """Write the label that counts of each decided post, with its text.

    As JSONL for `datasets.load_dataset`, as label-studio or doccano for these tools. `tiebreak import` reads all but
    Parquet again.
    """
    _export(lambda: Wanted(Content.gold, form, authors), out, is_safe=is_safe, as_json=as_json)


def export_predictions(
    form: Form = SheetForm.csv,
    out: Out = None,
    version: OfVersion = None,
    authors: OfAuthors = Authors.left_out,
    is_safe: Safe = False,
    as_json: Json = False,
) -> None:
    """Write what a version says of each post that it has scored: label, probabilities, text."""
    _export(lambda: Wanted(Content.predictions, form, authors, version), out, is_safe=is_safe, as_json=as_json)


def export_families(form: Form = SheetForm.csv, out: Out = None, is_safe: Safe = False, as_json: Json = False) -> None:
    """Write the posts of each family of near-copies."""
    _export(lambda: Wanted(Content.families, form), out, is_safe=is_safe, as_json=as_json)


def export_agreement(form: Form = SheetForm.csv, out: Out = None, is_safe: Safe = False, as_json: Json = False) -> None:
    """Write what two people said of each post that both judged without knowing of one another."""
    _export(lambda: Wanted(Content.agreement, form), out, is_safe=is_safe, as_json=as_json)


def export_audit_log(form: Form = SheetForm.csv, out: Out = None, is_safe: Safe = False, as_json: Json = False) -> None:
    """Write the audit log, newest first."""
    _export(lambda: Wanted(Content.audit, form), out, is_safe=is_safe, as_json=as_json)


def _export(ask: Callable[[], Wanted], out: Path | None, *, is_safe: bool, as_json: bool) -> None:
    with wrong_use():
        wanted = ask()
    installation = open_installation()
    sheet = open_sheet(installation.engine, installation.actor, wanted, settings=installation.settings, now=utc_now())
    counted = _Counted(sheet)
    path = out or Path(f"{wanted.content}.{wanted.form.ending}")
    with _opened(path) as file:
        for piece in write_sheet(counted.sheet, wanted.form, is_spreadsheet_safe=is_safe):
            file.write(piece)
    if str(path) != "-":
        value = {"content": wanted.content, "format": wanted.form, "out": str(path), "rows": counted.rows}
        show(value, as_json=as_json, text=lambda: [f"{counted.rows:,} rows are in {path}."])


class _Counted:
    """A sheet that knows how many rows were taken from it."""

    def __init__(self, sheet: Sheet) -> None:
        self.rows = 0
        self.sheet = replace(sheet, batches=self._counting(sheet))

    def _counting(self, sheet: Sheet) -> Iterator[Batch]:
        for batch in sheet.batches:
            self.rows += len(batch)
            yield batch


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file has its name when it is complete; - is standard output."""
    if str(path) == "-":
        yield sys.stdout.buffer
        return
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
