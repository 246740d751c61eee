"""What a user writes gives what it says: the same source text on recorded frames and on naive ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracle.compare import differences
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.naive import Naive
from oracle.programs import programs
from oracle.tables import tables

from hep_flows.expr.check import check
from hep_flows.normalise import normalise
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.table import Table


def executed(program, df):
    names = {"df": df, "np": np}
    exec(program, names)
    return names["result"]


@given(program=programs(), table=tables(), chunk_events=st.sampled_from([1, 1000]))
def test_recorded_analysis_gives_what_it_says(program, table, chunk_events):
    expected = executed(program, Naive.of(table)).result()
    dataset = table.dataset
    expr = executed(program, DataFrame._of(dataset, Table(dataset)))._expr
    check(expr)
    assert differences(interpret(expr, table.events), expected, exact=False) == [], "recorded as something else"
    (normal,) = normalise([expr])
    got, _ = evaluated(normal, table, chunk_events=chunk_events)
    assert differences(got, expected, exact=False) == []
