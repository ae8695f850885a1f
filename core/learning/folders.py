"""Folders that are there as a whole or not at all, and that nothing leads out of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import BadInput
from core.wording import _

TOKENIZER_CONFIG = "tokenizer_config.json"


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """An empty folder beside it, which takes its place when the block is done, and goes where the block fails."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_ways_out(folder: Path) -> None:
    """Raise BadInput when a file of a version is a link, or its tokenizer wants a file or code from elsewhere."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_symlink():
            raise BadInput(_("{path} is a link; copy the file itself into the folder.").format(path=path))
    config = folder / TOKENIZER_CONFIG
    if not config.is_file():
        return
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as err:
        raise BadInput(_("{path} is not JSON: {err}").format(path=config, err=err)) from err
    named = [name for name, value in found.items() if name == "auto_map" or (name.endswith("_file") and value)]
    if named:
        raise BadInput(
            _("{path} names {fields}: a tokenizer here is what lies in its folder, and nothing else.").format(
                path=config, fields=", ".join(named)
            )
        )
