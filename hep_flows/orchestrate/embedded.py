"""A private Prefect server for this process: its database lies in the cache folder, and it ends with the process.

Nothing of the user's Prefect is touched: the server has a home folder, a database and a port of its own. Processes that use one cache
folder at the same time have a database each, since SQLite serves one server well and two badly; a lock that dies with its holder says
which database is free. A database is made once and used again, because making it takes longer than starting the server.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate.address import free_port, is_healthy
from hep_flows.settings import environment
from hep_flows.store.commit import told_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable

START_S = 90.0
STOP_S = 5.0
MOST_SERVERS = 64
ELSEWHERE = 'make room there, set HEP_FLOWS_CACHE to another folder, or run with engine="inline", which needs no server'
_ASK_S = 0.05


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
    """

    def __init__(self, folder: str) -> None:
        """Start the process; `api_url` waits until it answers."""
        self.folder = folder
        self._port = free_port()
        with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._database, self._lock = _free_database(folder)
            self._log = f"{folder}/{self._database}.log"
            self._process = self._started()
        self._ready = threading.Lock()
        self._answers = False
        self.seconds = 0.0
        atexit.register(self.stop)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def api_url(self, cancelled: Callable[[], bool] = lambda: False) -> str:
        """Give the address of the API, when it answers.

        Raises
        ------
        OrchestrationError
            When it does not; the end of its log is shown.
        """
        url = f"http://127.0.0.1:{self._port}/api"
        with self._ready:
            start = time.monotonic()
            while not self._answers:
                if not self.is_alive or cancelled() or time.monotonic() - start > START_S:
                    raise self._failed()
                self._answers = is_healthy(url)
                if not self._answers:
                    time.sleep(_ASK_S)
            self.seconds = self.seconds or time.monotonic() - start
        return url

    def stop(self) -> None:
        """End the server."""
        if self.is_alive:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._lock.close()
        atexit.unregister(self.stop)

    def _started(self) -> subprocess.Popen[bytes]:
        # The user's own settings of Prefect are for their own server.
        variables = {k: v for k, v in environment().items() if not k.startswith("PREFECT_")}
        variables |= server_environment(self.folder, self._database)
        variables |= {"PREFECT_UI_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "hep_flows.orchestrate.serve_embedded", str(self._port)]
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
                why=said[0] if said else f"it said nothing within {START_S:g} s",
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
