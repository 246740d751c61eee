"""The plug-in that sends queries to ServiceX: columns, filters, arithmetic and aggregates are computed where the files are."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.contract import LOCAL, LOCAL_VERSION, UNCOUNTED, Columns, No, Partition, Plugin, Program, Scalar, Yes
from hep_flows.errors import HepFlowsError, PlanError, PluginError, TaskError
from hep_flows.expr.nodes import Dataset, Expr, Field, Literal
from hep_flows.expr.types import Histogram, Record
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.addresses import RemoteIdentity
from hep_flows.plugins.servicex.choose import Endpoints
from hep_flows.plugins.servicex.query import UPROOT, XAOD, EndpointError, Watch, is_known, read_columns, unsent

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Label, Result, RunContext, Task
    from hep_flows.plugins.servicex.embedded import EmbeddedServiceX
    from hep_flows.plugins.servicex.query import Delivered, Endpoint, Request
    from hep_flows.plugins.servicex.translate import Dialect

    AnyDialect = Dialect[Any, Any]

# Which kind of table a node is about ---------------------------------------------------------------------------------------------

MOST = 50_000


class KindsOfTables:
    """Remembers the kind of each node that was looked at, so that a node costs one step after its inputs.

    Nodes over the same data are the same whoever reads it, so only the model of the data is remembered.

    Parameters
    ----------
    kinds : collection of str
        The kinds that are read here, one for a model.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        """Nothing is known yet."""
        self._by_model = {kind.rpartition(":")[2]: kind for kind in kinds}
        self._kinds: dict[Key, str] = {}
        self._lock = threading.Lock()

    def of(self, node: Expr) -> str:
        """Give the kind as which the table is read here, or else its model; empty where there is no table below."""
        with self._lock:
            if len(self._kinds) > MOST:
                self._kinds = {}
            for n in postorder(node, into=lambda n: n.key not in self._kinds):
                below = (self._kinds[i.key] for i in n.inputs())
                self._kinds[n.key] = n.model if isinstance(n, Dataset) else next((k for k in below if k), "")
            model = self._kinds[node.key]
        return self._by_model.get(model, model)


# The languages of queries by kind of table; each is loaded for the first table of its kind, since most analyses have none --------


class Dialects:
    """Gives the language of a kind of table.

    Parameters
    ----------
    given : sequence of Dialect
        Those that are to be used; the built-in ones when empty.

    Attributes
    ----------
    kinds : frozenset of str
        The kinds of tables that there are languages for.
    """

    def __init__(self, given: Sequence[AnyDialect] = ()) -> None:
        """Nothing is loaded yet."""
        self._made: dict[str, AnyDialect] = {kind: w for w in given for kind in w.kinds}
        self._lock = threading.Lock()
        self.kinds = frozenset(self._made) or UPROOT | XAOD

    def of(self, kind: str) -> AnyDialect:
        """Give the language of a kind that is among `kinds`."""
        with self._lock:
            if kind not in self._made:
                made = _uproot() if kind in UPROOT else _xaod()
                self._made.update(dict.fromkeys(made.kinds, made))
            return self._made[kind]


def _uproot() -> AnyDialect:
    from hep_flows.plugins.servicex.uproot import UprootDialect

    return UprootDialect()


def _xaod() -> AnyDialect:
    from hep_flows.plugins.servicex.xaod.query import XaodDialect

    return XaodDialect()


class ServiceXPlugin(Plugin):
    """Delivers columns of tables that ServiceX reads.

    Parameters
    ----------
    endpoint : Endpoint, optional
        What runs all queries, for tests; when left out, the server that a table was made for, or this process.
    dialects : sequence of Dialect, optional
        The languages of the code generators.
    """

    name = "servicex"
    result_version = LOCAL_VERSION

    def __init__(self, endpoint: Endpoint | None = None, dialects: Sequence[AnyDialect] = ()) -> None:
        """Nothing is opened yet."""
        self._dialects = Dialects(dialects)
        self._kinds = KindsOfTables(self._dialects.kinds)
        self._endpoints = Endpoints(endpoint)

    def family(self, kind: str) -> str:
        """Give the family of the built-in plug-ins for queries about branches; C++ about ATLAS objects promises no bits."""
        return LOCAL if kind in UPROOT else kind

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say yes to what the code generator computes as the language means it, over tables that ServiceX reads."""
        if isinstance(node.type.item, Histogram):
            return No("it delivers columns, not histograms")
        if isinstance(node, Dataset) and node.kind not in self._dialects.kinds:
            return No(f"it reads {', '.join(sorted(self._dialects.kinds))}, not {node.kind}")
        if isinstance(node, Field) and (node.default is not None or _is_widened(node)):
            return No(f"not all files hold {node.name} alike, and what a query gives cannot depend on the file")
        if any([label != self.name for i, label in zip(node.inputs(), inputs, strict=True) if not isinstance(i, Literal)]):
            return No("a part of it is computed elsewhere, and only stored events can be asked about")
        kind = self._kinds.of(node)
        reason = self._dialects.of(kind).refusal(node) if kind in self._dialects.kinds else "it sends queries about stored events"
        return No(reason) if reason else Yes()

    def translate(self, task: Task) -> Program:
        """Give the query of a task, in qastle, and the branches that it reads.

        Raises
        ------
        PlanError
            When an object is wanted as a whole that holds something which cannot be sent.
        """
        from hep_flows.plugins.servicex.translate import Refused

        if task.dataset is None:
            raise PlanError("a query is about the events of a table", where=task.expr.where)
        try:
            (request,) = self._dialects.of(task.dataset.kind).requests([task])
        except Refused as refused:
            raise PlanError(f"it cannot be sent to ServiceX: {refused}", where=task.expr.where, do="take its leaves") from None
        return Program(task, request.query.text, "qastle", request.query.reads)

    def sends(self, program: Program) -> tuple[str, str]:
        """Give the endpoint, and the query."""
        assert program.task.dataset is not None
        ends, dataset = self._endpoints, program.task.dataset
        return (ends.embedded if ends.is_here(dataset) else ends.of(dataset)).name, program.text

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Run the tasks on one range of events, or one file at a server: one query for all that are about the same events.

        Raises
        ------
        TaskError
            When the back end fails, or delivers something else than was asked for.
        """
        del inputs
        tasks, dataset = _tasks_over(programs)
        dialect = self._dialects.of(dataset.kind)
        if self._endpoints.is_here(dataset):
            return run_here(dialect, self._endpoints.embedded, tasks, context)
        return run_query(dialect, self._endpoints.of(dataset), tasks, context)

    def streams(self, dataset: Dataset) -> bool:
        """Say whether a server reads a table."""
        return not self._endpoints.is_here(dataset)

    def stream(
        self, programs: Sequence[Program], partitions: Sequence[Partition], context: RunContext
    ) -> Iterator[tuple[Partition, Mapping[Key, Result] | HepFlowsError]]:
        """Run the tasks on many files with as few requests as their selections of events allow.

        Raises
        ------
        TaskError
            When a query fails as a whole.
        """
        tasks, dataset = _tasks_over(programs)
        yield from stream_query(self._dialects.of(dataset.kind), self._endpoints.of(dataset), tasks, partitions, context)

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Give one array of all events in order, or the number of events."""
        if program.task.output == "scalar":
            return Scalar(sum([p.value for p in parts if isinstance(p, Scalar)]))
        arrays = [p.array for p in parts if isinstance(p, Columns)]
        if len(arrays) == 1:
            return Columns(arrays[0])
        kind = self._kinds.of(program.task.expr)
        return Columns(self._dialects.of(kind).together(program.task.expr, arrays))

    def kept(self, program: Program, parts: Sequence[Result]) -> Result | None:
        """Give the number of events of some parts."""
        return self.merge(program, parts) if program.task.output == "scalar" else None

    def parts_of(self, program: Program, kept: Result) -> Sequence[Result]:
        """Give the number that stands for some parts."""
        del program
        return (kept,)

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        """Give the ranges of files that are read here, where all plug-ins cut them; at a server a query is about whole files."""
        if self._endpoints.is_here(dataset):
            return self._endpoints.embedded.partitions(dataset, chunk_events)
        found: list[Partition] = []
        first = 0
        for number, (file, content) in enumerate(zip(dataset.files, dataset.content, strict=True)):
            entries = UNCOUNTED if RemoteIdentity.read(content) is not None else int(content.partition(":")[0])
            found.append(Partition(file, number, 0, entries, first))
            first += max(0, entries)
        return tuple(found)


def _tasks_over(programs: Sequence[Program]) -> tuple[list[Task], Dataset]:
    dataset = programs[0].task.dataset
    assert dataset is not None
    return [p.task for p in programs], dataset


def _is_widened(node: Field) -> bool:
    record = node.of.type.item
    return isinstance(record, Record) and node.name in record.members and record.members[node.name].widened


# Ask for many files at once, and give each file's results as soon as all of them are there ---------------------------------------

Item = tuple["Partition", "Mapping[Key, Result] | HepFlowsError"]


def stream_query(
    dialect: AnyDialect, endpoint: Endpoint, tasks: Sequence[Task], partitions: Sequence[Partition], context: RunContext
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
    waiting = _Waiting(dialect, {t.key: t for t in tasks}, partitions)
    asked = dialect.requests(tasks)
    with tempfile.TemporaryDirectory(prefix="servicex-", dir=context.scratch) as scratch:
        for request in asked:
            yield from waiting.known(request)
            files = waiting.files(request)
            if not files:
                continue
            watch = Watch(context.cancelled, tried=context.tried)
            try:
                with closing(endpoint.run(request.query, files, scratch, watch)) as items:  # type: ignore[type-var]
                    for item in items:
                        yield from waiting.came(endpoint, request, item)
            except EndpointError as error:
                raise unsent(endpoint.name, request, error) from None
            yield from waiting.datasets(request)


def run_query(dialect: AnyDialect, endpoint: Endpoint, tasks: Sequence[Task], context: RunContext) -> dict[Key, Result]:
    """Give the results of tasks over one file, or over one dataset that the server looks up, by task key.

    Raises
    ------
    TaskError
        When the back end fails, or delivers something else.
    """
    if context.partition is None:
        raise PluginError("a query is about the events of a file", where=tasks[0].expr.where)
    with closing(stream_query(dialect, endpoint, tasks, [context.partition], context)) as items:
        for _, found in items:
            if isinstance(found, HepFlowsError):
                raise found
            return dict(found)
    raise TaskError(f"{endpoint.name} delivered nothing on {context.partition.file}", where=tasks[0].expr.where)


def run_here(dialect: AnyDialect, embedded: EmbeddedServiceX, tasks: Sequence[Task], context: RunContext) -> dict[Key, Result]:
    """Give the results of tasks over one range of events, by task key.

    Raises
    ------
    TaskError
        When a query fails, or gives something else than was asked for.
    SourceError
        When the file cannot be read.
    """
    partition, dataset = context.partition, tasks[0].dataset
    assert partition is not None
    assert dataset is not None
    results: dict[Key, Result] = {}
    for request in dialect.requests(tasks):
        if is_known(request, partition):
            results |= request.without_query(partition.n_events)
            continue
        try:
            columns = embedded.columns(request.query, dataset, partition)
        except EndpointError as error:
            raise unsent(embedded.name, request, error) from error.__cause__
        results |= _results_from(request, columns)
    return results


def _results_of(request: Request, item: Delivered) -> dict[Key, Result]:
    """Give the results of the tasks of a request from the file that came back, which is removed."""
    results = _results_from(request, read_columns(item.path, request.query.columns))
    Path(item.path).unlink(missing_ok=True)
    return results


def _results_from(request: Request, columns: Mapping[str, Any]) -> dict[Key, Result]:
    return request.results(columns, len(next(iter(columns.values()))))


class _Waiting:
    """What has come of each file so far."""

    def __init__(self, dialect: AnyDialect, tasks: Mapping[Key, Task], partitions: Sequence[Partition]) -> None:
        self._dialect = dialect
        self._tasks = tasks
        self._open: dict[str, list[Partition]] = {}
        for partition in partitions:
            self._open.setdefault(partition.file, []).append(partition)
        self._results: dict[str, dict[Key, Result]] = {file: {} for file in self._open}
        self._parts: dict[str, dict[str, dict[Key, Result]]] = {}

    def files(self, request: Request) -> list[str]:
        """Give the files that a request is still to be sent for."""
        return [file for file in self._open if not set(request.outputs) <= set(self._results[file])]

    def known(self, request: Request) -> Iterator[Item]:
        """Take what needs no query: files without events, and numbers of events that are known."""
        for file, partitions in list(self._open.items()):
            if is_known(request, partitions[0]):
                yield from self._add(file, request.without_query(partitions[0].n_events))

    def came(self, endpoint: Endpoint, request: Request, item: Delivered | EndpointError) -> Iterator[Item]:
        """Take what an endpoint gave."""
        if isinstance(item, EndpointError):
            # The endpoint has tried as often as may help: asking once more does not.
            yield from self._lost(item.file, unsent(endpoint.name, request, item))
        elif item.dataset:
            self._parts.setdefault(item.dataset, {})[item.file] = _results_of(request, item)
        else:
            yield from self._add(item.file, _results_of(request, item))

    def datasets(self, request: Request) -> Iterator[Item]:
        """Put the results of datasets together whose files only the server knows, in the order of their names."""
        for name, parts in self._parts.items():
            if name in self._open:
                in_order = [parts[file] for file in sorted(parts)]
                yield from self._add(name, {key: self._merged(key, [p[key] for p in in_order]) for key in request.outputs})
        self._parts = {}

    def _merged(self, key: Key, parts: Sequence[Result]) -> Result:
        if all(isinstance(p, Scalar) for p in parts):
            return Scalar(sum([p.value for p in parts if isinstance(p, Scalar)]))
        arrays = [p.array for p in parts if isinstance(p, Columns)]
        return Columns(arrays[0] if len(arrays) == 1 else self._dialect.together(self._tasks[key].expr, arrays))

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
