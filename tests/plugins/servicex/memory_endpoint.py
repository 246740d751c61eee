"""Run queries on events in memory: the generated function of a query, but for the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import pyarrow.parquet as pq

from hep_flows.plugins.servicex.embedded import evaluated, generated_function
from hep_flows.plugins.servicex.query import Delivered

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
        write_parquet(result, path)
        yield Delivered(files[0], path)


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
