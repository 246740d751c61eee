"""From plain Arrow arrays back to an awkward array of exactly the type that was stored: the inverse of `to_arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Node = Mapping[str, Any]


def from_arrow(array: pa.Array, node: Node) -> Any:
    """Give the awkward layout that `to_arrow` was given.

    Raises
    ------
    ValueError, KeyError
        When the description is damaged or does not fit the array.
    """
    match node["kind"]:
        case "number":
            return ak.contents.NumpyArray(_numbers(array, np.dtype(node["dtype"])), parameters=_parameters(node))
        case "list":
            offsets = ak.index.Index64(_offsets(array))
            return ak.contents.ListOffsetArray(offsets, from_arrow(array.values, node["of"]), parameters=_parameters(node))
        case "fixed":
            return _fixed(array, node)
        case "string" | "bytes":
            return _texts(array, node["kind"])
        case "option":
            return _option(array, node)
        case "record":
            return _record(array, node)
        case "categories":
            return _categories(array, node["of"])
        case "union":
            return _union(array, node)
        case "unknown":
            return ak.contents.EmptyArray()
        case kind:
            raise ValueError(f"no stored array is described as {kind}")


def _parameters(node: Node) -> dict[str, Any] | None:
    found = node.get("parameters")
    return dict(found) if found else None


def _raw(buffer: pa.Buffer | None, dtype: Any, start: int, length: int) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    if buffer is None or not length:
        return np.zeros(length, dtype=kind)
    return np.frombuffer(buffer, dtype=kind, count=length, offset=start * kind.itemsize)


def _unpacked(buffer: pa.Buffer | None, start: int, length: int) -> npt.NDArray[np.bool_]:
    if buffer is None:
        return np.zeros(length, dtype=np.bool_)
    first = start // 8
    some = np.frombuffer(buffer, dtype=np.uint8, offset=first, count=(start + length + 7) // 8 - first)
    return np.unpackbits(some, count=start - first * 8 + length, bitorder="little")[start - first * 8 :].view(np.bool_)


def _numbers(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind == "b":
        return _unpacked(array.buffers()[1], array.offset, len(array))
    if dtype.kind == "c":
        out = np.empty(len(array), dtype=dtype)
        out.real, out.imag = [_raw(part.buffers()[1], out.real.dtype, part.offset, len(part)) for part in array.flatten()]
        return out
    if array.type.bit_width != dtype.itemsize * 8:
        raise ValueError(f"a column of {array.type} holds no {dtype}")
    return _raw(array.buffers()[1], dtype, array.offset, len(array))


def _offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    wide = pa.types.is_large_list(array.type) or pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    offsets = _raw(array.buffers()[1], np.int64 if wide else np.int32, array.offset, len(array) + 1)
    return offsets.astype(np.int64, copy=False)


def _fixed(array: pa.Array, node: Node) -> Any:
    """Read lists of one size; below an option, those that are missing were written as empty ones and get a copy of another."""
    size, offsets = int(node["size"]), _offsets(array)
    counts = np.diff(offsets)
    here = counts == size
    if not (here | (counts == 0)).all():
        raise ValueError(f"lists are not all of size {size}")
    content = from_arrow(array.values, node["of"])[int(offsets[0]) : int(offsets[-1])]
    lists = ak.contents.RegularArray(content, size, zeros_length=int(here.sum()), parameters=_parameters(node))
    if here.all():
        return lists
    return lists[np.maximum(np.cumsum(here) - 1, 0)]


def _texts(array: pa.Array, kind: str) -> Any:
    offsets = _offsets(array)
    text, char = ("string", "char") if kind == "string" else ("bytestring", "byte")
    letters = ak.contents.NumpyArray(_raw(array.buffers()[2], np.uint8, 0, int(offsets[-1])), parameters={"__array__": char})
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets), letters, parameters={"__array__": text})


def _option(array: pa.Array, node: Node) -> Any:
    parameters, length = _parameters(node), len(array)
    valid = array.buffers()[0]
    if array.null_count == length:
        index = ak.index.Index64(np.full(length, -1, dtype=np.int64))
        return ak.contents.IndexedOptionArray.simplified(index, from_arrow(array.slice(0, 0), node["of"]), parameters=parameters)
    content = from_arrow(array, node["of"])
    if valid is None or array.null_count == 0:
        return ak.contents.UnmaskedArray.simplified(content, parameters=parameters)
    mask = ak.index.Index8(_unpacked(valid, array.offset, length).view(np.int8))
    return ak.contents.ByteMaskedArray.simplified(mask, content, valid_when=True, parameters=parameters)


def _record(array: pa.Array, node: Node) -> Any:
    parameters, length = _parameters(node), len(array)
    if not node["of"]:
        return ak.contents.RecordArray([], node["fields"], length=length, parameters=parameters)
    columns = [from_arrow(array.field(i), n) for i, n in enumerate(node["of"])]
    return ak.contents.RecordArray(columns, node["fields"], length=length, parameters=parameters)


def _categories(array: pa.Array, node: Node) -> Any:
    """Find the categories anew, in the order in which they occur."""
    is_option = node["kind"] == "option"
    item = node["of"] if is_option else node
    parameters = {"__array__": "categorical", **node.get("parameters", {})}
    if item["kind"] in {"string", "bytes"} or (item["kind"] == "number" and np.dtype(item["dtype"]).kind in "iu"):
        coded = array.dictionary_encode()
        index, categories = _raw(coded.indices.buffers()[1], np.int32, coded.indices.offset, len(array)), coded.dictionary
    else:
        index, categories = np.arange(len(array), dtype=np.int32), array
    content = from_arrow(categories, item)
    if not is_option:
        return ak.contents.IndexedArray(ak.index.Index64(index.astype(np.int64)), content, parameters=parameters)
    here = np.ones(len(array), dtype=np.bool_)
    if array.null_count:
        here = _unpacked(array.buffers()[0], array.offset, len(array))
    places = ak.index.Index64(np.where(here, index, -1).astype(np.int64))
    return ak.contents.IndexedOptionArray(places, content, parameters=parameters)


def _union(array: pa.Array, node: Node) -> Any:
    marks = array.field(0)
    tags = _raw(marks.buffers()[1], np.int8, marks.offset, len(array))
    index = ak.index.Index64(np.arange(len(array), dtype=np.int64))
    # A kind that does not occur is built from nothing: its placeholders cannot have the type "unknown".
    occurs = np.bincount(tags, minlength=len(node["of"]))
    columns = [array.field(i + 1) if occurs[i] else array.field(i + 1).slice(0, 0) for i in range(len(node["of"]))]
    contents = [from_arrow(c, n) for c, n in zip(columns, node["of"], strict=True)]
    return ak.contents.UnionArray(ak.index.Index8(tags), index, contents, parameters=_parameters(node))
