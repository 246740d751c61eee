"""Many spellings, one expression: each row is a pair that must be equal after normalisation."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import nanoaod_table, render
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.record.aliases import define_alias
from hep_flows.record.callables import curry

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.record.dataframe import DataFrame


def above(cut: float, jets: DataFrame) -> DataFrame:
    return jets.pt > cut


def near(muons: DataFrame, j: DataFrame) -> DataFrame:
    return muons[lambda m: m.DeltaR(j) < 0.4]


SAME: dict[str, tuple[Callable[[DataFrame], Any], Callable[[DataFrame], Any]]] = {
    "leaf by key": (lambda d: d.Jet.pt, lambda d: d["Jet"]["pt"]),
    "filter then leaf": (lambda d: d.Jet[d.Jet.pt > 30].eta, lambda d: d.Jet.eta[d.Jet.pt > 30]),
    "filter then arithmetic": (lambda d: d.Jet[d.Jet.pt > 30].pt / 1000, lambda d: (d.Jet.pt / 1000)[d.Jet.pt > 30]),
    "filter function": (lambda d: d.Jet[lambda j: j.pt > 30].pt, lambda d: d.Jet[d.Jet.pt > 30].pt),
    "partial": (lambda d: d.Jet[functools.partial(above, 40)].pt, lambda d: d.Jet[d.Jet.pt > 40].pt),
    "Where": (lambda d: d.Jet.Where(d.Jet.pt > 30).pt, lambda d: d.Jet[d.Jet.pt > 30].pt),
    "constant on the left": (lambda d: d.Jet[d.Jet.pt > 30].pt, lambda d: d.Jet[d.Jet.pt > 30].pt),
    "order of and": (lambda d: (d.Jet.pt > 3) & d.Jet.puId, lambda d: d.Jet.puId & (d.Jet.pt > 3)),
    "abs": (lambda d: abs(d.Jet.eta), lambda d: np.abs(d.Jet.eta)),
    "true divide": (lambda d: d.Jet.pt / 2, lambda d: np.divide(d.Jet.pt, 2)),
    "first object": (lambda d: d.Muon.First().pt, lambda d: d.Muon.pt.First()),
    "index zero": (lambda d: d.Muon.First().pt, lambda d: d.Muon[0].pt),
    "lower-case": (lambda d: d.Muon.pt.sum(), lambda d: d.Muon.pt.Sum()),
    "count of a leaf": (lambda d: d.Muon.pt.Count(), lambda d: d.Muon.Count()),
    "event filter": (lambda d: d[d.MET.pt > 40].Jet.Count(), lambda d: d.Jet.Count()[d.MET.pt > 40]),
    "map along": (lambda d: d.Jet.map(lambda j: j.pt / 1000), lambda d: d.Jet.pt / 1000),
    "map identity": (lambda d: d.Jet.map(lambda j: j).pt, lambda d: d.Jet.pt),
    "map over a leaf": (lambda d: d.Jet.pt.map(lambda p: p + d.MET.pt), lambda d: d.Jet.pt + d.MET.pt),
    "map as a mask": (lambda d: d.Muon[d.Muon.map(lambda m: m.pt > 10)].eta, lambda d: d.Muon[d.Muon.pt > 10].eta),
    "names of variables": (
        lambda d: d.Jet.map(lambda a: d.Muon.map(lambda b: a.pt - b.pt)),
        lambda d: d.Jet.map(lambda x: d.Muon.map(lambda y: x.pt - y.pt)),
    ),
    "inner count": (
        lambda d: d.Jet.map(lambda j: d.Muon.map(lambda m: j.pt + m.pt)).map(lambda row: row.Sum()),
        lambda d: d.Jet.map(lambda j: d.Muon.map(lambda m: j.pt + m.pt)).Sum(),
    ),
    "curry": (lambda d: d.Jet.map(curry(near)(d.Muon)).Count(), lambda d: d.Jet.map(lambda j: near(d.Muon, j)).Count()),
    "awkward num": (lambda d: ak.num(d.Jet), lambda d: d.Jet.Count()),
    "awkward sum": (lambda d: ak.sum(d.Jet.pt, axis=-1), lambda d: d.Jet.pt.Sum()),
    "awkward firsts": (lambda d: ak.firsts(d.Jet.pt), lambda d: d.Jet.pt.First()),
    "awkward where": (lambda d: ak.where(d.Jet.puId, 1, 2), lambda d: np.where(d.Jet.puId, 1, 2)),
    "numpy sum is over everything": (lambda d: np.sum(d.Jet.pt), lambda d: d.Jet.pt.Sum().Sum()),
    "deepcopy": (lambda d: copy.deepcopy(d.Jet.pt), lambda d: d.Jet.pt),
}


@pytest.mark.parametrize("row", SAME)
def test_both_spellings_are_one_expression(row: str, df: DataFrame) -> None:
    one, two = (render(f(df)) for f in SAME[row])
    assert one == two
    assert one.type == two.type


DIFFERENT: dict[str, tuple[Callable[[DataFrame], Any], Callable[[DataFrame], Any]]] = {
    "int and float": (lambda d: d.Jet.pt > 1, lambda d: d.Jet.pt > 1.0),
    "numpy width": (lambda d: d.Jet.pt + np.float64(1), lambda d: d.Jet.pt + 1.0),
    "order of minus": (lambda d: d.Jet.pt - d.Jet.eta, lambda d: d.Jet.eta - d.Jet.pt),
    "lambdas on one line": (lambda d: d.Jet[lambda j: j.pt > 1].pt, lambda d: d.Jet[lambda j: j.pt > 2].pt),
    "inner and outer": (
        lambda d: d.Muon.map(lambda a: d.Muon.map(lambda b: a.pt - b.pt)),
        lambda d: d.Muon.map(lambda a: d.Muon.map(lambda b: b.pt - a.pt)),
    ),
    "cut before and after an aggregate": (
        lambda d: (d.Jet.pt / d.Jet.pt.Sum())[d.Jet.pt > 30],
        lambda d: d.Jet[lambda j: j.pt > 30].pt / d.Jet[lambda j: j.pt > 30].pt.Sum(),
    ),
}


@pytest.mark.parametrize("row", DIFFERENT)
def test_different_meanings_are_different_expressions(row: str, df: DataFrame) -> None:
    one, two = (render(f(df)) for f in DIFFERENT[row])
    assert one != two


def test_two_closures_of_one_factory_differ(df: DataFrame) -> None:
    def factory(cut: float) -> Callable[[DataFrame], DataFrame]:
        return lambda j: j.pt > cut

    assert render(df.Jet[factory(1.0)].pt) != render(df.Jet[factory(2.0)].pt)


def test_a_column_equals_its_definition_before_and_after_a_filter(df: DataFrame) -> None:
    df.Jet["gev"] = lambda j: j.pt / 1000
    assert render(df.Jet.gev) == render(df.Jet.pt / 1000)
    view = df.Jet[df.Jet.gev > 30]
    assert [render(view.gev)] == [render((df.Jet.pt / 1000)[df.Jet.gev > 30])]


def test_a_column_reaches_a_view_made_before_it_and_an_event_filter(df: DataFrame) -> None:
    view, events = df.Jet[df.Jet.pt > 30], df[df.MET.pt > 40]
    df.Jet["gev"] = df.Jet.pt / 1000
    assert render(view.gev).type.axes == render(view.pt).type.axes
    assert render(events.Jet.gev).type.axes == render(events.Jet.pt).type.axes


def test_an_earlier_expression_keeps_the_earlier_column(df: DataFrame) -> None:
    df.Jet["g"] = df.Jet.pt / 1000
    before = df.Jet.g
    with pytest.warns(UserWarning, match="'g'"):
        df.Jet["g"] = df.Jet.pt / 2000
    assert render(before) == render(df.Jet.pt / 1000)
    assert render(df.Jet.g) == render(df.Jet.pt / 2000)


def test_a_column_is_of_the_table_and_the_collection(df: DataFrame, other: DataFrame, atlas: DataFrame) -> None:
    atlas.Electrons("Electrons")["g"] = lambda e: e.pt / 1000
    assert render(atlas.Electrons("Electrons").g).type.axes[1].name == "AnalysisElectrons"
    df.Jet["only_here"] = df.Jet.pt
    assert not hasattr(other.Jet, "only_here")
    assert not hasattr(df.Muon, "only_here")


def test_a_view_keeps_its_columns_from_its_parent(df: DataFrame) -> None:
    hard = df.Jet[df.Jet.pt > 30]
    hard["x"] = hard.pt / 2
    assert not hasattr(df.Jet, "x")
    assert render(df.Jet[df.Jet.pt > 30].x) == render(hard.pt / 2), "the same selection is the same view"


@pytest.mark.parametrize(
    ("base", "reads"),
    [("", ["Jet", "Muon"]), ("Jet", ["Jet"]), (".Jet", ["Jet"]), (".", []), ("Muon", ["Muon"])],
)
def test_alias_bases(base: str, reads: list[str], df: DataFrame) -> None:
    define_alias(base, "gev", lambda o: o.pt / 1000)
    assert [n for n in ("Jet", "Muon") if hasattr(df[n], "gev")] == reads


def test_column_wins_over_alias_wins_over_leaf_before_and_after_a_filter(df: DataFrame) -> None:
    define_alias("Jet", "pt", lambda j: j.pt * 3)
    view = df.Jet[df.Jet.eta > 0]
    assert [render(view.pt)] == [render(view["pt"])]
    assert "3" in str(view.pt)
    define_alias("Jet", "own", lambda j: j.eta)
    df.Jet["own"] = df.Jet.phi
    assert render(df.Jet.own) == render(df.Jet.phi)
    assert render(view.own) == render(view.phi)


def test_an_alias_acts_when_the_name_is_recorded(df: DataFrame) -> None:
    before = df.Jet.pt
    define_alias("Jet", "pt", lambda j: j.pt * 2)
    assert render(before) != render(df.Jet.pt)


def test_an_alias_applies_after_a_filter_and_after_an_accessor(df: DataFrame, atlas: DataFrame) -> None:
    define_alias("Electrons", "gev", lambda e: e.pt / 1000)
    eles = atlas.Electrons("Electrons")
    assert render(eles[eles.pt > 1].gev) == render(eles[eles.pt > 1].pt / 1000)


def test_names_of_methods_win_and_keys_always_mean_the_leaf(df: DataFrame) -> None:
    assert render(df["Count"]).type.axes == render(df.run).type.axes
    assert render(df.count) == render(df["count"]), "a leaf wins over a lower-case synonym"


def test_xaod_names(atlas: DataFrame) -> None:
    eles = atlas.Electrons("Electrons")
    assert render(eles) == render(atlas.Electrons("AnalysisElectrons")) == render(atlas.AnalysisElectrons)
    assert render(eles.pt()) == render(eles.pt)
    truth = atlas.TruthParticles("TruthElectrons")
    assert render(truth.pt()) == render(truth.pt)
    assert str(render(truth.eta).type.item) == "float64"
    truth["pt"] = lambda p: np.hypot(p.px, p.py)
    assert str(render(truth.pt).type.item) == "float32", "a user's column wins over a derived leaf"


def test_recording_calls_no_user_function(df: DataFrame) -> None:
    from hep_flows.functions.user import user_func

    @user_func
    def fails(x: float) -> float:
        return x / 0

    assert str(render(fails(df.Jet.pt) / 2).type.item) == "float64"


FULL_NAMES = {
    "leaf": (lambda d: d.Jet_pt[d.Jet_eta > 0], lambda d: d.Jet.pt[d.Jet.eta > 0]),
    "value of the event": (lambda d: d[d.MET_pt > 30].MET_pt.Sum(), lambda d: d.MET.pt[d.MET.pt > 30].Sum()),
    "leaf with a long name": (lambda d: d.Electron_genPartIdx, lambda d: d.Electron.genPartIdx),
    "of selected events": (
        lambda d: d[d.MET.pt > 30].Jet_pt / d[d.MET.pt > 30].Jet.eta,
        lambda d: d[d.MET.pt > 30].Jet.pt / d[d.MET.pt > 30].Jet.eta,
    ),
}


@pytest.mark.parametrize("name", FULL_NAMES)
def test_the_full_name_of_a_branch_is_another_spelling(name, tmp_path):
    table = nanoaod_table(str(sample_files(tmp_path, Recipe(events=50)).nanoaod))
    full, short = (render(written(table)) for written in FULL_NAMES[name])
    assert (full, full.type) == (short, short.type)
