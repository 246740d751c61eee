"""What users of coffea write: references, regions, pairs, beyond the numbered rows."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from semantics.equal import wide_sum
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
    dr = np.hypot(eta[:, 0] - eta[:, 1], dphi)
    charge = q[keep]
    return [
        ak.Array(np.sqrt(e**2 - x**2 - y**2 - z**2)),
        ak.Array(dr),
        charge[:, 0] * charge[:, 1],
        wide_sum(r.sm["Muon_pt"][keep], axis=1),
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
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
