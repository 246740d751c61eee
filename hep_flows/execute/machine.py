"""What every part of one run shares."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from hep_flows.execute.provenance import provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from hep_flows.execute.batches import Batch, Batches
    from hep_flows.execute.keys import Keys
    from hep_flows.execute.results import Results
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Plugin, Program, Result


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run is to use the machine, and whether it is still wanted.

    Parameters
    ----------
    workers : int
        Threads.
    chunk_events : int
        About how many events each of them works on at a time.
    cancelled : callable
        Whether nobody wants the result any more.
    retries : int
        How often a batch is tried again after an error that may pass.
    slots : context manager
        Held while a plug-in runs: runs that go on side by side share it, so that together they use no more threads than one.
    """

    workers: int
    chunk_events: int
    cancelled: Callable[[], bool]
    retries: int = 0
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)

    @classmethod
    def with_slots(cls, workers: int, chunk_events: int, cancelled: Callable[[], bool], retries: int = 0) -> Self:
        """Give limits with a slot for each worker."""
        return cls(workers, chunk_events, cancelled, retries, threading.BoundedSemaphore(workers))


@dataclass(frozen=True, slots=True)
class Machine:
    """Plug-ins, programs, keys, batches, the store, limits, and what is at hand.

    ``merged`` are the merged results so far, by task key; ``streamed`` are results that came before their turn and could not be
    stored, ``delivered`` those that were stored, both by task key and number of the batch.
    """

    plugins: Mapping[str, Plugin]
    programs: Mapping[Key, Program]
    keys: Keys
    batches: Batches
    results: Results
    limits: Limits
    merged: dict[Key, Result] = field(default_factory=dict)
    streamed: dict[tuple[Key, int], Result] = field(default_factory=dict)
    delivered: set[tuple[Key, int]] = field(default_factory=set)

    def put(self, task: Task, batch: Batch | None, result: Result, seconds: float) -> str:
        """Store the result of a task, merged or on one batch; gives why it could not be stored, empty when it was."""
        key = task.key if batch is None else self.keys.of_batch(task, batch)
        about = partial(provenance_of, task, batch, self.plugins[task.plugin].result_version, self.keys, seconds)
        return self.results.put(key, result, about)
