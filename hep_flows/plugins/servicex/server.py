"""One ServiceX server through the calls of the ``servicex`` client, below the client's own cache.

Every call gives its answer or an `EndpointError`: nothing that the client raises goes further, since its texts may hold tokens, keys or
whole pages of HTML.
"""

from __future__ import annotations

import asyncio
import errno
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hep_flows.plugins.servicex.endpoint import EndpointError
from hep_flows.plugins.servicex.failures import ForgottenError, UnavailableError, failure_of
from hep_flows.plugins.servicex.one_client import OneClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from servicex.models import TransformRequest, TransformStatus

    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.plugins.servicex.connection import Connection
    from hep_flows.plugins.servicex.remote_settings import RemoteSettings

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
