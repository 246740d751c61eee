"""Mistakes end in an error that says where, why and what to do, before anything runs; the texts are reviewed in a golden file."""

from __future__ import annotations

import functools
import linecache
import math
import os
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from hep_flows.errors import HepFlowsError
from hep_flows.record.aliases import alias_scope, define_alias
from hep_flows.record.callables import curry
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.objects import exclusive_class
from hep_flows.record.user_func import user_func
from tables_without_files import nano_record, table, xaod_record

GOLDEN = Path(__file__).parent.parent / "golden" / "mistakes.txt"

MISTAKES = [
    "df.Jet.ptt",
    "df.Jets.pt",
    "df.Jet[lambda j: j.ptt > 3]",
    "df.Jet.map(lambda j: df.Muon.map(lambda m: m.chrge))",
    "df.Jet.pt.pt",
    "df.Electron.bad + 1",
    "df.Jet[df.Muon.pt > 3]",
    "df[df.Jet.pt > 30]",
    "df[np.any(df.Jet.pt > 30)]",
    "df.Jet[np.all(df.Jet.pt > 30)]",
    "df[df.MET.pt.Max() > 30]",
    "df.Jet.pt + df.Muon.pt",
    "df.Jet[df.Jet.pt > 3].pt + df.Jet.pt",
    "df.Jet[df.Jet.pt > 3][df.Jet.eta < 1]",
    "df[df.MET.pt > 3].MET.pt + df.MET.pt",
    "df.Jet[df.Jet.pt]",
    "df.Jet[df.Jet.jetIdx > 0]",
    "df.Electron[df.Muon.jetIdx]",
    "df.Jet[df.Jet.pt > 3][df.Muon.jetIdx]",
    "other.MET.pt + df.MET.pt",
    "df[other.MET.pt > 3]",
    "bool(df.Jet.pt > 3)",
    "1 < df.run < 3",
    "(df.run > 1) and (df.run < 3)",
    "(df.run > 1) or (df.run < 3)",
    "not (df.run > 1)",
    "df.run if df.run > 3 else df.npvs",
    "df.run > 1 & df.npvs < 3",
    "df.MET.pt > 1 & df.npvs < 3",
    "min(df.run, df.npvs)",
    "3 in df.run",
    "sorted([df.run, df.npvs])",
    "[x for x in df.Jet.pt]",
    "a, b = df.Jet.pt, 1; c, d = df.run",
    "len(df.Jet)",
    "float(df.run)",
    "math.sqrt(df.run)",
    "range(df.run)",
    "np.asarray(df.run)",
    "df.run * object()",
    "df.Jet.pt * np.array([1.0, 2.0])",
    "df.run * None",
    "df.run + 1j",
    "df.run + 'text'",
    "df.Type > 'GT'",
    "df.Jet + 1",
    "df.Jet == df.Jet",
    "df.Muon + df.MET",
    "df.Jet[lambda j: None]",
    "df.Jet[lambda a, b: a.pt > 3]",
    "df.Jet[lambda j: 3.0]",
    "df.Jet[{}]",
    "df.Jet[True]",
    "df.Jet[1.5]",
    "df.Jet[::0]",
    "df.Jet['a':'b']",
    "df.run[0][0]",
    "df[0].Jet.pt",
    "df[df.Muon.Count()]",
    "df.Muon.map(lambda m: m.pt.Count())",
    "df.Muon.map(lambda m: m[m.pt > 3])",
    "df.Muon.map(lambda m: df[m.pt > 3].MET.pt)",
    "df.Count().map(lambda n: n)",
    "df.Muon.map(lambda m: None)",
    "df.Count().Sum()",
    "df.Jet.Sum()",
    "df.Type.Sum()",
    "df.Jet.Count(axis=4)",
    "df.Jet.tracks.Sum(axis=1)",
    "df.Jet.Max(axis=1.5)",
    "df.Jets(22.0)",
    "df.Jet.pt()",
    "df.Jet(3)",
    "np.where(df.run > 1)",
    "np.fft.fft(df.run)",
    "np.add.reduce(df.run)",
    "np.add(df.run, 1, where=True)",
    "np.sum(df.run, keepdims=True)",
    "np.sqrt(df.Jet)",
    "ak.cartesian([df.Jet.pt, df.Muon.pt])",
    "ak.flatten(df.Jet.pt)",
    "ak.fill_none(df.Jet.pt.First(), 0, axis=3)",
    "-(df.Jet.pt > 3)",
    "df.Jet.pt & df.Jet.eta",
    "df.Jet['pt'] = df.Jet.pt * 2",
    "df.Jet['w'] = 1.0",
    "df.Jet[''] = df.Jet.pt",
    "df.Jet[3] = df.Jet.pt",
    "df.Jet['x'] = df.Jet[df.Jet.pt > 3].pt",
    "df.Jet[df.Jet.pt > 3]['x'] = df.Jet.pt",
    "df.Jet['x'] = other.Jet.pt",
    "df.Jet.pt['x'] = df.Jet.pt",
    "df.Jet['x'] = lambda a, b: a",
    "df.Jet.x = 3",
    "define_alias('Jet', 'x', 3)",
    "define_alias('', 'a1', lambda o: o.b1); define_alias('', 'b1', lambda o: o.a1); df.Jet.a1",
    "define_alias('', 'a2', lambda o: 3); df.Jet.a2",
    "scale(df.Jet.pt)",
    "scale(df.Jet.pt, 1, 2)",
    "scale(df.Jet.pt, q=2)",
    "scale(df.Jet, 2)",
    "scale(df.Type, 2)",
    "scale(df.Jet.pt, df.Muon.pt)",
    "user_func(lambda *a: 1)",
    "pair(df.Jet)",
    "atlas.Electrons('Elektrons')",
    "atlas.Electrons.pt",
    "atlas.Electrons('Electrons')[atlas.Electrons('Electrons').isTight]",
    "atlas.Electrons(3)",
    "atlas.Elektrons('Electrons')",
    "atlas.Electrons('Electrons').pt(3)",
    "Exclusive(df.Jet).pt",
    "Exclusive(df.Jet) + Exclusive(df.Jet)",
]


@user_func
def scale(x: float, k: float) -> float:
    return x * k


@curry
def pair(a: DataFrame, b: DataFrame, c: DataFrame) -> DataFrame:
    return a.pt + b.pt + c.pt


def _message(code: str, names: dict[str, object]) -> str:
    linecache.cache["analysis.py"] = (len(code), None, [code + "\n"], "analysis.py")
    try:
        exec(compile(code, "analysis.py", "exec"), names)
    except HepFlowsError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


@pytest.fixture
def messages(request: pytest.FixtureRequest) -> dict[str, str]:
    class Plain(DataFrame):
        @property
        def twice(self) -> DataFrame:
            return self.pt * 2

    found = {}
    for code in MISTAKES:
        names = {
            "df": table(nano_record(), "nanoaod"),
            "other": table(nano_record(), "nanoaod"),
            "atlas": table(xaod_record(), "xaod"),
            "Exclusive": exclusive_class(Plain),
            "np": np, "ak": ak, "math": math, "functools": functools, "scale": scale, "pair": pair,
            "user_func": user_func, "define_alias": define_alias,
        }  # fmt: skip
        with alias_scope():
            found[code] = _message(code, names)
    return found


def test_every_mistake_raises_at_its_own_line(messages: dict[str, str]) -> None:
    for code, text in messages.items():
        assert text != "nothing was raised", code
        assert "analysis.py:1" in text, f"{code}\n{text}"


def test_the_texts_are_the_reviewed_ones(messages: dict[str, str]) -> None:
    text = "\n\n".join(f">>> {code}\n{message}" for code, message in messages.items()) + "\n"
    if os.environ.get("HEP_FLOWS_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
