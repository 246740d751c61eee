"""How tasks become queries, and what comes back becomes results: one way for each language that a back end understands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hep_flows.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Partition, Result, Task
    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr

XAOD = frozenset({"servicex:xaod-cpp"})


MODELS = ("nanoaod", "xaod", "tree")
UPROOT = frozenset([f"servicex:{model}" for model in MODELS])


# Functions of users in C++, by the names that they have in queries.
_OWN = re.compile(r"'hf_user_(\w+)_[0-9a-f]{8}'")
_FAILED = re.compile(r"[1-9]\d* failed\]")
_START, _END = 200, 1000


class Request(Protocol):
    """One query, and the tasks that it answers."""

    @property
    def query(self) -> Query:
        """What is sent."""
        ...

    @property
    def keys(self) -> Collection[Key]:
        """The keys of the tasks."""
        ...

    @property
    def where(self) -> Where:
        """The user's line."""
        ...

    @property
    def only_counts(self) -> bool:
        """Whether all that is asked for is the number of all events: where that is known, nothing is sent."""
        ...

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        ...

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give what is known without a query: a number of events, or that there is nothing."""
        ...


class Wording(Protocol):
    """A language of queries."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of tables that are asked about in it."""
        ...

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        ...

    def requests(self, dataset: Dataset, tasks: Sequence[Task]) -> Sequence[Request]:
        """Give the queries that answer tasks over one table: one for each selection of events.

        Raises
        ------
        Refused
            When a task cannot be said.
        """
        ...

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files, in the order given; without any, that of no events."""
        ...


def is_known(request: Request, partition: Partition) -> bool:
    """Say whether nothing has to be sent for a file.

    Raises
    ------
    TaskError
        When only the events of a file are to be counted that no number of each event could be asked of.
    """
    if partition.is_counted:
        return request.only_counts or not partition.n_events
    if request.query.text:
        return False
    raise TaskError(
        "the events of a dataset at a server cannot be counted",
        where=request.where,
        why="it has no number for each event",
        do="count something in them",
    )


def unsent(endpoint: str, request: Request, error: EndpointError) -> TaskError:
    """Give the error of an endpoint, by its name, at the user's line."""
    place, text = (f" on {error.file}", error.text.removeprefix(f"{error.file}: ")) if error.file else ("", error.text)
    sent = request.query.text
    own = dict.fromkeys(_OWN.findall(sent) if _FAILED.search(text) else ())
    again = "run it again later: what was delivered is stored, and is not asked for again" if error.transient else ""
    do = f"see whether the C++ of {', '.join(own)} compiles: it was sent along" if own else again
    return TaskError(f"{endpoint} failed{place}: {text}", where=request.where, why=f"the query is {_shortened(sent)}", do=do)


def _shortened(text: str) -> str:
    """Give a query without its middle where it is long: what is asked for stands at the end."""
    left = len(text) - _START - _END
    return text if left <= 0 else f"{text[:_START]} ... ({left:,} characters, which the plan shows) ... {text[-_END:]}"


# What runs a func_adl query elsewhere: a ServiceX server -------------------------------------------------------------------------
#
# An endpoint gives each input file's result as a Parquet file of its own, and never a part of the files as all of them.

Dialect = Literal["uproot", "xaod"]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of every file.

    Parameters
    ----------
    text : str
        The query in qastle.
    dialect : str
        The language that the text is written in: which code generator understands it.
    columns : tuple of str
        The columns that come back; they are taken by name, since their order differs between formats.
    reads : tuple of str
        The branches that a file must have, so that an endpoint can open these and no others; empty where that is not known.
    tree : str
        The tree, for the uproot dialect.
    """

    text: str
    dialect: Dialect
    columns: tuple[str, ...]
    reads: tuple[str, ...] = ()
    tree: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result for one input file: a Parquet file with the columns of the query, one row for each event that passed.

    Parameters
    ----------
    file : str
        The input file; the name of the result at the server where the server alone knows the files.
    path : str
        The Parquet file. It is the receiver's to read, move or remove; what is left goes with the scratch folder.
    request_id : str
        The request at the server; empty where there was none.
    dataset : str
        The dataset that was asked for, such as ``rucio://scope:name``; empty for a file of a list.
    """

    file: str
    path: str
    request_id: str = ""
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """How the caller follows a query and ends it.

    Parameters
    ----------
    cancelled : callable
        Asked now and then; true ends the query, at the server too.
    progress : callable
        Gets the files that are done, those that failed, and all of them.
    tried : callable
        Gets the number of an attempt, from the second one on.
    """

    cancelled: Callable[[], bool] = field(default=lambda: False)
    progress: Callable[[int, int, int], None] = field(default=lambda _done, _failed, _all: None)
    tried: Callable[[int], None] = field(default=lambda _attempt: None)


class Endpoint(Protocol):
    """Something that runs queries on whole files."""

    @property
    def name(self) -> str:
        """Give the name that a plan shows."""
        ...

    def run(self, query: Query, files: Sequence[str], scratch: str, watch: Watch) -> Iterator[Delivered | EndpointError]:
        """Give the result of each file as it comes, in any order, or why that file failed: each file exactly once.

        Files may be datasets, where the endpoint can look them up. A dataset is complete unless there is an error with it as ``file``.

        Raises
        ------
        EndpointError
            When the query fails as a whole, before or while it runs: nothing more will come.
        """
        ...


class EndpointError(Exception):
    """A file, or a whole query, that failed.

    Parameters
    ----------
    text : str
        What failed and why, with dataset, request id, status and log address where there are any; never a token.
    file : str
        The input file; empty where it is the query.
    transient : bool
        Whether asking again may help.
    """

    def __init__(self, text: str, *, file: str = "", transient: bool = False) -> None:
        """Keep the parts."""
        super().__init__(text)
        self.text, self.file, self.transient = text, file, transient


def zipped(parts: Mapping[str, Any], levels: int) -> Any:
    """Put arrays together to records, below so many levels of lists, which all of them share."""
    import numpy as np
    from awkward.contents import ListOffsetArray, RecordArray

    if levels == 0:
        return RecordArray(list(parts.values()), list(parts))
    first = next(iter(parts.values()))
    offsets = np.asarray(first.offsets.data)
    for name, part in parts.items():
        if not np.array_equal(np.asarray(part.offsets.data), offsets):
            raise TaskError(f"the back end delivered lists of other lengths for {name}", why="they are leaves of one collection")
    return ListOffsetArray(first.offsets, zipped({n: p.content for n, p in parts.items()}, levels - 1))
