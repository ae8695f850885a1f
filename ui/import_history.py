"""Imports so far: who, when, how many rows, what was rejected, and the way to take one back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Run, RunStatus
from core.services import importing, runs, takeback
from core.services.rules import current_policy
from core.services.takeback import TakebackCounts
from ui.page import Page, current_page, errors_as_sentences
from ui.words import counted, counted_doing, plain

STAYING_SHOWN = 20
WORDS = {RunStatus.succeeded: "done", RunStatus.failed: "failed", RunStatus.cancelled: "cancelled"}


def show_history(page: Page, ended: list[Run], takers: dict[int, Run]) -> None:
    st.subheader("Imports so far", anchor=False)
    st.dataframe(history_table(ended), hide_index=True, width="stretch", column_config=history_columns())
    by_id = {run.id: run for run in ended}
    if st.session_state.get("newest-import") != ended[0].id:  # it has just ended: what became of it comes first
        st.session_state["newest-import"] = st.session_state["look-at"] = ended[0].id
    chosen = st.selectbox(
        "Look at an import",
        list(by_id),
        key="look-at",
        format_func=lambda run_id: (
            f"run {run_id} · {by_id[run_id].config['name']} · {by_id[run_id].created_at:%Y-%m-%d}"
        ),
    )
    show_import(page, by_id[chosen], takers.get(chosen))


def history_table(ended: list[Run]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {
                "run": run.id,
                "file": run.config["name"],
                "status": "taken back" if run.taken_back_at else WORDS[run.status],
                "by": run.created_by,
                "when": run.created_at,
                "took": duration(run),
                "rows": run.result.get("rows"),
                "speed": speed(run),
                **{name: run.result.get(name) for name in ("posts_added", "hits_added", "repeats", "rejected")},
                "decisions": run.result.get("decisions_added"),
                "taken_back": run.taken_back_at,
                "hash": str(run.config.get("sha256") or "")[:12],
            }
            for run in ended
        ]
    )
    # Columns that say nothing here only push the others off the screen.
    optional = ["decisions", "taken_back"]
    return table.drop(columns=[name for name in optional if not any(map(_says_something, table[name]))])


def _says_something(value: object) -> bool:
    return bool(pd.notna(value)) and value != 0  # type: ignore[call-overload]


def history_columns() -> dict[str, object]:
    column = st.column_config
    titles = {
        "rows": "rows",
        "speed": "rows/s",
        "posts_added": "posts",
        "hits_added": "further hits",
        "repeats": "repeats",
        "rejected": "rejected",
        "decisions": "decisions",
    }
    return {
        "run": column.NumberColumn("run", width="small"),
        "when": column.DatetimeColumn("when (UTC)", format="YYYY-MM-DD HH:mm"),
        "taken_back": column.DatetimeColumn("taken back (UTC)", format="YYYY-MM-DD HH:mm"),
        "hash": column.TextColumn("SHA-256", help="The first 12 digits of the file's hash."),
        **{name: column.NumberColumn(title, format="localized") for name, title in titles.items()},
    }


def show_import(page: Page, run: Run, taker: Run | None) -> None:
    """One import: why it failed, what it rejected, and taking it back."""
    if run.error:
        st.error(plain(run.error), icon=":material/error:")
        offer_again(run)
    if run.config.get("sha256"):
        st.caption(f"SHA-256 of the file: {run.config['sha256']}")
    show_rejects(page, run)
    if run.result.get("split_overlaps"):
        st.warning(overlap_words(run), icon=":material/content_copy:")
    if run.result.get("contradictions"):
        st.warning(contradiction_words(run), icon=":material/rule:")
    if run.taken_back_at is not None:
        show_taken_back(page, run, taker)
    elif run.published_at is not None:
        show_way_back(page, run)
    elif not run.error:
        st.caption("Nothing of it was taken in.")


def offer_again(failed: Run) -> None:
    """An import that was killed leaves its upload; one that could not read its file has deleted it."""
    if Path(str(failed.config["path"])).is_file():
        st.button("Import again", on_click=import_again, args=(failed.id,), help=str(failed.config["name"]))
    else:
        st.caption(f"{plain(str(failed.config['name']))} is not kept here any more; upload it again.")


def import_again(run_id: int) -> None:
    """Put the request of a failed run in line once more."""
    page = current_page()
    with errors_as_sentences():
        failed = runs.show_run(page.engine, page.actor, run_id)
        request = importing.ImportRequest(**failed.config)  # type: ignore[arg-type]
        importing.queue_import(page.engine, page.actor, request, now=utc_now())


def overlap_words(run: Run) -> str:
    """What an import found to stand on both sides of the split that its file names."""
    lines, count = run.result.get("split_overlap_lines"), int(str(run.result["split_overlaps"]))
    pairs = [f"{train} and {evaluation}" for train, evaluation in lines] if isinstance(lines, list) else []
    return (
        f"{counted_doing(count, 'text', 'stand')} both in its training and its evaluation split, for example on lines "
        f"{', '.join(pairs)}. Figures measured on that split are too good. Tiebreak draws its own split, in which "
        "copies stay together."
    )


def contradiction_words(run: Run) -> str:
    """Where a file says one thing of a post and then another."""
    lines, count = run.result.get("contradiction_lines"), int(str(run.result["contradictions"]))
    some = ", ".join(f"{line:,}" for line in lines) if isinstance(lines, list) else ""
    return (
        f"{counted_doing(count, 'label', 'contradict')} what an earlier line of the file says of the same post, for "
        f"example on lines {some}. The last line counts: where annotators disagree, import each one's labels as a "
        "source of its own, and the Review page lists the disagreements."
    )


def show_rejects(page: Page, run: Run) -> None:
    count = run.result.get("rejected")
    if not count or run.finished_at is None:
        return
    days = current_policy(page.engine).reject_days
    gone_at = run.finished_at + timedelta(days=days)
    if gone_at <= utc_now():
        st.caption(f"{count:,} rows were rejected. Rejected lines are kept for {days} days; these were deleted.")
        return
    st.link_button(f"{count:,} rejected rows", f"/api/imports/{run.id}/rejects", icon=":material/download:")
    st.caption(f"Rejected lines are kept for {days} days: these until {gone_at:%Y-%m-%d}. Their number stays.")


def show_way_back(page: Page, run: Run) -> None:
    if st.session_state.get("take-back") != run.id:
        st.button("Take this import back …", key="ask-take-back", on_click=ask_take_back, args=(run.id,))
        return
    with st.spinner("Looking what would go …"):
        counts = takeback.preview_takeback(page.engine, page.actor, run.id).counts
    st.markdown("**Taking it back** for good:\n" + "\n".join(f"- {line}" for line in takeback_lines(counts)))
    show_staying(page, run, counts.posts_decided)
    left, right = st.columns([1, 3])
    left.button("Take back", on_click=start_take_back, args=(run.id,), width="stretch")
    right.button("Leave it", on_click=ask_take_back, args=(None,))


def takeback_lines(counts: TakebackCounts) -> list[str]:
    gone, hits = counted(counts.posts_gone, "post"), counted(counts.hits_gone, "hit")
    lines = [f"{gone} and {hits} that only this import brought go"]
    if counts.posts_elsewhere:
        lines.append(f"{counted_doing(counts.posts_elsewhere, 'post', 'stay')} because other imports found them too")
    if counts.posts_changed:
        lines.append(f"{counted(counts.posts_changed, 'post')} of other imports will read as without it")
    if counts.decisions_taken_back:
        lines.append(f"{counted(counts.decisions_taken_back, 'decision')} of its file will not count any more")
    lines.append(f"{counted_doing(counts.posts_decided, 'post', 'stay')} because of a decision")
    return lines


def show_taken_back(page: Page, run: Run, taker: Run | None) -> None:
    by = f" by {plain(taker.created_by)}" if taker else ""
    st.markdown(f"Taken back on {run.taken_back_at:%Y-%m-%d %H:%M} UTC{by}.")
    if taker is not None and taker.result:
        st.caption(
            f"{counted(int(str(taker.result['posts_gone'])), 'post')} and "
            f"{counted(int(str(taker.result['hits_gone'])), 'hit')} went."
        )
        show_staying(page, run, int(str(taker.result["posts_decided"])))


def show_staying(page: Page, run: Run, total: int) -> None:
    """The posts that stay because of a decision, some at a time."""
    if not total:
        return
    begins = st.session_state.get("staying", (run.id, (0,)))
    pages = begins[1] if begins[0] == run.id else (0,)
    found = takeback.posts_that_stay(page.engine, page.actor, run.id, limit=STAYING_SHOWN, after=pages[-1])
    first = (len(pages) - 1) * STAYING_SHOWN + 1
    shown = f", here {first:,} to {first + len(found) - 1:,}" if total > STAYING_SHOWN else ""
    st.caption(f"Posts that stay because of a decision: {total:,}{shown}")
    table = pd.DataFrame([{"post": post.post_id, "pid": post.pid, "decisions": post.decisions} for post in found])
    st.dataframe(table, hide_index=True, width="content")
    if total > STAYING_SHOWN:
        left, right = st.columns([1, 3])
        left.button("Previous", disabled=len(pages) == 1, on_click=turn_to, args=(run.id, pages[:-1]))
        last = found[-1].post_id if found else pages[-1]
        is_last = len(pages) * STAYING_SHOWN >= total
        right.button("Next", disabled=is_last, on_click=turn_to, args=(run.id, (*pages, last)))


def turn_to(run_id: int, pages: tuple[int, ...]) -> None:
    st.session_state["staying"] = (run_id, pages)


def ask_take_back(run_id: int | None) -> None:
    st.session_state["take-back"] = run_id


def start_take_back(run_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        takeback.queue_take_back(page.engine, page.actor, run_id, now=utc_now())
    ask_take_back(None)


def seconds_of(run: Run) -> float | None:
    begun, ended = run.started_at, run.finished_at
    return None if begun is None or ended is None else (ended - begun).total_seconds()


def duration(run: Run) -> str:
    seconds = seconds_of(run)
    return (
        ""
        if seconds is None
        else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
        if seconds >= 60
        else f"{seconds:.1f} s"
    )


def speed(run: Run) -> float | None:
    """Rows a second, of an import that came to its end."""
    seconds, rows = seconds_of(run), run.result.get("rows")
    return round(int(str(rows)) / seconds) if rows and seconds else None
