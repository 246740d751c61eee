"""Functions of the innermost lists: aggregates with one result for each, and functions with a list for each.

Missing items are skipped, except that ``count`` counts entries. An empty list gives count and sum 0, product 1, any false, all
true, and no maximum, minimum or mean. Floats add up one after the other in 64 bits. A NaN counts as missing in the maximum and the
minimum.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.plugins.awkward.functions import is_filled, is_text
from hep_flows.plugins.awkward.values import Lists, dtype_of, kept_lists, offsets_of, running_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.values import Mask, Value

    Kernel = Callable[..., tuple[NDArray[Any], Mask | None]]
    ListKernel = Callable[..., tuple[Lists, NDArray[Any], Mask | None]]
    Part = Callable[[Value, Any], Any]


def reduced(
    name: str, lists: Lists, data: Any, valid: Mask | None, item: Item, options: Mapping[str, Any]
) -> tuple[NDArray[Any], Mask | None]:
    """Give one item for each list, in exactly the type of the item, and where it is valid (None: everywhere)."""
    found, present = KERNELS[name](lists, data, valid, **options)
    return found.astype(dtype_of(item), copy=False), present


def list_of_each(
    name: str, lists: Lists, data: Any, valid: Mask | None, item: Item, options: Mapping[str, Any]
) -> tuple[Lists, NDArray[Any], Mask | None]:
    """Give a list for each list: the new lists, their items in exactly the type of the item, and where they are valid."""
    new, found, there = LIST_KERNELS[name](lists, data, valid, **options)
    return new, found.astype(dtype_of(item), copy=False), None if there is None or there.all() else there


def of_present(kernel: Callable[..., NDArray[Any]], *, on_empty: bool) -> Kernel:
    """Give the kernel of what is there; without a value ``on_empty``, an empty list has no result."""

    def reduce(lists: Lists, data: Any, valid: Mask | None, **options: Any) -> tuple[NDArray[Any], Mask | None]:
        if valid is not None and not valid.all():
            lists, data = kept_lists(lists, valid), data[valid]
        filled = None if on_empty else lists.counts > 0
        return kernel(lists, data, **options), None if filled is None or filled.all() else filled

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
    if name == "sum" and data.dtype.kind == "f":
        data = data.astype(np.float64, copy=False)  # awkward adds the items of a list one after the other, in their own width
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
    return np.asarray(getattr(ak, name)(_nested(lists, data), axis=1, mask_identity=False))


def _of_known(kernel: Callable[[Lists, Any], NDArray[Any]]) -> Kernel:
    """Give the kernel of what is there and is a number."""
    of_numbers = of_present(kernel, on_empty=False)

    def reduce(lists: Lists, data: Any, valid: Mask | None) -> tuple[NDArray[Any], Mask | None]:
        if data.dtype.kind == "f" and (unknown := np.isnan(data)).any():
            valid = ~unknown if valid is None else valid & ~unknown
        return of_numbers(lists, data, valid)

    return reduce


def _variance(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    """Give the mean square of the distance from the mean of each list, each sum in the order of the entries and in 64 bits."""
    size = len(lists.counts)
    values = data.astype(np.float64, copy=False)
    mean = np.bincount(lists.parents, values, size) / lists.counts
    distance = values - mean[lists.parents]
    return np.asarray(np.bincount(lists.parents, distance * distance, size) / lists.counts)


def ordered(data: NDArray[Any], valid: Mask | None) -> Mask:
    """Say which items have a place in an order: what is missing has none, nor what is no number."""
    there = np.ones(len(data), dtype=np.bool_) if valid is None else valid
    return there & ~np.isnan(data) if data.dtype.kind == "f" else there


def _median(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    """Give the middle of each list, or the mean of the two in the middle."""
    if not len(data):
        return np.zeros(len(lists.counts))
    values = _sorted(lists, data)
    last = np.maximum(lists.counts - 1, 0)
    starts = np.minimum(lists.starts, len(values) - 1)
    return _or_nan((values[starts + last // 2] + values[starts + (last + 1) // 2]) / 2, lists, data)


def _quantile(lists: Lists, data: NDArray[Any], q: float) -> NDArray[Any]:
    """Give numpy's linear quantile of each list: between two entries, on the line through both."""
    if not len(data):
        return np.zeros(len(lists.counts))
    values = _sorted(lists, data)
    place = q * np.maximum(lists.counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    starts, part = np.minimum(lists.starts, len(values) - 1), place - below
    low, high = values[starts + below], values[np.minimum(starts + below + 1, len(values) - 1)]
    high = np.where(part > 0, high, low)
    # From the nearer of the two, so that it is exact at both ends.
    return _or_nan(np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part)), lists, data)


def _sorted(lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    return data[np.lexsort((data, lists.parents))].astype(np.float64, copy=False)


def _or_nan(found: NDArray[Any], lists: Lists, data: NDArray[Any]) -> NDArray[Any]:
    """Give no number for a list in which one is none."""
    return np.where(_truth("any", lists, np.isnan(data)), np.nan, found) if data.dtype.kind == "f" else found


def _running_sum(lists: Lists, data: NDArray[Any], valid: Mask | None) -> tuple[Lists, NDArray[Any], Mask | None]:
    """Add up each list in the order of its entries, in 64 bits: all first entries, all second ones, and so on."""
    total: NDArray[Any] = data.astype(np.float64 if data.dtype.kind == "f" else np.uint64 if data.dtype.kind == "u" else np.int64)
    if valid is not None:
        total[~valid] = 0
    if total.dtype.kind != "f":
        before = np.concatenate([np.zeros(1, total.dtype), np.cumsum(total)])
        return lists, before[1:] - before[lists.starts][lists.parents], valid
    longer = np.flatnonzero(lists.counts > 1)
    place = 1
    while len(longer):
        at = lists.starts[longer] + place
        total[at] += total[at - 1]
        place += 1
        longer = longer[lists.counts[longer] > place]
    return lists, total, valid


def _rank(lists: Lists, data: NDArray[Any], valid: Mask | None) -> tuple[Lists, NDArray[Any], Mask | None]:
    usable = ordered(data, valid)
    found = np.empty(len(data), dtype=np.int64)
    found[np.lexsort((data, ~usable, lists.parents))] = lists.positions
    return lists, found, usable


def _unique(lists: Lists, data: NDArray[Any], valid: Mask | None) -> tuple[Lists, NDArray[Any], Mask | None]:
    if valid is not None:
        lists, data = kept_lists(lists, valid), data[valid]
    order = np.lexsort((data, lists.parents))
    values, parents = data[order], lists.parents
    new = np.ones(len(values), dtype=np.bool_)
    same = values[1:] == values[:-1]
    if values.dtype.kind == "f":
        same |= np.isnan(values[1:]) & np.isnan(values[:-1])
    new[1:] = ~same | (parents[1:] != parents[:-1])
    return kept_lists(lists, new), values[new], None


def _order(lists: Lists, data: NDArray[Any], valid: Mask | None, *, descending: bool) -> tuple[Lists, NDArray[Any], Mask | None]:
    usable = ordered(data, valid)
    # Turned round exactly, whatever the kind; equal ones stay as they come.
    key = data if not descending else -data if data.dtype.kind == "f" else ~data
    # What lies behind a missing one is nobody's: they stay as they come, too.
    key = np.where(usable, key, key.dtype.type(0))
    order = np.lexsort((key, ~usable, lists.parents))
    return lists, lists.positions[order], None


def combinations(lists: Lists, n: int) -> tuple[Lists, list[NDArray[np.int64]]]:
    """Give the lists of all choices of ``n`` items of each list, in the order 01, 02, 12, and the position of each member.

    Each round adds a member to the choices so far, which are only those that can be completed: nothing is made to be left out.
    """
    starting = np.flatnonzero(lists.positions <= lists.counts[lists.parents] - n)
    list_of, members = lists.parents[starting], [lists.positions[starting]]
    for place in range(1, n):
        highest = lists.counts[list_of] - n + place
        more = Lists(offsets_of(highest - members[-1]))
        members = [m[more.parents] for m in members]
        members.append(members[-1] + 1 + more.positions)
        list_of = list_of[more.parents]
    return Lists(offsets_of(np.bincount(list_of, minlength=len(lists.counts)))), members


def _padded(lists: Lists, data: Any, valid: Mask | None, *, n: int, clip: bool) -> tuple[Lists, NDArray[Any], Mask | None]:  # noqa: ARG001
    counts = np.full(len(lists.counts), n, dtype=np.int64)
    new = Lists(offsets_of(counts if clip else np.maximum(counts, lists.counts)))
    return new, new.positions, None


def _position(name: str) -> Kernel:
    """Give the place of the first of the largest or smallest numbers of each list; what is no number has no place in any order."""

    def reduce(lists: Lists, data: Any, valid: Mask | None) -> tuple[NDArray[Any], Mask | None]:
        usable = ordered(data, valid)
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
    "max": _of_known(partial(_extreme, "max")),
    "min": _of_known(partial(_extreme, "min")),
    "mean": of_present(_mean, on_empty=False),
    "median": of_present(_median, on_empty=False),
    "quantile": of_present(_quantile, on_empty=False),
    "var": of_present(_variance, on_empty=False),
    "std": of_present(lambda lists, data: np.sqrt(_variance(lists, data)), on_empty=False),
    "argmax": _position("max"),
    "argmin": _position("min"),
}

LIST_KERNELS: Mapping[str, ListKernel] = {
    "cumsum": _running_sum,
    "rank": _rank,
    "index": lambda lists, data, valid: (lists, lists.positions, None),  # noqa: ARG005
    "unique": _unique,
    "argsort": _order,
    "argpad": _padded,
}


# Aggregates over all events: each range of events gives a part -------------------------------------------------------------------
#
# The parts are plain Python values. Whole numbers are exact, whatever their size. Floats add up in 64 bits, strictly one after the other
# in the order of the entries: a part that is carried on over the next slice of its range has the bits of one that had all entries at
# once, so where a range is cut into slices changes nothing.

HALF = 32
# Numbers that are added up at a time: few enough to stay in the cache of a processor.
_BLOCK = 2**15


def part(name: str, value: Value, before: Any = None, *, more: bool = False) -> Any:
    """Give the part of one range of events; ``value`` has one item for each event, or for each entry of its lists.

    How parts are merged stands in the table of functions: `hep_flows.expr.functions.Function.merge`.

    Parameters
    ----------
    name : str
        The aggregate.
    value : Value
        What is aggregated.
    before : optional
        What came of the slices of the same range before these events; nothing where they are the first.
    more : bool
        Whether another slice of the range follows.
    """
    if name in OF_ALL:  # its second step needs the mean of the whole range
        entries = np.asarray(_present(value), dtype=np.float64)
        entries = entries if before is None else np.concatenate([before, entries])
        return entries if more else _moments(entries)
    return PARTS[name](value, before)


def _present(value: Value) -> Any:
    return value.data if value.valid is None else value.data[value.valid]


def _moments(data: NDArray[np.float64]) -> tuple[int, float, float]:
    """Give the number of entries, their mean, and the sum of the squared distances from it."""
    if not len(data):
        return 0, 0.0, 0.0
    mean = _folded_on(np.add, data, 0.0) / len(data)
    return len(data), mean, _folded_on(np.add, (data - mean) ** 2, 0.0)


def _folded_on(operation: np.ufunc, data: NDArray[Any], before: float) -> float:
    """Add up, or multiply, strictly one after the other: numpy's own sums go by pairs, and depend on how many there are."""
    total = np.float64(before)
    room = np.empty(min(_BLOCK, len(data)))
    with np.errstate(all="ignore"):
        for start in range(0, len(data), _BLOCK):
            some = room[: len(data) - start]
            some[:] = data[start : start + _BLOCK]
            some[0] = operation(total, some[0])
            total = operation.accumulate(some, out=some)[-1]
    return float(total)


def _sum(value: Value, before: Any) -> int | float:
    data = _present(value)
    return _folded_on(np.add, data, before or 0.0) if data.dtype.kind == "f" else _whole_sum(data) + (before or 0)


def _whole_sum(data: NDArray[Any]) -> int:
    if data.dtype == np.bool_:
        return int(np.count_nonzero(data))
    if data.dtype.itemsize < 8:
        return int(data.sum(dtype=np.int64))
    low = data & data.dtype.type(2**HALF - 1)
    return (int((data >> data.dtype.type(HALF)).sum()) << HALF) + int(low.sum())


def _mean_of_parts(value: Value, before: Any) -> tuple[float, int]:
    total, n_items = before or (0.0, 0)
    data = _present(value)
    total = _folded_on(np.add, data, total) if data.dtype.kind == "f" else total + _whole_sum(data)
    return (total, n_items + len(data))


def _product(value: Value, before: Any) -> int | float:
    data = _present(value)
    start = 1 if before is None else before
    return _folded_on(np.multiply, data, start) if data.dtype.kind == "f" else _whole_product(data) * start


def _whole_product(data: NDArray[Any]) -> int:
    if data.dtype == np.bool_:
        return int(data.all())
    if not data.all():
        return 0
    factors = [int(x) for x in data[data != 1]]
    while len(factors) > 1:  # pairs of like size: one long product would take quadratic time
        factors = [math.prod(factors[i : i + 2]) for i in range(0, len(factors), 2)]
    return factors[0] if factors else 1


def _any(value: Value, before: Any) -> bool:
    return bool(before) or bool(truth_of(_present(value)).any())


def _all(value: Value, before: Any) -> bool:
    return before is not False and bool(truth_of(_present(value)).all())


def _extreme_of_parts(largest: bool) -> Part:  # noqa: FBT001
    """Give the largest or smallest; of two zeros the one with the fitting sign, whichever comes first."""
    choose = np.max if largest else np.min

    def part_of(value: Value, before: Any) -> Any:
        data = _present(value)
        if data.dtype.kind == "f":
            data = data[~np.isnan(data)]
        if before is not None:
            data = np.append(data, np.asarray(before, dtype=data.dtype))
        if not len(data):
            return None
        found = choose(data).item()
        if isinstance(found, float) and found == 0:
            negative = np.signbit(data[data == 0])
            return -0.0 if (negative.all() if largest else negative.any()) else 0.0
        return found

    return part_of


def _best(largest: bool) -> Part:  # noqa: FBT001
    """Give the number of events, and the place and value of the first of the best numbers."""

    def part_of(value: Value, before: Any) -> tuple[int, int | None, Any]:
        n_before, place_before, best_before = before or (0, None, None)
        data = value.data
        places = np.flatnonzero(ordered(data, value.valid))
        n_items = n_before + len(data)
        if not len(places):
            return n_items, place_before, best_before
        place = int(places[(np.argmax if largest else np.argmin)(data[places])])
        best = data[place].item()
        if place_before is not None and not (best > best_before if largest else best < best_before):
            return n_items, place_before, best_before
        return n_items, n_before + place, best

    return part_of


OF_ALL = frozenset({"std", "var"})
PARTS: Mapping[str, Part] = {
    "count": lambda value, before: value.n_items + (before or 0),
    "sum": _sum,
    "prod": _product,
    "any": _any,
    "all": _all,
    "mean": _mean_of_parts,
    "max": _extreme_of_parts(largest=True),
    "min": _extreme_of_parts(largest=False),
    "argmax": _best(largest=True),
    "argmin": _best(largest=False),
}
