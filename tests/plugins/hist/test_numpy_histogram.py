"""np.histogram of partitions against numpy on all values at once."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep_flows import render
from hep_flows.errors import TaskError
from hep_flows.execute.run import run_plan
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.hist.plugin import HistPlugin
from tiny_plugin import TinyPlugin, tiny_events, tiny_table

EVENTS = tiny_events(300)
PT = ak.to_numpy(ak.flatten(EVENTS.Jet.pt))
N = ak.to_numpy(ak.flatten(EVENTS.Jet.n))
X, K, GOOD = (ak.to_numpy(EVENTS[n]) for n in ("x", "k", "good"))
XJ = ak.to_numpy(ak.flatten(ak.broadcast_arrays(EVENTS.x, EVENTS.Jet.pt)[0]))


def filled(request, events=EVENTS, chunk_events=70):
    plugins = [TinyPlugin({"tiny": events}), HistPlugin()]
    plan = make_plan([render(request)], plugins)
    return run_plan(plan, plugins, workers=2, chunk_events=chunk_events)[plan.targets[0]].histogram


def assert_same(got, want, rtol=0.0):
    assert isinstance(got, tuple)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol)


@pytest.fixture
def df():
    return tiny_table()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bins": 7},
        {"bins": np.int32(7)},
        {"bins": 50, "range": (0, 203)},
        {"bins": 5, "range": (10, 10)},
        {"bins": 5, "range": [-3.5, 90]},
        {"bins": 5, "range": (np.float32(0), np.float32(50))},
        {"bins": [0, 10, 100]},
        {"bins": [0, 10, 10, 100.5]},
        {"bins": np.linspace(0, 100, 11, dtype=np.float32)},
        {"bins": np.array([0, 1, 70])},
        {"bins": (0.5, np.float64(7), np.inf)},
        {"bins": 5, "density": True},
        {"bins": [0, 10, 100], "density": True},
        {"density": False},
    ],
)
def test_options_are_numpys(df, options):
    assert_same(filled(np.histogram(df.Jet.pt, **options)), np.histogram(PT, **options))


@pytest.mark.parametrize("options", [{}, {"bins": 4, "range": (0, 4)}, {"bins": [0, 2, 4]}])
def test_integers_and_the_closed_last_bin(df, options):
    assert_same(filled(np.histogram(df.Jet.n, **options)), np.histogram(N, **options))
    assert_same(filled(np.histogram(df.k, **options)), np.histogram(K, **options))


def test_truth_values_count_as_0_and_1(df):
    assert_same(filled(np.histogram(df.good)), np.histogram(GOOD.astype(np.uint8)))


@pytest.mark.parametrize("options", [{}, {"bins": [0, 10, 100]}, {"density": True, "range": (0, 60)}])
def test_weights(df, options):
    assert_same(filled(np.histogram(df.Jet.pt, weights=df.Jet.eta, **options)), _wide(PT, _eta(), options), rtol=1e-11)


def test_event_weights_repeat_for_each_object(df):
    assert_same(filled(np.histogram(df.Jet.pt, weights=df.x)), np.histogram(PT, weights=XJ), rtol=1e-11)


def test_whole_weights_give_whole_counts(df):
    assert_same(filled(np.histogram(df.x, weights=df.k)), np.histogram(X, weights=K))


def test_mask_weights_count_the_true_ones(df):
    assert_same(filled(np.histogram(df.x, weights=df.good)), np.histogram(X, weights=GOOD.astype(np.int64)))


def _eta():
    return ak.to_numpy(ak.flatten(EVENTS.Jet.eta))


def _wide(x, w, options):
    return np.histogram(x, weights=w, **options)


def test_missing_values_are_left_out(df):
    assert_same(filled(np.histogram(df.y)), np.histogram(ak.to_numpy(ak.drop_none(EVENTS.y))))


def test_float32_values_have_float32_edges():
    events = ak.Array({"x": X.astype(np.float32), "k": K})
    df = tiny_table()
    assert_same(filled(np.histogram(df.x), events=events), np.histogram(X.astype(np.float32)))
    assert_same(filled(np.histogram(df.x, range=(-1, 1)), events=events), np.histogram(X.astype(np.float32), range=(-1, 1)))


def test_float32_weights_are_summed_in_64_bits():
    w = np.full(300, 0.1, np.float32)
    events = ak.Array({"x": w, "k": np.zeros(300)})
    df = tiny_table()
    counts, _ = filled(np.histogram(df.k, bins=1, weights=df.x), events=events)
    assert counts.dtype == np.float32
    assert counts[0] == np.float32(w.astype(float).sum())


@pytest.mark.parametrize("options", [{}, {"bins": 3, "range": (1, 4)}, {"bins": [1, 2, 3]}])
def test_no_values(df, options):
    assert_same(filled(np.histogram(df[df.x > 1e9].Jet.pt, **options)), np.histogram(PT[:0], **options))
    assert_same(filled(np.histogram(df.Jet.pt, **options), events=EVENTS[:0]), np.histogram(PT[:0], **options))


def test_no_values_have_no_density(df):
    counts, _ = filled(np.histogram(df[df.x > 1e9].x, density=True))
    assert np.isnan(counts).all()


def test_one_value_gets_bins_of_its_own_around_it():
    events = ak.Array({"x": [3.25]})
    assert_same(filled(np.histogram(tiny_table().x), events=events), np.histogram([3.25]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_automatic_range_that_is_not_finite_is_an_error(bad):
    events = ak.Array({"x": [1.0, bad, 2.0]})
    df = tiny_table()
    with pytest.raises(ValueError, match="is not finite") as want:
        np.histogram([1.0, bad, 2.0])
    with pytest.raises(TaskError, match="is not finite") as got:
        filled(np.histogram(df.x), events=events)
    assert str(want.value) in got.value.what
    assert got.value.where is not None


@pytest.mark.parametrize("options", [{"bins": 3, "range": (1, 4)}, {"bins": [1, 2, 3]}])
def test_values_that_are_not_finite_are_outside_of_given_bins(options):
    values = [1.0, np.nan, np.inf, 2.0, -np.inf]
    assert_same(filled(np.histogram(tiny_table().x, **options), events=ak.Array({"x": values})), np.histogram(values, **options))


@settings(max_examples=30)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), max_size=40),
    st.integers(1, 12),
    st.integers(1, 9),
    st.sampled_from([None, (-10, 10), (0.1, 0.7)]),
)
def test_any_values_in_any_partitions(values, bins, chunk_events, limits):
    events = ak.Array({"x": np.array(values, np.float64)})
    got = filled(np.histogram(tiny_table().x, bins=bins, range=limits), events=events, chunk_events=max(chunk_events, 5))
    assert_same(got, np.histogram(np.array(values, np.float64), bins=bins, range=limits))
