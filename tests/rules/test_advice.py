"""Every advice leads to a right result: it is executed on an example of its own, and compared with plain awkward on a real file.

Advice is found in the package by its syntax, so that none is forgotten: the words of each ``do=`` occur in an error below, or in a list
that says which test has it.
"""

from __future__ import annotations

import ast
import linecache
import re
import warnings
from pathlib import Path

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

import hep_flows
from hep_flows import (
    Concatenate,
    DataFrame,
    HepFlowsError,
    Histogram,
    blind,
    curry,
    cut,
    cutflow,
    define_alias,
    event_list,
    explain,
    make_local,
    ml_features,
    nanoaod_table,
    plan,
    run,
    tree_table,
    user_func,
    vary,
    xaod_table,
)
from hep_flows.record.instead import INSTEAD, instead_of

pytestmark = pytest.mark.data
PACKAGE = Path(hep_flows.__file__).parent

# What the answer to a name says: the code in it, its leaf or suffix where it gives objects, and the same in plain awkward.
# X, Y are jets and muons, x and y the pt and eta of jets; J, M, pt, eta, met are the arrays.
ANSWERS = [
    ("nanmedian", "np.median(ak.flatten(make_local(x), axis=None))", "np.median(ak.flatten(pt, axis=None))"),
    ("idxmax", "X.MaxBy(lambda x: x.pt)", "ak.firsts(pt[ak.argmax(pt, axis=1, keepdims=True)])"),
    ("idxmin", "X.MinBy(lambda x: x.pt)", "ak.firsts(pt[ak.argmin(pt, axis=1, keepdims=True)])"),
    ("nanmedian", "x.Median()", "[np.median(p) if len(p) else None for p in pt]"),
    ("nanmedian", "x.Quantile(0.9)", "[np.quantile(p, 0.9) if len(p) else None for p in pt]"),
    ("sort", "X.OrderBy(lambda x: x.pt, descending=True)", "ak.sort(pt, ascending=False)"),
    ("sort", "ak.sort(x, ascending=False)", "ak.sort(pt, ascending=False)"),
    ("nansum", "x[~np.isnan(x)].Sum()", "ak.nansum(pt, axis=1)"),
    ("average", "(x * w).Sum() / w.Sum()", "ak.sum(pt * mass, axis=1) / ak.sum(mass, axis=1)"),
    ("average", "x.Mean()", "ak.mean(pt, axis=1)"),
    ("count", "x.Count()", "ak.num(pt)"),
    ("count", "(~ak.is_none(x, axis=-1)).Sum()", "ak.count(pt, axis=1)"),
    ("count", "np.sum(~ak.is_none(x, axis=-1))", "ak.count(pt)"),
    ("convert_dtypes", "x.astype('float64')", "ak.values_astype(pt, np.float64)"),
    ("cut", "np.digitize(x, [0, 20, 50])", "ak.unflatten(np.digitize(ak.flatten(pt), [0, 20, 50]), ak.num(pt))"),
    ("cumsum", "x.CumSum()", "[np.cumsum(p, dtype=float).tolist() for p in pt]"),
    ("unique", "x.Unique()", "[np.unique(p).tolist() for p in pt]"),
    ("fillna", "ak.fill_none(x, 0.0)", "ak.fill_none(pt, 0.0)"),
    ("fillna", "np.where(np.isnan(x), 0.0, x)", "ak.where(np.isnan(pt), 0.0, pt)"),
    ("nan_to_none", "np.where(np.isnan(x), 0.0, x)", "ak.nan_to_num(pt)"),
    ("isna", "ak.is_none(x, axis=-1)", "ak.is_none(pt, axis=1)"),
    ("isna", "np.isnan(x)", "np.isnan(pt)"),
    ("notna", "~ak.is_none(x, axis=-1)", "~ak.is_none(pt, axis=1)"),
    ("notna", "~np.isnan(x)", "~np.isnan(pt)"),
    ("dropna", "x[~ak.is_none(x, axis=-1)]", "ak.drop_none(pt)"),
    ("dropna", "x[~np.isnan(x)]", "pt[~np.isnan(pt)]"),
    ("abs", "abs(x)", "abs(pt)"),
    ("apply", "np.sqrt(x)", "np.sqrt(pt)"),
    ("apply", "X.map(lambda j: j.pt * 2)", "pt * 2"),
    ("between", "(x > 20) & (x < 50)", "(pt > 20) & (pt < 50)"),
    ("query", "X[X.pt > 30]", "pt[pt > 30]"),
    ("query", "X[0]", "ak.firsts(pt)"),
    ("query", "X[:2]", "pt[:, :2]"),
    ("head", "df[:5]", "met[:5]"),
    ("head", "X[:5]", "pt[:, :5]"),
    ("tail", "df[-5:]", "met[-5:]"),
    ("tail", "X[-5:]", "pt[:, -5:]"),
    ("sample", "df[:1000]", "met[:1000]"),
    ("drop", "X[['pt', 'eta']]", "pt"),
    ("Filter", "X[X.pt > 30]", "pt[pt > 30]"),
    ("Select", "X.map(lambda j: j.pt * 2)", "pt * 2"),
    ("hstack", "ak.concatenate([x, y], axis=1)", "ak.concatenate([pt, eta], axis=1)"),
    ("hstack", "Concatenate(X, Y)", "ak.concatenate([pt, M], axis=1)"),
    ("merge", "x + y", "pt + eta"),
    ("groupby", "make_local([X[X.pt > 30].Count(), X[X.pt <= 30].Count()])", "[ak.num(pt[pt > 30]), ak.num(pt[pt <= 30])]"),
    ("flatten", "ak.flatten(make_local(x), axis=None)", "ak.flatten(pt, axis=None)"),
    ("outer", "X.map(lambda x: Y)", "ak.cartesian([pt, M], nested=True)['1']"),
    ("pad_zero", "x.Pad(4)", "ak.pad_none(pt, 4, clip=True)"),
    ("arange", "X.Index()", "ak.local_index(pt)"),
    ("to_regular", "X.pt / df.MET.pt", "pt / met"),
    ("to_regular", "ml_features(X, ['pt', 'eta'], pad=4)", "ak.fill_none(ak.pad_none(pt, 4, clip=True), 0.0)"),
    ("broadcast_arrays", "X.pt / df.MET.pt", "pt / met"),
    ("zeros_like", "x * 0", "ak.zeros_like(pt)"),
    ("ones_like", "x * 0 + 1", "ak.ones_like(pt)"),
    ("to_numpy", "ak.to_list(make_local(x))", "ak.to_list(pt)"),
    ("shape", "df.Count()", "len(met)"),
    ("shape", "X.Count()", "ak.num(pt)"),
    ("fields", "dir(X)", "[n for n in dir(X)]"),
    ("unique", "np.unique(ak.flatten(make_local(x), axis=None), return_counts=True)", "np.unique(ak.flatten(pt, axis=None), return_counts=True)"),
    ("std", "x.Std()", "ak.std(ak.values_astype(pt, np.float64), axis=1)"),
    ("argmax", "x.ArgMax()", "ak.argmax(pt, axis=1)"),
    ("histogram2d", "Histogram.new.Reg(50, 0, 200, name='a').Reg(50, -3, 3, name='b').Double().fill(a=x, b=y)",
     "hist.Hist.new.Reg(50, 0, 200, name='a').Reg(50, -3, 3, name='b').Double().fill(a=ak.flatten(pt), b=ak.flatten(eta)).values()"),
    ("plot", "make_local(Histogram.new.Reg(50, 0, 200).Double().fill(x))", "hist.Hist.new.Reg(50, 0, 200).Double().fill(ak.flatten(pt)).values()"),
]  # fmt: skip

# A mistake, words of its advice, what one writes who follows it, and the same in plain awkward.
ADVICE = [
    ("df.Jet.With(p4=X.pt)", "X.With(p4=X * 1.03)", "X.With(p4=X * 1.03).pt", "pt * 1.03"),
    ("df.Jet.With(p4=X.pt)", "a number has another name: X.With(scale=...)", "X.With(scale=X.pt * 2).scale", "pt * 2"),
    ("ml_features(x, ['pt'], pad=2)", 'ml_features(df.Jet, ["pt", "eta"], pad=4)', 'make_local(ml_features(df.Jet, ["pt", "eta"], pad=4))',
     "ak.concatenate([ak.fill_none(ak.pad_none(v, 4, clip=True), 0.0)[..., None] for v in (pt, eta)], axis=2)"),
    ("ml_features(X, ['pt'])", "give it pad=4", "make_local(ml_features(X, ['pt'], pad=4))[:, :, 0]", "ak.fill_none(ak.pad_none(pt, 4, clip=True), 0.0)"),
    ("ml_features(df.MET, ['pt'], pad=2)", "leave out pad", "make_local(ml_features(df.MET, ['pt']))[:, 0]", "met"),
    ("ml_features(X, ['pt'], pad=2, fill='zero')", "fill=0.0, or fill=float('nan')", "make_local(ml_features(X, ['pt'], pad=2, fill=0.0))[:, :, 0]",
     "ak.fill_none(ak.pad_none(pt, 2, clip=True), 0.0)"),
    ("ml_features(X.map(lambda j: Y), ['pt'], pad=2)", "choose one of the lists, or join them: ak.flatten(X, axis=-1); outside of a lambda",
     "make_local(ml_features(ak.flatten(X.map(lambda j: Y), axis=-1), ['pt'], pad=2))[:, :, 0]",
     "ak.fill_none(ak.pad_none(ak.flatten(ak.cartesian([pt, M], nested=True)['1'], axis=2), 2, clip=True), 0.0)"),
    ("ml_features(X, ['pt', 'eta', 'phi', 'mass'], pad=4) * 2", "compute before: X['scaled'] = X.pt / 100, and ml_features(X, ['scaled'], pad=4)",
     "(X.__setitem__('scaled', X.pt / 100), make_local(ml_features(X, ['scaled'], pad=4))[:, :, 0])[1]",
     "ak.fill_none(ak.pad_none(pt / 100, 4, clip=True), 0.0)"),
    ("ml_features(df, ['Jet.pt'])", "reduce it: Sum(), Max(), First(), ...",
     "(df.__setitem__('ht', df.Jet.pt.Sum()), make_local(ml_features(df, ['ht']))[:, 0])[1]", "ak.sum(ak.values_astype(pt, np.float64), axis=1)"),
    ("ml_features(X, ['pt'], pad=2)[df.MET.pt > 20]", "select before: ml_features(df[mask].Jet[cut], ...)",
     "make_local(ml_features(df[df.MET.pt > 20].Jet[lambda j: j.pt > 30], ['pt'], pad=2))[:, :, 0]",
     "ak.fill_none(ak.pad_none(pt[pt > 30][met > 20], 2, clip=True), 0.0)"),
    ("df.Jet.pt.fields", "print(x) shows the kind and the axes", "str(x.Count())", "str(x.Count())"),
    ("df.Jet.pt.foo", "leaves belong to the collection: X.pt, X.eta", "X.pt", "pt"),
    ("df.Jet.foo", "dir(X) lists all names; X['name'] = ... adds a column", "(X.__setitem__('foo', X.pt * 2), X.foo)[1]", "pt * 2"),
    ("df.Jet.ptt", "did you mean 'pt'", "X.pt", "pt"),
    ("df['MET.pt']", "name one after the other: X['MET']['pt']", "df['MET']['pt']", "met"),
    ("df.Jet['pt > 30']", "write the condition as Python: X[X.pt > 30]", "X[X.pt > 30].pt", "pt[pt > 30]"),
    ("(df.Jet.__setitem__('twice', X.pt * 2), df.Jet.pt.twice)", "columns belong to the collection: X.name, not X.pt.name", "X.twice", "pt * 2"),
    ("df.Jet[X.pt]", "compare it: X[x > 0]", "x[x > 0]", "pt[pt > 0]"),
    ("df.Jet[1.5]", "select by a mask X[X.pt > 30], a function X[lambda x: x.pt > 30], a position X[0], X[:2], or names X[['pt', 'eta']]",
     "X[lambda x: x.pt > 30].pt", "pt[pt > 30]"),
    ("df.Jet[True]", "a mask has a truth value for each element: X[X.pt > 30]", "X[X.pt > 30].pt", "pt[pt > 30]"),
    ("df.Jet['pt', 'eta']", "several leaves are a list of names: X[['pt', 'eta']]", "X[['pt', 'eta']].pt", "pt"),
    ("df.Jet[X.pt > 30, 'pt']", "one pair of brackets for each step: X[X.pt > 30]['pt']", "X[X.pt > 30]['pt']", "pt[pt > 30]"),
    ("df.Jet[pt > 30]", "a mask is written over the table, and not made local: X[X.pt > 30]", "X[X.pt > 30].pt", "pt[pt > 30]"),
    ("df.Jet[lambda j: 3.0]", "return a comparison of its argument", "X[lambda j: j.pt > 3.0].pt", "pt[pt > 3]"),
    ("df.Jet[lambda j: None]", "return the expression at its end", "X[lambda j: j.pt > 3].pt", "pt[pt > 3]"),
    ("df.Jet[lambda a, b: a.pt > b]", "give the others before: lambda x: f(x, 30)", "X[lambda x: (lambda a, b: a.pt > b)(x, 30)].pt", "pt[pt > 30]"),
    ("df[df.Muon.Count()]", "compare it, for example df[df.Muon.Count() > 0]", "df[df.Muon.Count() > 0].MET.pt", "met[ak.num(M) > 0]"),
    ("df[df.Jet.pt > 30]", "reduce it with .Any(), .All() or .Count()", "df[(df.Jet.pt > 30).Any()].MET.pt", "met[ak.any(pt > 30, axis=1)]"),
    ("df[np.any(df.Jet.pt > 30)]", "write x.Any() or np.any(x, axis=-1)", "df[np.any(df.Jet.pt > 30, axis=-1)].MET.pt", "met[ak.any(pt > 30, axis=1)]"),
    ("df[0]", "df[:1] is the table of the first event; make_local(df.MET.pt)[0] is its value", "make_local(df.MET.pt)[0]", "met[0]"),
    ("df.MET.pt.Max().Max()", "use the value as it is", "df.MET.pt.Max()", "ak.max(met)"),
    ("df.MET.pt[0][0]", "use the value as it is", "df.MET.pt[0]", "met[0]"),
    ("df.Jet[X.pt > 30].pt + X.pt", "take both from the same view: after hard = X[cut], use hard.pt, hard.eta", "(lambda hard: hard.pt + hard.eta)(X[X.pt > 30])", "(pt + eta)[pt > 30]"),
    ("df[df.MET.pt > 30].MET.pt + df.MET.pt", "take both from the same view: after ev = df[cut], use ev.Jet, ev.MET", "(lambda ev: ev.MET.pt + ev.MET.pt)(df[df.MET.pt > 30])", "(met + met)[met > 30]"),
    ("X.pt + Y.pt", "reduce one of them (Count, Sum, First, ...), or pair them: X.map(lambda x: ...)", "X.pt + Y.pt.Sum()", "pt + ak.sum(M, axis=1)"),
    ("X.pt + nanoaod_table(path).Jet.pt", "write the expression over one table, or make both local and combine the arrays", "make_local(X.pt) + make_local(nanoaod_table(path).Jet.pt)", "pt + pt"),
    ("1 < X.pt < 3", "write a chained comparison as two: (1 < x) & (x < 3)", "(1 < x) & (x < 3)", "(1 < pt) & (pt < 3)"),
    ("(X.pt > 1) and (X.pt < 3)", "use & for `and`", "(X.pt > 1) & (X.pt < 3)", "(pt > 1) & (pt < 3)"),
    ("not (X.pt > 1)", "use ~ for `not`: ~(x > 1)", "~(x > 1)", "~(pt > 1)"),
    ("1 if X.pt > 3 else 2", "use np.where(condition, a, b) for `a if condition else b`", "np.where(X.pt > 3, 1, 2)", "ak.where(pt > 3, 1, 2)"),
    ("X.pt in [1, 2]", "use == with |, or np.isin(x, [1, 2]) for `in`", "np.isin(x, [1, 2])", "ak.zeros_like(pt, dtype=bool)"),
    ("X.pt not in [1, 2]", "use ~np.isin(x, [1, 2]) for `not in`", "~np.isin(x, [1, 2])", "ak.ones_like(pt, dtype=bool)"),
    ("min(X.pt, X.eta)", "use np.minimum(x, y), np.maximum(x, y) between two, x.Min(), x.Max() within a collection", "np.minimum(x, y)", "np.minimum(pt, eta)"),
    ("bool(X.pt > 3)", "use & for `and`, | for `or`, ~ for `not`, np.where for `if`", "np.where(x > 3, 1, 0)", "ak.where(pt > 3, 1, 0)"),
    ("assert X.pt > 3", "use a mask or np.where for a decision per event, make_local first", "x[x > 3]", "pt[pt > 3]"),
    ("[a for a in X.pt]", "use X.map(lambda x: ...), or loop over make_local(x)", "[a for a in make_local(x)]", "[a for a in pt]"),
    ("any(X.pt > 3)", "use x.Any()", "(x > 3).Any()", "ak.any(pt > 3, axis=1)"),
    ("all(X.pt > 3)", "use x.All()", "(x > 3).All()", "ak.all(pt > 3, axis=1)"),
    ("sum(X.pt)", "use x.Sum()", "x.Sum()", "ak.sum(ak.values_astype(pt, np.float64), axis=1)"),
    ("sorted(X.pt)", "all in order: ak.sort(make_local(x))", "ak.sort(make_local(x))", "ak.sort(pt)"),
    ("zip(X.pt, X.eta)", "X.pt * X.eta; as one record: X[['pt', 'eta']]", "X.pt * X.eta", "pt * eta"),
    ("enumerate(X.pt)", "positions are known of values: ak.local_index(make_local(x))", "ak.local_index(make_local(x))", "ak.local_index(pt)"),
    ("set(X.pt)", "np.unique(ak.flatten(make_local(x), axis=None)) are the values that occur", "np.unique(ak.flatten(make_local(x), axis=None))", "np.unique(ak.flatten(pt))"),
    ("len(X)", "use X.Count(), or len(make_local(x))", "X.Count()", "ak.num(pt)"),
    ("float(X.pt)", "use numpy's functions instead of math's (np.sqrt for math.sqrt), or make_local(x) first", "np.sqrt(x)", "np.sqrt(pt)"),
    ("int(X.pt)", "use np.trunc(x) or x // 1, or make_local(x) first", "np.trunc(x)", "np.trunc(pt)"),
    ("range(X.pt)", "use X[i] with an integer expression, or make_local first", "x[x.ArgMax()]", "ak.max(pt, axis=1)"),
    ("complex(X.pt)", "call make_local(x) first", "make_local(x)", "pt"),
    ("pt * X.pt", "make both local, make_local([x, y]), and go on with the arrays", "(lambda a: a[0] * a[1])(make_local([x, y]))", "pt * eta"),
    ("X.pt * np.array([1.0])", "make the expression local first", "make_local(X.pt) * np.array([1.0])", "pt"),
    ("X.pt * None", "missing values are found with ak.is_none(x, axis=-1); or did a function forget its return?", "ak.is_none(x, axis=-1)", "ak.is_none(pt, axis=1)"),
    ("X * Y", "name the leaf: x.pt", "X.pt * 2", "pt * 2"),
    ("df.Jet[['pt']] * 2", "name the leaf that you mean: x.pt + y.pt, x.pt * 2, x.pt.Sum()", "x * 2", "pt * 2"),
    ("df.Jet[['pt']] + X[['pt']]", "name the leaf that you mean: x.pt + y.pt, x.pt * 2, x.pt.Sum()", "x + X.pt", "pt + pt"),
    ("df.Jet[['pt']].Sum()", "name the leaf that you mean: x.pt + y.pt, x.pt * 2, x.pt.Sum()", "x.Sum()", "ak.sum(ak.values_astype(pt, np.float64), axis=1)"),
    ("np.sqrt(X)", "name the leaf: x.pt", "np.sqrt(X.pt)", "np.sqrt(pt)"),
    ("round(X.pt, 'a')", "write round(x, 2)", "round(x, 2)", "np.round(pt, 2)"),
    ("np.round(X.pt, 'a')", "write np.round(x, 2)", "np.round(x, 2)", "np.round(pt, 2)"),
    ("X.pt @ X.eta", "a sum of products is (x * y).Sum()", "(x * y).Sum()", "ak.sum(ak.values_astype(pt * eta, np.float64), axis=1)"),
    ("X.__delitem__('pt')", "name what you want: X[['pt', 'eta']] has these leaves", "X[['pt', 'eta']].pt", "pt"),
    ("setattr(df, 'x', 3)", "add a column of a new name: df['new_x'] = ...", "(df.__setitem__('new_x', df.MET.pt), df.new_x)[1]", "met"),
    ("setattr(X, 'x', 3)", "add a column of a new name: X['new_x'] = ...", "(X.__setitem__('new_x', X.pt), X.new_x)[1]", "pt"),
    ("X.__setitem__('pt', X.pt * 2)", "X.With(pt=...) gives the same objects with that leaf replaced; another name adds a column", "X.With(pt=X.pt * 2).pt", "pt * 2"),
    ("df.__setitem__('event', df.MET.pt)", "X.With(event=...) gives the same objects with that leaf replaced; another name adds a column", "df.With(event=df.MET.pt).event", "met"),
    ("X.pt.__setitem__('a', X.pt)", "define it on the collection", "(X.__setitem__('a', X.pt), X.a)[1]", "pt"),
    ("X.__setitem__('a', 3.0)", "write lambda x: 3.0", "(X.__setitem__('a', lambda x: 3.0), X.a)[1]", "ak.ones_like(pt) * 3.0"),
    ("X.__setitem__('a', [1])", "an array that is local stays outside: join it to the result, when that is local", "make_local(x)", "pt"),
    ("X.map(X.pt)", "write X.map(lambda x: ...); an expression of X is there for each element already, and needs no map", "X.map(lambda x: x.pt)", "pt"),
    ("df.Count().map(lambda n: n)", "apply the function to it directly", "(lambda n: n)(df.Count())", "len(met)"),
    ("X.map(lambda j: j.pt.Count())", "apply Count to the collection, outside the lambda", "X.pt.Count()", "ak.num(pt)"),
    ("X.Mean()", "take it of a leaf: X.pt.Mean()", "X.pt.Mean()", "ak.mean(ak.values_astype(pt, np.float64), axis=1)"),
    ("X.Median()", "take it of a leaf: X.pt.Median()", "X.pt.Median()", "[np.median(p) if len(p) else None for p in pt]"),
    ("X.Max('pt')", "the element with the largest pt is X[X.pt == X.pt.Max()].First()", "X[X.pt == X.pt.Max()].First().pt", "ak.max(pt, axis=1)"),
    ("X.pt.Count(axis=4)", "axis 0 is the events, axis -1 the innermost of 2", "X.pt.Count(axis=-1)", "ak.num(pt)"),
    ("X.pt.Sum(axis=0)", "reduce the innermost axis first, without an axis argument", "X.pt.Sum().Sum()", "ak.sum(ak.values_astype(pt, np.float64))"),
    ("np.where(X.pt > 3)", "use X[mask] to select, np.where(mask, a, b) to choose", "np.where(X.pt > 3, x, y)", "ak.where(pt > 3, pt, eta)"),
    ("np.add.reduce(X.pt)", "x.Sum() does so with each list", "x.Sum()", "ak.sum(ak.values_astype(pt, np.float64), axis=1)"),
    ("np.linalg.norm(X.pt)", "it needs the values: call make_local(x) first", "np.linalg.norm(ak.flatten(make_local(x)))", "np.linalg.norm(ak.flatten(pt))"),
    ("np.sqrt(X.pt, where=True)", "leave where out; where a condition is meant: np.where(mask, y, z)", "np.sqrt(x)", "np.sqrt(pt)"),
    ("user_func(3)", "write @user_func above it", "user_func(lambda a: a * 2.0)(x)", "pt * 2.0"),
    ("curry(3)", "write @curry above it", "curry(lambda a, b: a + b)(x)(y)", "pt + eta"),
    ("make_local(x, y)", "put several into one list: make_local([a, b])", "make_local([x, y])", "[pt, eta]"),
    ("make_local(x, chunks=3)", "leave chunks out", "make_local(x)", "pt"),
    ("make_local()", "give x", "make_local(x)", "pt"),
    ("nanoaod_table(path, 'Events')", "give what follows by name: tree=...", "nanoaod_table(path, tree='Events').Jet.pt", "pt"),
    ("X.Count(1, 2)", "Count takes 1 of them: leave the others out", "X.Count()", "ak.num(pt)"),
    ("user_func(lambda a: a * 2.0)(X)", "pass its leaves: x.pt, x.eta, ...", "user_func(lambda a: a * 2.0)(X.pt)", "pt * 2.0"),
    ("X.pt * 10**30", "write it as a float", "X.pt * 1e30", "pt * np.float32(1e30)"),
    ("Histogram(3)", "begin with Histogram.new.Reg(50, 0, 100)", "Histogram.new.Reg(5, 0, 100).Double().fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("Histogram(hist.Hist.new.Reg(5, 0, 100).Double().fill([1.0]))", "pass h.copy().reset(), and add the two histograms when both are local", "Histogram(hist.Hist.new.Reg(5, 0, 100).Double().fill([1.0]).reset()).fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("Histogram.new.StrCat([1, 2])", "use IntCat for integers", "Histogram.new.IntCat([1, 2]).Double().fill(X.Count())", "hist.Hist.new.IntCat([1, 2]).Double().fill(ak.num(pt)).values()"),
    ("Histogram.new.Reg(5, 0, 1, growth=True, flow=False)", "leave flow, underflow and overflow out", "Histogram.new.Reg(5, 0, 100).Double().fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("Histogram.new.Func(5, 0, 1, forward=1, inverse=1)", "use Log, Sqrt or Pow, or Var with the edges that you want", "Histogram.new.Var([0, 20, 40, 60, 80, 100]).Double().fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("Histogram.new.Reg(5, 0, 100).Double().fill(x, sample=y)", "use Mean() or WeightedMean() to average", "Histogram.new.Reg(5, 0, 100).Mean().fill(x, sample=y)", "hist.Hist.new.Reg(5, 0, 100).Mean().fill(ak.flatten(pt), sample=ak.flatten(eta)).values()"),
    ("Histogram.new.Reg(5, 0, 100).Int64().fill(x, weight=y)", "use Weight() or Double()", "Histogram.new.Reg(5, 0, 100).Double().fill(x, weight=y)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt), weight=ak.flatten(eta)).values()"),
    ("X.map(lambda j: h.fill(pt=j.pt))", "fill with the result of map", "h.fill(pt=X.map(lambda j: j.pt))", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(ak.concatenate([pt, pt]))).values()"),
    ("X.map(lambda j: np.histogram(j.pt))", "take it of the result of map", "make_local(np.histogram(X.map(lambda j: j.pt), bins=3))[0]", "np.histogram(ak.flatten(pt), bins=3)[0]"),
    ("Histogram.new.Reg(5, 0, 100, metadata=object())", "use None, bool, int, float, str, and lists or dicts of these", "Histogram.new.Reg(5, 0, 100, metadata={'a': 1}).Double().fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("make_local(lambda: x)", "call it, and pass what it returns", "make_local((lambda: x)())", "pt"),
    ("make_local(None)", "did a function forget its return?", "make_local(x)", "pt"),
    ("make_local(3)", "what is a value already needs no make_local", "3", "3"),
    ("make_local(Histogram.new.Reg(5, 0, 1))", "end the histogram with a storage, .Double() or .Weight(), and fill it",
     "Histogram.new.Reg(5, 0, 100).Double().fill(x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("Histogram.new.Reg(5, 0, 100).fill(x)", "add a storage before: .Double() or .Weight()", "Histogram.new.Reg(5, 0, 100).Double().fill(x)",
     "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("h + h", "make it local first: h = make_local(h) is a hist.Hist", "(lambda h: (h + h).values())(make_local(h))", "hist.Hist.new.Reg(5, 0, 100, name='pt').Double().fill(ak.flatten(pt)).values() * 2"),
    ("h.fill(pt=x, wieght=2)", "name the axis when it is made: Reg(50, 0, 200, name='pt')", "Histogram.new.Reg(5, 0, 100, name='wieght').Double().fill(wieght=x)",
     "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("a, b = np.histogram(x)", "write counts, edges = make_local(np.histogram(x))", "(lambda c: c[0])(make_local(np.histogram(x, bins=3)))", "np.histogram(ak.flatten(pt), bins=3)[0]"),
    ("np.histogram(x, bins='auto')", "give the number of bins, or the edges", "make_local(np.histogram(x, bins=[0, 50, 100]))[0]", "np.histogram(ak.flatten(pt), bins=[0, 50, 100])[0]"),
    ("np.histogram(x, bins=3, range=(0, x))", "a value that depends on data must be made local first", "make_local(np.histogram(x, bins=3, range=(0, make_local(np.max(x)))))[0]", "np.histogram(ak.flatten(pt), bins=3, range=(0, ak.max(pt)))[0]"),
    ("np.histogram(X)", "name the leaf: x.pt", "make_local(np.histogram(X.pt, bins=3))[0]", "np.histogram(ak.flatten(pt), bins=3)[0]"),
    ("np.histogram(df.Count())", "fill what it was computed of: np.histogram(X.pt)", "make_local(np.histogram(X.pt, bins=3))[0]", "np.histogram(ak.flatten(pt), bins=3)[0]"),
    ("make_local(x, workers='two')", "write workers=4, or leave it out", "make_local(x, workers=4)", "pt"),
    ("make_local(x, chunk_events=0)", "write chunk_events=200000, or leave it out", "make_local(x, chunk_events=200000)", "pt"),
    ("run(x, engine='clster')", "write engine='inline', or leave it out", "run(x, engine='inline').values", "pt"),
    ("run(x, on_error='no')", "write on_error='raise', or leave it out", "run(x, on_error='raise').values", "pt"),
    ("tree_table(path, tree=3)", 'write tree="Events"', "tree_table(path, tree='Events').MET_pt", "met"),
    ("tree_table(path, tree='Evnts')", "did you mean 'Events'", "tree_table(path, tree='Events').MET_pt", "met"),
    ("nanoaod_table(3)", 'write "events.root", or ["a.root", "b.root"]', "nanoaod_table([path]).MET.pt", "met"),
    ("nanoaod_table([3])", 'write ["a.root", "b.root"]', "nanoaod_table([path]).MET.pt", "met"),
    ("nanoaod_table('')", "give a path or a URL", "nanoaod_table(path).MET.pt", "met"),
    ("plan(x).save('p.doc')", "use .svg, .html or .txt", "(plan(x).save(folder + '/p.txt'), x)[1]", "pt"),
    ("X.DeltaR(3)", "give an object with eta and phi: x.DeltaR(y)", "X.DeltaR(X)", "pt * 0"),
    ("define_alias(3, 4, lambda j: j)", "define_alias('Jet', 'gev', lambda j: j.pt / 1000)", "(define_alias('Jet', 'gev', lambda j: j.pt / 1000), X.gev)[1]", "pt / 1000"),
    ("define_alias('Jet', 'k', 3)", "write lambda j: ...", "(define_alias('Jet', 'k', lambda j: j.pt), X.k)[1]", "pt"),
    ("(define_alias('Jet', 'a2', lambda o: 3), X.a2)", "return an expression of the argument", "(define_alias('Jet', 'a3', lambda o: o.pt * 3), X.a3)[1]", "pt * 3"),
    ("DataFrame(3)", "begin with nanoaod_table, xaod_table, tree_table or parquet_table", "DataFrame(nanoaod_table(path)).MET.pt", "met"),
    ("X.pt()", "leave the parentheses out, or declare a function with @user_func", "X.pt", "pt"),
    ("ak.firsts(X.pt, axis=2)", "use X.First() for the innermost axis", "X.pt.First()", "ak.firsts(pt)"),
    ("ak.fill_none(X.pt, 0, axis=3)", "use axis=-1", "ak.fill_none(X.pt, 0, axis=-1)", "pt"),
    ("ak.where(X.pt > 3)", "use X[mask] to select", "x[x > 3]", "pt[pt > 3]"),
    ("df[df.MET.pt > 20].With(Jet=lambda j: j.With(pt=j.pt * 2))", "replace it first, and choose events of what that gives: df.With(Jet=...)[mask]",
     "(lambda new: new[new.MET.pt > 20])(df.With(Jet=lambda j: j.With(pt=j.pt * 2))).Jet.pt", "(pt * 2)[met > 20]"),
    ("X.pt.With(pt=X.eta)", "X.With(pt=...) is of the collection", "X.With(pt=X.eta).pt", "eta"),
    ("X.With(pt=X.pt, px=X.pt)", "replace components of one kind; the others follow", "X.With(pt=X.pt * 2).px", "2 * pt * np.cos(phi)"),
    ("(X.__setitem__('px', X.pt), X.With(pt=X.pt * 2) + X)", "give one kind; the other follows from it", "(X.With(pt=X.pt * 2) + X).px", "3 * pt * np.cos(phi)"),
    ("X.With(p4=X[['pt', 'phi']])", "X.With(p4=X * 1.03)", "X.With(p4=X * 1.03).pt", "pt * 1.03"),
    ("(X.__setitem__('v', X + X), X.v.With(px=x))", "X.With(p4=X * 1.03) replaces all components, or give the energy too",
     "(lambda v: v.With(p4=v * 1.03).pt)(X.map(lambda j: j + j))", "2.06 * pt"),
    ("cut('', df.MET.pt > 30)", 'cut("2 muons", mask)', "df[cut('2 muons', df.MET.pt > 30)].MET.pt", "met[met > 30]"),
    ("cut('a', 3)", 'cut("a", df.MET.pt > 30)', "df[cut('2 muons', df.MET.pt > 30)].MET.pt", "met[met > 30]"),
    ("cut('a', df.MET.pt)", "compare it with a number", "df[cut('2 muons', df.MET.pt > 30)].MET.pt", "met[met > 30]"),
    ("cutflow(3)", "cutflow(df[mask].MET.pt)", "[r.events for r in cutflow(df[df.MET.pt > 30].MET.pt)]", "[len(met), int(ak.sum(met > 30))]"),
    ("cutflow(df.MET.pt, weight=x)", "take the weight of the table itself: cutflow(ev, weight=df.genWeight)", "[r.sumw for r in cutflow(df.MET.pt, weight=df.MET.pt)]", "[np.sum(np.asarray(met, 'f8'))]"),
    ("explain(3, event=1)", "explain(df[mask], run=1, event=17)", "explain(df[df.MET.pt > 0], run=int(make_local(df.run)[0]), event=int(make_local(df.event)[0])).passes", "True"),
    ("explain(df, event=1.5)", "explain(df[mask], run=1, event=17)", "explain(df[df.MET.pt > 0], run=int(make_local(df.run)[0]), event=int(make_local(df.event)[0])).passes", "True"),
    ("event_list(3)", "event_list(df[mask])", "[e for _, _, e in event_list(df[df.MET.pt > 30])] == make_local(df[df.MET.pt > 30].event).tolist()", "True"),
    ("explain(df, event=1, event_id=['run'])", "name run, lumi and event; check_duplicates finds events that are there twice", "explain(df, run=int(make_local(df.run)[0]), event=int(make_local(df.event)[0])).passes", "True"),
    ("explain(df, event=10**9 + 7)", "event_list(df) gives all of them", "[e for _, _, e in event_list(df)] == make_local(df.event).tolist()", "True"),
    ("explain(df, run=1, event=1, event_id=['event'])", "leave run= out", "explain(df, event=int(make_local(df.event)[0]), event_id=['event']).passes", "True"),
    ("event_list(df, event_id='run')", 'event_id=("run", "lumi", "evt")', "[e for _, _, e in event_list(df, event_id=('run', 'luminosityBlock', 'event'))] == make_local(df.event).tolist()", "True"),
    ("event_list(df, event_id=['run'] * 4)", 'event_id=("run", "lumi", "evt"), or two without the block', "[e for _, e in event_list(df, event_id=('run', 'event'))] == make_local(df.event).tolist()", "True"),
    ("cutflow(df.MET.pt.Sum() / df[df.MET.pt > 3].MET.pt.Sum())", "take the events themselves: df[mask]", "[r.events for r in cutflow(df[df.MET.pt > 3])]", "[len(met), int(ak.sum(met > 3))]"),
    ("df.tree(3)", 'df.tree("Runs")', "df.tree('Events').MET_pt", "met"),
    ("df[df.MET.pt > 3].tree('Events')", 'write df.tree("Runs") of the table itself', "df.tree('Events').MET_pt", "met"),
    ("h * x", "what differs between entries is weight=", "Histogram.new.Reg(5, 0, 100).Double().fill(x, weight=x)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt), weight=ak.flatten(pt)).values()"),
    ("Histogram.new.Reg(5, 0, 100).Int64().fill(x) * 2", "use Weight() or Double(), or multiply the values when they are local", "Histogram.new.Reg(5, 0, 100).Double().fill(x) * 2", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values() * 2"),
    ("Histogram.new.Reg(5, 0, 100, name='variation').Double().fill(variation=vary(x, 'a', up=x * 2))", "give the axis of the template another name", "make_local(Histogram.new.Reg(5, 0, 100).Double().fill(vary(x, 'a', up=x * 2)))[{'variation': 'nominal'}].values()", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()"),
    ("cutflow(df, weight=x.Max())", "say what it is then: ak.fill_none(w, 1.0)", "[r.sumw for r in cutflow(df, weight=ak.fill_none(x.Max(), 1.0))]", "[np.sum(np.asarray(ak.fill_none(ak.max(pt, axis=1), 1.0), 'f8'))]"),
    ("Histogram.new.Reg(5, 0, 100).Double().fill(x) * df.MET.pt.Max()", "say what it is then: ak.fill_none(number, 1.0)", "make_local(Histogram.new.Reg(5, 0, 100).Double().fill(x) * ak.fill_none(df.MET.pt.Max(), 1.0)).values()", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values() * float(np.max(met))"),
    ("vary(df, 'jes', Jet={'up': lambda j: j.OrderBy(lambda a: a.pt)})", "lambda x: x.With(pt=x.pt * 1.02), or x.With(pt=...)[lambda x: x.pt > 15] to drop objects", "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)[lambda k: k.pt > 30]}).Jet.pt)['jesUp']", "(pt * 2)[pt * 2 > 30]"),
    ("vary(df.MET.pt, 'a', up=x)", "reduce it, or take the leaf of the same elements", "make_local(vary(df.MET.pt, 'a', up=x.Sum()))['aUp']", "ak.sum(ak.values_astype(pt, np.float64), axis=1)"),
    ("vary(df.MET.pt, 'a', {'up': df.MET.pt * 2}, sumw={'down': 1.0})", 'vary(w, "scale", {"0": w0, "1": w1}, sumw={"0": 1.2e9, "1": runs.genEventSumw.Sum()})', "make_local(vary(df.MET.pt, 'a', {'up': df.MET.pt * 2}, sumw={'up': 1.0}))['aUp']", "met * 2"),
    ("vary(df.MET.pt, 'a', {'up': df.MET.pt * 2}, sumw={'up': 1.0}) * vary(df.MET.pt, 'a', {'up': df.MET.pt * 2}, sumw={'up': 2.0})", "give sumw= in one vary of the source", "make_local(vary(df.MET.pt, 'a', {'up': df.MET.pt * 2}, sumw={'up': 1.0}))['aUp']", "met * 2"),
    ("blind(h)", 'blind(h, mass=(115, 135)), blind(h, region="SR")', "make_local(blind(h, pt=(0, 20))).values()[1:]", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()[1:]"),
    ("blind(h, eta=(0, 1))", "its axes are pt", "make_local(blind(h, pt=(0, 20))).values()[1:]", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()[1:]"),
    ("vary(3, 'jes')", 'vary(df, "jes", Jet={"up": f, "down": g})', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(df, 'je s', Jet={'up': lambda j: j})", 'vary(df, "jes", ...)', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(df, 'nominal', Jet={'up': lambda j: j})", 'give the source its own name: "jes"', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(df, 'jes')", 'vary(df, "jes", Jet={"up": f}) of a table, vary(w, "pu", up=w * 1.1) of a weight', "make_local(vary(df.MET.pt, 'pu', up=df.MET.pt * 2))['puUp']", "met * 2"),
    ("vary(X, 'jes', up=X)", 'df = vary(df, "jes", Jet={"up": lambda j: j.With(pt=j.pt * 1.02)}), before anything else', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(df, 'jes', Jet={'u p': lambda j: j})", '{"up": ..., "down": ...}', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(vary(df.MET.pt, 'a', up=df.MET.pt * 2), 'a', down=df.MET.pt)", "give all variations of a source in one vary, or give this one a name of its own", "make_local(vary(df.MET.pt, 'a', up=df.MET.pt * 2, down=df.MET.pt * 0.5))['aDown']", "met * 0.5"),
    ("vary(df, 'jes', Jet=3)", 'vary(df, "jes", Jet={"up": lambda x: ..., "down": lambda x: ...})', "make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(pt=j.pt * 2)}).Jet.pt)['jesUp']", "pt * 2"),
    ("vary(df, 'jes', Qqqq={'up': lambda j: j})", "dir(df) lists what there is", "dir(df).count('Jet')", "1"),
    ("vary(df, 'jes', Jet={'up': lambda j: j.With(foo=j.pt)})", "add it for all first: df.Jet['foo'] = ..., then vary it", "(X.__setitem__('foo9', x * 1.0), make_local(vary(df, 'jes', Jet={'up': lambda j: j.With(foo9=j.pt * 3)}).Jet.foo9)['jesUp'])[1]", "pt * 3"),
    ("X.boost(X.pt)", "(a + b) is one, and so is an object with pt, eta, phi, mass", "(lambda j: j.boostCM_of(j + j).energy)(X[X.mass > 3])", "mass[mass > 3]"),
    ("(lambda v: (v.__setitem__('f', v.pt / v.pt.Sum()), v.With(pt=v.pt * 2).f))(X[X.pt > 30])",
     "define the column again on the new one, or replace the leaf before the selection",
     "(lambda v: (v.__setitem__('f', v.pt / v.pt.Sum()), v.f)[1])(X.With(pt=X.pt * 2)[X.pt > 30])",
     "(lambda p: p / ak.sum(ak.values_astype(p, np.float64), axis=1))(pt[pt > 30])"),
    ("Histogram.new.Reg(5, 0, 100, name='pt').Weight().fill(pt=df.MET.pt, weight=X[0].pt)", "say what it is there: ak.fill_none(w, 1.0); or",
     "Histogram.new.Reg(5, 0, 100, name='pt').Double().fill(pt=df.MET.pt, weight=ak.fill_none(X[0].pt, 1.0))",
     "hist.Hist.new.Reg(5, 0, 100).Double().fill(met, weight=ak.fill_none(ak.firsts(pt), 1.0)).values()"),
    ("Histogram.new.Reg(5, 0, 100, name='pt').Double().fill(pt={'a': X.pt > 3})", "filter what is filled: X[mask]",
     "Histogram.new.Reg(5, 0, 100, name='pt').Double().fill(pt=X[X.pt > 30].pt)", "hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt[pt > 30])).values()"),
    ("Histogram.new.StrCat(['a'], name='region').Double().fill(region={})", 'region={"SR": mask, "CR": other_mask}',
     "Histogram.new.StrCat(['SR', 'CR'], name='region').Double().fill(region={'SR': df.MET.pt > 50, 'CR': df.MET.pt <= 50})",
     "[sum(met > 50), sum(met <= 50)]"),
    ("Histogram.new.StrCat(['SR'], name='r').Reg(5, 0, 100, name='pt').Double().fill(r='XX', pt=X.pt)", "add it, or make the axis grow: StrCat([], growth=True)",
     "Histogram.new.StrCat([], growth=True, name='r').Reg(5, 0, 100, name='pt').Double().fill(r='XX', pt=X.pt)",
     "[hist.Hist.new.Reg(5, 0, 100).Double().fill(ak.flatten(pt)).values()]"),
]  # fmt: skip

# Advice that no example can follow within a test: it is about other software, other machines, or what a person decides. By folder, with the reason.
ELSEWHERE = {
    "orchestrate": "about a Prefect server, a cluster or a process that is there or not; tests/orchestrate and tests/flows have them",
    "plugins/servicex": "about a ServiceX server and its configuration; tests/plugins/servicex and tests/grid have them",
    "cli": "about commands; tests/cli has them",
    "functions": "about files of models and corrections, and packages to install; tests/file_functions has them",
    "filesets.py": "about the text of a fileset; tests/filesets has them",
    "sources": "about damaged, missing and remote files; tests/plugins/awkward has them",
    "plots.py": "about histograms that are local; tests/test_plots.py has them",
    "analysis": "about whole analyses; tests/analysis has them",
    "planning": "about plug-ins and plans; tests/planning has them",
    "execute": "about runs that fail half-way; tests/execute has them",
    "store": "about disks, locks and caches; tests/store and tests/analysis have them",
    "plugins/hist": "about versions of hist and infinite values; tests/plugins/hist has them",
    "plugins/awkward": "about what a body returned; tests/plugins/awkward has them",
    "plugins/__init__.py": "about packages to install; tests/plugins has them",
    "contract.py": "about packages that register one name; tests/plugins has them",
    "demo": "about folders of files; tests/demo has them",
    "tables.py": "about files that change and servers; tests/test_changed_files.py has them",
    "expr/transport.py": "about expressions of another version",
    "expr/encoding.py": "about expressions of another version",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Give a small real file as a table and as arrays."""
    import os

    folder = os.environ.get("HEP_FLOWS_DATA") or str(PACKAGE.parent.parent / "shared" / "data")
    source = Path(folder) / "nano_tt_v12.root"
    if not source.is_file():
        pytest.skip(f"no file {source}")
    path = tmp_path_factory.mktemp("advice") / "slim.root"
    with uproot.open({source: "Events"}) as tree, uproot.recreate(path) as file:
        kept = {c: ak.zip({m: tree[f"{c}_{m}"].array() for m in ("pt", "eta", "phi", "mass")}) for c in ("Jet", "Muon")}
        found = kept | {n: tree[n].array() for n in ("run", "event", "luminosityBlock", "MET_pt", "MET_phi")}
        file.mktree("Events", {n: a.layout.form.type for n, a in found.items()})
        file["Events"].extend(found)
    arrays = {
        "pt": kept["Jet"].pt,
        "eta": kept["Jet"].eta,
        "phi": kept["Jet"].phi,
        "mass": kept["Jet"].mass,
        "M": kept["Muon"].pt,
        "met": found["MET_pt"],
    }
    tools = {
        "np": np, "ak": ak, "hist": hist, "make_local": make_local, "Histogram": Histogram, "user_func": user_func, "curry": curry, "cut": cut, "cutflow": cutflow, "blind": blind, "explain": explain, "event_list": event_list, "vary": vary, "run": run,
        "plan": plan, "nanoaod_table": nanoaod_table, "tree_table": tree_table, "xaod_table": xaod_table, "define_alias": define_alias,
        "DataFrame": DataFrame, "Concatenate": Concatenate, "ml_features": ml_features, "folder": str(path.parent),
    }  # fmt: skip
    return arrays | tools | {"path": str(path)}


def _fresh(names: dict[str, object]) -> dict[str, object]:
    df = nanoaod_table(str(names["path"]))
    x = df.Jet
    h = Histogram.new.Reg(5, 0, 100, name="pt").Double().fill(pt=x.pt)
    return names | {"df": df, "X": x, "Y": df.Muon, "x": x.pt, "y": x.eta, "w": x.mass, "h": h}


def _raised(names: dict[str, object], code: str) -> HepFlowsError:
    """Give the error of a line, which can be seen as that of a file."""
    linecache.cache["advice.py"] = (len(code), None, [code + "\n"], "advice.py")
    with pytest.raises(HepFlowsError) as caught:
        exec(compile(code, "advice.py", "exec"), _fresh(names))
    return caught.value


def _value(found: object) -> object:
    """Give the values: made local, the pt of objects, the counts of histograms."""
    if isinstance(found, DataFrame) and getattr(found._expr.type.item, "members", None):
        item = found._expr.type.item
        found = found.pt if "pt" in item.members else found.MET.pt
    if isinstance(found, DataFrame | Histogram):
        found = make_local(found)
    if isinstance(found, hist.Hist):
        return found.values()
    if isinstance(found, ak.Array) and found.fields:
        found = found["0"] if "0" in found.fields else found
        return found.pt if "pt" in found.fields else found
    return found


def assert_same(found: object, wanted: object) -> None:
    a, b = ak.to_list(_value(found)), ak.to_list(wanted)
    flat, other = np.asarray(_numbers(a), dtype=object), np.asarray(_numbers(b), dtype=object)
    assert len(flat) == len(other)
    numbers = [
        i for i, (p, q) in enumerate(zip(flat, other, strict=True)) if isinstance(p, int | float) and isinstance(q, int | float)
    ]
    rest = sorted(set(range(len(flat))) - set(numbers))
    assert [flat[i] for i in rest] == [other[i] for i in rest]
    np.testing.assert_allclose([float(flat[i]) for i in numbers], [float(other[i]) for i in numbers], rtol=2e-5, atol=1e-9)


def _numbers(value: object) -> list[object]:
    """Give the values in order, and marks where lists begin and end: the nesting counts."""
    if isinstance(value, dict):
        return _numbers(list(value.values()))
    if isinstance(value, list | tuple):
        return ["[", *[n for v in value for n in _numbers(v)], "]"]
    return [value]


@pytest.mark.parametrize(("name", "code", "oracle"), ANSWERS, ids=[f"{n}: {c}" for n, c, _ in ANSWERS])
def test_the_code_in_an_answer_gives_the_right_values(names: dict[str, object], name: str, code: str, oracle: str) -> None:
    assert code in instead_of(name)
    here = _fresh(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(eval(code, here), eval(oracle, here))


def test_every_answer_is_executed_or_has_no_code_of_its_own() -> None:
    executed = {instead_of(name) for name, _, _ in ANSWERS}
    told_in_words = {n for n in INSTEAD if instead_of(n) not in executed}
    words = {instead_of(n) for n in told_in_words}
    assert words <= {
        "it needs the values: call make_local(x) first",
        "print(x) shows the kind and the axes",
        "expressions never change, and need no copy: y = x",
        *[t for t in words if t.startswith(("what has to do with the order", "it needs the values: np.digitize", "several cases are one", "pairs within one collection: X.Combinations(2, fields=('a', 'b'))"))],
        *[t for t in words if t.startswith(("add a column: X['pt_gev']", "a column of another name", "names of records are given"))],
    }  # fmt: skip


OTHER_ANSWERS = [
    ("diff", "(lambda array: array[:, 1:] - array[:, :-1])(make_local(x))", "pt[:, 1:] - pt[:, :-1]"),
    ("cut", "make_local(np.histogram(x, bins=[0, 20, 50]))[0]", "np.histogram(ak.flatten(pt), bins=[0, 20, 50])[0]"),
    ("choose", "np.where(x > 50, 2, np.where(x > 20, 1, 0))", "ak.where(pt > 50, 2, ak.where(pt > 20, 1, 0))"),
    ("argcombinations", "X.Combinations(2, fields=('a', 'b')).a.pt", "ak.combinations(pt, 2)['0']"),
    ("cartesian", "X.Cartesian(Y, fields=('x', 'y')).y.pt", "ak.cartesian([pt, M])['1']"),
    ("assign", "(X.__setitem__('pt_gev', X.pt / 1000), X.pt_gev)[1]", "pt / 1000"),
    ("rename", "(X.__setitem__('momentum', X.pt), X.momentum)[1]", "pt"),
    ("with_name", "ak.with_name(make_local(X[['pt', 'eta']]), 'Jet')", "pt"),
    ("copy", "x", "pt"),
]


@pytest.mark.parametrize(("name", "code", "oracle"), OTHER_ANSWERS, ids=[f"{n}: {c}" for n, c, _ in OTHER_ANSWERS])
def test_what_an_answer_describes_gives_the_right_values(names: dict[str, object], name: str, code: str, oracle: str) -> None:
    assert instead_of(name)
    here = _fresh(names)
    assert_same(eval(code, here), eval(oracle, here))


@pytest.mark.parametrize(("wrong", "says", "right", "oracle"), ADVICE, ids=[a[0] for a in ADVICE])
def test_advice_is_true(names: dict[str, object], wrong: str, says: str, right: str, oracle: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert says in _raised(names, wrong).do
        here = _fresh(names)
        if "twice" in right:
            exec("X['twice'] = X.pt * 2", here)
        assert_same(eval(right, here), eval(oracle, here))


def _words(node: ast.AST) -> list[str]:
    """Give the texts of an advice, with a hole where a value stands in it."""
    match node:
        case ast.Constant(value=str() as text):
            return [re.escape(text)]
        case ast.JoinedStr(values=parts):
            return ["".join([re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in parts])]
        case ast.Call():
            return []
        case _:
            return [t for child in ast.iter_child_nodes(node) for t in _words(child)]


def _advice_in(file: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(keywords=keywords):
                found += [t for k in keywords if k.arg == "do" for t in _words(k.value)]
            case ast.Assign(targets=[ast.Name(id="do")], value=value):
                found += _words(value)
            case ast.FunctionDef(name="_advice" | "_form"):
                found += [t for r in ast.walk(node) if isinstance(r, ast.Return) and r.value is not None for t in _words(r.value)]
    return [t for t in found if t.replace(".*", "")]


def test_no_advice_of_the_language_is_forgotten(names: dict[str, object]) -> None:
    told = []
    for wrong, *_ in ADVICE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told.append(_raised(names, wrong).do)
    golden = (Path(__file__).parents[1] / "golden" / "mistakes.txt").read_text(encoding="utf-8")
    reviewed = [line.removeprefix("  do:  ") for line in golden.splitlines() if line.startswith("  do:  ")]
    forgotten = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).as_posix()
        if place.startswith(("testing/", *ELSEWHERE)):
            continue
        missing = [t for t in _advice_in(file) if not any(re.search(t, do) for do in [*told, *reviewed])]
        if missing:
            forgotten[place] = missing
    left = [
        f"{place}: {t}"
        for place, texts in forgotten.items()
        for t in texts
        if not any(said in t.replace("\\", "") for said in BY_OTHERS)
    ]
    assert not left, "add an example to ADVICE for: " + "; ".join(left).replace("\\", "")


# Advice whose example needs more than a small file of one kind, and the tests that have it.
BY_OTHERS = {
    'df.find("btag")': "names are no values: tests/record/test_looking.py",
    "numbers over another tree of the same files": "files with several trees: tests/record/test_other_trees.py",
    "name them: event_id=": "files without run and event: tests/functions",
    "X.get(": "files that differ: tests/semantics, tests/sources",
    'X.get("pt", 0.0)': "files that differ",
    'as_="float64"': "files that differ",
    "can hold, or None": "files that differ",
    "use one table": "two tables are found when they are planned: tests/planning",
    "call make_local first, and take it of the array": "statistics over all events: tests/semantics",
    "compare it, for example != 0": "masks of plug-ins: tests/expr",
    "make it local and index the array, or filter the events": "nodes that are built by hand: tests/expr",
    "index the table's": "references: tests/semantics",
    "follow the link: ": "references: tests/semantics",
    "use a file that has it; hasattr(df, name)": "references: tests/semantics",
    "write np.int64(": "constants beyond a kind: tests/expr",
    "end it with": "expressions from Python's text: tests/expr",
    "split the expression into columns": "maps that are nested two hundred times: tests/semantics",
    "add a property": "classes of the user: tests/semantics",
    "define .* in": "classes of the user: tests/semantics",
    "compare it: X[flag != 0]": "flags of ATLAS: tests/semantics",
    "send the function that records it": "expressions in other processes: tests/semantics",
    "use one of": "storages of later versions of hist",
    "define one of them by stored leaves": "aliases in a circle: tests/semantics",
    "df..*(": "containers of ATLAS: tests/semantics",
    "write it as p.pt or p.pt()": "containers of ATLAS: tests/semantics",
    "events.metadata[": "datasets of a fileset: tests/analysis",
    "take the values that you need out of it": "datasets of a fileset: tests/analysis",
    "look at the metadata of the dataset": "datasets of a fileset: tests/analysis",
    "make the table by nanoaod_table, xaod_table or tree_table": "tables that are built by hand",
    "repair the file, or remove it": "files of settings: tests/cli",
    "there are: ": "files of settings: tests/cli",
    "write .* = .* there": "files of settings: tests/cli",
    "with the whole collection, keep it as a column": "random numbers inside of maps: tests of functions",
    "give it a leaf of a collection, or declare": "functions of whole lists: tests of functions",
    "say what stands in their place: ak.fill_none(x, 0.0)": "functions of whole lists: tests of functions",
    "write it as an argument of the function": "bodies of functions: tests/test_hostile_input.py",
}
