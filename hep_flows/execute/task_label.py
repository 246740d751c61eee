"""What a task is called in reports and in Prefect: what it gives, as a physicist would say it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Call
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Histogram

if TYPE_CHECKING:
    from hep_flows.planning.task import Task


def task_label(task: Task, width: int) -> str:
    """Give ``histogram of pt, eta``, or the expressions of the columns or the number that the task gives."""
    item = task.expr.type.item
    if isinstance(item, Histogram) and (names := _axis_names(item)):
        return f"histogram of {', '.join(names)}"[:width]
    if isinstance(task.expr, Call) and task.expr.function == "record":
        each = max(20, width // len(task.expr.args))
        return ", ".join([one_line(a, each) for a in task.expr.args])[:width]
    return one_line(task.expr, width)


def _axis_names(histogram: Histogram) -> list[str]:
    """Give the names of the axes of a histogram, where it is one of hist's."""
    try:
        return [str(a["name"]) for a in json.loads(histogram.spec)["axes"] if a["name"]]
    except (ValueError, LookupError, TypeError):
        return []
