"""Plain Python values as JSON, without any loss: every bit of a float, integers of any size, tuples, numpy's numbers.

What JSON cannot say stands in an object with one member whose name begins with ``$``.
"""

from __future__ import annotations

import base64
import math
import struct
import sys
from typing import Any

from hep_flows.errors import StoreError, with_article

_KINDS = frozenset("biufcSUMm")


def encoded(value: object) -> Any:
    """Give what `json.dumps` writes exactly and `decoded` turns back.

    Raises
    ------
    StoreError
        For a value of any other kind than None, bool, int, float, complex, str, bytes, list, tuple, dict, and numpy's
        numbers, texts, times and arrays of these.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind in {int, float, complex}:
        return _encoded_number(value)
    match value:
        case list() if kind is list:
            return [encoded(v) for v in value]
        case tuple() if kind is tuple:
            return {"$tuple": [encoded(v) for v in value]}
        case dict() if kind is dict:
            return _encoded_dict(value)
        case bytes() if kind is bytes:
            return {"$bytes": base64.b64encode(value).decode()}
        case _:
            return _encoded_numpy(value)


def _encoded_number(value: Any) -> Any:
    match value:
        case int():
            return value if -(2**63) <= value < 2**64 else {"$int": hex(value)}
        case float():
            return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
        case _:
            return {"$complex": [encoded(value.real), encoded(value.imag)]}


def _encoded_dict(value: dict[Any, Any]) -> Any:
    if all(type(k) is str and not k.startswith("$") for k in value):
        return {k: encoded(v) for k, v in value.items()}
    return {"$dict": [[encoded(k), encoded(v)] for k, v in value.items()]}


def _encoded_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _KINDS:
        return {"$number": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
    if numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in _KINDS:
        return {"$array": [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    raise StoreError(
        f"{with_article(value)} cannot be stored",
        why="stored values are numbers, texts, bytes, None, and lists, tuples and dicts of these",
        do="turn it into one of these, for example in the metadata of a histogram",
    )


def decoded(value: Any) -> Any:
    """Give the value that `encoded` was given.

    Raises
    ------
    ValueError
        When it is no output of `encoded`.
    """
    match value:
        case list():
            return [decoded(v) for v in value]
        case dict() if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            return _decoded_tag(name, value[name])
        case dict():
            return {k: decoded(v) for k, v in value.items()}
        case _:
            return value


def _decoded_tag(name: str, value: Any) -> Any:
    match name, value:
        case "$int", str():
            return int(value, 16)
        case "$float", str():
            return struct.unpack(">d", bytes.fromhex(value))[0]
        case "$tuple", list():
            return tuple([decoded(v) for v in value])
        case "$dict", list():
            return {decoded(k): decoded(v) for k, v in value}
        case "$bytes", str():
            return base64.b64decode(value, validate=True)
        case "$complex", [real, imaginary]:
            return complex(decoded(real), decoded(imaginary))
        case "$number", [str(dtype), str(data)]:
            return _decoded_array(dtype, (), data)[()]
        case "$array", [str(dtype), list(shape), str(data)]:
            return _decoded_array(dtype, tuple(shape), data)
        case _:
            raise ValueError(f"no value is written as {name}")


def _decoded_array(dtype: str, shape: tuple[int, ...], data: str) -> Any:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in _KINDS:
        raise ValueError(f"no stored value has the type {dtype}")
    return np.frombuffer(base64.b64decode(data, validate=True), dtype=kind).reshape(shape).copy()
