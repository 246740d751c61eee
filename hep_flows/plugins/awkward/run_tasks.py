"""Run tasks over one range of events, or once on merged results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak

from hep_flows.errors import PluginError
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Call, Dataset
from hep_flows.expr.walk import postorder
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.awkward import totals
from hep_flows.plugins.awkward.evaluate import evaluate
from hep_flows.plugins.awkward.frames import Frames
from hep_flows.plugins.awkward.leaves import Leaves
from hep_flows.plugins.awkward.members import Output, output_of
from hep_flows.plugins.awkward.needed_leaves import leaves_of
from hep_flows.plugins.awkward.output import array_of
from hep_flows.plugins.awkward.read_files import Lacking
from hep_flows.plugins.awkward.values import Constant, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Partition, Result, RunContext, Slice
    from hep_flows.plugins.awkward.align import Argument
    from hep_flows.plugins.awkward.needed_leaves import Path

    Read = Callable[[Dataset, Partition, Sequence[Path]], Mapping[Path, Any]]


def run_tasks(tasks: Sequence[Task], inputs: Mapping[Key, Result], context: RunContext, read: Read) -> dict[Key, Result]:
    """Give the results by task key.

    All tasks share one read of the columns that any of them needs, and every part that they have in common is evaluated once.

    Parameters
    ----------
    tasks : sequence of Task
        Over one table, or over results alone.
    inputs : mapping
        Results of other tasks.
    context : RunContext
        With the range of events, if there is one.
    read : callable
        Reads the columns of a range of events.
    """
    outputs = [_output(t) for t in tasks]
    roots = [e for o in outputs for e in o.exprs()]
    frames = Frames()
    leaves = _leaves(tasks, roots, inputs, context, frames, read)
    values = evaluate(roots, leaves, frames, context.cancelled)
    return {t.key: _result(t, o, values, context.slice) for t, o in zip(tasks, outputs, strict=True)}


def _output(task: Task) -> Output:
    """Give what to evaluate; of a part of a total, that is what it is a total of."""
    if task.expr.type.loops:
        raise PluginError("a task is cut out of a loop: it has one value for each element, and the loop is elsewhere")
    if not total_of(task):
        return output_of(task.expr)
    assert isinstance(task.expr, Call)
    return Output(task.expr.args[0], optional=False)


def total_of(task: Task) -> str:
    """Give the aggregate over all events that a partitioned task is a part of, empty when it is none."""
    expr = task.expr
    if task.spread != "partitions" or expr.type.axes:
        return ""
    if isinstance(expr, Call) and isinstance(expr.function, str) and FUNCTIONS[expr.function].kind == "reduce":
        return expr.function
    return ""


def _leaves(
    tasks: Sequence[Task], roots: Sequence[Expr], inputs: Mapping[Key, Result], context: RunContext, frames: Frames, read: Read
) -> Leaves:
    partition = context.partition
    paths = leaves_of(roots)
    if partition is None:
        if any(isinstance(n, Dataset) for n in postorder(*roots)):
            raise PluginError("a task on whole results reads a table", where=roots[0].where)
        return Leaves(frames, 0, {}, inputs, roots)
    dataset = next((t.dataset for t in tasks if t.dataset is not None), None)
    if paths and dataset is None:
        raise PluginError("a task that reads columns names no table", where=roots[0].where)
    arrays = _read(dataset, partition, paths, context, read) if paths and dataset is not None else {}
    return Leaves(frames, partition.stop - partition.start, arrays, inputs, roots)


def _read(dataset: Dataset, partition: Partition, paths: Sequence[Path], context: RunContext, read: Read) -> Mapping[Path, Any]:
    """Read a partition; of a slice, those that follow too: their entries are in the same baskets, and would be decompressed again."""
    if context.slice is None:
        return read(dataset, partition, paths)
    reading, name = context.slice.reading, ("read", dataset.key, tuple(paths))
    held, arrays = context.slice.held.get(name, (None, {}))
    if held != reading:
        context.slice.held.pop(name, None)  # let go before the next is there
        arrays = read(dataset, reading, paths)
        context.slice.held[name] = (reading, arrays)
    a, b = partition.start - reading.start, partition.stop - reading.start
    return {path: Lacking(one.array[a:b]) if isinstance(one, Lacking) else one[a:b] for path, one in arrays.items()}


def _result(task: Task, output: Output, values: Mapping[bytes, Argument], place: Slice | None) -> Result:
    value = values[output.expr.key]
    if name := total_of(task):
        assert isinstance(value, Value)
        before = place.before.get(task.key) if place is not None else None
        more = place is not None and place.more
        return Scalar(totals.part(name, value, before.value if isinstance(before, Scalar) else None, more=more))
    return Scalar(_plain(output, values)) if isinstance(value, Constant) else Columns(array_of(output, values))


def _plain(output: Output, values: Mapping[bytes, Argument]) -> Any:
    """Give one value as plain Python has it; a record is a dict."""
    value = values[output.expr.key]
    assert isinstance(value, Constant)
    if output.members and value.value is not None:
        return {name: _plain(member, values) for name, member in output.members.items()}
    return value.value.item() if hasattr(value.value, "item") else value.value


def merge_parts(task: Task, parts: Sequence[Result]) -> Result:
    """Give the final result from those of the ranges of events, in order; without any, that of no events."""
    if task.output == "scalar":
        values = [p.value for p in parts if isinstance(p, Scalar)]
        merge = FUNCTIONS[name].merge if (name := total_of(task)) else None
        return Scalar(values[0] if merge is None else merge(values))
    arrays = [p.array for p in parts if isinstance(p, Columns)]
    if not arrays:
        return Columns(_empty(task))
    return Columns(arrays[0] if len(arrays) == 1 else ak.concatenate(arrays))


def _empty(task: Task) -> Any:
    output = output_of(task.expr)
    frames = Frames()
    values = evaluate(list(output.exprs()), Leaves(frames, 0, {}, {}), frames, lambda: False)
    return array_of(output, values)
