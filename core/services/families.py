"""Families: near-copies are found when they come in, listed, judged at once, and split off where they are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, Engine

from core.differences import Difference, differences, telling_differences
from core.domain import Actor, Label, Side
from core.errors import Conflict
from core.families import Matched, family_form, is_exact_only, keys_of, match
from core.minhash import bands_of
from core.permissions import Permission, require
from db import audit, decisions, families, posts, queue, staging
from db.engine import read, write
from db.families import Family, FamilyMember, NewPlace, UnplacedText

TEXTS_AT_ONCE = 100_000  # new ones that are matched together; what is known already is read once for each such block
PLACES_PER_TRANSACTION = 5_000
MEMBERS_SHOWN = 50

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


# --- placing --------------------------------------------------------------------------------------------------------


def place_new_texts(engine: Engine, *, report: Report) -> None:
    """Find the family of every text that has none yet. What joins a family takes its side of the split.

    A new text of a post that was held out stays held out: it founds its family with that side, and stays apart from
    a family that is trained on.
    """
    with read(engine) as conn:
        total = families.count_unplaced(conn)
    done, last = 0, 0
    while True:
        report("finding near-copies", done, total, "")
        with read(engine) as conn:
            block = families.unplaced_texts(conn, after=last, limit=TEXTS_AT_ONCE)
        if not block:
            return
        done, last = done + len(block), block[-1].id
        _place(engine, block)


def _place(engine: Engine, block: list[UnplacedText]) -> None:
    forms = [family_form(text.body) for text in block]
    ids = np.array([text.id for text in block], dtype=np.int64)
    keys = keys_of(forms)
    with read(engine) as conn:
        matched = match(
            forms,
            ids,
            placed=families.placed_by_key(conn, np.unique(keys)),
            representatives=families.representatives(conn),
            forms_of=lambda text_ids: _forms(conn, text_ids),
        )
        held_out = staging.held_out_sides(conn, first=block[0].id, last=block[-1].id)
        family_of, sides = _stand(conn, block, matched, held_out)
    bands = dict(zip(matched.founded.ids.tolist(), matched.founded.bands, strict=True))
    places = [
        NewPlace(text.id, family_of[text.id], key if family_of[text.id] == family else None, bands.get(text.id))
        for text, family, key in zip(block, matched.family_ids.tolist(), keys.tolist(), strict=True)
    ]
    for start in range(0, len(places), PLACES_PER_TRANSACTION):
        part = places[start : start + PLACES_PER_TRANSACTION]
        with write(engine) as conn:
            families.add_places(conn, part)
            families.set_sides(
                conn, [(place.text_id, sides[place.text_id]) for place in part if place.text_id in sides]
            )


def _forms(conn: Connection, text_ids: Sequence[int]) -> list[str]:
    bodies = families.bodies_of(conn, text_ids)
    return [family_form(bodies[text_id]) for text_id in text_ids]


def _stand(
    conn: Connection, block: list[UnplacedText], matched: Matched, held_out: dict[int, Side]
) -> tuple[dict[int, int], dict[int, Side]]:
    """The family of each text, and the side of those that do not stand on their family's yet.

    held_out: texts that must not be trained on, with the side that they take unless they join a held-out family.
    """
    pairs = list(zip(block, matched.family_ids.tolist(), strict=True))
    own = {text.id: held_out.get(text.id, text.side) for text in block}
    side_of = own | families.sides_of(conn, sorted({family for _, family in pairs if family not in own}))
    family_of = {
        text.id: text.id if text.id in held_out and side_of[family] is Side.train else family for text, family in pairs
    }
    side_now = {text.id: side_of[family_of[text.id]] for text in block}
    return family_of, {text.id: side_now[text.id] for text in block if side_now[text.id] is not text.side}


# --- looking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedFamily:
    """A family of two posts or more, with its posts; labels: how many of them are decided so, by label."""

    family: Family
    members: tuple[FamilyMember, ...]

    @property
    def labels(self) -> Counter[Label]:
        return Counter(member.label for member in self.members if member.label is not None)

    @property
    def representative(self) -> FamilyMember:
        """The first post with the representative's text; the first of all where an import changed that one's text."""
        return next((m for m in self.members if m.text_id == self.family.id), self.members[0])


def largest_families(engine: Engine, actor: Actor, *, limit: int | None, offset: int = 0) -> list[ListedFamily]:
    """Families of two posts or more, largest first, with all their posts."""
    require(actor, Permission.look)
    with read(engine) as conn:
        found = families.largest(conn, limit=limit, offset=offset)
        return [ListedFamily(family, tuple(families.members(conn, family.id))) for family in found]


def count_families(engine: Engine, actor: Actor) -> tuple[int, int]:
    """(families of two posts or more, posts in them)."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return families.count_families(conn)


# --- judging at once ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Another post of the family, beside the post on the card: where it differs, and what of that may tell.

    differences: a is the text of the card, b the text of the copy. telling: numbers, links and names that only one
    of the two has.
    """

    post_id: int
    pid: str | None
    text_id: int
    text: str
    differences: tuple[Difference, ...]
    telling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FamilyPreview:
    """What deciding the family would decide beside the post itself.

    total: undecided posts that nobody else holds. newest: the highest post id among them; posts that come in later
    are not decided unseen. copies: the first of them, those with telling differences before the others.
    """

    post_id: int
    text: str
    total: int
    newest: int
    telling: int
    copies: tuple[NearCopy, ...]


def preview_family(engine: Engine, actor: Actor, post_id: int) -> FamilyPreview:
    """What else a decision on this post could be applied to."""
    require(actor, Permission.label)
    with read(engine) as conn:
        shown = posts.require_post(conn, post_id)
        family = families.families_of_texts(conn, [shown.text_id])[shown.text_id]
        others = [m for m in families.members(conn, family) if is_open(m) and m.post_id != post_id]
    text = shown.text
    # One look at each distinct text: of a template's copies most are the same to the letter.
    telling = {body: telling_differences(text, body) for body in {other.text for other in others}}
    first = sorted(others, key=lambda other: (not telling[other.text], other.text == text, other.post_id))
    copies = tuple(
        NearCopy(m.post_id, m.pid, m.text_id, m.text, differences(text, m.text), telling[m.text])
        for m in first[:MEMBERS_SHOWN]
    )
    newest = max((other.post_id for other in others), default=post_id)
    return FamilyPreview(post_id, text, len(others), newest, sum(bool(telling[other.text]) for other in others), copies)


def is_open(member: FamilyMember) -> bool:
    """Nobody has decided the post, and nobody has it on a card."""
    return member.label is None and not member.is_held


def split_off(engine: Engine, actor: Actor, post_id: int, *, now: datetime) -> int:
    """Take a post's text out of its family for good; returns how many posts of the family are left without it.

    Posts with the very same text go with it. Raises Conflict when it is in no family of others.
    """
    require(actor, Permission.label)
    with write(engine) as conn:
        text_id = posts.require_post(conn, post_id).text_id
        family = families.families_of_texts(conn, [text_id])[text_id]
        left = families.split_off(conn, text_id, family=family)
        if left is None:
            raise Conflict(f"Post {post_id} is in no family with another text; there is nothing to split off.")
        if left != family:  # it was the representative: near-copies join the next text from now on
            form = family_form(families.bodies_of(conn, [left])[left])
            if not is_exact_only(form):
                families.set_bands(conn, left, bands_of([form])[0])
        if not decisions.standing_on_post(conn, post_id):
            queue.put_last(conn, post_id)
        audit.record_action(conn, actor, "split off", details={"post": post_id, "family": family}, now=now)
        return families.sizes_of(conn, [left]).get(left, 0)
