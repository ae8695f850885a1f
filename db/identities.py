"""Invited addresses, and whom the subjects of a sign-in provider are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from core.domain import Claims, InvitedAddress, Role, User
from db.accounts import user_by_id
from db.tables import identity, invitation, user


def _open(now: datetime) -> Select[Any]:
    return (
        select(invitation, user.c.name.label("account"))
        .select_from(invitation.outerjoin(user, invitation.c.user_id == user.c.id))
        .where(invitation.c.email.is_not(None), invitation.c.used_at.is_(None), invitation.c.expires_at > now)
        .order_by(invitation.c.id.desc())
    )


def _to_invited(row: Row[Any]) -> InvitedAddress:
    return InvitedAddress(row.id, row.email, Role(row.role), row.account, row.created_by, row.expires_at)


def list_invited(conn: Connection, *, now: datetime) -> list[InvitedAddress]:
    """Those who have not signed in yet, latest first."""
    return [_to_invited(row) for row in conn.execute(_open(now))]


def find_invited(conn: Connection, email: str, *, now: datetime) -> InvitedAddress | None:
    row = conn.execute(_open(now).where(invitation.c.email == email).limit(1)).one_or_none()
    return None if row is None else _to_invited(row)


def withdraw(conn: Connection, email: str, *, now: datetime) -> int:
    """Use up every open invitation of that address; returns how many."""
    theirs = update(invitation).where(invitation.c.email == email, invitation.c.used_at.is_(None))
    return conn.execute(theirs.values(used_at=now)).rowcount


def find_user_of(conn: Connection, claims: Claims) -> User | None:
    query = select(identity.c.user_id).where(identity.c.issuer == claims.issuer, identity.c.subject == claims.subject)
    found = conn.execute(query).scalar()
    return None if found is None else user_by_id(conn, found)


def bind(conn: Connection, user_id: int, claims: Claims, *, email: str, now: datetime) -> None:
    values = {
        "user_id": user_id,
        "issuer": claims.issuer,
        "subject": claims.subject,
        "email": email,
        "bound_at": now,
    }
    conn.execute(insert(identity).values(values))


def bound_to(conn: Connection, email: str) -> str | None:
    """The name of the account that signs in with this address; an account may have had several."""
    query = select(user.c.name).join_from(identity, user, identity.c.user_id == user.c.id)
    return conn.execute(query.where(identity.c.email == email).limit(1)).scalar()


def untie(conn: Connection, user_id: int) -> list[str]:
    """Forget whom at a provider the account belongs to; returns the addresses, oldest first."""
    theirs = identity.c.user_id == user_id
    emails = list(conn.execute(select(identity.c.email).where(theirs).order_by(identity.c.id)).scalars())
    conn.execute(delete(identity).where(theirs))
    return emails


def addresses(conn: Connection) -> dict[int, str]:
    """By user, the address that the account was bound with last."""
    query = select(identity.c.user_id, identity.c.email).order_by(identity.c.id)
    return {row.user_id: row.email for row in conn.execute(query)}
