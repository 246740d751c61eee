"""What a part of a query stands for: its text as a syntax tree, the C++ type that the generator sees, and when it is there at all."""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.translate import Refused, called, compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.types import Item

# double and float; int of at most 31 bits; bool; wide, a whole number of 64 bits that no arithmetic is done on; an object.
Kind = Literal["double", "float", "int", "bool", "wide", "object"]

EXACT_BITS = 53
INT_BITS = 31


@dataclass(frozen=True, slots=True)
class Value:
    """A value for the elements that the variables in it stand for.

    Parameters
    ----------
    node : ast.expr
        The text.
    kind : str
        The C++ type that the generator takes it for. A double may hold numbers of a narrower kind.
    item : Item or None
        What the expression says that it is; None for an object.
    bits : int
        Of a whole number, how many binary digits it can have.
    valid : tuple of ast.expr
        Conditions, all of which must hold for the value to be there; where one does not, ``node`` is some number.
    constant : bool, int, float or None
        The value of a constant.
    weak : bool
        Whether it is a constant that adapts to the width of its neighbours.
    """

    node: ast.expr
    kind: Kind
    item: Item | None = None
    bits: int = 0
    valid: tuple[ast.expr, ...] = ()
    constant: bool | float | None = None
    weak: bool = False


def constant(value: float) -> ast.expr:
    """Give a number; what has no text in C++ is written as a quotient, a negative number with its sign in front."""
    if isinstance(value, bool | int):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
    if math.isnan(value):
        return ast.BinOp(ast.Constant(0.0), ast.Div(), ast.Constant(0.0))
    found: ast.expr = ast.Constant(abs(value))
    if math.isinf(value):
        found = ast.BinOp(ast.Constant(1.0), ast.Div(), ast.Constant(0.0))
    return ast.UnaryOp(ast.USub(), found) if math.copysign(1.0, value) < 0 else found


def rounded(value: float, bits: int) -> float:
    """Give the nearest number of that width."""
    if bits == 64:
        return float(value)
    try:
        near: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        near = math.copysign(math.inf, value)
    return near


def operation(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.expr:
    """Give an operation of two numbers."""
    return ast.BinOp(left, operator, right)


def both(conditions: Sequence[ast.expr]) -> ast.expr:
    """Give whether all conditions hold."""
    return conditions[0] if len(conditions) == 1 else ast.BoolOp(ast.And(), list(conditions))


def either(conditions: Sequence[ast.expr]) -> ast.expr:
    """Give whether one of the conditions holds."""
    return conditions[0] if len(conditions) == 1 else ast.BoolOp(ast.Or(), list(conditions))


def negated(condition: ast.expr) -> ast.expr:
    """Give whether a condition does not hold."""
    return ast.UnaryOp(ast.Not(), condition)


def valid_of(values: Sequence[Value]) -> tuple[ast.expr, ...]:
    """Give the conditions under which all values are there, each once."""
    found: dict[str, ast.expr] = {}
    for value in values:
        for condition in value.valid:
            found.setdefault(ast.unparse(condition), condition)
    return tuple(found.values())


def bits_of(item: Item | None) -> int:
    """Give how many binary digits a stored whole number can have."""
    if isinstance(item, Bool):
        return 1
    return item.bits - item.signed if isinstance(item, Int) else 0


def as_number(value: Value, wanted: Item) -> ast.expr:
    """Give a value as an operand of arithmetic whose result is ``wanted``; a constant gets its width."""
    if value.constant is not None and isinstance(wanted, Float):
        return constant(rounded(float(value.constant), wanted.bits if value.weak else 64))
    if value.kind == "bool":
        return constant(int(value.constant)) if value.constant is not None else called("hf_int", value.node)
    if value.kind == "wide":
        if not isinstance(wanted, Float):
            raise Refused("the query language does no arithmetic on 64-bit whole numbers")
        return called("hf_double", value.node)
    return value.node


def as_truth(value: Value) -> ast.expr:
    """Give whether a value is true, or not zero."""
    if value.kind == "bool":
        return value.node
    if value.kind == "object":
        raise Refused("an object is no truth value")
    return compared(value.node, ast.NotEq(), ast.Constant(0))


def true_where_valid(value: Value) -> ast.expr:
    """Give a mask: true where the value is there and true."""
    return both([*value.valid, as_truth(value)])


def real_result(node: ast.expr, item: Item, of: Sequence[Value], *, exact: bool = False) -> Value:
    """Give the result of arithmetic that C++ does in double precision.

    A sum, difference, product, quotient or square root of 32-bit numbers that is computed in double precision and then rounded to 32 bits
    is the number that 32-bit arithmetic gives; where the result has 32 bits anyway (``exact``), there is nothing to round.
    """
    if not isinstance(item, Float) or item.bits < 32:
        raise Refused(f"the query language has no {item}")
    if item.bits == 32 and not exact:
        return Value(called("hf_float", node), "float", item, valid=valid_of(of))
    return Value(node, "double", item, valid=valid_of(of))
