"""From plain Arrow arrays back to an awkward array of exactly the type that was stored: the inverse of `to_arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pyarrow as pa

from hep_flows.store.arrow_numbers import flat_numbers, numbers_in, truth_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Node = Mapping[str, Any]


def from_arrow(array: pa.Array, node: Node) -> Any:
    """Give the awkward layout that `to_arrow` was given.

    Raises
    ------
    ValueError, KeyError
        When the description is damaged or does not fit the array.
    """
    return _READERS[node["kind"]](array, node)


def _parameters(node: Node) -> dict[str, Any] | None:
    found = node.get("parameters")
    return dict(found) if found else None


def _number(array: pa.Array, node: Node) -> Any:
    return ak.contents.NumpyArray(_numbers(array, np.dtype(node["dtype"])), parameters=_parameters(node))


def _numbers(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind != "c":
        return flat_numbers(array, dtype)
    out = np.empty(len(array), dtype=dtype)
    out.real, out.imag = [flat_numbers(array.field(i), out.real.dtype) for i in range(2)]
    return out


def _offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    wide = pa.types.is_large_list(array.type) or pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    offsets = numbers_in(array.buffers()[1], np.int64 if wide else np.int32, array.offset, len(array) + 1)
    return offsets.astype(np.int64, copy=False)


def _list(array: pa.Array, node: Node) -> Any:
    offsets = ak.index.Index64(_offsets(array))
    return ak.contents.ListOffsetArray(offsets, from_arrow(array.values, node["of"]), parameters=_parameters(node))


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


def _texts(array: pa.Array, node: Node) -> Any:
    offsets = _offsets(array)
    text, char = ("string", "char") if node["kind"] == "string" else ("bytestring", "byte")
    letters = ak.contents.NumpyArray(numbers_in(array.buffers()[2], np.uint8, 0, int(offsets[-1])), parameters={"__array__": char})
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
    mask = ak.index.Index8(truth_in(valid, array.offset, length).view(np.int8))
    return ak.contents.ByteMaskedArray.simplified(mask, content, valid_when=True, parameters=parameters)


def _record(array: pa.Array, node: Node) -> Any:
    parameters, length = _parameters(node), len(array)
    if not node["of"]:
        return ak.contents.RecordArray([], node["fields"], length=length, parameters=parameters)
    columns = [from_arrow(array.field(i), n) for i, n in enumerate(node["of"])]
    return ak.contents.RecordArray(columns, node["fields"], length=length, parameters=parameters)


def _categories(array: pa.Array, outer: Node) -> Any:
    """Find the categories anew, in the order in which they occur."""
    node = outer["of"]
    is_option = node["kind"] == "option"
    item = node["of"] if is_option else node
    parameters = {"__array__": "categorical", **node.get("parameters", {})}
    if item["kind"] in {"string", "bytes"} or (item["kind"] == "number" and np.dtype(item["dtype"]).kind in "iu"):
        coded = array.dictionary_encode()
        index, categories = numbers_in(coded.indices.buffers()[1], np.int32, coded.indices.offset, len(array)), coded.dictionary
    else:
        index, categories = np.arange(len(array), dtype=np.int32), array
    content = from_arrow(categories, item)
    if not is_option:
        return ak.contents.IndexedArray(ak.index.Index64(index.astype(np.int64)), content, parameters=parameters)
    here = np.ones(len(array), dtype=np.bool_)
    if array.null_count:
        here = truth_in(array.buffers()[0], array.offset, len(array))
    places = ak.index.Index64(np.where(here, index, -1).astype(np.int64))
    return ak.contents.IndexedOptionArray(places, content, parameters=parameters)


def _union(array: pa.Array, node: Node) -> Any:
    marks = array.field(0)
    tags = numbers_in(marks.buffers()[1], np.int8, marks.offset, len(array))
    index = ak.index.Index64(np.arange(len(array), dtype=np.int64))
    # A kind that does not occur is built from nothing: its placeholders cannot have the type "unknown".
    occurs = np.bincount(tags, minlength=len(node["of"]))
    columns = [array.field(i + 1) if occurs[i] else array.field(i + 1).slice(0, 0) for i in range(len(node["of"]))]
    contents = [from_arrow(c, n) for c, n in zip(columns, node["of"], strict=True)]
    return ak.contents.UnionArray(ak.index.Index8(tags), index, contents, parameters=_parameters(node))


def _unknown(_array: pa.Array, _node: Node) -> Any:
    return ak.contents.EmptyArray()


_READERS: Mapping[str, Callable[[pa.Array, Node], Any]] = {
    "number": _number,
    "list": _list,
    "fixed": _fixed,
    "string": _texts,
    "bytes": _texts,
    "option": _option,
    "record": _record,
    "categories": _categories,
    "union": _union,
    "unknown": _unknown,
}
