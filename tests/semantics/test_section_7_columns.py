"""Section 7, columns: properties of the element, selected and never computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local
from semantics.equal import wide_sum
from semantics.files import pairs
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def two_ways_to_a_column(t: Tables) -> Any:
    t.sm.Jet["a"] = t.sm.Jet.pt / 1000
    t.sm.Jet["b"] = lambda j: j.pt / 1000
    t.sm["met2"] = t.sm.MET.pt * 2
    t.sm["njet"] = lambda e: e.Jet.Count()
    t.sm.MET["half"] = lambda m: m.pt / 2
    return [t.sm.Jet.a, t.sm.Jet.b, t.sm.met2, t.sm.njet, t.sm.MET.half]


def before_in_and_after_a_filter(t: Tables) -> Any:
    view, events = t.sm.Jet[t.sm.Jet.eta > 0], t.sm[t.sm.MET.pt > 30]
    t.sm.Jet["gev"] = lambda j: j.pt / 1000
    return [
        t.sm.Jet[t.sm.Jet.gev > 0.03].gev,
        view.gev,
        view[view.gev > 0.03].gev,
        events.Jet.gev,
        events.Jet[events.Jet.gev > 0.03].Count(),
    ]


def want_before_in_and_after_a_filter(r: Raw) -> Any:
    gev, right, keep = r.sm["Jet_pt"] / 1000, r.sm["Jet_eta"] > 0, r.sm["MET_pt"] > 30
    return [gev[gev > 0.03], gev[right], gev[right & (gev > 0.03)], gev[keep], ak.sum(gev[keep] > 0.03, axis=1)]


def names_of_any_kind(t: Tables) -> Any:
    t.sm.Jet["a name"] = t.sm.Jet.pt * 2
    t.sm.Jet["Count"] = t.sm.Jet.pt * 3
    return [t.sm["Jet"]["pt"], t.sm.Jet["a name"], t.sm.Jet["Count"], t.sm.Jet.Count(), t.sm["HLT"]["IsoMu24"]]


def column_on_column(t: Tables) -> Any:
    j = t.sm.Jet
    j["gev"] = lambda j: j.pt / 1000
    j["hard"] = lambda j: j.gev > 0.03
    j["score"] = np.where(j.hard, j.gev, -j.gev)
    view = j[j.eta > 0]
    view["more"] = view.score * view.gev
    inner = view[view.hard]
    inner["most"] = inner.more + 1
    return [j[j.hard].pt, j[~j.hard].pt, view.more, inner.most, inner[inner.most > 1.002].score]


def want_column_on_column(r: Raw) -> Any:
    pt, eta = r.sm["Jet_pt"], r.sm["Jet_eta"]
    gev = pt / 1000
    hard = gev > 0.03
    more = ak.where(hard, gev, -gev) * gev
    most = more + 1
    m = (eta > 0) & hard
    return [pt[hard], pt[~hard], more[eta > 0], most[m], ak.where(hard, gev, -gev)[m & (most > 1.002)]]


def shortcuts(t: Tables) -> Any:
    def define(df: Any) -> None:
        df["good_jets"] = df.Jet[lambda j: (j.pt > 35) & (abs(j.eta) < 2.5)]
        df.good_jets["gev"] = lambda j: j.pt / 1000

    define(t.sm)
    ev = t.sm[t.sm.MET.pt > 30]
    return [
        t.sm.good_jets.pt,
        t.sm.good_jets.gev,
        ev.good_jets.gev,
        t.sm[t.sm.good_jets.Count() > 2].good_jets.eta,
        t.sm.good_jets[0].gev,
    ]


def want_shortcuts(r: Raw) -> Any:
    m = (r.sm["Jet_pt"] > 35) & (abs(r.sm["Jet_eta"]) < 2.5)
    pt, eta, keep = r.sm["Jet_pt"][m], r.sm["Jet_eta"][m], r.sm["MET_pt"] > 30
    return [pt, pt / 1000, pt[keep] / 1000, eta[ak.num(eta) > 2], ak.firsts(pt / 1000)]


def repeated_for_each(t: Tables) -> Any:
    j = t.sm.Jet
    j["met"] = t.sm.MET.pt
    j["mus"] = t.sm.Muon[t.sm.Muon.pt > 5]
    j["n"] = t.sm.Jet.Count()
    j["biggest"] = t.sm.MET.pt.Max()
    return [j.met, j.mus.Count(), j.mus.pt, j.n, j[j.pt > 30].mus.pt, j[j.pt > 30].met, j.biggest / 1, j.First().met]


def want_repeated_for_each(r: Raw) -> Any:
    pt, met = r.sm["Jet_pt"], ak.broadcast_arrays(r.sm["MET_pt"], r.sm["Jet_pt"])[0]
    mu = r.sm["Muon_pt"][r.sm["Muon_pt"] > 5]
    mus = pairs(pt, mu)[1]
    biggest = np.float32(ak.max(r.sm["MET_pt"]))
    n = ak.broadcast_arrays(ak.num(pt), pt)[0]
    return [met, ak.num(mus, axis=2), mus, n, mus[pt > 30], met[pt > 30], ak.full_like(pt, biggest), ak.firsts(met)]


def a_filter_selects(t: Tables) -> Any:
    j = t.sm.Jet
    j["frac"] = j.pt / j.pt.Sum()
    j["rank"] = lambda j: t.sm.Jet[lambda k: k.pt > j.pt].Count()
    cut = j[j.pt > 30]
    return [cut.frac, cut.rank, t.sm[t.sm.MET.pt > 30].Jet.frac, j[1:].rank]


def want_a_filter_selects(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    frac = pt / wide_sum(pt, axis=1)
    mine, others = pairs(pt, pt)
    rank = ak.sum(others > mine, axis=2)
    return [frac[pt > 30], rank[pt > 30], frac[r.sm["MET_pt"] > 30], rank[:, 1:]]


def by_container(t: Tables) -> Any:
    t.phys.Electrons("Electrons")["gev"] = lambda e: e.pt / 1000
    return [
        t.phys.Electrons("Electrons").gev,
        t.phys.AnalysisElectrons.gev,
        t.phys.Electrons("AnalysisElectrons")[lambda e: e.gev > 20].gev,
    ]


def want_by_container(r: Raw) -> Any:
    gev = r.phys["AnalysisElectronsAuxDyn.pt"] / 1000
    return [gev, gev, gev[gev > 20]]


def matched_objects(t: Tables) -> Any:
    mu, j = t.sm.Muon, t.sm.Jet
    mu["gev2"] = mu.pt * 2
    j["near"] = lambda j: mu[lambda m: m.DeltaR(j) < 0.4]
    with_mu = j[j.near.Count() > 0]
    with_mu["mu"] = lambda j: j.near.First()
    return [with_mu.mu.gev2, with_mu.near.gev2, with_mu[with_mu.mu.gev2 > 10].mu.charge, with_mu.pt]


def want_matched_objects(r: Raw) -> Any:
    j, m = pairs(r.sm.objects("Jet_", "pt", "eta", "phi"), r.sm.objects("Muon_", "pt", "eta", "phi", "charge"))
    dphi = (m.phi - j.phi + np.pi) % (2 * np.pi) - np.pi
    near = np.hypot(m.eta - j.eta, dphi) < 0.4
    has = ak.any(near, axis=2)
    mu = ak.firsts(m[near], axis=2)[has]
    return [mu.pt * 2, (m.pt * 2)[near][has], mu.charge[mu.pt * 2 > 10], r.sm["Jet_pt"][has]]


ROWS = [
    Row(
        "7.1",
        "a column from an expression or from a function of one element",
        two_ways_to_a_column,
        lambda r: [r.sm["Jet_pt"] / 1000, r.sm["Jet_pt"] / 1000, r.sm["MET_pt"] * 2, ak.num(r.sm["Jet_pt"]), r.sm["MET_pt"] / 2],
    ),
    Row(
        "7.2, 7.3",
        "a column is seen in filters, after them, and by views made before it",
        before_in_and_after_a_filter,
        want_before_in_and_after_a_filter,
    ),
    Row(
        "7.5",
        "a text key is the attribute, for any name",
        names_of_any_kind,
        lambda r: [r.sm["Jet_pt"], r.sm["Jet_pt"] * 2, r.sm["Jet_pt"] * 3, ak.num(r.sm["Jet_pt"]), r.sm["HLT_IsoMu24"]],
    ),
    Row(
        "7.8",
        "columns on columns, on views and on views of views; boolean columns as masks",
        column_on_column,
        want_column_on_column,
    ),
    Row("7.9", "a shortcut on the table takes columns itself", shortcuts, want_shortcuts),
    Row("7.10", "what is not per element is repeated for each", repeated_for_each, want_repeated_for_each),
    Row("7.11", "a filter selects and does not compute again (R4)", a_filter_selects, want_a_filter_selects, rel=1e-6),
    Row("7.12", "a column belongs to the container, however it is reached", by_container, want_by_container),
    Row("7.15", "matched objects keep all their columns", matched_objects, want_matched_objects, rel=1e-6),
]


@table(ROWS)
def test_column(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def column_of_a_view(t: Tables) -> Any:
    hard = t.sm.Jet[t.sm.Jet.pt > 30]
    hard["x"] = hard.pt / 2
    assert make_local(hard.x.Count()) is not None
    return t.sm.Jet.x


def column_of_another_table(t: Tables) -> Any:
    t.sm.Jet["mine"] = t.sm.Jet.pt
    return t.new("sm").Jet.mine


def set_it(frame: str, name: Any, value: Any) -> Any:
    def user(t: Tables) -> None:
        of = t.sm
        for part in frame.split("."):
            of = of[part]
        of[name] = value(t) if callable(value) and value.__name__ == "of_tables" else value

    return user


def column_of_a_leaf(t: Tables) -> Any:
    t.sm.Jet["g"] = t.sm.Jet.pt / 2
    return t.sm.Jet.pt.g


def column_from_other_elements(t: Tables) -> None:
    t.sm.Jet["x"] = t.sm.Jet[t.sm.Jet.pt > 30].pt


def leaf_from_an_expression(t: Tables) -> None:
    t.sm.Jet["pt"] = t.sm.Jet.pt * 2


MISTAKES = [
    Mistake("7.4", "a view's column is unknown to its parent", column_of_a_view, ("'x'",)),
    Mistake("7.12", "a column is unknown in another table of the same file", column_of_another_table, ("'mine'",)),
    Mistake("7.7", "a column over a stored leaf, from an expression", leaf_from_an_expression, ("'pt'", "Jet", "With(pt=")),
    Mistake(
        "7.7",
        "a column over a stored leaf, from a function",
        set_it("Jet", "pt", lambda j: j.pt * 2),
        ("'pt'", "Jet", "With(pt="),
    ),
    Mistake("7.13", "a collection's column on a leaf", column_of_a_leaf, ("'g'",)),
    Mistake("7.13", "a column defined on a leaf", set_it("Jet.pt", "g", lambda p: p / 2), ("'g'",)),
    Mistake("7.14", "a number as a column", set_it("Jet", "w", 1.0), ("float",), ("lambda x: 1.0",)),
    Mistake("7.14", "an empty name", set_it("Jet", "", lambda j: j.pt), ("name",)),
    Mistake("7.14", "a name that is no text", set_it("Jet", 3, lambda j: j.pt), ("name", "3")),
    Mistake("7.10", "a column of other elements of the same collection", column_from_other_elements, ("Jet",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_redefinition_warns_with_the_name_and_the_last_wins(t: Tables) -> None:  # 7.6
    t.sm.Jet["g"] = lambda j: j.pt
    before = t.sm.Jet.g
    with pytest.warns(UserWarning, match="'g'"):
        t.sm.Jet["g"] = lambda j: j.eta
    got = make_local([before - t.sm.Jet.pt, t.sm.Jet.g - t.sm.Jet.eta])
    assert ak.all(got[0] == 0, axis=None)
    assert ak.all(got[1] == 0, axis=None)


def test_the_same_definition_again_does_not_warn(t: Tables) -> None:  # 7.6: notebooks run a cell twice
    for _ in range(2):
        t.sm.Jet["g"] = lambda j: j.pt / 1000
