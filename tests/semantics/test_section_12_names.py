"""Names in vectors, first-class four-vectors, and With (12.1 to 12.3): against the vector library, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest
import vector

from hep_flows import HepFlowsError, Histogram, define_alias, make_local, run, user_func
from hep_flows.verbs import TextOfNoCategory
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Branches, Raw, Tables

FINE = 1e-9


def p4(b: Branches, prefix: str, names: tuple[str, ...] = ("pt", "eta", "phi", "mass"), **new: Any) -> Any:
    """Give the four-vectors of a collection in double precision, with components replaced."""
    return vector.zip({n: ak.values_astype(new.get(n, b[prefix + n]), "float64") for n in names})


def two(objects: Any) -> tuple[Any, Any]:
    """Give the first two objects of each event, missing where there are fewer."""
    padded = ak.pad_none(objects, 2)
    return padded[:, 0], padded[:, 1]


def sum_of_two(b: Branches, **new: Any) -> Any:
    one, other = two(p4(b, "Jet_", **new))
    return one + other


def total(v: Any) -> Any:
    """Give the vector sum of each list by its components."""
    return vector.zip({n: ak.sum(getattr(v, n), axis=1) for n in ("px", "py", "pz", "E")})


def alias_in_a_sum(t: Tables) -> Any:
    define_alias("Jet", "pt", lambda j: j.pt * 1.25)
    j = t.sm.Jet
    return [(j[0] + j[1]).mass, (j[0] + j[1]).pt, j.px, j.Sum().pt]


def want_alias_in_a_sum(r: Raw) -> Any:
    pt = r.sm["Jet_pt"] * np.float32(1.25)
    s = sum_of_two(r.sm, pt=pt)
    return [s.mass, s.pt, p4(r.sm, "Jet_", pt=pt).px, total(p4(r.sm, "Jet_", pt=pt)).pt]


def alias_of_mass(t: Tables) -> Any:
    define_alias("Jet", "mass", lambda j: j.mass * 0)
    j = t.sm.Jet
    return [(j[0] + j[1]).mass, j.energy]


def want_alias_of_mass(r: Raw) -> Any:
    none = r.sm["Jet_mass"] * 0
    return [sum_of_two(r.sm, mass=none).mass, p4(r.sm, "Jet_", mass=none).energy]


def columns_complete_a_vector(t: Tables) -> Any:
    mu = ak.zip({n: t.sm.Muon[n] for n in ("pt", "eta", "phi")})
    mu["mass"] = lambda o: 0.0 * o.pt
    return [mu.energy, (mu + mu).pt, mu.p]


def want_columns_complete_a_vector(r: Raw) -> Any:
    mu = p4(r.sm, "Muon_", mass=r.sm["Muon_mass"] * 0)
    return [mu.E, 2 * mu.pt, mu.mag]


QUANTITIES = ("pt", "eta", "phi", "theta", "mass", "mt", "energy", "et", "p", "px", "py", "pz", "rapidity", "beta", "gamma")
_OF_VECTOR = {"energy": "E", "et": "Et", "mt": "Mt", "p": "mag"}


def quantities(v: Any) -> Any:
    return [getattr(v, n) for n in QUANTITIES]


def kept_everywhere(t: Tables) -> Any:
    j = t.sm.Jet
    j["twice"] = lambda x: x + x
    pairs = j.map(lambda a: {"s": a + a, "n": a.pt})
    flat = ak.flatten(j.map(lambda a: j.map(lambda b: a + b)), axis=-1)
    return [
        *[
            v.mass
            for v in (j.twice, pairs.s, ak.zip({"v": j + j, "q": j.pt}).v, pairs.map(lambda z: z.s), j[:9].twice, (j + j)[j.pt > 0])
        ],
        pairs.First().s.mass,
        flat.mass.Max(),
        (j.twice + j).pt,
    ]


def want_kept_everywhere(r: Raw) -> Any:
    j = p4(r.sm, "Jet_")
    a, b = ak.unzip(ak.cartesian([j, j]))
    return [
        *[(j + j).mass] * 4,
        (j + j)[:, :9].mass,
        (j + j).mass,
        ak.firsts((j + j).mass),
        ak.max((a + b).mass, axis=1),
        (j + j + j).pt,
    ]


def boosts(t: Tables) -> Any:
    mu = t.sm[t.sm.Muon.Count() >= 2].Muon
    z = mu[0] + mu[1]
    back = mu[0].boostCM_of(z)
    return [back.energy, back.px, mu[0].boost(mu[1]).pz, z.boostCM_of(z).p]


def want_boosts(r: Raw) -> Any:
    mu = p4(r.sm, "Muon_")
    mu = mu[ak.num(mu) >= 2]
    z = mu[:, 0] + mu[:, 1]
    back = mu[:, 0].boostCM_of(z)
    return [back.E, back.px, mu[:, 0].boost(mu[:, 1]).pz, z.px * 0]


def scaled(t: Tables) -> Any:
    j = t.sm.Jet
    return [(2 * j).mass, (j / 4).energy, (-j).px, (j * j.btag).pz, (j[0] - 0.5 * j[1]).energy]


def want_scaled(r: Raw) -> Any:
    j = p4(r.sm, "Jet_")
    one, other = two(j)
    return [2 * j.mass, j.E / 4, -j.px, j.pz * r.sm["Jet_btag"], one.E - 0.5 * other.E]


def capitals(t: Tables) -> Any:
    mu = t.hzz.Muon
    return [mu.pt, mu.eta, mu.phi, mu.mass, mu.Sum().mass, mu[0].DeltaR(mu[1]), mu.Px]


def want_capitals(r: Raw) -> Any:
    mu = vector.zip(
        {
            n: ak.values_astype(r.hzz[f"Muon_{b}"], "float64")
            for n, b in zip(("px", "py", "pz", "E"), ("Px", "Py", "Pz", "E"), strict=True)
        }
    )
    return [mu.pt, mu.eta, mu.phi, mu.mass, total(mu).mass, two(mu)[0].deltaR(two(mu)[1]), r.hzz["Muon_Px"]]


def transverse(t: Tables) -> Any:
    w = t.sm.Muon.First() + t.sm.MET
    return [w.pt, w.phi, (t.sm.MET - t.sm.Jet.Sum()).px, t.sm.Jet.DeltaPhi(t.sm.MET), t.sm.MET.Sum().pt]


def want_transverse(r: Raw) -> Any:
    met, phi = (ak.values_astype(r.sm[f"MET_{n}"], "float64") for n in ("pt", "phi"))
    x, y = met * np.cos(phi), met * np.sin(phi)
    mu = ak.firsts(p4(r.sm, "Muon_"))
    jets = total(p4(r.sm, "Jet_"))
    delta = (ak.values_astype(r.sm["Jet_phi"], "float64") - phi + np.pi) % (2 * np.pi) - np.pi
    return [
        np.hypot(mu.px + x, mu.py + y),
        np.arctan2(mu.py + y, mu.px + x),
        x - jets.px,
        delta,
        float(np.hypot(ak.sum(x), ak.sum(y))),
    ]


def masses_of_the_edm(t: Tables) -> Any:
    mu = t.phys.Muons("Muons")
    return [mu.mass, (mu[0] + mu[1]).mass, mu.First().energy]


def want_masses_of_the_edm(r: Raw) -> Any:
    raw = {n: ak.values_astype(r.phys[f"AnalysisMuonsAuxDyn.{n}"], "float64") for n in ("pt", "eta", "phi")}
    mu = vector.zip({**raw, "mass": ak.full_like(raw["pt"], 105.658367)})
    one, other = two(mu)
    return [mu.mass, (one + other).mass, ak.firsts(mu).E]


def nothing_to_add(t: Tables) -> Any:
    none = t.sm.Jet[t.sm.Jet.pt > 1e9].Sum()
    return [none.pt, none.eta, none.phi, none.mass, none.energy]


def want_nothing_to_add(r: Raw) -> Any:
    return [ak.Array(np.zeros(len(r.sm["nJet"])))] * 5


def with_and_columns(t: Tables) -> Any:
    j = t.sm.Jet
    j["gev"] = lambda x: x.pt / 1000
    j["both"] = lambda x: x.gev + x.eta
    j["central"] = abs(j.eta) < 1
    j["frac"] = j.pt / j.pt.Max()
    j["above"] = lambda x: j[j.pt > x.pt].Count()
    up = j.With(pt=j.pt * 2)
    ev = t.sm[t.sm.MET.pt > 20].Jet.With(pt=lambda x: x.pt * 2)
    hard = j[j.pt > 30].With(pt=lambda x: x.pt * 4)
    return [
        *[
            up.pt,
            up.gev,
            up.both,
            up.central,
            up.frac,
            up.above,
            up[up.eta > 0].frac,
            j[up.pt > 60].eta,
            up[j.pt > 30].pt,
            up.pt - j.pt,
        ],
        *[
            ev.frac,
            ev.gev,
            hard.gev,
            hard.central,
            j.gev,
            up.With(pt=up.pt / 4).gev,
            up.Count(),
            up[0].gev,
            up.mass,
            up.map(lambda x: x.gev),
        ],
    ]


def want_with_and_columns(r: Raw) -> Any:
    pt, eta = r.sm["Jet_pt"], r.sm["Jet_eta"]
    up, hard, m = pt * 2, pt > 30, r.sm["MET_pt"] > 20
    frac = pt / ak.fill_none(ak.max(pt, axis=1), np.float32(0))
    one, other = ak.unzip(ak.cartesian([pt, pt], nested=True))
    return [
        *[up, up / 1000, up / 1000 + eta, abs(eta) < 1, frac, ak.sum(other > one, axis=2), frac[eta > 0], eta[hard], up[hard], pt],
        *[frac[m], up[m] / 1000, pt[hard] * 4 / 1000, (abs(eta) < 1)[hard], pt / 1000, pt / 2 / 1000, ak.num(pt)],
        *[ak.firsts(up) / 1000, r.sm["Jet_mass"], up / 1000],
    ]


def with_and_vectors(t: Tables) -> Any:
    j = t.sm.Jet
    up, moved = j.With(pt=j.pt * 2), j.With(p4=j * 2)
    truth = t.phys.TruthParticles("TruthElectrons")
    harder = truth.With(pt=truth.pt * 2)
    mass = (up[0] + up[1]).mass
    define_alias("Jet", "eta", lambda x: x.eta * 0)
    return [
        mass,
        moved.pt,
        moved.mass,
        moved.energy,
        j.With(eta=j.phi).eta,
        harder.px,
        harder.mass,
        harder.e,
        harder.eta,
    ]


def want_with_and_vectors(r: Raw) -> Any:
    pt, phi = r.sm["Jet_pt"], r.sm["Jet_phi"]
    one, other = two(p4(r.sm, "Jet_", pt=pt * 2))
    j = p4(r.sm, "Jet_") * 2
    b = {n: ak.values_astype(r.phys[f"TruthElectronsAuxDyn.{n}"], "float64") for n in ("px", "py", "pz", "m")}
    e = np.sqrt(b["m"] ** 2 + 4 * (b["px"] ** 2 + b["py"] ** 2 + b["pz"] ** 2))
    eta = np.arcsinh(b["pz"] / np.hypot(b["px"], b["py"]))
    return [(one + other).mass, j.pt, j.mass, j.E, phi, 2 * b["px"], r.phys["TruthElectronsAuxDyn.m"], e, eta]


def whole_table(t: Tables) -> Any:
    df = t.sm
    df.Jet["gev"] = lambda x: x.pt / 1000
    df.Muon["n_hard"] = lambda m: df.Jet[df.Jet.pt > 30].Count()
    df["ht"] = df.Jet.pt.Max()
    df["hard"] = df.Jet[df.Jet.pt > 30]
    new = df.With(Jet=lambda j: j.With(pt=j.pt * 2))
    ev = new[new.Jet.Count() > 1]
    define_alias("Jet", "half", lambda j: j.pt / 2)
    return [
        new.Jet.pt,
        new.Jet.gev,
        new.Muon.n_hard,
        new.ht,
        new.hard.pt,
        new.Jet.half,
        ev.Jet.gev,
        ev.ht,
        df.ht,
        new.Jet[df.Jet.pt > 30].pt,
        new.MET.pt,
    ]


def want_whole_table(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    up, more = pt * 2, ak.num(pt) > 1
    ht = ak.max(up, axis=1)
    n_hard = ak.broadcast_arrays(ak.sum(up > 30, axis=1), r.sm["Muon_pt"])[0]
    return [up, up / 1000, n_hard, ht, up[up > 30], pt, up[more] / 1000, ht[more], ht / 2, up[pt > 30], r.sm["MET_pt"]]


def fewer_jets(t: Tables) -> Any:
    df = t.sm
    df.Jet["gev"] = lambda x: x.pt / 1000
    df["ht"] = df.Jet.pt.Max()
    new = df.With(Jet=lambda j: j[j.pt > 30].With(pt=lambda x: x.pt * 2))
    return [new.Jet.gev, new.Jet.eta, new.ht]


def want_fewer_jets(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    up = pt[pt > 30] * 2
    return [up / 1000, r.sm["Jet_eta"][pt > 30], ak.max(up, axis=1)]


def with_field(t: Tables) -> Any:
    j = t.sm.Jet
    return [ak.with_field(j, j.pt * 2, "pt").pt, ak.with_field(j, j.pt * 2, "new").new]


ROWS = [
    Row("12.2", "an alias acts in sums and in what is derived", alias_in_a_sum, want_alias_in_a_sum, rel=FINE),
    Row("12.2", "an alias of the mass", alias_of_mass, want_alias_of_mass, rel=FINE),
    Row("12.2", "a column completes a vector", columns_complete_a_vector, want_columns_complete_a_vector, rel=1e-6),
    Row(
        "12.3",
        "everything that follows from pt, eta, phi and mass",
        lambda t: quantities(t.sm.Jet)[5:],
        lambda r: [getattr(p4(r.sm, "Jet_"), _OF_VECTOR.get(n, n)) for n in QUANTITIES][5:],
        rel=1e-7,
    ),
    Row(
        "12.3",
        "everything that follows from px, py, pz and e",
        lambda t: quantities(t.sm.Jet[0] + t.sm.Jet[1]),
        lambda r: [getattr(sum_of_two(r.sm), _OF_VECTOR.get(n, n)) for n in QUANTITIES],
        rel=1e-6,
    ),
    Row("12.3", "a vector stays one wherever it is kept", kept_everywhere, want_kept_everywhere, rel=1e-6),
    Row("12.3", "boosts", boosts, want_boosts, rel=1e-6),
    Row("12.3", "numbers scale vectors", scaled, want_scaled, rel=1e-6),
    Row("12.3", "components in capitals", capitals, want_capitals, rel=1e-6),
    Row("12.3", "transverse vectors", transverse, want_transverse, rel=FINE),
    Row("12.3", "constant masses of the data model", masses_of_the_edm, want_masses_of_the_edm, rel=FINE),
    Row("12.3", "the sum of nothing is the zero vector", nothing_to_add, want_nothing_to_add),
    Row("12.1", "With: columns follow, masks fit, the rest stays", with_and_columns, want_with_and_columns, rel=1e-6),
    Row("12.1", "With before alias; components and vectors follow", with_and_vectors, want_with_and_vectors, rel=1e-5),
    Row("12.1", "a collection replaced everywhere below the table", whole_table, want_whole_table, rel=1e-6),
    Row("12.1", "a replacement with fewer objects", fewer_jets, want_fewer_jets, rel=1e-6),
    Row("12.1", "awkward's spelling", with_field, lambda r: [r.sm["Jet_pt"] * 2] * 2),
]


@table(ROWS)
def test_vectors_and_replaced_leaves(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def share_on_a_view(t: Tables) -> Any:
    j = t.sm.Jet
    j["frac"] = j.pt / j.pt.Max()
    return j[j.pt > 30].With(pt=lambda x: x.pt * 2).frac


def two_kinds_of_columns(t: Tables) -> Any:
    truth = t.phys.TruthParticles("TruthElectrons")
    truth["pt"] = lambda x: x.px
    define_alias("TruthElectrons", "py", lambda x: x.px)
    return truth.mass


def no_mass(t: Tables) -> Any:
    mu = t.sm.Muon
    return mu + ak.zip({n: mu[n] for n in ("pt", "eta", "phi")})


MISTAKES = [
    Mistake("12.3", "vectors without a mass", no_mass, ("no vector", "mass")),
    Mistake("12.3", "objects that are no vectors", lambda t: t.sm.PV + t.sm.PV, ("PV", "pt")),
    Mistake("12.3", "the charge of a sum", lambda t: (t.sm.Muon[0] + t.sm.Muon[1]).charge, ("charge",), ("a.charge + b.charge",)),
    Mistake("12.3", "the mass of missing energy", lambda t: (t.sm.MET + t.sm.Muon[0]).mass, ("transverse", "mass")),
    Mistake("12.3", "the eta of missing energy", lambda t: t.sm.MET.eta, ("transverse", "eta")),
    Mistake("12.3", "the distance of missing energy", lambda t: t.sm.Jet.DeltaR(t.sm.MET), ("transverse", "eta")),
    Mistake("12.3", "a product of vectors", lambda t: t.sm.Jet * t.sm.Jet, ("no meaning",)),
    Mistake("12.3", "a vector and a number", lambda t: t.sm.Jet + 1.0, ("no meaning",)),
    Mistake("12.1", "a value of another collection", lambda t: t.sm.Jet.With(pt=t.sm.Muon.pt), ("Jet", "Muon")),
    Mistake("12.1", "a whole share on a view", share_on_a_view, ("frac", "whole"), ("define the column again",)),
    Mistake("12.1", "both kinds of components", lambda t: t.sm.Jet.With(pt=t.sm.Jet.pt, px=t.sm.Jet.px), ("pt", "px")),
    Mistake("12.1", "a momentum without its energy", lambda t: t.hzz.Muon.With(Px=t.hzz.Muon.Px * 2), ("energy",), ("p4=",)),
    Mistake("12.2", "columns of both kinds", two_kinds_of_columns, ("both kinds",)),
    Mistake("12.1", "leaves of a leaf", lambda t: t.sm.Jet.pt.With(pt=t.sm.Jet.pt), ("leaf",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_a_replaced_leaf_leaves_the_keys_of_the_others_alone(t: Tables) -> None:
    j = t.sm.Jet
    up = j.With(pt=j.pt * 2)
    assert up.eta._expr.key == j.eta._expr.key
    assert up[up.eta > 1].phi._expr.key == j[j.eta > 1].phi._expr.key


def test_a_replaced_collection_as_a_result(t: Tables, raw: Raw) -> None:
    j = t.sm.Jet
    got = make_local(j.With(pt=j.pt * 2, id=j.pt > 30)[j.eta > 0])
    want = raw.sm["Jet_pt"][raw.sm["Jet_eta"] > 0]
    assert got.pt.to_list() == (want * 2).to_list()
    assert got.id.to_list() == (want > 30).to_list()
    assert got.eta.to_list() == raw.sm["Jet_eta"][raw.sm["Jet_eta"] > 0].to_list()


@user_func
def scale_factor(pt: float) -> float:
    """Give a weight."""
    return 1.0 + pt / 100


WEIGHTS = [
    lambda df: df.genWeight * scale_factor(df.Muon[0].pt),
    lambda df: df.Electron.pt.Max(),
    lambda df: df.Jet[df.Muon.jetIdx].pt.First(),
    lambda df: scale_factor(df.Muon.First().pt),
    lambda df: np.where(df.Electron.Count() > 5, df.Electron.First().pt, 1.0),
    lambda df: df.Muon[df.Muon.pt > 30].pt.Min(),
    lambda df: df.Muon[-1].pt,
    lambda df: df.Jet.map(lambda j: df.Muon.First().pt).Max(),
]


@pytest.mark.parametrize("number", range(len(WEIGHTS)))
def test_a_weight_that_may_be_missing(number: int, t: Tables) -> None:
    df = t.dy
    h, weight = Histogram.new.Reg(10, 0, 200, name="met").Weight(), WEIGHTS[number](df)
    with pytest.raises(HepFlowsError, match=r"fill_none(.|\n)*allow_missing_weight"):
        h.fill(met=df.MET.pt, weight=weight)
    allowed, filled, met, w = make_local(
        [
            h.fill(met=df.MET.pt, weight=weight, allow_missing_weight=True),
            h.fill(met=df.MET.pt, weight=ak.fill_none(weight, 0.0)),
            df.MET.pt,
            weight,
        ]
    )
    assert np.allclose(allowed.values(flow=True), filled.values(flow=True))
    there = ~np.asarray(ak.is_none(w))
    want = np.histogram(np.asarray(met)[there], bins=10, range=(0, 200), weights=np.asarray(w[there], dtype="f8"))[0]
    assert np.allclose(allowed.values(), want)


@pytest.mark.parametrize("number", range(len(WEIGHTS)))
def test_a_weight_of_numpys_histogram_that_may_be_missing(number: int, t: Tables, raw: Raw) -> None:
    weight = WEIGHTS[number](t.dy)
    with pytest.raises(HepFlowsError, match=r"may be missing(.|\n)*fill_none"):
        np.histogram(t.dy.MET.pt, bins=5, range=(0, 100), weights=weight)
    (got, _), w = make_local([np.histogram(t.dy.MET.pt, bins=5, range=(0, 100), weights=ak.fill_none(weight, 0.0)), weight])
    want, _ = np.histogram(raw.dy["MET_pt"], bins=5, range=(0, 100), weights=np.asarray(ak.fill_none(w, 0.0)))
    assert np.allclose(got, want)


def test_a_weight_that_is_missing_where_the_value_is(t: Tables) -> None:
    mu = t.dy.Muon
    h = Histogram.new.Reg(10, 0, 200, name="pt").Weight()
    first = mu.First()
    h.fill(pt=first.pt, weight=scale_factor(first.eta))
    h.fill(pt=mu[mu.pt > 10][0].pt * 2, weight=1 / mu[mu.pt > 10].First().eta)
    h.fill(pt=mu.map(lambda m: t.dy.Jet.First().pt), weight=mu.map(lambda m: t.dy.Jet.First().eta))
    np.histogram(first.pt, weights=first.eta)
    for other in (mu[1].pt, mu[mu.pt > 10][0].pt, t.dy.Jet[0].pt, mu.pt.Max()):
        with pytest.raises(HepFlowsError, match="may be missing"):
            h.fill(pt=first.pt, weight=other)


def test_categories_by_masks(t: Tables, raw: Raw) -> None:
    df = t.sm
    h = Histogram.new.StrCat(["SR", "two", "none"], name="region").Reg(10, 0, 100, name="x").Weight()
    masks = {"SR": df.MET.pt > 30, "two": df.Jet.Count() >= 2, "none": df.Electron.First().pt < 0}
    per_event, per_jet = make_local([h.fill(x=df.MET.pt, region=masks, weight=df.PV.npvs), h.fill(x=df.Jet.pt, region=masks)])
    met, n, pt, w = raw.sm["MET_pt"], ak.num(raw.sm["Jet_pt"]), raw.sm["Jet_pt"], raw.sm["PV_npvs"]
    wanted = {"SR": met > 30, "two": n >= 2, "none": met < 0}
    for name, m in wanted.items():
        assert per_event[name, :].values().tolist() == np.histogram(met[m], 10, (0, 100), weights=w[m])[0].tolist()
        assert per_jet[name, :].values().tolist() == np.histogram(ak.flatten(pt[m]), 10, (0, 100))[0].tolist()
    by_jet = make_local(h.fill(x=df.Jet.pt, region={"SR": df.Jet.eta > 0, "two": df.MET.pt > 30}))
    assert by_jet["SR", :].values().tolist() == np.histogram(ak.flatten(pt[raw.sm["Jet_eta"] > 0]), 10, (0, 100))[0].tolist()
    only = make_local(Histogram.new.StrCat(["SR", "two"], name="region").Double().fill(region={k: masks[k] for k in ("SR", "two")}))
    assert only.values().tolist() == [int(ak.sum(wanted["SR"])), int(ak.sum(wanted["two"]))]


def _of_types(df: Any) -> list[Any]:
    """Give histograms of texts that are not all categories: weighted, in two fills, and where the entries wait for a growing axis."""
    h = Histogram.new.StrCat(["GT", "TT"], name="type").Weight()
    grows = Histogram.new.StrCat(["GT"], name="type").Reg(4, 60, 120, name="m", growth=True).Double()
    return [
        h.fill(type=df.Type, weight=df.M),
        h.fill(type=df.Type).fill(type=df[df.M > 90].Type),
        grows.fill(type=df.Type, m=df.M),
        Histogram.new.StrCat([], name="type", growth=True).Double().fill(type=df.Type),
        h.fill(type={"GT": df.M > 90}),
    ]


def _unknown(raw: Raw) -> list[int]:
    texts, hard = raw.zmm["Type"], raw.zmm["M"] > 90
    other = (texts != "GT") & (texts != "TT")
    return [int(ak.sum(n)) for n in (other, other, other & hard, texts != "GT")]


@pytest.mark.parametrize("chunk_events", [100, 100_000])
def test_texts_of_no_category_are_counted(chunk_events: int, t: Tables, raw: Raw) -> None:
    once, twice, hard, not_gt = _unknown(raw)
    assert min(once, hard) > 0
    histograms = _of_types(t.zmm)
    want = [f"{n:,} entries have a text that is no category of the axis 'type'" for n in (once, twice + hard, not_gt)]
    for _ in range(2):  # computed, and found in the cache
        report = run(histograms, chunk_events=chunk_events).report
        assert sorted([row.remark for row in report.tasks if row.remark]) == sorted(want)
        assert all(text in str(report) and text in str(report.as_json()) for text in want)
        with pytest.warns(TextOfNoCategory, match="no category") as caught:
            values = make_local(histograms, chunk_events=chunk_events)
        assert len(caught) == len(want)
    assert values[0].values(flow=True)[-1] == pytest.approx(
        float(ak.sum(raw.zmm["M"][(raw.zmm["Type"] != "GT") & (raw.zmm["Type"] != "TT")]))
    )


CATEGORIES = [
    Mistake("12.14", "a text that is no category", lambda t: _regions().fill(x=t.sm.MET.pt, region="SX"), ("'SX'", "SR")),
    Mistake(
        "12.14", "masks of a text that is none", lambda t: _regions().fill(x=t.sm.MET.pt, region={"SX": t.sm.MET.pt > 1}), ("'SX'",)
    ),
    Mistake("12.14", "masks on another axis", lambda t: _regions().fill(x={"SR": t.sm.MET.pt > 1}, region="SR"), ("masks", "x")),
    Mistake("12.14", "no mask", lambda t: _regions().fill(x=t.sm.MET.pt, region={"SR": t.sm.MET.pt}), ("mask",)),
    Mistake("12.14", "an empty dict", lambda t: _regions().fill(x=t.sm.MET.pt, region={}), ("masks",)),
    Mistake(
        "12.14",
        "masks of another collection",
        lambda t: _regions().fill(x=t.sm.Jet.pt, region={"SR": t.sm.Muon.pt > 1}),
        ("Jet", "Muon"),
    ),
]


def _regions() -> Any:
    return Histogram.new.StrCat(["SR", "CR"], name="region").Reg(10, 0, 100, name="x").Double()


@table(CATEGORIES)
def test_mistake_in_categories(row: Mistake, t: Tables) -> None:
    row.check(t)
