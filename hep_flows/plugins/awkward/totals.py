"""Aggregates over all events: each range of events gives a part, and the parts are merged in order.

The parts are plain Python values. Whole numbers are exact, whatever their size. Floats add up in 64 bits, strictly one after the other
in the order of the entries: a part that is carried on over the next events of its range has the bits of one that had them all at
once, so where the work on a range is interrupted changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.plugins.awkward.reduce import truth_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hep_flows.plugins.awkward.values import Value

HALF = 32
# Numbers that are added up at a time: few enough to stay in the cache of a processor.
_BLOCK = 2**15


def part(name: str, value: Value, before: Any = None) -> Any:
    """Give the part of some events; ``value`` has one item for each.

    Parameters
    ----------
    name : str
        The aggregate.
    value : Value
        What is aggregated.
    before : optional
        The part of the events before these in the same range, which is carried on; nothing where these are the first.
    """
    if name == "count":
        return value.n_items + (before or 0)
    data = value.data if value.valid is None else value.data[value.valid]
    match name:
        case "sum":
            return _sum(data, before)
        case "prod":
            return _product(data, before)
        case "any":
            return bool(before) or bool(truth_of(data).any())
        case "all":
            return before is not False and bool(truth_of(data).all())
        case "mean":
            total, n_items = before or (0, 0)
            return (float(_sum(data, total)), n_items + len(data))
        case "max" | "min":
            found = [] if before is None else [before]
            return _extreme(name, found + ([_largest(name, data)] if len(data) else []))
        case _:
            raise ValueError(f"{name} is no aggregate")


def _sum(data: NDArray[Any], before: Any) -> int | float:
    if data.dtype.kind == "f":
        return _folded(np.add, data, before or 0.0)
    return _whole_sum(data) + (before or 0)


def _whole_sum(data: NDArray[Any]) -> int:
    if data.dtype == np.bool_:
        return int(np.count_nonzero(data))
    if data.dtype.itemsize < 8:
        return int(data.sum(dtype=np.int64))
    low = data & data.dtype.type(2**HALF - 1)
    return (int((data >> data.dtype.type(HALF)).sum()) << HALF) + int(low.sum())


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


def _product(data: NDArray[Any], before: Any) -> int | float:
    if data.dtype.kind == "f":
        return _folded(np.multiply, data, 1.0 if before is None else before)
    return _whole_product(data) * (1 if before is None else before)


def _whole_product(data: NDArray[Any]) -> int:
    if data.dtype == np.bool_:
        return int(data.all())
    if not data.all():
        return 0
    factors = [int(x) for x in data[data != 1]]
    while len(factors) > 1:  # pairs of like size: one long product would take quadratic time
        factors = [math.prod(factors[i : i + 2]) for i in range(0, len(factors), 2)]
    return factors[0] if factors else 1


def _largest(name: str, data: NDArray[Any]) -> Any:
    """Give the largest, or smallest; of two zeros the one with the fitting sign, whichever comes first."""
    found = getattr(np, name)(data).item()
    if found == 0 and isinstance(found, float):
        signs = np.signbit(data[data == 0])
        return -0.0 if (signs.all() if name == "max" else signs.any()) else 0.0
    return found


def merged(name: str, parts: Sequence[Any]) -> Any:
    """Give the final value, a plain bool, int, float or None."""
    match name:
        case "count" | "sum":
            return _added(parts)
        case "prod":
            return math.prod(parts)
        case "any":
            return any(parts)
        case "all":
            return all(parts)
        case "mean":
            n_items = _added([n for _, n in parts])
            return _added([s for s, _ in parts]) / n_items if n_items else None
        case "max" | "min":
            return _extreme(name, [p for p in parts if p is not None])
        case _:
            raise ValueError(f"{name} is no aggregate")


def _added(parts: Sequence[Any]) -> Any:
    """Add up in order; Python's own sum of floats has other digits from release 3.12 on."""
    total = 0
    for one in parts:
        total = total + one
    return total


def _extreme(name: str, parts: Sequence[Any]) -> Any:
    if any(isinstance(p, float) and math.isnan(p) for p in parts):
        return math.nan
    if not parts:
        return None
    found = max(parts) if name == "max" else min(parts)
    return _largest(name, np.asarray(parts, dtype=np.float64)) if found == 0 and isinstance(found, float) else found
