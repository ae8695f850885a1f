"""Every service that takes an actor, with every role: who may, gets through; who may not, is told so at once."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

import core.services
from core.columns import PAIR, assemble_posts
from core.distributions import Quantity, WholePart
from core.domain import Actor, CheckStatus, Label, Language, LogFilter, Policy, Reason, Role, SecondOpinion, SourceTrust
from core.errors import BadInput, Conflict, NotAllowed, NotFound, SignInFailed, TiebreakError
from core.permissions import ROLES, Permission
from core.post_filter import PostFilter
from core.services.cases import Case, Pile
from core.services.columns import Columns
from core.services.exporting import Content, Wanted
from core.services.forgetting import Target
from core.services.importing import ImportRequest
from core.services.pretraining import PretrainingRequest
from core.services.searching import Query
from core.services.training import NewVersion, Snapshot, TrainingRequest
from core.services.trusting import Trust
from core.settings import PROJECT_DIR, read_settings
from core.sheets import SheetForm
from core.thresholds import Thresholds
from db.tables import audit_log, decision, invitation, run
from tests.conftest import NOW, add_user, rows

NEEDS = {
    "accounts.change_own_password": Permission.own_account,
    "accounts.change_role": Permission.manage_users,
    "accounts.choose_language": Permission.own_account,
    "accounts.disable_user": Permission.manage_users,
    "accounts.enable_user": Permission.manage_users,
    "accounts.has_password": Permission.own_account,
    "accounts.invite": Permission.manage_users,
    "accounts.invite_back": Permission.manage_users,
    "accounts.list_users": Permission.manage_users,
    "accounts.set_password": Permission.manage_users,
    "agreeing.agreement": Permission.review,
    "anchoring.anchoring_report": Permission.review,
    "annotation.decide_post": Permission.label,
    "annotation.sync": Permission.label,
    "auditing.list_log": Permission.audit,
    "auditing.names_in_log": Permission.audit,
    "auditing.record_backup": Permission.audit,
    "auditing.record_export": Permission.own_account,
    "auditing.walk_log": Permission.audit,
    "changing.change": Permission.look,
    "changing.compare_judged": Permission.look,
    "changing.export_change": Permission.export,
    "changing.export_flips": Permission.export,
    "changing.export_weeks": Permission.export,
    "changing.flipped_posts": Permission.look,
    "changing.weeks": Permission.look,
    "checks.change_check": Permission.review,
    "checks.count_checks": Permission.review,
    "checks.list_checks": Permission.review,
    "checks.make_check": Permission.review,
    "cases.count_cases": Permission.review,
    "cases.doubting_version": Permission.review,
    "cases.find_case": Permission.review,
    "cases.settle_case": Permission.review,
    "exporting.open_sheet": Permission.export,
    "columns.find": Permission.look,
    "columns.may_ask_authors": Permission.look,
    "columns.view": Permission.look,
    "families.count_families": Permission.look,
    "families.list_families": Permission.look,
    "families.list_members": Permission.look,
    "families.preview_family": Permission.label,
    "families.split_off": Permission.label,
    "families.walk_families": Permission.look,
    "flags.close_flag": Permission.review,
    "flags.own_flags": Permission.label,
    "flags.own_skips": Permission.label,
    "flags.put_back": Permission.review,
    "flags.walk_flags": Permission.review,
    "flags.walk_skips": Permission.review,
    "forgetting.forget": Permission.forget,
    "forgetting.list_forgotten": Permission.forget,
    "forgetting.preview": Permission.forget,
    "guidelines.add_example": Permission.write_guidelines,
    "guidelines.list_examples": Permission.write_guidelines,
    "guidelines.list_versions": Permission.read_guidelines,
    "guidelines.note_read": Permission.read_guidelines,
    "guidelines.read_guidelines": Permission.read_guidelines,
    "guidelines.remove_example": Permission.write_guidelines,
    "guidelines.write_version": Permission.write_guidelines,
    "history.find_post": Permission.search,
    "history.history_of": Permission.search,
    "identities.bound_addresses": Permission.manage_users,
    "identities.invite_address": Permission.manage_users,
    "identities.list_invited": Permission.manage_users,
    "identities.untie": Permission.manage_users,
    "identities.withdraw_address": Permission.manage_users,
    "importing.list_rejects": Permission.manage_imports,
    "importing.queue_import": Permission.manage_imports,
    "inbox.inbox_path": Permission.manage_imports,
    "inbox.list_inbox": Permission.manage_imports,
    "leaning.leanings": Permission.review,
    "looking.export_bars": Permission.export,
    "looking.export_cells": Permission.export,
    "looking.export_posts": Permission.export,
    "looking.look": Permission.look,
    "looking.posts_behind": Permission.look,
    "models.compare": Permission.look,
    "models.list_versions": Permission.look,
    "models.measure_version": Permission.look,
    "models.promote": Permission.promote,
    "own.last_decisions": Permission.label,
    "own.own_figures": Permission.label,
    "previewing.earlier_imports": Permission.manage_imports,
    "previewing.preview": Permission.manage_imports,
    "proving.prove": Permission.look,
    "queueing.head_of_queue": Permission.label,
    "queueing.preview": Permission.manage_policy,
    "rating.change_trust": Permission.review,
    "rating.list_sources": Permission.review,
    "reporting.version_report": Permission.look,
    "reporting.week_report": Permission.look,
    "retraining.finish": Permission.promote,
    "retraining.retrain_if_due": Permission.manage_runs,
    "rules.change_policy": Permission.manage_policy,
    "pretraining.count_texts": Permission.look,
    "pretraining.queue_pretraining": Permission.manage_runs,
    "runs.cancel_run": Permission.manage_runs,
    "runs.list_runs": Permission.look,
    "runs.points_of": Permission.look,
    "runs.show_run": Permission.look,
    "scoring.outlook": Permission.look,
    "scoring.queue_scoring": Permission.manage_runs,
    "searching.decide_many": Permission.review,
    "sending.send_first": Permission.review,
    "searching.find": Permission.search,
    "searching.undo_many": Permission.review,
    "sessions.last_seen": Permission.manage_users,
    "sessions.own_sessions": Permission.own_account,
    "sessions.sessions_of": Permission.manage_users,
    "sessions.sign_out_everywhere": Permission.own_account,
    "sessions.sign_out_user": Permission.manage_users,
    "siblings.siblings_of": Permission.label,
    "takeback.posts_that_stay": Permission.manage_imports,
    "takeback.preview_takeback": Permission.manage_imports,
    "takeback.queue_take_back": Permission.manage_imports,
    "team.team_report": Permission.review,
    "team.walk_team": Permission.review,
    "thresholding.export_frontier": Permission.export,
    "thresholding.list_policies": Permission.look,
    "thresholding.save_policy": Permission.save_thresholds,
    "thresholding.trial": Permission.look,
    "training.count_labels": Permission.look,
    "trusting.export_judged": Permission.export,
    "trusting.judged_posts": Permission.look,
    "trusting.trust": Permission.look,
    "trusting.trust_both": Permission.look,
    "training.queue_training": Permission.manage_runs,
    "training.read_snapshot": Permission.manage_runs,
    "training.record_export": Permission.manage_runs,
    "training.refuse_taken_name": Permission.manage_runs,
    "training.store_imported": Permission.manage_runs,
    "training.was_exported": Permission.manage_runs,
    "wordlist.export_pieces": Permission.export,
    "wordlist.export_words": Permission.export,
    "wordlist.lacking_pieces": Permission.look,
    "wordlist.list_words": Permission.look,
}
VALUES: dict[str, Any] = {
    "name": "nobody",
    "role": Role.moderator,
    "password": "long enough for all",
    "presses": [],
    "holding": [],
    "want": 0,
    "today": NOW,
    "now": NOW,
    "post_id": 1,
    "post_ids": [1],
    "reason": Reason.uncertain,
    "family_id": 1,
    "label": Label.normal,
    "language": Language.chinese,
    "run_id": 1,
    "version": "v1",
    "of": Quantity.confidence,
    "part": WholePart(),
    "found": Trust(False, 0, *[np.empty(0, dtype=np.int64)] * 2, np.empty(0), np.empty((0, 3))),
    "truth": None,
    "said": None,
    "page_size": 1,
    "page": 1,
    "limit": 1,
    "decision_id": 1,
    "text_id": 1,
    "source_id": 1,
    "trust": SourceTrust.human,
    "inbox_dir": Path("/nowhere"),
    "request": ImportRequest("/nowhere", "nowhere"),
    "chosen": Policy(),
    "flag_id": 1,
    "pile": Pile.flag,
    "place": 0,
    "case": Case(Pile.flag, 1, ()),
    "status": CheckStatus.retired,
    "query": Query(),
    "batch": "batch-0001",
    "why": SecondOpinion.drawn,
    "rng": np.random.default_rng(1),
    "read_posts": [(1, 1)],
    "zone": UTC,
    "answer": "",
    "body": "text",
    "note": "",
    "based_on": None,
    "version_id": None,
    "named": "1",
    "current": "not the password",
    "address": "192.0.2.1",
    "account": "nobody",
    "session_id": 1,
    "email": "mo@forum.example",
    "asked": LogFilter(),
    "columns": Columns(assemble_posts(*[np.empty(0, dtype=PAIR)] * 5, []), np.empty((3, 0), dtype=np.float32), None),
    "post_filter": PostFilter(),
    "was": Label.normal,
    "per_page": 1,
    "what": "families",
    "action": "back up",
    "path": "a.db",
    "target": Target("author", "nobody"),
    "settings": read_settings({"TIEBREAK_HOME": "/nowhere"}),
    "snapshot": Snapshot((), "", ()),
    "files_hash": "",
    "new": NewVersion("v9", "b", {"metrics": {}, "warnings": [], "snapshot": ""}, []),
    "measured": [],
    "pace": 1.0,
    "monday": NOW.date(),
    "thresholds": Thresholds(0.9, 0.9),
    "wanted": Wanted(Content.gold, SheetForm.csv),
}


def services_with_an_actor() -> dict[str, Callable[..., Any]]:
    found = {}
    for module in pkgutil.iter_modules(core.services.__path__):
        loaded = importlib.import_module(f"core.services.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            is_public = function.__module__ == loaded.__name__ and not name.startswith("_")
            if is_public and "actor" in inspect.signature(function).parameters:
                found[f"{module.name}.{name}"] = function
    return found


def call(function: Callable[..., Any], engine: Engine, actor: Actor) -> None:
    given = {"engine": engine, "actor": actor, "user_name": actor.name} | VALUES
    if function.__name__ == "queue_training":
        given["request"] = TrainingRequest()
    if function.__name__ == "queue_pretraining":
        given["request"] = PretrainingRequest("ours")
    if function.__module__.endswith((".changing", ".trusting")):
        no_posts = VALUES["columns"]
        given |= {"first": no_posts, "second": no_posts}
        if function.__name__ == "flipped_posts":
            given["now"] = Label.violation
    if function.__name__ == "change_own_password":
        given["chosen"] = "long enough for all"
    asked = inspect.signature(function).parameters.values()
    function(**{p.name: given[p.name] for p in asked if p.name in given or p.default is inspect.Parameter.empty})


def test_every_service_that_takes_an_actor_is_listed_here() -> None:
    assert set(services_with_an_actor()) == set(NEEDS)


# What whoever may is told in an empty installation, where a service cannot do what it is asked.
TOLD: dict[str, type[TiebreakError]] = {
    "accounts.change_role": NotFound,
    "accounts.disable_user": NotFound,
    "accounts.enable_user": NotFound,
    "accounts.invite_back": NotFound,
    "accounts.set_password": NotFound,
    "annotation.decide_post": NotFound,
    "checks.change_check": NotFound,
    "checks.make_check": NotFound,
    "columns.find": NotFound,
    "families.preview_family": NotFound,
    "families.split_off": NotFound,
    "forgetting.forget": NotFound,
    "forgetting.preview": NotFound,
    "guidelines.add_example": NotFound,
    "history.find_post": NotFound,
    "history.history_of": NotFound,
    "identities.invite_address": NotFound,
    "identities.untie": NotFound,
    "identities.withdraw_address": NotFound,
    "importing.list_rejects": NotFound,
    "inbox.inbox_path": NotFound,
    "models.compare": NotFound,
    "models.measure_version": NotFound,
    "models.promote": NotFound,
    "reporting.version_report": NotFound,
    "runs.cancel_run": NotFound,
    "runs.show_run": NotFound,
    "scoring.queue_scoring": NotFound,
    "scoring.outlook": NotFound,
    "sessions.sessions_of": NotFound,
    "sessions.sign_out_user": NotFound,
    "siblings.siblings_of": NotFound,
    "takeback.posts_that_stay": NotFound,
    "takeback.preview_takeback": NotFound,
    "takeback.queue_take_back": NotFound,
    "thresholding.export_frontier": NotFound,
    "thresholding.save_policy": NotFound,
    "thresholding.trial": NotFound,
    "flags.close_flag": Conflict,
    "pretraining.queue_pretraining": Conflict,
    "flags.put_back": Conflict,
    "sending.send_first": Conflict,
    "rating.change_trust": Conflict,
    "training.queue_training": Conflict,
    "importing.queue_import": BadInput,
    "previewing.preview": BadInput,
    "accounts.change_own_password": SignInFailed,
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("service", sorted(NEEDS))
def test_only_roles_with_the_permission_get_through(engine: Engine, service: str, role: Role) -> None:
    actor = add_user(engine, "somebody", role)
    function = services_with_an_actor()[service]
    if NEEDS[service] in ROLES[role]:
        told = None
        try:
            call(function, engine, actor)
        except TiebreakError as err:
            told = type(err)
        assert told is TOLD.get(service)
        return
    with pytest.raises(NotAllowed):
        call(function, engine, actor)
    assert [rows(engine, table) for table in (audit_log, run, decision, invitation)] == [[], [], [], []]


# What pages and routes ask of the database without saying who asks.
WITHOUT_AN_ACTOR = {
    "accounts.accept_invitation": "whoever has the link",
    "accounts.first_lead_token": "the server at its start",
    "accounts.look_up_invitation": "whoever has the link",
    "accounts.open_session": "after an invitation was accepted",
    "accounts.session_of": "whoever has the cookie: it says who asks",
    "accounts.sign_in": "whoever knows the password",
    "accounts.sign_out": "whoever has the cookie",
    "identities.sign_in_with": "whom the provider names",
    "pretraining.count_texts": "everybody: a number without names",
    "rules.current_policy": "everybody works by it",
    "searching.count_unindexed": "everybody: a number without names",
    "status.has_posts": "everybody: whether there are any",
    "status.status_of": "everybody: numbers without names",
}


def asked_by_pages() -> set[str]:
    """Services that the pages and routes name, as `module.function`."""
    found = set()
    for path in (PROJECT_DIR / "ui").rglob("*.py"):
        if "commands" in path.parts:  # the operator's
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "core.services":
                modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core.services."):
                found |= {f"{(node.module or '').rpartition('.')[2]}.{alias.name}" for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                found.add(f"{modules[node.value.id]}.{node.attr}")
    return found


def test_pages_ask_nothing_without_an_actor_but_what_is_for_everybody() -> None:
    unchecked = set()
    for service in asked_by_pages():
        module, _, name = service.partition(".")
        function = getattr(importlib.import_module(f"core.services.{module}"), name)
        if inspect.isfunction(function):
            asked = inspect.signature(function).parameters
            if "engine" in asked and "actor" not in asked:
                unchecked.add(service)
    assert unchecked <= set(WITHOUT_AN_ACTOR)
