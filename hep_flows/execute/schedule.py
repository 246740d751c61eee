"""Put the tasks of a plan in rounds: in a round every table is read at most once.

Before: tasks, producers first. After: rounds of passes (tasks of one table that run on each partition together) and of whole
tasks, which run when the passes of their round are merged.

A partition-wise task that needs a merged result runs in a later round than the task that delivers it. What it needs partition
by partition runs again in that round: columns are never kept in memory for a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.execute.first_events import events_needed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Plan, Task


@dataclass(frozen=True, slots=True)
class Stage:
    """Tasks that one plug-in runs in one call; none needs another of them."""

    plugin: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the partitions of a table.

    ``merged`` are the keys whose parts are merged and kept; everything else lives as long as its partition. ``enough`` says how
    many events of each of them are looked at; it is empty when one needs all. Results of ``parts_only`` are stored batch by batch, and
    not looked at here.
    """

    dataset: Dataset
    stages: tuple[Stage, ...]
    merged: frozenset[Key]
    enough: Mapping[Key, int]
    parts_only: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Round:
    """Passes that do not wait for each other, and the whole tasks that follow them."""

    passes: tuple[Pass, ...]
    whole: tuple[Stage, ...]


def by_parts(producer: Task, user: Task) -> bool:
    """Say whether the user takes the producer's result partition by partition."""
    return producer.spread == user.spread == "partitions" and producer.output == "columns"


def schedule(
    plan: Plan, *, merged: Collection[Key] | None = None, there: Collection[Key] = (), parts_only: Collection[Key] = ()
) -> tuple[Round, ...]:
    """Give the rounds of a plan, in order.

    Parameters
    ----------
    plan : Plan
        The plan.
    merged : collection of bytes, optional
        The tasks whose merged results are to be made; when left out, the targets and all that is taken merged.
    there : collection of bytes
        Tasks whose merged results are there already: nothing waits for them.
    parts_only : collection of bytes
        Tasks whose results are stored and not looked at.
    """
    tasks = {t.key: t for t in plan.tasks}
    level = _levels(tasks, there)
    wanted = _all_merged(plan, tasks) if merged is None else merged
    needed = events_needed(plan)
    rounds: list[Round] = []
    for number in range(max(level.values(), default=-1) + 1):
        here = [t for t in plan.tasks if level[t.key] == number and t.key in wanted]
        passes = _passes([t for t in here if t.spread == "partitions"], tasks, needed, frozenset(parts_only))
        rounds.append(Round(passes, stages([t for t in here if t.spread == "whole"])))
    return tuple([r for r in rounds if r.passes or r.whole])


def _all_merged(plan: Plan, tasks: Mapping[Key, Task]) -> set[Key]:
    wanted = set(plan.targets)
    for user in plan.tasks:
        wanted.update([k for k in user.inputs if not by_parts(tasks[k], user)])
    return wanted


def levels(plan: Plan) -> dict[Key, int]:
    """Give the round of each task when nothing is there yet."""
    return _levels({t.key: t for t in plan.tasks}, ())


def _levels(tasks: Mapping[Key, Task], there: Collection[Key]) -> dict[Key, int]:
    level: dict[Key, int] = {}
    for task in tasks.values():
        level[task.key] = 0
        for key in task.inputs:
            if key in there:
                continue
            later = task.spread == "partitions" and not by_parts(tasks[key], task)
            level[task.key] = max(level[task.key], level[key] + later)
    return level


def _passes(
    wanted: Sequence[Task], tasks: Mapping[Key, Task], needed: Mapping[Key, int], parts_only: frozenset[Key]
) -> tuple[Pass, ...]:
    tables: dict[Key, list[Task]] = {}
    for task in wanted:
        if task.dataset is not None:
            tables.setdefault(task.dataset.key, []).append(task)
    passes: list[Pass] = []
    for asked in tables.values():
        dataset = asked[0].dataset
        assert dataset is not None
        merged = frozenset([t.key for t in asked])
        enough = {k: needed[k] for k in merged} if merged <= set(needed) and not merged & parts_only else {}
        passes.append(Pass(dataset, stages(_with_parts(asked, tasks)), merged, enough, parts_only & merged))
    return tuple(passes)


def _with_parts(asked: Iterable[Task], tasks: Mapping[Key, Task]) -> list[Task]:
    """Add everything that the tasks take partition by partition; producers first, as in the plan."""
    needed: set[Key] = set()
    todo = list(asked)
    while todo:
        task = todo.pop()
        if task.key not in needed:
            needed.add(task.key)
            todo.extend([tasks[k] for k in task.inputs if by_parts(tasks[k], task)])
    return [t for t in tasks.values() if t.key in needed]


def stages(tasks: Sequence[Task]) -> tuple[Stage, ...]:
    """Group tasks (producers first) so that each plug-in is called as rarely as possible."""
    waiting = list(tasks)
    done: list[Stage] = []
    while waiting:
        unmet = {t.key for t in waiting}
        ready = [t for t in waiting if not unmet.intersection(t.inputs)]
        plugin = _most_ready(ready)
        now = tuple([t for t in ready if t.plugin == plugin])
        done.append(Stage(plugin, now))
        gone = {t.key for t in now}
        waiting = [t for t in waiting if t.key not in gone]
    return tuple(done)


def _most_ready(ready: Sequence[Task]) -> str:
    """Prefer the plug-in of the first task, so that the order is the plan's."""
    return ready[0].plugin


def inputs_of(rounds: Sequence[Round]) -> set[Key]:
    """Give the keys of all results that the tasks of some rounds take."""
    found = [s for r in rounds for s in [*[s for p in r.passes for s in p.stages], *r.whole]]
    return {key for stage in found for task in stage.tasks for key in task.inputs}
