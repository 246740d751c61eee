"""The stored parts of arrays, one by one: what is too large to be held as a whole is written somewhere else from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.contract import Columns
from hep_flows.errors import StoreError
from hep_flows.execute.batches import Batches, Keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hep_flows.contract import Key, Plan, Plugin, Task
    from hep_flows.execute.results import Results


class StoredParts:
    """Where the parts of a plan's arrays are stored.

    Parameters
    ----------
    plan : Plan
        The plan.
    plugins : sequence of Plugin
        Those that it was made with.
    results : Results
        The store.
    """

    def __init__(self, plan: Plan, plugins: Sequence[Plugin], results: Results) -> None:
        """Nothing is looked up yet."""
        self._results = results
        self._keys = Keys(plan)
        self._batches = Batches(plan, {p.name: p for p in plugins}, results)

    def possible(self, targets: Collection[Key]) -> frozenset[Key]:
        """Give those of some tasks that can be taken part by part: arrays of tables whose results are stored."""
        if not self._results.is_kept:
            return frozenset()
        tasks = [self._keys.tasks[k] for k in targets]
        return frozenset([t.key for t in tasks if _is_divided(t) and t.key not in self._keys.not_stored])

    def names(self, key: Key) -> tuple[Key, ...]:
        """Give the keys that the parts of a task are stored under, in dataset order."""
        task = self._keys.tasks[key]
        assert task.dataset is not None
        return tuple([self._keys.of_batch(task, b) for b in self._batches.of(task.dataset)])

    def part(self, key: Key) -> Columns:
        """Give one part, by its own key.

        Raises
        ------
        StoreError
            When it is not there: it was removed since, or could not be stored.
        """
        part = self._results.get(key)
        if not isinstance(part, Columns):
            raise StoreError(
                f"a part of an array is not in the cache ({key.hex()[:12]})",
                why="it could not be stored, or was removed since",
                do="run it again",
            )
        return part


def _is_divided(task: Task) -> bool:
    return task.output == "columns" and task.spread == "partitions"
