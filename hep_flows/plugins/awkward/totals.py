"""Aggregates over all events: each range of events gives a part.

The parts are plain Python values. Whole numbers are exact, whatever their size; floats add up in 64 bits.
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

HALF = 32


def part(name: str, value: Value) -> Any:
    """Give the part of one range of events; ``value`` has one item for each event, or for each entry of its lists.

    How parts are merged stands in the table of functions: `hep_flows.expr.functions.Function.merge`.
    """
    return PARTS[name](value)


def _present(value: Value) -> Any:
    return value.data if value.valid is None else value.data[value.valid]


def _moments(value: Value) -> tuple[int, float, float]:
    """Give the number of entries, their mean, and the sum of the squared distances from it."""
    data = np.asarray(_present(value), dtype=np.float64)
    if not len(data):
        return 0, 0.0, 0.0
    mean = _in_order(data) / len(data)
    return len(data), mean, _in_order((data - mean) ** 2)


def _in_order(data: NDArray[Any]) -> float:
    """Give the sum in the order of the entries, which no machine does in another way."""
    return float(np.cumsum(data)[-1])


def _best(choose: Callable[[NDArray[Any]], Any]) -> Callable[[Value], tuple[int, int | None, Any]]:
    """Give the number of events, and the place and value of the first of the best numbers."""

    def part_of(value: Value) -> tuple[int, int | None, Any]:
        data = value.data
        usable = np.ones(len(data), dtype=np.bool_) if value.valid is None else value.valid
        if data.dtype.kind == "f":
            usable = usable & ~np.isnan(data)
        places = np.flatnonzero(usable)
        if not len(places):
            return len(data), None, None
        place = int(places[choose(data[places])])
        return len(data), place, data[place].item()

    return part_of


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


PARTS: Mapping[str, Callable[[Value], Any]] = {
    "count": lambda value: value.n_items,
    "sum": lambda value: _sum(_present(value)),
    "prod": lambda value: _product(_present(value)),
    "any": lambda value: bool(truth_of(_present(value)).any()),
    "all": lambda value: bool(truth_of(_present(value)).all()),
    "mean": lambda value: (float(_sum(_present(value))), len(_present(value))),
    "max": lambda value: _present(value).max().item() if len(_present(value)) else None,
    "min": lambda value: _present(value).min().item() if len(_present(value)) else None,
    "std": _moments,
    "var": _moments,
    "argmax": _best(np.argmax),
    "argmin": _best(np.argmin),
}
