"""The loop in the worker's own process: train, be killed, train again, promote, score, and a queue by the model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core import context, pretrainer, trainer, worker
from core.clock import utc_now
from core.context import Context, Pulse
from core.distributions import Quantity
from core.domain import LABEL_NAMES, Actor, Policy, Run, RunKind, RunStatus
from core.encoders import local_encoders
from core.errors import BadInput, Conflict
from core.exploration import TEXTS_A_KIND
from core.loading import encoder_places
from core.post_filter import PostFilter
from core.services import annotation, columns, looking, models, pretraining, retraining, runs, scoring, training
from core.services.launching import Supervisor, log_path
from core.services.rules import change_policy
from core.settings import Settings
from db import models as versions
from db import runs as run_rows
from db.engine import read, write
from db.tables import (
    decision,
    distinct_text,
    doubt,
    exploration,
    model_version,
    prediction,
    promotion,
    queue_entry,
    run_point,
    snapshot_decision,
)
from db.tables import run as run_table
from tests.conftest import NOW, marked_text, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync

pytestmark = pytest.mark.training


@pytest.fixture
def forum(engine: Engine, settings: Settings, tiny_base: Path, tmp_path: Path) -> Engine:
    """300 posts, 120 of them labelled, and a tiny encoder in models/base."""
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    export, labels = tmp_path / "export.tsv", tmp_path / "labels.jsonl"
    texts = {n: marked_text(n % 3, n) for n in range(1, 301)}
    export.write_text("pid\tcontext\n" + "".join(f"{n}\t{text}\n" for n, text in texts.items()))
    labels.write_text(
        "".join(
            json.dumps({"pid": str(n), "text": texts[n], "label": LABEL_NAMES[n % 3]}) + "\n" for n in range(1, 121)
        )
    )
    import_file(engine, export)
    import_file(engine, labels)
    return engine


def run_to_its_end(supervisor: Supervisor, engine: Engine, run: Run, *, seconds: float = 200) -> Run:
    return step_until(supervisor, engine, run, lambda found: not found.is_open, seconds=seconds)


def step_until(
    supervisor: Supervisor, engine: Engine, run: Run, holds: Callable[[Run], object], *, seconds: float
) -> Run:
    """Let the supervisor work until the run is as wanted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        supervisor.step(now=utc_now())
        found = runs.show_run(engine, OPERATOR, run.id)
        if holds(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"run {run.id} is {found.status} {found.stage} {found.error}")


def train(engine: Engine, settings: Settings) -> Run:
    run = training.queue_training(engine, OPERATOR, training.TrainingRequest(quick=True), now=utc_now())
    return run_to_its_end(Supervisor(engine, settings), engine, run)


def test_the_loop_trains_promotes_scores_and_orders_the_queue_by_the_model(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    trained = train(forum, settings)
    assert (trained.status, trained.error) == (RunStatus.succeeded, None)
    assert trained.result["version"] == "v1"
    manifest = json.loads((settings.versions_dir / "v1" / "manifest.json").read_text())
    assert manifest["metrics"] == trained.result["metrics"]
    assert manifest == rows(forum, model_version, name="v1")[0]["manifest"]
    log = log_path(settings, trained.id).read_text()
    assert all(stage in log for stage in ("preparing", "training", "evaluating", "succeeded"))
    assert "alembic" not in log
    assert "Warning" not in log
    assert rows(forum, promotion) == []
    found = rows(forum, run_table, id=trained.id)[0]["config"]["found"]
    assert found["precision"] == manifest["device"]["precision"]
    assert (found["batch_size"], found["at_once"], found["steps"]) == (16, 16, 200)
    assert found["class_weights"] == manifest["class_weights"]
    assert {point["step"] for point in rows(forum, run_point)} >= {2, 200}
    assert len(rows(forum, snapshot_decision)) == 120
    scored = models.promote(forum, OPERATOR, "v1", now=utc_now())
    ended = run_to_its_end(Supervisor(forum, settings), forum, scored)
    assert (ended.status, ended.error) == (RunStatus.succeeded, None)
    assert trained.result["texts_per_second"] > 0
    assert scoring.outlook(forum, OPERATOR, "v1").pace == trained.result["texts_per_second"], "300 tell no better"
    # By the worker, once its run has ended: whoever looks need not wait.
    deadline = time.monotonic() + 30
    while (made := columns.find(forum, OPERATOR, settings, version="v1")) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    seen = looking.look(forum, OPERATOR, made, of=Quantity.confidence, post_filter=PostFilter())
    assert seen.scored == seen.chosen == 300
    reasons = Counter(entry["reason"] for entry in rows(forum, queue_entry))
    assert reasons["uncertain"] > reasons["random"]
    assert 0 < len(rows(forum, exploration)) <= 300 // TEXTS_A_KIND
    assert reasons["exploration"] > 0
    card = next(card for card in sync(forum, moderator, want=9).cards if not card.is_blind)
    assert card.version == "v1"
    assert card.prediction is not None
    with pytest.raises(Conflict, match="active one already"):
        models.promote(forum, OPERATOR, "v1", now=utc_now())


def test_worker_killed_while_training_fails_its_run_readably_and_touches_nothing_that_worked(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    train(forum, settings)
    models.promote(forum, OPERATOR, "v1", now=utc_now())
    annotation.decide_post(forum, OPERATOR, user_name="mo", post_id=200, label=annotation.Label.violation, now=NOW)
    before = [rows(forum, table) for table in (model_version, promotion)]
    files = sorted(path.name for path in settings.versions_dir.iterdir())
    supervisor = Supervisor(forum, settings)
    run = training.queue_training(forum, OPERATOR, training.TrainingRequest(), now=utc_now())
    begun = step_until(supervisor, forum, run, lambda found: found.stage == "training", seconds=100)
    assert begun.pid is not None
    os.kill(begun.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    failed = run_to_its_end(supervisor, forum, run, seconds=30)
    assert time.monotonic() - killed_at < 30
    assert failed.status is RunStatus.failed
    assert "; the stage was: training." in str(failed.error)
    assert [rows(forum, table) for table in (model_version, promotion)] == before
    assert [row.version.name for row in models.list_versions(forum, OPERATOR) if row.is_active] == ["v1"]
    again = train(forum, settings)
    assert (again.status, again.result["version"]) == (RunStatus.succeeded, "v2")
    assert sorted(path.name for path in settings.versions_dir.iterdir()) == [*files, "v2", "v2-tfidf"]


def test_cancel_ends_a_training_within_seconds_and_leaves_no_version(forum: Engine, settings: Settings) -> None:
    supervisor = Supervisor(forum, settings)
    run = training.queue_training(forum, OPERATOR, training.TrainingRequest(), now=utc_now())
    step_until(supervisor, forum, run, lambda found: found.stage == "training", seconds=100)
    runs.cancel_run(forum, OPERATOR, run.id, now=utc_now())
    assert run_to_its_end(supervisor, forum, run, seconds=20).status is RunStatus.cancelled
    assert rows(forum, model_version) == []
    assert list(settings.versions_dir.iterdir()) == []
    assert log_path(settings, run.id).is_file()


def test_scoring_that_was_stopped_goes_on_with_what_is_left(forum: Engine, settings: Settings) -> None:
    train(forum, settings)
    already = len(rows(forum, prediction, version_id=1))
    first = scoring.queue_scoring(forum, OPERATOR, version="v1", now=utc_now())
    runs.cancel_run(forum, OPERATOR, first.id, now=utc_now())
    with write(forum) as conn:
        conn.exec_driver_sql("DELETE FROM prediction WHERE text_id % 2 = 0 AND version_id = 1")
    texts = len(rows(forum, distinct_text))
    left = texts - len(rows(forum, prediction, version_id=1))
    second = scoring.queue_scoring(forum, OPERATOR, version="v1", now=utc_now())
    ended = run_to_its_end(Supervisor(forum, settings), forum, second)
    assert 0 < already < texts
    assert ended.result["scored"] == left
    assert len(rows(forum, prediction, version_id=1)) == texts


def test_text_that_a_version_was_measured_on_is_never_trained_on(forum: Engine, settings: Settings) -> None:
    for _ in range(2):
        train(forum, settings)
    sides = {(row["decision_id"], row["side"]) for row in rows(forum, snapshot_decision)}
    assert len(sides) == 120
    assert len({decision_id for decision_id, _ in sides}) == 120


def test_too_few_labels_are_refused_before_anything_starts(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text("".join(f'{{"text": "text {n}", "label": "normal"}}\n' for n in range(30)))
    import_file(engine, path)
    with pytest.raises(Conflict, match="at least two classes with 8 or more labels") as caught:
        training.queue_training(engine, OPERATOR, training.TrainingRequest(), now=NOW)
    assert "Decide more posts" in str(caught.value)
    assert rows(engine, run_table, kind="training") == []


def test_comparison_stands_both_versions_on_the_same_posts_that_neither_was_trained_on(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    train(forum, settings)
    models.promote(forum, OPERATOR, "v1", now=utc_now())
    for card in sync(forum, moderator, want=20).cards:
        sync(forum, moderator, decide(card))
    train(forum, settings)
    found = models.compare(forum, OPERATOR, "v2")
    with read(forum) as conn:
        aside = conn.exec_driver_sql(
            "SELECT count(DISTINCT text_id) FROM snapshot_decision s JOIN decision d ON d.id = s.decision_id "
            "WHERE s.run_id = (SELECT min(run_id) FROM snapshot_decision) AND s.side <> 'train'"
        ).scalar_one()
    assert found.candidate_metrics is not None
    assert found.active_metrics is not None
    assert found.candidate_metrics.judged == found.active_metrics.judged == found.judged
    assert found.judged >= aside


def test_labels_that_look_wrong_are_kept_for_the_lead_and_none_of_the_audit_slice(
    forum: Engine, settings: Settings
) -> None:
    with write(forum) as conn:
        conn.exec_driver_sql("UPDATE decision SET label = 2 - label WHERE id IN (3, 9, 11) AND label <> 1")
        conn.exec_driver_sql("UPDATE text SET side = 'train' WHERE id IN (SELECT text_id FROM decision WHERE id < 12)")
        conn.exec_driver_sql("UPDATE text SET side = 'audit' WHERE id = (SELECT text_id FROM decision WHERE id = 9)")
        queued = run_rows.add_run(conn, kind=RunKind.training, config={}, created_by="lea", now=NOW)
        version = versions.add_version(
            conn, name="v1", run_id=queued.id, baseline_of=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW
        )
    snapshot = training.take_snapshot(forum, queued.id)
    context = Context(forum, settings, queued, Pulse(forum, queued.id), lambda run: None)
    trainer.look_for_doubts(context, version, snapshot, seed=1)
    turned = {made["text_id"] for made in rows(forum, decision) if made["id"] in (3, 11)}
    found = rows(forum, doubt)
    assert {each["version_id"] for each in found} == {version.id}
    assert turned & {each["text_id"] for each in found}
    assert all(each["quality"] < 0.5 for each in found)
    aside = {text["id"] for text in rows(forum, distinct_text, side="audit")}
    assert not aside & {each["text_id"] for each in found}


def learning_pretraining():
    from core.learning import pretraining as learning

    return learning


def adapt(engine: Engine, *, resume: bool = False) -> Run:
    request = pretraining.PretrainingRequest("ours", base="tiny", epochs=3, resume=resume)
    return pretraining.queue_pretraining(engine, OPERATOR, request, now=utc_now())


def test_encoder_is_adapted_to_the_pool_cancelled_and_resumed_and_can_then_be_trained_from(
    forum: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = adapt(forum)
    seen: list[int] = []

    def cancel_early(found: Run) -> None:
        if found.done and not seen:
            runs.cancel_run(forum, OPERATOR, found.id, now=utc_now())
            time.sleep(0.5)  # until the heartbeat has noticed
        seen.extend([found.done] if found.done else [])

    monkeypatch.setattr(context, "HEARTBEAT_EVERY_S", 0.01)
    monkeypatch.setattr(learning_pretraining(), "REPORT_EVERY_S", 0.0)
    assert worker.execute(settings, forum, run.id, listen=cancel_early).status is RunStatus.cancelled
    assert pretrainer.unfinished(settings) == {"ours": "tiny"}
    places = encoder_places(settings)
    assert [e.name for e in local_encoders(**places)] == ["tiny", "starter"]
    again = adapt(forum, resume=True)
    first: list[int] = []
    ended = worker.execute(settings, forum, again.id, listen=lambda found: first.append(found.done))
    assert (ended.status, ended.error) == (RunStatus.succeeded, None)
    assert ended.result["steps"] == 15  # 297 texts are trained on, in 5 batches of 64, three times
    assert min(step for step in first if step) > max(seen)
    assert [e.name for e in local_encoders(**places)] == ["ours", "tiny", "starter"]
    assert pretrainer.unfinished(settings) == {}
    assert not list((settings.models_dir / "base" / "ours").glob("begun*"))
    points = rows(forum, run_point, run_id=again.id)
    assert points[-1]["step"] == 15
    assert points[-1]["loss"] > 0
    change_policy(forum, OPERATOR, Policy(promotes_by_itself=True), now=utc_now())
    request = training.TrainingRequest(quick=True, base="ours", by_itself=True)
    trained = worker.execute(settings, forum, training.queue_training(forum, OPERATOR, request, now=utc_now()).id)
    assert (trained.status, trained.error) == (RunStatus.succeeded, None)
    assert trained.result["by_itself"] == retraining.PROMOTED
    assert len(rows(forum, promotion)) == 1


def test_encoder_is_never_replaced_and_an_unfinished_one_goes_on_from_its_own_base(
    forum: Engine, settings: Settings
) -> None:
    (settings.models_dir / "base" / "ours").mkdir()
    ended = worker.execute(settings, forum, adapt(forum).id)
    assert ended.status is RunStatus.failed
    assert "There is an encoder 'ours' already" in str(ended.error)
    (settings.models_dir / "base" / "ours").rmdir()
    partial = settings.models_dir / "base" / "ours.partial"
    (partial / "checkpoint").mkdir(parents=True)
    (partial / "checkpoint" / "state.pt").touch()
    (partial / "begun-from").write_text("starter")
    ended = worker.execute(settings, forum, adapt(forum, resume=True).id)
    assert "was begun from starter, not from tiny" in str(ended.error)
    with pytest.raises(BadInput, match="is no name for an encoder"):
        pretraining.PretrainingRequest("../up", base="tiny")


def test_texts_of_the_pool_are_those_of_visible_posts_once_each_without_anything_else(forum: Engine) -> None:
    found = list(pretraining.pool_texts(forum, most=1_000))
    bodies = {text["body"] for text in rows(forum, distinct_text)}
    assert len(found) == len(set(found)) == 300
    assert set(found) == bodies
    assert list(pretraining.pool_texts(forum, most=7)) == found[:7]
    assert pretraining.count_pool(forum, most=7) == 7


def test_loss_macro_f1_and_recall_of_an_evaluation_become_points_of_the_run(forum: Engine, settings: Settings) -> None:
    from core.learning.fitting import TrainingProgress

    with write(forum) as conn:
        queued = run_rows.add_run(conn, kind=RunKind.training, config={}, created_by="lea", now=NOW)
    reporting = Context(forum, settings, queued, Pulse(forum, queued.id), lambda run: None)
    trainer._report_training(reporting, TrainingProgress("training", 7, 9, "step 7 of 9", loss=0.5))
    trainer._report_training(
        reporting, TrainingProgress("training", 7, 9, "step 7 of 9", macro_f1=0.6, recall=(0.9, None, 0.3))
    )
    trainer._report_training(reporting, TrainingProgress("training", 8, 9, "step 8 of 9"))
    (point,) = runs.points_of(forum, OPERATOR, queued.id)
    assert (point.step, point.loss, point.macro_f1, point.recall) == (7, 0.5, 0.6, (0.9, None, 0.3))
