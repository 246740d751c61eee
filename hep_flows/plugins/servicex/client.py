"""One ServiceX server through the calls of the ``servicex`` client, below the client's own cache.

Every call gives its answer or an `EndpointError`: nothing that the client raises goes further, since its texts may hold tokens, keys or
whole pages of HTML.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import json
import logging
import math
import os
import random
import re
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from hep_flows.plugins.servicex.query import EndpointError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
    from datetime import datetime

    from servicex.models import TransformRequest, TransformStatus

    from hep_flows.plugins.servicex.addresses import Address, RemoteSettings

# One open client of an object store for all results of a query: a client for each, as the library does it, opens a connection for each ---
#
# A new client also loads every certificate authority anew, which takes longer than the fetch of a small result.

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


# What the client raised, as an `EndpointError` that says whether asking again may help -------------------------------------------

# Server errors that no second attempt changes.
_FINAL_TEXTS = ("Failed to generate translation code",)
_CLIENT_ERROR = re.compile(r": 4(?!08|29)\d\d\b")
_NOT_ALLOWED = re.compile(r": 40[13]\b")
_NOT_KNOWN = re.compile(r"(?:Transform ID|Request) \S+ not found")


class UnavailableError(EndpointError):
    """The server cannot be used now: no answer, or the caller is not let in. Another server may do.

    Parameters
    ----------
    unauthorised : bool
        Whether it is the token.
    """

    def __init__(self, text: str, *, unauthorised: bool = False) -> None:
        super().__init__(text, transient=not unauthorised)
        self.unauthorised = unauthorised


class ForgottenError(EndpointError):
    """The server does not know the request any more."""


def failure_of(error: BaseException, what: str, scrubbed: Callable[[str], str]) -> EndpointError:
    """Give the error for something that the client raised; ``scrubbed`` takes secrets out of a text."""
    from servicex.servicex_adapter import AuthorizationError

    name, text = type(error).__name__, scrubbed(" ".join(str(error).split()))[:600]
    if isinstance(error, AuthorizationError):
        return UnavailableError(f"{what}: {text}", unauthorised=True)
    if type(error).__module__.startswith("google."):  # the text quotes the token
        return UnavailableError(f"{what}: the access token is no JSON web token", unauthorised=True)
    if isinstance(error, TimeoutError):
        return UnavailableError(f"{what}: {text}")
    if type(error).__module__.startswith(("httpx", "httpcore")):
        return UnavailableError(f"{what}: {name} {text}".rstrip())
    if isinstance(error, json.JSONDecodeError):
        return UnavailableError(f"{what}: the answer is no JSON")
    if type(error).__module__.startswith("pydantic"):  # the text quotes the answer, which holds keys
        return EndpointError(f"{what}: the answer has not the form that the client knows")
    return _by_its_text(error, what, text)


def _by_its_text(error: BaseException, what: str, text: str) -> EndpointError:
    """Judge by the texts of the client: it raises ValueError for 400 and 404, RuntimeError for every other status."""
    name = type(error).__name__
    if isinstance(error, ValueError) and _NOT_KNOWN.match(text):
        return ForgottenError(f"{what}: {text}", transient=True)
    if isinstance(error, ValueError):
        return EndpointError(f"{what}: {text}")
    if isinstance(error, RuntimeError):
        if _NOT_ALLOWED.search(text):
            return UnavailableError(f"{what}: {text}", unauthorised=True)
        if any(t in text for t in _FINAL_TEXTS) or _CLIENT_ERROR.search(text):
            return EndpointError(f"{what}: {text}")
        return UnavailableError(f"{what}: {text}")
    return EndpointError(
        f"{what}: {name} {text}".rstrip(),
        transient=not isinstance(error, KeyError | TypeError | FileNotFoundError | PermissionError),
    )


T = TypeVar("T")
_LOCAL_POLLING = "poll_local_transformation_results"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says about itself: its version, the image of each code generator by name, and what else it can do."""

    app_version: str
    code_generators: dict[str, str]
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """A result at the server: its name, its size in bytes, and when it was made, where that is known."""

    name: str
    size: int
    created_at: datetime | None = None


class Server:
    """A server, for the time of one query.

    Parameters
    ----------
    address : Address
        Where it is, and the token.
    settings : RemoteSettings
        How patient to be.
    connection : Connection
        The calls of the client.
    """

    def __init__(self, address: Address, settings: RemoteSettings, connection: Connection) -> None:
        self.address, self.settings = address, settings
        self._connection, self._adapter = connection, connection.adapter
        self._clients: dict[Any, OneClient] = {}
        self._secrets: set[str] = {address.token}

    @property
    def shown(self) -> str:
        """Give what it is called in messages."""
        return f"the ServiceX server {self.address.name} ({self.address.place})"

    async def info(self) -> ServerInfo:
        """Give what the server says about itself.

        It is the first thing that is asked. The client tries for the better part of a minute to reach the server; three times that is
        too long for somebody who waits for a server that is down.
        """
        got = await self._ask("asked about itself", self._adapter.get_servicex_info, long_s=2 * self.settings.backoff_s)
        return ServerInfo(got.app_version, dict(got.code_gen_image), tuple(got.capabilities))

    async def submit(self, request: TransformRequest) -> str:
        """Give the id of a new request; the client never tries a submission again, so that is done here."""
        return str(await self._ask("given a request", lambda: self._adapter.submit_transform(request)))

    async def status(self, request_id: str) -> TransformStatus:
        """Give the state of a request.

        Raises
        ------
        ForgottenError
            When the server does not know it.
        """
        status = await self._ask("asked for a status", lambda: self._adapter.get_transform_status(request_id))
        self._secrets |= {status.minio_access_key or "", status.minio_secret_key or ""}
        return status

    async def results(self, status: TransformStatus, later_than: datetime | None) -> list[RemoteObject]:
        """Give the results that are there, those after a time only where the server can do that."""
        request_id = status.request_id
        if _LOCAL_POLLING in (await self.info()).capabilities:
            found = await self._ask("asked for results", lambda: self._adapter.get_transformation_results(request_id, later_than))
            return [RemoteObject(f.filename, f.total_bytes, f.created_at) for f in found]
        listed = await self._ask("asked for its objects", self._store(status).list_bucket)
        return [RemoteObject(f.filename, f.size) for f in listed if f.filename]

    async def fetch(self, status: TransformStatus, wanted: RemoteObject, folder: str, *, is_converted: bool = False) -> str:
        """Give the local path of a result. The client tries three times, and compares the size.

        Of a result that the server made Parquet of, the announced size is that of the ROOT file: the store is asked for the right one.
        """
        store = self._store(status)
        size = None if is_converted else wanted.size
        got = await outcome(store.download_file(wanted.name, folder, expected_size=size), None)
        if not isinstance(got, BaseException):
            return str(got)
        if isinstance(got, OSError) and got.errno == errno.ENOSPC:
            raise EndpointError(f"no space is left in {folder} for the result {wanted.name!r}, {wanted.size} bytes")
        text = failure_of(got, f"the result {wanted.name!r} could not be fetched", self.scrubbed).text
        raise EndpointError(text, transient=True)

    async def close(self) -> None:
        """Close the connections to object stores."""
        for client in self._clients.values():
            await outcome(client.close(), self.settings.cancel_s)

    async def cancel(self, request_id: str) -> None:
        """Cancel a request, if the server lets it be cancelled; its state is not ours any more."""
        await outcome(self._adapter.cancel_transform(request_id), self.settings.cancel_s)

    async def lookup_status(self, status: TransformStatus) -> str:
        """Give the word of the server for what went wrong when it looked a dataset up; empty where it has none."""
        got = await outcome(self._adapter.get_dataset(status.did_id), self.settings.answer_s)
        return "" if isinstance(got, BaseException) else str(got.lookup_status)

    async def dataset_files(self, status: TransformStatus) -> tuple[tuple[str, ...], ...]:
        """Give the copies of each file of the dataset that a request is for; empty where the server does not tell."""
        got = await outcome(self._adapter.get_dataset(status.did_id), self.settings.answer_s)
        if isinstance(got, BaseException) or got.lookup_status != "complete" or len(got.files or ()) != status.files:
            return ()
        return tuple([tuple(f.paths.split(",")) for f in got.files])

    async def reason(self, request_id: str) -> str:
        """Give what the server says about a failure, from the field of the status that the client leaves out; empty where it says nothing."""
        got = await outcome(self._raw_status(request_id), self.settings.answer_s)
        said = got.get("failure-info") if isinstance(got, dict) else None
        return self.scrubbed(" ".join(str(said).split()))[:600] if said else ""

    async def _raw_status(self, request_id: str) -> Any:
        import httpx

        headers = await self._adapter._get_authorization()  # noqa: SLF001 - the client has no public way to make a call of one's own
        async with httpx.AsyncClient(timeout=self.settings.answer_s) as client:
            answer = await client.get(f"{self.address.url}/servicex/transformation/{request_id}", headers=headers)
        return answer.json()

    def _store(self, status: TransformStatus) -> Any:
        if status.minio_endpoint is None:
            raise EndpointError(f"{self.shown} does not say where the results of {status.request_id} are")
        store = self._connection.store(status)
        store.minio = self._clients.setdefault(store.minio, OneClient(store.minio))
        return store

    async def _ask(self, what: str, call: Callable[[], Awaitable[T]], long_s: float = math.inf) -> T:
        """Make a call, again after a wait where that may help; an access token that is not accepted is renewed once.

        A call that failed after longer than ``long_s`` is not made again: the client has made it several times.
        """
        clock, renewed = asyncio.get_running_loop().time, False
        for attempt in range(self.settings.attempts + 1):
            begun = clock()
            got = await outcome(call(), self.settings.answer_s)
            if not isinstance(got, BaseException):
                return got
            error = failure_of(got, f"{self.shown}, {what}", self.scrubbed)
            unauthorised = isinstance(error, UnavailableError) and error.unauthorised
            if unauthorised and not renewed:
                renewed, self._adapter.token = True, None
                continue
            took_long = clock() - begun > long_s and not isinstance(got, TimeoutError)
            is_last = took_long or attempt >= self.settings.attempts - 1 + renewed
            if isinstance(error, ForgottenError) or not error.transient or is_last:
                raise self._advised(error) if unauthorised else error
            await asyncio.sleep(self.settings.wait_s(attempt, random.random()))  # noqa: S311 - it spreads calls, it hides nothing
        raise EndpointError(f"{self.shown} was not {what}")  # attempts < 1

    def _advised(self, error: EndpointError) -> EndpointError:
        file = self.address.config_file or "servicex.yaml"
        token = (
            f"the token in {file} is not accepted: get a new one" if self.address.token else f"there is no token in {file}: get one"
        )
        return UnavailableError(f"{error.text}; {token} from {self.address.place}, or set BEARER_TOKEN_FILE", unauthorised=True)

    def scrubbed(self, text: str) -> str:
        """Give a text without tokens and keys."""
        for secret in sorted({*self._secrets, str(self._adapter.token or "")} - {"", "None"}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


async def outcome(call: Awaitable[T], timeout_s: float | None) -> T | BaseException:
    """Give what a call of the client gives or raises: its errors come from half a dozen libraries, and become data at this line."""
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        return TimeoutError(f"no answer within {timeout_s:g} s")
    if task.cancelled():
        return TimeoutError("the call was given up")
    error = task.exception()
    return error if error is not None else task.result()


# What the client needs to talk to one server, kept for the life of the process: its parts are slow to make -----------------------


class Connection:
    """The calls of the client for one server.

    Parameters
    ----------
    address : Address
        Where it is, and the token.

    Attributes
    ----------
    adapter : ServiceXAdapter
        The calls; it knows the access token, and what the server said about itself.
    """

    def __init__(self, address: Address) -> None:
        from servicex.servicex_adapter import ServiceXAdapter

        self.adapter = ServiceXAdapter(address.url, refresh_token=address.token or None)
        self._stores: dict[tuple[object, ...], Any] = {}

    def store(self, status: TransformStatus) -> Any:
        """Give the object store of a request.

        Requests differ in their bucket only, and a session with an object store reads megabytes of descriptions when it is new.
        """
        from servicex.minio_adapter import MinioAdapter

        key = (status.minio_endpoint, status.minio_secured, status.minio_access_key, status.minio_secret_key)
        if key not in self._stores:
            self._stores[key] = MinioAdapter.for_transform(status)
        store = copy.copy(self._stores[key])
        store.bucket = status.request_id
        return store


# The one event loop of a process that the ServiceX client runs on ----------------------------------------------------------------
#
# Its semaphores are global and belong to the first loop that has to wait for them: a second loop would break the first.


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
