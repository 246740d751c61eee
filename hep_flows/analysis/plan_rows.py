"""What a run of an analysis would do, task by task, and what it would cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.execute.history import seconds_like
from hep_flows.execute.results import Results
from hep_flows.execute.status import plan_status
from hep_flows.expr.key import digest
from hep_flows.expr.text import one_line
from hep_flows.show.plan_view import Sizing

if TYPE_CHECKING:
    from hep_flows.analysis.prepare import Prepared
    from hep_flows.execute.status import TaskStatus
    from hep_flows.planning.task import Task

LABEL_WIDTH = 100


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One task.

    Parameters
    ----------
    key, plugin, label, dataset : str
        The key as digits, who runs it, what it gives, and the dataset.
    state : str
        ``hit``: it is stored, or what is made from it; ``miss``: at least a part of it has to be computed.
    why : str
        Why it has to be computed.
    columns : tuple of str
        What it reads from files, by the names that these use.
    bytes : int, optional
        About how many compressed bytes a run would read for it; None when that cannot be told.
    seconds : float, optional
        About how long it takes when it is computed, from the last task of its shape; None when there was none.
    """

    key: str
    plugin: str
    label: str
    dataset: str
    state: Literal["hit", "miss"]
    why: str
    columns: tuple[str, ...]
    bytes: int | None
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """Give the row as plain data."""
        return asdict(self) | {"columns": list(self.columns)}


def plan_rows(prepared: Prepared) -> tuple[PlanRow, ...]:
    """Give a row for each task, in the order in which they can run. Nothing runs, and nothing but file headers is read."""
    results = Results(prepared.store)
    status = plan_status(prepared.plan, prepared.plugins, prepared.store)
    names, seconds = prepared.dataset_of(), seconds_like(prepared.plan, results)
    sizing = {p.name: p for p in prepared.plugins if isinstance(p, Sizing)}
    rows: list[PlanRow] = []
    for task in prepared.plan.tasks:
        found = status[task.key]
        n_bytes = _bytes(task, found, sizing.get(task.plugin), results)
        label = one_line(task.expr, LABEL_WIDTH)
        took = round(seconds[task.key], 6) if task.key in seconds else None
        rows.append(
            PlanRow(task.key.hex(), task.plugin, label, names[task.key], found.state, found.why, task.columns, n_bytes, took)
        )
    return tuple(rows)


def _bytes(task: Task, status: TaskStatus, sizing: Sizing | None, results: Results) -> int | None:
    if status.state == "hit" or not task.columns or task.dataset is None:
        return 0
    if sizing is None:
        return None
    table, share = task.dataset, status.missing / max(status.batches, 1)
    name = digest("column bytes", task.plugin, table.kind, table.tree, table.content, task.columns)
    known = results.remembered(name)
    if type(known) is not int:
        known = sizing.column_bytes(table, task.columns)
        results.remember(name, known)
    return round(known * share)
