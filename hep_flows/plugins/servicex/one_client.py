"""One open client of an object store for all results of a query: a client for each, as the library does it, opens a connection for each.

A new client also loads every certificate authority anew, which takes longer than the fetch of a small result.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# What it logs in detail holds the headers of requests, and these hold keys.
_TALKATIVE = ("botocore", "aiobotocore")


class OneClient:
    """Stands in for a session, and lends the same client to everybody; to be used on one loop.

    Parameters
    ----------
    session : aioboto3.Session
        Makes the client.
    """

    def __init__(self, session: Any) -> None:
        _keep_headers_out_of_logs()
        self._session = session
        self._opening: asyncio.Task[Any] | None = None
        self._entered: Any = None

    @asynccontextmanager
    async def client(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        """Lend the client; the arguments of the first who asks make it."""
        if self._opening is None or (self._opening.done() and self._failed(self._opening)):
            self._opening = asyncio.ensure_future(self._open(args, options))
        # One who gives up must not end it for the others.
        yield await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close it; nobody may use it any more."""
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.wait({opening})
        if self._entered is not None:
            entered, self._entered = self._entered, None
            await entered.__aexit__(None, None, None)

    async def _open(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        manager = self._session.client(*args, **options)
        client = await manager.__aenter__()
        self._entered = manager
        return client

    @staticmethod
    def _failed(task: asyncio.Task[Any]) -> bool:
        return task.cancelled() or task.exception() is not None


def _keep_headers_out_of_logs() -> None:
    """Let the library log no details, whatever the program logs."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)
