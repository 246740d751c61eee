"""Ask for many files at once, and give each file's results as soon as all of them are there."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError, PluginError, TaskError
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.servicex.delivered import read_columns
from hep_flows.plugins.servicex.endpoint import EndpointError, Watch
from hep_flows.plugins.servicex.wording import is_known, unsent

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Partition, Result, RunContext
    from hep_flows.plugins.servicex.endpoint import Delivered, Endpoint
    from hep_flows.plugins.servicex.wording import Request, Wording

Item = tuple["Partition", "Mapping[Key, Result] | HepFlowsError"]


def stream_query(
    wording: Wording, endpoint: Endpoint, tasks: Sequence[Task], partitions: Sequence[Partition], context: RunContext
) -> Generator[Item, None, None]:
    """Give the results of tasks for each file, in the order in which they come.

    Tasks about different selections of events need a query each; these are asked one after the other, and a file is given when the last
    of its results is there.

    Raises
    ------
    TaskError
        When a query fails as a whole.
    """
    dataset = next((t.dataset for t in tasks if t.dataset is not None), None)
    if dataset is None:
        raise PluginError("a query is about the events of files", where=tasks[0].expr.where)
    waiting = _Waiting(wording, {t.key: t for t in tasks}, partitions)
    asked = wording.requests(dataset, tasks)
    with tempfile.TemporaryDirectory(prefix="servicex-", dir=context.scratch) as scratch:
        for request in asked:
            yield from waiting.known(request)
            files = waiting.files(request)
            if not files:
                continue
            watch = Watch(context.cancelled, tried=context.tried, workers=context.workers, slot=context.slot)
            try:
                with closing(endpoint.run(request.query, files, scratch, watch)) as items:  # type: ignore[type-var]
                    for item in items:
                        yield from waiting.came(endpoint, request, item)
            except EndpointError as error:
                raise unsent(endpoint, request, error) from None
            yield from waiting.datasets(request)


def run_query(wording: Wording, endpoint: Endpoint, tasks: Sequence[Task], context: RunContext) -> dict[Key, Result]:
    """Give the results of tasks over one file, or over one dataset that the server looks up, by task key.

    Raises
    ------
    TaskError
        When the back end fails, or delivers something else.
    """
    if context.partition is None:
        raise PluginError("a query is about the events of a file", where=tasks[0].expr.where)
    with closing(stream_query(wording, endpoint, tasks, [context.partition], context)) as items:
        for _, found in items:
            if isinstance(found, HepFlowsError):
                raise found
            return dict(found)
    raise TaskError(f"{endpoint.name} delivered nothing on {context.partition.file}", where=tasks[0].expr.where)


def _results_of(request: Request, item: Delivered) -> dict[Key, Result]:
    """Give the results of the tasks of a request from what came back; a file is removed."""
    names = request.query.columns
    found = read_columns(item.path, names) if item.columns is None else {n: item.columns[n] for n in names}
    results = request.results(found, len(next(iter(found.values()))))
    if item.path:
        Path(item.path).unlink(missing_ok=True)
    return results


class _Waiting:
    """What has come of each file so far."""

    def __init__(self, wording: Wording, tasks: Mapping[Key, Task], partitions: Sequence[Partition]) -> None:
        self._wording = wording
        self._tasks = tasks
        self._open: dict[str, list[Partition]] = {}
        for partition in partitions:
            self._open.setdefault(partition.file, []).append(partition)
        self._results: dict[str, dict[Key, Result]] = {file: {} for file in self._open}
        self._parts: dict[str, dict[str, dict[Key, Result]]] = {}

    def files(self, request: Request) -> list[str]:
        """Give the files that a request is still to be sent for."""
        return [file for file in self._open if not set(request.keys) <= set(self._results[file])]

    def known(self, request: Request) -> Iterator[Item]:
        """Take what needs no query: files without events, and numbers of events that are known."""
        for file, partitions in list(self._open.items()):
            if is_known(request, partitions[0]):
                yield from self._add(file, request.without_query(partitions[0].n_events))

    def came(self, endpoint: Endpoint, request: Request, item: Delivered | EndpointError) -> Iterator[Item]:
        """Take what an endpoint gave."""
        if isinstance(item, EndpointError):
            # The endpoint has tried as often as may help: asking once more does not.
            yield from self._lost(item.file, unsent(endpoint, request, item))
        elif item.dataset:
            self._parts.setdefault(item.dataset, {})[item.file] = _results_of(request, item)
        else:
            yield from self._add(item.file, _results_of(request, item))

    def datasets(self, request: Request) -> Iterator[Item]:
        """Put the results of datasets together whose files only the server knows, in the order of their names."""
        for name, parts in self._parts.items():
            if name in self._open:
                in_order = [parts[file] for file in sorted(parts)]
                yield from self._add(name, {key: self._merged(key, [p[key] for p in in_order]) for key in request.keys})
        self._parts = {}

    def _merged(self, key: Key, parts: Sequence[Result]) -> Result:
        if all(isinstance(p, Scalar) for p in parts):
            return Scalar(sum([p.value for p in parts if isinstance(p, Scalar)]))
        arrays = [p.array for p in parts if isinstance(p, Columns)]
        return Columns(arrays[0] if len(arrays) == 1 else self._wording.together(self._tasks[key].expr, arrays))

    def _add(self, file: str, found: Mapping[Key, Result]) -> Iterator[Item]:
        if file not in self._open:
            return
        self._results[file].update(found)
        if len(self._results[file]) == len(self._tasks):
            results = self._results.pop(file)
            for partition in self._open.pop(file):
                yield partition, results

    def _lost(self, file: str, error: HepFlowsError) -> Iterator[Item]:
        self._results.pop(file, None)
        self._parts.pop(file, None)
        for partition in self._open.pop(file, []):
            yield partition, error
