"""Columns on matched objects, lambdas on views of views, maps in maps: what the rows do when they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from semantics.equal import wide_sum
from semantics.files import delta_r, pairs
from semantics.rows import Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data
ZERO = np.float32(0)


def near(muons: Any, j: Any) -> Any:
    return muons[lambda m: m.DeltaR(j) < 0.4]


def jets_with_muons(t: Tables) -> Any:
    t.sm.Jet["mus"] = lambda j: near(t.sm.Muon, j)
    return t.sm.Jet


def distances(r: Raw) -> Any:
    return delta_r(*pairs(r.sm.objects("Jet_", "eta", "phi"), r.sm.objects("Muon_", "eta", "phi")))


def columns_of_matched(t: Tables) -> Any:
    j = jets_with_muons(t)
    j.mus["z"] = lambda m: m.pt * 2
    return [j.mus.z, j.mus[j.mus.z > 20].z, j[j.pt > 30].mus.z]


def want_columns_of_matched(r: Raw) -> Any:
    z = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])[1][distances(r) < 0.4] * 2
    return [z, z[z > 20], z[r.sm["Jet_pt"] > 30]]


def cuts_on_matched(t: Tables) -> Any:
    j = jets_with_muons(t)
    mu = j.mus
    return [
        mu[mu.pt > 10].pt,
        mu[j.pt > 50].pt,
        mu[t.sm.MET.pt > 20].pt,
        mu.pt.Max(),
        mu[0].pt,
        mu.First().charge,
        mu[mu.charge > 0].Count().Sum(),
        mu.pt / j.pt,
        mu.pt.Sum() / j.pt,
        mu[mu.pt == mu.pt.Max()].charge,
    ]


def want_cuts_on_matched(r: Raw) -> Any:
    n, jet = distances(r) < 0.4, r.sm["Jet_pt"]
    pt, q = (pairs(jet, r.sm[f"Muon_{name}"])[1][n] for name in ("pt", "charge"))
    met, hard = (ak.broadcast_arrays(x, pt)[0] for x in (r.sm["MET_pt"] > 20, jet > 50))
    top = ak.max(pt, axis=2)
    return [
        pt[pt > 10],
        pt[hard],
        pt[met],
        top,
        ak.firsts(pt, axis=2),
        ak.firsts(q, axis=2),
        ak.sum(ak.sum(q > 0, axis=2), axis=1),
        pt / jet,
        wide_sum(pt, axis=2) / jet,
        q[pt == ak.fill_none(top, ZERO)],
    ]


def indices_in_maps(t: Tables) -> Any:
    j, mu = t.sm.Jet, t.sm.Muon
    return [
        j.map(lambda j: near(mu, j)[:1].pt),
        j.map(lambda j: near(mu, j)[0].pt),
        j.map(lambda j: near(mu, j).pt[-1]),
        j.map(lambda j: mu[1].pt),
        j.map(lambda j: mu.pt[::-1]),
    ]


def want_indices_in_maps(r: Raw) -> Any:
    m = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])[1]
    n = m[distances(r) < 0.4]
    return [n[:, :, :1], ak.firsts(n, axis=2), ak.firsts(n[:, :, ::-1], axis=2), ak.firsts(m[:, :, 1:], axis=2), m[:, :, ::-1]]


def maps_over_lists(t: Tables) -> Any:
    x = t.phys.AnalysisJets
    n = x.NumTrkPt500
    return [
        n.map(lambda row: row.Max()),
        x.map(lambda j: j.NumTrkPt500.map(lambda n: n * 2)),
        x.map(lambda j: j.NumTrkPt500[j.NumTrkPt500 > j.NumTrkPt500.Max() / 2].Count()),
        x.map(lambda j: j.NumTrkPt500.Sum() / j.pt),
        n[1:],
        n.Sum().Sum().Sum(),
    ]


def want_maps_over_lists(r: Raw) -> Any:
    n, pt = r.phys["AnalysisJetsAuxDyn.NumTrkPt500"], r.phys["AnalysisJetsAuxDyn.pt"]
    top = ak.max(n, axis=2)
    return [top, n * 2, ak.sum(n > top / 2, axis=2), ak.sum(n, axis=2) / pt, n[:, :, 1:], int(ak.sum(n))]


def indices_that_are_expressions(t: Tables) -> Any:
    mu, g, j = t.tt.Muon, t.tt.GenPart, t.tt.Jet
    return [mu.map(lambda m: g[m.genPartIdx].pt), j[j.Count() - 1].pt, mu.map(lambda m: j[m.jetIdx].pt / m.pt)]


def want_indices_that_are_expressions(r: Raw) -> Any:
    g, i = r.tt["Muon_genPartIdx"], r.tt["Muon_jetIdx"]
    jet = r.tt["Jet_pt"]
    return [r.tt["GenPart_pt"][ak.mask(g, g >= 0)], ak.firsts(jet[:, ::-1]), jet[ak.mask(i, i >= 0)] / r.tt["Muon_pt"]]


def collections_beside_an_element(t: Tables) -> Any:
    j, mu = t.sm.Jet, t.sm.Muon
    return [
        j[j.map(lambda j: ~(mu.DeltaR(j) < 0.4).Any())].pt,
        j[lambda js: js.map(lambda j: (mu.DeltaR(j) < 0.4).Sum()) == 0].pt,
        j.map(mu.DeltaR).Min(),
    ]


def want_collections_beside_an_element(r: Raw) -> Any:
    d = distances(r)
    clean = r.sm["Jet_pt"][~ak.any(d < 0.4, axis=2)]
    return [clean, clean, ak.min(d, axis=2)]


def lambdas_on_views_of_views(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 10]
    hard = ev.Jet[ev.Jet.pt > 25]
    hard["n"] = lambda j: hard[lambda k: k.pt > j.pt].Count()
    hard["iso"] = lambda j: ev.Muon.map(lambda m: m.DeltaR(j)).Min()
    return [hard[hard.n == 0].pt, hard[hard.n == 0].iso, hard[hard.iso < 1].n, hard.n.Max()]


def want_lambdas_on_views_of_views(r: Raw) -> Any:
    keep = r.sm["MET_pt"] > 10
    j, mu = r.sm.objects("Jet_", "pt", "eta", "phi")[keep], r.sm.objects("Muon_", "eta", "phi")[keep]
    j = j[j.pt > 25]
    mine, others = pairs(j.pt, j.pt)
    n, iso = ak.sum(others > mine, axis=2), ak.min(delta_r(*pairs(j, mu)), axis=2)
    return [j.pt[n == 0], iso[n == 0], n[ak.fill_none(iso < 1, value=False, axis=1)], ak.max(n, axis=1)]


def records_of_pairs(t: Tables) -> Any:
    mu = t.sm.Muon
    z = t.sm.Jet.map(lambda j: mu.map(lambda m: {"d": m.pt - j.pt, "j": j.pt, "met": t.sm.MET.pt}))
    return [z.d, z.j, z.met, z[z.d > 0].met, z.j.Max(), z[0].met]


def want_records_of_pairs(r: Raw) -> Any:
    j, m = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])
    met = ak.broadcast_arrays(r.sm["MET_pt"], j)[0]
    return [m - j, j, met, met[m - j > 0], ak.max(j, axis=2), ak.firsts(met, axis=2)]


ROWS = [
    Row("7.15", "columns of matched objects", columns_of_matched, want_columns_of_matched),
    Row("7.10", "cuts and aggregates of matched objects", cuts_on_matched, want_cuts_on_matched, rel=1e-6),
    Row("8.5", "indices and slices inside maps", indices_in_maps, want_indices_in_maps),
    Row("8.2", "maps over list-valued leaves", maps_over_lists, want_maps_over_lists),
    Row("11.3", "indices that are expressions, inside maps too", indices_that_are_expressions, want_indices_that_are_expressions),
    Row("8.3", "a whole collection beside an element", collections_beside_an_element, want_collections_beside_an_element, rel=1e-5),
    Row("7.11", "lambda columns on views of views", lambdas_on_views_of_views, want_lambdas_on_views_of_views, rel=1e-5),
    Row("8.18", "records of pairs: each member is one for each pair", records_of_pairs, want_records_of_pairs),
]


@table(ROWS)
def test_deeper_nesting(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)
