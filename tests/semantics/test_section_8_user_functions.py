"""Section 8, user functions and calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import awkward as ak
import numba
import numpy as np
import pytest

from hep_flows import Histogram, dumps, make_local, plan, render, run, user_func
from semantics.rows import Mistake, Row, table

if TYPE_CHECKING:
    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


@user_func
def scale(x: float, k: float = 3.0, *, offset: float = 0.0) -> float:
    return x * k + offset


@user_func
def by_branches(x: float) -> float:
    if x > 30:
        return math.log(x)
    return -1.0


@user_func
def is_odd(n: int) -> bool:
    return n % 2 == 1


def user_functions(t: Tables) -> Any:
    j = t.sm.Jet
    return [
        scale(j.pt, 2.0),
        scale(j.pt),
        scale(x=j.pt, offset=1.0),
        j.map(lambda j: scale(j.pt, k=2.0)),
        scale(scale(t.sm.MET.pt, 2.0), 0.5),
        by_branches(j.pt),
        is_odd(t.sm.PV.npvs),
        scale(j.pt, t.sm.MET.pt),
        t.sm[is_odd(t.sm.PV.npvs)].MET.pt,
        scale(t.sm.Electron.First().pt),
    ]


def want_user_functions(r: Raw) -> Any:
    pt, met = ak.values_astype(r.sm["Jet_pt"], "float64"), ak.values_astype(r.sm["MET_pt"], "float64")
    odd = r.sm["PV_npvs"] % 2 == 1
    first = ak.values_astype(ak.firsts(r.sm["Electron_pt"]), "float64")
    return [
        pt * 2,
        pt * 3,
        pt * 3 + 1,
        pt * 2,
        met,
        ak.where(pt > 30, np.log(pt), -1.0),
        odd,
        pt * met,
        r.sm["MET_pt"][odd],
        first * 3,
    ]


class Shape(NamedTuple):
    ht: float
    n: int


@dataclass
class Particle:
    pt: float
    eta: float = 0.0


class Flags(TypedDict):
    is_hard: bool
    p: float


@user_func
def shape(pt: list[float]) -> Shape:
    return Shape(pt.sum(), len(pt))


@user_func(jagged=True)
def momentum(pt: list[float], eta: list[float]) -> float:
    return ak.sum(pt * np.cosh(eta), axis=-1)


@user_func(jagged=True)
def spread(pt: list[float], by: float) -> Shape:
    return Shape(ak.sum(pt, axis=-1) * by, ak.num(pt))


@user_func
def flags(j: Particle, cut: float = 30.0) -> Flags:
    return {"is_hard": j.pt > cut, "p": j.pt * np.cosh(j.eta)}


@user_func(single=True)
def flags_one_by_one(j: Particle) -> Flags:
    return {"is_hard": j.pt > 30, "p": j.pt * math.cosh(j.eta)}


@user_func
def recoil(pt: list[float], met: float, *, by: float = 1.0) -> float:
    return by * (pt.sum() - met)


@user_func
def doubled(x: float) -> float:
    x *= 2
    return x


@numba.njit
def compiled(x):
    return x * 2


@user_func
def by_compiled(x: float) -> float:
    return compiled(x)


@user_func
@np.vectorize
def vectorised(x: float) -> float:
    return 2.0 * x


@user_func
def halved_list(pt: list[float]) -> float:
    pt *= 0.5
    return pt.sum()


def several(t: Tables) -> Any:
    df, j = t.sm, t.sm.Jet
    s, f = shape(j.pt), flags(j)
    one = flags_one_by_one(j)
    hard = df[df.MET.pt > 20].Jet
    return [
        s.ht,
        s.n,
        momentum(j.pt, j.eta),
        f.is_hard,
        f.p,
        j[f.is_hard].pt,
        one.is_hard,
        one.p,
        shape(hard[hard.pt > 30].pt).n,
        j.map(lambda j: recoil(df.Muon.pt, j.pt)),
        recoil(j.pt, df.MET.pt, by=2.0),
        recoil(df.Muon.pt, j.pt),
        spread(j.pt, 2.0).ht,
        shape(j.pt)[df.MET.pt > 20].ht,
        doubled(j.pt),
        j.pt,
        by_compiled(j.pt),
        vectorised(j.pt),
        halved_list(j.pt),
        j.pt,
    ]


def want_several(r: Raw) -> Any:
    pt, eta, met = (ak.values_astype(r.sm[n], "float64") for n in ("Jet_pt", "Jet_eta", "MET_pt"))
    mu, p = ak.sum(ak.values_astype(r.sm["Muon_pt"], "float64"), axis=1), pt * np.cosh(eta)
    ht, hard, keep = ak.sum(pt, axis=1), pt > 30, met > 20
    return [
        ht,
        ak.num(pt),
        ak.sum(p, axis=1),
        hard,
        p,
        r.sm["Jet_pt"][hard],
        hard,
        p,
        ak.num(pt[hard])[keep],
        mu - pt,
        2 * (ht - met),
        mu - pt,
        2 * ht,
        ht[keep],
        2 * pt,
        r.sm["Jet_pt"],
        2 * pt,
        2 * pt,
        0.5 * ht,
        r.sm["Jet_pt"],
    ]


ROWS = [
    Row("12.10", "lists, objects and several results; bodies of every kind", several, want_several, rel=1e-6),
    Row(
        "8.12, 8.13",
        "user functions on leaves, in map, nested, with constants, defaults and keywords",
        user_functions,
        want_user_functions,
        rel=1e-6,
    ),
]


@table(ROWS)
def test_user_function(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


@user_func
def nobody_knows(x: float) -> float:
    raise NotImplementedError


@user_func
def forgets(x: float) -> float:
    y = x + 1  # noqa: F841 - it forgets to return


@user_func
def asks(x: float) -> float:
    return x * make_local(x)


@user_func  # noqa: RET503 - it forgets the rest
def half_of_them(x: float) -> float:
    if x > 20:
        return 1.0


@user_func(pure=False)
def noisy(x: float) -> float:
    return x + np.random.default_rng().normal(size=len(x))


@user_func
def drawn(x: float) -> float:
    return x * np.random.normal(size=np.shape(x))  # noqa: NPY002 - as many scripts do


@user_func
def of_text(pt: list[str]) -> float:
    return len(pt)


MISTAKES = [
    Mistake("12.10", "a value where a list is wanted", lambda t: shape(t.sm.MET.pt), ("shape takes a list for pt", "collection")),
    Mistake("12.10", "a list with missing items", lambda t: shape(t.sm.Jet.map(lambda j: t.sm.Muon.First().pt)), ("fill_none",)),
    Mistake("12.10", "a body without a return", lambda t: forgets(t.sm.MET.pt), ("'forgets' returns nothing", "return")),
    Mistake("12.10", "make_local in a body", lambda t: asks(t.sm.MET.pt), ("'asks' calls make_local",)),
    Mistake("12.10", "an if without else", lambda t: make_local(half_of_them(t.sm.MET.pt)), ("returned nothing", "else", "x = ")),
    Mistake(
        "12.10", "a number where an object is wanted", lambda t: flags(2.0, cut=t.sm.MET.pt), ("an object with pt, eta for j",)
    ),
    Mistake("12.10", "an object without a member", lambda t: flags(t.sm.MET), ("eta",)),
    Mistake(
        "13.5", "random numbers in a body", lambda t: make_local(drawn(t.sm.Jet.pt)), ("one value for one entry", "random_normal")
    ),
    Mistake(
        "13.5", "a function that is not pure, in a lambda", lambda t: t.sm.Jet.map(lambda j: noisy(j.pt)), ("pure=False", "column")
    ),
    Mistake("12.10", "single and jagged", lambda t: user_func(lambda x: x, single=True, jagged=True), ("single values, or",)),
    Mistake("12.10", "jagged without lists", lambda t: user_func(lambda x: x, jagged=True), ("takes no lists", "list[float]")),
    Mistake("12.10", "a version that is no text", lambda t: user_func(lambda x: x, version=3), ("the version", "text")),
    Mistake("12.10", "a list of text", lambda t: of_text(t.sm.Jet.pt), ("of_text takes pt as string",)),
    Mistake("8.13", "a wrong number of arguments", lambda t: scale(), ("scale",)),
    Mistake("8.13", "an unknown keyword", lambda t: scale(t.sm.MET.pt, bogus=1), ("scale", "bogus")),
    Mistake("8.15", "no body and no plug-in that knows it", lambda t: make_local(nobody_knows(t.sm.MET.pt)), ("nobody_knows",)),
    Mistake("8.17", "a call of something that is no method here", lambda t: t.sm.Jet(22.0), ("Jet",)),
    Mistake("8.17", "a call of a leaf with arguments", lambda t: t.phys.Electrons("Electrons").pt(a=1), ("arguments",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_a_filter_selects_the_values_of_a_function_that_is_not_pure(t: Tables) -> None:  # 13.5
    df = t.sm
    df.Jet["noisy"] = noisy(df.Jet.pt)
    hard, ev = df.Jet[df.Jet.noisy > 30], df[df.Jet.noisy.Max() > 30]
    booked = Histogram.new.Reg(10, 0, 100, name="x").Double().fill(x=hard.noisy)
    share = (df.Jet.noisy / df.Jet.noisy.Max().Max())[df.Jet.noisy > 30]  # needs all events before it can be computed
    whole, cut, filled, largest, shares = make_local(
        [df.Jet.noisy, hard.noisy, booked, ev.Jet.noisy.Max(), share], chunk_events=100
    )
    values = ak.flatten(whole)
    assert ak.flatten(cut).tolist() == [x for x in values.tolist() if x > 30]
    assert filled.values().tolist() == np.histogram(ak.to_numpy(values[values > 30]), bins=10, range=(0, 100))[0].tolist()
    assert largest.tolist() == [m for m in ak.max(whole, axis=1).tolist() if m is not None and m > 30]
    assert ak.flatten(shares).tolist() == (ak.flatten(cut) / ak.max(values)).tolist()
    assert make_local(df.Jet.noisy).tolist() != whole.tolist()
    # Nobody asks for the column itself, and two rounds need it.
    cut, shares, largest = make_local([hard.noisy, share, df.Jet.noisy.Max().Max()], chunk_events=100)
    assert ak.flatten(shares).tolist() == (ak.flatten(cut) / largest).tolist()


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (lambda df: scale(df.MET.pt), "arrays"),
        (lambda df: by_branches(df.MET.pt), "single values"),
        (lambda df: shape(df.Jet.pt).ht, "one list per call"),
        (lambda df: momentum(df.Jet.pt, df.Jet.eta), "jagged arrays"),
        (lambda df: flags_one_by_one(df.Jet).p, "single values"),
    ],
)
def test_the_report_says_how_a_function_was_called(t: Tables, function: Any, how: str) -> None:
    report = run(function(t.sm).Sum(), refresh=True).report
    assert list(report.functions.values()) == [how]
    assert f"was called with {how}" in str(report)
    assert how in report.as_json()["functions"].values()


def test_a_version_stands_for_what_a_function_does(t: Tables) -> None:
    factor = [2.0]

    def declared(version: str | None) -> Any:
        @user_func(version=version)
        def by_file(x: float) -> float:
            return x * np.atleast_1d(np.genfromtxt([f"{factor[0]}"]))[0]

        return by_file(t.sm.MET.pt).Sum()

    found = [make_local(declared("1"))]
    factor[0] = 3.0
    found += [make_local(declared(v)) for v in ("1", "2", None)]
    assert found == pytest.approx([found[0], found[0], 1.5 * found[0], 1.5 * found[0]])
    assert "genfromtxt" in str(plan(declared(None)))
    assert "test_section_8_user_functions.py:" in str(plan(declared(None)))


@pytest.mark.parametrize(("one", "other"), [({"single": True}, {}), ({"pure": False}, {}), ({"version": "1"}, {"version": "2"})])
def test_how_a_function_is_declared_is_part_of_what_it_is(t: Tables, one: Any, other: Any) -> None:
    def made(**how: Any) -> Any:
        @user_func(**how)
        def same(x: float) -> float:
            return x + 1

        return render(same(t.sm.MET.pt))

    assert made(**one) != made(**other)
    assert made(**other) == made(**other)


def test_a_return_type_is_taken_from_the_body_and_said_in_the_plan(t: Tables) -> None:  # 8.14
    @user_func
    def hint_less(x: float):
        return x > 3

    e = hint_less(t.sm.MET.pt)
    assert "hint_less" in dumps(e)
    assert "hint_less" in str(plan(e))
    assert set(make_local(e).tolist()) == {True, False}
