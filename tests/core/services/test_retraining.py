"""Retraining by itself: when the policy says so and there is something new, and never past the gate."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import LABEL_NAMES, Policy, RunKind, RunStatus
from core.errors import BadInput
from core.services import retraining, runs
from core.services.launching import Supervisor
from core.services.retraining import BY_ITSELF, finish, retrain_if_due
from core.services.rules import change_policy
from core.settings import Settings
from db import models as versions
from db import runs as run_rows
from db.engine import read, write
from db.tables import audit_log
from tests.conftest import NOW, marked_text, rows
from tests.core.services.conftest import OPERATOR, import_file

A_MINUTE, A_DAY = timedelta(minutes=1), timedelta(days=1)


def label(engine: Engine, folder: Path, numbers: range) -> None:
    path = folder / f"labels-{numbers.start}.jsonl"
    found = ({"pid": str(n), "text": marked_text(n % 3, n), "label": LABEL_NAMES[n % 3]} for n in numbers)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
    import_file(engine, path)


def let(engine: Engine, **policy: object) -> None:
    change_policy(engine, OPERATOR, Policy(**policy), now=NOW)  # type: ignore[arg-type]


def end(engine: Engine, run_id: int, status: RunStatus = RunStatus.succeeded) -> None:
    with write(engine) as conn:
        run_rows.finish_run(conn, run_id, status=status, now=NOW)


def test_nothing_is_trained_before_a_lead_lets_it(engine: Engine, tmp_path: Path) -> None:
    label(engine, tmp_path, range(90))
    assert retrain_if_due(engine, BY_ITSELF, now=NOW) is None


@pytest.mark.parametrize("ended", [RunStatus.succeeded, RunStatus.failed, RunStatus.cancelled])
def test_after_so_many_new_decisions_it_trains_once_whatever_becomes_of_it(
    engine: Engine, tmp_path: Path, ended: RunStatus
) -> None:
    let(engine, retrain_after=60)
    label(engine, tmp_path, range(59))
    assert retrain_if_due(engine, BY_ITSELF, now=NOW) is None
    label(engine, tmp_path, range(100, 101))
    later = utc_now()
    found = retrain_if_due(engine, BY_ITSELF, now=later)
    assert found is not None
    assert (found.kind, found.created_by, found.config["by_itself"]) == (RunKind.training, "tiebreak", True)
    assert rows(engine, audit_log, action="retrain")[-1]["actor"] == "tiebreak"
    assert retrain_if_due(engine, BY_ITSELF, now=later + A_MINUTE) is None, "one is open"
    end(engine, found.id, ended)
    assert retrain_if_due(engine, BY_ITSELF, now=later + A_MINUTE) is None, "nothing is new"


def test_at_its_hour_it_trains_once_a_day_and_only_with_something_new(engine: Engine, tmp_path: Path) -> None:
    label(engine, tmp_path, range(90))
    let(engine, retrain_hour=3)
    night = utc_now().replace(hour=3, minute=5) + A_DAY
    assert retrain_if_due(engine, BY_ITSELF, now=night - timedelta(hours=1)) is None
    found = retrain_if_due(engine, BY_ITSELF, now=night)
    assert found is not None
    end(engine, found.id)
    assert retrain_if_due(engine, BY_ITSELF, now=night + A_MINUTE) is None
    assert retrain_if_due(engine, BY_ITSELF, now=night + A_DAY) is None, "nothing is new"


def test_too_few_labels_are_waited_for_quietly(engine: Engine, tmp_path: Path) -> None:
    let(engine, retrain_after=20)
    label(engine, tmp_path, range(0, 75, 3))  # of one class
    assert retrain_if_due(engine, BY_ITSELF, now=NOW) is None
    assert rows(engine, audit_log, action="retrain") == []


def test_server_looks_each_minute(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    label(engine, tmp_path, range(90))
    begun: list[int] = []
    supervisor = Supervisor(engine, settings, launch=lambda settings, run_id: begun.append(run_id))  # type: ignore[arg-type,return-value]
    supervisor.step(now=NOW)
    let(engine, retrain_after=50)
    supervisor.step(now=NOW + timedelta(seconds=59))
    assert runs.list_runs(engine, OPERATOR, kind=RunKind.training) == []
    supervisor.step(now=NOW + A_MINUTE)
    assert [run.id for run in runs.list_runs(engine, OPERATOR, kind=RunKind.training)] == begun


def active(engine: Engine) -> str | None:
    with read(engine) as conn:
        found = versions.active_version(conn)
    return None if found is None else found.name


def test_what_it_brings_waits_for_a_lead_unless_the_policy_promotes_it(engine: Engine) -> None:
    with write(engine) as conn:
        versions.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
    assert finish(engine, BY_ITSELF, "v1", now=NOW) == retraining.NOT_ALLOWED
    assert active(engine) is None
    let(engine, promotes_by_itself=True)
    assert finish(engine, BY_ITSELF, "v1", now=NOW) == retraining.PROMOTED
    assert active(engine) == "v1"
    assert rows(engine, audit_log, action="promote")[-1]["actor"] == "tiebreak"


@pytest.mark.parametrize("count", [1, 19, -5])
def test_retraining_after_every_few_decisions_is_refused(engine: Engine, count: int) -> None:
    with pytest.raises(BadInput, match="from 20 on"):
        let(engine, retrain_after=count)
