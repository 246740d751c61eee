"""What a user writes gives what it says: the same source text on recorded frames and on naive ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from expr.python_view import check
from hep_flows.planning.normalise import normalise
from oracle.compare import differences
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.prelude import record, recorded, run_naive
from oracle.programs import programs
from oracle.tables import tables


@given(program=programs(), table=tables(), chunk_events=st.sampled_from([1, 1000]))
def test_recorded_analysis_gives_what_it_says(program, table, chunk_events):
    # The sum of an empty list has no kind for the naive frames, so kinds of numbers are not compared here.
    expected = run_naive(program, table)["result"].result()
    expr = recorded(record(program, table)["result"])
    check(expr)
    assert differences(interpret(expr, table.events), expected, exact=False, kinds=False) == [], "recorded as something else"
    (normal,) = normalise([expr])
    got, _ = evaluated(normal, table, chunk_events=chunk_events)
    assert differences(got, expected, exact=False, kinds=False) == []


@given(program=programs(), table=tables(max_events=0))
def test_recording_twice_gives_the_same_key(program, table):
    assert recorded(record(program, table)["result"]) == recorded(record(program, table)["result"])
