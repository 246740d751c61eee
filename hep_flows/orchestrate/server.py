"""The Prefect server of a cache folder, which stays until it is stopped: runs over that folder use it at once, and it has the UI."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate.address import free_port, is_healthy
from hep_flows.orchestrate.embedded import ELSEWHERE, server_environment
from hep_flows.settings import environment
from hep_flows.store.commit import told_of_disk

FILE = "server.json"
LOG = "server.log"
DATABASE = "server.db"
START_S = 120.0
STOP_S = 10.0
_ASK_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started for a folder: its process, and the address of its API."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui(self) -> str:
        """The address for a browser."""
        return f"http://127.0.0.1:{self.port}"


def running(folder: str) -> Server | None:
    """Give the server of a folder, if it answers."""
    found = noted(folder)
    return found if found is not None and is_healthy(found.url) else None


def noted(folder: str) -> Server | None:
    """Give the server that was started last for a folder, whether it still runs or not."""
    try:
        told = json.loads(Path(folder, FILE).read_text(encoding="utf-8"))
        return Server(int(told["pid"]), int(told["port"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def start(folder: str, port: int | None = None) -> Server:
    """Start a server for a folder, and wait until it answers; one that runs is left alone.

    Raises
    ------
    OrchestrationError
        When it does not answer; where its log lies is said.
    """
    found = running(folder)
    if found is not None:
        return found
    number = port or free_port()
    with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
        Path(folder).mkdir(parents=True, exist_ok=True)
        server = Server(_started(folder, number), number)
        _note(folder, server)
    end = time.monotonic() + START_S
    while not is_healthy(server.url):
        code = _has_ended(server.pid)
        if code is not None or time.monotonic() > end:
            stop(folder)
            raise OrchestrationError(
                f"the Prefect server for {folder} did not start",
                why=f"it ended with code {code}" if code is not None else f"not within {START_S:g} s",
                do=f"its log is in {folder}/{LOG}",
            )
        time.sleep(_ASK_S)
    return server


def stop(folder: str) -> bool:
    """End the server of a folder; gives whether one was running."""
    found = noted(folder)
    if found is None:
        return False
    was_running = _is_server(found)
    if was_running:
        with contextlib.suppress(OSError):
            os.killpg(found.pid, signal.SIGTERM)
        _wait_for_end(found.pid)
    with contextlib.suppress(FileNotFoundError):
        Path(folder, FILE).unlink()
    return was_running


def _started(folder: str, port: int) -> int:
    """Start the process, and give its number: it goes on when this one ends."""
    variables = {k: v for k, v in environment().items() if not k.startswith("PREFECT_")}
    url = f"http://127.0.0.1:{port}/api"
    variables |= server_environment(folder, DATABASE) | {"PREFECT_UI_API_URL": url, "PREFECT_API_URL": url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{folder}/{LOG}", written, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(sys.executable, command, variables, file_actions=files, setsid=True)


def _has_ended(pid: int) -> int | None:
    """Give the exit code of a process that this one started; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _note(folder: str, server: Server) -> None:
    part = Path(folder, f".{FILE}")
    part.write_text(json.dumps(asdict(server)), encoding="utf-8")
    part.replace(Path(folder, FILE))


def _is_server(server: Server) -> bool:
    """Say whether the process is the server: its number may belong to another one by now."""
    if is_healthy(server.url):
        return True
    try:
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return "prefect" in command and str(server.port) in command


def _wait_for_end(pid: int) -> None:
    end = time.monotonic() + STOP_S
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(_ASK_S)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
