"""Constants: their types, and whether they fit what they are combined with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import LiteralError, Where
from hep_flows.expr.nodes import Constant, Expr, Literal
from hep_flows.expr.types import Anything, Bool, Float, Int, String, Type

if TYPE_CHECKING:
    from hep_flows.expr.types import Item

_WEAK: dict[type, Type] = {
    bool: Type(Bool()),
    int: Type(Int(64)),
    float: Type(Float(64)),
    str: Type(String()),
    tuple: Type(Anything()),
}


def literal(value: Constant, dtype: str = "", where: Where = None) -> Literal:
    """Give a constant; ``dtype`` is numpy's name of its type when it came from numpy."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise LiteralError(f"the constant {value} does not fit into 64 bits", where=where, do="write it as a float")
    kind = item_of(dtype) if dtype else None
    weak = _WEAK.get(type(value))
    if weak is None or (dtype and kind is None):
        raise LiteralError(f"a constant cannot be a {dtype or type(value).__name__}", where=where)
    return Literal(value, dtype, type=weak if kind is None else Type(kind), where=where)


def item_of(dtype: str) -> Item | None:
    """Give the kind that numpy calls so, or None when it is no kind of the language."""
    if dtype == "bool":
        return Bool()
    kind = dtype.rstrip("0123456789")
    if kind not in ("int", "uint", "float") or dtype[len(kind) :] not in ("8", "16", "32", "64")[kind == "float" :]:
        return None
    bits = int(dtype[len(kind) :])
    return Float(bits) if kind == "float" else Int(bits, signed=kind == "int")


def fitted(value: Constant, item: Item, what: str, where: Where) -> Constant:
    """Give a default as a leaf of that kind holds it: 0 is 0.0 for a float leaf, None is missing.

    Raises
    ------
    LiteralError
        When the kind cannot hold it exactly.
    """
    if value is None:
        return None
    match item:
        case Bool() if isinstance(value, bool):
            return value
        case String() if isinstance(value, str):
            return value
        case Int() if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
            if value == value and abs(value) != float("inf") and value == int(value) and low <= value < high:  # noqa: PLR0124
                return int(value)
        case Float() if isinstance(value, float):
            # A plain number takes the width of what it is combined with, as in arithmetic.
            if item.bits == 64 or value != value or abs(value) == float("inf") or abs(value) < _LARGEST[item.bits]:  # noqa: PLR0124
                return value
        case Float() if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 1 << _DIGITS[item.bits]:
            return float(value)
    raise LiteralError(
        f"the default {value!r} is no {item}",
        where=where,
        why=f"{what} is {item}",
        do=f"give a default that {item} can hold, or None",
    )


_DIGITS = {16: 11, 32: 24, 64: 53}
_LARGEST = {16: 65504.0, 32: 3.4e38}


def check_fit(args: tuple[Expr, ...], item: Int, title: str, where: Where) -> None:
    """Refuse a constant that the integers it is combined with cannot hold; numpy would, but only when it runs."""
    low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
    for a in args:
        if isinstance(a, Literal) and not a.dtype and isinstance(a.value, int) and not low <= a.value < high:
            raise LiteralError(
                f"the constant {a.value} does not fit into {item} in {title}",
                where=where,
                why="a plain number takes the width of what it is combined with",
                do=f"write np.int64({a.value}), or a float",
            )
