"""Ask for all missing batches of a pass at once, where a plug-in can, and store each result when it comes.

A server works on many files side by side and delivers them in an order of its own. So before a pass goes through its batches one by
one, what a streaming plug-in has to deliver for them is asked for in one request. Every result is stored as soon as it is there: a
run that is killed has lost nothing that was delivered. The pass then finds the results, and the errors of batches that failed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError
from hep_flows.execute.retry import is_transient, pause_before, wait
from hep_flows.execute.run_batch import BatchDone
from hep_flows.execute.run_stages import checked, failed
from hep_flows.execute.schedule import by_parts
from hep_flows.in_order import Stopped
from hep_flows.plugin import RunContext, Streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.ledger import Ledger
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.schedule import Pass, Stage
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Partition, Result


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
    workers : int
        Threads for what is computed in this process.

    Attributes
    ----------
    errors : mapping of int to HepFlowsError
        By the number of the batch: what keeps it from being delivered.
    """

    def __init__(
        self, machine: Machine, one: Pass, batches: Sequence[Batch], cancelled: Callable[[], bool], workers: int = 1
    ) -> None:
        """Nothing is asked for yet."""
        self.machine, self.one, self._workers = machine, one, workers
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
        streaming = [s for s in self.one.stages if isinstance(self.machine.plugins[s.plugin], Streaming)]
        return [replace(s, tasks=tuple([t for t in s.tasks if not self._takes_parts(t)])) for s in streaming]

    def _takes_parts(self, task: Task) -> bool:
        return any(by_parts(self.machine.keys.tasks[k], task) for k in task.inputs)

    def _stage(self, stage: Stage) -> None:
        machine = self.machine
        wanted = self._missing(stage, self._batches)
        names = [self._name(t, b) for b in wanted for t in stage.tasks if t.key not in machine.keys.not_stored]
        with machine.results.claims(names, self._cancelled):
            left = self._missing(stage, wanted)  # others may have stored some of it while we waited
            for attempt in range(1, 2 + machine.limits.retries):
                left = self._asked(stage, left, attempt)
                if not left or attempt > machine.limits.retries:
                    break
                wait(pause_before(attempt), self._cancelled)

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
        context = RunContext(
            cancelled=self._cancelled,
            tried=lambda number: self._tried(stage, number),
            workers=self._workers,
            slot=machine.limits.slots,
        )
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
        except HepFlowsError as error:
            self.errors[batch.number] = error
            return
        self.errors.pop(batch.number, None)
        done = BatchDone(attempts=attempt)
        for task in stage.tasks:
            self._keep(task, batch, results[task.key], done)
        self._came_so_far.append(done)

    def _keep(self, task: Task, batch: Batch, result: Result, done: BatchDone) -> None:
        machine, rows, nbytes = self.machine, 0, 0
        is_stored = task.key not in machine.keys.not_stored and machine.results.is_kept
        note = machine.put(task, batch, result, 0.0) if is_stored else ""
        if not is_stored or note:
            machine.streamed[task.key, batch.number] = result
        else:
            rows, nbytes = machine.results.size(self._name(task, batch))
            machine.delivered.add((task.key, batch.number))
        done.computed[task.key] = (0.0, rows, nbytes)

    def _name(self, task: Task, batch: Batch) -> Key:
        return self.machine.keys.of_batch(task, batch)

    def _whole(self, batch: Batch) -> Partition:
        assert batch.whole is not None
        return batch.whole


def streams(machine: Machine, one: Pass) -> bool:
    """Say whether a pass has tasks of a streaming plug-in."""
    names: Collection[str] = {s.plugin for s in one.stages}
    return any(isinstance(machine.plugins[n], Streaming) for n in names)
