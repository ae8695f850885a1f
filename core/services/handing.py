"""Handing out: what a page holds is renewed, what another left behind adopted, the rest claimed from the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.domain import Lease
from core.services.checks import left_for_later, mix_in
from core.services.desk import Desk
from core.services.presses import Answer
from db import leases

MOST_LEASES = 25  # that one person may hold
ORPHANED_AFTER = timedelta(seconds=90)  # a living page renews its leases each minute


def return_leases(desk: Desk, holding: Sequence[int]) -> list[Lease]:
    """Give what the page holds back undecided; nothing is held then."""
    leases.return_posts(desk.conn, holding, user_id=desk.user_id, now=desk.now)
    return []


def hold(desk: Desk, holding: Sequence[int], want: int, answer: Answer) -> list[Lease]:
    """Renew what the page holds, adopt what a page that is gone left behind, claim the rest from the queue."""
    own = leases.open_leases(desk.conn, user_id=desk.user_id)
    kept = [lease for lease in own if lease.id in holding or lease.id in answer.front]
    others = [lease for lease in own if lease not in kept]
    renewed_since = desk.now + desk.ttl - ORPHANED_AFTER
    orphans = [lease for lease in others if lease.expires_at < renewed_since][: max(0, want - len(kept))]
    kept += orphans
    leases.renew(desk.conn, [lease.id for lease in kept], until=desk.now + desk.ttl)
    elsewhere = len(own) - len(kept)
    missing = min(want - len(kept), MOST_LEASES - len(kept) - elsewhere)
    places = leases.free_places(desk.conn, user_id=desk.user_id, limit=missing)
    if not desk.may_settle:  # who sees the list of check posts is not measured by them
        places = mix_in(desk.conn, places, desk.rules, user_id=desk.user_id)
        if missing > len(places):
            places += left_for_later(desk.conn, user_id=desk.user_id, limit=missing - len(places))
    return kept + leases.claim_places(desk.conn, places, user_id=desk.user_id, now=desk.now, ttl=desk.ttl)
