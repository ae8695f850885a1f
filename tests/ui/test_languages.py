"""Whose language an answer is in, and that stored English is told again in it."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import NullTranslations

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from core import wording
from core.domain import Actor, Language, Role
from core.errors import BadInput
from core.services import accounts
from db.tables import user
from tests.conftest import rows
from tests.ui.test_doors import HTML, add_account, enter, post_form
from tests.ui.test_doors import client as client  # a fixture
from ui import languages

CHINESE = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}


@pytest.fixture(autouse=True)
def translated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the server does at its start; without it after the test."""
    monkeypatch.setattr(wording, "_find", languages.of_reader)
    kept = languages._answered_in.set(Language.english)
    yield
    languages._answered_in.reset(kept)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.chinese),
        ("en-GB,en;q=0.9,zh;q=0.8", Language.english),
        ("en;q=0.3, zh-Hant-TW;q=0.7", Language.chinese),  # nearer than English
        ("fr-FR,fr;q=0.9,zh;q=0.1", Language.chinese),
        ("zh;q=0,en", Language.english),
        ("de", Language.english),
        ("", Language.english),
        ("zhuang,;q=,zh;q=banana,*", Language.chinese),
    ],
)
def test_browser_is_answered_in_the_first_of_its_languages_that_there_is(accepted: str, language: Language) -> None:
    assert languages.asked_for({}, accepted) is language


def test_choice_in_the_cookie_stands_above_the_browsers_wish() -> None:
    assert languages.asked_for({languages.COOKIE: "en"}, "zh-CN") is Language.english
    assert languages.asked_for({languages.COOKIE: "xx"}, "zh-CN") is Language.chinese


def test_sign_in_page_speaks_the_browsers_language_and_offers_the_other(client: TestClient) -> None:
    english, chinese = client.get("/signin"), client.get("/signin", headers=CHINESE)
    assert '<html lang="en">' in english.text
    assert ">中文</button>" in english.text
    assert '<html lang="zh-Hans">' in chinese.text
    assert ">登录</button>" in chinese.text
    assert ">English</button>" in chinese.text


def test_language_chosen_before_the_sign_in_lasts_and_leads_back(client: TestClient) -> None:
    came_from = {"referer": "http://127.0.0.1:8501/signin?next=%2Flabel"}
    answer = client.post("/language", data={"language": "zh_Hans"}, headers=came_from)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=%2Flabel")
    assert '<html lang="zh-Hans">' in client.get("/signin").text
    wrong = post_form(client, "/signin", name="nobody", password="wrong")
    assert "用户名和密码不匹配" in wrong.text


@pytest.mark.parametrize("came_from", ["https://evil.example//evil.example", "http://x/api/uploads", "", "nonsense"])
def test_choosing_a_language_leads_nowhere_else(client: TestClient, came_from: str) -> None:
    answer = client.post("/language", data={"language": "en"}, headers={"referer": came_from} if came_from else {})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_choice_is_kept_with_the_person_in_whatever_browser(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "mo")
    assert client.post("/language", data={"language": "zh_Hans", "csrf": csrf}).status_code == 303
    assert [row["language"] for row in rows(engine, user)] == ["zh_Hans"]
    client.cookies.delete(languages.COOKIE)
    refused = client.post("/api/label/sync", json={}, headers={"accept-language": "en"})
    assert "页面已过期" in refused.json()["error"]


def test_language_is_not_chosen_by_another_site_or_made_up(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "mo")
    assert client.post("/language", data={"language": "zh_Hans"}).status_code == 403
    assert client.post("/language", data={"language": "zh_Hans", "csrf": "guessed"}).status_code == 403
    assert client.post("/language", data={"language": "tlh"}).status_code == 400
    evil = {"origin": "https://evil.example"}
    assert client.post("/language", data={"language": "zh_Hans"}, headers=evil).status_code == 403
    assert [row["language"] for row in rows(engine, user)] == [None]
    assert client.get("/language", headers=HTML).status_code == 405


def test_two_people_are_answered_each_in_their_own_language(client: TestClient, engine: Engine) -> None:
    add_account(engine, "lea", Role.lead)
    enter(client, engine, "mo")
    for headers, said in ((CHINESE, "页面已过期"), ({}, "out of date"), (CHINESE, "页面已过期")):
        assert said in client.post("/api/label/sync", json={}, headers=headers).json()["error"]


def test_worker_and_command_line_speak_english(engine: Engine) -> None:
    assert wording._("Sign in") == "Sign in"
    with pytest.raises(BadInput):
        accounts.choose_language(engine, Actor(None, "cli:test", Role.lead), Language.chinese)


# --- what was stored in English ---------------------------------------------------------------------------------------


def test_stored_sentence_is_told_again_with_its_values(engine: Engine) -> None:
    stored = "'mo:{x} \n(2)' is disabled; enable the account first."
    languages._answered_in.set(Language.chinese)
    assert languages.retell(stored) == "'mo:{x} \n(2)' 已停用；请先启用这个账号。"


def test_stored_words_of_nobodys_template_stay_as_they_are() -> None:
    languages._answered_in.set(Language.chinese)
    assert languages.retell("No such sentence stands in the code.") == "No such sentence stands in the code."
    assert languages.retell("") == ""


def test_stored_sentence_is_english_for_who_reads_english() -> None:
    stored = "mo is disabled; enable the account first."
    assert languages.retell(stored) == stored
    assert isinstance(languages.of_reader(), NullTranslations)
