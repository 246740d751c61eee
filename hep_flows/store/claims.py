"""One writer per key: an exclusive lock on a file, which the operating system releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hep_flows.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_WAIT_S = 0.002
LONGEST_WAIT_S = 0.1


@contextmanager
def claimed(path: str, *, timeout_s: float | None = None, cancelled: Callable[[], bool] | None = None) -> Iterator[bool]:
    """Hold the lock of a file; gives whether somebody else had it first, so that the store should be asked again.

    The file is removed when the lock is released. It stays behind after a kill, and is then simply taken over.

    Parameters
    ----------
    path : str
        The file of the lock.
    timeout_s : float, optional
        How long to wait; for ever when left out.
    cancelled : callable, optional
        Asked while waiting; true ends it.

    Raises
    ------
    StoreError
        When the wait ended without the lock, or the folder cannot hold one.
    """
    descriptor, waited = _wait_for(path, timeout_s, cancelled)
    try:
        yield waited
    finally:
        _release(path, descriptor)


@contextmanager
def claimed_if_free(path: str) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does; gives whether it is held."""
    descriptor = _try(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _wait_for(path: str, timeout_s: float | None, cancelled: Callable[[], bool] | None) -> tuple[int, bool]:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    pause, waited = FIRST_WAIT_S, False
    while (descriptor := _try(path)) is None:
        waited = True
        if cancelled is not None and cancelled():
            raise StoreError("waiting for a result of another process was cancelled")
        if end is not None and time.monotonic() >= end:
            raise StoreError(
                f"another process did not finish a result within {timeout_s:g} s",
                why=f"it holds {path}",
                do="wait longer, or end that process: its lock goes with it",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_WAIT_S)
    return descriptor, waited


def _try(path: str) -> int | None:
    """Give the descriptor of a lock that is now held, or None when somebody else has it."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            continue
        except OSError as error:
            raise StoreError(f"the lock {path} cannot be made", why=error.strerror or str(error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"the file system of {path} has no locks",
                why=error.strerror or str(error),
                do="put the cache on another file system: without locks two processes would compute the same",
            ) from error
        if _stands_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed the file meanwhile


def _stands_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _release(path: str, descriptor: int) -> None:
    try:
        if _stands_at(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)
