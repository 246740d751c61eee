"""A query over files and datasets as requests to servers: in pieces, with what failed asked for again."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.ask_server import AskServer
from hep_flows.plugins.servicex.connection import Connection
from hep_flows.plugins.servicex.endpoint import EndpointError
from hep_flows.plugins.servicex.failures import UnavailableError
from hep_flows.plugins.servicex.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.plugins.servicex.job import Job
    from hep_flows.plugins.servicex.loop_thread import LoopThread

_LOG = logging.getLogger(__name__)


async def run_remote(job: Job, names: Sequence[str], addresses: Sequence[Address], thread: LoopThread) -> None:
    """Run a query over files and datasets to its end.

    Where a server cannot be used at all, what is still missing goes to the next address; there is none unless the user gave one.

    Raises
    ------
    EndpointError
        When the query fails as a whole.
    """
    late = False
    try:
        async with asyncio.timeout(job.settings.deadline_s):
            await _one_after_the_other(job, names, addresses, thread)
    except TimeoutError:
        late = True
    if late:
        missing = job.missing(names)
        text = f"no result within {job.settings.deadline_s:g} s: {len(missing)} of {len(dict.fromkeys(names))} missing"
        raise EndpointError(f"{text}, the first is {missing[0]}" if missing else text, transient=True)


async def _one_after_the_other(job: Job, names: Sequence[str], addresses: Sequence[Address], thread: LoopThread) -> None:
    for address, following in zip(addresses, [*addresses[1:], None], strict=True):
        server = Server(address, job.settings, thread.keep(address, partial(Connection, address)))
        try:
            await AskServer(job, server, thread).all(job.missing(names))
        except UnavailableError as error:
            if following is None:
                raise
            _LOG.warning("%s; going on with %s", error.text, following.name)
        else:
            return
        finally:
            await server.close()
