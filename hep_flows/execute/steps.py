"""Where a pass over a table stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.execute.batches import total_events
from hep_flows.execute.report import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.schedule import Pass


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
