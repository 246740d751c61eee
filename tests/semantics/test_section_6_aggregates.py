"""Section 6, aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from semantics.equal import wide_sum
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def number_of(events: Any) -> int:
    return int(ak.sum(events))


ROWS = [
    Row(
        "6.1",
        "an aggregate removes the innermost axis",
        lambda t: [
            t.sm.Jet.Count(),
            t.sm.Jet.pt.Count(),
            t.sm.Jet.pt.Max(),
            t.sm.Jet.eta.Min(),
            t.phys.AnalysisJets.NumTrkPt500.Count(),
        ],
        lambda r: [
            ak.num(r.sm["Jet_pt"]),
            ak.num(r.sm["Jet_pt"]),
            ak.max(r.sm["Jet_pt"], axis=1),
            ak.min(r.sm["Jet_eta"], axis=1),
            ak.num(r.phys["AnalysisJetsAuxDyn.NumTrkPt500"], axis=2),
        ],
    ),
    Row(
        "6.1",
        "sums are of 64 bits",
        lambda t: [
            t.sm.Jet.pt.Sum(),
            t.sm.Muon.charge.Sum(),
            t.tt.Jet.nConstituents.Sum(),
            t.tt.GenPart.pdgId.Sum(),
            t.sm.Jet.puId.Sum(),
        ],
        lambda r: [
            wide_sum(r.sm["Jet_pt"], axis=1),
            ak.sum(r.sm["Muon_charge"], axis=1),
            ak.sum(ak.values_astype(r.tt["Jet_nConstituents"], "int32"), axis=1),
            ak.sum(r.tt["GenPart_pdgId"], axis=1),
            ak.sum(ak.values_astype(r.sm["Jet_puId"], "int32"), axis=1),
        ],
        rel=1e-6,
    ),
    Row(
        "6.2",
        "over the table or a per-event value: one number",
        lambda t: [
            t.sm.Count(),
            t.sm.Jet.Count().Sum(),
            t.sm.MET.pt.Max(),
            t.sm.MET.pt.Min(),
            t.sm.PV.npvs.Sum(),
            t.sm.HLT.IsoMu24.Sum(),
            t.sm.HLT.IsoMu24.Any(),
            t.sm.HLT.IsoMu24.All(),
            t.sm.Jet.Count().Max(),
        ],
        lambda r: [
            1000,
            int(ak.sum(ak.num(r.sm["Jet_pt"]))),
            ak.max(r.sm["MET_pt"]),
            ak.min(r.sm["MET_pt"]),
            int(ak.sum(r.sm["PV_npvs"])),
            number_of(r.sm["HLT_IsoMu24"]),
            bool(ak.any(r.sm["HLT_IsoMu24"])),
            bool(ak.all(r.sm["HLT_IsoMu24"])),
            int(ak.max(ak.num(r.sm["Jet_pt"]))),
        ],
    ),
    Row(
        "6.2",
        "over events after a filter: of what is left",
        lambda t: [
            t.sm[t.sm.MET.pt > 40].Count(),
            t.sm[t.sm.MET.pt > 40].MET.pt.Min(),
            t.sm[t.sm.MET.pt > 40].Jet.Count().Sum(),
            t.sm[t.sm.MET.pt > 1e9].Count(),
            t.sm[t.sm.MET.pt > 1e9].MET.pt.Max(),
            t.sm[t.sm.MET.pt > 1e9].PV.npvs.Sum(),
        ],
        lambda r: [
            number_of(r.sm["MET_pt"] > 40),
            ak.min(r.sm["MET_pt"][r.sm["MET_pt"] > 40]),
            int(ak.sum(ak.num(r.sm["Jet_pt"])[r.sm["MET_pt"] > 40])),
            0,
            None,
            0,
        ],
    ),
    Row(
        "6.2",
        "a float32 sum over events is numpy's",
        lambda t: t.sm.MET.pt.Sum(),
        lambda r: float(np.sum(np.asarray(r.sm["MET_pt"], dtype=np.float64))),
        rel=1e-5,
    ),
    Row(
        "6.3",
        "Sum of a mask counts what passes, Count counts entries",
        lambda t: [(t.sm.Jet.pt > 30).Sum(), (t.sm.Jet.pt > 30).Count(), t.sm.Jet[t.sm.Jet.pt > 30].Count()],
        lambda r: [ak.sum(r.sm["Jet_pt"] > 30, axis=1), ak.num(r.sm["Jet_pt"]), ak.sum(r.sm["Jet_pt"] > 30, axis=1)],
    ),
    Row(
        "6.4",
        "empty lists: Sum 0, Prod 1, Count 0, Max and Min missing, Any false, All true",
        lambda t: (
            [
                f(t.sm.Electron[t.sm.Electron.pt > 1e9].pt)
                for f in (
                    lambda x: x.Sum(),
                    lambda x: x.Prod(),
                    lambda x: x.Count(),
                    lambda x: x.Max(),
                    lambda x: x.Min(),
                    lambda x: (x > 0).Any(),
                )
            ]
            + [(t.sm.Electron[t.sm.Electron.pt > 1e9].pt > 0).All(), t.sm.Electron[t.sm.Electron.pt > 1e9].pt.Mean()]
        ),
        lambda r: [
            f(r.sm["Electron_pt"][r.sm["Electron_pt"] > 1e9], axis=1)
            for f in (
                wide_sum,
                ak.prod,
                ak.num,
                ak.max,
                ak.min,
                ak.any,
                ak.all,
                lambda x, axis: ak.max(ak.values_astype(x, "f8"), axis=axis),
            )
        ],
        empty=True,
    ),
    Row(
        "6.5",
        "First of an object, then a leaf, is First of the leaf",
        lambda t: [t.sm.Muon.First().pt, t.sm.Muon.pt.First(), t.sm[t.sm.Muon.Count() > 0].Muon.First().eta],
        lambda r: [ak.firsts(r.sm["Muon_pt"]), ak.firsts(r.sm["Muon_pt"]), r.sm["Muon_eta"][ak.num(r.sm["Muon_pt"]) > 0][:, 0]],
    ),
    Row("6.6", "First of empty is missing", lambda t: t.sm.Electron.First().pt, lambda r: ak.firsts(r.sm["Electron_pt"])),
    Row(
        "6.7",
        "missing passes through arithmetic and drops the event in a mask",
        lambda t: [
            t.sm.Electron.pt.Max() / 2 + t.sm.MET.pt,
            t.sm.Electron.First().pt > 20,
            t.sm[t.sm.Electron.pt.Max() > 20].MET.pt,
            t.sm[~(t.sm.Electron.pt.Max() > 20)].MET.pt,
            t.sm[t.sm.Electron.First().cutBasedId].Electron.pt,
        ],
        lambda r: [
            ak.max(r.sm["Electron_pt"], axis=1) / 2 + r.sm["MET_pt"],
            ak.firsts(r.sm["Electron_pt"]) > 20,
            r.sm["MET_pt"][ak.fill_none(ak.max(r.sm["Electron_pt"], axis=1) > 20, value=False)],
            r.sm["MET_pt"][ak.fill_none(ak.max(r.sm["Electron_pt"], axis=1) <= 20, value=False)],
            r.sm["Electron_pt"][ak.fill_none(ak.firsts(r.sm["Electron_cutBasedId"]), value=False)],
        ],
    ),
    Row(
        "6.7",
        "aggregates over events skip missing values, Count counts them",
        lambda t: [t.sm.Electron.First().pt.Max(), t.sm.Electron.First().pt.Count(), t.sm.Electron.First().charge.Sum()],
        lambda r: [ak.max(ak.firsts(r.sm["Electron_pt"])), 1000, int(ak.sum(ak.firsts(r.sm["Electron_charge"])))],
    ),
    Row(
        "6.8",
        "an aggregate meets its elements again, and another aggregate",
        lambda t: [
            t.sm.Jet.pt / t.sm.Jet.pt.Sum(),
            t.sm.Jet.pt.Max() - t.sm.Jet.pt.Min(),
            t.sm.Jet.pt.Max() + t.sm.Muon.pt.Max(),
            t.sm.Jet.pt - t.sm.Jet.pt.First(),
        ],
        lambda r: [
            r.sm["Jet_pt"] / wide_sum(r.sm["Jet_pt"], axis=1),
            ak.max(r.sm["Jet_pt"], axis=1) - ak.min(r.sm["Jet_pt"], axis=1),
            ak.max(r.sm["Jet_pt"], axis=1) + ak.max(r.sm["Muon_pt"], axis=1),
            r.sm["Jet_pt"] - ak.fill_none(ak.firsts(r.sm["Jet_pt"]), np.float32(0)),
        ],
        rel=1e-6,
    ),
    Row(
        "6.8",
        "one number for all events meets events and objects",
        lambda t: [
            t.sm.MET.pt / t.sm.MET.pt.Max(),
            t.sm.Jet[t.sm.Jet.pt > t.sm.MET.pt.Max() / 4].pt,
            t.sm.Jet.Count() - t.sm.Jet.Count().Max(),
        ],
        lambda r: [
            r.sm["MET_pt"] / np.max(r.sm["MET_pt"].to_numpy()),
            r.sm["Jet_pt"][r.sm["Jet_pt"] > np.max(r.sm["MET_pt"].to_numpy()) / 4],
            ak.num(r.sm["Jet_pt"]) - ak.max(ak.num(r.sm["Jet_pt"])),
        ],
    ),
    Row(
        "6.9",
        "an axis by hand",
        lambda t: [
            t.sm.Jet.Count(axis=0),
            t.sm.Jet.Count(axis=-1),
            t.sm.Jet.pt.Sum(axis=1),
            t.sm.MET.pt.Max(axis=0),
            t.sm.Jet.pt.Max(axis=-1),
        ],
        lambda r: [
            1000,
            ak.num(r.sm["Jet_pt"]),
            wide_sum(r.sm["Jet_pt"], axis=1),
            ak.max(r.sm["MET_pt"]),
            ak.max(r.sm["Jet_pt"], axis=1),
        ],
        rel=1e-6,
    ),
    Row(
        "6.10",
        "lower-case names are synonyms (R15)",
        lambda t: [
            t.sm.Jet.count(),
            t.sm.Jet.pt.sum(),
            t.sm.Jet.pt.max(),
            t.sm.Jet.pt.min(),
            t.sm.Jet.first().pt,
            t.sm.Jet.puId.any(),
            t.sm.Jet.puId.all(),
        ],
        lambda r: [
            ak.num(r.sm["Jet_pt"]),
            wide_sum(r.sm["Jet_pt"], axis=1),
            ak.max(r.sm["Jet_pt"], axis=1),
            ak.min(r.sm["Jet_pt"], axis=1),
            ak.firsts(r.sm["Jet_pt"]),
            ak.any(r.sm["Jet_puId"], axis=1),
            ak.all(r.sm["Jet_puId"], axis=1),
        ],
        rel=1e-6,
    ),
]


@table(ROWS)
def test_aggregate_or_index(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


MISTAKES = [
    Mistake("6.9", "an axis that is not there", lambda t: t.sm.Jet.Count(axis=4), ("axis",)),
    Mistake("6.2", "an aggregate of one number", lambda t: t.sm.Count().Count(), ("Count",), ("sequence", "axis")),
    Mistake("6.1", "a largest object", lambda t: t.sm.Jet.Max(), ("Max", "Jet"), ("pt",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)
