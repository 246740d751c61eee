"""Which errors are worth another try, and how long to wait before it.

A server that did not answer may answer the next time; a cut that divides by a text never will. Only errors of the first kind are tried
again: after 1, 4 and 16 seconds, each with some chance in it, so that a hundred tasks that failed together do not come back together.
"""

from __future__ import annotations

import errno
import random
import time
from typing import TYPE_CHECKING, TypeVar

from hep_flows.errors import HepFlowsError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

Done = TypeVar("Done")

DELAYS_S = (1.0, 4.0, 16.0)
JITTER = 0.5
_ASK_S = 0.05
_TRANSIENT_NUMBERS = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# Of libraries that are not loaded here: their errors are known by name.
_TRANSIENT_NAMES = frozenset({"ClientConnectionError", "ServerDisconnectedError", "ClientPayloadError", "TransportError"})


def is_transient(error: BaseException) -> bool:
    """Say whether asking again may help: a connection that broke, a server that was busy, a file system that stumbled.

    Of an error of hep_flows its own word counts; only what is behind a source that could not be read is looked at, too. So an error
    of a user's function never counts, whatever it is.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, HepFlowsError):
            if at.transient:
                return True
            if not isinstance(at, SourceError):
                return False
        elif _is_transient(at):
            return True
        at = at.__cause__ or at.__context__
    return False


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return False
    status = getattr(error, "status", None)
    if status is None:  # not asked for where it is not needed: aiohttp warns of it
        status = getattr(error, "code", None)
    if isinstance(status, int):
        return status in _TRANSIENT_STATUS
    if getattr(error, "transient", False) is True or any(kind.__name__ in _TRANSIENT_NAMES for kind in type(error).__mro__):
        return True
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT_NUMBERS


def spread(delay_s: float) -> float:
    """Give the seconds to wait where it is to be about so many."""
    return delay_s * (1 + random.uniform(0, JITTER))  # noqa: S311 - it only spreads the load


def wait(seconds: float, cancelled: Callable[[], bool]) -> None:
    """Wait, but not longer than somebody wants the result."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not cancelled():
        time.sleep(min(left, _ASK_S))


def tried(call: Callable[[], Done], delays_s: tuple[float, ...], cancelled: Callable[[], bool] = lambda: False) -> Done:
    """Give what a call gives, called again after errors that may pass."""
    for delay_s in delays_s:
        try:
            return call()
        except HepFlowsError as error:
            if cancelled() or not is_transient(error):
                raise
        wait(spread(delay_s), cancelled)
    return call()
