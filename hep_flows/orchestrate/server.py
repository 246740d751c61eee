"""The Prefect server of a cache folder, which stays until it is stopped: runs over that folder use it at once, and it has the UI."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hep_flows.errors import OrchestrationError
from hep_flows.settings import environment
from hep_flows.store.commit import told_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable

# Whether a Prefect API answers at an address; nothing of Prefect is imported for it ----------------------------------------------

ANSWER_S = 10.0


def is_healthy(api_url: str, timeout_s: float = ANSWER_S) -> bool:
    """Say whether a Prefect API answers."""
    if not api_url.startswith(("http://", "https://")):
        return False
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=timeout_s) as answer:  # noqa: S310 - checked above
            return answer.status == 200  # type: ignore[no-any-return]
    except (OSError, ValueError, urllib.error.URLError):
        return False


def free_port() -> int:
    """Give a port of the loopback address that nobody uses now."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# A private Prefect server for this process: its database lies in the cache folder, and it ends with the process ------------------
#
# Nothing of the user's Prefect is touched: the server has a home folder, a database and a port of its own. Processes that use one cache
# folder at the same time have a database each, since SQLite serves one server well and two badly; a lock that dies with its holder says
# which database is free. A database is made once and used again, because making it takes longer than starting the server.

EMBEDDED_START_S = 90.0
EMBEDDED_STOP_S = 5.0
MOST_SERVERS = 64
ELSEWHERE = 'make room there, set HEP_FLOWS_CACHE to another folder, or run with engine="inline", which needs no server'
_EMBEDDED_ASK_S = 0.05


def server_environment(folder: str, database: str) -> dict[str, str]:
    """Give the settings of a private server, as environment variables."""
    return {
        "PREFECT_HOME": f"{folder}/home",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/{database}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


class EmbeddedServer:
    """One server, started in the background.

    Parameters
    ----------
    folder : str
        Where its database lies; made when it is not there.

    Attributes
    ----------
    process, port
        Its process, and where it listens on this machine.
    """

    def __init__(self, folder: str) -> None:
        """Start the process; `api_url` waits until it answers."""
        self.folder = folder
        self.port = free_port()
        with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._database, self._lock = _free_database(folder)
            self._log = f"{folder}/{self._database}.log"
            self.process = self._started()
        self._ready = threading.Lock()
        self._answers = False
        self.seconds = 0.0
        atexit.register(self.stop)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def api_url(self, cancelled: Callable[[], bool] = lambda: False) -> str:
        """Give the address of the API, when it answers.

        Raises
        ------
        OrchestrationError
            When it does not; the end of its log is shown.
        """
        url = f"http://127.0.0.1:{self.port}/api"
        with self._ready:
            start = time.monotonic()
            while not self._answers:
                if not self.is_alive or cancelled() or time.monotonic() - start > EMBEDDED_START_S:
                    raise self._failed()
                self._answers = is_healthy(url)
                if not self._answers:
                    time.sleep(_EMBEDDED_ASK_S)
            self.seconds = self.seconds or time.monotonic() - start
        return url

    def stop(self) -> None:
        """End the server."""
        if self.is_alive:
            self.process.terminate()
            try:
                self.process.wait(EMBEDDED_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self._lock.close()
        atexit.unregister(self.stop)

    def _started(self) -> subprocess.Popen[bytes]:
        # The user's own settings of Prefect are for their own server.
        variables = {k: v for k, v in environment().items() if not k.startswith("PREFECT_")}
        variables |= server_environment(self.folder, self._database)
        variables |= {"PREFECT_UI_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "hep_flows.orchestrate.serve_embedded", str(self.port)]
        with open(self._log, "wb") as log:  # noqa: PTH123
            return subprocess.Popen(  # noqa: S603 - our own module
                command, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    def _failed(self) -> OrchestrationError:
        with contextlib.suppress(OSError):
            with open(self._log, encoding="utf-8", errors="replace") as log:  # noqa: PTH123
                said = log.read().strip().splitlines()[-1:]
            return OrchestrationError(
                "the Prefect server of this process does not answer",
                why=said[0] if said else f"it said nothing within {EMBEDDED_START_S:g} s",
                do='run with engine="inline", which needs no server; the whole log is in ' + self._log,
            )
        return OrchestrationError("the Prefect server of this process does not answer", do='run with engine="inline"')


def embedded_server(folder: str) -> EmbeddedServer:
    """Give the server of this process for a folder, started if it does not run."""
    server = _server(folder, os.getpid())
    if not server.is_alive:
        _server.cache_clear()
        server.stop()
        server = _server(folder, os.getpid())
    return server


def running_embedded(folder: str) -> bool:
    """Say whether this process has started its server already."""
    return folder in _started_folders() and embedded_server(folder).is_alive


@lru_cache(maxsize=1)
def _started_folders() -> set[str]:
    return set()


@lru_cache(maxsize=4)
def _server(folder: str, _process: int) -> EmbeddedServer:
    server = EmbeddedServer(folder)
    _started_folders().add(folder)
    return server


def _free_database(folder: str) -> tuple[str, TextIO]:
    """Give the first database that no living process uses, and the lock that says so."""
    import fcntl

    for number in range(MOST_SERVERS):
        lock = open(f"{folder}/embedded-{number}.lock", "w", encoding="utf-8")  # noqa: SIM115, PTH123 - held as long as the server
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        except OSError as error:
            lock.close()
            raise OrchestrationError(
                f"the file system of {folder} has no locks", why=str(error), do='run with engine="inline", or move the cache'
            ) from error
        return f"embedded-{number}.db", lock
    raise OrchestrationError(
        f"{MOST_SERVERS} processes use {folder} at once", do="hep-flows server start gives one server for all of them"
    )


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
