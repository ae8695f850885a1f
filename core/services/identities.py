"""Signing in through the team's own provider: invited addresses become accounts, and subjects of the provider theirs.

The provider proves who somebody is; whether they may come in, and as what, a lead has said before.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from core.domain import Actor, Claims, InvitedAddress, Role, Session, User
from core.errors import BadInput, Conflict, NotFound, SignInFailed
from core.passwords import NO_PASSWORD, new_token, token_hash
from core.permissions import Permission, require
from core.services.accounts import MAX_NAME, add_user, clean_name, open_session, record_failure
from core.wording import _
from db import accounts, audit, identities
from db.engine import read, write

logger = logging.getLogger(__name__)

ADDRESS_LASTS = timedelta(days=30)  # an address is no secret: it can wait longer than a link
ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
MOST_CHARACTERS = 254


def invite_address(
    engine: Engine, actor: Actor, *, email: str, role: Role, account: str | None = None, now: datetime
) -> InvitedAddress:
    """Let whoever signs in with this verified address have an account of that role, or the named existing account.

    An earlier invitation of the same address ends. Raises Conflict for one that an account signs in with already:
    nobody else could ever use the invitation.
    """
    require(actor, Permission.manage_users)
    cleaned = clean_address(email)
    with write(engine) as conn:
        owner = None if account is None else accounts.require_user(conn, account)
        if owner is not None and owner.disabled_at is not None:
            raise Conflict(_("{name} is disabled; enable the account first.").format(name=owner.name))
        bound = identities.bound_to(conn, cleaned)
        if bound is not None:
            sentence = _("{email} signs in here already, as {name}; untie it from that account first.")
            raise Conflict(sentence.format(email=cleaned, name=bound))
        identities.withdraw(conn, cleaned, now=now)
        accounts.add_invitation(
            conn,
            token_hash=token_hash(new_token()),  # of a link that nobody has
            role=role if owner is None else owner.role,
            user_id=None if owner is None else owner.id,
            is_first_lead=False,
            created_by=actor.name,
            email=cleaned,
            now=now,
            expires_at=now + ADDRESS_LASTS,
        )
        details: dict[str, object] = {"role": role} if owner is None else {"user": owner.name}
        audit.record_action(conn, actor, "invite address", details=details | {"email": cleaned}, now=now)
        found = identities.find_invited(conn, cleaned, now=now)
        assert found is not None
        return found


def clean_address(email: str) -> str:
    """In lower case: no provider in use tells addresses apart by case. Raises BadInput for what is no address."""
    cleaned = email.strip().lower()
    if len(cleaned) > MOST_CHARACTERS or not ADDRESS.fullmatch(cleaned) or not cleaned.isprintable():
        raise BadInput(_("{email!r} is not an e-mail address; write it like name@forum.example.").format(email=email))
    return cleaned


def list_invited(engine: Engine, actor: Actor, *, now: datetime) -> list[InvitedAddress]:
    """Addresses that have been invited and have not signed in yet."""
    require(actor, Permission.manage_users)
    with read(engine) as conn:
        return identities.list_invited(conn, now=now)


def withdraw_address(engine: Engine, actor: Actor, *, email: str, now: datetime) -> None:
    """Take an invitation back that nobody has used."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        if not identities.withdraw(conn, email, now=now):
            raise NotFound(_("{email} is not invited, or has signed in already.").format(email=email))
        audit.record_action(conn, actor, "withdraw address", details={"email": email}, now=now)


def untie(engine: Engine, actor: Actor, *, account: str, now: datetime) -> int:
    """Let nobody sign in to the account through the provider any more; returns how many of its sessions ended.

    All end, for nobody knows which began there. The account stays, with its password if it has one. Raises NotFound
    where nobody signs in to it so.
    """
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        found = accounts.require_user(conn, account)
        emails = identities.untie(conn, found.id)
        if not emails:
            raise NotFound(_("Nobody signs in to {name} through the provider.").format(name=found.name))
        ended = accounts.end_sessions_of(conn, found.id, now=now)
        audit.record_action(conn, actor, "untie address", details={"user": found.name, "email": emails[-1]}, now=now)
        return ended


def bound_addresses(engine: Engine, actor: Actor) -> dict[int, str]:
    """By user: the address with which somebody signs in through the provider."""
    require(actor, Permission.manage_users)
    with read(engine) as conn:
        return identities.addresses(conn)


def sign_in_with(
    engine: Engine,
    claims: Claims,
    *,
    address: str,
    browser: str,
    now: datetime,
    instead_of: str | None = None,
) -> tuple[str, Session]:
    """Open a session for whom the provider names; returns its secret for the cookie.

    At the first sign-in an invited address is bound to the provider's subject; from then on the subject counts.
    Raises SignInFailed, with what is to be done, for an address that is unverified or that nobody has invited.
    """
    with write(engine) as conn:
        found, refusal = _find_or_make(conn, claims, now=now)
        if found is None or refusal:
            record_failure(conn, found, "provider", address=address, now=now)
    if found is None or refusal:
        logger.warning("sign-in through the provider was refused")
        raise SignInFailed(refusal)
    return open_session(engine, found, by="provider", address=address, browser=browser, now=now, instead_of=instead_of)


def _find_or_make(conn: Connection, claims: Claims, *, now: datetime) -> tuple[User | None, str]:
    """(who that is, why not)."""
    if not claims.email or not ADDRESS.fullmatch(claims.email.strip()):
        return None, _("The provider does not say your e-mail address; ask whoever runs it to release it to Tiebreak.")
    if not claims.is_verified:
        return None, _("The provider has not verified your e-mail address; have it verified there, then try again.")
    found = identities.find_user_of(conn, claims)
    if found is None:
        email = clean_address(claims.email)
        invited = identities.find_invited(conn, email, now=now)
        if invited is None:
            return None, _("Nobody has invited {email} here; ask a lead to invite this address.").format(email=email)
        found = _bind(conn, invited, claims, now=now)
    if found.disabled_at is not None:
        return found, _("Your account is disabled; ask a lead.")
    return found, ""


def _bind(conn: Connection, invited: InvitedAddress, claims: Claims, *, now: datetime) -> User:
    identities.withdraw(conn, invited.email, now=now)
    if invited.account is not None:
        found = accounts.require_user(conn, invited.account)
    else:
        name = _free_name(conn, invited.email.partition("@")[0])
        found = add_user(conn, name=name, role=invited.role, password_hash=NO_PASSWORD, now=now)
    identities.bind(conn, found.id, claims, email=invited.email, now=now)
    audit.record_action(conn, found.actor, "accept invitation", details={"invitation": invited.id}, now=now)
    return found


def _free_name(conn: Connection, wanted: str) -> str:
    """The first part of the address; with a number where somebody is called so already."""
    try:
        base = clean_name(wanted[: MAX_NAME - 4])
    except BadInput:
        base = "user"
    name, number = base, 1
    while accounts.find_user(conn, name) is not None:
        number += 1
        name = f"{base} {number}"
    return name
