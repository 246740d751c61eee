"""Section 4, filters: each row beside plain awkward."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def good(x: Any) -> Any:
    return (x.pt > 20) & (abs(x.eta) < 1.5)


def above(cut: float, x: Any) -> Any:
    return x.pt > cut


def above_by_default(x: Any, cut: float = 40.0) -> Any:
    return x.pt > cut


def chained(t: Tables) -> Any:
    hard = t.sm.Jet[t.sm.Jet.pt > 30]
    central = hard[hard.eta < 1.2]
    return [central.pt, central[central.eta > -1.2].phi, hard[hard.eta < 1.2][lambda j: j.mass > 5].eta]


def want_chained(r: Raw) -> Any:
    pt, eta, phi, mass = (r.sm[f"Jet_{n}"] for n in ("pt", "eta", "phi", "mass"))
    m = (pt > 30) & (eta < 1.2)
    return [pt[m], phi[m & (eta > -1.2)], eta[m & (mass > 5)]]


def view_of_events(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 40]
    return [ev.Jet[ev.Jet.pt > 40].eta, ev.Jet.Count(), ev.MET.phi, ev.Count(), ev[ev.Jet.Count() > 3].Jet.pt]


def want_view_of_events(r: Raw) -> Any:
    m = r.sm["MET_pt"] > 40
    pt, eta = r.sm["Jet_pt"][m], r.sm["Jet_eta"][m]
    return [eta[pt > 40], ak.num(pt), r.sm["MET_phi"][m], int(ak.sum(m)), pt[ak.num(pt) > 3]]


def mask_kept(t: Tables) -> Any:
    j = t.sm.Jet
    m = j.pt > 50
    return {"mask": m, "objects": j[m].eta, "leaf": j.phi[m], "again": j[m & (j.eta > 0)].pt, "not": j.pt[~m]}


def want_mask_kept(r: Raw) -> Any:
    pt, eta, phi = (r.sm[f"Jet_{n}"] for n in ("pt", "eta", "phi"))
    m = pt > 50
    return {"mask": m, "objects": eta[m], "leaf": phi[m], "again": pt[m & (eta > 0)], "not": pt[~m]}


def aggregate_of_a_view(t: Tables) -> Any:
    h = t.sm.Jet[t.sm.Jet.pt > 40]
    return h[h.pt > 0.9 * h.pt.Max()].eta


def want_aggregate_of_a_view(r: Raw) -> Any:
    m = r.sm["Jet_pt"] > 40
    pt, eta = r.sm["Jet_pt"][m], r.sm["Jet_eta"][m]
    return eta[pt > 0.9 * ak.fill_none(ak.max(pt, axis=1), np.float32(0))]


ROWS = [
    Row(
        "4.1",
        "a mask joined with & keeps all events",
        lambda t: t.sm.Muon[(t.sm.Muon.pt > 20) & (abs(t.sm.Muon.eta) < 1.5)].pt,
        lambda r: r.sm["Muon_pt"][(r.sm["Muon_pt"] > 20) & (abs(r.sm["Muon_eta"]) < 1.5)],
    ),
    Row(
        "4.2",
        "a leaf masked by itself or by a sibling keeps its nesting",
        lambda t: [t.sm.Jet.pt[t.sm.Jet.pt > 30], t.sm.Jet.pt[t.sm.Jet.eta > 0]],
        lambda r: [r.sm["Jet_pt"][r.sm["Jet_pt"] > 30], r.sm["Jet_pt"][r.sm["Jet_eta"] > 0]],
    ),
    Row(
        "4.3",
        "~ gives the complement and | either",
        lambda t: [t.sm.Jet[~(t.sm.Jet.pt > 30)].eta, t.sm.Jet[(t.sm.Jet.pt > 60) | (t.sm.Jet.eta > 2)].pt],
        lambda r: [
            r.sm["Jet_eta"][~(r.sm["Jet_pt"] > 30)],
            r.sm["Jet_pt"][(r.sm["Jet_pt"] > 60) | (r.sm["Jet_eta"] > 2)],
        ],
    ),
    Row(
        "4.4",
        "boolean leaves are masks and join with & and |",
        lambda t: [
            t.sm.Tau[t.sm.Tau.idIsoLoose | t.sm.Tau.idAntiMuTight].pt,
            t.sm.Tau[t.sm.Tau.idDecayMode & ~t.sm.Tau.idIsoLoose].eta,
            t.sm.Muon[t.sm.Muon.tightId].pt,
        ],
        lambda r: [
            r.sm["Tau_pt"][r.sm["Tau_idIsoLoose"] | r.sm["Tau_idAntiMuTight"]],
            r.sm["Tau_eta"][r.sm["Tau_idDecayMode"] & ~r.sm["Tau_idIsoLoose"]],
            r.sm["Muon_pt"][r.sm["Muon_tightId"]],
        ],
    ),
    Row("4.5", "chained filters narrow", chained, want_chained),
    Row(
        "4.6",
        "a function in brackets is called with the collection or the leaf",
        lambda t: [t.sm.Jet[good].eta, t.sm.Jet.pt[lambda p: p > 30], t.sm.Jet[lambda j: j.pt > j.pt.Max() / 2].pt],
        lambda r: [
            r.sm["Jet_eta"][(r.sm["Jet_pt"] > 20) & (abs(r.sm["Jet_eta"]) < 1.5)],
            r.sm["Jet_pt"][r.sm["Jet_pt"] > 30],
            r.sm["Jet_pt"][ak.fill_none(r.sm["Jet_pt"] > ak.max(r.sm["Jet_pt"], axis=1, mask_identity=False) / 2, value=False)],
        ],
    ),
    Row(
        "4.7",
        "one function serves several collections",
        lambda t: (t.sm.Muon[good].pt, t.sm.Electron[good].pt),
        lambda r: tuple(r.sm[f"{c}_pt"][(r.sm[f"{c}_pt"] > 20) & (abs(r.sm[f"{c}_eta"]) < 1.5)] for c in ("Muon", "Electron")),
    ),
    Row(
        "4.8",
        "partial functions and default arguments",
        lambda t: [
            t.sm.Jet[functools.partial(above, 40)].pt,
            t.sm.Jet[above_by_default].eta,
            t.sm.Jet[functools.partial(above_by_default, cut=60)].pt,
        ],
        lambda r: [r.sm["Jet_pt"][r.sm["Jet_pt"] > 40], r.sm["Jet_eta"][r.sm["Jet_pt"] > 40], r.sm["Jet_pt"][r.sm["Jet_pt"] > 60]],
    ),
    Row(
        "4.9",
        "an event filter by count, value, trigger or Any drops events",
        lambda t: [
            t.sm[t.sm.Muon.Count() == 2].Muon.pt,
            t.sm[t.sm.MET.pt > 30].Jet.pt,
            t.sm[t.sm.HLT.IsoMu24].Muon.eta,
            t.sm[(t.sm.Jet.pt > 100).Any()].MET.pt,
            t.sm[(t.sm.Muon.Count() > 0) & ~t.sm.HLT.IsoMu24].PV.npvs,
        ],
        lambda r: [
            r.sm["Muon_pt"][ak.num(r.sm["Muon_pt"]) == 2],
            r.sm["Jet_pt"][r.sm["MET_pt"] > 30],
            r.sm["Muon_eta"][r.sm["HLT_IsoMu24"]],
            r.sm["MET_pt"][ak.any(r.sm["Jet_pt"] > 100, axis=1)],
            r.sm["PV_npvs"][(ak.num(r.sm["Muon_pt"]) > 0) & ~r.sm["HLT_IsoMu24"]],
        ],
    ),
    Row("4.10", "an object filter after an event filter: both apply", view_of_events, want_view_of_events),
    Row(
        "4.10",
        "a filtered count filters events",
        lambda t: t.sm[t.sm.Jet[t.sm.Jet.pt > 40].Count() >= 2].MET.pt,
        lambda r: r.sm["MET_pt"][ak.sum(r.sm["Jet_pt"] > 40, axis=1) >= 2],
    ),
    Row("4.11", "a mask is a value: kept, reused, made local", mask_kept, want_mask_kept),
    Row(
        "4.12",
        "arithmetic in the filter and the constant on the left",
        lambda t: [t.sm.Jet[t.sm.Jet.pt > 30].eta, t.sm.Jet[t.sm.Jet.pt / 2 - 5 > abs(t.sm.Jet.eta) * 10].pt],
        lambda r: [r.sm["Jet_eta"][r.sm["Jet_pt"] > 30], r.sm["Jet_pt"][r.sm["Jet_pt"] / 2 - 5 > abs(r.sm["Jet_eta"]) * 10]],
    ),
    Row(
        "4.13",
        "text is compared as text",
        lambda t: [t.zmm[t.zmm.Type == "GT"].M, t.zmm[t.zmm.Type != "GT"].M, t.zmm["Type"]],
        lambda r: [r.zmm["M"][r.zmm["Type"] == "GT"], r.zmm["M"][r.zmm["Type"] != "GT"], r.zmm["Type"]],
    ),
    Row(
        "4.14",
        "arithmetic after a filter is on the kept values",
        lambda t: t.sm.Jet.pt[t.sm.Jet.pt > 30] / 1000,
        lambda r: r.sm["Jet_pt"][r.sm["Jet_pt"] > 30] / 1000,
    ),
    Row(
        "4.15",
        "a per-event mask on a collection empties the failing events and keeps them",
        lambda t: [t.sm.Jet[t.sm.MET.pt > 40].pt, t.sm.Jet[t.sm.HLT.IsoMu24].Count()],
        lambda r: [
            r.sm["Jet_pt"][ak.broadcast_arrays(r.sm["MET_pt"] > 40, r.sm["Jet_pt"])[0]],
            ak.num(r.sm["Jet_pt"]) * r.sm["HLT_IsoMu24"],
        ],
    ),
    Row(
        "4.18",
        "an aggregate of a view is over the view, and an empty event stays an empty list",
        aggregate_of_a_view,
        want_aggregate_of_a_view,
    ),
    Row(
        "4.19",
        "Where is the brackets",
        lambda t: [t.sm.Jet.Where(good).pt, t.sm.Jet.Where(t.sm.Jet.pt > 50).eta],
        lambda r: [
            r.sm["Jet_pt"][(r.sm["Jet_pt"] > 20) & (abs(r.sm["Jet_eta"]) < 1.5)],
            r.sm["Jet_eta"][r.sm["Jet_pt"] > 50],
        ],
    ),
    Row(
        "4.20",
        "a filtered mask fits what was filtered in the same way",
        lambda t: t.sm.Jet.pt[t.sm.Jet.eta > 0][t.sm.Jet.pt[t.sm.Jet.eta > 0] > 30],
        lambda r: r.sm["Jet_pt"][(r.sm["Jet_eta"] > 0) & (r.sm["Jet_pt"] > 30)],
    ),
    Row(
        "R3",
        "a missing entry of a mask is false",
        lambda t: t.sm.Jet[t.sm.Electron.pt.Max() > 20].pt,
        lambda r: r.sm["Jet_pt"][
            ak.broadcast_arrays(ak.fill_none(ak.max(r.sm["Electron_pt"], axis=1) > 20, value=False), r.sm["Jet_pt"])[0]
        ],
    ),
]


@table(ROWS)
def test_filter(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def mask_of_another_view(t: Tables) -> Any:
    hard = t.sm.Jet[t.sm.Jet.pt > 30]
    return hard[t.sm.Jet.eta < 1]


def mask_of_a_view_on_its_parent(t: Tables) -> Any:
    hard = t.sm.Jet[t.sm.Jet.pt > 30]
    return t.sm.Jet[hard.eta < 1]


def mask_of_filtered_events(t: Tables) -> Any:
    ev = t.sm[t.sm.MET.pt > 30]
    return t.sm.Jet[ev.Jet.pt > 30]


MISTAKES = [
    Mistake("4.16", "a mask deeper than what it filters", lambda t: t.sm[t.sm.Jet.pt > 30], ("Jet",), ("Any", "Count")),
    Mistake(
        "4.16", "a mask of objects on a value of the event", lambda t: t.sm.MET.pt[t.sm.Jet.pt > 30], ("Jet",), ("Any", "Count")
    ),
    Mistake(
        "4.17", "a mask of the whole collection on its view", mask_of_another_view, ("Jet",), ("view", "selection", "elements")
    ),
    Mistake(
        "4.17",
        "a mask of a view on the whole collection",
        mask_of_a_view_on_its_parent,
        ("Jet",),
        ("view", "selection", "elements"),
    ),
    Mistake("4.17", "a mask of selected events on all events", mask_of_filtered_events, ("event",)),
    Mistake("4.17", "a mask of another collection", lambda t: t.sm.Jet[t.sm.Muon.pt > 3], ("Jet", "Muon")),
    Mistake(
        "4.20",
        "a mask that is filtered itself",
        lambda t: t.sm.Jet.pt[t.sm.Jet.eta[t.sm.Jet.eta > 1] > 2],
        ("Jet",),
        ("view", "selection", "elements"),
    ),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
