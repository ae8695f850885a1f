"""Which posts are judged blind: they measure the model, or people, so nobody is shown what others or the model say."""

from __future__ import annotations

from core.domain import Lease, Policy, Reason
from core.drawing import is_drawn


def is_doubled(lease: Lease, rules: Policy) -> bool:
    """Two people judge the post, without either knowing."""
    is_audit = lease.reason is Reason.audit and rules.second_share > 0
    return is_audit or is_drawn(lease.post_id, use="second opinion", share=rules.second_share)


def is_withheld(lease: Lease, rules: Policy) -> bool:
    """Neither the model's view of the post nor what people said of its like is shown, whatever the policy."""
    return lease.is_check or lease.reason is Reason.audit or is_doubled(lease, rules)
