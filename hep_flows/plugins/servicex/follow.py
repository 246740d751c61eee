"""One request at a server, from its submission to its end: every result is fetched, checked and handed on as it comes.

A request is judged by what came, never by what the client or a status says alone: see `why_incomplete`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.check_file import check_parquet
from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError
from hep_flows.plugins.servicex.failures import ForgottenError, UnavailableError
from hep_flows.plugins.servicex.object_names import ObjectNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from servicex.models import TransformRequest, TransformStatus

    from hep_flows.plugins.servicex.pieces import Piece
    from hep_flows.plugins.servicex.server import RemoteObject, Server

FINAL = ("Complete", "Fatal", "Canceled", "Bad Dataset")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request is for.

    Parameters
    ----------
    request : TransformRequest
        As it is submitted.
    columns : tuple of str
        What every result must have.
    piece : Piece
        The files of its list, or the dataset.
    have : frozenset of str
        Names of results that came from an earlier request for the same dataset.
    is_converted : bool
        Whether the transformer writes ROOT, and the server makes Parquet of it.
    """

    request: TransformRequest
    columns: tuple[str, ...]
    piece: Piece
    have: frozenset[str] = frozenset()
    is_converted: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended.

    Parameters
    ----------
    request_id : str
        Its id.
    status : TransformStatus, optional
        What the server said last.
    delivered : frozenset of str
        The files of the list whose results came; for a dataset as a whole, the names of the results.
    problems : tuple of EndpointError
        Results that could not be used, and what ended it early.
    """

    request_id: str
    status: TransformStatus | None
    delivered: frozenset[str]
    problems: tuple[EndpointError, ...] = ()


class Follower:
    """Follows one request.

    Parameters
    ----------
    server : Server
        Where it runs.
    wanted : Wanted
        What it is for.
    folder : str
        Where its results go.
    downloads : Semaphore
        How many are fetched at the same time.
    deliver, count : callable
        Get each result that is good, and the number of files of a dataset when it is known.
    """

    def __init__(
        self,
        server: Server,
        wanted: Wanted,
        folder: str,
        downloads: asyncio.Semaphore,
        deliver: Callable[[Delivered], None],
        count: Callable[[int], None],
    ) -> None:
        self.server, self.wanted, self.folder = server, wanted, folder
        self._downloads, self._deliver, self._count = downloads, deliver, count
        self._names = ObjectNames(wanted.piece.files)
        self._seen: dict[str, asyncio.Task[None]] = {}
        self._delivered: set[str] = set()
        self._problems: list[EndpointError] = []
        self._latest: datetime | None = None
        self._status: TransformStatus | None = None

    async def run(self) -> Ended:
        """Submit, follow, and say how it ended; when it is given up, it is cancelled at the server."""
        request_id = await self._submit()
        try:
            await self._follow(request_id)
        except UnavailableError as error:
            # One request may be lost at a server that is well; if the server is not, the next submission will say so.
            if error.unauthorised:
                raise
            self._problems.append(error)
        except ForgottenError as error:
            self._problems.append(error)
        finally:
            await cancel_all(self._seen.values())
            if self._is_open():
                await self.server.cancel(request_id)
        return Ended(request_id, self._status, frozenset(self._delivered), tuple(self._problems))

    async def _submit(self) -> str:
        """Submit; one that is given up while it is under way is cancelled when its id is known."""
        submission = asyncio.ensure_future(self.server.submit(self.wanted.request))
        try:
            return await asyncio.shield(submission)
        except asyncio.CancelledError:
            await asyncio.wait({submission}, timeout=self.server.settings.cancel_s)
            if submission.done() and not submission.cancelled() and submission.exception() is None:
                await self.server.cancel(submission.result())
            submission.cancel()
            raise

    def _is_open(self) -> bool:
        if any(isinstance(p, ForgottenError) for p in self._problems) or self._has_all():
            return False
        return self._status is None or self._status.status.value not in FINAL

    async def _follow(self, request_id: str) -> None:
        settings, clock = self.server.settings, asyncio.get_running_loop().time
        begun = changed = clock()
        before = None
        while True:
            status = self._status = await self.server.status(request_id)
            final = status.status.value in FINAL
            if status.files:
                self._count(status.files)
            if status.files_completed > len(self._seen) or (final and status.files_completed != len(self._seen)):
                await self._look_for_results(status, everything=final)
            now = (status.status, status.files, status.files_completed, status.files_failed, len(self._seen), self._n_fetched())
            changed, before = (changed if now == before else clock()), now
            if self._all_are_announced() or (final and len(self._seen) >= status.files_completed):
                break
            if clock() - changed > (settings.settle_s if final else settings.stall_s):
                self._problems.append(_stuck(status, len(self._seen), clock() - changed))
                break
            # A tenth of what it has taken so far: soon enough for short requests, seldom enough for long ones.
            await asyncio.sleep(min(max(0.1, (clock() - begun) / 10), settings.poll_s))
        await self._wait_for_fetches(settings.stall_s)

    async def _wait_for_fetches(self, patience_s: float) -> None:
        """Wait for what is being fetched, as long as something comes now and then."""
        pending: set[asyncio.Task[None]] = set(self._seen.values())
        while pending:
            done, pending = await asyncio.wait(pending, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if not done:
                text = f"{len(pending)} results are announced, and none could be fetched within {patience_s:g} s"
                self._problems.append(EndpointError(text, transient=True))
                return

    def _n_fetched(self) -> int:
        return sum([t.done() for t in self._seen.values()])

    def _has_all(self) -> bool:
        files = self.wanted.piece.files
        return bool(files) and self._delivered >= set(files)

    def _all_are_announced(self) -> bool:
        """Say whether there is nothing more to wait for, whatever the server still does."""
        files = self.wanted.piece.files
        return bool(files) and {self._names.file_of(name) for name in self._seen} >= set(files)

    async def _look_for_results(self, status: TransformStatus, *, everything: bool) -> None:
        """Start to fetch what is new. Times of results overlap a little: they become visible later than they are made."""
        since = None if everything or self._latest is None else self._latest - timedelta(seconds=5)
        for found in await self.server.results(status, since):
            if found.created_at is not None and (self._latest is None or found.created_at > self._latest):
                self._latest = found.created_at
            if found.name not in self._seen:
                self._seen[found.name] = asyncio.create_task(self._take(status, found, len(self._seen)))

    async def _take(self, status: TransformStatus, found: RemoteObject, number: int) -> None:
        """Fetch a result, check it, hand it on; a failure is kept, so that the others go on."""
        try:
            file = self._file_of(found.name)
            if found.name in self.wanted.have:
                self._delivered.add(file)
                return
            async with self._downloads:
                place = self._place(status, found.name, number)
                path = await self.server.fetch(status, found, place, is_converted=self.wanted.is_converted)
                await asyncio.to_thread(check_parquet, path, self.wanted.columns, found.name)
        except EndpointError as error:
            self._problems.append(error)
            return
        if file not in self._delivered:
            self._delivered.add(file)
            dataset = self.wanted.piece.dataset
            self._deliver(Delivered(found.name if dataset else file, path, status.request_id, dataset))

    def _place(self, status: TransformStatus, name: str, number: int) -> str:
        """Give a folder of its own to each result: the client changes characters of the name, and two could become one."""
        if "/" in name or "\\" in name or name in {"", ".", ".."}:
            raise EndpointError(f"the result has the name {name!r}, which is no file name")
        return str(Path(self.folder, status.request_id, str(number)))

    def _file_of(self, name: str) -> str:
        files = self.wanted.piece.files
        if not files:
            return name
        found = self._names.file_of(name) or (files[0] if len(files) == 1 else "")
        if found:
            return found
        raise EndpointError(f"the result {name!r} belongs to none of the files that were asked for", transient=True)


async def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End tasks, and wait until they have cleaned up, but not for long."""
    open_ones = [t for t in tasks if not t.done()]
    for task in open_ones:
        task.cancel()
    if open_ones:
        await asyncio.wait(open_ones, timeout=5)


def _stuck(status: TransformStatus, n_seen: int, seconds: float) -> EndpointError:
    if status.status.value in FINAL:
        text = f"{status.files_completed} files are counted as done, and {n_seen} results are there"
    else:
        text = f"nothing has changed for {seconds:.3g} s, and the request was cancelled"
    return EndpointError(text, transient=True)
