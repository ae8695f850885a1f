"""Models: the versions there are, each beside the active one, and promotion."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import LABEL_NAMES, ModelVersion
from core.metrics import Metrics
from core.permissions import Permission, may
from core.services import models
from ui.page import current_page, errors_as_sentences, open_page

FEW_POSTS = 200  # below this the figures are too uncertain to decide by


def promote(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        models.promote(page.engine, page.actor, name, now=utc_now())
        st.session_state["promoted"] = name
        st.session_state.pop("promote-although-worse", None)


def ask(name: str | None) -> None:
    """Remember that the lead wants a worse version, to be asked once more; None: does not after all."""
    st.session_state["promote-although-worse"] = name


def show_promotion(found: models.Comparison) -> None:
    """A button; for a version that is worse than the active one a quiet one, and a second question."""
    name, losses = found.candidate.name, found.losses
    if not losses or found.active is None:
        st.button(f"Promote {name}", type="primary", on_click=promote, args=(name,))
        return
    if st.session_state.get("promote-although-worse") != name:
        st.button(f"Promote {name} although it is worse", on_click=ask, args=(name,))
        return
    worse = " and ".join(f"{figure} by {gap:.3f}" for figure, gap in losses.items())
    st.warning(f"{name} is worse than {found.active.name}: {worse}. The queue will be ordered by it all the same.")
    left, right, _rest = st.columns([2, 2, 6])
    left.button(f"Promote {name} all the same", on_click=promote, args=(name,), width="stretch")
    right.button(f"Keep {found.active.name}", type="primary", on_click=ask, args=(None,), width="stretch")


def warnings_of(version: ModelVersion) -> list[str]:
    """What its training warned of, such as a class without labels."""
    found = version.manifest.get("warnings")
    return [str(warning) for warning in found] if isinstance(found, list) else []


def show_versions(rows: list[models.VersionRow]) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "version": row.version.name + (" (active)" if row.is_active else ""),
                    "macro-F1": row.version.metrics.get("macro_f1"),
                    "on posts": row.version.metrics.get("total", 0),
                    "made": row.version.created_at,
                    "base encoder": row.version.base,
                }
                for row in rows
            ]
        ),
        hide_index=True,
        column_config={
            "macro-F1": st.column_config.NumberColumn(format="%.3f"),
            "on posts": st.column_config.NumberColumn(
                format="localized", help="How many it was measured on when made."
            ),
            "made": st.column_config.DatetimeColumn(format="YYYY-MM-DD"),
        },
    )


def show_comparison(found: models.Comparison) -> None:
    if found.candidate_metrics is None:
        st.info("No decided posts were kept aside from training yet, so nothing can be measured. Decide more posts.")
        return
    are_two = found.active is not None and found.active.id != found.candidate.id
    untrained = "neither version was trained on" if are_two else "it was not trained on"
    st.caption(
        f"Measured on {found.judged:,} judged texts that {untrained}; with their near-copies they "
        f"stand for {found.candidate_metrics.total:,} posts. {found.judged_audit:,} of the texts "
        f"{'is' if found.judged_audit == 1 else 'are'} from the audit slice (drawn at random). "
        "The others come from the queue, which prefers hard posts."
    )
    if found.judged < FEW_POSTS:
        st.warning(f"{found.judged:,} texts are few: differences of several points may be chance.")
    st.dataframe(comparison_table(found).style.format("{:.3f}", na_rep="–"), width="content")
    st.write(verdict(found))


def comparison_table(found: models.Comparison) -> pd.DataFrame:
    """Figures by class, the candidate's beside the active version's."""
    columns = {found.candidate.name: figures(found.candidate_metrics)}
    if found.active is not None and found.active.id != found.candidate.id:
        columns[f"{found.active.name} (active)"] = figures(found.active_metrics)
    table = pd.DataFrame(columns)
    if table.shape[1] == 2:
        table["difference"] = table.iloc[:, 0] - table.iloc[:, 1]
    return table


def figures(metrics: Metrics | None) -> dict[str, float | None]:
    if metrics is None:
        return {}
    rows: dict[str, float | None] = {"macro-F1": metrics.macro_f1, "accuracy": metrics.accuracy}
    for name, of_class in zip(LABEL_NAMES, metrics.per_class, strict=True):
        rows[f"{name}: precision"] = of_class.precision if of_class.support else None
        rows[f"{name}: recall"] = of_class.recall if of_class.support else None
    return rows


def verdict(found: models.Comparison) -> str:
    """Which is better, by class, in words."""
    if found.active is None or found.active_metrics is None or found.candidate_metrics is None:
        return "No version is active yet, so there is nothing to compare with."
    if found.active.id == found.candidate.id:
        return "This is the active version."
    words = []
    pairs = zip(LABEL_NAMES, found.candidate_metrics.per_class, found.active_metrics.per_class, strict=True)
    for name, new, old in pairs:
        if new.support:
            gap = new.f1 - old.f1
            word = "the same" if abs(gap) < 0.005 else "better" if gap > 0 else "worse"
            words.append(f"{name}: {word} ({gap:+.3f} F1 on {new.support:,} posts)")
    return f"{found.candidate.name} against {found.active.name} – " + "; ".join(words) + "."


page = open_page(
    "Models", "The versions there are. The active one orders the queue; promoting an older one rolls back."
)
with errors_as_sentences():
    rows = models.list_versions(page.engine, page.actor)
    if not rows:
        st.write("There is no version yet.")
        if may(page.actor, Permission.manage_runs):
            st.page_link("views/retrain.py", label="Retrain", icon=":material/arrow_forward:")
    else:
        if name := st.session_state.pop("promoted", None):
            st.success(f"{name} is active. The pool is being scored with it; the queue renews itself meanwhile.")
        show_versions(rows)
        names = [row.version.name for row in rows]
        chosen = st.selectbox("Look at", names, key="models-version")
        row = next(row for row in rows if row.version.name == chosen)
        for warning in warnings_of(row.version):
            st.warning(warning)
        comparison = models.compare(page.engine, page.actor, chosen)
        show_comparison(comparison)
        if may(page.actor, Permission.promote) and not row.is_active:
            show_promotion(comparison)
