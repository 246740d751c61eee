"""Aggregates over the innermost lists, one result for each.

Missing items are skipped, except that ``count`` counts entries. An empty list gives count and sum 0, product 1, any false, all
true, and no maximum, minimum or mean. Floats add up one after the other in their own width, as `ak.sum` does. As in numpy, and
other than in awkward, a NaN makes the maximum and the minimum NaN.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.plugins.awkward.strings import is_filled, is_text
from hep_flows.plugins.awkward.values import Lists, dtype_of, kept_lists, running_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.values import Mask

    Kernel = Callable[[Lists, Any, Mask | None], tuple[NDArray[Any], Mask | None]]


def reduced(name: str, lists: Lists, data: Any, valid: Mask | None, item: Item) -> tuple[NDArray[Any], Mask | None]:
    """Give one item for each list, in exactly the type of the item, and where it is valid (None: everywhere)."""
    found, present = KERNELS[name](lists, data, valid)
    return found.astype(dtype_of(item), copy=False), present


def of_present(kernel: Callable[[Lists, Any], NDArray[Any]], *, on_empty: bool) -> Kernel:
    """Give the kernel of what is there; without a value ``on_empty``, an empty list has no result."""

    def reduce(lists: Lists, data: Any, valid: Mask | None) -> tuple[NDArray[Any], Mask | None]:
        if valid is not None and not valid.all():
            lists, data = kept_lists(lists, valid), data[valid]
        filled = None if on_empty else lists.counts > 0
        return kernel(lists, data), None if filled is None or filled.all() else filled

    return reduce


def truth_of(data: Any) -> Mask:
    """Say which items count as true."""
    if is_text(data):
        return is_filled(data)
    mask: Mask = data if data.dtype == np.bool_ else data != 0
    return mask


def _n_true(lists: Lists, mask: Mask) -> NDArray[Any]:
    total = running_count(mask)
    return np.diff(total[lists.offsets])


def _truth(name: str, lists: Lists, mask: Mask) -> Mask:
    n_true = _n_true(lists, mask)
    return n_true > 0 if name == "any" else n_true == lists.counts


def _folded(name: str, lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    if data.dtype == np.bool_:
        return _n_true(lists, data) if name == "sum" else _truth("all", lists, data)
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    return np.asarray(getattr(ak, name)(_nested(lists, data), axis=1))


def _mean(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    if data.dtype.kind != "f":
        data = data.astype(np.float64)
    return _folded("sum", lists, data) / lists.counts


def _extreme(name: str, lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    if data.dtype == np.bool_:
        return _truth("any" if name == "max" else "all", lists, data)
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    result = np.asarray(getattr(ak, name)(_nested(lists, data), axis=1, mask_identity=False))
    # The sum of all is NaN when one is, and costs less than a look at each.
    if data.dtype.kind == "f" and np.isnan(data.sum()):
        result = np.where(_truth("any", lists, np.isnan(data)), data.dtype.type(np.nan), result)
    return result


def _variance(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    """Give the mean square of the distance from the mean of each list, each sum in the order of the entries and in 64 bits."""
    size = len(lists.counts)
    values = data.astype(np.float64, copy=False)
    mean = np.bincount(lists.parents, values, size) / lists.counts
    distance = values - mean[lists.parents]
    return np.asarray(np.bincount(lists.parents, distance * distance, size) / lists.counts)


def _position(name: str) -> Kernel:
    """Give the place of the first of the largest or smallest numbers of each list; what is no number has no place in any order."""

    def reduce(lists: Lists, data: Any, valid: Mask | None) -> tuple[NDArray[Any], Mask | None]:
        usable = np.ones(len(data), dtype=np.bool_) if valid is None else valid
        if data.dtype.kind == "f":
            usable = usable & ~np.isnan(data)
        best = _extreme(name, kept_lists(lists, usable), data[usable])
        places = np.flatnonzero(usable & (data == best[lists.parents]))[::-1]
        found = np.full(len(lists.counts), -1, dtype=np.int64)
        found[lists.parents[places]] = lists.positions[places]  # Of several, the one that is written last stays: the first.
        present = found >= 0
        return np.maximum(found, 0), None if present.all() else present

    return reduce


def _nested(lists: Lists, data: NDArray[Any]) -> Any:
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(lists.offsets), ak.contents.NumpyArray(data)))


KERNELS: Mapping[str, Kernel] = {
    "count": lambda lists, data, valid: (lists.counts, None),  # noqa: ARG005
    "any": of_present(lambda lists, data: _truth("any", lists, truth_of(data)), on_empty=True),
    "all": of_present(lambda lists, data: _truth("all", lists, truth_of(data)), on_empty=True),
    "sum": of_present(partial(_folded, "sum"), on_empty=True),
    "prod": of_present(partial(_folded, "prod"), on_empty=True),
    "max": of_present(partial(_extreme, "max"), on_empty=False),
    "min": of_present(partial(_extreme, "min"), on_empty=False),
    "mean": of_present(_mean, on_empty=False),
    "var": of_present(_variance, on_empty=False),
    "std": of_present(lambda lists, data: np.sqrt(_variance(lists, data)), on_empty=False),
    "argmax": _position("max"),
    "argmin": _position("min"),
}
