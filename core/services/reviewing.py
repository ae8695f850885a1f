"""Review: decisions whose post has another text by now stay, but teach nothing until somebody confirms them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, Decision, Label, SourceKind
from core.errors import Conflict, NotAllowed
from core.permissions import Permission, require
from db import decisions, golds, sources
from db.decisions import NewDecision
from db.engine import read, write
from db.golds import OldTextDecision


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
    require(actor, Permission.review)
    if actor.user_id is None:
        raise NotAllowed("Only a signed-in user reviews.")
    with write(engine) as conn:
        old = next((d for d in golds.decisions_on_old_texts(conn, limit=1, after=decision_id - 1)), None)
        if old is None or old.decision_id != decision_id:
            raise Conflict("This decision was reviewed or taken back meanwhile.")
        if old.text_id != text_id:
            raise Conflict("Another import changed the text again; read it once more.")
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=actor.user_id)
        for other, _, _ in decisions.standing_on_post(conn, old.post_id):
            if other.source_id == source_id and other.id != decision_id:  # one person has one vote on a post
                gone = NewDecision(old.post_id, other.text_id, source_id, None, supersedes=other.id)
                decisions.add_decision(conn, gone, now=now)
        made = NewDecision(old.post_id, text_id, source_id, label, supersedes=decision_id)
        return decisions.add_decision(conn, made, now=now)
