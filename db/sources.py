"""Sources of decisions: a person or a file, each with a name."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from core.domain import SourceKind
from db.tables import source


def ensure_source(conn: Connection, *, kind: SourceKind, name: str, user_id: int | None = None) -> int:
    found = conn.execute(select(source.c.id).where(source.c.kind == kind, source.c.name == name)).scalar()
    if found is not None:
        return found
    values = {"kind": kind, "name": name, "user_id": user_id}
    return conn.execute(insert(source).values(values).returning(source.c.id)).scalar_one()
