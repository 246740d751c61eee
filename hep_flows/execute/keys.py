"""The keys that the results of a plan are stored under, and which results are stored at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call
from hep_flows.expr.walk import postorder
from hep_flows.planning.batch_key import batch_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hep_flows.execute.batches import Batch
    from hep_flows.planning.task import Key, Plan, Task
    from hep_flows.plugin import Plugin


def result_versions(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Give the result version of each plug-in, by its name."""
    return {p.name: p.result_version for p in plugins}


class Keys:
    """Keys by task, and by task and batch.

    Parameters
    ----------
    plan : Plan
        The plan.

    Attributes
    ----------
    not_stored : mapping of bytes to str
        By task key, why its results mean nothing to another process.
    """

    def __init__(self, plan: Plan) -> None:
        """Look through the plan once."""
        self.tasks: Mapping[Key, Task] = {t.key: t for t in plan.tasks}
        self.not_stored = _not_stored(plan)
        self._forms = plan.forms
        self._keys: dict[tuple[Key, Key, int], Key] = {}

    def of_batch(self, task: Task, batch: Batch) -> Key:
        """Give the key of a task on a batch."""
        place = (task.key, batch.dataset.key, batch.number)
        if place not in self._keys:
            start, stop = (0, 0) if batch.whole is None else (batch.whole.start, batch.whole.stop)
            self._keys[place] = batch_key(self._forms[task.key], batch.content, start, stop)
        return self._keys[place]

    def is_whole_stored(self, task: Task) -> bool:
        """Say whether the merged result is stored by itself: columns of a table are stored batch by batch only."""
        return task.key not in self.not_stored and not (task.spread == "partitions" and task.output == "columns")


def _not_stored(plan: Plan) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for task in plan.tasks:
        own = next((f"{f.name} {f.why_not_portable}" for f in _functions(task) if not f.portable), "")
        above = next((found[k] for k in task.inputs if k in found), "")
        if own:
            found[task.key] = own
        elif above:
            found[task.key] = above
    return found


def _functions(task: Task) -> list[UserFunction]:
    return [n.function for n in postorder(task.expr) if isinstance(n, Call) and isinstance(n.function, UserFunction)]
