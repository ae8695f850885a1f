"""What the proof says, in sentences and rows of tables."""

from __future__ import annotations

import math

import pandas as pd

from core.domain import Label, Reason
from core.growth import (
    ENOUGH_JUDGED,
    ENOUGH_VIOLATIONS,
    FEWEST_POINTS,
    FIGURES,
    LEAST_SPREAD,
    MORE,
    WORTH,
    Curve,
    Outlook,
)
from core.prevalence import Share
from core.services.proving import Proof, Yield
from core.wording import N_, _, ngettext
from ui.words import reason_in_words

NAMES = {"macro_f1": "macro-F1", "violation recall": N_("violations found (recall)")}
OUTLOOKS = {
    Outlook.go_on: N_("Go on labelling: the model still learns from it."),
    Outlook.may_stop: N_(
        "Labelling for the model may stop: neither figure would rise by {worth}. Go on with the posts drawn to measure "
        "by, to see when the forum changes."
    ),
    Outlook.cannot_tell: N_(
        "Whether more labels are worth it cannot be told yet: an interval is too wide, or a figure is missing."
    ),
}


def interval_in_words() -> str:
    return _("The interval holds the true value in 95 of 100 samples, drawn by families of near-copies.")


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def spread(share: Share) -> str:
    if share.interval is None:
        return "–"
    low, high = share.interval
    return _("{low} to {high}").format(low=f"{low * 100:.1f}", high=percent(high))


def decisions_to(drawn: int, audit_share: float) -> int:
    """How many decisions bring that many draws."""
    return math.ceil(drawn / audit_share)


def missing_in_words(found: Proof, *, have: int, enough: int) -> str:
    """How many draws are there, how many it takes, and how to get them."""
    said = ngettext(
        "{have} post that chance drew is judged; it takes {enough}.",
        "{have} posts that chance drew are judged; it takes {enough}.",
        have,
    ).format(have=f"{have:,}", enough=f"{enough:,}")
    if not found.audit_share:
        how = _("The policy draws none: give the posts drawn to measure by a share on the Policy page.")
    else:
        how = _(
            "They are {share} of the queue, so about {more} decisions more bring them; the Policy page changes that."
        ).format(share=f"{found.audit_share:.0%}", more=f"{decisions_to(max(1, enough - have), found.audit_share):,}")
    return f"{said} {how}"


def prevalence_in_words(found: Proof) -> str:
    violation, suspicious = found.prevalence[Label.violation], found.prevalence[Label.suspicious]
    return _(
        "Of all posts about {violation} are violations ({violation_spread}) and {suspicious} are suspicious "
        "({suspicious_spread})."
    ).format(
        violation=percent(violation.value),
        violation_spread=spread(violation),
        suspicious=percent(suspicious.value),
        suspicious_spread=spread(suspicious),
    )


def draws_in_words(found: Proof) -> str:
    """What the figures of the forum rest on."""
    said = ngettext(
        "From {drawn} post that chance drew, near-copies counted as often as they were posted; posts under four "
        "characters are hardly among them.",
        "From {drawn} posts that chance drew, near-copies counted as often as they were posted; posts under four "
        "characters are hardly among them.",
        found.drawn,
    ).format(drawn=f"{found.drawn:,}")
    return f"{said} {interval_in_words()} {disputed_in_words(found)}".strip()


def share_row(name: str, share: Share, count: int) -> dict[str, object]:
    low, high = share.interval or (share.value, share.value)
    return {"name": name, "value": share.value * 100, "low": low * 100, "high": high * 100, "count": count}


def disputed_in_words(found: Proof) -> str:
    if not found.disputed:
        return ""
    return ngettext(
        "{count} more has no agreed label; Review settles it.",
        "{count} more have no agreed label; Review settles them.",
        found.disputed,
    ).format(count=f"{found.disputed:,}")


def yields_of(found: Proof) -> dict[str, Yield]:
    by_reason = {
        reason_in_words(reason): each for reason, each in found.by_reason.items() if reason is not Reason.audit
    }
    return {_("all that the queue chose"): found.queue, **by_reason, _("drawn by chance"): found.audit}


def yield_row(name: str, each: Yield) -> dict[str, object]:
    is_told = each.violations.is_enough
    return {
        _("shown because"): name,
        _("decisions"): each.decisions,
        _("violations in 100"): f"{each.violations.value * 100:.1f}" if is_told else "–",
        _("interval"): spread(each.violations) if is_told else "–",
        _("not normal in 100"): f"{each.not_normal.value * 100:.1f}" if is_told else "–",
        _("its interval"): spread(each.not_normal) if is_told else "–",
    }


def yield_in_words(found: Proof) -> str:
    queue, audit, surplus = found.queue.violations, found.audit.violations, found.surplus
    if surplus is None:
        return ""
    low, high = (f"{bound * 100:.1f}" for bound in surplus.interval)
    facts = _("In 100 decisions the queue finds {queue} violations, chance {audit}.").format(
        queue=f"{queue.value * 100:.1f}", audit=f"{audit.value * 100:.1f}"
    )
    if surplus.interval[0] > 0:
        says = _("That is {low} to {high} more: choosing pays.").format(low=low, high=high)
    elif surplus.interval[1] < 0:
        says = _("That is fewer than chance: choose another order on the Policy page.")
    else:
        says = _("The difference ({low} to {high}) could be chance.").format(low=low, high=high)
    return f"{facts} {says}"


def missing_slice_in_words(found: Proof) -> str:
    said = ngettext(
        "{have} post of the audit slice is judged; it takes {enough} to measure versions by. They come first among the "
        "posts drawn to measure by.",
        "{have} posts of the audit slice are judged; it takes {enough} to measure versions by. They come first among "
        "the posts drawn to measure by.",
        found.in_slice,
    )
    return said.format(have=f"{found.in_slice:,}", enough=ENOUGH_JUDGED)


def outlook_in_words(curve: Curve) -> str:
    """The stopping hint with its reason."""
    if not curve.forecasts:
        return _(
            "What more labels would bring cannot be told yet: it takes versions with {points} different numbers of "
            "labels, the most of them at least {spread} times the least. Retrain as labels come in."
        ).format(points=FEWEST_POINTS, spread=round(LEAST_SPREAD))
    parts = "; ".join(
        _("{figure} {gain} ({low} to {high})").format(
            figure=_(NAMES[name]),
            gain=f"{each.value:+.3f}",
            low=f"{each.interval[0]:+.3f}",
            high=f"{each.interval[1]:+.3f}",
        )
        for name, each in curve.forecasts.items()
    )
    facts = _("{more} labels more would bring about: {parts}.").format(more=MORE, parts=parts)
    return f"{_(OUTLOOKS[curve.outlook]).format(worth=WORTH)} {facts}"


def curve_table(curve: Curve, name: str) -> pd.DataFrame:
    rows = []
    for point in curve.points:
        figure = point.figures.get(name)
        if figure is not None and figure.interval is not None:
            low, high = figure.interval
            rows.append((point.version, point.labels, figure.value, low, high, point.judged))
    return pd.DataFrame(rows, columns=["version", "labels", "value", "low", "high", "judged"])


def point_rows(curve: Curve) -> list[dict[str, object]]:
    rows = []
    for point in curve.points:
        row: dict[str, object] = {_("version"): point.version, _("labels"): point.labels}
        for name in FIGURES:
            figure = point.figures.get(name)
            row[_(NAMES[name])] = "–" if figure is None else f"{figure.value:.3f}"
            interval = None if figure is None else figure.interval
            row[_("interval of {figure}").format(figure=_(NAMES[name]))] = (
                "–"
                if interval is None
                else _("{low} to {high}").format(low=f"{interval[0]:.3f}", high=f"{interval[1]:.3f}")
            )
        rows.append(row | {_("measured on posts"): point.judged, _("violations among them"): point.violations})
    return rows


def curve_caption(found: Proof) -> str:
    said = _(
        "Each point is a version of {base}, measured on the posts of the audit slice judged by now; no version has "
        "learned from them. The forecast carries a power law on; its interval holds what these posts and "
        "chance in training leave open. Recall is shown from {violations} violations on."
    ).format(base=found.base, violations=ENOUGH_VIOLATIONS)
    if found.other_bases:
        others = ngettext(
            "{count} version of another base encoder is left out.",
            "{count} versions of other base encoders are left out.",
            found.other_bases,
        ).format(count=found.other_bases)
        said = f"{said} {others}"
    return said
