"""What a run did and how long it took."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hep_flows.errors import HepFlowsError
from hep_flows.execute.task_rows import State
from hep_flows.record.source_line import user_site
from hep_flows.store.commit import save_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from hep_flows.execute.task_rows import TaskRow
    from hep_flows.planning.task import Key


@dataclass(frozen=True, slots=True)
class Step:
    """One partition is done: where a run stands. ``batches`` is the number of those that the table is divided into."""

    table: str
    round: int
    rounds: int
    partitions_done: int
    batches: int
    events_done: int
    events: int


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one plug-in took for some tasks that it runs together, summed over partitions and threads."""

    plugin: str
    tasks: tuple[Key, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    Parameters
    ----------
    seconds : float
        From begin to end.
    events : int
        Events run over; those of a table count once for each time that it is read.
    partitions : int
        Partitions run over, counted likewise.
    rounds : int
        How often the run waited for merged results before it could go on.
    stages : tuple of StageTime
        Reading and evaluating: by plug-in, in running order. The seconds of threads add up.
    merging : mapping of bytes to float
        Seconds of merging, by task key.
    tasks : tuple of TaskRow
        What became of each task, in the order of the plan.
    errors : tuple of HepFlowsError
        What failed.
    engine, engine_why, engine_url : str
        Who ran it: ``inline`` (this process alone), ``embedded``, ``server`` or ``configured`` (Prefect); why it was that one, and the
        address of the Prefect API.
    """

    seconds: float
    events: int
    partitions: int
    rounds: int
    stages: tuple[StageTime, ...]
    merging: dict[Key, float]
    tasks: tuple[TaskRow, ...] = ()
    errors: tuple[HepFlowsError, ...] = ()
    engine: str = "inline"
    engine_why: str = ""
    engine_url: str = ""

    def __str__(self) -> str:
        """Give short tables: where the time went, and what became of each task."""
        lines = [f"{self.events:,} events in {self.partitions} partitions, {self.seconds:.2f} s"]
        lines += [f"  {s.plugin:12s} {s.seconds:8.3f} s  {len(s.tasks)} tasks" for s in self.stages]
        lines.append(f"  {'merging':12s} {sum(self.merging.values()):8.3f} s")
        lines += [f"  {_state(row):24s} {row.plugin:10s} {row.label}" for row in self.tasks]
        lines += [f"  {row.state}: {row.reason}" for row in self.tasks if row.state == "failed"]
        return "\n".join(lines)

    @property
    def in_short(self) -> str:
        """How many tasks were computed, found, failed and not run."""
        counts = Counter([row.state for row in self.tasks])
        return ", ".join([f"{counts[state]:,} {state}" for state in get_args(State) if counts[state]])

    def as_json(self) -> dict[str, Any]:
        """Give the report as plain data."""
        head: dict[str, Any] = {"seconds": self.seconds, "events": self.events, "partitions": self.partitions}
        head["complete"] = not self.errors
        head |= {"engine": self.engine, "engine_why": self.engine_why}
        return head | {"tasks": [row.as_json() for row in self.tasks]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON.

        Raises
        ------
        StoreError
            When it cannot be written there.
        """
        save_text(Path(path), json.dumps(self.as_json(), indent=2) + "\n", "the report", user_site())


@contextmanager
def told_of_errors(change: Callable[[RunReport], RunReport]) -> Iterator[None]:
    """Change the report of an error that comes out of this, as that of a run that ends well is changed."""
    try:
        yield
    except HepFlowsError as error:
        if error.report is not None:
            error.report = change(error.report)
        raise


def _state(row: TaskRow) -> str:
    if row.batches > 1 and row.state == "computed":
        return f"computed {row.batches_computed} of {row.batches}"
    return row.state
