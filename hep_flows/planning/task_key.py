"""The content key of a task: the only thing that a stored result is found by.

``digest("task", plug-in, its result version, key of the expression, form of the output)``. The expression names the data by its
content, and upstream tasks by their keys (`Input`), so the key covers everything that can change the result. What else is asked
for at the same time, where files lie and how the work is divided is not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.key import digest

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Output


def task_key(plugin: str, result_version: str, expr: Expr, output: Output) -> Key:
    """Give the key of running ``expr`` with that plug-in."""
    return digest("task", plugin, result_version, expr.key, output)
