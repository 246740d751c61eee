"""One run of a plan, round by round."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from hep_flows.contract import RunContext, Streaming
from hep_flows.errors import HepFlowsError, PluginError, Site, SourceError, StoreError, TaskError, line_of
from hep_flows.execute.batches import Batches, Keys, by_parts, result_versions, total_events
from hep_flows.execute.history import note_run
from hep_flows.execute.machine import RANGE_EVENTS, Limits, Machine, keep_freed_memory
from hep_flows.execute.need import Needs, inputs_of, needs, schedule
from hep_flows.execute.report import BatchDone, Ledger, RunReport, StageTime, Step
from hep_flows.execute.results import Results, Vanished
from hep_flows.execute.work import BatchRun, Merging, checked, failed, run_stages
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call
from hep_flows.expr.walk import postorder
from hep_flows.in_order import Stopped, in_order
from hep_flows.retry import DELAYS_S, is_transient, spread, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from hep_flows.contract import Key, Partition, Plan, Plugin, Result, Task
    from hep_flows.errors import SourceLine
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.need import Pass, Stage
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.store.store import Store

# Ask for all missing batches of a pass at once, where a plug-in can, and store each result when it comes -------------------------
#
# A server works on many files side by side and delivers them in an order of its own. So before a pass goes through its batches one by
# one, what a streaming plug-in has to deliver for them is asked for in one request. Every result is stored as soon as it is there: a
# run that is killed has lost nothing that was delivered. The pass then finds the results, and the errors of batches that failed.


class StreamRun:
    """What streaming plug-ins deliver for one pass.

    Parameters
    ----------
    machine : Machine
        The run that it belongs to.
    one : Pass
        The tasks.
    batches : sequence of Batch
        What it goes through.
    cancelled : callable
        Whether nobody wants it any more.

    Attributes
    ----------
    errors : mapping of int to HepFlowsError
        By the number of the batch: what keeps it from being delivered.
    """

    def __init__(self, machine: Machine, one: Pass, batches: Sequence[Batch], cancelled: Callable[[], bool]) -> None:
        """Nothing is asked for yet."""
        self.machine, self.one = machine, one
        self._batches = [b for b in batches if b.whole is not None]
        self._cancelled = cancelled
        self._came_so_far: list[BatchDone] = []
        self._attempts: dict[Key, int] = {}
        self.errors: dict[int, HepFlowsError] = {}

    def run(self) -> None:
        """Ask for what is missing, again where that may help."""
        for stage in self._stages():
            self._stage(stage)

    def note(self, ledger: Ledger) -> None:
        """Note what came, and what did not: what takes it is reported by the pass, but it is this that failed."""
        for done in self._came_so_far:
            ledger.batch(done)
        for key, attempt in self._attempts.items():
            ledger.tally.tried([key], attempt)
        tasks = [t for s in self._stages() for t in s.tasks]
        for batch in [b for b in self._batches if b.number in self.errors]:
            for task in [t for t in tasks if self._is_missing(t, batch)]:
                ledger.tally.failed(task.key, self.errors[batch.number], batch)

    def _stages(self) -> list[Stage]:
        streaming = [s for s in self.one.stages if _streams(self.machine.plugins[s.plugin], self.one.dataset)]
        return [replace(s, tasks=tuple([t for t in s.tasks if not self._takes_parts(t)])) for s in streaming]

    def _takes_parts(self, task: Task) -> bool:
        return any(by_parts(self.machine.keys.tasks[k], task) for k in task.inputs)

    def _stage(self, stage: Stage) -> None:
        machine = self.machine
        wanted = self._missing(stage, self._batches)
        names = [self._name(t, b) for b in wanted for t in stage.tasks if t.key not in machine.keys.not_stored]
        with machine.results.claims(names, self._cancelled):
            left = self._missing(stage, wanted)  # others may have stored some of it while we waited
            delays = machine.limits.delays_s
            for attempt in range(1, 2 + len(delays)):
                left = self._asked(stage, left, attempt)
                if not left or attempt > len(delays):
                    break
                wait(spread(delays[attempt - 1]), self._cancelled)

    def _missing(self, stage: Stage, batches: Sequence[Batch]) -> list[Batch]:
        """Give the batches of which something is missing: what takes it is not stored, nor is it stored itself."""
        return [b for b in batches if any(self._is_missing(t, b) for t in stage.tasks)]

    def _is_missing(self, task: Task, batch: Batch) -> bool:
        if self._is_there(task, batch):
            return False
        if task.key in self.one.merged:
            return True
        users = [t for s in self.one.stages for t in s.tasks if task.key in t.inputs]
        return any(self._is_missing(u, batch) for u in users)

    def _is_there(self, task: Task, batch: Batch) -> bool:
        machine = self.machine
        if (task.key, batch.number) in machine.streamed:
            return True
        return task.key not in machine.keys.not_stored and machine.results.has(self._name(task, batch))

    def _asked(self, stage: Stage, batches: Sequence[Batch], attempt: int) -> list[Batch]:
        """Ask once; gives the batches that it may help to ask for again."""
        machine = self.machine
        if not batches:
            return []
        by_range = {self._whole(b): b for b in batches}
        plugin = machine.plugins[stage.plugin]
        assert isinstance(plugin, Streaming)
        programs = [machine.programs[t.key] for t in stage.tasks]
        context = RunContext(cancelled=self._cancelled, tried=lambda number: self._tried(stage, number))
        try:
            for partition, found in plugin.stream(programs, list(by_range), context):
                self._came(stage, by_range.pop(partition), partition, found, attempt)
        except Stopped:
            raise
        except Exception as error:
            if self._cancelled():
                raise Stopped from error
            known = error if isinstance(error, HepFlowsError) else failed(stage, context, error)
            known.__cause__ = known.__cause__ or (None if known is error else error)
            self.errors.update({b.number: known for b in by_range.values()})
        again = {n for n, e in self.errors.items() if is_transient(e)}
        self._tried(stage, attempt)
        return [b for b in batches if b.number in again and b.number in self.errors]

    def _tried(self, stage: Stage, attempt: int) -> None:
        for task in stage.tasks:
            self._attempts[task.key] = max(attempt, self._attempts.get(task.key, 1))

    def _came(self, stage: Stage, batch: Batch, partition: Partition, found: object, attempt: int) -> None:
        if isinstance(found, HepFlowsError):
            self.errors[batch.number] = found
            return
        assert isinstance(found, dict)
        try:
            results = checked(stage, found, RunContext(partition=partition))
            self.machine.check_unchanged(batch)
        except HepFlowsError as error:
            self.errors[batch.number] = error
            return
        self.errors.pop(batch.number, None)
        done = BatchDone(attempts=attempt)
        for task in stage.tasks:
            self._keep(task, batch, results[task.key], done)
        self._came_so_far.append(done)

    def _keep(self, task: Task, batch: Batch, result: Result, done: BatchDone) -> None:
        machine = self.machine
        is_stored = task.key not in machine.keys.not_stored and machine.results.is_kept
        # What a server took long to deliver waits for nothing.
        note = machine.put(task, batch, result, 0.0, now=True) if is_stored else ""
        if not is_stored or note:
            machine.streamed[task.key, batch.number] = result
        else:
            machine.delivered.add((task.key, batch.number))
        done.computed[task.key] = 0.0

    def _name(self, task: Task, batch: Batch) -> Key:
        return self.machine.keys.of_batch(task, batch)

    def _whole(self, batch: Batch) -> Partition:
        assert batch.whole is not None
        return batch.whole


def streams(machine: Machine, one: Pass) -> bool:
    """Say whether a pass has tasks of a plug-in that is asked for all of its table at once."""
    names: Collection[str] = {s.plugin for s in one.stages}
    return any(_streams(machine.plugins[n], one.dataset) for n in names)


def _streams(plugin: object, dataset: Dataset) -> bool:
    return isinstance(plugin, Streaming) and plugin.streams(dataset)


# Which tasks an error belongs to, found out without running them again -----------------------------------------------------------


def unstored(machine: Machine, one: Pass, batch: Batch, wanted: Collection[Key]) -> list[Task]:
    """Give the tasks of a pass that have to run on a batch for the results that are wanted, the last ones first."""
    needed = set(wanted)
    found: list[Task] = []
    for task in reversed([t for s in one.stages for t in s.tasks]):
        if task.key in needed and not machine.results.has(machine.keys.of_batch(task, batch)):
            needed.update(task.inputs)
            found.append(task)
    return found


def blamed(machine: Machine, one: Pass, batch: Batch, error: HepFlowsError) -> list[Key]:
    """Give those of the merged tasks of a pass that an error on a batch belongs to.

    These are the ones that need an expression of the line that the error names. An error that names none, as of a file that cannot be
    read, belongs to all that still had to be computed.
    """
    needed = {key: unstored(machine, one, batch, {key}) for key in sorted(one.merged)}
    tasks = {t.key: t for some in needed.values() for t in some}
    there = {k for k, t in tasks.items() if error.where is not None and _stands_at(t.expr, error.where)}
    found = [key for key, some in needed.items() if there.intersection([t.key for t in some])]
    return found or [key for key, some in needed.items() if some] or list(needed)


def _stands_at(root: Expr, place: SourceLine) -> bool:
    for node in postorder(root):
        where = node.where
        # To find the columns of a site takes long: most are of another line.
        if isinstance(where, Site) and (where.code.co_filename, where.lineno) != (place.file, place.line):
            continue
        if line_of(where) == place:
            return True
    return False


# One pass over the batches of a table: each can be worked on in any thread; what comes of it is taken in their order -------------


class PassRun:
    """The work of one pass. Only `ahead` and `work` may be called in any thread; all else belongs to the thread of the run.

    Parameters
    ----------
    machine : Machine
        The run that it belongs to.
    ledger : Ledger
        Where it is noted.
    one : Pass
        The tasks.
    steps : Steps
        Told of every range that is done.
    keep_going : bool
        Whether a batch that fails leaves the others running.

    Attributes
    ----------
    batches : sequence of Batch
        What it goes through: nothing, where there is nothing to be made.
    is_streaming : bool
        Whether something is to be asked for ahead of the batches.
    """

    def __init__(self, machine: Machine, ledger: Ledger, one: Pass, steps: Steps, *, keep_going: bool) -> None:
        """Nothing is done yet."""
        self.machine, self.ledger, self.one, self.steps = machine, ledger, one, steps
        self.batches = machine.batches.of(one.dataset) if one.merged else ()
        self.is_streaming = bool(one.merged) and streams(machine, one)
        self._keep_going = keep_going
        self._stream: StreamRun | None = None
        self._attempts: dict[int, int] = {}
        self._failed: set[Key] = set()
        self._broken: set[Key] = set()  # failed because of something else than a file
        self._merging = {
            k: Merging(machine.plugins[machine.keys.tasks[k].plugin], machine.programs[k]) for k in one.merged - one.parts_only
        }

    def ahead(self, cancelled: Callable[[], bool]) -> None:
        """Ask for all batches at once, of what can be asked for so."""
        self._stream = StreamRun(self.machine, self.one, self.batches, cancelled)
        self._stream.run()
        if self._lost and not self._keep_going:
            raise next(iter(self._lost.values()))

    def begin(self) -> None:
        """Note what came ahead of the batches."""
        for key in self.one.merged:
            self.ledger.tally.batches(key, len(self.batches))
        if self._stream is not None:
            self._stream.note(self.ledger)

    def work(self, batch: Batch, workers: int, cancelled: Callable[[], bool], *, is_alone: bool) -> BatchDone | HepFlowsError:
        """Give what comes of a batch, or why nothing does.

        Parameters
        ----------
        batch : Batch
            The batch.
        workers : int
            Threads for its ranges.
        cancelled : callable
            Whether nobody wants it any more.
        is_alone : bool
            Whether this is the thread of the run, so that steps can be told of as they are made.
        """
        return self._batch(self.one, batch, (workers, {}), self.steps.one if is_alone else self.steps.nothing, cancelled)

    def take(self, batch: Batch, done: BatchDone | HepFlowsError, *, is_told: bool) -> None:
        """Take what came of a batch; those before it have been taken.

        Parameters
        ----------
        batch : Batch
            The batch.
        done : BatchDone or HepFlowsError
            What came of it.
        is_told : bool
            Whether its steps were told of as they were made.
        """
        if isinstance(done, HepFlowsError):
            self.ledger.tally.tried(self.one.merged, self._attempts.get(batch.number, 0))
            self._one_by_one(batch, done)
            return
        for events in done.ranges if not is_told else ():
            self.steps.one(events)
        self._done(done)

    def until_enough(self) -> None:
        """Go through the batches one after another, until there are as many events as are looked at."""
        limits, one = self.machine.limits, self.one
        for batch in self.batches:
            rest = {k: n - self._merging[k].events for k, n in one.enough.items() if k in self._merging}
            try:
                done = self._batch(one, batch, (limits.workers, rest), self.steps.one, limits.cancelled)
            except HepFlowsError as error:
                self.ended(error, batch)
                raise
            self.take(batch, done, is_told=True)
            if all(self._merging[k].events >= n for k, n in one.enough.items() if k in self._merging):
                return

    def ended(self, error: HepFlowsError, batch: Batch | None = None) -> None:
        """Note which tasks the error belongs to that ends the run, on a batch or ahead of all."""
        if batch is None:
            batch = next(b for b in self.batches if b.number in self._lost)
        else:
            self.ledger.tally.tried(self.one.merged, self._attempts.get(batch.number, 0))
        for key in blamed(self.machine, self.one, batch, error):
            self._fails(key, error, batch)

    def outcome(self) -> list[Merging]:
        """Give what is to be merged; tasks that failed are not in it."""
        return [m for k, m in self._merging.items() if k not in self._failed]

    @property
    def _lost(self) -> Mapping[int, HepFlowsError]:
        return {} if self._stream is None else self._stream.errors

    def _batch(
        self,
        one: Pass,
        batch: Batch,
        how: tuple[int, Mapping[Key, int]],
        step: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> BatchDone | HepFlowsError:
        workers, enough = how
        if batch.number in self._lost and self._needs_lost(one, batch):
            return self._lost[batch.number]
        delays = self.machine.limits.delays_s
        attempts = 1 + len(delays)
        for attempt in range(1, attempts + 1):
            try:
                done = BatchRun(self.machine, one, batch, workers, enough, step).run(cancelled)
            except HepFlowsError as error:
                if attempt < attempts and is_transient(error) and not cancelled():
                    wait(spread(delays[attempt - 1]), cancelled)
                    continue
                self._attempts[batch.number] = attempt
                if isinstance(error, SourceError) and batch.whole is not None and batch.whole.file:
                    error.of_file(batch.file)
                if not self._keep_going:
                    raise
                return error
            done.attempts = attempt
            return done
        raise AssertionError

    def _needs_lost(self, one: Pass, batch: Batch) -> bool:
        """Say whether what could not be delivered for a batch is needed for these tasks."""
        machine = self.machine
        return any(_streams(machine.plugins[t.plugin], one.dataset) for t in unstored(machine, one, batch, one.merged))

    def _one_by_one(self, batch: Batch, error: HepFlowsError) -> None:
        """Find out which of the tasks fail on a batch, since what runs with one that fails is lost too.

        A task that failed because of a file goes on: what is made of the other files is stored, and all that cannot be used is named.
        """
        one, limits = self.one, self.machine.limits
        if len(one.merged) == 1:
            for key in one.merged:
                self._fails(key, error, batch)
            return
        self._lost_too(batch)
        # What was not there after several attempts is not there for the next task either.
        down = blamed(self.machine, one, batch, error) if error.files and is_transient(error) else []
        for key in sorted(one.merged - self._broken):
            if key in down:
                self._fails(key, error, batch)
                continue
            alone = replace(one, merged=frozenset({key}), enough={})
            done = self._batch(alone, batch, (limits.workers, {}), self.steps.nothing, limits.cancelled)
            if isinstance(done, HepFlowsError):
                self.ledger.tally.tried([key], self._attempts.get(batch.number, 0))
                self._fails(key, done, batch)
            else:
                self._done(done)

    def _fails(self, key: Key, error: HepFlowsError, batch: Batch) -> None:
        self.ledger.fails(key, error, batch)
        self._failed.add(key)
        if not error.files:
            self._broken.add(key)

    def _lost_too(self, batch: Batch) -> None:
        """Name a batch that could not be delivered for tasks, too, that have failed on another one: all that is missing is reported."""
        if batch.number in self._lost:
            for key in sorted(self.one.merged & self._broken):
                if self._needs_lost(replace(self.one, merged=frozenset({key}), enough={}), batch):
                    self.ledger.tally.failed(key, self._lost[batch.number], batch)

    def _done(self, done: BatchDone) -> None:
        for key, parts in done.parts.items():
            if key in self._merging:
                for part in parts:
                    self._merging[key].add(part)
        self.ledger.batch(done)


def possible(one: Pass, lacking_of: Callable[[Sequence[Key]], Key | None], ledger: Ledger) -> Pass:
    """Leave out of a pass what takes a result that is missing.

    Parameters
    ----------
    one : Pass
        The pass.
    lacking_of : callable
        Gets the inputs of a task that other passes deliver; gives one that is missing, or None.
    ledger : Ledger
        Where it is noted.
    """
    impossible: set[Key] = set()
    tasks = {t.key: t for s in one.stages for t in s.tasks}
    for task in tasks.values():
        lost = next((k for k in task.inputs if k in impossible), None) or lacking_of([k for k in task.inputs if k not in tasks])
        if lost is not None:
            impossible.add(task.key)
            ledger.waits(task, lost)
    return replace(one, merged=frozenset(one.merged - impossible))


# The passes of one round, over their tables side by side -------------------------------------------------------------------------
#
# Before: passes that do not wait for each other. After: each of them done, in their order. Their batches are one sequence of work, in
# which those of several tables are in flight at a time, and no more than there are workers. What comes of them is taken in the order of
# the sequence, so nothing in a result or a report depends on which was there first.

_Item = tuple["PassRun", "Batch"]


def run_passes(passes: Sequence[PassRun], limits: Limits) -> Generator[PassRun, None, None]:
    """Do the work of some passes, and give each as soon as it and those before it are done.

    Parameters
    ----------
    passes : sequence of PassRun
        In the order in which they are to be given.
    limits : Limits
        How to use the machine.

    Raises
    ------
    HepFlowsError
        The first one in the order of the passes that ends the run; the pass has noted it.
    """
    for is_alone, some in groupby(passes, _is_alone):
        for group in [[one] for one in some] if is_alone else [list(some)]:
            _ahead([one for one in group if one.is_streaming], limits)
            yield from _batches(group, limits)


def _is_alone(one: PassRun) -> bool:
    """Say whether a pass is not to run beside others: it stops early, or all that it asks for ahead is held in memory."""
    return bool(one.one.enough) or (one.is_streaming and not one.machine.results.is_kept)


def _ahead(passes: Sequence[PassRun], limits: Limits) -> None:
    def work(one: PassRun, cancelled: Callable[[], bool]) -> None:
        one.ahead(cancelled)

    with closing(in_order(work, passes, limits.workers, limits.cancelled)) as results:
        for one in passes:
            try:
                next(results)
            except HepFlowsError as error:
                one.begin()
                one.ended(error)
                raise


def _batches(passes: Sequence[PassRun], limits: Limits) -> Generator[PassRun, None, None]:
    items = [(one, batch) for one in passes for batch in one.batches if not one.one.enough]
    side_by_side = max(1, min(limits.workers, len(items)))
    each, is_alone = max(1, limits.workers // side_by_side), side_by_side == 1

    def work(item: _Item, cancelled: Callable[[], bool]) -> BatchDone | HepFlowsError:
        one, batch = item
        return one.work(batch, each, cancelled, is_alone=is_alone)

    with closing(in_order(work, items, side_by_side, limits.cancelled)) as results:
        for one in passes:
            one.begin()
            if one.one.enough:
                one.until_enough()
            for batch in one.batches if not one.one.enough else ():
                try:
                    done = next(results)
                except HepFlowsError as error:
                    one.ended(error, batch)
                    raise
                one.take(batch, done, is_told=is_alone)
            yield one


# Where a pass over a table stands ------------------------------------------------------------------------------------------------


class Steps:
    """Says where a pass stands.

    Parameters
    ----------
    progress : callable, optional
        Gets the steps.
    one : Pass
        The pass.
    batches : sequence of Batch
        What it goes through.
    number, rounds : int
        The round that it belongs to, and how many there are.
    """

    def __init__(
        self, progress: Callable[[Step], None] | None, one: Pass, batches: Sequence[Batch], number: int, rounds: int
    ) -> None:
        """Nothing is done yet."""
        self._progress, self._one, self._number, self._rounds = progress, one, number, rounds
        self._events = total_events(batches)
        self._batches = batches
        self._done = self._ranges = 0

    def one(self, events: int) -> None:
        """Say that a range of that many events is done."""
        self._done += events
        self._ranges += 1
        if self._progress is not None:
            name, done = self._one.dataset.name, self._done
            self._progress(Step(name, self._number + 1, self._rounds, self._ranges, len(self._batches), done, self._events))

    def nothing(self, events: int) -> None:
        """Say nothing: it is not the thread for it."""


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
            self._settle()
            self.ledger.tally.ended(self._incomplete())
            error.report = self._report(start)
            raise
        finally:
            self._settle()
        if self.ledger.errors:
            self.ledger.tally.unused([k for k, numbers in self._need.missing.items() if numbers])
        return {k: self.machine.merged[k] for k in self.plan.targets if k in self.machine.merged}, self._report(start)

    def _settle(self) -> None:
        """Have everything stored that was put, and note how large it is, or why it is not there."""
        machine = self.machine
        notes = machine.results.commit()
        for key, (task, is_merged) in (self.ledger.put | machine.put_for).items():  # what is merged comes last
            if key in notes:
                self.ledger.tally.note(task, notes[key])
            else:
                self.ledger.tally.written(task, *machine.results.size(key), is_merged=is_merged)
        machine.put_for.clear()
        self.ledger.put.clear()

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
        rows = ledger.tally.rows()
        return RunReport(*counts, stages, ledger.merging, rows, tuple(ledger.errors), functions=self._functions())

    def _functions(self) -> dict[str, str]:
        """Give with what users' functions were called, where they were."""
        nodes = [n for t in self.plan.tasks for n in postorder(t.expr)]
        called = [
            n.function for n in nodes if isinstance(n, Call) and isinstance(n.function, UserFunction) and n.function.calls.how
        ]
        return {f.name: f.called_with for f in called}

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
        keep_freed_memory()
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
            self.ledger.tally.computed(task.key, seconds)
            merge = Merging(machine.plugins[task.plugin], machine.programs[task.key])
            merge.add(parts[task.key])
            self._deliver(task, merge.outcome(), merge.seconds, seconds)

    def _deliver(self, task: Task, result: Result, merging: float, seconds: float = 0.0) -> None:
        """Take the merged result of a task, and store it."""
        machine = self.machine
        machine.merged[task.key] = result
        self.ledger.merging[task.key] = merging
        if machine.keys.is_whole_stored(task) and not machine.results.has(task.key):
            note = machine.put(task, None, result, seconds + merging)
            if note:
                self.ledger.tally.note(task.key, note)
        self.ledger.tally.merged(task.key, merging)


def _plugin(plugins: Mapping[str, Plugin], name: str) -> Plugin:
    if name not in plugins:
        raise PluginError(
            f"the plan needs the plug-in {name!r}, which is not here",
            why=f"there are: {', '.join(sorted(plugins)) or 'none'}",
            do="make the plan again, or install the plug-in",
        )
    return plugins[name]


# Run a plan in this process: for tests, notebooks and debugging, and inside of every larger engine -------------------------------
#
# What is stored is looked up first, backwards from what was asked for. Then each table is gone through once per round, batch by batch
# on threads; results are merged in the order of the batches.


def run_plan(
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    workers: int | None = None,
    chunk_events: int = RANGE_EVENTS,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[Key, Result]:
    """Give the results of the plan's targets, by task key; nothing is looked up, and nothing stored.

    Parameters
    ----------
    plan : Plan
        What to run.
    plugins : sequence of Plugin
        Those that the plan was made with.
    workers : int, optional
        Threads; as many as there are processors when left out. The results do not depend on it.
    chunk_events : int
        About how many events a range has; another number may change the last digits of sums of floats.
    progress : callable, optional
        Gets a `Step` whenever a partition is done, in this thread.
    cancelled : callable, optional
        Asked now and then; once it is true the run ends with `Stopped`.

    Raises
    ------
    TaskError
        When a plug-in fails; the original is chained. Errors of hep_flows come out as they are.
    """
    return run_and_report(plan, plugins, workers=workers, chunk_events=chunk_events, progress=progress, cancelled=cancelled)[0]


def run_and_report(  # noqa: PLR0913 - every part of a run can be chosen
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    store: Store | None = None,
    refresh: bool = False,
    keep_going: bool = False,
    workers: int | None = None,
    chunk_events: int = RANGE_EVENTS,
    memory: int | None = None,
    slice_events: int | None = None,
    delays_s: tuple[float, ...] = DELAYS_S,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[dict[Key, Result], RunReport]:
    """Give the results as `run_plan` does, and what the run did.

    Parameters
    ----------
    store : Store, optional
        Where results are looked up and put.
    refresh : bool
        Compute what is stored once more, and replace it.
    keep_going : bool
        When something fails, compute everything else; what cannot be delivered is then missing in the results.
    delays_s : tuple of float
        How long to wait before each further attempt, after an error that may pass.
    """
    limits = Limits.with_slots(
        workers or _processors(), cancelled, delays_s, memory=memory, slice_events=slice_events, range_events=chunk_events
    )
    return Run(plan, plugins, Results(store, refresh=refresh), limits, progress).all(Wish(keep_going=keep_going))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Functions of the user do what they did when they were written into an expression, or nothing is computed with them --------------


def check_same_functions(plan: Plan, need: Needs) -> None:
    """Look at each function that is to be called: its key says what it did when the expression was written.

    Raises
    ------
    TaskError
        When a value that it captured, a global or a function that it uses is another one by now.
    """
    seen: set[bytes] = set()
    for task in [t for t in plan.tasks if need.missing.get(t.key)]:
        for node in postorder(task.expr):
            if not isinstance(node, Call) or not isinstance(node.function, UserFunction) or node.function.code in seen:
                continue
            function = node.function
            seen.add(function.code)
            if function.now is not None and function.portable and function.now() != function.code:
                raise TaskError(
                    f"the function {function.name!r} does something else than when this was written",
                    where=node.where,
                    why="a value or a function that it uses was changed since, so the result would be that of another expression",
                    do="write the expression once more after the change",
                )
