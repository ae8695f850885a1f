"""Sources of decisions: a person or a file, each with a name, and what its word is worth."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from core.domain import SourceKind, SourceTrust
from core.errors import Conflict, NotFound
from core.wording import _
from db.posts import stands
from db.tables import decision, source


@dataclass(frozen=True, slots=True)
class Source:
    """decisions: its standing ones."""

    id: int
    kind: SourceKind
    name: str
    trust: SourceTrust
    decisions: int


def ensure_source(
    conn: Connection, *, kind: SourceKind, name: str, user_id: int | None = None, trust: SourceTrust | None = None
) -> int:
    """Return the id of the source, added if it is new. trust: None is what it has, or human.

    Raises Conflict when the source is known with another trust: that is for the lead to change.
    """
    refuse_other_trust(conn, kind=kind, name=name, trust=trust)
    found = find_source(conn, kind=kind, name=name)
    if found is not None:
        return found
    values = {"kind": kind, "name": name, "user_id": user_id, "trust": trust or SourceTrust.human}
    return conn.execute(insert(source).values(values).returning(source.c.id)).scalar_one()


def find_source(conn: Connection, *, kind: SourceKind, name: str) -> int | None:
    return conn.execute(select(source.c.id).where(source.c.kind == kind, source.c.name == name)).scalar()


def refuse_other_trust(conn: Connection, *, kind: SourceKind, name: str, trust: SourceTrust | None) -> None:
    known = conn.execute(select(source.c.trust).where(source.c.kind == kind, source.c.name == name)).scalar()
    if None not in (known, trust) and known != trust:
        raise Conflict(
            _(
                "The source {name!r} is known as {known}, not as {trust}. Change that on the Review "
                "page, or give these decisions another source."
            ).format(name=name, known=known, trust=trust)
        )


def list_sources(conn: Connection) -> list[Source]:
    """By name, people after files."""
    counted = (
        select(decision.c.source_id, func.count().label("decisions"))
        .where(stands())
        .group_by(decision.c.source_id)
        .subquery()
    )
    query = (
        select(source, func.coalesce(counted.c.decisions, 0).label("decisions"))
        .outerjoin(counted, counted.c.source_id == source.c.id)
        .order_by(source.c.kind, source.c.name)
    )
    return [Source(r.id, SourceKind(r.kind), r.name, SourceTrust(r.trust), r.decisions) for r in conn.execute(query)]


def require_source(conn: Connection, source_id: int) -> Source:
    found = next((known for known in list_sources(conn) if known.id == source_id), None)
    if found is None:
        raise NotFound(
            _("There is no source {source_id}; the Review page lists those there are.").format(source_id=source_id)
        )
    return found


def set_trust(conn: Connection, source_id: int, trust: SourceTrust) -> None:
    conn.execute(update(source).where(source.c.id == source_id).values(trust=trust))
