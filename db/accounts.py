"""Users, invitations, sessions and failed sign-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from core.domain import Invitation, Language, ListedSession, Role, Session, User
from core.errors import NotFound
from core.wording import _
from db.tables import invitation, session, signin_failure, user


def _to_user(row: Row[Any]) -> User:
    language = None if row.language is None else Language(row.language)
    return User(row.id, row.name, Role(row.role), row.created_at, row.disabled_at, language)


# --- users ----------------------------------------------------------------------------------------------------------


def add_user(conn: Connection, *, name: str, role: Role, password_hash: str, now: datetime) -> User:
    values = {"name": name, "role": role, "password_hash": password_hash, "created_at": now}
    return _to_user(conn.execute(insert(user).values(values).returning(user)).one())


def find_user(conn: Connection, name: str) -> User | None:
    row = conn.execute(select(user).where(user.c.name == name)).one_or_none()
    return None if row is None else _to_user(row)


def require_user(conn: Connection, name: str) -> User:
    found = find_user(conn, name)
    if found is None:
        raise NotFound(_("There is no user {name!r}; `tiebreak users list` shows those there are.").format(name=name))
    return found


def user_by_id(conn: Connection, user_id: int) -> User:
    return _to_user(conn.execute(select(user).where(user.c.id == user_id)).one())


def list_users(conn: Connection) -> list[User]:
    return [_to_user(row) for row in conn.execute(select(user).order_by(user.c.name))]


def password_hash_of(conn: Connection, name: str) -> str | None:
    return conn.execute(select(user.c.password_hash).where(user.c.name == name)).scalar()


def set_password_hash(conn: Connection, user_id: int, password_hash: str) -> None:
    conn.execute(update(user).where(user.c.id == user_id).values(password_hash=password_hash))


def set_disabled(conn: Connection, user_id: int, *, at: datetime | None) -> None:
    conn.execute(update(user).where(user.c.id == user_id).values(disabled_at=at))


def set_role(conn: Connection, user_id: int, role: Role) -> None:
    conn.execute(update(user).where(user.c.id == user_id).values(role=role))


def set_language(conn: Connection, user_id: int, language: Language) -> None:
    conn.execute(update(user).where(user.c.id == user_id).values(language=language))


def count_leads(conn: Connection) -> int:
    """Leads who can sign in."""
    leads = select(func.count()).select_from(user).where(user.c.role == Role.lead, user.c.disabled_at.is_(None))
    return conn.execute(leads).scalar_one()


# --- invitations ----------------------------------------------------------------------------------------------------


def add_invitation(
    conn: Connection,
    *,
    token_hash: str,
    role: Role,
    user_id: int | None,
    is_first_lead: bool,
    created_by: str,
    email: str | None = None,
    now: datetime,
    expires_at: datetime,
) -> None:
    values = {
        "token_hash": token_hash,
        "role": role,
        "user_id": user_id,
        "is_first_lead": is_first_lead,
        "created_by": created_by,
        "created_at": now,
        "expires_at": expires_at,
        "email": email,
    }
    conn.execute(insert(invitation).values(values))


def usable_invitation(conn: Connection, *, token_hash: str, now: datetime) -> Invitation | None:
    """None when it is unknown, used up, expired, or the first lead's while a lead exists."""
    row = conn.execute(
        select(invitation).where(
            invitation.c.token_hash == token_hash, invitation.c.used_at.is_(None), invitation.c.expires_at > now
        )
    ).one_or_none()
    if row is None or (row.is_first_lead and count_leads(conn)):
        return None
    return Invitation(row.id, Role(row.role), row.user_id, row.expires_at, row.used_at)


def use_up(conn: Connection, invitation_id: int, *, now: datetime) -> None:
    conn.execute(update(invitation).where(invitation.c.id == invitation_id).values(used_at=now))


def revoke_invitations(conn: Connection, *, user_id: int, created_by: str | None = None, now: datetime) -> None:
    """Unused links that renew this user's password, and those that `created_by` made."""
    theirs = invitation.c.user_id == user_id
    if created_by is not None:
        theirs |= invitation.c.created_by == created_by
    conn.execute(update(invitation).where(theirs, invitation.c.used_at.is_(None)).values(used_at=now))


def drop_first_lead_invitations(conn: Connection) -> None:
    """Only the newest link to the first account works."""
    conn.execute(delete(invitation).where(invitation.c.is_first_lead, invitation.c.used_at.is_(None)))


# --- sessions -------------------------------------------------------------------------------------------------------


def add_session(
    conn: Connection, *, secret_hash: str, user_id: int, csrf: str, address: str, browser: str, now: datetime
) -> int:
    values = {
        "secret_hash": secret_hash,
        "user_id": user_id,
        "csrf": csrf,
        "created_at": now,
        "last_seen_at": now,
        "address": address[:64] or None,
        "browser": browser[:40] or None,
    }
    return conn.execute(insert(session).values(values).returning(session.c.id)).scalar_one()


def open_session(conn: Connection, *, secret_hash: str, seen_since: datetime, begun_since: datetime) -> Session | None:
    """The session of that secret, unless it ended, lay idle too long, is too old, or its user is disabled."""
    query = (
        select(session.c.id.label("session_id"), session.c.csrf, session.c.last_seen_at, user)
        .join_from(session, user, session.c.user_id == user.c.id)
        .where(
            session.c.secret_hash == secret_hash,
            session.c.ended_at.is_(None),
            session.c.last_seen_at > seen_since,
            session.c.created_at > begun_since,
            user.c.disabled_at.is_(None),
        )
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else Session(row.session_id, _to_user(row), row.csrf, row.last_seen_at)


def touch_session(conn: Connection, session_id: int, *, now: datetime) -> None:
    conn.execute(update(session).where(session.c.id == session_id).values(last_seen_at=now))


def end_session(conn: Connection, *, secret_hash: str, now: datetime) -> None:
    ended = update(session).where(session.c.secret_hash == secret_hash, session.c.ended_at.is_(None))
    conn.execute(ended.values(ended_at=now))


def end_sessions_of(conn: Connection, user_id: int, *, but: int | None = None, now: datetime) -> int:
    """Returns how many ended. but: the session that goes on."""
    ended = update(session).where(session.c.user_id == user_id, session.c.ended_at.is_(None))
    if but is not None:
        ended = ended.where(session.c.id != but)
    return conn.execute(ended.values(ended_at=now)).rowcount


def list_sessions(
    conn: Connection, user_id: int, *, seen_since: datetime, begun_since: datetime
) -> list[ListedSession]:
    """The open ones of a user, last seen first."""
    query = (
        select(session)
        .where(
            session.c.user_id == user_id,
            session.c.ended_at.is_(None),
            session.c.last_seen_at > seen_since,
            session.c.created_at > begun_since,
        )
        .order_by(session.c.last_seen_at.desc(), session.c.id.desc())
    )
    return [
        ListedSession(row.id, row.created_at, row.last_seen_at, row.address, row.browser) for row in conn.execute(query)
    ]


def last_seen(conn: Connection) -> dict[int, datetime]:
    """When each user was seen last, of those whose sessions are still kept."""
    query = select(session.c.user_id, func.max(session.c.last_seen_at).label("seen")).group_by(session.c.user_id)
    return {row.user_id: row.seen for row in conn.execute(query)}


def drop_sessions(conn: Connection, *, seen_before: datetime) -> int:
    return conn.execute(delete(session).where(session.c.last_seen_at < seen_before)).rowcount


# --- failed sign-ins ------------------------------------------------------------------------------------------------


def add_failure(conn: Connection, *, name: str, address: str, now: datetime) -> None:
    conn.execute(insert(signin_failure).values(name=name, address=address, failed_at=now))


def count_failures(conn: Connection, *, name: str, address: str, since: datetime) -> tuple[int, int]:
    """(of this name from this address, of this address with any name) since then."""
    failed = (
        select(func.count())
        .select_from(signin_failure)
        .where(signin_failure.c.failed_at > since, signin_failure.c.address == address)
    )
    of_name = conn.execute(failed.where(signin_failure.c.name == name)).scalar_one()
    return of_name, conn.execute(failed).scalar_one()


def drop_failures(conn: Connection, *, before: datetime) -> None:
    """Those that are too old to count."""
    conn.execute(delete(signin_failure).where(signin_failure.c.failed_at < before))


def forget_failures(conn: Connection, *, name: str, address: str, before: datetime) -> None:
    """After a success: those of this name from this address, and whatever is too old to count."""
    own = (signin_failure.c.name == name) & (signin_failure.c.address == address)
    conn.execute(delete(signin_failure).where(own | (signin_failure.c.failed_at < before)))
