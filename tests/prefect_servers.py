"""Servers of Prefect in tests: where one is noted, and how what talks to it is ended before it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hep_flows.orchestrate.server import EmbeddedServer


def noted(server: EmbeddedServer, cache: Path) -> str:
    """Say in a cache folder that a server is there, as the command that starts one does; gives the address of its API."""
    (cache / "prefect").mkdir(parents=True, exist_ok=True)
    (cache / "prefect" / "server.json").write_text(json.dumps({"pid": server.process.pid, "port": server.port}))
    return server.api_url()


def end_prefect() -> None:
    """Let Prefect send what it has to send while its server is there; its threads complain at the end of the process otherwise."""
    if "prefect.events.worker" in sys.modules:
        from prefect.logging.handlers import APILogWorker

        from hep_flows.orchestrate.settings import send_events

        send_events()
        APILogWorker.drain_all(timeout=60)
