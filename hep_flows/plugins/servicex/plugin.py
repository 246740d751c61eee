"""The plug-in that sends queries to ServiceX: columns, filters, arithmetic and aggregates are computed where the files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import PlanError
from hep_flows.expr.nodes import Dataset, Expr, Field, Literal
from hep_flows.expr.types import Histogram, Record
from hep_flows.plugin import LOCAL, LOCAL_VERSION, UNCOUNTED, Columns, No, Partition, Program, Scalar, Yes
from hep_flows.plugins.servicex.choose_endpoint import Endpoints
from hep_flows.plugins.servicex.kinds_of_tables import KindsOfTables
from hep_flows.plugins.servicex.remote_identity import RemoteIdentity
from hep_flows.plugins.servicex.wordings import UPROOT, Wordings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hep_flows.errors import HepFlowsError
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Label, Result, RunContext
    from hep_flows.plugins.servicex.endpoint import Endpoint
    from hep_flows.plugins.servicex.wording import Wording


class ServiceXPlugin:
    """Delivers columns of tables that ServiceX reads.

    Parameters
    ----------
    endpoint : Endpoint, optional
        What runs all queries; when left out, the server that a table was made for, or this process.
    wordings : sequence of Wording, optional
        The languages of the code generators.
    """

    name = "servicex"
    result_version = LOCAL_VERSION

    def __init__(self, endpoint: Endpoint | None = None, wordings: Sequence[Wording] = ()) -> None:
        """Nothing is opened yet."""
        self._wordings = Wordings(wordings)
        self._kinds = KindsOfTables(self._wordings.kinds)
        self._endpoints = Endpoints(endpoint)

    def family(self, kind: str) -> str:
        """Give the family of the built-in plug-ins for queries about branches; C++ about ATLAS objects promises no bits."""
        return LOCAL if kind in UPROOT else kind

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say yes to what the code generator computes as the language means it, over tables that ServiceX reads."""
        if isinstance(node.type.item, Histogram):
            return No("it delivers columns, not histograms")
        if isinstance(node, Dataset) and node.kind not in self._wordings.kinds:
            return No(f"it reads {', '.join(sorted(self._wordings.kinds))}, not {node.kind}")
        if isinstance(node, Field) and (node.default is not None or _is_widened(node)):
            return No(f"not all files hold {node.name} alike, and what a query gives cannot depend on the file")
        if any([label != self.name for i, label in zip(node.inputs(), inputs, strict=True) if not isinstance(i, Literal)]):
            return No("a part of it is computed elsewhere, and only stored events can be asked about")
        kind = self._kinds.of(node)
        reason = self._wordings.of(kind).refusal(node) if kind in self._wordings.kinds else "it sends queries about stored events"
        return No(reason) if reason else Yes()

    def translate(self, task: Task) -> Program:
        """Give the query of a task, in qastle, and the branches that it reads.

        Raises
        ------
        PlanError
            When an object is wanted as a whole that holds something which cannot be sent.
        """
        from hep_flows.plugins.servicex.terms import Refused

        if task.dataset is None:
            raise PlanError("a query is about the events of a table", where=task.expr.where)
        try:
            (request,) = self._wordings.of(task.dataset.kind).requests(task.dataset, [task])
        except Refused as refused:
            raise PlanError(f"it cannot be sent to ServiceX: {refused}", where=task.expr.where, do="take its leaves") from None
        return Program(task, request.query.text, "qastle", request.query.reads)

    def sends(self, program: Program) -> tuple[str, str]:
        """Give the endpoint, and the query."""
        assert program.task.dataset is not None
        return self._endpoints.of(program.task.dataset).name, program.text

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Run the tasks on one file: one query for all that are about the same events.

        Raises
        ------
        TaskError
            When the back end fails, or delivers something else than was asked for.
        """
        from hep_flows.plugins.servicex.stream_query import run_query

        del inputs
        return run_query(self._wording(programs), self._runs_on(programs), [p.task for p in programs], context)

    def stream(
        self, programs: Sequence[Program], partitions: Sequence[Partition], context: RunContext
    ) -> Iterator[tuple[Partition, Mapping[Key, Result] | HepFlowsError]]:
        """Run the tasks on many files with as few requests as their selections of events allow.

        Raises
        ------
        TaskError
            When a query fails as a whole.
        """
        from hep_flows.plugins.servicex.stream_query import stream_query

        yield from stream_query(self._wording(programs), self._runs_on(programs), [p.task for p in programs], partitions, context)

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Give one array of all events in order, or the number of events."""
        if program.task.output == "scalar":
            return Scalar(sum([p.value for p in parts if isinstance(p, Scalar)]))
        arrays = [p.array for p in parts if isinstance(p, Columns)]
        if len(arrays) == 1:
            return Columns(arrays[0])
        kind = self._kinds.of(program.task.expr)
        return Columns(self._wordings.of(kind).together(program.task.expr, arrays))

    def kept(self, program: Program, parts: Sequence[Result]) -> Result | None:
        """Give the number of events of some parts."""
        return self.merge(program, parts) if program.task.output == "scalar" else None

    def parts_of(self, program: Program, kept: Result) -> Sequence[Result]:
        """Give the number that stands for some parts."""
        del program
        return (kept,)

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        """Give one range for each file: a query is about whole files."""
        from hep_flows.plugins.servicex.entries import entries_of

        del chunk_events
        found: list[Partition] = []
        first = 0
        for number, (file, content) in enumerate(zip(dataset.files, dataset.content, strict=True)):
            is_remote = RemoteIdentity.read(content) is not None
            entries = UNCOUNTED if is_remote else entries_of(file, dataset.tree, content)
            found.append(Partition(file, number, 0, entries, first))
            first += max(0, entries)
        return tuple(found)

    def _wording(self, programs: Sequence[Program]) -> Wording:
        dataset = programs[0].task.dataset
        assert dataset is not None
        return self._wordings.of(dataset.kind)

    def _runs_on(self, programs: Sequence[Program]) -> Endpoint:
        dataset = programs[0].task.dataset
        assert dataset is not None
        return self._endpoints.of(dataset)


def _is_widened(node: Field) -> bool:
    record = node.of.type.item
    return isinstance(record, Record) and node.name in record.members and record.members[node.name].widened
