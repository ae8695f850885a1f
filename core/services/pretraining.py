"""Adapting an encoder to the forum: the queued run, and the texts that it learns from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, Run, RunKind
from core.errors import BadInput, Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, models, runs
from db.engine import read, write

LEAST_TEXTS = 100
MANY_TEXTS = 200_000  # from there on few passes teach as much as many
MOST_TEXTS = 500_000
TEXTS_A_READ = 5_000
_NAME = re.compile(r"(?!.*\.partial$)[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True, slots=True)
class PretrainingRequest:
    """What the lead asks for; stored with the run.

    base: an encoder's name or path, None for the best there is. name: of the encoder that comes out. epochs: None for
    what suits the number of texts. resume: go on with what an earlier run of that name has left.
    """

    name: str
    base: str | None = None
    epochs: int | None = None
    resume: bool = False
    most_texts: int = MOST_TEXTS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):  # a folder's name
            said = _("{name!r} is no name for an encoder: letters, digits, dots, - and _ only, 60 at most.")
            raise BadInput(said.format(name=self.name))


def passes(texts: int) -> int:
    """Epochs that suit so many texts."""
    return 3 if texts >= MANY_TEXTS else 10


def queue_pretraining(engine: Engine, actor: Actor, request: PretrainingRequest, *, now: datetime) -> Run:
    """Put it in line. Refused while another is open, and where the pool has next to nothing to learn from."""
    require(actor, Permission.manage_runs)
    with write(engine) as conn:
        there = models.count_texts(conn)
        if there < LEAST_TEXTS:
            raise Conflict(
                _(
                    "There are {count} different texts; adapting an encoder takes {least} at least. Import posts."
                ).format(count=f"{there:,}", least=f"{LEAST_TEXTS:,}")
            )
        busy = runs.open_runs(conn, kind=RunKind.pretraining)
        if busy:
            raise Conflict(
                _("Pretraining run {run_id} is under way; wait for it or cancel it first.").format(run_id=busy[0].id)
            )
        config = asdict(request)
        added = runs.add_run(conn, kind=RunKind.pretraining, config=config, created_by=actor.name, now=now)
        audit.record_action(conn, actor, "pretrain", details={"run": added.id} | config, now=now)
        return added


def count_texts(engine: Engine, actor: Actor) -> int:
    """How many texts it would learn from now."""
    require(actor, Permission.look)
    return count_pool(engine, most=MOST_TEXTS)


def count_pool(engine: Engine, *, most: int) -> int:
    """How many texts pool_texts gives."""
    with read(engine) as conn:
        return min(most, models.count_texts(conn))


def pool_texts(engine: Engine, *, most: int) -> Iterator[str]:
    """Distinct texts of visible posts as models read them, and nothing else of the posts; in short reads.

    Of more than `most`, a draw by their hashes: the same each time, while no posts come or go.
    """
    last, left = "", most
    while left > 0:
        with read(engine) as conn:
            found = models.texts_by_hash(conn, after=last, limit=min(left, TEXTS_A_READ))
        if not found:
            return
        yield from (text for _hash, text in found)
        last, left = found[-1][0], left - len(found)
