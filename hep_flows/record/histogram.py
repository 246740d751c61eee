"""Histograms with hist's axes and storages: built like hist's quick construction, filled with expressions."""

from __future__ import annotations

import itertools
import json
import math
import operator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, Self

from hep_flows.errors import AxisError, ControlFlowError, FieldError, LiteralError, RecordError, did_you_mean, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Bound, Call, Field, Filter, Literal, Map
from hep_flows.expr.types import Bool, Float, Int, Record, String, is_number
from hep_flows.expr.types import Histogram as HistogramItem
from hep_flows.expr.variations import AXIS as VARIATION
from hep_flows.expr.variations import labels
from hep_flows.expr.walk import postorder
from hep_flows.record.arguments import checked
from hep_flows.record.instead import LOCAL_HISTOGRAM
from hep_flows.record.operands import expr_of, two_tables
from hep_flows.record.parameters import plain_number
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Constant, Item
    from hep_flows.record.table import Table

    Finish = Callable[[str, Where], "Histogram"]

# The text of a histogram's axes and storage: what `Histogram.new` and a template are turned into ---------------------------------
#
# It is canonical JSON, so equal histograms have equal keys. Axes follow the names and arguments of hist; nothing of hist is imported,
# so every rule that hist checks when an axis is made is checked here, with the user's line.

STORAGES = ("Double", "Int64", "AtomicInt64", "Unlimited", "Weight", "Mean", "WeightedMean", "MultiCell")
_RESERVED = frozenset({"weight", "sample", "threads"})
_INT32 = range(-(1 << 31), 1 << 31)
_FLOW = ("underflow", "overflow", "growth", "circular")


@dataclass(frozen=True, slots=True)
class AxisSpec:
    """One axis: hist's name of its kind, its name, and all its arguments as plain data."""

    kind: str
    name: str
    values: Mapping[str, Any]

    @property
    def takes(self) -> str:
        """What may be filled: ``text``, ``integers`` or ``numbers``."""
        if self.kind == "StrCategory":
            return "text"
        return "numbers" if self.kind in {"Regular", "Variable"} else "integers"


def spec_text(axes: Iterable[AxisSpec], storage: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Give the canonical text; unlabelled axes without a name get hist's label ``Axis 0``, ``Axis 1``, ..."""
    written: list[dict[str, Any]] = []
    for i, axis in enumerate(axes):
        label = axis.values["label"]
        if label in {"", axis.name}:
            label = "" if axis.name else f"Axis {i}"
        written.append({**axis.values, "kind": axis.kind, "name": axis.name, "label": label})
    return json.dumps(
        {"axes": written, "storage": dict(storage), **about}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def axes_of(spec: str) -> tuple[AxisSpec, ...]:
    """Give the axes of a text."""
    return tuple([AxisSpec(a["kind"], a["name"], a) for a in json.loads(spec)["axes"]])


def storage_of(spec: str) -> dict[str, Any]:
    """Give the storage of a text: its ``kind``, and ``cells`` for several values in each bin."""
    storage: dict[str, Any] = json.loads(spec)["storage"]
    return storage


def regular(
    bins: Any, start: Any, stop: Any, transform: Mapping[str, Any] | None, about: Mapping[str, Any], where: Where
) -> AxisSpec:
    """Give an axis of bins of equal width, or of equal width after a transform."""
    values = {"bins": whole(bins, "bins", where), "start": real(start, "start", where), "stop": real(stop, "stop", where)}
    if values["bins"] < 1:
        raise LiteralError(f"an axis needs at least one bin, not {values['bins']}", where=where)
    _check_ascending(values["start"], values["stop"], where)
    _check_transform(transform, values["start"], where)
    flow = _flow(about, where)
    if transform is not None and flow != {"underflow": True, "overflow": True, "growth": False, "circular": False}:
        raise LiteralError("a transformed axis keeps its flow bins, does not grow and is not circular", where=where)
    _check_flow(flow, "Regular", where)
    return _axis("Regular", about, {**values, **flow, "transform": None if transform is None else dict(transform)}, where)


def variable(edges: Any, about: Mapping[str, Any], where: Where) -> AxisSpec:
    """Give an axis of bins between given edges."""
    given = tuple([real(e, "an edge", where, finite=False) for e in several(edges, "edges", where)])
    if len(given) < 2:
        raise LiteralError(f"an axis needs at least two edges, not {len(given)}", where=where)
    for low, high in pairwise(given):
        _check_ascending(low, high, where)
    flow = _flow(about, where)
    _check_flow(flow, "Variable", where)
    return _axis("Variable", about, {"edges": list(given), **flow}, where)


def integer_axis(start: Any, stop: Any, about: Mapping[str, Any], where: Where) -> AxisSpec:
    """Give an axis with one bin for each integer from ``start`` up to, but without, ``stop``."""
    values = {"start": whole(start, "start", where), "stop": whole(stop, "stop", where)}
    _check_ascending(values["start"], values["stop"], where)
    flow = _flow(about, where)
    _check_flow(flow, "Integer", where)
    return _axis("Integer", about, {**values, **flow}, where)


def category_axis(kind: str, given: Any, about: Mapping[str, Any], where: Where) -> AxisSpec:
    """Give an axis of named categories (``StrCategory``) or integer ones (``IntCategory``)."""
    names: list[Any] = []
    for c in several(given, "categories", where):
        if kind == "IntCategory":
            names.append(whole(c, "a category", where))
        elif isinstance(c, str):
            names.append(str(c))
        else:
            raise LiteralError(f"a category of StrCat is text, not {c!r}", where=where, do="use IntCat for integers")
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise LiteralError(f"the category {twice!r} is given twice", where=where)
    growth = flag(about.get("growth", False), "growth", where)
    overflow = about.get("overflow")
    kept = flag(about.get("flow", True) if overflow is None else overflow, "overflow", where)
    return _axis(kind, about, {"categories": names, "growth": growth, "overflow": kept and not growth}, where)


def boolean(about: Mapping[str, Any], where: Where) -> AxisSpec:
    """Give an axis with a bin for false and one for true."""
    return _axis("Boolean", about, {}, where)


def _axis(kind: str, about: Mapping[str, Any], values: Mapping[str, Any], where: Where) -> AxisSpec:
    name = text(about.get("name", ""), "name", where)
    if name in _RESERVED:
        raise LiteralError(f"an axis cannot be called {name!r}", where=where, why="fill takes an argument of that name")
    label = text(about.get("label", ""), "label", where)
    kept = {"label": label, "metadata": plain(about.get("metadata"), "metadata", where)}
    return AxisSpec(kind, name, {**values, **kept, "attributes": plain(about.get("attributes", {}), "attributes", where)})


def _flow(about: Mapping[str, Any], where: Where) -> dict[str, bool]:
    both = flag(about.get("flow", True), "flow", where)
    given = {k: about.get(k) for k in _FLOW}
    found = {k: both if given[k] is None else flag(given[k], k, where) for k in _FLOW[:2]}
    return {**found, **{k: flag(given[k] or False, k, where) for k in _FLOW[2:]}}


def _check_flow(flow: Mapping[str, bool], kind: str, where: Where) -> None:
    """Refuse what hist refuses: growth and circles need the bins that they need."""
    if flow["growth"] and flow["circular"]:
        raise LiteralError("an axis is circular or grows, not both", where=where)
    if flow["growth"] and kind != "Integer" and not (flow["underflow"] and flow["overflow"]):
        raise LiteralError("an axis that grows keeps its flow bins", where=where, do="leave flow, underflow and overflow out")
    if flow["circular"] and kind != "Integer" and not flow["overflow"]:
        raise LiteralError("a circular axis keeps its overflow bin, for values that are not finite", where=where)


def _check_ascending(low: float, high: float, where: Where) -> None:
    if not low < high:
        raise LiteralError(f"an axis goes from low to high, and {low:g} is not below {high:g}", where=where)


def _check_transform(transform: Mapping[str, Any] | None, start: float, where: Where) -> None:
    if transform is None:
        return
    kind = transform["kind"]
    power = transform.get("power", 1.0)
    if kind == "pow" and power == 0:
        raise LiteralError("the power of an axis cannot be 0", where=where)
    if (kind == "log" or power < 0) and start <= 0:
        raise LiteralError(f"this transform needs a start above 0, not {start:g}", where=where)
    if (kind == "sqrt" or power != int(power)) and start < 0:
        raise LiteralError(f"this transform needs a start of 0 or more, not {start:g}", where=where)


def whole(value: Any, what: str, where: Where) -> int:
    """Give an integer of 32 bits, numpy's included."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number not in _INT32:
        raise LiteralError(f"{what} must be an integer of 32 bits, not {_shown(value)}", where=where)
    return number


def real(value: Any, what: str, where: Where, *, finite: bool = True) -> float:
    """Give a float from any kind of real number."""
    number = None
    if not isinstance(value, bool | str) and hasattr(value, "__float__") and not hasattr(value, "_expr"):
        number = float(value)
    if number is None or math.isnan(number) or (finite and math.isinf(number)):
        raise LiteralError(f"{what} must be a {'finite ' if finite else ''}number, not {_shown(value)}", where=where)
    return number


def text(value: Any, what: str, where: Where) -> str:
    """Give a text."""
    if not isinstance(value, str):
        raise LiteralError(f"{what} must be text, not {_shown(value)}", where=where)
    return str(value)


def flag(value: Any, what: str, where: Where) -> bool:
    """Give true or false."""
    if not isinstance(value, bool):
        raise LiteralError(f"{what} must be True or False, not {_shown(value)}", where=where)
    return value


def several(value: Any, what: str, where: Where) -> tuple[Any, ...]:
    """Give the items of a list, tuple, range or array."""
    if isinstance(value, str) or hasattr(value, "_expr") or not hasattr(value, "__iter__"):
        raise LiteralError(f"{what} must be a list, not {_shown(value)}", where=where)
    return tuple(value.tolist() if hasattr(value, "tolist") else value)


def plain(value: Any, what: str, where: Where) -> Any:
    """Give data that can be written as JSON: nothing else can be part of a key or of a stored histogram."""
    value = plain_number(value)
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, list | tuple):
        return [plain(v, what, where) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: plain(v, what, where) for k, v in value.items()}
    raise LiteralError(
        f"{what} must be plain data, and holds {_shown(value)}",
        where=where,
        why="it is part of the key of the histogram and is stored with it",
        do="use None, bool, int, float, str, and lists or dicts of these",
    )


def _shown(value: Any) -> str:
    return f"{value!r}" if isinstance(value, bool | int | float | str) else f"a {type(value).__name__}"


# From an empty `hist.Hist` or `boost_histogram.Histogram` to the text of its axes and storage, without importing either ----------


def spec_of(template: Any, where: Where) -> str:
    """Give the text of an empty histogram.

    Raises
    ------
    LiteralError
        When it is no histogram, is filled, or has something that cannot be written down.
    """
    if not all(hasattr(template, name) for name in ("axes", "storage_type", "view")):
        raise LiteralError(
            f"a histogram is made from an empty hist.Hist, not from {with_article(template)}",
            where=where,
            do="begin with Histogram.new.Reg(50, 0, 100)",
        )
    counts = template.view(flow=True)
    fields = getattr(counts.dtype, "names", None) or ()
    if any([(counts[f] != 0).any() for f in fields] if fields else [(counts != 0).any()]):
        raise LiteralError(
            "a template must be empty, and this histogram is filled",
            where=where,
            why="what it holds would be part of the result, and of no key",
            do="pass h.copy().reset(), and add the two histograms when both are local",
        )
    axes = [_axis_of(a, where) for a in template.axes]
    about = {k: plain(vars(template).get(k), k, where) for k in ("name", "label", "metadata")}
    return spec_text(axes, _storage(template, where), about)


def _storage(template: Any, where: Where) -> dict[str, Any]:
    kind = template.storage_type.__name__
    if kind not in STORAGES:
        raise LiteralError(f"the storage {kind} is not known", where=where, do=f"use one of {', '.join(STORAGES)}")
    return {"kind": kind, "cells": template.view().shape[0]} if kind == "MultiCell" else {"kind": kind}


def _axis_of(axis: Any, where: Where) -> AxisSpec:
    kind = type(axis).__name__
    traits = axis.traits
    kept = dict(vars(axis))
    about: dict[str, Any] = {k: kept.pop(k, "") or "" for k in ("name", "label")}
    about["metadata"] = kept.pop("metadata", None)
    about["attributes"] = kept
    flow = {k: getattr(traits, k) for k in ("underflow", "overflow", "growth", "circular")}
    match kind:
        case "Regular":
            return _regular(axis, {**about, **flow}, where)
        case "Variable":
            return variable(axis.edges, {**about, **flow}, where)
        case "Integer":
            return integer_axis(int(axis.edges[0]), int(axis.edges[-1]), {**about, **flow}, where)
        case "IntCategory" | "StrCategory":
            return category_axis(kind, list(axis), {**about, "growth": traits.growth, "overflow": traits.overflow}, where)
        case "Boolean":
            return boolean(about, where)
        case _:
            raise LiteralError(f"the axis {kind} is not known", where=where)


def _regular(axis: Any, about: dict[str, Any], where: Where) -> AxisSpec:
    transform = transform_of(axis.transform, where)
    start, stop = _ends(axis)
    return regular(axis.size, start, stop, transform, about, where)


def _ends(axis: Any) -> tuple[float, float]:
    """Give start and stop as they were written: edges have gone through the transform and back, and may be off by a bit."""
    found = (float(axis.edges[0]), float(axis.edges[-1]))
    more = {} if axis.transform is None else {"transform": axis.transform}
    for digits in (12, 15):
        written = (float(f"{found[0]:.{digits}g}"), float(f"{found[1]:.{digits}g}"))
        if (type(axis)(axis.size, *written, **more).edges == axis.edges).all():
            return written
    return found


def transform_of(transform: Any, where: Where) -> dict[str, Any] | None:
    """Give the transform of an axis as plain data."""
    if transform is None:
        return None
    if hasattr(transform, "power"):
        return {"kind": "pow", "power": float(transform.power)}
    name = str(transform)
    if name in {"log", "sqrt"}:
        return {"kind": name}
    raise function_transform(where)


def function_transform(where: Where) -> LiteralError:
    """Say why an axis cannot have a transform of one's own."""
    return LiteralError(
        "an axis cannot have a Python function as its transform",
        where=where,
        why="the axes are part of the key, are stored as text, and a function is neither",
        do="use Log, Sqrt or Pow, or Var with the edges that you want",
    )


# The quick construction of histograms, ``Histogram.new.Reg(50, 0, 200, name="pt").Weight()``: hist's names, arguments and order ---
#
# Builders never change: every call gives a new one. Arguments are checked when they are given, and errors show the user's line.


class NewHistogram:
    """A histogram that is being built: axes first, then the storage."""

    __slots__ = ("_axes", "_finish")

    def __init__(self, finish: Finish, axes: tuple[AxisSpec, ...] = ()) -> None:
        """Begin with these axes; ``finish`` makes the histogram."""
        self._finish = finish
        self._axes = axes

    def __repr__(self) -> str:
        """Show the axes so far."""
        return f"<new histogram: {', '.join([f'{a.kind} {a.name}'.strip() for a in self._axes]) or 'no axis yet'}>"

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse: what is not an axis or a storage comes when those are there."""
        if name.startswith("_"):
            raise AttributeError(name)
        steps = [n for n in dir(type(self)) if not n.startswith("_")]
        begun = isinstance(self, NewHistogramWithAxes)
        storage = ".Double() or .Weight()" if begun else ".Reg(50, 0, 200, name='pt').Double()"
        raise FieldError(
            f"a histogram without a storage has no {name!r}",
            where=user_site(),
            why="axes come first, then the storage, then fill",
            do=did_you_mean(name, steps) or f"add {'a storage' if begun else 'an axis and a storage'} before: {storage}",
        )

    def _with(self, axis: AxisSpec, where: Where) -> NewHistogramWithAxes:
        if axis.name and axis.name in [a.name for a in self._axes]:
            raise LiteralError(f"two axes are called {axis.name!r}", where=where)
        return NewHistogramWithAxes(self._finish, (*self._axes, axis))

    def _regular(
        self, ends: tuple[Any, Any, Any], transform: Mapping[str, Any] | None, about: Mapping[str, Any]
    ) -> NewHistogramWithAxes:
        where = user_site()
        return self._with(regular(*ends, transform, about, where), where)

    @checked
    def Regular(  # noqa: N802, PLR0913
        self,
        bins: int,
        start: float,
        stop: float,
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
        transform: Any = None,
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width; the upper edge is open, under- and overflow are kept."""
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._regular((bins, start, stop), transform_of(transform, user_site()), about)

    @checked
    def Sqrt(  # noqa: N802
        self, bins: int, start: float, stop: float, *, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in the square root."""
        return self._regular((bins, start, stop), {"kind": "sqrt"}, {"name": name, "label": label, "metadata": metadata})

    @checked
    def Log(  # noqa: N802
        self, bins: int, start: float, stop: float, *, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in the logarithm."""
        return self._regular((bins, start, stop), {"kind": "log"}, {"name": name, "label": label, "metadata": metadata})

    @checked
    def Pow(  # noqa: N802, PLR0913
        self, bins: int, start: float, stop: float, *, power: float, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in a power."""
        transform = {"kind": "pow", "power": real(power, "power", user_site())}
        return self._regular((bins, start, stop), transform, {"name": name, "label": label, "metadata": metadata})

    def Func(self, *_: Any, **__: Any) -> NewHistogramWithAxes:  # noqa: N802
        """Refuse: a Python function cannot be part of a key."""
        raise function_transform(user_site())

    @checked
    def Variable(  # noqa: N802, PLR0913
        self,
        edges: Iterable[float],
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
    ) -> NewHistogramWithAxes:
        """Add an axis of bins between these edges."""
        where = user_site()
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._with(variable(edges, about, where), where)

    @checked
    def Integer(  # noqa: N802, PLR0913
        self,
        start: int,
        stop: int,
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each integer from ``start`` up to, but without, ``stop``."""
        where = user_site()
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._with(integer_axis(start, stop, about, where), where)

    @checked
    def IntCategory(  # noqa: N802
        self, categories: Iterable[int], *, name: str = "", label: str = "", metadata: Any = None, growth: bool = False
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each of these integers."""
        where = user_site()
        about = {"name": name, "label": label, "metadata": metadata, "growth": growth}
        return self._with(category_axis("IntCategory", categories, about, where), where)

    @checked
    def StrCategory(  # noqa: N802
        self, categories: Iterable[str], *, name: str = "", label: str = "", metadata: Any = None, growth: bool = False
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each of these texts."""
        where = user_site()
        about = {"name": name, "label": label, "metadata": metadata, "growth": growth}
        return self._with(category_axis("StrCategory", categories, about, where), where)

    @checked
    def Boolean(self, name: str = "", label: str = "", metadata: Any = None) -> NewHistogramWithAxes:  # noqa: N802
        """Add an axis with a bin for false and one for true."""
        where = user_site()
        return self._with(boolean({"name": name, "label": label, "metadata": metadata}, where), where)

    Reg, Var, Int, IntCat, StrCat, Bool = Regular, Variable, Integer, IntCategory, StrCategory, Boolean


class NewHistogramWithAxes(NewHistogram):
    """A histogram that has axes and needs a storage."""

    __slots__ = ()

    def _stored(self, kind: str, about: Mapping[str, Any], **more: int) -> Histogram:
        where = user_site()
        kept = {k: None if about[k] is None else text(about[k], k, where) for k in ("name", "label")}
        kept["metadata"] = plain(about["metadata"], "metadata", where)
        return self._finish(spec_text(self._axes, {"kind": kind, **more}, kept), where)

    @checked
    def Double(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Sum weights in 64-bit floats."""
        return self._stored("Double", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Int64(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in 64-bit integers."""
        return self._stored("Int64", {"metadata": metadata, "label": label, "name": name})

    @checked
    def AtomicInt64(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in 64-bit integers that threads may share."""
        return self._stored("AtomicInt64", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Unlimited(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in as many bits as needed."""
        return self._stored("Unlimited", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Weight(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Sum weights and their squares."""
        return self._stored("Weight", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Mean(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Average ``sample``."""
        return self._stored("Mean", {"metadata": metadata, "label": label, "name": name})

    @checked
    def WeightedMean(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Average ``sample`` by weight."""
        return self._stored("WeightedMean", {"metadata": metadata, "label": label, "name": name})

    @checked
    def MultiCell(  # noqa: N802
        self, nelem: int, /, *, metadata: Any = None, label: str | None = None, name: str | None = None
    ) -> Histogram:
        """Sum several weights in each bin."""
        cells = whole(nelem, "the number of cells", user_site())
        return self._stored("MultiCell", {"metadata": metadata, "label": label, "name": name}, cells=cells)


# The arguments of one fill: checked against the axes, and sorted into what is per entry, one number, or constant -----------------

_MEANS = frozenset({"Mean", "WeightedMean"})


def by_axis(axes: Sequence[AxisSpec], values: Sequence[Any], named: Mapping[str, Any], where: Where) -> list[Any]:
    """Give the arguments of ``fill`` in the order of the axes.

    Raises
    ------
    LiteralError
        When one is missing, given twice, or belongs to no axis.
    """
    names = [a.name for a in axes]
    if len(values) > len(axes):
        raise LiteralError(f"the histogram has {len(axes)} axes, and {len(values)} values are given", where=where)
    for name in named:
        if not name or name not in names:
            known = ", ".join(repr(n) for n in names if n) or "none that has a name"
            raise LiteralError(
                f"the histogram has no axis {name!r}",
                where=where,
                why=f"its axes are {known}",
                do=did_you_mean(name, names) or "name the axis when it is made: Reg(50, 0, 200, name='pt')",
            )
        if names.index(name) < len(values):
            raise LiteralError(f"the axis {name!r} is given twice, by its place and by its name", where=where)
    given: list[Any] = list(values)
    for i, axis in enumerate(axes[len(values) :], len(values)):
        if axis.name not in named or not axis.name:
            title = repr(axis.name) if axis.name else f"number {i}"
            raise LiteralError(f"fill needs a value for the axis {title}", where=where)
        given.append(named[axis.name])
    return given


def by_categories(given: Sequence[Any], axes: Sequence[AxisSpec], where: Where) -> Iterator[tuple[list[Any], list[Any]]]:
    """Give the values of one fill for each category that masks were given for, with the masks of that category.

    Raises
    ------
    LiteralError
        When an axis that takes no text is given masks, or no category is named.
    """
    choices: list[list[tuple[Any, Any]]] = []
    for value, axis in zip(given, axes, strict=True):
        if not isinstance(value, dict):
            choices.append([(value, None)])
            continue
        if axis.kind != "StrCategory":
            raise LiteralError(
                f"the axis {axis.name!r} ({axis.kind}) takes {axis.takes}, not masks",
                where=where,
                why="a dict of masks says which categories of a StrCat axis an entry goes into",
                do="filter what is filled: X[mask]",
            )
        if not value or not all(isinstance(label, str) and hasattr(mask, "_expr") for label, mask in value.items()):
            raise LiteralError(
                f"the masks of {axis.name!r} are a dict of categories", where=where, do='region={"SR": mask, "CR": other_mask}'
            )
        choices.append(list(value.items()))
    for chosen in itertools.product(*choices):
        yield [label for label, _ in chosen], [mask for _, mask in chosen if mask is not None]


def missing_where(expr: Expr, *, at_most: bool) -> frozenset[tuple[object, ...]]:
    """Give the reasons why an item may be missing: where lists are empty, where an index points nowhere, ...

    The same reason is missing in the same places, whatever leaf it is taken of.

    Parameters
    ----------
    expr : Expr
        An expression.
    at_most : bool
        Whether to give all reasons that there may be, or only those that make the item missing for sure.
    """
    found: dict[bytes, frozenset[tuple[object, ...]]] = {}
    for node in postorder(expr):
        below = [found[i.key] for i in node.inputs()]
        found[node.key] = _reasons(node, below, at_most=at_most) if node.type.optional else frozenset()
    return found[expr.key]


def _reasons(node: Expr, below: Sequence[frozenset[tuple[object, ...]]], *, at_most: bool) -> frozenset[tuple[object, ...]]:  # noqa: C901, PLR0911
    first: frozenset[tuple[object, ...]] = below[0] if below else frozenset()
    match node:
        case Field():
            stored = node.of.type.item
            own = isinstance(stored, Record) and stored.members[node.name].optional
            return first | ({("stored", node.key)} if own else frozenset())
        case Filter():
            return frozenset([("filter", node.mask.key, node.at, *r) for r in first])
        case Bound():
            return frozenset([("bound", node.level, *r) for r in first])
        case Map():
            return frozenset([("map", node.over.type.axes[1].key, node.level, *r) for r in below[1]])
        case Call(function="where") if not at_most:
            return first
        case Call(function="fill_none"):
            return below[1] if at_most else frozenset()
        case Call(function="pick" | "gather" | "slice" | "flatten"):
            # What is chosen is said by the lists, the index and where it counts; the chosen item may be missing for a reason of its own.
            where_from = () if node.function in ("slice", "flatten") else tuple([a.key for a in node.args[0].type.axes])
            index = node.args[1].key if node.function == "gather" else b""
            chosen = (node.function, node.options, index, where_from)
            makes = node.function in ("pick", "gather")
            return frozenset([(*chosen, *r) for r in first]) | ({chosen} if makes else frozenset())
        case Call(function=str(name)) if FUNCTIONS[name].kind == "reduce":
            of = node.args[0]
            lists = tuple([a.key for a in of.type.axes])
            if of.type.optional or isinstance(of.type.item, Float):
                return frozenset({("none of", name if at_most else "", of.key)})
            # A list of whole numbers has a largest exactly where it has a first entry.
            at = len(of.type.axes) - 1
            return frozenset({("pick", (("index", 0), ("at", at)), b"", lists)})
        case Call():
            return frozenset().union(*below)
        case _:
            return frozenset({("unknown", node.key)})


def check_weight(weight: Expr, values: Sequence[Expr], what: str, leave_out: str, where: Where) -> None:
    """Refuse a weight that may be missing where none of the values of an entry is.

    Raises
    ------
    LiteralError
        With advice that ends with ``leave_out``.
    """
    surely: set[tuple[object, ...]] = set()
    for value in values:
        surely |= missing_where(value, at_most=False)
    if weight.type.optional and not missing_where(weight, at_most=True) <= surely:
        raise LiteralError(
            f"{what} may be missing: it is {weight.type}",
            where=where,
            why="an entry without a weight would be left out, for example where there is no such object",
            do=f"say what it is there: ak.fill_none(w, 1.0); or {leave_out}",
        )


class Fill:
    """The arguments of one fill, collected; ``masks`` choose the entries."""

    def __init__(self, table: Table | None, where: Where, masks: Sequence[Any] = ()) -> None:
        """Begin without arguments."""
        self._masks = masks
        self._table = table
        self._where = where
        self._members: dict[str, Expr] = {}
        self._numbers: list[Expr] = []

    def axis(self, value: Any, axis: AxisSpec) -> tuple[Constant, ...]:
        """Give where the values of an axis come from."""
        expr = self._expr(value, f"the axis {axis.name!r}")
        self._check(expr.type.item, axis)
        if isinstance(expr, Literal) and axis.kind == "StrCategory":
            self._check_category(str(expr.value), axis)
        return self._source(expr, f"axis {len(self._members) + len(self._numbers)}")

    def weight(self, value: Any, storage: Mapping[str, Any], *, allow_missing: bool = False) -> tuple[Constant, ...] | None:
        """Give where the weights come from; the axes come before."""
        if not isinstance(allow_missing, bool):
            raise LiteralError(f"allow_missing_weight is True or False, not {with_article(allow_missing)}", where=self._where)
        self._values = () if allow_missing else tuple([*self._members.values(), *self._numbers])
        self._allow_missing = allow_missing
        if "cells" in storage:
            return self._cells(value, storage["cells"])
        if value is None:
            return None
        expr = self._weight(value, "weight")
        if storage["kind"] in {"Int64", "AtomicInt64"} and not isinstance(expr.type.item, Int | Bool):
            raise LiteralError(
                f"the storage {storage['kind']} counts in whole numbers, and the weight is {expr.type.item}",
                where=self._where,
                why="each weight would be cut to an integer",
                do="use Weight() or Double()",
            )
        return self._source(expr, "weight")

    def sample(self, value: Any, storage: Mapping[str, Any]) -> tuple[Constant, ...] | None:
        """Give where the sample comes from."""
        needed = storage["kind"] in _MEANS
        if needed and value is None:
            raise LiteralError(f"the storage {storage['kind']} needs sample=, the values to average", where=self._where)
        if value is None:
            return None
        if not needed:
            raise LiteralError(
                f"the storage {storage['kind']} takes no sample", where=self._where, do="use Mean() or WeightedMean() to average"
            )
        return self._source(self._number(value, "sample"), "sample")

    def arguments(self) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
        """Give the arguments of the node after the histogram, and the names of what is per entry."""
        mask: Expr | None = None
        for m in self._masks:
            one = self._expr(m, "a mask")
            if not isinstance(one.type.item, Bool) or not one.type.axes:
                raise LiteralError(
                    f"a mask of a category is true or false for each event or object, and this is {one.type}", where=self._where
                )
            mask = one if mask is None else build.call("bitwise_and", (mask, one), where=self._where)
        masks = {} if mask is None else {"mask": mask}
        members = self._members or masks
        if not members:
            return tuple(self._numbers), ()
        every = {**members, **masks}
        filled: Expr = build.record(tuple(every), list(every.values()), self._where)
        if mask is not None:
            filled = build.filtered(filled, mask, len(filled.type.axes) - 1, self._where)
        return (filled, *self._numbers), tuple(members)

    def _cells(self, value: Any, cells: int) -> tuple[Constant, ...]:
        if not isinstance(value, tuple | list) or len(value) != cells:
            raise LiteralError(f"a MultiCell storage needs weight=, a tuple of {cells}: one for each cell", where=self._where)
        parts = [self._source(self._weight(v, f"weight {i}"), f"weight {i}") for i, v in enumerate(value)]
        return ("cells", tuple(parts))

    def _weight(self, value: Any, what: str) -> Expr:
        """Give a weight; one that may be missing where the values are not would lose entries without a word."""
        expr = self._number(value, what)
        if not self._allow_missing:
            leave_out = "fill(..., allow_missing_weight=True) leaves the entries out"
            check_weight(expr, self._values, f"the {what}", leave_out, self._where)
        return expr

    def _number(self, value: Any, what: str) -> Expr:
        expr = self._expr(value, what)
        if not is_number(expr.type.item):
            raise LiteralError(f"{what} must be a number, not {expr.type.item}", where=self._where)
        return expr

    def _expr(self, value: Any, what: str) -> Expr:
        if isinstance(value, tuple | list):
            raise LiteralError(f"{what} takes one expression or constant, not {with_article(value)}", where=self._where)
        expr = expr_of(value, self._table, self._where)
        if expr.type.loops:
            raise AxisError(
                f"{what} depends on the element of a lambda, and a histogram is filled outside of it",
                where=self._where,
                do="fill with the result of map",
            )
        return expr

    def _source(self, expr: Expr, name: str) -> tuple[Constant, ...]:
        if isinstance(expr, Literal):
            return ("constant", expr.value)
        if not expr.type.axes:
            self._numbers.append(expr)
            return ("number", len(self._numbers) - 1)
        self._members[name] = expr
        return ("member", name)

    def _check_category(self, text: str, axis: AxisSpec) -> None:
        known = axis.values["categories"]
        if text not in known and not axis.values["growth"]:
            raise LiteralError(
                f"{text!r} is no category of the axis {axis.name!r}",
                where=self._where,
                why=f"its categories are {', '.join(map(repr, known))}",
                do=did_you_mean(text, known) or "add it, or make the axis grow: StrCat([], growth=True)",
            )

    def _check(self, item: Item, axis: AxisSpec) -> None:
        match axis.takes:
            case "text":
                fits, do = isinstance(item, String), "use IntCat for integers"
            case "integers":
                fits, do = isinstance(item, Int | Bool), "use Reg or Var for numbers, StrCat for text"
            case _:
                fits, do = is_number(item), "name the leaf: x.pt; use StrCat for text"
        if not fits:
            raise LiteralError(f"the axis {axis.name!r} ({axis.kind}) takes {axis.takes}, not {item}", where=self._where, do=do)


# A histogram that was asked for: what it is to be, and the expressions that fill it. It has no value and no operators ------------


class HistogramRequest:
    """A histogram of expressions; `hep_flows.make_local` gives its value.

    ``np.histogram(x)`` gives one; its value is numpy's pair of counts and edges. `hep_flows.Histogram` is the one with hist's axes.
    """

    __slots__ = ("_expr", "_table")
    _expr: Expr
    _table: Table | None

    def __init__(self) -> None:
        """Refuse: requests are made by np.histogram and Histogram."""
        raise RecordError("a histogram is asked for with np.histogram(x) or Histogram.new", where=user_site())

    @classmethod
    def _of(cls, expr: Expr, table: Table | None) -> Self:
        new = object.__new__(cls)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", table)
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a request never changes."""
        raise RecordError(f"{name!r} cannot be set: a histogram request never changes", where=user_site())

    def __iter__(self) -> NoReturn:
        """Refuse to be unpacked: there are no counts yet."""
        raise ControlFlowError(
            "a histogram that is not local yet cannot be unpacked",
            where=user_site(),
            do="write counts, edges = make_local(np.histogram(x))",
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what a histogram with values has."""
        if name.startswith("_"):
            raise AttributeError(name)
        own = [n for n in dir(type(self)) if not n.startswith("_")]
        raise FieldError(
            f"a histogram that is not local yet has no {name!r}",
            where=user_site(),
            why="nothing has been counted yet",
            do=did_you_mean(name, own) or LOCAL_HISTOGRAM,
        )

    def _refused(self, *_: object, **__: object) -> NoReturn:
        raise ControlFlowError(
            "a histogram that is not local yet has no bins and no arithmetic",
            where=user_site(),
            why="nothing has been counted yet",
            do=LOCAL_HISTOGRAM,
        )

    def _times(self, number: Any, *, divided: bool = False) -> Self:
        """Give the finished histogram times a number: a constant, or an expression that is one number for all events."""
        where = user_site()
        item = self._expr.type.item
        assert isinstance(item, HistogramItem)
        kind = json.loads(item.spec)["storage"]["kind"] if item.spec.startswith("{") else ""
        factor = expr_of(number, self._table, where)
        if factor.type.axes or factor.type.loops or not is_number(factor.type.item):
            raise LiteralError(
                f"a histogram is multiplied by one number, not by {factor.type}",
                where=where,
                do="what differs between entries is weight=",
            )
        if factor.type.optional:
            raise LiteralError(
                f"the number may be missing: it is {factor.type}",
                where=where,
                why="an empty selection has no largest value, for example",
                do="say what it is then: ak.fill_none(number, 1.0)",
            )
        if kind not in ("Double", "Weight"):
            raise LiteralError(
                f"{kind or 'numpy'} counts are not multiplied",
                where=where,
                do="use Weight() or Double(), or multiply the values when they are local",
            )
        if divided:
            factor = build.call("true_divide", (build.literal(1.0), factor), where=where)
        return self._of(
            build.histogram("scaled", (self._expr, factor), (), item.spec, where), self._table or getattr(number, "_table", None)
        )

    def __mul__(self, number: Any) -> Self:
        """Give the finished histogram times a number."""
        return self._times(number)

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> Self:
        """Give the finished histogram divided by a number."""
        return self._times(number, divided=True)

    __add__ = __radd__ = __sub__ = __rsub__ = __rtruediv__ = __neg__ = _refused
    __getitem__ = __setitem__ = __len__ = __array__ = __float__ = __array_ufunc__ = __array_function__ = _refused

    def __eq__(self, other: object) -> bool:
        """Say whether it asks for the same histogram of the same table."""
        if not isinstance(other, HistogramRequest):
            return NotImplemented
        return self._expr == other._expr and getattr(self._table, "origin", None) is getattr(other._table, "origin", None)

    def __hash__(self) -> int:
        """Hash by the expression's key."""
        return hash(self._expr)

    def __copy__(self) -> Self:
        """Give itself: it never changes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give itself: it never changes."""
        return self

    def __repr__(self) -> str:
        """Show what is asked for."""
        from hep_flows.expr.text import one_line

        return f"<{type(self).__name__} {one_line(self._expr)}>"


# What a histogram is filled with, for the labels of a picture ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filled:
    """What a histogram is filled with.

    Parameters
    ----------
    units : mapping of str to str
        By axis, the unit of the values, where there is one and all fills agree.
    per_event : bool
        Whether there is at most one entry for each event.
    """

    units: Mapping[str, str]
    per_event: bool


def filled_with(expr: Expr) -> Filled:
    """Give what a histogram, or several that are scaled or vary, are filled with."""
    units: dict[str, set[str]] = {}
    fills = [n for n in postorder(expr) if isinstance(n, Call) and n.function == "fill"]
    members = [n.args[1].type for n in fills if len(n.args) > 1 and n.option("members")]
    for fill in fills:
        assert isinstance(fill.type.item, HistogramItem)
        item = fill.args[1].type.item if len(fill.args) > 1 else None
        sources: Any = fill.option("axes")
        for axis, (kind, name) in zip(axes_of(fill.type.item.spec), sources, strict=True):
            known = isinstance(item, Record) and kind == "member"
            units.setdefault(axis.name, set()).add(item.members[name].unit if known else "")  # type: ignore[union-attr]
    return Filled(
        {n: u.copy().pop() for n, u in units.items() if len(u) == 1 and "" not in u}, all(len(t.axes) == 1 for t in members)
    )


# ``np.histogram`` on expressions: numpy's arguments and rules, checked when recorded ---------------------------------------------


def numpy_histogram(  # noqa: PLR0913
    a: Any,
    *,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - numpy's name
    density: Any = None,
    weights: Any = None,
    table: Table | None,
    where: Where,
) -> HistogramRequest:
    """Give the request for numpy's histogram of all values, jagged ones flattened, missing ones left out.

    Without ``range`` and edges the bins go from the smallest to the largest selected value, as in numpy.

    Raises
    ------
    LiteralError
        When an argument is of a kind that numpy or the language does not take, or a weight may be missing where its value is not.
    AxisError
        When the weights do not align with the values.
    """
    x = _values(a, "np.histogram", table, where)
    parts = {"x": x}
    if weights is not None:
        weight = _values(weights, "weights", table, where)
        if len(weight.type.axes) > len(x.type.axes):
            raise AxisError("there are more weights than values: the weights are deeper", where=where)
        check_weight(weight, [x], "the weight", "ak.fill_none(w, 0.0) counts the entries as nothing", where)
        parts["weight"] = weight
    options = [*_bins(bins, range, where), ("density", bool(density)), ("weighted", weights is not None)]
    filled = build.record(list(parts), list(parts.values()), where)
    args: list[Expr] = [filled]
    if dict(options)["edges"] is None and range is None:
        args += [_over_all("min", x, where), _over_all("max", x, where)]
    made = build.histogram("np_histogram", args, tuple(options), "", where)
    return HistogramRequest._of(made, _table_of(table, a, weights))  # noqa: SLF001


def _table_of(table: Table | None, *values: Any) -> Table | None:
    found = [t for v in values if (t := getattr(v, "_table", None)) is not None]
    return found[0] if found else table


def _values(value: Any, what: str, table: Table | None, where: Where) -> Expr:
    expr = expr_of(value, table, where)
    if not is_number(expr.type.item):
        raise LiteralError(f"{what} needs numbers, not {expr.type.item}", where=where, do="name the leaf: x.pt")
    if expr.type.loops:
        raise AxisError(f"{what} cannot be used inside of a lambda", where=where, do="take it of the result of map")
    if not expr.type.axes:
        raise AxisError(
            f"{what} needs one value for each event or object, and this is {expr.type}",
            where=where,
            do="fill what it was computed of: np.histogram(X.pt)",
        )
    return expr


def _over_all(name: str, x: Expr, where: Where) -> Expr:
    while x.type.axes:
        x = build.call(name, (x,), where=where)
    return x


def _bins(bins: Any, limits: Any, where: Where) -> list[tuple[str, Constant]]:
    ends = None if limits is None else _range(limits, where)
    if isinstance(bins, str):
        raise LiteralError(
            f"np.histogram cannot choose bins by the rule {bins!r}",
            where=where,
            why="the rule looks at all values before any is counted",
            do="give the number of bins, or the edges",
        )
    try:
        number = None if isinstance(bins, bool) else operator.index(bins)
    except TypeError:
        number = None
    if number is None:
        edges, dtype = _edges(bins, where)
        return [("bins", None), ("edges", edges), ("edges_dtype", dtype), ("range", None)]
    if number < 1:
        raise LiteralError(f"np.histogram needs at least one bin, not {number}", where=where)
    return [("bins", number), ("edges", None), ("edges_dtype", ""), ("range", ends)]


def _range(limits: Any, where: Where) -> tuple[Constant, ...]:
    given = tuple(limits) if hasattr(limits, "__iter__") and not hasattr(limits, "_expr") else ()
    if len(given) != 2:
        raise LiteralError("range must be two numbers, (low, high)", where=where)
    low, high = [_number(v, "an end of range", where) for v in given]
    if not (math.isfinite(low[0]) and math.isfinite(high[0])):
        raise LiteralError(f"the range [{low[0]}, {high[0]}] is not finite", where=where)
    if low[0] > high[0]:
        raise LiteralError(f"the range goes from low to high, and {low[0]} is above {high[0]}", where=where)
    return (low, high)


def _edges(bins: Any, where: Where) -> tuple[tuple[Constant, ...], str]:
    if hasattr(bins, "_expr") or not hasattr(bins, "__iter__") or getattr(bins, "ndim", 1) != 1:
        raise LiteralError("bins must be a number of bins or a list of edges", where=where)
    found = [_number(v, "an edge", where) for v in bins]
    values = [v for v, _ in found]
    if len(values) < 2:
        raise LiteralError(f"np.histogram needs at least two edges, not {len(values)}", where=where)
    for low, high in pairwise(values):
        if not low <= high:
            raise LiteralError(f"edges must increase, and {low} comes before {high}", where=where)
    dtype = str(getattr(bins, "dtype", "")) or ("float64" if any(isinstance(v, float) for v in values) else "int64")
    return tuple(values), dtype


def _number(value: Any, what: str, where: Where) -> tuple[Any, str]:
    """Give a number, and numpy's name of its type where it came from numpy."""
    value = plain_number(value)
    if type(value) in {int, float}:
        return value, ""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and getattr(value, "shape", None) == () and dtype.kind in "iuf" and not hasattr(value, "_expr"):
        return value.item(), str(dtype)
    raise LiteralError(
        f"{what} must be a number, not {with_article(value)}",
        where=where,
        do="a value that depends on data must be made local first" if hasattr(value, "_expr") else "",
    )


__all__ = ["Histogram", "numpy_histogram"]


class _New:
    """``Histogram.new``: a builder without axes."""

    def __get__(self, instance: object, owner: type[Histogram]) -> NewHistogram:
        return NewHistogram(owner._empty)  # noqa: SLF001


class Histogram(HistogramRequest):
    """A histogram to be filled: ``Histogram.new.Reg(50, 0, 200, name="pt").Weight().fill(pt=df.Jet.pt, weight=w)``.

    It never changes: ``fill`` gives a new one. Its value is a `hist.Hist`.

    Parameters
    ----------
    template : hist.Hist or boost_histogram.Histogram
        An empty histogram whose axes and storage it takes.
    """

    __slots__ = ()
    new = _New()

    def __new__(cls, template: Any) -> Self:
        """Give a histogram with the axes and the storage of an empty one."""
        where = user_site()
        return cls._empty(spec_of(template, where), where)

    def __init__(self, template: Any) -> None:
        """Nothing is left to do."""

    @classmethod
    def _empty(cls, spec: str, where: Where) -> Self:
        return cls._of(build.histogram("histogram", (), (("spec", spec),), spec, where), None)

    def fill(self, *values: Any, weight: Any = None, sample: Any = None, allow_missing_weight: bool = False, **named: Any) -> Self:
        """Give the histogram with one more fill.

        Parameters
        ----------
        *values, **named : DataFrame, number, bool or str
            One for each axis: by name, or in the order of the axes. They align as operands do, so an event's value counts for
            each of its jets; nested values are flattened; an entry of which any value is missing is left out. An axis of text takes
            a dict of masks as well, ``region={"SR": a, "CR": b}``: an entry goes into every category whose mask is true.
        weight : DataFrame or number, optional
            The weight of each entry; as many as the cells of a ``MultiCell`` storage, as a tuple.
        sample : DataFrame or number, optional
            What ``Mean`` and ``WeightedMean`` storages average.
        allow_missing_weight : bool
            Leave entries out whose weight is missing. Without it, a weight that may be missing where the values are not is an error.

        Raises
        ------
        LiteralError
            When an argument is missing, unknown or of the wrong kind.
        AxisError
            When the arguments do not align.
        """
        where = user_site()
        spec = self._spec
        axes = axes_of(spec)
        given = by_axis(axes, values, named, where)
        masks = [m for v in given if isinstance(v, dict) for m in v.values()]
        weights = weight if isinstance(weight, tuple | list) else [weight]
        table = self._common_table([*given, *masks, sample, *weights], where)
        filled = self._expr
        for values_of, chosen in by_categories(given, axes, where):
            new = Fill(table, where, chosen)
            sources = tuple([new.axis(v, a) for v, a in zip(values_of, axes, strict=True)])
            weighted = new.weight(weight, storage_of(spec), allow_missing=allow_missing_weight)
            options = (("axes", sources), ("weight", weighted), ("sample", new.sample(sample, storage_of(spec))))
            args, members = new.arguments()
            filled = build.histogram("fill", (filled, *args), (("members", members), *options), spec, where)
        if any(a.name == VARIATION for a in axes) and labels(filled):
            raise LiteralError(
                f"the histogram has an axis {VARIATION!r}, and what is filled varies",
                where=where,
                why="a histogram of what varies gets an axis of that name",
                do="give the axis of the template another name",
            )
        return self._of(filled, table)

    @property
    def _spec(self) -> str:
        item = self._expr.type.item
        assert isinstance(item, HistogramItem)
        return item.spec

    def _common_table(self, values: list[Any], where: Where) -> Table | None:
        table = self._table
        for value in values:
            other = getattr(value, "_table", None)
            if table is not None and other is not None and other.origin is not table.origin:
                raise two_tables(table, other, where)
            table = table if other is None else other
        return table
