"""Flat numpy arrays and Arrow arrays: the same buffers, never a copy through another library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt


def arrow_buffer(values: npt.NDArray[Any]) -> pa.Buffer:
    """Give the memory of an array to Arrow."""
    return pa.py_buffer(np.ascontiguousarray(values))


def arrow_bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    """Give truth values as Arrow keeps them, eight in a byte."""
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def arrow_numbers(values: npt.NDArray[Any]) -> pa.Array:
    """Give a flat array of integers, floats or truth values."""
    if values.dtype.kind == "b":
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, arrow_bits(values)])
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, arrow_buffer(values)])


def arrow_text(text: str) -> pa.Array:
    """Give one text."""
    data = text.encode(errors="replace")
    ends = np.array([0, len(data)], dtype=np.int64)
    return pa.Array.from_buffers(pa.large_string(), 1, [None, arrow_buffer(ends), pa.py_buffer(data)])


def numbers_in(buffer: pa.Buffer | None, dtype: Any, start: int, length: int) -> npt.NDArray[Any]:
    """Give the numbers in a buffer from a place on; it is not copied."""
    kind = np.dtype(dtype)
    if buffer is None or not length:
        return np.zeros(length, dtype=kind)
    return np.frombuffer(buffer, dtype=kind, count=length, offset=start * kind.itemsize)


def truth_in(buffer: pa.Buffer | None, start: int, length: int) -> npt.NDArray[np.bool_]:
    """Give the truth values in a buffer of bits from a place on."""
    if buffer is None:
        return np.zeros(length, dtype=np.bool_)
    first = start // 8
    some = np.frombuffer(buffer, dtype=np.uint8, offset=first, count=(start + length + 7) // 8 - first)
    return np.unpackbits(some, count=start - first * 8 + length, bitorder="little")[start - first * 8 :].view(np.bool_)


def flat_numbers(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """Give the numbers of an Arrow array that has them in that type.

    Raises
    ------
    ValueError
        When numbers of that type have another width.
    """
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return truth_in(array.buffers()[1], array.offset, len(array))
    if array.type.bit_width != kind.itemsize * 8:
        raise ValueError(f"a column of {array.type} holds no {kind}")
    return numbers_in(array.buffers()[1], kind, array.offset, len(array))
