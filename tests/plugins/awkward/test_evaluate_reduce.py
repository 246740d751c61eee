"""Aggregates against awkward and Python."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest

from hep_flows.expr import build
from hep_flows.plugins.awkward.evaluate import merge_parts
from plugins.awkward.memory_events import DS, Events, call, leaf, task_of

SAMPLES = {"mixed": Events(50, seed=1), "long": Events(4, mean=300.0, seed=2), "all empty": Events(5, mean=0.0), "none": Events(0)}
NUMBERS = [("Jet", n) for n in ("pt", "n", "small", "good", "maybe", "hits")]
PLAIN = {"sum": sum, "prod": math.prod, "any": any, "all": all, "count": len}


@pytest.fixture(params=SAMPLES)
def events(request):
    return SAMPLES[request.param]


@pytest.mark.parametrize("path", NUMBERS, ids=lambda p: p[-1])
@pytest.mark.parametrize("name", ["sum", "prod", "any", "all", "max", "min"])
def test_aggregate_is_awkwards(events, name, path):
    got = events.value(call(name, leaf(*path)))
    wide = name == "sum" and path[-1] == "pt"
    want = getattr(ak, name)(ak.values_astype(events.arrays[path], "f8") if wide else events.arrays[path], axis=-1)
    assert got.to_list() == want.to_list()
    if len(got):
        assert str(got.type) == str(want.type)


@pytest.mark.parametrize("path", [*NUMBERS, ("Jet", "label")], ids=lambda p: p[-1])
def test_count_counts_entries_missing_ones_too(events, path):
    assert events.list(call("count", leaf(*path))) == ak.num(events.arrays[path], axis=-1).to_list()


def test_counting_objects_reads_no_leaf(events):
    events.asked.clear()
    assert events.list(call("count", leaf("Jet"))) == [len(e) for e in events["Jet", "pt"]]
    assert events.asked == [(("Jet",),)]


def near(got, want, rel=1e-12):
    assert [g is None for g in got] == [w is None for w in want]
    assert [g for g in got if g is not None] == pytest.approx([w for w in want if w is not None], rel=rel)


def test_mean_is_the_sum_over_the_count(events):
    got = events.value(call("mean", leaf("Jet", "pt")))
    want = [None if not e else sum(e) / len(e) for e in events["Jet", "pt"]]
    assert str(got.type.content) == "?float64"
    near(got.to_list(), want)
    small = [[m for m in e if m is not None] for e in events["Jet", "maybe"]]
    near(events.list(call("mean", leaf("Jet", "maybe"))), [sum(e) / len(e) if e else None for e in small])
    assert events.list(call("mean", leaf("Jet", "n"))) == [sum(e) / len(e) if e else None for e in events["Jet", "n"]]
    assert events.list(call("mean", leaf("Jet", "good"))) == [sum(e) / len(e) if e else None for e in events["Jet", "good"]]


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sums_of_floats_have_every_bit_of_a_loop(name):
    sample = SAMPLES["long"]
    want = [added(e) / (len(e) if name == "mean" else 1) for e in sample["Jet", "pt"]]
    assert sample.list(call(name, leaf("Jet", "pt"))) == want


def added(values):
    total = 0.0
    for value in values:  # Python's own sum has other digits from release 3.12 on
        total += value
    return total


def test_truth_of_numbers_is_not_zero(events):
    assert events.list(call("any", leaf("Jet", "n"))) == [any(e) for e in events["Jet", "n"]]
    assert events.list(call("all", leaf("Jet", "n"))) == [all(e) for e in events["Jet", "n"]]


def test_nan_counts_as_missing_in_the_maximum():
    sample = Events(3)
    sample.arrays["Jet", "pt"] = ak.values_astype(ak.Array([[1, np.nan], [np.nan], [2, 1]]), "f4")
    sample.arrays["Jet",] = ak.Array([2, 1, 2])
    for name in ("max", "min"):
        got = sample.list(call(name, leaf("Jet", "pt")))
        assert got == [1, None, 2 if name == "max" else 1]


def test_aggregates_of_selections_and_of_aggregates(events):
    hard = build.filtered(leaf("Jet", "pt"), call("greater", leaf("Jet", "pt"), 25), 1)
    assert events.list(call("count", hard)) == [sum(x > 25 for x in e) for e in events["Jet", "pt"]]
    assert events.list(call("max", call("sum", leaf("Jet", "hits")))) == [
        max([sum(h) for h in e], default=None) for e in events["Jet", "hits"]
    ]


@pytest.mark.parametrize("cuts", [(), (1,), (0, 2, 2)])
@pytest.mark.parametrize("name", ["count", "sum", "prod", "any", "all", "max", "min", "mean"])
@pytest.mark.parametrize("path", ["run", "weight", "perhaps"])
def test_total_is_one_plain_value_whatever_the_partitions(events, name, path, cuts):
    cuts = [min(c, events.n_events) for c in cuts]
    got = events.value(call(name, leaf(path)), cuts=cuts)
    present = [x for x in events[path] if x is not None]
    if name == "count":
        want = len(events[path])
    elif name in PLAIN:
        want = PLAIN[name](present)
    else:
        want = {"max": max, "min": min, "mean": lambda v: sum(v) / len(v)}[name](present) if present else None
    assert type(got) in {bool, int, float, type(None)}
    assert got == (want if isinstance(want, bool | int | None) else pytest.approx(want))
    if path == "run" and name not in {"mean", "any", "all"} and want is not None:
        assert type(got) is int


def test_number_of_events(events):
    assert events.value(call("count", DS)) == events.n_events
    few = build.filtered(DS, call("greater", leaf("MET", "pt"), 25), 0)
    assert events.value(call("count", few)) == sum(m > 25 for m in events["MET", "pt"])


def test_totals_of_integers_are_exact_beyond_64_bits():
    sample = Events(4)
    sample.arrays["run",] = ak.Array(np.asarray([2**31 - 1] * 4, dtype="i4"))
    large = call("multiply", leaf("run"), call("add", leaf("run"), build.literal(2**31, "int64")))
    one = (2**31 - 1) * (2**32 - 1)
    assert sample.value(call("sum", large), cuts=[2]) == 4 * one
    assert sample.value(call("prod", large), cuts=[1]) == one**4
    assert sample.value(call("sum", call("negative", large)), cuts=[2]) == -4 * one


def test_total_of_floats_adds_up_in_64_bits():
    sample = Events(3)
    sample.arrays["MET", "pt"] = ak.Array(np.asarray([2**24, 1, 1], dtype="f4"))
    assert sample.value(call("sum", leaf("MET", "pt"))) == 2**24 + 2


def test_total_extreme_leaves_nan_out_wherever_it_is():
    sample = Events(3)
    sample.arrays["weight",] = ak.Array([1.0, np.nan, 3.0])
    for cuts in ([], [1], [2], [1, 2]):
        assert sample.value(call("max", leaf("weight")), cuts=cuts) == 3.0


def test_total_of_no_partitions():
    for name, want in {"count": 0, "sum": 0, "prod": 1, "any": False, "all": True, "max": None, "mean": None}.items():
        assert merge_parts(task_of(call(name, leaf("run"))), []).value == want
