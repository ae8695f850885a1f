"""A week of moderation on one page: what was decided, how well people agree, what the model is worth, words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from core.domain import Label, ThresholdPolicy, WordRecord
from core.errors import BadInput
from core.html_page import Cell, Html, Series, document, element, line_chart, paragraph, section, table
from core.proportions import wilson
from core.version_report import figure_sections, threshold_parts
from core.wording import _, ngettext

FEWEST = 5  # decided posts with a word: with fewer its share says nothing
MOST_WORDS = 30


@dataclass(frozen=True, slots=True)
class Agreed:
    """Alpha over so many posts; None where it cannot be told."""

    posts: int
    alpha: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class WeekReport:
    """What is known of a week. monday: its first day, days begin at midnight UTC.

    by_day: posts that people judged on each of its days, by label. left, pool: posts in the queue, and undecided, when
    the report was made. agreement: of the week, and of all until its end; None for readers whom it is not for.
    version, metrics: the active one; promoted: in the week. words: of what was decided in the week.
    """

    monday: date
    by_day: tuple[Mapping[Label, int], ...]
    imports: int
    brought: int
    posts: int
    pool: int
    left: int
    agreement: tuple[Agreed, Agreed] | None
    version: str | None
    metrics: Mapping[str, Any]
    promoted: tuple[tuple[datetime, str], ...]
    policies: tuple[ThresholdPolicy, ...]
    words: Mapping[str, WordRecord]

    @property
    def judged(self) -> int:
        return sum(sum(day.values()) for day in self.by_day)


def monday_of(said: str) -> date:
    """The first day of a week that is written like 2026-W47 (ISO 8601). Raises BadInput for anything else."""
    year, _dash, week = said.strip().upper().partition("-W")
    try:
        if len(year) != 4 or len(week) != 2:
            raise ValueError(said)  # noqa: TRY301 - said to be no week below, as an impossible one is
        return date.fromisocalendar(int(year), int(week), 1)
    except ValueError as err:
        raise BadInput(_("{week!r} is not a week; write it like 2026-W47.").format(week=said[:20])) from err


def week_in_words(monday: date) -> str:
    """Like 2026-W47."""
    year, week, _day = monday.isocalendar()
    return f"{year}-W{week:02d}"


def last_whole_week(now: datetime) -> date:
    """The Monday of the week before the one that is under way."""
    today = now.date()
    return today - timedelta(days=today.weekday() + 7)


def page_of(report: WeekReport, *, now: datetime, language: str) -> Html:
    """The whole report as one HTML page, in the reader's words. language: for its attribute `lang`."""
    title = _("Week {week}").format(week=week_in_words(report.monday))
    days = _("{first} to {last} (UTC). Made {made}.").format(
        first=report.monday, last=report.monday + timedelta(days=6), made=f"{now:%Y-%m-%d %H:%M}"
    )
    return document(
        title,
        element("h1", title),
        paragraph(days, class_="quiet"),
        section(_("Queue"), *_queue(report)),
        *([] if report.agreement is None else [section(_("Agreement"), *_agreement(*report.agreement))]),
        section(_("Model"), *_model(report)),
        *(figure_sections(report.metrics) if report.version is not None else ()),
        section(_("Thresholds"), *_thresholds(report)),
        section(_("Words"), *_words(report.words)),
        language=language,
    )


def _queue(report: WeekReport) -> Iterator[Html]:
    if not report.judged:
        yield paragraph(_("Nobody judged a post in this week."))
    else:
        days = [report.monday + timedelta(days=at) for at in range(len(report.by_day))]
        rows: list[Sequence[str | Cell]] = [
            [f"{day}", *(Cell(f"{counted.get(label, 0):,}") for label in Label), Cell(f"{sum(counted.values()):,}")]
            for day, counted in zip(days, report.by_day, strict=True)
        ]
        whole = [sum(counted.get(label, 0) for counted in report.by_day) for label in Label]
        rows.append([_("in all"), *(Cell(f"{count:,}") for count in whole), Cell(f"{sum(whole):,}")])
        lines = [
            Series(
                _name(label),
                tuple((float(at), float(counted.get(label, 0))) for at, counted in enumerate(report.by_day, 1)),
                label.name,
            )
            for label in Label
        ]
        yield line_chart(lines, title=_("Posts judged by people, by day"), x_label=_("day of the week"))
        yield table([_("day"), *(Cell(_name(label)) for label in Label), Cell(_("judged"))], rows)
    brought = ngettext(
        "{imports} import brought {posts} posts in this week.", "{imports} imports brought {posts} posts in this week.",
        report.imports,
    )  # fmt: skip
    yield paragraph(brought.format(imports=f"{report.imports:,}", posts=f"{report.brought:,}"))
    yield paragraph(
        _("When this was made, {pool} of {posts} posts were undecided, and {left} stood in the queue.").format(
            pool=f"{report.pool:,}", posts=f"{report.posts:,}", left=f"{report.left:,}"
        )
    )


def _name(label: Label) -> str:
    return f"{label.name} {label.chinese}"


def _agreement(then: Agreed, until: Agreed) -> Iterator[Html]:
    if not until.posts:
        yield paragraph(_("No post has been judged by two people yet; the Policy page says how many are to be."))
        return
    yield table(
        [_("posts drawn by chance that two people judged"), Cell(_("posts")), Cell(_("Krippendorff's alpha, ordinal"))],
        [
            [name, Cell(f"{agreed.posts:,}"), Cell(_alpha_in_words(agreed))]
            for name, agreed in ((_("in this week"), then), (_("until its end"), until))
        ],
    )
    yield paragraph(
        _(
            "1 is full agreement, 0 what chance would give; from 0.80 on conclusions are safe. "
            "Brackets: 95 % intervals."
        ),
        class_="quiet",
    )


def _alpha_in_words(agreed: Agreed) -> str:
    if agreed.alpha is None:
        return _("too few to tell")
    said = f"{agreed.alpha:.2f}"
    return said if agreed.interval is None else f"{said} [{agreed.interval[0]:.2f}, {agreed.interval[1]:.2f}]"


def _model(report: WeekReport) -> Iterator[Html]:
    if report.version is None:
        yield paragraph(_("No model version is active yet; a lead trains one on the Retrain page and promotes it."))
        return
    yield paragraph(
        _("{version} is the active version. Its figures are those from when it was made.").format(
            version=report.version
        )
    )
    if report.promoted:
        listed = ", ".join(f"{name} ({at:%Y-%m-%d %H:%M})" for at, name in report.promoted)
        yield paragraph(_("Promoted in this week: {versions}.").format(versions=listed))
    else:
        yield paragraph(_("No version was promoted in this week."))


def _thresholds(report: WeekReport) -> Iterator[Html]:
    if report.version is not None:
        yield from threshold_parts(report.metrics.get("thresholds"))
    if not report.policies:
        yield paragraph(_("No thresholds are saved under a name yet; the Thresholds page does that."))
        return
    yield table(
        [_("saved under the name"), Cell(_("passes from")), Cell(_("removed from")), _("chosen on"), _("day")],
        [
            [
                each.name,
                Cell(_place(each.passes)),
                Cell(_place(each.removes)),
                each.version,
                f"{each.saved_at:%Y-%m-%d}",
            ]
            for each in report.policies
        ],
    )


def _place(threshold: float | None) -> str:
    return _("none") if threshold is None else f"{threshold:.3f}"


def _words(words: Mapping[str, WordRecord]) -> Iterator[Html]:
    told = [(word, record) for word, record in words.items() if record.decided >= FEWEST]
    told.sort(key=lambda each: (-each[1].decided, each[0]))
    if not told:
        said = _("No hit word stands in {fewest} or more of the posts that were decided in this week.")
        yield paragraph(said.format(fewest=FEWEST))
        return
    yield table(
        [_("word"), Cell(_("decided")), Cell(_("violations")), Cell(_("share, and its 95 % interval"))],
        [
            [word, Cell(f"{record.decided:,}"), Cell(f"{record.violations:,}"), Cell(_share_in_words(record))]
            for word, record in told[:MOST_WORDS]
        ],
    )
    yield paragraph(_("Of the posts that people or files decided in this week."), class_="quiet")
    more = len(told) - MOST_WORDS
    if more > 0:
        said = ngettext("{count} more word stands in fewer posts.", "{count} more words stand in fewer posts.", more)
        yield paragraph(said.format(count=f"{more:,}"), class_="quiet")


def _share_in_words(record: WordRecord) -> str:
    low, high = wilson(record.violations, record.decided)
    return f"{record.violations / record.decided:.0%} [{float(low):.0%}, {float(high):.0%}]"
