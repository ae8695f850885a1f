"""A pool of posts, a round of the queue over it, and short ways to press keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Role, Run, RunStatus
from core.services import annotation, cases, importing, queueing
from core.services.annotation import Answer, Press, PressKind
from core.services.cases import Case, Pile
from db import runs
from db.cards import Card
from db.engine import read, write
from tests.conftest import NOW

OPERATOR = Actor(None, "cli:test", Role.lead)


def import_file(engine: Engine, path: Path, **request: object) -> Run:
    """Import a file the way the worker does, in this process; returns the ended run."""
    asked = importing.ImportRequest(str(path), path.name, **request)  # type: ignore[arg-type]
    queued = importing.queue_import(engine, OPERATOR, asked, now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    result = importing.run_import(engine, queued, report=lambda *progress: None)
    with write(engine) as conn:
        runs.finish_run(conn, queued.id, status=RunStatus.succeeded, now=NOW, result=result)
    with read(engine) as conn:
        return runs.require_run(conn, queued.id)


def unlike(n: int) -> str:
    """A text that is no near-copy of that of another number."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(str(n).encode()).hexdigest()[:24])


@pytest.fixture
def pool(engine: Engine, tmp_path: Path) -> Callable[[int], None]:
    """Make so many posts and a round of the queue over them."""

    def make(count: int) -> None:
        lines = ["pid\thit_word\tcontext\tauthor\tuseip"]
        lines += [f"{n + 1}\tword{n % 7}\t{unlike(n)}\tauthor{n}\t192.0.2.{n % 250}" for n in range(count)]
        path = tmp_path / "pool.tsv"
        path.write_text("\n".join(lines) + "\n")
        import_file(engine, path)
        queueing.renew_queue(engine, now=NOW, seed=1)

    return make


def sync(
    engine: Engine, actor: Actor, *presses: Press, holding: Sequence[int] = (), want: int = 0, **options
) -> Answer:
    return annotation.sync(engine, actor, presses, holding=holding, want=want, today=NOW, **{"now": NOW} | options)


def decide(card: Card, label: Label = Label.normal, *, id: str | None = None) -> Press:
    return Press(
        id or f"decide-{card.lease.id:06d}", PressKind.decide, lease_id=card.lease.id, post_id=card.lease.post_id,
        text_id=card.text_id, label=label,
    )  # fmt: skip


def skip(card: Card) -> Press:
    return Press(f"skip-{card.lease.id:06d}", PressKind.skip, lease_id=card.lease.id, post_id=card.lease.post_id)


def undo(card: Card, *, id: str = "undo-000") -> Press:
    return Press(id, PressKind.undo, lease_id=card.lease.id)


def next_posts(engine: Engine, actor: Actor) -> list[int]:
    """What a person would get now; the cards are returned at once."""
    found = sync(engine, actor, want=9).cards
    sync(engine, actor, holding=[card.lease.id for card in found], leaving=True)
    return [card.lease.post_id for card in found]


def find_case(engine: Engine, lead: Actor, pile: Pile, place: int = 0) -> Case:
    """What lies at that place before the lead."""
    found = cases.find_case(engine, lead, pile, place=place)
    assert found is not None
    return found


def settle(engine: Engine, lead: Actor, found: Case, label: Label, *, batch: str = "settle-000001", **why: str) -> int:
    return cases.settle_case(engine, lead, found, label=label, batch=batch, now=NOW, **why)


@pytest.fixture(autouse=True)
def one_opinion_each(request: pytest.FixtureRequest) -> None:
    """No post is drawn for a second opinion, but where a test asks for it: each decision ends its matter."""
    if "engine" in request.fixturenames:
        engine: Engine = request.getfixturevalue("engine")
        with write(engine) as conn:
            conn.exec_driver_sql(
                "INSERT INTO policy (document, set_by, set_at) VALUES ('{\"second_share\": 0}', 'test', '2026-01-01')"
            )
