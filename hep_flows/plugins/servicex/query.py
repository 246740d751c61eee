"""What is asked of a back end, what runs it, and how what comes back becomes results."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Partition, Result
    from hep_flows.errors import Where
    from hep_flows.expr.types import Type

XAOD = frozenset({"servicex:xaod-cpp"})


MODELS = ("nanoaod", "xaod", "tree")
UPROOT = frozenset([f"servicex:{model}" for model in MODELS])


# Functions of users in C++, by the names that they have in queries.
_OWN = re.compile(r"'hf_user_(\w+)_[0-9a-f]{8}'")
_FAILED = re.compile(r"[1-9]\d* failed\]")
_START, _END = 200, 1000


@dataclass(frozen=True, slots=True)
class Request:
    """One query, and the tasks that it answers.

    Parameters
    ----------
    query : Query
        What is sent.
    outputs : mapping of bytes to Output, Objects or Rows
        What the result of each task is made of, by its key.
    where : Where
        The user's line.
    only_counts : bool
        Whether all that is asked for is the number of all events: where that is known, nothing is sent.
    """

    query: Query
    outputs: Mapping[Key, Output | Objects | Rows]
    where: Where = None
    only_counts: bool = False

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        return {k: Scalar(n_rows) if isinstance(o, Rows) else Columns(array_of(o, columns)) for k, o in self.outputs.items()}

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give what is known without a query: a number of events, or that there is nothing."""
        return {k: Scalar(n_events) if isinstance(o, Rows) else Columns(array_of(o, nothing(o))) for k, o in self.outputs.items()}


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


# What comes back: columns by name, and the arrays that they make, of exactly the type of their expressions ------------------------


@dataclass(frozen=True, slots=True)
class Output:
    """A result, or a member of one, that is numbers or lists of numbers.

    Parameters
    ----------
    column : str
        The column with the values.
    type : Type
        What the values are, and whether any may be missing.
    levels : int
        How many levels of lists an event has.
    there : str
        The column that says where there are any; empty where all are there, or the values themselves say so.
    where : Where
        The user's line.
    exact : bool
        Whether the back end gives exactly that kind of number. C++ may give a wider one; the conversion is exact.
    """

    column: str
    type: Type
    levels: int
    there: str = ""
    where: Where = None
    exact: bool = True

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        yield self.column
        if self.there:
            yield self.there


@dataclass(frozen=True, slots=True)
class Objects:
    """A result whose items are records; each member has the lists that the records lie in, and may have more."""

    members: tuple[tuple[str, Output | Objects], ...]
    levels: int

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        for _, member in self.members:
            yield from member.columns()


@dataclass(frozen=True, slots=True)
class Rows:
    """The number of events that passed."""

    column: str = ""


def read_columns(path: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Give the columns of a Parquet file as awkward arrays, by name.

    Raises
    ------
    TaskError
        When the file lacks one of them.
    """
    import awkward as ak
    import pyarrow.parquet as pq

    table = pq.read_table(path, memory_map=True)
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise TaskError(
            f"the back end did not deliver the column {missing[0]}", why=f"it delivered {', '.join(table.column_names)}"
        )
    return {n: ak.from_arrow(table.column(n)) for n in names}


def nothing(output: Output | Objects) -> dict[str, Any]:
    """Give the columns of no events."""
    import awkward as ak

    return {name: ak.Array([]) for name in output.columns()}


def array_of(output: Output | Objects, columns: Mapping[str, Any]) -> Any:
    """Give the awkward array of a result.

    Raises
    ------
    TaskError
        When a value is missing that the expression has, or the array is nested in another way.
    """
    import awkward as ak

    return ak.Array(_layout(output, columns, 0))


def _layout(output: Output | Objects, columns: Mapping[str, Any], above: int) -> Any:
    """Give the layout below the lists that the objects around it have."""
    import awkward as ak

    if isinstance(output, Objects):
        parts = {name: _layout(o, columns, output.levels) for name, o in output.members}
        return zipped(parts, output.levels - above)
    there = ak.to_layout(columns[output.there]) if output.there else None
    return _plain(ak.to_layout(columns[output.column]), there, output, output.levels)


def _plain(values: Any, there: Any, output: Output, levels: int) -> Any:
    """Give plain lists of plain numbers, with options where the expression has them."""
    from awkward.contents import ListOffsetArray

    if not levels:
        return _items(values, there, output)
    lists = _lists(values, output)
    inner = None if there is None else _lists(there, output).content
    return ListOffsetArray(lists.offsets, _plain(lists.content, inner, output, levels - 1))


def _items(values: Any, there: Any, output: Output) -> Any:
    import numpy as np
    from awkward.contents import ByteMaskedArray, NumpyArray, UnmaskedArray
    from awkward.index import Index8

    dtype = np.dtype(str(output.type.item))
    if there is not None:
        valid = _numbers(there, output, np.dtype(bool))
        found = _numbers(_there(values, output)[valid], output, dtype)
    elif not output.type.optional:
        return NumpyArray(_numbers(values, output, dtype))
    elif not values.is_option:
        return UnmaskedArray(NumpyArray(_numbers(values, output, dtype)))
    else:
        valid, found = values.mask_as_bool(valid_when=True), _numbers(values.project(), output, dtype)
    data = np.zeros(len(valid), dtype=dtype)
    data[valid] = found
    return ByteMaskedArray(Index8(valid.astype(np.int8)), NumpyArray(data), valid_when=True)


def _there(layout: Any, output: Output) -> Any:
    """Give the items without the option of being missing, which some formats add.

    Raises
    ------
    TaskError
        When one is missing.
    """
    while layout.is_option or layout.is_indexed:
        if layout.is_option and not layout.mask_as_bool(valid_when=True).all():
            raise TaskError(
                "the back end delivered missing values",
                where=output.where,
                why=f"the expression is {output.type}: none of its values is",
            )
        layout = layout.project()
    return layout


def _lists(layout: Any, output: Output) -> Any:
    from awkward.contents import EmptyArray, ListOffsetArray
    from awkward.index import Index64

    layout = _there(layout, output)
    if layout.is_unknown:
        return ListOffsetArray(Index64([0]), EmptyArray())
    if not layout.is_list:
        raise TaskError(f"the back end delivered {layout.form.type} where lists were asked for", where=output.where)
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    return lists.copy(content=lists.content[: int(lists.offsets[-1])])


def _numbers(layout: Any, output: Output, dtype: Any) -> Any:
    import numpy as np

    layout = _there(layout, output)
    if layout.is_unknown:
        return np.zeros(0, dtype=dtype)
    if not layout.is_numpy or layout.purelist_depth != 1 or (output.exact and np.asarray(layout.data).dtype != dtype):
        raise TaskError(f"the back end delivered {layout.form.type} where {dtype} was asked for", where=output.where)
    return np.ascontiguousarray(np.asarray(layout.data).astype(dtype, copy=False))


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
