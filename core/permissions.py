"""Who may do what: the one table that services, pages and the README's table are made from."""

from __future__ import annotations

from enum import StrEnum

from core.domain import Actor, Role
from core.errors import NotAllowed
from core.wording import N_, _


class Permission(StrEnum):
    own_account = N_("own password and own sessions")
    label = N_("decide, undo, skip; own figures")
    manage_imports = N_("import files; see rejected and raw lines")
    manage_runs = N_("retrain, score, cancel runs")
    promote = N_("promote a model version")
    manage_users = N_("invite, disable, change roles")
    audit = N_("read and export the audit log")
    forget = N_("forget authors and posts for good")
    manage_policy = N_("change the policy")
    review = N_("settle what is listed for review")
    search = N_("search and browse posts")
    export = N_("export decisions, labels, predictions and families")
    look = N_("see distributions, families, versions and runs")
    save_thresholds = N_("save thresholds under a name")
    read_guidelines = N_("read the guidelines, their versions and examples")
    write_guidelines = N_("write the guidelines, choose their examples")
    see_author = N_("see author names whatever the policy says")


ROLES: dict[Role, frozenset[Permission]] = {
    Role.moderator: frozenset(
        {Permission.own_account, Permission.label, Permission.search, Permission.read_guidelines}
    ),
    Role.lead: frozenset(Permission),
    Role.analyst: frozenset(
        {
            Permission.own_account,
            Permission.look,
            Permission.search,
            Permission.export,
            Permission.save_thresholds,
            Permission.read_guidelines,
        }
    ),
}


def may(actor: Actor, permission: Permission) -> bool:
    return permission in ROLES[actor.role]


def require(actor: Actor, permission: Permission) -> None:
    """Raise NotAllowed unless the actor's role covers the permission."""
    if not may(actor, permission):
        allowed = ", ".join(_(role) for role in Role if permission in ROLES[role])
        raise NotAllowed(
            _("{name} ({role}) may not do this ({what}); ask a {allowed}.").format(
                name=actor.name, role=_(actor.role), what=_(permission), allowed=allowed
            )
        )
