"""What of a plan has to be computed: backwards from what was asked for, to what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.execute.batches import by_parts
from hep_flows.expr.nodes import Call, Input
from hep_flows.expr.walk import postorder
from hep_flows.planning.cut import is_made_once

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Task
    from hep_flows.execute.batches import Batches, Keys
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Dataset, Expr


@dataclass(slots=True)
class Needs:
    """What is stored, and what is not.

    Parameters
    ----------
    stored : set of bytes
        Tasks that are needed, and whose merged result is stored.
    merged : set of bytes
        Tasks whose merged result is needed and has to be made.
    missing : mapping of bytes to set of int
        By task, the batches that are needed and not stored.
    found : mapping of bytes to set of int
        By task, the batches that are needed and stored.
    """

    stored: set[Key] = field(default_factory=set)
    merged: set[Key] = field(default_factory=set)
    missing: dict[Key, set[int]] = field(default_factory=dict)
    found: dict[Key, set[int]] = field(default_factory=dict)

    @property
    def nothing_to_compute(self) -> bool:
        """Whether reading what is stored, and merging it, is all."""
        return not any(self.missing.values())


def needs(plan: Plan, keys: Keys, batches: Batches, results: Results) -> Needs:
    """Give what is stored and what is missing for the targets of a plan."""
    need = Needs()
    merged = set(plan.targets)
    parts: dict[Key, set[int]] = {}
    for task in reversed(plan.tasks):
        if task.key in merged:
            if keys.is_whole_stored(task) and results.has(task.key):
                need.stored.add(task.key)
            else:
                need.merged.add(task.key)
        if task.spread == "whole":
            if task.key in need.merged:
                need.missing[task.key] = {0}
                merged.update(task.inputs)
            continue
        assert task.dataset is not None
        wanted = parts.get(task.key, set()) | (_all(task, batches) if task.key in need.merged else set())
        _look_up(task, wanted, need, keys, batches, results)
        if need.missing[task.key]:
            for key in task.inputs:
                if by_parts(keys.tasks[key], task):
                    parts.setdefault(key, set()).update(need.missing[task.key])
                else:
                    merged.add(key)
    return need


def _all(task: Task, batches: Batches) -> set[int]:
    assert task.dataset is not None
    return set(range(len(batches.of(task.dataset))))


def _look_up(task: Task, wanted: set[int], need: Needs, keys: Keys, batches: Batches, results: Results) -> None:
    assert task.dataset is not None
    all_batches = batches.of(task.dataset) if wanted else ()
    is_stored = task.key not in keys.not_stored
    here = {n for n in wanted if is_stored and results.has(keys.of_batch(task, all_batches[n]))}
    need.found[task.key] = here
    need.missing[task.key] = wanted - here


# How many events are enough: ``df[:100].MET.pt`` needs the first 100, so a run stops reading when it has them --------------------


def events_needed(plan: Plan) -> dict[Key, int]:
    """Give, by task key, how many events of its result are looked at, from the first; tasks that are not listed need all."""
    needed: dict[Key, int] = {}
    all_of_it = set(plan.targets)
    for task in plan.tasks:
        for node in postorder(task.expr):
            for i in node.inputs():
                if not isinstance(i, Input):
                    continue
                count = _first(node) if task.spread == "whole" else None
                if count is None:
                    all_of_it.add(i.task)
                else:
                    needed[i.task] = max(count, needed.get(i.task, 0))
        if isinstance(task.expr, Input):
            all_of_it.add(task.expr.task)
    return {k: n for k, n in needed.items() if k not in all_of_it}


def _first(node: Expr) -> int | None:
    """Give how many events of its input a node looks at, counted from the first; None when it may be all."""
    if not isinstance(node, Call):
        return None
    options = dict(node.options)
    match node.function, options.get("at"), options.get("index"), options.get("stop"):
        case "pick", 0, int(index), _ if index >= 0:
            return index + 1
        case "slice", 0, _, int(stop) if stop >= 0:
            start, step = options.get("start"), options.get("step")
            forward = (start is None or (isinstance(start, int) and start >= 0)) and (
                step is None or (isinstance(step, int) and step > 0)
            )
            return stop if forward else None
        case _:
            return None


# Put the tasks of a plan in rounds: in a round every table is read at most once --------------------------------------------------
#
# Before: tasks, producers first. After: rounds of passes (tasks of one table that run on each partition together) and of whole
# tasks, which run when the passes of their round are merged.
#
# A partition-wise task that needs a merged result runs in a later round than the task that delivers it. What it needs partition
# by partition runs again in that round: columns are never kept in memory for a later one.


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
        together = _with_parts(asked, tasks)
        is_short = merged <= set(needed) and not merged & parts_only and not any(is_made_once(t.expr) for t in together)
        enough = {k: needed[k] for k in merged} if is_short else {}
        passes.append(Pass(dataset, stages(together), merged, enough, parts_only & merged))
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
