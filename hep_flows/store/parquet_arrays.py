"""Awkward arrays, records and their descriptions as columns of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.errors import StoreError, with_article
from hep_flows.plugin import Columns, Scalar
from hep_flows.store.from_arrow import from_arrow
from hep_flows.store.to_arrow import is_nullable, to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from hep_flows.plugin import Result

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
    node = description["node"]
    if node["kind"] == "record" and node["of"]:
        contents = [from_arrow(a, n) for a, n in zip(arrays, node["of"], strict=True)]
        layout = ak.contents.RecordArray(contents, node["fields"], length=len(arrays[0]), parameters=node.get("parameters"))
    else:
        layout = from_arrow(arrays[0], node)
    array = ak.Array(layout)
    return Scalar(array[0]) if description["one"] else Columns(array, tuple(description.get("rows", ())))
