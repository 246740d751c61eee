"""``np.histogram`` on expressions: numpy's arguments and rules, checked when recorded."""

from __future__ import annotations

import math
import operator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.types import is_number
from hep_flows.record.histogram_request import HistogramRequest
from hep_flows.record.operands import expr_of

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Constant, Expr
    from hep_flows.record.table import Table


def numpy_histogram(  # noqa: PLR0913
    a: Any,
    *,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - numpy's name
    density: Any = None,
    weights: Any = None,
    table: Table | None,
    where: Where,
) -> HistogramRequest:
    """Give the request for numpy's histogram of all values, jagged ones flattened, missing ones left out.

    Without ``range`` and edges the bins go from the smallest to the largest selected value, as in numpy.

    Raises
    ------
    LiteralError
        When an argument is of a kind that numpy or the language does not take.
    AxisError
        When the weights do not align with the values.
    """
    x = _values(a, "np.histogram", table, where)
    parts = {"x": x}
    if weights is not None:
        weight = _values(weights, "weights", table, where)
        if len(weight.type.axes) > len(x.type.axes):
            raise AxisError("there are more weights than values: the weights are deeper", where=where)
        parts["weight"] = weight
    options = [*_bins(bins, range, where), ("density", bool(density)), ("weighted", weights is not None)]
    filled = build.record(list(parts), list(parts.values()), where)
    args: list[Expr] = [filled]
    if dict(options)["edges"] is None and range is None:
        args += [_over_all("min", x, where), _over_all("max", x, where)]
    made = build.histogram("np_histogram", args, tuple(options), "", where)
    return HistogramRequest._of(made, _table_of(table, a, weights))  # noqa: SLF001


def _table_of(table: Table | None, *values: Any) -> Table | None:
    found = [t for v in values if (t := getattr(v, "_table", None)) is not None]
    return found[0] if found else table


def _values(value: Any, what: str, table: Table | None, where: Where) -> Expr:
    expr = expr_of(value, table, where)
    if not is_number(expr.type.item):
        raise LiteralError(f"{what} needs numbers, not {expr.type.item}", where=where, do="name the leaf: x.pt")
    if expr.type.loops:
        raise AxisError(f"{what} cannot be used inside of a lambda", where=where, do="take it of the result of map")
    if not expr.type.axes:
        raise AxisError(
            f"{what} needs one value for each event or object, and this is {expr.type}",
            where=where,
            do="fill what it was computed of: np.histogram(X.pt)",
        )
    return expr


def _over_all(name: str, x: Expr, where: Where) -> Expr:
    while x.type.axes:
        x = build.call(name, (x,), where=where)
    return x


def _bins(bins: Any, limits: Any, where: Where) -> list[tuple[str, Constant]]:
    ends = None if limits is None else _range(limits, where)
    if isinstance(bins, str):
        raise LiteralError(
            f"np.histogram cannot choose bins by the rule {bins!r}",
            where=where,
            why="the rule looks at all values before any is counted",
            do="give the number of bins, or the edges",
        )
    try:
        number = None if isinstance(bins, bool) else operator.index(bins)
    except TypeError:
        number = None
    if number is None:
        edges, dtype = _edges(bins, where)
        return [("bins", None), ("edges", edges), ("edges_dtype", dtype), ("range", None)]
    if number < 1:
        raise LiteralError(f"np.histogram needs at least one bin, not {number}", where=where)
    return [("bins", number), ("edges", None), ("edges_dtype", ""), ("range", ends)]


def _range(limits: Any, where: Where) -> tuple[Constant, ...]:
    given = tuple(limits) if hasattr(limits, "__iter__") and not hasattr(limits, "_expr") else ()
    if len(given) != 2:
        raise LiteralError("range must be two numbers, (low, high)", where=where)
    low, high = [_number(v, "an end of range", where) for v in given]
    if not (math.isfinite(low[0]) and math.isfinite(high[0])):
        raise LiteralError(f"the range [{low[0]}, {high[0]}] is not finite", where=where)
    if low[0] > high[0]:
        raise LiteralError(f"the range goes from low to high, and {low[0]} is above {high[0]}", where=where)
    return (low, high)


def _edges(bins: Any, where: Where) -> tuple[tuple[Constant, ...], str]:
    if hasattr(bins, "_expr") or not hasattr(bins, "__iter__") or getattr(bins, "ndim", 1) != 1:
        raise LiteralError("bins must be a number of bins or a list of edges", where=where)
    found = [_number(v, "an edge", where) for v in bins]
    values = [v for v, _ in found]
    if len(values) < 2:
        raise LiteralError(f"np.histogram needs at least two edges, not {len(values)}", where=where)
    for low, high in pairwise(values):
        if not low <= high:
            raise LiteralError(f"edges must increase, and {low} comes before {high}", where=where)
    dtype = str(getattr(bins, "dtype", "")) or ("float64" if any(isinstance(v, float) for v in values) else "int64")
    return tuple(values), dtype


def _number(value: Any, what: str, where: Where) -> tuple[Any, str]:
    """Give a number, and numpy's name of its type where it came from numpy."""
    if type(value) in {int, float}:
        return value, ""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and getattr(value, "shape", None) == () and dtype.kind in "iuf" and not hasattr(value, "_expr"):
        return value.item(), str(dtype)
    raise LiteralError(
        f"{what} must be a number, not {with_article(value)}",
        where=where,
        do="a value that depends on data must be made local first" if hasattr(value, "_expr") else "",
    )
