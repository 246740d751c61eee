"""What the ATLAS C++ generator can say: functions and aggregates as texts that give numpy's numbers, and the walk with their C++ types."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Input, Literal
from hep_flows.expr.types import Bool, Float, Int
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.translate import Element, Refused, Walk, called, compared, function, function_name, method, operated
from hep_flows.plugins.servicex.xaod.own_functions import (
    MATHEMATICS,
    MATHEMATICS_OF_TWO,
    NEAR,
    PER_TURN,
    cpp_of,
    near_name,
    user_call,
)
from hep_flows.plugins.servicex.xaod.stored import container, leaf_list, stored_leaf
from hep_flows.plugins.servicex.xaod.value import (
    EXACT_BITS,
    INT_BITS,
    Value,
    as_number,
    as_truth,
    bits_of,
    both,
    constant,
    either,
    negated,
    operation,
    real_result,
    rounded,
    true_where_valid,
    valid_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.translate import Elements, Loops
    from hep_flows.plugins.servicex.xaod.value import Kind

    Write = Callable[[Sequence[Value], Item, Call], Value]
    Reduce = Callable[["Reduced"], Value]

# How long a text is, and how much work it stands for: nothing that is used twice can be kept, so it is written and computed twice ---

TOO_LONG = 20_000
# Of steps for one event, where each list has that many elements: loops in loops in loops, and a loop in these.
TOO_MUCH = 1_000_000
ELEMENTS = 20

_LOOPS = frozenset({"Select", "Where", "Aggregate"})


class Work:
    """Measures texts; parts that were measured once are remembered."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        # By identity, so the nodes are kept: another node in the place of one that is gone would be taken for it.
        self._known: dict[int, tuple[ast.AST, int, int]] = {}

    def check(self, nodes: Sequence[ast.expr]) -> None:
        """See whether a text is bearable.

        Raises
        ------
        Refused
            When it grows beyond measure.
        """
        measured = [self._measured(n) for n in nodes]
        if sum([length for length, _ in measured]) > TOO_LONG:
            raise Refused(f"its text has more than {TOO_LONG} parts: the query language cannot share them")
        if sum([steps for _, steps in measured]) > TOO_MUCH:
            raise Refused("it loops over lists in lists, and computes the same again and again: the query language cannot share it")

    def _measured(self, node: ast.AST) -> tuple[int, int]:
        found = self._known.get(id(node))
        if found is None:
            parts = [self._measured(n) for n in ast.iter_child_nodes(node)]
            length = 1 + sum([n for n, _ in parts])
            steps = 1 + sum([s for _, s in parts])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOPS:
                # The last argument is what is done for each element.
                steps += (ELEMENTS - 1) * parts[-1][1]
            found = self._known[id(node)] = (node, length, steps)
        return found[1], found[2]


# Elements of a list by their place in it: picks other than the first, and slices -------------------------------------------------
#
# The generator has no indices. So the place of an element is counted: how many of the list come before it. Elements are told apart by where
# they are in memory, which is the same whenever the event is asked for its objects.


def picked(listed: ast.expr, index: int, variable: str) -> tuple[ast.expr, ast.expr]:
    """Give the element at an index, counted from the end when negative, and the condition that there is one."""
    most = ast.Constant(index if index >= 0 else -index - 1)
    there = compared(method(listed, "Count"), ast.Gt(), most)
    if index == 0:
        return method(listed, "First"), there
    condition = compared(_place(listed, variable), ast.Eq(), _from(listed, index))
    return method(method(listed, "Where", function([variable], condition)), "First"), there


def sliced(listed: ast.expr, node: Call, variable: str) -> ast.expr:
    """Give the elements of a slice.

    Raises
    ------
    Refused
        When it leaves elements out, or turns them round.
    """
    start, stop = _bound(node, "start"), _bound(node, "stop")
    if node.option("step") not in (None, 1):
        raise Refused("the query language takes no steps in slices")
    conditions = []
    if start not in (None, 0):
        conditions.append(compared(_place(listed, variable), ast.GtE(), _from(listed, start or 0)))
    if stop is not None:
        conditions.append(compared(_place(listed, variable), ast.Lt(), _from(listed, stop)))
    return method(listed, "Where", function([variable], both(conditions))) if conditions else listed


def _bound(node: Call, name: str) -> int | None:
    found = node.option(name)
    assert found is None or isinstance(found, int)
    return found


def _from(listed: ast.expr, index: int) -> ast.expr:
    """Give an index as a number that counts from the start."""
    if index >= 0:
        return ast.Constant(index)
    return operation(method(listed, "Count"), ast.Sub(), ast.Constant(-index))


def _place(listed: ast.expr, variable: str) -> ast.expr:
    """Give the place of the element that a variable stands for."""
    if _root_is_numbers(listed):
        raise Refused("numbers that are stored as a list are sent whole, or their first")
    names = [ast.Name(n, ast.Load()) for n in ("a", "v", variable)]
    last = method(listed, "Aggregate", constant(0.0), function(["a", "v"], called("hf_place", *names)))
    return operation(constant(-1.0), ast.Sub(), last)


def _root_is_numbers(listed: ast.expr) -> bool:
    while isinstance(listed, ast.Call) and isinstance(listed.func, ast.Attribute) and listed.func.attr == "Where":
        listed = listed.func.value
    return isinstance(listed, ast.Call) and isinstance(listed.func, ast.Name)


# Arithmetic of whole numbers that gives what numpy gives: in C++ integers or in doubles, where these hold every digit, and then wrapped ---
#
# What does not fit into its kind of number starts anew at the other end, as in numpy: ``uint8(200) + uint8(100)`` is 44. Doubles hold 53
# binary digits; where more are needed, nothing is sent.


def as_double(node: ast.expr) -> ast.expr:
    """Give a number as a double: C++ divides integers as integers, and adds an integer to a float as floats."""
    return operation(constant(1.0), ast.Mult(), node)


def whole(name: str, args: Sequence[Value], item: Int) -> Value:
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
    found = Value(operated(name, left, right), "int" if in_ints else "double", item, bits, valid_of(args))
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


# Functions of numbers: how each row of the language's table is written for the C++ generator, or why it is not -------------------
#
# What is written gives the same bits as numpy, up to functions of `own_functions.MATHEMATICS`, whose last bits depend on the library.

_ARITHMETIC = "add subtract multiply true_divide".split()
_COMPARISONS = "equal not_equal less less_equal greater greater_equal".split()
_ROUNDED = ("sqrt", "square", "reciprocal")
_EXACT = "floor ceil trunc rint sign copysign fmod maximum minimum fmax fmin".split()
_TESTS = "isnan isfinite isinf signbit".split()


def functions() -> Mapping[str, Write]:
    """Give the table, by the names in `hep_flows.expr.functions`."""
    table: dict[str, Write] = {name: _arithmetic(name) for name in _ARITHMETIC}
    table |= {name: _comparison(name) for name in _COMPARISONS}
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
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if isinstance(item, Int):
            return whole(name, args, item)
        left, right = [as_number(a, item) for a in args]
        if not any(_is_double(a) for a in args):
            left = as_double(left)
        return real_result(operated(name, left, right), item, args)

    return write


def _is_double(value: Value) -> bool:
    return value.kind == "double" or value.constant is not None


def _comparison(name: str) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        left, right = _comparable(args[0], args[1]), _comparable(args[1], args[0])
        _check_decision([left, right])
        return Value(operated(name, left, right), "bool", Bool(), valid=valid_of(args))

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
        return whole("multiply", [args[0], args[0]], item)
    return _real("square")(args, item, call)


def _near(name: str) -> Write:
    def write(args: Sequence[Value], item: Item, call: Call) -> Value:  # noqa: ARG001
        if name == "power" and isinstance(item, Int) and args[1].constant == 2:
            return whole("multiply", [args[0], args[0]], item)
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


# Aggregates over lists, written as loops of the C++ generator that give what awkward gives ---------------------------------------
#
# Floats add up one after the other in their own width. An empty list has no maximum, minimum and mean: the value comes with the condition
# that the list is not empty. Items that are missing are left out before.

# No list of an event has four million elements; with this many, a sum of 32-bit numbers is exact in double precision.
COUNT_BITS = 22


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is reduced: a list, the name of the variable for its element, and what is taken of each.

    ``item`` is the item of the result.
    """

    of: ast.expr
    variable: str
    body: Value
    item: Item

    def mapped(self, body: ast.expr) -> ast.expr:
        """Give the list of that value of each element."""
        is_element = isinstance(body, ast.Name) and body.id == self.variable
        return self.of if is_element else method(self.of, "Select", function([self.variable], body))

    def where(self, condition: ast.expr) -> ast.expr:
        """Give the elements that fulfil a condition."""
        return method(self.of, "Where", function([self.variable], condition))


def reducers() -> Mapping[str, Reduce]:
    """Give the table, by the names in `hep_flows.expr.functions`; counting needs no values and stands apart."""
    return {
        "sum": _sum,
        "prod": _prod,
        "mean": _mean,
        "max": _extreme("hf_maximum", -1.0),
        "min": _extreme("hf_minimum", 1.0),
        "any": _any,
        "all": _all,
    }


def counted(of: ast.expr) -> Value:
    """Give the number of elements of a list."""
    return Value(method(of, "Count"), "int", Int(64), COUNT_BITS)


def is_filled(of: ast.expr) -> ast.expr:
    """Give whether a list has elements."""
    return compared(method(of, "Count"), ast.Gt(), ast.Constant(0))


def _folded(r: Reduced, start: float, operator: ast.operator, item: Float) -> ast.expr:
    """Add up, or multiply, in the width of the item."""
    step: ast.expr = operation(ast.Name("a", ast.Load()), operator, ast.Name("v", ast.Load()))
    if item.bits == 32:
        step = called("hf_float", step)
    listed = r.mapped(as_number(r.body, item))
    return method(listed, "Aggregate", constant(start), function(["a", "v"], step))


def _real_of(item: Item) -> Float:
    if not isinstance(item, Float) or item.bits < 32:
        raise Refused(f"the query language has no {item}")
    return item


def _sum(r: Reduced) -> Value:
    if isinstance(r.body.item, Bool):
        return counted(r.where(as_truth(r.body)))
    if isinstance(r.item, Int):
        bits = r.body.bits + COUNT_BITS
        if bits > EXACT_BITS or r.body.kind == "wide":
            raise Refused(f"a sum of {r.body.item} may need more digits than a double has")
        return Value(_folded(r, 0.0, ast.Add(), Float(64)), "double", r.item, bits)
    return Value(_folded(r, 0.0, ast.Add(), _real_of(r.item)), "double", r.item)


def _prod(r: Reduced) -> Value:
    if not isinstance(r.item, Float):
        raise Refused("the query language has no product of whole numbers")
    return Value(_folded(r, 1.0, ast.Mult(), _real_of(r.item)), "double", r.item)


def _mean(r: Reduced) -> Value:
    item = _real_of(r.item)
    total = _folded(r, 0.0, ast.Add(), item if isinstance(r.body.item, Float) else Float(64))
    if isinstance(r.body.item, Int) and r.body.bits + COUNT_BITS > EXACT_BITS:
        raise Refused(f"a sum of {r.body.item} may need more digits than a double has")
    ratio = operation(total, ast.Div(), operation(constant(1.0), ast.Mult(), method(r.of, "Count")))
    node = called("hf_float", ratio) if item.bits == 32 else ratio
    return Value(node, "double", item, valid=(is_filled(r.of),))


def _extreme(name: str, sign: float) -> Reduce:
    """Begin at the infinity that everything exceeds; what is no number counts as missing."""

    def reduce(r: Reduced) -> Value:
        if isinstance(r.body.item, Bool):
            found = _any(r) if name == "hf_maximum" else _all(r)
            return Value(found.node, "bool", r.item, valid=(is_filled(r.of),))
        if r.body.kind == "wide":
            raise Refused("the query language does no arithmetic on 64-bit whole numbers")
        step = function(["a", "v"], called(name, ast.Name("a", ast.Load()), ast.Name("v", ast.Load())))
        start = constant(sign * float("inf"))
        if isinstance(r.body.item, Float):
            r = replace(r, of=r.where(negated(called("hf_isnan", r.body.node))))
        node = method(r.mapped(r.body.node), "Aggregate", start, step)
        return Value(node, "double", r.item, r.body.bits, (is_filled(r.of),))

    return reduce


def _any(r: Reduced) -> Value:
    return Value(is_filled(r.where(as_truth(r.body))), "bool", Bool())


def _all(r: Reduced) -> Value:
    others = method(r.where(negated(as_truth(r.body))), "Count")
    return Value(compared(others, ast.Eq(), ast.Constant(0)), "bool", Bool())


EVENT = "e"
TOO_DEEP = 60


class CppWalk(Walk[Value, ast.expr]):
    """Gives the texts of expressions."""

    def __init__(self) -> None:
        """Nothing is walked yet."""
        super().__init__()
        self._functions, self._reducers = functions(), reducers()
        self._work = Work()
        self._heights: dict[bytes, int] = {}

    def measure(self, node: Expr) -> None:
        """Refuse an expression that is nested too deeply."""
        for n in postorder(node, into=lambda n: n.key not in self._heights):
            self._heights[n.key] = 1 + max([self._heights[i.key] for i in n.inputs()], default=0)
        if self._heights[node.key] > TOO_DEEP:
            raise Refused(f"it is nested more than {TOO_DEEP} operations deep")

    def measure_value(self, found: Value) -> None:
        """Refuse a text that is too long."""
        self._work.check([found.node, *found.valid])

    def measure_list(self, found: ast.expr) -> None:
        """Refuse a text that is too long."""
        self._work.check([found])

    def element(self, depth: int, listed: ast.expr) -> Element:
        """Give the variable of that number."""
        return Element(ast.Name(f"x{depth}", ast.Load()), f"x{depth}", depth)

    def constant(self, node: Literal) -> Value:
        """Give a constant."""
        value, item = node.value, node.type.item
        if not isinstance(value, bool | int | float):
            raise Refused(f"a constant {item} cannot be sent")
        kind: Kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "double"
        bits = 1 if kind == "bool" else value.bit_length() if isinstance(value, int) else bits_of(item)
        return Value(constant(value), kind, item, bits, constant=value, weak=not node.dtype)

    def whole(self, node: Dataset | Input) -> Value:
        """Give the event."""
        if isinstance(node, Input):
            raise Refused("the result of another task is not at the server")
        return Value(ast.Name(EVENT, ast.Load()), "object")

    def leaf(self, node: Field, own: Elements, loops: Loops) -> Value:
        """Give a container, or a leaf of an object or of the event."""
        n_axes = len(node.type.axes) - len(node.of.type.axes)
        if n_axes:
            self.stored_list(node, own[:-1], loops)
            item = node.type.item
            if n_axes == 1 and isinstance(item, Bool | Int | Float):
                return stored_leaf(node, own[-1].node, of_list=True)
            return Value(own[-1].node, "object")
        if isinstance(node.of, Dataset):
            return Value(container(node), "object")
        of = self.value(node.of, own, loops)
        return replace(stored_leaf(node, of.node), valid=of.valid)

    def stored_list(self, node: Field, own: Elements, loops: Loops) -> ast.expr:
        """Give a container, or a leaf that is a list."""
        outer = len(node.of.type.axes) - 1
        if len(own) < outer:
            return self.list(node.of, own, loops)
        if len(node.type.axes) - 1 > outer + 1:
            raise Refused(f"{node.name} has lists in lists")
        if isinstance(node.of, Dataset):
            return container(node)
        return leaf_list(node, self.value(node.of, own, loops))

    def call(self, node: Call, own: Elements, loops: Loops) -> Value:
        """Give a function, a pick, or what a slice leaves."""
        name = function_name(node)
        if not name:
            assert isinstance(node.function, UserFunction)
            return user_call(node.function, cpp_of(node.function), self.arguments(node, own, loops))
        if name == "pick":
            return self._picked(node, own, loops)
        if name == "slice":
            self.list(node, own[: _at(node) - 1], loops)
            return self.value(node.args[0], own, loops)
        write = self._functions.get(name)
        if FUNCTIONS[name].kind != "elementwise" or write is None:
            raise Refused(f"the query language has no {FUNCTIONS[name].title or name}")
        args = self.arguments(node, own, loops)
        if any(a.kind == "object" for a in args):
            raise Refused(f"{name} of objects")
        return write(args, node.type.item, node)

    def list_of_call(self, node: Call, own: Elements, loops: Loops) -> ast.expr:
        """Give the list of what a function gives: that of its arguments, but for slices."""
        at, of = len(own) + 1, node.args[0]
        name = function_name(node)
        if name == "pick" and _at(node) > at:
            return self.list(of, own, loops)
        if name == "slice":
            below = self.list(of, own, loops)
            return sliced(below, node, self.variable(node, own, loops, below).name) if _at(node) == at else below
        is_made = name in FUNCTIONS and FUNCTIONS[name].kind in {"structure", "list"} and name != "record"
        longest = None if is_made else next((a for a in node.args if len(a.type.axes) > at), None)
        if longest is None:
            raise Refused(f"the query language has no list that {name or 'a function'} gives")
        return self.list(longest, own, loops)

    def where(self, listed: ast.expr, x: Element, mask: Value) -> ast.expr:
        """Give the elements where a mask is there and true."""
        return method(listed, "Where", function([x.name], true_where_valid(mask)))

    def reduced(self, node: Call, listed: ast.expr, x: Element, body: Value | None) -> Value:
        """Give an aggregate of what is there."""
        if body is None:
            return counted(listed)
        if body.kind == "object":
            raise Refused(f"{node.function} of objects")
        if body.valid:
            listed = method(listed, "Where", function([x.name], both(body.valid)))
        reduce = self._reducers.get(str(node.function))
        if reduce is None:
            raise Refused(f"the query language has no {node.function} of a list")
        return reduce(Reduced(listed, x.name, replace(body, valid=()), node.type.item))

    def _picked(self, node: Call, own: Elements, loops: Loops) -> Value:
        of, index, at = node.args[0], node.option("index"), _at(node)
        assert isinstance(index, int)
        outer = own[: at - 1]
        listed = self.list(of, outer, loops)
        first, there = picked(listed, index, self.variable(of, outer, loops, listed).name)
        element = Element(first, ast.unparse(first), max([e.depth for e in outer], default=0))
        value = self.value(of, (*outer, element, *own[at - 1 :]), loops)
        if value.kind == "object":
            raise Refused("an object that may be missing: only its leaves can be taken")
        # First stops the whole file where the list is empty, so it stands where it is reached only for others.
        return _guarded(replace(value, valid=(there, *value.valid)))


def _at(node: Call) -> int:
    at = node.option("at")
    assert isinstance(at, int)
    if at == 0:
        raise Refused("events are chosen by their place in the table as a whole")
    return at


def _guarded(value: Value) -> Value:
    """Give a value that is computed only where it is there, and is zero elsewhere."""
    if value.kind == "wide":
        raise Refused("a 64-bit whole number that may be missing")
    if value.kind == "bool":
        return replace(value, node=both([*value.valid, value.node]))
    node = ast.IfExp(both(value.valid), value.node, constant(0.0))
    return replace(value, node=node, kind="double")
