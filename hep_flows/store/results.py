"""Results whose numbers fit into a few plain columns: scalars and histograms. Reading them needs no Parquet library."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from hep_flows.plugin import HistogramResult, Scalar
from hep_flows.store.exact_json import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.plugin import Result

INLINE_BYTES = 64 * 1024


def plain_parts(result: Scalar | HistogramResult) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the description and the columns, as flat numpy arrays, of a scalar or a histogram."""
    if isinstance(result, Scalar):
        return {"kind": "scalar", "value": encoded(result.value)}, {}
    from hep_flows.store.histograms import histogram_parts

    description, columns = histogram_parts(result.histogram)
    return description | {"columns": {n: c.dtype.str for n, c in columns.items()}}, columns


def plain_result(description: Mapping[str, Any], columns: Mapping[str, Any]) -> Result:
    """Give the result that `plain_parts` was given."""
    if description["kind"] == "scalar":
        return Scalar(decoded(description["value"]))
    from hep_flows.store.histograms import histogram_of

    return HistogramResult(histogram_of(description, columns))


def inline(description: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give a small result as JSON, with every bit of its numbers; None when it is not small."""
    if sum([c.nbytes for c in columns.values()]) > INLINE_BYTES:
        return None
    return {"description": dict(description), "columns": {n: base64.b64encode(c.tobytes()).decode() for n, c in columns.items()}}


def from_inline(written: Mapping[str, Any]) -> Result:
    """Give the result that `inline` was given."""
    description = written["description"]
    columns: dict[str, Any] = {}
    if written["columns"]:
        import numpy as np

        dtypes = description["columns"]
        columns = {n: np.frombuffer(base64.b64decode(data), dtype=dtypes[n]) for n, data in written["columns"].items()}
    return plain_result(description, columns)
