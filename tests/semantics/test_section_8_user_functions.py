"""Section 8, user functions and calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import dumps, make_local, plan, user_func
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


ROWS = [
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


MISTAKES = [
    Mistake("8.13", "a wrong number of arguments", lambda t: scale(), ("scale",)),
    Mistake("8.13", "an unknown keyword", lambda t: scale(t.sm.MET.pt, bogus=1), ("scale", "bogus")),
    Mistake("8.15", "no body and no plug-in that knows it", lambda t: make_local(nobody_knows(t.sm.MET.pt)), ("nobody_knows",)),
    Mistake("8.17", "a call of something that is no method here", lambda t: t.sm.Jet(22.0), ("Jet",)),
    Mistake("8.17", "a call of a leaf with arguments", lambda t: t.phys.Electrons("Electrons").pt(a=1), ("arguments",)),
]


@table(MISTAKES)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


def test_a_return_type_is_taken_from_the_body_and_said_in_the_plan(t: Tables) -> None:  # 8.14
    @user_func
    def hint_less(x: float):
        return x > 3

    e = hint_less(t.sm.MET.pt)
    assert "hint_less" in dumps(e)
    assert "hint_less" in str(plan(e))
    assert set(make_local(e).tolist()) == {True, False}
