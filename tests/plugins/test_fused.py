"""Compiled loops give the bits of numpy's evaluator, and what the interpreter reads in the specification."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep_flows import Concatenate, Histogram, make_local, nanoaod_table, plan
from hep_flows.contract import Columns, Partition, RunContext, StandingIn
from hep_flows.expr import build
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Float, Member, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import instantiate, make_plan
from hep_flows.plugins import find
from hep_flows.plugins.awkward.evaluate import evaluate, run_tasks
from hep_flows.plugins.fused.regions import Loop, compiled, divided, evaluate_fused, interpreted
from hep_flows.sources.open import OpenTables
from hep_flows.sources.read import read_columns
from oracle.compare import differences
from oracle.expressions import cases
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.prelude import record, recorded
from oracle.programs import programs
from oracle.tables import Table, tables

FILE = "Run2012B_SingleMu_1000.root"
INTERPRETED = partial(evaluate_fused, loop_of=interpreted, always=True)
COMPILED = partial(evaluate_fused, loop_of=compiled, always=True)


def exactly(value):
    """Give the text of a value: of equal texts, every bit is equal but those of what is no number."""
    return repr(value)


# The text of the loops, run as plain Python: many expressions in little time


@given(case=cases(max_steps=9), chunk_events=st.sampled_from([2, 1000]))
def test_loops_have_the_bits_of_numpy_and_the_meaning_of_the_interpreter(case, chunk_events):
    value, kind = evaluated(case.expr, case.table, chunk_events=chunk_events, evaluating=INTERPRETED)
    wanted, wanted_kind = evaluated(case.expr, case.table, chunk_events=chunk_events)
    assert (exactly(value), kind) == (exactly(wanted), wanted_kind)
    assert differences(value, interpret(case.expr, case.table.events), exact=case.steady) == []


@given(case=cases(special=True))
def test_loops_have_the_bits_of_numpy_on_values_that_are_not_finite(case):
    assert exactly(evaluated(case.expr, case.table, evaluating=INTERPRETED)) == exactly(evaluated(case.expr, case.table))


@given(program=programs(), table=tables(special=True), chunk_events=st.sampled_from([1, 1000]))
def test_loops_have_the_bits_of_numpy_in_analyses(program, table, chunk_events):
    (expr,) = normalise([recorded(record(program, table)["result"])])
    value = evaluated(expr, table, chunk_events=chunk_events, evaluating=INTERPRETED)
    assert exactly(value) == exactly(evaluated(expr, table, chunk_events=chunk_events))


def test_an_angle_that_overflows_is_computed_by_numpy():
    leaf = Member(Float(64))
    table = Table(Record("event", {"a": leaf, "b": leaf}), ({"a": 1e300, "b": 0.5}, {"a": 1.0, "b": -2.0}, {"a": 0.0, "b": np.inf}))
    a, b = [build.field(table.dataset, n) for n in "ab"]
    expr = build.call("delta_r", (a, b, build.literal(0.0), build.literal(0.25)))
    value, _ = evaluated(expr, table, evaluating=INTERPRETED)
    assert value[0] == 1e300
    assert exactly(value) == exactly(evaluated(expr, table)[0])


def long_chains():
    """Give expressions that are long, or many ways lead through, by name."""
    jet = Record("Jet", {"pt": Member(Float(64))})
    table = Table(Record("event", {"Jet": Member(jet, ("Jet",))}), ({"Jet": [{"pt": 1.0}, {"pt": 3.0}]}, {"Jet": []}))
    pt = build.field(build.field(table.dataset, "Jet"), "pt")
    cut = build.filtered(pt, build.call("greater", (pt, build.literal(0.5))), 1)
    steps = {
        "sum": lambda x: build.call("add", (x, build.literal(0.1))),
        "doubled": lambda x: build.call("multiply", (build.call("add", (x, x)), build.literal(0.5))),
        "cut again": lambda x: build.filtered(x, build.call("less", (x, build.literal(9.0))), 1),
        "sine": lambda x: build.call("sin", (x,)),
        "sine of a sum": lambda x: build.call("add", (build.call("sin", (x,)), build.call("sum", (x,)))),
    }
    for name, step in steps.items():
        expr = cut
        for _ in range(400):
            expr = step(expr)
        yield pytest.param(table, build.call("sin", (expr,)), id=name)


@pytest.mark.parametrize(("table", "expr"), [*long_chains()])
def test_what_is_too_long_for_loops_is_left_to_numpy(table, expr):
    assert exactly(evaluated(expr, table, evaluating=INTERPRETED)) == exactly(evaluated(expr, table))


# Machine code, on real events: all expressions share one kernel or two


def analyses(df):
    """Give expressions with every kind of loop."""
    jets, muons = df.Jet[df.Jet.pt > 20], df.Muon
    pairs = df.Jet.Combinations(2, fields=("a", "b"))
    triples = jets[:6].Combinations(3, fields=("a", "b", "c"))
    best = triples.MinBy(lambda t: abs(t.a.pt + t.b.pt - t.c.pt - 20))
    lep = Concatenate(df.Electron, muons)
    event = df[jets.Count() > 1]
    moved = muons.With(pt=muons.pt * 1.5)
    return {
        "cut": df.Jet[abs(df.Jet.eta) < 1].pt,
        "event cut": event.Jet[event.Jet.pt > 30].pt / event.MET.pt,
        "aggregates": df.Jet.pt.Sum() + df.Jet.pt.Max() * df.Jet.pt.Mean() - df.Jet.pt.Min(),
        "counts": (jets.Count() + muons.charge.Sum()) * df.PV.npvs,
        "pairs": (pairs.a.pt * pairs.b.pt)[abs(pairs.a.eta - pairs.b.eta) < 2],
        "triple": (best.a + best.b).mass - best.c.pt,
        "quadruples": df.Jet[:5].Combinations(4, fields=tuple("abcd")).Count(),
        "clean": jets[jets.map(lambda j: ~(lep[lep.pt > 10].DeltaR(j) < 0.4).Any())].pt.Sum(),
        "nested": jets.map(lambda j: muons.map(lambda m: m.DeltaR(j)).Min()),
        "order": df.Jet.OrderBy(lambda j: j.btag, descending=True)[:2].pt,
        "slice": df.Jet[::-2].eta,
        "hardest": lep.MaxBy(lambda x: x.pt).charge,
        "reference": df.Jet[muons.jetIdx].pt,
        "moved": moved[moved.pt > 30].eta,
        "missing": ak.fill_none(muons[1].pt, -1.0) + np.where(df.MET.pt > 20, 1, 0),
        "flat": ak.flatten(jets.map(lambda j: df.Electron.pt / j.pt), axis=2).Sum(),
    }


@pytest.fixture(scope="module")
def run(data):
    """Give a function that evaluates all analyses on some events."""
    df = nanoaod_table(data(FILE))
    made = make_plan(normalise([recorded(e) for e in analyses(df).values()]), [find("awkward")])
    opened = OpenTables()

    def run(evaluating, start=0, stop=1000):
        context = RunContext(partition=Partition(data(FILE), 0, start, stop, start))
        found = run_tasks(made.tasks, {}, context, partial(read_columns, tables=opened), evaluating)
        return {k: r.array for k, r in found.items() if isinstance(r, Columns)}

    return run


def assert_equal_bits(found, wanted):
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        assert str(found[key].type) == str(array.type)
        assert exactly(ak.to_list(found[key])) == exactly(ak.to_list(array))


def test_machine_code_has_the_bits_of_numpy(run):
    assert_equal_bits(run(COMPILED), run(evaluate))


@settings(max_examples=max(4, settings().max_examples // 15))
@given(case=cases(max_steps=12, special=True))
def test_machine_code_of_any_expression_has_the_bits_of_numpy(case):
    assert exactly(evaluated(case.expr, case.table, evaluating=COMPILED)) == exactly(evaluated(case.expr, case.table))


def test_eight_threads_on_any_events_have_equal_bits(run):
    draw = random.Random(1)
    ranges = [sorted(draw.choices(range(1001), k=2)) for _ in range(24)] + [[0, 0], [17, 18]]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda r: run(COMPILED, *r), ranges))
    for (start, stop), mine in zip(ranges, found, strict=True):
        assert_equal_bits(mine, run(evaluate, start, stop))


def test_numba_loads_nothing_of_other_packages():
    code = """
from hep_flows.plugins.fused.regions import compiled, divided
from hep_flows.expr import build
from hep_flows.expr.types import Float, Member, Record
import sys
x = build.field(build.dataset("tree", ("1:a",), "", Record("event", {"x": Member(Float(64))})), "x")
(kernel,) = [s.kernel for s in divided([build.call("add", (x, x))]).steps if s.kernel]
import numpy as np
assert compiled(kernel)(1, np.ones(1))[1].tolist() == [2.0]
assert "vector" not in sys.modules and "awkward._connect.numba" not in sys.modules
from numba.core import entrypoints
assert entrypoints._already_initialized is False, "the next who compiles has what other packages add"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


# Who runs what


def large(expr):
    """Give an expression over ten million events, that are not there."""
    (table,) = [n for n in postorder(expr) if isinstance(n, Dataset)]
    content = tuple([f"10000000:{c}" for c in table.content])
    other = build.dataset(table.kind, content, table.tree, table.type.item, files=table.files, name=table.name)
    return instantiate([expr], {table.key: other})[0]


@pytest.fixture
def query(data):
    df = nanoaod_table(data(FILE))
    pairs = df.Muon.Combinations(2, fields=("a", "b"))
    return Histogram.new.Reg(5, 0, 100, name="m").Double().fill(m=(pairs.a + pairs.b).mass)


def labels_of(query):
    return [t.plugin for t in make_plan(normalise([query]), [find(n) for n in ("awkward", "fused", "hist")]).tasks]


def test_it_stands_in_for_large_tasks(query, environment):
    expr = recorded(query)
    assert labels_of(expr) == ["awkward", "hist"]
    assert labels_of(large(expr)) == ["fused", "hist"]
    environment(HEP_FLOWS_COMPILED="never")
    assert labels_of(large(expr)) == ["awkward", "hist"]
    environment(HEP_FLOWS_COMPILED="always")
    assert labels_of(expr) == ["fused", "hist"]


def test_without_numba_all_is_as_if_it_were_not_there(query, environment, monkeypatch):
    environment(HEP_FLOWS_COMPILED="always")
    monkeypatch.setitem(sys.modules, "numba", None)
    assert labels_of(recorded(query)) == ["awkward", "hist"]


def test_keys_and_results_do_not_tell_who_runs(query, environment, tmp_path):
    environment(HEP_FLOWS_ENGINE="inline", HEP_FLOWS_CACHE=tmp_path / "a", HEP_FLOWS_COMPILED="always")
    assert isinstance(find("fused"), StandingIn)
    mine = make_local(query)
    seen = plan(query)
    assert "fused: columns, in ranges of events, hit" in str(seen)
    assert "not fused: its last digits are numpy's own" in str(seen)
    environment(HEP_FLOWS_COMPILED="never")
    other = plan(query)
    assert [t.key for t in other.raw.tasks] == [t.key for t in seen.raw.tasks]
    assert "awkward: columns, in ranges of events, hit" in str(other), "what one has stored, the other finds"
    environment(HEP_FLOWS_CACHE=tmp_path / "b")
    assert make_local(query) == mine


def test_labels_of_an_earlier_plan_may_name_it(query):
    expr, plugins = normalise([recorded(query)]), [find(n) for n in ("awkward", "fused", "hist")]
    pins = {k: "fused" if n == "awkward" else n for k, n in make_plan(expr, plugins).labels.items()}
    assert {t.plugin for t in make_plan(expr, plugins, pins=pins).tasks} == {"awkward", "hist"}, "who pays decides"


def test_a_loop_is_made_when_it_would_have_saved_as_much(run):
    made = []

    def loop_of(kernel):
        made.append(Loop(lambda: pytest.fail("it is not paid for"), price_s=1e9))
        return made[-1]

    assert_equal_bits(run(partial(evaluate_fused, loop_of=loop_of, always=False)), run(evaluate))
    assert made
    loop = Loop(lambda: lambda: (0,), price_s=1.0)
    loop.spent(1.5)
    assert not loop.is_paid
    loop.spent(1.5)
    assert loop.is_paid
    assert loop() == (0,)


def test_functions_of_numpy_move_to_what_is_stored(query):
    (columns,) = recorded(query).args[1:]
    steps = divided([columns, *columns.args]).steps
    assert [s.kernel is not None for s in steps] == [False, True, False], "one loop, and nothing of numpy's between"
