"""What is known of each task of a plan before it runs: stored or not, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hep_flows.execute.batches import Batches
from hep_flows.execute.history import last_like, tables_of
from hep_flows.execute.keys import Keys
from hep_flows.execute.needs import needs
from hep_flows.execute.results import Results
from hep_flows.expr.walk import postorder
from hep_flows.planning.changes import Change, changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.execute.needs import Needs
    from hep_flows.planning.task import Key, Plan, Task
    from hep_flows.plugin import Plugin
    from hep_flows.store.store import Store


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What a run would do with a task.

    Parameters
    ----------
    state : str
        ``hit``: it is stored, or what is made from it; ``miss``: at least a part of it has to be computed.
    why : str
        Why it has to be computed.
    batches, missing : int
        How many parts it has, and how many of them have to be computed.
    """

    state: Literal["hit", "miss"]
    why: str = ""
    batches: int = 0
    missing: int = 0

    def __str__(self) -> str:
        """Give a few words."""
        if self.state == "hit":
            return f"hit{f' ({self.why})' if self.why else ''}"
        part = f" {self.missing} of {self.batches} batches" if self.missing < self.batches else ""
        return f"miss{part}: {self.why}"


def plan_status(plan: Plan, plugins: Sequence[Plugin], store: Store | None) -> dict[Key, TaskStatus]:
    """Give what a run would find, by task key. Nothing runs; files are opened only where one is too big for one batch."""
    results = Results(store)
    by_name = {p.name: p for p in plugins}
    keys = Keys(plan, {n: p.result_version for n, p in by_name.items()})
    batches = Batches(plan, by_name, results)
    need = needs(plan, keys, batches, results)
    told = _changes(plan, results) if any(need.missing.values()) else {}
    numbers = {t.key: i + 1 for i, t in enumerate(plan.tasks)}
    found: dict[Key, TaskStatus] = {}
    for task in plan.tasks:
        missing = need.missing.get(task.key, set())
        parts = 1 if task.dataset is None else len(batches.of(task.dataset))
        if not missing:
            found[task.key] = TaskStatus("hit", _why_hit(task, need), parts)
            continue
        why = keys.not_stored.get(task.key, "")
        why = f"never stored: {why}" if why else _why_miss(task, plan, told, need, numbers)
        found[task.key] = TaskStatus("miss", why, parts, len(missing))
    return found


def _why_hit(task: Task, need: Needs) -> str:
    return "" if task.key in need.stored or need.found.get(task.key) else "what is made from it is stored"


def _changes(plan: Plan, results: Results) -> dict[Key, tuple[Change, ...] | None]:
    """Give, by target, what changed since it was computed last; None when it never was."""
    found: dict[Key, tuple[Change, ...] | None] = {}
    tables = tables_of(plan)
    for target, expr in zip(plan.targets, plan.exprs, strict=True):
        last = last_like(expr, tables[target], results)
        found[target] = None if last is None else changes(last, expr)
    return found


def _why_miss(
    task: Task, plan: Plan, told: Mapping[Key, tuple[Change, ...] | None], need: Needs, numbers: Mapping[Key, int]
) -> str:
    users = _targets_of(task, plan)
    known = [c for t in users for c in told.get(t) or ()]
    nodes = {n.key for n in postorder(task.expr)}
    own = list(dict.fromkeys([c.text for c in known if c.node in nodes]))
    if own:
        return "; ".join(own)
    above = [numbers[k] for k in task.inputs if need.missing.get(k)]
    if above:
        return f"it takes the result of task {', '.join([str(n) for n in above])}"
    if all(told.get(t) is None for t in users):
        return "never computed"
    others = list(dict.fromkeys([c.text for c in known]))
    return "; ".join(others) or "it is not in the cache any more, or the result version of a plug-in was raised"


def _targets_of(task: Task, plan: Plan) -> list[Key]:
    """Give the targets that a task is needed for."""
    reached = {task.key}
    for other in plan.tasks:
        if reached.intersection(other.inputs):
            reached.add(other.key)
    return [t for t in dict.fromkeys(plan.targets) if t in reached]
