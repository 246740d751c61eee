"""Fills count what loops over plain lists count, whatever the partitions are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hep_flows import Histogram, render
from hep_flows.errors import AxisError, LiteralError
from oracle.lists import broadcast
from oracle.memory import filled
from oracle.prelude import record, run_naive
from oracle.programs import fills
from oracle.tables import tables

EDGES = [-6.0, -1.5, 0.0, 2.25, 8.0]


def entries(program, table):
    """Give the pairs of value and weight, in order; None where one is missing."""
    names = run_naive(program, table)
    x, w = names["x"]._beside(names["w"])
    found = []

    def note(value, weight):
        found.append((None if value is None else float(value), None if weight is None else float(weight)))

    for i in x.values:
        if i != -1:
            broadcast(note, [x.values[i], w.values[i]], [x.depth, w.depth])
    return found


@given(program=fills(), table=tables(), chunk_events=st.sampled_from([1, 1000]))
def test_weighted_fill_counts_each_entry(program, table, chunk_events):
    names = record(program, table)
    h = Histogram.new.Var(EDGES, name="x").Weight()
    expr = render(h.fill(x=names["x"], weight=names["w"], allow_missing_weight=True))
    got = filled(expr, table, chunk_events=chunk_events)
    sums, squares = np.zeros(len(EDGES) + 1), np.zeros(len(EDGES) + 1)
    for x, w in entries(program, table):
        if x is None or w is None:
            continue
        place = sum(x >= e for e in EDGES)
        sums[place] += w
        squares[place] += w * w
    assert got.view(flow=True).value == pytest.approx(sums, rel=1e-5, abs=1e-3)
    assert got.view(flow=True).variance == pytest.approx(squares, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize(
    "filled_with",
    [lambda x, w: Histogram.new.Var(EDGES, name="x").Weight().fill(x=x, weight=w), lambda x, w: np.histogram(x, weights=w)],
    ids=["fill", "numpy"],
)
@given(program=fills(), table=tables())
def test_no_entry_is_left_out_for_its_weight_without_a_word(filled_with, program, table):
    names = record(program, table)
    try:
        filled_with(names["x"], names["w"])
    except LiteralError as error:
        assert "may be missing" in error.what  # noqa: PT017 - whether it is refused depends on what is drawn
    except AxisError as error:
        assert "weights" in error.what  # noqa: PT017
    else:
        assert [(x, w) for x, w in entries(program, table) if x is not None and w is None] == []


@given(program=fills(), table=tables(), chunk_events=st.sampled_from([1, 1000]))
def test_numpy_histogram_is_numpys(program, table, chunk_events):
    found = record(program, table)["x"]
    expr = render(np.histogram(found, bins=4, range=(-5, 5)))
    counts, edges = filled(expr, table, chunk_events=chunk_events)
    x = run_naive(program, table)["x"]
    values = []
    for i in x.values:
        if i != -1:
            broadcast(values.append, [x.values[i]], [x.depth])
    wanted, edges_wanted = np.histogram([float(v) for v in values if v is not None], bins=4, range=(-5, 5))
    assert counts.tolist() == wanted.tolist()
    assert edges.tolist() == edges_wanted.tolist()
