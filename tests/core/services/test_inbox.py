"""The inbox: only whole, plain files of the folder itself, and a file that was read before is known again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import utc_now
from core.errors import BadInput, NotFound
from core.services import inbox, previewing
from core.services.importing import ImportRequest
from core.settings import Settings
from core.worker import execute
from tests.core.services.conftest import OPERATOR, import_file


@pytest.fixture
def folder(settings: Settings) -> Path:
    settings.inbox_dir.mkdir(parents=True)
    return settings.inbox_dir


@pytest.fixture
def lay(folder: Path) -> Callable[..., Path]:
    def make(name: str, content: str = "pid\tcontext\n1\thello\n", *, age_s: float = 60) -> Path:
        path = folder / name
        path.write_text(content)
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    return make


def names(engine: Engine, folder: Path) -> list[str]:
    return [found.name for found in inbox.list_inbox(engine, OPERATOR, folder, now=utc_now())]


def test_files_are_listed_newest_first_with_size_and_date(
    engine: Engine, folder: Path, lay: Callable[..., Path]
) -> None:
    lay("old.tsv", "x" * 10, age_s=600)
    lay("new.tsv", "x" * 20, age_s=60)
    found = inbox.list_inbox(engine, OPERATOR, folder, now=utc_now())
    assert [(file.name, file.size, file.is_settled, file.imported) for file in found] == [
        ("new.tsv", 20, True, None),
        ("old.tsv", 10, True, None),
    ]
    assert abs(found[0].modified_at - (utc_now() - timedelta(seconds=60))) < timedelta(seconds=30)


def test_what_is_hidden_unfinished_a_folder_or_a_link_is_neither_listed_nor_opened(
    engine: Engine, folder: Path, lay: Callable[..., Path], settings: Settings
) -> None:
    secret = settings.home / "secret.tsv"
    secret.write_text("secret")
    (folder / "link.tsv").symlink_to(secret)
    (folder / "dead.tsv").symlink_to(settings.home / "nowhere")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "x.tsv").write_text("x")
    os.mkfifo(folder / "pipe.tsv")
    for name in (".hidden", "half.tsv.partial", "half.tsv.PART", "half.crdownload", "draft~"):
        lay(name)
    assert names(engine, folder) == []
    tried = [path.name for path in folder.iterdir()]
    tried += ["../secret.tsv", str(secret), "deeper/x.tsv", "..", ".", "", "a\x00b", "nothing.tsv"]
    for name in tried:
        with pytest.raises(NotFound):
            inbox.inbox_path(OPERATOR, folder, name, now=utc_now())


def test_folder_that_is_itself_a_link_works(
    engine: Engine, folder: Path, tmp_path: Path, lay: Callable[..., Path]
) -> None:
    lay("a.tsv")
    (tmp_path / "elsewhere").symlink_to(folder)
    assert names(engine, tmp_path / "elsewhere") == ["a.tsv"]
    assert inbox.inbox_path(OPERATOR, tmp_path / "elsewhere", "a.tsv", now=utc_now()) == folder.resolve() / "a.tsv"
    assert names(engine, tmp_path / "missing") == []


def test_file_that_is_still_being_written_waits(engine: Engine, folder: Path, lay: Callable[..., Path]) -> None:
    lay("growing.tsv", age_s=0)
    now = utc_now()
    assert [file.is_settled for file in inbox.list_inbox(engine, OPERATOR, folder, now=now)] == [False]
    with pytest.raises(BadInput, match="still being written"):
        inbox.inbox_path(OPERATOR, folder, "growing.tsv", now=now)
    later = now + timedelta(seconds=5)
    assert inbox.inbox_path(OPERATOR, folder, "growing.tsv", now=later).name == "growing.tsv"


def test_file_stays_after_its_import_and_is_known_until_it_changes(
    engine: Engine, folder: Path, lay: Callable[..., Path]
) -> None:
    path = lay("a.tsv").resolve()
    run = import_file(engine, path)
    assert path.exists()
    listed = inbox.list_inbox(engine, OPERATOR, folder, now=utc_now())[0]
    assert listed.imported is not None
    assert listed.imported.id == run.id
    lay("a.tsv", "pid\tcontext\n1\thello\n2\tmore\n", age_s=30)
    assert inbox.list_inbox(engine, OPERATOR, folder, now=utc_now())[0].imported is None


def test_same_file_under_another_name_is_known_by_its_hash(
    engine: Engine, settings: Settings, lay: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = import_file(engine, lay("a.tsv"))
    copy = lay("copy.tsv", age_s=30)
    request = ImportRequest(str(copy), "copy.tsv")
    assert [earlier.id for earlier in previewing.earlier_imports(engine, OPERATOR, request)] == [run.id]
    other = lay("other.tsv", "pid\tcontext\n2\tother\n")
    assert previewing.earlier_imports(engine, OPERATOR, ImportRequest(str(other), "other.tsv")) == []
    monkeypatch.setattr(previewing, "HASHED_UP_TO", 1)  # a big file is known where it lay, and not looked through
    assert previewing.earlier_imports(engine, OPERATOR, request) == []
    again = ImportRequest(str(lay("b.tsv").resolve()), "b.tsv")
    done = execute_import(engine, settings, again)
    assert [earlier.id for earlier in previewing.earlier_imports(engine, OPERATOR, again)] == [done]


def execute_import(engine: Engine, settings: Settings, request: ImportRequest) -> int:
    from core.services.importing import queue_import

    return execute(settings, engine, queue_import(engine, OPERATOR, request, now=utc_now()).id).id


def test_preview_groups_rows_to_cards_and_counts_what_looks_wrong_among_the_first_thousand(
    lay: Callable[..., Path],
) -> None:
    lines = ["pid\thit_word\tcontext\tauthor", "1\ta\tabcdefghij klmnopq\tann", "1\tb\tghij klmnopq rstuv\t\\N", "bad"]
    lines += [f"{n}\tw\ttext {n}\tbob" for n in range(2, 1_200)] + ["bad"] * 5
    path = lay("x.tsv", "\n".join(lines) + "\n")
    found = previewing.preview(OPERATOR, ImportRequest(str(path), "x.tsv"))
    assert (found.looked_at, len(found.rejects), found.is_whole) == (1_000, 1, False)
    assert (found.rejects[0].line, found.rejects[0].raw) == (4, "bad")
    first = found.cards[0]
    assert (first.pid, first.lines, first.hit_words, first.author) == ("1", (2, 3), ("a", "b"), "ann")
    assert [segment.text for segment in first.segments] == ["abcdefghij klmnopq rstuv"]
    assert sum(len(card.lines) for card in found.cards) == 20
    assert found.columns == {"pid": "pid", "text": "context", "hit_word": "hit_word", "author": "author"}


def test_preview_of_labelled_texts_joins_copies_as_the_import_does(lay: Callable[..., Path]) -> None:
    path = lay("x.csv", 'text,label\n"Hello, world!",normal\nhello world,violation\nother,suspicious\n')
    found = previewing.preview(OPERATOR, ImportRequest(str(path), "x.csv"))
    assert [(card.pid, card.label, len(card.lines)) for card in found.cards] == [
        (None, "violation", 2),
        (None, "suspicious", 1),
    ]
    assert found.is_whole
