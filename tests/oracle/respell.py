"""Other spellings of an expression: what a user may write differently without meaning anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level, rebuilt
from hep_flows.expr.nodes import Bound, Call, Expr, Literal, Map
from hep_flows.expr.types import Loop

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

_SWAPS = {
    **{n: n for n in ("add", "multiply", "equal", "not_equal", "bitwise_and", "bitwise_or", "bitwise_xor")},
    **{n: n for n in ("logical_and", "logical_or", "logical_xor")},
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
}


def respelled(draw: DrawFn, expr: Expr, around: dict[Loop, Loop] | None = None, depth: int = 0) -> Expr:
    """Give an equal expression: operands swapped, comparisons turned round, loops recorded anew."""
    around = around or {}
    if isinstance(expr, Map) and expr.level:
        return _map(draw, expr, around, depth)
    inputs = [respelled(draw, i, around, depth) for i in expr.inputs()]
    if isinstance(expr, Bound):
        loop = Loop(expr.of.type.axes[1], expr.level)
        return build.bound(inputs[0], around[loop].level)
    if isinstance(expr, Call) and expr.function in _SWAPS and draw(st.booleans()):
        return build.call(_SWAPS[expr.function], inputs[::-1], expr.options)
    return expr if isinstance(expr, Literal) else rebuilt(expr, tuple(inputs))


def _map(draw: DrawFn, expr: Map, around: dict[Loop, Loop], depth: int) -> Expr:
    over = respelled(draw, expr.over, around, depth)
    level = provisional_level(depth)
    inside = {**around, Loop(expr.over.type.axes[1], expr.level): Loop(over.type.axes[1], level)}
    return close(over, respelled(draw, expr.body, inside, depth + 1), level)
