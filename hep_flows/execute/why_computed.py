"""Why a stored result was computed, and which earlier one it was computed instead of: remembered by the key of its task."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.execute.last_run import tasks_of
from hep_flows.execute.reasons import Reasons, why_computed
from hep_flows.expr.key import digest
from hep_flows.planning.changes import shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.execute.results import Results
    from hep_flows.execute.task_rows import TaskRow
    from hep_flows.planning.task import Key, Plan


@dataclass(frozen=True, slots=True)
class Replacement:
    """One result in the place of another.

    Parameters
    ----------
    because : str
        What changed.
    other : str
        The key of the other result; empty when there is none.
    """

    because: str
    other: str


def note_reasons(plan: Plan, versions: Mapping[str, str], results: Results, rows: Sequence[TaskRow]) -> None:
    """Remember why tasks were computed; to be called before the run itself is noted."""
    computed = {bytes.fromhex(r.key) for r in rows if r.state == "computed"}
    if not computed or results.is_refresh:
        return
    reasons = Reasons(plan, versions, results)
    because = why_computed(plan, reasons, computed)
    places = _places(plan)
    for task in plan.tasks:
        if task.key not in because:
            continue
        found = [n.counterpart(*places[target, task.key]) for target, n in reasons.notes(task)]
        before = next((k for k in found if k and k != task.key.hex()), "")
        results.remember(_before(task.key), [because[task.key], before])
        if before:
            results.remember(_after(bytes.fromhex(before)), [because[task.key], task.key.hex()])


def computed_because(task: Key, results: Results) -> Replacement | None:
    """Give why a task was computed, and the key of the task in whose place it is."""
    return _read(results.remembered(_before(task)))


def replaced_by(task: Key, results: Results) -> Replacement | None:
    """Give what changed after a task was computed, and the key of the task that is in its place now."""
    return _read(results.remembered(_after(task)))


def _places(plan: Plan) -> dict[tuple[Key, Key], tuple[str, str, int]]:
    """Give, by target and task, the plug-in and the shape of the task, and which of those it is."""
    found: dict[tuple[Key, Key], tuple[str, str, int]] = {}
    shapes = {t.key: shape(t.meaning).hex() for t in plan.tasks}
    for target, tasks in tasks_of(plan).items():
        numbers: Counter[tuple[str, str]] = Counter()
        for task in tasks:
            form = task.plugin, shapes[task.key]
            found[target, task.key] = (*form, numbers[form])
            numbers[form] += 1
    return found


def _before(task: Key) -> Key:
    return digest("computed because", task)


def _after(task: Key) -> Key:
    return digest("replaced by", task)


def _read(remembered: Any) -> Replacement | None:
    match remembered:
        case [str(because), str(other)]:
            return Replacement(because, other)
        case _:
            return None
