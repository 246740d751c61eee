"""Section 11: histograms (11.10, 11.11, R14), units (11.14), and the benchmark queries Q1 to Q4."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import pytest

from hep_flows import Histogram, make_local
from semantics.equal import assert_same, assert_same_histogram
from semantics.files import delta_r, pairs
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data
H = Histogram.new
W = hist.Hist.new


def flat(x: Any) -> Any:
    return ak.to_numpy(ak.drop_none(ak.flatten(x, axis=None)))


def each_jet(r: Raw, x: Any) -> Any:
    return flat(ak.broadcast_arrays(x, r.sm["Jet_pt"])[0])


def categories(t: Tables) -> Any:
    j = t.sm.Jet
    h = H.Reg(50, 0, 200, name="pt", label="$p_T$").StrCat([], name="region", growth=True).Weight()
    return h.fill(pt=j.pt, region=np.where(t.sm.MET.pt > 20, "high", "low"), weight=t.sm.PV.npvs / 10).fill(
        pt=t.sm.Muon.pt, region="muons", weight=2.0
    )


def want_categories(r: Raw) -> Any:
    h = W.Reg(50, 0, 200, name="pt", label="$p_T$").StrCat([], name="region", growth=True).Weight()
    region = np.where(each_jet(r, r.sm["MET_pt"] > 20), "high", "low")
    h.fill(pt=flat(r.sm["Jet_pt"]), region=region, weight=each_jet(r, r.sm["PV_npvs"] / 10))
    return h.fill(pt=flat(r.sm["Muon_pt"]), region="muons", weight=2.0)


def text_leaf(t: Tables) -> Any:
    return H.StrCat(["GT", "TT"], name="type").Reg(20, 60, 120, name="m").Double().fill(type=t.zmm["Type"], m=t.zmm.M)


def want_text_leaf(r: Raw) -> Any:
    h = W.StrCat(["GT", "TT"], name="type").Reg(20, 60, 120, name="m").Double()
    return h.fill(type=r.zmm["Type"].to_list(), m=r.zmm["M"].to_numpy())


def other_axes(t: Tables) -> Any:
    j = t.sm.Jet
    return [
        H.Var([0, 20, 50, 100], name="pt").Int64().fill(j.pt),
        H.Int(0, 8, name="n").Int64().fill(n=j.Count()),
        H.IntCat([-1, 1], name="q").Double().fill(q=t.sm.Muon.charge),
        H.Bool(name="ok").Double().fill(ok=j.puId),
        H.Reg(10, -3, 3, name="eta", underflow=False, overflow=False).Double().fill(eta=j.eta),
        H.Reg(10, -np.pi, np.pi, name="phi", circular=True).Double().fill(phi=j.phi),
        H.Reg(10, 1, 1000, name="pt", transform=hist.axis.transform.log).Weight().fill(pt=j.pt, weight=j.eta),
        H.Reg(5, 0, 100, name="pt").Mean().fill(pt=j.pt, sample=j.eta),
    ]


def want_other_axes(r: Raw) -> Any:
    pt, eta = flat(r.sm["Jet_pt"]), flat(r.sm["Jet_eta"])
    return [
        W.Var([0, 20, 50, 100], name="pt").Int64().fill(pt),
        W.Int(0, 8, name="n").Int64().fill(n=ak.num(r.sm["Jet_pt"]).to_numpy()),
        W.IntCat([-1, 1], name="q").Double().fill(q=flat(r.sm["Muon_charge"])),
        W.Bool(name="ok").Double().fill(ok=flat(r.sm["Jet_puId"])),
        W.Reg(10, -3, 3, name="eta", underflow=False, overflow=False).Double().fill(eta=eta),
        W.Reg(10, -np.pi, np.pi, name="phi", circular=True).Double().fill(phi=flat(r.sm["Jet_phi"])),
        W.Reg(10, 1, 1000, name="pt", transform=hist.axis.transform.log).Weight().fill(pt=pt, weight=eta),
        W.Reg(5, 0, 100, name="pt").Mean().fill(pt=pt, sample=eta),
    ]


def many_at_once(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 20]
    j = ev.Jet[ev.Jet.pt > 30]
    h = H.Reg(20, 0, 200, name="pt").Double()
    return {"pt": h.fill(pt=j.pt), "n": j.Count(), "both": (h.fill(pt=j.pt).fill(pt=ev.Muon.pt), ev.Count())}


def want_many_at_once(r: Raw) -> Any:
    m = r.sm["MET_pt"] > 20
    pt, mu = r.sm["Jet_pt"][m], r.sm["Muon_pt"][m]
    pt = pt[pt > 30]
    first = W.Reg(20, 0, 200, name="pt").Double().fill(pt=flat(pt))
    both = W.Reg(20, 0, 200, name="pt").Double().fill(pt=flat(pt)).fill(pt=flat(mu))
    return {"pt": first, "n": ak.num(pt), "both": (both, int(ak.sum(m)))}


def benchmark(t: Tables) -> Any:
    df = t.sm
    ev = df[df.Jet[df.Jet.pt > 40].Count() >= 2]
    return [
        H.Reg(100, 0, 200, name="met").Double().fill(met=df.MET.pt),
        H.Reg(100, 15, 60, name="pt").Double().fill(pt=df.Jet.pt),
        H.Reg(100, 15, 60, name="pt").Double().fill(pt=df.Jet[abs(df.Jet.eta) < 1].pt),
        H.Reg(100, 0, 200, name="met").Double().fill(met=ev.MET.pt),
    ]


def want_benchmark(r: Raw) -> Any:
    met, pt, eta = r.sm["MET_pt"], r.sm["Jet_pt"], r.sm["Jet_eta"]
    return [
        W.Reg(100, 0, 200, name="met").Double().fill(met=flat(met)),
        W.Reg(100, 15, 60, name="pt").Double().fill(pt=flat(pt)),
        W.Reg(100, 15, 60, name="pt").Double().fill(pt=flat(pt[abs(eta) < 1])),
        W.Reg(100, 0, 200, name="met").Double().fill(met=flat(met[ak.sum(pt > 40, axis=1) >= 2])),
    ]


def pairs_in_two_axes(t: Tables) -> Any:
    d = t.sm.Jet.map(lambda j: t.sm.Muon.map(lambda m: m.DeltaR(j)))
    return H.Reg(30, 0, 6, name="dr").Reg(10, 0, 200, name="met").Double().fill(dr=d, met=t.sm.MET.pt)


def want_pairs_in_two_axes(r: Raw) -> Any:
    d = delta_r(*pairs(r.sm.objects("Jet_", "eta", "phi"), r.sm.objects("Muon_", "eta", "phi")))
    met = ak.broadcast_arrays(r.sm["MET_pt"], d)[0]
    return W.Reg(30, 0, 6, name="dr").Reg(10, 0, 200, name="met").Double().fill(dr=flat(d), met=flat(met))


ROWS = [
    Row("11.10, 11.11", "categories that grow, text expressions, weights of the event", categories, want_categories),
    Row("11.11", "a text leaf fills categories", text_leaf, want_text_leaf, warns="516 entries have a text that is no category"),
    Row("11.10", "every kind of axis and storage", other_axes, want_other_axes, rel=1e-6),
    Row("11.11", "histograms and arrays in one container, filled after filters", many_at_once, want_many_at_once),
    Row("Q1 to Q4", "missing ET, jet pt, central jets, events with two jets", benchmark, want_benchmark),
    Row("11.11", "nested maps in two axes", pairs_in_two_axes, want_pairs_in_two_axes),
    Row(
        "R7, 11.11",
        "an entry of which any value is missing is left out",
        lambda t: (
            H.Reg(20, 0, 100, name="pt").Reg(10, 0, 200, name="met").Double().fill(pt=t.sm.Electron.First().pt, met=t.sm.MET.pt)
        ),
        lambda r: (
            W.Reg(20, 0, 100, name="pt")
            .Reg(10, 0, 200, name="met")
            .Double()
            .fill(pt=flat(r.sm["Electron_pt"][:, :1]), met=flat(r.sm["MET_pt"][ak.num(r.sm["Electron_pt"]) > 0]))
        ),
    ),
    Row(
        "R14",
        "numpy's last bin is closed, hist's is open",
        lambda t: [np.histogram(t.sm.PV.npvs, bins=5, range=(0, 10)), H.Reg(5, 0, 10, name="n").Double().fill(n=t.sm.PV.npvs)],
        lambda r: [
            np.histogram(r.sm["PV_npvs"].to_numpy(), bins=5, range=(0, 10)),
            W.Reg(5, 0, 10, name="n").Double().fill(n=r.sm["PV_npvs"].to_numpy()),
        ],
    ),
]


@table(ROWS)
def test_histogram(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def test_a_template_gives_its_axes_and_histograms_never_change(t: Tables, raw: Raw) -> None:  # 11.10
    template = W.Reg(20, 0, 100, name="pt").Weight()
    h = Histogram(template)
    filled = h.fill(pt=t.sm.Jet.pt)
    twice = make_local([filled.fill(pt=t.sm.Jet.pt), filled])
    want = W.Reg(20, 0, 100, name="pt").Weight().fill(pt=flat(raw.sm["Jet_pt"]))
    assert_same_histogram(twice[1], want)
    assert_same_histogram(twice[0], want + want)
    assert template.sum().value == 0


@pytest.mark.parametrize("chunk_events", [3, 300])
def test_partial_fills_merge_to_the_same_bits(chunk_events: int, t: Tables) -> None:  # 11.11
    h = categories(t)
    one, two = (make_local(h, chunk_events=chunk_events, workers=w) for w in (1, 2))
    assert one == two
    assert_same_histogram(one, make_local(h), rel=1e-12)


def test_units_that_do_not_go_together_warn_and_nothing_is_converted(t: Tables, raw: Raw) -> None:  # 11.14
    e, mu = t.phys.Electrons("Electrons"), t.sm.Muon
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = e.pt + e.m, e.pt / 1000 > 50, e.pt / e.m > 2, e.eta + e.phi, mu.pt + mu.mass, mu.dxy * mu.pt
    with pytest.warns(UserWarning, match="GeV"):
        mixed = mu.pt + mu.dxy
    with pytest.warns(UserWarning, match="cm"):
        _ = mu[lambda m: m.pt > m.dz]
    assert_same(make_local([mixed, e.pt]), [raw.sm["Muon_pt"] + raw.sm["Muon_dxy"], raw.phys["AnalysisElectronsAuxDyn.pt"]])
    assert "MeV" in e.pt.__doc__
    assert "GeV" in mu.pt.__doc__


MISTAKES = [
    Mistake("11.11", "an unknown axis", lambda t: H.Reg(5, 0, 1, name="pt").Double().fill(ptt=t.sm.Jet.pt), ("ptt", "'pt'")),
    Mistake(
        "11.11",
        "two collections",
        lambda t: H.Reg(5, 0, 1, name="a").Reg(5, 0, 1, name="b").Double().fill(a=t.sm.Jet.pt, b=t.sm.Muon.pt),
        ("Jet", "Muon"),
    ),
    Mistake(
        "11.11", "two tables", lambda t: H.Reg(5, 0, 1, name="a").Double().fill(a=t.sm.MET.pt).fill(a=t.zmm.M), ("two tables",)
    ),
    Mistake("11.11", "objects in place of a leaf", lambda t: H.Reg(5, 0, 1, name="a").Double().fill(a=t.sm.Jet), ("Jet",), ("pt",)),
    Mistake(
        "11.11", "text on a regular axis", lambda t: H.Reg(5, 0, 1, name="a").Double().fill(a=t.zmm["Type"]), ("text",), ("StrCat",)
    ),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
