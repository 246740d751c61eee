"""What task runs are called: words of physics, since a person looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.execute.task_label import task_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Plan, Task

MOST_COLUMNS = 4
WIDTH = 60
LONGEST = 180


def name_of(unit: Unit, plan: Plan) -> str:
    """Give the name of a unit: ``read ttbar · Jet_pt, Jet_eta``, ``fill ttbar · pt``, ``transform ttbar · events.Jet.pt / 1000``."""
    tasks = [t for t in plan.tasks if t.key in set(unit.tasks)]
    if unit.kind == "task":
        name = f"{_verb(tasks[0])} {unit.dataset}{_part(unit)} · {_subject(tasks[0])}"
    elif unit.kind == "datasets":
        name = f"{unit.dataset} · {len(tasks)} tasks"
    else:
        verb = "fetch" if any(t.plugin == "servicex" for t in tasks) else "read"
        name = f"{verb} {unit.dataset}{_part(unit)} · {_columns(tasks)}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _part(unit: Unit) -> str:
    numbers = unit.batches
    if numbers is None:
        return ""
    first, last = numbers[0] + 1, numbers[-1] + 1
    if len(numbers) == 1:
        return f", batch {first}"
    return f", batches {first} to {last}" if len(numbers) == last - first + 1 else f", {len(numbers)} batches"


def _verb(task: Task) -> str:
    if task.output == "histogram":
        return "fill"
    if task.plugin == "servicex":
        return "fetch"
    return "sum up" if task.output == "scalar" else "transform"


def _subject(task: Task) -> str:
    if task.plugin == "servicex" and task.columns:
        return _columns([task])
    return task_label(task, WIDTH).removeprefix("histogram of ")


def _columns(tasks: Sequence[Task]) -> str:
    names = list(dict.fromkeys([c for t in tasks for c in t.columns]))
    shown = ", ".join(names[:MOST_COLUMNS])
    return shown + (f" and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else "")
