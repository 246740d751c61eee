"""Tasks as queries about the objects of ATLAS events, for a code generator that makes C++ of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.servicex.endpoint import Query
from hep_flows.plugins.servicex.wordings import XAOD
from hep_flows.plugins.servicex.xaod.event_masks import event_masks, is_event_count
from hep_flows.plugins.servicex.xaod.outputs import Rows, array_of
from hep_flows.plugins.servicex.xaod.query import XaodDialect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Result
    from hep_flows.plugins.servicex.xaod.query import XaodQuery


@dataclass(frozen=True, slots=True)
class XaodRequest:
    """One query, and the tasks that it answers, in the order of its outputs."""

    made: XaodQuery
    tasks: tuple[Task, ...]

    # The events of ATLAS files are counted by the server: nothing here knows how many there are.
    only_counts = False

    @property
    def query(self) -> Query:
        """What is sent."""
        return Query(self.made.text, "xaod", self.made.columns)

    @property
    def keys(self) -> Collection[Key]:
        """The keys of the tasks."""
        return [t.key for t in self.tasks]

    @property
    def where(self) -> Where:
        """The user's line."""
        return self.tasks[0].expr.where

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        found: dict[Key, Result] = {}
        for task, output in zip(self.tasks, self.made.outputs, strict=True):
            found[task.key] = Scalar(n_rows) if isinstance(output, Rows) else Columns(array_of(output, columns))
        return found

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give the results of no events."""
        nothing = {name: _no_events() for name in self.made.columns}
        return self.results(nothing, n_events)


class XaodWording:
    """Queries about the methods of ATLAS objects."""

    kinds = XAOD

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._dialect = XaodDialect()

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        return self._dialect.refusal(node)

    def requests(self, dataset: Dataset, tasks: Sequence[Task]) -> list[XaodRequest]:
        """Give the queries that answer tasks over one table: one for each selection of events."""
        del dataset
        groups: dict[tuple[Key, ...], list[Task]] = {}
        for task in tasks:
            groups.setdefault(_events_of(task.expr), []).append(task)
        return [XaodRequest(self._dialect.query([t.expr for t in group]), tuple(group)) for group in groups.values()]

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files; without any, that of no events."""
        import awkward as ak

        if arrays:
            return ak.concatenate(list(arrays))
        made = self._dialect.query([expr])
        (output,) = made.outputs
        assert not isinstance(output, Rows)
        return array_of(output, {name: _no_events() for name in made.columns})


def _events_of(expr: Expr) -> tuple[Key, ...]:
    """Give what selects the events of an expression, by the keys of the masks."""
    return tuple([m.key for m in event_masks(expr.args[0] if is_event_count(expr) else expr)])  # type: ignore[union-attr]


def _no_events() -> Any:
    import awkward as ak

    return ak.Array([])
