"""Section 3, recording and inspection."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import HepFlowsError, alias_scope, define_alias, dumps, make_local, plan, render, user_func
from semantics.equal import assert_same
from semantics.rows import Row, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from semantics.files import Raw, Tables

pytestmark = pytest.mark.data


def cut_at(value: float) -> Callable[[Any], Any]:
    return lambda j: j.pt > value


def columns_after_use(t: Tables) -> Any:
    t.sm.Jet["g"] = t.sm.Jet.pt / 10
    before, filtered = t.sm.Jet.g, t.sm.Jet[t.sm.Jet.g > 3].g
    with pytest.warns(UserWarning, match="'g'"):
        t.sm.Jet["g"] = t.sm.Jet.pt * 10
    return [before, filtered, t.sm.Jet.g]


def want_columns_after_use(r: Raw) -> Any:
    pt = r.sm["Jet_pt"]
    return [pt / 10, (pt / 10)[pt / 10 > 3], pt * 10]


def two_user_functions(t: Tables) -> Any:
    def made(k: float) -> Callable[..., Any]:
        @user_func
        def times(x: float) -> float:
            return x * k

        return times

    double, triple = made(2.0), made(3.0)
    return [double(t.sm.MET.pt), triple(t.sm.MET.pt), double(t.sm.MET.pt) + triple(t.sm.MET.pt)]


def want_two_user_functions(r: Raw) -> Any:
    met = np.asarray(r.sm["MET_pt"], dtype=np.float64)
    return [ak.Array(met * 2), ak.Array(met * 3), ak.Array(met * 2 + met * 3)]


ROWS = [
    Row(
        "3.5",
        "two lambdas on one line are two, and so are two closures of one factory",
        lambda t: [
            t.sm.Jet[lambda j: j.pt > 30].pt,
            t.sm.Jet[lambda j: j.pt > 60].pt,
            t.sm.Jet[cut_at(20)].pt,
            t.sm.Jet[cut_at(70)].pt,
        ],
        lambda r: [r.sm["Jet_pt"][r.sm["Jet_pt"] > c] for c in (30, 60, 20, 70)],
    ),
    Row("3.5", "functions with other captured values are others (R13)", two_user_functions, want_two_user_functions, rel=1e-6),
    Row(
        "3.6",
        "copy and deepcopy mean the same expression and meet it again",
        lambda t: [copy.copy(t.sm.Jet.pt), copy.deepcopy(t.sm.Jet.pt) - t.sm.Jet.pt, copy.deepcopy(t.sm).MET.pt],
        lambda r: [r.sm["Jet_pt"], r.sm["Jet_pt"] - r.sm["Jet_pt"], r.sm["MET_pt"]],
    ),
    Row(
        "3.9",
        "constants are Python's and numpy's numbers, on either side",
        lambda t: [
            t.sm.Jet.pt > np.int64(30),
            np.float32(30) < t.sm.Jet.pt,
            np.float64(2) * t.sm.Jet.pt,
            t.sm.Jet.pt * np.float32(2),
            t.sm.PV.npvs + np.int8(1),
            t.sm.PV.npvs * 2.5,
            t.sm.PV.npvs + True,
            np.int64(3) + t.sm.PV.npvs,
        ],
        lambda r: [
            r.sm["Jet_pt"] > 30,
            r.sm["Jet_pt"] > 30,
            np.float64(2) * r.sm["Jet_pt"],
            r.sm["Jet_pt"] * np.float32(2),
            r.sm["PV_npvs"] + np.int8(1),
            r.sm["PV_npvs"] * 2.5,
            r.sm["PV_npvs"] + 1,
            np.int64(3) + r.sm["PV_npvs"],
        ],
    ),
    Row("3.11", "redefining a column changes no expression that used it", columns_after_use, want_columns_after_use),
]


@table(ROWS)
def test_recording(row: Row, t: Tables, raw: Raw) -> None:
    row.check(t, raw)


def test_recording_runs_no_function_and_reads_no_events(t: Tables) -> None:  # 3.1
    calls = []

    @user_func
    def probe(x: float) -> float:
        calls.append(1)
        return x

    e = probe(t.sm.Jet[t.sm.Jet.pt > 30].pt) / 2
    dumps(e)
    render(e)
    str(plan(e))
    assert calls == []
    make_local(e)
    assert calls


def test_recording_does_not_load_the_array_libraries() -> None:  # 3.1
    code = "import sys, hep_flows; print([m for m in ('awkward', 'uproot', 'numpy', 'hist', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dumps_is_one_text_with_leaves_constants_and_functions(t: Tables) -> None:  # 3.2
    text = dumps(np.sqrt(t.sm.Jet[t.sm.Jet.pt > 30.5].eta))
    assert isinstance(text, str)
    assert len(text.splitlines()) > 1
    for word in ("Jet", "pt", "eta", "30.5", "sqrt"):
        assert word in text


def test_a_repeated_part_is_written_once(t: Tables) -> None:  # 3.3
    x = t.sm.Jet.pt * 12.5
    assert dumps(x + x).count("12.5") == 1
    assert dumps((t.sm.Jet.pt * 12.5) + (t.sm.Jet["pt"] * 12.5)).count("12.5") == 1


def test_tables_of_one_file_are_never_unified(t: Tables) -> None:  # 3.4, R9
    with pytest.raises(HepFlowsError, match="table"):
        t.new("sm").Jet.pt > t.new("sm").Jet.pt  # noqa: B015


@pytest.mark.parametrize("name", ["_x", "__len_hint__", "_ipython_display_", "_repr_png_", "__array_interface__"])
def test_names_with_an_underscore_are_no_leaves(name: str, t: Tables) -> None:  # 3.7
    assert not hasattr(t.sm, name)
    assert not hasattr(t.sm.Jet, name)


def test_expressions_are_hashable(t: Tables) -> None:  # 3.8
    assert isinstance(hash(t.sm.MET.pt), int)
    assert len({hash(t.sm.MET.pt), hash(t.sm.MET["pt"]), hash(t.sm.MET.phi)}) == 2


@pytest.mark.parametrize("constant", [object(), None, {1, 2}, 1 + 2j, np.arange(3), b"x"], ids=lambda c: type(c).__name__)
def test_other_constants_are_refused_by_type(constant: Any, t: Tables) -> None:  # 3.9
    with pytest.raises(HepFlowsError, match=type(constant).__name__):
        t.sm.MET.pt * constant
    with pytest.raises(HepFlowsError, match=type(constant).__name__):
        constant * t.sm.MET.pt


def test_making_local_twice_is_equal_with_functions(t: Tables, raw: Raw) -> None:  # 3.10
    t.sm.Jet["near"] = lambda j: t.sm.Muon[lambda m: m.DeltaR(j) < 0.4].Count()
    e = t.sm.Jet[lambda j: j.near == 0].pt
    before = render(e)
    first, second = make_local(e), make_local(e)
    assert_same(first, second)
    assert render(e) == before


def test_plan_lists_plug_ins_and_only_the_used_leaves(t: Tables) -> None:  # 3.12
    text = str(plan(t.sm.Jet[t.sm.Jet.pt > 30].eta))
    for word in ("awkward", "Jet.pt", "Jet.eta"):
        assert word in text, text
    for word in ("Jet.phi", "Muon", "MET"):
        assert word not in text


def test_render_resolves_names_columns_aliases_and_functions(t: Tables) -> None:  # 3.14
    df = t.sm
    assert render(df.Jet["pt"]) == render(df.Jet.pt)
    df.Jet["gev"] = lambda j: j.pt / 1000
    assert render(df.Jet.gev) == render(df.Jet.pt / 1000)
    assert render(df.Jet[lambda j: j.gev > 0.03].eta) == render(df.Jet.eta[df.Jet.pt / 1000 > 0.03])
    with alias_scope():
        define_alias("Jet", "half", lambda j: j.pt / 2)
        assert render(df.Jet.half) == render(df.Jet.pt / 2)
    assert render(df.Jet.pt) != render(df.Jet.eta)
    assert render([df.Jet.pt, {"met": df.MET.pt}]) == [render(df.Jet.pt), {"met": render(df.MET.pt)}]


def test_the_dump_of_something_else_names_its_type(t: Tables) -> None:  # 3.13
    for wrong in (3, "Jet.pt", object()):
        with pytest.raises(HepFlowsError, match=type(wrong).__name__):
            dumps(wrong)
