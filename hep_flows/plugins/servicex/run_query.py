"""Run tasks on one file: one query for all that are about the same events, and their results from what comes back."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import PluginError, TaskError
from hep_flows.expr.types import Bool, Int
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.servicex.asked import Asked, asked, branches
from hep_flows.plugins.servicex.build_terms import Builder
from hep_flows.plugins.servicex.delivered import array_of, empty_array, read_columns
from hep_flows.plugins.servicex.endpoint import EndpointError, Query, Watch
from hep_flows.plugins.servicex.qastle_text import qastle_text
from hep_flows.plugins.servicex.query_ast import query_ast
from hep_flows.plugins.servicex.terms import Term, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Result, RunContext
    from hep_flows.plugins.servicex.dialect import Dialect
    from hep_flows.plugins.servicex.endpoint import Endpoint


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
    """

    query: Query
    columns: Mapping[int, str]
    asked: Mapping[Key, Asked]


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
    outputs |= _beside(terms, masks, list(outputs.values()))
    tree = query_ast(dialect, dataset, masks, outputs) if outputs else None
    text = "" if tree is None else qastle_text(tree)
    reads = branches([*masks, *outputs.values()])
    return Request(Query(text, dialect.name, tuple(outputs), reads, dataset.tree), columns, group)  # type: ignore[arg-type]


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


def run_query(dialect: Dialect, endpoint: Endpoint, tasks: Sequence[Task], context: RunContext) -> dict[Key, Result]:
    """Give the results of tasks over one file, by task key.

    Raises
    ------
    TaskError
        When the back end fails, or delivers something else.
    """
    partition = context.partition
    dataset = next((t.dataset for t in tasks if t.dataset is not None), None)
    if partition is None or dataset is None:
        raise PluginError("a query is about the events of a file", where=tasks[0].expr.where)
    results: dict[Key, Result] = {}
    for request in requests(dialect, dataset, tasks):
        n_events = partition.stop - partition.start
        if not request.query.text or n_events == 0:
            results |= {key: _without_query(one, n_events) for key, one in request.asked.items()}
            continue
        with tempfile.TemporaryDirectory(prefix="servicex-", dir=context.scratch) as scratch:
            results |= _sent(endpoint, request, partition.file, scratch, context)
    return results


def _without_query(one: Asked, n_events: int) -> Result:
    return Scalar(n_events) if one.output.term is None and not one.output.members else Columns(empty_array(one.output))


def _sent(endpoint: Endpoint, request: Request, file: str, scratch: str, context: RunContext) -> dict[Key, Result]:
    for delivered in endpoint.run(request.query, [file], scratch, Watch(cancelled=context.cancelled)):
        if isinstance(delivered, EndpointError):
            raise _failed(endpoint, request, delivered)
        return _results(request, delivered.path)
    raise _failed(endpoint, request, EndpointError("it delivered nothing", file=file))


def _results(request: Request, path: str) -> dict[Key, Result]:
    found = read_columns(path, request.query.columns)
    n_rows = len(next(iter(found.values())))
    columns = {term: found[name] for term, name in request.columns.items()}
    results: dict[Key, Result] = {}
    for key, one in request.asked.items():
        counts = one.output.term is None and not one.output.members
        results[key] = Scalar(n_rows) if counts else Columns(array_of(one.output, columns))
    Path(path).unlink(missing_ok=True)
    return results


def _failed(endpoint: Endpoint, request: Request, error: EndpointError) -> TaskError:
    where = next(iter(request.asked.values())).output.expr.where
    place = f" on {error.file}" if error.file else ""
    return TaskError(f"{endpoint.name} failed{place}: {error.text}", where=where, why=f"the query is {request.query.text}")
