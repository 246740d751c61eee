"""Results as Parquet files that any reader takes as ordinary tables, and back, bit by bit.

What Parquet does not say (the exact awkward type, the axes of a histogram, provenance) stands as JSON in the file's metadata.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hep_flows.errors import StoreError, with_article
from hep_flows.plugin import Columns, HistogramResult, Scalar
from hep_flows.store.arrow_numbers import arrow_numbers, arrow_text, flat_numbers
from hep_flows.store.results import plain_parts, plain_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.plugin import Result

METADATA = b"hep_flows"
FORMAT = "hf-store/2"
ROWS = 2**20


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
            columns = tuple([(n, arrow_numbers(c), False) for n, c in numbers.items()])
            shown = "counts and edges" if isinstance(histogram, tuple) else type(histogram).__name__
            return Packed("histogram", shown, description, columns, numbers)
        case _:
            raise StoreError(f"{with_article(result)} is no result", why="a result is Columns, Scalar or HistogramResult")


def _pack_array(kind: str, result: Columns | Scalar, name: str) -> Packed:
    from hep_flows.store.parquet_arrays import array_columns

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


def write_parquet(packed: Packed, sink: Any, key: str, provenance: Mapping[str, Any]) -> None:
    """Write a packed result.

    Parameters
    ----------
    packed : Packed
        From `pack`.
    sink : str or binary file
        Where to.
    key : str
        The key, as digits.
    provenance : mapping
        JSON, for the footer.
    """
    footer = {"format": FORMAT, "key": key, "type": packed.type, "result": packed.description, "provenance": dict(provenance)}
    fields = [pa.field(n, a.type, nullable=o) for n, a, o in packed.columns]
    schema = pa.schema(fields, metadata={METADATA: json.dumps(footer)})
    table = pa.Table.from_arrays([a for _, a, _ in packed.columns], schema=schema)
    # Dictionaries and statistics cost time and save nothing: measured numbers hardly repeat, and fill their whole range.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False, row_group_size=ROWS)


def read_footer(file: pq.ParquetFile) -> dict[str, Any]:
    """Give the JSON of the footer.

    Raises
    ------
    ValueError
        When the file is none of ours.
    """
    written = (file.schema_arrow.metadata or {}).get(METADATA)
    footer = json.loads(written) if written else None
    if not isinstance(footer, dict) or footer.get("format") != FORMAT:
        raise ValueError(f"the file is no {FORMAT}")
    return footer


def read_parquet(source: Any, key: str) -> Result:
    """Give the result in a file.

    Parameters
    ----------
    source : str or binary file
        Where from.
    key : str
        The key that it must have, as digits.

    Raises
    ------
    ValueError, KeyError, TypeError, OSError
        When the file is damaged, or holds another result.
    """
    with pq.ParquetFile(source) as file:
        footer = read_footer(file)
        if footer["key"] != key:
            raise ValueError(f"the file holds the result of {footer['key']:.64}")
        description = footer["result"]
        if description["kind"] == "scalar":
            return plain_result(description, {})
        table = file.read()
    arrays = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
    if description["kind"] == "columns":
        from hep_flows.store.parquet_arrays import array_result

        return array_result(description, arrays)
    columns = zip(table.column_names, arrays, strict=True)
    return plain_result(description, {n: flat_numbers(a, description["columns"][n]) for n, a in columns})
