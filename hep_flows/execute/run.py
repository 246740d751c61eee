"""One run of a plan, round by round."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError, PluginError, StoreError
from hep_flows.execute.batches import Batches
from hep_flows.execute.history import note_run
from hep_flows.execute.in_order import in_order
from hep_flows.execute.keys import Keys
from hep_flows.execute.machine import Machine
from hep_flows.execute.merge import Merging
from hep_flows.execute.needs import Needs, needs
from hep_flows.execute.report import RunReport, StageTime
from hep_flows.execute.results import Results, Vanished
from hep_flows.execute.run_batch import BatchDone, BatchRun
from hep_flows.execute.run_stages import run_stages
from hep_flows.execute.schedule import inputs_of, schedule
from hep_flows.execute.steps import Steps
from hep_flows.execute.task_rows import Tally
from hep_flows.plugin import RunContext

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.machine import Limits
    from hep_flows.execute.report import Step
    from hep_flows.execute.schedule import Pass, Stage
    from hep_flows.planning.task import Key, Plan, Task
    from hep_flows.plugin import Plugin, Result

MOST_ATTEMPTS = 10


class Run:
    """The state of one run.

    Parameters
    ----------
    plan : Plan
        What to run.
    plugins : sequence of Plugin
        Those that the plan was made with.
    results : Results
        The store.
    limits : Limits
        How to use the machine.
    progress : callable, optional
        Gets a `Step` whenever a partition is done.
    """

    def __init__(
        self, plan: Plan, plugins: Sequence[Plugin], results: Results, limits: Limits, progress: Callable[[Step], None] | None
    ) -> None:
        """Translate every task; nothing runs."""
        by_name = {p.name: p for p in plugins}
        programs = {t.key: _plugin(by_name, t.plugin).translate(t) for t in plan.tasks}
        keys = Keys(plan, {n: p.result_version for n, p in by_name.items()})
        self.plan = plan
        self.machine = Machine(by_name, programs, keys, Batches(plan, by_name, results), results, limits)
        self.tally = Tally(plan)
        self._progress = progress
        self._keep_going = False
        self._stages: dict[tuple[str, tuple[Key, ...]], float] = {}
        self._merging: dict[Key, float] = {}
        self._events = self._partitions = self._rounds = 0
        self._errors: list[HepFlowsError] = []

    def all(self, *, keep_going: bool) -> tuple[dict[Key, Result], RunReport]:
        """Give the results of the targets by task key, and the report; when going on after a failure, those that could be delivered."""
        self._keep_going, start = keep_going, time.perf_counter()
        for _ in range(MOST_ATTEMPTS):
            try:
                self._attempt()
                break
            except Vanished:  # a stored result was damaged or removed meanwhile: look again
                self.tally = Tally(self.plan)
                self._errors = []
        else:
            raise StoreError("results vanish from the cache while they are used", do="is something else removing them?")
        if self.tally.has_computed:
            note_run(self.plan, self.machine.results)
        for key, reason in self.machine.keys.not_stored.items():
            self.tally.note(key, f"not stored: {reason}")
        found = {k: self.machine.merged[k] for k in self.plan.targets if k in self.machine.merged}
        stages = tuple([StageTime(plugin, tasks, s) for (plugin, tasks), s in self._stages.items()])
        counts = time.perf_counter() - start, self._events, self._partitions, self._rounds
        return found, RunReport(*counts, stages, self._merging, self.tally.rows(), tuple(self._errors))

    def _attempt(self) -> None:
        need = self._looked_up()
        rounds = schedule(self.plan, merged=need.merged, there=need.stored)
        self._rounds = len(rounds)
        for number, this in enumerate(rounds):
            for one in this.passes:
                self._over_batches(one, number)
            for stage in this.whole:
                self._at_once(stage)
            self._keep_only({*self.plan.targets, *inputs_of(rounds[number + 1 :])})

    def _looked_up(self) -> Needs:
        """Find out what is missing, and read merged results that are stored."""
        machine = self.machine
        while True:
            need = needs(self.plan, machine.keys, machine.batches, machine.results)
            for key in [k for k in need.stored if k not in machine.merged]:
                found = machine.results.get(key)
                if found is None:
                    break
                machine.merged[key] = found
                self.tally.stored(key, *machine.results.size(key))
            else:
                return need

    def _keep_only(self, keys: Collection[Key]) -> None:
        """Let go of merged results that nothing needs any more."""
        for key in [k for k in self.machine.merged if k not in keys]:
            del self.machine.merged[key]

    def _over_batches(self, one: Pass, number: int) -> None:
        one = self._possible(one)
        batches = self.machine.batches.of(one.dataset)
        merging = {k: Merging(self.machine.plugins[self._task(k).plugin], self.machine.programs[k]) for k in one.merged}
        failed: set[Key] = set()
        steps = Steps(self._progress, one, batches, number, self._rounds)
        for key in one.merged:
            self.tally.batches(key, len(batches))
        with closing(self._batches(one, batches, merging, steps)) as results:
            for batch, done in results:
                if isinstance(done, HepFlowsError):
                    failed.update(self._one_by_one(one, batch, done, merging, failed))
                    continue
                self._done(done, merging)
        for key, merge in merging.items():
            if key in failed:
                continue
            self._deliver(self._task(key), merge.outcome(), merge.seconds)

    def _possible(self, one: Pass) -> Pass:
        """Leave out what takes a result that is missing."""
        if not self._errors:
            return one
        impossible: set[Key] = set()
        tasks = {t.key: t for s in one.stages for t in s.tasks}
        for task in tasks.values():
            lacking = [k for k in task.inputs if k in impossible or (k not in tasks and k not in self.machine.merged)]
            if lacking:
                impossible.add(task.key)
                self._waits(task, lacking[0])
        return replace(one, merged=frozenset(one.merged - impossible))

    def _waits(self, task: Task, for_what: Key) -> None:
        self.tally.waits(task.key, f"it takes a result that is missing (task {for_what.hex()[:8]})")

    def _batches(
        self, one: Pass, batches: Sequence[Batch], merging: Mapping[Key, Merging], steps: Steps
    ) -> Generator[tuple[Batch, BatchDone | HepFlowsError], None, None]:
        limits = self.machine.limits
        if not one.merged:
            return
        if one.enough:
            for batch in batches:
                rest = {k: n - merging[k].events for k, n in one.enough.items() if k in merging}
                yield batch, self._batch(one, batch, (limits.workers, rest), steps.one, limits.cancelled)
                if all(merging[k].events >= n for k, n in one.enough.items() if k in merging):
                    return
            return
        side_by_side = min(limits.workers, len(batches))
        each = max(1, limits.workers // side_by_side)

        def work(batch: Batch, cancelled: Callable[[], bool]) -> BatchDone | HepFlowsError:
            return self._batch(one, batch, (each, {}), steps.one if side_by_side == 1 else steps.nothing, cancelled)

        with closing(in_order(work, batches, side_by_side, limits.cancelled)) as results:
            for batch, done in zip(batches, results, strict=True):
                if side_by_side > 1 and isinstance(done, BatchDone):
                    for events in done.ranges:
                        steps.one(events)
                yield batch, done

    def _batch(
        self,
        one: Pass,
        batch: Batch,
        how: tuple[int, Mapping[Key, int]],
        step: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> BatchDone | HepFlowsError:
        workers, enough = how
        try:
            return BatchRun(self.machine, one, batch, workers, enough, step).run(cancelled)
        except HepFlowsError as error:
            if not self._keep_going:
                raise
            return error

    def _one_by_one(
        self, one: Pass, batch: Batch, error: HepFlowsError, merging: Mapping[Key, Merging], failed: set[Key]
    ) -> set[Key]:
        """Find out which of the tasks fail on a batch, since what runs with one that fails is lost too."""
        if len(one.merged) == 1:
            for key in one.merged:
                self._fails(key, error, batch)
            return set(one.merged)
        now: set[Key] = set()
        for key in sorted(one.merged - failed):
            alone = replace(one, merged=frozenset({key}), enough={})
            done = self._batch(alone, batch, (self.machine.limits.workers, {}), _nothing, self.machine.limits.cancelled)
            if isinstance(done, HepFlowsError):
                self._fails(key, done, batch)
                now.add(key)
            else:
                self._done(done, merging)
        return now

    def _fails(self, key: Key, error: HepFlowsError, batch: Batch | None) -> None:
        self.tally.failed(key, error, batch)
        self._errors.append(error)

    def _done(self, done: BatchDone, merging: Mapping[Key, Merging]) -> None:
        for key, parts in done.parts.items():
            for part in parts:
                merging[key].add(part)
        for plugin, tasks, seconds in done.stages:
            self._stages[plugin, tasks] = self._stages.get((plugin, tasks), 0.0) + seconds
        self._events += sum(done.ranges)
        self._partitions += len(done.ranges)
        self.tally.batch(done)

    def _at_once(self, stage: Stage) -> None:
        """Run tasks on merged results."""
        possible = []
        for task in stage.tasks:
            lacking = [k for k in task.inputs if k not in self.machine.merged]
            if lacking and not self._errors:
                raise Vanished
            if lacking:
                self._waits(task, lacking[0])
            else:
                possible.append(task)
        for task in possible:
            try:
                self._whole(stage, task)
            except HepFlowsError as error:
                if not self._keep_going:
                    raise
                self._fails(task.key, error, None)

    def _whole(self, stage: Stage, task: Task) -> None:
        machine, cancelled = self.machine, self.machine.limits.cancelled
        is_stored = machine.keys.is_whole_stored(task)
        with machine.results.claims([task.key] if is_stored else [], cancelled):
            found = machine.results.get(task.key) if is_stored else None  # another may have computed it meanwhile
            if found is not None:
                machine.merged[task.key] = found
                self.tally.stored(task.key, *machine.results.size(task.key))
                return
            alone = replace(stage, tasks=(task,))
            context = RunContext(cancelled=cancelled)
            parts, (seconds,) = run_stages([alone], machine.plugins, machine.programs, machine.merged, context, [task.key])
            self._stages[stage.plugin, (task.key,)] = self._stages.get((stage.plugin, (task.key,)), 0.0) + seconds
            self.tally.computed(task.key, seconds, 0, 0)
            merge = Merging(machine.plugins[task.plugin], machine.programs[task.key])
            merge.add(parts[task.key])
            self._deliver(task, merge.outcome(), merge.seconds, seconds)

    def _deliver(self, task: Task, result: Result, merging: float, seconds: float = 0.0) -> None:
        """Take the merged result of a task, and store it."""
        machine = self.machine
        machine.merged[task.key] = result
        self._merging[task.key] = merging
        size = (0, 0)
        if machine.keys.is_whole_stored(task) and not machine.results.has(task.key):
            note = machine.put(task, None, result, seconds + merging)
            if note:
                self.tally.note(task.key, note)
            size = machine.results.size(task.key)
        self.tally.merged(task.key, merging, *size)

    def _task(self, key: Key) -> Task:
        return self.machine.keys.tasks[key]


def _nothing(events: int) -> None:
    pass


def _plugin(plugins: Mapping[str, Plugin], name: str) -> Plugin:
    if name not in plugins:
        raise PluginError(
            f"the plan needs the plug-in {name!r}, which is not here",
            why=f"there are: {', '.join(sorted(plugins)) or 'none'}",
            do="make the plan again, or install the plug-in",
        )
    return plugins[name]
