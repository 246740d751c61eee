"""What is known of each task of a plan before it runs: stored or not, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hep_flows.execute.batches import Batches
from hep_flows.execute.keys import Keys, result_versions
from hep_flows.execute.needs import needs
from hep_flows.execute.reasons import Reasons
from hep_flows.execute.results import Results

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
    by_name, versions = {p.name: p for p in plugins}, result_versions(plugins)
    keys = Keys(plan)
    batches = Batches(plan, by_name, results)
    need = needs(plan, keys, batches, results)
    reasons = Reasons(plan, versions, results)
    numbers = {t.key: i + 1 for i, t in enumerate(plan.tasks)}
    found: dict[Key, TaskStatus] = {}
    for task in plan.tasks:
        missing = need.missing.get(task.key, set())
        parts = 1 if task.dataset is None else len(batches.of(task.dataset))
        if not missing:
            found[task.key] = TaskStatus("hit", _why_hit(task, need), parts)
            continue
        why = keys.not_stored.get(task.key, "")
        why = f"never stored: {why}" if why else _why_miss(task, reasons, need, numbers)
        found[task.key] = TaskStatus("miss", why, parts, len(missing))
    return found


def _why_hit(task: Task, need: Needs) -> str:
    return "" if task.key in need.stored or need.found.get(task.key) else "what is made from it is stored"


def _why_miss(task: Task, reasons: Reasons, need: Needs, numbers: Mapping[Key, int]) -> str:
    own = reasons.own(task)
    if own:
        return own
    above = [f"{numbers[k]}" for k in task.inputs if need.missing.get(k)]
    return f"it takes the result of task {', '.join(above)}" if above else reasons.other(task)
