"""Taking an import back as a whole: what only it brought goes, decided posts stay, other posts read as before.

One short transaction makes it so for everybody; what is then left over is removed a few hundred posts at a time, and
whatever interrupts that, the next import or the supervisor finishes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.clock import utc_now
from core.domain import Actor, Run, RunKind, Side
from core.drafts import DraftText, marks_by_hash, original_of, text_of
from core.errors import Cancelled, Conflict
from core.permissions import Permission, require
from core.services import families
from core.services.sweeping import sweep_unused_texts
from core.wording import N_, _, ngettext
from db import audit, policies, posts, runs, takebacks, texts
from db import families as family_rows
from db.engine import in_turns, read, write
from db.takebacks import StayingPost, TakebackCounts, Unswept

__all__ = ["StayingPost", "TakebackCounts"]

logger = logging.getLogger(__name__)

POSTS_PER_TRANSACTION = 300
SIGHTINGS_PER_TRANSACTION = 5_000

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


@dataclass(frozen=True, slots=True)
class Preview:
    """What taking an import back would do now."""

    run_id: int
    name: str
    counts: TakebackCounts


def is_take_back(run: Run) -> bool:
    """It stands in the line of imports, so that nothing is read while something is taken back."""
    return "take_back" in run.config


def preview_takeback(engine: Engine, actor: Actor, run_id: int) -> Preview:
    """Raises Conflict when the import cannot be taken back."""
    require(actor, Permission.manage_imports)
    with read(engine) as conn:
        found = _require_returnable(conn, run_id)
        return Preview(run_id, str(found.config["name"]), takebacks.count_takeback(conn, run_id))


def posts_that_stay(engine: Engine, actor: Actor, run_id: int, *, limit: int = 20, after: int = 0) -> list[StayingPost]:
    """Posts that stay because of a decision, before the import is taken back or after; in order of id."""
    require(actor, Permission.manage_imports)
    with read(engine) as conn:
        runs.require_run(conn, run_id)
        keeper_id = takebacks.taker_of(conn, run_id) or 0
        return takebacks.staying_posts(conn, run_id, keeper_id=keeper_id, limit=limit, after=after)


def queue_take_back(engine: Engine, actor: Actor, run_id: int, *, now: datetime) -> Run:
    """Put the taking back in line for the worker. Raises Conflict while an import is under way, or the second time."""
    require(actor, Permission.manage_imports)
    with write(engine) as conn:
        found = _require_returnable(conn, run_id)
        under_way = runs.open_runs(conn, kind=RunKind.importing)
        if under_way:
            raise Conflict(
                _("Run {other} is under way; wait until it has ended, then take import {run_id} back.").format(
                    other=under_way[0].id, run_id=run_id
                )
            )
        config: dict[str, object] = {"take_back": run_id, "name": found.config["name"]}
        added = runs.add_run(conn, kind=RunKind.importing, config=config, created_by=actor.name, now=now)
        audit.record_action(conn, actor, "take back import", details={"import": run_id, "run": added.id}, now=now)
        return added


def _require_returnable(conn: Connection, run_id: int) -> Run:
    found = runs.require_run(conn, run_id)
    if found.kind is not RunKind.importing or is_take_back(found):
        raise Conflict(
            _("Run {run_id} is no import of a file; `tiebreak runs list` shows which are.").format(run_id=run_id)
        )
    if found.is_open:
        raise Conflict(
            _("Import {run_id} has not ended; cancel it instead, and nothing of it is ever visible.").format(
                run_id=run_id
            )
        )
    if found.published_at is None:
        raise Conflict(
            _("Import {run_id} {status}: nothing of it is visible, so there is nothing to take back.").format(
                run_id=run_id, status=_(found.status)
            )
        )
    if found.taken_back_at is not None:
        raise Conflict(
            _("Import {run_id} was taken back on {day} already.").format(
                run_id=run_id, day=f"{found.taken_back_at:%Y-%m-%d}"
            )
        )
    return found


def run_take_back(engine: Engine, run: Run, *, report: Report) -> dict[str, object]:
    """Execute the taking back; returns its counts. Cancelled before the one transaction, it has changed nothing."""
    import_id = int(str(run.config["take_back"]))
    finish_takebacks(engine)
    report(N_("looking what goes"), 0, None, "")
    with read(engine) as conn:
        _require_returnable(conn, import_id)
        found_elsewhere = takebacks.count_takeback(conn, import_id).posts_elsewhere
    last: int | None = 0
    while last is not None:
        with in_turns(engine) as conn:
            last = takebacks.pass_on(conn, import_id, after=last, limit=SIGHTINGS_PER_TRANSACTION)
    with read(engine) as conn:  # again: people decide meanwhile; and what was passed on is no longer the import's
        counts = asdict(takebacks.count_takeback(conn, import_id)) | {"posts_elsewhere": found_elsewhere}
    report(N_("taking back"), 0, None, "")
    now = utc_now()
    with write(engine) as conn:
        if runs.beat(conn, run.id, now=now):
            raise Cancelled(_("Stopped before anything was taken back."))
        takebacks.mark_taken_back(conn, import_id, now=now)
        newest_text = texts.newest_id(conn)
        runs.set_config(conn, run.id, run.config | {"newest_text": newest_text})  # for whoever finishes it if this dies
        runs.mark_published(conn, run.id, result=counts, now=now)
    left = Unswept(import_id, keeper_id=run.id, newest_text=newest_text)
    _finish(engine, left, report=report, posts_gone=counts["posts_gone"])
    return dict(counts)


def finish_takebacks(engine: Engine) -> None:
    """Finish what a killed taking back has left; quick when there is nothing."""
    with read(engine) as conn:
        left = takebacks.unswept(conn)
    for unswept in left:
        logger.info("finishing the taking back of import %s", unswept.import_id)
        _finish(engine, unswept)


def _finish(engine: Engine, left: Unswept, *, report: Report = lambda *progress: None, posts_gone: int = 0) -> None:
    """Remove what nobody sees any more, and give other posts the text that their own hits make."""
    import_id = left.import_id
    with read(engine) as conn:
        quotes = policies.current_policy(conn).model_reads_quotes
    last, done = 0, 0
    while ids := _next_posts(engine, import_id, after=last):
        with in_turns(engine) as conn:
            takebacks.remove_alone(conn, import_id, keeper_id=left.keeper_id, first=ids[0], last=ids[-1])
            _reword(conn, takebacks.remove_hits(conn, import_id, first=ids[0], last=ids[-1]), quotes=quotes)
        last, done = ids[-1], done + len(ids)
        with suppress(Cancelled):  # too late: it is taken back, this is only the tidying up
            report(
                N_("removing"),
                done,
                max(done, posts_gone),
                ngettext("{count} post", "{count} posts", done).format(count=f"{done:,}"),
            )
    gone = 1
    while gone:
        with in_turns(engine) as conn:
            gone = takebacks.drop_sightings(conn, import_id, limit=SIGHTINGS_PER_TRANSACTION)
    families.place_new_texts(engine, after=left.newest_text, report=lambda *progress: None)
    sweep_unused_texts(engine)
    with write(engine) as conn:
        takebacks.mark_swept(conn, import_id, now=utc_now())


def _next_posts(engine: Engine, import_id: int, *, after: int) -> list[int]:
    with read(engine) as conn:
        return takebacks.posts_with_hits(conn, import_id, after=after, limit=POSTS_PER_TRANSACTION)


def _reword(conn: Connection, post_ids: list[int], *, quotes: bool) -> None:
    """Give the posts the text that the hits make which they have left.

    A new text of a post that was held out is held out too, unless it joins a family that is trained on.
    """
    found = takebacks.excerpts_of(conn, post_ids)
    originals = {post_id: original_of(excerpts) for post_id, (_text_id, excerpts) in found.items() if excerpts}
    changed = {post_id: text for post_id, text in originals.items() if text != found[post_id][0]}
    new = {post_id: text_of(original, quotes=quotes) for post_id, original in changed.items()}
    sides = _held_out(conn, new)
    by_hash = {text.hash: text._replace(side=sides.get(text.hash, text.side)) for text in new.values()}
    text_ids = texts.ids_of_texts(conn, list(by_hash))
    new_texts = [text for text in by_hash.values() if text.hash not in text_ids]
    text_ids |= texts.add_texts(conn, new_texts, marks_by_hash(new_texts))
    posts.change_texts(conn, [(post_id, text_ids[text.hash], changed[post_id]) for post_id, text in new.items()])


def _held_out(conn: Connection, new: dict[int, DraftText]) -> dict[str, Side]:
    """By the hash of a post's new text, the side of its present one where that is held out; audit before evaluation."""
    present = posts.text_ids_of(conn, list(new))
    sides = family_rows.sides_of(conn, sorted(set(present.values())))
    found: dict[str, Side] = {}
    for post_id, text in new.items():
        side = sides[present[post_id]]
        if side is not Side.train:
            found[text.hash] = min(side, found.get(text.hash, side))
    return found
