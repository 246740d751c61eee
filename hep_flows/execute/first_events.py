"""How many events are enough: ``df[:100].MET.pt`` needs the first 100, so a run stops reading when it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Call, Input
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Plan


def events_needed(plan: Plan) -> dict[Key, int]:
    """Give, by task key, how many events of its result are looked at, from the first; tasks that are not listed need all."""
    needed: dict[Key, int] = {}
    all_of_it = set(plan.targets)
    for task in plan.tasks:
        for node in postorder(task.expr):
            for i in node.inputs():
                if not isinstance(i, Input):
                    continue
                count = _first(node) if task.spread == "whole" else None
                if count is None:
                    all_of_it.add(i.task)
                else:
                    needed[i.task] = max(count, needed.get(i.task, 0))
        if isinstance(task.expr, Input):
            all_of_it.add(task.expr.task)
    return {k: n for k, n in needed.items() if k not in all_of_it}


def _first(node: Expr) -> int | None:
    """Give how many events of its input a node looks at, counted from the first; None when it may be all."""
    if not isinstance(node, Call):
        return None
    options = dict(node.options)
    match node.function, options.get("at"), options.get("index"), options.get("stop"):
        case "pick", 0, int(index), _ if index >= 0:
            return index + 1
        case "slice", 0, _, int(stop) if stop >= 0:
            start, step = options.get("start"), options.get("step")
            forward = (start is None or (isinstance(start, int) and start >= 0)) and (
                step is None or (isinstance(step, int) and step > 0)
            )
            return stop if forward else None
        case _:
            return None
