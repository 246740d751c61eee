"""What users of numpy and awkward try first, beyond the numbered rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local
from semantics.equal import assert_same, wide_sum
from semantics.files import pairs
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def awkward_functions(t: Tables) -> Any:
    j = t.sm.Jet
    return [
        ak.any(j.pt > 50, axis=-1),
        ak.all(j.pt > 20, axis=1),
        ak.sum(j.pt, axis=-1),
        ak.num(j),
        ak.num(j.pt, axis=1),
        ak.max(j.pt, axis=1),
        ak.firsts(j.pt),
        ak.firsts(j).eta,
        ak.fill_none(ak.firsts(j.pt), -1.0),
        ak.is_none(ak.firsts(j.pt)),
        ak.drop_none(ak.firsts(j.pt), axis=0),
        ak.where(j.eta > 0, j.pt, 0.0),
        ak.flatten(j.map(lambda j: t.sm.Muon.pt), axis=2),
        ak.mean(j.pt, axis=1),
        ak.sum(t.sm.PV.npvs),
        ak.sum(j.puId),
        ak.max(j.pt),
    ]


def want_awkward_functions(r: Raw) -> Any:
    pt, eta = r.sm["Jet_pt"], r.sm["Jet_eta"]
    first = ak.firsts(pt)
    return [
        ak.any(pt > 50, axis=-1),
        ak.all(pt > 20, axis=1),
        wide_sum(pt, axis=-1),
        ak.num(pt),
        ak.num(pt),
        ak.max(pt, axis=1),
        first,
        ak.firsts(eta),
        ak.values_astype(ak.fill_none(first, -1.0), "float32"),
        ak.is_none(first),
        ak.drop_none(first),
        ak.where(eta > 0, pt, np.float32(0)),
        ak.flatten(pairs(pt, r.sm["Muon_pt"])[1], axis=2),
        ak.mask(wide_sum(pt, axis=1) / ak.num(pt), ak.num(pt) > 0),
        int(ak.sum(r.sm["PV_npvs"])),
        int(ak.sum(r.sm["Jet_puId"])),
        ak.max(pt),
    ]


def numpy_functions(t: Tables) -> Any:
    j = t.sm.Jet
    g = t.tt.GenPart
    return [
        g[np.isin(abs(g.pdgId), [11, 13])].pt,
        np.isin(t.tt.Muon.charge, (1,), invert=True),
        np.clip(j.pt, 25, 60),
        np.clip(j.pt, None, 60.0),
        np.round(j.eta, 1),
        round(j.eta, 2),
        np.sum(j.puId),
        np.max(j.pt),
        np.any(j.pt > 500),
        np.maximum(j.pt, t.sm.MET.pt),
        np.count_nonzero(j.puId),
        np.isclose(j.pt, j.pt * 1.000001),
        np.arctan2(np.sin(j.phi - t.sm.MET.phi), np.cos(j.phi - t.sm.MET.phi)),
        np.float_power(j.pt, 2),
        np.mean(t.sm.PV.npvs),
    ]


def want_numpy_functions(r: Raw) -> Any:
    pt, eta, phi, met = r.sm["Jet_pt"], r.sm["Jet_eta"], r.sm["Jet_phi"], r.sm["MET_pt"]
    pdg = abs(r.tt["GenPart_pdgId"])
    d = phi - r.sm["MET_phi"]
    return [
        r.tt["GenPart_pt"][(pdg == 11) | (pdg == 13)],
        r.tt["Muon_charge"] != 1,
        np.minimum(np.maximum(pt, 25), 60),
        np.minimum(pt, 60.0),
        ak.round(eta, 1),
        ak.round(eta, 2),
        int(ak.sum(r.sm["Jet_puId"])),
        ak.max(pt),
        bool(ak.any(pt > 500)),
        np.maximum(*ak.broadcast_arrays(pt, met)),
        int(ak.sum(r.sm["Jet_puId"])),
        abs(pt - pt * 1.000001) <= 1e-8 + 1e-5 * abs(pt * 1.000001),
        np.arctan2(np.sin(d), np.cos(d)),
        np.float_power(pt, 2),
        float(np.mean(r.sm["PV_npvs"].to_numpy())),
    ]


def slices_of_events(t: Tables) -> Any:
    df = t.sm
    some = df[:10]
    return [
        some.MET.pt,
        some.Jet.pt,
        df[990:].Jet[:1].eta,
        df[::100].Muon.Count(),
        some.Count(),
        df[df.MET.pt > 30][:5].MET.phi,
        df[-3:].MET.pt,
        df.MET.pt[:4],
    ]


def want_slices_of_events(r: Raw) -> Any:
    met, pt = r.sm["MET_pt"], r.sm["Jet_pt"]
    return [
        met[:10],
        pt[:10],
        r.sm["Jet_eta"][990:][:, :1],
        ak.num(r.sm["Muon_pt"])[::100],
        10,
        r.sm["MET_phi"][met > 30][:5],
        met[-3:],
        met[:4],
    ]


def records(t: Tables) -> Any:
    j = t.sm.Jet
    zipped = ak.zip({"pt": j.pt, "eta": j.eta, "met": t.sm.MET.pt})
    return [
        j[["pt", "eta"]],
        j[j.pt > 30][["pt", "puId"]],
        zipped,
        zipped[zipped.pt > 30].met,
        zipped.met,
        ak.zip((j.pt, j.phi)),
        t.sm.MET[["pt", "phi"]],
    ]


def want_records(r: Raw) -> Any:
    pt, eta, phi, ok = (r.sm[f"Jet_{n}"] for n in ("pt", "eta", "phi", "puId"))
    met = ak.broadcast_arrays(r.sm["MET_pt"], pt)[0]
    two = ak.zip({"0": pt, "1": phi})
    event = ak.zip({"pt": r.sm["MET_pt"], "phi": r.sm["MET_phi"]})
    return [
        ak.zip({"pt": pt, "eta": eta}),
        ak.zip({"pt": pt[pt > 30], "puId": ok[pt > 30]}),
        ak.zip({"pt": pt, "eta": eta, "met": met}),
        met[pt > 30],
        met,
        two,
        event,
    ]


def whole_objects(t: Tables) -> Any:
    taus = t.sm.Tau[t.sm.Tau.pt > 25]
    return [t.sm.MET, taus[["pt", "charge"]].First()]


def want_whole_objects(r: Raw) -> Any:
    met = ak.zip({n: r.sm[f"MET_{n}"] for n in ("pt", "phi", "sumet", "significance", "CovXX", "CovXY", "CovYY")})
    m = r.sm["Tau_pt"] > 25
    return [met, ak.firsts(ak.zip({"pt": r.sm["Tau_pt"][m], "charge": r.sm["Tau_charge"][m]}))]


def bits(t: Tables) -> Any:
    g = t.tt.GenPart
    last, hard = (g.statusFlags & (1 << 13)) != 0, (g.statusFlags >> 7) & 1
    return [
        g[last].pdgId,
        hard,
        g[last & (hard == 1)].pt,
        g.statusFlags | 1,
        g.statusFlags ^ g.statusFlags,
        t.tt.Jet.jetId & 2 == 2,
    ]


def want_bits(r: Raw) -> Any:
    flags = r.tt["GenPart_statusFlags"]
    last, hard = (flags & (1 << 13)) != 0, (flags >> 7) & 1
    return [
        r.tt["GenPart_pdgId"][last],
        hard,
        r.tt["GenPart_pt"][last & (hard == 1)],
        flags | 1,
        flags ^ flags,
        r.tt["Jet_jetId"] & 2 == 2,
    ]


def small_integers(t: Tables) -> Any:
    j, mu = t.tt.Jet, t.tt.Muon
    return [
        j.nConstituents + 1,
        j.nConstituents * 2.0,
        j.nMuons - j.nElectrons,
        j.nConstituents / j.nMuons,
        j.nConstituents.Sum(),
        -mu.charge,
        j.nConstituents > 300,
        t.tt.PV.npvs - 1,
        t.tt.PV.npvs.Max(),
    ]


def want_small_integers(r: Raw) -> Any:
    n, m, e = (ak.values_astype(r.tt[f"Jet_{x}"], "int32") for x in ("nConstituents", "nMuons", "nElectrons"))
    return [
        n + 1,
        n * 2.0,
        m - e,
        n / m,
        ak.sum(n, axis=1),
        -ak.values_astype(r.tt["Muon_charge"], "int32"),
        n > 255,
        ak.values_astype(r.tt["PV_npvs"], "int32") - 1,
        int(ak.max(r.tt["PV_npvs"])),
    ]


ROWS = [
    Row("awkward", "awkward's functions are recorded", awkward_functions, want_awkward_functions, rel=1e-6),
    Row("numpy", "numpy's functions are recorded", numpy_functions, want_numpy_functions, rel=1e-6),
    Row("numpy", "slices of events", slices_of_events, want_slices_of_events),
    Row("awkward", "lists of names and zips give records, event values beside objects", records, want_records),
    Row("awkward", "whole objects", whole_objects, want_whole_objects),
    Row("numpy", "bits of flags", bits, want_bits),
    Row("numpy", "small integers are 32 bits wide in arithmetic", small_integers, want_small_integers),
]


@table(ROWS)
def test_usual_spelling(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


MISTAKES = [
    Mistake("awkward", "an unknown function", lambda t: ak.run_lengths(t.sm.Jet.pt), ("ak.run_lengths",)),
    Mistake("awkward", "flattening events away", lambda t: ak.flatten(t.sm.Jet.pt), ("ak.flatten",)),
    Mistake("awkward", "an unknown keyword", lambda t: ak.sum(t.sm.Jet.pt, axis=1, keepdims=True), ("keepdims",)),
    Mistake("awkward", "sum over events of jagged values", lambda t: ak.sum(t.sm.Jet.pt, axis=0), ("axis 0",)),
    Mistake("python", "sum()", lambda t: sum(t.sm.Jet.pt), ("Sum",), ("make_local",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_a_whole_event_comes_with_its_collections(t: Tables, raw: Raw) -> None:
    got = make_local(t.zmm[:3])
    assert_same(got["M"], raw.zmm["M"][:3])
    assert set(got.fields) == set(raw.zmm.tree.keys())
    jets = make_local(t.sm.Jet[t.sm.Jet.pt > 30])
    assert_same(jets.eta, raw.sm["Jet_eta"][raw.sm["Jet_pt"] > 30])
    assert set(jets.fields) == {"pt", "eta", "phi", "mass", "puId", "btag"}
