"""What was computed last, so that a plan can say what changed since then, and about how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.execute.last_run import names_of, tables_of, tasks_of
from hep_flows.execute.run_note import NotedTask, written
from hep_flows.execute.why_computed import note_reasons
from hep_flows.expr.key import digest
from hep_flows.expr.transport import encode
from hep_flows.planning.changes import shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.execute.results import Results
    from hep_flows.execute.task_rows import TaskRow
    from hep_flows.planning.task import Key, Plan, Task


def note_run(plan: Plan, results: Results, rows: Sequence[TaskRow] = (), versions: Mapping[str, str] | None = None) -> None:
    """Remember what was asked for, what computing it took, and why it had to be computed.

    Parameters
    ----------
    plan : Plan
        What was run.
    results : Results
        Where it is remembered.
    rows : sequence of TaskRow
        What became of the tasks; targets that could not be delivered are not remembered.
    versions : mapping, optional
        The result version of each plug-in.
    """
    from hep_flows.store.provenance import loaded_versions, now

    if not results.is_kept or not plan.exprs:  # a part of a plan: the run as a whole notes it
        return
    note_reasons(plan, versions or {}, results, rows)
    noted: set[bytes] = set()
    failed = {r.key for r in rows if r.state in ("failed", "not run")}
    tables, made_by = tables_of(plan), tasks_of(plan)
    for target, expr in zip(plan.targets, plan.exprs, strict=True):
        note: dict[str, Any] = {}
        for name in names_of(expr, tables[target]) if target.hex() not in failed else ():
            if name not in noted:
                tasks = [NotedTask(t.key.hex(), t.plugin, shape(t.meaning).hex()) for t in made_by[target]]
                note = note or written(encode(expr).decode(), tasks, versions or {}, loaded_versions(), now())
                results.remember(name, note)
                noted.add(name)
    _note_times(plan, results, rows)


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
