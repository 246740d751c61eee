"""The content key of a result: the only thing that it is found by. It names a meaning, not a way of working.

``digest("result", format, family, version, key of the expression, output)``. The expression is what was asked for, from the table up: it
names the data by its content. How a plan was cut, which plug-in ran a node, and what else was asked for are not in it. Of the plug-ins only
the numerics family is: members of a family give the same bits. Where a part of the expression is computed by another family than the
rest, an `Input` with the key of its result stands in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.key import digest
from hep_flows.expr.types import Histogram

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Output
    from hep_flows.plugin import Numerics

# To be raised when results, or the parts of them that a batch has, hold something else for the same meaning.
FORMAT = 1


def result_key(numerics: Numerics, meaning: Expr) -> Key:
    """Give the key of what an expression means, computed in one numerics family."""
    return digest("result", FORMAT, numerics.family, numerics.version, meaning.key, output_of(meaning))


def output_of(node: Expr) -> Output:
    """Give the form of a node's result."""
    if isinstance(node.type.item, Histogram):
        return "histogram"
    return "columns" if node.type.axes else "scalar"
