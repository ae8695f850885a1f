"""Review: what only a lead can clear up. Decisions whose post has another text by now, and sources that disagree.

What a lead decides here settles the post: it stands above what others said, whose decisions stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, Decision, Label, SourceKind
from core.errors import Conflict, NotAllowed
from core.permissions import Permission, require
from core.wording import _
from db import audit, decisions, golds, sources
from db import disagreements as found_disagreements
from db.decisions import NewDecision
from db.disagreements import Disagreement
from db.engine import read, write
from db.golds import OldTextDecision

# --- texts that changed ---------------------------------------------------------------------------------------------


def decisions_on_old_texts(engine: Engine, actor: Actor, *, limit: int = 50, after: int = 0) -> list[OldTextDecision]:
    """Oldest first, from the decision id `after` on."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return golds.decisions_on_old_texts(conn, limit=limit, after=after)


def count_on_old_texts(engine: Engine, actor: Actor) -> int:
    require(actor, Permission.review)
    with read(engine) as conn:
        return golds.count_on_old_texts(conn)


def confirm(engine: Engine, actor: Actor, decision_id: int, *, text_id: int, label: Label, now: datetime) -> Decision:
    """Judge the text that the post has now, in place of the decision on the old one.

    text_id: the text that was read; Conflict when an import changed it again, or the decision no longer stands.
    """
    user_id = _require_reviewer(actor)
    with write(engine) as conn:
        old = next((d for d in golds.decisions_on_old_texts(conn, limit=1, after=decision_id - 1)), None)
        if old is None or old.decision_id != decision_id:
            raise Conflict(_("This decision was reviewed or taken back meanwhile."))
        if old.text_id != text_id:
            raise Conflict(_("Another import changed the text again; read it once more."))
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=user_id)
        made = NewDecision(old.post_id, text_id, source_id, label, supersedes=decision_id, settles=True)
        return _settle(conn, made, now=now)


# --- sources that disagree ------------------------------------------------------------------------------------------


def disagreements(engine: Engine, actor: Actor, *, page: int, page_size: int = 10) -> list[Disagreement]:
    """One page (from 1) of the posts whose sources disagree about the text they have now, with who said what."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return found_disagreements.disagreements(conn, limit=page_size, offset=(page - 1) * page_size)


def count_disagreements(engine: Engine, actor: Actor) -> int:
    require(actor, Permission.review)
    with read(engine) as conn:
        return found_disagreements.count_disagreements(conn)


def settle(engine: Engine, actor: Actor, post_id: int, *, text_id: int, label: Label, now: datetime) -> Decision:
    """Decide a post whose sources disagree. What they said stays, and counts no more while this stands.

    text_id: the text that was read; Conflict when an import changed it, or the sources no longer disagree.
    """
    user_id = _require_reviewer(actor)
    with write(engine) as conn:
        open_one = found_disagreements.disagreement_on(conn, post_id)
        if open_one is None:
            raise Conflict(
                _("Post {post_id} is settled by now, or its sources do not disagree any more.").format(post_id=post_id)
            )
        if open_one.text_id != text_id:
            raise Conflict(_("An import changed the text meanwhile; read it once more."))
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=user_id)
        made = _settle(conn, NewDecision(post_id, text_id, source_id, label, settles=True), now=now)
        audit.record_action(conn, actor, "settle", details={"post": post_id, "label": label.name}, now=now)
        return made


def _require_reviewer(actor: Actor) -> int:
    require(actor, Permission.review)
    if actor.user_id is None:
        raise NotAllowed(_("Only a signed-in user reviews."))
    return actor.user_id


def _settle(conn: Connection, made: NewDecision, *, now: datetime) -> Decision:
    """Append a settling decision. One person has one vote on a post, and one decision settles it: others give way."""
    for other, _kind, _name in decisions.standing_on_post(conn, made.post_id):
        if other.id == made.supersedes or not (other.settles or other.source_id == made.source_id):
            continue
        if made.supersedes is None:
            made = replace(made, supersedes=other.id)
        else:
            gone = NewDecision(made.post_id, other.text_id, made.source_id, None, supersedes=other.id)
            decisions.add_decision(conn, gone, now=now)
    return decisions.add_decision(conn, made, now=now)
