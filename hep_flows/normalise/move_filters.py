"""Filters move to the leaves: ``(Jet.pt / 1000)[m]`` becomes ``Jet.pt[m] / 1000``, ``Jet.Count()[e]`` becomes ``Count`` over ``Jet[e]``.

So a column that was defined before a filter, and the same formula written after it, are one expression; cuts are shipped with each
leaf, and nothing is computed for entries that are dropped. An aggregate on the filtered axis is not touched: it was over all entries
(``pt / pt.Sum()`` after a cut keeps the whole sum).

- A filter on events crosses everything that works event by event: all nodes up to aggregates over events and other selections of
  events.
- A filter on a collection crosses functions that work item by item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter
from hep_flows.expr.walk import postorder, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.errors import Where


def move_filters(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with every filter as near to the leaves as it can be."""
    return rewrite(exprs, _change)


def _change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    if isinstance(node, Filter):
        of, mask = inputs
        if node.at == 0:
            return _events(of, mask, node.where)
        return _entries(of, mask, node.at, node.where)
    return rebuilt(node, inputs)


def _events(of: Expr, mask: Expr, where: Where) -> Expr:
    """Filter events below everything that works event by event."""

    def crosses(node: Expr) -> bool:
        if not node.type.axes or isinstance(node, Dataset | Field):
            return False
        if isinstance(node, Filter):
            return node.at != 0
        return not (isinstance(node, Call) and dict(node.options).get("at") == 0)

    return _moved(of, mask, 0, crosses, where)


def _entries(of: Expr, mask: Expr, at: int, where: Where) -> Expr:
    """Filter a collection axis below the functions that work item by item."""

    def crosses(node: Expr) -> bool:
        if not isinstance(node, Call) or len(node.type.axes) <= at:
            return False
        return isinstance(node.function, UserFunction) or FUNCTIONS[node.function].kind == "elementwise"

    return _moved(of, mask, at, crosses, where)


def _moved(of: Expr, mask: Expr, at: int, crosses: Callable[[Expr], bool], where: Where) -> Expr:
    def filtered(node: Expr) -> Expr:
        has_axis = len(node.type.axes) > at
        return build.filtered(node, mask, at, where) if has_axis else node

    if not crosses(of):
        return filtered(of)
    done: dict[bytes, Expr] = {}
    for node in postorder(of, into=crosses):
        done[node.key] = rebuilt(node, tuple([done.get(i.key) or filtered(i) for i in node.inputs()]))
    return done[of.key]
