"""Section 9, sources and results."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local, make_local_async, nanoaod_table, parquet_table, plan, render, tree_table
from semantics.equal import assert_same
from semantics.rows import Row, table

if TYPE_CHECKING:
    from pathlib import Path

    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data
E, T, J = "AnalysisElectronsAuxDyn.", "TruthElectronsAuxDyn.", "AnalysisJetsAuxDyn."


def accessor(t: Tables) -> Any:
    e = t.phys.Electrons("Electrons")
    return [e.pt, e.pt(), t.phys.AnalysisElectrons.eta, t.phys.Electrons("AnalysisElectrons").phi(), t.phys.Jets("Jets").m, e.m]


def want_accessor(r: Raw) -> Any:
    return [r.phys[E + "pt"], r.phys[E + "pt"], r.phys[E + "eta"], r.phys[E + "phi"], r.phys[J + "m"], r.phys[E + "m"]]


def derived(t: Tables) -> Any:
    p = t.phys.TruthParticles("TruthElectrons")
    return [p.pt, p.pt(), p.eta, p.phi, p[p.pt > 20000].eta]


def want_derived(r: Raw) -> Any:
    px, py, pz = (ak.values_astype(r.phys[T + n], "float64") for n in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    eta = np.arcsinh(pz / pt)
    return [pt, pt, eta, np.arctan2(py, px), eta[pt > 20000]]


def flat_and_jagged(t: Tables) -> Any:
    h, z = t.hzz, t.zmm
    return [
        h.Muon.Px,
        h.Jet[h.Jet.E > 50].Px,
        np.hypot(h.Muon.Px, h.Muon.Py),
        h[h.triggerIsoMu24].NPrimaryVertices,
        h.Muon.Charge.Sum(),
        h.MET_px,
        z.M,
        z[z.Q1 * z.Q2 == -1].M,
        z.Run,
        h.EventWeight,
    ]


def want_flat_and_jagged(r: Raw) -> Any:
    h, z = r.hzz, r.zmm
    return [
        h["Muon_Px"],
        h["Jet_Px"][h["Jet_E"] > 50],
        np.hypot(h["Muon_Px"], h["Muon_Py"]),
        h["NPrimaryVertices"][h["triggerIsoMu24"]],
        ak.sum(h["Muon_Charge"], axis=1),
        h["MET_px"],
        z["M"],
        z["M"][z["Q1"] * z["Q2"] == -1],
        z["Run"],
        h["EventWeight"],
    ]


def nanoaod(t: Tables) -> Any:
    d = t.dy
    return [
        d.run,
        d.event,
        d.luminosityBlock,
        d.HLT.IsoMu24,
        d.PV.npvs,
        d.Jet.pt,
        d.GenPart.pdgId,
        d.Flag.goodVertices,
        d.genWeight,
        d.nJet,
        d.LHEPdfWeight,
    ]


def want_nanoaod(r: Raw) -> Any:
    names = "run event luminosityBlock HLT_IsoMu24 PV_npvs Jet_pt GenPart_pdgId Flag_goodVertices genWeight nJet LHEPdfWeight"
    return [r.dy[n] for n in names.split()]


def list_valued(t: Tables) -> Any:
    j = t.phys.AnalysisJets
    return [
        j.NumTrkPt500,
        j.NumTrkPt500.Sum(),
        j.NumTrkPt500.Max(),
        j[j.pt > 30000].NumTrkPt500,
        j.NumTrkPt500[j.NumTrkPt500 > 3].Count(),
        j.NumTrkPt500 * j.pt,
    ]


def want_list_valued(r: Raw) -> Any:
    n, pt = r.phys[J + "NumTrkPt500"], r.phys[J + "pt"]
    return [n, ak.sum(n, axis=2), ak.max(n, axis=2), n[pt > 30000], ak.sum(n > 3, axis=2), n * pt]


def kinds(t: Tables) -> Any:
    return {
        "per event": t.tt.MET.pt,
        "whole": t.tt.event,
        "bytes": t.tt.Jet.nConstituents,
        "short": t.tt.Jet.genJetIdx,
        "flags": t.tt.GenPart.statusFlags,
        "truth": t.tt.Muon.tightId,
        "number": t.tt.Jet.Count().Sum(),
        "double": t.zmm.E1,
    }


def want_kinds(r: Raw) -> Any:
    names = "MET_pt event Jet_nConstituents Jet_genJetIdx GenPart_statusFlags Muon_tightId".split()
    labels = "per event,whole,bytes,short,flags,truth".split(",")
    found = {k: r.tt[n] for k, n in zip(labels, names, strict=True)}
    return {**found, "number": int(ak.sum(ak.num(r.tt["Jet_pt"]))), "double": r.zmm["E1"]}


def containers(t: Tables) -> Any:
    return {
        "list": [t.sm.Jet.pt, t.sm.Count()],
        "tuple": (t.sm.MET.pt, t.zmm.M),
        "nested": [{"a": (t.tt.MET.pt, [t.hzz.MET_px])}],
        "none": [],
    }


def want_containers(r: Raw) -> Any:
    return {
        "list": [r.sm["Jet_pt"], 1000],
        "tuple": (r.sm["MET_pt"], r.zmm["M"]),
        "nested": [{"a": (r.tt["MET_pt"], [r.hzz["MET_px"]])}],
        "none": [],
    }


def nothing_passes(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 1e9]
    none = t.sm.Jet[t.sm.Jet.pt > 1e9]
    return [
        ev.MET.pt,
        ev.Jet.pt,
        ev.Jet.map(lambda j: ev.Muon.pt),
        ev.Jet.Count(),
        none.pt,
        none.puId,
        ev.Electron.First().charge,
        t.zmm[t.zmm.M > 1e9]["Type"],
    ]


def want_nothing_passes(r: Raw) -> Any:
    m, j = r.sm["MET_pt"] > 1e9, r.sm["Jet_pt"] > 1e9
    rows = ak.cartesian([r.sm["Jet_pt"], r.sm["Muon_pt"]], nested=True)["1"][m]
    return [
        r.sm["MET_pt"][m],
        r.sm["Jet_pt"][m],
        rows,
        ak.num(r.sm["Jet_pt"])[m],
        r.sm["Jet_pt"][j],
        r.sm["Jet_puId"][j],
        ak.firsts(r.sm["Electron_charge"])[m],
        r.zmm["Type"][r.zmm["M"] > 1e9],
    ]


ROWS = [
    Row("9.6, R16, R17", "xAOD values as stored, by accessor and name, leaves as calls", accessor, want_accessor),
    Row("R17", "a truth container offers pt, eta and phi", derived, want_derived, rel=1e-6),
    Row("9.7", "flat trees and jagged branches, counters included", flat_and_jagged, want_flat_and_jagged),
    Row("9.7", "NanoAOD groups and top-level values", nanoaod, want_nanoaod),
    Row("9.8, R11", "a list-valued leaf adds an axis", list_valued, want_list_valued),
    Row("9.9", "whole numbers, bytes and truth values keep their kind; a scalar is one number", kinds, want_kinds),
    Row("9.10, R8", "containers come back as they were, over several tables", containers, want_containers),
    Row("9.12", "empty selections keep nesting and kinds", nothing_passes, want_nothing_passes, empty=True),
    Row(
        "9.14",
        "both leaves are delivered and added",
        lambda t: [t.sm.Jet.pt + t.sm.Jet.eta, t.sm.MET.pt + t.sm.MET.phi + t.sm.MET.pt],
        lambda r: [r.sm["Jet_pt"] + r.sm["Jet_eta"], r.sm["MET_pt"] + r.sm["MET_phi"] + r.sm["MET_pt"]],
    ),
]


@table(ROWS)
def test_source_or_result(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def test_several_files_are_one_table_in_order(t: Tables, raw: Raw) -> None:  # 9.13
    df = nanoaod_table([t.path("dy"), t.path("dy")])
    pt, met = raw.dy["Jet_pt"], raw.dy["MET_pt"]
    both = ak.concatenate([pt, pt])
    got = make_local([df.Jet.pt, df.Count(), df.MET.pt.Max(), df[df.Jet.Count() > 3].MET.pt])
    m = ak.num(pt) > 3
    assert_same(got, [both, 2 * len(pt), ak.max(met), ak.concatenate([met[m], met[m]])])


@pytest.mark.parametrize("chunk_events", [1, 7, 250, 100_000])
def test_results_do_not_depend_on_chunks(chunk_events: int, t: Tables) -> None:
    sm = t.sm
    sm.Jet["near"] = lambda j: sm.Muon[lambda m: m.DeltaR(j) < 0.4].Count()
    asked = [
        sm.Jet[sm.Jet.near == 0].pt,
        sm[sm.MET.pt > sm.MET.pt.Max() / 3].MET.phi,
        sm.Jet.Count().Sum(),
        sm.MET.pt[3:500:7],
        sm.MET.phi[-2],
    ]
    if chunk_events == 1:
        sm = nanoaod_table(t.path("dy"))
        asked = [sm.Jet.pt, sm.MET.pt.Max(), sm[sm.MET.pt > sm.MET.pt.Max() / 3].Jet.eta, sm.MET.pt[5:]]
    assert_same(make_local(asked, chunk_events=chunk_events, workers=2), make_local(asked))


def test_parquet_is_one_language_with_the_rest(tmp_path: Path, raw: Raw) -> None:  # 9.7
    jets = ak.zip({n: raw.sm[f"Jet_{n}"] for n in ("pt", "eta", "puId")})
    events = ak.zip({"Jet": jets, "met": raw.sm["MET_pt"], "run": raw.sm["run"]}, depth_limit=1)
    ak.to_parquet(events, str(tmp_path / "events.parquet"))
    df = parquet_table(tmp_path / "events.parquet")
    pt, eta = jets.pt, jets.eta
    got = make_local([df.Jet[df.Jet.pt > 30].eta, df[df.met > 30].Jet.pt, df.run, df.Jet.puId.Any(), df.Jet.pt / df.met])
    assert_same(got, [eta[pt > 30], pt[events.met > 30], raw.sm["run"], ak.any(jets.puId, axis=1), pt / events.met])


def test_async_inside_a_running_loop_and_several_at_once(t: Tables, raw: Raw) -> None:  # 9.11
    async def work() -> list[Any]:
        several = await asyncio.gather(make_local_async(t.sm.MET.pt), make_local_async([t.sm.Jet.pt, t.sm.Count()]))
        return [*several, make_local(t.sm.MET.phi)]

    assert_same(asyncio.run(work()), [raw.sm["MET_pt"], [raw.sm["Jet_pt"], 1000], raw.sm["MET_phi"]])


def test_each_distinct_leaf_is_read_once_and_only_where_used(t: Tables) -> None:  # 9.15, 9.16
    x, y = t.sm.Jet.pt, t.sm.Jet.eta
    text = str(plan([x + y + x, x[y > 0]]))
    assert text.count("Jet.phi") == 0
    assert render(x + y + x) == render(t.sm.Jet["pt"] + t.sm.Jet.eta + t.sm.Jet.pt)


def test_a_changed_expression_never_gives_the_former_result(t: Tables, raw: Raw) -> None:  # 9.17
    for cut in (30, 31, 30):
        assert_same(make_local(t.sm.Jet[t.sm.Jet.pt > cut].eta), raw.sm["Jet_eta"][raw.sm["Jet_pt"] > cut])


def test_changed_files_never_give_the_former_result(tmp_path: Path) -> None:  # 9.17
    import uproot

    file = tmp_path / "some.root"
    for values in ([1.0, 2.0], [3.0, 4.0, 5.0]):
        with uproot.recreate(file) as out:
            out["events"] = {"x": np.array(values)}
        assert make_local(tree_table(file, tree="events").x).tolist() == values
