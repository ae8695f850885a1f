"""Model versions: list, compare on posts that none was trained on, promote through the gate, and roll back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.comparison import Gap, Verdict, gaps
from core.domain import Actor, Label, ModelVersion, Run, Side
from core.errors import Conflict
from core.evaluation import ENOUGH
from core.metrics import Metrics, measure
from core.permissions import Permission, require
from core.services import scoring
from core.wording import _
from db import audit, families, golds, models
from db.engine import read, write
from db.golds import GoldPost

Labels = npt.NDArray[np.int64]

COUNTING = ("macro_f1", "violation recall")  # figures in which a new version must not be worse
SEED = 13  # of the intervals: the same comparison says the same each time it is looked at


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: ModelVersion
    is_active: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version beside the active one and its baseline, on the same texts, none of which any of them was trained on.

    active is None before any promotion, and baseline where there is none or it has not scored all these texts.
    judged: families with a gold label, each by one text. is_random: all of them are from the audit slice; otherwise
    too few of that are judged, and most were chosen by the queue because they are hard. gaps: by figure, how far the
    candidate is above the active version; baseline_gaps: how far the baseline is above the candidate.
    """

    candidate: ModelVersion
    active: ModelVersion | None
    baseline: ModelVersion | None
    judged: int
    is_random: bool
    candidate_metrics: Metrics | None
    active_metrics: Metrics | None
    baseline_metrics: Metrics | None
    gaps: dict[str, Gap]
    baseline_gaps: dict[str, Gap]

    @property
    def losses(self) -> dict[str, Gap]:
        """Figures that count in which the candidate is worse than the active version, beyond the interval."""
        return {name: gap for name in COUNTING if (gap := self.gaps.get(name)) and gap.verdict is Verdict.worse}


def list_versions(engine: Engine, actor: Actor) -> list[VersionRow]:
    """Newest first, each before its baseline."""
    require(actor, Permission.look)
    with read(engine) as conn:
        active = models.active_version(conn)
        return [VersionRow(v, active is not None and v.id == active.id) for v in models.list_versions(conn)]


def compare(engine: Engine, actor: Actor, name: str) -> Comparison:
    """Stand a version beside the active one on the texts kept aside that both have scored.

    On those of the audit slice alone, once enough of them are judged.
    """
    require(actor, Permission.look)
    with read(engine) as conn:
        return _compare(conn, models.require_version(conn, name))


def _compare(conn: Connection, candidate: ModelVersion) -> Comparison:
    active, baseline = models.active_version(conn), models.baseline_of(conn, candidate.id)
    aside = _aside(conn)
    sizes = families.sizes_of(conn, [gold.family for gold in aside.values()])
    said = _labels_said(conn, candidate, list(aside))
    others = None if active is None else _labels_said(conn, active, list(aside))
    common = [text_id for text_id in aside if text_id in said and (others is None or text_id in others)]
    random = [text_id for text_id in common if aside[text_id].side is Side.audit]
    is_random = len(random) >= ENOUGH
    judged = random if is_random else common
    simple = {} if baseline is None else _labels_said(conn, baseline, judged)
    if len(simple) < len(judged):
        baseline = None
    measuring = _Measuring(
        np.array([aside[text_id].label for text_id in judged], dtype=np.int64),
        np.array([sizes[aside[text_id].family] for text_id in judged], dtype=np.int64),
    )
    new = measuring.labels(said, judged)
    old = None if others is None else measuring.labels(others, judged)
    base = None if baseline is None else measuring.labels(simple, judged)
    is_other = active is not None and active.id != candidate.id
    return Comparison(
        candidate,
        active,
        baseline,
        len(judged),
        is_random,
        measuring.metrics(new),
        None if old is None else measuring.metrics(old),
        None if base is None else measuring.metrics(base),
        measuring.gaps(old, new) if old is not None and is_other else {},
        measuring.gaps(new, base) if base is not None else {},
    )


@dataclass(frozen=True, slots=True)
class _Measuring:
    """truth: (n_texts,) labels; sizes: (n_texts,), posts that each stands for. Each text is a family."""

    truth: Labels
    sizes: Labels

    def labels(self, said: dict[int, Label], judged: list[int]) -> Labels:
        return np.array([said[text_id] for text_id in judged], dtype=np.int64)

    def metrics(self, said: Labels) -> Metrics | None:
        return measure(self.truth.tolist(), said.tolist(), sizes=self.sizes.tolist()) if len(said) else None

    def gaps(self, first: Labels, second: Labels) -> dict[str, Gap]:
        if not len(self.truth):
            return {}
        rng, sizes = np.random.default_rng(SEED), self.sizes.astype(np.float64)
        return gaps(self.truth, first, second, families=np.arange(len(self.truth)), sizes=sizes, rng=rng)


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


def promote(
    engine: Engine, actor: Actor, name: str, *, now: datetime, reason: str = "", share: float | None = None
) -> Run:
    """Make a version the active one and put its scoring of the pool in line; returns the scoring run.

    share: of the pool's texts that it scores, see scoring.queue_scoring.
    reason: why, for one that is worse than the active version in a figure that counts. Raises Conflict without it.
    A version that was active before is brought back without a question: that is the way out of a bad promotion.
    """
    require(actor, Permission.promote)
    scoring.refuse_odd_share(share)
    with write(engine) as conn:
        version = models.require_version(conn, name)
        active = models.active_version(conn)
        if active is not None and active.id == version.id:
            raise Conflict(_("Version {name} is the active one already.").format(name=name))
        if not models.was_promoted(conn, version.id) and not reason.strip():
            _refuse_worse(_compare(conn, version))
        models.promote(conn, version.id, promoted_by=actor.name, now=now)
        details: dict[str, object] = {"version": name, "instead_of": None if active is None else active.name}
        audit.record_action(conn, actor, "promote", details=details | ({"reason": reason} if reason else {}), now=now)
        return scoring.put_in_line(conn, version, share=share, created_by=actor.name, now=now)


def _refuse_worse(found: Comparison) -> None:
    if found.losses and found.active is not None:
        worse = "; ".join(f"{name.replace('_', '-')} {gap.value:+.3f}" for name, gap in found.losses.items())
        raise Conflict(
            _(
                "{candidate} is worse than {active}, which is active: {worse}. Say why you promote it all the same."
            ).format(candidate=found.candidate.name, active=found.active.name, worse=worse)
        )
