"""Many spellings, one expression: the passes between recording and planning.

Recording resolves names, columns, aliases and lambdas, and every node is typed when it is made; what is left for the passes are
equalities between whole expressions. Each pass is exact (it never changes a bit of a result), keeps the type and is idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.normalise.count_structure import count_structure
from hep_flows.normalise.move_filters import move_filters
from hep_flows.normalise.share_repeats import share_repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hep_flows.expr.nodes import Expr

    Pass = Callable[[tuple[Expr, ...]], tuple[Expr, ...]]

PASSES: tuple[Pass, ...] = (move_filters, count_structure, share_repeats)


def normalise(exprs: Iterable[Expr]) -> tuple[Expr, ...]:
    """Give the normal form of expressions that are asked for together."""
    exprs = tuple(exprs)
    for one in PASSES:
        exprs = one(exprs)
    return exprs
