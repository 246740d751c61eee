"""What runs a func_adl query: a ServiceX server, or the server's own code generator in this process.

An endpoint gives each input file's result as a Parquet file of its own, and never a part of the files as all of them.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

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
    columns : mapping of str to ak.Array, optional
        The columns themselves by name, from an endpoint in this process that has no need of a file; the path is empty then.
    """

    file: str
    path: str
    request_id: str = ""
    dataset: str = ""
    columns: Mapping[str, Any] | None = None


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
    workers : int
        How many files may be worked on at a time in this process.
    slot : context manager
        Held while one is.
    """

    cancelled: Callable[[], bool] = field(default=lambda: False)
    progress: Callable[[int, int, int], None] = field(default=lambda _done, _failed, _all: None)
    tried: Callable[[int], None] = field(default=lambda _attempt: None)
    workers: int = 1
    slot: AbstractContextManager[object] = field(default_factory=nullcontext)


class Endpoint(Protocol):
    """Something that runs queries."""

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
