"""The lead's policy: read by everybody who works by it, changed by a lead, every change kept and logged."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, Policy
from core.errors import BadInput
from core.forum import refuse_unsafe_template
from core.permissions import Permission, require
from core.wording import _
from db import audit, policies
from db.engine import read, write

LEASE_MINUTES, PREFETCH, REJECT_DAYS = (1, 120), (1, 25), (1, 3_650)  # least and most
MOST_RULES = 30
FEWEST_NEW = 20  # decisions before the model is trained anew by itself: with fewer it would do nothing else


def current_policy(engine: Engine) -> Policy:
    with read(engine) as conn:
        return policies.current_policy(conn)


def change_policy(engine: Engine, actor: Actor, chosen: Policy, *, now: datetime) -> None:
    """Raises BadInput for a policy that nobody could work by; what is stored then stays."""
    require(actor, Permission.manage_policy)
    _refuse_unworkable(chosen)
    with write(engine) as conn:
        before, after = asdict(policies.current_policy(conn)), asdict(chosen)
        policies.save_policy(conn, actor, chosen, now=now)
        changed: dict[str, object] = {
            name: {"before": before[name], "after": value} for name, value in after.items() if before[name] != value
        }
        audit.record_action(conn, actor, "change policy", details=changed, now=now)


def _refuse_unworkable(chosen: Policy) -> None:
    for name, value, (least, most) in (
        ("A lease", chosen.lease_minutes, LEASE_MINUTES),
        ("Cards fetched ahead", chosen.prefetch, PREFETCH),
        ("Days that rejected lines are kept", chosen.reject_days, REJECT_DAYS),
    ):
        if not least <= value <= most:
            raise BadInput(
                _("{name}: {value} was given, from {least} to {most} is possible.").format(
                    name=name, value=value, least=least, most=most
                )
            )
    if any(share < 0 for share in chosen.shares.values()) or sum(chosen.shares.values()) > 1 + 1e-9:
        raise BadInput(
            _("The shares of the queue are {sum} together; they are 100 % at most.").format(
                sum=f"{sum(chosen.shares.values()):.0%}"
            )
        )
    if not (chosen.retrain_after == 0 or chosen.retrain_after >= FEWEST_NEW):
        raise BadInput(
            _("Retraining after {count} decisions was given; from {least} on is possible, or 0 for never.").format(
                count=chosen.retrain_after, least=FEWEST_NEW
            )
        )
    if not 0 <= chosen.band_low < chosen.band_high <= 1:
        raise BadInput(
            _("The band goes from {low} to {high}; it has to begin below its end.").format(
                low=f"{chosen.band_low:.0%}", high=f"{chosen.band_high:.0%}"
            )
        )
    if chosen.forum_link:
        refuse_unsafe_template(chosen.forum_link)
    if not 0 <= chosen.second_share <= 1:
        raise BadInput(
            _("{share} of posts judged by two people was given, from 0 to 100 % is possible.").format(
                share=f"{chosen.second_share:.0%}"
            )
        )
    if not 0 <= chosen.check_share <= 0.5:
        raise BadInput(
            _("{share} of a moderator's cards as check posts was given, from 0 to 50 % is possible.").format(
                share=f"{chosen.check_share:.0%}"
            )
        )
    if any(not (rule.english.strip() or rule.chinese.strip()) for rule in chosen.rules):
        raise BadInput(_("A rule has no name; give it one or remove it."))
    if len({rule.key for rule in chosen.rules}) < len(chosen.rules) or len(chosen.rules) > MOST_RULES:
        raise BadInput(
            _("There are {count} rules; {most} different ones are possible.").format(
                count=len(chosen.rules), most=MOST_RULES
            )
        )
