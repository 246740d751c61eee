"""Carry the choice of a member through filters, picks and loops, down to where the member is defined, and back up.

``X[mask].pt`` is written ``X.pt[mask]``, ``X.First().pt`` is ``X.pt.First()``: every spelling of a leaf becomes one expression, only
the leaves that are used are ever read, and a column that was defined before a filter is selected by it, never computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.loops import close, rebuilt
from hep_flows.expr.nodes import Bound, Call, Expr, Filter, Map

if TYPE_CHECKING:
    from collections.abc import Callable

_CARRIES = frozenset({"pick", "slice", "gather", "flatten"})


def select(of: Expr, found: Callable[[Expr], Expr | None]) -> Expr | None:
    """Give the member of an expression, whatever selections lie between it and the place that defines it.

    Parameters
    ----------
    of : Expr
        A record expression.
    found : callable
        Says what the member is at a node, or None where this node does not define it.

    Returns
    -------
    Expr or None
        None when no node on the way defines it.
    """
    crossed: list[Expr] = []
    node = of
    while (here := found(node)) is None:
        match node:
            case Filter() | Bound():
                below = node.of
            case Map():
                below = node.body
            case Call(function=str(name)) if name in _CARRIES:
                below = node.args[0]
            case _:
                return None
        crossed.append(node)
        node = below
    for outer in reversed(crossed):
        here = _again(outer, here)
    return here


def _again(outer: Expr, member: Expr) -> Expr:
    if isinstance(outer, Map):
        return close(outer.over, member, outer.level, outer.where)
    _, *rest = outer.inputs()
    inputs = (member, *rest)
    return _at_same_axis(outer, inputs)


def _at_same_axis(outer: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Rebuild a selection over a member: the member may have more axes inside, the selected one keeps its number.

    A member without that axis (a column that is one number for all events) is not touched by the selection.
    """
    at = outer.at if isinstance(outer, Filter) else dict(outer.options).get("at", 0) if isinstance(outer, Call) else 0
    if len(inputs[0].type.axes) <= at:  # type: ignore[operator]
        return inputs[0]
    match outer:
        case Filter():
            return build.filtered(inputs[0], inputs[1], outer.at, outer.where)
        case Call(function="pick"):
            return build.pick(inputs[0], outer.option("index"), outer.option("at"), outer.where)  # type: ignore[arg-type]
        case Call(function="slice"):
            bounds = (outer.option("start"), outer.option("stop"), outer.option("step"))
            return build.sliced(inputs[0], bounds, outer.option("at"), outer.where)  # type: ignore[arg-type]
        case Call(function="gather"):
            return build.gathered(inputs[0], inputs[1], outer.option("at"), outer.where)  # type: ignore[arg-type]
        case _:
            return rebuilt(outer, inputs)
