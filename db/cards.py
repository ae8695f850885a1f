"""What a moderator sees of a leased post: text, hits, author if allowed, the active model's view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from core.domain import Lease, ModelView, Policy, Prediction
from core.forum import link_to
from db import families, flags, models, posts


@dataclass(frozen=True, slots=True)
class Card:
    """A leased post, ready to be judged. prediction None: not scored yet, or of the audit slice (judged unseen).

    copies: undecided near-copies, the post itself not counted.
    """

    lease: Lease
    pid: str | None
    text_id: int
    text: str
    original: str
    author: str | None
    hit_words: tuple[str, ...]
    prediction: Prediction | None
    version: str | None
    copies: int
    flag: str | None  # the note of the holder's own open flag
    view: ModelView  # hidden, shown, blind or withheld
    has_author: bool  # whether or not the name is shown
    thread: str | None
    forum_link: str | None

    @property
    def is_blind(self) -> bool:
        """Judged without the model's view."""
        return self.view in (ModelView.withheld, ModelView.blind)


def cards_of(
    conn: Connection, leases: Sequence[Lease], rules: Policy, *, shows_author: bool, views: Mapping[int, ModelView]
) -> list[Card]:
    """Cards in the order of one person's leases; the author is left out unless it may be shown.

    views: by lease. A card that is to be judged without the model's view does not carry it.
    """
    found = posts.posts_by_id(conn, [held.post_id for held in leases])
    words = posts.hit_words(conn, list(found))
    active = models.active_version(conn)
    text_ids = [post.text_id for post in found.values()]
    said = [] if active is None else models.predictions_for(conn, version_id=active.id, text_ids=text_ids)
    by_text = {prediction.text_id: prediction for prediction in said}
    family_of = families.families_of_texts(conn, text_ids)
    sizes = families.sizes_of(conn, list(set(family_of.values())), undecided=True)
    decided = posts.decided_among(conn, list(found))
    flagged = flags.flagged_by(conn, list(found), user_id=leases[0].user_id) if leases else {}
    cards = []
    for held in leases:
        post = found[held.post_id]
        view = views[held.id]
        prediction = None if view in (ModelView.withheld, ModelView.blind) else by_text.get(post.text_id)
        cards.append(
            Card(
                lease=held,
                pid=post.pid,
                text_id=post.text_id,
                text=post.text,
                original=post.original,
                author=post.author if shows_author else None,
                hit_words=words.get(post.id, ()),
                prediction=prediction,
                version=active.name if active is not None and prediction is not None else None,
                copies=sizes.get(family_of[post.text_id], 0) - (post.id not in decided),
                flag=flagged.get(post.id),
                view=view,
                has_author=bool(post.author),
                thread=post.thread,
                forum_link=link_to(rules.forum_link, pid=post.pid, thread=post.thread),
            )
        )
    return cards
