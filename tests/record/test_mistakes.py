"""Mistakes end in an error that says where, why and what to do, before anything runs; the texts are reviewed in a golden file."""

from __future__ import annotations

import functools
import linecache
import math
import os
from pathlib import Path

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hep_flows import Concatenate, Histogram, lumi_mask, make_local, ml_features, nanoaod_table, plan, run, tree_table
from hep_flows.errors import HepFlowsError
from hep_flows.functions.user import user_func
from hep_flows.record.aliases import alias_scope, define_alias
from hep_flows.record.callables import curry
from hep_flows.record.dataframe import DataFrame, exclusive_class
from tables_without_files import nano_record, table, xaod_record

GOLDEN = Path(__file__).parent.parent / "golden" / "mistakes.txt"

TRIED = {
    "df": (".columns", ".head()", ".iloc[0]", ".loc[df.run > 3]", ".describe()", ".keys()"),
    "df.Jet": (".sort_values('pt')", ".argmax()", ".query('pt > 30')", ".groupby('pt')"),
    "df.Jet.pt": (
        ".nlargest(2)",
        ".fillna(0)",
        ".sort()",
        ".shape",
        ".to_numpy()",
        ".plot()",
        ".skew()",
        ".flatten()",
    ),
    "df.run": (".abs()", ".apply(np.sqrt)", ".dtype", ".values", ".isna()", ".dropna()", ".compute()"),
}
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
    "df + df.MET",
    "(df.Jet + df.MET).mass",
    "df.MET.DeltaR(df.MET)",
    "(df.Jet[0] + df.Jet[1]).btag",
    "df.Jet * df.Jet",
    "df.Jet.With(pt=df.Muon.pt)",
    "df.Jet.With()",
    "df.Jet.With(pt='x')",
    "df.Jet.With(pt=df.Jet.pt, px=df.Jet.pt)",
    "df.With(Jet=df.Jet.pt)",
    "df.Jet.pt.With(pt=df.Jet.pt)",
    "df.Jet.With(p4=df.Jet.pt * 2)",
    "df.Jet.With(p4=df.MET)",
    "df.Jet.With(pt=df.Jet[df.Jet.pt > 3].pt)",
    "ak.with_field(df.Jet, df.Muon.pt, 'pt')",
    "ml_features(df.Jet.pt, ['pt'], pad=2)",
    "ml_features(df.Jet, ['pt'])",
    "ml_features(df.MET, ['pt'], pad=2)",
    "ml_features(df.Jet, ['ptt'], pad=2)",
    "ml_features(df.Jet, [], pad=2)",
    "ml_features(df.Jet, ['pt'], pad=-1)",
    "ml_features(df.Jet, ['pt'], 2)",
    "ml_features(df.Jet, ['pt'], pad=2, fill='zero')",
    "ml_features(df.Jet, ['tracks'], pad=2)",
    "ml_features(df, ['Type'])",
    "ml_features(df.Jet.map(lambda j: df.Muon), ['pt'], pad=2)",
    "ml_features(df.Jet, ['pt'], pad=2)[df.MET.pt > 3]",
    "ml_features(df.Jet, ['pt', 'eta', 'phi', 'mass'], pad=2) * 2",
    "ml_features(df.MET, ['pt', 'phi']) + ml_features(df.MET, ['pt', 'phi'])",
    "lumi_mask('nowhere.json')",
    "df.Muon[df.Muon.jetIdx]",
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
    "df.Jet.Max()",
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
    "ak.cartesian([df.Jet.pt, df.run])",
    "df.Jet.Combinations(0)",
    "df.Jet.Combinations(2.0)",
    "df.Jet.Combinations(3, fields=('a', 'b'))",
    "df.Jet.Combinations(2, fields='ab')",
    "df.Jet.Combinations(2, fields=('a', 'a'))",
    "df.Jet.Combinations(2).a.pt",
    "df.Jet.Combinations(2, fields=('a', 'b')).a.ptt",
    "df.Combinations(2)",
    "df.MET.Combinations(2)",
    "ak.combinations(df.Jet, 2, replacement=True)",
    "ak.combinations(df.Jet, 2, axis=0)",
    "df.Jet.Combinations(2)['0'].pt + df.Jet.pt",
    "df.Jet.Combinations(2, fields=('a', 'b')).a.pt > df.Muon.Combinations(2, fields=('a', 'b')).a.pt",
    "df.Jet[df.Jet.Combinations(2)['0'].pt > 30]",
    "df.Jet.Cartesian()",
    "df.Jet.Cartesian(df.MET)",
    "df.Jet.Cartesian(other.Muon)",
    "df.Jet.Cartesian(df.Muon, fields=('j',))",
    "df.Jet.Cartesian(df.Muon, field=('j', 'm'))",
    "df.Jet.Cartesian(df.Muon, fields=('j', 'm')).j.pt > df.Jet.pt",
    "df.Jet.MaxBy(df.Muon.pt)",
    "df.Jet.MaxBy('pt')",
    "df.Jet.MaxBy(lambda j: 5)",
    "df.Jet.MaxBy(lambda j: j)",
    "df.Jet.MaxBy(df.MET.pt)",
    "df.Jet.MinBy(df.Jet[df.Jet.pt > 3].pt)",
    "df.MaxBy(df.run)",
    "df.Jet.OrderBy(lambda j: j.ptt)",
    "df.Jet.OrderBy(df.Jet.pt, ascending=False)",
    "df.Jet.OrderBy(df.Jet.pt).pt - df.Jet.pt",
    "df.Jet.OrderBy(df.Jet.pt, descending=1)",
    "df.Jet.Nearest(df.MET)",
    "df.Jet.Nearest(df.Muon, within=-0.1)",
    "df.Jet.Nearest(df.Muon, key=df.Muon.pt)",
    "df.Jet.Nearest(df.Muon, key=lambda j, m: j.pt)",
    "df.Jet.Nearest(other.Muon)",
    "df.Jet.Nearest(3)",
    "df.Jet.Index(stored=1)",
    "df.Jet.Pad(-1)",
    "df.MET.Pad(2)",
    "df.Jet.Combinations(2).Index(stored=True)",
    "df.Count().Event()",
    "Concatenate(df.Jet)",
    "Concatenate(df.Jet, df.MET)",
    "Concatenate(df.Muon.pt, df.Jet.tracks)",
    "df.Jet['part'] = lambda j: j.pt; Concatenate(df.Jet, df.Muon)",
    "Concatenate(df.Jet, df.Muon.pt)",
    "Concatenate(df.Jet, other.Muon)",
    "Concatenate(df.Jet, df.Muon).charge",
    "Concatenate(df.Jet, df.Muon).chrge",
    "Concatenate(df.Jet.pt, df.Muon.pt > 3)",
    "Concatenate(df.Jet, df.Muon).pt + df.Jet.pt",
    "Concatenate(df.Jet, df.Muon)['part'] = lambda l: l.pt",
    "ak.concatenate([df.Jet.pt, df.Muon.pt])",
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
    # what users of numpy, awkward, pandas and hist try
    *[f"{x}{call}" for x, calls in TRIED.items() for call in calls],
    "df.Jet['pt > 30']",
    "df['MET.pt']",
    "df['Jet/pt']",
    "df.Jet['pt', 'eta']",
    "df.Jet[df.Jet.pt > 30, 'pt']",
    "df.Jet[:, 0]",
    "df[0]",
    "df.First()",
    "del df['Jet']",
    "del df.Jet['pt']",
    "del df.Jet",
    "df.Jet.x += 3",
    "df.run @ df.npvs",
    "round(df.Jet.pt, 'a')",
    "sum(df.Jet.pt)",
    "max(df.Jet.pt)",
    "any(df.Jet.pt > 3)",
    "sorted(df.Jet.pt)",
    "zip(df.Jet.pt, df.Jet.eta)",
    "dict(df)",
    "df.Jet.map(df.Jet.pt > 3)",
    "df.Jet.map(3)",
    "df.Jet.map()",
    "df.Jet.Count(3, 4)",
    "df.Jet.Where()",
    "df.Jet.DeltaR(3)",
    "user_func(3)",
    "curry(3)",
    "define_alias('Jet')",
    "make_local(df.run, df.npvs)",
    "make_local(df.run, chunks=3)",
    "make_local()",
    "run(df.run, worker=2)",
    "plan(df.run, df.npvs)",
    "nanoaod_table('a.root', treename='Events')",
    "nanoaod_table(3)",
    "tree_table('a.root', tree=3)",
    "make_local(df.run, workers='two')",
    "make_local(df.run, chunk_events=0)",
    "run(df.run, engine='clster')",
    "run(df.run, on_error='ignore')",
    "run(df.run, task_runner='dask')",
    "run(df.run, report='/nonexistent/r.json')",
    "h.Reg(5, 0, 1).fill(df.Jet.pt)",
    "h.fill(df.Jet.pt)",
    "h.Reg(5, 0, 1).Doubel()",
    "full + full",
    "full * df.MET.pt",
    "full.plot()",
    "full.view()",
    "full.values()",
    "full[0]",
    "len(full)",
    "np.asarray(full)",
    "full.fill(df.Jet.pt, wieght=3)",
    "plt.hist(df.run)",
    "plt.plot(df.run, df.npvs)",
    "plt.scatter(df.run, df.npvs)",
    "plt.stairs(full)",
    "pd.DataFrame({'a': df.run})",
    "pd.Series(df.run)",
    "local[df.run > 3]",
    "local[df.npvs]",
    "local * df.run",
    "np.asarray(local)[df.run > 3]",
    "np.asarray(local) * full",
    "df.run[local > 3]",
    "pa.array(df.run)",
    "np.sqrt(df.run, out=np.zeros(3))",
    "np.maximum.accumulate(df.Jet.pt)",
    "np.mean(df.Jet.pt, dtype='float64')",
    *[f"np.{f}" for f in ("median(df.Jet.pt)", "quantile(df.Jet.pt, 0.5)", "argmax(df.Jet.pt)", "sort(df.Jet.pt)")],
    *[
        f"np.{f}"
        for f in ("unique(df.Jet.pt)", "concatenate([df.run, df.npvs])", "interp(df.run, df.run, [0, 1])", "diff(df.Jet.pt)")
    ],
    *[
        f"ak.{f}"
        for f in (
            "count(df.Jet.pt)",
            "sort(df.Jet.pt, axis=0)",
            "to_numpy(df.run)",
        )
    ],
    "ak.Array(df.run)",
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
            "plt": plt, "pd": pd, "pa": pa, "local": ak.Array([1, 2, 3]), "h": Histogram.new, "curry": curry, "make_local": make_local, "run": run,
            "plan": plan, "nanoaod_table": nanoaod_table, "tree_table": tree_table,
            "df": table(nano_record(), "nanoaod"),
            "other": table(nano_record(), "nanoaod"),
            "atlas": table(xaod_record(), "xaod"),
            "Exclusive": exclusive_class(Plain), "Concatenate": Concatenate, "ml_features": ml_features, "lumi_mask": lumi_mask,
            "np": np, "ak": ak, "math": math, "functools": functools, "scale": scale, "pair": pair,
            "user_func": user_func, "define_alias": define_alias,
        }  # fmt: skip
        names["full"] = Histogram.new.Reg(5, 0, 100).Double().fill(names["df"].Jet.pt)
        with alias_scope():
            found[code] = _message(code, names)
    return found


def test_every_mistake_raises_at_its_own_line(messages: dict[str, str]) -> None:
    for code, text in messages.items():
        assert text != "nothing was raised", code
        assert "analysis.py:1" in text, f"{code}\n{text}"


def test_what_others_write_elsewhere_is_answered_by_what_to_write_here(messages: dict[str, str]) -> None:
    tried = MISTAKES[MISTAKES.index("df.columns") :]
    for code in tried:
        assert "  do:  " in messages[code], f"{code}\n{messages[code]}"


def test_the_texts_are_the_reviewed_ones(messages: dict[str, str]) -> None:
    text = "\n\n".join(f">>> {code}\n{message}" for code, message in messages.items()) + "\n"
    if os.environ.get("HEP_FLOWS_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
