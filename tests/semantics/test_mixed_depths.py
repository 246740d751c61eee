"""Totals, events, objects, text and missing values beside each other: what the rows do when they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import user_func
from semantics.files import pairs
from semantics.rows import Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data
ZERO = np.float32(0)


def views_of_slices(t: Tables) -> Any:
    first, hard = t.sm.Jet[:2], t.sm.Jet[t.sm.Jet.pt > 30]
    both = first[first.pt > 30]
    return [both.pt, hard[:1].eta, both[0].pt, hard[:1].Count(), first[::-1].pt, t.sm[t.sm.MET.pt > 20].Jet[:1].pt]


def want_views_of_slices(r: Raw) -> Any:
    pt, eta = r.sm["Jet_pt"], r.sm["Jet_eta"]
    first = pt[:, :2]
    both = first[first > 30]
    return [both, eta[pt > 30][:, :1], ak.firsts(both), ak.num(pt[pt > 30][:, :1]), first[:, ::-1], pt[r.sm["MET_pt"] > 20][:, :1]]


def totals_beside_elements(t: Tables) -> Any:
    j, met = t.sm.Jet, t.sm.MET.pt
    return [
        j.map(lambda j: j.pt / met.Max()),
        t.sm[met > met.Mean()].MET.pt.Count(),
        j[j.pt == j.pt.Max()].eta,
        j.map(lambda j: met.Max()),
    ]


def want_totals_beside_elements(r: Raw) -> Any:
    met, pt = r.sm["MET_pt"].to_numpy(), r.sm["Jet_pt"]
    best = r.sm["Jet_eta"][pt == ak.fill_none(ak.max(pt, axis=1), ZERO)]
    return [pt / met.max(), int((met > met.mean()).sum()), best, ak.full_like(pt, met.max())]


@user_func
def label(x: float) -> str:
    return "high" if x > 30 else "low"


@user_func
def letters(text: str) -> int:
    return len(text)


def text_functions(t: Tables) -> Any:
    j = t.sm.Jet
    return [
        label(j.pt),
        j[label(j.pt) == "high"].pt,
        letters(t.zmm["Type"]),
        j.map(lambda j: t.sm.Muon.map(lambda m: label(m.pt + j.pt))),
        label(t.sm.Electron.First().pt),
        np.where(j.pt > 30, "high", "low"),
    ]


def labels(x: Any) -> Any:
    if isinstance(x, list):
        return [labels(y) for y in x]
    return None if x is None else "high" if x > 30 else "low"


def want_text_functions(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    jet, mu = pairs(pt, r.sm["Muon_pt"])
    of_jets = ak.Array(labels(pt.to_list()))
    first = ak.Array(labels(ak.firsts(r.sm["Electron_pt"]).to_list()))
    return [
        of_jets,
        pt[pt > 30],
        ak.Array([len(s) for s in r.zmm["Type"].to_list()]),
        ak.Array(labels((mu + jet).to_list())),
        first,
        of_jets,
    ]


def columns_of_views_of_events(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 20]
    ev["x"] = ev.MET.pt * 2
    ev.Jet["y"] = ev.Jet.pt / ev.x
    fewer = ev[ev.x > 60]
    assert not hasattr(t.sm, "x")
    return [ev.x, fewer.x, ev.Jet[ev.Jet.pt > 30].y, t.sm[t.sm.MET.pt > 20].x, fewer.Jet.y]


def want_columns_of_views_of_events(r: Raw) -> Any:
    keep = r.sm["MET_pt"] > 20
    x, pt = r.sm["MET_pt"][keep] * 2, r.sm["Jet_pt"][keep]
    y = pt / x
    return [x, x[x > 60], y[pt > 30], x, y[x > 60]]


def counts_as_columns(t: Tables) -> Any:
    df = t.sm
    df.Jet["tagged"] = df.Jet.btag > 0.5
    df["n"] = df.Jet[df.Jet.tagged].Count()
    ev = df[df.n >= 1]
    return [ev.n, ev.Jet[ev.Jet.tagged].pt, ev.n.Sum(), ev[ev.n > 1].Jet.tagged.Sum()]


def want_counts_as_columns(r: Raw) -> Any:
    tagged = r.sm["Jet_btag"] > 0.5
    n = ak.sum(tagged, axis=1)
    return [n[n >= 1], r.sm["Jet_pt"][tagged][n >= 1], int(ak.sum(n)), n[n > 1]]


def missing_beside_present(t: Tables) -> Any:
    e, m = t.sm.Electron.First().pt, t.sm.Muon.First().pt
    return [
        np.maximum(e, m),
        ak.fill_none(e, 0) + m,
        (e > 20) | (m > 20),
        ~(e > 20),
        t.sm[(e > 20) | (m > 20)].MET.pt,
        np.sqrt(-e),
        t.sm.Jet.pt - e,
        (t.sm.Jet.pt > e).Sum(),
        t.sm.Jet[t.sm.Jet.pt > e].pt,
    ]


def want_missing_beside_present(r: Raw) -> Any:
    e, m, pt = ak.firsts(r.sm["Electron_pt"]), ak.firsts(r.sm["Muon_pt"]), r.sm["Jet_pt"]
    there = ~ak.is_none(e)
    both = there & ~ak.is_none(m)
    e0, m0 = ak.fill_none(e, ZERO), ak.fill_none(m, ZERO)
    either = (e0 > 20) | (m0 > 20)
    present = ak.broadcast_arrays(there, pt)[0]
    return [
        ak.mask(np.maximum(e0, m0), both),
        ak.mask(e0 + m0, ~ak.is_none(m)),
        ak.mask(either, both),
        ~(e > 20),
        r.sm["MET_pt"][either & both],
        np.sqrt(-e),
        ak.mask(pt - e0, present),
        ak.sum((pt > e0) & present, axis=1),
        pt[(pt > e0) & present],
    ]


ROWS = [
    Row("6.12", "views of slices, slices of views", views_of_slices, want_views_of_slices),
    Row("6.8", "totals over all events beside elements", totals_beside_elements, want_totals_beside_elements),
    Row("8.12", "functions of text", text_functions, want_text_functions),
    Row("7.4", "columns of views of events", columns_of_views_of_events, want_columns_of_views_of_events),
    Row("7.8", "counts as columns of the event", counts_as_columns, want_counts_as_columns),
    Row("R7", "missing beside present", missing_beside_present, want_missing_beside_present, rel=1e-6),
]


@table(ROWS)
def test_mixed_depths(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)
