"""Aggregates over all events: each range of events gives a part, and the parts are merged in order.

The parts are plain Python values. Whole numbers are exact, whatever their size; floats add up in 64 bits.
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


def part(name: str, value: Value) -> Any:
    """Give the part of one range of events; ``value`` has one item for each event."""
    if name == "count":
        return value.n_items
    data = value.data if value.valid is None else value.data[value.valid]
    match name:
        case "sum":
            return _sum(data)
        case "prod":
            return _product(data)
        case "any":
            return bool(truth_of(data).any())
        case "all":
            return bool(truth_of(data).all())
        case "mean":
            return (float(_sum(data)), len(data))
        case "max" | "min":
            return getattr(np, name)(data).item() if len(data) else None
        case _:
            raise ValueError(f"{name} is no aggregate")


def _sum(data: NDArray[Any]) -> int | float:
    if data.dtype.kind == "f":
        return float(data.sum(dtype=np.float64))
    if data.dtype == np.bool_:
        return int(np.count_nonzero(data))
    if data.dtype.itemsize < 8:
        return int(data.sum(dtype=np.int64))
    low = data & data.dtype.type(2**HALF - 1)
    return (int((data >> data.dtype.type(HALF)).sum()) << HALF) + int(low.sum())


def _product(data: NDArray[Any]) -> int | float:
    if data.dtype.kind == "f":
        return float(data.prod(dtype=np.float64))
    if data.dtype == np.bool_:
        return int(data.all())
    if not data.all():
        return 0
    factors = [int(x) for x in data[data != 1]]
    while len(factors) > 1:  # pairs of like size: one long product would take quadratic time
        factors = [math.prod(factors[i : i + 2]) for i in range(0, len(factors), 2)]
    return factors[0] if factors else 1


def merged(name: str, parts: Sequence[Any]) -> Any:
    """Give the final value, a plain bool, int, float or None."""
    match name:
        case "count" | "sum":
            return sum(parts)
        case "prod":
            return math.prod(parts)
        case "any":
            return any(parts)
        case "all":
            return all(parts)
        case "mean":
            n_items = sum([n for _, n in parts])
            return sum([s for s, _ in parts]) / n_items if n_items else None
        case "max" | "min":
            return _extreme(name, [p for p in parts if p is not None])
        case _:
            raise ValueError(f"{name} is no aggregate")


def _extreme(name: str, parts: Sequence[Any]) -> Any:
    if any(isinstance(p, float) and math.isnan(p) for p in parts):
        return math.nan
    if not parts:
        return None
    return max(parts) if name == "max" else min(parts)
