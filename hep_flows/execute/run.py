"""One run of a plan, round by round."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError, PluginError, StoreError
from hep_flows.execute.batches import Batches
from hep_flows.execute.history import note_run
from hep_flows.execute.keys import Keys, result_versions
from hep_flows.execute.ledger import Ledger
from hep_flows.execute.machine import Machine
from hep_flows.execute.merge import Merging
from hep_flows.execute.needs import Needs, needs
from hep_flows.execute.report import RunReport, StageTime
from hep_flows.execute.results import Results, Vanished
from hep_flows.execute.run_pass import PassRun, possible
from hep_flows.execute.run_passes import run_passes
from hep_flows.execute.run_stages import run_stages
from hep_flows.execute.schedule import inputs_of, schedule
from hep_flows.execute.steps import Steps
from hep_flows.plugin import RunContext

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hep_flows.execute.machine import Limits
    from hep_flows.execute.report import Step
    from hep_flows.execute.schedule import Pass, Stage
    from hep_flows.planning.task import Key, Plan, Task
    from hep_flows.plugin import Plugin, Result

MOST_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a run.

    Parameters
    ----------
    keep_going : bool
        Whether everything else is computed when something fails.
    parts_only : collection of bytes
        Tasks whose results are to be stored batch by batch, and are not wanted here.
    batches : collection of int, optional
        The numbers of the batches that are to be done, where it is not all of them.
    failed : mapping of bytes to HepFlowsError
        Tasks that failed elsewhere, and are not to be tried again.
    """

    keep_going: bool = False
    parts_only: frozenset[Key] = frozenset()
    batches: Collection[int] | None = None
    failed: Mapping[Key, HepFlowsError] = field(default_factory=dict)


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
        keys = Keys(plan)
        self.plan = plan
        self.machine = Machine(by_name, programs, keys, Batches(plan, by_name, results), results, limits)
        self.ledger = Ledger(plan)
        self._progress = progress
        self._wish = Wish()
        self._rounds = 0
        self._need = Needs()
        self._complete: set[Key] = set()

    def all(self, wish: Wish) -> tuple[dict[Key, Result], RunReport]:
        """Give the results of the targets by task key, and the report; when going on after a failure, those that could be delivered.

        Raises
        ------
        HepFlowsError
            The first error, where it ends the run; it holds the report.
        """
        self._wish, start = wish, time.perf_counter()
        self.machine.batches.only = wish.batches
        try:
            self._attempts()
        except HepFlowsError as error:
            if not self.ledger.errors:
                self.ledger.errors.append(error)
            self.ledger.tally.ended(self._incomplete())
            error.report = self._report(start)
            raise
        if self.ledger.errors:
            self.ledger.tally.unused([k for k, numbers in self._need.missing.items() if numbers])
        return {k: self.machine.merged[k] for k in self.plan.targets if k in self.machine.merged}, self._report(start)

    def _attempts(self) -> None:
        for _ in range(MOST_ATTEMPTS):
            try:
                self._attempt()
            except Vanished:  # a stored result was damaged or removed meanwhile: look again
                self.ledger.start_again()
            else:
                return
        raise StoreError("results vanish from the cache while they are used", do="is something else removing them?")

    def _incomplete(self) -> list[Key]:
        """Give the tasks that something was needed of, and that were not gone through to the end."""
        return [k for k, numbers in self._need.missing.items() if numbers and k not in self._complete]

    def _report(self, start: float) -> RunReport:
        ledger = self.ledger
        if ledger.tally.has_computed and self.plan.exprs:  # a part of a plan is noted by the run that it is a part of
            note_run(self.plan, self.machine.results, ledger.tally.rows(), result_versions(self.machine.plugins.values()))
        for key, reason in self.machine.keys.not_stored.items():
            ledger.tally.note(key, f"not stored: {reason}")
        stages = tuple([StageTime(plugin, tasks, s) for (plugin, tasks), s in ledger.stages.items()])
        counts = time.perf_counter() - start, ledger.events, ledger.partitions, self._rounds
        return RunReport(*counts, stages, ledger.merging, ledger.tally.rows(), tuple(ledger.errors))

    def _attempt(self) -> None:
        self._complete.clear()
        for key, error in self._wish.failed.items():
            self.ledger.fails(key, error)
        if self._wish.failed and not self._wish.keep_going:
            self._look_only()
            raise next(iter(self._wish.failed.values()))
        self._need = need = self._looked_up()
        if self._wish.batches is not None and not need.merged <= self._wish.parts_only:
            return  # what is made of all batches cannot be made of some: whoever looks at the whole table does it
        rounds = schedule(self.plan, merged=need.merged, there=need.stored, parts_only=self._wish.parts_only)
        self._rounds = len(rounds)
        for number, this in enumerate(rounds):
            self._over_batches(this.passes, number)
            for stage in this.whole:
                self._at_once(stage)
            self._keep_only({*self.plan.targets, *inputs_of(rounds[number + 1 :])})

    def _looked_up(self) -> Needs:
        """Find out what is missing, and read merged results that are stored."""
        machine = self.machine
        while True:
            need = needs(self.plan, machine.keys, machine.batches, machine.results)
            for key in [k for k in need.stored if k not in machine.merged]:
                if key in self._wish.parts_only:
                    self.ledger.tally.stored(key, *machine.results.size(key))
                    continue
                found = machine.results.get(key)
                if found is None:
                    break
                machine.merged[key] = found
                self.ledger.tally.stored(key, *machine.results.size(key))
            else:
                return need

    def _look_only(self) -> None:
        """Find out what is missing, and read nothing: nobody gets it."""
        machine = self.machine
        self._need = needs(self.plan, machine.keys, machine.batches, machine.results)
        for key in self._need.stored:
            self.ledger.tally.stored(key, *machine.results.size(key))

    def _keep_only(self, keys: Collection[Key]) -> None:
        """Let go of merged results that nothing needs any more."""
        for key in [k for k in self.machine.merged if k not in keys]:
            del self.machine.merged[key]

    def _over_batches(self, passes: Sequence[Pass], number: int) -> None:
        # Threads look at the results of earlier rounds, while those of this one are being delivered.
        machine = replace(self.machine, merged=dict(self.machine.merged))
        runs: list[PassRun] = []
        for one in [self._possible(p) for p in passes]:
            steps = Steps(self._progress, one, machine.batches.of(one.dataset), number, self._rounds)
            runs.append(PassRun(machine, self.ledger, one, steps, keep_going=self._wish.keep_going))
        with closing(run_passes(runs, machine.limits)) as done:
            for run in done:
                for merge in run.outcome():
                    self._deliver(merge.task, merge.outcome(), merge.seconds)
                self._complete.update([t.key for s in run.one.stages for t in s.tasks])

    def _possible(self, one: Pass) -> Pass:
        """Leave out what failed elsewhere, and what takes a result that is missing."""
        if not self.ledger.errors:
            return one
        failed, merged = self._wish.failed, self.machine.merged
        tasks = {t.key for s in one.stages for t in s.tasks}

        def lacking(keys: Sequence[Key]) -> Key | None:
            return next((k for k in keys if k not in merged), None)

        stages = tuple([replace(s, tasks=tuple([t for t in s.tasks if t.key not in failed])) for s in one.stages])
        left = replace(one, merged=frozenset(one.merged - set(failed)), stages=tuple([s for s in stages if s.tasks]))
        return possible(left if tasks & set(failed) else one, lacking, self.ledger)

    def _at_once(self, stage: Stage) -> None:
        """Run tasks on merged results."""
        doable = []
        for task in stage.tasks:
            lacking = [k for k in task.inputs if k not in self.machine.merged]
            if task.key in self._wish.failed:
                continue
            if lacking and not self.ledger.errors:
                raise Vanished
            if lacking:
                self.ledger.waits(task, lacking[0])
            else:
                doable.append(task)
        for task in doable:
            try:
                self._whole(stage, task)
                self._complete.add(task.key)
            except HepFlowsError as error:
                self.ledger.fails(task.key, error)
                if not self._wish.keep_going:
                    raise

    def _whole(self, stage: Stage, task: Task) -> None:
        machine, cancelled = self.machine, self.machine.limits.cancelled
        is_stored = machine.keys.is_whole_stored(task)
        with machine.results.claims([task.key] if is_stored else [], cancelled):
            found = machine.results.get(task.key) if is_stored else None  # another may have computed it meanwhile
            if found is not None:
                machine.merged[task.key] = found
                self.ledger.tally.stored(task.key, *machine.results.size(task.key))
                return
            alone = replace(stage, tasks=(task,))
            context = RunContext(cancelled=cancelled)
            with machine.limits.slots:
                parts, (seconds,) = run_stages([alone], machine.plugins, machine.programs, machine.merged, context, [task.key])
            self.ledger.took(stage.plugin, (task.key,), seconds)
            self.ledger.tally.computed(task.key, seconds, 0, 0)
            merge = Merging(machine.plugins[task.plugin], machine.programs[task.key])
            merge.add(parts[task.key])
            self._deliver(task, merge.outcome(), merge.seconds, seconds)

    def _deliver(self, task: Task, result: Result, merging: float, seconds: float = 0.0) -> None:
        """Take the merged result of a task, and store it."""
        machine = self.machine
        machine.merged[task.key] = result
        self.ledger.merging[task.key] = merging
        size = (0, 0)
        if machine.keys.is_whole_stored(task) and not machine.results.has(task.key):
            note = machine.put(task, None, result, seconds + merging)
            if note:
                self.ledger.tally.note(task.key, note)
            size = machine.results.size(task.key)
        self.ledger.tally.merged(task.key, merging, *size)


def _plugin(plugins: Mapping[str, Plugin], name: str) -> Plugin:
    if name not in plugins:
        raise PluginError(
            f"the plan needs the plug-in {name!r}, which is not here",
            why=f"there are: {', '.join(sorted(plugins)) or 'none'}",
            do="make the plan again, or install the plug-in",
        )
    return plugins[name]
