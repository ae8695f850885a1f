"""The team's sign-in provider: OpenID Connect's authorization code flow with PKCE, by Authlib.

What it publishes is read anew at each sign-in: there are few, and a key that it has changed is never an old one here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.domain import Claims
from core.errors import SignInFailed
from core.settings import Oidc
from core.wording import _

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
LEEWAY_S = 120  # between the provider's clock and ours
# With a public key: `none` proves nothing, and HS256 would take the key set's public keys for a shared secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one attempt to sign in has to bring back: secrets of the browser that began it."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


def authorization_url(oidc: Oidc, asked: Asked) -> str:
    """Where to send the browser."""
    with _client(oidc, asked) as client:
        endpoint = _endpoint(oidc, _discover(oidc, client), "authorization_endpoint", asks_us=False)
        url, _state = client.create_authorization_url(
            endpoint, state=asked.state, code_verifier=asked.verifier, nonce=asked.nonce
        )
        return str(url)


def claims_of(oidc: Oidc, asked: Asked, *, code: str) -> Claims:
    """Exchange the code for an ID token and return what it says, once everything about it has been checked.

    Raises SignInFailed when the provider cannot be reached or its token is not what it must be.
    """
    with _client(oidc, asked) as client:
        published = _discover(oidc, client)
        methods = published.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if oidc.client_secret and "client_secret_basic" not in methods:
            client.token_endpoint_auth_method = "client_secret_post"
        endpoint = _endpoint(oidc, published, "token_endpoint")
        try:
            token = client.fetch_token(
                endpoint, grant_type="authorization_code", code=code, code_verifier=asked.verifier
            )
        except (AuthlibBaseError, httpx2.HTTPError, ValueError) as err:
            raise _refused("the code was not exchanged", err) from err
        said = _checked(oidc, token, _get(client, _endpoint(oidc, published, "jwks_uri")), nonce=asked.nonce)
        if not {"email", "email_verified"} <= said.keys() and "userinfo_endpoint" in published:
            said |= _more(oidc, client, published, token, subject=said["sub"])
    email = said.get("email")
    return Claims(
        issuer=oidc.issuer,
        subject=said["sub"],
        email=email if isinstance(email, str) else None,
        is_verified=said.get("email_verified") is True,
    )


def _client(oidc: Oidc, asked: Asked) -> Any:
    """Redirects are not followed: they could lead anywhere."""
    return OAuth2Client(
        oidc.client_id,
        oidc.client_secret,
        scope="openid email",
        redirect_uri=asked.redirect_uri,
        code_challenge_method="S256",
        timeout=TIMEOUT_S,
        follow_redirects=False,
    )


def _discover(oidc: Oidc, client: Any) -> dict[str, Any]:
    published = _get(client, f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration")
    if published.get("issuer") != oidc.issuer:
        raise _refused(f"it calls itself {published.get('issuer')!r}, TIEBREAK_OIDC_ISSUER is {oidc.issuer!r}")
    return published


def _more(oidc: Oidc, client: Any, published: dict[str, Any], token: dict[str, Any], *, subject: str) -> dict[str, Any]:
    """What the provider says of the person beside the ID token: where some leave the address, or that it is verified
    (OpenID Core 5.4)."""
    headers = {"Authorization": f"Bearer {token.get('access_token')}"}
    found = _get(client, _endpoint(oidc, published, "userinfo_endpoint"), headers=headers)
    if found.get("sub") != subject:
        raise _refused("its userinfo is about somebody else than its token")
    return {name: found[name] for name in ("email", "email_verified") if name in found}


def _get(client: Any, url: str, *, headers: dict[str, str] | None = None) -> dict[str, Any]:
    try:
        answer = client.request("GET", url, withhold_token=True, headers=headers)
        answer.raise_for_status()
        found = answer.json()
    except (httpx2.HTTPError, ValueError) as err:
        logger.warning("the sign-in provider does not answer: %s", type(err).__name__)
        raise SignInFailed(
            _("The sign-in provider does not answer; try again in a while, or sign in with a password of Tiebreak.")
        ) from err
    if not isinstance(found, dict):
        raise _refused(f"{url} is not a JSON object")
    return found


def _endpoint(oidc: Oidc, published: dict[str, Any], name: str, *, asks_us: bool = True) -> str:
    """An address that the provider publishes. asks_us: we send the request, and only to hosts that were named."""
    url = published.get(name)
    parts = urlsplit(url if isinstance(url, str) else "")
    if parts.scheme not in ("https", urlsplit(oidc.issuer).scheme) or not parts.hostname:
        raise _refused(f"its {name} is {url!r}")
    if asks_us and parts.hostname not in oidc.hosts:
        raise _refused(f"its {name} is at {parts.hostname!r}, which TIEBREAK_OIDC_HOSTS does not name")
    return str(url)


def _checked(oidc: Oidc, token: dict[str, Any], keys: dict[str, Any], *, nonce: str) -> dict[str, Any]:
    """What the ID token says, once it holds."""
    options: dict[str, Any] = {
        "iss": {"essential": True, "value": oidc.issuer},
        "aud": {"essential": True, "value": oidc.client_id},
        "sub": {"essential": True},
        "nonce": {"essential": True, "value": nonce},
    }
    known = {"nonce": nonce, "client_id": oidc.client_id, "access_token": token.get("access_token")}
    try:
        decoded = jwt.decode(str(token.get("id_token")), KeySet.import_key_set(keys), algorithms=ALGORITHMS)  # type: ignore[arg-type]
        claims = CodeIDToken(decoded.claims, decoded.header, options, known)
        claims.validate(leeway=LEEWAY_S)
    except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as err:
        raise _refused("its token does not hold", err) from err
    return dict(claims)


def _refused(why: str, err: Exception | None = None) -> SignInFailed:
    """The sentence for the person; why, for the log."""
    logger.warning("sign-in through the provider failed: %s%s", why, f" ({type(err).__name__}: {err})" if err else "")
    return SignInFailed(
        _("Signing in through the provider did not work. Try again; if it stays so, the server's log says why.")
    )
