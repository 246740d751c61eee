"""The Prefect server of a cache folder, which stays until it is stopped: runs over that folder use it at once, and it has the UI."""

from __future__ import annotations

import atexit
import base64
import contextlib
import errno
import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hep_flows.errors import OrchestrationError
from hep_flows.settings import environment
from hep_flows.store.commit import told_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Who may talk to a server of a cache folder: whoever can read its token -----------------------------------------------------------
#
# The loopback address of a machine is open to all who are logged in there, and who talks to a server of Prefect can change what its runs
# do. So a server asks for a token, Prefect's own basic authentication, and only its owner can read the file that the token is in. It
# travels in the environment and in settings, never on a command line, which everybody sees.

TOKEN_FILE = "token"  # noqa: S105 - its name
_TOKEN = re.compile(r"hep-flows:[A-Za-z0-9_-]{43}")


def token_of(folder: str) -> str:
    """Give the token of the servers of a folder; the first one who asks makes it.

    Raises
    ------
    OrchestrationError
        When others could have written the file, or read it.
    """
    import fcntl

    with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
        if os.stat(folder).st_uid == os.geteuid():  # noqa: PTH116
            os.chmod(folder, 0o700)  # noqa: PTH101
        try:
            file = os.open(token_file(folder), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise
            raise _no_token(folder, str(error.strerror)) from None
        try:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_nlink != 1:
                raise _no_token(folder, "it is not a file of yours alone")
            fcntl.flock(file, fcntl.LOCK_EX)
            known = os.pread(file, 256, 0).decode("ascii", "replace")
            # What others could read or write until now is no secret.
            if _TOKEN.fullmatch(known) and not about.st_mode & 0o077:
                return known
            made = f"hep-flows:{secrets.token_urlsafe(32)}"
            os.fchmod(file, 0o600)
            os.ftruncate(file, 0)
            os.pwrite(file, made.encode(), 0)
            os.fsync(file)
            return made
        finally:
            os.close(file)


def token_file(folder: str) -> str:
    """Give the file whose content the UI asks for."""
    return f"{folder}/{TOKEN_FILE}"


def _no_token(folder: str, why: str) -> OrchestrationError:
    return OrchestrationError(
        f"{token_file(folder)} cannot be the token of a Prefect server", why=why, do=f"remove it; if it is not yours, {ELSEWHERE}"
    )


# Whether a Prefect API answers at an address; nothing of Prefect is imported for it ----------------------------------------------

ANSWER_S = 10.0


def is_healthy(api_url: str) -> bool:
    """Say whether a Prefect API answers; that needs no token."""
    return _status(f"{api_url}/health") == HTTPStatus.OK


def takes(server: Server, token: str) -> bool:
    """Say whether a server of this user answers, and takes a token; to a stranger's process at its port, the token is not shown."""
    return _is_of_this_user(server.port) and _status(f"{server.url}/admin/version", token) == HTTPStatus.OK


def _status(url: str, token: str = "") -> int:
    """Give the status that a server of this machine answers with, 0 where nothing does; no proxy is asked."""
    import urllib.error
    import urllib.request

    named = {"Authorization": f"Basic {base64.b64encode(token.encode()).decode()}"} if token else {}
    opened = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    try:
        with opened(urllib.request.Request(url, headers=named), timeout=ANSWER_S) as answer:  # noqa: S310 - an address of ours
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError, HTTPException):
        return 0


def _is_of_this_user(port: int) -> bool:
    """Say whether a process of this user listens at a port of the loopback address, where the system tells it."""
    try:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return True
    loopback, listening = int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder), "0A"
    sockets = [line.split() for line in lines]
    return {int(s[7]) for s in sockets if s[3] == listening and s[1] == f"{loopback:08X}:{port:04X}"} == {os.geteuid()}


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
    token = token_of(folder)
    return {
        "PREFECT_SERVER_API_AUTH_STRING": token,
        "PREFECT_API_AUTH_STRING": token,
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
        self._token = token_of(folder)
        with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
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
        server = Server(self.process.pid, self.port)
        with self._ready:
            start = time.monotonic()
            while not self._answers:
                if not self.is_alive or cancelled() or time.monotonic() - start > EMBEDDED_START_S:
                    raise self._failed()
                self._answers = takes(server, self._token)
                if not self._answers:
                    time.sleep(_EMBEDDED_ASK_S)
            self.seconds = self.seconds or time.monotonic() - start
        return server.url

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
    """Give the server of a folder, if it answers and takes the folder's token."""
    found = noted(folder)
    return found if found is not None and takes(found, token_of(folder)) else None


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
    found = noted(folder)
    if found is not None and (takes(found, token_of(folder)) or _is_server(found)):
        return _awaited(folder, found, is_new=False)
    number = port or free_port()
    variables = server_environment(folder, DATABASE)
    with told_of_disk(folder, "the files of the Prefect server", do=ELSEWHERE):
        server = Server(_started(folder, number, variables), number)
        _note(folder, server)
    return _awaited(folder, server, is_new=True)


def _awaited(folder: str, server: Server, *, is_new: bool) -> Server:
    """Give a server when it answers."""
    token = token_of(folder)
    end = time.monotonic() + START_S
    while not takes(server, token):
        code = _has_ended(server.pid)
        if code is None and is_healthy(server.url) and not is_new and not takes(server, token):
            raise OrchestrationError(
                f"the Prefect server of {folder} does not take its token",
                why=f"{token_file(folder)} is another one than when it was started",
                do="hep-flows server stop ends it; then hep-flows server start",
            )
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


def _started(folder: str, port: int, own: Mapping[str, str]) -> int:
    """Start the process, and give its number: it goes on when this one ends."""
    variables = {k: v for k, v in environment().items() if not k.startswith("PREFECT_")}
    url = f"http://127.0.0.1:{port}/api"
    variables |= {**own, "PREFECT_UI_API_URL": url, "PREFECT_API_URL": url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{folder}/{LOG}", written, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(sys.executable, command, variables, file_actions=files, setsid=True)


def _has_ended(pid: int) -> int | None:
    """Give the exit code of a process that this one started; None while it runs, and for one that another has started."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def _note(folder: str, server: Server) -> None:
    part = Path(folder, f".{FILE}")
    part.write_text(json.dumps(asdict(server)), encoding="utf-8")
    part.replace(Path(folder, FILE))


def _is_server(server: Server) -> bool:
    """Say whether the process is the server: its number may belong to another one by now."""
    try:
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return not Path("/proc/self/cmdline").exists() and is_healthy(server.url)
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
