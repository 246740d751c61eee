"""Run tasks on one batch of a table: what is stored is read, what is missing is computed and stored.

Everything runs range by range on threads: tasks that read the table, and those that take their results. Sums and fills are made range
by range, too, and merged in the order of the ranges. What was read from the store is cut into what each range gave, so what is made
of it has the same bits as if it had just been computed. Where the borders of the ranges lie follows from the file alone; how many are
in flight, and into how many slices each is cut, from the machine.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hep_flows.contract import Columns, HistogramResult, Keeping, Partition, RunContext, Scalar, Slice
from hep_flows.errors import HepFlowsError, PluginError, TaskError, line_of
from hep_flows.execute.batches import by_parts, slices
from hep_flows.execute.machine import LEAST_EVENTS, slice_lengths
from hep_flows.execute.need import stages
from hep_flows.execute.report import BatchDone
from hep_flows.execute.results import Vanished
from hep_flows.expr.text import shown
from hep_flows.expr.types import Record
from hep_flows.in_order import Done, Item, Stopped, in_order
from hep_flows.planning.cut import is_made_once
from hep_flows.retry import is_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from hep_flows.contract import Key, Output, Plugin, Program, Result, Task
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.need import Pass, Stage
    from hep_flows.expr.types import Type

# Hold the array that a plug-in gave against the type of its expression: a wrong nesting or width would be a wrong result later ---

_LISTS = frozenset({"ListOffsetForm", "ListForm", "RegularForm"})
_OPTIONS = frozenset({"IndexedOptionForm", "ByteMaskedForm", "BitMaskedForm", "UnmaskedForm"})


def wrong_array(array: Any, of: Type, n_events: int | None) -> str:
    """Say in what an array differs from a type, or nothing when it does not.

    Parameters
    ----------
    array : ak.Array
        Axis 0 is the events.
    of : Type
        The type of the expression.
    n_events : int, optional
        The number of events, where all events of the range must be there.
    """
    if n_events is not None and len(array) != n_events:
        return f"it has {len(array)} events, and the range has {n_events}"
    form, has_missing = _inside_options(array.layout.form)
    for axis in of.axes[1:]:
        if type(form).__name__ not in _LISTS or _is_text(form):
            return f"it has no lists for the axis {axis.name}, and is {array.type}"
        form, has_missing = _inside_options(form.content)
    if isinstance(of.item, Record):
        return "" if type(form).__name__ == "RecordForm" else f"it has no members, and is {array.type}"
    if has_missing and not of.optional:
        return f"it says that items may be missing, and is {array.type}"
    found = "string" if _is_text(form) else getattr(form, "primitive", type(form).__name__)
    return "" if found == str(of.item) else f"its items are {found}, and should be {of.item}"


def _inside_options(form: Any) -> tuple[Any, bool]:
    """Give the form of the items that are there, and whether some may be missing."""
    has_missing = False
    while type(form).__name__ in _OPTIONS or type(form).__name__ == "IndexedForm":
        has_missing = has_missing or type(form).__name__ in _OPTIONS
        form = form.content
    return form, has_missing


def _is_text(form: Any) -> bool:
    return bool(form.parameters.get("__array__") == "string")


# Run the stages of one partition (or of merged inputs): call each plug-in, check what it gives back, name what fails -------------

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


class BatchRun:
    """The work on one batch in one pass.

    Parameters
    ----------
    machine : Machine
        The run that it belongs to.
    one : Pass
        The tasks.
    batch : Batch
        The batch.
    workers : int
        Threads for its ranges.
    enough : mapping of bytes to int
        How many more events are needed; empty when it is all.
    step : callable
        Called with the events of each range that is done.
    """

    def __init__(
        self, machine: Machine, one: Pass, batch: Batch, workers: int, enough: Mapping[Key, int], step: Callable[[int], None]
    ) -> None:
        """Nothing is done yet."""
        self.machine, self.one, self.batch, self.workers = machine, one, batch, workers
        self.enough, self.step = enough, step
        self.done = BatchDone()
        self._tasks = {t.key: t for s in one.stages for t in s.tasks}
        self._values: dict[Key, Result] = {}
        self._complete = True

    def run(self, cancelled: Callable[[], bool]) -> BatchDone:
        """Give what came of it."""
        todo = self._missing()
        if todo:
            names = [self._name(t) for t in todo if self._is_stored(t)]
            with self.machine.results.claims(names, cancelled):
                todo = self._missing()  # others may have computed some of it while we waited
                self._compute(todo, cancelled)
        for key in self.one.merged:
            if key not in self.done.parts and key in self._values:
                self.done.parts[key] = self._parts_of(self._tasks[key], self._values[key])
        return self.done

    def _missing(self) -> list[Task]:
        """Read what is stored, from the end; gives what is not, producers first."""
        wanted = set(self.one.merged)
        taken: set[Key] = set()
        todo: list[Task] = []
        for task in reversed(self._tasks.values()):
            if task.key not in wanted or task.key in self._values:
                continue
            if task.key in self.one.parts_only and task.key not in taken and self._is_there(task):
                self._found(task)
                continue
            place = task.key, self.batch.number
            there = self.machine.streamed.pop(place, None) or self.machine.made_once.get(place)
            if there is not None:
                self._values[task.key] = there
                continue
            found = self.machine.results.get(self._name(task)) if self._is_stored(task) else None
            if found is not None:
                self._values[task.key] = found
                self._found(task)
                continue
            todo.append(task)
            taken.update(self._taken(task))
            wanted.update(taken)
        return todo[::-1]

    def _found(self, task: Task) -> None:
        """Count a stored result, unless this run has stored it ahead of the batches: that is counted as computed."""
        if (task.key, self.batch.number) not in self.machine.delivered:
            self.done.cached.add(task.key)

    def _taken(self, task: Task) -> list[Key]:
        """Give the tasks that a task takes batch by batch."""
        tasks = self.machine.keys.tasks
        return [k for k in task.inputs if by_parts(tasks[k], task)]

    def _compute(self, todo: Sequence[Task], cancelled: Callable[[], bool]) -> None:
        if any(k not in self.machine.merged for t in todo for k in t.inputs if k not in self._taken(t)):
            raise Vanished
        ranges = self.machine.batches.partitions(self.batch, self.machine.limits.range_events)
        given = {k for t in todo for k in self._taken(t) if k in self._values}
        cut = {k: self._cut(k, ranges) for k in given}
        late: set[Key] = set()
        for task in todo:
            if any(k in late or (k in cut and not cut[k]) for k in self._taken(task)):
                late.add(task.key)
        first = [t for t in todo if t.key not in late]
        rest = [t for t in todo if t.key in late]
        keep = [t.key for t in first if self._is_wanted(t) or any(t.key in r.inputs for r in rest)]
        if first:
            self._by_ranges(first, keep, ranges, {k: c for k, c in cut.items() if c}, cancelled)
        inputs = {**self.machine.merged, **self._values}
        for stage in stages(rest):
            context = RunContext(partition=self._range_done(), cancelled=cancelled)
            now = [t.key for t in stage.tasks]
            parts, seconds = self._run([stage], inputs, context, now)
            self._took([stage], seconds)
            for task in stage.tasks:
                self._keep(task, [parts[task.key]], seconds[0] / len(now))
            inputs.update({k: self._values[k] for k in now if k in self._values})
        for key in {t.key for t in todo} - set(self.one.merged):
            self._values.pop(key, None)

    def _is_wanted(self, task: Task) -> bool:
        """Say whether the result of all ranges is needed: for what is merged, or to be stored."""
        is_kept = self._is_stored(task) and self.machine.results.is_kept
        return is_kept or task.key in self.one.merged or is_made_once(task.expr)

    def _cut(self, key: Key, ranges: Sequence[Partition | None]) -> list[Columns]:
        """Give a result that is there as what each range gave; nothing where nobody knows."""
        value, part = self._values[key], self._tasks[key].expr.type
        assert isinstance(value, Columns)
        if len(ranges) == 1:
            return [value]
        rows = value.rows
        if not rows and part.axes[0].key == part.axes[0].root:
            rows = tuple([0 if r is None else r.n_events for r in ranges])
        if len(rows) != len(ranges) or sum(rows) != len(value.array):
            return []
        ends = list(accumulate(rows, initial=0))
        return [Columns(value.array[a:b]) for a, b in pairwise(ends)]

    def _by_ranges(
        self,
        tasks: Sequence[Task],
        keep: Sequence[Key],
        ranges: Sequence[Partition | None],
        given: Mapping[Key, Sequence[Columns]],
        cancelled: Callable[[], bool],
    ) -> None:
        """Run tasks range by range on threads, and keep their merged results."""
        plan = stages(tasks)
        parts: dict[Key, list[Result]] = {k: [] for k in keep}
        spent = dict.fromkeys([t.key for t in tasks], 0.0)

        def work(number: int, stop: Callable[[], bool]) -> tuple[dict[Key, Result], list[float]]:
            inputs = {**self.machine.merged, **{k: columns[number] for k, columns in given.items()}}
            return self._range(plan, inputs, RunContext(partition=ranges[number], cancelled=stop), keep)

        with closing(self._results(work, range(len(ranges)), cancelled)) as results:
            for partition, (made, seconds) in zip(ranges, results, strict=True):
                for key in keep:
                    parts[key].append(made[key])
                for stage, s in zip(plan, seconds, strict=True):
                    for task in stage.tasks:
                        spent[task.key] += s / len(stage.tasks)
                self._took(plan, seconds)
                self._ranged(partition)
                if self._is_enough(parts):
                    self._complete = len(self.done.ranges) == len(ranges)
                    break
        self.machine.check_unchanged(self.batch)
        for task in tasks:
            if task.key in parts:
                self._keep(task, parts.pop(task.key), spent[task.key])
            else:
                self.done.computed[task.key] = spent[task.key]

    def _range(
        self, plan: Sequence[Stage], inputs: Mapping[Key, Result], context: RunContext, keep: Collection[Key]
    ) -> tuple[dict[Key, Result], list[float]]:
        """Run tasks on one range: at once, or slice by slice where that would take too much memory."""
        partition = context.partition
        parts, nbytes = self._slices(plan, partition, keep)
        with self.machine.limits.room.taken(nbytes):
            if len(parts) <= 1:
                return self._run(plan, inputs, context, keep)
            made: dict[Key, list[Result]] = {k: [] for k in keep}
            before: dict[Key, Result] = {}
            seconds = [0.0] * len(plan)
            held: dict[object, object] = {}
            for number, (part, reading) in enumerate(parts):
                place = Slice(before, number + 1 < len(parts), reading, held)
                results, spent = self._run(plan, inputs, replace(context, partition=part, slice=place), keep)
                seconds = [a + b for a, b in zip(seconds, spent, strict=True)]
                before = {k: r for k, r in results.items() if not isinstance(r, Columns)}
                for key in keep:
                    made[key].append(results[key])
            return {k: self._joined(self._tasks[k], some) for k, some in made.items()}, seconds

    def _joined(self, task: Task, slices: Sequence[Result]) -> Result:
        """Give the part of a range: of what is carried on, that is what came of the last slice."""
        if task.output != "columns":
            return slices[-1]
        return self.machine.plugins[task.plugin].merge(self.machine.programs[task.key], slices)

    def _slices(
        self, plan: Sequence[Stage], partition: Partition | None, keep: Collection[Key]
    ) -> tuple[list[tuple[Partition, Partition]], int]:
        """Give the slices of a range, none where it is to be run at once, and the memory that it is going to take."""
        limits, tasks = self.machine.limits, [t for s in plan for t in s.tasks]
        if partition is None or not partition.n_events or any(k in self._values for t in tasks for k in self._taken(t)):
            return [], 0
        least = min(LEAST_EVENTS, limits.slice_events or LEAST_EVENTS)
        if partition.n_events <= least or not all(self._is_carried(t) for t in tasks):
            return [], 0
        weight = self.machine.weight(plan, partition.file_number, keep)
        n, reading = slice_lengths(weight, partition.n_events, limits)
        nbytes = round(reading * weight.read + n * weight.work + partition.n_events * weight.kept)
        return (slices(partition, n, reading) if n < partition.n_events else []), nbytes

    def _is_carried(self, task: Task) -> bool:
        plugin = self.machine.plugins[task.plugin]
        return task.output == "columns" or plugin.carries(task)

    def _results(
        self, work: Callable[[Item, Callable[[], bool]], Done], items: Sequence[Item], cancelled: Callable[[], bool]
    ) -> Generator[Done, None, None]:
        """Work on the first item alone where it may be all that is needed, then on the others on threads."""
        alone = 1 if self.enough else 0
        yield from in_order(work, items[:alone], 1, cancelled)
        yield from in_order(work, items[alone:], self.workers, cancelled)

    def _is_enough(self, parts: Mapping[Key, Sequence[Result]]) -> bool:
        if not self.enough or not set(self.enough) <= set(parts):
            return False
        return all(sum([len(p.array) for p in parts[k] if isinstance(p, Columns)]) >= n for k, n in self.enough.items())

    def _run(
        self, plan: Sequence[Stage], inputs: Mapping[Key, Result], context: RunContext, keep: Collection[Key]
    ) -> tuple[dict[Key, Result], list[float]]:
        with self.machine.limits.slots:
            return run_stages(plan, self.machine.plugins, self.machine.programs, inputs, context, keep)

    def _ranged(self, partition: Partition | None) -> None:
        events = 0 if partition is None else partition.n_events
        self.done.ranges.append(events)
        self.step(events)

    def _range_done(self) -> Partition | None:
        """Give all of the batch, or as much of it as was read."""
        whole = self.batch.whole
        if whole is None or self._complete:
            return whole
        return Partition(whole.file, whole.file_number, whole.start, whole.start + sum(self.done.ranges), whole.first)

    def _keep(self, task: Task, parts: Sequence[Result], seconds: float) -> None:
        """Merge the parts of a task, store the result, and give it on."""
        start = time.perf_counter()
        plugin, program = self.machine.plugins[task.plugin], self.machine.programs[task.key]
        if task.output == "columns":
            value: Result | None = plugin.merge(program, parts)
            if len(parts) > 1:
                value = Columns(value.array, tuple([len(p.array) for p in parts]))  # type: ignore[union-attr]
        else:
            value = plugin.kept(program, parts) if isinstance(plugin, Keeping) else None
        if value is None:
            self.done.parts[task.key] = parts
            self.done.computed[task.key] = seconds
            return
        self._values[task.key] = value
        if self._complete and is_made_once(task.expr):
            self.machine.made_once[task.key, self.batch.number] = value
        seconds += time.perf_counter() - start
        if self._complete and self._is_stored(task):
            note = self.machine.put(task, self.batch, value, seconds, noted=self.done.put)
            if note:
                self.done.notes[task.key] = note
        self.done.computed[task.key] = seconds

    def _parts_of(self, task: Task, value: Result) -> Sequence[Result]:
        plugin, program = self.machine.plugins[task.plugin], self.machine.programs[task.key]
        if task.output == "columns" or not isinstance(plugin, Keeping):
            return (value,)
        return plugin.parts_of(program, value)

    def _took(self, plan: Sequence[Stage], seconds: Sequence[float]) -> None:
        for stage, s in zip(plan, seconds, strict=True):
            self.done.stages.append((stage.plugin, tuple([t.key for t in stage.tasks]), s))

    def _is_stored(self, task: Task) -> bool:
        return task.key not in self.machine.keys.not_stored

    def _is_there(self, task: Task) -> bool:
        return self._is_stored(task) and self.machine.results.has(self._name(task))

    def _name(self, task: Task) -> Key:
        return self.machine.keys.of_batch(task, self.batch)


# Merge the results of partitions, in order, without keeping more of them than needed ---------------------------------------------


@runtime_checkable
class Folding(Protocol):
    """A plug-in that can add one part to those before it, so that memory does not grow with the number of parts."""

    def fold(self, program: Program, before: Result | None, part: Result) -> Result:
        """Give one part that stands for all before it and this one; `merge` of it alone is the outcome."""
        ...


class Merging:
    """The parts of one task, so far.

    Parameters
    ----------
    plugin : Plugin
        The plug-in that made the parts.
    program : Program
        The program of the task.

    Attributes
    ----------
    events : int
        How many events the parts have, where they are columns.
    seconds : float
        What merging took.
    """

    def __init__(self, plugin: Plugin, program: Program) -> None:
        """Begin with no part."""
        self._plugin = plugin
        self._program = program
        self._parts: list[Result] = []
        self.seconds = 0.0
        self.events = 0

    @property
    def task(self) -> Task:
        """The task whose parts these are."""
        return self._program.task

    def add(self, part: Result) -> None:
        """Take the part of the next partition."""
        start = time.perf_counter()
        if isinstance(part, Columns):
            self.events += len(part.array)
        if isinstance(self._plugin, Folding):
            before = self._parts[0] if self._parts else None
            self._parts = [self._plugin.fold(self._program, before, part)]
        else:
            self._parts.append(part)
        self.seconds += time.perf_counter() - start

    def outcome(self) -> Result:
        """Give the final result."""
        start = time.perf_counter()
        result = self._plugin.merge(self._program, self._parts)
        self._parts = []
        self.seconds += time.perf_counter() - start
        return result
