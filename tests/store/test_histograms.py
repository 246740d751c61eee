"""Every axis and every storage of hist comes back, with flow bins, names, labels and metadata."""

import io
import json
from pathlib import Path

import boost_histogram as bh
import hist
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep_flows.contract import HistogramResult
from hep_flows.errors import StoreError
from hep_flows.store.about import Provenance
from hep_flows.store.commit import HashingFile
from hep_flows.store.histograms import from_inline, inline
from hep_flows.store.parquet import METADATA, entry_of, read_parquet, write_object

A, S, T = hist.axis, hist.storage, hist.axis.transform
NAME = "0" * 64
AXES = {
    "regular": A.Regular(7, -1.5, 3.1, name="x", label="$p_T$ [GeV]", metadata={"unit": "GeV", "n": (1, 2.5)}),
    "regular without flow": A.Regular(3, 0, 1, flow=False),
    "regular, underflow only": A.Regular(3, 0, 1, overflow=False),
    "regular, growing": A.Regular(3, 0.1, 0.7, growth=True, name="g"),
    "regular, circular": A.Regular(4, 0, 2 * np.pi, circular=True),
    "regular, awkward ends": A.Regular(3, 0.1, 0.1 + 0.2),
    "log": A.Regular(5, 1e-3, 7e5, transform=T.log),
    "sqrt": A.Regular(5, 0.3, 11.1, transform=T.sqrt),
    "pow": A.Regular(5, 0.3, 11.1, transform=T.Pow(3)),
    "pow, small": A.Regular(5, 0.3, 11.1, transform=T.Pow(0.37)),
    "variable": A.Variable([0, 0.1, 1 / 3, 1e9], name="v"),
    "variable to infinity": A.Variable([-np.inf, 0, np.inf]),
    "variable, growing": A.Variable([0, 0.1, 0.5], growth=True),
    "variable, circular": A.Variable([0, 0.1, 0.5], circular=True),
    "variable without flow": A.Variable([0, 0.1, 0.5], flow=False),
    "integer": A.Integer(-3, 4, name="i"),
    "integer, growing": A.Integer(0, 2, growth=True),
    "integer, circular": A.Integer(0, 3, circular=True),
    "integer without flow": A.Integer(0, 3, flow=False),
    "integer categories": A.IntCategory([7, -1, 2**31 - 1]),
    "integer categories, growing": A.IntCategory([], growth=True),
    "integer categories without overflow": A.IntCategory([1], overflow=False),
    "text categories": A.StrCategory(["a", "żółć", ""]),
    "text categories, growing": A.StrCategory([], growth=True, name="channel"),
    "text categories without overflow": A.StrCategory(["a"], overflow=False),
    "truth": A.Boolean(name="b", label="passed"),
}
STORAGES = {
    s.__name__: s for s in (S.Double, S.Int64, S.AtomicInt64, S.Unlimited, S.Weight, S.Mean, S.WeightedMean)
}  # fmt: skip


def files(histogram):
    file = io.BytesIO()
    entry = entry_of(NAME, HistogramResult(histogram), Provenance())
    write_object([entry], HashingFile(file))
    return entry.packed, io.BytesIO(file.getvalue())


def trips(histogram):
    """Give it back from the Parquet file, and from the JSON of the sidecar."""
    packed, file = files(histogram)
    small = inline(packed.description, packed.numbers)
    results = [read_parquet(file, NAME), from_inline(json.loads(json.dumps(small)))]
    assert all(isinstance(r, HistogramResult) for r in results)
    return [r.histogram for r in results]


def same(one, other):
    assert type(one) is type(other)
    assert one == other
    assert one.storage_type is other.storage_type
    assert one.__dict__ == other.__dict__
    assert one.view(flow=True).shape == other.view(flow=True).shape
    assert one.view(flow=True).tobytes() == other.view(flow=True).tobytes()
    for a, b in zip(one.axes, other.axes, strict=True):
        assert type(a) is type(b)
        assert a == b
        assert a.traits == b.traits
        assert a.__dict__ == b.__dict__
        assert a.__dict__.keys() == b.__dict__.keys()
        assert np.asarray(a.edges).tobytes() == np.asarray(b.edges).tobytes()
        assert list(a) == list(b)


def filled(axis, storage, seed=1):
    random = np.random.default_rng(seed)
    histogram = hist.Hist(axis, storage=storage())
    more = {"sample": random.normal(size=40)} if "Mean" in storage.__name__ else {}
    if storage in {S.Double, S.Weight, S.WeightedMean}:
        more["weight"] = random.normal(size=40)
    if isinstance(axis, A.StrCategory):
        values = random.choice(["a", "żółć", "new"], 40)
    elif isinstance(axis, A.Boolean):
        values = random.random(40) > 0.3
    elif isinstance(axis, A.Regular | A.Variable):
        values = np.abs(random.normal(size=40)) * 3 + 1e-4
    else:
        values = random.integers(-5, 9, 40)
    histogram.fill(values, **more)
    return histogram


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("axis", AXES)
def test_every_axis_with_every_storage_comes_back(axis, storage):
    for histogram in (hist.Hist(AXES[axis], storage=STORAGES[storage]()), filled(AXES[axis], STORAGES[storage])):
        for back in trips(histogram):
            same(histogram, back)


@pytest.mark.parametrize("axis", AXES)
def test_what_was_stored_before_boost_histogram_wrote_axes_is_read(axis):
    stored = json.loads((Path(__file__).parents[1] / "golden" / "stored_histograms.json").read_text())
    same(filled(AXES[axis], S.Weight), from_inline(stored[axis]).histogram)


def test_many_axes_come_back_and_can_be_filled_further():
    histogram = hist.Hist(
        A.StrCategory([], growth=True, name="dataset"), A.Regular(3, 0, 1, name="x"), A.Boolean(name="b"),
        storage=S.Weight(), name="all", label="All of it", metadata={"lumi": 59.7},
    )  # fmt: skip
    histogram.fill(dataset=["a", "b", "a"], x=[0.1, 7, -1], b=[True, False, True], weight=[0.1, 0.2, 0.3])
    for back in trips(histogram):
        same(histogram, back)
        for h in (back, copy := histogram.copy()):
            h.fill(dataset=["c"], x=[0.5], b=[True], weight=[2])
        same(copy, back)


def test_cells_come_back():
    histogram = hist.Hist(A.Regular(3, 0, 1, name="x"), A.Integer(0, 2, name="i"), storage=S.MultiCell(4))
    histogram.view(flow=True)[...] = np.random.default_rng(1).normal(size=histogram.view(flow=True).shape)
    for back in trips(histogram):
        same(histogram, back)


@pytest.mark.parametrize("kind", [hist.NamedHist, bh.Histogram])
def test_other_classes_of_histograms_come_back(kind):
    axis = bh.axis.Regular(3, 0, 1, metadata="x") if kind is bh.Histogram else A.Regular(3, 0, 1, name="x")
    histogram = kind(axis)
    histogram.view(flow=True)[...] = [1, 2, 3, 4, 0.1]
    for back in trips(histogram):
        same(histogram, back)


def test_nan_and_infinity_in_bins_keep_their_bits():
    histogram = hist.Hist(A.Regular(3, 0, 1), storage=S.Weight())
    histogram.view(flow=True)["value"] = [np.nan, np.inf, -0.0, -np.inf, 5e-324]
    for back in trips(histogram):
        assert back.view(flow=True).tobytes() == histogram.view(flow=True).tobytes()


def test_that_variances_are_unknown_is_remembered():
    histogram = hist.Hist(A.Regular(3, 0, 1)).fill([0.1, 0.2], weight=[0.5, 2])
    assert histogram.variances() is None
    for back in trips(histogram):
        assert back.variances() is None


@settings(max_examples=60)
@given(
    st.integers(1, 9),
    st.floats(-1e12, 1e12),
    st.floats(1e-9, 1e12),
    st.sampled_from([None, T.log, T.sqrt, T.Pow(2), T.Pow(-1.5), T.Pow(1 / 3)]),
)
def test_regular_axes_of_any_ends_come_back(bins, start, width, transform):
    start = start if transform is None else abs(start) + 1e-6
    try:
        axis = A.Regular(bins, start, start + width, transform=transform)
    except ValueError:
        return
    for back in trips(hist.Hist(axis)):
        same(hist.Hist(axis), back)


@pytest.mark.parametrize("counts", [np.array([1, 2]), np.array([0.5, -0.0]), np.array([1, 2], dtype=np.float32)])
@pytest.mark.parametrize("edges", ["f8", "f4", "i8"])
def test_counts_and_edges_of_numpy_come_back(counts, edges):
    pair = (counts, np.array([0, 1, 3], dtype=edges))
    for back in trips(pair):
        assert isinstance(back, tuple)
        for a, b in zip(pair, back, strict=True):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


def test_the_footer_has_the_axes_as_uhi():
    _, file = files(hist.Hist(AXES["regular"], AXES["text categories"], storage=S.Weight()))
    footer = json.loads(pq.ParquetFile(file).metadata.metadata[METADATA])
    uhi = footer["results"][0]["result"]["uhi"]
    assert uhi["uhi_schema"] == 1
    assert uhi["storage"] == {"type": "weighted"}
    assert {k: v for k, v in uhi["axes"][0].items() if k not in {"writer_info", "metadata"}} == {
        "type": "regular", "lower": -1.5, "upper": 3.1, "bins": 7, "underflow": True, "overflow": True, "circular": False,
    }  # fmt: skip
    assert uhi["axes"][1]["categories"] == ["a", "żółć", ""]
    assert uhi["axes"][0]["metadata"]["label"] == "$p_T$ [GeV]"


@pytest.mark.parametrize("axis", AXES)
def test_other_libraries_understand_the_axes(axis):
    from hist.serialization import from_uhi

    histogram = hist.Hist(AXES[axis])
    packed, _ = files(histogram)
    uhi = packed.description["uhi"]
    if any(isinstance(e, dict) for a in uhi["axes"] for e in a.get("edges", ())):
        return  # JSON has no infinity
    structure = from_uhi(json.loads(json.dumps(uhi)))
    assert structure.axes[0].extent == histogram.axes[0].extent
    if not isinstance(AXES[axis], A.StrCategory):
        assert np.allclose(structure.axes[0].edges, histogram.axes[0].edges)


def test_bins_are_rows_in_c_order_with_flow():
    histogram = hist.Hist(A.Regular(2, 0, 1), A.Integer(0, 3, flow=False))
    histogram.view(flow=True)[...] = np.arange(12).reshape(4, 3)
    _, file = files(histogram)
    assert pq.ParquetFile(file).read().column("value").to_pylist() == list(range(12))


def test_a_transform_of_ones_own_is_refused_with_advice():
    import ctypes

    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    own = bh.axis.transform.Function(function(lambda x: x), function(lambda x: x))
    with pytest.raises(StoreError, match="transform") as caught:
        files(bh.Histogram(bh.axis.Regular(3, 1, 2, transform=own)))
    assert "Variable" in caught.value.do


def test_metadata_that_cannot_be_written_down_is_refused():
    with pytest.raises(StoreError, match="cannot be stored"):
        files(hist.Hist(A.Regular(3, 0, 1, metadata=object())))


@pytest.mark.parametrize("wrong", [[1, 2], (np.arange(3), np.arange(3)), (np.zeros((2, 2)), np.arange(3)), None])
def test_what_is_no_histogram_is_refused(wrong):
    with pytest.raises(StoreError):
        files(wrong)
