"""Cutflows against coffea's PackedSelection and counting by hand."""

import json

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, cut, cutflow, make_local, nanoaod_table, render, run_analysis, vary
from hep_flows.errors import AxisError, LiteralError
from hep_flows.execute.joint import Cutflow

pytestmark = pytest.mark.data

SM = "Run2012B_SingleMu_1000.root"


@pytest.fixture
def df(data):
    return nanoaod_table(data(SM))


@pytest.fixture
def masks(data):
    events = uproot.open(data(SM))["Events"].arrays(["HLT_IsoMu24", "MET_pt", "Jet_pt", "PV_npvs"])
    return {
        "iso": events.HLT_IsoMu24,
        "met": events.MET_pt > 15,
        "jets": ak.sum(events.Jet_pt > 30, axis=1) >= 1,
        "w": np.asarray(events.PV_npvs, "f8"),
    }


def selection(masks):
    packed = pytest.importorskip("coffea.analysis_tools").PackedSelection()
    for name in ("iso", "met", "jets"):
        packed.add(name, np.asarray(masks[name]))
    return packed


def selected(df):
    ev = df[cut("iso", df.HLT.IsoMu24)]
    return ev[cut("met", ev.MET.pt > 15) & cut("jets", (ev.Jet.pt > 30).Sum() >= 1)]


@pytest.mark.parametrize(
    "of",
    [
        lambda ev: ev,
        lambda ev: ev.MET.pt,
        lambda ev: ev.Jet[ev.Jet.pt > 20].pt,
        lambda ev: ev.MET.pt + ev.Jet.pt.Sum(),
        lambda ev: ev.MET.pt.Sum(),
        lambda ev: ev.Count(),
        lambda ev: Histogram.new.Reg(5, 0, 100).Double().fill(ev.MET.pt),
        lambda ev: Histogram.new.Reg(5, 0, 100).Double().fill(ev.MET.pt, weight=2.0).fill(ev.Jet.pt) * 3.0,
        lambda ev: ev.Jet.With(pt=ev.Jet.pt * 2).pt,
        lambda ev: ev.Jet.map(lambda j: ev.Muon.pt.Sum() / j.pt),
        lambda ev: Histogram.new.Reg(5, 0, 100).Weight().fill(ev.Jet.pt, weight=ev.PV.npvs * 2.0),
    ],
)
def test_rows_are_those_of_a_packed_selection(of, df, masks):
    want = selection(masks).cutflow("iso", "met", "jets").result()
    flow = cutflow(of(selected(df)), weight=df.PV.npvs)
    assert [r.name for r in flow] == ["all events", "iso", "met", "jets"]
    assert [r.events for r in flow] == [int(n) for n in want.nevcutflow]
    cuts = [masks["iso"], masks["iso"] & masks["met"], masks["iso"] & masks["met"] & masks["jets"]]
    assert [r.sumw for r in flow] == [masks["w"].sum(), *[masks["w"][np.asarray(c)].sum() for c in cuts]]


def test_one_cut_is_left_out(df, masks):
    want = selection(masks).nminusone("iso", "met", "jets").result()
    flow = cutflow(selected(df), n_minus_one=True)
    assert {r.name: r.events for r in flow} == dict(zip(("iso", "met", "jets"), [int(n) for n in want.nev[1:4]], strict=True))


def test_a_number_over_selected_events_stays_what_it_is_when_a_cut_is_left_out(df, masks):
    ev = df[cut("iso", df.HLT.IsoMu24)]
    most = ev.MET.pt.Max()
    flow = cutflow(ev[cut("half", ev.MET.pt > most / 2)], n_minus_one=True)
    met = make_local(df.MET.pt)
    limit = ak.max(met[masks["iso"]]) / np.float32(2)
    assert flow["iso"].events == int(ak.sum(met > limit))
    assert flow["half"].events == int(ak.sum(masks["iso"]))


def test_objects_that_are_selected_are_no_cuts(df):
    jets = df.Jet[df.Jet.pt > 30]
    assert [r.events for r in cutflow(jets.pt)] == [1000]
    assert len(cutflow(df[jets.Count() > 1].Jet[lambda j: j.eta > 0])) == 2


def test_a_name_changes_no_key(df):
    mask = df.MET.pt > 15
    assert render(df[cut("a", mask)].MET.pt) == render(df[mask].MET.pt)
    assert ak.array_equal(make_local(df[cut("a", mask)].MET.pt + df[mask].MET.pt), make_local(df[mask].MET.pt * 2))


def test_or_is_one_cut_and_a_named_and_too(df):
    a, b, c = df.HLT.IsoMu24, df.MET.pt > 15, df.Jet.Count() >= 1
    assert len(cutflow(df[a | b])) == 2
    assert len(cutflow(df[a & b & c])) == 4
    assert len(cutflow(df[cut("both", a & b) & c])) == 3
    assert [r.events for r in cutflow(df[a][b[a]])] == [r.events for r in cutflow(df[a & b])]


def test_the_first_events_are_a_row(df):
    flow = cutflow(df[:100][lambda e: e.MET.pt > 15])
    assert [r.events for r in flow][:2] == [1000, 100]


def test_per_variation(df):
    d = vary(df, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.25)})
    flow = cutflow(d[(d.Jet.pt > 40).Any() & (d.MET.pt > 15)], weight=vary(d.PV.npvs * 1.0, "pu", up=d.PV.npvs * 2.0))
    assert list(flow) == ["nominal", "jesUp", "puUp"]
    pt, met, w = make_local([df.Jet.pt, df.MET.pt, df.PV.npvs * 1.0])
    for name, f, scale in (("nominal", 1.0, 1.0), ("jesUp", 1.25, 1.0), ("puUp", 1.0, 2.0)):
        first = ak.any(pt * np.float32(f) > 40, axis=1)
        assert [r.events for r in flow[name]] == [1000, int(ak.sum(first)), int(ak.sum(first & (met > 15)))]
        assert flow[name][1].sumw == float(np.sum(np.asarray(w[first]) * scale))


def test_what_shows_it(df):
    flow = cutflow(selected(df), weight=df.PV.npvs)
    text = str(flow)
    assert [line.split()[0] for line in text.splitlines()] == ["cut", "all", "iso", "met", "jets"]
    assert "%" in text
    assert flow.csv().splitlines()[1].startswith("all events,1000,")
    assert r"\begin{tabular}" in flow.latex()
    assert flow.hist()["met"] == flow["met"].sumw
    assert "<table>" in flow._repr_html_()
    with pytest.raises(KeyError, match="no cut is called 'Met'"):
        flow["Met"]


def test_names_of_cuts_are_shown_without_what_hides(df):
    flow = cutflow(df[cut("a & b_1\x1b[31m", df.MET.pt > 15)])
    assert "\x1b" not in str(flow)
    assert r"a \& b\_1" in flow.latex()


def test_as_an_output_and_in_its_files(data, tmp_path):
    def analysis(ev):
        return {"flow": cutflow(selected(ev), weight=ev.PV.npvs), "loose": cutflow(selected(ev), n_minus_one=True)}

    done = run_analysis(analysis, {"a": {"files": {data(SM): "Events"}}}, out=tmp_path / "out")
    flow = done.values["a"]["flow"]
    assert isinstance(flow, Cutflow)
    assert flow[0].events == 1000
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert numbers["a"]["flow"] == flow.as_json()


@pytest.mark.parametrize("n_minus_one", [False, True])
@pytest.mark.parametrize("factor", [lambda df: 2.5, lambda df: df.PV.npvs.Sum()])
def test_one_number_may_be_the_weight_of_each_event(factor, n_minus_one, df):
    flow = cutflow(selected(df), weight=factor(df), n_minus_one=n_minus_one)
    assert [r.sumw for r in flow] == [r.events * make_local([df.Count(), df.Count() * factor(df) / df.Count()])[1] for r in flow]


def test_a_mask_that_is_missing_is_false_in_every_row(df):
    muon, jet = make_local([df.Muon.pt.Max(), df.Jet.pt.Max()])
    masks = [np.asarray(ak.fill_none(m, False)) for m in (muon > 20, jet > 30)]
    cuts = (df.Muon.pt.Max() > 20) & (df.Jet.pt.Max() > 30)
    assert [r.events for r in cutflow(df[cuts])] == [1000, masks[0].sum(), (masks[0] & masks[1]).sum()]
    assert [r.events for r in cutflow(df[cuts], n_minus_one=True)] == [masks[1].sum(), masks[0].sum()]


def test_weights_and_cuts_vary(df):
    d = vary(df, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.5)})
    weight = vary(df.PV.npvs * 1.0, "pu", up=df.PV.npvs * 2.0)
    flow = cutflow(d[(d.Jet.pt > 40).Sum() > 1], weight=weight)
    jets, n = make_local([df.Jet.pt, df.PV.npvs])
    mask = {v: np.asarray(ak.sum(jets * np.float32(f) > 40, axis=1) > 1) for v, f in (("nominal", 1), ("jesUp", 1.5), ("puUp", 1))}
    scale = {"nominal": 1.0, "jesUp": 1.0, "puUp": 2.0}
    assert {v: [(r.events, r.sumw) for r in rows] for v, rows in flow.items()} == {
        v: [(1000, ak.sum(n) * scale[v]), (m.sum(), ak.sum(n[m]) * scale[v])] for v, m in mask.items()
    }


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda df: cutflow(3), LiteralError),
        (lambda df: cutflow(df[df.MET.pt > 15].MET.pt.Sum() / df.MET.pt.Sum()), LiteralError),
        (lambda df: cutflow(Histogram.new.Reg(5, 0, 9).Double().fill(df.MET.pt).fill(df[df.MET.pt > 15].MET.pt)), LiteralError),
        (lambda df: cutflow(df, weight=df.Muon.pt.Max()), LiteralError),
        (lambda df: cutflow(df.MET.pt, weight=df.Jet.pt), AxisError),
        (lambda df: cutflow(df[df.MET.pt > 15], weight=df[df.MET.pt > 15].MET.pt), AxisError),
        (lambda df: cut("", df.MET.pt > 15), LiteralError),
        (lambda df: cut("a", True), LiteralError),
        (lambda df: cut("a", df.MET.pt), LiteralError),
        (lambda df: cut(df.MET.pt > 15, "a"), LiteralError),
    ],
)
def test_what_is_no_cut(wrong, error, df):
    with pytest.raises(error) as caught:
        wrong(df)
    assert caught.value.where is not None
