"""Functions of the user do what they did when they were written into an expression, or nothing is computed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import TaskError
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.execute.needs import Needs
    from hep_flows.planning.task import Plan


def check_same_functions(plan: Plan, need: Needs) -> None:
    """Look at each function that is to be called: its key says what it did when the expression was written.

    Raises
    ------
    TaskError
        When a value that it captured, a global or a function that it uses is another one by now.
    """
    seen: set[bytes] = set()
    for task in [t for t in plan.tasks if need.missing.get(t.key)]:
        for node in postorder(task.expr):
            if not isinstance(node, Call) or not isinstance(node.function, UserFunction) or node.function.code in seen:
                continue
            function = node.function
            seen.add(function.code)
            if function.now is not None and function.portable and function.now() != function.code:
                raise TaskError(
                    f"the function {function.name!r} does something else than when this was written",
                    where=node.where,
                    why="a value or a function that it uses was changed since, so the result would be that of another expression",
                    do="write the expression once more after the change",
                )
