"""Section 9, the paper's listings: matching on ATLAS PHYSLITE and on CMS NanoAOD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import define_alias, user_func
from semantics.files import delta_r, pairs
from semantics.rows import Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data
E, T = "AnalysisElectronsAuxDyn.", "TruthElectronsAuxDyn."
CUT = 20_000.0


@user_func
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float: ...


def sides(t: Tables) -> tuple[Any, Any]:
    define_alias("", "ptgev", lambda o: o.pt / 1000.0)
    truth = t.phys.TruthParticles("TruthElectrons")
    mc = truth[(truth.pdgId == 11) | (truth.pdgId == -11)]
    good_mc = mc[(mc.ptgev > 20) & (abs(mc.eta) < 1.4)]
    eles = t.phys.Electrons("Electrons")
    return eles[lambda e: (e.ptgev > 20) & (abs(e.eta) < 1.4)], good_mc


def associate(source: Any, pick_from: Any) -> Any:
    def very_near(picks: Any, p: Any) -> Any:
        return picks[lambda q: DeltaR(q.eta, q.phi, p.eta, p.phi) < 0.1]

    source["all"] = lambda p: very_near(pick_from, p)
    source["has_match"] = lambda p: p.all.Count() > 0
    matched = source[source.has_match]
    matched["mc"] = lambda p: p.all.First()
    return matched


def want_sides(r: Raw) -> tuple[Any, Any, Any]:
    px, py, pz = (ak.values_astype(r.phys[T + n], "float64") for n in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    mc = ak.zip({"pt": pt, "eta": np.arcsinh(pz / pt), "phi": np.arctan2(py, px), "pdgId": r.phys[T + "pdgId"]})
    mc = mc[abs(mc.pdgId) == 11]
    e = r.phys.objects(E, "pt", "eta", "phi", "charge")
    e, mc = (x[(x.pt / 1000 > 20) & (abs(x.eta) < 1.4)] for x in (e, mc))
    return e, mc, delta_r(*pairs(e, mc)) < 0.1


def listing_1(t: Tables) -> Any:
    eles = t.phys.Electrons("Electrons")
    good = eles[(eles.pt > 50000.0) & (abs(eles.eta) < 1.5)]
    return good.pt / 1000.0


def want_listing_1(r: Raw) -> Any:
    pt, eta = r.phys[E + "pt"], r.phys[E + "eta"]
    return (pt / 1000)[(pt > 50000) & (abs(eta) < 1.5)]


def listing_2(t: Tables) -> Any:
    matched = associate(*sides(t))
    return [matched.ptgev, matched.mc.ptgev, matched.mc.pdgId, matched.pt / matched.mc.pt]


def want_listing_2(r: Raw) -> Any:
    e, mc, near = want_sides(r)
    has = ak.any(near, axis=2)
    first = ak.firsts(pairs(e, mc)[1][near], axis=2)[has]
    return [e.pt[has] / 1000, first.pt / 1000, first.pdgId, e.pt[has] / first.pt]


def without_the_guard(t: Tables) -> Any:
    source, truth = sides(t)
    source["near"] = lambda p: truth[lambda q: q.DeltaR(p) < 0.1]
    source["mc"] = lambda p: p.near.First()
    return [source.mc.pt, source.mc.pt / source.pt, source[source.mc.pt > 30000].pt]


def want_without_the_guard(r: Raw) -> Any:
    e, mc, near = want_sides(r)
    first = ak.firsts(pairs(e, mc)[1][near], axis=2)
    return [first.pt, first.pt / e.pt, e.pt[ak.fill_none(first.pt > 30000, value=False, axis=1)]]


def about_the_matches(t: Tables) -> Any:
    source, truth = sides(t)
    matched = associate(source, truth)
    cut = source[lambda p: p.all[lambda q: q.pt > 40000].Count() > 0]
    return [
        source[~source.has_match].pt,
        source.all.Count(),
        source.all.pt,
        source.map(lambda p: p.all.First().pt),
        cut.pt,
        matched[matched.mc.pt > 40000].eta,
        matched.all.pt.Max(),
    ]


def want_about_the_matches(r: Raw) -> Any:
    e, mc, near = want_sides(r)
    has, partners = ak.any(near, axis=2), pairs(e, mc)[1]
    pt = partners.pt[near]
    first = ak.firsts(pt, axis=2)
    hard = ak.any(pt > 40000, axis=2)
    return [e.pt[~has], ak.sum(near, axis=2), pt, first, e.pt[hard], e.eta[has][first[has] > 40000], ak.max(pt[has], axis=2)]


def on_nanoaod(t: Tables) -> Any:
    g = t.tt.GenPart
    mc = g[((g.pdgId == 11) | (g.pdgId == -11)) & (g.status == 1)]

    def good(p: Any) -> Any:
        return (p.pt > 20) & (abs(p.eta) < 1.4)

    matched = associate(t.tt.Electron[good], mc[good])
    return [matched.pt, matched.mc.pt, matched.mc.status, matched.mc.pdgId * -1 == matched.charge * 11]


def want_on_nanoaod(r: Raw) -> Any:
    e = r.tt.objects("Electron_", "pt", "eta", "phi", "charge")
    g = r.tt.objects("GenPart_", "pt", "eta", "phi", "pdgId", "status")
    g = g[(abs(g.pdgId) == 11) & (g.status == 1)]
    e, g = (x[(x.pt > 20) & (abs(x.eta) < 1.4)] for x in (e, g))
    near = delta_r(*pairs(e, g)) < 0.1
    has = ak.any(near, axis=2)
    first = ak.firsts(pairs(e, g)[1][near], axis=2)[has]
    return [e.pt[has], first.pt, first.status, first.pdgId * -1 == e.charge[has] * 11]


def closest(t: Tables) -> Any:
    j, mu = t.sm.Jet, t.sm.Muon

    def nearest(picks: Any, p: Any) -> Any:
        d = picks.map(lambda q: q.DeltaR(p))
        return picks[d == d.Min()].First()

    j["mu"] = lambda j: nearest(mu, j)
    return [j.mu.pt, j.mu.charge, j[j.mu.pt > 10].pt]


def want_closest(r: Raw) -> Any:
    j, m = pairs(r.sm.objects("Jet_", "eta", "phi"), r.sm.objects("Muon_", "eta", "phi", "pt", "charge"))
    at = ak.argmin(delta_r(j, m), axis=2, keepdims=True)
    best = ak.firsts(m[at], axis=2)
    return [best.pt, best.charge, r.sm["Jet_pt"][ak.fill_none(best.pt > 10, value=False, axis=1)]]


ROWS = [
    Row("9.1", "listing 1: electrons above 50 GeV", listing_1, want_listing_1),
    Row("9.2", "listing 2: truth and reconstructed sides have equal shape", listing_2, want_listing_2, rel=1e-5),
    Row(
        "9.2, R7",
        "listing 2 without its guard: missing where there is no match",
        without_the_guard,
        want_without_the_guard,
        rel=1e-5,
    ),
    Row(
        "9.3, 9.4",
        "unmatched, number of matches, all matches, a cut on the match",
        about_the_matches,
        want_about_the_matches,
        rel=1e-5,
        empty=True,
    ),
    Row("9.4", "the same on NanoAOD", on_nanoaod, want_on_nanoaod, rel=1e-5),
    Row("9.5", "the closest particle", closest, want_closest),
]


@table(ROWS)
def test_matching(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)
