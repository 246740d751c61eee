"""The reference plug-in: reads local and remote files, and executes every node of the language with numpy."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from hep_flows.contract import LOCAL, LOCAL_VERSION, No, Plugin, Program, Scalar, Yes
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Call, Dataset, Expr, Field
from hep_flows.expr.types import Histogram
from hep_flows.plugins.awkward.needed import is_known
from hep_flows.sources.kinds import NanoAODSource, ParquetSource, TreeSource, XaodSource, kinds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.contract import EventBytes, Key, Label, Partition, Result, RunContext, Source, Task
    from hep_flows.sources.open import OpenTables

ROWS = frozenset(FUNCTIONS)  # All of the language; a row that is added later may be another plug-in's alone.


class AwkwardPlugin(Plugin):
    """Reads tables in files, brings NanoAOD, xAOD, flat trees and Parquet, and executes everything but histograms."""

    name = "awkward"
    result_version = LOCAL_VERSION
    sources: tuple[type[Source], ...] = (NanoAODSource, XaodSource, TreeSource, ParquetSource)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_tables: OpenTables | None = None
        self._kinds = frozenset(kinds().sources)

    def family(self, kind: str) -> str:
        """Give the family of the built-in plug-ins."""
        del kind
        return LOCAL

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say yes to all of the language but histograms, and to tables in files."""
        if isinstance(node.type.item, Histogram):
            return No("it makes arrays and numbers, not histograms")
        match node:
            case Dataset(kind=kind) if kind not in self._kinds:
                return No(f"it reads {', '.join(sorted(self._kinds))}, not {kind}")
            case Field() if (kind := _kind_of_table(node)) not in self._kinds | {""}:
                return No(f"it reads {', '.join(sorted(self._kinds))}, not {kind}")
            case Call(function=UserFunction() as function):
                return Yes() if function.body is not None or is_known(function) else No(f"{function.name} has no body here")
            case Call(function=str(name)) if not _has_kernel(name):
                return No(f"it has no function {name}")
        return Yes()

    def translate(self, task: Task) -> Program:
        """Give the expression as a physicist writes it, and the columns that it reads."""
        from hep_flows.expr.text import one_line

        return Program(task, one_line(task.expr), "awkward", self.columns(task))

    def columns(self, task: Task) -> tuple[str, ...]:
        """Give the columns that a task reads."""
        from hep_flows.plugins.awkward.needed import columns_of, leaves_of, output_of

        if task.dataset is None:
            return ()
        return columns_of(task.dataset, leaves_of(list(output_of(task.expr).exprs())))

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Evaluate the tasks together: one read, and each part that they share once.

        Raises
        ------
        TaskError
            When something cannot be computed; it names the user's line.
        SourceError
            When a file cannot be read.
        """
        from hep_flows.plugins.awkward.evaluate import run_tasks
        from hep_flows.sources.read import read_columns

        return run_tasks([p.task for p in programs], inputs, context, partial(read_columns, tables=self._tables()))

    def carries(self, task: Task) -> bool:
        """Say whether it is the part of a total."""
        from hep_flows.plugins.awkward.evaluate import total_of

        return bool(total_of(task))

    def event_bytes(self, tasks: Sequence[Task], keep: Collection[Key], dataset: Dataset, file_number: int) -> EventBytes:
        """Estimate the memory of an event from what the file says of its columns."""
        from hep_flows.plugins.awkward.bytes import event_bytes

        return event_bytes(tasks, keep, dataset, file_number, self._tables())

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Give one array of all events in order, or one plain Python value."""
        from hep_flows.plugins.awkward.evaluate import merge_parts

        return merge_parts(program.task, parts)

    def kept(self, program: Program, parts: Sequence[Result]) -> Result | None:
        """Give the parts of a total as one."""
        return Scalar(tuple([p.value for p in parts if isinstance(p, Scalar)])) if program.task.output == "scalar" else None

    def parts_of(self, program: Program, kept: Result) -> Sequence[Result]:
        """Give the parts of a total again."""
        return tuple([Scalar(v) for v in kept.value]) if isinstance(kept, Scalar) else (kept,)

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        """Give ranges of about that many events, in dataset order."""
        from hep_flows.sources.read import partitions

        return partitions(dataset, chunk_events, self._tables())

    def column_bytes(self, dataset: Dataset, columns: Sequence[str]) -> int | None:
        """Give the compressed bytes of columns in all files, or None where that cannot be known."""
        from hep_flows.plugins.awkward.bytes import column_bytes

        return column_bytes(dataset, columns, self._tables())

    def _tables(self) -> OpenTables:
        from hep_flows.sources.open import OpenTables

        with self._lock:
            if self._open_tables is None:
                self._open_tables = OpenTables()
            return self._open_tables


def _has_kernel(name: str) -> bool:
    if name in ROWS:
        return FUNCTIONS[name].kind != "histogram"
    from hep_flows.plugins.awkward.functions import KERNELS as OF_ITEMS
    from hep_flows.plugins.awkward.reduce import KERNELS as OF_LISTS
    from hep_flows.plugins.awkward.reduce import LIST_KERNELS, PARTS

    return name in OF_ITEMS or name in LIST_KERNELS or (name in OF_LISTS and (name in PARTS or FUNCTIONS[name].merge is None))


def _kind_of_table(node: Expr) -> str:
    """Give the kind of the table that a stored leaf is in, empty where it is a part of something else."""
    while isinstance(node, Field):
        node = node.of
    return node.kind if isinstance(node, Dataset) else ""
