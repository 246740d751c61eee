"""From an awkward array to plain Arrow arrays, and a description that gives back its exact type.

Arrow arrays here have no extension types, so every Parquet reader takes them for what they are: numbers, texts, lists, structs.
What Arrow or Parquet cannot say (lists of one fixed size, unions, complex numbers, parameters) stands in the description only.

Below an option, an array has entries for the present items only; ``valid`` says where they go, and every other place gets a
zero, an empty list or a record of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hep_flows.errors import StoreError
from hep_flows.store.arrow_numbers import arrow_bits, arrow_buffer, arrow_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_] | None
    Node = dict[str, Any]
    Pair = tuple[pa.Array, Node]

TEXTS = {"string": "string", "bytestring": "bytes"}
STORED = frozenset("biufcMm")
STAMPS = ("ms", "us", "ns")


def to_arrow(content: Any, valid: Mask = None) -> Pair:
    """Give the Arrow array of an awkward layout, and the description of its type.

    Parameters
    ----------
    content : ak.contents.Content
        As many entries as ``valid`` has true ones.
    valid : array of bool, optional
        Where the entries go; without it, one after the other.

    Raises
    ------
    StoreError
        For numbers that Parquet has no exact place for.
    """
    if content.is_option:
        return _option(content, valid)
    if content.is_indexed:
        return _indexed(content, valid)
    if content.is_unknown:
        return pa.nulls(0 if valid is None else len(valid)), _node("unknown", content)
    if content.is_numpy:
        return _numbers(content, valid) if content.purelist_depth == 1 else to_arrow(content.to_RegularArray(), valid)
    if content.is_record:
        return _record(content, valid)
    if content.is_union:
        return _union(content, valid)
    if content.is_regular:
        return _regular(content, valid)
    return _lists(content, valid)


def _node(kind: str, content: Any, **more: Any) -> Node:
    node = {"kind": kind, **more}
    if content.parameters and kind not in TEXTS.values():
        node["parameters"] = dict(content.parameters)
    return node


def _spread(values: npt.NDArray[Any], valid: Mask) -> npt.NDArray[Any]:
    """Put values where they go; zero elsewhere."""
    if valid is None:
        return values
    out = np.zeros(len(valid), dtype=values.dtype)
    out[valid] = values
    return out


def _indexed(content: Any, valid: Mask) -> Pair:
    array, node = to_arrow(content.project(), valid)
    if content.parameter("__array__") != "categorical":
        return array, node
    return array, {"kind": "categories", "of": _without_mark(node)}


def _without_mark(node: Node) -> Node:
    """Take the mark of categories off the parameters: the kind of the description says it."""
    parameters = {k: v for k, v in node.get("parameters", {}).items() if k != "__array__"}
    rest = {k: v for k, v in node.items() if k != "parameters"}
    return rest | {"parameters": parameters} if parameters else rest


def _option(content: Any, valid: Mask) -> Pair:
    present = _spread(np.asarray(content.mask_as_bool(valid_when=True)), valid)
    inner, node = to_arrow(content.project(), present)
    out = _node("option", content, of=node)
    if content.parameter("__array__") == "categorical":
        out = {"kind": "categories", "of": _without_mark(out)}
    if pa.types.is_null(inner.type) or present.all():
        return inner, out
    buffers = inner.buffers()[: inner.type.num_buffers]
    return pa.Array.from_buffers(inner.type, len(inner), [arrow_bits(present), *buffers[1:]], children=_children(inner)), out


def _children(array: pa.Array) -> list[pa.Array]:
    if pa.types.is_struct(array.type):
        return [array.field(i) for i in range(array.type.num_fields)]
    return [array.values] if pa.types.is_large_list(array.type) else []


def _numbers(content: Any, valid: Mask) -> Pair:
    data = np.asarray(content.data)
    dtype = data.dtype
    if dtype.kind not in STORED or dtype.itemsize > (16 if dtype.kind == "c" else 8):
        raise StoreError(
            f"an array of {dtype} cannot be stored",
            why="Parquet has no number of that kind",
            do="convert it to float64, for example with ak.values_astype",
        )
    data = _spread(np.ascontiguousarray(data.astype(dtype.newbyteorder("="), copy=False)), valid)
    node = _node("number", content, dtype=str(data.dtype))
    if dtype.kind == "c":
        parts = [arrow_numbers(p) for p in (data.real, data.imag)]
        return _struct(["real", "imag"], parts, len(data), [False, False]), node
    if dtype.kind == "M":
        unit = np.datetime_data(dtype)[0]
        counted = np.datetime_data(dtype)[1] == 1 and unit in STAMPS
        kind = pa.timestamp(unit) if counted else pa.int64()
        return pa.Array.from_buffers(kind, len(data), [None, arrow_buffer(data.view(np.int64))]), node
    return arrow_numbers(data.view(np.int64) if dtype.kind == "m" else data), node


def _struct(names: Sequence[str], arrays: Sequence[pa.Array], length: int, nullable: Sequence[bool]) -> pa.Array:
    fields = [pa.field(n, a.type, nullable=o) for n, a, o in zip(names, arrays, nullable, strict=True)]
    return pa.Array.from_buffers(pa.struct(fields), length, [None], children=list(arrays))


def _record(content: Any, valid: Mask) -> Pair:
    length = content.length if valid is None else len(valid)
    pairs = [to_arrow(c[: content.length], valid) for c in content.contents]
    nodes = [n for _, n in pairs]
    node = _node("record", content, fields=None if content.is_tuple else list(content.fields), of=nodes)
    if not pairs:  # Parquet has no record without members
        return arrow_numbers(np.zeros(length, dtype=np.bool_)), node
    return _struct(content.fields, [a for a, _ in pairs], length, [is_nullable(n) for n in nodes]), node


def is_nullable(node: Node) -> bool:
    """Say whether the Arrow array of a description can have null places."""
    return node["kind"] in {"option", "unknown"} or (node["kind"] == "categories" and is_nullable(node["of"]))


def _union(content: Any, valid: Mask) -> Pair:
    tags = np.asarray(content.tags.data)[: content.length]
    pairs = [to_arrow(content.project(i), _spread(tags == i, valid)) for i in range(len(content.contents))]
    node = _node("union", content, of=[n for _, n in pairs])
    names = ["tag", *[str(i) for i in range(len(pairs))]]
    arrays = [arrow_numbers(_spread(tags.astype(np.int8), valid)), *[a for a, _ in pairs]]
    nullable = [False, *[is_nullable(n) for _, n in pairs]]
    return _struct(names, arrays, len(arrays[0]), nullable), node


def _regular(content: Any, valid: Mask) -> Pair:
    """Write lists of one size as lists: fixed-size lists are read with faults by some, and not at all by others."""
    counts = _spread(np.full(content.length, content.size, dtype=np.int64), valid)
    items = content.content[: content.length * content.size]
    return _list_of(items, counts, lambda node: _node("fixed", content, size=content.size, of=node))


def _lists(content: Any, valid: Mask) -> Pair:
    content = content.to_ListOffsetArray64(True)
    offsets = np.asarray(content.offsets.data)
    items = content.content[: int(offsets[-1])]
    if valid is not None:
        offsets = _offsets(_spread(np.diff(offsets), valid))
    text = TEXTS.get(content.parameter("__array__"))
    if text is not None and len(content.parameters) == 1 and items.is_numpy:
        kind = pa.large_string() if text == "string" else pa.large_binary()
        data = [None, arrow_buffer(offsets), arrow_buffer(np.asarray(items.data))]
        return pa.Array.from_buffers(kind, len(offsets) - 1, data), {"kind": text}
    return _list_of(items, offsets, lambda node: _node("list", content, of=node), are_offsets=True)


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _list_of(items: Any, numbers: npt.NDArray[np.int64], node_of: Any, *, are_offsets: bool = False) -> Pair:
    offsets = numbers if are_offsets else _offsets(numbers)
    array, inner = to_arrow(items)
    kind = pa.large_list(pa.field("element", array.type, nullable=is_nullable(inner)))
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, arrow_buffer(offsets)], children=[array]), node_of(inner)
