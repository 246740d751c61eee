"""Runs of a remote endpoint, and what came of them."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

import awkward as ak

from hep_flows.plugins.servicex.addresses import RemoteSettings
from hep_flows.plugins.servicex.client import loop_thread
from hep_flows.plugins.servicex.query import Delivered, EndpointError, Query, Watch
from servicex_sim.server import Simulator

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hep_flows.plugins.servicex.remote import RemoteServiceX
    from servicex_sim.server import Answer, Call

QASTLE = "(call Select (call EventDataset 'bogus.root' 'Events') (lambda (list e) (dict (list 'pt') (list (attr e 'Jet_pt')))))"
QUERY = Query(QASTLE, "uproot", ("pt",), tree="Events")
DATASET = "rucio://user.somebody:jets"
EMPTY = "rucio://user.somebody:nothing"
OPEN_DATA = "cernopendata://6021"
TOKEN = "refresh-token-that-nobody-may-see"
# Short where waiting is all that happens; where the verdict could depend on it, so long that only what hangs gets there.
HANGS_S = 300.0
HURRY = RemoteSettings(poll_s=0.1, backoff_s=0.05, answer_s=60, stall_s=120, settle_s=0.4, cancel_s=60, deadline_s=HANGS_S)


class Clock:
    """The clock of the loop on which the client runs: a test moves it on, so that no verdict depends on the speed of the machine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._ahead, real = loop, 0.0, loop.time
        loop.time = lambda: real() + self._ahead

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds
        self._loop.call_soon_threadsafe(lambda: None)

    @contextmanager
    def skips(self, seconds: float, when: Callable[[], bool]) -> Iterator[None]:
        """Let time pass once within the block, as soon as something is so."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                if when():
                    self.skip(seconds)
                    return

        worker = threading.Thread(target=watch, daemon=True)
        worker.start()
        try:
            yield
        finally:
            ended.set()
            worker.join()


@cache
def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    return Clock(loop)


def client_clock() -> Clock:
    """Give the clock of the one loop of this process."""
    return clock_of(loop_thread().loop)


def looked_again(sim: Simulator, since: Callable[[], bool]) -> Callable[[], bool]:
    """Say when the client has looked at its requests three times since something was so: it has seen all that there is to see."""
    begun: list[int] = []

    def looks() -> int:
        return len([c for c, _ in sim.calls("GET", "/servicex/transformation/") if c.path.count("/") == 3])

    def is_so() -> bool:
        if not begun and since():
            begun.append(looks())
        return bool(begun) and looks() >= begun[0] + 3

    return is_so


@contextmanager
def requests_stand_still(clock: Clock, sim: Simulator, status: str, seconds: float, times: int) -> Iterator[None]:
    """Let time pass for each of so many requests in turn, once it has a status and the client has seen it."""
    with ExitStack() as held:
        for n in range(times):
            reached = looked_again(sim, since=lambda n=n: list(sim.statuses().values())[n:] == [status])
            held.enter_context(clock.skips(seconds, when=reached))
        yield


class Holding(Simulator):
    """A simulator that can let calls wait: `came` says that one is there, `go` lets all go on."""

    def __init__(self, **options: Any) -> None:
        self.came, self.go = threading.Event(), threading.Event()
        self.to_hold, self.times = ("", ""), 0
        super().__init__(**options)

    def hold(self, method: str, path: str, times: int = 1) -> None:
        self.to_hold, self.times = (method, path), times

    def answer(self, call: Call) -> Answer:
        if self.times and call.method == self.to_hold[0] and fnmatchcase(call.path, self.to_hold[1]):
            self.times -= 1
            self.came.set()
            self.go.wait(HANGS_S)
        return super().answer(call)

    def stop(self) -> None:
        self.go.set()
        super().stop()


@dataclass
class Came:
    """What a run gave: each result was read when it came."""

    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, EndpointError] = field(default_factory=dict)
    refused: EndpointError | None = None
    progress: list[tuple[int, int, int]] = field(default_factory=list)
    items: list[Delivered | EndpointError] = field(default_factory=list)


def collect(one: RemoteServiceX, files, scratch: Path, query: Query = QUERY, watch: Watch | None = None) -> Came:
    """Run to the end; nothing may come twice, and nothing may hang."""
    came = Came()
    watch = watch or Watch(progress=lambda *counts: came.progress.append(counts))
    worker = threading.Thread(target=_read, args=(one.run(query, files, str(scratch), watch), came), daemon=True)
    worker.start()
    worker.join(2 * HANGS_S)
    assert not worker.is_alive(), "it hangs"
    return came


def _read(items, came: Came) -> None:
    try:
        for item in items:
            came.items.append(item)
            if isinstance(item, Delivered):
                assert [i for i in came.items if getattr(i, "dataset", "") == item.dataset and i.file == item.file] == [item]
                came.results[item.file] = ak.from_parquet(item.path)["pt"]
            else:
                assert item.file not in came.errors
                came.errors[item.file] = item
    except EndpointError as error:
        came.refused = error


def object_of(name: str) -> str:
    """Give the name of the object that a transformer makes of a file."""
    return name.replace("/", ":") + ".parquet"
