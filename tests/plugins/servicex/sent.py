"""Expressions that are sent to ServiceX as a whole, over tables with jets, muons and missing energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hep_flows import user_func

if TYPE_CHECKING:
    from hep_flows import DataFrame


@user_func
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float:
    """Give the distance; every plug-in knows it by its name."""


def sent(df: DataFrame) -> dict[str, Any]:
    """Give the expressions by name, over NanoAOD."""
    return {**_columns(df), **_items(df), **_lists(df), **_loops(df), **_events(df)}


def _columns(df: DataFrame) -> dict[str, Any]:
    return {
        "a column": df.Jet.pt,
        "a column of events": df.MET.pt,
        "whole numbers": df.Muon.charge,
        "a branch by its full name": df.Jet_pt,
        "an object of events": df.MET,
        "objects": df.Jet,
        "chosen objects": df.Muon[df.Muon.pt > 10],
    }


def _items(df: DataFrame) -> dict[str, Any]:
    jets, muons, met = df.Jet, df.Muon, df.MET
    return {
        "division by a constant": jets.pt / 1000.0,
        "a constant on the left": 1000.0 / jets.pt,
        "two leaves": jets.pt * np.cosh(jets.eta),
        "an event's value beside each object": jets.pt / met.pt,
        "whole numbers stay whole": muons.charge * 3 - 1,
        "division of whole numbers": muons.charge // 2 + muons.charge % 2,
        "truth values add up": (jets.pt > 30) + (jets.eta > 0),
        "a power": jets.pt**2 - (-jets.eta) ** 3,
        "a comparison": jets.pt > 30,
        "and, or, not": ((jets.pt > 30) & (abs(jets.eta) < 1.5)) | ~(jets.phi > 1),
        "either": (jets.pt > 30) ^ (jets.eta > 0),
        "one of several values": np.isin(muons.charge, [-1, 2]),
        "a choice": np.where(jets.eta > 0, jets.pt, -jets.pt),
        "a choice with a constant": np.where(jets.pt > 30, jets.pt, 0.1),
        "functions of numpy": np.sqrt(jets.pt) + np.hypot(jets.eta, jets.phi) + np.arctan2(jets.eta, jets.phi),
        "rounding": np.floor(jets.pt) + np.rint(jets.eta) - np.trunc(jets.phi),
        "the larger": np.maximum(jets.pt, 25.0),
        "a wide constant": jets.pt * np.float64(0.1),
        "an angle": jets.DeltaPhi(met),
        "a distance in double precision": DeltaR(jets.eta, jets.phi, 0.5, met.phi),
    }


def _lists(df: DataFrame) -> dict[str, Any]:
    jets, muons = df.Jet, df.Muon
    hard = jets[(jets.pt > 30) & (abs(jets.eta) < 2)]
    return {
        "a filter": hard.pt,
        "a filter of a filter": hard[hard.eta > 0].pt,
        "a filter by an angle": jets[abs(jets.DeltaPhi(df.MET)) > 0.4].pt,
        "a count": jets.Count(),
        "a count of chosen": hard.Count(),
        "a sum": hard.pt.Sum(),
        "a sum of whole numbers": muons.charge.Sum(),
        "a sum of truth values": (jets.pt > 30).Sum(),
        "the largest, missing in empty lists": hard.pt.Max(),
        "the smallest whole number": muons.charge.Min(),
        "any": (jets.pt > 80).Any(),
        "all": (jets.pt > 20).All(),
        "any number but zero": muons.charge.Any(),
        "a share": jets.pt / jets.pt.Sum(),
        "elements beside an aggregate of their list": hard[hard.pt > 0.9 * hard.pt.Sum()].eta,
        "two aggregates": jets.pt.Max() - muons.pt.Min(),
    }


def _loops(df: DataFrame) -> dict[str, Any]:
    jets, muons = df.Jet, df.Muon
    good = muons[muons.pt > 5]
    return {
        "pairs": jets.map(lambda j: muons.map(lambda m: j.eta - m.eta)),
        "pairs of one collection": jets.map(lambda a: jets.map(lambda b: a.pt * b.pt)),
        "distances of pairs": jets.map(lambda j: good.map(lambda m: m.DeltaR(j))),
        "near objects counted": jets.map(lambda j: good[lambda m: m.DeltaR(j) < 0.4].Count()),
        "near objects added up": jets.map(lambda j: good[lambda m: m.DeltaR(j) < 0.4].pt.Sum()),
        "whether any is near": jets.map(lambda j: (good.DeltaR(j) < 0.4).Any()),
        "objects without a near one": jets[jets.map(lambda j: ~(good.DeltaR(j) < 0.4).Any())].pt,
        "the nearest distance": jets.map(lambda j: good.map(lambda m: m.DeltaR(j)).Min()),
        "an event's sum in a loop": jets.map(lambda j: j.pt / good.pt.Sum()),
    }


def _events(df: DataFrame) -> dict[str, Any]:
    jets = df.Jet
    some = df[jets[jets.pt > 40].Count() >= 2]
    hardest = df[jets.pt.Max() > 50]
    return {
        "a column of chosen events": some.MET.pt,
        "objects of chosen events": some.Jet[some.Jet.pt > 40].pt,
        "events chosen twice": some[some.Muon.Count() > 0].Muon.pt,
        "events whose hardest object is hard": hardest.Jet.eta,
        "pairs of chosen events": hardest.Jet.map(lambda j: hardest.Muon.map(lambda m: m.DeltaR(j))),
        "no events": df[df.MET.pt < -1].Jet.pt,
        "the number of events": df.Count(),
        "the number of chosen events": some.Count(),
    }


def sent_of_physlite(df: DataFrame) -> dict[str, Any]:
    """Give expressions over PHYSLITE."""
    electrons, jets = df.Electrons("Electrons"), df.Jets("Jets")
    good = electrons[(electrons.pt > 20_000.0) & (abs(electrons.eta) < 1.5)]
    return {
        "a column": electrons.pt,
        "a filter": good.pt / 1000.0,
        "a value of the event": df.EventInfo.eventNumber,
        "lists in objects": jets.NumTrkPt500,
        "sums of lists in objects": jets.NumTrkPt500.Sum(),
        "lists in chosen objects": jets[jets.pt > 30_000].NumTrkPt500,
        "elements of lists chosen by their object": jets.NumTrkPt500[jets.NumTrkPt500 > jets.eta],
        "pairs": good.map(lambda e: jets.map(lambda j: j.DeltaR(e))),
        "objects without a near one": jets[jets.map(lambda j: ~(good.DeltaR(j) < 0.4).Any())].pt,
    }


def sent_of_tree(df: DataFrame) -> dict[str, Any]:
    """Give expressions over a flat tree with jagged branches."""
    muons = df.Muon
    return {
        "a column": muons.Px,
        "a branch": df.Muon_Px,
        "a function": np.hypot(muons.Px, muons.Py),
        "a filter": muons[muons.E > 50].Charge,
        "a value of the event": df.MET_px + df.MET_py,
        "a truth value": df.triggerIsoMu24,
        "events": df[df.triggerIsoMu24 & (df.NMuon > 1)].Muon.E.Sum(),
    }


on_real_files = pytest.mark.parametrize(
    ("kind", "file", "tree", "expressions"),
    [
        ("nanoaod", "Run2012B_SingleMu_1000.root", "", sent),
        ("xaod", "PHYSLITE_example.root", "", sent_of_physlite),
        ("tree", "uproot-HZZ.root", "events", sent_of_tree),
    ],
)
