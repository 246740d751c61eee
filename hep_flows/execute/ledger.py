"""What has happened in a run so far: what became of each task, what failed, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.execute.task_rows import Tally

if TYPE_CHECKING:
    from hep_flows.errors import HepFlowsError
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.run_batch import BatchDone
    from hep_flows.planning.task import Key, Plan, Task


class Ledger:
    """Keeps what a run reports in the end.

    Parameters
    ----------
    plan : Plan
        What is run.

    Attributes
    ----------
    tally : Tally
        What became of each task.
    errors : list of HepFlowsError
        What failed.
    failures : mapping of bytes to HepFlowsError
        The first error of each task that failed.
    stages : mapping
        Seconds by plug-in and tasks.
    merging : mapping
        Seconds of merging, by task key.
    events, partitions : int
        Run over so far.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing happened yet."""
        self._plan = plan
        self.tally = Tally(plan)
        self.errors: list[HepFlowsError] = []
        self.failures: dict[Key, HepFlowsError] = {}
        self.stages: dict[tuple[str, tuple[Key, ...]], float] = {}
        self.merging: dict[Key, float] = {}
        self.events = self.partitions = 0

    def start_again(self) -> None:
        """Forget what became of tasks; what was spent stays spent."""
        self.tally = Tally(self._plan)
        self.errors = []
        self.failures = {}

    def fails(self, key: Key, error: HepFlowsError, batch: Batch | None = None) -> None:
        """Note that a task failed."""
        self.tally.failed(key, error, batch)
        self.errors.append(error)
        self.failures.setdefault(key, error)

    def waits(self, task: Task, for_what: Key) -> None:
        """Note that a task could not run."""
        self.tally.waits(task.key, f"it takes a result that is missing (task {for_what.hex()[:8]})")

    def took(self, plugin: str, tasks: tuple[Key, ...], seconds: float) -> None:
        """Note what a call of a plug-in took."""
        self.stages[plugin, tasks] = self.stages.get((plugin, tasks), 0.0) + seconds

    def batch(self, done: BatchDone) -> None:
        """Note what came of a batch."""
        for plugin, tasks, seconds in done.stages:
            self.took(plugin, tasks, seconds)
        self.events += sum(done.ranges)
        self.partitions += len(done.ranges)
        self.tally.batch(done)
