"""Run queries on events in memory: all of the embedded endpoint but for the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import pyarrow.parquet as pq

from hep_flows.plugins.servicex.embedded import NotFlatError, evaluated, flat_columns, generated_function
from hep_flows.plugins.servicex.query import Delivered
from plugins.servicex.exactly import exact_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hep_flows.expr.types import Record
    from hep_flows.plugins.servicex.query import Query, Watch


class MemoryEndpoint:
    """Gives the events of one table to every query; the queries stay for the test to look at.

    Parameters
    ----------
    events : ak.Array
        A record of branches.
    """

    name = "memory"

    def __init__(self, events: Any) -> None:
        self.events = events
        self.queries: list[Query] = []

    def run(self, query: Query, files: Sequence[str], scratch: str, watch: Watch) -> Iterator[Delivered]:
        self.queries.append(query)
        path = str(Path(scratch) / "result.parquet")
        function, events = generated_function(query.text), self.events[list(query.reads)]
        result = evaluated(function, events)
        check_flat(function, events, query, result)
        write_parquet(result, path)
        yield Delivered(files[0], path)


def check_flat(function: Any, events: Any, query: Query, expected: Any) -> bool:
    """Make sure that flat arrays give the same, and say whether they give anything."""
    try:
        columns = flat_columns(function, events, query.columns)
    except NotFlatError:
        return False
    for name, column in columns.items():
        assert exact_difference(_there(column), _there(expected[name])) == "", f"{name} of {query.text}"
    return True


def _there(array: Any) -> Any:
    """Give an array without the option of missing values, where none is missing."""
    is_missing = any([ak.any(ak.is_none(array, axis=axis), axis=None) for axis in range(array.ndim)])
    return ak.to_packed(array if is_missing else ak.drop_none(array, axis=None))


def write_parquet(array: Any, path: str) -> None:
    """Write a record of columns as a server does."""
    pq.write_table(ak.to_arrow_table(array, extensionarray=False, list_to32=False), path)


def branches_of(record: Record, arrays: dict[tuple[str, ...], ak.Array], n_events: int) -> ak.Array:
    """Give the branches of a table, from its leaves by path."""
    found: dict[str, Any] = {}
    for path, array in arrays.items():
        item: Any = record
        for name in path:
            member = item.members[name]
            item = member.item
        if member.column:
            found[member.column] = array.layout
    return ak.Array(ak.contents.RecordArray(list(found.values()), list(found), length=n_events))
