"""The evaluator gives what the interpreter reads in the specification, on any expression over any table, however it is run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hep_flows.expr.nodes import Literal
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from oracle.compare import differences
from oracle.expressions import cases
from oracle.interpreter import interpret
from oracle.memory import evaluated


def kind_of(expr):
    """Give the type that awkward prints for one event."""
    if not expr.type.axes or isinstance(expr.type.item, Record):
        return None
    return "var * " * (len(expr.type.axes) - 1) + ("?" if expr.type.optional else "") + str(expr.type.item)


def agree(case, value, kind):
    assert differences(value, interpret(case.expr, case.table.events), exact=case.steady) == []
    assert kind_of(case.expr) in {None, kind}


@given(case=cases())
def test_evaluator_agrees_with_the_interpreter(case):
    agree(case, *evaluated(case.expr, case.table))


@given(case=cases(special=True))
def test_evaluator_agrees_on_values_that_are_not_finite(case):
    agree(case, *evaluated(case.expr, case.table))


@given(case=cases(max_events=7), chunk_events=st.integers(1, 4), workers=st.sampled_from([1, 4]))
def test_result_does_not_depend_on_partitions_and_workers(case, chunk_events, workers):
    agree(case, *evaluated(case.expr, case.table, chunk_events=chunk_events, workers=workers))


@given(case=cases(), data=st.data(), chunk_events=st.sampled_from([1, 1000]))
def test_any_cut_of_a_plan_gives_the_same(case, data, chunk_events):
    cuts = some_nodes(data, case.expr)
    agree(case, *evaluated(case.expr, case.table, cuts=cuts, chunk_events=chunk_events))


@given(case=cases(), data=st.data(), chunk_events=st.sampled_from([1, 1000]))
def test_any_division_among_plugins_gives_the_same(case, data, chunk_events):
    cuts = some_nodes(data, case.expr)
    agree(case, *evaluated(case.expr, case.table, cuts=cuts, chunk_events=chunk_events, n_plugins=2))


def some_nodes(data, expr):
    """Give the keys of a few closed nodes; they are drawn by number, so that a counterexample stays readable."""
    nodes = [n for n in postorder(expr) if not isinstance(n, Literal) and not n.type.loops]
    chosen = data.draw(st.lists(st.integers(0, len(nodes) - 1), max_size=4))
    return {nodes[k].key for k in chosen}
