"""Presses: key presses as the browser made them, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain import SAW_MODEL, Label, ModelView, SkipKind
from core.errors import BadInput
from core.wording import _
from db.cards import Card
from db.decisions import RecentDecision

MOST_NOTE = 2_000  # characters


class PressKind(StrEnum):
    decide = "decide"
    skip = "skip"
    undo = "undo"
    correct = "correct"
    flag = "flag"
    unflag = "unflag"


@dataclass(frozen=True, slots=True)
class Press:
    """One key press as the browser made it. id is made there: the same press may arrive twice.

    decide: lease, post, text and label; family_until: applied to the near-copies too, those that were there when they
    were looked at (post ids up to this one); rule: of the guidelines, that the post breaks. skip: lease and post, and
    to whom it goes. undo: the lease it takes back, or a decision. correct: a decision, the text that was read, and the
    new label. flag, unflag: lease and post. note: on the decision, or what the lead is to look at. seen: how the
    model's view was on the screen, where it was; version_id: whose view.
    """

    id: str
    kind: PressKind
    lease_id: int | None = None
    post_id: int | None = None
    text_id: int | None = None
    label: Label | None = None
    decision_id: int | None = None
    family_until: int | None = None
    skip_kind: SkipKind = SkipKind.later
    rule: str | None = None
    note: str | None = None
    seen: ModelView | None = None
    version_id: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        needed = {
            PressKind.decide: (self.lease_id, self.post_id, self.text_id, self.label),
            PressKind.skip: (self.lease_id, self.post_id),
            PressKind.undo: (self.lease_id if self.decision_id is None else self.decision_id,),
            PressKind.correct: (self.decision_id, self.text_id, self.label),
            PressKind.flag: (self.lease_id, self.post_id),
            PressKind.unflag: (self.lease_id, self.post_id),
        }
        is_too_long = len(self.note or "") > MOST_NOTE or len(self.rule or "") > 40
        is_odd = self.seen is not None and self.seen not in SAW_MODEL
        if not 8 <= len(self.id) <= 64 or is_too_long or is_odd or None in needed[self.kind]:
            raise BadInput(
                _("The press {id!r} of kind {kind} is not complete; reload the page.").format(
                    id=self.id[:64], kind=self.kind
                )
            )


@dataclass(frozen=True, slots=True)
class Refusal:
    press: Press
    reason: str


@dataclass(slots=True)
class Answer:
    """What became of the presses, and what is next.

    cards: new ones. front: leases of posts that come back, for an undo or to be read again.
    lost: leases that the page thought it held.
    """

    acked: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    front: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    recent: list[RecentDecision] = field(default_factory=list)
    left: int = 0
    today: int = 0
    has_new_guidelines: bool = False  # that this person has not been shown
