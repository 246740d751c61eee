"""Section 10, mistakes: each comes before anything is executed, with the user's line and with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hep_flows import HepFlowsError, make_local, nanoaod_table, parquet_table, tree_table, xaod_table
from semantics.rows import Mistake, table

if TYPE_CHECKING:
    from semantics.files import Tables

pytestmark = pytest.mark.data


def chained(t: Tables) -> Any:
    return 1 < t.sm.MET.pt < 3


def both_and(t: Tables) -> Any:
    return (t.sm.MET.pt > 1) and (t.sm.MET.pt < 3)


def either_or(t: Tables) -> Any:
    return (t.sm.MET.pt > 1) or (t.sm.MET.pt < 3)


def inverted(t: Tables) -> Any:
    return not (t.sm.MET.pt > 1)


def decided(t: Tables) -> Any:
    if t.sm.MET.pt > 1:
        return 1
    return 2


def chosen(t: Tables) -> Any:
    return t.sm.MET.pt if t.sm.MET.pt > 1 else t.sm.MET.phi


def without_parentheses(t: Tables) -> Any:
    return t.sm.MET.pt > 1 & t.sm.MET.pt < 30


def contained(t: Tables) -> Any:
    return 3 in t.sm.PV.npvs


def while_it_is(t: Tables) -> Any:
    while t.sm.MET.pt > 1:
        pass


def in_lambda(t: Tables) -> Any:
    return t.sm.Jet[lambda j: j.pt > 30 and j.eta < 2]


def iterated(t: Tables) -> Any:
    return [j.pt for j in t.sm.Jet]


def unpacked(t: Tables) -> Any:
    a, _b = t.sm.Jet
    return a


def no_return(j: Any) -> Any:
    j.pt > 30  # noqa: B015


def later_mistake(t: Tables) -> Any:
    return t.sm.Jet.map(lambda j: t.sm.Muon.map(lambda m: m.pt + j.ptt))


def escaped_element(t: Tables) -> Any:
    kept = []
    t.sm.Jet.map(lambda j: kept.append(j.pt) or j.pt)
    return make_local(kept[0])


TRUTH = ("&", "|", "~")
ROWS = [
    Mistake(
        "10.1", "an unknown leaf with its near matches", lambda t: t.sm.Muon.pfRelIso03_al, ("pfRelIso03_al", "pfRelIso03_all")
    ),
    Mistake("10.1", "an unknown collection with its near matches", lambda t: t.sm.Muons, ("Muons", "'Muon'")),
    Mistake("10.1", "an unknown name by key", lambda t: t.sm["Jet"]["ptt"], ("ptt", "'pt'")),
    Mistake("10.1", "an unknown leaf in a filter function", lambda t: t.sm.Jet[lambda j: j.ptt > 3], ("ptt", "'pt'")),
    Mistake("10.1", "an unknown leaf in a nested lambda", later_mistake, ("ptt",)),
    Mistake("10.1", "an unknown leaf of a column's view", lambda t: t.sm[t.sm.MET.pt > 3].Jet.First().ptt, ("ptt",)),
    Mistake(
        "10.1, R16",
        "an unknown container lists both tries",
        lambda t: t.phys.Electrons("Elektrons"),
        ("'Elektrons'", "AnalysisElektrons", "Electrons"),
    ),
    Mistake("10.2", "a chained comparison", chained, ("(1 < x) & (x < 3)",)),
    Mistake("10.2", "and", both_and, ("&",)),
    Mistake("10.2", "or", either_or, ("|",)),
    Mistake("10.2", "not", inverted, ("~",)),
    Mistake("10.2", "if", decided, ("mask",), ("np.where",)),
    Mistake("10.2", "a if c else b", chosen, ("np.where",)),
    Mistake("10.2", "while", while_it_is, ("make_local",), ("mask",)),
    Mistake("10.2", "forgotten parentheses around &", without_parentheses, ("parentheses",)),
    Mistake("10.2", "in", contained, ("np.isin",)),
    Mistake("10.2", "and in a lambda", in_lambda, ("&",)),
    Mistake("10.2", "min() and max()", lambda t: min(t.sm.MET.pt, t.sm.MET.phi), ("np.minimum",)),
    Mistake("10.2", "bool()", lambda t: bool(t.sm.MET.pt > 3), TRUTH),
    Mistake("10.3", "iteration", iterated, ("map",), ("make_local",)),
    Mistake("10.3", "unpacking", unpacked, ("map",), ("make_local",)),
    Mistake("10.3", "len", lambda t: len(t.sm.Jet), ("Count",)),
    Mistake("10.3", "float", lambda t: float(t.sm.MET.pt), ("make_local",)),
    Mistake("10.3", "int", lambda t: int(t.sm.MET.pt), ("make_local",)),
    Mistake("10.3", "sorted", lambda t: sorted(t.sm.MET.pt), ("make_local",)),
    Mistake("10.3", "np.asarray", lambda t: np.asarray(t.sm.MET.pt), ("make_local",)),
    Mistake("10.4", "a filter function without return", lambda t: t.sm.Jet[no_return], ("no_return", "return")),
    Mistake("10.4", "a filter function with two arguments", lambda t: t.sm.Jet[lambda a, b: a.pt > b], ("one argument",)),
    Mistake("10.5", "a float in brackets", lambda t: t.sm.Jet[1.5], ("float",)),
    Mistake("10.5", "None in brackets", lambda t: t.sm.Jet[None], ("NoneType",), ("None",)),
    Mistake("10.5", "a tuple in brackets", lambda t: t.sm.Jet[0, 1], ("tuple",)),
    Mistake("10.5", "numbers that are no mask in brackets", lambda t: t.sm.Jet[t.sm.Jet.pt], ("mask",), ("index",)),
    Mistake("10.5", "an array that is in memory in brackets", lambda t: t.sm[np.ones(1000, dtype=bool)], ("ndarray",)),
    Mistake("10.6", "two collections that do not align", lambda t: t.sm.Jet.pt + t.sm.Muon.pt, ("Jet", "Muon"), ("map",)),
    Mistake("10.6, R2", "two views that do not align", lambda t: t.sm.Jet[t.sm.Jet.pt > 3].pt + t.sm.Jet.pt, ("Jet",)),
    Mistake("10.6", "np.where over two collections", lambda t: np.where(t.sm.Jet.pt > 3, t.sm.Muon.pt, 0), ("Jet", "Muon")),
    Mistake("10.7, R9", "two tables", lambda t: t.sm.MET.pt + t.zmm.M, ("Run2012B_SingleMu_1000.root", "uproot-Zmumu.root")),
    Mistake("10.7, R9", "two tables of one file", lambda t: t.sm.MET.pt + t.new("sm").MET.pt, ("two tables",)),
    Mistake("10.7, R9", "a mask of another table", lambda t: t.sm[t.zmm.M > 80], ("two tables",)),
    Mistake("10.7, R9", "another table captured in a lambda", lambda t: t.sm.Jet.map(lambda j: j.pt * t.zmm.M), ("two tables",)),
    Mistake("10.8", "a leaf of a number", lambda t: t.sm.Jet.pt.eta, ("eta",)),
    Mistake("10.8", "an unknown method", lambda t: t.sm.Jet.Cuont(), ("Cuont",)),
    Mistake("10.8", "an unknown constant", lambda t: t.sm.Jet.pt > object(), ("object",)),
    Mistake("10.10", "make_local of a number", lambda t: make_local(3), ("int",)),
    Mistake("10.10", "make_local of a function", lambda t: make_local([t.sm.MET.pt, no_return]), ("function",)),
    Mistake("10.10", "make_local of None", lambda t: make_local(None), ("NoneType",), ("return",)),
    Mistake("R6", "an element that left its lambda", escaped_element, ("lambda",), ("map",)),
    Mistake("R11", "text in arithmetic", lambda t: t.zmm["Type"] + 1, ("text",), ("string",)),
    Mistake("R11", "text compared with a number", lambda t: t.zmm["Type"] > 3, ("text",), ("string",)),
    Mistake("5.7", "& of numbers that are no truth values", lambda t: t.sm.MET.pt & t.sm.MET.phi, ("float32",), ("truth values",)),
]


@table(ROWS)
def test_mistake(row: Mistake, t: Tables) -> None:
    row.check(t)


@pytest.mark.parametrize("make", [nanoaod_table, xaod_table, tree_table, parquet_table], ids=lambda f: f.__name__)
def test_a_missing_file_is_named(make: Any) -> None:  # 10.9
    with pytest.raises(HepFlowsError, match="nowhere"):
        make("nowhere.root" if make is not parquet_table else "nowhere.parquet")


def test_a_missing_tree_is_named_with_those_that_exist(t: Tables) -> None:  # 10.9
    with pytest.raises(HepFlowsError, match="evnets") as caught:
        tree_table(t.path("hzz"), tree="evnets")
    assert "events" in str(caught.value)


def test_an_unknown_attribute_is_an_attribute_error_too(t: Tables) -> None:  # hasattr and copy rely on it
    assert not hasattr(t.sm.Jet, "nope")
    assert getattr(t.sm.Jet, "nope", None) is None
