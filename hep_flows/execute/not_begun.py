"""The report of a run that did not begin, because a table has changed since it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.execute.report import RunReport
from hep_flows.execute.task_rows import Tally

if TYPE_CHECKING:
    from hep_flows.errors import HepFlowsError
    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Plan


def not_begun(plan: Plan, dataset: Dataset, error: HepFlowsError) -> HepFlowsError:
    """Give the error with a report that has a row for each task: those over the table failed, and no other was run."""
    tally = Tally(plan)
    for task in plan.tasks:
        if task.dataset is not None and task.dataset.key == dataset.key:
            tally.failed(task.key, error, None)
    tally.ended([t.key for t in plan.tasks])
    error.report = RunReport(0.0, 0, 0, 0, (), {}, tally.rows(), (error,))
    return error
