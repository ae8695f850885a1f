"""Both languages on the pages, chosen by the browser or by the person."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain import Role
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser


def test_language_is_a_persons_own_choice(served: Served, visit: Callable[[Served], Visitor]) -> None:
    moderator = visit(served)
    moderator.sign_in(served.add_user("mo", Role.moderator))
    page, navigation = moderator.page, moderator.page.get_by_test_id("stSidebarNav")
    navigation.get_by_role("link", name="My work", exact=True).click()
    page.get_by_role("heading", name="My work", level=1).wait_for()
    page.get_by_role("button", name="中文").click()
    navigation.get_by_role("link", name="我的工作", exact=True).wait_for(timeout=30_000)
    moderator.settle()
    assert page.url.endswith("/own")
    page.locator("html[lang=zh-Hans]").wait_for(state="attached")  # what a screen reader goes by
    page.get_by_role("button", name="退出", exact=True).click()
    page.get_by_role("button", name="登录", exact=True).wait_for()  # this browser remembers
    elsewhere = visit(served)
    elsewhere.page.goto(served.url + "/signin")
    elsewhere.page.get_by_role("button", name="Sign in").wait_for()
    elsewhere.sign_in("mo")
    elsewhere.page.get_by_test_id("stSidebarNav").get_by_role("link", name="我的工作", exact=True).wait_for()
    elsewhere.page.get_by_role("button", name="English").click()
    elsewhere.page.get_by_test_id("stSidebarNav").get_by_role("link", name="My work", exact=True).wait_for()
    elsewhere.page.locator("html[lang=en]").wait_for(state="attached")
    elsewhere.assert_clean()
