"""The methods of an expression: aggregates, and the geometry of two objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.types import Record
from hep_flows.record.arguments import checked
from hep_flows.record.source_line import user_site
from hep_flows.record.vectors import delta_phi, delta_r

if TYPE_CHECKING:
    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame

SYNONYMS = {n.lower(): n for n in ("Count", "First", "Sum", "Prod", "Max", "Min", "Any", "All", "Mean")}


def aggregated(name: str, of: Expr, axis: int | None, where: Site | None) -> Expr:
    """Give an aggregate over one axis, the innermost unless another is named.

    Raises
    ------
    AxisError
        When the axis does not exist, or lies outside of an inner one that the aggregate would have to keep.
    """
    depth = len(of.type.axes)
    if axis is None or not depth:
        return build.call(name, (of,), where=where)
    at = _axis_number(axis, depth, of, where)
    if at == depth - 1:
        return build.call(name, (of,), where=where)
    if name == "count":
        for _ in range(depth - 1 - at):
            of = build.call("count", (of,), where=where)
        return build.call("count", (of,), where=where)
    raise AxisError(
        f"{name.capitalize()} over axis {axis} would keep the axis inside it: {of.type}",
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


class Aggregates:
    """The methods of `DataFrame`. Each aggregate removes the innermost axis."""

    __slots__ = ()

    def _aggregate(self, name: str, axis: int | None) -> DataFrame:
        frame: Any = self
        return frame._made(aggregated(name, frame._expr, axis, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Count(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Count the entries of each innermost list; missing entries count too."""
        return self._aggregate("count", axis)

    @checked
    def Sum(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Add up each innermost list: 0 for an empty one; of a mask, how many are true."""
        return self._aggregate("sum", axis)

    @checked
    def Prod(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Multiply each innermost list: 1 for an empty one."""
        return self._aggregate("prod", axis)

    @checked
    def Max(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Give the largest of each innermost list, missing for an empty one."""
        return self._aggregate("max", axis)

    @checked
    def Min(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Give the smallest of each innermost list, missing for an empty one."""
        return self._aggregate("min", axis)

    @checked
    def Mean(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Give the mean of each innermost list, missing for an empty one."""
        return self._aggregate("mean", axis)

    @checked
    def Any(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Say whether any entry of each innermost list is true: false for an empty one."""
        return self._aggregate("any", axis)

    @checked
    def All(self, axis: int | None = None) -> DataFrame:  # noqa: N802
        """Say whether all entries of each innermost list are true: true for an empty one."""
        return self._aggregate("all", axis)

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
