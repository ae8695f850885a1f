"""The served app: Streamlit's pages behind the gate, our own routes beside them, the supervisor in the background."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import streamlit as st
from sqlalchemy import Engine
from starlette.middleware import Middleware
from streamlit.web.server.starlette import starlette_server

from core.clock import utc_now
from core.errors import BadInput, SettingsError
from core.services.accounts import first_lead_token
from core.services.importing import drop_partial_uploads
from core.services.launching import Supervisor
from core.services.words import LOOK_EVERY_S
from core.settings import PROJECT_DIR, Oidc, Settings
from core.wording import translate_by
from ui import languages
from ui.server import (
    audit_log,
    exports,
    guidelines,
    labelling,
    looks,
    oidc_signin,
    reports,
    runtime,
    signin,
    tables,
    uploads,
)
from ui.server.address import forget_address, record_address
from ui.server.gate import Gate

logger = logging.getLogger(__name__)

SUPERVISE_EVERY_S = 1.0

THEME = {  # without a base the browser's own choice of light or dark counts
    "theme.light.primaryColor": "#2b5d8a",
    "theme.light.backgroundColor": "#fbfbfa",
    "theme.light.secondaryBackgroundColor": "#f1f2f1",
    "theme.light.textColor": "#23272b",
    "theme.dark.primaryColor": "#7fb2e0",
    "theme.dark.backgroundColor": "#16181b",
    "theme.dark.secondaryBackgroundColor": "#202327",
    "theme.dark.textColor": "#e6e8ea",
}


def make_app() -> Any:
    translate_by(languages.of_reader)
    return st.App(
        PROJECT_DIR / "ui" / "app.py",
        lifespan=_lifespan,
        routes=[
            *signin.routes,
            *oidc_signin.routes,
            *labelling.routes,
            *guidelines.routes,
            *uploads.routes,
            *audit_log.routes,
            *tables.routes,
            *exports.routes,
            *looks.routes,
            *reports.routes,
        ],
        middleware=[Middleware(Gate)],
    )


@asynccontextmanager
async def _lifespan(_app: Any) -> AsyncIterator[None]:
    # Imported before the first page asks for them; frozen, so that the collector does not walk them again.
    import altair  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401

    gc.collect()
    gc.freeze()
    running = runtime.require()
    record_address(running.settings, running.address)
    working = [
        asyncio.create_task(_supervise(Supervisor(running.engine, running.settings))),
        asyncio.create_task(_count_words(running)),
    ]
    try:
        yield
    finally:
        forget_address(running.settings, running.address)
        for task in working:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _supervise(supervisor: Supervisor) -> None:
    """Start queued runs and notice dead ones, for as long as the server lives; workers outlive it."""
    while True:
        try:
            await asyncio.to_thread(supervisor.step, now=utc_now())
        except Exception:  # one bad second must not end supervision for the day
            logger.exception("supervision failed; trying again")
        await asyncio.sleep(SUPERVISE_EVERY_S)


async def _count_words(running: runtime.Runtime) -> None:
    """Keep the record of hit words up to date, aside: an answer to a key press only looks it up."""
    while True:
        pause_s = LOOK_EVERY_S
        try:
            pause_s = await asyncio.to_thread(running.words.refresh, running.engine)
        except Exception:  # cards lack a figure meanwhile, and nothing else
            logger.exception("counting hit words failed; trying again")
        await asyncio.sleep(pause_s)


def serve(
    settings: Settings,
    engine: Engine,
    *,
    host: str,
    port: int,
    behind_proxy: str | None = None,
    allowed_hosts: tuple[str, ...] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    force: bool = False,
    oidc: Oidc | None = None,
) -> None:
    """Serve until interrupted. Raises BadInput for a host that would expose passwords, or a port that is taken."""
    refuse_exposure(host, has_tls=certificate is not None, proxy=behind_proxy, force=force)
    if port == 0:
        port = _free_port(host)
    _refuse_taken(host, port)
    is_secure = certificate is not None or behind_proxy is not None
    hosts = frozenset(name.lower() for name in (*allowed_hosts, host))
    address = _address(host, port, proxy=behind_proxy, has_tls=certificate is not None, named=allowed_hosts)
    runtime.start(runtime.Runtime(settings, engine, hosts, behind_proxy, is_secure, address, oidc=oidc))
    _print_address(engine, address)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would believe X-Forwarded-For of any process on this machine
    settings.inbox_dir.mkdir(parents=True, exist_ok=True)
    drop_partial_uploads(settings.uploads_dir)
    sys.argv[1:] = []  # Streamlit would hand our options to the page script
    _send_at_once()
    make_app().run(config=_config(host, port, certificate, key))


def _send_at_once() -> None:
    """Let short answers leave when they are written, instead of 40 ms later, when the browser has confirmed their head.

    asyncio switches Nagle's algorithm off only for sockets that name their protocol, and Streamlit's does not.
    Connections inherit the option from the socket that listens.
    """
    bind = starlette_server._bind_socket

    def bind_without_delay(address: str, port: int, backlog: int) -> socket.socket:
        listening: socket.socket = bind(address, port, backlog)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    starlette_server._bind_socket = bind_without_delay


def refuse_exposure(host: str, *, has_tls: bool, proxy: str | None, force: bool) -> None:
    if is_loopback(host) or has_tls or proxy or force:
        return
    raise SettingsError(
        f"--host {host} would send passwords readable through the network. Give --certificate and --key, name the TLS "
        "proxy in front with --proxy ADDRESS, or insist with --force."
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as err:
            raise BadInput(
                f"Cannot listen on {host}:{port} ({err.strerror}); choose another --host or --port."
            ) from err


def _address(host: str, port: int, *, proxy: str | None, has_tls: bool, named: tuple[str, ...]) -> str:
    """Where people reach the server; behind a TLS proxy that is the proxy, at its usual port."""
    shown = named[0] if named else f"[{host}]" if ":" in host else host
    if proxy and named:
        return f"https://{shown}"
    return f"{'https' if has_tls else 'http'}://{shown}:{port}"


def _print_address(engine: Engine, address: str) -> None:
    lines = [f"Tiebreak is at {address}"]
    token = first_lead_token(engine, now=utc_now())
    if token is not None:
        lines.append(f"Create the lead's account (this link works once, for 24 hours): {address}/invite/{token}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _config(host: str, port: int, certificate: Path | None, key: Path | None) -> dict[str, Any]:
    tls = {"server.sslCertFile": str(certificate), "server.sslKeyFile": str(key)} if certificate else {}
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": False,
        "server.maxUploadSize": 1,  # files come in by our own streaming route
        "server.enableStaticServing": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.showSidebarNavigation": True,
        "runner.magicEnabled": False,
        "runner.postScriptGC": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,  # our own line says where the app is
        **THEME,
        **tls,
    }
