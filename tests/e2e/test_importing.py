"""The import page: files of any kind dropped in, problems said before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Role, RunKind
from core.services.importing import ImportRequest
from db import runs
from db.engine import write
from db.tables import decision, post, run, source
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = pytest.mark.browser
SPLIT_TEXTS = (("你好", "train"), ("你好！", "test"), ("再见", "test"))


@pytest.fixture
def importing(served: Served, visit: Callable[[Served], Visitor]) -> Visitor:
    visitor = visit(served)
    visitor.sign_in(served.add_user("lea", Role.lead))
    visitor.go("Import")
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
    expect(page.get_by_text("line 3: 1 fields where the header has 2")).to_be_visible()
    importing.shoot("20-import-preview")
    assert rows(served.engine, post) == []
    page.get_by_role("button", name="Import", exact=True).click()
    link = page.get_by_role("link", name="Rejected rows of 论坛 export.tsv")
    expect(link).to_be_visible(timeout=60_000)
    importing.shoot("21-imported")
    assert [found["pid"] for found in rows(served.engine, post)] == ["1", "3"]
    address = link.get_attribute("href") or ""
    rejected = importing.context.request.get(served.url + address)
    assert rejected.text() == "line\treason\traw\n3\t1 fields where the header has 2\t2\n"
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
    expected = {Role.moderator: {"Home", "Label"}, Role.analyst: {"Home", "Models", "Distributions"}}
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
    expect(page.get_by_text("3 of the first 3 rows look wrong")).to_be_visible()
    page.get_by_text("Encoding and columns", exact=True).click()
    page.wait_for_timeout(600)  # it opens slowly, and a list opened meanwhile closes again
    for title, option in (
        ("What integers mean as labels", "0 normal · 1 violation · 2 suspicious"),
        ("What its word is worth", "suggestion: a model's opinion"),
    ):
        page.get_by_role("combobox", name=title, exact=False).first.click()
        page.get_by_role("option", name=option, exact=True).click()
        importing.settle()
    expect(page.get_by_text("all rows seen so far look right")).to_be_visible()
    importing.shoot("22-import-label-studio")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 text stands both in its training and its evaluation split")).to_be_visible(
        timeout=60_000
    )
    assert [made["label"] for made in rows(served.engine, decision)] == [2, 2]
    assert [found["trust"] for found in rows(served.engine, source, kind="file")] == ["suggestion"]
    importing.assert_clean()


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
