"""The same expression made once more from its leaves up, with a word to say at every node; loops are recorded anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level, rebuilt
from hep_flows.expr.nodes import Bound, Expr, Literal, Map
from hep_flows.expr.types import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Expr, tuple[Expr, ...]], Expr | None]


def rewritten(expr: Expr, change: Change, around: dict[Loop, Loop] | None = None, depth: int = 0) -> Expr:
    """Give the expression made anew; ``change`` gets each node but loops and their elements, with its new inputs.

    It gives what stands there from now on, or None for the same node over the new inputs.
    """
    around = around or {}
    if isinstance(expr, Map) and expr.level:
        return _map(expr, change, around, depth)
    inputs = tuple([rewritten(i, change, around, depth) for i in expr.inputs()])
    if isinstance(expr, Bound):
        loop = Loop(expr.of.type.axes[1], expr.level)
        return build.bound(inputs[0], around[loop].level)
    new = change(expr, inputs)
    if new is not None:
        return new
    return expr if isinstance(expr, Literal) else rebuilt(expr, inputs)


def _map(expr: Map, change: Change, around: dict[Loop, Loop], depth: int) -> Expr:
    over = rewritten(expr.over, change, around, depth)
    level = provisional_level(depth)
    inside = {**around, Loop(expr.over.type.axes[1], expr.level): Loop(over.type.axes[1], level)}
    return close(over, rewritten(expr.body, change, inside, depth + 1), level)
