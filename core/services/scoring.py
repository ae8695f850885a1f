"""Scoring runs: the pool by a model version, or a random part of it, each distinct text once, resumable at any text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.domain import Actor, ModelVersion, Prediction, Run, RunKind, RunStatus
from core.errors import BadInput, Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, explorations, models, runs, texts
from db.engine import in_turns, read, write

PACE = "texts_per_second"  # in the results of runs


@dataclass(frozen=True, slots=True)
class Score:
    """Of a text, known by id and hash: an id may be another text's once its own is removed. In Label order."""

    text_id: int
    text_hash: str
    probabilities: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far a version has scored the pool, in distinct texts, and how fast it is.

    share: of the pool, that it is to score. pace: texts/s, when it last ran on this machine; None before it has.
    """

    texts: int
    scored: int
    share: float
    pace: float | None

    def seconds(self, share: float = 1.0) -> float | None:
        """How long it takes until that share is scored; None while the pace is not known."""
        left = max(0.0, share * self.texts - self.scored)
        return None if self.pace is None else left / self.pace


def outlook(engine: Engine, actor: Actor, version: str) -> Outlook:
    require(actor, Permission.look)
    with read(engine) as conn:
        found = models.require_version(conn, version)
        texts_there, left = models.count_texts(conn), models.count_unscored(conn, version_id=found.id)
        return Outlook(texts_there, texts_there - left, _share_before(conn, found), _pace(conn, found))


def _pace(conn: Connection, version: ModelVersion) -> float | None:
    """As measured by its last whole scoring, else when it was trained."""
    before = runs.newest_run(conn, kind=RunKind.scoring, of="version", value=version.name, ended=True)
    made = runs.get_run(conn, version.run_id) if version.run_id is not None and not version.is_baseline else None
    found = next((r.result[PACE] for r in (before, made) if r is not None and r.result.get(PACE)), None)
    return None if found is None else float(str(found))


def queue_scoring(
    engine: Engine, actor: Actor, *, version: str | None, share: float | None = None, now: datetime
) -> Run:
    """Put a scoring run in line, by the active version when none is named; one already in line is returned.

    share: of the pool's texts, drawn at random (above 0, at most 1); None: as this version was scored before, else all.
    """
    require(actor, Permission.manage_runs)
    refuse_odd_share(share)
    with write(engine) as conn:
        chosen = models.active_version(conn) if version is None else models.require_version(conn, version)
        if chosen is None:
            raise Conflict(_("No model version is active yet: retrain first, then promote the new version."))
        asked = {} if share is None else {"share": share}
        audit.record_action(conn, actor, "score", details={"version": chosen.name, **asked}, now=now)
        return put_in_line(conn, chosen, share=share, created_by=actor.name, now=now)


def refuse_odd_share(share: float | None) -> None:
    if share is not None and not 0 < share <= 1:
        raise BadInput(_("The share is {share}; it has to be above 0 and at most 1.").format(share=share))


def put_in_line(
    conn: Connection, version: ModelVersion, *, share: float | None = None, created_by: str, now: datetime
) -> Run:
    """Scoring by one version needs only one run in line; one that has begun may be past what came since."""
    config = {"version": version.name, "share": _share_before(conn, version) if share is None else share}
    for waiting in runs.open_runs(conn, kind=RunKind.scoring):
        if waiting.status is RunStatus.queued and waiting.config == config:
            return waiting
    return runs.add_run(conn, kind=RunKind.scoring, config=config, created_by=created_by, now=now)


def _share_before(conn: Connection, version: ModelVersion) -> float:
    before = runs.newest_run(conn, kind=RunKind.scoring, of="version", value=version.name)
    return float(str(before.config.get("share", 1.0))) if before else 1.0


def queue_scoring_if_needed(engine: Engine, *, created_by: str, now: datetime) -> Run | None:
    """After an import: score what the active version has not seen, or as large a part of it as it did before."""
    with write(engine) as conn:
        active = models.active_version(conn)
        if active is None or _wanted(conn, active, _share_before(conn, active)) == 0:
            return None
        return put_in_line(conn, active, created_by=created_by, now=now)


def _wanted(conn: Connection, version: ModelVersion, share: float) -> int:
    """How many texts are still to be scored until the version has scored that share of the pool."""
    unscored = models.count_unscored(conn, version_id=version.id)
    if share >= 1 or unscored == 0:
        return unscored
    pool = models.count_texts(conn)
    return min(unscored, max(0, math.ceil(share * pool) - (pool - unscored)))


def version_to_score(engine: Engine, name: str) -> ModelVersion:
    with read(engine) as conn:
        return models.require_version(conn, name)


def texts_to_score(
    engine: Engine, version: ModelVersion, *, share: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Ids of texts that are still to be scored, (n_texts,), ascending; a random draw of them where a share is meant."""
    with read(engine) as conn:
        unscored = np.fromiter(models.unscored_texts(conn, version_id=version.id), dtype=np.int64)
        wanted = _wanted(conn, version, share)
    return unscored if wanted >= len(unscored) else np.sort(rng.choice(unscored, wanted, replace=False))


def texts_by_id(engine: Engine, text_ids: list[int]) -> list[tuple[int, str, str]]:
    """(id, hash, text) of those that are still there, by id."""
    with read(engine) as conn:
        return texts.texts_by_id(conn, text_ids)


def store_scores(engine: Engine, version: ModelVersion, scores: list[Score]) -> None:
    """Store what a version says of texts; of those that are gone, nothing is. Deciding gets its turn after it."""
    rows = [(version.id, s.text_id, s.text_hash, *s.probabilities) for s in scores]
    with in_turns(engine) as conn:
        models.add_scores(conn, rows)


def is_unexplored(engine: Engine, version: ModelVersion, *, new: int) -> bool:
    """Whether to look for kinds of posts: it has not, or so many new texts are a tenth of the pool or more."""
    with read(engine) as conn:
        has_looked = bool(explorations.explored_texts(conn, version_id=version.id))
        return not has_looked or new >= models.count_texts(conn) / 10


def draw_shortlist(engine: Engine, version: ModelVersion, *, most: int, rng: np.random.Generator) -> list[int]:
    """So many texts at most, drawn at random from those that lead a family and are scored; ids, ascending."""
    with read(engine) as conn:
        found = np.fromiter(explorations.scored_representatives(conn, version_id=version.id), dtype=np.int64)
    drawn: list[int] = np.sort(rng.choice(found, min(most, len(found)), replace=False)).tolist()
    return drawn


def store_exploration(engine: Engine, version: ModelVersion, text_ids: list[int]) -> None:
    """text_ids: one for each kind of posts that the version sees, in the order in which they are to be shown."""
    with write(engine) as conn:
        there = {text_id for text_id, _hash, _body in texts.texts_by_id(conn, text_ids)}
        explorations.replace_exploration(conn, version.id, [each for each in text_ids if each in there])


def store_predictions(engine: Engine, predictions: list[Prediction]) -> None:
    with write(engine) as conn:
        models.add_predictions(conn, predictions)
