"""The endpoint in this process."""

from __future__ import annotations

import threading

import awkward as ak
import dask_awkward
import numpy as np
import pytest
import uproot

from hep_flows.plugins.servicex.embedded import MOST_QUERIES, EmbeddedServiceX, Items, Objects, generated_function
from hep_flows.plugins.servicex.query import Delivered, EndpointError, Query, Watch
from hep_flows.plugins.servicex.terms import RESERVED

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


def delivered(query, files, folder, **watch):
    return list(EmbeddedServiceX().run(query, files, str(folder), Watch(**watch)))


def test_each_file_comes_with_its_columns(file, tmp_path):
    done = []
    (one, other) = delivered(QUERY, [file, file], tmp_path, progress=lambda *numbers: done.append(numbers))
    assert isinstance(one, Delivered)
    assert (one.file, one.path, other.file) == (file, "", file)
    assert one.columns["a"].tolist() == [0, 1, 2, 3, 4]
    assert one.columns["b"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert done == [(1, 0, 2), (2, 0, 2)]


def test_a_file_that_fails_does_not_stop_the_others(file, tmp_path):
    missing, fine = delivered(QUERY, [str(tmp_path / "none.root"), file], tmp_path)
    assert isinstance(missing, EndpointError)
    assert missing.file.endswith("none.root")
    assert isinstance(fine, Delivered)


def test_a_branch_that_is_not_there_is_named(file, tmp_path):
    query = Query(TEXT, "uproot", ("a", "b"), ("x", "w"), "Events")
    (error,) = delivered(query, [file], tmp_path)
    assert isinstance(error, EndpointError)
    assert "no branch 'w'" in error.text


class Slot:
    """Calls something when a file is begun with."""

    def __init__(self, begin):
        self.begin = begin

    def __enter__(self):
        self.begin()

    def __exit__(self, *_):
        return None


def test_files_are_worked_on_side_by_side_and_come_in_order(file, tmp_path):
    other = str(tmp_path / "other.root")
    with uproot.recreate(other) as opened:
        write(opened, 3)
    pair = threading.Barrier(2)  # each file waits until another one is begun with
    found = delivered(QUERY, [file, other, "nothing.root", file], tmp_path, workers=2, slot=Slot(lambda: pair.wait(120)))
    assert [len(f.columns["a"]) if isinstance(f, Delivered) else f.file for f in found] == [5, 3, "nothing.root", 5]


def test_files_that_nobody_waits_for_are_not_read(file, tmp_path):
    begun = []
    watch = Watch(workers=2, slot=Slot(lambda: begun.append(1)))
    found = EmbeddedServiceX().run(QUERY, [file] * 100, str(tmp_path), watch)
    next(found)
    found.close()
    assert len(begun) < 10


def test_a_file_that_was_written_again_is_read_again(file, tmp_path):
    endpoint = EmbeddedServiceX()
    list(endpoint.run(QUERY, [file], str(tmp_path), Watch()))
    with uproot.recreate(file) as opened:
        write(opened, 7)
    (again,) = endpoint.run(QUERY, [file], str(tmp_path), Watch())
    assert len(again.columns["a"]) == 7


def test_another_dialect_is_refused(file, tmp_path):
    with pytest.raises(EndpointError, match="not xaod"):
        delivered(Query(TEXT, "xaod", ("a",)), [file], tmp_path)


def test_a_query_that_the_generator_does_not_take_is_an_error(file, tmp_path):
    with pytest.raises(EndpointError, match="no program can be made of the query: Unknown id: sin"):
        delivered(Query("(call sin 1)", "uproot", ("a",), ("x",), "Events"), [file], tmp_path)


def test_an_rntuple_is_an_error_that_says_so(tmp_path):
    path = str(tmp_path / "ntuple.root")
    with uproot.recreate(path) as opened:
        opened.mkrntuple("Events", {"x": np.arange(3), "y": np.arange(3.0)})
    (error,) = delivered(QUERY, [path], tmp_path)
    assert isinstance(error, EndpointError)
    assert "RNTuple" in error.text


def test_a_cancelled_query_ends(file, tmp_path):
    with pytest.raises(EndpointError, match="cancelled"):
        delivered(QUERY, [file], tmp_path, cancelled=lambda: True)


def test_only_so_many_queries_are_remembered(file, tmp_path):
    endpoint = EmbeddedServiceX()
    for number in range(MOST_QUERIES + 5):
        list(endpoint.run(Query(TEXT.replace("2", str(number)), "uproot", ("a", "b"), ("x", "y"), "Events"), [], "", Watch()))
    assert len(endpoint._generated) == MOST_QUERIES


def test_a_query_may_run_over_many_events_objects(file):
    function = generated_function(TEXT)
    for n in (0, 3):
        events = ak.Array({"x": np.arange(n), "y": np.arange(n) / 2})
        assert ak.to_list(function(events).b) == [0.0, 1.0, 2.0][:n]


def test_no_leaf_has_the_name_of_an_attribute_of_arrays():
    flat = Items((), np.arange(3)), Objects((), {})
    names = {n for cls in (ak.Array, dask_awkward.Array) for n in dir(cls) if not n.startswith("_")}
    names |= {n for array in flat for n in (*dir(type(array)), *vars(array)) if not n.startswith("_")}
    assert {"data_", "members_"} <= names <= RESERVED
