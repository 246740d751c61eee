"""numpy's histogram of all partitions: counts and edges as `numpy.histogram` gives them for all values at once.

Every partition is counted by numpy itself in the bins that the whole has, so only the sum is ours; and of weights that are floats the
sum in each bin, which numpy takes by blocks: here it is strictly in the order of the entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.nodes import Call, Input
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.hist.entries import entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from hep_flows.planning.task import Key
    from hep_flows.plugin import Result


@dataclass(frozen=True, slots=True)
class CountsPart:
    """What one partition adds: sums in 64 bits, the edges of the whole, and the type that numpy gives the counts."""

    counts: npt.NDArray[Any]
    edges: npt.NDArray[Any]
    dtype: str


def counts_part(call: Call, inputs: Mapping[Key, Result], before: CountsPart | None = None) -> CountsPart:
    """Give the counts of one partition, after those of the slices of the same range before it."""
    record, *ends = [_value(a, inputs) for a in call.args]
    weighted = bool(call.option("weighted"))
    columns = entries(record, ("x", "weight") if weighted else ("x",))
    values = columns["x"]
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    weights, dtype = _wide(columns["weight"]) if weighted else (None, "int64")
    bins, limits = _bins(call, values.dtype, ends)
    if ends and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise _not_finite(call, values)
    if weights is None or weights.dtype.kind != "f":
        counts, edges = np.histogram(values, bins=bins, range=limits, weights=weights)
        return CountsPart(counts if before is None else before.counts + counts, edges, dtype)
    edges = np.histogram_bin_edges(values, bins=bins, range=limits)
    start = np.zeros(len(edges) - 1) if before is None else before.counts
    return CountsPart(_in_order(values, weights, edges, start), edges, dtype)


def _in_order(values: Any, weights: Any, edges: Any, start: Any) -> npt.NDArray[np.float64]:
    """Add the weights to what is in the bins, one after the other; the last bin is closed."""
    places = np.searchsorted(edges, values, side="right") - 1
    places[values == edges[-1]] = len(edges) - 2
    inside = (places >= 0) & (places < len(start))
    everything = np.concatenate([np.arange(len(start)), places[inside]])
    filled: npt.NDArray[np.float64] = np.bincount(everything, np.concatenate([start, weights[inside]]), minlength=len(start))  # type: ignore[assignment]
    return filled


def counts_sum(call: Call, parts: Sequence[CountsPart]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Give numpy's pair from the parts, in order."""
    total = parts[0].counts
    for part in parts[1:]:
        total = total + part.counts
    edges = parts[0].edges
    if not call.option("density"):
        return total.astype(parts[0].dtype), edges
    with np.errstate(divide="ignore", invalid="ignore"):
        return total / np.diff(edges).astype(float) / total.sum(), edges


def added(before: CountsPart, part: CountsPart) -> CountsPart:
    """Give one part for two."""
    return CountsPart(before.counts + part.counts, before.edges, before.dtype)


def _value(node: Any, inputs: Mapping[Key, Result]) -> Any:
    assert isinstance(node, Input)
    given = inputs[node.task]
    assert isinstance(given, Columns | Scalar)
    return given.array if isinstance(given, Columns) else given.value


def _wide(weights: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], str]:
    """Give weights to sum in 64 bits, and the type that numpy gives the sum; truth values count as 0 and 1."""
    if weights.dtype == np.bool_:
        return weights.astype(np.int64), "int64"
    if weights.dtype.kind == "f":
        return weights.astype(np.float64), weights.dtype.name
    return weights, weights.dtype.name


def _bins(call: Call, dtype: np.dtype[Any], ends: Sequence[Any]) -> tuple[Any, Any]:
    edges = call.option("edges")
    if edges is not None:
        return np.array(edges, dtype=str(call.option("edges_dtype"))), None
    limits = call.option("range")
    if isinstance(limits, tuple):
        return call.option("bins"), tuple([_number(*end) for end in limits])  # type: ignore[misc]
    low, high = ends
    if low is None or high is None:
        return call.option("bins"), (0, 1)
    return call.option("bins"), (dtype.type(low), dtype.type(high))


def _number(value: Any, dtype: str) -> Any:
    return np.dtype(dtype).type(value) if dtype else value


def _not_finite(call: Call, values: npt.NDArray[Any]) -> TaskError:
    with np.errstate(invalid="ignore"):
        low, high = values.min(), values.max()
    return TaskError(
        f"np.histogram: autodetected range of [{low}, {high}] is not finite",
        where=call.where,
        why="without range=, the bins go from the smallest to the largest value, and one is infinite or not a number",
        do="give range=(low, high), or leave such values out with np.isfinite",
    )
