"""awkward's functions on expressions, through awkward's own dispatch: recorded, not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Function, row_called
from hep_flows.record.instead import VALUES, instead_of
from hep_flows.record.methods import aggregated
from hep_flows.record.operators import elementwise
from hep_flows.record.recorder import Recorder, called_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame


def awkward_call(frame: DataFrame, func: Any, args: Sequence[Any], kwargs: dict[str, Any], where: Site | None) -> Any:
    """Give what an awkward function means on expressions.

    Raises
    ------
    LiteralError
        For a function or a keyword that the language does not have.
    """
    name = func.__name__
    record = _FUNCTIONS.get(name)
    row = row_called(name, "awkward") if record is None else None
    if row is not None:
        record = _of_row(row)
    if record is None:
        raise LiteralError(
            f"ak.{name} cannot be recorded", where=where, why="the language has no such function", do=instead_of(name) or VALUES
        )
    on = Recorder(frame._table, where)  # noqa: SLF001
    return frame._made(called_with(on, f"ak.{name}", record, args, _given(on, name, row, kwargs)))  # noqa: SLF001


def awkward_names() -> list[str]:
    """Give the functions of awkward that record: those of the table, and those that are made of others."""
    return list(dict.fromkeys([*[n for r in FUNCTIONS.values() for n in r.awkward], *_FUNCTIONS]))


def _of_row(row: Function) -> Callable[..., Expr]:
    return lambda on, *args, **kwargs: on.recorded(row, "array", args, kwargs)


def _given(on: Recorder, name: str, row: Function | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Give the keywords that mean something: those that say what holds anyway are left out.

    Raises
    ------
    LiteralError
        When ``mask_identity`` asks for another result on empty lists than the language gives.
    """
    missing_on_empty = row is not None and row.missing == "made"
    if kwargs.get("mask_identity", missing_on_empty) not in (None, missing_on_empty):
        gives = "missing" if missing_on_empty else "the neutral value"
        raise on.refuse(f"ak.{name} with mask_identity={kwargs['mask_identity']} cannot be recorded: an empty list gives {gives}")
    holds = {"highlevel": True, "behavior": None, "attrs": None, "keepdims": False, "mask_identity": kwargs.get("mask_identity")}
    return {k: v for k, v in kwargs.items() if k not in holds or v != holds[k]}


def _num(on: Recorder, array: Any, axis: int = 1) -> Expr:
    return aggregated("count", on.expr(array), axis, on.where)


def _firsts(on: Recorder, array: Any, axis: int = 1) -> Expr:
    expr = on.expr(array)
    depth = len(expr.type.axes)
    at = axis + depth if axis < 0 else axis
    if not 1 <= at < depth:
        raise on.refuse(f"ak.firsts has no axis {axis} in {expr.type}", "use X.First() for the innermost axis")
    return build.pick(expr, 0, at, on.where)


def _is_none(on: Recorder, array: Any, axis: int = 0) -> Expr:
    return build.call("is_none", (_at_innermost(on, array, axis, "is_none"),), where=on.where)


def _drop_none(on: Recorder, array: Any, axis: int = -1) -> Expr:
    expr = _at_innermost(on, array, axis, "drop_none")
    keep = build.call("invert", (build.call("is_none", (expr,), where=on.where),), where=on.where)
    return build.filtered(expr, keep, len(expr.type.axes) - 1, on.where)


def _fill_none(on: Recorder, array: Any, value: Any, axis: int = -1) -> Expr:
    expr = _at_innermost(on, array, axis, "fill_none")
    return elementwise("fill_none", (expr, on.expr(value)), on.where)


def _at_innermost(on: Recorder, array: Any, axis: int | None, name: str) -> Expr:
    """Give the operand; missing values live on the innermost axis, so any other one would do nothing."""
    expr = on.expr(array)
    depth = len(expr.type.axes)
    if axis is not None and axis not in (-1, depth - 1):
        raise on.refuse(f"ak.{name} works on the innermost axis here, not on axis {axis} of {expr.type}", "use axis=-1")
    return expr


def _where(on: Recorder, condition: Any, *choices: Any) -> Expr:
    if len(choices) != 2:
        raise on.refuse("ak.where needs a condition and two choices", "use X[mask] to select")
    return elementwise("where", tuple([on.expr(v) for v in (condition, *choices)]), on.where)


def _zip(on: Recorder, arrays: Any) -> Expr:
    named = arrays if isinstance(arrays, dict) else {str(i): a for i, a in enumerate(arrays)}
    return build.record(tuple(named), [on.expr(a) for a in named.values()], on.where)


def _round(on: Recorder, array: Any, decimals: int = 0) -> Expr:
    return build.call("round", (on.expr(array),), (("decimals", decimals),), on.where)


def _flatten(on: Recorder, array: Any, axis: int | None = 1) -> Expr:
    expr = on.expr(array)
    depth = len(expr.type.axes)
    if depth < 3 or axis is None or axis + (depth if axis < 0 else 0) != depth - 1:
        raise on.refuse(
            f"ak.flatten along axis {axis} of {expr.type} would lose which event an entry belongs to",
            "it joins the two innermost collection axes (axis=-1); flatten everything after make_local",
        )
    return build.flattened(expr, on.where)


_FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "num": _num,
    "firsts": _firsts,
    "is_none": _is_none,
    "drop_none": _drop_none,
    "fill_none": _fill_none,
    "where": _where,
    "zip": _zip,
    "round": _round,
    "flatten": _flatten,
}
