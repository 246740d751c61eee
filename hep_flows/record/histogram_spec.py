"""The text of a histogram's axes and storage: what `Histogram.new` and a template are turned into.

It is canonical JSON, so equal histograms have equal keys. Axes follow the names and arguments of hist; nothing of hist is imported,
so every rule that hist checks when an axis is made is checked here, with the user's line.
"""

from __future__ import annotations

import json
import math
import operator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hep_flows.errors import Where

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


def integer(start: Any, stop: Any, about: Mapping[str, Any], where: Where) -> AxisSpec:
    """Give an axis with one bin for each integer from ``start`` up to, but without, ``stop``."""
    values = {"start": whole(start, "start", where), "stop": whole(stop, "stop", where)}
    _check_ascending(values["start"], values["stop"], where)
    flow = _flow(about, where)
    _check_flow(flow, "Integer", where)
    return _axis("Integer", about, {**values, **flow}, where)


def categories(kind: str, given: Any, about: Mapping[str, Any], where: Where) -> AxisSpec:
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
