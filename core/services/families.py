"""Families: near-copies are found when they come in, listed, judged at once, and split off where they are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, Engine

from core.differences import Difference, differences, links_of, telling_differences
from core.domain import Actor, Label, Post, Side
from core.errors import Conflict, NotAllowed
from core.families import Matched, NewTexts, Placed, Representatives, family_form, is_exact_only, match
from core.minhash import bands_of
from core.permissions import Permission, may, require
from core.services.holding import require_post_before
from core.wording import N_, _
from db import audit, families, posts, queue, staging, texts
from db.engine import in_turns, read, write, write_unseen
from db.families import DecidedPosts, Family, FamilyMember

TEXTS_AT_ONCE = 75_000  # new ones that are matched together; what is known already is read once for each such block
PLACES_PER_TRANSACTION = 1_000
MEMBERS_SHOWN = 50

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


# --- placing --------------------------------------------------------------------------------------------------------


def place_new_texts(engine: Engine, *, after: int, report: Report) -> None:
    """Put texts beyond that id, each in a family of its own so far, where they belong. They take its side of the split.

    A new text of a post that was held out stays held out where it founds its family. Where it joins one that is
    trained on, it takes that side like every member; once a version was measured on the post, it is left out
    (`golds.gold_posts`).
    """
    with read(engine) as conn:
        newest = texts.newest_id(conn)
    last = after
    while True:
        report(N_("finding near-copies"), last - after, newest - after, "")
        with read(engine) as conn:
            new, sides = families.newer_texts(conn, after=last, limit=TEXTS_AT_ONCE)
        if not sides:
            return
        last = int(new.ids[-1])
        _place(engine, new, sides)


def _place(engine: Engine, new: NewTexts, sides: list[Side]) -> None:
    """Texts whose family was closed meanwhile, because its representative was split off, look for another."""
    before, last = int(new.ids[0]), int(new.ids[-1])
    while len(new.ids):
        too_late = _place_once(engine, new, sides, before=before)
        is_late = np.isin(new.ids, list(too_late))
        new, sides = new[is_late], [side for side, late in zip(sides, is_late.tolist(), strict=True) if late]
        before = last + 1  # what stands between them has its place by now


def _place_once(engine: Engine, new: NewTexts, sides: list[Side], *, before: int) -> set[int]:
    """Match against all texts with smaller ids than `before`, the new ones apart; returns those without a place."""
    with read(engine) as conn:
        matched = match(
            new,
            placed=[_placed_before(conn, new, before)],
            representatives=_representatives_before(conn, new, before),
            forms_of=lambda text_ids: _forms(conn, text_ids),
        )
        ids = new.ids.tolist()
        staged = staging.held_out_sides(conn, first=ids[0], last=ids[-1])
        changed = _changed_sides(conn, dict(zip(ids, sides, strict=True)), matched, staged)
    moves = {
        text_id: (family, key)
        for text_id, key, family in zip(ids, new.keys.tolist(), matched.family_ids.tolist(), strict=True)
        if text_id != family
    }
    too_late: set[int] = set()
    concerned = sorted(moves.keys() | changed.keys())
    for start in range(0, len(concerned), PLACES_PER_TRANSACTION):
        part = concerned[start : start + PLACES_PER_TRANSACTION]
        with in_turns(engine, write_unseen) as conn:
            closed = families.closed_ones(conn, sorted({moves[each][0] for each in part if each in moves}))
            late = {each for each in part if each in moves and moves[each][0] in closed}
            families.move(conn, [(each, *moves[each]) for each in part if each in moves and each not in late])
            families.set_sides(conn, [(each, changed[each]) for each in part if each in changed and each not in late])
        too_late |= late
    return too_late


def _placed_before(conn: Connection, new: NewTexts, before: int) -> Placed:
    ids, placed = families.placed_by_key(conn, np.unique(new.keys), before=before)
    is_other = ~np.isin(ids, new.ids)
    return Placed(placed.keys[is_other], placed.family_ids[is_other])


def _representatives_before(conn: Connection, new: NewTexts, before: int) -> Iterator[Representatives]:
    known = families.representatives(conn, before=before)
    if before <= new.ids[0]:  # as it is but for texts that were too late: none of them is among the others
        yield from known
        return
    for piece in known:
        is_other = ~np.isin(piece.ids, new.ids)
        yield Representatives(piece.ids[is_other], piece.bands[is_other])


def _forms(conn: Connection, text_ids: Sequence[int]) -> list[str]:
    bodies = families.bodies_of(conn, text_ids)
    return [family_form(bodies[text_id]) for text_id in text_ids]


def _changed_sides(
    conn: Connection, side_now: dict[int, Side], matched: Matched, held_out: dict[int, Side]
) -> dict[int, Side]:
    """The side of those texts that do not stand on their family's yet: members never stand on both sides of a split.

    side_now: of each text, by id. held_out: the side of texts that must not be trained on unless their family is.
    """
    family_of = dict(zip(side_now, matched.family_ids.tolist(), strict=True))
    own = {text_id: held_out.get(text_id, side) for text_id, side in side_now.items()}
    side_of = own | families.sides_of(conn, sorted({family for family in family_of.values() if family not in own}))
    sides = {text_id: side_of[family] for text_id, family in family_of.items()}
    return {text_id: side for text_id, side in sides.items() if side is not side_now[text_id]}


# --- looking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedFamily:
    """A family of two posts or more; decided: what stands on its posts, by label and source, most frequent first."""

    family: Family
    decided: tuple[DecidedPosts, ...]

    @property
    def labels(self) -> Counter[Label]:
        """Decisions by label, the most frequent first."""
        counted: Counter[Label] = Counter()
        for found in self.decided:
            counted[found.label] += found.posts
        return counted


@dataclass(frozen=True, slots=True)
class FamilyCounts:
    """families: of two posts or more, with so many posts in them. judgements: what judging each family once takes."""

    families: int
    posts_in_families: int
    posts: int

    @property
    def judgements(self) -> int:
        return self.posts - self.posts_in_families + self.families

    @property
    def saved(self) -> float:
        """The share of judgements that near-copies need not have: 1 - families/posts."""
        return 1 - self.judgements / self.posts if self.posts else 0.0


def list_families(engine: Engine, actor: Actor, *, limit: int, offset: int = 0) -> list[ListedFamily]:
    """Families of two posts or more, largest first."""
    require(actor, Permission.look)
    with read(engine) as conn:
        found = families.largest(conn, limit=limit, offset=offset)
        decided = families.decided_posts(conn, [family.id for family in found])
    return [ListedFamily(family, tuple(decided.get(family.id, ()))) for family in found]


def list_members(engine: Engine, actor: Actor, family_id: int, *, limit: int, offset: int = 0) -> list[FamilyMember]:
    """Posts of a family, in order of id."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return families.members(conn, family_id, limit=limit, offset=offset)


def walk_families(engine: Engine, actor: Actor, *, limit: int | None) -> Iterator[tuple[Family, list[FamilyMember]]]:
    """Families of two posts or more with all their posts, largest first; one family is in memory at a time."""
    require(actor, Permission.look)
    return _walk(engine, limit)


def _walk(engine: Engine, limit: int | None) -> Iterator[tuple[Family, list[FamilyMember]]]:
    with read(engine) as conn:
        found = families.largest(conn, limit=limit)
    for family in found:
        with read(engine) as conn:  # one for each: a slow reader of the whole would hold the log back
            members = families.members(conn, family.id)
        if members:
            yield family, members


def representative_of(family: Family, members: Sequence[FamilyMember]) -> FamilyMember:
    """The first post with the representative's text; the first of all where an import changed that one's text."""
    return next((member for member in members if member.text_id == family.id), members[0])


def count_families(engine: Engine, actor: Actor) -> FamilyCounts:
    require(actor, Permission.look)
    with read(engine) as conn:
        found, posts_in_them = families.count_families(conn)
        return FamilyCounts(found, posts_in_them, posts.count_posts(conn))


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
    """What else a decision on this post could be applied to.

    Raises NotAllowed to a moderator who neither has the post on a card nor has decided it: posts come by the queue.
    """
    require(actor, Permission.label)
    with read(engine) as conn:
        shown = require_post_before(conn, actor, post_id)
        family = families.families_of_texts(conn, [shown.text_id])[shown.text_id]
        found = families.members(conn, family, open_to=actor.user_id or 0)
    others = [member for member in found if member.post_id != post_id]
    text = shown.text
    # One look at each distinct one: of a template's copies most are the same to the letter.
    looks = {(other.text, other.original) for other in others}
    telling = {look: _telling(shown, *look) for look in looks}
    first = sorted(
        others, key=lambda other: (not telling[other.text, other.original], other.text == text, other.post_id)
    )
    copies = tuple(
        NearCopy(m.post_id, m.pid, m.text_id, m.text, differences(text, m.text), telling[m.text, m.original])
        for m in first[:MEMBERS_SHOWN]
    )
    newest = max((other.post_id for other in others), default=post_id)
    return FamilyPreview(
        post_id, text, len(others), newest, sum(bool(telling[m.text, m.original]) for m in others), copies
    )


def _telling(shown: Post, text: str, original: str) -> tuple[str, ...]:
    """What differs in the texts, and where links lead to: two labels of one host read the same."""
    ours, theirs = links_of(shown.original), links_of(original)
    links = (*(link for link in ours if link not in theirs), *(link for link in theirs if link not in ours))
    return tuple(dict.fromkeys((*telling_differences(shown.text, text), *links)))


def split_off(engine: Engine, actor: Actor, post_id: int, *, now: datetime) -> int:
    """Take a post's text out of its family for good; returns how many posts of the family are left without it.

    Posts with the very same text go with it. Raises Conflict when it is in no family of others, and NotAllowed to a
    moderator who has nothing of the family on a card and has decided nothing of it.
    """
    require(actor, Permission.label)
    with write(engine) as conn:
        text_id = posts.require_post(conn, post_id).text_id
        family = families.families_of_texts(conn, [text_id])[text_id]
        is_known = families.is_in_hands_of(conn, family, user_id=actor.user_id or 0)
        if not (may(actor, Permission.look) or is_known):
            raise NotAllowed(
                _("Post {post_id} is no near-copy of a post of yours; posts come to you through the queue.").format(
                    post_id=post_id
                )
            )
        left = families.split_off(conn, text_id, family=family)
        if left is None:
            raise Conflict(
                _("Post {post_id} is in no family with another text; there is nothing to split off.").format(
                    post_id=post_id
                )
            )
        if left != family:  # it was the representative
            take_in_from_now_on(conn, left)
        for each in (left, text_id):
            keep_in_queue(conn, each)
        audit.record_action(conn, actor, "split off", details={"post": post_id, "family": family}, now=now)
        return families.sizes_of(conn, [left]).get(left, 0)


def take_in_from_now_on(conn: Connection, text_id: int) -> None:
    """Near-copies join this text, which has become the representative of its family."""
    form = family_form(families.bodies_of(conn, [text_id])[text_id])
    if not is_exact_only(form):
        families.set_bands(conn, text_id, bands_of([form])[0])


def keep_in_queue(conn: Connection, family: int) -> None:
    """See to it that an undecided post of the family is in the queue: last, where none is."""
    undecided = [member.post_id for member in families.members(conn, family) if member.label is None]
    if undecided and not queue.holds_any(conn, undecided):
        queue.put_last(conn, undecided[0])
