"""What expressions on real events give comes back from the store as it was."""

import awkward as ak
import hist
import numpy as np
import pytest

import hep_flows as hf
from hep_flows import Histogram, nanoaod_table, xaod_table
from hep_flows.contract import Columns, HistogramResult, Scalar

pytestmark = pytest.mark.data
PT = Histogram.new.Reg(50, 0, 200, name="pt", label="$p_T$").StrCat([], growth=True, name="which").Weight()
REQUESTS = {
    "a column": lambda df: df.Jet.pt,
    "integers": lambda df: df.Jet.pt.Count(),
    "truth values": lambda df: df.Jet.pt > 30,
    "the first, or missing": lambda df: df.Jet.pt.First(),
    "records of a collection": lambda df: df.Muon[df.Muon.pt > 10],
    "whole events": lambda df: df,
    "one number": lambda df: ak.sum(df.Jet.pt, axis=None),
    "a histogram": lambda df: PT.fill(pt=df.Jet.pt, which="jets", weight=0.5),
    "counts and edges": lambda df: np.histogram(df.Jet.pt, bins=10, range=(0, 100)),
}


def result_of(value):
    match value:
        case ak.Array():
            return Columns(value)
        case hist.Hist() | tuple():
            return HistogramResult(value)
        case _:
            return Scalar(value)


@pytest.mark.parametrize("what", REQUESTS)
def test_results_of_expressions_come_back(store, again, key, data, same_array, what):
    value = hf.make_local(REQUESTS[what](nanoaod_table(data("Run2012B_SingleMu_1000.root"))))
    store.put(key(what), result_of(value))
    match again(store, key(what)):
        case Columns(back):
            same_array(value, back)
        case HistogramResult((counts, edges)):
            assert counts.dtype == value[0].dtype
            assert counts.tobytes() == value[0].tobytes()
            assert edges.tobytes() == value[1].tobytes()
        case HistogramResult(back):
            assert back == value
            assert back.__dict__ == value.__dict__
            assert [a.__dict__ for a in back.axes] == [a.__dict__ for a in value.axes]
        case Scalar(back):
            assert type(back) is type(value)
            assert back == value


def test_a_whole_physlite_event_comes_back(store, again, key, data, same_array):
    electrons = hf.make_local(xaod_table(data("PHYSLITE_example.root")).Electrons("Electrons"))
    store.put(key("e"), Columns(electrons))
    same_array(electrons, again(store, key("e")).array)
