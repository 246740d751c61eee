"""What users of numpy, awkward and coffea try first, beyond the numbered rows."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local
from semantics.equal import assert_same
from semantics.files import pairs
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def gathered(t: Tables) -> Any:
    tt = t.tt
    tt.Muon["gen"] = tt.GenPart[tt.Muon.genPartIdx]
    mother = tt.GenPart[tt.GenPart.genPartIdxMother]
    return [
        tt.GenPart[tt.Muon.genPartIdx].pt,
        tt.Muon.gen.pdgId,
        tt.Muon[tt.Muon.gen.pt > 10].pt,
        mother.pdgId,
        tt.GenPart[mother.genPartIdxMother].pdgId,
        tt.GenJet[tt.Jet.genJetIdx].pt / tt.Jet.pt,
        tt.Jet[tt.Electron[tt.Electron.pt > 20].jetIdx].pt,
        tt.Muon.First().gen.pt,
    ]


def referred(target: Any, index: Any) -> Any:
    """Give the target's entry for each index, missing where negative: awkward's way."""
    return target[ak.mask(index, index >= 0)]


def want_gathered(r: Raw) -> Any:
    tt = r.tt
    gen, pdg, up = tt["GenPart_pt"], tt["GenPart_pdgId"], tt["GenPart_genPartIdxMother"]
    i = tt["Muon_genPartIdx"]
    mu = referred(gen, i)
    e = tt["Electron_jetIdx"][tt["Electron_pt"] > 20]
    return [
        mu,
        referred(pdg, i),
        tt["Muon_pt"][ak.fill_none(mu > 10, value=False, axis=1)],
        referred(pdg, up),
        pdg[ak.mask(referred(up, up), ak.fill_none(referred(up, up) >= 0, value=False, axis=1))],
        referred(tt["GenJet_pt"], tt["Jet_genJetIdx"]) / tt["Jet_pt"],
        referred(tt["Jet_pt"], e),
        ak.firsts(mu),
    ]


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
        ak.sum(pt, axis=-1),
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
        ak.values_astype(ak.mask(ak.sum(pt, axis=1) / ak.num(pt), ak.num(pt) > 0), "float32"),
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
    n, m, e = r.tt["Jet_nConstituents"], r.tt["Jet_nMuons"], r.tt["Jet_nElectrons"]
    return [
        n + 1,
        n * 2.0,
        m - e,
        n / m,
        ak.sum(n, axis=1),
        -r.tt["Muon_charge"],
        n > 255,
        r.tt["PV_npvs"] - 1,
        int(ak.max(r.tt["PV_npvs"])),
    ]


def region_masks(t: Tables) -> Any:
    sm = t.sm
    cuts = [sm.MET.pt > 20, sm.Jet.Count() >= 2, (sm.Muon.pt > 15).Any()]
    everything = functools.reduce(operator.and_, cuts)
    regions = {"all": everything, "not": ~everything, "one": cuts[0] ^ cuts[1]}
    return {name: [sm[m].MET.pt, sm[m].Jet[sm[m].Jet.pt > 30].eta, m.Sum()] for name, m in regions.items()}


def want_region_masks(r: Raw) -> Any:
    met, pt, eta = r.sm["MET_pt"], r.sm["Jet_pt"], r.sm["Jet_eta"]
    cuts = [met > 20, ak.num(pt) >= 2, ak.any(r.sm["Muon_pt"] > 15, axis=1)]
    everything = cuts[0] & cuts[1] & cuts[2]
    regions = {"all": everything, "not": ~everything, "one": cuts[0] ^ cuts[1]}
    return {name: [met[m], eta[m][pt[m] > 30], int(ak.sum(m))] for name, m in regions.items()}


def leading_pair(t: Tables) -> Any:
    mu = t.sm.Muon
    ev = t.sm[(mu.Count() == 2) & (mu.charge.Sum() == 0)]
    lead, sub = ev.Muon[0], ev.Muon[1]
    return [(lead + sub).mass, lead.DeltaR(sub), lead.charge * sub.charge, ev.Muon.pt.Sum(), ev.Count()]


def want_leading_pair(r: Raw) -> Any:
    q = r.sm["Muon_charge"]
    keep = (ak.num(q) == 2) & (ak.sum(q, axis=1) == 0)
    pt, eta, phi, m = (r.sm[f"Muon_{n}"][keep].to_numpy().astype("f8") for n in ("pt", "eta", "phi", "mass"))
    e = np.sqrt(m**2 + (pt * np.cosh(eta)) ** 2).sum(axis=1)
    x, y, z = ((pt * f).sum(axis=1) for f in (np.cos(phi), np.sin(phi), np.sinh(eta)))
    dphi = (phi[:, 0] - phi[:, 1] + np.pi) % (2 * np.pi) - np.pi
    dr = np.hypot(eta[:, 0] - eta[:, 1], dphi).astype("f4")
    charge = q[keep]
    return [
        ak.Array(np.sqrt(e**2 - x**2 - y**2 - z**2)),
        ak.Array(dr),
        charge[:, 0] * charge[:, 1],
        ak.sum(r.sm["Muon_pt"][keep], axis=1),
        int(ak.sum(keep)),
    ]


def transverse_mass(t: Tables) -> Any:
    mu, met = t.sm.Muon, t.sm.MET
    mu["mt"] = np.sqrt(2 * mu.pt * met.pt * (1 - np.cos(mu.phi - met.phi)))
    return [mu[mu.mt > 40].mt, t.sm[(mu.mt > 60).Any()].MET.pt, mu.mt.Max()]


def want_transverse_mass(r: Raw) -> Any:
    pt, phi = r.sm["Muon_pt"], r.sm["Muon_phi"]
    mt = np.sqrt(2 * pt * r.sm["MET_pt"] * (1 - np.cos(phi - r.sm["MET_phi"])))
    return [mt[mt > 40], r.sm["MET_pt"][ak.any(mt > 60, axis=1)], ak.max(mt, axis=1)]


ROWS = [
    Row("NanoAOD", "a stored index picks from what it refers to, missing where negative", gathered, want_gathered),
    Row("awkward", "awkward's functions are recorded", awkward_functions, want_awkward_functions, rel=1e-6),
    Row("numpy", "numpy's functions are recorded", numpy_functions, want_numpy_functions, rel=1e-6),
    Row("numpy", "slices of events", slices_of_events, want_slices_of_events),
    Row("awkward", "lists of names and zips give records, event values beside objects", records, want_records),
    Row("awkward", "whole objects", whole_objects, want_whole_objects),
    Row("numpy", "bits of flags", bits, want_bits),
    Row("numpy", "small integers keep numpy's rules", small_integers, want_small_integers),
    Row("coffea", "masks of regions, joined by reduce and reused", region_masks, want_region_masks),
    Row("coffea", "the leading pair", leading_pair, want_leading_pair, rel=1e-5),
    Row("coffea", "a transverse mass as a column", transverse_mass, want_transverse_mass, rel=1e-5),
]


@table(ROWS)
def test_usual_spelling(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


MISTAKES = [
    Mistake(
        "coffea",
        "an index into a view of what it refers to",
        lambda t: t.tt.GenPart[t.tt.GenPart.pt > 5][t.tt.Muon.genPartIdx],
        ("GenPart",),
    ),
    Mistake("coffea", "an index into another collection", lambda t: t.tt.Jet[t.tt.Muon.genPartIdx], ("GenPart", "Jet")),
    Mistake("awkward", "an unknown function", lambda t: ak.combinations(t.sm.Jet, 2), ("ak.combinations",)),
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
