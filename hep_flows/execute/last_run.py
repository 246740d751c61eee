"""The last run of something like an expression: where it is remembered, and what of a plan belongs to which target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import line_of
from hep_flows.execute.run_note import RunNote, read
from hep_flows.expr.key import digest
from hep_flows.planning.changes import shape

if TYPE_CHECKING:
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.planning.task import Key, Plan, Task


def last_like(expr: Expr, table: Dataset | None, results: Results) -> RunNote | None:
    """Give what was computed last for the same dataset on the same line of the analysis, or else something of the same shape."""
    for name in names_of(expr, table):
        note = read(results.remembered(name))
        if note is not None:
            return note
    return None


def names_of(expr: Expr, table: Dataset | None) -> tuple[bytes, ...]:
    """Give the names that an expression is remembered under, the one that says most first."""
    form = shape(expr)
    line = line_of(expr.where)
    own = "" if table is None else table.name
    if line is None:
        return digest("last", form, own), digest("last", form)
    file = line.file.rsplit("/", 1)[-1]
    same_line = digest("last", form, file, line.line, own), digest("last", form, file, line.line)
    return *same_line, digest("last", form), digest("last", b"", file, line.line, own), digest("last", b"", file, line.line)


def tables_of(plan: Plan) -> dict[Key, Dataset | None]:
    """Give the table that each task is over, by task key: its own, or that of what it takes."""
    found: dict[Key, Dataset | None] = {}
    for task in plan.tasks:
        found[task.key] = task.dataset or next((t for k in task.inputs if (t := found.get(k)) is not None), None)
    return found


def targets_of(plan: Plan) -> dict[Key, list[Key]]:
    """Give the targets that each task is needed for, by task key, in the order of the plan."""
    wanted = set(plan.targets)
    users: dict[Key, dict[Key, None]] = {t.key: {} for t in plan.tasks}
    for task in reversed(plan.tasks):
        if task.key in wanted:
            users[task.key][task.key] = None
        for key in task.inputs:
            users[key].update(users[task.key])
    order = {t: i for i, t in enumerate(dict.fromkeys(plan.targets))}
    return {k: sorted(u, key=order.__getitem__) for k, u in users.items()}


def tasks_of(plan: Plan) -> dict[Key, list[Task]]:
    """Give the tasks that each target is made by, by its key, in the order of the plan."""
    found: dict[Key, list[Task]] = {t: [] for t in plan.targets}
    users = targets_of(plan)
    for task in plan.tasks:
        for target in users[task.key]:
            found[target].append(task)
    return found
