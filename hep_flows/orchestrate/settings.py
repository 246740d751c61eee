"""Prefect's settings for a server of our own; those of the user stay what they are."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate.server import token_of
from hep_flows.settings import environment, environment_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import Queue

    from prefect.events.worker import EventsWorker

# What Prefect logs of the runs that have a server of their own: nothing, since it stands in the report ---------------------------
#
# Loggers belong to the whole process, and the user may have flows that are to be seen. So only what is said within a run of ours is left
# out; threads of a run have its context.

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")

_IS_QUIET: ContextVar[bool] = ContextVar("nothing is logged", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Prefect logs of flow runs and task runs in the block."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_filter())
    token = _IS_QUIET.set(True)
    try:
        yield
    finally:
        _IS_QUIET.reset(token)


@lru_cache(maxsize=1)
def _filter() -> logging.Filter:
    return _OnlyOthers()


class _OnlyOthers(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not _IS_QUIET.get()


@contextmanager
def private_settings(url: str, folder: str) -> Iterator[None]:
    """Let flows use a server of our own while the block runs. The settings go along with tasks to other processes.

    They are those of the context, and not of the environment: several runs may go on at once in a process, and what the user does with a
    Prefect of their own at the same time is not touched.

    Parameters
    ----------
    url : str
        The address of its API.
    folder : str
        Where Prefect may put files, and where the token of the server is.
    """
    import prefect.settings as ps

    settings = {
        ps.PREFECT_API_URL: url,
        ps.PREFECT_API_AUTH_STRING: token_of(folder),
        ps.PREFECT_API_KEY: None,
        ps.PREFECT_HOME: f"{folder}/home",
        ps.PREFECT_LOGGING_TO_API_ENABLED: False,
        ps.PREFECT_SERVER_ANALYTICS_ENABLED: False,
        # The server is on this machine: when it is gone, it does not come back while one waits.
        ps.PREFECT_CLIENT_MAX_RETRIES: 2,
        # A flow waits a second for its heartbeat thread at the end; nobody watches the beats of a run of our own.
        ps.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with quiet(), ps.temporary_settings(settings):
        yield


@contextmanager
def shared_settings(url: str, token: str) -> Iterator[None]:
    """Let what runs in the block, and the processes that it starts, use a server as if the user had configured it."""
    import prefect.settings as ps

    configured = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": token}
    with environment_with(configured), ps.temporary_settings({getattr(ps, name): value for name, value in configured.items()}):
        yield


# What Prefect does in the background of a process: it sends the states of task runs to a server, and counts its users ------------
#
# Prefect has one thread that sends, for all servers that a process talks to: it keeps the connection that it made first. So before a run
# talks to a private server, what waits for another one is sent, and when it ends, what it said itself. The variable that says that nobody
# is to be counted is set as long as any run of ours goes on.

STALL_S = 3.0
_ASK_S = 0.005
_LOOK_S = 1.0


class _Runs:
    """The runs with private servers that go on in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.number = 0
        self.held = ExitStack()


@lru_cache(maxsize=1)
def _runs() -> _Runs:
    return _Runs()


@contextmanager
def private_background(answers: Callable[[], bool]) -> Iterator[None]:
    """Keep what Prefect does in the background apart from what the user does with a Prefect of their own.

    Parameters
    ----------
    answers : callable
        Says whether the server of the block answers; where it does not, what waits to be sent to it at the end is given up.
    """
    runs = _runs()
    with runs.lock:
        if runs.number == 0:
            runs.held.enter_context(environment_with({"DO_NOT_TRACK": "1"}))
            import_quietly()
            send_events()
        runs.number += 1
    try:
        yield
    finally:
        with runs.lock:
            runs.number -= 1
            if runs.number == 0:
                send_events(answers)
                runs.held.close()


def import_quietly() -> None:
    """Import Prefect, and take away the folder that it makes in the user's home; the user did not ask for one."""
    home = Path(environment().get("PREFECT_HOME") or Path.home() / ".prefect")
    is_new = "prefect" not in sys.modules and not home.exists()
    import_module("prefect.main")  # with the settings of the user, who may want to see what flows of their own say
    if is_new:
        with suppress(OSError):  # somebody uses it by now
            home.rmdir()


def check_importable() -> None:
    """Say in good time that there is no Prefect.

    Raises
    ------
    OrchestrationError
        When it cannot be imported.
    """
    try:
        is_there = "prefect" in sys.modules or find_spec("prefect") is not None
    except ImportError:
        is_there = False
    if not is_there:
        raise OrchestrationError(
            "this engine needs Prefect, which is not installed",
            do='pip install prefect, or run with engine="inline", which needs nothing',
        )


def send_events(answers: Callable[[], bool] = lambda: True) -> None:
    """Send what waits to be sent, and close the connection; the next event makes a new one.

    Prefect tries each event for more than a second before it gives it up: to a server that is gone, nothing more is sent.
    """
    from prefect.events.worker import EventsWorker

    services: dict[int, Any] = EventsWorker._instances  # type: ignore[misc]  # noqa: SLF001 - no other way; other kinds are in it, too
    workers = [s for s in list(services.values()) if isinstance(s, EventsWorker)]
    for worker in workers:
        _wait_until_sent(worker, answers)
        # Within a thread that has an event loop it would not wait.
        sending = threading.Thread(target=worker.drain, daemon=True)
        sending.start()
        sending.join(STALL_S)


def _wait_until_sent(worker: EventsWorker, answers: Callable[[], bool]) -> None:
    """Wait until nothing waits to be sent, or nothing is sent any more; a worker that is told to stop before complains of it."""
    waiting = worker._queue.unfinished_tasks  # noqa: SLF001
    since = asked = time.monotonic()
    if waiting and not answers():
        _give_up(worker._queue)  # noqa: SLF001
        return
    while waiting and time.monotonic() - since < STALL_S:
        time.sleep(_ASK_S)
        if time.monotonic() - asked > _LOOK_S:
            if not answers():
                _give_up(worker._queue)  # noqa: SLF001
                return
            asked = time.monotonic()
        left = worker._queue.unfinished_tasks  # noqa: SLF001
        if left != waiting:
            waiting, since = left, time.monotonic()


def _give_up(queue: Queue[Any]) -> None:
    """Take everything out of a queue, as if it were done; a word to stop, which is None, stays."""
    with suppress(Empty):
        while (item := queue.get_nowait()) is not None:
            queue.task_done()
        queue.put_nowait(item)
        queue.task_done()
