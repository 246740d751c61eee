"""Repeat what is not per element for each element: the axes of the collection come first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.axes import misaligned
from hep_flows.expr.loops import close, provisional_level

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr


def spread(value: Expr, over: Expr, where: Where, n_axes: int | None = None) -> Expr:
    """Give a value with the axes of its collection first (or the first ``n_axes`` of them); what is not per element is repeated.

    Raises
    ------
    AxisError
        When the value belongs to another selection of the same collection, or to other events.
    """
    v, o = value.type.axes, over.type.axes[:n_axes]
    if v[: len(o)] == o or len(o) < 2:
        if v and o and v[0] != o[0]:
            raise misaligned(v, o, "a column", where)
        return value
    shared = v[: len(o)] == o[: len(v)]
    if not shared:
        own = {a.root for a in o}
        if (v and v[0] != o[0]) or any(a.root in own for a in v[1:]):
            raise misaligned(v, o, "a column", where)
    if len(o) == 2:
        return build.mapped(over, value, 0, where)
    level = provisional_level(1)
    element = build.bound(over, level, where)
    inside = build.bound(value, level, where) if shared and len(v) > 1 else value
    return close(over, spread(inside, element, where, len(o) - 1), level, where)
