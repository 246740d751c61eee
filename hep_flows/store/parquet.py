"""Results as Parquet files that any reader takes as ordinary tables, and back, bit by bit.

What Parquet does not say (the exact awkward type, the axes of a histogram, provenance) stands as JSON in the file's metadata.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.errors import StoreError, with_article
from hep_flows.store.about import FORMAT, Pack, Sidecar, fold, now, unfold
from hep_flows.store.commit import NewObject, commit, full_disk, no_step
from hep_flows.store.histograms import inline, plain_parts, plain_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from hep_flows.contract import Result
    from hep_flows.store.about import Provenance
    from hep_flows.store.commit import HashingFile
    from hep_flows.store.paths import Folder

    Mask = npt.NDArray[np.bool_] | None
    NewNode = dict[str, Any]
    Pair = tuple[pa.Array, NewNode]
    ArrowNode = Mapping[str, Any]

# Flat numpy arrays and Arrow arrays: the same buffers, never a copy through another library --------------------------------------


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


METADATA = b"hep_flows"
ROWS = 2**20
# Results in an object with a row group for each: many small ones, or few of some size.
MOST_RESULTS, OBJECT_BYTES = 64, 32 * 2**20


@dataclass(frozen=True, slots=True)
class Packed:
    """A result, ready to be written.

    Parameters
    ----------
    kind : str
        ``columns``, ``scalar`` or ``histogram``.
    type : str
        The type, to show.
    description : dict
        JSON that makes the columns a result again.
    columns : tuple
        Name, Arrow array and whether it can have null places, for each column of the file.
    numbers : mapping, optional
        The columns as numpy arrays, of a scalar or a histogram.
    """

    kind: str
    type: str
    description: dict[str, Any]
    columns: tuple[tuple[str, pa.Array, bool], ...]
    numbers: Mapping[str, Any] | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow names them."""
        return pa.schema([pa.field(n, a.type, nullable=o) for n, a, o in self.columns])

    @property
    def rows(self) -> int:
        """The number of rows of the file."""
        return len(self.columns[0][1])

    @property
    def nbytes(self) -> int:
        """About how many bytes the columns are, not compressed."""
        return sum([a.nbytes for _, a, _ in self.columns])


def pack(result: Result, name: str = "") -> Packed:
    """Give a result as columns.

    Parameters
    ----------
    result : Result
        What a plug-in gave.
    name : str
        The name of the column of an array that is no record; ``value`` when empty.

    Raises
    ------
    StoreError
        When it holds something that cannot be stored exactly.
    """
    match result:
        case Columns():
            return _pack_array("columns", result, name)
        case Scalar(value) if type(value).__module__.startswith("awkward."):
            return _pack_array("scalar", result, name)
        case Scalar(value):
            description, numbers = plain_parts(result)
            cell = (name or "value", _cell(value), value is None)
            return Packed("scalar", type(value).__name__, description, (cell,), numbers)
        case HistogramResult(histogram):
            description, numbers = plain_parts(result)
            numbers = {n: np.array(c) for n, c in numbers.items()}  # its user may go on filling it before it is written
            columns = tuple([(n, arrow_numbers(c), False) for n, c in numbers.items()])
            shown = "counts and edges" if isinstance(histogram, tuple) else type(histogram).__name__
            return Packed("histogram", shown, description, columns, numbers)
        case _:
            raise StoreError(f"{with_article(result)} is no result", why="a result is Columns, Scalar or HistogramResult")


def _pack_array(kind: str, result: Columns | Scalar, name: str) -> Packed:
    shown, description, columns = array_columns(result, name or "value")
    return Packed(kind, shown, description, tuple(columns))


def _cell(value: Any) -> pa.Array:
    """Give a value as one row, for other readers: ours take it from the description, where it is exact."""
    match value:
        case None:
            return pa.nulls(1)
        case bool() | np.bool_():
            return arrow_numbers(np.array([bool(value)]))
        case np.number() if value.dtype.kind in "iuf" and value.dtype.itemsize <= 8:
            return arrow_numbers(np.array([value]))
        case int() if -(2**63) <= value < 2**63:
            return arrow_numbers(np.array([value], dtype=np.int64))
        case int():
            return arrow_text(hex(value))
        case float():
            return arrow_numbers(np.array([value], dtype=np.float64))
        case _:
            return arrow_text(str(value))


@dataclass(frozen=True, slots=True)
class Entry:
    """A result that is ready to be written, and everything that is said of it.

    Parameters
    ----------
    key : str
        The key, as digits.
    packed : Packed
        The result.
    full, short : mapping
        Provenance, for the footer and for the sidecar.
    created : str
        When it was put, UTC.
    small : mapping, optional
        The result once more, where it is small.
    """

    key: str
    packed: Packed
    full: Mapping[str, Any]
    short: Mapping[str, Any]
    created: str
    small: Mapping[str, Any] | None

    @property
    def group(self) -> object:
        """What results of one object share: all that are small, or those with the same columns."""
        return "small" if self.small is not None else (self.packed.kind, self.packed.schema)

    def said(self, place: int) -> dict[str, Any]:
        """Give what the footer says of it; ``place`` is the first of its row groups, or its row."""
        packed = self.packed
        return {"key": self.key, "type": packed.type, "place": place, "result": packed.description, "provenance": dict(self.full)}


def entry_of(key: str, result: Result, about: Provenance) -> Entry:
    """Give a result as it is to be written.

    Raises
    ------
    StoreError
        When it holds something that cannot be stored exactly.
    """
    packed, created = pack(result, about.name), now()
    small, full = None if packed.numbers is None else inline(packed.description, packed.numbers), about.as_json()
    return Entry(key, packed, full | {"created": created}, about.summary(full), created, small)


def objects_of(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Divide results into objects: small ones together, and those with the same columns, as long as they are not large."""
    found: dict[object, list[list[Entry]]] = {}
    sizes: dict[object, int] = {}
    for one in entries:
        some = found.setdefault(one.group, [[]])
        if (len(some[-1]) == MOST_RESULTS and one.small is None) or sizes.get(one.group, 0) > OBJECT_BYTES:
            some.append([])
            sizes[one.group] = 0
        some[-1].append(one)
        sizes[one.group] = sizes.get(one.group, 0) + one.packed.nbytes
    return [entries for some in found.values() for entries in some]


def write_object(entries: Sequence[Entry], file: HashingFile) -> None:
    """Write results as one object: a table, with row groups for each result; small ones as rows."""
    first = entries[0].packed
    is_rows = len(entries) > 1 and entries[0].small is not None
    places = list(range(len(entries)))
    if is_rows:
        tables = [_rows(entries)]
    else:
        tables = [pa.Table.from_arrays([a for _, a, _ in e.packed.columns], schema=first.schema) for e in entries]
        places = [0, *accumulate([max(1, -(-e.packed.rows // ROWS)) for e in entries])][:-1]
    shared, said = fold([e.said(place) for e, place in zip(entries, places, strict=True)])
    footer = {"format": FORMAT, "rows": is_rows, "results": said, "shared": shared}
    # Dictionaries and statistics cost time and save nothing: measured numbers hardly repeat, and fill their whole range.
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(file, tables[0].schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROWS)
            file.cut()
        writer.add_key_value_metadata({METADATA: json.dumps(footer)})


def _rows(entries: Sequence[Entry]) -> pa.Table:
    """Give small results as rows: what each is called, a number, and lists of what a histogram has in each bin."""
    packed = [e.packed for e in entries]
    columns: dict[str, Any] = {
        "key": pa.array([e.key for e in entries]),
        "name": pa.array([str(e.full.get("name", "")) for e in entries]),
        "kind": pa.array([p.kind for p in packed]),
    }
    cells = [p.columns[0][1] if p.kind == "scalar" else pa.nulls(1) for p in packed]
    columns["number"] = pa.array([_number_in(c) for c in cells], type=pa.float64())
    columns["text"] = pa.array([str(c[0].as_py()) if pa.types.is_large_string(c.type) else None for c in cells])
    for name, dtype in {(n, c.dtype): None for p in packed for n, c in (p.numbers or {}).items()}:
        lists = [(p.numbers or {}).get(name) for p in packed]
        found = [c if c is not None and c.dtype == dtype else None for c in lists]
        columns[_row_column(name, dtype)] = pa.array(found, type=pa.list_(pa.from_numpy_dtype(dtype)))
    return pa.table(columns)


def _number_in(cell: pa.Array) -> float | None:
    value = cell[0].as_py()
    return float(value) if isinstance(value, bool | int | float) else None


def _row_column(name: str, dtype: Any) -> str:
    return name if np.dtype(dtype) == np.float64 else f"{name}_{np.dtype(dtype).name}"


def read_footer(file: pq.ParquetFile, key: str) -> dict[str, Any]:
    """Give what the footer says of a result; ``rows`` is whether it stands in a row, and ``end`` where its row groups end.

    Raises
    ------
    ValueError
        When the file is none of ours, or does not have it.
    """
    written = (file.metadata.metadata or {}).get(METADATA)
    footer = json.loads(written) if written else None
    if not isinstance(footer, dict) or footer.get("format") != FORMAT:
        raise ValueError(f"the file is no {FORMAT}")
    results, shared = footer["results"], footer["shared"]
    keys = [r["key"] for r in results]
    if key not in keys:
        raise ValueError(f"the file holds the result of {keys[0]:.64}")
    number = keys.index(key)
    end = results[number + 1]["place"] if number + 1 < len(results) else file.num_row_groups
    return dict(unfold(results[number], shared)) | {"rows": footer["rows"], "end": end}


def provenance_of(path: str, key: str) -> dict[str, Any]:
    """Give what a file says about how a result in it came about."""
    with pq.ParquetFile(path) as file:
        return dict(read_footer(file, key)["provenance"])


def read_parquet(source: Any, key: str) -> Result:
    """Give a result in a file.

    Parameters
    ----------
    source : str or binary file
        Where from.
    key : str
        Its key, as digits.

    Raises
    ------
    ValueError, KeyError, TypeError, OSError
        When the file is damaged, or does not hold it.
    """
    with pq.ParquetFile(source) as file:
        said = read_footer(file, key)
        description = said["result"]
        if description["kind"] == "scalar":
            return plain_result(description, {})
        if said["rows"]:
            row = file.read().slice(said["place"], 1)
            if row["key"][0].as_py() != key:
                raise ValueError("the row is that of another result")
            dtypes = description["columns"]
            lists = {n: row[_row_column(n, t)].combine_chunks().flatten() for n, t in dtypes.items()}
            return plain_result(description, {n: flat_numbers(a, dtypes[n]) for n, a in lists.items()})
        table = file.read_row_groups(range(said["place"], said["end"]))
    arrays = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
    if description["kind"] == "columns":
        return array_result(description, arrays)
    columns = zip(table.column_names, arrays, strict=True)
    return plain_result(description, {n: flat_numbers(a, description["columns"][n]) for n, a in columns})


# From an awkward array to plain Arrow arrays, and a description that gives back its exact type -----------------------------------
#
# Arrow arrays here have no extension types, so every Parquet reader takes them for what they are: numbers, texts, lists, structs.
# What Arrow or Parquet cannot say (lists of one fixed size, parameters) stands in the description only. What the language has no type for,
# such as complex numbers, times, unions and categories, is not stored.
#
# Below an option, an array has entries for the present items only; ``valid`` says where they go, and every other place gets a
# zero, an empty list or a record of these.

STORED = frozenset("biuf")


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
        For what the language has no type for.
    """
    if content.is_union or content.parameter("__array__") == "categorical":
        raise _not_stored("values of several types" if content.is_union else "categories")
    if content.is_option:
        return _option(content, valid)
    if content.is_indexed:
        return to_arrow(content.project(), valid)
    if content.is_unknown:
        return pa.nulls(0 if valid is None else len(valid)), _node("unknown", content)
    if content.is_numpy:
        return _numbers(content, valid) if content.purelist_depth == 1 else to_arrow(content.to_RegularArray(), valid)
    if content.is_record:
        return _record(content, valid)
    if content.is_regular:
        return _regular(content, valid)
    return _lists(content, valid)


def _node(kind: str, content: Any, **more: Any) -> NewNode:
    node = {"kind": kind, **more}
    if content.parameters:
        node["parameters"] = dict(content.parameters)
    return node


def _spread(values: npt.NDArray[Any], valid: Mask) -> npt.NDArray[Any]:
    """Put values where they go; zero elsewhere."""
    if valid is None:
        return values
    out = np.zeros(len(valid), dtype=values.dtype)
    out[valid] = values
    return out


def _option(content: Any, valid: Mask) -> Pair:
    present = _spread(np.asarray(content.mask_as_bool(valid_when=True)), valid)
    inner, node = to_arrow(content.project(), present)
    out = _node("option", content, of=node)
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
    if dtype.kind not in STORED or dtype.itemsize > 8:
        raise _not_stored(f"{dtype}")
    data = _spread(np.ascontiguousarray(data.astype(dtype.newbyteorder("="), copy=False)), valid)
    return arrow_numbers(data), _node("number", content, dtype=str(data.dtype))


def _not_stored(what: str) -> StoreError:
    return StoreError(
        f"an array of {what} cannot be stored",
        why="the language has numbers of up to 64 bits, truth values, texts, lists and records",
        do="convert it, for example with ak.values_astype",
    )


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


def is_nullable(node: NewNode) -> bool:
    """Say whether the Arrow array of a description can have null places."""
    return node["kind"] in {"option", "unknown"}


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
    if content.parameter("__array__") == "string" and len(content.parameters) == 1 and items.is_numpy:
        data = [None, arrow_buffer(offsets), arrow_buffer(np.asarray(items.data))]
        return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, data), {"kind": "string"}
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


# From plain Arrow arrays back to an awkward array of exactly the type that was stored: the inverse of `to_arrow` -----------------


def from_arrow(array: pa.Array, node: ArrowNode) -> Any:
    """Give the awkward layout that `to_arrow` was given.

    Raises
    ------
    ValueError, KeyError
        When the description is damaged or does not fit the array.
    """
    return _READERS[node["kind"]](array, node)


def _parameters(node: ArrowNode) -> dict[str, Any] | None:
    found = node.get("parameters")
    return dict(found) if found else None


def _number(array: pa.Array, node: ArrowNode) -> Any:
    import awkward as ak

    return ak.contents.NumpyArray(flat_numbers(array, node["dtype"]), parameters=_parameters(node))


def _read_offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    wide = pa.types.is_large_list(array.type) or pa.types.is_large_string(array.type)
    offsets = numbers_in(array.buffers()[1], np.int64 if wide else np.int32, array.offset, len(array) + 1)
    return offsets.astype(np.int64, copy=False)


def _list(array: pa.Array, node: ArrowNode) -> Any:
    import awkward as ak

    offsets = ak.index.Index64(_read_offsets(array))
    return ak.contents.ListOffsetArray(offsets, from_arrow(array.values, node["of"]), parameters=_parameters(node))


def _fixed(array: pa.Array, node: ArrowNode) -> Any:
    """Read lists of one size; below an option, those that are missing were written as empty ones and get a copy of another."""
    import awkward as ak

    size, offsets = int(node["size"]), _read_offsets(array)
    counts = np.diff(offsets)
    here = counts == size
    if not (here | (counts == 0)).all():
        raise ValueError(f"lists are not all of size {size}")
    content = from_arrow(array.values, node["of"])[int(offsets[0]) : int(offsets[-1])]
    lists = ak.contents.RegularArray(content, size, zeros_length=int(here.sum()), parameters=_parameters(node))
    if here.all():
        return lists
    return lists[np.maximum(np.cumsum(here) - 1, 0)]


def _texts(array: pa.Array, _node: ArrowNode) -> Any:
    import awkward as ak

    offsets = _read_offsets(array)
    letters = ak.contents.NumpyArray(
        numbers_in(array.buffers()[2], np.uint8, 0, int(offsets[-1])), parameters={"__array__": "char"}
    )
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets), letters, parameters={"__array__": "string"})


def _read_option(array: pa.Array, node: ArrowNode) -> Any:
    import awkward as ak

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


def _read_record(array: pa.Array, node: ArrowNode) -> Any:
    import awkward as ak

    parameters, length = _parameters(node), len(array)
    if not node["of"]:
        return ak.contents.RecordArray([], node["fields"], length=length, parameters=parameters)
    columns = [from_arrow(array.field(i), n) for i, n in enumerate(node["of"])]
    return ak.contents.RecordArray(columns, node["fields"], length=length, parameters=parameters)


def _unknown(_array: pa.Array, _node: ArrowNode) -> Any:
    import awkward as ak

    return ak.contents.EmptyArray()


_READERS: Mapping[str, Callable[[pa.Array, ArrowNode], Any]] = {
    "number": _number,
    "list": _list,
    "fixed": _fixed,
    "string": _texts,
    "option": _read_option,
    "record": _read_record,
    "unknown": _unknown,
}


# Awkward arrays, records and their descriptions as columns of a file -------------------------------------------------------------

Column = tuple[str, "pa.Array", bool]


def array_columns(result: Columns | Scalar, name: str) -> tuple[str, dict[str, Any], list[Column]]:
    """Give the type, the description and the columns of an array, or of one entry of an array.

    Parameters
    ----------
    result : Columns or Scalar
        The latter with an `ak.Record` or an `ak.Array` as its value.
    name : str
        The name of the column of an array that is no record.
    """
    import awkward as ak

    match result:
        case Columns(ak.Array() as array):
            one = False
        case Scalar(ak.Record() as record):
            array, one = ak.Array(record.layout.array[record.layout.at : record.layout.at + 1]), True
        case Scalar(ak.Array() as inner):
            ends = ak.index.Index64(np.array([0, len(inner)], dtype=np.int64))
            array, one = ak.Array(ak.contents.ListOffsetArray(ends, inner.layout)), True
        case _:
            raise StoreError(f"{with_article(result.array)} is no column", why="Columns holds an awkward array")  # type: ignore[union-attr]
    layout = array.layout.to_backend("cpu")
    column, node = to_arrow(layout)
    description = {"kind": "columns", "one": one, "node": node}
    if isinstance(result, Columns) and result.rows:
        description["rows"] = list(result.rows)
    if node["kind"] == "record" and node["of"]:
        columns = [(n, column.field(i), is_nullable(node["of"][i])) for i, n in enumerate(layout.fields)]
    else:
        columns = [(name, column, is_nullable(node))]
    return str(array.type), description, columns


def array_result(description: Mapping[str, Any], arrays: Sequence[pa.Array]) -> Result:
    """Give the result that `array_columns` was given."""
    import awkward as ak

    node = description["node"]
    if node["kind"] == "record" and node["of"]:
        contents = [from_arrow(a, n) for a, n in zip(arrays, node["of"], strict=True)]
        layout = ak.contents.RecordArray(contents, node["fields"], length=len(arrays[0]), parameters=node.get("parameters"))
    else:
        layout = from_arrow(arrays[0], node)
    array = ak.Array(layout)
    return Scalar(array[0]) if description["one"] else Columns(array, tuple(description.get("rows", ())))


# Put results into a folder; the caller holds the claims of their keys -------------------------------------------------------------


def put(folder: Folder, entries: Sequence[Entry], step: Callable[[str], None] = no_step) -> list[Pack]:
    """Write results and commit them, those that belong together in one object; gives the sidecars.

    Raises
    ------
    StoreError
        When there is no room.
    """
    objects = [_object(some) for some in objects_of(entries)]
    try:
        return commit(folder, objects, step=step)
    except Exception as error:
        full = full_disk(error, folder.root, sum([e.packed.nbytes for e in entries]))
        if full is not None:
            raise full from error
        raise


def _object(entries: Sequence[Entry]) -> NewObject:
    name = entries[0].key if len(entries) == 1 else sha256(uuid4().bytes).hexdigest()

    def sidecar_of(pieces: tuple[tuple[int, str], ...]) -> Pack:
        number, total = len(entries), sum([n for n, _ in pieces])
        own = [n for n, _ in pieces[:-1]] if len(pieces) > number else [0] * number
        rest = total - sum(own)
        shares = [n + rest // number + (i < rest % number) for i, n in enumerate(own)]
        said = [
            Sidecar(e.key, e.packed.kind, e.packed.type, e.packed.rows, n, min(i, len(pieces) - 2), e.created, e.short, e.small)
            for i, (e, n) in enumerate(zip(entries, shares, strict=True))
        ]
        return Pack.of(name, pieces, said)

    return NewObject(name, tuple([e.key for e in entries]), partial(write_object, entries), sidecar_of)
