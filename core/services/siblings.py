"""Sibling posts of a card: what else its author has written, and what stands around it in its thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from core.domain import Actor, Label
from core.permissions import Permission, require
from core.services.blinding import is_withheld
from core.services.holding import require_post_before
from db import families, leases, policies, posts, siblings
from db.engine import read
from db.siblings import Sibling

MOST_COUNTED = 1_000
AUTHOR_SHOWN = 20
AROUND_SHOWN = 8  # before the post in its thread, and as many after it


@dataclass(frozen=True, slots=True)
class ShownSibling:
    """label: None too where labels are withheld. is_card: the post of the card, at its place in the thread."""

    post_id: int
    pid: str | None
    text: str
    label: Label | None
    is_card: bool


@dataclass(frozen=True, slots=True)
class SiblingGroup:
    """total: the card's post not counted, up to MOST_COUNTED. decided: by label; None where labels are withheld."""

    total: int
    decided: dict[Label, int] | None
    posts: tuple[ShownSibling, ...]


@dataclass(frozen=True, slots=True)
class Siblings:
    """None: the export names no author, or no thread."""

    post_id: int
    author: SiblingGroup | None
    thread: SiblingGroup | None


def siblings_of(engine: Engine, actor: Actor, post_id: int) -> Siblings:
    """The newest posts of the same author, and those around the post in its thread.

    On a card that is judged blind, what became of them stays hidden: a sibling may be a near-copy.
    Raises NotAllowed to a moderator who neither has the post on a card nor has decided it.
    """
    require(actor, Permission.label)
    with read(engine) as conn:
        shown = require_post_before(conn, actor, post_id)
        held = leases.holder_of(conn, post_id)
        family = families.family_of_text(conn, shown.text_id)
        shows_labels = held is None or not is_withheld(held, policies.current_policy(conn), family=family)
        by_author = siblings.of_author(conn, shown.author, limit=MOST_COUNTED + 1) if shown.author else []
        in_thread = siblings.in_thread(conn, shown.thread, around=post_id, limit=MOST_COUNTED) if shown.thread else []
        return Siblings(
            post_id,
            _group(conn, by_author, _newest(by_author, post_id), post_id, shows_labels) if shown.author else None,
            _group(conn, in_thread, _around(in_thread, post_id), post_id, shows_labels) if shown.thread else None,
        )


def _newest(found: Sequence[Sibling], post_id: int) -> list[Sibling]:
    return [each for each in found if each.post_id != post_id][:AUTHOR_SHOWN]


def _around(found: Sequence[Sibling], post_id: int) -> list[Sibling]:
    """In the thread's order, which is that of the forum's post numbers."""
    ordered = sorted(found, key=lambda each: (int(each.pid or 0), each.post_id))
    place = [each.post_id for each in ordered].index(post_id)
    return ordered[max(0, place - AROUND_SHOWN) : place + AROUND_SHOWN + 1]


def _group(
    conn: Connection, found: Sequence[Sibling], shown: Sequence[Sibling], post_id: int, shows_labels: bool
) -> SiblingGroup:
    others = [each for each in found if each.post_id != post_id][:MOST_COUNTED]
    texts = posts.posts_by_id(conn, [each.post_id for each in shown])
    decided = Counter(each.label for each in others if each.label is not None)
    return SiblingGroup(
        total=len(others),
        decided={label: decided[label] for label in Label} if shows_labels else None,
        posts=tuple(
            ShownSibling(
                each.post_id, each.pid, texts[each.post_id].text, each.label if shows_labels else None,
                each.post_id == post_id,
            )
            for each in shown
        ),
    )  # fmt: skip
