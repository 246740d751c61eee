"""Histograms of partitions against hist filled directly."""

from __future__ import annotations

import json

import awkward as ak
import boost_histogram
import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep_flows import Histogram, render
from hep_flows.contract import No, Yes
from hep_flows.execute.run import run_plan
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.hist.fill import template
from hep_flows.plugins.hist.plugin import HistPlugin
from tiny_plugin import TinyPlugin, tiny_events, tiny_table

EVENTS = tiny_events(400)
PT, ETA, JN, TAG = (ak.to_numpy(ak.flatten(EVENTS.Jet[n])) for n in ("pt", "eta", "n", "tag"))
X, K, GOOD = (ak.to_numpy(EVENTS[n]) for n in ("x", "k", "good"))
XJ, KJ, GOODJ = (ak.to_numpy(ak.flatten(ak.broadcast_arrays(EVENTS[n], EVENTS.Jet.pt)[0])) for n in ("x", "k", "good"))


def filled(*requests, events=EVENTS, chunk_events=70, workers=2):
    plugins = [TinyPlugin({"tiny": events}), HistPlugin()]
    plan = make_plan(render(list(requests)), plugins)
    results = run_plan(plan, plugins, workers=workers, chunk_events=chunk_events)
    values = [results[k].histogram for k in plan.targets]
    return values[0] if len(values) == 1 else values


def assert_same(got, want, rtol=1e-12):
    assert type(got) is hist.Hist
    assert got.storage_type is want.storage_type
    assert tuple(got.axes) == tuple(want.axes)
    for a, b in zip(got.axes, want.axes, strict=True):
        assert (a.name, a.label, a.metadata, a.traits) == (b.name, b.label, b.metadata, b.traits)
    a, b = got.view(flow=True), want.view(flow=True)
    for name in a.dtype.names or [None]:
        left, right = (a[name], b[name]) if name else (a, b)
        np.testing.assert_allclose(left, right, rtol=rtol, atol=1e-9)
    variances = got.variances(flow=True), want.variances(flow=True)
    assert (variances[0] is None) == (variances[1] is None)


@pytest.fixture
def df():
    return tiny_table()


STORAGES = {
    "Double": ({}, {}),
    "Int64": ({}, {}),
    "AtomicInt64": ({}, {}),
    "Unlimited": ({}, {}),
    "Weight": ({}, {}),
}


class TestStorages:
    @pytest.mark.parametrize("storage", sorted(STORAGES))
    def test_counts(self, df, storage):
        h = getattr(Histogram.new.Reg(10, 0, 100, name="pt", label="$p_T$"), storage)()
        want = getattr(hist.Hist.new.Reg(10, 0, 100, name="pt", label="$p_T$"), storage)().fill(pt=PT)
        assert_same(filled(h.fill(pt=df.Jet.pt)), want)

    @pytest.mark.parametrize("storage", ["Double", "Unlimited", "Weight"])
    def test_weights(self, df, storage):
        h = getattr(Histogram.new.Reg(10, 0, 100, name="pt"), storage)()
        want = getattr(hist.Hist.new.Reg(10, 0, 100, name="pt"), storage)().fill(pt=PT, weight=XJ)
        assert_same(filled(h.fill(pt=df.Jet.pt, weight=df.x)), want)

    @pytest.mark.parametrize("storage", ["Int64", "AtomicInt64"])
    def test_whole_weights_of_whole_storages(self, df, storage):
        h = getattr(Histogram.new.Reg(10, 0, 100, name="pt"), storage)()
        want = getattr(hist.Hist.new.Reg(10, 0, 100, name="pt"), storage)().fill(pt=PT, weight=KJ)
        assert_same(filled(h.fill(pt=df.Jet.pt, weight=df.k)), want)

    @pytest.mark.parametrize("storage", ["Mean", "WeightedMean"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_means_of_samples(self, df, storage, weighted):
        h = getattr(Histogram.new.Reg(10, 0, 100, name="pt").Bool(name="good"), storage)()
        more = {"weight": df.k + 1} if weighted else {}
        want_more = {"weight": KJ + 1} if weighted else {}
        want = getattr(hist.Hist.new.Reg(10, 0, 100, name="pt").Bool(name="good"), storage)()
        want.fill(pt=PT, good=GOODJ, sample=ETA, **want_more)
        assert_same(filled(h.fill(pt=df.Jet.pt, good=df.good, sample=df.Jet.eta, **more)), want, rtol=1e-9)

    def test_several_weights_in_each_bin(self, df):
        h = Histogram.new.Reg(10, 0, 100, name="pt").MultiCell(3)
        want = hist.Hist.new.Reg(10, 0, 100, name="pt").MultiCell(3).fill(pt=PT, weight=np.stack([XJ, ETA, np.ones_like(ETA)], -1))
        got = filled(h.fill(pt=df.Jet.pt, weight=(df.x, df.Jet.eta, 1.0)))
        np.testing.assert_allclose(got.view(flow=True), want.view(flow=True), rtol=1e-10)

    def test_a_mask_is_a_weight_of_0_and_1(self, df):
        got = filled(Histogram.new.Reg(10, 0, 100, name="pt").Weight().fill(pt=df.Jet.pt, weight=df.good))
        assert_same(got, hist.Hist.new.Reg(10, 0, 100, name="pt").Weight().fill(pt=PT, weight=GOODJ.astype(float)))


class TestAxes:
    @pytest.mark.parametrize(
        "made",
        [
            lambda new: new.Reg(10, 0, 50, name="v", overflow=False),
            lambda new: new.Reg(10, 0, 50, name="v", flow=False),
            lambda new: new.Reg(10, 0, 50, name="v", circular=True),
            lambda new: new.Reg(10, 0, 50, name="v", growth=True),
            lambda new: new.Var([0, 10, 20.5, 70], name="v"),
            lambda new: new.Var([0, 10, 20.5, 70], name="v", growth=True),
            lambda new: new.Var([0, 10, 20.5, 70], name="v", circular=True),
            lambda new: new.Var([0, 10, float("inf")], name="v"),
            lambda new: new.Sqrt(10, 0, 50, name="v"),
            lambda new: new.Log(10, 0.1, 50, name="v"),
            lambda new: new.Pow(10, 0, 50, power=3, name="v"),
            lambda new: new.Regular(10, 0.1, 50, name="v", transform=hist.axis.transform.log),
        ],
    )
    def test_numbers(self, df, made):
        got = filled(made(Histogram.new).Weight().fill(v=df.Jet.pt))
        assert_same(got, made(hist.Hist.new).Weight().fill(v=PT))

    @pytest.mark.parametrize(
        "made",
        [
            lambda new: new.Int(0, 5, name="v"),
            lambda new: new.Int(0, 5, name="v", flow=False),
            lambda new: new.Int(0, 5, name="v", growth=True),
            lambda new: new.Int(0, 5, name="v", circular=True),
            lambda new: new.IntCat([2, -1, 5], name="v"),
            lambda new: new.IntCat([2], name="v", growth=True),
            lambda new: new.Reg(5, 0, 5, name="v"),
        ],
    )
    def test_integers(self, df, made):
        got = filled(made(Histogram.new).Double().fill(v=df.Jet.n))
        assert_same(got, made(hist.Hist.new).Double().fill(v=JN))

    def test_truth_values(self, df):
        new = (Histogram.new, hist.Hist.new)
        ours, theirs = [n.Bool(name="a").Int(0, 2, name="b").IntCat([1, 0], name="c").Double() for n in new]
        assert_same(filled(ours.fill(a=df.good, b=df.good, c=df.good)), theirs.fill(GOOD, GOOD, GOOD))

    @pytest.mark.parametrize("categories", [[], ["c", "b"], ["nobody"]])
    @pytest.mark.parametrize("growth", [False, True])
    def test_text(self, df, categories, growth):
        got = filled(Histogram.new.StrCat(categories, name="v", growth=growth).Weight().fill(v=df.Jet.tag))
        assert_same(got, hist.Hist.new.StrCat(categories, name="v", growth=growth).Weight().fill(v=TAG))

    def test_integers_beyond_32_bits_keep_their_side(self):
        events = ak.Array({"k": np.array([2**40, -(2**40), 3, 2**31], dtype=np.int64)})
        df = tiny_table()
        h = Histogram.new.Int(0, 5, name="k").Int64().fill(k=df.k)
        c = Histogram.new.IntCat([0, 3], name="k").Int64().fill(k=df.k)
        a, b = filled(h, c, events=events)
        assert a.values(flow=True).tolist() == [1, 0, 0, 0, 1, 0, 2]
        assert b.values(flow=True).tolist() == [0, 1, 3]

    def test_labels_names_and_metadata_stay(self, df):
        new = (Histogram.new, hist.Hist.new)
        ours, theirs = [
            n.Reg(3, 0, 1, metadata={"a": [1, None]}).Bool(name="b", label="B").Weight(name="n", label="l", metadata="m")
            for n in new
        ]
        got = filled(ours.fill(df.x, df.good))
        assert_same(got, theirs.fill(X, GOOD))
        assert (got.name, got.label, got.metadata) == ("n", "l", "m")


class TestArguments:
    def test_an_event_value_counts_for_each_of_its_objects(self, df):
        h = Histogram.new.Reg(10, 0, 100, name="pt").Reg(4, -1, 1, name="x").Double()
        want = hist.Hist.new.Reg(10, 0, 100, name="pt").Reg(4, -1, 1, name="x").Double().fill(pt=PT, x=XJ)
        assert_same(filled(h.fill(df.Jet.pt, df.x)), want)
        assert_same(filled(h.fill(df.Jet.pt, x=df.x)), want)

    def test_constants_stand_for_every_entry(self, df):
        h = Histogram.new.Reg(10, 0, 100, name="pt").StrCat([], name="r", growth=True).Int(0, 3, name="i").Weight()
        want = hist.Hist.new.Reg(10, 0, 100, name="pt").StrCat([], name="r", growth=True).Int(0, 3, name="i").Weight()
        want.fill(pt=PT, r="SR", i=1, weight=2.5)
        assert_same(filled(h.fill(pt=df.Jet.pt, r="SR", i=True, weight=2.5)), want)

    def test_a_missing_value_leaves_its_entry_out(self, df):
        y = EVENTS.y
        there = ak.to_numpy(~ak.is_none(y))
        h = Histogram.new.Reg(10, -2, 2, name="y").Reg(4, -1, 1, name="x").Weight()
        want = hist.Hist.new.Reg(10, -2, 2, name="y").Reg(4, -1, 1, name="x").Weight()
        want.fill(y=ak.to_numpy(ak.drop_none(y)), x=X[there], weight=K[there])
        assert_same(filled(h.fill(y=df.y, x=df.x, weight=df.k)), want)

    def test_a_missing_weight_leaves_its_entry_out(self, df):
        there = ak.to_numpy(~ak.is_none(EVENTS.y))
        got = filled(Histogram.new.Reg(4, -1, 1, name="x").Weight().fill(x=df.x, weight=df.y, allow_missing_weight=True))
        want = hist.Hist.new.Reg(4, -1, 1, name="x").Weight().fill(x=X[there], weight=ak.to_numpy(ak.drop_none(EVENTS.y)))
        assert_same(got, want)

    def test_nan_goes_where_hist_puts_it(self):
        events = ak.Array({"x": [1.0, np.nan, np.inf, -np.inf]})
        df = tiny_table()
        got = filled(Histogram.new.Reg(2, 0, 2, name="x").Double().fill(x=df.x), events=events)
        assert_same(got, hist.Hist.new.Reg(2, 0, 2, name="x").Double().fill(x=[1.0, np.nan, np.inf, -np.inf]))

    def test_one_number_is_one_entry(self, df):
        got = filled(
            Histogram.new.Reg(10, 0, 1000, name="n").Weight().fill(n=df.Count(), weight=df.k.Max(), allow_missing_weight=True)
        )
        assert_same(got, hist.Hist.new.Reg(10, 0, 1000, name="n").Weight().fill(n=400, weight=int(K.max())))

    def test_a_missing_number_is_no_entry(self, df):
        got = filled(Histogram.new.Reg(10, 0, 1000, name="n").Double().fill(n=df[df.x > 1e9].x.Max()))
        assert got.sum(flow=True) == 0

    def test_one_number_stands_for_every_entry(self, df):
        got = filled(Histogram.new.Reg(10, 0, 1000, name="n").Reg(5, 0, 100, name="pt").Double().fill(n=df.Count(), pt=df.Jet.pt))
        assert_same(got, hist.Hist.new.Reg(10, 0, 1000, name="n").Reg(5, 0, 100, name="pt").Double().fill(n=400, pt=PT))

    @pytest.mark.parametrize("weight", [None, 2.0, "x"])
    def test_a_place_that_is_constant_is_filled_once_for_each_weight_or_sample(self, df, weight):
        new = (Histogram.new, hist.Hist.new)
        ours, theirs = [n.Reg(4, 0, 1, name="v").StrCat([], name="c", growth=True).WeightedMean() for n in new]
        got = filled(ours.fill(v=0.3, c="a", sample=df.k, weight=df.x if weight == "x" else weight))
        theirs.fill(np.full(400, 0.3), "a", sample=K, weight=X if weight == "x" else weight)
        assert_same(got, theirs, rtol=1e-9)

    def test_a_constant_text_is_filled_once_for_each_weight(self, df):
        got = filled(Histogram.new.StrCat([], name="c", growth=True).Weight().fill(c="a", weight=df.x))
        assert_same(got, hist.Hist.new.StrCat([], name="c", growth=True).Weight().fill(c=["a"] * 400, weight=X))

    @pytest.mark.parametrize("storage", ["Double", "Weight", "Mean"])
    def test_partitions_without_entries_add_nothing(self, df, storage):
        h = getattr(Histogram.new.Reg(4, 0, 1, name="v").StrCat([], name="c", growth=True), storage)()
        none = df[df.x > 1e9]
        got = filled(h.fill(v=0.3, c="a", weight=none.x, **({"sample": none.x} if storage == "Mean" else {})))
        assert not np.any(got.values(flow=True))

    def test_several_weights_that_are_all_constant(self, df):
        got = filled(Histogram.new.Reg(10, 0, 10, name="v").MultiCell(2).fill(v=df.k, weight=(1, 2)).fill(v=3.5, weight=(10, 20)))
        want = np.histogram(K, bins=10, range=(0, 10))[0]
        want[3] += 10
        np.testing.assert_allclose(got.view()[0], want)
        np.testing.assert_allclose(got.view()[1], 2 * want)

    def test_a_global_weight(self, df):
        got = filled(Histogram.new.Reg(5, 0, 100, name="pt").Weight().fill(pt=df.Jet.pt, weight=1 / df.Count()))
        assert_same(got, hist.Hist.new.Reg(5, 0, 100, name="pt").Weight().fill(pt=PT, weight=1 / 400))


class TestChains:
    def test_several_fills_add_up(self, df):
        h = Histogram.new.Reg(10, 0, 100, name="v").StrCat([], name="c", growth=True).Weight()
        h = h.fill(v=df.Jet.pt, c="jets", weight=df.x).fill(v=df.k, c="events").fill(v=df.Jet.pt, c=df.Jet.tag)
        want = hist.Hist.new.Reg(10, 0, 100, name="v").StrCat(["jets", "events", "light", "b", "c"], name="c").Weight()
        want.fill(v=PT, c="jets", weight=XJ).fill(v=K, c="events").fill(v=PT, c=TAG)
        got = filled(h)
        assert list(got.axes["c"])[:2] == ["jets", "events"]
        for c in want.axes["c"]:
            np.testing.assert_allclose(got[{"c": c}].values(flow=True), want[{"c": c}].values(flow=True), rtol=1e-12)

    @pytest.mark.parametrize("chunk_events", [30, 1000])
    def test_constant_fills_count_once(self, df, chunk_events):
        h = Histogram.new.Reg(10, 0, 10, name="v").Double()
        want = hist.Hist.new.Reg(10, 0, 10, name="v").Double().fill([0.5, 5.5]).fill(K)
        got = filled(h.fill(v=0.5).fill(v=df.k).fill(v=5.5), chunk_events=chunk_events)
        assert_same(got, want)

    def test_only_constants(self):
        got = filled(Histogram.new.Reg(10, 0, 10, name="v").StrCat(["a"], name="c").Weight().fill(v=0.5, c="a", weight=3))
        assert got.sum().value == 3

    def test_no_fill_gives_the_empty_histogram(self):
        got = filled(Histogram.new.Reg(10, 0, 10, name="v").Weight())
        assert_same(got, hist.Hist.new.Reg(10, 0, 10, name="v").Weight())

    def test_a_weighted_part_of_the_chain_makes_variances_unknown(self, df):
        h = Histogram.new.Reg(10, 0, 10, name="v").Double()
        assert filled(h.fill(v=df.k)).variances() is not None
        assert filled(h.fill(v=df.k).fill(v=df.k, weight=df.x)).variances() is None
        assert filled(h.fill(v=1, weight=2).fill(v=df.k)).variances() is None

    def test_a_request_that_was_filled_before_does_not_change(self, df):
        h = Histogram.new.Reg(10, 0, 10, name="v").Double()
        one = h.fill(v=df.k)
        two = one.fill(v=df.k)
        a, b, c = filled(h, one, two)
        assert [x.sum(flow=True) for x in (a, b, c)] == [0, 400, 800]


@settings(max_examples=25)
@given(st.integers(1, 500), st.integers(1, 4), st.sampled_from(["text", "grows", "variable", "both"]))
def test_partitions_and_threads_do_not_matter(chunk_events, workers, kind):
    df = tiny_table()
    new = {
        "text": lambda n: n.StrCat([], name="t", growth=True).Reg(8, 0, 60, name="v"),
        "grows": lambda n: n.StrCat(["c"], name="t", growth=True).Reg(8, 0, 60, name="v", growth=True),
        "variable": lambda n: n.StrCat(["c"], name="t").Var([0, 1, 60], name="v", growth=True),
        "both": lambda n: n.StrCat([], name="t", growth=True).Reg(8, 0, 60, name="v", circular=True),
    }[kind]
    got = filled(
        new(Histogram.new).Weight().fill(t=df.Jet.tag, v=df.Jet.pt, weight=df.k),
        chunk_events=max(chunk_events, 20),
        workers=workers,
    )
    assert_same(got, new(hist.Hist.new).Weight().fill(t=TAG, v=PT, weight=KJ))


class TestPlugin:
    def test_it_runs_histograms_only(self):
        df = tiny_table()
        plugin = HistPlugin()
        h = Histogram.new.Reg(10, 0, 10, name="v").Double().fill(v=df.k)
        assert isinstance(plugin.can_run(render(h), ["hist", "tiny"]), Yes)
        assert isinstance(plugin.can_run(render(df.k), [""]), No)

    def test_the_program_shows_axes_and_arguments(self):
        df = tiny_table()
        h = Histogram.new.Reg(10, 0, 10, name="v").Double().fill(v=df.k, weight=2.0)
        plan = make_plan([render(h)], [TinyPlugin({}), HistPlugin()])
        text = HistPlugin().translate(plan.tasks[-1]).text
        assert "Hist(Regular v, Double)" in text
        assert ".fill(" in text
        assert text.endswith("* 2.0")

    def test_merging_does_not_change_the_parts(self):
        df = tiny_table()
        plugins = [TinyPlugin({"tiny": EVENTS}), HistPlugin()]
        plan = make_plan([render(Histogram.new.Reg(10, 0, 10, name="v").Double().fill(v=df.k))], plugins)
        program = plugins[1].translate(plan.tasks[-1])
        record = plan.tasks[0]
        from hep_flows.contract import RunContext

        parts = []
        for p in plugins[0].partitions(record.dataset, 100):
            given_ = plugins[0].run([plugins[0].translate(record)], {}, RunContext(p))
            parts.append(plugins[1].run([program], given_, RunContext(p))[program.task.key])
        one = plugins[1].merge(program, parts).histogram
        two = plugins[1].merge(program, parts).histogram
        assert one == two
        assert one.sum(flow=True) == 400


def test_the_template_is_what_boost_histogram_calls_equal():
    h = Histogram.new.Reg(10, 0, 10, name="v").IntCat([1, 2], name="i").Mean()
    made = template(render(h).type.item.spec)
    assert boost_histogram.Histogram(made) == boost_histogram.Histogram(
        hist.Hist.new.Reg(10, 0, 10, name="v").IntCat([1, 2], name="i").Mean()
    )
    assert json.loads(render(h).type.item.spec)["storage"] == {"kind": "Mean"}
