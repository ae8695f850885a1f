"""A model version on one page: what it was made of, what it is worth, where it errs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain import LABEL_NAMES, Label, RunPoint, Side
from core.evaluation import ENOUGH
from core.html_page import (
    Cell,
    Child,
    Html,
    Series,
    document,
    element,
    line_chart,
    paragraph,
    reliability_chart,
    section,
    table,
)
from core.wording import N_, _

MEASURED_ON = {
    Side.audit.value: N_("drawn at random (audit slice)"),
    Side.evaluation.value: N_(
        "kept aside, most of them chosen by the queue because they are hard: they say less about the forum than they "
        "seem to"
    ),
}
Row = Sequence[str | Cell]
COLUMNS = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class WorstError:
    """A text kept aside that the version judges otherwise than people did. probability: of what it said."""

    text: str
    truth: Label
    said: Label
    probability: float


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What is known of a version. manifest, metrics: as they are stored; older ones lack parts.

    errors: the surest first. error_count: how many there are.
    """

    name: str
    base: str
    made_at: datetime
    is_active: bool
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Any]
    curves: tuple[RunPoint, ...]
    errors: tuple[WorstError, ...]
    error_count: int


def page_of(
    report: VersionReport, *, now: datetime, language: str, retell: Callable[[str], str] = lambda said: said
) -> Html:
    """The whole report as one HTML page, in the reader's words.

    language: for its attribute `lang`. retell: a stored English sentence in the reader's language.
    """
    title = _("Model version {name}").format(name=report.name)
    active = _("It is the active version.") if report.is_active else _("It is not the active version.")
    made = _("Made {made} (UTC) on {base}. {active} Report of {now}.").format(
        made=f"{report.made_at:%Y-%m-%d %H:%M}", base=report.base, active=active, now=f"{now:%Y-%m-%d %H:%M}"
    )
    return document(
        title,
        element("h1", title),
        paragraph(made, class_="quiet"),
        paragraph(_("It was trained on another machine, and measured on this one.")) if _was_imported(report) else None,
        *(paragraph(retell(str(warning)), class_="warning") for warning in report.manifest.get("warnings") or []),
        *figure_sections(report.metrics),
        _calibration(report),
        section(_("Thresholds"), *threshold_parts(report.metrics.get("thresholds"))),
        *_curves(report),
        *_errors(report),
        section(_("Snapshot and settings"), *_settings(report.manifest)),
        language=language,
    )


def _was_imported(report: VersionReport) -> bool:
    return report.manifest.get("imported") is True


# --- figures --------------------------------------------------------------------------------------------------------


def figure_sections(metrics: Mapping[str, Any]) -> Iterator[Html]:
    if not metrics:
        yield section(_("Figures"), paragraph(_("Measured on nothing: no judged text was kept aside yet.")))
        return
    intervals = metrics.get("intervals") or {}
    how = _(MEASURED_ON.get(str(metrics.get("measured_on")), N_("kept aside")))
    said = _("Measured on {judged} judged texts {how}; they stand for {posts} posts. Brackets: 95 % intervals.").format(
        judged=f"{metrics['judged']:,}", how=how, posts=f"{metrics['total']:,}"
    )
    whole: list[Row] = [
        [name, _with_interval(metrics[key], intervals.get(key))]
        for key, name in (("macro_f1", "macro-F1"), ("accuracy", _("accuracy")))
    ]
    yield section(_("Figures"), paragraph(said), table([_("figure"), Cell(_("value"))], whole))
    heads = [Cell(word) for word in (_("precision"), _("recall"), "F1", _("posts"))]
    yield section(_("By label"), table([_("label"), *heads], [_of_label(label, metrics, intervals) for label in Label]))
    yield section(
        _("Confusion matrix"),
        paragraph(_("Rows: what people said. Columns: what the version says. In posts."), class_="quiet"),
        table(["", *(Cell(_name(label)) for label in Label)], _confusion(metrics["confusion"])),
    )


def _of_label(label: Label, metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[str | Cell]:
    found = metrics["per_class"][label.name]
    if not found["support"]:
        return [_name(label), *(Cell("–") for _column in COLUMNS), Cell("0")]
    figures = [_with_interval(found[kind], intervals.get(f"{label.name} {kind}")) for kind in COLUMNS]
    return [_name(label), *figures, Cell(f"{found['support']:,}")]


def _with_interval(value: float, interval: Sequence[float] | None) -> Cell:
    return Cell(f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""))


def _confusion(confusion: Sequence[Sequence[int]]) -> Iterator[list[str | Cell]]:
    for truth, row in zip(Label, confusion, strict=True):
        cells = (
            Cell(f"{count:,}", "number hit" if said is truth else "number")
            for said, count in zip(Label, row, strict=True)
        )
        yield [_name(truth), *cells]


def _name(label: Label) -> str:
    return f"{label.name} {label.chinese}"


def _calibration(report: VersionReport) -> Html:
    found, correction = report.metrics.get("calibration"), report.manifest.get("calibration")
    if correction:
        shifts = zip(LABEL_NAMES, correction["offset"], strict=True)
        offsets = ", ".join(f"{name} {value:+.2f}" for name, value in shifts)
        said = _(
            "Temperature {temperature} and offsets for how frequent the labels are in the pool ({offsets}) were fitted "
            "on labelled texts drawn at random; the figures are out of fold."
        ).format(temperature=f"{correction['temperature']:.3f}", offsets=offsets)
    else:
        said = _("Not calibrated: that takes {count} labelled texts that were drawn at random.").format(count=ENOUGH)
    parts: list[Child] = [paragraph(said)]
    if found:
        bins = [(each["said"], each["happened"], each["posts"]) for each in found["bins"]]
        errors: list[Row] = [[_name(label), Cell(f"{found['error_by_class'][label.name]:.3f}")] for label in Label]
        parts += [
            reliability_chart(
                bins,
                title=_("How often the most likely label is right, by how sure the version is"),
                x_label=_("probability that it gives"),
            ),
            table(
                [_("calibration error (ECE)"), Cell(_("value"))],
                [[_("of the most likely label"), Cell(f"{found['error']:.3f}")], *errors],
            ),
        ]
    return section(_("Calibration"), *parts)


def threshold_parts(found: Mapping[str, Any] | None) -> Iterator[Html]:
    if not found:
        said = _("None are set: that takes {count} labelled texts drawn at random. The most likely label counts.")
        yield paragraph(said.format(count=ENOUGH))
        return
    yield paragraph(_("Chosen on some families and tried on others. Brackets: 95 % intervals."))
    rows: list[Row] = [
        [_("removed from this probability of a violation on"), Cell(_place(found["removes"]))],
        [_("passed from this probability of normal on"), Cell(_place(found["passes"]))],
        [_("share of the posts that is removed"), _share(found["removed"])],
        [_("share of violations in what is removed"), _share(found["precision"])],
        [_("share of the posts that passes"), _share(found["passed"])],
        [_("share of the violations that passes"), _share(found["missed"])],
        [_("share of the posts left for moderators"), _share(found["moderators"])],
    ]
    yield table([_("figure"), Cell(_("value"))], rows)


def _place(threshold: float | None) -> str:
    return _("none keeps what is asked of it") if threshold is None else f"{threshold:.3f}"


def _share(figure: Mapping[str, Any]) -> Cell:
    value, interval = figure["value"], figure["interval"]
    said = "–" if value is None else f"{value:.1%}"
    return Cell(said + (f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""))


def _curves(report: VersionReport) -> Iterator[Html]:
    loss = tuple((float(point.step), point.loss) for point in report.curves if point.loss is not None)
    score = tuple((float(point.step), point.macro_f1) for point in report.curves if point.macro_f1 is not None)
    recalls = [
        Series(
            _name(label),
            tuple((float(p.step), said) for p in report.curves if (said := p.recall[label]) is not None),
            label.name,
        )
        for label in Label
    ]
    there = [each for each in recalls if each.points]
    charts: list[Child] = []
    if loss:
        charts.append(line_chart([Series("", loss)], title=_("Loss by step"), x_label=_("step")))
    if score:
        title = _("Macro-F1 by step, on posts kept aside")
        charts.append(line_chart([Series("", score)], title=title, x_label=_("step"), high=1.0))
    if there:
        title = _("Recall by label and step, on posts kept aside")
        charts.append(line_chart(there, title=title, x_label=_("step"), high=1.0))
    if charts:
        yield section(_("Training"), *charts)


def _errors(report: VersionReport) -> Iterator[Html]:
    if not report.metrics:
        return
    said = _("{count} of the texts kept aside are judged otherwise than people did; the surest of them first.")
    rows: list[Row] = [
        [
            Cell(error.text, "text"),
            _name(error.truth),
            _name(error.said),
            Cell(f"{error.probability:.3f}"),
        ]
        for error in report.errors
    ]
    header: Row = [_("text"), _("people said"), _("the version says"), Cell(_("how sure"))]
    yield section(
        _("Worst errors"),
        paragraph(said.format(count=f"{report.error_count:,}")),
        table(header, rows) if rows else None,
    )


# --- what it was made of --------------------------------------------------------------------------------------------


def _settings(manifest: Mapping[str, Any]) -> Iterator[Html]:
    base = manifest.get("base") or {}
    rows: list[tuple[str, object]] = [
        (_("base encoder"), base.get("name")),
        (_("SHA-256 of its weights"), base.get("sha256")),
        (_("snapshot"), manifest.get("snapshot")),
        *(_listed(_("examples: {side}"), manifest.get("examples"))),
        (_("class weights"), manifest.get("class_weights")),
        (_("shares in training"), manifest.get("training_mix")),
        (_("best epoch"), manifest.get("best_epoch")),
        (_("device"), manifest.get("device")),
        (_("seconds"), manifest.get("seconds")),
        *((str(name), value) for name, value in (manifest.get("hyper_parameters") or {}).items()),
        (_("libraries"), manifest.get("libraries")),
    ]
    listed: list[Row] = [[name, Cell(_words(value), "text")] for name, value in rows if value is not None]
    yield table([_("setting"), _("value")], listed)


def _listed(words: str, examples: object) -> Iterator[tuple[str, object]]:
    if isinstance(examples, Mapping):
        yield from ((words.format(side=side), counts) for side, counts in examples.items())


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, bool) or not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"{value:.6g}"
