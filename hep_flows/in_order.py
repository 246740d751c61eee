"""Work on threads, results in order.

Few items are in flight at a time, so memory does not grow with their number, and what is made of the results cannot depend on the
number of threads.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

Item = TypeVar("Item")
Done = TypeVar("Done")


class Stopped(Exception):  # noqa: N818
    """Another item failed, or the user interrupted: what this one gives is not wanted any more."""


class _Stop:
    """Who is to stop: all, or those after the first item that failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._from: float = float("inf")

    def after(self, number: int) -> None:
        with self._lock:
            self._from = min(self._from, number)

    def holds_for(self, number: int) -> bool:
        return number > self._from


def in_order(
    work: Callable[[Item, Callable[[], bool]], Done],
    items: Sequence[Item],
    workers: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Done, None, None]:
    """Give ``work(item, cancelled)`` for each item, in the order of the items.

    When the caller's own ``cancelled`` turns true, all items stop. The error that comes out is that of the first item in order that failed, whichever failed first in time. Items after it stop
    as soon as they ask ``cancelled()``; those before it are finished first.
    """
    stop = _Stop()

    def one(number: int, item: Item) -> Done:
        def no_more() -> bool:
            return stop.holds_for(number) or cancelled()

        if no_more():
            raise Stopped
        try:
            return work(item, no_more)
        except BaseException:
            stop.after(number)
            raise

    if workers <= 1 or len(items) <= 1:
        for number, item in enumerate(items):
            yield one(number, item)
        return
    pool = ThreadPoolExecutor(min(workers, len(items)), thread_name_prefix="hep-flows")
    wait = True
    try:
        yield from _windowed(pool, one, items, 2 * workers)
    except (KeyboardInterrupt, SystemExit):
        wait = False
        raise
    finally:
        stop.after(-1)
        pool.shutdown(wait=wait, cancel_futures=True)


def _windowed(pool: ThreadPoolExecutor, one: Callable[[int, Item], Done], items: Sequence[Item], window: int) -> Iterator[Done]:
    waiting = iter(enumerate(items))
    flying: deque[Future[Done]] = deque([pool.submit(one, n, item) for n, item in islice(waiting, window)])
    while flying:
        done = flying.popleft().result()
        flying.extend([pool.submit(one, n, item) for n, item in islice(waiting, 1)])
        yield done
