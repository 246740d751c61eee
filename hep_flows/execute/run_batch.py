"""Run tasks on one batch of a table: what is stored is read, what is missing is computed and stored.

Everything runs range by range on threads: tasks that read the table, and those that take their results. Sums and fills are made range
by range, too, and merged in the order of the ranges. What was read from the store is cut into what each range gave, so what is made
of it has the same bits as if it had just been computed. Where the borders of the ranges lie follows from the file alone; how many are
in flight, and into how many slices each is cut, from the machine.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from hep_flows.execute.batches import slices
from hep_flows.execute.machine import LEAST_EVENTS, slice_lengths
from hep_flows.execute.results import Vanished
from hep_flows.execute.run_stages import run_stages
from hep_flows.execute.schedule import by_parts, stages
from hep_flows.in_order import Done, Item, in_order
from hep_flows.plugin import Carrying, Columns, Keeping, Partition, RunContext, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.schedule import Pass, Stage
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Result


@dataclass(slots=True)
class BatchDone:
    """What came of one batch.

    Parameters
    ----------
    parts : mapping of bytes to sequence of Result
        For the tasks that were wanted, what is to be merged.
    cached : set of bytes
        Tasks whose result was in the store.
    computed : mapping of bytes to tuple
        Seconds, rows and bytes of the others.
    stages : list of tuple
        Plug-in, tasks and seconds of each stage that ran.
    ranges : list of int
        The events of each range that was run.
    notes : mapping of bytes to str
        Why a result could not be stored.
    attempts : int
        How often it was tried.
    """

    parts: dict[Key, Sequence[Result]] = field(default_factory=dict)
    cached: set[Key] = field(default_factory=set)
    computed: dict[Key, tuple[float, int, int]] = field(default_factory=dict)
    stages: list[tuple[str, tuple[Key, ...], float]] = field(default_factory=list)
    ranges: list[int] = field(default_factory=list)
    notes: dict[Key, str] = field(default_factory=dict)
    attempts: int = 1


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
            streamed = self.machine.streamed.pop((task.key, self.batch.number), None)
            if streamed is not None:
                self._values[task.key] = streamed
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
        ranges = self.machine.batches.partitions(self.batch, self.machine.limits.chunk_events)
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
        return task.key in self.one.merged or (self._is_stored(task) and self.machine.results.is_kept)

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
        for task in tasks:
            if task.key in parts:
                self._keep(task, parts.pop(task.key), spent[task.key])
            else:
                self.done.computed[task.key] = (spent[task.key], 0, 0)

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
        return task.output == "columns" or (isinstance(plugin, Carrying) and plugin.carries(task))

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
            self.done.computed[task.key] = (seconds, 0, 0)
            return
        self._values[task.key] = value
        seconds += time.perf_counter() - start
        rows = nbytes = 0
        if self._complete and self._is_stored(task):
            note = self.machine.put(task, self.batch, value, seconds)
            if note:
                self.done.notes[task.key] = note
            rows, nbytes = self.machine.results.size(self._name(task))
        self.done.computed[task.key] = (seconds, rows, nbytes)

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
