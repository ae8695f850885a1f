"""Cases: whatever waits for a lead's word, one after the other, whichever list it comes from; one word settles each.

What a lead decides here settles the post: it stands above what others said, whose decisions stay as they are, also
those on a text that the post had before, and those of leads who had settled it. So an undo brings back what was there,
under the names of those who said it: also that somebody could not judge it, which waits while nothing else stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine

from core.domain import Actor, Label, SkipKind, SourceKind
from core.errors import Conflict, NotAllowed
from core.permissions import Permission, require
from core.wording import _
from db import audit, decisions, disagreements, doubts, flags, golds, leases, queue, skips, sources, voices
from db.decisions import NewDecision
from db.doubts import Doubt
from db.engine import read, write
from db.flags import Flag
from db.voices import Exhibit

MOST_NEAR_COPIES = 12  # of a family that are laid side by side; a word settles the others along


class Pile(StrEnum):
    """The lists that cases come from."""

    disagreement = "disagreement"
    family = "family"
    doubt = "doubt"
    old_text = "old_text"
    flag = "flag"
    unjudged = "unjudged"


@dataclass(frozen=True, slots=True)
class Case:
    """Posts to be settled together; more than one only of a family. key: what tells the case from others of its pile.

    unseen: further posts of the family as (post, text), settled along. flag, skipped_by, doubt: what it is about.
    """

    pile: Pile
    key: int
    exhibits: tuple[Exhibit, ...]
    unseen: tuple[tuple[int, int, int], ...] = ()
    flag: Flag | None = None
    skipped_by: tuple[str, ...] = ()
    doubt: Doubt | None = None

    @property
    def read(self) -> tuple[tuple[int, int, int], ...]:
        """(post, the text it has, its newest decision) of all: who settles has seen it so."""
        return (*((e.post_id, e.text_id, e.newest) for e in self.exhibits), *self.unseen)


def count_cases(engine: Engine, actor: Actor) -> dict[Pile, int]:
    require(actor, Permission.review)
    with read(engine) as conn:
        return {
            Pile.disagreement: disagreements.count_disagreements(conn),
            Pile.family: len(_torn_families(conn)),
            Pile.doubt: len(doubts.doubted_posts(conn)),
            Pile.old_text: len(golds.posts_on_old_texts(conn)),
            Pile.flag: flags.count_open(conn),
            Pile.unjudged: skips.count_skipped(conn, kind=SkipKind.cannot_judge),
        }


def find_case(engine: Engine, actor: Actor, pile: Pile, *, place: int) -> Case | None:
    """The case at that place of its pile, from 0; None beyond the end."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return _FIND[pile](conn, place)


def doubting_version(engine: Engine, actor: Actor) -> str | None:
    """The version after whose training doubts were looked for last."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return doubts.newest_version(conn)


# --- the piles ------------------------------------------------------------------------------------------------------


def _disagreement(conn: Connection, place: int) -> Case | None:
    return _of_post(conn, Pile.disagreement, disagreements.disagreeing_posts(conn)[place : place + 1])


def _old_text(conn: Connection, place: int) -> Case | None:
    return _of_post(conn, Pile.old_text, golds.posts_on_old_texts(conn)[place : place + 1])


def _of_post(conn: Connection, pile: Pile, post_ids: Sequence[int]) -> Case | None:
    exhibits = voices.exhibits_of(conn, post_ids)
    return Case(pile, post_ids[0], tuple(exhibits)) if exhibits else None


def _family(conn: Connection, place: int) -> Case | None:
    torn = _torn_families(conn)[place : place + 1]
    if not torn:
        return None
    ((family, exhibits),) = torn
    # One post of each label first: what contradicts stands side by side, however large the family.
    labels = {exhibit.gold: at for at, exhibit in reversed(list(enumerate(exhibits)))}
    first = sorted(labels.values())
    order = [*first, *(at for at in range(len(exhibits)) if at not in first)]
    shown = [exhibits[at] for at in order[:MOST_NEAR_COPIES]]
    unseen = [exhibits[at] for at in order[MOST_NEAR_COPIES:]]
    return Case(
        Pile.family, family, tuple(shown), unseen=tuple((each.post_id, each.text_id, each.newest) for each in unseen)
    )


def _torn_families(conn: Connection) -> list[tuple[int, list[Exhibit]]]:
    """Families whose posts have different gold labels."""
    found = disagreements.contradicting_families(conn)
    exhibits = {e.post_id: e for e in voices.exhibits_of(conn, [post_id for _pile, ids in found for post_id in ids])}
    torn = []
    for family, post_ids in found:
        posts = [exhibits[post_id] for post_id in post_ids if post_id in exhibits]
        if len({post.gold for post in posts} - {None}) > 1:
            torn.append((family, posts))
    return torn


def _doubt(conn: Connection, place: int) -> Case | None:
    for found in doubts.doubted_posts(conn)[place : place + 1]:
        exhibits = voices.exhibits_of(conn, [found.post_id])
        return Case(Pile.doubt, found.post_id, tuple(exhibits), doubt=found.doubt)
    return None


def _flag(conn: Connection, place: int) -> Case | None:
    for found in flags.list_flags(conn, is_open=True, limit=1, offset=place):
        return Case(Pile.flag, found.id, tuple(voices.exhibits_of(conn, [found.post_id])), flag=found)
    return None


def _unjudged(conn: Connection, place: int) -> Case | None:
    for post_id, names in skips.posts_for_lead(conn, limit=1, offset=place):
        exhibits = tuple(voices.exhibits_of(conn, [post_id]))
        return Case(Pile.unjudged, post_id, exhibits, skipped_by=tuple(names))
    return None


_FIND = {
    Pile.disagreement: _disagreement,
    Pile.family: _family,
    Pile.doubt: _doubt,
    Pile.old_text: _old_text,
    Pile.flag: _flag,
    Pile.unjudged: _unjudged,
}


# --- the word -------------------------------------------------------------------------------------------------------


def settle_case(
    engine: Engine,
    actor: Actor,
    case: Case,
    *,
    label: Label,
    rule: str | None = None,
    note: str | None = None,
    batch: str,
    now: datetime,
) -> int:
    """Settle all posts of a case as one batch; returns how many. A flag is answered with the note along the way.

    rule, note: why. batch: a name by which it is undone (`searching.undo_many`); sent twice it counts once.
    Raises Conflict when a text changed or somebody said something since the case was read, and nothing is settled then.
    """
    require(actor, Permission.review)
    if actor.user_id is None:
        raise NotAllowed(_("Only a signed-in user settles."))
    with write(engine) as conn:
        if decisions.standing_of_batch(conn, batch):
            return 0
        source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=actor.user_id)
        for post_id, text_id, newest in case.read:
            _refuse_unread(conn, actor, post_id, text_id, newest)
            made = NewDecision(
                post_id, text_id, source_id, label, press_id=f"{batch}:{post_id}", settles=True,
                rule=None if label is Label.normal else rule or None, note=note or None,
            )  # fmt: skip
            _settle(conn, made, now=now)
        settled = [post_id for post_id, _text, _seen in case.read]
        queue.take_out(conn, settled)
        if case.flag is not None:
            flags.close_flag(conn, case.flag.id, by=actor.name, answer=note or label.name, now=now)
        details: dict[str, object] = {
            "posts": settled,
            "label": label.name,
            "pile": case.pile,
            "rule": rule,
            "batch": batch,
        }
        audit.record_action(conn, actor, "settle", details=details, now=now)
        return len(settled)


def _refuse_unread(conn: Connection, actor: Actor, post_id: int, text_id: int, newest: int) -> None:
    """The lead settles what they have read, and nothing else."""
    found = voices.exhibits_of(conn, [post_id])
    if not found:
        raise Conflict(_("Post {post} went with its import meanwhile.").format(post=post_id))
    if found[0].text_id != text_id:
        raise Conflict(_("An import changed the text meanwhile; read it once more."))
    if found[0].newest > newest:
        raise Conflict(
            _("Somebody has said something about post {post} meanwhile; read it again.").format(post=post_id)
        )
    held = leases.holder_of(conn, post_id)
    if not found[0].voices and held is not None and held.user_id != actor.user_id:
        raise Conflict(_("Post {post} is on somebody's card just now; look again later.").format(post=post_id))


def _settle(conn: Connection, made: NewDecision, *, now: datetime) -> None:
    """Append a settling decision. One person has one vote on a post; of several leads' words the last settles it."""
    standing = decisions.standing_on_post(conn, made.post_id)
    own = next((each for each, _kind, _name in standing if each.source_id == made.source_id), None)
    decisions.add_decision(conn, replace(made, supersedes=None if own is None else own.id), now=now)
