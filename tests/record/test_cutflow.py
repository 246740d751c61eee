"""Cutflows, lists of events and explanations of single ones against coffea's PackedSelection, counting by hand and plain awkward."""

import json

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import (
    Histogram,
    cut,
    cutflow,
    event_list,
    explain,
    make_local,
    nanoaod_table,
    render,
    run_analysis,
    tree_table,
    vary,
    xaod_table,
)
from hep_flows.errors import AxisError, FieldError, LiteralError
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
    few = df[df.HLT.IsoMu24][:100][lambda e: e.MET.pt > 15]
    iso, met = make_local([df.HLT.IsoMu24, df.MET.pt])
    assert [(r.name, r.events) for r in cutflow(few)][1:3] == [("events.HLT.IsoMu24", ak.sum(iso)), ("events :100", 100)]
    want = [ak.sum(met[:100] > 15), ak.sum(iso & (met > 15)), 100]
    assert [r.events for r in cutflow(few, n_minus_one=True, weight=1.0)] == want


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


# Single events -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ids(data):
    events = uproot.open(data(SM))["Events"].arrays(["run", "luminosityBlock", "event"])
    return np.stack([np.asarray(events[n], "i8") for n in events.fields], axis=1)


@pytest.mark.parametrize(
    "of",
    [
        lambda ev: ev,
        lambda ev: ev.Jet.pt,
        lambda ev: ev.MET.pt.Sum(),
        lambda ev: Histogram.new.Reg(5, 0, 100).Double().fill(ev.MET.pt, weight=2.0),
    ],
)
def test_the_events_of_a_selection_are_listed(of, df, masks, ids):
    found = event_list(of(selected(df)))
    want = ids[np.asarray(masks["iso"] & masks["met"] & masks["jets"])]
    assert list(found) == [tuple(i) for i in want.tolist()]
    assert len(found) == len(want)
    assert found.array.fields == ["run", "lumi", "event"]
    assert np.array_equal(np.loadtxt(found.csv().splitlines()[1:], delimiter=",", dtype="i8"), want)


def test_the_first_selected_events_are_listed(df, masks, ids):
    assert list(event_list(df[df.HLT.IsoMu24][:7])) == [tuple(i) for i in ids[np.asarray(masks["iso"])][:7].tolist()]


def test_lists_by_variation_are_outputs_of_an_analysis_and_files(data, df, ids, tmp_path):
    def analysis(ev):
        d = vary(ev, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.25)})
        return {"all": event_list(ev[ev.MET.pt > 15].MET.pt), "jets": event_list(d[(d.Jet.pt > 40).Any()].Jet.eta)}

    fileset = {"a": {"files": {data(SM): "Events"}}}
    pt, met = make_local([df.Jet.pt, df.MET.pt])
    masks = {"nominal": ak.any(pt > 40, axis=1), "jesUp": ak.any(pt * np.float32(1.25) > 40, axis=1)}
    want = {v: [tuple(i) for i in ids[np.asarray(m)].tolist()] for v, m in masks.items()}
    for out in (None, tmp_path / "out"):
        done = run_analysis(analysis, fileset, out=out).values["a"]
        assert list(done["all"]) == [tuple(i) for i in ids[np.asarray(met > 15)].tolist()]
        assert {v: list(one) for v, one in done["jets"].items()} == want
    written = (tmp_path / "out" / "events" / "a" / "jets_jesUp.csv").read_text().splitlines()
    assert written == ["run,lumi,event", *[",".join(map(str, i)) for i in want["jesUp"]]]


@pytest.mark.parametrize("number", [0, 1, 2, 5, 17, 999])
def test_an_event_is_explained_cut_by_cut(number, df, masks, ids):
    run, lumi, event = ids[number].tolist()
    found = explain(selected(df).MET.pt, run=run, lumi=lumi, event=event)
    assert [(r.name, r.passes) for r in found] == [(n, bool(masks[n][number])) for n in ("iso", "met", "jets")]
    assert found.passes is all(r.passes for r in found)
    pt, met = make_local([df.Jet.pt, df.MET.pt])
    assert found.rows[1].values == {"events.MET.pt": met[number]}
    assert list(found.rows[2].values.values()) == [ak.sum(pt[number] > 30), pt[number].tolist()]
    assert str(found).splitlines()[0].startswith(f"run {run}, lumi {lumi}, event {event}: {'is' if found.passes else 'fails '}")
    assert found.passes == (tuple(ids[number].tolist()) in list(event_list(selected(df))))


def test_an_event_is_explained_in_each_variation(df, ids):
    pt = make_local(df.Jet.pt)
    number = next(i for i, p in enumerate(pt) if ak.any(p * np.float32(1.5) > 40) and not ak.any(p > 40))
    d = vary(df, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.5)})
    found = explain(d[(d.Jet.pt > 40).Any()], event=int(ids[number][2]))
    assert {v: one.passes for v, one in found.items()} == {"nominal": False, "jesUp": True}
    assert {v: one.rows[0].values["events.Jet.pt"] for v, one in found.items()} == {
        "nominal": pt[number].tolist(),
        "jesUp": (pt[number] * np.float32(1.5)).tolist(),
    }


def test_a_mask_that_is_missing_and_a_slice_are_explained(df, ids):
    muons = make_local(df.Muon.pt)
    number = next(i for i, m in enumerate(muons) if len(m) < 2 and i > 3)
    found = explain(df[:3][lambda e: e.Muon[1].pt > 0], event=int(ids[number][2]))
    assert [(r.name, r.passes) for r in found] == [("events :3", False), ("events.Muon.pt[1] > 0", None)]
    assert "missing" in str(found)
    assert explain(df[:3], event=int(ids[2][2])).passes


def test_events_of_other_schemas(data):
    atlas = xaod_table(data("PHYSLITE_example.root"))
    tree = uproot.open(data("PHYSLITE_example.root"))["CollectionTree"]
    event = tree["EventInfoAuxDyn.eventNumber"].array()[2]
    assert explain(atlas[atlas.AnalysisElectrons.Count() >= 0], event=int(event)).passes
    assert [e for _, _, e in event_list(atlas)] == tree["EventInfoAuxDyn.eventNumber"].array().tolist()
    flat = tree_table(data(SM), "Events")
    assert next(iter(event_list(flat, event_id=["run", "event"])))[0] == 194711


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda df: explain(df[df.MET.pt > 15], event=3), LiteralError, r"no event is called event=3 in Run2012B"),
        (
            lambda df: explain(df[df.MET.pt > 15], run=194711, event=263142897, lumi=1),
            LiteralError,
            "no event is called run=194711",
        ),
        (lambda df: explain(df, event=194711, event_id=["run"]), LiteralError, "1000 events are called event=194711"),
        (lambda df: explain(df, event=3.0), LiteralError, "event is a whole number, not 3.0"),
        (lambda df: explain(df, run=3, event=3, event_id=["event"]), LiteralError, "told apart by event alone"),
        (lambda df: explain(3, event=3), LiteralError, "an explanation is of an expression of events"),
        (lambda df: event_list(df.MET.pt.Sum() / df[df.MET.pt > 3].MET.pt.Sum()), LiteralError, "this is of several selections"),
        (lambda df: event_list(df, event_id="event"), LiteralError, "event_id is a list of leaves"),
        (lambda df: event_list(df, event_id=["evt"]), FieldError, "evt"),
        (lambda df: event_list(df, event_id=[df.MET.pt]), LiteralError, "known by whole numbers"),
        (lambda df: event_list(df, event_id=["run"] * 4), LiteralError, "not by 4 numbers"),
    ],
)
def test_what_is_no_single_event(wrong, error, says, df):
    with pytest.raises(error, match=says) as caught:
        wrong(df)
    assert caught.value.where.file == __file__


# The selections of the ADL benchmark queries, which book nothing ------------------------------------------------------------------

QUERIES = {
    "Q1": (lambda df: df.MET.pt, lambda e: []),
    "Q2": (lambda df: df.Jet.pt, lambda e: []),
    "Q3": (lambda df: df.Jet[abs(df.Jet.eta) < 1].pt, lambda e: []),
    "Q4": (lambda df: df[(df.Jet.pt > 40).Sum() >= 2].MET.pt, lambda e: [ak.sum(e.Jet_pt > 40, axis=1) >= 2]),
    "Q5": (
        lambda df: (
            df[(df.Muon.Count() >= 2) & df.Muon.Combinations(2, fields=("a", "b")).map(lambda p: opposite(p.a, p.b)).Any()].MET.pt
        ),
        lambda e: [ak.num(e.Muon_pt) >= 2, ak.any(opposite_by_hand(e), axis=1)],
    ),
    "Q6": (lambda df: df[df.Jet.Count() >= 3].Jet.pt.Max(), lambda e: [ak.num(e.Jet_pt) >= 3]),
    "Q7": (
        lambda df: df[df.Jet[df.Jet.pt > 30].Count() > 0][lambda ev: ev.Muon[ev.Muon.pt > 10].Count() == 0].Jet.pt.Sum(),
        lambda e: [ak.sum(e.Jet_pt > 30, axis=1) > 0, ak.sum(e.Muon_pt > 10, axis=1) == 0],
    ),
    "Q8": (
        lambda df: df[(df.Muon.Count() + df.Tau.Count() >= 3) & (df.Muon.Count() >= 1)][lambda ev: ev.MET.pt > 20].MET.pt,
        lambda e: [ak.num(e.Muon_pt) + ak.num(e.Tau_pt) >= 3, ak.num(e.Muon_pt) >= 1, e.MET_pt > 20],
    ),
}


def opposite(first, second):
    mass = (first + second).mass
    return (first.charge != second.charge) & (mass > 60) & (mass < 120)


def opposite_by_hand(events):
    import vector

    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "mass"}
    p4 = vector.zip({n: ak.values_astype(events[f"Muon_{m}"], np.float64) for n, m in names.items()})
    i, j = ak.unzip(ak.argcombinations(events.Muon_pt, 2))
    mass = (p4[i] + p4[j]).mass
    return (events.Muon_charge[i] != events.Muon_charge[j]) & (mass > 60) & (mass < 120)


@pytest.mark.parametrize("query", QUERIES)
def test_cutflows_of_the_queries_are_those_of_a_packed_selection(query, df, data):
    packed = pytest.importorskip("coffea.analysis_tools").PackedSelection()
    expression, by_hand = QUERIES[query]
    leaves = ["MET_pt", "Jet_pt", "Tau_pt", *[f"Muon_{n}" for n in ("pt", "eta", "phi", "mass", "charge")]]
    masks = [np.asarray(m) for m in by_hand(uproot.open(data(SM))["Events"].arrays(leaves))]
    names = [str(i) for i in range(len(masks))]
    for name, mask in zip(names, masks, strict=True):
        packed.add(name, mask)
    whole = expression(df)
    flow, loose = cutflow(whole), cutflow(whole, n_minus_one=True)
    assert [r.events for r in flow] == [1000, *[int(np.logical_and.reduce(masks[: i + 1]).sum()) for i in range(len(masks))]]
    if masks:
        assert [r.events for r in flow] == [int(n) for n in packed.cutflow(*names).result().nevcutflow]
    if len(masks) > 1:  # Of a single one, coffea leaves out none.
        assert [r.events for r in loose] == [int(n) for n in packed.nminusone(*names).result().nev[1 : 1 + len(masks)]]
