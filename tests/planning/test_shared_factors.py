"""Factors that all entries share multiply the finished result; everything else of a weight stays where it was written."""

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, make_local, nanoaod_table, render
from hep_flows.errors import LiteralError

pytestmark = pytest.mark.data

DY = "nano_dy.root"
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def df(data):
    return nanoaod_table(data(DY))


@pytest.fixture(scope="module")
def raw(data):
    read = uproot.open(data(DY))["Events"].arrays(["MET_pt", "genWeight", "PV_npvs", "Jet_pt", "Muon_pt"])
    return {
        "met": np.asarray(read.MET_pt),
        "w": np.asarray(read.genWeight, "f8"),
        "n": np.asarray(read.PV_npvs, "f8"),
        "jets": read.Jet_pt,
    }


def w(d):
    return d.genWeight.astype("float64")


# A weight of events, and the same of plain arrays in float64.
WEIGHTS = {
    "a constant": (lambda d: 2.0, lambda r: 2.0),
    "a total": (lambda d: d.genWeight.Sum(), lambda r: r["w"].sum()),
    "w * xsec / total": (lambda d: w(d) * 3.0 / d.genWeight.Sum(), lambda r: r["w"] * 3 / r["w"].sum()),
    "xsec / total * w": (lambda d: 3.0 / d.genWeight.Sum() * w(d), lambda r: r["w"] * 3 / r["w"].sum()),
    "xsec / w": (lambda d: 3.0 / w(d), lambda r: 3 / r["w"]),
    "total / w": (lambda d: d.genWeight.Sum() / w(d), lambda r: r["w"].sum() / r["w"]),
    "w xsec / n": (lambda d: w(d) * 3.0 / d.PV.npvs, lambda r: r["w"] * 3 / r["n"]),
    "w / (n xsec)": (lambda d: w(d) / (d.PV.npvs * 2.5), lambda r: r["w"] / (r["n"] * 2.5)),
    "w / (total / n)": (lambda d: w(d) / (d.genWeight.Sum() / d.PV.npvs), lambda r: r["w"] / (r["w"].sum() / r["n"])),
    "(xsec / w) * total": (lambda d: (3.0 / w(d)) * d.genWeight.Sum(), lambda r: 3 / r["w"] * r["w"].sum()),
    "a sum of terms": (lambda d: (d.PV.npvs + 1.5) * 2.0, lambda r: (r["n"] + 1.5) * 2),
    "inside a function": (lambda d: np.minimum(d.PV.npvs * 2.0, 50.0), lambda r: np.minimum(r["n"] * 2, 50)),
    "integers": (lambda d: d.PV.npvs * 2, lambda r: r["n"] * 2),
    "zero": (lambda d: d.PV.npvs * 0.0, lambda r: r["n"] * 0),
    "not a number": (lambda d: d.PV.npvs * NAN, lambda r: r["n"] * NAN),
    "over zero": (lambda d: d.PV.npvs / (d.genWeight.Sum() * 0.0), lambda r: r["n"] / 0.0),
}


@pytest.mark.parametrize("storage", ["Weight", "Double"])
@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_a_weight_is_what_was_written(name, storage, df, raw):
    recorded, plain = WEIGHTS[name]
    wanted = getattr(hist.Hist.new.Reg(20, 0, 100, name="x"), storage)().fill(raw["met"], weight=plain(raw))
    got = make_local(getattr(Histogram.new.Reg(20, 0, 100, name="x"), storage)().fill(x=df.MET.pt, weight=recorded(df)))
    for field in ("value", "variance") if storage == "Weight" else (...,):
        np.testing.assert_allclose(got.view(flow=True)[field], wanted.view(flow=True)[field], rtol=1e-11)
    none = df[df.MET.pt > 1e9]
    empty = make_local(getattr(Histogram.new.Reg(20, 0, 100, name="x"), storage)().fill(x=none.MET.pt, weight=recorded(none)))
    assert not empty.values(flow=True).any(), "nothing stays nothing, whatever the factor of no events is"


@pytest.mark.parametrize("name", [n for n in WEIGHTS if n not in ("a constant", "a total")])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_a_sum_is_what_was_written(name, df, raw):
    recorded, plain = WEIGHTS[name]
    np.testing.assert_allclose(make_local(recorded(df).Sum()), plain(raw).sum(), rtol=1e-11)


def test_the_sum_over_no_events_is_zero_when_it_is_divided_by_their_sum_of_weights(df):
    none = df[df.MET.pt > 1e9]
    assert make_local((none.genWeight / none.genWeight.Sum()).Sum()) == 0


def x():
    return Histogram.new.Reg(20, 0, 100, name="x").Weight()


def by_hand(raw, *weights):
    return sum([hist.Hist.new.Reg(20, 0, 100, name="x").Weight().fill(raw["met"], weight=w) for w in weights])


PRODUCTS = {
    "number": (lambda d: x().fill(x=d.MET.pt) * 2.0 * 3.0, lambda r: by_hand(r, 6.0)),
    "from the left": (lambda d: 2 * x().fill(x=d.MET.pt) / 4, lambda r: by_hand(r, 0.5)),
    "number and total": (lambda d: x().fill(x=d.MET.pt) * 3.0 / d.genWeight.Sum(), lambda r: by_hand(r, 3 / r["w"].sum())),
    "filled on": (lambda d: ((x().fill(x=d.MET.pt) * 2 * 3).fill(x=d.MET.pt) * 2).fill(x=d.MET.pt), lambda r: by_hand(r, 12, 2, 1)),
    "a chain": (
        lambda d: x().fill(x=d.MET.pt, weight=2.0).fill(x=d.MET.pt, weight=d.PV.npvs * 0.5).fill(x=d.MET.pt),
        lambda r: by_hand(r, 2.0, r["n"] * 0.5, 1.0),
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_histogram_times_a_number(name, df, raw):
    recorded, plain = PRODUCTS[name]
    got, want = make_local(recorded(df)), plain(raw)
    for field in ("value", "variance"):
        np.testing.assert_allclose(got.view(flow=True)[field], want.view(flow=True)[field], rtol=1e-12)


def test_a_histogram_is_not_multiplied_by_what_may_be_missing(df):
    with pytest.raises(LiteralError, match="may be missing") as caught:
        x().fill(x=df.MET.pt) * df.MET.pt.Max()
    assert caught.value.where is not None


def test_categories_by_masks_and_axes_that_grow(df, raw):
    shared = df.genWeight * 2.0 / df.genWeight.Sum()
    w = raw["w"] * 2 / raw["w"].sum()
    got = make_local(
        Histogram.new.StrCat(["a", "b"], name="r").Weight().fill(r={"a": df.MET.pt > 20, "b": df.MET.pt > 40}, weight=shared)
    )
    np.testing.assert_allclose(got.values(), [w[raw["met"] > 20].sum(), w[raw["met"] > 40].sum()])
    grown = make_local(Histogram.new.Reg(5, 0, 20, name="x", growth=True).Weight().fill(x=df.MET.pt, weight=shared))
    want = hist.Hist.new.Reg(5, 0, 20, name="x", growth=True).Weight().fill(raw["met"], weight=w)
    assert grown.axes == want.axes
    np.testing.assert_allclose(grown.values(flow=True), want.values(flow=True))


def test_another_factor_fills_the_same_histogram(df):
    """The fill is one expression, whatever the cross section is."""

    def filled(xsec):
        scaled = render(x().fill(x=df.Jet.pt, weight=df.genWeight * xsec / df.genWeight.Sum()))
        return scaled.args[0]

    assert filled(2.0) == filled(3.0)
    jets = ak.num(make_local(df.Jet.pt))
    assert make_local(x().fill(x=df.Jet.pt, weight=df.PV.npvs * 2.0)).sum(flow=True).value == ak.sum(
        jets * make_local(df.PV.npvs) * 2.0
    )
