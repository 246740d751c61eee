"""The interpreter against values that were written by hand, after the tables of the specification of the language."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level
from hep_flows.expr.types import Float
from oracle.example import EVENTS, leaf, table
from oracle.interpreter import interpret

DF = table()


def L(path):
    return leaf(DF, path)


def lit(value, dtype=""):
    return build.literal(value, dtype)


def call(name, *args, **options):
    return build.call(name, [a if hasattr(a, "key") else lit(a) for a in args], tuple(options.items()))


def value(expr, events=EVENTS):
    return interpret(expr, events)


def loop(over, body, depth=0):
    level = provisional_level(depth)
    return close(over, body(lambda of: build.bound(of, level)), level)


HARD = call("greater", L("Jet.pt"), 25)
HARD_PT = build.filtered(L("Jet.pt"), HARD, 1)

TABLE = [
    ("leaf of a collection", L("Jet.pt"), [[50, 20, 30], [], [60]]),
    ("leaf of a group", L("MET.pt"), [100, 10, 40]),
    ("value of the event", L("run"), [1, 2, 3]),
    ("text", L("kind"), ["a", "b", "a"]),
    ("stored missing value", L("weight"), [2.0, None, 0.5]),
    ("list-valued leaf", L("Jet.hits"), [[[1, 2], [], [7]], [], [[4, 4, 4]]]),
    ("list-valued leaf of the event", L("codes"), [[1, 2, 3], [], [9]]),
    ("4.1 mask", HARD_PT, [[50, 30], [], [60]]),
    ("4.3 invert", build.filtered(L("Jet.pt"), call("invert", HARD), 1), [[20], [], []]),
    ("4.9 event filter", build.filtered(L("Jet.pt"), call("equal", call("count", L("Muon.pt")), 2), 0), [[50, 20, 30]]),
    ("4.13 text equality", build.filtered(L("run"), call("equal", L("kind"), "a"), 0), [1, 3]),
    ("4.15 event mask on a collection", build.filtered(L("Jet.pt"), L("good"), 1), [[50, 20, 30], [], [60]]),
    ("4.15 failing events are empty", build.filtered(L("Muon.pt"), L("good"), 1), [[10, 40], [], []]),
    ("event mask repeated below", build.filtered(L("Jet.hits"), L("Jet.tight"), 2), [[[1, 2], [], [7]], [], [[]]]),
    ("element mask on lists", build.filtered(L("Jet.hits"), L("Jet.tight"), 1), [[[1, 2], [7]], [], []]),
    ("5.1 comparison", call("less", 10, L("MET.pt")), [True, False, True]),
    ("5.3 integers stay integers", call("remainder", L("run"), 2), [1, 0, 1]),
    ("5.6 broadcast", call("true_divide", L("Jet.pt"), L("MET.pt")), [[0.5, 0.2, 0.3], [], [1.5]]),
    ("5.7 masks count as integers", call("add", HARD, HARD), [[2, 0, 2], [], [2]]),
    ("5.11 choice", call("where", HARD, L("Jet.eta"), -9.0), [[0.5, -9.0, 1.0], [], [-1.0]]),
    ("6.1 count", call("count", L("Jet")), [3, 0, 1]),
    ("6.1 innermost", call("sum", L("Jet.hits")), [[3, 0, 7], [], [12]]),
    ("6.2 count of the table", call("count", DF), 3),
    ("6.2 sum of counts", call("sum", call("count", L("Jet.pt"))), 4),
    ("6.2 largest of all events", call("max", L("MET.pt")), 100),
    ("6.3 sum of a mask", call("sum", HARD), [2, 0, 1]),
    ("6.4 sum of empty", call("sum", L("Jet.pt")), [100, 0, 60]),
    ("6.4 product of empty", call("prod", L("codes")), [6, 1, 9]),
    ("6.4 max of empty", call("max", L("Jet.pt")), [50, None, 60]),
    ("6.4 min of empty", call("min", L("Jet.n")), [0, None, 2]),
    ("6.4 mean of empty", call("mean", L("codes")), [2.0, None, 9.0]),
    ("6.4 any of empty", call("any", L("Jet.tight")), [True, False, False]),
    ("6.4 all of empty", call("all", L("Jet.tight")), [False, True, False]),
    ("6.5 first", build.pick(L("Muon.pt"), 0, 1), [10, 5, None]),
    ("6.5 first of lists: lists are never missing", build.pick(L("Jet.hits"), 0, 1), [[1, 2], [], [4, 4, 4]]),
    ("aggregate of a list that is not there", call("sum", build.pick(L("Jet.hits"), 0, 1)), [3, 0, 12]),
    ("6.7 missing in arithmetic", call("add", L("weight"), 1.0), [3.0, None, 1.5]),
    ("6.7 missing in a mask", build.filtered(L("run"), call("less", L("weight"), 100), 0), [1, 3]),
    ("6.7 missing in an aggregate", call("sum", L("weight")), 2.5),
    ("6.7 missing is counted", call("count", L("weight")), 3),
    ("6.8 an aggregate meets its elements", call("subtract", L("Jet.pt"), call("max", L("Jet.pt"))), [[0, -30, -20], [], [0]]),
    ("6.11 index", build.pick(L("Jet.n"), 1, 1), [5, None, None]),
    ("6.12 negative index", build.pick(L("Jet.n"), -1, 1), [0, None, 2]),
    ("6.12 slice", build.sliced(L("Jet.n"), (None, 2, None), 1), [[3, 5], [], [2]]),
    ("6.12 step", build.sliced(L("Jet.n"), (None, None, -2), 1), [[0, 3], [], [2]]),
    ("slice of the table", build.sliced(L("Jet.n"), (1, None, None), 0), [[], [2]]),
    ("pick of the table", build.pick(L("run"), -1, 0), 3),
    ("pick of the table, out of range", build.pick(L("run"), 3, 0), None),
    ("11.3 index by expression", build.gathered(L("codes"), call("count", L("Muon")), 1), [3, None, 9]),
    ("a negative index of a number is missing", build.gathered(L("codes"), call("negative", L("run")), 1), [None, None, None]),
    ("negative stored reference is missing", build.gathered(L("Muon.pt"), L("Jet.muon"), 1), [[40, None, 10], [], [None]]),
    (
        "11.1 members of pairs",
        build.gathered(L("Muon.pt"), call("argcombinations", L("Muon"), n=2, which=1), 1, inside=True),
        [[40], [], []],
    ),
    ("11.1 triples", call("argcombinations", L("Jet"), n=3, which=2), [[2], [], []]),
    ("11.5 order", call("argsort", L("Jet.n"), descending=True), [[1, 0, 2], [], [0]]),
    ("12.11 padded", build.gathered(L("Jet.n"), call("argpad", L("Jet"), clip=True, n=2), 1), [[3, 5], [None, None], [2, None]]),
    (
        "12.11 padded, not clipped",
        build.gathered(L("Jet.n"), call("argpad", L("Jet"), clip=False, n=2), 1),
        [[3, 5, 0], [None, None], [2, None]],
    ),
    ("11.6 joined", build.concatenated((L("Muon.pt"), L("codes")), 1), [[10, 40, 1, 2, 3], [5], [9]]),
    ("11.6 number of the part", build.part_numbers(build.concatenated((L("Muon"), L("Jet")), 1)), [[0, 0, 1, 1, 1], [0], [1]]),
    ("list of indices", build.gathered(L("Jet.n"), L("codes"), 1), [[5, 0, None], [], [None]]),
    ("index repeated for each list", build.gathered(L("Jet.hits"), L("run"), 2), [[2, None, None], [], [None]]),
    ("flatten", build.flattened(L("Jet.hits")), [[1, 2, 7], [], [4, 4, 4]]),
    ("record", build.record(("a", "b"), [L("run"), L("good")]), [{"a": 1, "b": True}, {"a": 2, "b": False}, {"a": 3, "b": True}]),
    (
        "record of a collection and an event value",
        build.record(("p", "m"), [L("codes"), L("MET.pt")]),
        [[{"p": 1, "m": 100}, {"p": 2, "m": 100}, {"p": 3, "m": 100}], [], [{"p": 9, "m": 40}]],
    ),
    (
        "record of an event that holds a list",
        build.record(("p", "m"), [L("codes"), L("MET.pt")], n_axes=1),
        [{"p": [1, 2, 3], "m": 100}, {"p": [], "m": 10}, {"p": [9], "m": 40}],
    ),
    ("member of a record", build.field(build.record(("p", "m"), [L("codes"), L("MET.pt")]), "m"), [[100] * 3, [], [40]]),
    ("is missing", call("is_none", L("weight")), [False, True, False]),
    ("fill missing", call("fill_none", L("weight"), 7.0), [2.0, 7.0, 0.5]),
    ("is in", call("isin", L("run"), values=(1, 3)), [True, False, True]),
    ("logic", call("logical_xor", L("good"), L("run")), [False, True, False]),
    ("8.1 map", loop(L("Jet"), lambda b: call("true_divide", b(L("Jet.pt")), 10)), [[5, 2, 3], [], [6]]),
    ("8.2 map binds inner lists", loop(L("Jet.hits"), lambda b: call("count", b(L("Jet.hits")))), [[2, 0, 1], [], [3]]),
    ("8.3 captured", loop(L("Jet"), lambda b: call("count", L("Muon"))), [[2, 2, 2], [], [0]]),
    ("8.1 constant", loop(L("Jet"), lambda b: lit(1.5)), [[1.5] * 3, [], [1.5]]),
    ("8.6 whole collection", loop(L("Muon"), lambda b: L("Jet.n")), [[[3, 5, 0]] * 2, [[]], []]),
    (
        "8.5 aggregate of a captured collection",
        loop(L("Muon"), lambda b: call("sum", call("greater", L("Jet.pt"), b(L("Muon.pt"))))),
        [[3, 1], [0], []],
    ),
    (
        "8.10 pairs of one collection",
        loop(
            L("codes"),
            lambda a: loop(L("codes"), lambda b: call("subtract", a(L("codes")), b(L("codes"))), depth=1),
        ),
        [[[0, -1, -2], [1, 0, -1], [2, 1, 0]], [], [[0]]],
    ),
]


@pytest.mark.parametrize(("expr", "expected"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_interpreter_gives_the_value_in_the_specification(expr, expected):
    assert_same(value(expr), expected)


def assert_same(got, expected):
    if isinstance(expected, list):
        assert isinstance(got, list)
        assert len(got) == len(expected), (got, expected)
        for g, e in zip(got, expected, strict=True):
            assert_same(g, e)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        for k, e in expected.items():
            assert_same(got[k], e)
    elif expected is None or isinstance(expected, bool | str):
        assert got is expected or (isinstance(expected, str) and got == expected)
    else:
        assert got == pytest.approx(expected, rel=1e-6)


def test_numbers_have_the_declared_width():
    assert value(L("Jet.pt"))[0][0].dtype == np.float32
    assert value(call("multiply", L("Jet.pt"), 2.0))[0][0].dtype == np.float32
    assert value(call("multiply", L("Jet.pt"), L("Jet.eta")))[0][0].dtype == np.float64
    assert value(call("add", L("Jet.n"), 1))[0][0].dtype == np.int32
    assert value(call("sum", L("Jet.n")))[0].dtype == np.int64
    assert value(call("add", HARD, HARD))[0][0].dtype == np.int32


def test_arithmetic_rounds_to_the_declared_width():
    (got,) = value(call("true_divide", L("Jet.pt"), 7.0), [EVENTS[2]])[0]
    assert got == np.float32(60) / np.float32(7)
    assert float(got) != 60 / 7


def test_angles_are_wrapped():
    event = dict(EVENTS[0], Muon=[dict(pt=1.0, charge=1, eta=3.0, phi=3.0), dict(pt=1.0, charge=1, eta=0.0, phi=-3.0)])
    a, b = (build.pick(L("Muon.phi"), k, 1) for k in (0, 1))
    e, f = (build.pick(L("Muon.eta"), k, 1) for k in (0, 1))
    assert value(call("delta_phi", a, b), [event]) == [pytest.approx(6 - 2 * math.pi)]
    assert value(call("delta_r", e, a, f, b), [event]) == [pytest.approx(math.hypot(3.0, 6 - 2 * math.pi))]


def test_no_events_give_empty_lists_and_neutral_numbers():
    assert value(HARD_PT, []) == []
    assert value(call("sum", L("MET.pt")), []) == 0
    assert value(call("max", L("MET.pt")), []) is None


def test_declared_function_is_called_with_single_values():
    from hep_flows.expr.functions import UserFunction

    double = UserFunction("double", ("x",), (None,), Float(64), body=lambda x: 2 * x)
    assert value(build.call(double, [L("Jet.pt")])) == [[100, 40, 60], [], [120]]
    assert value(build.call(double, [L("weight")])) == [4.0, None, 1.0]
