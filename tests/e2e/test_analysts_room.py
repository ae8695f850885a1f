"""Thresholds, words and exports in the browser; every number is the one that SQL gives."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import insert, select

from core.domain import LABEL_NAMES, Prediction, Role
from db import models
from db.engine import write
from db.tables import audit_log, distinct_text, post, source
from tests.conftest import NOW, rows
from tests.core.services.conftest import import_file, unlike
from tests.e2e.conftest import Served, Visitor, free_port

pytestmark = pytest.mark.browser

POSTS = 500  # a fifth of them train, the others are of the audit slice


@pytest.fixture(scope="module")
def forum(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Served]:
    """A judged forum whose version is right as a rule; one import, so that nobody knows how many posts a day come."""
    home = tmp_path_factory.mktemp("forum")
    server = Served(home, free_port())
    (home / "data").mkdir()
    shutil.copy(migrated, home / "data" / "tiebreak.db")
    rng = np.random.default_rng(3)
    truth = rng.choice(3, size=POSTS, p=(0.7, 0.1, 0.2))
    lines = [f"{n}\t{unlike(n)}\t{LABEL_NAMES[truth[n]]}\tword{n % 3}" for n in range(POSTS)]
    (home / "labels.tsv").write_text("\n".join(["pid\ttext\tlabel\thit_word", *lines]) + "\n")
    import_file(server.engine, home / "labels.tsv")
    with write(server.engine) as conn:
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
        texts = list(conn.execute(select(post.c.text_id).order_by(post.c.id)).scalars())
        conn.execute(distinct_text.update().where(distinct_text.c.id > texts[POSTS // 5]).values(side="audit"))
        logits = rng.normal(size=(POSTS, 3)) + 4 * np.eye(3)[truth]
        said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        models.add_predictions(
            conn, [Prediction(made.id, t, tuple(p)) for t, p in zip(texts, said.tolist(), strict=True)]
        )
        conn.execute(insert(source).values(kind="person", name="ana"))
    server.start()
    server.add_user("ana", Role.analyst)
    yield server
    server.stop()


def counted(server: Served, passes: float, removes: float) -> tuple[int, int]:
    """Posts that pass, and that are removed, by SQL."""
    with server.engine.connect() as conn:
        query = (
            "SELECT coalesce(sum(p_normal >= ? AND p_violation < ?), 0), sum(p_violation >= ?) "
            "FROM post JOIN prediction USING (text_id)"
        )
        passed, removed = conn.exec_driver_sql(query, (passes, removes, removes)).one()
        return int(passed), int(removed)


def metric(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_test_id("stMetric").filter(has_text=name)


def expect_counts(visitor: Visitor, passes: float, removes: float) -> None:
    passed, removed = counted(visitor.server, passes, removes)
    expect(metric(visitor, "Pass")).to_contain_text(f"{passed / POSTS:.1%}")
    expect(metric(visitor, "Are removed")).to_contain_text(f"{removed / POSTS:.1%}")
    expect(metric(visitor, "Left for moderators")).to_contain_text(f"{1 - (passed + removed) / POSTS:.1%}")


def move(visitor: Visitor, slider: int, *, to: str) -> None:
    """A step to the left; the page is drawn, and its address renewed, before the next."""
    visitor.page.get_by_role("slider").nth(slider).press("ArrowLeft")
    expect(visitor.page.get_by_test_id("stSlider").nth(slider)).to_contain_text(to)
    expect(visitor.page).to_have_url(re.compile(f"={to}(&|$)"))
    visitor.settle()


def test_sliders_answer_in_the_forums_own_numbers_and_are_saved_sent_and_exported(
    forum: Served, visit: Callable[[Served], Visitor]
) -> None:
    analyst = visit(forum)
    analyst.enter("ana", "thresholds")
    page = analyst.page
    expect_counts(analyst, 0.97, 0.9)
    move(analyst, 0, to="0.96")
    move(analyst, 1, to="0.89")
    move(analyst, 1, to="0.88")
    expect_counts(analyst, 0.96, 0.88)
    expect(page.get_by_text("cannot be known from one import", exact=False)).to_be_visible()
    page.get_by_label("Posts a day").fill("1000")
    page.get_by_label("Posts a day").press("Enter")
    passed, _removed = counted(forum, 0.96, 0.88)
    expect(metric(analyst, "Pass")).to_contain_text(f"{passed * 1000 / POSTS:,.0f} a day")
    expect(page.get_by_text("judged families of the audit slice", exact=False)).to_be_visible()
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Table as CSV").click()
    points = list(csv.DictReader(io.StringIO(downloaded.value.path().read_text(encoding="utf-8-sig"))))
    least = points[0]
    passed, removed = counted(forum, float(least["passes"] or 2), float(least["removes"] or 2))
    assert float(least["left"]) == pytest.approx(1 - (passed + removed) / POSTS)
    analyst.shoot("70-thresholds")

    page.get_by_label("Name of the thresholds").fill("careful")
    page.get_by_label("Name of the thresholds").press("Enter")
    page.get_by_role("button", name="Save these thresholds").click()
    expect(page.get_by_role("button", name="Set the sliders to it")).to_be_visible()
    move(analyst, 0, to="0.95")
    sent = page.url
    page.get_by_role("button", name="Set the sliders to it").click()
    expect(page.get_by_test_id("stSlider").nth(0)).to_contain_text("0.96")
    expect_counts(analyst, 0.96, 0.88)
    colleague = visit(forum)
    colleague.enter("ana", sent.removeprefix(forum.url + "/"))
    expect_counts(colleague, 0.95, 0.88)

    analyst.go("Exports")
    page.get_by_label("Table").click()
    page.get_by_role("option", name="Posts, with what thresholds say").click()
    expect(page.get_by_label("Thresholds", exact=True)).to_be_visible()
    analyst.settle()
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download").click()
    text = downloaded.value.path().read_text(encoding="utf-8-sig")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert (sum(row["verdict"] == "passes" for row in found), sum(row["verdict"] == "removed" for row in found)) == (
        counted(forum, 0.96, 0.88)
    )
    assert "author" not in found[0]
    analyst.shoot("71-exports")
    analyst.assert_clean()
    colleague.assert_clean()


def test_words_are_told_with_their_record_and_taken_along(forum: Served, visit: Callable[[Served], Visitor]) -> None:
    analyst = visit(forum)
    analyst.enter("ana", "words")
    page = analyst.page
    expect(page.get_by_text("3 hit words, 0 of which could go")).to_be_visible(timeout=20_000)
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Table as CSV").click()
    text = downloaded.value.path().read_text(encoding="utf-8-sig")
    found = [(row["word"], int(row["posts"]), int(row["violations"])) for row in csv.DictReader(io.StringIO(text))]
    with forum.engine.connect() as conn:
        wanted = conn.exec_driver_sql(
            "SELECT word, count(*), sum(label = 2) FROM hit JOIN decision USING (post_id) GROUP BY word"
        ).all()
    assert sorted(found) == sorted(map(tuple, wanted))
    analyst.shoot("72-words")
    expect(page).to_have_url(re.compile("show=all"))
    analyst.open("/words?word=word1")
    expect(page.get_by_text("1 hit word, 0 of which could go")).to_be_visible(timeout=20_000)
    analyst.open("/words")
    expect(page.get_by_text("3 hit words, 0 of which could go")).to_be_visible(timeout=20_000)
    page.get_by_role("radio", name="Words to retire").click()
    expect(page.get_by_text("None: of each word", exact=False)).to_be_visible()
    page.get_by_role("radio", name="What the list lacks").click()
    expect(page.get_by_text("Nothing tells violations from normal posts", exact=False)).to_be_visible()
    analyst.settle()
    assert [row["details"]["what"] for row in rows(forum.engine, audit_log, actor="ana", action="export")][-1] == (
        "hit words as csv"
    )
    analyst.assert_clean()


# --- distributions, trust and change ----------------------------------------------------------------------------------

TOP = "max(p_normal, p_suspicious, p_violation)"
PREDICTED = f"CASE {TOP} WHEN p_normal THEN 0 WHEN p_suspicious THEN 1 ELSE 2 END"
RECTANGLES = "svg .mark-rect.role-mark:not([class*=brush]) path"
SCORED = "FROM post JOIN prediction ON prediction.text_id = post.text_id AND version_id = 1"


def by_sql(server: Served, query: str) -> list[tuple[int, ...]]:
    with server.engine.connect() as conn:
        return [tuple(row) for row in conn.exec_driver_sql(query)]


def marks(visitor: Visitor, chart: int) -> Locator:
    """Rectangles of a chart in their order, without that of its brush."""
    visitor.settle()
    found = visitor.page.get_by_test_id("stVegaLiteChart").nth(chart).locator(RECTANGLES)
    expect(found.first).to_be_visible(timeout=20_000)
    return found


def test_a_bar_and_the_triangle_open_their_posts_and_the_view_is_sent_and_saved(
    forum: Served, visit: Callable[[Served], Visitor]
) -> None:
    analyst = visit(forum)
    analyst.enter("ana", "distributions")
    page = analyst.page
    expect(page.get_by_text(f"{POSTS} of {POSTS} posts scored by v1")).to_be_visible(timeout=30_000)
    marks(analyst, 0).last.click(force=True)  # the column over the highest bar
    ((sure,),) = by_sql(forum, f"SELECT count(*) {SCORED} WHERE {TOP} >= 0.98")
    heading = f"Probability of the most likely label between 0.980 and 1.000: {sure} posts"
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    listed = page.get_by_test_id("stDataFrame").locator("canvas tbody tr")
    expect(listed).to_have_count(20)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("heading", name=heading)).to_have_count(0)

    cells = by_sql(
        forum,
        "SELECT min(CAST((p_suspicious + p_violation / 2) * 40 AS INTEGER), 39),"
        f" min(CAST(p_violation * 35 AS INTEGER), 34), count(*) {SCORED} GROUP BY 1, 2 ORDER BY 1, 2",
    )
    fullest = max(range(len(cells)), key=lambda place: cells[place][2])
    marks(analyst, 1).nth(fullest).click(force=True)
    marked = "In the part of the triangle that is marked"
    expect(page.get_by_role("heading", name=f"{marked}: {cells[fullest][2]} posts")).to_be_visible()
    analyst.settle()
    triangle = page.get_by_test_id("stVegaLiteChart").nth(1).locator("svg.marks")
    triangle.scroll_into_view_if_needed()
    box = triangle.bounding_box()
    assert box
    page.mouse.move(box["x"] + 8, box["y"] + 95)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] - 25, steps=5)
    page.mouse.up()
    expect(page.get_by_role("heading", name=f"{marked}: {POSTS} posts")).to_be_visible()
    analyst.shoot("73-distributions")

    narrowed = visit(forum)
    narrowed.enter("ana", "distributions?word=word1&label=violation&of=margin&scale=log")
    of_filter = f"{SCORED} JOIN hit ON hit.post_id = post.id JOIN decision ON decision.post_id = post.id"
    ((left,),) = by_sql(forum, f"SELECT count(*) {of_filter} WHERE word = 'word1' AND label = 2")
    page = narrowed.page
    expect(page.get_by_text(f"{left} of {left} posts scored by v1")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Margin between the two most likely labels").first).to_be_visible()
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Table as CSV").first.click()
    text = downloaded.value.path().read_text(encoding="utf-8-sig")
    assert sum(int(row["posts"]) for row in csv.DictReader(io.StringIO(text))) == left
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as downloaded:
            page.get_by_role("button", name=f"Save as {kind}").first.click()
        assert downloaded.value.path().read_bytes().startswith(begins)
    assert rows(forum.engine, audit_log, actor="ana", action="export")[-1]["details"]["what"] == (
        "distribution of margin; word word1, label violation"
    )
    narrowed.open("/distributions?label=spam")
    expect(page.get_by_text("'spam' is not known for 'label'; there are: normal, suspicious")).to_be_visible()
    analyst.assert_clean()
    narrowed.assert_clean()


def test_a_cell_of_the_confusion_matrix_opens_its_posts(forum: Served, visit: Callable[[Served], Visitor]) -> None:
    analyst = visit(forum)
    analyst.enter("ana", "trust?of=violation")
    page = analyst.page
    measured = (
        f"{SCORED} JOIN decision ON decision.post_id = post.id JOIN text ON text.id = post.text_id WHERE side = 'audit'"
    )
    ((judged,),) = by_sql(forum, f"SELECT count(*) {measured}")
    expect(page.get_by_text(f"Measured on {judged} judged texts of the audit slice")).to_be_visible(timeout=30_000)
    ((wrong,),) = by_sql(forum, f"SELECT count(*) {measured} AND label <> {PREDICTED}")
    expect(page.get_by_role("heading", name=f"{wrong} errors, the surest first")).to_be_visible()
    marks(analyst, 2).nth(8).click(force=True)  # of violations what was said to be one
    ((right,),) = by_sql(forum, f"SELECT count(*) {measured} AND label = 2 AND {PREDICTED} = 2")
    title = f"Decided as violation, predicted violation: {right} judged texts"
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    analyst.shoot("74-trust")
    analyst.go("Change")
    expect(page.get_by_text("There is one version to look at", exact=False)).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Imports of two weeks with 50 scored posts each", exact=False)).to_be_visible()
    analyst.assert_clean()
