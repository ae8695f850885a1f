"""People: accounts, where they are signed in, and their passwords, by the lead and by each for themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain import Role
from db.tables import post
from tests.conftest import rows
from tests.e2e.conftest import PASSWORD, Served, Visitor, free_port
from tests.ui.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, serve_provider

pytestmark = pytest.mark.browser

OTHER = "another long password indeed"


def test_somebody_is_invited_changes_the_password_and_is_signed_out_by_the_lead(
    served: Served, visit: Callable[[Served], Visitor]
) -> None:
    lead, mo, elsewhere = visit(served), visit(served), visit(served)
    lead.sign_in(served.add_user("lea", Role.lead))
    lead.go("Users")
    lead.page.get_by_role("button", name="Make a link").click()
    link = lead.page.get_by_test_id("stCode").inner_text().strip()
    assert link.startswith(served.url + "/invite/")
    mo.page.goto(link)
    mo.page.get_by_label("Name").fill("mo")
    for label in ("Password (at", "The same again"):
        mo.page.get_by_label(label).fill("passwordpassword")
    mo.page.get_by_role("button", name="Create account").click()
    expect(mo.page.get_by_role("alert")).to_contain_text("guessed first")
    mo.shoot("72-invitation")
    mo.sign_up(link.removeprefix(served.url), "mo")
    elsewhere.sign_in("mo")

    mo.go("My account")
    expect(mo.page.get_by_text("mo, moderator, since", exact=False)).to_be_visible()
    mo.shoot("73-my-account")
    for label, typed in (("Present password", "wrong"), ("New password", OTHER), ("The new one again", OTHER)):
        mo.page.get_by_label(label).fill(typed)
    mo.page.get_by_role("button", name="Change the password").click()
    expect(mo.page.get_by_test_id("stAlert")).to_contain_text("The present password is not right")
    mo.settle()
    for label, typed in (("Present password", PASSWORD), ("New password", OTHER), ("The new one again", OTHER)):
        mo.page.get_by_label(label).fill(typed)
    mo.page.get_by_role("button", name="Change the password").click()
    expect(mo.page.get_by_test_id("stAlert")).to_contain_text("The new password holds")
    elsewhere.page.reload()
    expect(elsewhere.page.get_by_role("button", name="Sign in")).to_be_visible()

    lead.open("/users")
    lead.page.get_by_role("combobox", name=re.compile("Account")).click()
    lead.page.get_by_role("option", name="mo", exact=True).click()
    lead.settle()
    lead.shoot("74-users")
    lead.page.get_by_role("button", name="Sign out everywhere").click()
    expect(lead.page.get_by_text("Signed in nowhere.")).to_be_visible()
    mo.page.reload()
    expect(mo.page.get_by_role("button", name="Sign in")).to_be_visible()
    lead.assert_clean()

    lead.go("Audit log")
    expect(lead.page.get_by_text(re.compile(r"\d+ entries"))).to_be_visible()
    lead.shoot("77-audit-log")
    lead.page.get_by_role("combobox", name=re.compile("Action")).click()
    lead.page.get_by_role("option", name="sign-in failed", exact=True).click()
    expect(lead.page.get_by_text("1 entry")).to_be_visible()
    export = lead.page.get_by_role("link", name="Export as JSONL")
    expect(export).to_have_attribute("href", re.compile(r"/api/audit\.jsonl\?action=sign-in\+failed$"))
    lead.assert_clean()

    lead.go("My account")
    lead.page.get_by_role("button", name="Sign out everywhere").click()
    expect(lead.page.get_by_text("You are signed out.")).to_be_visible()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider() as serving:
        yield serving


def test_invited_address_comes_in_through_the_teams_own_provider(
    tmp_path: Path, visit: Callable[[Served], Visitor], provider: Provider
) -> None:
    (tmp_path / "secret").write_text(CLIENT_SECRET)
    environ = {
        "TIEBREAK_OIDC_ISSUER": provider.issuer,
        "TIEBREAK_OIDC_CLIENT_ID": CLIENT_ID,
        "TIEBREAK_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        "TIEBREAK_OIDC_LABEL": "Forum ID",
        "NO_PROXY": "127.0.0.1",
    }
    served = Served(tmp_path, free_port(), environ=environ)
    served.start()
    try:
        lead, mo = visit(served), visit(served)
        mo.page.goto(served.url + "/signin")
        mo.page.get_by_role("link", name="Sign in with Forum ID").click()
        expect(mo.page.get_by_role("alert")).to_contain_text("Nobody has invited mo.li@forum.example")
        mo.shoot("75-sign-in-with-a-provider")

        lead.sign_in(served.add_user("lea", Role.lead))
        lead.go("Users")
        lead.page.get_by_label("E-mail address").fill("mo.li@forum.example")
        lead.page.get_by_role("button", name="Invite", exact=True).click()
        expect(lead.page.get_by_text("mo.li@forum.example, moderator, invited by lea", exact=False)).to_be_visible()
        lead.shoot("76-users-with-a-provider")

        mo.page.get_by_role("link", name="Sign in with Forum ID").click()
        mo.settle()
        expect(mo.page.locator(".account .who")).to_contain_text("mo.li moderator")
        mo.go("My account")
        expect(mo.page.get_by_text("You sign in without a password of ours.", exact=False)).to_be_visible()

        lead.open("/users")
        lead.page.get_by_test_id("stSelectbox").filter(has_text="Account").first.locator("input").click()
        lead.page.get_by_role("option", name="mo.li").click()
        expect(lead.page.get_by_text("Signs in as mo.li@forum.example")).to_be_visible()
        lead.shoot("77-users-untie")
        lead.page.get_by_role("button", name="Untie from the account").click()
        expect(lead.page.get_by_text("Nobody signs in to mo.li through the provider any more.")).to_be_visible()
        expect(lead.page.get_by_text("Signed in nowhere.")).to_be_visible()
        mo.page.goto(served.url + "/signin")
        mo.page.get_by_role("link", name="Sign in with Forum ID").click()
        expect(mo.page.get_by_role("alert")).to_contain_text("Nobody has invited mo.li@forum.example")
        mo.assert_clean()
        lead.assert_clean()
    finally:
        served.stop()


def test_lead_looks_what_of_an_author_goes_and_forgets_it_for_good(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    lines = ["1\t甲某\t今夜星河倒映旧码头", "2\t甲某\t谁在等船", "3\t乙某\t今天的天气真好"]
    (tmp_path / "posts.tsv").write_text("\n".join(["pid\tauthor\tcontext", *lines]) + "\n")
    served.run("import", str(tmp_path / "posts.tsv"))
    served.run("db", "backup")
    lead = visit(served)
    lead.sign_in(served.add_user("lea", Role.lead))
    lead.go("Forget")
    lead.page.get_by_label("Name, number or pid, exactly").fill("无名")
    lead.page.get_by_role("button", name="Look what goes").click()
    expect(lead.page.get_by_test_id("stAlert")).to_contain_text("There is no post by '无名'")
    lead.settle()  # the form below the alert is drawn anew until then, and would lose what is typed
    lead.page.get_by_label("Name, number or pid, exactly").fill("甲某")
    lead.page.get_by_role("button", name="Look what goes").click()
    expect(lead.page.get_by_text("The backup tiebreak-", exact=False)).to_be_visible()
    lead.shoot("78-forget")
    lead.page.get_by_label("To confirm, type it again").fill("乙某")
    lead.page.get_by_role("button", name="Forget for good").click()
    expect(lead.page.get_by_test_id("stAlert")).to_contain_text("not the same")
    lead.settle()
    assert len(rows(served.engine, post)) == 3
    lead.page.get_by_label("To confirm, type it again").fill("甲某")
    lead.page.get_by_role("button", name="Forget for good").click()
    expect(lead.page.get_by_test_id("stAlert")).to_contain_text("This is what went")
    assert [row["pid"] for row in rows(served.engine, post)] == ["3"]
    expect(lead.page.get_by_text("Forgotten before")).to_be_visible()
    lead.shoot("79-forgotten")
    lead.assert_clean()
