"""The table of functions: every row is complete, and the flags on which keys rest are true."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np
import pytest

from expr.sample import call, delta, leaf, lit
from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.types import Bool, Float, Int

VALUES = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-310, 1e308, 3.0], dtype=np.float64)
NARROW = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40, 3e38, 3.0], dtype=np.float32)
NAMES_OF_NUMPY = [
    n
    for n in FUNCTIONS
    if n not in {"is_none", "fill_none", "delta_r", "delta_phi", "astype"} and FUNCTIONS[n].kind == "elementwise"
]
SYMBOLS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "**": operator.pow, "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_are_complete(name):
    row = FUNCTIONS[name]
    assert row.name == name
    assert row.meaning >= 1
    assert 0 <= row.arity[0] <= row.arity[1]
    assert (row.item is not None) == (row.kind in {"elementwise", "reduce", "list"})
    assert row.missing in {"passes", "made", "removed", "filled", "unordered"}


@pytest.mark.parametrize("name", NAMES_OF_NUMPY)
def test_functions_have_numpys_names(name):
    assert callable(getattr(np, name))


@pytest.mark.parametrize("name", [n for n, row in FUNCTIONS.items() if row.commutative])
def test_commutative_functions_give_the_same_bits_either_way(name):
    function = getattr(np, name)
    kinds = [np.array([True, False]), np.arange(-3, 4)]
    if not name.startswith("bitwise"):
        kinds += [VALUES, NARROW]
    for values in kinds:
        a, b = np.meshgrid(values, values)
        with np.errstate(all="ignore"):
            one, other = function(a, b), function(b, a)
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        same = ~np.isnan(one)
        assert one[same].tobytes() == other[same].tobytes()


@pytest.mark.parametrize("name", [n for n, row in FUNCTIONS.items() if row.mirror])
def test_mirrors_give_the_same_with_the_sides_exchanged(name):
    a, b = np.meshgrid(VALUES, VALUES)
    np.testing.assert_array_equal(getattr(np, name)(a, b), getattr(np, FUNCTIONS[name].mirror)(b, a))


@pytest.mark.parametrize("name", [n for n, row in FUNCTIONS.items() if row.symbol in SYMBOLS and row.arity == (2, 2)])
def test_symbols_are_pythons(name):
    a, b = np.array([6, 5, 2]), np.array([3, 2, 2])
    np.testing.assert_array_equal(getattr(np, name)(a, b), SYMBOLS[FUNCTIONS[name].symbol](a, b))


def test_a_wrong_number_of_arguments_is_an_error():
    with pytest.raises(LiteralError, match="add takes 2 arguments, not 1"):
        call("add", leaf("Jet.pt"))


def test_identity_of_a_user_function_covers_all_that_is_declared():
    base = delta()
    changes = [
        {"name": "other"},
        {"parameters": ("a", "c")},
        {"accepts": (None, None)},
        {"returns": Int(64)},
        {"code": b"1"},
    ]
    identities = {replace(base, **c).identity() for c in changes} | {base.identity()}
    assert len(identities) == len(changes) + 1
    assert replace(base, body=max, note="n", portable=False).identity() == base.identity()


def test_a_user_function_is_elementwise_and_gives_what_it_declares():
    made = call(delta(returns=Float(32)), leaf("Jet.pt"), leaf("MET.pt"))
    assert str(made.type) == "float32, events x Jet"
    assert call(delta(returns=Bool()), lit(1), lit(2)).type.axes == ()


def test_a_user_function_takes_no_objects():
    with pytest.raises(LiteralError, match="takes a number for a, not a record Jet"):
        call(delta(), leaf("Jet"), 2.0)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("count", (leaf("Jet"),), "int64, events"),
        ("count", (leaf("Jet.tracks"),), "int64, events x Jet"),
        ("sum", (leaf("Jet.pt"),), "float64, events"),
        ("sum", (leaf("Jet.tight"),), "int64, events"),
        ("max", (leaf("Jet.pt"),), "?float32, events"),
        ("mean", (leaf("Jet.id"),), "?float64, events"),
        ("any", (leaf("Jet.tight"),), "bool, events"),
        ("sum", (leaf("MET.pt"),), "one float64"),
        ("add", (leaf("weight"), leaf("Jet.pt")), "?float64, events x Jet"),
        ("is_none", (leaf("weight"),), "bool, events"),
        ("fill_none", (leaf("weight"), lit(1.0)), "float64, events"),
        ("sum", (leaf("weight"),), "one float64"),
    ],
)
def test_types_of_calls(name, arguments, expected):
    assert str(build.call(name, arguments).type) == expected
