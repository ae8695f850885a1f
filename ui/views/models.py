"""Models: the versions there are, each beside the active one, and promotion."""

from __future__ import annotations

from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.comparison import Verdict
from core.domain import LABEL_NAMES, Label, ModelVersion, Side
from core.evaluation import ENOUGH
from core.metrics import Metrics
from core.permissions import Permission, may
from core.services import models, scoring
from core.wording import N_, _, ngettext
from ui.languages import retell
from ui.page import current_page, errors_as_sentences, open_page
from ui.pool_scoring import ask_share, show_scoring
from ui.words import label_in_words

FEW_TEXTS = 200  # below this the figures are too uncertain to decide by
VERDICTS = {Verdict.better: N_("better"), Verdict.worse: N_("worse"), Verdict.cannot_tell: N_("cannot tell")}


def promote(name: str, share: float | None) -> None:
    page = current_page()
    reason = str(st.session_state.get("promotion-reason", ""))
    with errors_as_sentences():
        models.promote(page.engine, page.actor, name, reason=reason, share=share, now=utc_now())
        st.session_state["promoted"] = name


def show_promotion(found: models.Comparison) -> None:
    """A button; for a version that is worse than the active one a quiet one, beside a question why."""
    name = found.candidate.name
    share = ask_share(page, found.candidate, scoring.outlook(page.engine, page.actor, name))
    if not found.losses or found.active is None:
        st.button(_("Promote {version}").format(version=name), type="primary", on_click=promote, args=(name, share))
        return
    worse = ", ".join(f"{figure_name(figure)} {gap.value:+.3f}" for figure, gap in found.losses.items())
    st.warning(
        _(
            "{version} is worse than {active} beyond what chance explains: {figures}. The queue would be ordered by it."
        ).format(version=name, active=found.active.name, figures=worse)
    )
    reason = st.text_input(
        _("Why it is to become active all the same"), key="promotion-reason", help=_("It goes into the audit log.")
    )
    label = _("Promote {version} all the same").format(version=name)
    st.button(label, on_click=promote, args=(name, share), disabled=not reason.strip())


def warnings_of(version: ModelVersion) -> list[str]:
    """What its training warned of, such as a class without labels."""
    found = version.manifest.get("warnings")
    return [retell(str(warning)) for warning in found] if isinstance(found, list) else []


def report_address(name: str) -> str:
    return f"/report/version/{quote(name, safe='')}"


def show_versions(rows: list[models.VersionRow]) -> None:
    active = _("{version} (active)")
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "version": active.format(version=row.version.name) if row.is_active else row.version.name,
                    "macro_f1": row.version.metrics.get("macro_f1"),
                    "interval": interval_words(row.version),
                    "posts": row.version.metrics.get("total", 0),
                    "random": row.version.metrics.get("measured_on") == Side.audit,
                    "calibrated": row.version.manifest.get("calibration") is not None,
                    "made": row.version.created_at,
                    "base": _("TF-IDF (baseline)") if row.version.is_baseline else row.version.base,
                }
                for row in rows
            ]
        ),
        hide_index=True,
        column_config={
            "version": st.column_config.TextColumn(_("version")),
            "macro_f1": st.column_config.NumberColumn("macro-F1", format="%.3f"),
            "interval": st.column_config.TextColumn(_("95 % interval")),
            "posts": st.column_config.NumberColumn(
                _("on posts"), format="localized", help=_("How many it was measured on when made.")
            ),
            "random": st.column_config.CheckboxColumn(
                _("random"), help=_("Whether these were drawn at random: the audit slice, judged far enough.")
            ),
            "calibrated": st.column_config.CheckboxColumn(
                _("calibrated"),
                help=_(
                    "Whether its probabilities were corrected on posts drawn at random: at least {count} of them."
                ).format(count=ENOUGH),
            ),
            "made": st.column_config.DatetimeColumn(_("made"), format="YYYY-MM-DD"),
            "base": st.column_config.TextColumn(_("base encoder")),
        },
    )


def interval_words(version: ModelVersion) -> str:
    intervals = version.metrics.get("intervals")
    found = intervals.get("macro_f1") if isinstance(intervals, dict) else None
    return f"{found[0]:.3f} – {found[1]:.3f}" if found else ""


def show_comparison(found: models.Comparison) -> None:
    if found.candidate_metrics is None:
        st.info(_("No decided posts were kept aside from training yet, so nothing can be measured. Decide more posts."))
        return
    st.caption(
        ngettext(
            "Measured on {count} judged text that no version here was trained on; it stands for {posts} posts.",
            "Measured on {count} judged texts that no version here was trained on; they stand for {posts} posts.",
            found.judged,
        ).format(count=f"{found.judged:,}", posts=f"{found.candidate_metrics.total:,}")
        + " "
        + (_("They were drawn at random (audit slice).") if found.is_random else "")
    )
    if not found.is_random:
        st.error(
            _(
                "Too few posts of the audit slice are judged: {count} are needed. Most of these texts were chosen by "
                "the queue because they are hard, so the figures say less about the forum than they seem to."
            ).format(count=f"{ENOUGH:,}"),
            icon=":material/warning:",
        )
    if found.judged < FEW_TEXTS:
        st.warning(
            ngettext(
                "{count} text is few: differences of several points may be chance.",
                "{count} texts are few: differences of several points may be chance.",
                found.judged,
            ).format(count=f"{found.judged:,}")
        )
    table = comparison_table(found).style.format("{:.3f}", na_rep="–", subset=list(columns_of(found)))
    if found.gaps:
        table = table.format("{:+.3f}", na_rep="–", subset=[_("difference")])
    st.dataframe(table, width="content")
    if found.active is None:
        st.write(_("No version is active yet, so there is nothing to compare with."))
    elif found.active.id == found.candidate.id:
        st.write(_("This is the active version."))
    if found.baseline is not None and found.baseline_gaps["macro_f1"].verdict is Verdict.better:
        st.info(
            _("The baseline {baseline} is better than {version}: choose it above to promote it.").format(
                baseline=found.baseline.name, version=found.candidate.name
            )
        )


def columns_of(found: models.Comparison) -> dict[str, Metrics | None]:
    """The versions to stand side by side, by what their column is called."""
    columns = {found.candidate.name: found.candidate_metrics}
    if found.active is not None and found.active.id != found.candidate.id:
        columns[_("{version} (active)").format(version=found.active.name)] = found.active_metrics
    if found.baseline is not None:
        columns[_("{version} (baseline)").format(version=found.baseline.name)] = found.baseline_metrics
    return columns


def comparison_table(found: models.Comparison) -> pd.DataFrame:
    """Figures by class, side by side; how far the candidate is above the active version, and what that says."""
    table = pd.DataFrame({name: figures(metrics) for name, metrics in columns_of(found).items()})
    if found.gaps:
        table[_("difference")] = [found.gaps[figure].value for figure in table.index]
        table[_("says")] = [_(VERDICTS[found.gaps[figure].verdict]) for figure in table.index]
    return table.rename(index=figure_name)


def figures(metrics: Metrics | None) -> dict[str, float | None]:
    """By the names of core.comparison; None for a class that does not occur."""
    if metrics is None:
        return {}
    rows: dict[str, float | None] = {"macro_f1": metrics.macro_f1, "accuracy": metrics.accuracy}
    for name, of_class in zip(LABEL_NAMES, metrics.per_class, strict=True):
        for kind in ("precision", "recall"):
            rows[f"{name} {kind}"] = getattr(of_class, kind) if of_class.support else None
    return rows


def figure_name(figure: str) -> str:
    """As it is called on the page."""
    whole = {"macro_f1": "macro-F1", "accuracy": _("accuracy")}
    kinds = {"precision": _("{label}: precision"), "recall": _("{label}: recall")}
    if figure in whole:
        return whole[figure]
    label, _space, kind = figure.partition(" ")
    return kinds[kind].format(label=label_in_words(Label[label]))


def show_thresholds(version: ModelVersion) -> None:
    """What it could decide by itself, out of fold; nothing before there are enough random posts to tell."""
    found = version.metrics.get("thresholds")
    if not isinstance(found, dict):
        return
    lines = []
    if found["removes"] is not None:
        said = _(
            "Removing where a violation is at least {at} likely: {removed} of the posts, of which {precision} are "
            "violations."
        )
        removed, precision = share_words(found["removed"]), share_words(found["precision"])
        lines.append(said.format(at=f"{found['removes']:.3f}", removed=removed, precision=precision))
    if found["passes"] is not None:
        said = _(
            "Passing where normal is at least {at} likely: {passed} of the posts; {missed} of the violations are among "
            "them."
        )
        passed, missed = share_words(found["passed"]), share_words(found["missed"])
        lines.append(said.format(at=f"{found['passes']:.3f}", passed=passed, missed=missed))
    lines.append(_("Left for moderators: {share} of the posts.").format(share=share_words(found["moderators"])))
    with st.expander(_("What it could decide by itself")):
        st.markdown("\n".join(f"- {line}" for line in lines))
        st.caption(_("Shares with 95 % intervals, on posts drawn at random by which the thresholds were not chosen."))


def share_words(figure: dict[str, object]) -> str:
    if figure["value"] is None:
        return _("an unknown share")
    value, interval = f"{float(str(figure['value'])):.1%}", figure["interval"]
    if not isinstance(interval, list):
        return value
    low, high = (f"{end:.1%}" for end in interval)
    return _("{share} ({low} to {high})").format(share=value, low=low, high=high)


page = open_page(
    _("Models"), _("The versions there are. The active one orders the queue; promoting an older one rolls back.")
)
with errors_as_sentences():
    rows = models.list_versions(page.engine, page.actor)
    if not rows:
        st.write(_("There is no version yet."))
        if may(page.actor, Permission.manage_runs):
            st.page_link("views/retrain.py", label=_("Retrain"), icon=":material/arrow_forward:")
    else:
        if name := st.session_state.pop("promoted", None):
            said = _("{version} is active. The pool is being scored with it; the queue renews itself meanwhile.")
            st.success(said.format(version=name))
        show_versions(rows)
        names = [row.version.name for row in rows]
        chosen = st.selectbox(_("Look at"), names, key="models-version")
        row = next(row for row in rows if row.version.name == chosen)
        st.link_button(
            _("Report of {version}").format(version=chosen), report_address(chosen), icon=":material/lab_profile:"
        )
        for warning in warnings_of(row.version):
            st.warning(warning)
        comparison = models.compare(page.engine, page.actor, chosen)
        show_comparison(comparison)
        show_thresholds(row.version)
        if row.is_active:
            show_scoring(page, row.version)
        elif may(page.actor, Permission.promote):
            show_promotion(comparison)
