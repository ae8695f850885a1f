"""The audit log: what is on record, in which order, and in words."""

from __future__ import annotations

import ast
from datetime import timedelta

from sqlalchemy import Engine

from core.domain import Actor, LogFilter, Policy, RunKind
from core.services import auditing, rules
from core.settings import PROJECT_DIR
from db import audit
from db.engine import write
from db.tables import audit_log
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR


def put(engine: Engine, count: int, *, actor: Actor = OPERATOR, action: str = "import") -> None:
    with write(engine) as conn:
        for n in range(count):
            audit.record_action(conn, actor, action, details={"run": n}, now=NOW + timedelta(hours=n))


def test_log_is_paged_newest_first_and_filtered(engine: Engine, lead: Actor) -> None:
    put(engine, 30)
    put(engine, 3, actor=lead, action="promote")
    found, total = auditing.list_log(engine, lead, LogFilter(), page=1, per_page=10)
    assert (total, [entry.id for entry in found]) == (33, list(range(33, 23, -1)))
    found, total = auditing.list_log(engine, lead, LogFilter(), page=4, per_page=10)
    assert [entry.id for entry in found] == [3, 2, 1]
    found, total = auditing.list_log(engine, lead, LogFilter(actor="lea"), page=1, per_page=10)
    assert (total, {entry.action for entry in found}) == (3, {"promote"})
    day = LogFilter(action="import", since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=3))
    found, total = auditing.list_log(engine, lead, day, page=1, per_page=10)
    assert [entry.details for entry in found] == [{"run": 2}, {"run": 1}]
    assert auditing.names_in_log(engine, lead) == (["cli:test", "lea"], ["import", "promote"])


def test_export_walks_the_whole_log_once_whatever_is_written_meanwhile(engine: Engine, lead: Actor) -> None:
    put(engine, 2 * auditing.ENTRIES_A_READ + 3)
    walked = auditing.walk_log(engine, lead, LogFilter(), now=NOW)
    first = next(walked)
    put(engine, 2)
    rest = [entry.id for entry in walked]
    assert [first.id, *rest] == list(range(2 * auditing.ENTRIES_A_READ + 3, 0, -1))
    exports = [row for row in rows(engine, audit_log) if row["action"] == "export"]
    assert [(row["actor"], row["details"]) for row in exports] == [("lea", {"what": "audit log"})]


def test_change_of_the_policy_is_on_record_with_what_it_was_before(engine: Engine, lead: Actor) -> None:
    before = rules.current_policy(engine)
    rules.change_policy(engine, lead, Policy(second_share=before.second_share, lease_minutes=20), now=NOW)
    assert rows(engine, audit_log)[-1]["details"] == {"lease_minutes": {"before": 10, "after": 20}}


def test_every_action_that_is_recorded_has_words_on_the_page() -> None:
    page = ast.parse((PROJECT_DIR / "ui" / "views" / "audit.py").read_text(encoding="utf-8"))
    listed = next(
        node.value for node in page.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ACTIONS"
    )
    assert isinstance(listed, ast.Dict)
    known = {key.value for key in listed.keys if isinstance(key, ast.Constant)}
    assert recorded() | {f"cancel {kind}" for kind in RunKind} <= known


def recorded() -> set[str]:
    """Actions that the code names, in calls of record_action and record_backup."""
    found = set()
    for folder in ("core", "ui"):
        for path in (PROJECT_DIR / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or len(node.args) < 3:
                    continue
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in ("record_action", "record_backup") and isinstance(node.args[2], ast.Constant):
                    found.add(str(node.args[2].value))
    return found
