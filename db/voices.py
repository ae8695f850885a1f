"""Who said what of a post: every source's standing decision, also on a text that the post had before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from core.domain import Label, SourceKind, SourceTrust
from core.gold import Vote, gold_label
from db.engine import each_of
from db.posts import decides, posts_by_id
from db.tables import decision, distinct_text, source


@dataclass(frozen=True, slots=True)
class Voice:
    """What one source says. on_text: the text that it judged, where the post has another one now."""

    decision_id: int
    source: str
    vote: Vote
    decided_at: datetime
    on_text: str | None
    rule: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A post as it lies before the lead: its text now, and all voices, oldest first."""

    post_id: int
    pid: str | None
    text_id: int
    text: str
    voices: tuple[Voice, ...]

    @property
    def gold(self) -> Label | None:
        """What counts now; None while nothing does."""
        return gold_label(voice.vote for voice in self.voices if voice.on_text is None)

    @property
    def newest(self) -> int:
        """The newest decision that was read, 0 for none: whoever settles has seen what stands up to it."""
        return max((voice.decision_id for voice in self.voices), default=0)


def exhibits_of(conn: Connection, post_ids: Sequence[int]) -> list[Exhibit]:
    """In the order given; posts that are not visible are left out."""
    found = posts_by_id(conn, list(post_ids))
    query = (
        select(
            decision.c.id, decision.c.post_id, decision.c.text_id, decision.c.label, decision.c.settles,
            decision.c.decided_at, decision.c.rule, decision.c.note, source.c.name, source.c.kind, source.c.trust,
            distinct_text.c.body,
        )
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .join(distinct_text, distinct_text.c.id == decision.c.text_id)
        .where(decision.c.post_id.in_(each_of(list(found))), decides())
        .order_by(decision.c.id)
    )  # fmt: skip
    voices: dict[int, list[Voice]] = {post_id: [] for post_id in found}
    for r in conn.execute(query):
        vote = Vote(SourceKind(r.kind), Label(r.label), SourceTrust(r.trust), r.settles)
        on_text = None if r.text_id == found[r.post_id].text_id else r.body
        voices[r.post_id].append(Voice(r.id, r.name, vote, r.decided_at, on_text, r.rule, r.note))
    return [
        Exhibit(post_id, found[post_id].pid, found[post_id].text_id, found[post_id].text, tuple(voices[post_id]))
        for post_id in post_ids
        if post_id in found
    ]
