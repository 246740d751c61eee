"""What was computed last, so that a plan can say what changed since then, and about how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import RecordError, line_of
from hep_flows.expr.key import digest
from hep_flows.expr.transport import decode, encode
from hep_flows.planning.changes import shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.execute.results import Results
    from hep_flows.execute.task_rows import TaskRow
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.planning.task import Key, Plan, Task


def note_run(plan: Plan, results: Results, rows: Sequence[TaskRow] = ()) -> None:
    """Remember what was asked for, and what computing it took.

    Parameters
    ----------
    plan : Plan
        What was run.
    results : Results
        Where it is remembered.
    rows : sequence of TaskRow
        What became of the tasks.
    """
    if not results.is_kept or not plan.exprs:  # a part of a plan: the run as a whole notes it
        return
    noted: set[bytes] = set()
    tables = tables_of(plan)
    for target, expr in zip(plan.targets, plan.exprs, strict=True):
        written = ""
        for name in _names(expr, tables[target]):
            if name not in noted:
                written = written or encode(expr).decode()
                results.remember(name, written)
                noted.add(name)
    _note_times(plan, results, rows)


def last_like(expr: Expr, table: Dataset | None, results: Results) -> Expr | None:
    """Give what was computed last for the same dataset on the same line of the analysis, or else something of the same shape."""
    for name in _names(expr, table):
        written = results.remembered(name)
        if isinstance(written, str):
            try:
                return decode(written.encode())
            except RecordError:
                continue
    return None


def seconds_like(plan: Plan, results: Results) -> dict[Key, float]:
    """Give about how long each task takes, from the last task of its shape, whatever its constants, bins and data."""
    found: dict[Key, float] = {}
    known: dict[bytes, object] = {}
    for task in plan.tasks:
        name = _time_name(task)
        if name not in known:
            known[name] = results.remembered(name)
        match known[name]:
            case [int() | float() as seconds, int() as events]:
                now = _events(task)
                found[task.key] = seconds * now / events if events and now is not None else float(seconds)
            case _:
                pass
    return found


def _note_times(plan: Plan, results: Results, rows: Sequence[TaskRow]) -> None:
    computed = {r.key: r for r in rows if r.state == "computed"}
    spent: dict[bytes, tuple[float, int]] = {}
    for task in plan.tasks:
        row = computed.get(task.key.hex())
        if row is None:
            continue
        share = row.batches_computed / row.batches if row.batches else 1
        before = spent.get(_time_name(task), (0.0, 0))
        spent[_time_name(task)] = before[0] + row.seconds, before[1] + round((_events(task) or 0) * share)
    for name, (seconds, events) in spent.items():
        results.remember(name, [round(seconds, 6), events])


def _time_name(task: Task) -> bytes:
    return digest("seconds", task.plugin, shape(task.expr), task.output)


def _events(task: Task) -> int | None:
    """Give the number of events that a task runs over, where the identity of its files tells."""
    if task.dataset is None:
        return None
    counts = [c.partition(":")[0] for c in task.dataset.content]
    return sum([int(c) for c in counts]) if all(c.isdigit() for c in counts) else None


def tables_of(plan: Plan) -> dict[Key, Dataset | None]:
    """Give the table that each task is over, by task key: its own, or that of what it takes."""
    found: dict[Key, Dataset | None] = {}
    for task in plan.tasks:
        found[task.key] = task.dataset or next((t for k in task.inputs if (t := found.get(k)) is not None), None)
    return found


def _names(expr: Expr, table: Dataset | None) -> tuple[bytes, ...]:
    """Give the names that an expression is remembered under, the one that says most first."""
    form = shape(expr)
    line = line_of(expr.where)
    own = "" if table is None else table.name
    if line is None:
        return digest("last", form, own), digest("last", form)
    file = line.file.rsplit("/", 1)[-1]
    same_line = digest("last", form, file, line.line, own), digest("last", form, file, line.line)
    return *same_line, digest("last", form), digest("last", b"", file, line.line, own), digest("last", b"", file, line.line)
