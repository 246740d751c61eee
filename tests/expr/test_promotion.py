"""Item types of results: numpy itself is the oracle, function by function, for every pair of types.

Where a function computes in 32 bits at least, numpy gets small arguments as int32; a truth value beside a float need not be wider.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from hep_flows.expr import functions as results
from hep_flows.expr.functions import FUNCTIONS, WIDENING
from hep_flows.expr.types import Bool, Float, Int, String
from oracle.scalars import in_arithmetic

ITEMS = {
    "bool": Bool(),
    **{f"int{b}": Int(b) for b in (8, 16, 32, 64)},
    **{f"uint{b}": Int(b, signed=False) for b in (8, 16, 32, 64)},
    **{f"float{b}": Float(b) for b in (16, 32, 64)},
}
CONSTANTS = [(True, Bool()), (1, Int(64)), (1.0, Float(64))]
OWN = {"is_none", "fill_none", "delta_r", "delta_phi", "isin", "where"} | {
    n for n, row in FUNCTIONS.items() if row.options and n != "round"
}
ELEMENTWISE = [n for n, row in FUNCTIONS.items() if row.kind == "elementwise" and n not in OWN]

# Truth values count as 64-bit integers, where numpy has 8 bits.
SHIFTS = ("left_shift", "right_shift")


def operands():
    """Arrays of every type, and plain constants: the value, the item, whether it adapts."""
    arrays = [(np.ones(2, kind), item, False) for kind, item in ITEMS.items()]
    return [*arrays, *[(value, item, True) for value, item in CONSTANTS]]


def of_numpy(name, values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(getattr(np, name)(*values).dtype)
        except TypeError:
            return None


def of_table(name, items, weak):
    try:
        return str(FUNCTIONS[name].item(items, weak))
    except TypeError:
        return None


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions_give_numpys_types(name):
    different = {}
    for combination in itertools.product(operands(), repeat=FUNCTIONS[name].arity[0]):
        values, items, weak = zip(*combination, strict=True)
        if all(weak):
            continue
        expected = of_numpy(name, in_arithmetic(values) if name in WIDENING else values)
        if all(isinstance(i, Bool) for i in items):
            expected = "int64" if name in SHIFTS else None if name in ("negative", "positive", "reciprocal") else expected
        if (given := of_table(name, items, weak)) != expected:
            different[tuple(map(str, items)), weak] = (given, expected)
    assert not different


def test_where_gives_numpys_types():
    for a, b in itertools.product(operands(), repeat=2):
        if a[2] and b[2]:
            continue
        expected = str(np.where(np.ones(2, bool), a[0], b[0]).dtype)
        assert str(results.choice([Bool(), a[1], b[1]], [False, a[2], b[2]])) == expected


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "any", "all"])
@pytest.mark.parametrize("kind", ITEMS)
def test_reductions_give_numpys_types(name, kind):
    wide = name in ("sum", "mean") and kind.startswith("float")  # floats are added up in 64 bits
    small = "int32" if name in ("sum", "prod") and kind in ("uint8", "uint16") else kind  # small integers have a sign in arithmetic
    expected = "float64" if wide else str(getattr(np, name)(np.ones(2, small)).dtype)
    assert of_table(name, [ITEMS[kind]], [False]) == expected


@pytest.mark.parametrize("name", ["delta_r", "delta_phi"])
def test_angles_are_computed_in_double_precision(name):
    n = FUNCTIONS[name].arity[0]
    assert of_table(name, [Float(32)] * n, [False] * n) == "float64"


def test_constants_adapt_to_arrays_but_not_below_their_kind():
    assert of_table("add", [Float(32), Float(64)], [False, True]) == "float32"
    assert of_table("add", [Int(8), Int(64)], [False, True]) == "int32"
    assert of_table("add", [Int(8), Float(64)], [False, True]) == "float64"
    assert of_table("add", [Bool(), Int(64)], [False, True]) == "int32"


def test_a_reference_is_none_any_more_after_arithmetic():
    reference = Int(16, refers_to="Muon")
    assert results.arithmetic([reference, Int(64)], [False, True]).refers_to == ""
    assert results.arithmetic([Int(64), reference], [True, False]).refers_to == ""
    assert results.arithmetic([reference, Bool()], [False, False]).refers_to == ""


@pytest.mark.parametrize(("name", "bits"), [("max", 16), ("min", 16), ("absolute", 32)])
def test_a_largest_reference_is_a_plain_number(name, bits):
    assert FUNCTIONS[name].item([Int(16, refers_to="Muon")], [False]).bits == bits


@pytest.mark.parametrize("name", ["add", "less", "bitwise_and", "sqrt", "invert", "negative", "absolute", "maximum"])
def test_numbers_and_text_do_not_mix(name):
    n = FUNCTIONS[name].arity[0]
    assert of_table(name, [String(), Int(64)][:n], [False] * n) is None


def test_text_is_compared_with_text_only():
    assert of_table("equal", [String(), String()], [False, True]) == "bool"
    assert of_table("equal", [String(), Int(64)], [False, True]) is None
    assert of_table("less", [String(), String()], [False, True]) is None


def test_a_condition_is_true_or_false():
    assert of_table("where", [Int(64), Float(32), Float(32)], [False] * 3) is None


def test_no_integer_holds_unsigned_64_bits_and_a_sign():
    for name in ("bitwise_and", "left_shift", "gcd"):
        assert of_table(name, [Int(64), Int(64, signed=False)], [False, False]) is None
    assert of_table("add", [Int(64), Int(64, signed=False)], [False, False]) == "float64"
