"""The real evaluator over tables that stand in memory: a plug-in that reads plain Python events instead of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.contract import Columns, HistogramResult, No, Partition, Plugin, Program, Scalar, Yes
from hep_flows.execute.run import run_plan
from hep_flows.expr.types import Histogram, Record, String
from hep_flows.expr.walk import postorder
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.evaluate import evaluate, merge_parts, run_tasks
from hep_flows.plugins.hist.plugin import HistPlugin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Label, Result, RunContext, Task
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.expr.types import Member
    from hep_flows.plugins.awkward.evaluate import Evaluate
    from oracle.tables import Table

Path = tuple[str, ...]


class MemoryPlugin(Plugin):
    """Runs everything, over one table in memory."""

    result_version = "1"

    def __init__(self, table: Table, name: str = "memory", refused: Collection[Key] = (), evaluating: Evaluate = evaluate) -> None:
        self.table, self.evaluating = table, evaluating
        self.name = name
        self.refused = refused
        self.arrays = dict(_arrays(table.record, list(table.events)))

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        return No("it is refused here") if node.key in self.refused else Yes()

    def translate(self, task: Task) -> Program:
        return Program(task, "", "python")

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        return run_tasks([p.task for p in programs], inputs, context, self._read, self.evaluating)

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        return merge_parts(program.task, parts)

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        n_events = len(self.table.events)
        firsts = range(0, n_events, chunk_events)
        return tuple([Partition("memory", 0, first, min(first + chunk_events, n_events), first) for first in firsts])

    def _read(self, dataset: Dataset, partition: Partition, paths: Sequence[Path]) -> dict[Path, ak.Array]:
        return {p: self.arrays[p][partition.start : partition.stop] for p in paths}


def evaluated(
    expr: Expr,
    table: Table,
    *,
    chunk_events: int = 1000,
    workers: int = 1,
    cuts: Collection[Key] = (),
    n_plugins: int = 1,
    evaluating: Evaluate = evaluate,
) -> Any:
    """Give the value of an expression as plain Python data, and its type as awkward sees it.

    ``cuts`` are nodes that become tasks of their own; with two plug-ins they are what changes hands.
    """
    others = {n.key for n in postorder(expr)} - set(cuts)
    plugins = [MemoryPlugin(table, f"memory{k}", (cuts, others)[k] if n_plugins > 1 else (), evaluating) for k in range(n_plugins)]
    plan = make_plan([expr], plugins, extra_cuts=cuts if n_plugins == 1 else ())
    result = run_plan(plan, plugins, workers=workers, chunk_events=chunk_events)[plan.targets[0]]
    if isinstance(result, Scalar):
        return result.value, ""
    assert isinstance(result, Columns)
    return ak.to_list(result.array), str(result.array.type.content)


def filled(expr: Expr, table: Table, *, chunk_events: int) -> Any:
    """Give a histogram, filled by the plug-in that does it."""
    plugins = [MemoryPlugin(table, refused={n.key for n in postorder(expr) if isinstance(n.type.item, Histogram)}), HistPlugin()]
    plan = make_plan([expr], plugins)
    result = run_plan(plan, plugins, workers=1, chunk_events=chunk_events)[plan.targets[0]]
    assert isinstance(result, HistogramResult)
    return result.histogram


def _arrays(record: Record, objects: list[Any], path: Path = (), depth: int = 0) -> Iterator[tuple[Path, ak.Array]]:
    """Give an array for every leaf, and the counts of every collection, by path."""
    for name, member in record.members.items():
        here = (*path, name)
        values = _member(objects, name, depth)
        below = depth + len(member.axes)
        if isinstance(member.item, Record):
            if member.axes:
                yield here, ak.Array(_layout(_counts(values, below - 1), _COUNT, below - 1))
            yield from _arrays(member.item, values, here, below)
        else:
            yield here, ak.Array(_layout(values, member, below))


def _member(values: Any, name: str, depth: int) -> Any:
    return [_member(v, name, depth - 1) if depth else v[name] for v in values]


def _counts(values: Any, depth: int) -> Any:
    return [_counts(v, depth - 1) if depth else len(v) for v in values]


def _layout(values: list[Any], member: Member | None, depth: int) -> Any:
    if depth:
        offsets = np.cumsum([0, *[len(v) for v in values]])
        return ak.contents.ListOffsetArray(ak.index.Index64(offsets), _layout([x for v in values for x in v], member, depth - 1))
    if member is None:
        return ak.contents.NumpyArray(np.asarray(values, dtype=np.int64))
    if isinstance(member.item, String):
        return ak.to_layout(ak.from_iter([*values, "x"]))[: len(values)]
    missing = [v is None for v in values]
    content = ak.contents.NumpyArray(np.asarray([0 if v is None else v for v in values], dtype=str(member.item)))
    if not member.optional:
        return content
    return ak.contents.ByteMaskedArray(ak.index.Index8(np.asarray(missing, dtype=np.int8)), content, valid_when=False)


_COUNT: Member | None = None
