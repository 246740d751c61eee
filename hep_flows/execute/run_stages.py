"""Run the stages of one partition (or of merged inputs): call each plug-in, check what it gives back, name what fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError, PluginError, TaskError, line_of
from hep_flows.execute.check_array import wrong_array
from hep_flows.execute.retry import is_transient
from hep_flows.expr.file_names import shown
from hep_flows.in_order import Stopped
from hep_flows.plugin import Columns, HistogramResult, Scalar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.execute.schedule import Stage
    from hep_flows.planning.task import Key, Output, Task
    from hep_flows.plugin import Plugin, Program, Result, RunContext

_KINDS: Mapping[Output, type] = {"columns": Columns, "scalar": Scalar, "histogram": HistogramResult}


def run_stages(
    stages: Sequence[Stage],
    plugins: Mapping[str, Plugin],
    programs: Mapping[Key, Program],
    merged: Mapping[Key, Result],
    context: RunContext,
    keep: Collection[Key],
) -> tuple[dict[Key, Result], list[float]]:
    """Give the wanted results of one partition, and the seconds of each stage.

    Parameters
    ----------
    stages : sequence of Stage
        In running order.
    plugins, programs : mapping
        By name, and by task key.
    merged : mapping
        Merged results of earlier rounds, by task key.
    context : RunContext
        The partition; None for merged inputs.
    keep : collection of bytes
        The task keys whose results are wanted.
    """
    parts: dict[Key, Result] = {}
    seconds: list[float] = []
    for number, stage in enumerate(stages):
        if context.cancelled():
            raise Stopped
        start = time.perf_counter()
        inputs = {k: parts[k] if k in parts else merged[k] for t in stage.tasks for k in t.inputs}
        parts.update(_called(stage, plugins[stage.plugin], programs, inputs, context))
        later = {k for s in stages[number + 1 :] for t in s.tasks for k in t.inputs}
        parts = {k: r for k, r in parts.items() if k in later or k in keep}
        seconds.append(time.perf_counter() - start)
    return parts, seconds


def _called(
    stage: Stage, plugin: Plugin, programs: Mapping[Key, Program], inputs: Mapping[Key, Result], context: RunContext
) -> dict[Key, Result]:
    try:
        results = plugin.run([programs[t.key] for t in stage.tasks], inputs, context)
    except (HepFlowsError, Stopped):
        raise
    except Exception as error:
        if context.cancelled():
            raise Stopped from error
        raise failed(stage, context, error) from error
    return checked(stage, results, context)


def checked(stage: Stage, results: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
    """Give the results of the tasks of a stage.

    Raises
    ------
    PluginError
        When one is missing or is not what the expression says.
    """
    return {t.key: _checked(stage, t, results, context) for t in stage.tasks}


def _checked(stage: Stage, task: Task, results: Mapping[Key, Result], context: RunContext) -> Result:
    result = results.get(task.key)
    if result is None or not isinstance(result, _KINDS[task.output]):
        raise PluginError(
            f"the plug-in {stage.plugin!r} gave {type(result).__name__} for a task whose output is {task.output}",
            where=task.expr.where,
            why="run must give one result of the task's output for every program",
            do=f"report it to the authors of {stage.plugin!r}",
        )
    if isinstance(result, Columns):
        wrong = wrong_array(result.array, task.expr.type, _n_events(task, context))
        if wrong:
            raise PluginError(
                f"the plug-in {stage.plugin!r} gave an array that is not what was asked for: {wrong}",
                where=task.expr.where,
                why=f"the expression is {task.expr.type}",
                do=f"report it to the authors of {stage.plugin!r}",
            )
    return result


def _n_events(task: Task, context: RunContext) -> int | None:
    """Give the number of events that a result must have: all of the range, unless the expression selects events."""
    part, axes = context.partition, task.expr.type.axes
    is_known = part is not None and part.is_counted and axes and axes[0].key == axes[0].root
    return part.n_events if part is not None and is_known else None


def failed(stage: Stage, context: RunContext, error: Exception) -> TaskError:
    """Give the error of a plug-in that raised something of its own."""
    part = context.partition
    place = ""
    if part is not None:
        place = f" on {shown(part.file)}" + (f", entries {part.start} to {part.stop}" if part.is_counted else "")
    names = ", ".join([t.key.hex()[:12] for t in stage.tasks])
    lines = {line.text(): None for t in stage.tasks if (line := line_of(t.expr.where)) is not None}
    more = "".join([f"\n{text}" for text in list(lines)[1:5]])
    made = TaskError(
        f"the plug-in {stage.plugin!r} failed{place}: {type(error).__name__}: {error}",
        where=next((t.expr.where for t in stage.tasks if t.expr.where is not None), None),
        why=f"the original error is chained below; task {names}{more}",
    )
    made.transient = is_transient(error)
    return made
