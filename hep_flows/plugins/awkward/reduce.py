"""Aggregates over the innermost lists, one result for each.

Missing items are skipped, except that ``count`` counts entries. An empty list gives count and sum 0, product 1, any false, all
true, and no maximum, minimum or mean. Floats add up one after the other in 64 bits. As in numpy, and other than in awkward, a NaN
makes the maximum and the minimum NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.plugins.awkward.strings import is_filled, is_text
from hep_flows.plugins.awkward.values import Lists, dtype_of, kept_lists, running_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.values import Mask


def reduced(name: str, lists: Lists, data: Any, valid: Mask | None, item: Item) -> tuple[NDArray[Any], Mask | None]:
    """Give one item for each list, in exactly the type of the item, and where it is valid (None: everywhere)."""
    dtype = dtype_of(item)
    if name == "count":
        return lists.counts, None
    if valid is not None and not valid.all():
        lists, data = kept_lists(lists, valid), data[valid]
    match name:
        case "any" | "all":
            return _truth(name, lists, truth_of(data)), None
        case "sum" | "prod":
            return _folded(name, lists, data).astype(dtype, copy=False), None
        case _:
            return _of_filled(name, lists, data, dtype)


def _of_filled(name: str, lists: Lists, data: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], Mask | None]:
    """Give what an empty list does not have."""
    filled = lists.counts > 0
    present = None if filled.all() else filled
    result = _mean(lists, data) if name == "mean" else _extreme(name, lists, data)
    return result.astype(dtype, copy=False), present


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
    if name == "sum" and data.dtype.kind == "f":
        return np.bincount(lists.parents, weights=data, minlength=len(lists.starts))  # it adds one weight after the other
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    return np.asarray(getattr(ak, name)(_nested(lists, data), axis=1))


def _mean(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    return _folded("sum", lists, data.astype(np.float64, copy=False)) / lists.counts


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


def _nested(lists: Lists, data: NDArray[Any]) -> Any:
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(lists.offsets), ak.contents.NumpyArray(data)))
