"""The doors: gate, sign-in, invitations and own routes, with real requests against the real database."""

from __future__ import annotations

import hashlib
import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, event
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.clock import utc_now
from core.domain import Actor, Role
from core.errors import Conflict, SettingsError
from core.services import accounts, annotation, queueing
from core.settings import Settings
from db.engine import database_path
from db.tables import audit_log, decision, family_place
from db.tables import session as session_table
from tests.conftest import rows
from tests.core.services.conftest import import_file
from ui.server import audit_log as audit_routes
from ui.server import exports, labelling, reports, runtime, signin, tables, uploads
from ui.server.app import refuse_exposure
from ui.server.cookies import COOKIE
from ui.server.gate import Gate, is_allowed_host
from ui.server.signin import local_path

PASSWORD = "correct horse battery"
OPERATOR = Actor(None, "cli:test", Role.lead)
HTML = {"accept": "text/html"}
STREAM = "ws://127.0.0.1:8501/_stcore/stream"


def inside(request: Request) -> Response:
    return PlainTextResponse(request.state.session.user.name)


async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


@pytest.fixture
def client(settings: Settings, engine: Engine) -> TestClient:
    runtime.start(runtime.Runtime(settings, engine, frozenset({"forum.example"})))
    parts = (signin, labelling, uploads, audit_routes, tables, exports, reports)
    own = [route for part in parts for route in part.routes]
    app = Starlette(
        routes=[*own, Route("/", inside), WebSocketRoute("/_stcore/stream", stream)], middleware=[Middleware(Gate)]
    )
    return TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False)


def add_account(engine: Engine, name: str, role: Role = Role.moderator) -> None:
    token = accounts.invite(engine, OPERATOR, role=role, now=utc_now())
    accounts.accept_invitation(engine, token, name=name, password=PASSWORD, now=utc_now())


def enter(client: TestClient, engine: Engine, name: str, role: Role = Role.moderator) -> str:
    """Accept an invitation, which signs in too; return the session's CSRF token."""
    token = accounts.invite(engine, OPERATOR, role=role, now=utc_now())
    answer = post_form(client, f"/invite/{token}", name=name, password=PASSWORD, again=PASSWORD)
    assert answer.status_code == 303
    found = accounts.session_of(engine, client.cookies[COOKIE], now=utc_now())
    assert found is not None
    return found.csrf


def post_form(client: TestClient, path: str, **fields: str):
    token = re.search(r'name="form" value="([^"]+)"', client.get(path).text)
    return client.post(path, data={"form": token.group(1) if token else "", **fields})


def test_without_a_session_pages_lead_to_sign_in_and_everything_else_is_refused(client: TestClient) -> None:
    page = client.get("/", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/signin")
    assert client.get("/_stcore/health").status_code == 401
    assert client.post("/api/label/sync", json={}).status_code == 401
    assert client.put("/api/uploads", content=b"x").status_code == 401
    assert client.get("/signin/../api/uploads").status_code == 401
    assert client.get("/healthz").text == "ok"


def test_assets_of_streamlit_are_for_everybody_and_nothing_else_under_their_path_is(client: TestClient) -> None:
    assert client.get("/static/js/LinkButton.Bx-1_a.js").status_code == 404  # let through; this app has none
    for path in ("/static/", "/static/js/", "/static/js/../../api/uploads", "/static/js/.env", "/app/static/js/a.js"):
        assert client.get(path).status_code == 401, path
    assert client.put("/static/js/a.js").status_code == 401


def test_websocket_without_a_session_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass


def test_signed_in_browser_passes_and_a_spoofed_user_header_changes_nothing(client: TestClient, engine: Engine) -> None:
    add_account(engine, "lea", Role.lead)
    enter(client, engine, "mo")
    spoofed = {"x-user": "lea", "x-tiebreak-user": "lea", "x-forwarded-user": "lea", "remote-user": "lea"}
    assert client.get("/", headers=spoofed).text == "mo"
    with client.websocket_connect(STREAM, headers=spoofed) as socket:
        assert socket.receive_text() == "in"


@pytest.mark.parametrize(
    "origin", ["http://[", "https://evil.example", "http://127.0.0.1:9999", "null", "http://127.0.0.1"]
)
def test_foreign_origin_is_refused_on_websocket_and_request_even_with_a_cookie(
    client: TestClient, engine: Engine, origin: str
) -> None:
    enter(client, engine, "mo")
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(STREAM, headers={"origin": origin}),
    ):
        pass
    assert client.get("/", headers={"origin": origin}).status_code == 403


def test_own_origin_passes(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "mo")
    own = {"origin": "http://127.0.0.1:8501"}
    assert client.get("/", headers=own).text == "mo"
    with client.websocket_connect(STREAM, headers=own) as socket:
        assert socket.receive_text() == "in"


def test_change_needs_the_csrf_token_of_the_session(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "mo")
    asked = {"presses": [], "holding": [], "want": 0, "today": utc_now().isoformat(), "leaving": False}
    for wrong in ({}, {"x-csrf-token": ""}, {"x-csrf-token": csrf[:-1]}, {"x-csrf-token": "ä"}):
        encoded = {name: value.encode() for name, value in wrong.items()}
        assert client.post("/api/label/sync", json=asked, headers=encoded).status_code == 403  # type: ignore[arg-type]
    assert client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf}).status_code == 200


def test_foreign_host_is_refused_and_named_ones_and_addresses_pass(client: TestClient) -> None:
    assert client.get("/signin", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/signin", headers={"host": "forum.example"}).status_code == 200
    assert client.get("/signin", headers={"host": "localhost:8501"}).status_code == 200
    assert client.get("/signin", headers={"host": "10.1.2.3:8501"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "a]b", "[", "evil.example", "127.0.0.1.evil.example", "user@localhost.evil", "[::1", "a b"]
)
def test_odd_hosts_are_not_allowed(host: str) -> None:
    assert not is_allowed_host(host, frozenset({"forum.example"}))


def test_wrong_password_is_refused_without_telling_whether_the_name_exists(client: TestClient, engine: Engine) -> None:
    add_account(engine, "mo")
    known = post_form(client, "/signin", name="mo", password="wrong password")
    unknown = post_form(client, "/signin", name="nobody", password="wrong password")
    assert known.status_code == unknown.status_code == 403
    says = [re.search(r'role="alert">([^<]+)<', answer.text).group(1) for answer in (known, unknown)]  # type: ignore[union-attr]
    assert says[0] == says[1]
    assert COOKIE not in client.cookies


def test_ten_failures_bar_even_the_right_password_until_they_have_aged(engine: Engine) -> None:
    add_account(engine, "mo")
    begun = utc_now()
    for _ in range(accounts.FAILURES_OF_A_NAME):
        with pytest.raises(accounts.SignInFailed):
            accounts.sign_in(engine, name="mo", password="wrong password", address="a", now=begun)
    with pytest.raises(accounts.SignInFailed):
        accounts.sign_in(engine, name="mo", password=PASSWORD, address="a", now=begun)
    accounts.sign_in(engine, name="mo", password=PASSWORD, address="another", now=begun)
    accounts.sign_in(engine, name="mo", password=PASSWORD, address="a", now=begun + timedelta(minutes=16))


def test_form_that_another_site_made_is_refused(client: TestClient, engine: Engine) -> None:
    add_account(engine, "mo")
    assert client.post("/signin", data={"form": "x", "name": "mo", "password": PASSWORD}).status_code == 400
    assert COOKIE not in client.cookies


def test_sign_in_rotates_the_session_and_its_cookie_is_out_of_reach_of_scripts(
    client: TestClient, engine: Engine
) -> None:
    enter(client, engine, "mo")
    before = client.cookies[COOKIE]
    answer = post_form(client, "/signin", name="mo", password=PASSWORD)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.cookies[COOKIE] != before
    assert accounts.session_of(engine, before, now=utc_now()) is None
    assert before not in {row["secret_hash"] for row in rows(engine, session_table)}


def test_session_ends_after_twelve_idle_hours_and_lives_on_while_it_is_used(engine: Engine) -> None:
    add_account(engine, "mo")
    begun = utc_now()
    secret, _ = accounts.sign_in(engine, name="mo", password=PASSWORD, address="a", now=begun)
    assert accounts.session_of(engine, secret, now=begun + timedelta(hours=11)) is not None
    assert accounts.session_of(engine, secret, now=begun + timedelta(hours=22)) is not None
    assert accounts.session_of(engine, secret, now=begun + timedelta(hours=34, minutes=1)) is None


def test_session_that_is_never_idle_ends_after_a_week(engine: Engine) -> None:
    add_account(engine, "mo")
    begun = utc_now()
    secret, _ = accounts.sign_in(engine, name="mo", password=PASSWORD, address="a", now=begun)
    hours = 0
    while accounts.session_of(engine, secret, now=begun + timedelta(hours=hours)) is not None:
        hours += 6
    assert hours == 7 * 24


def test_sign_out_works_by_post_with_the_token_only(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "mo")
    assert client.get("/signout").status_code == 405
    assert client.post("/signout", data={"csrf": "wrong"}).status_code == 403
    assert client.get("/").text == "mo"
    assert client.post("/signout", data={"csrf": csrf}).status_code == 303
    assert client.get("/", headers=HTML).status_code == 303


def test_disabled_user_is_out_at_once(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "mo")
    accounts.disable_user(engine, OPERATOR, "mo", now=utc_now())
    assert client.get("/", headers=HTML).status_code == 303
    assert client.post("/api/label/sync", json={}, headers={"x-csrf-token": csrf}).status_code == 401
    assert post_form(client, "/signin", name="mo", password=PASSWORD).status_code == 403


def test_changed_role_counts_at_once_in_open_sessions_and_returns_posts_and_links(
    client: TestClient, engine: Engine
) -> None:
    add_account(engine, "lea", Role.lead)
    csrf = enter(client, engine, "mo", Role.lead)
    mo = next(user for user in accounts.list_users(engine, OPERATOR) if user.name == "mo")
    link = accounts.invite(engine, mo.actor, role=Role.lead, now=utc_now())
    asked = {"presses": [], "holding": [], "want": 1, "today": utc_now().isoformat(), "leaving": False}
    assert client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf}).status_code == 200
    assert accounts.change_role(engine, OPERATOR, "mo", role=Role.analyst, now=utc_now()).role is Role.analyst
    assert client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf}).status_code == 403
    assert client.get(f"/invite/{link}").status_code == 404
    logged = [row["details"] for row in rows(engine, audit_log) if row["action"] == "change role"]
    assert logged == [{"user": "mo", "role": "analyst", "before": "lead"}]


def test_last_lead_keeps_the_role(engine: Engine) -> None:
    add_account(engine, "lea", Role.lead)
    with pytest.raises(Conflict, match="only lead"):
        accounts.change_role(engine, OPERATOR, "lea", role=Role.moderator, now=utc_now())
    add_account(engine, "mo")
    accounts.change_role(engine, OPERATOR, "mo", role=Role.lead, now=utc_now())
    accounts.change_role(engine, OPERATOR, "lea", role=Role.moderator, now=utc_now())
    assert {user.name: user.role for user in accounts.list_users(engine, OPERATOR)} == {
        "lea": "moderator",
        "mo": "lead",
    }


def test_first_link_makes_the_lead_once_and_is_used_up_by_post_only(client: TestClient, engine: Engine) -> None:
    token = accounts.first_lead_token(engine, now=utc_now())
    path = f"/invite/{token}"
    assert "Create your account as lead" in client.get(path).text
    assert client.head(path).status_code == 405 or client.get(path).status_code == 200
    differing = post_form(client, path, name="lea", password=PASSWORD, again=PASSWORD + "!")
    assert (differing.status_code, "differ" in differing.text) == (400, True)
    short = post_form(client, path, name="lea", password="short", again="short")
    assert "15 to 200 characters" in short.text
    made = post_form(client, path, name="lea", password=PASSWORD, again=PASSWORD)
    assert (made.status_code, made.headers["location"]) == (303, "/")
    assert client.get("/").text == "lea"
    assert client.get(path).status_code == 404
    assert post_form(client, path, name="eve", password=PASSWORD, again=PASSWORD).status_code == 404
    assert accounts.first_lead_token(engine, now=utc_now()) is None


def test_first_link_is_dead_once_a_lead_exists_and_after_a_day(engine: Engine) -> None:
    begun = utc_now()
    token = accounts.first_lead_token(engine, now=begun)
    assert token is not None
    with pytest.raises(accounts.NotFound):
        accounts.look_up_invitation(engine, token, now=begun + timedelta(hours=24, seconds=1))
    add_account(engine, "lea", Role.lead)
    with pytest.raises(accounts.NotFound):
        accounts.accept_invitation(engine, token, name="eve", password=PASSWORD, now=begun)


def test_recovery_link_renews_the_password_and_ends_open_sessions(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "mo")
    token = accounts.invite_back(engine, OPERATOR, name="mo", now=utc_now())
    stranger = TestClient(client.app, base_url="http://127.0.0.1:8501", follow_redirects=False)
    assert "For the account mo" in stranger.get(f"/invite/{token}").text
    post_form(stranger, f"/invite/{token}", password="another long one", again="another long one")
    assert stranger.get("/").text == "mo"
    assert client.get("/", headers=HTML).status_code == 303
    assert post_form(client, "/signin", name="mo", password=PASSWORD).status_code == 403


def test_links_die_with_the_password_they_renew_and_with_the_lead_who_made_them(engine: Engine) -> None:
    for name, role in (("mo", Role.moderator), ("lea", Role.lead), ("eve", Role.lead)):
        add_account(engine, name, role)
    now = utc_now()
    older, newer = (accounts.invite_back(engine, OPERATOR, name="mo", now=now) for _ in range(2))
    accounts.accept_invitation(engine, newer, name="", password=PASSWORD, now=now)
    eve = next(user.actor for user in accounts.list_users(engine, OPERATOR) if user.name == "eve")
    made_by_eve = accounts.invite(engine, eve, role=Role.lead, now=now)
    accounts.disable_user(engine, OPERATOR, "eve", now=now)
    for dead in (older, made_by_eve):
        with pytest.raises(accounts.NotFound):
            accounts.accept_invitation(engine, dead, name="x", password=PASSWORD, now=now)


def test_made_up_link_does_not_buy_an_expensive_hash(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "hash_password", lambda password: pytest.fail("a hash was made"))
    with pytest.raises(accounts.NotFound):
        accounts.accept_invitation(engine, "x" * 43, name="x", password=PASSWORD, now=utc_now())


def test_form_with_too_many_fields_is_answered_with_a_sentence(client: TestClient) -> None:
    answer = client.post("/signin", content="&".join(f"a{n}=1" for n in range(50)))
    assert (answer.status_code, "too many fields" in answer.text) == (400, True)


def test_only_lead_cannot_be_disabled(engine: Engine) -> None:
    add_account(engine, "lea", Role.lead)
    with pytest.raises(accounts.Conflict):
        accounts.disable_user(engine, OPERATOR, "lea", now=utc_now())


def test_every_answer_carries_a_strict_policy(client: TestClient) -> None:
    for answer in (client.get("/signin"), client.get("/"), client.get("/nowhere", headers={"host": "evil.example"})):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("/label", "/label"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("/a\nb", "/"),
        ("/api/imports/1/rejects", "/"),
    ],
)
def test_sign_in_leads_on_to_pages_of_ours_only(asked: str, leads_to: str) -> None:
    assert local_path(asked) == leads_to


def test_listening_beyond_loopback_needs_tls_a_proxy_or_force() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "forum.example"):
        with pytest.raises(SettingsError):
            refuse_exposure(host, has_tls=False, proxy=None, force=False)
        refuse_exposure(host, has_tls=True, proxy=None, force=False)
        refuse_exposure(host, has_tls=False, proxy="10.0.0.1", force=False)
        refuse_exposure(host, has_tls=False, proxy=None, force=True)
    for host in ("127.0.0.1", "localhost", "::1"):
        refuse_exposure(host, has_tls=False, proxy=None, force=False)


# --- own routes -----------------------------------------------------------------------------------------------------


def test_upload_is_stored_under_a_name_of_ours_and_only_for_leads(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    csrf = enter(client, engine, "lea", Role.lead)
    answer = client.put(
        "/api/uploads?name=..%2F..%2Fetc%2Fpasswd", content=b"pid\ttext\n", headers={"x-csrf-token": csrf}
    )
    stored = list(settings.uploads_dir.iterdir())
    assert [path.name for path in stored] == [answer.json()["upload"]]
    assert stored[0].read_bytes() == b"pid\ttext\n"
    empty = client.put("/api/uploads?name=x", content=b"", headers={"x-csrf-token": csrf})
    assert (empty.status_code, empty.json()["error"]) == (400, "The file is empty.")
    assert len(list(settings.uploads_dir.iterdir())) == 1
    csrf = enter(client, engine, "mo")
    assert client.put("/api/uploads?name=x", content=b"x", headers={"x-csrf-token": csrf}).status_code == 403


def test_uploads_name_carries_the_hash_of_the_file(client: TestClient, engine: Engine, settings: Settings) -> None:
    csrf = enter(client, engine, "lea", Role.lead)
    answer = client.put("/api/uploads?name=x", content=b"pid\ttext\n", headers={"x-csrf-token": csrf})
    assert uploads.upload_hash(answer.json()["upload"]) == hashlib.sha256(b"pid\ttext\n").hexdigest()


def test_file_that_does_not_fit_is_refused_before_it_is_stored(
    client: TestClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    csrf = enter(client, engine, "lea", Role.lead)
    room = uploads.RESERVE_BYTES + 100
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": room}))
    send = {"headers": {"x-csrf-token": csrf}}
    assert client.put("/api/uploads?name=x", content=b"x" * 100, **send).status_code == 200
    asked, sent = client.get("/api/uploads?size=101"), client.put("/api/uploads?name=x", content=b"x" * 101, **send)
    for answer in (asked, sent):
        assert answer.status_code == 507
        assert "too little for" in answer.json()["error"]
    too_big = client.get(f"/api/uploads?size={uploads.MAX_BYTES + 1}")
    assert (too_big.status_code, "split it" in too_big.json()["error"]) == (400, True)
    assert len(list(settings.uploads_dir.iterdir())) == 1


def test_disk_that_fills_while_a_file_comes_in_ends_the_upload(
    client: TestClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    csrf = enter(client, engine, "lea", Role.lead)
    free = iter([10**12, 0])
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": next(free)}))
    monkeypatch.setattr(uploads, "LOOK_EVERY_BYTES", 10)
    chunks = (b"0123456789" for _ in range(5))  # without a Content-Length
    answer = client.put("/api/uploads?name=x", content=chunks, headers={"x-csrf-token": csrf})
    assert answer.status_code == 507
    assert list(settings.uploads_dir.iterdir()) == []


def test_session_that_ends_while_a_file_comes_in_leaves_nothing(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    csrf = enter(client, engine, "lea", Role.lead)

    def chunks() -> Iterator[bytes]:
        yield b"pid\ttext\n"
        accounts.sign_out(engine, client.cookies[COOKIE], now=utc_now())
        yield b"1\thello\n"

    answer = client.put("/api/uploads?name=x", content=chunks(), headers={"x-csrf-token": csrf})
    assert (answer.status_code, "nothing was stored" in answer.json()["error"]) == (401, True)
    assert list(settings.uploads_dir.iterdir()) == []


def test_room_is_told_to_leads_only(client: TestClient, engine: Engine) -> None:
    assert client.get("/api/uploads?size=1").status_code == 401
    enter(client, engine, "mo")
    assert client.get("/api/uploads?size=1").status_code == 403


def test_rejected_lines_are_for_leads_only(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "ana", Role.analyst)
    assert client.get("/api/imports/1/rejects").status_code == 403
    enter(client, engine, "lea", Role.lead)
    assert client.get("/api/imports/1/rejects").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"presses":[{}],"holding":[],"want":1,"today":"2026-03-02","leaving":false}',
        b'{"presses":[],"holding":[true],"want":1,"today":"2026-03-02","leaving":false}',
        b'{"presses":[],"holding":[],"want":1,"today":"yesterday","leaving":false}',
    ],
)
def test_unreadable_presses_are_answered_with_a_sentence(client: TestClient, engine: Engine, body: bytes) -> None:
    csrf = enter(client, engine, "mo")
    answer = client.post("/api/label/sync", content=body, headers={"x-csrf-token": csrf})
    assert answer.status_code == 400
    assert "reload" in answer.json()["error"]


def test_one_press_of_an_older_page_is_refused_by_itself(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "mo")
    strange = [{"press_id": "12345678", "kind": "decide"}, {"press_id": "87654321", "kind": "wink"}]
    asked = {"presses": strange, "holding": [], "want": 0, "today": utc_now().isoformat(), "leaving": False}
    answer = client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf})
    assert answer.status_code == 200
    assert [refused["press_id"] for refused in answer.json()["refused"]] == ["12345678", "87654321"]


def test_an_analyst_may_not_label(client: TestClient, engine: Engine) -> None:
    csrf = enter(client, engine, "ana", Role.analyst)
    asked = {"presses": [], "holding": [], "want": 5, "today": utc_now().isoformat(), "leaving": False}
    assert client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf}).status_code == 403


def test_the_folder_of_uploads_gives_out_nothing_but_uploads(settings: Settings) -> None:
    settings.uploads_dir.mkdir(parents=True)
    (settings.data_dir / "secret.upload").write_text("x")
    for name in ("../secret.upload", "/etc/passwd", "nothing.upload", str(Path("..") / "secret.upload")):
        with pytest.raises(uploads.NotFound):
            uploads.upload_path(settings, name)


# --- near-copies ----------------------------------------------------------------------------------------------------

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"


def bring_family(engine: Engine, tmp_path: Path) -> None:
    """Posts 1 to 3 are near-copies, post 4 is another, the last has no label column to lean on."""
    path = tmp_path / "spam.tsv"
    texts = [SPAM.format("11111111"), SPAM.format("22222222"), "=1+1 " + SPAM.format("𠀀😀22222222"), "今天的天气真好"]
    path.write_text(
        "pid\tauthor\tuseip\tcontext\n" + "".join(f"{n}\tbob\t192.0.2.9\t{t}\n" for n, t in enumerate(texts, 1))
    )
    import_file(engine, path)
    queueing.renew_queue(engine, now=utc_now(), seed=1)


def take_cards(engine: Engine, name: str) -> None:
    with engine.connect() as conn:
        user_id = conn.exec_driver_sql("SELECT id FROM user WHERE name = ?", (name,)).scalar_one()
    actor = Actor(user_id, name, Role.moderator)
    annotation.sync(engine, actor, [], holding=[], want=9, today=utc_now(), now=utc_now())


def test_near_copies_of_a_card_are_told_with_what_differs_and_nobodys_author(
    client: TestClient, engine: Engine, tmp_path: Path
) -> None:
    bring_family(engine, tmp_path)
    enter(client, engine, "mo")
    take_cards(engine, "mo")
    answer = client.get("/api/label/family?post_id=1")
    found = answer.json()
    assert (found["total"], found["newest"], found["telling"]) == (2, 3, 2)
    third = next(copy for copy in found["copies"] if copy["post_id"] == 3)
    assert third["pieces"][0] == {"kind": "new", "text": "=1+1 "}
    for copy, text in zip(
        found["copies"], (SPAM.format("22222222"), "=1+1 " + SPAM.format("𠀀😀22222222")), strict=True
    ):
        assert "".join(piece["text"] for piece in copy["pieces"] if piece["kind"] != "gone") == text
        assert "".join(piece["text"] for piece in copy["pieces"] if piece["kind"] != "new") == SPAM.format("11111111")
    assert found["copies"][0]["telling"] == ["11111111", "22222222"]
    assert "bob" not in answer.text
    assert "192.0.2.9" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_posts_are_not_read_at_will_by_their_near_copies(client: TestClient, engine: Engine, tmp_path: Path) -> None:
    bring_family(engine, tmp_path)
    assert client.get("/api/label/family?post_id=1").status_code == 401
    csrf = enter(client, engine, "mo")
    refused = client.get("/api/label/family?post_id=1")
    assert (refused.status_code, "not on a card of yours" in refused.json()["error"]) == (403, True)
    take_cards(engine, "mo")
    assert client.get("/api/label/family?post_id=1").status_code == 200
    assert client.get("/api/label/family?post_id=2").status_code == 403
    for asked, status in (("9", 404), ("-1", 400), ("one", 400), ("", 400), ("１", 400)):
        assert client.get(f"/api/label/family?post_id={asked}").status_code == status
    headers = {"x-csrf-token": csrf}
    assert client.post("/api/label/split", json={"post_id": 2}).status_code == 403
    assert client.post("/api/label/split", json={"post_id": True}, headers=headers).status_code == 400
    assert client.post("/api/label/split", json=[2], headers=headers).status_code == 400
    assert {place["representative_id"] for place in rows(engine, family_place)} == {1, 4}
    enter(client, engine, "ana", Role.analyst)
    assert client.get("/api/label/family?post_id=1").status_code == 403


def test_near_copy_is_split_off_once(client: TestClient, engine: Engine, tmp_path: Path) -> None:
    bring_family(engine, tmp_path)
    csrf = enter(client, engine, "mo")
    take_cards(engine, "mo")
    headers = {"x-csrf-token": csrf}
    answers = [client.post("/api/label/split", json={"post_id": 2}, headers=headers) for _ in range(2)]
    assert answers[0].json() == {"left": 2}
    assert answers[1].status_code in (403, 409)
    assert [place["representative_id"] for place in rows(engine, family_place)] == [1, 2, 1, 4]


def test_list_of_families_is_streamed_verbatim_to_those_who_look(
    client: TestClient, engine: Engine, tmp_path: Path
) -> None:
    bring_family(engine, tmp_path)
    enter(client, engine, "mo")
    assert client.get("/api/families.tsv").status_code == 403
    enter(client, engine, "ana", Role.analyst)
    answer = client.get("/api/families.tsv")
    assert answer.headers["content-type"] == "text/tab-separated-values; charset=utf-8"
    lines = [line.split("\t") for line in answer.text.splitlines()]
    assert lines[0] == ["family", "size", "first_seen", "last_seen", "representative", "pid", "label", "text"]
    assert [line[:2] + line[4:7] for line in lines[1:]] == [["1", "3", "1", str(n), "\\N"] for n in (1, 2, 3)]
    assert {datetime.fromisoformat(seen).utcoffset() for line in lines[1:] for seen in line[2:4]} == {timedelta(0)}
    assert lines[3][7].startswith("=1+1 ")
    assert "bob" not in answer.text


# --- exports ----------------------------------------------------------------------------------------------------------


def test_tables_are_streamed_to_those_who_export_and_refused_in_a_sentence_to_others(
    client: TestClient, engine: Engine, tmp_path: Path
) -> None:
    bring_family(engine, tmp_path)
    enter(client, engine, "mo")
    assert client.get("/api/export/families?form=csv").status_code == 403
    enter(client, engine, "ana", Role.analyst)
    answer = client.get("/api/export/families?form=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="families-\d{4}-\d\d-\d\d.csv"', answer.headers["content-disposition"])
    assert answer.text.count("\r\n") == 4
    assert "\"'=1+1 " in answer.text
    assert "'=1+1" not in client.get("/api/export/families?form=tsv").text
    assert "'=1+1" in client.get("/api/export/families?form=tsv&safe=1").text
    assert client.get("/api/export/families?form=parquet").content.startswith(b"PAR1")
    for asked, status, says in (
        ("families?form=xlsx", 404, "no such table"),
        ("posts?form=csv", 404, "no such table"),
        ("families", 404, "no such table"),
        ("families?form=doccano", 400, "takes gold labels"),
        ("predictions?form=csv", 404, "No model version is active"),
        ("gold?form=csv&authors=plain", 403, "may not do this"),
        ("audit?form=csv", 403, "may not do this"),
    ):
        refused = client.get(f"/api/export/{asked}")
        assert (refused.status_code, says in refused.json()["error"]) == (status, True), asked


# --- audit log --------------------------------------------------------------------------------------------------------


def test_audit_log_is_exported_to_leads_and_the_export_is_on_record(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "mo")
    assert client.get("/api/audit.tsv").status_code == 403
    enter(client, engine, "lea", Role.lead)
    lines = [line.split("\t") for line in client.get("/api/audit.tsv").text.splitlines()]
    assert lines[0] == ["happened_at", "actor", "action", "details", "address"]
    assert [line[1:3] for line in lines[1:4]] == [
        ["lea", "sign in"],
        ["lea", "accept invitation"],
        ["cli:test", "invite"],
    ]
    found = [json.loads(line) for line in client.get("/api/audit.jsonl?actor=lea&action=export").text.splitlines()]
    assert [entry["details"] for entry in found] == [{"what": "audit log"}]
    assert client.get("/api/audit.tsv?since=2001-01-01&until=2001-01-02").text.count("\n") == 1
    refused = client.get("/api/audit.tsv?since=yesterday")
    assert (refused.status_code, "is not a day" in refused.json()["error"]) == (400, True)


def test_lists_that_leave_the_program_are_on_record(client: TestClient, engine: Engine) -> None:
    enter(client, engine, "ana", Role.analyst)
    client.get("/api/families.tsv")
    client.get("/api/flags.tsv")  # refused
    enter(client, engine, "lea", Role.lead)
    client.get("/api/imports/1/rejects")  # there is none
    exports = [(row["actor"], row["details"]["what"]) for row in rows(engine, audit_log) if row["action"] == "export"]
    assert exports == [("ana", "families")]


# --- a database that cannot be written ------------------------------------------------------------------------------


def press_of(answer: dict[str, object], number: int) -> dict[str, object]:
    """With a note that no page of the database has room for."""
    card = answer["cards"][number]  # type: ignore[index]
    ids = {name: card[name] for name in ("lease_id", "post_id", "text_id")}
    return {"press_id": f"press-{number:04}", "kind": "decide", "label": "violation", "note": "满" * 2_000, **ids}


@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_press_that_cannot_be_written_is_said_not_to_be_saved_and_is_saved_when_it_can(
    client: TestClient, engine: Engine, tmp_path: Path, trouble: str
) -> None:
    bring_family(engine, tmp_path)
    queueing.renew_queue(engine, now=utc_now(), seed=1)
    csrf = enter(client, engine, "mo")

    def sync(*presses: dict[str, object]) -> httpx.Response:
        asked = {"presses": presses, "holding": [], "want": 2, "today": utc_now().isoformat(), "leaving": False}
        return client.post("/api/label/sync", json=asked, headers={"x-csrf-token": csrf})

    press = press_of(sync().json(), 0)
    with unwritable(engine, trouble):
        refused = sync(press)
    assert refused.status_code == 503
    assert "could not be written" in refused.json()["error"]
    assert [made for made in rows(engine, decision) if made["press_id"]] == []
    assert sync(press).json()["acked"] == [press["press_id"]]


@contextmanager
def unwritable(engine: Engine, trouble: str) -> Iterator[None]:
    """Somebody else keeps the writer for longer than anybody waits, or the database may grow no further."""
    limits = {"locked": ["busy_timeout=100"], "full": ["max_page_count=1"]}[trouble]

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in limits:
            connection.execute(f"PRAGMA {pragma}")

    engine.dispose()
    event.listen(engine, "connect", limit)
    with closing(sqlite3.connect(database_path(engine), isolation_level=None)) as other:
        if trouble == "locked":
            other.execute("BEGIN IMMEDIATE")
        yield
    event.remove(engine, "connect", limit)
    engine.dispose()


def test_report_of_a_version_is_a_page_of_its_own_for_whoever_may_see_versions(
    client: TestClient, engine: Engine
) -> None:
    from core.html_page import CSP
    from db import models
    from db.engine import write

    with write(engine) as conn:
        models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=utc_now())
    assert client.get("/report/version/v1").status_code == 401
    enter(client, engine, "ana", Role.analyst)
    answer = client.get("/report/version/v1")
    assert answer.headers["content-type"].startswith("text/html")
    assert CSP in answer.headers.get_list("content-security-policy")
    assert len(answer.headers.get_list("content-security-policy")) == 2  # the app's own as well
    assert answer.headers["cache-control"] == "no-store"
    assert html.escape(CSP) in answer.text
    assert "<script" not in answer.text
    assert '<html lang="zh-Hans">' in client.get("/report/version/v1", headers={"accept-language": "zh-CN"}).text
    assert client.get("/report/version/v9").status_code == 404
    assert [row["details"] for row in rows(engine, audit_log, action="export")] == [
        {"what": "report of version v1"}
    ] * 2
    enter(client, engine, "mo")
    assert client.get("/report/version/v1").status_code == 403
