"""Other spellings of an expression: what a user may write differently without meaning anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Expr
from oracle.rewritten import rewritten

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


def respelled(draw: DrawFn, expr: Expr) -> Expr:
    """Give an equal expression: operands swapped, comparisons turned round, loops recorded anew."""

    def swapped(node: Expr, inputs: tuple[Expr, ...]) -> Expr | None:
        if isinstance(node, Call) and node.function in _SWAPS and draw(st.booleans()):
            return build.call(_SWAPS[node.function], inputs[::-1], node.options)
        return None

    return rewritten(expr, swapped)
