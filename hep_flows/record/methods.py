"""The methods of an expression: those of the table of functions, and the geometry of two objects."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Function
from hep_flows.expr.types import Record
from hep_flows.record.arguments import checked
from hep_flows.record.operands import constant_of
from hep_flows.record.source_line import user_site
from hep_flows.record.vectors import delta_phi, delta_r

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Constant, Expr
    from hep_flows.record.dataframe import DataFrame

Options = tuple[tuple[str, "Constant"], ...]


def aggregated(name: str, of: Expr, axis: int | None, where: Site | None, options: Options = ()) -> Expr:
    """Give an aggregate over one axis, the innermost unless another is named.

    Raises
    ------
    AxisError
        When the axis does not exist, or lies outside of an inner one that the aggregate would have to keep.
    """
    depth = len(of.type.axes)
    if axis is None or not depth:
        return build.call(name, (of,), options, where)
    at = _axis_number(axis, depth, of, where)
    if at == depth - 1:
        return build.call(name, (of,), options, where)
    if name == "count":
        for _ in range(depth - 1 - at):
            of = build.call("count", (of,), where=where)
        return build.call("count", (of,), where=where)
    raise AxisError(
        f"{FUNCTIONS[name].method} over axis {axis} would keep the axis inside it: {of.type}",
        where=where,
        why="lists of different lengths have no common inner axis",
        do="reduce the innermost axis first, without an axis argument",
    )


def _axis_number(axis: Any, depth: int, of: Expr, where: Site | None) -> int:
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise LiteralError(
            f"an axis is an integer, not {with_article(axis)}",
            where=where,
            do="leave it out: the innermost list is meant; the element with the largest pt is X[X.pt == X.pt.Max()].First()",
        )
    at = axis + depth if axis < 0 else axis
    if not 0 <= at < depth:
        raise AxisError(
            f"there is no axis {axis} in {of.type}", where=where, do=f"axis 0 is the events, axis -1 the innermost of {depth}"
        )
    return at


def method_of(row: Function) -> Callable[..., DataFrame]:
    """Give the method that records a function of the table."""
    parameters = [Parameter(o.name, Parameter.POSITIONAL_OR_KEYWORD) for o in row.options]
    if row.kind == "reduce":
        parameters.append(Parameter("axis", Parameter.POSITIONAL_OR_KEYWORD, default=None))
    signature = Signature([Parameter("self", Parameter.POSITIONAL_ONLY), *parameters])

    def method(self: Any, /, *args: Any, **kwargs: Any) -> DataFrame:
        where = user_site()
        given = signature.bind(self, *args, **kwargs).arguments
        options = tuple([(o.name, constant_of(given[o.name], where)[0]) for o in row.options])
        return self._made(aggregated(row.name, self._expr, given.get("axis"), where, options))  # type: ignore[no-any-return]

    method.__name__, method.__qualname__ = row.method, f"DataFrame.{row.method}"
    method.__doc__ = f"Give {row.doc}." + (f" Of an empty list: {row.empty}." if row.empty else "")
    method.__signature__ = signature  # type: ignore[attr-defined]
    return checked(method)


class Aggregates:
    """The methods of `DataFrame`. Each aggregate removes the innermost axis; those of the table are added below."""

    __slots__ = ()

    @checked
    def First(self) -> DataFrame:  # noqa: N802
        """Give the first entry of each innermost list, missing for an empty one."""
        frame: Any = self
        return frame._like(picked(frame._expr, 0, "First", user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def DeltaR(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the distance sqrt(deta^2 + dphi^2) of two objects, dphi wrapped into [-pi, pi).

        Both need eta and phi, and must align.
        """
        frame: Any = self
        return frame._made(delta_r(frame, other, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def DeltaPhi(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the difference of phi of two objects, wrapped into [-pi, pi). Both need phi, and must align."""
        frame: Any = self
        return frame._made(delta_phi(frame, other, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001


for _row in FUNCTIONS.values():
    if _row.method and not hasattr(Aggregates, _row.method):
        setattr(Aggregates, _row.method, method_of(_row))


def picked(of: Expr, index: int, title: str, where: Site | None) -> Expr:
    """Give one entry of each innermost list.

    Raises
    ------
    AxisError
        When there is no list.
    """
    t = of.type
    if not t.axes or (len(t.axes) == 1 and t.loops):
        raise AxisError(
            f"{title} requires a sequence, and this is one {'element' if t.loops else 'value'}: {t}",
            where=where,
            do="use the value as it is",
        )
    if len(t.axes) == 1 and isinstance(t.item, Record) and any(m.axes for m in t.item.members.values()):
        raise AxisError(
            f"{title} of the table would be one event, and expressions are about all of them",
            where=where,
            why="a position in brackets is one in each innermost list",
            do="df[:1] is the table of the first event; make_local(df.MET.pt)[0] is its value, when it is local",
        )
    return build.pick(of, index, len(t.axes) - 1, where)
