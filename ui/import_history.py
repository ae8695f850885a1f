"""Imports so far: who, when, how many rows, what was rejected, and the way to take one back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Run
from core.services import importing, runs, takeback
from core.services.rules import current_policy
from core.services.takeback import TakebackCounts
from core.wording import _, ngettext
from ui.languages import retell
from ui.page import Page, current_page, errors_as_sentences
from ui.words import plain, posts_in_words, status_in_words

STAYING_SHOWN = 20


def show_history(page: Page, ended: list[Run], takers: dict[int, Run]) -> None:
    st.subheader(_("Imports so far"), anchor=False)
    st.dataframe(history_table(ended), hide_index=True, width="stretch", column_config=history_columns())
    by_id = {run.id: run for run in ended}
    if st.session_state.get("newest-import") != ended[0].id:  # it has just ended: what became of it comes first
        st.session_state["newest-import"] = st.session_state["look-at"] = ended[0].id
    chosen = st.selectbox(
        _("Look at an import"),
        list(by_id),
        key="look-at",
        format_func=lambda run_id: _("run {run} · {name} · {day}").format(
            run=run_id, name=by_id[run_id].config["name"], day=f"{by_id[run_id].created_at:%Y-%m-%d}"
        ),
    )
    show_import(page, by_id[chosen], takers.get(chosen))


def history_table(ended: list[Run]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {
                "run": run.id,
                "file": run.config["name"],
                "status": _("taken back") if run.taken_back_at else status_in_words(run.status),
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
        "rows": _("rows"),
        "speed": _("rows/s"),
        "posts_added": _("posts"),
        "hits_added": _("further hits"),
        "repeats": _("repeats"),
        "rejected": _("rejected"),
        "decisions": _("decisions"),
    }
    return {
        "run": column.NumberColumn(_("run"), width="small"),
        "file": column.TextColumn(_("file")),
        "status": column.TextColumn(_("status")),
        "by": column.TextColumn(_("by")),
        "took": column.TextColumn(_("took")),
        "when": column.DatetimeColumn(_("when (UTC)"), format="YYYY-MM-DD HH:mm"),
        "taken_back": column.DatetimeColumn(_("taken back (UTC)"), format="YYYY-MM-DD HH:mm"),
        "hash": column.TextColumn("SHA-256", help=_("The first 12 digits of the file's hash.")),
        **{name: column.NumberColumn(title, format="localized") for name, title in titles.items()},
    }


def show_import(page: Page, run: Run, taker: Run | None) -> None:
    """One import: why it failed, what it rejected, and taking it back."""
    if run.error:
        st.error(plain(retell(run.error)), icon=":material/error:")
        offer_again(run)
    if run.config.get("sha256"):
        st.caption(_("SHA-256 of the file: {sha256}").format(sha256=run.config["sha256"]))
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
        st.caption(_("Nothing of it was taken in."))


def offer_again(failed: Run) -> None:
    """An import that was killed leaves its upload; one that could not read its file has deleted it."""
    if Path(str(failed.config["path"])).is_file():
        st.button(_("Import again"), on_click=import_again, args=(failed.id,), help=str(failed.config["name"]))
    else:
        st.caption(
            _("{name} is not kept here any more; upload it again.").format(name=plain(str(failed.config["name"])))
        )


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
    pairs = [f"{train} + {evaluation}" for train, evaluation in lines] if isinstance(lines, list) else []
    said = ngettext(
        "{count} text stands both in its training and its evaluation split, for example on lines {pairs}. Figures "
        "measured on that split are too good. Tiebreak draws its own split, in which copies stay together.",
        "{count} texts stand both in its training and its evaluation split, for example on lines {pairs}. Figures "
        "measured on that split are too good. Tiebreak draws its own split, in which copies stay together.",
        count,
    )
    return said.format(count=f"{count:,}", pairs=", ".join(pairs))


def contradiction_words(run: Run) -> str:
    """Where a file says one thing of a post and then another."""
    lines, count = run.result.get("contradiction_lines"), int(str(run.result["contradictions"]))
    some = ", ".join(f"{line:,}" for line in lines) if isinstance(lines, list) else ""
    said = ngettext(
        "{count} label contradicts what an earlier line of the file says of the same post, for example on lines "
        "{lines}. The last line counts: where annotators disagree, import each one's labels as a source of its own, "
        "and the Review page lists the disagreements.",
        "{count} labels contradict what an earlier line of the file says of the same post, for example on lines "
        "{lines}. The last line counts: where annotators disagree, import each one's labels as a source of its own, "
        "and the Review page lists the disagreements.",
        count,
    )
    return said.format(count=f"{count:,}", lines=some)


def show_rejects(page: Page, run: Run) -> None:
    count = int(str(run.result.get("rejected") or 0))
    if not count or run.finished_at is None:
        return
    days = current_policy(page.engine).reject_days
    gone_at = run.finished_at + timedelta(days=days)
    if gone_at <= utc_now():
        st.caption(
            _("Rejected rows: {count}. Rejected lines are kept for {days} days; these were deleted.").format(
                count=f"{count:,}", days=days
            )
        )
        return
    st.link_button(
        ngettext("{count} rejected row", "{count} rejected rows", count).format(count=f"{count:,}"),
        f"/api/imports/{run.id}/rejects",
        icon=":material/download:",
    )
    st.caption(
        _("Rejected lines are kept for {days} days: these until {day}. Their number stays.").format(
            days=days, day=f"{gone_at:%Y-%m-%d}"
        )
    )


def show_way_back(page: Page, run: Run) -> None:
    if st.session_state.get("take-back") != run.id:
        st.button(_("Take this import back …"), key="ask-take-back", on_click=ask_take_back, args=(run.id,))
        return
    with st.spinner(_("Looking what would go …")):
        counts = takeback.preview_takeback(page.engine, page.actor, run.id).counts
    st.markdown(_("**Taking it back** for good:") + "\n" + "\n".join(f"- {line}" for line in takeback_lines(counts)))
    show_staying(page, run, counts.posts_decided)
    left, right = st.columns([1, 3])
    left.button(_("Take back"), on_click=start_take_back, args=(run.id,), width="stretch")
    right.button(_("Leave it"), on_click=ask_take_back, args=(None,))


def takeback_lines(counts: TakebackCounts) -> list[str]:
    gone, hits = posts_in_words(counts.posts_gone), hits_in_words(counts.hits_gone)
    lines = [_("only this import brought them, they go: {posts} and {hits}").format(posts=gone, hits=hits)]
    if counts.posts_elsewhere:
        elsewhere = posts_in_words(counts.posts_elsewhere)
        lines.append(_("other imports found them too, they stay: {posts}").format(posts=elsewhere))
    if counts.posts_changed:
        changed = posts_in_words(counts.posts_changed)
        lines.append(_("of other imports, they will read as without it: {posts}").format(posts=changed))
    if counts.decisions_taken_back:
        count = counts.decisions_taken_back
        said = ngettext(
            "{count} decision of its file will not count any more",
            "{count} decisions of its file will not count any more",
            count,
        )
        lines.append(said.format(count=f"{count:,}"))
    lines.append(_("decided, they stay: {posts}").format(posts=posts_in_words(counts.posts_decided)))
    return lines


def hits_in_words(count: int) -> str:
    return ngettext("{count} hit", "{count} hits", count).format(count=f"{count:,}")


def show_taken_back(page: Page, run: Run, taker: Run | None) -> None:
    when = f"{run.taken_back_at:%Y-%m-%d %H:%M} UTC"
    if taker is None:
        st.markdown(_("Taken back on {when}.").format(when=when))
        return
    st.markdown(_("Taken back on {when} by {name}.").format(when=when, name=plain(taker.created_by)))
    if taker.result:
        gone, hits = (int(str(taker.result[name])) for name in ("posts_gone", "hits_gone"))
        st.caption(_("Gone: {posts} and {hits}.").format(posts=posts_in_words(gone), hits=hits_in_words(hits)))
        show_staying(page, run, int(str(taker.result["posts_decided"])))


def show_staying(page: Page, run: Run, total: int) -> None:
    """The posts that stay because of a decision, some at a time."""
    if not total:
        return
    begins = st.session_state.get("staying", (run.id, (0,)))
    pages = begins[1] if begins[0] == run.id else (0,)
    found = takeback.posts_that_stay(page.engine, page.actor, run.id, limit=STAYING_SHOWN, after=pages[-1])
    first = (len(pages) - 1) * STAYING_SHOWN + 1
    if total > STAYING_SHOWN:
        last = first + len(found) - 1
        said = _("Posts that stay because of a decision: {total}, here {first} to {last}")
        st.caption(said.format(total=f"{total:,}", first=f"{first:,}", last=f"{last:,}"))
    else:
        st.caption(_("Posts that stay because of a decision: {total}").format(total=f"{total:,}"))
    table = pd.DataFrame([{_("post"): post.post_id, "pid": post.pid, _("decisions"): post.decisions} for post in found])
    st.dataframe(table, hide_index=True, width="content")
    if total > STAYING_SHOWN:
        left, right = st.columns([1, 3])
        left.button(_("Previous"), disabled=len(pages) == 1, on_click=turn_to, args=(run.id, pages[:-1]))
        last = found[-1].post_id if found else pages[-1]
        is_last = len(pages) * STAYING_SHOWN >= total
        right.button(_("Next"), disabled=is_last, on_click=turn_to, args=(run.id, (*pages, last)))


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
