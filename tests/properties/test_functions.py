"""Every function of the table, on every kind of number and on values that are not finite: evaluator and interpreter agree."""

from __future__ import annotations

import itertools

import pytest

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.types import Bool, Float, Int, Member, Record
from oracle.compare import differences
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.tables import Table

KINDS = {
    "f4": (Float(32), [1.5, -0.25, 0.0, float("nan"), float("inf"), -2.0, 7.0]),
    "f8": (Float(64), [-1.5, 3.0, float("-inf"), 0.5, 1e-3, 2.0, 0.0]),
    "i1": (Int(8), [3, -7, 0, 1, 127, 2, -128]),
    "u1": (Int(8, signed=False), [200, 0, 1, 255, 3, 100, 2]),
    "i2": (Int(16), [3, -7, 0, 1, 30000, 2, 5]),
    "i8": (Int(64), [1, 2, 3, 0, 5, -6, 7]),
    "u4": (Int(32, signed=False), [4, 0, 1, 2**32 - 1, 3, 9, 2]),
    "b": (Bool(), [True, False, True, True, False, False, True]),
    "m": (Float(64), [1.0, None, -2.0, None, 0.5, 0.0, 3.0]),
}
EVENTS = tuple({"x": [{k: values[i] for k, (_, values) in KINDS.items()} for i in range(n)]} for n in (7, 0, 3))
ITEMS = Record("x", {k: Member(item, optional=k == "m") for k, (item, _) in KINDS.items()})
TABLE = Table(Record("event", {"x": Member(ITEMS, ("x",))}), EVENTS)

OPTIONS = {n: tuple([(o.name, o.example) for o in r.options]) for n, r in FUNCTIONS.items()} | {"isin": (("values", (1, 2.0, 3)),)}
# Whole numbers to whole negative powers, and shifts by negative amounts, have no value in numpy.
UNDEFINED = {"power", "left_shift", "right_shift"}
ELEMENTWISE = [n for n, r in FUNCTIONS.items() if r.kind == "elementwise"]
REDUCTIONS = [n for n, r in FUNCTIONS.items() if r.kind == "reduce"]


def leaf(kind):
    return build.field(build.field(TABLE.dataset, "x"), kind)


def calls(name):
    """Give the function of every combination of leaves that it takes, and with a constant in the last place."""
    n = FUNCTIONS[name].arity[0]
    # A large angle has lost its digits before it can be wrapped.
    usable = ("f4", "f8", "b", "m") if name.startswith("delta_") else tuple(KINDS)
    for kinds in itertools.product(usable, repeat=min(n, 2)):
        args = [leaf(k) for k in kinds]
        args += args[: n - len(args)]
        if name in UNDEFINED:
            args[1] = build.literal(2)
        if name == "where":
            args = [leaf("b"), *args[:2]]
        for last in [args[-1], build.literal(2), build.literal(1.5)][: 3 if n == 2 else 1]:
            try:
                yield build.call(name, [*args[:-1], last], OPTIONS[name])
            except LiteralError:
                continue


def agrees(expr):
    got, kind = evaluated(expr, TABLE)
    assert differences(got, interpret(expr, EVENTS), exact=False) == [], expr
    return kind


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_function_agrees_for_all_kinds(name):
    found = list(calls(name))
    assert found
    record = build.record([str(i) for i in range(len(found))], found)
    agrees(record)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_reduction_agrees_for_all_kinds(name, kind):
    per_event = build.call(name, [leaf(kind)], OPTIONS[name])
    optional = "?" if per_event.type.optional else ""
    assert agrees(per_event) == f"{optional}{per_event.type.item}"
    agrees(build.call("count" if name == "any" else "any", [per_event]))
    if FUNCTIONS[name].merge is not None:
        agrees(build.call(name, [per_event]))


@pytest.mark.parametrize("name", [n for n, r in FUNCTIONS.items() if r.kind == "list"])
@pytest.mark.parametrize("kind", KINDS)
def test_function_of_lists_agrees_for_all_kinds(name, kind):
    of_each = build.call(name, [leaf(kind)], OPTIONS[name])
    agrees(of_each)
    agrees(build.call("sum", [of_each]))
    agrees(build.call("count", [of_each]))
    if name == "argsort":
        agrees(build.call(name, [leaf(kind)], (("descending", True),)))
        agrees(build.gathered(leaf("f8"), of_each, 1))
