"""Run tasks on one file: one query for all that are about the same events, and their results from what comes back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import PluginError
from hep_flows.plugins.servicex.delivered import read_columns
from hep_flows.plugins.servicex.endpoint import EndpointError, Watch
from hep_flows.plugins.servicex.wording import is_known, unsent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Result, RunContext
    from hep_flows.plugins.servicex.endpoint import Endpoint
    from hep_flows.plugins.servicex.wording import Request, Wording


def run_query(wording: Wording, endpoint: Endpoint, tasks: Sequence[Task], context: RunContext) -> dict[Key, Result]:
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
    for request in wording.requests(dataset, tasks):
        if is_known(request, partition):
            results |= request.without_query(partition.n_events)
            continue
        with tempfile.TemporaryDirectory(prefix="servicex-", dir=context.scratch) as scratch:
            results |= _sent(endpoint, request, partition.file, scratch, context)
    return results


def _sent(endpoint: Endpoint, request: Request, file: str, scratch: str, context: RunContext) -> dict[Key, Result]:
    for delivered in endpoint.run(request.query, [file], scratch, Watch(cancelled=context.cancelled)):
        if isinstance(delivered, EndpointError):
            raise unsent(endpoint, request, delivered)
        return results_of(request, delivered.path)
    raise unsent(endpoint, request, EndpointError("it delivered nothing", file=file))


def results_of(request: Request, path: str) -> dict[Key, Result]:
    """Give the results of the tasks of a request from the file that came back, which is removed."""
    found = read_columns(path, request.query.columns)
    results = request.results(found, len(next(iter(found.values()))))
    Path(path).unlink(missing_ok=True)
    return results
