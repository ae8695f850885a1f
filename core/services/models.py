"""Model versions: list, compare on posts that neither was trained on, promote (and so roll back)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, ModelVersion, Run, Side
from core.errors import Conflict
from core.metrics import Metrics, measure
from core.permissions import Permission, require
from core.services import scoring
from core.wording import _
from db import audit, families, golds, models
from db.engine import read, write
from db.golds import GoldPost

SAME = 0.0005  # what a figure of three digits does not show


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: ModelVersion
    is_active: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same texts, none of which either was trained on. active is None before any promotion.

    judged: families with a gold label, each by one text; judged_audit: those of them in the audit slice.
    """

    candidate: ModelVersion
    active: ModelVersion | None
    judged: int
    judged_audit: int
    candidate_metrics: Metrics | None
    active_metrics: Metrics | None

    @property
    def losses(self) -> dict[str, float]:
        """By how much the candidate is worse than the active version, in the figures that count; empty if in none."""
        new, old = self.candidate_metrics, self.active_metrics
        if new is None or old is None:
            return {}
        gaps = {"macro-F1": new.macro_f1 - old.macro_f1}
        violation = new.per_class[Label.violation], old.per_class[Label.violation]
        if violation[0].support:
            gaps["violation recall"] = violation[0].recall - violation[1].recall
        return {figure: -gap for figure, gap in gaps.items() if gap < -SAME}


def list_versions(engine: Engine, actor: Actor) -> list[VersionRow]:
    """Newest first."""
    require(actor, Permission.look)
    with read(engine) as conn:
        active = models.active_version(conn)
        return [VersionRow(v, active is not None and v.id == active.id) for v in models.list_versions(conn)]


def compare(engine: Engine, actor: Actor, name: str) -> Comparison:
    """Stand a version beside the active one on the texts kept aside that both have scored."""
    require(actor, Permission.look)
    with read(engine) as conn:
        candidate = models.require_version(conn, name)
        active = models.active_version(conn)
        aside = _aside(conn)
        sizes = families.sizes_of(conn, [gold.family for gold in aside.values()])
        said = _labels_said(conn, candidate, list(aside))
        others = None if active is None else _labels_said(conn, active, list(aside))
    common = [text_id for text_id in aside if text_id in said and (others is None or text_id in others)]
    truth = [aside[text_id].label for text_id in common]
    posts = [sizes[aside[text_id].family] for text_id in common]
    return Comparison(
        candidate,
        active,
        len(common),
        sum(aside[text_id].side is Side.audit for text_id in common),
        measure(truth, [said[text_id] for text_id in common], sizes=posts) if common else None,
        measure(truth, [others[text_id] for text_id in common], sizes=posts) if common and others else None,
    )


def measure_version(engine: Engine, actor: Actor, name: str) -> Metrics | None:
    """Figures of one version on all decided texts kept aside that it has scored; None without any."""
    require(actor, Permission.look)
    with read(engine) as conn:
        version = models.require_version(conn, name)
        aside = _aside(conn)
        sizes = families.sizes_of(conn, [gold.family for gold in aside.values()])
        said = _labels_said(conn, version, list(aside))
    if not said:
        return None
    judged = [aside[text_id] for text_id in said]
    return measure([g.label for g in judged], list(said.values()), sizes=[sizes[g.family] for g in judged])


def _aside(conn: Connection) -> dict[int, GoldPost]:
    """Judged families that no version is trained on, by the text that stands for each."""
    aside = [gold for gold in golds.gold_posts(conn) if gold.side is not Side.train]
    return {gold.text_id: gold for gold in golds.gold_families(aside)}


def _labels_said(conn: Connection, version: ModelVersion, text_ids: list[int]) -> dict[int, Label]:
    found = models.predictions_for(conn, version_id=version.id, text_ids=text_ids)
    return {prediction.text_id: prediction.label for prediction in found}


def promote(engine: Engine, actor: Actor, name: str, *, now: datetime) -> Run:
    """Make a version the active one and put its scoring of the pool in line; returns the scoring run."""
    require(actor, Permission.promote)
    with write(engine) as conn:
        version = models.require_version(conn, name)
        active = models.active_version(conn)
        if active is not None and active.id == version.id:
            raise Conflict(_("Version {name} is the active one already.").format(name=name))
        models.promote(conn, version.id, promoted_by=actor.name, now=now)
        before = None if active is None else active.name
        audit.record_action(conn, actor, "promote", details={"version": name, "instead_of": before}, now=now)
        return scoring.put_in_line(conn, version, created_by=actor.name, now=now)
