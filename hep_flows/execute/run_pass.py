"""One pass over the batches of a table: each can be worked on in any thread; what comes of it is taken in their order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError
from hep_flows.execute.blame import blamed, unstored
from hep_flows.execute.merge import Merging
from hep_flows.execute.retry import is_transient, pause_before, wait
from hep_flows.execute.run_batch import BatchDone, BatchRun
from hep_flows.execute.run_stream import StreamRun, streams
from hep_flows.plugin import Streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.ledger import Ledger
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.schedule import Pass
    from hep_flows.execute.steps import Steps
    from hep_flows.planning.task import Key


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
        self._merging = {
            k: Merging(machine.plugins[machine.keys.tasks[k].plugin], machine.programs[k]) for k in one.merged - one.parts_only
        }

    def ahead(self, workers: int, cancelled: Callable[[], bool]) -> None:
        """Ask for all batches at once, of what can be asked for so; with so many threads for what is computed in this process."""
        self._stream = StreamRun(self.machine, self.one, self.batches, cancelled, workers)
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
        attempts = 1 + self.machine.limits.retries
        for attempt in range(1, attempts + 1):
            try:
                done = BatchRun(self.machine, one, batch, workers, enough, step).run(cancelled)
            except HepFlowsError as error:
                if attempt < attempts and is_transient(error) and not cancelled():
                    wait(pause_before(attempt), cancelled)
                    continue
                self._attempts[batch.number] = attempt
                if not self._keep_going:
                    raise
                return error
            done.attempts = attempt
            return done
        raise AssertionError

    def _needs_lost(self, one: Pass, batch: Batch) -> bool:
        """Say whether what could not be delivered for a batch is needed for these tasks."""
        machine = self.machine
        return any(isinstance(machine.plugins[t.plugin], Streaming) for t in unstored(machine, one, batch, one.merged))

    def _one_by_one(self, batch: Batch, error: HepFlowsError) -> None:
        """Find out which of the tasks fail on a batch, since what runs with one that fails is lost too."""
        one, limits = self.one, self.machine.limits
        if len(one.merged) == 1:
            for key in one.merged:
                self._fails(key, error, batch)
            return
        self._lost_too(batch)
        for key in sorted(one.merged - self._failed):
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

    def _lost_too(self, batch: Batch) -> None:
        """Name a batch that could not be delivered for tasks, too, that have failed on another one: all that is missing is reported."""
        if batch.number in self._lost:
            for key in sorted(self.one.merged & self._failed):
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
