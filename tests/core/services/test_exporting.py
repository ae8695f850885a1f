"""Exports: what each table holds, who may have it, what of people stands in it, and that it is on record."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core.domain import Actor, Label, Prediction
from core.errors import BadInput, NotAllowed, NotFound
from core.services import exporting, thresholding
from core.services.exporting import Authors, Content, Wanted
from core.settings import Settings
from core.sheets import BOM, SheetForm, write_sheet
from core.thresholds import Thresholds
from db import models
from db.engine import write
from db.tables import audit_log, post
from tests.conftest import NOW, rows
from tests.core.services.conftest import decide, import_file, sync

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"


@pytest.fixture
def export(engine: Engine, settings: Settings) -> Callable[..., list[dict[str, str]]]:
    """The rows of a table as its readers get them."""

    def made(actor: Actor, content: Content, **how: object) -> list[dict[str, str]]:
        wanted = Wanted(content, SheetForm.csv, **how)  # type: ignore[arg-type]
        sheet = exporting.open_sheet(engine, actor, wanted, settings=settings, now=NOW)
        text = b"".join(write_sheet(sheet, SheetForm.csv)).decode().removeprefix(BOM)
        return list(csv.DictReader(io.StringIO(text, newline="")))

    return made


@pytest.fixture
def version(engine: Engine, pool: Callable[[int], None]) -> str:
    """A version that is active and has scored half of twelve posts."""
    pool(12)
    with write(engine) as conn:
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
        texts = list(conn.execute(select(post.c.text_id).order_by(post.c.id)).scalars())
        said = [Prediction(made.id, text, (0.125, 0.25, 0.625)) for text in texts[::2]]
        models.add_predictions(conn, said)
    return made.name


def test_decisions_come_with_their_source_and_whether_they_stand(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, lead: Actor, analyst: Actor, export: Callable
) -> None:
    pool(3)
    cards = sync(engine, moderator, want=2).cards
    sync(engine, moderator, *(decide(card, Label.violation) for card in cards))
    found = export(lead, Content.decisions)
    assert [(row["label"], row["source"], row["stands"], row["decided_by"]) for row in found] == [
        ("violation", "person", "true", "mo")
    ] * 2
    assert {row["post"] for row in found} == {str(card.lease.post_id) for card in cards}
    told = export(analyst, Content.decisions)
    assert [row["label"] for row in told] == ["violation"] * 2
    assert {"decided_by", "note"} & told[0].keys() == set()
    assert "mo" not in {cell for row in told for cell in row.values()}


def test_gold_labels_are_those_that_count(
    engine: Engine, tmp_path: Path, analyst: Actor, export: Callable, lead: Actor
) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("pid\ttext\tlabel\n1\t天气真好\tnormal\n2\t加微信领红包\tviolation\n3\t出售自行车\tnormal\n")
    import_file(engine, path)
    other = tmp_path / "others.tsv"
    other.write_text("pid\ttext\tlabel\n3\t出售自行车\tviolation\n")
    import_file(engine, other)
    found = export(analyst, Content.gold)  # of the third, sources disagree
    assert [(row["pid"], row["label"], row["text"]) for row in found] == [
        ("1", "normal", "天气真好"),
        ("2", "violation", "加微信领红包"),
    ]


def test_predictions_are_those_of_the_active_version_or_of_the_one_that_is_named(
    version: str, analyst: Actor, export: Callable
) -> None:
    found = export(analyst, Content.predictions)
    assert [row["post"] for row in found] == ["1", "3", "5", "7", "9", "11"]
    assert {(row["version"], row["predicted"], row["p_violation"]) for row in found} == {("v1", "violation", "0.625")}
    assert export(analyst, Content.predictions, version="v1") == found
    with pytest.raises(NotFound, match="v9"):
        export(analyst, Content.predictions, version="v9")


def test_predictions_without_an_active_version_say_what_to_do(analyst: Actor, export: Callable) -> None:
    with pytest.raises(NotFound, match="promote one"):
        export(analyst, Content.predictions)


def test_a_table_is_whole_over_many_steps(
    version: str, analyst: Actor, export: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = export(analyst, Content.predictions)
    monkeypatch.setattr(exporting, "STEP", 2)
    assert export(analyst, Content.predictions) == whole


def test_authors_are_left_out_or_have_pseudonyms_but_for_who_may_see_them(
    version: str, analyst: Actor, lead: Actor, export: Callable, settings: Settings
) -> None:
    assert not {"author", "authorid", "useip"} & export(analyst, Content.predictions)[0].keys()
    named = export(analyst, Content.predictions, authors=Authors.pseudonyms)
    assert len({row["author"] for row in named}) == len({row["useip"] for row in named}) == len(named)
    assert not any("author" in row["author"] or "192.0.2" in row["useip"] for row in named)
    assert export(analyst, Content.predictions, authors=Authors.pseudonyms) == named
    plain = export(lead, Content.predictions, authors=Authors.plain)
    assert [(row["author"], row["useip"]) for row in plain[:2]] == [("author0", "192.0.2.0"), ("author2", "192.0.2.2")]
    with pytest.raises(NotAllowed):
        export(analyst, Content.predictions, authors=Authors.plain)
    assert settings.pseudonyms_file.stat().st_mode & 0o077 == 0


def test_with_another_key_everybody_has_another_name(
    version: str, analyst: Actor, export: Callable, settings: Settings
) -> None:
    before = export(analyst, Content.predictions, authors=Authors.pseudonyms)
    settings.pseudonyms_file.unlink()
    after = export(analyst, Content.predictions, authors=Authors.pseudonyms)
    assert not {row["author"] for row in before} & {row["author"] for row in after}


def test_families_hold_near_copies_and_no_single_posts(
    engine: Engine, tmp_path: Path, analyst: Actor, export: Callable
) -> None:
    path = tmp_path / "spam.tsv"
    texts = [SPAM.format("11111111"), "今天的天气真好", SPAM.format("22222222")]
    path.write_text("pid\tcontext\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts, 1)))
    import_file(engine, path)
    found = export(analyst, Content.families)
    assert [(row["family"], row["size"], row["pid"]) for row in found] == [("1", "2", "1"), ("1", "2", "3")]


def test_agreement_holds_what_both_said(
    engine: Engine,
    pool: Callable[[int], None],
    moderator: Actor,
    second_moderator: Actor,
    lead: Actor,
    export: Callable,
) -> None:
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO policy (document, set_by, set_at) VALUES ('{\"second_share\": 1}', 'test', '2026-01-02')"
        )
    pool(1)
    for actor, label in ((moderator, Label.normal), (second_moderator, Label.violation)):
        card = sync(engine, actor, want=1).cards[0]
        sync(engine, actor, decide(card, label))
    (found,) = export(lead, Content.agreement)
    assert (found["first_by"], found["first_label"], found["second_by"], found["second_label"], found["same"]) == (
        "mo", "normal", "mimi", "violation", "false",
    )  # fmt: skip


def test_what_measures_people_and_the_audit_log_are_for_the_lead(
    engine: Engine, analyst: Actor, moderator: Actor, lead: Actor, export: Callable
) -> None:
    for content in Content:
        with pytest.raises(NotAllowed):
            export(moderator, content, policy="careful")
    for content in (Content.agreement, Content.audit):
        with pytest.raises(NotAllowed):
            export(analyst, content)
    assert rows(engine, audit_log) == []
    assert export(lead, Content.audit) == []
    assert [row["action"] for row in export(lead, Content.audit)] == ["export"]


def test_who_exported_what_is_on_record(engine: Engine, version: str, analyst: Actor, export: Callable) -> None:
    export(analyst, Content.gold, authors=Authors.pseudonyms)
    export(analyst, Content.predictions, version="v1")
    assert [(row["actor"], row["details"]["what"]) for row in rows(engine, audit_log, action="export")] == [
        ("ana", "gold as csv, authors pseudonyms"),
        ("ana", "predictions of v1 as csv"),
    ]


def test_other_tools_take_gold_labels_alone() -> None:
    with pytest.raises(BadInput, match="gold labels"):
        Wanted(Content.decisions, SheetForm.doccano)


@pytest.mark.alone
@pytest.mark.parametrize("content", [Content.predictions, Content.verdicts, Content.families])
def test_memory_does_not_grow_with_the_forum(engine: Engine, settings: Settings, lead: Actor, content: Content) -> None:
    with write(engine) as conn:
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
    thresholding.save_policy(engine, lead, "careful", Thresholds(0.9, 0.9), version="v1", now=NOW)
    wanted = Wanted(content, SheetForm.csv, Authors.plain, policy="careful")
    peaks, rows_written, first = [], [], 1
    for count in (10_000, 40_000):
        fill(engine, first, count)
        first += count
        tracemalloc.start()
        sheet = exporting.open_sheet(engine, lead, wanted, settings=settings, now=NOW)
        rows_written.append(sum(piece.count(b"\n") for piece in write_sheet(sheet, SheetForm.csv)) - 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert rows_written == [10_000, 50_000]
    assert peaks[1] < peaks[0] * 1.3


def fill(engine: Engine, first: int, count: int) -> None:
    """So many scored posts with a hit, ids from `first` on, in families of two."""
    with write(engine) as conn:
        if first == 1:
            conn.exec_driver_sql(
                "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at, "
                "published_at) VALUES (1, 'import', 'succeeded', '', 0, '', '{}', '{}', 'x', '2026-01-01', "
                "'2026-01-01')"
            )
        conn.exec_driver_sql("CREATE TEMP TABLE n (n INTEGER PRIMARY KEY)")
        conn.exec_driver_sql(
            f"WITH RECURSIVE up(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM up WHERE n < {first + count - 1}) "
            "INSERT INTO n SELECT n FROM up"
        )
        for statement in (
            "text (id, hash, normal_hash, body, side) SELECT n, n, n, 'words of post ' || n, 'train' FROM n",
            "post (id, pid, text_id, import_id, original, author, extra) SELECT n, n, n, 1, 'x', 'a' || n, '{}' FROM n",
            "family_place (text_id, representative_id) SELECT n, n - 1 + n % 2 FROM n",
            "hit (post_id, fingerprint, word, import_id, place, excerpt) SELECT n, n, 'w', 1, n, 'words ' || n FROM n",
            "prediction SELECT 1, n, 0.5, 0.25, 0.25 FROM n",
        ):
            conn.exec_driver_sql(f"INSERT INTO {statement}")
        conn.exec_driver_sql("DROP TABLE n")
