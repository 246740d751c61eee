"""What stands in brackets: a mask, a function, an integer, a slice, a list of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.types import Bool, Int
from hep_flows.record.callables import called, name_of
from hep_flows.record.methods import picked
from hep_flows.record.operands import expr_of

if TYPE_CHECKING:
    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame


_KEYS = "in brackets stand a name, a mask, a function, an integer, a slice or a list of names"


def bracketed(frame: DataFrame, key: Any, where: Site | None) -> Expr:
    """Give the selection that ``frame[key]`` means, for every key but a name.

    Raises
    ------
    LiteralError
        For a key that means nothing.
    AxisError
        When there is nothing to select from, or a mask that does not fit.
    """
    of = frame._expr  # noqa: SLF001
    if hasattr(key, "_expr"):
        return _by_expression(of, expr_of(key, frame._table, where), where)  # noqa: SLF001
    if isinstance(key, slice):
        bounds = (_bound(key.start, where), _bound(key.stop, where), _bound(key.step, where))
        return build.sliced(of, bounds, _innermost(of, where), where)
    if isinstance(key, list) and key and all(isinstance(k, str) for k in key):
        return build.record(key, [frame[k]._expr for k in key], where)  # noqa: SLF001
    if callable(key):
        value = called(key, frame, where)
        if not hasattr(value, "_expr"):
            raise LiteralError(
                f"filter function {name_of(key)!r} returned {with_article(value)}, not a mask",
                where=where,
                do="return a comparison of its argument",
            )
        return _by_expression(of, expr_of(value, frame._table, where), where)  # noqa: SLF001
    index = _integer(key)
    if index is not None:
        return picked(of, index, f"[{index}]", where)
    raise LiteralError(f"{with_article(key)} cannot stand in brackets", where=where, why=_KEYS, do=_advice(key))


def _advice(key: Any) -> str:
    if isinstance(key, tuple):
        if key and all(isinstance(k, str) for k in key):
            return "several leaves are a list of names: X[['pt', 'eta']]"
        return "one pair of brackets for each step: X[X.pt > 30]['pt']; the innermost list is meant without ':': X[0]"
    if hasattr(key, "dtype") or type(key).__module__.startswith("awkward"):
        return "a mask is written over the table, and not made local: X[X.pt > 30]"
    if isinstance(key, bool):
        return "a mask has a truth value for each element: X[X.pt > 30]"
    return "select by a mask X[X.pt > 30], a function X[lambda x: x.pt > 30], a position X[0], X[:2], or names X[['pt', 'eta']]"


def _by_expression(of: Expr, key: Expr, where: Site | None) -> Expr:
    at = _innermost(of, where)
    if isinstance(key.type.item, Int):
        if at == 0 and key.type.axes:
            raise LiteralError(
                f"a number per event cannot select events: this is {key.type}",
                where=where,
                why="a mask of events is true or false; a number would be taken as the position of another event",
                do="compare it, for example df[df.Muon.Count() > 0]",
            )
        if key.type.item.bits == 8 and not key.type.item.refers_to and key.type.axes == of.type.axes:
            raise LiteralError(
                f"a number of 8 bits for each element is a flag, and no mask: this is {key.type}",
                where=where,
                why="ATLAS stores flags as numbers; a number would be taken as the position of another element",
                do="compare it: X[flag != 0]; where it is a position indeed, X[flag + np.int64(0)]",
            )
        return build.gathered(of, key, at, where)
    if isinstance(key.type.item, Bool):
        if not key.type.axes:
            raise AxisError(
                "one truth value of all events is no cut: it keeps everything, or nothing",
                where=where,
                why="np.any, np.all and their like reduce everything to one value, unless they are given axis=-1",
                do="write x.Any() or np.any(x, axis=-1); for a decision on a number, make it local first",
            )
        return build.filtered(of, key, at, where)
    raise LiteralError(
        f"a mask is true or false and an index is an integer; this is {key.type.item}",
        where=where,
        do="compare it: X[x > 0]",
    )


def _innermost(of: Expr, where: Site | None) -> int:
    if not of.type.axes:
        raise AxisError(f"there is nothing to select from: this is {of.type}", where=where)
    return len(of.type.axes) - 1


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", ()) != ():
        return None
    return int(value.__index__())


def _bound(value: Any, where: Site | None) -> int | None:
    index = None if value is None else _integer(value)
    if value is not None and index is None:
        raise LiteralError(f"a slice takes integers, not {with_article(value)}", where=where)
    return index
