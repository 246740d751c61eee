"""Functions of numbers: how each row of the language's table is written for the C++ generator, or why it is not.

What is written gives the same bits as numpy, up to functions of `own_functions.MATHEMATICS`, whose last bits depend on the library.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.own_functions import MATHEMATICS, MATHEMATICS_OF_TWO, NEAR, PER_TURN, near_name
from hep_flows.plugins.servicex.xaod.value import (
    Value,
    as_number,
    as_truth,
    both,
    called,
    compared,
    constant,
    either,
    negated,
    operation,
    real_result,
    rounded,
    valid_of,
)
from hep_flows.plugins.servicex.xaod.whole_numbers import absolute, as_double, check_bits, divided, negative, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Call
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.xaod.whole_numbers import Write

_OPERATORS: Mapping[str, type[ast.operator]] = {"add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "true_divide": ast.Div}
_COMPARISONS: Mapping[str, type[ast.cmpop]] = {
    "equal": ast.Eq, "not_equal": ast.NotEq, "less": ast.Lt, "less_equal": ast.LtE, "greater": ast.Gt, "greater_equal": ast.GtE,
}  # fmt: skip
_ROUNDED = ("sqrt", "square", "reciprocal")
_EXACT = "floor ceil trunc rint sign copysign fmod maximum minimum fmax fmin".split()
_TESTS = "isnan isfinite isinf signbit".split()


def functions() -> Mapping[str, Write]:
    """Give the table, by the names in `hep_flows.expr.functions`."""
    table: dict[str, Write] = {name: _arithmetic(name) for name in _OPERATORS}
    table |= {name: _comparison(operator) for name, operator in _COMPARISONS.items()}
    table |= {name: _real(name) for name in _ROUNDED} | {"square": _square}
    table |= {name: _near(name) for name in (*MATHEMATICS, *MATHEMATICS_OF_TWO, *PER_TURN)}
    table |= {name: _real(name, exact=True) for name in _EXACT}
    table |= {name: _test(name) for name in _TESTS}
    table |= {"absolute": absolute, "fabs": absolute, "negative": negative, "positive": _positive}
    table |= {name: divided(name) for name in ("remainder", "floor_divide")}
    table |= {"bitwise_and": _bits(_and), "bitwise_or": _bits(_or), "bitwise_xor": _bits(_xor), "invert": _bits(_not)}
    table |= {"logical_and": _and, "logical_or": _or, "logical_xor": _xor, "logical_not": _not}
    table |= {"where": _where, "isin": _is_one_of, "round": _round, "is_none": _is_none, "fill_none": _fill_none}
    table |= {"delta_r": _angle("delta_r"), "delta_phi": _angle("delta_phi")}
    return table


def _arithmetic(name: str) -> Write:
    operator = _OPERATORS[name]

    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if isinstance(item, Int):
            return whole(name, operator, args, item)
        left, right = [as_number(a, item) for a in args]
        if not any(_is_double(a) for a in args):
            left = as_double(left)
        return real_result(operation(left, operator(), right), item, args)

    return write


def _is_double(value: Value) -> bool:
    return value.kind == "double" or value.constant is not None


def _comparison(operator: type[ast.cmpop]) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        left, right = _comparable(args[0], args[1]), _comparable(args[1], args[0])
        _check_decision([left, right])
        return Value(compared(left, operator(), right), "bool", Bool(), valid=valid_of(args))

    return write


def _comparable(value: Value, other: Value) -> ast.expr:
    if value.kind == "wide" and not _is_whole(other.constant):
        raise Refused(
            "the query language compares 64-bit whole numbers with constants that are whole and not negative, and with nothing else"
        )
    if value.kind == "bool" and other.kind != "bool":
        return as_number(value, Int(64))
    if value.constant is not None and value.weak and isinstance(other.item, Float):
        return constant(rounded(float(value.constant), other.item.bits))
    # C++ compares an integer with a float as floats, which do not hold every integer.
    return as_double(value.node) if value.kind == "int" and other.kind == "float" else value.node


def _is_whole(constant: object) -> bool:
    return isinstance(constant, int) and not isinstance(constant, bool) and 0 <= constant < 2**63


def _real(name: str, *, exact: bool = False) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if isinstance(item, Int):
            if not exact or name in {"copysign", "fmod"}:
                raise Refused(f"the query language has no {name} of whole numbers")
            bits = max([a.bits for a in args])
            check_bits(bits, item, signs=False)
            return Value(called(f"hf_{name}", *[as_number(a, item) for a in args]), "double", item, bits, valid_of(args))
        node = called(f"hf_{name}", *[as_number(a, item) for a in args])
        return real_result(node, item, args, exact=exact)

    return write


def _square(args: Sequence[Value], item: Item, call: Call) -> Value:
    if isinstance(item, Int):
        return whole("multiply", ast.Mult, [args[0], args[0]], item)
    return _real("square")(args, item, call)


def _near(name: str) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if name == "power" and isinstance(item, Int) and args[1].constant == 2:
            return whole("multiply", ast.Mult, [args[0], args[0]], item)
        if not isinstance(item, Float) or item.bits < 32:
            raise Refused(
                f"the query language has no {name} of whole numbers"
                if isinstance(item, Int)
                else f"the query language has no {item}"
            )
        node = called(near_name(name, item.bits), *[as_number(a, item) for a in args])
        return Value(node, "float" if item.bits == 32 else "double", item, valid=valid_of(args))

    return write


def _check_decision(nodes: Sequence[ast.expr]) -> None:
    """Refuse a decision on a number whose last digits are not numpy's: it could fall the other way."""
    if any(isinstance(n, ast.Name) and n.id.endswith(NEAR) for node in nodes for n in ast.walk(node)):
        raise Refused(
            "a comparison with the result of a 32-bit mathematical function, whose last digits are not the same everywhere"
        )


def _test(name: str) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        return Value(called(f"hf_{name}", as_number(args[0], Float(64))), "bool", Bool(), valid=args[0].valid)

    return write


def _positive(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    return replace(args[0], item=item)


def _bits(write: Write) -> Write:
    def of_truths(args: Sequence[Value], item: Item, call: Call) -> Value:
        if not isinstance(item, Bool):
            raise Refused("the query language has no operations on the bits of whole numbers")
        return write(args, item, call)

    return of_truths


def _and(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    return Value(both([as_truth(a) for a in args]), "bool", Bool(), valid=valid_of(args))


def _or(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    return Value(either([as_truth(a) for a in args]), "bool", Bool(), valid=valid_of(args))


def _xor(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    return Value(compared(as_truth(args[0]), ast.NotEq(), as_truth(args[1])), "bool", Bool(), valid=valid_of(args))


def _not(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    return Value(negated(as_truth(args[0])), "bool", Bool(), valid=args[0].valid)


def _where(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    condition, yes, no = args
    test = as_truth(condition)
    if isinstance(item, Bool):
        chosen = either([both([test, as_truth(yes)]), both([negated(test), as_truth(no)])])
        return Value(chosen, "bool", item, valid=valid_of(args))
    bits = max(yes.bits, no.bits)
    if isinstance(item, Int):
        check_bits(bits, item, signs=False)
    node = ast.IfExp(test, as_number(yes, item), as_number(no, item))
    return Value(node, "double", item, bits if isinstance(item, Int) else 0, valid_of(args))


def _is_one_of(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    values = call.option("values")
    if not isinstance(values, tuple) or not values or not all(type(v) in {bool, int, float} for v in values):
        raise Refused("the query language looks for numbers only")
    of = args[0]
    _check_decision([of.node])
    tests = []
    for value in values:
        assert isinstance(value, bool | int | float)
        other = Value(constant(value), "double", constant=value, weak=True)
        left, right = _comparable(of, other), _comparable(replace(other, kind="bool") if isinstance(value, bool) else other, of)
        tests.append(compared(left, ast.Eq(), right))
    return Value(either(tests), "bool", Bool(), valid=of.valid)


def _round(args: Sequence[Value], item: Item, call: Call) -> Value:
    if call.option("decimals") != 0:
        raise Refused("the query language rounds to whole numbers only")
    return args[0] if isinstance(item, Int) else _real("rint", exact=True)(args, item, call)


def _is_none(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
    (of,) = args
    return Value(negated(both(of.valid)) if of.valid else constant(value=False), "bool", Bool())


def _fill_none(args: Sequence[Value], item: Item, call: Call) -> Value:
    of, instead = args
    if not of.valid:
        return of
    there = Value(both(of.valid), "bool", Bool())
    return _where([there, replace(of, valid=()), instead], item, call)


def _angle(name: str) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if not isinstance(item, Float) or item.bits < 32:
            raise Refused(f"the query language has no {item}")
        kind = "float" if item.bits == 32 else "double"
        node = called(f"hf_{name}_{kind}", *[as_number(a, item) for a in args])
        return Value(node, "float" if kind == "float" else "double", item, valid=valid_of(args))

    return write
