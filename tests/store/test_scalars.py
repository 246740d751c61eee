"""Single values come back with their type and every bit."""

import math
import struct

import awkward as ak
import numpy as np
import pytest

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import StoreError

VALUES = [
    True, False, None, 0, -1, 2**63 - 1, 2**63, -(2**70), 10**5000, 0.1, 5e-324, math.inf, -math.inf, 1e308, "", "pT > 30 GeV", "żółć",
    (1.5, 3), b"\x00\xff", 1.5 - 2j, np.float32(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.datetime64("2026-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_values_come_back(store, again, key, value):
    store.put(key("n"), Scalar(value))
    back = again(store, key("n"))
    assert isinstance(back, Scalar)
    assert type(back.value) is type(value)
    assert back.value == value


def test_negative_zero_and_nan_come_back(store, again, key):
    for value in (-0.0, math.nan, struct.unpack(">d", bytes.fromhex("fff8000000000007"))[0]):
        store.put(key("n"), Scalar(value))
        assert struct.pack(">d", again(store, key("n")).value) == struct.pack(">d", value)


def test_one_record_and_one_list_come_back(store, again, key, same_array):
    events = ak.Array([{"met": 1.5, "jets": [{"pt": 1.0}, {"pt": 2.0}]}, {"met": 2.5, "jets": []}])
    for value in (events[0], events[1], events[0].jets, events[1].jets):
        store.put(key("n"), Scalar(value))
        back = again(store, key("n")).value
        assert type(back) is type(value)
        assert back.type == value.type
        assert ak.to_list(back) == ak.to_list(value)


def test_a_value_of_another_kind_is_refused_and_leaves_nothing(store, key):
    with pytest.raises(StoreError, match="cannot be stored"):
        store.put(key("n"), Scalar(object()))
    with pytest.raises(StoreError, match="no result"):
        store.put(key("n"), ak.Array([1]))
    assert store.get(key("n")) is None
    store.put(key("n"), Columns(ak.Array([1])))
