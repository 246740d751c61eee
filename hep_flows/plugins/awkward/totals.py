"""Aggregates over all events: each range of events gives a part.

The parts are plain Python values. Whole numbers are exact, whatever their size. Floats add up in 64 bits, strictly one after the other
in the order of the entries: a part that is carried on over the next slice of its range has the bits of one that had all entries at
once, so where a range is cut into slices changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.plugins.awkward.reduce import truth_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hep_flows.plugins.awkward.values import Value

    Part = Callable[[Value, Any], Any]

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
    if name in _OF_ALL:  # its second step needs the mean of the whole range
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
    mean = _folded(np.add, data, 0.0) / len(data)
    return len(data), mean, _folded(np.add, (data - mean) ** 2, 0.0)


def _folded(operation: np.ufunc, data: NDArray[Any], before: float) -> float:
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
    return _folded(np.add, data, before or 0.0) if data.dtype.kind == "f" else _whole_sum(data) + (before or 0)


def _whole_sum(data: NDArray[Any]) -> int:
    if data.dtype == np.bool_:
        return int(np.count_nonzero(data))
    if data.dtype.itemsize < 8:
        return int(data.sum(dtype=np.int64))
    low = data & data.dtype.type(2**HALF - 1)
    return (int((data >> data.dtype.type(HALF)).sum()) << HALF) + int(low.sum())


def _mean(value: Value, before: Any) -> tuple[float, int]:
    total, n_items = before or (0.0, 0)
    data = _present(value)
    total = _folded(np.add, data, total) if data.dtype.kind == "f" else total + _whole_sum(data)
    return (total, n_items + len(data))


def _product(value: Value, before: Any) -> int | float:
    data = _present(value)
    start = 1 if before is None else before
    return _folded(np.multiply, data, start) if data.dtype.kind == "f" else _whole_product(data) * start


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


def _extreme(largest: bool) -> Part:  # noqa: FBT001
    """Give the largest or smallest; of two zeros the one with the fitting sign, whichever comes first."""
    choose = np.max if largest else np.min

    def part_of(value: Value, before: Any) -> Any:
        data = _present(value)
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
        usable = np.ones(len(data), dtype=np.bool_) if value.valid is None else value.valid
        if data.dtype.kind == "f":
            usable = usable & ~np.isnan(data)
        places = np.flatnonzero(usable)
        n_items = n_before + len(data)
        if not len(places):
            return n_items, place_before, best_before
        place = int(places[(np.argmax if largest else np.argmin)(data[places])])
        best = data[place].item()
        if place_before is not None and not (best > best_before if largest else best < best_before):
            return n_items, place_before, best_before
        return n_items, n_before + place, best

    return part_of


_OF_ALL = frozenset({"std", "var"})
PARTS: Mapping[str, Part] = {
    "count": lambda value, before: value.n_items + (before or 0),
    "sum": _sum,
    "prod": _product,
    "any": _any,
    "all": _all,
    "mean": _mean,
    "max": _extreme(largest=True),
    "min": _extreme(largest=False),
    "argmax": _best(largest=True),
    "argmin": _best(largest=False),
}
