"""Expressions that the dialect can do, by name: each is written, compiled, run and compared."""

from __future__ import annotations

import numpy as np

from hep_flows import user_func


@user_func
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float: ...


@user_func(cpp="return x * x + y;")
def above(x: float, y: float) -> float:
    return x * x + y


@user_func(cpp="return n % 2 != 0;")
def is_odd(n: int) -> bool:
    return n % 2 == 1


def expressions(df) -> dict:
    """Give all of them, over a PHYSLITE table."""
    return {**items(df), **functions(df), **lists(df), **loops(df), **missing(df), **events(df)}


def items(df) -> dict:
    jets, electrons, info = df.Jets("Jets"), df.Electrons("Electrons"), df.EventInfo("EventInfo")
    truth = df.TruthParticles("TruthElectrons")
    return {
        "leaf by a method": jets.pt,
        "leaf of the auxiliary store": jets.EMFrac,
        "a leaf as a call": electrons.charge(),
        "small integers": electrons.author,
        "truths stored as char": electrons.DFCommonElectronsLHLoose,
        "unsigned integers": electrons.OQ,
        "64-bit integers": info.eventNumber,
        "64-bit integers of objects": df.MissingET("MET_Truth").source,
        "event values": info.averageInteractionsPerCrossing,
        "event value that is no method": info.DFCommonJets_BCIDType,
        "other collections": df.Photons("Photons").pt,
        "vertices": df.Vertices("PrimaryVertices").z,
        "tracks": df.TrackParticles("InDetTrackParticles").d0,
        "missing transverse momentum": df.MissingET("MET_Core_AnalysisMET").sumet,
        "truth leaf": truth.px,
        "arithmetic in 32 bits": (jets.pt / 1000.0 + 0.1) * jets.EMFrac - jets.eta,
        "arithmetic with integers": electrons.author * 1.5 + electrons.truthType,
        "an integer and a float": truth.pdgId + info.averageInteractionsPerCrossing,
        "comparison of an integer with a float": truth.pdgId < info.averageInteractionsPerCrossing - 40,
        "arithmetic with 64 bits": jets.pt * np.float64(1.1) + jets.eta,
        "integer sums": jets.Count() * 3 - electrons.Count(),
        "division of integers": jets.Count() / 2,
        "minus": -jets.eta,
        "comparison with a rounded constant": jets.pt > 20000.1,
        "constant on the left": jets.pt > 30000,
        "comparison of widths": jets.pt > jets.Count() * 3000.3,
        "comparison of unsigned integers": electrons.OQ == 0,
        "comparison of 64-bit integers": info.eventNumber > 200000,
        "and, or, not": ((jets.pt > 30000) & (abs(jets.eta) < 1.5)) | ~(jets.phi > 0),
        "exclusive or": (jets.pt > 30000) ^ (jets.eta > 0),
        "mask in arithmetic": (jets.pt > 30000) + 1.5,
        "equal masks": (jets.pt > 30000) == (jets.eta > 0),
        "choice": np.where(jets.eta > 0, jets.pt, -1.0),
        "choice of integers": np.where(jets.eta > 0, electrons.Count(), 2),
        "membership": np.isin(truth.pdgId, [11, -13]),
        "absolute of integers": abs(truth.pdgId) == 11,
    }


def functions(df) -> dict:
    jets, electrons, truth = df.Jets("Jets"), df.Electrons("Electrons"), df.TruthParticles("TruthElectrons")
    return {
        "root": np.sqrt(jets.pt),
        "square": np.square(jets.eta),
        "reciprocal": 1 / jets.pt,
        "rounding": np.rint(jets.pt / 1000) + np.floor(jets.eta) + np.ceil(jets.phi) + np.trunc(jets.eta),
        "sign": np.sign(jets.eta),
        "larger": np.maximum(jets.eta, jets.phi),
        "smaller": np.minimum(jets.pt, 20000.0),
        "copied sign": np.copysign(jets.pt, jets.eta),
        "remainder as in C": np.fmod(jets.pt, 1000.0),
        "tests": np.isfinite(jets.pt) & ~np.isnan(jets.eta) & ~np.isinf(jets.phi) & np.signbit(jets.eta),
        "mathematics in 32 bits": np.sin(jets.phi) + np.exp(jets.EMFrac),
        "momentum": jets.pt * np.cosh(jets.eta),
        "mathematics in 64 bits": np.log(jets.pt * np.float64(1.0)) + np.arctan2(jets.eta, np.float64(0.3)),
        "transverse components": np.hypot(jets.pt * np.cos(jets.phi), jets.pt * np.sin(jets.phi)),
        "power": jets.eta**2,
        "degrees": np.degrees(jets.phi),
        "derived leaf": truth.pt,
        "cut on a derived leaf": truth[(truth.pt > 20000) & (abs(truth.eta) < 2.5)].eta,
        "angles": jets.map(electrons.DeltaPhi),
        "DeltaR by name": DeltaR(jets.eta, jets.phi, jets.eta, 0.5),
        "own function in C++": above(jets.eta, 2.0),
        "own function of integers": jets[is_odd(jets.PartonTruthLabelID)].pt,
        "own function in a cut": jets[above(jets.eta, jets.phi) > 1.0].pt,
    }


def lists(df) -> dict:
    jets, electrons = df.Jets("Jets"), df.Electrons("Electrons")
    hard = jets[(jets.pt > 30000) & (abs(jets.eta) < 2.5)]
    return {
        "filter": hard.pt,
        "filter of a filter": hard[hard.eta > 0].phi,
        "filter, then arithmetic": hard.pt / 1000,
        "a mask of the event on objects": jets[electrons.Count() == 2].pt,
        "count": hard.Count(),
        "sum": hard.pt.Sum(),
        "sum of a quotient": (jets.pt / 1000).Sum(),
        "sum of truths": (jets.pt > 30000).Sum(),
        "sum of integers": jets.PartonTruthLabelID.Sum(),
        "product": jets.EMFrac.Prod(),
        "any": (jets.pt > 80000).Any(),
        "all": (jets.pt > 10000).All(),
        "share": jets.pt / jets.pt.Sum(),
        "list in a leaf": jets.NumTrkPt500,
        "list in a leaf, filtered": jets.SumPtTrkPt500[jets.SumPtTrkPt500 > 1000],
        "arithmetic of lists in leaves": jets.SumPtTrkPt500 / jets.pt,
        "sum per object": jets.SumPtTrkPt500.Sum(),
        "count per object": jets.NumTrkPt500.Count(),
        "number per object that pass": (jets.NumTrkPt500 > 2).Sum(),
        "largest of sums": jets.SumPtTrkPt500.Sum().Max(),
        "list of the event": df.EventInfo("EventInfo").mcEventWeights,
        "list of the event, filtered": df.EventInfo("EventInfo").mcEventWeights[df.EventInfo("EventInfo").mcEventWeights > 0],
    }


def loops(df) -> dict:
    jets, electrons, muons = df.Jets("Jets"), df.Electrons("Electrons"), df.Muons("Muons")
    return {
        "pairs": jets.map(lambda j: electrons.map(j.DeltaR)),
        "pairs of one collection": jets.map(lambda a: jets.map(lambda b: a.pt - b.pt)),
        "three loops": jets.map(lambda j: electrons.map(lambda e: muons.map(lambda m: j.eta + e.eta * m.eta).Sum())),
        "truths of pairs": jets.map(lambda j: electrons.map(lambda e: j.DeltaR(e) < 0.4)),
        "missing in pairs": jets.map(lambda j: electrons.map(lambda e: muons[muons.pt > e.pt].First().eta * j.eta)),
        "near objects": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].pt),
        "number of near objects": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].Count()),
        "overlap removal": jets[jets.map(lambda j: ~(electrons.DeltaR(j) < 0.4).Any())].pt,
        "a captured number": jets.map(lambda j: j.pt / 2 + electrons.Count()),
        "a value of the event for each": jets.map(lambda j: electrons.Count()),
        "records": jets.map(lambda j: (j.pt, electrons.Count(), j.EMFrac > 0.5)),
        "records with lists": electrons.map(lambda e: (e.pt, jets.pt)),
        "cut on both": electrons[electrons.pt > 20000].map(lambda e: jets[jets.pt > e.pt].map(lambda j: j.DeltaR(e))),
    }


def missing(df) -> dict:
    jets, electrons = df.Jets("Jets"), df.Electrons("Electrons")
    return {
        "largest": electrons.pt.Max(),
        "smallest": electrons.eta.Min(),
        "largest of integers": electrons.truthType.Max(),
        "largest of truths": (electrons.pt > 30000).Max(),
        "mean": electrons.pt.Mean(),
        "mean of integers": electrons.truthType.Mean(),
        "first": electrons.First().pt,
        "first of few": jets[jets.pt > 60000].First().eta,
        "first truth": (electrons.eta > 0).First(),
        "first integer": electrons.First().truthType,
        "first in the auxiliary store": electrons.First().f1,
        "arithmetic of missing": electrons.First().pt + electrons.pt.Max() / 2,
        "comparison with missing": electrons.pt.Max() > 30000,
        "objects above a share of the largest": electrons[electrons.pt > 0.9 * electrons.pt.Max()].pt,
        "nearest": jets.map(lambda j: electrons.DeltaR(j).Min()),
        "leaf of a match": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].First().pt),
        "objects with a match": jets[jets.map(lambda j: electrons.DeltaR(j).Min()) < 0.4].pt,
        "sum that skips missing": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].First().pt).Sum(),
        "largest that skips missing": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].First().pt).Max(),
    }


def events(df) -> dict:
    electrons = df.Electrons("Electrons")
    two = df[electrons.Count() >= 2]
    hard = df[electrons.pt.Max() > 30000]
    both = hard[(hard.Electrons("Electrons").eta > 0).Any()]
    none = df[electrons.Count() > 100]
    return {
        "objects of chosen events": two.Jets("Jets").pt,
        "aggregate of chosen events": two.Electrons("Electrons").pt.Sum(),
        "a cut that may be missing": hard.Jets("Jets").eta,
        "two cuts": both.Electrons("Electrons").pt,
        "objects cut in chosen events": both.Jets("Jets")[both.Jets("Jets").pt > 40000].pt,
        "no events": none.Jets("Jets").pt,
        "number of events": df.Count(),
        "number of chosen events": two.Count(),
    }
