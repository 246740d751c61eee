"""Plain values as JSON, without any loss."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hep_flows.errors import StoreError
from hep_flows.store.histograms import decoded, encoded

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


def trip(value):
    return decoded(json.loads(json.dumps(encoded(value))))


def same(one, other):
    assert type(one) is type(other)
    match one:
        case list() | tuple():
            assert len(one) == len(other)
            for a, b in zip(one, other, strict=True):
                same(a, b)
        case dict():
            assert list(one) == list(other)
            for k in one:
                same(one[k], other[k])
        case float():
            assert struct.pack(">d", one) == struct.pack(">d", other)
        case _:
            assert one == other


@given(PLAIN)
def test_plain_values_come_back_as_they_were(value):
    same(value, trip(value))


@pytest.mark.parametrize("value", [2**63, -(2**63), 2**64, -(2**64), 10**6000, -(7**5000)], ids=lambda v: f"{v.bit_length()} bits")
def test_integers_of_any_size_are_exact(value):
    assert trip(value) == value


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, 5e-324, 0.1])
def test_floats_keep_their_bits(value):
    assert struct.pack(">d", trip(value)) == struct.pack(">d", value)


def test_nan_keeps_its_payload():
    value = struct.unpack(">d", bytes.fromhex("7ff8000000001234"))[0]
    assert struct.pack(">d", trip(value)).hex() == "7ff8000000001234"


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", "c8", "c16", "M8[D]", "m8[ns]", "U3", "S2", ">f4"])
def test_numbers_of_numpy_keep_their_type(dtype):
    value = np.array([1]).astype(dtype)
    assert trip(value).dtype == value.dtype
    assert trip(value).tobytes() == value.tobytes()
    assert type(trip(value[0])) is type(value[0])
    assert trip(value[0]).tobytes() == value[0].tobytes()


@pytest.mark.parametrize("value", [{"$int": "0x1"}, {"$": 1}, {"$tuple": [], "b": 2}, {1: "a", "1": "b"}])
def test_dicts_that_look_like_marks_are_dicts(value):
    assert trip(value) == value


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 1, np.array([object()]), type("Own", (dict,), {})()])
def test_anything_else_is_refused_with_advice(value):
    with pytest.raises(StoreError, match="cannot be stored"):
        encoded(value)


@pytest.mark.parametrize(
    "written", [{"$number": ["O", ""]}, {"$array": ["O", [1], ""]}, {"$what": 1}, {"$int": "zz"}, {"$number": ["<f8", "AA=="]}]
)
def test_marks_that_were_never_written_are_errors(written):
    with pytest.raises(ValueError, match=r"."):
        decoded(written)
