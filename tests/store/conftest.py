"""A fresh store, keys, and bit-exact comparison that knows nothing of how results are stored."""

import math
import struct
from hashlib import sha256

import awkward as ak
import numpy as np
import pytest

from hep_flows.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def key():
    """Give the key of a word."""
    return lambda word: sha256(word.encode()).digest()


@pytest.fixture
def again():
    """Give the result of a key as another process would find it."""
    return lambda store, key: Store(store.folder.root).get(key)


def bits(value):
    """Give plain data that is equal when, and only when, two values agree in every bit, all NaN taken as one."""
    match value:
        case float():
            return "nan" if math.isnan(value) else struct.pack(">d", value)
        case complex():
            return ("complex", bits(value.real), bits(value.imag))
        case np.generic():
            return (value.dtype.str, value.tobytes())
        case dict():
            return {k: bits(v) for k, v in value.items()}
        case tuple() | list():
            return (type(value).__name__, [bits(v) for v in value])
        case _:
            return (type(value).__name__, value)


@pytest.fixture
def same_array():
    """Say whether two arrays have the same type and the same values, bit by bit."""

    def compare(one, other):
        assert ak.validity_error(other) in {"", ak.validity_error(one)}
        assert one.type == other.type
        assert str(one.type) == str(other.type)
        assert bits(ak.to_list(one)) == bits(ak.to_list(other))

    return compare
