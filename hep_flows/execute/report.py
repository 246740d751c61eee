"""What a run did and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hep_flows.planning.task import Key


@dataclass(frozen=True, slots=True)
class Step:
    """One partition is done: where a run stands."""

    table: str
    round: int
    rounds: int
    partitions_done: int
    partitions: int
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
    """

    seconds: float
    events: int
    partitions: int
    rounds: int
    stages: tuple[StageTime, ...]
    merging: dict[Key, float]

    def __str__(self) -> str:
        """Give a short table."""
        lines = [f"{self.events:,} events in {self.partitions} partitions, {self.seconds:.2f} s"]
        lines += [f"  {s.plugin:12s} {s.seconds:8.3f} s  {len(s.tasks)} tasks" for s in self.stages]
        lines.append(f"  {'merging':12s} {sum(self.merging.values()):8.3f} s")
        return "\n".join(lines)
