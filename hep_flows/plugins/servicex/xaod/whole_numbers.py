"""Arithmetic of whole numbers that gives what numpy gives: in C++ integers or in doubles, where these hold every digit, and then wrapped.

What does not fit into its kind of number starts anew at the other end, as in numpy: ``uint8(200) + uint8(100)`` is 44. Doubles hold 53
binary digits; where more are needed, nothing is sent.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.value import (
    EXACT_BITS,
    INT_BITS,
    Value,
    as_number,
    bits_of,
    called,
    constant,
    operation,
    real_result,
    valid_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.nodes import Call
    from hep_flows.expr.types import Item

    Write = Callable[[Sequence[Value], Item, Call], Value]


def as_double(node: ast.expr) -> ast.expr:
    """Give a number as a double: C++ divides integers as integers, and adds an integer to a float as floats."""
    return operation(constant(1.0), ast.Mult(), node)


def whole(name: str, operator: type[ast.operator], args: Sequence[Value], item: Int) -> Value:
    """Give a sum, difference or product of whole numbers.

    Raises
    ------
    Refused
        When a double does not hold every digit of the result.
    """
    bits = sum([a.bits for a in args]) if name == "multiply" else 1 + max([a.bits for a in args])
    left, right = [as_number(a, item) for a in args]
    if bits > EXACT_BITS and name == "multiply" and item.bits <= 32:
        return Value(called(f"hf_multiply_{item}", left, right), "double", item, bits_of(item), valid_of(args))
    in_ints = bits <= INT_BITS and all(a.kind in {"int", "bool"} for a in args)
    if not in_ints and not any(a.kind == "double" for a in args):
        left = as_double(left)
    found = Value(operation(left, operator(), right), "int" if in_ints else "double", item, bits, valid_of(args))
    return wrapped(found, item, signs=name == "subtract")


def wrapped(value: Value, item: Int, *, signs: bool) -> Value:
    """Give a whole number as its kind holds it; ``signs`` where it may be negative though its kind is not.

    Raises
    ------
    Refused
        When a double does not hold every digit.
    """
    if value.bits <= bits_of(item) and not (signs and not item.signed):
        return value
    check_bits(value.bits, item, signs=signs)
    return Value(called(f"hf_wrap_{item}", value.node), "double", item, bits_of(item), value.valid)


def check_bits(bits: int, item: Int, *, signs: bool) -> None:
    """See whether the result fits, or can be wrapped.

    Raises
    ------
    Refused
        When a double does not hold every digit of it.
    """
    fits = bits <= bits_of(item) and not (signs and not item.signed)
    if bits > EXACT_BITS or (not fits and item.bits > 32):
        raise Refused(f"the result may be outside of {item}, or have more digits than a double")


def absolute(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    """Give the absolute value; that of the least number of its kind is itself, as in numpy."""
    (of,) = args
    if isinstance(item, Bool):
        return of
    found = Value(called("hf_absolute", as_number(of, item)), "double", item, of.bits, of.valid)
    return _of_least(found, item)


def negative(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    """Give minus a number."""
    (of,) = args
    if isinstance(item, Bool):
        raise Refused("minus of a truth value has no meaning")
    kind = "int" if of.kind == "bool" else of.kind
    found = Value(ast.UnaryOp(ast.USub(), as_number(of, item)), kind, item, of.bits, of.valid)
    if isinstance(item, Int) and found.kind == "int" and of.bits >= INT_BITS:
        found = Value(ast.UnaryOp(ast.USub(), as_double(as_number(of, item))), "double", item, of.bits, of.valid)
    return _of_least(found, item, signs=True)


def _of_least(found: Value, item: Item, *, signs: bool = False) -> Value:
    if not isinstance(item, Int):
        return found
    if found.bits == bits_of(item) and item.signed and item.bits <= 32:
        return Value(called(f"hf_wrap_{item}", found.node), "double", item, found.bits, found.valid)
    return wrapped(found, item, signs=signs)


def divided(name: str) -> Write:
    """Give ``//`` or ``%``, which round down, and have the sign of the divisor."""

    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if isinstance(item, Int):
            return _divided_whole(name, args, item)
        kind = "float" if isinstance(item, Float) and item.bits == 32 else "double"
        node = called(f"hf_{name}_{kind}", *[as_number(a, item) for a in args])
        return real_result(node, item, args, exact=True)

    return write


def _divided_whole(name: str, args: Sequence[Value], item: Int) -> Value:
    of, by = args
    if of.kind == "wide" and name == "remainder" and isinstance(by.constant, int) and by.constant > 0:
        check_bits(by.bits, item, signs=False)
        node = called(f"hf_remainder_{of.item}", of.node, as_number(by, item))
        return Value(node, "double", item, by.bits, of.valid)
    node = called(f"hf_{name}_whole", *[as_number(a, item) for a in args])
    check_bits(max(of.bits, by.bits), Int(64), signs=False)
    found = Value(node, "double", item, by.bits if name == "remainder" else of.bits, valid_of(args))
    return _of_least(found, item)
