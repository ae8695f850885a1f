"""What the queue saves and what more labels would bring, measured by posts that chance has drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, ModelVersion, Reason, Side
from core.growth import NOT_SCORED, Curve, Learned, learning_curve
from core.permissions import Permission, require
from core.prevalence import Judged, Share, Surplus, prevalence, share_of, surplus
from db import families, golds, models, policies, posts, proof
from db.engine import read
from db.golds import GoldPost
from db.proof import ShownDecision

TIMED = 5_000  # of the latest decisions for each reason


@dataclass(frozen=True, slots=True)
class Yield:
    """What decisions for one reason found. decisions: posts, each by its first decision."""

    decisions: int
    violations: Share
    not_normal: Share


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a decision, from the card to the key: quartiles and the number of decisions that they are of."""

    low: float
    median: float
    high: float
    decisions: int


@dataclass(frozen=True, slots=True)
class Proof:
    """prevalence: of the forum's posts. drawn: families that it rests on. disputed: draws without an agreed label.

    queue: what was shown for any reason but chance; audit: what chance drew; surplus: of violations, by how much the
    queue's share is above that of chance. by_reason: the queue's, taken apart, and chance. curve: of versions of base.
    in_slice: judged families of the audit slice. audit_share: of the queue, as the policy has it now.
    """

    prevalence: dict[Label, Share]
    drawn: int
    disputed: int
    queue: Yield
    audit: Yield
    surplus: Surplus | None
    by_reason: dict[Reason, Yield]
    curve: Curve
    base: str | None
    other_bases: int
    versions: int
    in_slice: int
    paces: dict[Reason, Pace]
    audit_share: float


def prove(engine: Engine, actor: Actor, *, rng: np.random.Generator) -> Proof:
    """Over all decisions so far."""
    require(actor, Permission.look)
    with read(engine) as conn:
        shown = proof.shown_decisions(conn)
        judged = list(golds.gold_posts(conn))
        by_family = golds.gold_families(judged)
        sizes = families.sizes_of(conn, [gold.family for gold in by_family])
        slice_posts, _ = posts.count_audit(conn)
        total = posts.count_posts(conn)
        aside = [gold for gold in by_family if gold.side is Side.audit]
        versions = [version for version in models.list_versions(conn) if not version.is_baseline]
        of_base = [version for version in versions if version.base == versions[0].base]
        learned = _learned(conn, of_base, aside)
        audit_share = policies.current_policy(conn).shares.get(Reason.audit, 0.0)
    firsts = list({each.post_id: each for each in reversed(shown)}.values())
    by_chance: list[ShownDecision] = []
    by_queue: list[ShownDecision] = []
    for each in firsts:
        (by_chance if _is_by_chance(each) else by_queue).append(each)
    audit, queue = _yield(by_chance, rng), _yield(by_queue, rng)
    drawn_families = {each.family for each in firsts if each.is_drawn}
    agreed = {gold.post_id for gold in judged}
    in_order = _in_order(judged, by_family, drawn_families, sizes)
    return Proof(
        prevalence=prevalence(in_order, posts=total, slice_posts=slice_posts, rng=rng),
        drawn=int(in_order.is_drawn.sum()),
        disputed=sum(each.is_drawn and each.post_id not in agreed for each in firsts),
        queue=queue,
        audit=audit,
        surplus=surplus(queue.violations, audit.violations),
        by_reason={reason: _yield(of_reason, rng) for reason, of_reason in _by_reason(firsts).items()},
        curve=learning_curve(
            learned,
            np.array([gold.label for gold in aside], dtype=np.int64),
            families=np.array([gold.family for gold in aside], dtype=np.int64),
            sizes=np.array([sizes[gold.family] for gold in aside], dtype=np.float64),
            rng=rng,
        ),
        base=versions[0].base if versions else None,
        other_bases=len(versions) - len(of_base),
        versions=len(of_base),
        in_slice=len(aside),
        paces=_paces(shown),
        audit_share=audit_share,
    )


def _is_by_chance(shown: ShownDecision) -> bool:
    return shown.is_drawn or shown.reason == Reason.audit


def _by_reason(shown: Sequence[ShownDecision]) -> dict[Reason, list[ShownDecision]]:
    """In the order of Reason; what no decision was shown for is left out."""
    found: dict[str, list[ShownDecision]] = {}
    for each in shown:
        found.setdefault(each.reason, []).append(each)
    return {reason: found[reason] for reason in Reason if reason in found}


def _yield(shown: Sequence[ShownDecision], rng: np.random.Generator) -> Yield:
    labels = np.array([each.label for each in shown], dtype=np.int64)
    of_families = np.array([each.family for each in shown], dtype=np.int64)
    return Yield(
        len(shown),
        share_of(labels == Label.violation, of_families, rng=rng),
        share_of(labels != Label.normal, of_families, rng=rng),
    )


def _in_order(
    judged: Sequence[GoldPost], by_family: Sequence[GoldPost], drawn: set[int], sizes: dict[int, int]
) -> Judged:
    """Families as they were judged one after the other. drawn: families of posts that chance drew."""
    first_said: dict[int, int] = {}
    for gold in judged:
        said = min(gold.decision_ids)
        first_said[gold.family] = min(said, first_said.get(gold.family, said))
    ordered = sorted(by_family, key=lambda gold: first_said[gold.family])
    return Judged(
        labels=np.array([gold.label for gold in ordered], dtype=np.int64),
        sizes=np.array([sizes[gold.family] for gold in ordered], dtype=np.float64),
        is_drawn=np.array([gold.family in drawn for gold in ordered], dtype=np.bool_),
        in_slice=np.array([gold.side is Side.audit for gold in ordered], dtype=np.bool_),
    )


def _learned(conn: Connection, versions: Sequence[ModelVersion], aside: Sequence[GoldPost]) -> list[Learned]:
    """What each version says of the judged families of the audit slice, none of which any has learned from.

    From it only a version's correction was fitted, where it has one: a temperature, and the shares of the labels.
    """
    place_of = {gold.text_id: place for place, gold in enumerate(aside)}
    said = {version.id: np.full(len(aside), NOT_SCORED, dtype=np.int64) for version in versions}
    for version_id, text_id, label in proof.labels_said(conn, list(said), list(place_of)):
        said[version_id][place_of[text_id]] = label
    return [Learned(version.name, _labels_of(version), said[version.id]) for version in versions if _labels_of(version)]


def _labels_of(version: ModelVersion) -> int:
    """How many families it learned from; 0 where its manifest does not say so."""
    examples = version.manifest.get("examples")
    return sum(examples["training"].values()) if isinstance(examples, dict) else 0


def _paces(shown: Sequence[ShownDecision]) -> dict[Reason, Pace]:
    paces = {}
    for reason, of_reason in _by_reason(shown).items():
        seconds = [each.seconds for each in of_reason if each.seconds is not None][-TIMED:]
        if seconds:
            low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
            paces[reason] = Pace(low, median, high, len(seconds))
    return paces
