"""A ServiceX server as an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import queue
import random
import re
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.plugins.servicex.addresses import RemoteSettings
from hep_flows.plugins.servicex.client import Connection, ForgottenError, Server, UnavailableError, loop_thread
from hep_flows.plugins.servicex.query import Delivered, EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
    from datetime import datetime

    from servicex.models import TransformRequest, TransformStatus

    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.plugins.servicex.client import LoopThread, RemoteObject, ServerInfo
    from hep_flows.plugins.servicex.query import Dialect, Query, Watch

# The folder of one run: nothing but what was handed over stays in it -------------------------------------------------------------


def clear_folder(folder: Path, keep: Collection[str]) -> None:
    """Remove every file that is not to be kept, such as a half of a result, and the folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_dir() and str(path) not in keep:
            path.unlink(missing_ok=True)
    for path in [*sorted([p for p in folder.rglob("*") if p.is_dir()], reverse=True), folder]:
        with contextlib.suppress(OSError):  # it holds something
            path.rmdir()


# A query under way: what it is, and what has come so far, from whatever server ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileCount:
    """How many files a dataset turned out to have."""

    dataset: str
    files: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """That something is asked for once more; the second attempt is number 2."""

    number: int


@dataclass(frozen=True, slots=True)
class Job:
    """A query under way.

    Parameters
    ----------
    query : Query
        What is asked of every file.
    folder : str
        Where results go.
    settings : RemoteSettings
        How.
    put : callable
        Gets every result, every final failure, the number of files of each dataset, and every attempt after the first.
    settled : set of str
        The names, of those that were asked for, that are done or have failed for good.
    have : dict
        The names of the results that came, by dataset.
    """

    query: Query
    folder: str
    settings: RemoteSettings
    put: Callable[[Delivered | EndpointError | FileCount | Attempt], None]
    settled: set[str] = field(default_factory=set)
    have: dict[str, set[str]] = field(default_factory=dict)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Give the names that are not settled."""
        return [n for n in dict.fromkeys(names) if n not in self.settled]

    def deliver(self, result: Delivered) -> None:
        """Hand a result on."""
        if result.dataset:
            self.have.setdefault(result.dataset, set()).add(result.file)
        else:
            self.settled.add(result.file)
        self.put(result)

    def settle(self, name: str, error: EndpointError | None = None) -> None:
        """Note that nothing more comes for a name, and hand on why that is a failure."""
        self.settled.add(name)
        if error is not None:
            self.put(error)


# Which input file a result belongs to: a transformer names the object after the file ---------------------------------------------
#
# A transformer that writes Parquet adds ``.parquet``. One that writes ROOT only, as those that run C++ do, has its results turned into Parquet
# beside it, and there ``.parquet`` takes the place of what stands after the last dot: ``a.root`` gives ``a.parquet``, and ``a.root.1`` gives
# ``a.root.parquet``. A site that reads through a cache puts the cache's address in front. A name that is too long for a store is a digest and
# its end.

_LONGEST = 255
_PARQUET = ".parquet"
_CACHE = re.compile(r"root:::[^:]+(?::\d+)?::(?P<name>.+)", re.DOTALL)
_SHORT = re.compile(r"_[0-9a-f]{40}(?P<end>.+)", re.DOTALL)


def object_name(file: str, *, converted: bool = False) -> str:
    """Give the name of a file's result; ``converted`` where the server makes Parquet of what the transformer writes."""
    name = _plain_name(file)
    return (_stem(name) if converted else name) + _PARQUET


class ObjectNames:
    """Finds the file that a result belongs to.

    Parameters
    ----------
    files : sequence of str
        The files of one request.
    """

    def __init__(self, files: Sequence[str]) -> None:
        """Every name that a result may have is known."""
        self._files: dict[str, str] = {}
        for converted in (False, True):
            for file in files:
                for name in _possible(file, converted=converted):
                    self._files.setdefault(name, file)

    def file_of(self, name: str) -> str:
        """Give the file of a result; empty where it is not clear."""
        found = next((self._files[n] for n in _readings(name) if n in self._files), "")
        short = _SHORT.fullmatch(name)
        if found or short is None:
            return found
        # The digest of a name with a cache's address in it cannot be known here; what is left of the name may be enough.
        ends = {file for known, file in self._files.items() if known.endswith(short["end"])}
        return ends.pop() if len(ends) == 1 else ""


def _readings(name: str) -> Iterator[str]:
    yield name
    cached = _CACHE.fullmatch(name)
    if cached is not None:
        yield cached["name"]


def _possible(file: str, *, converted: bool) -> Iterator[str]:
    yield object_name(file, converted=converted)
    name = _plain_name(file)
    if converted and len(name) > _LONGEST:
        yield _stem(_shortened(name, _LONGEST)) + _PARQUET
    elif not converted and len(name + _PARQUET) > _LONGEST:
        yield _shortened(name + _PARQUET, _LONGEST)
        yield _shortened(name, _LONGEST) + _PARQUET


def _plain_name(file: str) -> str:
    return re.sub("^davs", "https", file).replace("/", ":")


def _stem(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix else name


def _shortened(name: str, length: int) -> str:
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return f"_{digest}{name[-(length - len(digest) - 1) :]}"


# Open a delivered Parquet file: one that cannot be read, or that lacks a column, has not been delivered --------------------------

_NO_COLUMN = "it has no column"


def check_parquet(path: str, columns: Sequence[str], name: str) -> None:
    """Open a result; one that cannot be used is removed.

    Raises
    ------
    EndpointError
        When footer, columns or numbers of rows are not as they should be; it names the result.
    """
    wrong = _why_not(path, columns)
    if wrong:
        Path(path).unlink()
        raise EndpointError(f"the result {name!r} cannot be used: {wrong}", transient=not wrong.startswith(_NO_COLUMN))


def _why_not(path: str, columns: Sequence[str]) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names, footer = _columns(file.schema_arrow), file.metadata
    except (pa.ArrowException, OSError) as error:
        return f"it is no Parquet file ({str(error).splitlines()[0]}), {Path(path).stat().st_size} bytes"
    missing = [c for c in columns if c not in names]
    if missing:
        return f"{_NO_COLUMN} {', '.join(missing)}, but {', '.join(names)}"
    rows = sum([footer.row_group(i).num_rows for i in range(footer.num_row_groups)])
    return "" if rows == footer.num_rows else f"its footer counts {footer.num_rows} rows, its row groups {rows}"


def _columns(schema: Any) -> list[str]:
    """Give the names of the columns. A single one may come as lists of records of it, in a column without a name."""
    import pyarrow as pa

    if schema.names != [""]:
        return list(schema.names)
    inner = schema.field(0).type
    while pa.types.is_list(inner) or pa.types.is_large_list(inner):
        inner = inner.value_type
    return [field.name for field in inner] if pa.types.is_struct(inner) else [""]


# One request at a server, from its submission to its end: every result is fetched, checked and handed on as it comes -------------
#
# A request is judged by what came, never by what the client or a status says alone: see `why_incomplete`.

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


# Whether a request gave everything, and if not, why, and whether to ask again ----------------------------------------------------

_LOOKUPS = {
    "does_not_exist": "the dataset does not exist",
    "bad_name": "the name of the dataset is malformed",
    "internal_failure": "the look-up of the dataset failed",
}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a request did not give.

    Parameters
    ----------
    text : str
        Why, with the id of the request, its counts, and the address of the log.
    again : bool
        Whether a new request may give it.
    transient : bool
        Whether the reason may pass, as far as one can know.
    """

    text: str
    again: bool
    transient: bool


async def shortfall(server: Server, wanted: Wanted, ended: Ended) -> Shortfall | None:
    """Say what is missing; None when there is everything.

    A list is complete when each of its files has come. For a dataset nobody else knows the number of files: the server must call the
    request complete, without failures, and count at least one file, as many done as there are, and as many as have come.
    """
    status = ended.status
    if wanted.piece.files:
        if ended.delivered >= set(wanted.piece.files):
            return None
    elif status is not None and status.status.value == "Complete" and not status.files_failed:
        if status.files == 0:
            return Shortfall(_worded(server, ended, "the dataset has no files"), again=False, transient=False)
        if status.files == status.files_completed == len(ended.delivered):
            return None if wanted.have <= ended.delivered else _renamed(server, wanted, ended)
    return await _why(server, ended)


def _renamed(server: Server, wanted: Wanted, ended: Ended) -> Shortfall:
    """A second request for a dataset may read other copies of its files: what came from the first cannot be told apart any more."""
    odd = min(wanted.have - ended.delivered)
    text = f"results of an earlier request are none of this one's, {odd!r} for one: files of the dataset may have come twice"
    return Shortfall(_worded(server, ended, text), again=False, transient=True)


async def _why(server: Server, ended: Ended) -> Shortfall:
    status = ended.status
    problem = _worst(ended.problems)
    end = "" if status is None else status.status.value
    if status is not None and end == "Bad Dataset":
        word = await server.lookup_status(status)
        text = _LOOKUPS.get(word, "the dataset could not be looked up")
        return Shortfall(_worded(server, ended, text), again=word == "internal_failure", transient=word == "internal_failure")
    said = [p.text for p in ended.problems[:3]]
    if len(ended.problems) > 3:
        said.append(f"and {len(ended.problems) - 3} more")
    if status is not None and (status.files_failed or end == "Fatal"):
        reason = await server.reason(ended.request_id)
        said += [f"the server says: {reason}"] if reason else []
    stopped = end == "Canceled" or (problem is not None and not problem.transient)
    transient = not stopped and problem is not None
    return Shortfall(_worded(server, ended, "; ".join(said) or _plain_status(status)), again=not stopped, transient=transient)


def _worst(problems: tuple[EndpointError, ...]) -> EndpointError | None:
    """Give the problem that decides: one that asking again cannot mend, else the first."""
    return next((p for p in problems if not p.transient), problems[0] if problems else None)


def _plain_status(status: TransformStatus | None) -> str:
    if status is None:
        return "it was never seen again"
    if status.status.value == "Canceled":
        return "it was cancelled at the server"
    return f"{status.files_failed} of {status.files} files failed" if status.files_failed else "results are missing"


def _worded(server: Server, ended: Ended, text: str) -> str:
    status = ended.status
    head = f"request {ended.request_id} at {server.shown}"
    if status is None or any(isinstance(p, ForgottenError) for p in ended.problems):
        return f"{head}: {server.scrubbed(text)}"
    counts = f"{status.status.value}, {status.files_completed} of {status.files} files done, {status.files_failed} failed"
    log = f"; log: {status.log_url}" if status.log_url else ""
    return server.scrubbed(f"{head}: {text} [{counts}]{log}")


# What one request asks for: a dataset as a whole, or some files, of the user's list or of a dataset ------------------------------

_DATASETS = ("rucio://", "cernopendata://", "xrootd://")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the work.

    Parameters
    ----------
    files : tuple of str
        The files of a list; empty for a dataset as a whole.
    dataset : str
        The dataset that it is, or that the files are of; empty for files that the user listed.
    """

    files: tuple[str, ...] = ()
    dataset: str = ""

    @property
    def name(self) -> str:
        """Give what it is called in messages."""
        return self.dataset or self.files[0]


def is_dataset(name: str) -> bool:
    """Say whether the name is a dataset whose files the server looks up."""
    return name.startswith(_DATASETS)


def pieces(names: Sequence[str], most: int, *, converted: bool = False) -> list[Piece]:
    """Cut a list of files and datasets: each dataset is a piece of its own, and each file is in one piece once."""
    distinct = dict.fromkeys(names)
    datasets = [Piece(dataset=n) for n in distinct if is_dataset(n)]
    return [*datasets, *pieces_of_files([n for n in distinct if not is_dataset(n)], most, converted=converted)]


def pieces_of_files(files: Sequence[str], most: int, dataset: str = "", *, converted: bool = False) -> list[Piece]:
    """Cut a list of files; two whose results would have one name never stand in one piece: one would overwrite the other."""
    lists: list[list[str]] = []
    times: dict[str, int] = {}
    for file in files:
        name = object_name(file, converted=converted)
        times[name] = times.get(name, 0) + 1
        if times[name] > len(lists):
            lists.append([])
        lists[times[name] - 1].append(file)
    return [Piece(tuple(part[i : i + most]), dataset) for part in lists for i in range(0, len(part), most)]


# Which of a server's code generators understands a dialect: names come from the server, since they differ between servers --------


def code_generator(dialect: Dialect, available: Collection[str], told: str = "") -> str:
    """Give the name of the code generator; empty where the server has none.

    For ``xaod`` it is the one of the newest release, ``atlasr25`` before ``atlasr22``, and ``atlasxaod`` where there is no such name.
    """
    if told:
        return told if told in available else ""
    if dialect == "uproot":
        return "uproot" if "uproot" in available else ""
    releases = [n for n in available if n.startswith("atlasr") and n.removeprefix("atlasr").isdigit()]
    if releases:
        return max(releases, key=lambda n: int(n.removeprefix("atlasr")))
    return next((n for n in ("atlasxaod", "atlas_xaod") if n in available), "")


# Ask one server for everything that is missing -----------------------------------------------------------------------------------

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


# A query over files and datasets as requests to servers: in pieces, with what failed asked for again -----------------------------


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
