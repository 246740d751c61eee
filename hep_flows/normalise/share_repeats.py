"""``x * x`` with two equal nodes becomes the same with one: equal subtrees are one object.

before: ``multiply(sqrt(a), sqrt(a'))`` with ``a == a'``; after: both arguments are the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.loops import rebuilt
from hep_flows.expr.walk import rewrite

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr


def share_repeats(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with one node for each key; of equal nodes the first one's line is kept."""
    return rewrite(exprs, rebuilt)
