"""Generated queries on flat arrays give, bit by bit, what they give on awkward arrays, on real files."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hep_flows import render
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.servicex.embedded import (
    NotFlatError,
    Objects,
    OpenTrees,
    columns_of,
    evaluated,
    flat_columns,
    from_awkward,
    generated_function,
    to_awkward,
)
from hep_flows.plugins.servicex.uproot import UprootWording, uproot_dialect
from plugins.servicex.both import Both
from plugins.servicex.memory_endpoint import check_flat
from plugins.servicex.sent import on_real_files

COUNT = "(call (attr (attr e 'x') 'Count'))"


def query(body: str) -> str:
    """Give a query of one column."""
    return f"(call Select (call EventDataset 'any' 'Events') (lambda (list e) (dict (list 'a') (list {body}))))"


@pytest.mark.data
@on_real_files
def test_every_query_runs_on_flat_arrays_with_the_same_result(data, kind, file, tree, expressions):
    tables, trees = Both(kind, [data(file)], tree), OpenTrees()
    for name, expression in expressions(tables.remote).items():
        plan = make_plan([render(expression)], [tables.servicex])
        for request in UprootWording(uproot_dialect()).requests(plan.tasks[0].dataset, plan.tasks):
            if request.query.text:
                function = generated_function(request.query.text)
                events = trees.read(data(file), request.query.tree, request.query.reads)
                assert check_flat(function, events, request.query, evaluated(function, events)), name


def test_a_leaf_is_computed_when_it_is_asked_for():
    asked = []
    objects = Objects((), {"a": lambda: asked.append("a"), "b": lambda: asked.append("b")})
    assert objects["b"] is objects.b
    assert asked == ["b"]


@pytest.mark.parametrize(
    "array",
    [
        ak.Array({"x": [[1, 2], [], [3]]}),
        ak.Array({"x": [[[1.5], []], [], [[2.5, 3.5]]]}),
        ak.Array({"x": np.array([1, 2, 3], np.uint8)}),
        ak.zip({"x": ak.Array([[1, 2], [], [3]])[[2, 0]]}, depth_limit=1),
        ak.Array({"x": [[1, 2], [], [3]]})[:0],
    ],
)
def test_lists_of_numbers_come_back_as_they_were(array):
    assert ak.array_equal(to_awkward(from_awkward(array)["x"]), array.x, dtype_exact=True)


@pytest.mark.parametrize("items", [[[1, None]], [["text"]], ["text"], [None, [1]]])
def test_what_is_no_list_of_numbers_is_left_to_awkward(items):
    events = ak.Array({"x": items})
    function = generated_function(query("(attr e 'x')"))
    with pytest.raises(NotFlatError):
        flat_columns(function, events, ("a",))
    assert columns_of(function, events, ("a",))["a"].to_list() == items


def test_lists_of_one_length_are_left_to_awkward():
    events = ak.Array({"x": np.arange(6).reshape(3, 2)})
    assert columns_of(generated_function(query(COUNT)), events, ("a",))["a"].to_list() == [2, 2, 2]


def test_lists_of_different_lengths_are_the_error_of_awkward():
    events = ak.Array({"x": [[1, 2], [3]], "y": [[1], [2, 3]]})
    function = generated_function(query("(+ (attr e 'x') (attr e 'y'))"))
    with pytest.raises(NotFlatError, match="other lengths"):
        flat_columns(function, events, ("a",))
    with pytest.raises(ValueError, match="cannot broadcast"):
        columns_of(function, events, ("a",))
