"""Ask one server for everything that is missing."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from hep_flows.plugins.servicex.code_generators import code_generator
from hep_flows.plugins.servicex.endpoint import EndpointError
from hep_flows.plugins.servicex.failures import UnavailableError
from hep_flows.plugins.servicex.follow import Follower, Wanted
from hep_flows.plugins.servicex.job import Attempt, FileCount
from hep_flows.plugins.servicex.judge import shortfall
from hep_flows.plugins.servicex.object_names import ObjectNames
from hep_flows.plugins.servicex.pieces import Piece, pieces, pieces_of_files

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from servicex.models import TransformRequest

    from hep_flows.plugins.servicex.follow import Ended
    from hep_flows.plugins.servicex.job import Job
    from hep_flows.plugins.servicex.judge import Shortfall
    from hep_flows.plugins.servicex.loop_thread import LoopThread
    from hep_flows.plugins.servicex.server import Server

_LOG = logging.getLogger(__name__)


class AskServer:
    """The work of one job at one server.

    Parameters
    ----------
    job : Job
        The query, and what has come.
    server : Server
        Who is asked.
    thread : LoopThread
        Where it runs: its limits hold for the whole process.
    """

    def __init__(self, job: Job, server: Server, thread: LoopThread) -> None:
        self.job, self.server = job, server
        self._requests = thread.limit(f"requests to {server.address.url}", job.settings.requests)
        self._downloads = thread.limit("downloads", job.settings.downloads)
        self._lacks: dict[str, list[Shortfall]] = {}
        self._generator = ""

    async def all(self, names: Sequence[str]) -> None:
        """Ask for every file and dataset.

        Raises
        ------
        EndpointError
            When the server refuses the query, or cannot be used.
        """
        self._generator = await self._choose_generator()
        cut = pieces(names, self.job.settings.chunk_files, converted=self._converted)
        await _together([self._whole(p) for p in cut])

    @property
    def _converted(self) -> bool:
        """Say whether the transformer writes ROOT, and the server makes Parquet of it: those that run C++ do."""
        return self.job.query.dialect == "xaod"

    async def _choose_generator(self) -> str:
        dialect, available = self.job.query.dialect, (await self.server.info()).code_generators
        told = self.job.settings.code_generators.get(dialect, "")
        chosen = code_generator(dialect, available, told)
        if not chosen:
            wanted, listed = told or f"for {dialect}", ", ".join(sorted(available)) or "none"
            raise EndpointError(f"{self.server.shown} has no code generator {wanted}; it has: {listed}")
        return chosen

    async def _whole(self, piece: Piece) -> None:
        """Ask for a piece until nothing more can be done; a dataset has one error, whatever is missing of it."""
        await self._ask(piece, 0)
        if piece.dataset:
            lacks = self._lacks.get(piece.dataset, [])
            self.job.settle(piece.dataset, _failed(piece.dataset, lacks[0]) if lacks else None)

    async def _ask(self, piece: Piece, attempt: int) -> None:
        """Ask for one piece; what fails is asked for again in smaller pieces, so that a bad file does not spoil others for long."""
        if attempt:
            self.job.put(Attempt(attempt + 1))
        have = frozenset(self.job.have.get(piece.dataset, ()))
        wanted = Wanted(self._request(piece), self.job.query.columns, piece, have, self._converted)
        async with self._requests:
            ended = await self._follow(wanted)
            lack = await shortfall(self.server, wanted, ended)
        if lack is None:
            return
        if not lack.again or attempt + 1 >= self.job.settings.attempts:
            self._give_up(piece, ended, lack)
            return
        smaller = await self._missing(piece, ended, attempt)
        _LOG.info("asking again for what is missing of %s: %s", piece.name, lack.text)
        await asyncio.sleep(self.job.settings.wait_s(attempt, random.random()))  # noqa: S311 - it spreads calls, it hides nothing
        await _together([self._ask(p, attempt + 1) for p in smaller])

    async def _missing(self, piece: Piece, ended: Ended, attempt: int) -> list[Piece]:
        """Give what is to be asked for again: of a dataset, the missing files where the server tells them, else all of it."""
        most = max(1, self.job.settings.chunk_files // 4 ** (attempt + 1))
        if piece.files:
            return pieces_of_files(
                [f for f in piece.files if f not in ended.delivered], most, piece.dataset, converted=self._converted
            )
        files = await self.server.dataset_files(ended.status) if ended.status is not None else ()
        names = ObjectNames([copy for copies in files for copy in copies])
        found = {names.file_of(result) for result in ended.delivered}
        missing = [copies[0] for copies in files if not found & set(copies)]
        if not missing or len(files) - len(missing) != len(ended.delivered):
            return [piece]
        return pieces_of_files(missing, most, piece.dataset, converted=self._converted)

    async def _follow(self, wanted: Wanted) -> Ended:
        def count(files: int) -> None:
            if not wanted.piece.files:
                self.job.put(FileCount(wanted.piece.dataset, files))

        return await Follower(self.server, wanted, self.job.folder, self._downloads, self.job.deliver, count).run()

    def _request(self, piece: Piece) -> TransformRequest:
        from servicex.models import ResultDestination, ResultFormat, TransformRequest

        return TransformRequest(
            title=f"hep_flows {', '.join(self.job.query.columns)}"[:128],
            did=None if piece.files else piece.dataset,
            file_list=list(piece.files) or None,
            selection=self.job.query.text,
            codegen=self._generator,
            result_destination=ResultDestination.object_store,
            result_format=ResultFormat.parquet,
        )

    def _give_up(self, piece: Piece, ended: Ended, lack: Shortfall) -> None:
        lost = next((p for p in ended.problems if isinstance(p, UnavailableError)), None)
        if lost is not None:  # it is the server, not the piece
            raise lost
        if piece.dataset:
            self._lacks.setdefault(piece.dataset, []).append(lack)
            return
        for file in piece.files:
            if file not in ended.delivered:
                self.job.settle(file, _failed(file, lack))


def _failed(name: str, lack: Shortfall) -> EndpointError:
    return EndpointError(f"{name}: {lack.text}", file=name, transient=lack.transient)


async def _together(work: list[Coroutine[Any, Any, None]]) -> None:
    """Do everything at the same time; the first error ends the rest, and is raised when the rest has cleaned up."""
    tasks = [asyncio.create_task(w) for w in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
