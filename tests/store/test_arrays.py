"""Arrays of every type come back with exactly that type and every bit."""

import io
import re

import awkward as ak
import hypothesis_awkward.strategies as sta
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hep_flows.contract import Columns
from hep_flows.errors import StoreError
from hep_flows.store.about import Provenance
from hep_flows.store.commit import HashingFile
from hep_flows.store.parquet import entry_of, read_parquet, write_object

NUMBERS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()
NAME = "0" * 64


def trip(array):
    file = io.BytesIO()
    write_object([entry_of(NAME, Columns(array), Provenance(name="pt"))], HashingFile(file))
    result = read_parquet(io.BytesIO(file.getvalue()), NAME)
    assert isinstance(result, Columns)
    return result.array


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(sta.constructors.arrays(dtypes=st.sampled_from([np.dtype(t) for t in NUMBERS]), allow_union=False))
def test_any_array_comes_back(same_array, array):
    same_array(array, trip(array))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", ["flat", "jagged", "option", "nested", "empty"])
def test_every_width_keeps_type_and_bits(same_array, dtype, shape):
    raw = np.random.default_rng(7).integers(0, 256, 64 * 8, dtype=np.uint8)
    flat = (raw[:64] > 127) if dtype == "bool" else raw.view(dtype)[:64]
    array = ak.Array({
        "flat": lambda: flat,
        "jagged": lambda: ak.unflatten(flat, [3, 0, 61]),
        "option": lambda: ak.mask(flat, np.arange(64) % 3 > 0),
        "nested": lambda: ak.unflatten(ak.unflatten(flat, [1, 0, 60, 3]), [2, 0, 2]),
        "empty": lambda: ak.unflatten(flat, [64])[:0],
    }[shape]())  # fmt: skip
    back = trip(array)
    same_array(array, back)
    assert (
        ak.to_numpy(ak.drop_none(ak.flatten(back, axis=None))).tobytes()
        == ak.to_numpy(ak.drop_none(ak.flatten(array, axis=None))).tobytes()
    )  # NaN payloads too


JETS = ak.Array([{"pt": 1.5, "hits": [1, 2]}, {"pt": -0.0, "hits": []}, {"pt": float("nan"), "hits": [3]}])
ARRAYS = {
    "records of one event": JETS,
    "no records": JETS[:0],
    "jagged records": ak.unflatten(JETS, [2, 0, 1]),
    "no jagged records": ak.unflatten(JETS, [2, 0, 1])[:0],
    "records with a name": ak.with_name(JETS, "Muon"),
    "missing records": ak.Array([None, {"x": 1}, None, {"x": None}]),
    "missing lists": ak.Array([None, [], [1, None], [2]]),
    "missing everything": ak.Array([None, None]),
    "missing lists of lists": ak.Array([[[1], None], None, [[], [2, 3]]]),
    "missing lists with content below": ak.mask(ak.Array([[1, 2], [3], [4, 5]]), [True, False, True]),
    "missing strings": ak.Array(["a", None, "", "żółć 😀"]),
    "lists of strings": ak.Array([["a", "b"], [], ["c"]]),
    "bytes": ak.Array([b"\x00\xff", b""]),
    "pairs": ak.Array([(1, "a"), (2, "b")]),
    "records without members": ak.Array([{}, {}, {}]),
    "nothing at all": ak.Array([]),
    "lists of nothing": ak.Array([[], [], []]),
    "lists of one size": ak.Array(np.arange(12, dtype=np.uint16).reshape(2, 3, 2)),
    "lists of size zero": ak.Array(np.zeros((4, 0))),
    "missing lists of one size": ak.mask(ak.Array(np.arange(6).reshape(3, 2)), [True, False, True]),
    "a slice": ak.Array([[1], [2, 3], [], [4, 5, 6]])[1:3],
    "a selection": ak.Array([[1], [2, 3], [], [4, 5, 6]])[[3, 0, 0]],
    "big endian": ak.Array(ak.contents.NumpyArray(np.array([1, 2], dtype=">i4").astype("<i4"))),
    "parameters": ak.with_parameter(ak.Array([[1], []]), "what", {"is": [1, "ever"]}),
    "odd names": ak.Array({"a.b": [1, 2], "": [3, 4], "żółć": [5, 6], "PT": [1, 1], "pt": [2, 2]}),
    "one list for all events": ak.Array([[1, 2, 3]])[[0, 0, 0]],
}
# What the language has no type for; no plug-in of ours gives it, and what another gives is handed over and not stored.
NOT_STORED = {
    "float128": ak.Array(np.zeros(2, dtype=np.longdouble)),
    "complex128": ak.Array(np.zeros(2, dtype=np.complex128)),
    "datetime64[ns]": ak.Array(np.array(["NaT", "2026-01-01"], dtype="M8[ns]")),
    "timedelta64[us]": ak.Array(np.array([1], dtype="m8[us]")),
    "values of several types": ak.Array([1, "a", [2.5], None]),
    "categories": ak.str.to_categorical(ak.Array(["b", "a", "b"])),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_of_physics_and_beyond_come_back(same_array, what):
    same_array(ARRAYS[what], trip(ARRAYS[what]))


def test_more_than_one_row_group_comes_back(same_array):
    array = ak.Array({"n": np.arange(2**20 + 5), "hits": ak.unflatten(np.arange(2 * (2**20 + 5), dtype=np.int8), 2)})
    array["hits"] = ak.from_regular(array.hits)
    back = trip(array)
    assert back.type == array.type
    assert ak.all(back.n == array.n)
    assert ak.all(back.hits == array.hits, axis=None)


def test_a_record_has_its_fields_as_columns_and_an_array_one_of_its_name():
    def columns(array):
        file = io.BytesIO()
        write_object([entry_of(NAME, Columns(array), Provenance(name="pt"))], HashingFile(file))
        return pq.ParquetFile(io.BytesIO(file.getvalue())).schema_arrow.names

    assert columns(JETS) == ["pt", "hits"]
    assert columns(JETS.pt) == ["pt"]


@pytest.mark.parametrize("what", NOT_STORED)
@pytest.mark.parametrize("inside", [lambda x: x, lambda x: ak.zip({"x": x}), lambda x: ak.unflatten(x, [len(x)])])
def test_what_the_language_has_no_type_for_is_refused(what, inside):
    with pytest.raises(StoreError, match=re.escape(f"an array of {what} cannot be stored")):
        trip(inside(NOT_STORED[what]))


def test_what_is_no_awkward_array_is_refused():
    with pytest.raises(StoreError, match="no column"):
        trip([1, 2])
