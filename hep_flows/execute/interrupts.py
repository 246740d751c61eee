"""Ctrl-C ends a run, also where the exception that Python makes of it gets lost.

An interrupt becomes an exception in whatever the main thread does at that moment: an import that tries what is installed and takes
every exception for a no, or a finalizer, whose exceptions nobody sees. Then the run would go on as if nothing had been asked.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def noted_interrupts(cancelled: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Give whether nobody wants the result any more: as told, or since there was an interrupt in the block.

    Parameters
    ----------
    cancelled : callable
        Whether it was cancelled in another way.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, where there was an interrupt.
    """
    seen: list[int] = []
    with _noting(seen):
        try:
            yield lambda: bool(seen) or cancelled()
        except Exception as error:
            if seen:
                raise KeyboardInterrupt from error
            raise
    if seen:
        raise KeyboardInterrupt


@contextmanager
def _noting(seen: list[int]) -> Iterator[None]:
    """Note interrupts beside what is done about them; only the main thread may, and only where Python handles them."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)
