"""The import page: files of any kind dropped in, problems said before anything is changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Actor, Label, Role, RunKind
from core.services import annotation
from core.services.importing import ImportRequest
from db import runs
from db.engine import database_path, write
from db.tables import decision, hit, lease, post, queue_entry, run, source
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = pytest.mark.browser
SPLIT_TEXTS = (("你好", "train"), ("你好！", "test"), ("再见", "test"))


@pytest.fixture
def importing(served: Served, visit: Callable[[Served], Visitor]) -> Visitor:
    visitor = visit(served)
    visitor.enter(served.add_user("lea", Role.lead), "imports")
    return visitor


def choose(visitor: Visitor, name: str, content: bytes) -> None:
    visitor.page.locator(".upload input[type=file]").set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": content}]
    )


def test_export_is_uploaded_previewed_imported_and_its_rejected_rows_can_be_fetched(
    importing: Visitor, served: Served, tmp_path: Path
) -> None:
    page = importing.page
    choose(importing, "论坛 export.tsv", "pid\tcontext\n1\t你好，世界\n2\n3\t再见\n".encode())
    expect(page.get_by_text("论坛 export.tsv")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("1 of the 3 rows look wrong")).to_be_visible()
    expect(page.locator(".preview .wrong")).to_contain_text("1 field where the header has 2")
    expect(page.locator(".preview .card")).to_have_count(2)
    assert rows(served.engine, post) == []
    page.get_by_role("button", name="Import", exact=True).click()
    link = page.get_by_role("link", name="1 rejected row")
    expect(link).to_be_visible(timeout=60_000)
    assert [found["pid"] for found in rows(served.engine, post)] == ["1", "3"]
    address = link.get_attribute("href") or ""
    rejected = importing.context.request.get(served.url + address)
    assert rejected.text() == "line\treason\traw\n3\t1 field where the header has 2\t2\n"
    assert not list((served.home / "data" / "uploads").iterdir())
    importing.assert_clean()


def test_columns_with_other_names_are_chosen_on_the_page(importing: Visitor, served: Served) -> None:
    page = importing.page
    choose(importing, "other.tsv", b"id\tbody\n5\thello\n")
    expect(page.get_by_text("names no column for")).to_be_visible(timeout=20_000)
    assert page.get_by_role("button", name="Import", exact=True).is_disabled()
    for title, column in (("Post id", "id"), ("Text", "body")):
        page.get_by_role("combobox", name=title, exact=False).first.click()
        page.get_by_role("option", name=column, exact=True).click()
        importing.settle()
    page.get_by_role("button", name="Import", exact=True).click()
    wait_until(lambda: len(rows(served.engine, post)) == 1, seconds=60)
    importing.assert_clean()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("sheet.xlsx", b"PK\x03\x04 a spreadsheet", "Excel workbook"),
        ("empty.tsv", b"", "empty"),
        ("labels.csv", b"pid,text\n1,x\n", "tab-separated"),
    ],
)
def test_file_that_cannot_be_read_is_answered_with_a_sentence(
    importing: Visitor, served: Served, name: str, content: bytes, says: str
) -> None:
    choose(importing, name, content)
    expect(importing.page.get_by_text(says).first).to_be_visible(timeout=20_000)
    assert rows(served.engine, run) == []
    if content:  # an empty one never arrives
        importing.page.get_by_role("button", name="Do not import").click()
        expect(importing.page.locator(".upload")).to_be_visible(timeout=20_000)
        assert not list((served.home / "data" / "uploads").iterdir())
    importing.assert_clean()


def test_people_without_the_right_do_not_see_the_page(served: Served, visit: Callable[[Served], Visitor]) -> None:
    expected = {
        Role.moderator: {"Home", "Label", "My work", "Search", "Guidelines", "Post history", "My account"},
        Role.analyst: {
            *("Home", "Search", "Guidelines", "Post history", "My account"),
            *("Families", "Models", "Distributions", "Trust", "Change", "Proof"),
            *("Thresholds", "Words", "Exports"),
        },
    }
    for role, sees in expected.items():
        visitor = visit(served)
        visitor.sign_in(served.add_user(f"a {role}", role))
        links = visitor.page.get_by_test_id("stSidebarNav").get_by_role("link").all_inner_texts()
        assert set(links) == sees
        visitor.page.goto(served.url + "/imports")
        visitor.settle()
        assert visitor.page.locator(".upload").count() == 0


def test_labels_of_another_tool_are_recognised_and_their_order_and_trust_chosen(
    importing: Visitor, served: Served
) -> None:
    page = importing.page
    annotations = [{"result": [{"type": "choices", "from_name": "c", "value": {"choices": ["1"]}}]}]
    tasks = [{"id": 1, "data": {"text": text, "split": s}, "annotations": annotations} for text, s in SPLIT_TEXTS]
    choose(importing, "export.json", json.dumps(tasks).encode())
    expect(page.get_by_text("Label Studio export · encoding utf-8")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("3 of the 3 rows look wrong")).to_be_visible()
    page.get_by_text("Correct encoding and columns", exact=True).click()
    page.wait_for_timeout(600)  # it opens slowly, and a list opened meanwhile closes again
    for title, option in (
        ("What integers mean as labels", "0 normal · 1 violation · 2 suspicious"),
        ("What its word is worth", "suggestion: a model's opinion"),
    ):
        page.get_by_role("combobox", name=title, exact=False).first.click()
        page.get_by_role("option", name=option, exact=True).click()
        importing.settle()
    expect(page.get_by_text("all of the 3 rows look right")).to_be_visible()
    importing.shoot("27-import-label-studio")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 text stands both in its training and its evaluation split")).to_be_visible(
        timeout=60_000
    )
    assert [made["label"] for made in rows(served.engine, decision)] == [2, 2]
    assert [found["trust"] for found in rows(served.engine, source, kind="file")] == ["suggestion"]
    importing.assert_clean()


# --- a broken file, from its upload until it is taken back -----------------------------------------------------------


def broken_export() -> bytes:
    """GB18030 under an odd ending, columns of other names, quotations, copies of a pid, and rows that are no rows."""
    link = "[url=forum.php?mod=redirect&amp;pid=1]路人 发表于 2026-2-1[/url]"
    quote = f"[quote][size=2]{link}[/size]\\\n这家店收押金吗？[/quote]\\\n"
    lines = ["pid\tauthor\tuseip\thit_word\tbody"]
    lines += [
        f"7000001\t张三\t192.0.2.1\t押金\t{quote}退了，找 &quot;老板&quot; 就能拿回押金 :lol:",
        "7000002\t李四\t192.0.2.2\t兼职\t日结兼职，加微信私聊，先付定金 [url=http://pay.example.com/x]点这里[/url]",
        "7000002\t李四\t192.0.2.2\t定金\t私聊，先付定金 [url=http://pay.example.com/x]点这里[/url] 名额不多",
        "7000003\t=cmd()\t192.0.2.3\t代理\t![x](http://evil.example/x.png) <b>代理</b> \u202e返利",
        "7000004\t王五",
        "post5\t赵六\t192.0.2.5\t返利\t编号不是数字",
    ]
    lines += [
        f"{7000010 + n}\t用户{n}\t192.0.2.{n}\t贷款\t第 {n} 楼：昨天路过那家店，贷款广告贴了一墙" for n in range(30)
    ]
    return "\n".join(lines).encode("gb18030") + b"\n7000099\tx\ty\tz\t\xff\xff\xfe\n"


def test_broken_file_is_corrected_imported_and_taken_back_as_a_whole(importing: Visitor, served: Served) -> None:
    page = importing.page
    importing.shoot("19-import-empty")
    expect(page.get_by_text("Nothing was imported yet")).to_be_visible()
    choose(importing, "论坛导出.tsv", broken_export())
    expect(page.get_by_text("names no column for")).to_be_visible(timeout=20_000)
    page.get_by_role("combobox", name="Text", exact=False).first.click()
    page.get_by_role("option", name="body", exact=True).click()
    importing.settle()
    expect(page.get_by_text("Encoding gb18030")).to_be_visible()
    expect(page.get_by_text("3 of the 37 rows look wrong")).to_be_visible()
    wrong = page.locator(".preview .wrong li")
    expect(wrong).to_have_count(3)
    expect(wrong.nth(1)).to_contain_text("pid 'post5' is not a number")
    expect(wrong.nth(1).locator("code")).to_contain_text("赵六")
    cards = page.locator(".preview .card")
    expect(cards.nth(0).locator("blockquote")).to_contain_text("这家店收押金吗")
    expect(cards.nth(0).locator("mark").last).to_have_text("押金")
    expect(cards.nth(1)).to_contain_text("post 7000002")
    expect(cards.nth(1)).to_contain_text("2 rows")
    expect(cards.nth(2)).to_contain_text("![x](http://evil.example/x.png) 代理")
    importing.shoot("20-import-preview")
    assert rows(served.engine, post) == []
    page.get_by_role("button", name="Import", exact=True).click()
    link = page.get_by_role("link", name="3 rejected rows")
    expect(link).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Rejected lines are kept for 30 days")).to_be_visible()
    rejected = importing.context.request.get(served.url + (link.get_attribute("href") or "")).text()
    assert [line.split("\t")[0] for line in rejected.splitlines()] == ["line", "8", "9", "40"]
    assert not list((served.home / "data" / "uploads").iterdir())
    assert len(rows(served.engine, post)) == 33
    served.add_user("mo", Role.moderator)
    operator = Actor(None, "cli:test", Role.lead)
    annotation.decide_post(served.engine, operator, user_name="mo", post_id=2, label=Label.violation, now=utc_now())
    importing.shoot("21-imported")
    page.get_by_role("button", name="Take this import back").click()
    expect(page.get_by_text("only this import brought them, they go: 32 posts and 32 hits")).to_be_visible(
        timeout=20_000
    )
    expect(page.get_by_text("decided, they stay: 1 post")).to_be_visible()
    importing.shoot("22-take-back")
    page.get_by_role("button", name="Take back", exact=True).click()
    expect(page.get_by_text("Taken back on")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Posts that stay because of a decision: 1")).to_be_visible()
    importing.shoot("23-taken-back")
    assert [found["pid"] for found in rows(served.engine, post)] == ["7000002"]
    assert {found["post_id"] for found in rows(served.engine, hit)} == {2}
    assert len(rows(served.engine, decision)) == 1
    assert [rows(served.engine, table) for table in (lease, queue_entry)] == [[], []]
    importing.assert_clean()


@contextmanager
def held_between_transactions(served: Served, run_id: int) -> Iterator[None]:
    """Hold a run's processes where they are, so that it is under way for as long as it is looked at."""
    worker = psutil.Process(rows(served.engine, run, id=run_id)[0]["pid"])
    processes = [worker, *worker.children(recursive=True)]

    def stops_outside() -> bool:
        for process in processes:
            process.suspend()
        try:
            with closing(sqlite3.connect(database_path(served.engine), timeout=0.1)) as other:
                other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # it holds the writer, and then nobody could sign in
            for process in processes:
                process.resume()
            return False
        return True

    wait_until(stops_outside, seconds=20, step=0.02)
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_import_under_way_shows_its_progress_survives_a_closed_page_and_can_be_cancelled(
    importing: Visitor, served: Served, visit: Callable[[Served], Visitor]
) -> None:
    page = importing.page
    body = "".join(f"{n}\tword{n % 9}\t第 {n} 个帖子的正文，word{n % 9} 在里面\n" for n in range(1, 60_001))
    choose(importing, "long.tsv", f"pid\thit_word\tcontext\n{body}".encode())
    page.get_by_role("button", name="Import", exact=True).click(timeout=20_000)
    wait_until(lambda: any("rows/s" in (r["message"] or "") for r in rows(served.engine, run)), seconds=30, step=0.02)
    with held_between_transactions(served, 1):
        expect(page.get_by_text("rows/s")).to_be_visible(timeout=30_000)
        importing.shoot("26-import-running")
        importing.context.close()
        visitor = visit(served)
        visitor.enter("lea", "imports")
        expect(visitor.page.get_by_text("long.tsv")).to_be_visible(timeout=20_000)
        expect(visitor.page.get_by_text("Import run 1 · running")).to_be_visible()
        choose(visitor, "short.tsv", b"pid\tcontext\n900001\thello\n")
        visitor.page.get_by_role("button", name="Import", exact=True).click(timeout=20_000)
        expect(visitor.page.get_by_text("short.tsv")).to_be_visible(timeout=20_000)
        expect(visitor.page.get_by_text("waiting for the worker")).to_be_visible()
        assert [found["status"] for found in rows(served.engine, run)] == ["running", "queued"]
    wait_until(lambda: {found["status"] for found in rows(served.engine, run)} == {"succeeded"}, seconds=120, step=1)
    assert len(rows(served.engine, post)) == 60_001
    cancel_one(visitor, served, f"pid\thit_word\tcontext\n{body.replace('个帖子', '篇文章')}".encode())
    visitor.assert_clean()


def cancel_one(visitor: Visitor, served: Served, content: bytes) -> None:
    """Import the file and press Cancel while it is being read: nothing of it stays, neither posts nor the upload."""
    page = visitor.page
    choose(visitor, "cancelled.tsv", content)
    page.get_by_role("button", name="Import", exact=True).click(timeout=20_000)
    wait_until(
        lambda: any("rows/s" in (r["message"] or "") for r in rows(served.engine, run, id=3)), seconds=30, step=0.02
    )
    with held_between_transactions(served, 3):
        page.get_by_role("button", name="Cancel", exact=True).click(timeout=30_000)
        wait_until(lambda: rows(served.engine, run, id=3)[0]["cancel_requested_at"] is not None, seconds=20)
    expect(page.get_by_text("Nothing of it was taken in.")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("combobox", name="Look at an import")).to_have_value(re.compile(r"cancelled\.tsv"))
    assert [found["status"] for found in rows(served.engine, run)] == ["succeeded", "succeeded", "cancelled"]
    assert len(rows(served.engine, post)) == 60_001
    assert not list((served.home / "data" / "uploads").iterdir())


# --- the inbox --------------------------------------------------------------------------------------------------------


def test_file_in_the_inbox_is_listed_previewed_imported_and_known_again(importing: Visitor, served: Served) -> None:
    page, inbox = importing.page, served.home / "data" / "inbox"
    (served.home / "secret.tsv").write_text("pid\tcontext\n1\tsecret\n")
    (inbox / "link.tsv").symlink_to(served.home / "secret.tsv")
    (inbox / ".hidden.tsv").write_text("pid\tcontext\n")
    (inbox / "half.tsv.partial").write_text("pid\tcontext\n")
    content = "pid\tcontext\n1\t你好，世界\n2\t再见\n".encode()
    for name, age in (("forum *export*.tsv", 60), ("new.tsv", 0)):
        (inbox / name).write_bytes(content)
        changed = time.time() - age
        os.utime(inbox / name, (changed, changed))
    expect(page.get_by_text("Inbox: 2 files")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("forum *export*.tsv")).to_be_visible()
    importing.shoot("24-inbox")
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator(".preview .card")).to_have_count(2, timeout=20_000)
    page.get_by_role("button", name="Import", exact=True).click()
    wait_until(lambda: len(rows(served.engine, post)) == 2, seconds=60)
    expect(page.get_by_text("imported on")).to_be_visible(timeout=20_000)
    assert (inbox / "forum *export*.tsv").exists()
    assert rows(served.engine, run)[0]["config"]["sha256"] == hashlib.sha256(content).hexdigest()
    page.get_by_role("button", name="Preview").first.click()
    expect(page.get_by_text("This very file was imported on")).to_be_visible(timeout=20_000)
    importing.shoot("25-known-again")
    page.get_by_role("button", name="Do not import").click()
    expect(page.locator(".upload")).to_be_visible(timeout=20_000)
    assert (inbox / "new.tsv").exists()
    importing.assert_clean()


# --- big files, and uploads that go wrong ----------------------------------------------------------------------------

MEBIBYTE = 1024 * 1024


def write_big(path: Path, megabytes: int) -> None:
    """An export of that size, without a pause for thought."""
    body = "".join(f"{n}\tword\t{'某个帖子的正文，' * 20}{n}\n" for n in range(1, 2_001)).encode()
    with path.open("wb") as out:
        out.write(b"pid\thit_word\tcontext\n")
        for _ in range(megabytes * 1_000_000 // len(body)):
            out.write(body)


class PeakMemory:
    """The highest resident memory of a process, looked at thirty times a second."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.peak = self._process.memory_info().rss
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.03):
            self.peak = max(self.peak, self._process.memory_info().rss)

    @property
    def grown_mb(self) -> float:
        return (self.peak - self.before) / 1e6


@pytest.mark.alone
def test_500_megabytes_are_uploaded_without_the_server_growing(
    importing: Visitor, served: Served, tmp_path: Path
) -> None:
    page, big = importing.page, tmp_path / "big.tsv"
    choose(importing, "small.tsv", b"pid\tcontext\n1\thello\n")  # what a first preview loads is not the upload's
    page.get_by_role("button", name="Do not import").click(timeout=20_000)
    expect(page.locator(".upload")).to_be_visible(timeout=20_000)
    write_big(big, 500)
    assert served.process is not None
    with PeakMemory(served.process.pid) as memory:
        page.locator(".upload input[type=file]").set_input_files(big)
        expect(page.locator(".upload progress")).to_be_visible()
        expect(page.get_by_text("all of the first 1,000 rows look right")).to_be_visible(timeout=120_000)
    stored = list((served.home / "data" / "uploads").iterdir())
    assert [path.stat().st_size for path in stored] == [big.stat().st_size]
    assert memory.grown_mb < 50, memory.grown_mb
    page.get_by_role("button", name="Do not import").click()
    expect(page.locator(".upload")).to_be_visible(timeout=20_000)
    assert not list((served.home / "data" / "uploads").iterdir())
    importing.assert_clean()


def test_upload_that_is_stopped_cut_off_or_signed_out_leaves_nothing_and_says_so(
    importing: Visitor, served: Served, tmp_path: Path
) -> None:
    page, big, uploads = importing.page, tmp_path / "big.tsv", served.home / "data" / "uploads"
    with big.open("wb") as out:
        out.truncate(6_000_000_000)  # takes no room, and long enough to be stopped on the way
    words, chooser = page.locator(".upload .words"), page.locator(".upload input[type=file]")
    chooser.set_input_files(big)
    expect(words).to_contain_text("of 6,000 MB", timeout=20_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(words).to_have_text("Stopped; nothing was stored.")
    wait_until(lambda: not list(uploads.iterdir()), seconds=20)
    importing.context.clear_cookies()
    chooser.set_input_files(big)
    expect(words).to_contain_text("You are signed out; nothing was stored", timeout=20_000)
    assert list(uploads.iterdir()) == []
    importing.sign_in("lea")
    importing.go("Import")
    chooser.set_input_files(big)
    expect(words).to_contain_text("of 6,000 MB", timeout=20_000)
    assert served.process is not None
    served.process.kill()
    expect(words).to_contain_text("nothing was stored", timeout=30_000)
    served.stop()
    served.start()
    assert list(uploads.iterdir()) == []


def test_import_that_was_killed_is_started_again_by_a_button_while_its_upload_is_there(
    importing: Visitor, served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "killed.tsv"
    path.write_text("pid\ttext\n1\tgood\n")
    config = asdict(ImportRequest(str(path), path.name, delete_after=True))
    with write(served.engine) as conn:
        killed = runs.add_run(conn, kind=RunKind.importing, config=config, created_by="lea", now=utc_now())
        runs.claim_run(conn, killed.id, pid=2**22 + 1, process_started=0.0, now=utc_now())
    importing.go("Home")
    importing.go("Import")
    page = importing.page
    expect(page.get_by_text("ended without a word")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Import again").click()
    wait_until(lambda: len(rows(served.engine, post)) == 1, seconds=60)
    expect(page.get_by_role("button", name="Import again")).to_have_count(0, timeout=20_000)
    importing.assert_clean()
