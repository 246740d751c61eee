"""A ServiceX server as an endpoint."""

from __future__ import annotations

import contextlib
import queue
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.connection import Connection
from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError
from hep_flows.plugins.servicex.job import Attempt, FileCount, Job
from hep_flows.plugins.servicex.loop_thread import loop_thread
from hep_flows.plugins.servicex.remote_settings import RemoteSettings
from hep_flows.plugins.servicex.run_remote import run_remote
from hep_flows.plugins.servicex.scratch import clear_folder
from hep_flows.plugins.servicex.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.plugins.servicex.endpoint import Query, Watch
    from hep_flows.plugins.servicex.server import ServerInfo

_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


_Item = Delivered | EndpointError | FileCount | Attempt | _End


@dataclass(frozen=True, slots=True)
class RemoteServiceX:
    """A server that the user has set up.

    Parameters
    ----------
    address : Address
        Where it is: one of `configured_endpoints`.
    settings : RemoteSettings
        How patient to be, and how much to ask for at a time.
    others : tuple of Address
        Servers that take over what is missing when this one cannot be reached or does not let the user in; none unless given.
    """

    address: Address
    settings: RemoteSettings = field(default_factory=RemoteSettings)
    others: tuple[Address, ...] = ()

    @property
    def name(self) -> str:
        """Give the name that the plan shows."""
        return f"servicex {self.address.name}"

    def info(self) -> ServerInfo:
        """Ask the server for its version, its code generators and what else it can do.

        Raises
        ------
        EndpointError
            When it does not answer, or does not let the user in.
        """
        inbox: queue.SimpleQueue[ServerInfo | _End] = queue.SimpleQueue()

        async def ask() -> None:
            inbox.put(await Server(self.address, self.settings, Connection(self.address)).info())

        loop_thread().start(ask(), lambda error: inbox.put(_End(error)))
        got = inbox.get()
        if isinstance(got, _End):
            raise got.error if got.error is not None else EndpointError(f"{self.address.name} was not asked")
        return got

    def run(self, query: Query, files: Sequence[str], scratch: str, watch: Watch) -> Iterator[Delivered | EndpointError]:
        """Give each result as soon as it is here and has been opened, or why a file failed after every attempt.

        A name such as ``rucio://scope:name`` is a dataset: its results have the names of their objects as ``file``, and an error with
        the dataset as ``file`` says that they are not all. Closing the iterator cancels what runs at the server.

        Raises
        ------
        EndpointError
            When the server cannot be used, the query is refused, the deadline has passed, or the caller has cancelled.
        """
        folder = Path(tempfile.mkdtemp(prefix="servicex-", dir=scratch))
        inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        thread, handed = loop_thread(), set[str]()
        work = run_remote(Job(query, str(folder), self.settings, inbox.put), list(files), (self.address, *self.others), thread)
        running = thread.start(work, lambda error: inbox.put(_End(error)))
        try:
            for item in _received(inbox, dict.fromkeys(files, 1), watch):
                if isinstance(item, Delivered):
                    handed.add(item.path)
                yield item
        finally:
            running.stop(self.settings.cancel_s)
            clear_folder(folder, handed)


def _received(inbox: queue.SimpleQueue[_Item], sizes: dict[str, int], watch: Watch) -> Iterator[Delivered | EndpointError]:
    """Give what comes, until the work ends; ``sizes`` are the numbers of files by the names that were asked for."""
    done = failed = 0
    while not isinstance(item := _next(inbox, watch), _End):
        if isinstance(item, Attempt):
            watch.tried(item.number)
            continue
        if isinstance(item, FileCount):
            changed, sizes[item.dataset] = sizes.get(item.dataset) != item.files, item.files
        else:
            changed, done, failed = True, done + isinstance(item, Delivered), failed + isinstance(item, EndpointError)
        if changed:
            watch.progress(done, failed, sum(sizes.values()))
        if not isinstance(item, FileCount):
            yield item
    if item.error is not None:
        raise item.error


def _next(inbox: queue.SimpleQueue[_Item], watch: Watch) -> _Item:
    while True:
        if watch.cancelled():
            raise EndpointError("cancelled")
        with contextlib.suppress(queue.Empty):
            return inbox.get(timeout=_LOOK_S)
