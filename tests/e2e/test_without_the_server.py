"""`streamlit run ui/app.py` goes round our gate: it must show nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from core.settings import PROJECT_DIR
from tests.e2e.conftest import free_port, wait_until

pytestmark = pytest.mark.browser


def test_pages_started_without_our_server_show_nothing(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    environ = os.environ | {"TIEBREAK_HOME": str(tmp_path), "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"}
    options = ["--server.port", str(port), "--server.headless", "true", "--server.address", "127.0.0.1"]
    command = [sys.executable, "-m", "streamlit", "run", "ui/app.py", *options]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environ, stdout=quiet, stderr=quiet)
    page = browser.new_page()
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"), seconds=60)
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=30_000)
        assert page.locator("[data-testid=stMainBlockContainer]").inner_text().strip() == ""
        assert page.locator("[data-testid=stSidebarNav]").count() == 0
        assert not (tmp_path / "data").exists()
    finally:
        page.close()
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
