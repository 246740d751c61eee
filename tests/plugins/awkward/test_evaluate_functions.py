"""Every elementwise function against numpy, item by item, in numpy's own types."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest

from hep_flows.contract import Scalar
from hep_flows.errors import TaskError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, WIDENING
from hep_flows.expr.types import Int, Type
from hep_flows.plugins.awkward.evaluate import merge_parts
from hep_flows.plugins.awkward.functions import wrapped
from oracle.scalars import in_arithmetic
from plugins.awkward.memory_events import DS, Events, call, leaf, literal, task_of

EVENTS = Events(60, seed=3)
PT, ETA, N, SMALL, GOOD = (leaf("Jet", n) for n in ("pt", "eta", "n", "small", "good"))
SPECIAL = {"where", "is_none", "fill_none", "delta_r", "delta_phi"} | {n for n, f in FUNCTIONS.items() if f.options}
OF_INTEGERS = {"left_shift", "right_shift", "gcd", "lcm"}
OF_BITS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
NOT_OF_BOOLS = {"negative", "positive", "sign", "reciprocal"}
NUMPY = sorted(n for n, f in FUNCTIONS.items() if f.kind == "elementwise" and n not in SPECIAL)
BINARY = [n for n in NUMPY if FUNCTIONS[n].arity == (2, 2)]
UNARY = [n for n in NUMPY if FUNCTIONS[n].arity == (1, 1)]


def flat(expr):
    return np.asarray(ak.flatten(EVENTS.value(expr), axis=None))


def same(got, want):
    got = np.asarray(got)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def of_numpy(name, *args):
    """Give what numpy gives, of small integers in the 32 bits that arithmetic has at least."""
    return getattr(np, name)(*(in_arithmetic(args) if name in WIDENING else args))


def fits(name, *kinds):
    if name in OF_INTEGERS | OF_BITS and "f" in kinds:
        return False
    return not (name in NOT_OF_BOOLS and kinds[0] == "b")


def names(value):
    return value if isinstance(value, str) else value.name


def kind(of):
    return str(of.type.item)[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "of"), [(n, e) for n in UNARY for e in (PT, ETA, N, SMALL) if fits(n, kind(e))], ids=names)
def test_unary_function_is_numpys(name, of):
    same(flat(call(name, of)), of_numpy(name, flat(of)))


TWO = [(PT, ETA), (N, SMALL), (ETA, N), (SMALL, SMALL)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "a", "b"), [(n, a, b) for n in BINARY if n != "power" for a, b in TWO if fits(n, kind(a), kind(b))], ids=names
)
def test_binary_function_is_numpys(name, a, b):
    if "shift" in name:
        b = call("remainder", b, 5)
    same(flat(call(name, a, b)), of_numpy(name, flat(a), flat(b)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["add", "multiply", "true_divide", "less", "maximum", "hypot", "floor_divide", "remainder"])
@pytest.mark.parametrize("constant", [2, 2.5, True, -1])
@pytest.mark.parametrize("of", [PT, N, SMALL], ids=lambda e: e.name)
def test_plain_constant_adapts_to_the_width_of_the_array(name, constant, of):
    same(flat(call(name, of, constant)), of_numpy(name, flat(of), constant))
    same(flat(call(name, constant, of)), of_numpy(name, constant, flat(of)))


def test_numpy_constant_keeps_its_width():
    same(flat(call("multiply", PT, literal(2.0, "float64"))), flat(PT) * np.float64(2))
    same(flat(call("add", SMALL, literal(1, "int16"))), flat(SMALL) + np.int32(1))


def test_power_of_floats_and_of_integers():
    same(flat(call("power", PT, 2)), flat(PT) ** 2)
    same(flat(call("power", N, 3)), flat(N) ** 3)
    same(flat(call("float_power", N, 2)), np.float_power(flat(N), 2))


def test_integer_to_a_negative_power_is_an_error_at_the_users_line():
    with pytest.raises(TaskError, match="power") as error:
        EVENTS.value(call("power", N, -1))
    assert isinstance(error.value.__cause__, ValueError)


def test_integer_power_of_missing_items_is_missing():
    some = build.pick(leaf("Muon", "any"), 0, 1)
    powers = call("power", 2, call("absolute", some))
    want = [None if not m else 2 ** abs(m[0]) for m in EVENTS["Muon", "any"]]
    assert EVENTS.list(powers) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [("add", [0, 1, 2]), ("subtract", [-1, 0, 1]), ("multiply", [0, 1])],
)
def test_masks_count_as_integers_in_arithmetic(name, want):
    other = call("greater", PT, 20)
    got = EVENTS.value(call(name, GOOD, other))
    assert got.type.content.content.primitive == "int32"
    a, b = flat(GOOD).astype(int), flat(other).astype(int)
    assert flat(call(name, GOOD, other)).tolist() == getattr(np, name)(a, b).tolist()
    assert sorted(set(flat(call(name, GOOD, other)).tolist())) == want


def test_masks_combine_and_invert():
    a, b = flat(GOOD), flat(PT) > 20
    other = call("greater", PT, 20)
    same(flat(call("bitwise_and", GOOD, other)), a & b)
    same(flat(call("bitwise_xor", GOOD, other)), a ^ b)
    same(flat(call("invert", GOOD)), ~a)
    same(flat(call("logical_and", GOOD, N)), np.logical_and(a, flat(N)))
    same(flat(call("maximum", GOOD, other)), a | b)
    for name in ("floor", "round"):
        rounded = call(name, GOOD)
        same(flat(rounded), a.astype(str(rounded.type.item)))


def test_round_takes_decimals():
    same(flat(call("round", PT, decimals=1)), np.round(flat(PT), 1))
    same(flat(call("round", PT)), np.round(flat(PT)))
    same(flat(call("round", N, decimals=-1)), np.round(flat(N), -1))
    same(flat(call("round", N, decimals=2)), flat(N))


def test_rounding_a_large_integer_changes_no_digit():
    run = call("add", leaf("run"), literal(2**62 + 1, "int64"))
    for name in ("floor", "ceil", "trunc"):
        assert EVENTS.list(call(name, run)) == [r + 2**62 + 1 for r in EVENTS["run"]]


def test_where_chooses_and_keeps_numpys_width():
    same(flat(call("where", GOOD, PT, 0.0)), np.where(flat(GOOD), flat(PT), np.float32(0)))
    same(flat(call("where", GOOD, PT, N)), np.where(flat(GOOD), flat(PT), flat(N)))
    same(flat(call("where", GOOD, SMALL, 1)), np.where(flat(GOOD), flat(SMALL), np.int8(1)))


def test_where_is_missing_only_where_the_chosen_side_is():
    maybe = leaf("Jet", "maybe")
    known = call("invert", call("is_none", maybe))
    assert None not in [x for e in EVENTS.list(call("where", known, maybe, -1.0)) for x in e]
    want = [[None if m is None and g else (m if g else 7.0) for m, g in zip(*e, strict=True)] for e in pairs("maybe", "good")]
    assert EVENTS.list(call("where", GOOD, maybe, 7.0)) == want


def pairs(*names):
    return list(zip(*[EVENTS["Jet", n] for n in names], strict=True))


def test_where_with_a_missing_condition_is_missing():
    condition = call("greater", leaf("Jet", "maybe"), 0)
    want = [[None if m is None else (1 if m > 0 else 2) for m in e] for e in EVENTS["Jet", "maybe"]]
    assert EVENTS.list(call("where", condition, literal(1), literal(2))) == want


def test_missing_passes_through_arithmetic_and_shows_in_the_type():
    got = EVENTS.value(call("add", leaf("Jet", "maybe"), PT))
    assert str(got.type.content.content) == "?float64"
    want = [[None if m is None else np.float64(m) + np.float32(p) for m, p in zip(*e, strict=True)] for e in pairs("maybe", "pt")]
    assert got.to_list() == want


def test_is_none_and_fill_none():
    maybe = leaf("Jet", "maybe")
    assert EVENTS.list(call("is_none", maybe)) == [[m is None for m in e] for e in EVENTS["Jet", "maybe"]]
    assert EVENTS.list(call("is_none", PT)) == [[False for _ in e] for e in EVENTS["Jet", "pt"]]
    filled = EVENTS.value(call("fill_none", maybe, -1))
    assert str(filled.type.content.content) == "float64"
    assert filled.to_list() == [[-1 if m is None else m for m in e] for e in EVENTS["Jet", "maybe"]]
    by_item = EVENTS.list(call("fill_none", maybe, PT))
    assert by_item == [[float(np.float32(p)) if m is None else m for m, p in zip(*e, strict=True)] for e in pairs("maybe", "pt")]


def test_fill_with_something_missing_may_stay_missing():
    maybe, first = leaf("Jet", "maybe"), build.pick(leaf("Jet", "maybe"), 0, 1)
    want = [[e[0] if m is None else m for m in e] for e in EVENTS["Jet", "maybe"]]
    assert EVENTS.list(call("fill_none", maybe, first)) == want


@pytest.mark.parametrize("values", [(1, 2), (), (300, 1), (1.5, 2), tuple(range(-20, 20)), (*range(20), 10**30)])
def test_isin_compares_exactly(values):
    for of in (SMALL, N, PT):
        assert flat(call("isin", of, values=values)).tolist() == [any(x == v for v in values) for x in flat(of).tolist()]


def test_isin_and_comparison_of_text():
    kind = leaf("kind")
    for values in ((), ("GT",), ("GT", "", "none")):
        assert EVENTS.list(call("isin", kind, values=values)) == [k in values for k in EVENTS["kind"]]
    assert EVENTS.list(call("equal", kind, "GT")) == [k == "GT" for k in EVENTS["kind"]]
    assert EVENTS.list(call("not_equal", "GT", kind)) == [k != "GT" for k in EVENTS["kind"]]
    label = leaf("Jet", "label")
    assert EVENTS.list(call("equal", label, kind)) == [
        [x == k for x in e] for e, k in zip(EVENTS["Jet", "label"], EVENTS["kind"], strict=True)
    ]


def test_text_is_chosen_and_filled():
    label, kind = leaf("Jet", "label"), leaf("kind")
    got = EVENTS.value(call("where", GOOD, label, "none"))
    assert str(got.type.content.content) == "string"
    assert got.to_list() == [[t if g else "none" for t, g in zip(*e, strict=True)] for e in pairs("label", "good")]
    first = build.pick(label, 0, 1)
    want = [e[0] if e else k for e, k in zip(EVENTS["Jet", "label"], EVENTS["kind"], strict=True)]
    assert EVENTS.list(call("fill_none", first, kind)) == want
    assert EVENTS.list(call("equal", first, "b")) == [e[0] == "b" if e else None for e in EVENTS["Jet", "label"]]


def test_text_constants_broadcast():
    both = call("where", call("greater", leaf("MET", "pt"), 20), "high", "low")
    assert EVENTS.list(both) == ["high" if p > 20 else "low" for p in EVENTS["MET", "pt"]]


def test_event_values_are_repeated_for_each_object_and_list_item():
    hits, met = leaf("Jet", "hits"), leaf("MET", "pt")
    met32 = [np.float32(m) for m in EVENTS["MET", "pt"]]
    assert EVENTS.list(call("true_divide", PT, met)) == [
        [float(np.float32(p) / m) for p in e] for e, m in zip(EVENTS["Jet", "pt"], met32, strict=True)
    ]
    assert EVENTS.list(call("add", hits, N)) == [
        [[h + n for h in hs] for hs, n in zip(*e, strict=True)] for e in pairs("hits", "n")
    ]
    assert EVENTS.list(call("add", hits, leaf("run"))) == [
        [[h + r for h in hs] for hs in e] for e, r in zip(EVENTS["Jet", "hits"], EVENTS["run"], strict=True)
    ]


def wrap(angle):
    while angle >= math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


def test_delta_phi_is_wrapped_and_delta_r_is_the_distance():
    phi, met = leaf("Jet", "phi"), leaf("MET", "phi")
    got = EVENTS.value(call("delta_phi", phi, met))
    assert str(got.type.content.content) == "float64"
    want = [[wrap(p - m) for p in e] for e, m in zip(EVENTS["Jet", "phi"], EVENTS["MET", "phi"], strict=True)]
    assert ak.flatten(got).to_list() == pytest.approx([x for e in want for x in e], abs=2e-6)
    distance = EVENTS.value(call("delta_r", ETA, phi, literal(0.5), met))
    want = [[math.hypot(h - 0.5, d) for h, d in zip(*e, strict=True)] for e in zip(EVENTS["Jet", "eta"], want, strict=True)]
    assert ak.flatten(distance).to_list() == pytest.approx([x for e in want for x in e], abs=2e-6)


def test_delta_r_of_far_and_of_unknown_directions():
    far = call("where", GOOD, literal(1e30, "float32"), ETA)
    got = EVENTS.value(call("delta_r", far, leaf("Jet", "phi"), literal(0.0), literal(0.0)))
    want = np.hypot(np.where(flat(GOOD), np.float32(1e30), flat(ETA)), flat(leaf("Jet", "phi")))
    np.testing.assert_allclose(np.asarray(ak.flatten(got)), want, rtol=1e-6)
    unknown = call("log", call("multiply", ETA, 0))
    assert np.isinf(flat(call("delta_r", unknown, ETA, literal(0.0), unknown))).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_wrapped_angle_is_in_the_half_open_turn_and_untouched_inside(dtype):
    pi = np.dtype(dtype).type(np.pi)
    near = np.nextafter(pi, np.dtype(dtype).type(0))
    angles = np.asarray([0, 1e-9, pi, -pi, near, -near, 3 * pi, -3 * pi, 2 * pi, 7, -7, 100], dtype)
    angles = np.concatenate([angles, np.random.default_rng(1).uniform(-20, 20, 5000).astype(dtype)])
    got = wrapped(angles)
    assert got.dtype == dtype
    assert ((got >= -pi) & (got < pi)).all()
    inside = (angles >= -pi) & (angles < pi)
    np.testing.assert_array_equal(got[inside], angles[inside])
    np.testing.assert_allclose(np.cos(got), np.cos(angles), atol=1e-4 if dtype == "f4" else 1e-12)
    assert np.isnan(wrapped(np.asarray([np.nan, np.inf], dtype))).all()


def test_constants_alone_give_one_value():
    assert EVENTS.value(call("add", literal(1), literal(2))) == 3
    assert EVENTS.value(call("sqrt", literal(2.0))) == math.sqrt(2)
    assert EVENTS.value(literal("GT")) == "GT"
    assert EVENTS.value(call("equal", literal("a"), literal("b"))) is False


def test_number_that_does_not_fit_is_an_error_and_never_wraps():
    number = build.task_input(b"a", Type(Int(8)))
    with pytest.raises(TaskError, match="add cannot be computed"):
        EVENTS.value(call("add", SMALL, number), inputs={b"a": Scalar(300)})


def test_ten_thousand_operations_in_a_chain():
    expr = leaf("weight")
    for _ in range(10_000):
        expr = call("add", expr, 1)
    got = EVENTS.value(expr)
    assert got.to_list() == pytest.approx([w + 10_000 for w in EVENTS["weight"]])


def test_shared_parts_are_evaluated_and_read_once():
    double = PT
    for _ in range(60):
        double = call("add", double, double)
    assert flat(double).tolist() == pytest.approx((flat(PT) * 2.0**60).tolist())
    EVENTS.asked.clear()
    EVENTS.value(call("sum", PT), call("add", PT, ETA), call("count", leaf("Jet")))
    assert [sorted(a) for a in EVENTS.asked] == [[("Jet", "eta"), ("Jet", "pt")]]


def test_events_of_no_partition_have_the_right_kind():
    kinds = {
        "float32": call("multiply", PT, call("max", PT)),
        "?float32": build.pick(PT, 0, 1),
        "string": build.filtered(leaf("kind"), call("greater", leaf("MET", "pt"), 1), 0),
        "int32": leaf("Jet", "hits"),
    }
    for text, expr in kinds.items():
        got = merge_parts(task_of(expr), []).array
        assert len(got) == 0
        assert str(got.type).endswith(text)
    assert len(merge_parts(task_of(DS), []).array) == 0
