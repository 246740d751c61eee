"""The queries of tasks, one for all that are about the same events, and the results of the tasks from what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import TaskError
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.servicex.asked import Asked, asked, branches
from hep_flows.plugins.servicex.build_terms import Builder
from hep_flows.plugins.servicex.delivered import array_of, empty_array, read_columns
from hep_flows.plugins.servicex.endpoint import Query
from hep_flows.plugins.servicex.qastle_text import qastle_text
from hep_flows.plugins.servicex.query_ast import query_ast
from hep_flows.plugins.servicex.terms import Term, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Partition, Result
    from hep_flows.plugins.servicex.dialect import Dialect
    from hep_flows.plugins.servicex.endpoint import Endpoint, EndpointError


@dataclass(frozen=True, slots=True)
class Request:
    """One query, and the tasks that it answers.

    Parameters
    ----------
    query : Query
        What is sent.
    columns : mapping of int to str
        The name of each column, by the identity of its term.
    asked : mapping of bytes to Asked
        What each task asks for, by its key.
    only_counts : bool
        Whether all that is asked for is the number of all events: where that is known, nothing is sent.
    """

    query: Query
    columns: Mapping[int, str]
    asked: Mapping[Key, Asked]
    only_counts: bool = False


def requests(dialect: Dialect, dataset: Dataset, tasks: Sequence[Task]) -> list[Request]:
    """Give the queries that answer tasks over one table: one for each selection of events.

    Raises
    ------
    Refused
        When a task cannot be said in the dialect.
    """
    builder = Builder(dialect, Terms())
    groups: dict[tuple[Term, ...], dict[Key, Asked]] = {}
    for task in tasks:
        wanted = asked(builder, task.expr)
        groups.setdefault(wanted.masks, {})[task.key] = wanted
    return [_request(builder.terms, dialect, dataset, masks, group) for masks, group in groups.items()]


def _request(terms: Terms, dialect: Dialect, dataset: Dataset, masks: tuple[Term, ...], group: Mapping[Key, Asked]) -> Request:
    columns: dict[int, str] = {}
    outputs: dict[str, Term] = {}
    for one in group.values():
        for term in one.output.terms():
            if id(term) not in columns:
                columns[id(term)] = f"c{len(columns)}"
                outputs[columns[id(term)]] = term
    only_counts = not outputs and not masks
    outputs |= _rows(terms, dataset) if only_counts else _beside(terms, masks, list(outputs.values()))
    tree = query_ast(dialect, dataset, masks, outputs) if outputs else None
    text = "" if tree is None else qastle_text(tree)
    reads = branches([*masks, *outputs.values()])
    return Request(Query(text, dialect.name, tuple(outputs), reads, dataset.tree), columns, group, only_counts)  # type: ignore[arg-type]


def _rows(terms: Terms, dataset: Dataset) -> dict[str, Term]:
    """Give a stored number of each event, so that something comes back for each; nothing where there is none."""
    assert isinstance(dataset.type.item, Record)
    for member in dataset.type.item.members.values():
        if member.column and not member.axes and not member.unreadable and isinstance(member.item, Bool | Int | Float):
            return {"rows": terms.column(member.column, member.item, 0)}
    return {}


def _beside(terms: Terms, masks: Sequence[Term], outputs: Sequence[Term]) -> dict[str, Term]:
    """Give a column of truths that takes no room.

    A dict of one list comes back as a list of dicts; and where events are only counted, something must come back for each.
    """
    if not outputs:
        return {"rows": masks[-1]} if masks else {}
    if len(outputs) > 1 or outputs[0].lists == 0:
        return {}
    some = terms.counted(outputs[0])
    return {"rows": terms.call("greater_equal", (some, terms.constant(0, Int(64))), Bool())}


def is_known(request: Request, partition: Partition) -> bool:
    """Say whether nothing has to be sent for a file.

    Raises
    ------
    TaskError
        When only the events of a file are to be counted that no event-level number could be asked of.
    """
    if partition.is_counted:
        return request.only_counts or not partition.n_events
    if request.query.text:
        return False
    where = next(iter(request.asked.values())).output.expr.where
    raise TaskError(
        "the events of a dataset at a server cannot be counted",
        where=where,
        why="it has no number for each event",
        do="count something in them",
    )


def unasked(one: Asked, n_events: int) -> Result:
    """Give what is known without a query: a number of events, or that there is nothing."""
    return Scalar(n_events) if one.output.term is None and not one.output.members else Columns(empty_array(one.output))


def results_of(request: Request, path: str) -> dict[Key, Result]:
    """Give the results of the tasks of a request from the file that came back, which is removed."""
    found = read_columns(path, request.query.columns)
    n_rows = len(next(iter(found.values())))
    columns = {term: found[name] for term, name in request.columns.items()}
    results: dict[Key, Result] = {}
    for key, one in request.asked.items():
        counts = one.output.term is None and not one.output.members
        results[key] = Scalar(n_rows) if counts else Columns(array_of(one.output, columns))
    Path(path).unlink(missing_ok=True)
    return results


def unsent(endpoint: Endpoint, request: Request, error: EndpointError) -> TaskError:
    """Give the error of an endpoint at the user's line."""
    where = next(iter(request.asked.values())).output.expr.where
    place = f" on {error.file}" if error.file else ""
    return TaskError(f"{endpoint.name} failed{place}: {error.text}", where=where, why=f"the query is {request.query.text}")
