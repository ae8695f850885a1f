"""Accounts: invitations, sign-in and sign-out, passwords, roles, disabling people."""

from __future__ import annotations

import logging
import unicodedata
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from core.domain import Actor, Invitation, Language, Role, Session, SourceKind, User
from core.errors import BadInput, Conflict, NotFound, SignInFailed
from core.passwords import NO_PASSWORD, hash_password, is_password, new_token, token_hash
from core.permissions import Permission, may, require
from core.wording import _
from db import accounts, audit, leases, sources
from db.engine import read, write

logger = logging.getLogger(__name__)

INVITATION_LASTS = timedelta(hours=24)
IDLE_LIMIT = timedelta(hours=12)
LASTS_AT_MOST = timedelta(days=7)  # an open page asks each minute and is never idle
SEEN_EVERY = timedelta(minutes=1)  # a session is touched at most once a minute: reading pages should not write
FAILURES_COUNT_FOR = timedelta(minutes=15)
FAILURES_OF_A_NAME, FAILURES_OF_AN_ADDRESS = 10, 50
MAX_NAME = 40
UNKNOWN = "(unknown)"


# --- invitations ----------------------------------------------------------------------------------------------------


def first_lead_token(engine: Engine, *, now: datetime) -> str | None:
    """A one-time token to create the lead's account; None once a lead exists. Earlier ones stop working."""
    with write(engine) as conn:
        if accounts.count_leads(conn):
            return None
        accounts.drop_first_lead_invitations(conn)
        return _invite(conn, role=Role.lead, user_id=None, is_first_lead=True, created_by="first start", now=now)


def invite(engine: Engine, actor: Actor, *, role: Role, now: datetime) -> str:
    """A one-time token with which somebody makes an account of that role."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        audit.record_action(conn, actor, "invite", details={"role": role}, now=now)
        return _invite(conn, role=role, user_id=None, is_first_lead=False, created_by=actor.name, now=now)


def invite_back(engine: Engine, actor: Actor, *, name: str, now: datetime) -> str:
    """A one-time token with which a user who forgot the password sets a new one."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        found = accounts.require_user(conn, name)
        if found.disabled_at is not None:
            raise Conflict(_("{name} is disabled; enable the account first.").format(name=name))
        audit.record_action(conn, actor, "invite back", details={"user": name}, now=now)
        return _invite(conn, role=found.role, user_id=found.id, is_first_lead=False, created_by=actor.name, now=now)


def _invite(
    conn: Connection, *, role: Role, user_id: int | None, is_first_lead: bool, created_by: str, now: datetime
) -> str:
    token = new_token()
    accounts.add_invitation(
        conn,
        token_hash=token_hash(token),
        role=role,
        user_id=user_id,
        is_first_lead=is_first_lead,
        created_by=created_by,
        now=now,
        expires_at=now + INVITATION_LASTS,
    )
    return token


def look_up_invitation(engine: Engine, token: str, *, now: datetime) -> tuple[Invitation, str | None]:
    """The invitation and, where it renews a password, whose. Looking does not use it up; NotFound if unusable."""
    with read(engine) as conn:
        found = _require_invitation(conn, token, now)
        return found, None if found.user_id is None else accounts.user_by_id(conn, found.user_id).name


def _require_invitation(conn: Connection, token: str, now: datetime) -> Invitation:
    found = accounts.usable_invitation(conn, token_hash=token_hash(token), now=now)
    if found is None:
        raise NotFound(_("This link has been used, has expired, or is not one of ours. Ask a lead for a new one."))
    return found


def accept_invitation(engine: Engine, token: str, *, name: str, password: str, now: datetime) -> User:
    """Make the account (or renew the password) and use the link up, in one transaction."""
    _invitation, owner = look_up_invitation(engine, token, now=now)  # a made-up link must not buy an expensive hash
    hashed = hash_password(password, name=owner or clean_name(name))
    with write(engine) as conn:
        found = _require_invitation(conn, token, now)
        accounts.use_up(conn, found.id, now=now)
        if found.user_id is not None:
            made = accounts.user_by_id(conn, found.user_id)
            _renew_password(conn, made, hashed, now=now)
        else:
            made = add_user(conn, name=clean_name(name), role=found.role, password_hash=hashed, now=now)
        audit.record_action(conn, made.actor, "accept invitation", details={"invitation": found.id}, now=now)
        return made


def add_user(conn: Connection, *, name: str, role: Role, password_hash: str, now: datetime) -> User:
    """Make an account and the source of that person's decisions."""
    if accounts.find_user(conn, name) is not None:
        raise Conflict(_("There is a user {name!r} already; choose another name.").format(name=name))
    made = accounts.add_user(conn, name=name, role=role, password_hash=password_hash, now=now)
    sources.ensure_source(conn, kind=SourceKind.person, name=name, user_id=made.id)
    return made


def clean_name(name: str) -> str:
    """NFKC, trimmed; raises BadInput for an empty, overlong or unprintable name, and for the operator's kind."""
    cleaned = unicodedata.normalize("NFKC", name).strip()
    if cleaned.casefold().startswith("cli:"):
        raise BadInput(
            _("Names that begin with {start!r} stand for the command line; choose another one.").format(start="cli:")
        )
    if not 1 <= len(cleaned) <= MAX_NAME or not cleaned.isprintable():
        raise BadInput(_("A name has 1 to {most} printable characters; choose another one.").format(most=MAX_NAME))
    return cleaned


# --- sign-in --------------------------------------------------------------------------------------------------------


def sign_in(
    engine: Engine,
    *,
    name: str,
    password: str,
    address: str,
    browser: str = "",
    now: datetime,
    instead_of: str | None = None,
) -> tuple[str, Session]:
    """Check the password and open a session; returns its secret for the cookie.

    instead_of: the secret that the browser came with; that session ends, so that a planted cookie is worth nothing.
    Raises SignInFailed, the same for every cause; after ten failures of a name from one address within a quarter
    of an hour even the right password is refused until some have aged.
    """
    found = _prove(engine, name=name, password=password, address=address, now=now)
    if found is None:
        raise SignInFailed(
            _(
                "Name and password do not match, or there were too many tries. Try again, after a quarter of an hour "
                "if you have tried often; a lead can send a link for a new password."
            )
        )
    return open_session(engine, found, address=address, browser=browser, now=now, instead_of=instead_of)


def _prove(engine: Engine, *, name: str, password: str, address: str, now: datetime) -> User | None:
    """Whose name and password these are; None, and a failure on record, if nobody's or after too many failures."""
    cleaned = unicodedata.normalize("NFKC", name).strip()[:MAX_NAME]
    with read(engine) as conn:
        of_name, of_address = accounts.count_failures(
            conn, name=cleaned, address=address, since=now - FAILURES_COUNT_FOR
        )
        stored = accounts.password_hash_of(conn, cleaned)
        found = accounts.find_user(conn, cleaned)
    is_limited = of_name >= FAILURES_OF_A_NAME or of_address >= FAILURES_OF_AN_ADDRESS
    is_right = is_password(password, stored)
    if is_limited or not is_right or found is None or found.disabled_at is not None:
        with write(engine) as conn:
            accounts.add_failure(conn, name=cleaned, address=address, now=now)
            if not is_limited:  # whoever goes on trying is not to fill the log
                record_failure(conn, found, "password", address=address, now=now)
        logger.warning("sign-in failed%s", " (rate limit)" if is_limited else "")
        return None
    with write(engine) as conn:
        accounts.forget_failures(conn, name=cleaned, address=address, before=now - FAILURES_COUNT_FOR)
    return found


def record_failure(conn: Connection, found: User | None, by: str, *, address: str, now: datetime) -> None:
    """A name that is nobody's is not written down: people type passwords into the wrong field."""
    whose = Actor(None, UNKNOWN, Role.moderator) if found is None else found.actor
    audit.record_action(conn, whose, "sign-in failed", details={"by": by}, address=address, now=now)


def open_session(
    engine: Engine,
    user: User,
    *,
    by: str = "password",
    address: str = "",
    browser: str = "",
    now: datetime,
    instead_of: str | None = None,
) -> tuple[str, Session]:
    """A fresh session for somebody who has just proved who they are; (secret, session). by: how they proved it."""
    secret, csrf = new_token(), new_token()
    with write(engine) as conn:
        if instead_of is not None:
            accounts.end_session(conn, secret_hash=token_hash(instead_of), now=now)
        session_id = accounts.add_session(
            conn,
            secret_hash=token_hash(secret),
            user_id=user.id,
            csrf=csrf,
            address=address,
            browser=browser,
            now=now,
        )
        details: dict[str, object] = {"by": by, "browser": browser}
        audit.record_action(conn, user.actor, "sign in", details=details, address=address or None, now=now)
    return secret, Session(session_id, user, csrf, now)


def session_of(engine: Engine, secret: str | None, *, now: datetime) -> Session | None:
    """Who is behind a cookie; None when the session ended, lay idle, is a week old, or its user is disabled."""
    if not secret:
        return None
    with read(engine) as conn:
        found = accounts.open_session(
            conn, secret_hash=token_hash(secret), seen_since=now - IDLE_LIMIT, begun_since=now - LASTS_AT_MOST
        )
    if found is not None and now - found.last_seen_at > SEEN_EVERY:
        with write(engine) as conn:
            accounts.touch_session(conn, found.id, now=now)
    return found


def sign_out(engine: Engine, secret: str, *, now: datetime) -> None:
    found = session_of(engine, secret, now=now)
    with write(engine) as conn:
        accounts.end_session(conn, secret_hash=token_hash(secret), now=now)
        if found is not None:
            audit.record_action(conn, found.user.actor, "sign out", details={}, now=now)


# --- people ---------------------------------------------------------------------------------------------------------


def list_users(engine: Engine, actor: Actor) -> list[User]:
    require(actor, Permission.manage_users)
    with read(engine) as conn:
        return accounts.list_users(conn)


def disable_user(engine: Engine, actor: Actor, name: str, *, now: datetime) -> User:
    """Close an account: its sessions end at once, the posts it holds go back. Its decisions stay."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        found = accounts.require_user(conn, name)
        _refuse_to_lose_last_lead(conn, found)
        accounts.set_disabled(conn, found.id, at=now)
        accounts.revoke_invitations(conn, user_id=found.id, created_by=name, now=now)
        accounts.end_sessions_of(conn, found.id, now=now)
        leases.return_all(conn, user_id=found.id, now=now)
        audit.record_action(conn, actor, "disable user", details={"user": name}, now=now)
        return accounts.require_user(conn, name)


def change_role(engine: Engine, actor: Actor, name: str, *, role: Role, now: datetime) -> User:
    """Give a user another role. Open sessions go on with it: each request looks the role up anew.

    Who may no longer label returns the posts in hand; links that a lead made end with that role.
    """
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        found = accounts.require_user(conn, name)
        if found.role is role:
            return found
        _refuse_to_lose_last_lead(conn, found)
        accounts.set_role(conn, found.id, role)
        changed = accounts.require_user(conn, name)
        if may(found.actor, Permission.manage_users):
            accounts.revoke_invitations(conn, user_id=found.id, created_by=name, now=now)
        if not may(changed.actor, Permission.label):
            leases.return_all(conn, user_id=found.id, now=now)
        details: dict[str, object] = {"user": name, "role": role, "before": found.role}
        audit.record_action(conn, actor, "change role", details=details, now=now)
        return changed


def _refuse_to_lose_last_lead(conn: Connection, found: User) -> None:
    if found.role is Role.lead and found.disabled_at is None and accounts.count_leads(conn) == 1:
        raise Conflict(_("{name} is the only lead; invite another lead first.").format(name=found.name))


def enable_user(engine: Engine, actor: Actor, name: str, *, now: datetime) -> User:
    """Open a closed account again, with its old password."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        found = accounts.require_user(conn, name)
        accounts.set_disabled(conn, found.id, at=None)
        audit.record_action(conn, actor, "enable user", details={"user": name}, now=now)
        return accounts.require_user(conn, name)


def set_password(engine: Engine, actor: Actor, *, name: str, password: str, now: datetime) -> User:
    """Set a user's password as the operator or a lead; that user's sessions end."""
    require(actor, Permission.manage_users)
    hashed = hash_password(password, name=name)
    with write(engine) as conn:
        found = accounts.require_user(conn, name)
        _renew_password(conn, found, hashed, now=now)
        audit.record_action(conn, actor, "set password", details={"user": name}, now=now)
        return found


def choose_language(engine: Engine, actor: Actor, language: Language) -> None:
    """The language that the actor reads pages in from now on."""
    require(actor, Permission.own_account)
    if actor.user_id is None:
        raise BadInput(_("The command line speaks English."))
    with write(engine) as conn:
        accounts.set_language(conn, actor.user_id, language)


def has_password(engine: Engine, actor: Actor) -> bool:
    """Whether the actor can sign in with a password."""
    require(actor, Permission.own_account)
    with read(engine) as conn:
        return accounts.password_hash_of(conn, actor.name) not in (None, NO_PASSWORD)


def change_own_password(
    engine: Engine, actor: Actor, *, current: str, chosen: str, address: str, session_id: int, now: datetime
) -> None:
    """Whoever knows the present one chooses another; every other session of that person ends.

    Raises SignInFailed when the present one is wrong: such tries count as failed sign-ins.
    """
    require(actor, Permission.own_account)
    hashed = hash_password(chosen, name=actor.name)
    found = _prove(engine, name=actor.name, password=current, address=address, now=now)
    if found is None:
        raise SignInFailed(
            _(
                "The present password is not right, or there were too many tries; nothing was changed. A lead can make "
                "a link for a new one."
            )
        )
    with write(engine) as conn:
        _renew_password(conn, found, hashed, but_session=session_id, now=now)
        audit.record_action(conn, actor, "change own password", details={}, now=now)


def _renew_password(
    conn: Connection, user: User, hashed: str, *, but_session: int | None = None, now: datetime
) -> None:
    """A new password makes links and sessions from before worth nothing."""
    accounts.revoke_invitations(conn, user_id=user.id, now=now)
    accounts.set_password_hash(conn, user.id, hashed)
    accounts.end_sessions_of(conn, user.id, but=but_session, now=now)
