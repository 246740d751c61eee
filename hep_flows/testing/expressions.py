"""Expressions over the sample table, from every corner of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hep_flows.record.dataframe import DataFrame


def sample_expressions(df: DataFrame) -> dict[str, Any]:
    """Give recorded expressions by name, over a table with the members of the sample table."""
    return {**_items(df), **_lists(df), **_loops_and_events(df), **_totals(df), **_histograms(df)}


def _items(df: DataFrame) -> dict[str, Any]:
    import numpy as np

    jets = df.Jet
    return {
        "leaf": jets.pt,
        "leaf of events": df.MET.pt,
        "leaf with missing values": df.weight,
        "arithmetic": (jets.pt + 1) * jets.eta - df.MET.pt / 2,
        "arithmetic of integers": df.number * 3 - df.run,
        "division of negative integers": df.number // 4 + df.number % 3,
        "missing values pass": df.weight * df.MET.pt,
        "function": np.sqrt(jets.pt) + abs(jets.eta),
        "function alone": np.sqrt(jets.pt),
        "comparison": jets.pt > 30,
        "and, or, not": ((jets.pt > 30) & (abs(jets.eta) < 1.5)) | ~(jets.id > 1),
        "where": np.where(jets.eta > 0, jets.pt, -jets.pt),
    }


def _lists(df: DataFrame) -> dict[str, Any]:
    jets = df.Jet
    hard = jets[(jets.pt > 30) & (abs(jets.eta) < 2)]
    return {
        "filter": hard.pt,
        "filter of a filter": hard[hard.eta > 0].pt,
        "filtered objects": hard,
        "count": hard.Count(),
        "sum": hard.pt.Sum(),
        "sum of integers": jets.id.Sum(),
        "product": jets.id.Prod(),
        "largest, missing in empty lists": hard.pt.Max(),
        "smallest": jets.eta.Min(),
        "mean": jets.pt.Mean(),
        "any": (jets.pt > 80).Any(),
        "all": (jets.pt > 20).All(),
        "first": hard.First().pt,
        "last": jets.pt[-1],
        "slice": jets.pt[:2],
    }


def _loops_and_events(df: DataFrame) -> dict[str, Any]:
    jets, muons = df.Jet, df.Muon
    some = df[(jets.Count() >= 2) & df.trigger]
    return {
        "map": jets.map(lambda j: j.pt / 2 + df.MET.pt),
        "pairs": jets.map(lambda j: muons.map(lambda m: j.eta - m.eta)),
        "count of near objects": jets.map(lambda j: muons[lambda m: abs(m.eta - j.eta) < 0.5].Count()),
        "objects of chosen events": some.Jet.pt,
        "aggregate of chosen events": some.Muon.pt.Sum(),
        "no events": df[df.number > 1000].Jet.pt,
    }


def _totals(df: DataFrame) -> dict[str, Any]:
    return {
        "number of events": df.Count(),
        "number of objects": df.Jet.Count().Sum(),
        "sum over events": df.weight.Sum(),
        "largest of all": df.Jet.pt.Max().Max(),
        "mean over events": df.MET.pt.Mean(),
        "share of the total": df.MET.pt / df.MET.pt.Sum(),
    }


def _histograms(df: DataFrame) -> dict[str, Any]:
    import numpy as np

    from hep_flows.record.histogram import Histogram

    counts = Histogram.new.Reg(6, 0, 100, name="pt").Double()
    two = Histogram.new.Reg(4, 0, 60, name="met").Int(0, 4, name="n").Weight()
    return {
        "histogram": counts.fill(pt=df.Jet.pt),
        "two fills": counts.fill(pt=df.Jet.pt).fill(pt=df.Muon.pt),
        "weighted histogram": two.fill(met=df.MET.pt, n=df.Jet.Count(), weight=df.run),
        "numpy's histogram": np.histogram(df.MET.pt, bins=5, range=(0, 60)),
    }
