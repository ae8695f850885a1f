"""Sign-in through a provider: real requests to a small one on loopback, and everything that must not let anybody in."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from core.clock import utc_now
from core.domain import Role
from core.errors import BadInput, Conflict, NotFound, SettingsError
from core.services import accounts, identities
from core.settings import Oidc, Settings, read_oidc
from db.tables import audit_log, identity, session, user
from tests.conftest import add_user, rows
from tests.core.services.conftest import OPERATOR
from tests.ui.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, serve_provider
from ui.server import oidc_signin, runtime, signin
from ui.server.gate import Gate

pytestmark = pytest.mark.slow

EMAIL = "mo.li@forum.example"


def inside(request: Request) -> Response:
    found = request.state.session.user
    return PlainTextResponse(f"{found.name} {found.role}")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider() as serving:
        yield serving


def oidc_of(provider: Provider, **given: object) -> Oidc:
    values = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return Oidc(**values | {"label": "Forum ID", "hosts": frozenset({"127.0.0.1"})} | given)  # type: ignore[arg-type]


def make_client(settings: Settings, engine: Engine, oidc: Oidc | None) -> TestClient:
    runtime.start(runtime.Runtime(settings, engine, oidc=oidc))
    routes = [*signin.routes, *oidc_signin.routes, Route("/", inside), Route("/review", inside)]
    app = Starlette(routes=routes, middleware=[Middleware(Gate)])
    return TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False)


@pytest.fixture
def client(settings: Settings, engine: Engine, provider: Provider) -> TestClient:
    return make_client(settings, engine, oidc_of(provider))


def invite(engine: Engine, *, email: str = EMAIL, role: Role = Role.moderator, account: str | None = None) -> None:
    identities.invite_address(engine, OPERATOR, email=email, role=role, account=account, now=utc_now())


def way_back(client: TestClient, path: str = "/signin/oidc") -> str:
    """To the provider and the address that it sends the browser back to."""
    begun = client.get(path)
    assert begun.status_code == 303, begun.text
    answer = httpx.get(begun.headers["location"], follow_redirects=False, trust_env=False)
    return str(answer.headers["location"])


def sign_in(client: TestClient, path: str = "/signin/oidc") -> httpx.Response:
    return client.get(way_back(client, path))


def said(answer: httpx.Response) -> str:
    found = re.search(r'role="alert">([^<]+)<', answer.text)
    return found.group(1) if found else ""


def nobody_came_in(client: TestClient, engine: Engine) -> bool:
    gone = client.get("/", headers={"accept": "text/html"}).status_code == 303
    return gone and not rows(engine, session) and not rows(engine, identity)


# --- coming in --------------------------------------------------------------------------------------------------------


def test_invited_address_becomes_an_account_of_the_role_that_the_lead_gave(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    invite(engine, role=Role.analyst)
    provider.person["role"] = provider.person["roles"] = provider.person["groups"] = "lead"  # of no interest
    answer = sign_in(client, "/signin/oidc?next=%2Freview")
    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert client.get("/").text == "mo.li analyst"
    assert [row["role"] for row in rows(engine, user)] == ["analyst"]
    assert [(row["issuer"], row["subject"], row["email"]) for row in rows(engine, identity)] == [
        (provider.issuer, "person-1", "Mo.Li@forum.example".lower())
    ]
    assert identities.list_invited(engine, OPERATOR, now=utc_now()) == []
    logged = [(row["actor"], row["action"], row["details"].get("by")) for row in rows(engine, audit_log)[1:]]
    assert logged == [("mo.li", "accept invitation", None), ("mo.li", "sign in", "provider")]


def test_from_the_second_sign_in_on_the_subject_counts_and_not_the_address(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    invite(engine)
    sign_in(client)
    provider.person |= {"email": "mo.wang@forum.example"}
    assert sign_in(client).status_code == 303
    assert len(rows(engine, user)) == 1
    provider.person |= {"sub": "person-2", "email": EMAIL}  # the address was given to somebody else
    client.cookies.clear()
    assert "Nobody has invited" in said(sign_in(client))


def test_address_can_be_invited_for_an_existing_account_which_keeps_role_and_password(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    add_user(engine, "mo", Role.lead)
    invite(engine, account="mo", role=Role.analyst)
    sign_in(client)
    assert client.get("/").text == "mo lead"
    assert len(rows(engine, user)) == 1


def test_sign_in_page_offers_the_provider_by_its_name_beside_the_password(client: TestClient) -> None:
    page = client.get("/signin?next=%2Freview").text
    assert '<a class="other" href="/signin/oidc?next=%2Freview">Sign in with Forum ID</a>' in page
    assert 'name="password"' in page


def test_without_a_provider_nothing_offers_one(settings: Settings, engine: Engine) -> None:
    client = make_client(settings, engine, None)
    assert "/signin/oidc" not in client.get("/signin").text
    for path in ("/signin/oidc", "/signin/oidc/callback?code=1&state=1"):
        answer = client.get(path)
        assert (answer.status_code, "No sign-in provider" in said(answer)) == (404, True)


def test_account_without_a_password_cannot_be_entered_by_one(client: TestClient, engine: Engine) -> None:
    invite(engine)
    sign_in(client)
    for password in ("", "!", "anything at all"):
        with pytest.raises(accounts.SignInFailed):
            accounts.sign_in(engine, name="mo.li", password=password, address="a", now=utc_now())


def test_first_part_of_the_address_is_the_name_with_a_number_where_it_is_taken(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    add_user(engine, "mo.li", Role.moderator)
    invite(engine)
    sign_in(client)
    assert client.get("/").text == "mo.li 2 moderator"


def test_request_carries_pkce_state_nonce_and_our_callback_and_no_secret(client: TestClient) -> None:
    asked = parse_qs(urlsplit(client.get("/signin/oidc").headers["location"]).query)
    assert asked["redirect_uri"] == ["http://127.0.0.1:8501/signin/oidc/callback"]
    assert asked["scope"] == ["openid email"]
    assert asked["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name][0]) >= 43
    assert "client_secret" not in asked


# --- staying out ------------------------------------------------------------------------------------------------------


def test_uninvited_address_stays_out(client: TestClient, engine: Engine) -> None:
    answer = sign_in(client)
    assert answer.status_code == 403
    assert said(answer) == "Nobody has invited mo.li@forum.example here; ask a lead to invite this address."
    assert nobody_came_in(client, engine)
    assert [(row["actor"], row["action"]) for row in rows(engine, audit_log)] == [("(unknown)", "sign-in failed")]


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_unverified_address_stays_out_even_if_invited(
    client: TestClient, engine: Engine, provider: Provider, verified: object
) -> None:
    invite(engine)
    provider.person["email_verified"] = verified
    assert "has not verified your e-mail" in said(sign_in(client))
    assert nobody_came_in(client, engine)


def test_provider_that_says_no_address_lets_nobody_in(client: TestClient, engine: Engine, provider: Provider) -> None:
    invite(engine)
    provider.person["email"] = None
    assert "does not say your e-mail address" in said(sign_in(client))
    assert nobody_came_in(client, engine)


def test_address_may_stand_beside_the_token_but_only_for_the_same_person(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    invite(engine)
    provider.person = {"sub": "person-1"}
    provider.userinfo = {"sub": "person-2", "email": EMAIL, "email_verified": True}
    assert "did not work" in said(sign_in(client))
    provider.userinfo = {"sub": "person-1", "email": EMAIL, "email_verified": False}
    assert "has not verified" in said(sign_in(client))
    assert nobody_came_in(client, engine)
    provider.userinfo["email_verified"] = True
    assert sign_in(client).status_code == 303
    assert client.get("/").text == "mo.li moderator"


def test_word_that_the_address_is_verified_may_stand_beside_the_token(
    client: TestClient, engine: Engine, provider: Provider
) -> None:
    invite(engine)
    provider.person["email_verified"] = None
    provider.userinfo = {"sub": "person-2", "email_verified": True}
    assert "did not work" in said(sign_in(client))
    provider.userinfo = {"sub": "person-1", "email": "mo.wang@forum.example", "email_verified": True}
    assert "Nobody has invited mo.wang@forum.example" in said(sign_in(client))  # that one is verified, and no other
    assert nobody_came_in(client, engine)
    provider.userinfo = {"sub": "person-1", "email_verified": True}
    assert sign_in(client).status_code == 303
    assert client.get("/").text == "mo.li moderator"


def test_invitation_of_an_address_ends_after_thirty_days_or_when_it_is_withdrawn(
    client: TestClient, engine: Engine
) -> None:
    long_ago = utc_now() - timedelta(days=31)
    identities.invite_address(engine, OPERATOR, email=EMAIL, role=Role.moderator, now=long_ago)
    assert "Nobody has invited" in said(sign_in(client))
    invite(engine)
    identities.withdraw_address(engine, OPERATOR, email=EMAIL, now=utc_now())
    assert "Nobody has invited" in said(sign_in(client))
    with pytest.raises(NotFound):
        identities.withdraw_address(engine, OPERATOR, email=EMAIL, now=utc_now())


def test_disabled_account_stays_out(client: TestClient, engine: Engine) -> None:
    invite(engine)
    sign_in(client)
    accounts.disable_user(engine, OPERATOR, "mo.li", now=utc_now())
    answer = sign_in(client)
    assert (answer.status_code, said(answer)) == (403, "Your account is disabled; ask a lead.")
    assert client.get("/", headers={"accept": "text/html"}).status_code == 303


@pytest.mark.parametrize("change", ["state=another", "state=", ""])
def test_answer_with_another_state_is_refused(client: TestClient, engine: Engine, change: str) -> None:
    invite(engine)
    back = re.sub(r"&?state=[^&]*", "", way_back(client)) + (f"&{change}" if change else "")
    answer = client.get(back)
    assert (answer.status_code, "another browser began it" in said(answer)) == (403, True)
    assert nobody_came_in(client, engine)


def test_answer_in_another_browser_is_refused(client: TestClient, engine: Engine) -> None:
    invite(engine)
    back = way_back(client)
    stranger = TestClient(client.app, base_url="http://127.0.0.1:8501", follow_redirects=False)
    assert "another browser began it" in said(stranger.get(back))
    assert nobody_came_in(stranger, engine)


def test_answer_counts_once(client: TestClient, engine: Engine) -> None:
    invite(engine)
    back = way_back(client)
    assert client.get(back).status_code == 303
    client.cookies.delete("tiebreak_session")
    assert client.get(back).status_code == 403
    assert client.get("/", headers={"accept": "text/html"}).status_code == 303


def test_answer_of_another_issuer_is_refused(client: TestClient, engine: Engine) -> None:
    invite(engine)
    assert "does not come from the provider" in said(client.get(way_back(client) + "&iss=https%3A%2F%2Fevil.example"))
    assert nobody_came_in(client, engine)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": "another-app"},
        {"aud": ["another-app"]},
        {"aud": [CLIENT_ID, "another-app"]},  # without azp
        {"aud": [CLIENT_ID, "another-app"], "azp": "another-app"},
        {"aud": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"at_hash": "of another token"},
    ],
    ids=str,
)
def test_token_with_a_claim_that_does_not_hold_lets_nobody_in(
    client: TestClient, engine: Engine, provider: Provider, claims: dict[str, object]
) -> None:
    invite(engine)
    provider.claims = claims
    answer = sign_in(client)
    assert (answer.status_code, "did not work" in said(answer)) == (403, True)
    assert nobody_came_in(client, engine)


def test_token_signed_with_another_key_lets_nobody_in(client: TestClient, engine: Engine, provider: Provider) -> None:
    invite(engine)
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "k1"})
    assert "did not work" in said(sign_in(client))
    assert nobody_came_in(client, engine)


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_public_key_is_no_shared_secret_and_no_signature_is_none(
    client: TestClient, engine: Engine, provider: Provider, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    invite(engine)
    honest = provider.token

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def forge(form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        status, answer = honest(form, authorization)
        header = part(json.dumps({"alg": algorithm, "kid": "k1"}).encode())
        signed = f"{header}.{answer['id_token'].split('.')[1]}"
        key = provider.key.as_pem(private=False)
        signature = hmac.digest(key, signed.encode(), "sha256") if algorithm == "HS256" else b""
        return status, answer | {"id_token": f"{signed}.{part(signature)}"}

    monkeypatch.setattr(provider, "token", forge)
    assert "did not work" in said(sign_in(client))
    assert nobody_came_in(client, engine)


def test_token_that_was_changed_on_its_way_lets_nobody_in(
    client: TestClient, engine: Engine, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(engine)
    honest = provider.token

    def tamper(form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        status, answer = honest(form, authorization)
        head, payload, signature = answer["id_token"].split(".")
        return status, answer | {"id_token": f"{head}.{payload[:-6]}AAAAAA.{signature}"}

    monkeypatch.setattr(provider, "token", tamper)
    assert "did not work" in said(sign_in(client))
    assert nobody_came_in(client, engine)


def test_refusal_at_the_provider_is_said(client: TestClient, engine: Engine) -> None:
    back = re.sub(r"code=[^&]*", "error=access_denied", way_back(client))
    assert "did not let you in" in said(client.get(back))
    assert nobody_came_in(client, engine)


def test_provider_that_does_not_answer_is_said_and_the_password_still_works(
    settings: Settings, engine: Engine, provider: Provider
) -> None:
    client = make_client(settings, engine, oidc_of(provider, issuer="http://127.0.0.1:9"))
    answer = client.get("/signin/oidc")
    assert (answer.status_code, "does not answer" in said(answer)) == (502, True)
    assert 'name="password"' in answer.text


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://localhost:1/token"},
        {"jwks_uri": "https://evil.example/keys"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "/authorize"},
    ],
    ids=str,
)
def test_requests_go_to_the_configured_hosts_only(
    client: TestClient, engine: Engine, provider: Provider, published: dict[str, object]
) -> None:
    invite(engine)
    provider.published = {} if "authorization_endpoint" not in published and "issuer" not in published else published
    begun = client.get("/signin/oidc")
    if begun.status_code == 303:
        back = httpx.get(begun.headers["location"], follow_redirects=False, trust_env=False).headers["location"]
        provider.published = published
        begun = client.get(back)
    assert "did not work" in said(begun)
    assert nobody_came_in(client, engine)


# --- invitations and settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "email", ["", "mo", "mo@", "@forum.example", "a b@forum.example", "mo@forum", "x" * 250 + "@a.bc"]
)
def test_what_is_no_address_is_not_invited(engine: Engine, email: str) -> None:
    with pytest.raises(BadInput, match="not an e-mail address"):
        invite(engine, email=email)


def test_address_is_invited_once_at_a_time_and_the_last_role_counts(engine: Engine) -> None:
    invite(engine, role=Role.lead)
    invite(engine, email=" MO.LI@forum.example ", role=Role.analyst)
    found = identities.list_invited(engine, OPERATOR, now=utc_now())
    assert [(invited.email, invited.role) for invited in found] == [(EMAIL, Role.analyst)]


@pytest.mark.parametrize("account", [None, "mo.li", "other"])
def test_address_that_signs_in_already_is_not_invited_again(
    client: TestClient, engine: Engine, account: str | None
) -> None:
    add_user(engine, "other", Role.moderator)
    invite(engine)
    sign_in(client)
    with pytest.raises(Conflict, match=r"already, as mo\.li"):
        invite(engine, account=account)
    assert identities.list_invited(engine, OPERATOR, now=utc_now()) == []


def test_untied_account_is_signed_out_and_its_address_can_be_invited_for_another(
    client: TestClient, engine: Engine
) -> None:
    invite(engine)
    sign_in(client)
    add_user(engine, "other", Role.analyst)
    assert identities.untie(engine, OPERATOR, account="mo.li", now=utc_now()) == 1
    assert client.get("/", headers={"accept": "text/html"}).status_code == 303
    assert "Nobody has invited" in said(sign_in(client))
    assert [row["name"] for row in rows(engine, user)] == ["mo.li", "other"]
    invite(engine, account="other")
    sign_in(client)
    assert client.get("/").text == "other analyst"
    logged = rows(engine, audit_log, action="untie address")
    assert [entry["details"] for entry in logged] == [{"user": "mo.li", "email": EMAIL}]
    with pytest.raises(NotFound, match=r"Nobody signs in to mo\.li"):
        identities.untie(engine, OPERATOR, account="mo.li", now=utc_now())


def test_provider_is_read_from_the_environment(tmp_path: Path) -> None:
    assert read_oidc({}) is None
    (tmp_path / "secret").write_text("s3cret\n")
    environ = {
        "TIEBREAK_OIDC_ISSUER": "https://id.forum.example/realms/team",
        "TIEBREAK_OIDC_CLIENT_ID": "tiebreak",
        "TIEBREAK_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        "TIEBREAK_OIDC_HOSTS": "keys.forum.example, Token.forum.example",
    }
    found = read_oidc(environ)
    assert found is not None
    assert (found.client_secret, found.label) == ("s3cret", "id.forum.example")
    assert found.hosts == {"id.forum.example", "keys.forum.example", "token.forum.example"}
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    "environ",
    [
        {"TIEBREAK_OIDC_ISSUER": "https://id.forum.example"},
        {"TIEBREAK_OIDC_CLIENT_ID": "tiebreak"},
        {"TIEBREAK_OIDC_ISSUER": "http://id.forum.example", "TIEBREAK_OIDC_CLIENT_ID": "tiebreak"},
        {"TIEBREAK_OIDC_ISSUER": "id.forum.example", "TIEBREAK_OIDC_CLIENT_ID": "tiebreak"},
        {
            "TIEBREAK_OIDC_ISSUER": "https://id.forum.example",
            "TIEBREAK_OIDC_CLIENT_ID": "tiebreak",
            "TIEBREAK_OIDC_CLIENT_SECRET_FILE": "/nowhere/at/all",
        },
    ],
)
def test_half_a_provider_or_one_that_could_be_listened_to_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TIEBREAK_OIDC"):
        read_oidc(environ)
