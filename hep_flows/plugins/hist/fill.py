"""Fill histograms: one partition's part of a chain of fills, and the sum of the parts.

A part holds what was filled into an empty copy of the template: fill by fill, in the order of the entries. Where a range of events
comes in slices, the first fill of a chain goes on where it was, and the entries of the others wait until the range is complete, so
that every bin adds up in the same order wherever the range is cut. Where a numeric axis grows, bins depend on the order of the
entries, so such a part holds the entries themselves, and the sum fills them in the order of the partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hist
import numpy as np

from hep_flows.expr.nodes import Call, Input, Literal
from hep_flows.expr.types import Histogram
from hep_flows.plugin import Columns, HistogramResult, Scalar
from hep_flows.plugins.hist.entries import entries
from hep_flows.plugins.hist.template import template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key
    from hep_flows.plugin import Result

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class Entries:
    """The arguments of one call of ``fill``, axes in order."""

    axes: tuple[Any, ...]
    weight: Any
    sample: Any


@dataclass(frozen=True, slots=True)
class FillPart:
    """What one partition adds to a histogram.

    Parameters
    ----------
    base : hist.Hist, optional
        What all parts are added to, once.
    filled : hist.Hist, optional
        The entries of the partition, filled; None where they have to wait.
    waiting : tuple of Entries
        The entries, where they have to be filled in order.
    later : tuple of tuple of Entries
        Of the second fill of the chain, the third and so on, what waits for the end of the range.
    """

    base: hist.Hist[Any] | None
    filled: hist.Hist[Any] | None
    waiting: tuple[Entries, ...]
    later: tuple[tuple[Entries, ...], ...] = ()


def chain(expr: Expr) -> tuple[Expr, tuple[Call, ...]]:
    """Give where a chain of fills begins (``histogram`` or an `Input`), and the fills in order."""
    fills: list[Call] = []
    while isinstance(expr, Call) and expr.function == "fill":
        fills.append(expr)
        expr = expr.args[0]
    return expr, tuple(reversed(fills))


def fill_part(expr: Expr, inputs: Mapping[Key, Result], before: FillPart | None = None, *, more: bool = False) -> FillPart:
    """Give the part of one partition.

    Parameters
    ----------
    expr : Expr
        The chain of fills.
    inputs : mapping
        Results of other tasks.
    before : FillPart, optional
        The part of the slices of the same range before this one; it is carried on, and not to be used any more.
    more : bool
        Whether another slice of the range follows.
    """
    start, fills = chain(expr)
    base = None
    if isinstance(start, Input):
        given = inputs[start.task]
        assert isinstance(given, HistogramResult)
        base = given.histogram
    assert isinstance(start.type.item, Histogram)
    filled = template(start.type.item.spec) if before is None or before.filled is None else before.filled
    batches = [() if (b := _entries(f, filled, inputs)) is None else (b,) for f in fills]
    if _in_order_only(filled):
        earlier = tuple([(b,) for b in before.waiting]) if before is not None else ()
        return FillPart(base, None, tuple([b for some in (*earlier, *batches) for b in some]))
    waiting = [*before.later] if before is not None and before.later else [() for _ in fills[1:]]
    later = tuple([(*old, *new) for old, new in zip(waiting, batches[1:], strict=True)])
    for some in (*batches[:1], *(() if more else later)):
        for batch in some:
            _fill(filled, batch)
    return FillPart(base, filled, (), later if more else ())


class FillSum:
    """The sum of parts, added one after the other.

    Parameters
    ----------
    expr : Expr
        The chain of fills.
    """

    def __init__(self, expr: Expr) -> None:
        """Begin with nothing."""
        start, fills = chain(expr)
        assert isinstance(start.type.item, Histogram)
        self._spec = start.type.item.spec
        self._weighted = any([f.option("weight") is not None for f in fills])
        self._total: hist.Hist[Any] | None = None
        self._parts = 0

    def add(self, part: FillPart) -> None:
        """Add the next part."""
        if self._total is None and part.base is not None:
            self._total = part.base.copy()
            self._weighted = self._weighted or part.base.variances() is None
            self._parts = 1
        if part.filled is None:
            if self._total is None:
                self._total = template(self._spec)
            for batch in part.waiting:
                _fill(self._total, batch)
            return
        self._parts += 1
        if self._total is None:
            self._total = part.filled.copy()
        else:
            self._total += part.filled

    def histogram(self) -> hist.Hist[Any]:
        """Give the sum."""
        total = template(self._spec) if self._total is None else self._total
        return _with_variances(total, weighted=self._weighted) if self._parts > 1 else total


def filled_alone(expr: Expr, parts: Sequence[FillPart]) -> hist.Hist[Any] | None:
    """Give what some parts fill into an empty histogram; None when they are to be added to another, or have to wait."""
    if any(p.base is not None or p.filled is None for p in parts):
        return None
    return summed(expr, parts)


def _with_variances(total: hist.Hist[Any], *, weighted: bool) -> hist.Hist[Any]:
    """Give the sum as one fill would have left it.

    Adding histograms of plain counts makes boost-histogram forget that their variance is known; the same counts in a new one keep it.
    """
    storage = total.storage_type
    if weighted or storage not in {hist.storage.Double, hist.storage.Int64, hist.storage.AtomicInt64, hist.storage.Unlimited}:
        return total
    fresh = hist.Hist(*total.axes, storage=storage(), name=total.name, label=total.label, metadata=total.metadata)
    fresh[...] = total.view(flow=True)
    return fresh


def _in_order_only(histogram: hist.Hist[Any]) -> bool:
    return any(a.traits.growth and a.traits.continuous for a in histogram.axes)


def _entries(call: Call, empty: hist.Hist[Any], inputs: Mapping[Key, Result]) -> Entries | None:
    """Give the arguments of one fill; None when there is nothing to fill, or a number that all entries share is missing."""
    names = call.option("members")
    sources = call.option("axes")
    assert isinstance(names, tuple)
    assert isinstance(sources, tuple)
    columns: dict[str, Any] = {}
    numbers = list(call.args[1:])
    if names:
        columns = entries(_given(numbers.pop(0), inputs), names)  # type: ignore[arg-type]
    shared = [_given(n, inputs) for n in numbers]
    size = len(next(iter(columns.values()))) if columns else 1
    if size == 0 or any(s is None for s in shared):
        return None

    def value(source: Any) -> Any:
        match source:
            case ("member", name):
                return columns[name]
            case ("number", position):
                return shared[position]
            case ("constant", constant):
                return constant
            case ("cells", parts):
                return np.stack([np.broadcast_to(np.asarray(value(p), float), size) for p in parts], axis=-1)
            case _:
                return None

    axes = [_fitted(value(s), a) for s, a in zip(sources, empty.axes, strict=True)]
    if columns and not any(isinstance(a, np.ndarray) and a.ndim for a in axes):
        axes[0] = np.full(size, axes[0])
    return Entries(tuple(axes), _plain(value(call.option("weight"))), _plain(value(call.option("sample"))))


def _given(node: Expr, inputs: Mapping[Key, Result]) -> Any:
    if isinstance(node, Literal):
        return node.value
    assert isinstance(node, Input)
    match inputs[node.task]:
        case Columns(array):
            return array
        case Scalar(value):
            return value
        case HistogramResult(histogram):
            return histogram


def _plain(values: Any) -> Any:
    """Give truth values as 0 and 1."""
    if isinstance(values, bool):
        return int(values)
    return values.astype(np.int64) if getattr(values, "dtype", None) == np.bool_ else values


def _fitted(values: Any, axis: Any) -> Any:
    """Give values as the axis takes them; integers beyond 32 bits keep their place outside of the axis."""
    if isinstance(axis, hist.axis.StrCategory):
        return values
    values = _plain(values)
    if isinstance(axis, hist.axis.Regular | hist.axis.Variable):
        return values
    if isinstance(axis, hist.axis.IntCategory) and not axis.traits.growth:
        beyond = (np.asarray(values) < _INT32.min) | (np.asarray(values) > _INT32.max)
        return np.where(beyond, _no_category(axis), values) if np.any(beyond) else values
    if axis.traits.growth or axis.traits.circular:
        return values
    return np.clip(values, _INT32.min, _INT32.max)


def _no_category(axis: hist.axis.IntCategory) -> int:
    taken = set(axis)
    return next(i for i in range(_INT32.max) if i not in taken)


def _fill(histogram: hist.Hist[Any], batch: Entries) -> None:
    more = {} if batch.sample is None else {"sample": batch.sample}
    histogram.fill(*batch.axes, weight=batch.weight, **more)


def summed(expr: Expr, parts: Sequence[FillPart]) -> hist.Hist[Any]:
    """Give the sum of parts, in order."""
    total = FillSum(expr)
    for part in parts:
        total.add(part)
    return total.histogram()
