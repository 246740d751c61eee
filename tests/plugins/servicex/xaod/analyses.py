"""What physicists write, over a PHYSLITE table: sent where it can be, and the rest done here."""

from __future__ import annotations

import awkward as ak
import numpy as np

from hep_flows import define_alias, user_func


@user_func(cpp="return std::sqrt(2 * pt1 * pt2 * (std::cosh(eta1 - eta2) - std::cos(phi1 - phi2)));")
def pair_mass(pt1: float, eta1: float, phi1: float, pt2: float, eta2: float, phi2: float) -> float:
    return np.sqrt(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)))


@user_func(cpp="return n * n;")
def squared(n: int) -> int:
    return n * n


@user_func(cpp="return a && !b;")
def and_not(a: bool, b: bool) -> bool:
    return a & ~b


def analyses(df) -> dict:
    """Give all of them by name."""
    return {**objects(df), **truth(df), **events(df), **nested(df), **edges(df)}


def objects(df) -> dict:
    jets, eles, muons = df.Jets("AnalysisJets"), df.Electrons("AnalysisElectrons"), df.Muons("AnalysisMuons")
    define_alias("", "ptgev", lambda o: o.pt / 1000.0)
    good = eles[(eles.ptgev > 10) & (abs(eles.eta) < 2.47) & ~((abs(eles.eta) > 1.37) & (abs(eles.eta) < 1.52))]
    return {
        "central electrons in GeV": good.ptgev,
        "identified electrons": eles[(eles.DFCommonElectronsLHTight != 0) & (eles.pt > 7000)].eta,
        "identified or hard": eles[(eles.DFCommonElectronsLHMedium == 1) | (eles.pt > 40000)].phi,
        "not identified": eles[eles.DFCommonElectronsLHLoose == 0].Count(),
        "logical and": eles[np.logical_and(eles.DFCommonElectronsLHTight, eles.pt > 7000)].eta,
        "isolation": muons.ptvarcone30 / muons.pt,
        "isolated muons": muons[(muons.ptvarcone30 / muons.pt < 0.06) & (muons.pt > 5000)].pt,
        "muon quality": muons[muons.quality <= 1].pt,
        "muon quality is one of": muons[np.isin(muons.quality, [0, 2])].eta,
        "muon author": muons.author * 2.0,
        "hits": muons.numberOfPrecisionLayers + muons.numberOfPrecisionHoleLayers,
        "hit ratio": muons.innerSmallHits / muons.numberOfPrecisionLayers,
        "transverse mass of a jet": np.sqrt(jets.m**2 + jets.pt**2),
        "jet width": np.where(jets.Width > 0.1, jets.Width, -1.0),
        "b jets": jets[jets.HadronConeExclTruthLabelID == 5].pt,
        "not b jets": jets[jets.HadronConeExclTruthLabelID != 5].Count(),
        "truth label as a truth": jets[(jets.PartonTruthLabelID > 0) == (jets.eta > 0)].pt,
        "jvt": jets[(jets.NNJvtPass > 0) | (jets.pt > 60000) | (abs(jets.eta) > 2.4)].eta,
        "jvt is a number": jets.isJvtHS + 0,
        "filtered of filtered": jets[jets.pt > 20000][jets[jets.pt > 20000].eta > 0][lambda j: j.phi > 0].Count(),
        "filtered of filtered, counted with a filter": jets[jets.pt > 20000][lambda j: abs(j.eta) < 2.5].pt.Sum(),
        "opposite charges": (eles.charge > 0).Sum() - (eles.charge < 0).Sum(),
        "charge": eles.charge.Sum(),
        "sign of charge": np.sign(eles.charge) == eles.charge,
        "photons": df.Photons("AnalysisPhotons")[df.Photons("AnalysisPhotons").DFCommonPhotonsIsEMTight != 0].pt,
        "taus": df.TauJets("AnalysisTauJets")[df.TauJets("AnalysisTauJets").RNNJetScoreSigTrans > 0.25].pt / 1e3,
        "momentum along the beam": jets.pt * np.sinh(jets.eta),
        "integer functions": squared(jets.PartonTruthLabelID),
        "truths as arguments": and_not(eles.DFCommonElectronsLHLoose != 0, eles.DFCommonElectronsLHTight != 0),
        "mixed": -jets.pt + 2 * jets.m - 1,
        "maximum of two": np.maximum(jets.pt, jets.m),
        "clip": np.minimum(np.maximum(jets.eta, -2.5), 2.5),
    }


def truth(df) -> dict:
    parts, muons = df.TruthParticles("TruthElectrons"), df.TruthParticles("TruthMuons")
    return {
        "electrons and positrons": parts[(parts.pdgId == 11) | (parts.pdgId == -11)].pt,
        "absolute id": parts[abs(parts.pdgId) == 11].px,
        "final": parts[parts.status == 1].e,
        "barcode": parts[parts.barcode < 200000].Count(),
        "origin": parts[parts.classifierParticleOrigin == 13].eta,
        "origin as a number": parts.classifierParticleOrigin / 2,
        "unsigned difference": parts.classifierParticleOrigin > parts.classifierParticleType,
        "dressed": parts.pt_dressed - parts.pt,
        "photons": parts[parts.nPhotons_dressed > 0].pt_dressed.Sum(),
        "mass of the first": parts.m.First() / 1000,
        "transverse momentum": np.hypot(parts.px, parts.py),
        "charge by id": np.where(muons.pdgId > 0, -1, 1).Sum(),
        "leading": parts[parts.pt == parts.pt.Max()].eta,
    }


def events(df) -> dict:
    jets, eles, info = df.Jets("AnalysisJets"), df.Electrons("AnalysisElectrons"), df.EventInfo("EventInfo")
    met = df.MissingET("MET_Core_AnalysisMET")
    return {
        "run": info.runNumber,
        "event": info.eventNumber,
        "pile-up": np.floor(info.averageInteractionsPerCrossing) + 0.5,
        "weight": info.mcEventWeights[0],
        "first weight": info.mcEventWeights.First(),
        "clean": info.DFCommonJets_eventClean_LooseBad,
        "met": np.hypot(met.mpx, met.mpy),
        "last met": met.sumet.Max() / 1000,
        "met of a source": met[met.sumet > 100000].mpx.Sum(),
        "scalar sum": jets.pt.Sum() + eles.pt.Sum() + met.sumet.Max(),
        "significance": met.sumet.Max() / np.sqrt(jets.pt.Sum()),
        "enough": (jets.Count() >= 4) & (eles.Count() >= 1),
        "either": (jets.Count() >= 6) | (eles.pt > 60000).Any(),
        "half of the jets": jets.Count() / 2,
        "whole half": jets.Count() // 2,
        "odd": jets.Count() % 2,
        "all central": (abs(jets.eta) < 2.5).All(),
        "no electrons are all hard": (eles[eles.pt > 1e9].pt > 5).All(),
        "balance": (jets.pt * np.cos(jets.phi)).Sum(),
    }


def nested(df) -> dict:
    jets, eles, muons = df.Jets("AnalysisJets"), df.Electrons("AnalysisElectrons"), df.Muons("AnalysisMuons")
    parts = df.TruthParticles("TruthElectrons")
    factor = 1.25
    near = eles.map(lambda e: jets[jets.DeltaR(e) < 0.4])
    clean = jets[jets.map(lambda j: ~(eles.DeltaR(j) < 0.2).Any())]
    hard = jets[jets.pt > 30000]
    return {
        "closest jet": eles.map(lambda e: jets.DeltaR(e).Min()),
        "closest of the hard": eles.map(lambda e: hard.DeltaR(e).Min()),
        "isolated from jets": eles[eles.map(lambda e: ~(jets.DeltaR(e) < 0.4).Any())].pt,
        "twice": eles[eles.map(lambda e: (jets[jets.pt > factor * e.pt].DeltaR(e) < 0.4).Any())].pt,
        "match": eles.map(lambda e: parts[parts.DeltaR(e) < 0.1].First().pt - e.pt),
        "matched": eles[eles.map(lambda e: parts[parts.DeltaR(e) < 0.1].Count() > 0)].eta,
        "captured twice": jets.map(lambda j: eles.map(lambda e: muons[(muons.DeltaR(e) < 1) & (muons.DeltaR(j) < 1)].Count())),
        "captured event": jets.map(lambda j: j.pt / jets.pt.Sum()),
        "any of any": jets.map(lambda j: eles.map(lambda e: (muons.DeltaR(e) < j.eta).Any()).Any()),
        "all of any": jets.map(lambda j: eles.map(lambda e: (muons.pt > e.pt + j.m).Any()).All()),
        "any of all in a cut": jets[jets.map(lambda j: eles.map(lambda e: (muons.pt < e.pt - j.m).All()).Any())].pt,
        "count of counts": jets.map(lambda j: eles.map(lambda e: muons[muons.pt + j.m > e.pt].Count()).Sum()),
        "largest of smallest": jets.map(lambda j: eles.DeltaR(j).Min()).Max(),
        "mask on both levels": jets[jets.pt > 20000].map(lambda j: eles[(eles.pt > 10000) & (eles.DeltaR(j) > 0.2)].pt),
        "a mask of pairs": jets.map(eles.DeltaR)[jets.map(lambda j: eles.DeltaR(j) < 2)],
        "a mask of pairs of the chosen": hard.map(lambda j: eles.pt)[hard.map(lambda j: eles.DeltaR(j) < 2)].Sum(),
        "any of pairs": jets.map(lambda j: eles.DeltaR(j) < 0.4).Any(),
        "all of pairs": jets.map(lambda j: eles.DeltaR(j) > 0.2).All(),
        "any of any of pairs": jets.map(lambda j: eles.DeltaR(j) < 0.2).Any().Any(),
        "all of any of pairs": jets.map(lambda j: eles.DeltaR(j) < 2.0).Any().All(),
        "events with": df[jets.map(lambda j: eles.DeltaR(j) < 0.2).Any().Any()].Count(),
        "sum of filtered pairs": jets.map(lambda j: eles[eles.DeltaR(j) < 2].pt.Sum()),
        "largest of filtered pairs": jets.map(lambda j: eles[eles.DeltaR(j) < 0.4].pt.Max()),
        "masses": eles.map(lambda e: muons.map(lambda m: pair_mass(e.pt, e.eta, e.phi, m.pt, m.eta, m.phi))),
        "overlap of overlap": muons[muons.map(lambda m: ~(clean.DeltaR(m) < 0.4).Any())].pt,
        "lists in leaves": jets[(jets.NumTrkPt500 > 5).Any()].pt,
        "lists of the chosen": jets[jets.pt > 40000].SumPtTrkPt500,
        "first in lists": jets.SumPtTrkPt500.First() / jets.pt,
        "jet by jet, near": near.Count(),
        "sums of near": near.pt.Sum(),
        "mass of two electrons": (eles[0] + eles[1]).mass,
        "a cut on a mass": (eles[0] + eles[1]).mass > 50_000,
        "angle of two": eles[0].DeltaPhi(eles[1]),
        "masses of pairs": eles[:2].map(lambda e: hard[hard.DeltaR(e) > 0.4].map(lambda j: (e + j).mass)),
        "four loops": jets.map(
            lambda j: eles.map(lambda e: muons.map(lambda m: parts[parts.pt > m.pt + e.pt - j.m].Count()).Sum()).Sum()
        ),
        "four loops of lists": jets.map(lambda j: eles.map(lambda e: muons.map(lambda m: parts.pt + m.pt + e.pt + j.m))),
    }


def edges(df) -> dict:
    jets, eles, muons = df.Jets("AnalysisJets"), df.Electrons("AnalysisElectrons"), df.Muons("AnalysisMuons")
    none = eles[eles.pt > 1e12]
    return {
        "sum of none": none.pt.Sum(),
        "largest of none": none.pt.Max(),
        "first of none": none.First().pt,
        "count of none": none.Count(),
        "any of none": (none.pt > 0).Any(),
        "mean of none": none.pt.Mean(),
        "missing, filled": ak.fill_none(muons.pt.Max(), -1.0),
        "missing in a choice": np.where(muons.pt.Max() > 20000, 1.0, 0.0),
        "missing, compared, counted": (jets.pt > muons.pt.Max()).Sum(),
        "missing and": (muons.pt.Max() > 20000) & (eles.pt.Max() > 20000),
        "is none": ak.is_none(muons.First().pt),
        "missing in objects": jets[jets.pt > eles.First().pt].Count(),
        "logarithm of nothing": np.log(jets.pt * 0),
        "division by zero": jets.pt / (jets.pt * 0),
        "root of negative": np.sqrt(jets.eta),
        "no number is not largest": np.sqrt(jets.eta).Max(),
        "no number is not smallest": np.sqrt(jets.eta).Min(),
        "no number, and infinities": (1 / np.sqrt(eles.eta)).Min(),
        "nothing but no numbers": np.sqrt(-1 - jets.pt).Max(),
        "infinite is not largest": (1 / (jets.eta * 0)).Max(),
        "integers above": (jets.PartonTruthLabelID > 2.5) | (jets.PartonTruthLabelID < -0.5),
        "small and large": eles.author + eles.truthType,
        "unsigned minus": muons.quality - muons.author,
        "unsigned and negative": muons.quality > -1,
        "second": jets.pt[1],
        "last": jets.pt[-1],
        "two hardest": jets[:2].pt,
        "remainder": jets.phi % 1.0,
        "floor division": jets.pt // 1000,
        "integer power": jets.PartonTruthLabelID**2,
        "third power of integers": jets.PartonTruthLabelID**3,
        "product of integers": jets.PartonTruthLabelID * jets.PartonTruthLabelID * 65537,
        "difference of unsigned": muons.quality - muons.numberOfPrecisionLayers,
        "minus unsigned": -muons.quality,
        "product of small integers": muons.numberOfPrecisionLayers * muons.innerLargeHits * muons.middleLargeHits * 7,
        "square of integers": np.square(muons.author),
        "remainder of negative": jets.PartonTruthLabelID % -4,
        "floor division of negative": -jets.PartonTruthLabelID // 3,
        "remainder by zero": jets.PartonTruthLabelID % (jets.PartonTruthLabelID * 0),
        "floor division by zero": jets.PartonTruthLabelID // (jets.PartonTruthLabelID * 0),
        "division by zero, rounded down": jets.eta // (jets.eta * 0),
        "remainder of a number": (jets.eta * np.float64(3.3)) % -0.7,
        "floor division of reals": (jets.eta * np.float64(3.3)) // 0.1,
        "floor division of tenths": (np.rint(jets.eta * 10) / 10) // 0.1,
        "every other event": df.EventInfo("EventInfo").eventNumber % 2 == 0,
        "event number by ten": df.EventInfo("EventInfo").eventNumber % 10 + 0.5,
        "sum of remainders": (jets.PartonTruthLabelID % 3).Sum(),
        "hundredth": jets.pt[100],
        "second from the end": jets[jets.pt > 20000].eta[-2],
        "without the first": jets.pt[1:],
        "without the last": jets[jets.pt > 20000].pt[:-1],
        "last two": jets.pt[-2:],
        "from second to third": jets[1:3].phi,
        "nothing of it": jets.pt[3:1],
        "all of it": jets.pt[:],
        "every other": jets.pt[::2],
        "sum of the two hardest": jets[:2].pt.Sum(),
        "cut after a slice": jets[:3][jets[:3].eta > 0].pt,
        "slice of a slice": jets[1:][:2].pt,
        "second of a slice": jets[1:].pt[1],
        "slice of a leaf that is a list": jets[:2].SumPtTrkPt500,
        "second of each": jets.map(lambda j: eles[eles.DeltaR(j) > 0.4].pt[1]),
        "two near each": jets.map(lambda j: eles[eles.DeltaR(j) < 3][:2].pt),
        "mass of two": pair_mass(jets.pt[0], jets.eta[0], jets.phi[0], jets.pt[1], jets.eta[1], jets.phi[1]) > 50000,
        "difference of two": jets.pt[0] - jets.pt[1],
        "real power": jets.pt**0.5,
        "rounded": np.round(jets.pt / 1000),
    }
