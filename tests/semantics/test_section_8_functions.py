"""Section 8, functions: map, lambdas, curry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import pytest

from hep_flows import curry, user_func
from semantics.equal import wide_sum
from semantics.files import delta_r, pairs
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


@user_func
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float:
    """Give the distance."""


def near(picks: Any, p: Any) -> Any:
    return picks[lambda q: DeltaR(q.eta, q.phi, p.eta, p.phi) < 0.4]


def halved(j: Any) -> Any:
    return j.pt / 2


def row_distances(r: Raw, a: str, b: str) -> Any:
    return delta_r(*pairs(r.sm.objects(f"{a}_", "eta", "phi"), r.sm.objects(f"{b}_", "eta", "phi")))


def map_is_the_array_expression(t: Tables) -> Any:
    j = t.sm.Jet
    return [
        j.map(lambda j: j.pt / 1000),
        j.map(halved),
        j.map(lambda j: j).pt,
        j.map(lambda j: 1.5),
        j.pt.map(lambda p: p * 2),
        t.sm.map(lambda e: e.MET.pt),
    ]


def want_map_is_the_array_expression(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    constant = ak.full_like(pt, 1.5, dtype="float64")
    return [pt / 1000, pt / 2, pt, constant, pt * 2, r.sm["MET_pt"]]


def nested(t: Tables) -> Any:
    return t.sm.Jet.map(lambda j: t.sm.Muon.map(lambda m: j.pt - m.pt))


def want_nested(r: Raw) -> Any:
    a, b = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])
    return a - b


def outermost_axis(t: Tables) -> Any:
    n = nested(t)
    return [
        n.map(lambda row: row.Count()),
        n.map(lambda row: row.Max()),
        n.map(lambda row: row.map(lambda x: x * 2)),
        n.map(lambda row: row[0]),
        n.Sum().Sum(),
    ]


def want_outermost_axis(r: Raw) -> Any:
    n = want_nested(r)
    return [
        ak.num(n, axis=2),
        ak.max(n, axis=2),
        n * 2,
        ak.firsts(n, axis=2),
        ak.sum(ak.sum(ak.values_astype(n, "float64"), axis=2), axis=1),
    ]


def captured(t: Tables) -> Any:
    j = t.sm.Jet
    met, n = t.sm.MET.pt, t.sm.Muon.Count()
    return [
        j.map(lambda j: n),
        j.map(lambda j: met),
        j.map(lambda j: j.pt / met),
        j.map(lambda j: t.sm.Muon.pt.Sum() - j.pt),
        j.map(lambda j: t.sm.Jet.Count()),
    ]


def want_captured(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]

    def each(x: Any) -> Any:
        return ak.broadcast_arrays(x, pt)[0]

    met, n = r.sm["MET_pt"], ak.num(r.sm["Muon_pt"])
    return [each(n), each(met), pt / met, wide_sum(r.sm["Muon_pt"], axis=1) - pt, each(ak.num(pt))]


def three_deep(t: Tables) -> Any:
    e, m, j = t.sm.Electron, t.sm.Muon, t.sm.Jet
    cube = j.map(lambda a: m.map(lambda b: e.map(lambda c: a.pt + b.pt - c.pt)))
    inner = j.map(lambda a: m.map(lambda b: e[lambda c: c.pt > b.pt].map(lambda c: a.pt * c.pt).Count()))
    skip = j.map(lambda a: m.map(lambda b: e.map(lambda c: a.pt * c.pt)))
    middle = j.map(lambda a: m[lambda b: b.pt > a.pt].map(lambda b: e.map(lambda c: c.pt - b.pt).Max()))
    return [cube, cube.Max().Max().Max(), inner, skip, middle]


def want_three_deep(r: Raw) -> Any:
    a, bc = ak.unzip(ak.cartesian([r.sm["Jet_pt"], ak.cartesian([r.sm["Muon_pt"], r.sm["Electron_pt"]], nested=True)], nested=True))
    b, c = ak.unzip(bc)
    cube = a + b - c
    jm, mj = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])
    greatest = ak.max(c - b, axis=3)
    return [cube, ak.max(ak.max(ak.max(cube, axis=3), axis=2), axis=1), ak.sum(c > b, axis=3), a * c, greatest[mj > jm]]


def inside_maps(t: Tables) -> Any:
    j, mu = t.sm.Jet, t.sm.Muon
    return [
        j.map(lambda j: near(mu, j).Count()),
        j.map(lambda j: mu.map(lambda m: m.DeltaR(j)).Min()),
        j.map(lambda j: near(mu, j).pt.Max()),
        j.map(lambda j: mu[mu.pt > 10].Count() + near(mu, j).Count()),
        j.map(lambda j: near(mu, j).pt.Sum() / j.pt),
    ]


def want_inside_maps(r: Raw) -> Any:
    d, pt = row_distances(r, "Jet", "Muon"), r.sm["Muon_pt"]
    mu = pairs(r.sm["Jet_pt"], pt)[1]
    n = ak.broadcast_arrays(ak.sum(pt > 10, axis=1), r.sm["Jet_pt"])[0]
    close = mu[d < 0.4]
    return [
        ak.sum(d < 0.4, axis=2),
        ak.min(d, axis=2),
        ak.max(close, axis=2),
        n + ak.sum(d < 0.4, axis=2),
        wide_sum(close, axis=2) / r.sm["Jet_pt"],
    ]


def overlap_removal(t: Tables) -> Any:
    j = t.sm.Jet
    j["near"] = lambda j: near(t.sm.Muon, j).Count()
    clean = j[j.near == 0]
    return [clean.pt, clean.near, t.sm[clean.Count() >= 2].MET.pt, j[lambda j: j.near > 0].eta]


def want_overlap_removal(r: Raw) -> Any:
    n = ak.sum(row_distances(r, "Jet", "Muon") < 0.4, axis=2)
    m = n == 0
    return [r.sm["Jet_pt"][m], n[m], r.sm["MET_pt"][ak.sum(m, axis=1) >= 2], r.sm["Jet_eta"][n > 0]]


def with_itself(t: Tables) -> Any:
    mu = t.sm.Muon
    hard = mu[mu.pt > 10]
    return [
        mu.map(lambda a: mu.map(lambda b: a.pt - b.pt)),
        hard.map(lambda a: mu.map(lambda b: a.pt - b.pt)),
        hard.map(lambda a: hard[lambda b: b.charge != a.charge].Count()),
    ]


def want_with_itself(r: Raw) -> Any:
    pt, q = r.sm["Muon_pt"], r.sm["Muon_charge"]
    (a, b), (c, d), (e, f) = pairs(pt, pt), pairs(pt[pt > 10], pt), pairs(q[pt > 10], q[pt > 10])
    return [a - b, c - d, ak.sum(f != e, axis=2)]


def curried(t: Tables) -> Any:
    close = curry(near)
    return [
        t.sm.Jet.map(close(t.sm.Muon)).Count(),
        t.sm.Jet.map(close(t.sm.Muon)).pt,
        t.sm.Jet.map(lambda j: close(t.sm.Muon, j).Count()),
    ]


def want_curried(r: Raw) -> Any:
    d = row_distances(r, "Jet", "Muon")
    mu = pairs(r.sm["Jet_pt"], r.sm["Muon_pt"])[1]
    return [ak.sum(d < 0.4, axis=2), mu[d < 0.4], ak.sum(d < 0.4, axis=2)]


def records(t: Tables) -> Any:
    return [
        t.sm.Jet.map(lambda j: (j.pt, j.eta)),
        t.sm.Jet.map(lambda j: {"pt": j.pt, "met": t.sm.MET.pt}),
        t.sm.Jet.map(lambda j: (j.pt, j.eta))["0"],
        t.sm.Jet[t.sm.Jet.pt > 30].map(lambda j: {"pt": j.pt, "n": t.sm.Muon.Count()}).n,
    ]


def want_records(r: Raw) -> Any:
    pt, eta = r.sm["Jet_pt"], r.sm["Jet_eta"]
    met = ak.broadcast_arrays(r.sm["MET_pt"], pt)[0]
    n = ak.broadcast_arrays(ak.num(r.sm["Muon_pt"]), pt[pt > 30])[0]
    return [ak.zip({"0": pt, "1": eta}), ak.zip({"pt": pt, "met": met}), pt, n]


def whole_collections(t: Tables) -> Any:
    good = t.sm.Muon[t.sm.Muon.pt > 10]
    jets = good.map(lambda m: t.sm.Jet)
    return [jets.pt, jets.Count(), jets[lambda j: j.pt > 30].eta, good.map(lambda m: t.sm.Jet[t.sm.Jet.pt > m.pt]).pt]


def want_whole_collections(r: Raw) -> Any:
    mu = r.sm["Muon_pt"][r.sm["Muon_pt"] > 10]
    (m, j), eta = pairs(mu, r.sm["Jet_pt"]), pairs(mu, r.sm["Jet_eta"])[1]
    return [j, ak.num(j, axis=2), eta[j > 30], j[j > m]]


ROWS = [
    Row("8.1", "map of an expression is the array expression", map_is_the_array_expression, want_map_is_the_array_expression),
    Row("8.2", "map binds one element of the outermost axis inside the event", outermost_axis, want_outermost_axis, rel=1e-5),
    Row("8.3", "captured event values and counts are repeated for each element", captured, want_captured, rel=1e-6),
    Row("8.4", "nested maps: one axis for each level, outer to inner", nested, want_nested),
    Row("8.4", "three levels deep, with and without the middle element", three_deep, want_three_deep),
    Row(
        "8.4",
        "jets by electrons: DeltaR as a method and as a function",
        lambda t: [
            t.sm.Jet.map(lambda j: t.sm.Electron.map(j.DeltaR)),
            t.sm.Jet.map(lambda j: t.sm.Electron.map(lambda e: DeltaR(j.eta, j.phi, e.eta, e.phi))),
        ],
        lambda r: [row_distances(r, "Jet", "Electron"), ak.values_astype(row_distances(r, "Jet", "Electron"), "float64")],
        rel=1e-5,
    ),
    Row("8.5", "aggregates and filters inside maps", inside_maps, want_inside_maps, rel=1e-5),
    Row("8.6", "map may give a whole collection", whole_collections, want_whole_collections),
    Row(
        "8.7",
        "map as a mask",
        lambda t: t.sm.Muon[t.sm.Muon.map(lambda m: m.pt > 10)].eta,
        lambda r: r.sm["Muon_eta"][r.sm["Muon_pt"] > 10],
    ),
    Row("8.8", "overlap removal through a lambda column", overlap_removal, want_overlap_removal),
    Row("8.10", "the captured same collection is whole: pairs", with_itself, want_with_itself),
    Row("8.11", "curry waits for the last argument", curried, want_curried),
    Row(
        "8.16",
        "DeltaR of aligned objects, with the wrapped angle (R18)",
        lambda t: [t.sm.Muon[0].DeltaR(t.sm.Muon[1]), t.sm.Jet[t.sm.Jet.pt > 30].DeltaR(t.sm.Jet[t.sm.Jet.pt > 30])],
        lambda r: [
            delta_r(*(ak.firsts(r.sm.objects("Muon_", "eta", "phi")[:, i:]) for i in (0, 1))),
            ak.values_astype(ak.zeros_like(r.sm["Jet_pt"][r.sm["Jet_pt"] > 30]), "float64"),
        ],
        rel=1e-5,
    ),
    Row("8.18", "a lambda's tuple or dict is one record for each element (R8)", records, want_records),
]


@table(ROWS)
def test_function(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


MISTAKES = [
    Mistake("8.9", "an aggregate of one element", lambda t: t.sm.Muon.map(lambda m: m.pt.Count()), ("requires a sequence",)),
    Mistake("8.9", "First of one element", lambda t: t.sm.Muon.map(lambda m: m.First()), ("requires a sequence",)),
    Mistake("8.11", "curry with too few arguments", lambda t: t.sm.Jet.map(curry(near)()), ("near", "2")),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
