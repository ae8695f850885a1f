"""Tables that leave the program: decisions, labels, predictions, families, agreement, the audit log.

A table is read in steps, each in a transaction of its own, while it is written: memory does not grow with it, and no
reader keeps the database's log from being cut for as long as a browser takes. Each step is as of its own moment. Who
exports what is on record before the first row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, LogFilter, ModelVersion, SecondOpinion, ThresholdPolicy
from core.errors import BadInput, NotFound
from core.permissions import Permission, may, require
from core.pseudonyms import Pseudonyms, read_pseudonyms
from core.services import auditing
from core.services.agreeing import opinions_of_two
from core.services.thresholding import require_policy
from core.settings import Settings
from core.sheets import TABULAR, Batch, CellKind, Column, Row, Sheet, SheetForm
from core.thresholds import Thresholds
from core.wording import _
from db import models, seconds, sheets
from db.engine import read

STEP = 5_000  # ids that are read at once


class Content(StrEnum):
    """What is exported."""

    decisions = "decisions"
    gold = "gold"
    predictions = "predictions"
    verdicts = "verdicts"
    families = "families"
    agreement = "agreement"
    audit = "audit"


NEEDED = {
    Content.decisions: Permission.export,
    Content.gold: Permission.export,
    Content.predictions: Permission.export,
    Content.verdicts: Permission.export,
    Content.families: Permission.export,
    Content.agreement: Permission.review,
    Content.audit: Permission.audit,
}

WITH_AUTHORS = frozenset({Content.gold, Content.predictions, Content.verdicts})


class Authors(StrEnum):
    """How authors of posts and their addresses are written."""

    left_out = "left-out"
    pseudonyms = "pseudonyms"
    plain = "plain"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. version: of predictions and verdicts; the active one where none is named.

    policy: the thresholds that verdicts are by.
    """

    content: Content
    form: SheetForm
    authors: Authors = Authors.left_out
    version: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        if self.content is Content.verdicts and self.policy is None:
            raise BadInput(_("Say by which thresholds; the Thresholds page saves them under a name."))
        if self.form not in TABULAR and self.content is not Content.gold:
            raise BadInput(
                _("{form} takes gold labels; {content} can be written as {forms}.").format(
                    form=self.form, content=self.content, forms=", ".join(TABULAR)
                )
            )

    @property
    def words(self) -> str:
        """For the audit log."""
        of = f" of {self.version}" if self.version else ""
        by = f" by {self.policy}" if self.policy else ""
        authors = "" if self.authors is Authors.left_out else f", authors {self.authors}"
        return f"{self.content}{of}{by} as {self.form}{authors}"


def open_sheet(engine: Engine, actor: Actor, wanted: Wanted, *, settings: Settings, now: datetime) -> Sheet:
    """The table, to be read once; it is on record that it leaves.

    Raises NotAllowed for what the role may not have, NotFound for an unknown version or where there is none yet.
    """
    require(actor, NEEDED[wanted.content])
    if wanted.authors is Authors.plain:
        require(actor, Permission.see_author)
    people = _People(wanted.authors, settings)
    if wanted.content is Content.audit:
        return _audit_log(engine, actor, now)
    with read(engine) as conn:
        made = _sheet(conn, engine, actor, wanted, people)
    auditing.record_export(engine, actor, wanted.words, now=now)
    return made


def _sheet(conn: Connection, engine: Engine, actor: Actor, wanted: Wanted, people: _People) -> Sheet:
    if wanted.content is Content.decisions:
        return _decisions(engine, sheets.newest_decision(conn), shows_people=may(actor, Permission.review))
    if wanted.content is Content.gold:
        return _gold(engine, sheets.newest_post(conn), people)
    if wanted.content is Content.predictions:
        return _predictions(engine, sheets.newest_post(conn), _version(conn, wanted.version), people)
    if wanted.content is Content.verdicts:
        policy, version = require_policy(conn, wanted.policy or ""), _version(conn, wanted.version)
        return _verdicts(engine, sheets.newest_post(conn), version, policy, people, sheets.extra_names(conn))
    if wanted.content is Content.families:
        return _families(engine, sheets.newest_text(conn))
    return _agreement(conn)


def _version(conn: Connection, name: str | None) -> ModelVersion:
    found = models.active_version(conn) if name is None else models.require_version(conn, name)
    if found is None:
        raise NotFound(_("No model version is active yet; name one, or promote one on the Models page."))
    return found


def _in_steps(engine: Engine, newest: int, rows_of: Callable[[Connection, int, int], list[Row]]) -> Iterator[Batch]:
    for first in range(1, newest + 1, STEP):
        with read(engine) as conn:
            rows = rows_of(conn, first, first + STEP - 1)
        if rows:
            yield rows


class _People:
    """The columns of a post's author and address, as they are asked for."""

    def __init__(self, authors: Authors, settings: Settings) -> None:
        self._authors = authors
        self._names: Pseudonyms | None = None
        if authors is Authors.pseudonyms:
            self._names = read_pseudonyms(settings.pseudonyms_file)

    @property
    def columns(self) -> tuple[Column, ...]:
        return () if self._authors is Authors.left_out else tuple(map(Column, ("author", "authorid", "useip")))

    def cells(self, found: tuple[Any, ...]) -> Row:
        """found: author, number, address."""
        if self._authors is Authors.left_out:
            return ()
        if self._names is None:
            return found
        kinds = ("author", "number", "address")
        return tuple(self._names.of(kind, value) for kind, value in zip(kinds, found, strict=True))


# --- tables -----------------------------------------------------------------------------------------------------------


def _whole(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, CellKind.whole) for name in names)


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


PROBABILITIES = tuple(Column(f"p_{label.name}", CellKind.number) for label in Label)


def _decisions(engine: Engine, newest: int, *, shows_people: bool) -> Sheet:
    """Every decision, also those that were taken back; who made it and the note for whoever sees people's figures."""
    columns = (
        *_whole("decision", "post"), *_texts("pid"), *_whole("family"), *_texts("side", "label"),
        Column("stands", CellKind.yes_no), Column("decided_at", CellKind.time), *_texts("source", "trust"),
        Column("settles", CellKind.yes_no), Column("by_family", CellKind.yes_no),
        *_texts("rule", "model_view", "reason", "text"), *(_texts("decided_by", "note") if shows_people else ()),
    )  # fmt: skip

    def rows_of(conn: Connection, first: int, last: int) -> list[Row]:
        return [
            (
                r.id, r.post_id, r.pid, r.representative_id, r.side, _name_of(r.label), bool(r.stands), r.decided_at,
                r.kind, r.trust, r.settles, r.via_id is not None, r.rule, r.model_view, r.reason, r.body,
                *((r.name, r.note) if shows_people else ()),
            )
            for r in sheets.decisions_between(conn, first, last)
        ]  # fmt: skip

    return Sheet(columns, _in_steps(engine, newest, rows_of))


def _name_of(label: int | None) -> str | None:
    return None if label is None else Label(label).name


def _gold(engine: Engine, newest: int, people: _People) -> Sheet:
    """The label that counts of each post, with the text for the model; none while its sources disagree."""
    columns = (
        *_whole("post"), *_texts("pid"), *_whole("family"), *_texts("side", "label", "text"), *people.columns
    )  # fmt: skip

    def rows_of(conn: Connection, first: int, last: int) -> list[Row]:
        labels = sheets.labels_between(conn, first, last)
        return [
            (post_id, pid, family, side, labels[post_id].name, text, *people.cells(tuple(found)))
            for post_id, pid, family, side, text, *found in sheets.texts_of_posts(conn, list(labels))
        ]

    return Sheet(columns, _in_steps(engine, newest, rows_of))


def _predictions(engine: Engine, newest: int, version: ModelVersion, people: _People) -> Sheet:
    columns = (
        *_whole("post"), *_texts("pid"), *_whole("family"), *_texts("side", "version", "predicted"), *PROBABILITIES,
        *_texts("text"), *people.columns,
    )  # fmt: skip

    def rows_of(conn: Connection, first: int, last: int) -> list[Row]:
        return [
            (post_id, pid, family, side, version.name, Label(label).name, *said, *people.cells(tuple(found)))
            for post_id, pid, family, side, label, *rest in sheets.predictions_between(
                conn, first, last, version_id=version.id
            )
            for said, found in [(rest[:4], rest[4:])]
        ]

    return Sheet(columns, _in_steps(engine, newest, rows_of))


def _verdicts(
    engine: Engine,
    newest: int,
    version: ModelVersion,
    policy: ThresholdPolicy,
    people: _People,
    further: list[str],
) -> Sheet:
    """The columns that came in, a row for each hit as there, and what people and thresholds say of the post."""
    ours = (*_texts("label", "predicted"), *PROBABILITIES, *_texts("version", "verdict"))
    taken = {column.name for column in (*ours, *people.columns)}
    names = [name if name not in taken else f"{name} (file)" for name in further]
    columns = (*_texts("pid"), *people.columns, *_texts("hit_word", "context", *names), *ours)
    thresholds = Thresholds(policy.removes, policy.passes)

    def rows_of(conn: Connection, first: int, last: int) -> list[Row]:
        labels = sheets.labels_between(conn, first, last)
        rows: list[Row] = []
        for post_id, pid, word, excerpt, extra, *rest in sheets.hits_between(conn, first, last, version_id=version.id):
            held = json.loads(extra)
            label, said = labels.get(post_id), tuple(rest[:3])
            told = (None, None) if said[0] is None else (_likeliest(said).name, thresholds.verdict(said).name)
            rows.append(
                (
                    pid, *people.cells(tuple(rest[3:])), word or None, excerpt, *(held.get(name) for name in further),
                    None if label is None else label.name, told[0], *said, version.name, told[1],
                )
            )  # fmt: skip
        return rows

    return Sheet(columns, _in_steps(engine, newest, rows_of))


def _likeliest(said: tuple[float, ...]) -> Label:
    """Between equals the less severe, as everywhere."""
    return Label(max(range(len(said)), key=said.__getitem__))


def _families(engine: Engine, newest: int) -> Sheet:
    """A row for each post of each family of two or more."""
    columns = (*_whole("family", "size", "post"), *_texts("pid", "side", "text"))

    def batches() -> Iterator[Batch]:
        for first in range(1, newest + 1, STEP):
            with read(engine) as conn:
                members = sheets.members_between(conn, first, first + STEP - 1)
            _families, places, sizes = np.unique(members[:, 0], return_inverse=True, return_counts=True)
            shared = np.column_stack([members[:, 0], sizes[places], members[:, 1]])[sizes[places] > 1]
            # One family can have more posts than memory should hold texts.
            for start in range(0, len(shared), STEP):
                yield _with_texts(engine, shared[start : start + STEP].tolist())

    return Sheet(columns, batches())


def _with_texts(engine: Engine, members: list[list[int]]) -> list[Row]:
    """members: (family, size, post). One that has gone since is left out."""
    with read(engine) as conn:
        texts = {found[0]: found for found in sheets.texts_of_posts(conn, [post_id for _f, _s, post_id in members])}
    return [
        (family, size, post_id, texts[post_id][1], *texts[post_id][3:5])
        for family, size, post_id in members
        if post_id in texts
    ]


def _agreement(conn: Connection) -> Sheet:
    """A row for each post that two people judged without knowing of one another, with what both said."""
    columns = (
        *_texts("why"), *_whole("post", "family"), *_texts("first_by", "first_label", "second_by", "second_label"),
        Column("same", CellKind.yes_no), Column("judged_at", CellKind.time),
    )  # fmt: skip
    rows: list[Row] = [
        (
            why.value, one.post_id, one.family, one.source, _name_of(one.label), other.source, _name_of(other.label),
            one.label is other.label, max(one.decided_at, other.decided_at),
        )
        for why in SecondOpinion
        for one, other in opinions_of_two(seconds.judgements(conn, why=why))
    ]  # fmt: skip
    return Sheet(columns, iter([rows] if rows else []))


def _audit_log(engine: Engine, actor: Actor, now: datetime) -> Sheet:
    """Newest first; the export itself is the entry after them."""
    columns = (Column("happened_at", CellKind.time), *_texts("actor", "action", "details", "address"))
    rows: Iterator[Row] = (
        (entry.happened_at, entry.actor, entry.action, json.dumps(entry.details, ensure_ascii=False), entry.address)
        for entry in auditing.walk_log(engine, actor, LogFilter(), now=now)
    )
    return Sheet(columns, iter(lambda: list(islice(rows, STEP)), []))
