"""Sessions and passwords: where people are signed in, signing out everywhere, and what is forgotten when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Role, User
from core.errors import BadInput, SignInFailed
from core.services import accounts, sessions
from core.services.launching import Supervisor
from core.settings import Settings
from db.tables import audit_log, decision, lease, signin_failure
from db.tables import session as session_table
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, next_posts, sync

PASSWORD, OTHER = "correct horse battery", "another long password indeed"
HOURS = timedelta(hours=1)


def add_account(engine: Engine, name: str, role: Role = Role.moderator) -> User:
    token = accounts.invite(engine, OPERATOR, role=role, now=NOW)
    return accounts.accept_invitation(engine, token, name=name, password=PASSWORD, now=NOW)


def sign_in(engine: Engine, name: str, *, browser: str = "", password: str = PASSWORD, now=NOW) -> str:
    secret, _ = accounts.sign_in(engine, name=name, password=password, address="192.0.2.7", browser=browser, now=now)
    return secret


def actions(engine: Engine) -> list[tuple[str, str]]:
    return [(row["actor"], row["action"]) for row in rows(engine, audit_log)]


def test_open_sessions_are_listed_with_browser_and_address_last_seen_first(engine: Engine) -> None:
    mo = add_account(engine, "mo").actor
    secret = sign_in(engine, "mo", browser="Firefox on Linux")
    sign_in(engine, "mo", browser="Safari on iPhone", now=NOW + HOURS)
    accounts.session_of(engine, secret, now=NOW + 2 * HOURS)
    add_account(engine, "mimi")
    sign_in(engine, "mimi")
    found = sessions.own_sessions(engine, mo, now=NOW + 2 * HOURS)
    assert [(s.browser, s.address, s.begun_at, s.last_seen_at) for s in found] == [
        ("Firefox on Linux", "192.0.2.7", NOW, NOW + 2 * HOURS),
        ("Safari on iPhone", "192.0.2.7", NOW + HOURS, NOW + HOURS),
    ]
    assert sessions.sessions_of(engine, OPERATOR, "mo", now=NOW + 2 * HOURS) == found
    assert sessions.own_sessions(engine, mo, now=NOW + 24 * HOURS) == []  # idle for too long


def test_signing_out_everywhere_ends_all_sessions_of_one_person_and_nobody_elses(engine: Engine) -> None:
    mo = add_account(engine, "mo").actor
    add_account(engine, "mimi")
    own, others = [sign_in(engine, "mo") for _ in range(3)], sign_in(engine, "mimi")
    assert sessions.sign_out_everywhere(engine, mo, now=NOW) == 3
    assert [accounts.session_of(engine, secret, now=NOW) for secret in own] == [None] * 3
    assert accounts.session_of(engine, others, now=NOW) is not None
    assert sessions.sign_out_user(engine, OPERATOR, "mimi", now=NOW) == 1
    assert accounts.session_of(engine, others, now=NOW) is None
    assert actions(engine)[-2:] == [("mo", "sign out everywhere"), ("cli:test", "sign out everywhere")]


def test_changed_password_holds_here_and_signs_out_everywhere_else(engine: Engine) -> None:
    mo = add_account(engine, "mo").actor
    here, there = sign_in(engine, "mo"), sign_in(engine, "mo")
    session = accounts.session_of(engine, here, now=NOW)
    assert session is not None
    change = {"address": "192.0.2.7", "session_id": session.id, "now": NOW}
    with pytest.raises(SignInFailed, match="nothing was changed"):
        accounts.change_own_password(engine, mo, current="wrong", chosen=OTHER, **change)
    with pytest.raises(BadInput, match="15 to 200"):
        accounts.change_own_password(engine, mo, current=PASSWORD, chosen="short", **change)
    assert accounts.session_of(engine, there, now=NOW) is not None
    accounts.change_own_password(engine, mo, current=PASSWORD, chosen=OTHER, **change)
    assert accounts.session_of(engine, here, now=NOW) is not None
    assert accounts.session_of(engine, there, now=NOW) is None
    with pytest.raises(SignInFailed):
        sign_in(engine, "mo")
    assert sign_in(engine, "mo", password=OTHER)


def test_trying_the_present_password_counts_as_signing_in(engine: Engine) -> None:
    mo = add_account(engine, "mo").actor
    change = {"chosen": OTHER, "address": "192.0.2.7", "session_id": 1, "now": NOW}
    for _ in range(accounts.FAILURES_OF_A_NAME):
        with pytest.raises(SignInFailed):
            accounts.change_own_password(engine, mo, current="wrong", **change)
    with pytest.raises(SignInFailed):
        accounts.change_own_password(engine, mo, current=PASSWORD, **change)


def test_sign_ins_and_failed_ones_are_logged_and_what_is_nobodys_name_is_not(engine: Engine) -> None:
    add_account(engine, "mo")
    secret = sign_in(engine, "mo", browser="Firefox on Linux")
    accounts.sign_out(engine, secret, now=NOW)
    for name in ("mo", "my secret password"):
        with pytest.raises(SignInFailed):
            sign_in(engine, name, password="wrong")
    logged = rows(engine, audit_log)[-4:]
    assert [(row["actor"], row["action"], row["address"]) for row in logged] == [
        ("mo", "sign in", "192.0.2.7"),
        ("mo", "sign out", None),
        ("mo", "sign-in failed", "192.0.2.7"),
        ("(unknown)", "sign-in failed", "192.0.2.7"),
    ]
    assert "secret" not in str(logged)


def test_whoever_tries_on_and_on_does_not_fill_the_log(engine: Engine) -> None:
    add_account(engine, "mo")
    for _ in range(accounts.FAILURES_OF_A_NAME + 5):
        with pytest.raises(SignInFailed):
            sign_in(engine, "mo", password="wrong")
    assert actions(engine).count(("mo", "sign-in failed")) == accounts.FAILURES_OF_A_NAME


def test_where_people_came_from_is_forgotten_after_thirty_days(engine: Engine, settings: Settings) -> None:
    mo = add_account(engine, "mo").actor
    sign_in(engine, "mo")
    with pytest.raises(SignInFailed):
        sign_in(engine, "mo", password="wrong")
    supervisor = Supervisor(engine, settings, launch=lambda *_: pytest.fail("nothing to run"))
    supervisor.step(now=NOW + timedelta(days=29))
    assert [row["address"] for row in rows(engine, session_table)] == ["192.0.2.7"]
    assert rows(engine, signin_failure) == []
    supervisor.step(now=NOW + timedelta(days=31))
    assert rows(engine, session_table) == []
    assert {row["address"] for row in rows(engine, audit_log)} == {None}
    assert ("mo", "sign in") in actions(engine)
    assert sessions.own_sessions(engine, mo, now=NOW) == []


@pytest.mark.parametrize("name", ["cli:root", "ＣＬＩ：root", "", " ", "a\x00b", "x" * 41])
def test_nobody_takes_a_name_that_stands_for_the_command_line_or_cannot_be_read(engine: Engine, name: str) -> None:
    token = accounts.invite(engine, OPERATOR, role=Role.moderator, now=NOW)
    with pytest.raises(BadInput, match="choose another one"):
        accounts.accept_invitation(engine, token, name=name, password=PASSWORD, now=NOW)
    assert accounts.look_up_invitation(engine, token, now=NOW)  # the link still works


def test_the_command_line_has_no_sessions_of_its_own(engine: Engine) -> None:
    with pytest.raises(sessions.Conflict):
        sessions.own_sessions(engine, Actor(None, "cli:test", Role.lead), now=NOW)


def test_disabled_account_gives_its_cards_back_and_keeps_its_decisions(
    engine: Engine, pool: Callable[[int], None]
) -> None:
    pool(5)
    mo = add_account(engine, "mo").actor
    secret = sign_in(engine, "mo")
    cards = sync(engine, mo, want=3).cards
    sync(engine, mo, decide(cards[0]))
    accounts.disable_user(engine, OPERATOR, "mo", now=NOW)
    assert accounts.session_of(engine, secret, now=NOW) is None
    assert [row["outcome"] for row in rows(engine, lease)] == ["decided", "returned", "returned"]
    assert [row["post_id"] for row in rows(engine, decision)] == [cards[0].lease.post_id]
    mimi = add_account(engine, "mimi").actor
    assert len(next_posts(engine, mimi)) == 4
