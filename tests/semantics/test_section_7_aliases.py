"""Section 7, aliases and users' own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import DataFrame, HepFlowsError, alias_scope, define_alias, exclusive_class, make_local, render, reset_aliases
from semantics.equal import assert_same, wide_sum
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def bases(t: Tables) -> Any:
    define_alias("", "gev", lambda o: o.pt / 1000)
    define_alias(".", "ht", lambda e: e.Jet.pt.Sum())
    define_alias("Jet", "double", lambda j: j.pt * 2)
    define_alias(".Muon", "triple", lambda m: m.pt * 3)
    assert not hasattr(t.sm.Muon, "double")
    assert not hasattr(t.sm.Jet, "triple")
    assert not hasattr(t.sm.Jet, "ht")
    return [t.sm.Jet.gev, t.sm.MET.gev, t.sm.ht, t.sm.Jet.double, t.sm.Muon.triple, t.sm[t.sm.ht > 100].MET.pt]


def want_bases(r: Raw) -> Any:
    ht = wide_sum(r.sm["Jet_pt"], axis=1)
    return [r.sm["Jet_pt"] / 1000, r.sm["MET_pt"] / 1000, ht, r.sm["Jet_pt"] * 2, r.sm["Muon_pt"] * 3, r.sm["MET_pt"][ht > 100]]


def hides_a_leaf(t: Tables) -> Any:
    define_alias("Tau", "mass", lambda x: x.mass * 1000)
    define_alias("Tau", "sum", lambda x: x.mass + x.half)
    define_alias("Tau", "half", lambda x: x.pt / 2)
    return [t.sm.Tau.mass, t.sm.Tau[t.sm.Tau.mass > 500].mass, t.sm.Tau["sum"], t.sm.Tau.First().mass, t.sm.Jet.mass]


def want_hides_a_leaf(r: Raw) -> Any:
    mass = r.sm["Tau_mass"] * 1000
    return [mass, mass[mass > 500], mass + r.sm["Tau_pt"] / 2, ak.firsts(mass), r.sm["Jet_mass"]]


def in_filters_and_after(t: Tables) -> Any:
    define_alias("Jet", "gev", lambda j: j.pt / 1000)
    define_alias("Electrons", "gev", lambda e: e.pt / 1000)
    j, e = t.sm.Jet, t.phys.Electrons("Electrons")
    return [
        j[j.gev > 0.03].eta,
        j[j.eta > 0].gev,
        t.sm[t.sm.MET.pt > 30].Jet.gev,
        e.gev,
        e[e.gev > 20].gev,
        j.map(lambda j: j.gev),
        j[0].gev,
    ]


def want_in_filters_and_after(r: Raw) -> Any:
    gev, e = r.sm["Jet_pt"] / 1000, r.phys["AnalysisElectronsAuxDyn.pt"] / 1000
    return [r.sm["Jet_eta"][gev > 0.03], gev[r.sm["Jet_eta"] > 0], gev[r.sm["MET_pt"] > 30], e, e[e > 20], gev, ak.firsts(gev)]


def last_wins_and_column_wins(t: Tables) -> Any:
    define_alias("Jet", "a", lambda j: j.pt / 1)
    define_alias("Jet", "a", lambda j: j.pt / 2)
    define_alias("Jet", "b", lambda j: j.eta)
    t.sm.Jet["b"] = t.sm.Jet.phi
    return [t.sm.Jet.a, t.sm.Jet.b, t.sm.Jet[t.sm.Jet.pt > 30].b, t.sm.Jet[t.sm.Jet.pt > 30].a]


def want_last_wins_and_column_wins(r: Raw) -> Any:
    pt, phi = r.sm["Jet_pt"], r.sm["Jet_phi"]
    return [pt / 2, phi, phi[pt > 30], pt[pt > 30] / 2]


def acts_when_recorded(t: Tables) -> Any:
    before = t.sm.Jet.pt
    define_alias("Jet", "pt", lambda j: j.pt * 2)
    after = t.sm.Jet.pt
    assert render(after) == render(after)
    reset_aliases()
    return [before, after, t.sm.Jet.pt]


class Vec(DataFrame):
    """A vector in the transverse plane."""

    def __init__(self, df: DataFrame) -> None:
        DataFrame.__init__(self, df)

    @property
    def px(self) -> Any:
        return self.pt * np.cos(self.phi)

    @property
    def py(self) -> Any:
        return self.pt * np.sin(self.phi)


class Scaled(Vec):
    """A vector with another meaning of a stored leaf."""

    @property
    def pt(self) -> Any:
        return DataFrame(self).pt * 2


class Event(DataFrame):
    """An event with objects of the user's own class."""

    @property
    def jets(self) -> Vec:
        return Vec(self.Jet)


class XY(DataFrame):
    """A pair of components that adds."""

    @property
    def xy(self) -> Any:
        return self.x + self.y


def subclass(t: Tables) -> Any:
    j = Vec(t.sm.Jet)
    ev = Event(t.sm)
    return [
        j.px,
        j.eta,
        j[j.px > 10].py,
        Vec(j).px,
        ev.jets.px,
        ev[ev.MET.pt > 30].jets.py,
        ev.MET.pt,
        Scaled(t.sm.Jet).px,
        j[0].px,
    ]


def want_subclass(r: Raw) -> Any:
    pt, phi, eta, met = r.sm["Jet_pt"], r.sm["Jet_phi"], r.sm["Jet_eta"], r.sm["MET_pt"]
    px, py = pt * np.cos(phi), pt * np.sin(phi)
    return [px, eta, py[px > 10], px, px, py[met > 30], met, pt * 2 * np.cos(phi), ak.firsts(px)]


def sums_of_vectors(t: Tables) -> Any:
    mu = t.sm[t.sm.Muon.Count() >= 2].Muon
    a, b = mu[0], mu[1]
    z = a + b
    d = a - b
    return [z.mass, z.pt, z.px, d.px, z.energy]


def want_sums_of_vectors(r: Raw) -> Any:
    keep = ak.num(r.sm["Muon_pt"]) >= 2
    pt, eta, phi, m = (ak.values_astype(r.sm[f"Muon_{n}"][keep], "float64") for n in ("pt", "eta", "phi", "mass"))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    e = np.sqrt(px**2 + py**2 + pz**2 + m**2)
    x, y, z, t = (c[:, 0] + c[:, 1] for c in (px, py, pz, e))
    mass2 = t**2 - x**2 - y**2 - z**2
    return [np.sqrt(np.maximum(mass2, 0)), np.hypot(x, y), x, px[:, 0] - px[:, 1], t]


def users_vectors(t: Tables) -> Any:
    j = t.sm.Jet
    v1 = XY(j.map(lambda j: {"x": j.pt, "y": j.eta}))
    v2 = XY(j.map(lambda j: {"x": j.phi, "y": j.mass}))
    return [(v1 + v2).xy, (v1 - v2).x]


def want_users_vectors(r: Raw) -> Any:
    pt, eta, phi, mass = (r.sm[f"Jet_{n}"] for n in ("pt", "eta", "phi", "mass"))
    return [(pt + phi) + (eta + mass), pt - phi]


ROWS = [
    Row("7.16", "bases: anywhere, the table, a collection's name, a full path", bases, want_bases, rel=1e-6),
    Row("7.17", "an alias may hide a leaf and use it, and use other aliases", hides_a_leaf, want_hides_a_leaf),
    Row(
        "7.19, 7.20", "aliases apply in filters, after them, and after an accessor", in_filters_and_after, want_in_filters_and_after
    ),
    Row(
        "7.21, 7.22",
        "the last alias wins, a column wins over an alias (R5)",
        last_wins_and_column_wins,
        want_last_wins_and_column_wins,
    ),
    Row(
        "7.23",
        "an alias acts when a name is recorded",
        acts_when_recorded,
        lambda r: [r.sm["Jet_pt"], r.sm["Jet_pt"] * 2, r.sm["Jet_pt"]],
    ),
    Row("7.25", "a subclass adds properties, passes leaves through, and nests (R19)", subclass, want_subclass, rel=1e-6),
    Row("7.26", "sums and differences of four-vectors give components", sums_of_vectors, want_sums_of_vectors, rel=1e-6),
    Row("7.26", "users' vectors add component by component", users_vectors, want_users_vectors),
]


@table(ROWS)
def test_alias_or_object(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def a_circle(t: Tables) -> Any:
    define_alias("Jet", "aa", lambda j: j.bb * 2)
    define_alias("Jet", "bb", lambda j: j.aa / 2)
    return t.sm.Jet.aa


MISTAKES = [Mistake("7.18", "aliases in a circle", a_circle, ("aa", "bb"), ("circle",))]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_aliases_end_with_their_scope_and_with_reset(t: Tables) -> None:  # 7.24
    define_alias("Jet", "outer", lambda j: j.pt)
    with alias_scope():
        define_alias("Jet", "inner", lambda j: j.outer * 2)
        assert hasattr(t.sm.Jet, "inner")
        assert hasattr(t.new("sm").Jet, "inner")
    assert hasattr(t.sm.Jet, "outer")
    assert not hasattr(t.sm.Jet, "inner")
    reset_aliases()
    assert not hasattr(t.sm.Jet, "outer")


def test_an_exclusive_class_offers_only_its_own(t: Tables, raw: Raw) -> None:  # 7.27
    @exclusive_class
    class Momentum(DataFrame):
        @property
        def px(self) -> Any:
            return self.pt * np.cos(self.phi)

        def __add__(self, other: Any) -> Any:
            return self.px + other.px

    p = Momentum(t.sm.Jet)
    px = raw.sm["Jet_pt"] * np.cos(raw.sm["Jet_phi"])
    assert_same(make_local([p.px, p + p]), [px, px + px], rel=1e-6)
    with pytest.raises(HepFlowsError, match="Momentum") as caught:
        _ = p.pt
    assert "'pt'" in str(caught.value)
    with pytest.raises(HepFlowsError, match="Momentum"):
        p - p
