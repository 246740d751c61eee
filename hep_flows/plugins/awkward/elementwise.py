"""Functions of aligned items: one numpy call each, on flat arrays and plain constants.

They mean what numpy means: integers wrap around, and an integer divided by zero is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.expr.types import Float
from hep_flows.plugins.awkward.values import dtype_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hep_flows.expr.types import Item

FEW = 16

_INTEGERS_OF_BOOLS = frozenset(
    {"add", "subtract", "multiply", "floor_divide", "remainder", "power", "fmod", "left_shift", "right_shift", "gcd", "lcm"}
)
_WHOLE_ALREADY = frozenset({"floor", "ceil", "trunc"})


def computed(name: str, operands: Sequence[Any], item: Item, options: Mapping[str, Any]) -> NDArray[Any]:
    """Give a function of numbers, in exactly the type of the item.

    Parameters
    ----------
    name : str
        The function, as in `hep_flows.expr.functions`.
    operands : sequence
        Flat arrays of one length, numpy scalars, and plain Python numbers, which adapt to the width of the others.
    item : Item
        The kind of number of the result.
    options : mapping
        The constants that belong to the function.
    """
    dtype = dtype_of(item)
    if name in _INTEGERS_OF_BOOLS and all(_is_bool(o) for o in operands):
        operands = [np.asarray(o, dtype=np.int64) for o in operands]
    elif name in _WHOLE_ALREADY and not isinstance(item, Float):
        return np.asarray(operands[0], dtype=dtype)
    special = KERNELS.get(name)
    result = special(operands, dtype, options) if special is not None else getattr(np, name)(*operands)
    return np.asarray(result).astype(dtype, copy=False)


def _is_bool(operand: Any) -> bool:
    return isinstance(operand, bool) or (isinstance(operand, np.ndarray | np.generic) and operand.dtype == np.bool_)


def _round(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:
    decimals = options.get("decimals", 0)
    if dtype.kind != "f" and decimals >= 0:
        return operands[0]
    return np.round(operands[0], decimals)


def _where(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    condition, yes, no = operands
    return np.where(condition, np.asarray(yes, dtype=dtype), np.asarray(no, dtype=dtype))


def _isin(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    return member_of(operands[0], tuple(options["values"]))


def member_of(items: Any, values: Sequence[Any]) -> Any:
    """Say which items equal one of the values.

    Few values are compared one by one, which is exact for every pair of kinds; many integers are looked up.
    """
    kind = getattr(items, "dtype", None)
    whole = all(isinstance(v, int) for v in values)
    if len(values) > FEW and whole and isinstance(kind, np.dtype) and kind.kind in "iu":
        limits = np.iinfo(kind)
        fitting = [int(v) for v in values if limits.min <= v <= limits.max]
        return np.isin(items, np.asarray(fitting, dtype=kind))
    found = np.zeros(np.shape(items), dtype=np.bool_)
    for value in values:
        found |= items == value
    return found


def _delta_phi(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    first, second = [np.asarray(o, dtype=dtype) for o in operands]
    return wrapped(first - second)


def _delta_r(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    eta1, phi1, eta2, phi2 = [np.asarray(o, dtype=dtype) for o in operands]
    d_eta, d_phi = eta1 - eta2, wrapped(phi1 - phi2)
    square = d_eta * d_eta + d_phi * d_phi
    if np.isfinite(square.sum()):
        return np.sqrt(square, out=square)
    # hypot is exact for every number, and several times slower; it may round in another way, so each item decides for itself.
    return np.where(np.isfinite(square), np.sqrt(square), np.hypot(d_eta, d_phi))


def wrapped(angle: NDArray[Any]) -> NDArray[Any]:
    """Give the same angle in [-pi, pi); one that lies there already is not touched, so it keeps every bit."""
    angle = np.atleast_1d(angle)
    pi, turn = angle.dtype.type(np.pi), angle.dtype.type(2 * np.pi)
    turns = np.floor((angle + pi) / turn)
    near: NDArray[Any] = angle - turns * turn
    if angle.dtype != np.float64:
        # What the narrow number lacks of a turn would be the largest error of all.
        near -= turns * angle.dtype.type(2 * np.pi - float(turn))
    # Next to the borders the rounded quotient may be off by one turn.
    off = np.flatnonzero(~((near >= -pi) & (near < pi)))
    if len(off):
        before, after = angle[off], near[off]
        moved = np.where(after >= pi, after - turn, after + turn)
        near[off] = np.where((before >= -pi) & (before < pi), before, moved)
    return near


KERNELS: Mapping[str, Callable[[Sequence[Any], np.dtype[Any], Mapping[str, Any]], Any]] = {
    "round": _round,
    "where": _where,
    "isin": _isin,
    "delta_phi": _delta_phi,
    "delta_r": _delta_r,
}
