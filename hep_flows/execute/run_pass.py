"""One pass over the batches of a table: side by side where there are several, merged in their order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError
from hep_flows.execute.in_order import in_order
from hep_flows.execute.merge import Merging
from hep_flows.execute.retry import is_transient, pause_before, wait
from hep_flows.execute.run_batch import BatchDone, BatchRun
from hep_flows.execute.run_stream import StreamRun, streams
from hep_flows.plugin import Streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.ledger import Ledger
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.schedule import Pass
    from hep_flows.execute.steps import Steps
    from hep_flows.planning.task import Key


class PassRun:
    """The work of one pass.

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
    """

    def __init__(self, machine: Machine, ledger: Ledger, one: Pass, steps: Steps, *, keep_going: bool) -> None:
        """Nothing is done yet."""
        self.machine, self.ledger, self.one, self.steps = machine, ledger, one, steps
        self._keep_going = keep_going
        self._batches = machine.batches.of(one.dataset)
        self._lost: Mapping[int, HepFlowsError] = {}
        self._merging = {
            k: Merging(machine.plugins[machine.keys.tasks[k].plugin], machine.programs[k]) for k in one.merged - one.parts_only
        }

    def run(self) -> dict[Key, Merging]:
        """Give what is to be merged, by the key of the task; tasks that failed are not in it."""
        failed: set[Key] = set()
        for key in self.one.merged:
            self.ledger.tally.batches(key, len(self._batches))
        if self.one.merged and streams(self.machine, self.one):
            ahead = StreamRun(self.machine, self.ledger, self.one, self._batches)
            ahead.run()
            self._lost = ahead.errors
            if self._lost and not self._keep_going:
                raise next(iter(self._lost.values()))
        with closing(self._results()) as results:
            for batch, done in results:
                if isinstance(done, HepFlowsError):
                    failed.update(self._one_by_one(batch, done, failed))
                else:
                    self._done(done)
        return {k: m for k, m in self._merging.items() if k not in failed}

    def _results(self) -> Generator[tuple[Batch, BatchDone | HepFlowsError], None, None]:
        limits, one = self.machine.limits, self.one
        if not one.merged:
            return
        if one.enough:
            yield from self._until_enough()
            return
        side_by_side = min(limits.workers, len(self._batches))
        each = max(1, limits.workers // side_by_side)

        def work(batch: Batch, cancelled: Callable[[], bool]) -> BatchDone | HepFlowsError:
            step = self.steps.one if side_by_side == 1 else self.steps.nothing
            return self._batch(one, batch, (each, {}), step, cancelled)

        with closing(in_order(work, self._batches, side_by_side, limits.cancelled)) as results:
            for batch, done in zip(self._batches, results, strict=True):
                if side_by_side > 1 and isinstance(done, BatchDone):
                    for events in done.ranges:
                        self.steps.one(events)
                yield batch, done

    def _until_enough(self) -> Generator[tuple[Batch, BatchDone | HepFlowsError], None, None]:
        """Stop reading when there are as many events as are looked at."""
        limits, one = self.machine.limits, self.one
        for batch in self._batches:
            rest = {k: n - self._merging[k].events for k, n in one.enough.items() if k in self._merging}
            yield batch, self._batch(one, batch, (limits.workers, rest), self.steps.one, limits.cancelled)
            if all(self._merging[k].events >= n for k, n in one.enough.items() if k in self._merging):
                return

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
        attempts = 1 + self.machine.limits.retries
        for attempt in range(1, attempts + 1):
            try:
                done = BatchRun(self.machine, one, batch, workers, enough, step).run(cancelled)
            except HepFlowsError as error:
                if attempt < attempts and is_transient(error) and not cancelled():
                    wait(pause_before(attempt), cancelled)
                    continue
                self.ledger.tally.tried(one.merged, attempt)
                if not self._keep_going:
                    raise
                return error
            done.attempts = attempt
            return done
        raise AssertionError

    def _needs_lost(self, one: Pass, batch: Batch) -> bool:
        """Say whether what could not be delivered for a batch is needed for these tasks."""
        machine = self.machine
        tasks = [t for s in one.stages for t in s.tasks]
        wanted = set(one.merged)
        for task in reversed(tasks):
            if task.key in wanted and not machine.results.has(machine.keys.of_batch(task, batch)):
                wanted.update(task.inputs)
                if isinstance(machine.plugins[task.plugin], Streaming):
                    return True
        return False

    def _one_by_one(self, batch: Batch, error: HepFlowsError, failed: set[Key]) -> set[Key]:
        """Find out which of the tasks fail on a batch, since what runs with one that fails is lost too."""
        one = self.one
        if len(one.merged) == 1:
            for key in one.merged:
                self.ledger.fails(key, error, batch)
            return set(one.merged)
        now: set[Key] = set()
        self._lost_too(batch, failed)
        for key in sorted(one.merged - failed):
            alone = replace(one, merged=frozenset({key}), enough={})
            done = self._batch(alone, batch, (self.machine.limits.workers, {}), self.steps.nothing, self.machine.limits.cancelled)
            if isinstance(done, HepFlowsError):
                self.ledger.fails(key, done, batch)
                now.add(key)
            else:
                self._done(done)
        return now

    def _lost_too(self, batch: Batch, failed: Collection[Key]) -> None:
        """Name a batch that could not be delivered for tasks, too, that have failed on another one: all that is missing is reported."""
        if batch.number in self._lost:
            for key in sorted(self.one.merged & set(failed)):
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
