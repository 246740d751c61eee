"""The one event loop of a process that the ServiceX client runs on.

Its semaphores are global and belong to the first loop that has to wait for them: a second loop would break the first.
"""

from __future__ import annotations

import asyncio
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own, and the limits that hold for everything on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._limits: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._kept: dict[Any, Any] = {}
        threading.Thread(target=self.loop.run_forever, name="servicex", daemon=True).start()

    def start(self, work: Coroutine[Any, Any, None], on_end: Callable[[BaseException | None], None]) -> Running:
        """Start work, and give what ends it; ``on_end`` gets its error when it has ended."""
        running = Running(self.loop, on_end)
        asyncio.run_coroutine_threadsafe(running.run(work), self.loop)
        return running

    def limit(self, name: str, number: int) -> asyncio.Semaphore:
        """Give the limit of that name: everything in the process shares it. To be called on the loop."""
        return self._limits.setdefault((name, number), asyncio.Semaphore(number))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Give what is kept under a key for the life of the process, made when it is first asked for. To be called on the loop."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast("T", self._kept[key])


class Running:
    """Work on the loop; another thread can end it, and wait until it has cleaned up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[BaseException | None], None]) -> None:
        self._loop, self._on_end = loop, on_end
        self._task: asyncio.Task[None] | None = None
        self._wanted = True
        self._ended = threading.Event()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work to its end; its error is for ``on_end``."""
        self._task = asyncio.ensure_future(work)
        if not self._wanted:  # it was ended before it could begin
            self._task.cancel()
        await asyncio.wait({self._task})
        self._ended.set()
        self._on_end(asyncio.CancelledError() if self._task.cancelled() else self._task.exception())

    def stop(self, patience_s: float) -> bool:
        """End the work, and say whether it has ended within that time."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
        return self._ended.wait(patience_s)

    def _cancel(self) -> None:
        self._wanted = False
        if self._task is not None:
            self._task.cancel()


def loop_thread() -> LoopThread:
    """Give the loop of this process; it is made when it is first asked for, and anew after a fork."""
    return _loop_of(os.getpid())


@cache
def _loop_of(_process: int) -> LoopThread:
    return LoopThread()
