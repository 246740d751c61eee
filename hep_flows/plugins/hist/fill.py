"""Fill histograms: one partition's part of a chain of fills, and the sum of the parts.

A part holds what was filled into an empty copy of the template: fill by fill, in the order of the entries. Where a range of events
comes in slices, the first fill of a chain goes on where it was, and the entries of the others wait until the range is complete, so
that every bin adds up in the same order wherever the range is cut. Where a numeric axis grows, bins depend on the order of the
entries, so such a part holds the entries themselves, and the sum fills them in the order of the partitions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np

from hep_flows.contract import UNKNOWN_TEXTS, Columns, HistogramResult, Scalar, unknown_texts
from hep_flows.errors import PluginError, TaskError
from hep_flows.expr.nodes import Call, Input, Literal
from hep_flows.expr.types import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from boost_histogram.axis import Axis

    from hep_flows.contract import Key, Result
    from hep_flows.expr.nodes import Expr

    Column = npt.NDArray[Any]

# From a nested record array to flat columns of complete entries ------------------------------------------------------------------


def entries(array: ak.Array, names: tuple[str, ...]) -> dict[str, Column]:
    """Give the members of every record, in order, without those records of which any member is missing.

    Parameters
    ----------
    array : ak.Array
        Records, nested or not; whole lists and whole records may be missing too.
    names : tuple of str
        The members.
    """
    at_once = _numbers_only(array.layout, names)
    if at_once is not None:
        return at_once
    flat = _flat(array, names)
    columns = [flat[n] for n in names]
    present: Any = None
    for column in columns:
        if isinstance(column.type.content, ak.types.OptionType):
            here = ~ak.to_numpy(ak.is_none(column))
            present = here if present is None else present & here
    if present is not None and not present.all():
        columns = [c[present] for c in columns]
    return {n: _column(c) for n, c in zip(names, columns, strict=True)}


def _numbers_only(layout: Any, names: tuple[str, ...]) -> dict[str, Column] | None:
    """Give the columns as they lie in memory, where they are numbers, none is missing, and none is a list in its record; else None."""
    while isinstance(layout, ak.contents.ListOffsetArray):
        layout = layout.content[layout.offsets[0] : layout.offsets[-1]]
    if not isinstance(layout, ak.contents.RecordArray):
        return None
    contents = [layout.content(n) for n in names]
    if not all(isinstance(c, ak.contents.NumpyArray) and c.data.ndim == 1 for c in contents):
        return None
    return {n: np.asarray(c.data[: layout.length]) for n, c in zip(names, contents, strict=True)}


def _flat(array: ak.Array, names: tuple[str, ...]) -> ak.Array:
    if any(array[n].ndim > array.ndim for n in names):
        array = ak.zip({n: array[n] for n in names})
    while array.ndim > 1:
        array = ak.flatten(array, axis=1)
    return ak.drop_none(array, axis=0)


def _column(values: ak.Array) -> Column:
    if not len(values):
        return np.array([], dtype=_dtype(values))
    plain: Column = np.asarray(ak.to_numpy(ak.drop_none(values, axis=0)))
    return plain


def _dtype(values: ak.Array) -> Any:
    """Give the type of no values: text where strings were to come, floats where nothing is known."""
    content = values.type.content
    if isinstance(content, ak.types.OptionType):
        content = content.content
    if isinstance(content, ak.types.ListType):
        return "<U1"
    return content.primitive if isinstance(content, ak.types.NumpyType) else "float64"


# From the text of a histogram's axes and storage to an empty `hist.Hist` ---------------------------------------------------------


def template(spec: str) -> hist.Hist[Any]:
    """Give the empty histogram that `hep_flows.record.histogram` describes.

    Parameters
    ----------
    spec : str
        JSON: ``axes`` (each ``kind`` and the arguments of hist's axis of that name), ``storage``, ``name``, ``label``, ``metadata``.
    """
    read = json.loads(spec)
    axes = [_axis(a) for a in read["axes"]]
    storage = _storage(read["storage"])
    return hist.Hist(*axes, storage=storage, name=read["name"], label=read["label"], metadata=read["metadata"])


def _storage(spec: Mapping[str, Any]) -> Any:
    kind = getattr(hist.storage, spec["kind"], None)
    if kind is None:
        raise PluginError(f"this version of hist has no storage {spec['kind']}", do="install a newer hist")
    return kind(spec["cells"]) if "cells" in spec else kind()


def _axis(spec: Mapping[str, Any]) -> Axis:
    names = {"name": spec["name"], "label": spec["label"], "metadata": spec["metadata"]}
    flow = {k: spec[k] for k in ("underflow", "overflow", "growth", "circular") if k in spec}
    match spec["kind"]:
        case "Regular":
            ends = (spec["bins"], spec["start"], spec["stop"])
            axis = hist.axis.Regular(*ends, **names, **flow, transform=_transform(spec["transform"]))
        case "Variable":
            axis = hist.axis.Variable(spec["edges"], **names, **flow)
        case "Integer":
            axis = hist.axis.Integer(spec["start"], spec["stop"], **names, **flow)
        case "IntCategory":
            axis = hist.axis.IntCategory(spec["categories"], **names, **flow)
        case "StrCategory":
            axis = hist.axis.StrCategory(spec["categories"], **names, **flow)
        case _:
            axis = hist.axis.Boolean(**names)
    axis.__dict__.update(spec["attributes"])
    return axis


def _transform(spec: Mapping[str, Any] | None) -> Any:
    if spec is None:
        return None
    match spec["kind"]:
        case "log":
            return hist.axis.transform.log
        case "sqrt":
            return hist.axis.transform.sqrt
        case _:
            return hist.axis.transform.Pow(spec["power"])


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


def constant_factor(expr: Expr) -> float | None:
    """Give the constant that multiplies what was filled, when all of it is merged; None where there is none."""
    if isinstance(expr, Call) and expr.function == "scaled" and isinstance(expr.args[1], Literal):
        of = expr.args[0]
        if isinstance(of, Call) and of.function != "scaled":
            return float(expr.args[1].value)  # type: ignore[arg-type]
    return None


def times(histogram: hist.Hist[Any], factor: float) -> hist.Hist[Any]:
    """Give a finished histogram times a number: values by the number, variances by its square, in float64.

    A bin that nothing was filled into stays empty whatever the number is: of a dataset without events the sum of weights is zero.
    """
    with np.errstate(all="ignore"):
        total = histogram * factor
    if not np.isfinite(factor):
        view, before = np.asarray(total.view(flow=True)), np.asarray(histogram.view(flow=True))
        view[(before if before.dtype.names is None else before["variance"]) == 0] = 0
    _note_unknown(total, unknown_texts(histogram))
    return total


def chain(expr: Expr) -> tuple[Expr, tuple[Call, ...]]:
    """Give where a chain of fills begins (``histogram`` or an `Input`), and the fills in order; a constant that multiplies it comes later."""
    fills: list[Call] = []
    if constant_factor(expr) is not None:
        expr = expr.inputs()[0]
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
            _note_unknown(self._total, unknown_texts(part.filled))

    def histogram(self) -> hist.Hist[Any]:
        """Give the sum."""
        total = template(self._spec) if self._total is None else self._total
        return _with_variances(total, weighted=self._weighted) if self._parts > 1 else total


def scaled(call: Call, inputs: Mapping[Key, Result]) -> FillPart:
    """Give a finished histogram, or one times another number, times a number."""
    of, number = call.args
    if isinstance(of, Call):
        given = scaled(of, inputs).base if of.function == "scaled" else template(of.type.item.spec)  # type: ignore[union-attr]
    else:
        given = _given(of, inputs)
    assert given is not None
    return FillPart(times(given, float(_given(number, inputs))), None, ())


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
    _note_unknown(fresh, unknown_texts(total))
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
    unknown: dict[str, int] = {}
    for axis, values in zip(histogram.axes, batch.axes, strict=True):
        if isinstance(axis, hist.axis.StrCategory) and not axis.traits.growth and isinstance(values, np.ndarray) and values.size:
            number = int(np.count_nonzero(~np.isin(values, np.asarray(list(axis), str))))
            if number:
                unknown[axis.name] = unknown.get(axis.name, 0) + number
    _note_unknown(histogram, unknown)


def _note_unknown(histogram: hist.Hist[Any], more: Mapping[str, int]) -> None:
    """Add to the number of entries whose text is no category."""
    known = unknown_texts(histogram)
    vars(histogram).update({f"{UNKNOWN_TEXTS}{name}": known.get(name, 0) + number for name, number in more.items()})


def summed(expr: Expr, parts: Sequence[FillPart]) -> hist.Hist[Any]:
    """Give the sum of parts, in order."""
    total = FillSum(expr)
    for part in parts:
        total.add(part)
    return total.histogram()


# numpy's histogram of all partitions: counts and edges as `numpy.histogram` gives them for all values at once --------------------
#
# Every partition is counted by numpy itself in the bins that the whole has, so only the sum is ours; and of weights that are floats the
# sum in each bin, which numpy takes by blocks: here it is strictly in the order of the entries.


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
