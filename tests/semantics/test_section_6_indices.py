"""Section 6, indices and slices of the innermost axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from semantics.rows import Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def nth(x: Any, i: int) -> Any:
    """Give entry i of each list, missing where there is none."""
    at = i if i >= 0 else -i - 1
    return ak.pad_none(x if i >= 0 else x[:, ::-1], at + 1)[:, at]


def dimuon_mass(t: Tables) -> Any:
    ev = t.sm[t.sm.Muon.Count() >= 2]
    a, b = ev.Muon[0], ev.Muon[1]
    return np.sqrt(2 * a.pt * b.pt * (np.cosh(a.eta - b.eta) - np.cos(a.phi - b.phi)))


def want_dimuon_mass(r: Raw) -> Any:
    keep = ak.num(r.sm["Muon_pt"]) >= 2
    (pt1, pt2), (eta1, eta2), (phi1, phi2) = (
        (x[keep][:, 0], x[keep][:, 1]) for x in (r.sm["Muon_pt"], r.sm["Muon_eta"], r.sm["Muon_phi"])
    )
    return np.sqrt(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)))


ROWS = [
    Row(
        "6.11",
        "an integer picks from the innermost axis, of objects and of leaves",
        lambda t: [t.sm.Muon[1].pt, t.sm.Muon.pt[0], t.sm.Jet[np.int64(2)].eta, t.phys.AnalysisJets.NumTrkPt500[0]],
        lambda r: [
            nth(r.sm["Muon_pt"], 1),
            nth(r.sm["Muon_pt"], 0),
            nth(r.sm["Jet_eta"], 2),
            ak.firsts(r.phys["AnalysisJetsAuxDyn.NumTrkPt500"], axis=2),
        ],
    ),
    Row(
        "6.12",
        "negative indices, slices and steps; a slice keeps the axis",
        lambda t: [
            t.sm.Jet[-1].pt,
            t.sm.Jet[-2].pt,
            t.sm.Jet[:2].pt,
            t.sm.Jet.pt[1:],
            t.sm.Jet[::-1].eta,
            t.sm.Jet[-2:].pt,
            t.sm.Jet[::2].phi,
            t.sm.Jet[1:4:2].pt,
        ],
        lambda r: [
            nth(r.sm["Jet_pt"], -1),
            nth(r.sm["Jet_pt"], -2),
            r.sm["Jet_pt"][:, :2],
            r.sm["Jet_pt"][:, 1:],
            r.sm["Jet_eta"][:, ::-1],
            r.sm["Jet_pt"][:, -2:],
            r.sm["Jet_phi"][:, ::2],
            r.sm["Jet_pt"][:, 1:4:2],
        ],
    ),
    Row(
        "6.13",
        "an index out of range is missing",
        lambda t: [t.sm.Muon[5].pt, t.sm.Muon[-7].pt],
        lambda r: [nth(r.sm["Muon_pt"], 5), nth(r.sm["Muon_pt"], -7)],
        empty=True,
    ),
    Row("6.14", "indexed objects compute together", dimuon_mass, want_dimuon_mass, rel=1e-5),
    Row(
        "6.14",
        "missing in one of two indexed objects is missing in the result",
        lambda t: t.sm.Muon[0].pt + t.sm.Muon[1].pt,
        lambda r: nth(r.sm["Muon_pt"], 0) + nth(r.sm["Muon_pt"], 1),
    ),
    Row(
        "6.15",
        "x[0] > 1 says what mapseq said",
        lambda t: t.sm[(t.sm.Jet.pt[0] > 50) | (t.sm.Jet.pt[1] > 40)].MET.pt,
        lambda r: r.sm["MET_pt"][
            ak.fill_none((nth(r.sm["Jet_pt"], 0) > 50) & True, value=False) & ~ak.is_none(nth(r.sm["Jet_pt"], 1))
            | ak.fill_none((nth(r.sm["Jet_pt"], 1) > 40) & True, value=False)
        ],
    ),
]


@table(ROWS)
def test_index_or_slice(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)
