"""Divide what a plan needs into units of orchestration: each becomes one task run of Prefect.

A unit is one subtree over one dataset. Before the subtrees of a table that read its files stands one pass that reads for all of
them, so that files are opened once; a table of many batches, or a cluster, gets several such passes, each over a range of batches.
Where there would be more task runs than a server bears, units hold several subtrees: those of one dataset, then of several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hep_flows.execute.first_events import events_needed
from hep_flows.execute.schedule import levels
from hep_flows.expr.key import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.execute.batches import Batches
    from hep_flows.execute.keys import Keys
    from hep_flows.execute.needs import Needs
    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Plan, Task

MOST_UNITS = 200
SHARD_BATCHES = 50
Kind = Literal["pass", "task", "datasets"]


@dataclass(frozen=True, slots=True)
class Unit:
    """What one task run does.

    Parameters
    ----------
    number : int
        Its place; units come after those that they wait for.
    kind : str
        ``pass``: stores tasks batch by batch, reading the table once; ``task``: one subtree; ``datasets``: all of some datasets.
    tasks : tuple of bytes
        The tasks of the plan that it stores.
    dataset : str
        The table, for people.
    batches : tuple of int, optional
        The numbers of the batches, where it is a part of the table.
    after : tuple of int
        Units whose results it takes: when one fails, it cannot run.
    follows : tuple of int
        Units that it waits for, whatever becomes of them.
    """

    number: int
    kind: Kind
    tasks: tuple[Key, ...]
    dataset: str = ""
    batches: tuple[int, ...] | None = None
    after: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()

    @property
    def key(self) -> Key:
        """The content key: that of the task, where it is all of one."""
        if self.kind == "task" and self.batches is None:
            return self.tasks[0]
        return digest("unit", self.kind, self.tasks, self.batches or ())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan needs, and how it may be divided.

    Parameters
    ----------
    plan : Plan
        The plan.
    keys : Keys
        Which results can be stored.
    need : Needs
        What is stored and what is missing.
    batches : Batches
        The batches of its tables.
    shard_batches : int
        How many batches one pass has at the most.
    """

    plan: Plan
    keys: Keys
    need: Needs
    batches: Batches
    shard_batches: int = SHARD_BATCHES

    def tasks(self) -> list[Task]:
        """Give the tasks that something is needed of, and whose results can be handed on through the store."""
        short = events_needed(self.plan)
        return [t for t in self.plan.tasks if self._is_needed(t.key) and t.key not in self.keys.not_stored and t.key not in short]

    def some_batches(self, task: Task) -> tuple[int, ...] | None:
        """Give the batches of a task that something is needed of; None where it is all, or its merged result."""
        if task.key in self.need.merged or task.dataset is None or task.key not in self.need.missing:
            return None
        needed = self.needed(task)
        return None if not needed or len(needed) == len(self.batches.of(task.dataset)) else tuple(sorted(needed))

    def needed(self, task: Task) -> set[int]:
        """Give the batches of a task that are needed, stored or not."""
        return self.need.missing.get(task.key, set()) | self.need.found.get(task.key, set())

    def _is_needed(self, key: Key) -> bool:
        need = self.need
        return key in need.stored or key in need.merged or bool(need.missing.get(key)) or bool(need.found.get(key))


def units_of(wanted: Wanted) -> tuple[Unit, ...]:
    """Give the units, in an order in which they can run; at most `MOST_UNITS`."""
    tasks = wanted.tasks()
    fine = _by_subtree(wanted, tasks)
    if len(fine) <= MOST_UNITS:
        return fine
    return _by_dataset(wanted.plan, tasks)


def _by_subtree(wanted: Wanted, tasks: Sequence[Task]) -> tuple[Unit, ...]:
    level, roots = levels(wanted.plan), _roots(wanted.plan)
    units: list[Unit] = []
    made: dict[Key, int] = {}
    passes: dict[tuple[Key, int], tuple[int, ...]] = {}
    for task in tasks:
        place = (task.dataset.key, level[task.key]) if task.dataset is not None else None
        if place is not None and place not in passes:
            here = [t for t in tasks if t.dataset is not None and (t.dataset.key, level[t.key]) == place]
            passes[place] = _add_passes(wanted, here, made, units)
        follows = passes[place] if place is not None else ()
        after = tuple(dict.fromkeys([made[k] for k in task.inputs if k in made]))
        made[task.key] = len(units)
        name = roots[task.key].name if task.key in roots else ""
        units.append(Unit(len(units), "task", (task.key,), name, wanted.some_batches(task), after, follows))
    return tuple(units)


def _add_passes(wanted: Wanted, here: Sequence[Task], made: Mapping[Key, int], units: list[Unit]) -> tuple[int, ...]:
    """Add the passes that stand before some tasks of one table; gives their numbers."""
    missing = [t for t in here if wanted.need.missing.get(t.key)]
    if not missing:
        return ()
    dataset = missing[0].dataset
    assert dataset is not None
    is_divided = len(wanted.batches.of(dataset)) > wanted.shard_batches
    own = {t.key for t in here}
    together = missing if is_divided else [t for t in missing if not any(k in own for k in t.inputs)]
    numbers = set().union(*[wanted.need.missing[t.key] for t in together])
    # Of a task that needs fewer batches, the others may be gone from the store: it is not to compute them again.
    together = [t for t in together if numbers <= wanted.needed(t)]
    numbers = set().union(*[wanted.need.missing[t.key] for t in together])
    is_divided = is_divided and len(numbers) > wanted.shard_batches
    if not numbers or (len(together) < 2 and not is_divided):
        return ()
    after = tuple(dict.fromkeys([made[k] for t in together for k in t.inputs if k in made]))
    keys = tuple([t.key for t in together])
    first = len(units)
    for part in _parts(sorted(numbers), wanted.shard_batches if is_divided else len(numbers)):
        is_all = len(part) == len(wanted.batches.of(dataset))
        # A pass takes what it can get: a task whose input failed is left out, and the others go on.
        units.append(Unit(len(units), "pass", keys, dataset.name, None if is_all else part, follows=after))
    return tuple(range(first, len(units)))


def _parts(numbers: Sequence[int], length: int) -> list[tuple[int, ...]]:
    return [tuple(numbers[i : i + length]) for i in range(0, len(numbers), length)]


def _by_dataset(plan: Plan, tasks: Sequence[Task]) -> tuple[Unit, ...]:
    roots = _roots(plan)
    tables: dict[Key, list[Task]] = {}
    for task in tasks:
        tables.setdefault(roots[task.key].key if task.key in roots else b"", []).append(task)
    groups = list(tables.values())
    each = -(-len(groups) // MOST_UNITS)
    units: list[Unit] = []
    for start in range(0, len(groups), each):
        some = [t for g in groups[start : start + each] for t in g]
        names = list(dict.fromkeys([roots[t.key].name for t in some if t.key in roots]))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        units.append(Unit(len(units), "datasets", tuple([t.key for t in some]), shown))
    return tuple(units)


def _roots(plan: Plan) -> dict[Key, Dataset]:
    """Give the table that each task is over: a task over merged results is over that of its inputs."""
    found: dict[Key, Dataset] = {}
    for task in plan.tasks:
        own = task.dataset if task.dataset is not None else next((found[k] for k in task.inputs if k in found), None)
        if own is not None:
            found[task.key] = own
    return found


def closure(plan: Plan, wanted: Collection[Key]) -> tuple[Task, ...]:
    """Give some tasks of a plan with all that they take, producers first."""
    reached = set(wanted)
    for task in reversed(plan.tasks):
        if task.key in reached:
            reached.update(task.inputs)
    return tuple([t for t in plan.tasks if t.key in reached])
