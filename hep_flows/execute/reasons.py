"""Why a task has to be computed, in the words of an analysis: what changed since the last run, or what else became of its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.execute.last_run import last_like, tables_of, targets_of
from hep_flows.expr.walk import postorder
from hep_flows.planning.changes import Change, changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.execute.results import Results
    from hep_flows.execute.run_note import RunNote
    from hep_flows.planning.task import Key, Plan, Task

NEVER = "never computed"


@dataclass(frozen=True, slots=True)
class Since:
    """What is known of the last run of one target, and what changed since."""

    note: RunNote
    changes: tuple[Change, ...]


class Reasons:
    """Why the tasks of a plan have to be computed.

    Parameters
    ----------
    plan : Plan
        The plan.
    versions : mapping
        The result version of each plug-in.
    results : Results
        Where the last runs are remembered.
    """

    def __init__(self, plan: Plan, versions: Mapping[str, str], results: Results) -> None:
        """Nothing is compared yet: where everything is stored, nobody asks."""
        self._users, self._versions, self._results = targets_of(plan), versions, results
        self._exprs, self._tables = dict(zip(plan.targets, plan.exprs, strict=True)), tables_of(plan)
        self._meanings = {t.key: t.meaning.key for t in plan.tasks}
        self._compared: dict[Key, Since | None] = {}

    def notes(self, task: Task) -> list[tuple[Key, RunNote]]:
        """Give the last runs of the targets that the task is needed for, with their keys."""
        return [(t, s.note) for t in self._users[task.key] if (s := self._since(t)) is not None]

    def own(self, task: Task) -> str:
        """Give what changed in the task itself; empty when nothing did."""
        above = {k for i in task.inputs if (k := self._meanings.get(i)) is not None}
        nodes = {n.key for n in postorder(task.meaning, into=lambda n: n.key not in above)}
        return _joined([c.text for s in self._known(task) for c in s.changes if c.node in nodes])

    def other(self, task: Task) -> str:
        """Give why a task is not stored in which nothing changed, and which takes nothing that is missing."""
        known = self._known(task)
        if not known:
            return NEVER
        raised = [_raised(task.plugin, s.note.plugins.get(task.plugin), self._versions.get(task.plugin, "")) for s in known]
        said = _joined([*raised, *[c.text for s in known for c in s.changes]])
        return said or f"it is not in the cache any more, where it was on {known[0].note.when}: it was collected or removed"

    def _known(self, task: Task) -> list[Since]:
        return [s for t in self._users[task.key] if (s := self._since(t)) is not None]

    def _since(self, target: Key) -> Since | None:
        """Compare a target with its last run."""
        if target not in self._compared:
            expr = self._exprs[target]
            note = last_like(expr, self._tables[target], self._results)
            self._compared[target] = None if note is None else Since(note, changes(note.expr, expr))
        return self._compared[target]


def why_computed(plan: Plan, reasons: Reasons, computed: Collection[Key]) -> dict[Key, str]:
    """Give why each of these tasks had to be computed; a task that takes a new result has the reason of that one."""
    found: dict[Key, str] = {}
    for task in plan.tasks:
        if task.key in computed:
            above = _joined([found[k] for k in task.inputs if k in found])
            found[task.key] = reasons.own(task) or above or reasons.other(task)
    return found


def _raised(plugin: str, before: str | None, now: str) -> str:
    if before is None or before == now:
        return ""
    return f"the result version of {plugin} was raised from {before} to {now}"


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys([t for t in texts if t]))
