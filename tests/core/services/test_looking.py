"""Looking at a version: bars and cells count what SQL counts, open those very posts, and leave by export on record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import Engine

from core.distributions import BINS, BinPart, CellPart, Quantity, WholePart
from core.domain import Actor, Label
from core.errors import NotAllowed
from core.post_filter import Portion, PostFilter
from core.services import columns, looking
from core.services.columns import Columns
from core.services.looking import Order
from core.settings import Settings
from db.tables import audit_log
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, sync
from tests.core.services.test_columns import add_version, by_sql

SCORED = "FROM post JOIN prediction USING (text_id) WHERE version_id = 1"


@pytest.fixture
def found(engine: Engine, settings: Settings, pool: Callable[[int], None], moderator: Actor) -> Columns:
    """60 posts, scored but for each seventh; two decided, one on a card."""
    pool(60)
    add_version(engine, "v1", seed=1)
    first, second, third = sync(engine, moderator, want=3).cards
    for card in (first, second):
        sync(engine, moderator, decide(card, Label.violation), holding=[third.lease.id])
    columns.make(engine, settings, version="v1")
    made = columns.find(engine, OPERATOR, settings, version="v1")
    assert made is not None
    return made


def test_bars_are_what_sql_counts(engine: Engine, found: Columns) -> None:
    seen = looking.look(engine, OPERATOR, found, of=Quantity.violation, post_filter=PostFilter())
    bins = by_sql(engine, f"SELECT min(CAST(p_violation * 50 AS INTEGER), 49), count(*) {SCORED} GROUP BY 1")
    assert {int(b): int(n) for b, n in enumerate(seen.counts.sum(axis=(1, 2))) if n} == dict(bins)
    top = (
        "CASE WHEN p_normal >= p_suspicious AND p_normal >= p_violation THEN 0"
        " WHEN p_suspicious >= p_violation THEN 1 ELSE 2 END"
    )
    labels = by_sql(engine, f"SELECT {top}, count(*) {SCORED} GROUP BY 1")
    assert {int(b): int(n) for b, n in enumerate(seen.counts.sum(axis=(0, 2))) if n} == dict(labels)
    decided = by_sql(engine, f"SELECT count(*) {SCORED} AND post.id IN (SELECT post_id FROM decision)")
    assert seen.counts[:, :, Portion.decided].sum() == decided[0][0]
    held = f"SELECT count(*) {SCORED} AND post.id IN (SELECT post_id FROM lease WHERE ended_at IS NULL)"
    assert seen.counts[:, :, Portion.leased].sum() == by_sql(engine, held)[0][0]
    assert (seen.chosen, seen.scored) == (60, by_sql(engine, f"SELECT count(*) {SCORED}")[0][0])


def test_a_bar_opens_its_posts_the_least_sure_first_page_by_page(engine: Engine, found: Columns) -> None:
    margin = (
        "max(p_normal, p_suspicious, p_violation) -"
        " (1 - max(p_normal, p_suspicious, p_violation) - min(p_normal, p_suspicious, p_violation))"
    )
    listed = [row[0] for row in by_sql(engine, f"SELECT post.id {SCORED} AND p_violation < 0.4 ORDER BY {margin}")]
    assert len(listed) > 20
    asked = {"part": BinPart(Quantity.violation, 0, 19), "post_filter": PostFilter(), "page_size": 8}
    pages = [looking.posts_behind(engine, OPERATOR, found, page=page, **asked) for page in range(1, 9)]
    assert {total for total, _posts in pages} == {len(listed)}
    assert [post.post_id for _total, posts in pages for post in posts] == listed
    _total, surest = looking.posts_behind(engine, OPERATOR, found, page=1, order=Order.sure, **asked)
    assert [post.post_id for post in surest] == listed[::-1][:8]
    _total, newest = looking.posts_behind(engine, OPERATOR, found, page=1, order=Order.newest, **asked)
    assert [post.post_id for post in newest] == sorted(listed, reverse=True)[:8]


def test_listed_posts_say_what_the_model_says_and_what_became_of_them(engine: Engine, found: Columns) -> None:
    narrowed = PostFilter(labels=(Label.violation,))
    total, posts = looking.posts_behind(
        engine, OPERATOR, found, part=WholePart(), post_filter=narrowed, page=1, order=Order.newest
    )
    assert total == len(posts) > 0
    for post in posts:
        assert (post.label, post.portion) == (Label.violation, Portion.decided)
        assert post.predicted == int(np.argmax(post.probabilities))
        said = by_sql(engine, f"SELECT p_normal, p_suspicious, p_violation {SCORED} AND post.id = {post.post_id}")
        assert said == [post.probabilities]


def test_the_triangle_opens_what_its_cells_count(engine: Engine, found: Columns) -> None:
    seen = looking.look(engine, OPERATOR, found, of=Quantity.confidence, post_filter=PostFilter())
    total, _posts = looking.posts_behind(
        engine, OPERATOR, found, part=CellPart(5, 30, 3, 20), post_filter=PostFilter(), page=1
    )
    assert total == seen.cells[5:31, 3:21].sum() > 0


def test_exports_hold_all_of_it_and_are_on_record_without_whom_they_are_about(
    engine: Engine, found: Columns, lead: Actor
) -> None:
    narrowed = PostFilter(author="author7", words=("word0", "word1"))
    sheet = looking.export_posts(engine, lead, found, part=WholePart(), post_filter=PostFilter(), now=NOW)
    exported = [row for batch in sheet.batches for row in batch]
    assert [row[0] for row in exported] == [row[0] for row in by_sql(engine, f"SELECT post.id {SCORED} ORDER BY 1")]
    assert sheet.names == (
        "post", "pid", "side", "predicted", "p_normal", "p_suspicious", "p_violation", "label", "portion", "text",
    )  # fmt: skip
    bars = looking.export_bars(engine, lead, found, of=Quantity.margin, post_filter=PostFilter(), now=NOW)
    assert sum(row[-1] for batch in bars.batches for row in batch) == len(exported)  # type: ignore[misc]
    cells = looking.export_cells(engine, lead, found, post_filter=narrowed, now=NOW)
    assert sum(row[-1] for batch in cells.batches for row in batch) <= 1  # type: ignore[misc]
    said = [row["details"]["what"] for row in rows(engine, audit_log, actor="lea")]
    assert said == ["posts (all)", "distribution of margin", "three probabilities; word word0|word1, author …"]


def test_moderators_look_at_nothing_and_export_nothing(engine: Engine, found: Columns, moderator: Actor) -> None:
    for call in (
        lambda: looking.look(engine, moderator, found, of=Quantity.margin, post_filter=PostFilter()),
        lambda: looking.posts_behind(engine, moderator, found, part=WholePart(), post_filter=PostFilter(), page=1),
        lambda: looking.export_posts(engine, moderator, found, part=WholePart(), post_filter=PostFilter(), now=NOW),
    ):
        with pytest.raises(NotAllowed):
            call()
    assert len(Quantity.margin.edges()) - 1 == BINS
