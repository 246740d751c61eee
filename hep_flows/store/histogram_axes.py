"""Axes of histograms as UHI's JSON, with what UHI cannot say under ``writer_info``, and back.

Only public constructors are called on the way back. Where a bin edge was rounded when the axis was made, the numbers are searched
for that make the same axis again, and compared, so that an axis that cannot be told exactly is refused when it is stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hep_flows.errors import StoreError
from hep_flows.store.exact_json import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STEPS = 256


def axis_to_uhi(axis: Any, axes: Any) -> dict[str, Any]:
    """Give UHI's description of an axis.

    Parameters
    ----------
    axis : boost_histogram.axis.Axis
        Of any kind.
    axes : module
        Where the classes of this family of histograms stand: ``hist.axis`` or ``boost_histogram.axis``.

    Raises
    ------
    StoreError
        When the axis has a transform or a value that cannot be written down.
    """
    kind = type(axis).__name__
    traits = axis.traits
    flow = {"underflow": traits.underflow, "overflow": traits.overflow, "circular": traits.circular}
    ours: dict[str, Any] = {"kind": kind, "growth": traits.growth, "attributes": encoded(dict(axis.__dict__))}
    out: dict[str, Any]
    match kind:
        case "Regular":
            out = {"type": "regular", "bins": axis.size} | flow
            transform = _transform_name(axis.transform)
            start, stop = _ends(axis, axes)
            out |= {"lower": start, "upper": stop}
            if transform is not None:
                ours |= {"bins": axis.size, "start": start, "stop": stop, "transform": transform}
                out = {"type": "variable", "edges": _floats(axis.edges)} | flow
        case "Variable":
            out = {"type": "variable", "edges": _floats(axis.edges)} | flow
        case "Integer":
            lower = int(axis.edges[0])
            out = {"type": "regular", "lower": lower, "upper": lower + axis.size, "bins": axis.size} | flow
        case "IntCategory" | "StrCategory":
            words = {"IntCategory": "category_int", "StrCategory": "category_str"}
            out = {"type": words[kind], "categories": list(axis), "flow": traits.overflow}
        case "Boolean":
            out = {"type": "boolean"}
        case _:
            raise StoreError(f"an axis of the kind {kind} cannot be stored", why="UHI does not know it")
    return out | {"metadata": _simple(axis.__dict__), "writer_info": {"hep_flows": ours, "boost-histogram": _theirs(kind, ours)}}


def _theirs(kind: str, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Give what boost-histogram itself adds, so that its own reader finds the same axis."""
    out: dict[str, Any] = {"growth": True} if ours["growth"] else {}
    if kind == "Integer":
        out["orig_type"] = "Integer"
    if "transform" in ours:
        names = {"transform": ours["transform"]["kind"], "bins": ours["bins"], "lower": ours["start"], "upper": ours["stop"]}
        out |= names | {k: v for k, v in ours["transform"].items() if k == "power"}
    return out


def _floats(edges: Any) -> list[Any]:
    return [encoded(float(e)) for e in edges]


def _simple(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give what other readers of UHI understand: texts, numbers and truth values."""
    return {k: v for k, v in attributes.items() if isinstance(v, str | bool | int | float) and not k.startswith(("_", "@"))}


def axis_from_uhi(uhi: Mapping[str, Any], axes: Any) -> Any:
    """Give the axis that `axis_to_uhi` described.

    Raises
    ------
    ValueError, KeyError, TypeError
        When the description is damaged.
    """
    ours = uhi["writer_info"]["hep_flows"]
    growth = ours["growth"]
    flow = {k: uhi[k] for k in ("underflow", "overflow", "circular") if k in uhi} | {"growth": growth}
    match ours["kind"]:
        case "Regular" if "transform" in ours:
            axis = axes.Regular(ours["bins"], ours["start"], ours["stop"], transform=_transform(ours["transform"], axes))
        case "Regular":
            axis = axes.Regular(uhi["bins"], uhi["lower"], uhi["upper"], **flow)
        case "Variable":
            axis = axes.Variable(decoded(uhi["edges"]), **flow)
        case "Integer":
            axis = axes.Integer(uhi["lower"], uhi["upper"], **flow)
        case "IntCategory":
            axis = axes.IntCategory(uhi["categories"], growth=growth, overflow=uhi["flow"])
        case "StrCategory":
            axis = axes.StrCategory(uhi["categories"], growth=growth, overflow=uhi["flow"])
        case "Boolean":
            axis = axes.Boolean()
        case kind:
            raise ValueError(f"no stored axis is of the kind {kind}")
    axis.__dict__.update(attributes_of(uhi))
    return axis


def attributes_of(uhi: Mapping[str, Any]) -> dict[str, Any]:
    """Give what stood in the axis's ``__dict__``: name, label, metadata and what else was set."""
    found = decoded(uhi["writer_info"]["hep_flows"]["attributes"])
    if not isinstance(found, dict):
        raise TypeError("attributes of an axis are a dict")
    return found


def _transform_name(transform: Any) -> dict[str, Any] | None:
    if transform is None:
        return None
    import boost_histogram.axis.transform as known

    if isinstance(transform, known.Pow):
        return {"kind": "pow", "power": transform.power}
    for name in ("log", "sqrt"):
        if transform == getattr(known, name):
            return {"kind": name}
    raise StoreError(
        "an axis with a transform of your own cannot be stored",
        why="a function cannot be written down exactly; log, sqrt and Pow can",
        do="use a Variable axis with the edges that you want",
    )


def _transform(spec: Mapping[str, Any], axes: Any) -> Any:
    match spec["kind"]:
        case "pow":
            return axes.transform.Pow(spec["power"])
        case "log" | "sqrt":
            return getattr(axes.transform, spec["kind"])
        case kind:
            raise ValueError(f"no stored axis has the transform {kind}")


def _ends(axis: Any, axes: Any) -> tuple[float, float]:
    """Give numbers that make the same regular axis again."""
    options = {} if axis.transform is not None else _options(axis)

    def is_same(start: float, stop: float) -> bool:
        try:
            again = axes.Regular(axis.size, start, stop, transform=axis.transform, **options)
        except ValueError:  # an end where the transform has no value
            return False
        again.__dict__.update(axis.__dict__)
        return bool(again == axis) and bool((again.edges == axis.edges).all())

    first, last = float(axis.edges[0]), float(axis.edges[-1])
    for start, stop in ((_short(first), _short(last)), (first, last)):
        if is_same(start, stop):
            return start, stop
    forward = axis.transform.forward if axis.transform is not None else float
    low, span = axis._ax.__getstate__()[-2:]  # noqa: SLF001  what comes of it is compared before it is believed
    for start in (s for s in _near(first) if forward(s) == low):
        for stop in (s for s in _near(last) if forward(s) - low == span):
            if is_same(start, stop):
                return start, stop
    raise StoreError("a Regular axis cannot be stored exactly", why=f"no ends near {first} and {last} make it again")


def _short(value: float) -> float:
    """Give the number that somebody may have typed: rounding turned it into this one."""
    return float(f"{value:.12g}")


def _options(axis: Any) -> dict[str, bool]:
    traits = axis.traits
    return {k: getattr(traits, k) for k in ("underflow", "overflow", "circular", "growth")}


def _near(value: float) -> Iterator[float]:
    """Give the number and those next to it, nearest first."""
    yield value
    below = above = value
    for _ in range(STEPS):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        yield below
        yield above
