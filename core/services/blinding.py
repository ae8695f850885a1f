"""Which posts are judged blind: they measure the model, or people, so nobody is shown what others or the model say."""

from __future__ import annotations

from core.domain import Lease, ModelView, Place, Policy, Reason
from core.drawing import is_drawn

BLIND_SHARE = 0.1  # of what could be seen with the model's view: without these nobody could say what it does


def is_doubled(place: Lease | Place, rules: Policy, *, family: int) -> bool:
    """Two people judge the post, or one of its near-copies, without either knowing.

    family: of the post's text. Whole families are drawn: what is said of one near-copy is said of all.
    """
    is_audit = place.reason is Reason.audit and rules.second_share > 0
    return is_audit or is_drawn(family, use="second opinion", share=rules.second_share)


def is_withheld(lease: Lease, rules: Policy, *, family: int) -> bool:
    """Neither the model's view of the post nor what people said of its like is shown, whatever the policy."""
    return lease.is_check or lease.reason is Reason.audit or is_doubled(lease, rules, family=family)


def view_of(lease: Lease, rules: Policy, *, family: int) -> ModelView:
    """What whoever holds the post may see of the model before deciding; nobody can choose what is blind.

    A share is blind where the view is hidden until asked for, too: or asking would tell which posts two people judge.
    """
    if is_withheld(lease, rules, family=family):
        return ModelView.withheld
    if is_drawn(lease.post_id, use="blind to the model", share=BLIND_SHARE):
        return ModelView.blind
    return ModelView.shown if rules.show_model else ModelView.hidden
