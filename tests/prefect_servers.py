"""Servers of Prefect in tests: where one is noted, and how what talks to it is ended before it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.settings.legacy import Setting

    from hep_flows.orchestrate.server import EmbeddedServer


def token_for(url: str) -> str:
    """Give what the server at an address asks for, as the environment of its process says; only processes of the same user see that."""
    port = url.removesuffix("/api").rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if port in words and any("prefect" in w or "serve_embedded" in w for w in words):
                variables = dict(v.partition("=")[::2] for v in (process / "environ").read_text().split("\0"))
                return variables["PREFECT_SERVER_API_AUTH_STRING"]
    raise LookupError(f"no server listens at {url}")


def client(url: str, token: str | None = None) -> SyncPrefectClient:
    """Give a client of the server at an address that knows its token, or tries the one that is given."""
    from prefect.client.orchestration import SyncPrefectClient

    return SyncPrefectClient(url, auth_string=token_for(url) if token is None else token)


def as_configured(url: str) -> dict[Setting, str]:
    """Give the settings of Prefect of a user who has configured the server at an address."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

    return {PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: token_for(url)}


def noted(server: EmbeddedServer, cache: Path) -> str:
    """Say in a cache folder that a server is there, as the command that starts one does; gives the address of its API."""
    url = server.api_url()
    note(server.process.pid, server.port, cache)
    return url


def note(pid: int, port: int, cache: Path) -> None:
    """Say in a cache folder that a process is its server, and what that asks for."""
    folder = cache / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.json").write_text(json.dumps({"pid": pid, "port": port}))
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(token_for(f"http://127.0.0.1:{port}/api"))


def end_prefect() -> None:
    """Let Prefect send what it has to send while its server is there; its threads complain at the end of the process otherwise."""
    if "prefect.events.worker" in sys.modules:
        from prefect.logging.handlers import APILogWorker

        from hep_flows.orchestrate.settings import send_events

        send_events()
        APILogWorker.drain_all(timeout=60)
