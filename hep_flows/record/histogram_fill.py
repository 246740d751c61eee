"""The arguments of one fill: checked against the axes, and sorted into what is per entry, one number, or constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, did_you_mean, with_article
from hep_flows.expr import build
from hep_flows.expr.nodes import Literal
from hep_flows.expr.types import Bool, Int, String, is_number
from hep_flows.record.operands import expr_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Constant, Expr
    from hep_flows.expr.types import Item
    from hep_flows.record.histogram_spec import AxisSpec
    from hep_flows.record.table import Table

_MEANS = frozenset({"Mean", "WeightedMean"})


def by_axis(axes: Sequence[AxisSpec], values: Sequence[Any], named: Mapping[str, Any], where: Where) -> list[Any]:
    """Give the arguments of ``fill`` in the order of the axes.

    Raises
    ------
    LiteralError
        When one is missing, given twice, or belongs to no axis.
    """
    names = [a.name for a in axes]
    if len(values) > len(axes):
        raise LiteralError(f"the histogram has {len(axes)} axes, and {len(values)} values are given", where=where)
    for name in named:
        if not name or name not in names:
            known = ", ".join(repr(n) for n in names if n) or "none that has a name"
            raise LiteralError(
                f"the histogram has no axis {name!r}",
                where=where,
                why=f"its axes are {known}",
                do=did_you_mean(name, names) or "name the axis when it is made: Reg(50, 0, 200, name='pt')",
            )
        if names.index(name) < len(values):
            raise LiteralError(f"the axis {name!r} is given twice, by its place and by its name", where=where)
    given: list[Any] = list(values)
    for i, axis in enumerate(axes[len(values) :], len(values)):
        if axis.name not in named or not axis.name:
            title = repr(axis.name) if axis.name else f"number {i}"
            raise LiteralError(f"fill needs a value for the axis {title}", where=where)
        given.append(named[axis.name])
    return given


class Fill:
    """The arguments of one fill, collected."""

    def __init__(self, table: Table | None, where: Where) -> None:
        """Begin without arguments."""
        self._table = table
        self._where = where
        self._members: dict[str, Expr] = {}
        self._numbers: list[Expr] = []

    def axis(self, value: Any, axis: AxisSpec) -> tuple[Constant, ...]:
        """Give where the values of an axis come from."""
        expr = self._expr(value, f"the axis {axis.name!r}")
        self._check(expr.type.item, axis)
        return self._source(expr, f"axis {len(self._members) + len(self._numbers)}")

    def weight(self, value: Any, storage: Mapping[str, Any]) -> tuple[Constant, ...] | None:
        """Give where the weights come from."""
        if "cells" in storage:
            return self._cells(value, storage["cells"])
        if value is None:
            return None
        expr = self._number(value, "weight")
        if storage["kind"] in {"Int64", "AtomicInt64"} and not isinstance(expr.type.item, Int | Bool):
            raise LiteralError(
                f"the storage {storage['kind']} counts in whole numbers, and the weight is {expr.type.item}",
                where=self._where,
                why="each weight would be cut to an integer",
                do="use Weight() or Double()",
            )
        return self._source(expr, "weight")

    def sample(self, value: Any, storage: Mapping[str, Any]) -> tuple[Constant, ...] | None:
        """Give where the sample comes from."""
        needed = storage["kind"] in _MEANS
        if needed and value is None:
            raise LiteralError(f"the storage {storage['kind']} needs sample=, the values to average", where=self._where)
        if value is None:
            return None
        if not needed:
            raise LiteralError(
                f"the storage {storage['kind']} takes no sample", where=self._where, do="use Mean() or WeightedMean() to average"
            )
        return self._source(self._number(value, "sample"), "sample")

    def arguments(self) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
        """Give the arguments of the node after the histogram, and the names of what is per entry."""
        names = tuple(self._members)
        record = [build.record(names, [self._members[n] for n in names], self._where)] if names else []
        return (*record, *self._numbers), names

    def _cells(self, value: Any, cells: int) -> tuple[Constant, ...]:
        if not isinstance(value, tuple | list) or len(value) != cells:
            raise LiteralError(f"a MultiCell storage needs weight=, a tuple of {cells}: one for each cell", where=self._where)
        parts = [self._source(self._number(v, f"weight {i}"), f"weight {i}") for i, v in enumerate(value)]
        return ("cells", tuple(parts))

    def _number(self, value: Any, what: str) -> Expr:
        expr = self._expr(value, what)
        if not is_number(expr.type.item):
            raise LiteralError(f"{what} must be a number, not {expr.type.item}", where=self._where)
        return expr

    def _expr(self, value: Any, what: str) -> Expr:
        if isinstance(value, tuple | list):
            raise LiteralError(f"{what} takes one expression or constant, not {with_article(value)}", where=self._where)
        expr = expr_of(value, self._table, self._where)
        if expr.type.loops:
            raise AxisError(
                f"{what} depends on the element of a lambda, and a histogram is filled outside of it",
                where=self._where,
                do="fill with the result of map",
            )
        return expr

    def _source(self, expr: Expr, name: str) -> tuple[Constant, ...]:
        if isinstance(expr, Literal):
            return ("constant", expr.value)
        if not expr.type.axes:
            self._numbers.append(expr)
            return ("number", len(self._numbers) - 1)
        self._members[name] = expr
        return ("member", name)

    def _check(self, item: Item, axis: AxisSpec) -> None:
        match axis.takes:
            case "text":
                fits, do = isinstance(item, String), "use IntCat for integers"
            case "integers":
                fits, do = isinstance(item, Int | Bool), "use Reg or Var for numbers, StrCat for text"
            case _:
                fits, do = is_number(item), "name the leaf: x.pt; use StrCat for text"
        if not fits:
            raise LiteralError(f"the axis {axis.name!r} ({axis.kind}) takes {axis.takes}, not {item}", where=self._where, do=do)
