"""ServiceX without a server: the code generator's own function on ranges of events."""

from __future__ import annotations

import awkward as ak
import dask_awkward
import numpy as np
import pytest
import uproot

from hep_flows.contract import Partition
from hep_flows.errors import SourceError, TaskError
from hep_flows.execute.run import run_plan
from hep_flows.plugins.servicex.embedded import MOST_QUERIES, EmbeddedServiceX, evaluated, generated_function
from hep_flows.plugins.servicex.query import EndpointError, Query
from hep_flows.plugins.servicex.terms import RESERVED
from plugins.servicex.both import Both

TEXT = "(call (attr (call EventDataset 'bogus.root' 'Events') 'Select') (lambda (list e) (dict (list 'a' 'b') (list (subscript e 'x') (* (subscript e 'y') 2)))))"
QUERY = Query(TEXT, "uproot", ("a", "b"), ("x", "y"), "Events")


@pytest.fixture
def file(tmp_path):
    path = str(tmp_path / "events.root")
    with uproot.recreate(path) as opened:
        write(opened, 5)
    return path


def write(opened, n):
    opened.mktree("Events", {"x": "int64", "y": "float64", "z": "float64"})
    opened["Events"].extend({"x": np.arange(n), "y": np.arange(n) / 2, "z": np.ones(n)})


def columns(query, file, start=0, stop=5, embedded=None):
    dataset = Both("tree", [file], "Events").remote._expr
    return (embedded or EmbeddedServiceX()).columns(query, dataset, Partition(file, 0, start, stop, start))


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (1, 3), (2, 2)])
def test_a_range_comes_with_its_columns(start, stop, file):
    found = columns(QUERY, file, start, stop)
    assert found["a"].tolist() == list(range(start, stop))
    assert found["b"].tolist() == [float(n) for n in range(start, stop)]


def test_a_file_that_is_gone_or_was_written_again_is_an_error(file, tmp_path):
    tables = Both("tree", [file], "Events")
    plan, plugins = tables.plan(tables.remote.x), [tables.servicex]
    assert run_plan(plan, plugins)[plan.targets[0]].array.tolist() == [0, 1, 2, 3, 4]
    with uproot.recreate(file) as opened:
        write(opened, 7)
    with pytest.raises(SourceError, match="changed"):
        run_plan(plan, plugins)
    (tmp_path / "events.root").unlink()
    with pytest.raises(SourceError, match="does not exist"):
        run_plan(plan, plugins)


def test_a_branch_that_is_not_there_is_named(file):
    with pytest.raises(SourceError, match="no branch 'w'"):
        columns(Query(TEXT, "uproot", ("a", "b"), ("x", "w"), "Events"), file)


def test_another_dialect_is_refused(file):
    with pytest.raises(EndpointError, match="not xaod"):
        columns(Query(TEXT, "xaod", ("a",)), file)


def test_a_query_that_the_generator_does_not_take_is_an_error(file):
    with pytest.raises(EndpointError, match="no program can be made of the query: Unknown id: sin"):
        columns(Query("(call sin 1)", "uproot", ("a",), ("x",), "Events"), file)


def test_a_program_that_fails_is_an_error_with_the_query_at_the_users_line(tmp_path):
    path = str(tmp_path / "lists.root")
    with uproot.recreate(path) as opened:
        opened.mktree("Events", {"x": "var * int64", "y": "var * int64"})
        opened["Events"].extend({"x": ak.Array([[1, 2], [3]]), "y": ak.Array([[1], [2, 3]])})
    text = TEXT.replace("(* (subscript e 'y') 2)", "(+ (subscript e 'x') (subscript e 'y'))")
    with pytest.raises(EndpointError, match="cannot broadcast"):
        columns(Query(text, "uproot", ("a", "b"), ("x", "y"), "Events"), path, 0, 2)


def test_an_rntuple_is_an_error_that_says_so(tmp_path):
    path = str(tmp_path / "ntuple.root")
    with uproot.recreate(path) as opened:
        opened.mkrntuple("Events", {"x": np.arange(3), "y": np.arange(3.0)})
    tables = Both("tree", [path], "Events")
    with pytest.raises(TaskError, match=r"embedded ServiceX failed.*RNTuple"):
        tables.delivered(tables.remote.x)


def test_only_so_many_queries_are_remembered(file):
    embedded = EmbeddedServiceX()
    for number in range(MOST_QUERIES + 5):
        text = TEXT.replace("2", str(number))
        columns(Query(text, "uproot", ("a", "b"), ("x", "y"), "Events"), file, 0, 0, embedded)
    assert len(embedded._generated) == MOST_QUERIES


def test_a_program_may_run_over_many_events_objects():
    function = generated_function(TEXT)
    for n in (0, 3):
        events = ak.Array({"x": np.arange(n), "y": np.arange(n) / 2})
        assert ak.to_list(evaluated(function, events).b) == [0.0, 1.0, 2.0][:n]


def test_no_leaf_has_the_name_of_an_attribute_of_arrays():
    names = {n for cls in (ak.Array, dask_awkward.Array) for n in dir(cls) if not n.startswith("_")}
    assert names <= RESERVED
