"""How tasks become queries, and what comes back becomes results: one way for each language that a back end understands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from hep_flows.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Partition, Result
    from hep_flows.plugins.servicex.endpoint import Endpoint, EndpointError, Query

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


def unsent(endpoint: Endpoint, request: Request, error: EndpointError) -> TaskError:
    """Give the error of an endpoint at the user's line."""
    place, text = (f" on {error.file}", error.text.removeprefix(f"{error.file}: ")) if error.file else ("", error.text)
    sent = request.query.text
    own = dict.fromkeys(_OWN.findall(sent) if _FAILED.search(text) else ())
    again = "run it again later: what was delivered is stored, and is not asked for again" if error.transient else ""
    do = f"see whether the C++ of {', '.join(own)} compiles: it was sent along" if own else again
    return TaskError(f"{endpoint.name} failed{place}: {text}", where=request.where, why=f"the query is {_shortened(sent)}", do=do)


def _shortened(text: str) -> str:
    """Give a query without its middle where it is long: what is asked for stands at the end."""
    left = len(text) - _START - _END
    return text if left <= 0 else f"{text[:_START]} ... ({left:,} characters, which the plan shows) ... {text[-_END:]}"
