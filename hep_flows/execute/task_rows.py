"""What became of each task of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.execute.task_label import task_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hep_flows.errors import HepFlowsError
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.run_batch import BatchDone
    from hep_flows.planning.task import Key, Plan, Task

State = Literal["computed", "cached", "failed", "not run"]
LABEL_WIDTH = 100
MOST_REASONS = 20
STORED_ABOVE = "what is made from it is stored"
FAILED_ABOVE = "nothing that takes it could be computed"
ENDED = "the run ended with the first error"


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What became of one task.

    Parameters
    ----------
    key : str
        The task's key, as digits.
    plugin, label, dataset : str
        Who runs it, what it gives as text, and the table.
    state : str
        ``computed``: at least a part of it in this run; ``cached``: all of it was stored; ``failed``; ``not run``: something that it
        takes is missing, or what is made from it is stored.
    attempts : int
        How often it was tried.
    seconds : float
        What it took in this run; those of threads add up.
    rows, bytes : int
        Of what this run stored or found.
    batches, batches_computed, batches_cached : int
        How many parts it has, and where they came from.
    reason : str
        Why it failed, was not run, or is not stored.
    """

    key: str
    plugin: str
    label: str
    dataset: str
    state: State
    attempts: int = 0
    seconds: float = 0.0
    rows: int = 0
    bytes: int = 0
    batches: int = 0
    batches_computed: int = 0
    batches_cached: int = 0
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the row as plain data."""
        return asdict(self)


class _Count:
    """What is known of a task while it runs."""

    def __init__(self) -> None:
        self.computed = self.cached = self.attempts = self.rows = self.nbytes = self.batches = 0
        self.seconds = 0.0
        self.reasons: dict[str, None] = {}
        self.failed = self.waits = False


class Tally:
    """Counts what becomes of the tasks of a plan.

    Parameters
    ----------
    plan : Plan
        The plan.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing ran yet."""
        self._tasks = plan.tasks
        self._counts = {t.key: _Count() for t in plan.tasks}

    @property
    def has_computed(self) -> bool:
        """Whether anything was computed."""
        return any(c.computed for c in self._counts.values())

    def batch(self, done: BatchDone) -> None:
        """Count what came of a batch."""
        for key in done.cached:
            self._counts[key].cached += 1
        for key, (seconds, rows, nbytes) in done.computed.items():
            self.computed(key, seconds, rows, nbytes)
        self.tried(done.computed, done.attempts)
        for key, note in done.notes.items():
            self.note(key, note)

    def computed(self, key: Key, seconds: float, rows: int, nbytes: int) -> None:
        """Count that a task, or a part of it, was computed."""
        count = self._counts[key]
        count.computed += 1
        count.attempts = max(count.attempts, 1)
        count.seconds += seconds
        count.rows += rows
        count.nbytes += nbytes

    def tried(self, keys: Iterable[Key], attempts: int) -> None:
        """Count how often some tasks were tried."""
        for key in keys:
            self._counts[key].attempts = max(self._counts[key].attempts, attempts)

    def merged(self, key: Key, seconds: float, rows: int, nbytes: int) -> None:
        """Count that the parts of a task were merged."""
        count = self._counts[key]
        count.seconds += seconds
        count.rows, count.nbytes = rows or count.rows, nbytes or count.nbytes

    def stored(self, key: Key, rows: int, nbytes: int) -> None:
        """Count that the merged result of a task was there."""
        count = self._counts[key]
        count.cached, count.rows, count.nbytes = max(count.cached, 1), rows, nbytes

    def batches(self, key: Key, number: int) -> None:
        """Say how many batches a task has."""
        self._counts[key].batches = number

    def failed(self, key: Key, error: HepFlowsError, batch: Batch | None) -> None:
        """Count that a task failed."""
        count = self._counts[key]
        count.failed, count.attempts = True, max(count.attempts, 1)
        place = "" if batch is None or batch.file in error.what else f"{batch.file}: "
        count.reasons[f"{place}{error.what}"] = None

    def waits(self, key: Key, reason: str) -> None:
        """Count that a task could not run."""
        self._counts[key].waits = True
        self.note(key, reason)

    def ended(self, keys: Iterable[Key]) -> None:
        """Say of tasks that are not complete that the run ended before they were."""
        for key in keys:
            if not self._counts[key].failed:
                self.waits(key, ENDED)

    def unused(self, keys: Iterable[Key]) -> None:
        """Say why tasks of which nothing is there were not run."""
        for key in keys:
            count = self._counts[key]
            if not (count.computed or count.cached or count.reasons):
                self.note(key, FAILED_ABOVE)

    def note(self, key: Key, reason: str) -> None:
        """Add a remark."""
        self._counts[key].reasons[reason] = None

    def rows(self) -> tuple[TaskRow, ...]:
        """Give a row for each task, in the order of the plan."""
        return tuple([self._row(t) for t in self._tasks])

    def _row(self, task: Task) -> TaskRow:
        count = self._counts[task.key]
        state: State = "computed" if count.computed else "cached" if count.cached else "not run"
        if count.failed or count.waits:
            state = "failed" if count.failed else "not run"
        reasons = _first(list(count.reasons)) or ([STORED_ABOVE] if state == "not run" else [])
        return TaskRow(
            task.key.hex(),
            task.plugin,
            task_label(task, LABEL_WIDTH),
            task.dataset.name if task.dataset is not None else "",
            state,
            count.attempts,
            count.seconds,
            count.rows,
            count.nbytes,
            count.batches,
            count.computed,
            count.cached,
            "; ".join(reasons),
        )


def _first(reasons: list[str]) -> list[str]:
    return reasons if len(reasons) <= MOST_REASONS else [*reasons[:MOST_REASONS], f"and {len(reasons) - MOST_REASONS:,} more"]
