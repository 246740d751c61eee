"""From an empty `hist.Hist` or `boost_histogram.Histogram` to the text of its axes and storage, without importing either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, with_article
from hep_flows.record.histogram_spec import (
    STORAGES,
    AxisSpec,
    boolean,
    categories,
    integer,
    plain,
    regular,
    spec_text,
    variable,
)

if TYPE_CHECKING:
    from hep_flows.errors import Where


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
    axes = [_axis(a, where) for a in template.axes]
    about = {k: plain(vars(template).get(k), k, where) for k in ("name", "label", "metadata")}
    return spec_text(axes, _storage(template, where), about)


def _storage(template: Any, where: Where) -> dict[str, Any]:
    kind = template.storage_type.__name__
    if kind not in STORAGES:
        raise LiteralError(f"the storage {kind} is not known", where=where, do=f"use one of {', '.join(STORAGES)}")
    return {"kind": kind, "cells": template.view().shape[0]} if kind == "MultiCell" else {"kind": kind}


def _axis(axis: Any, where: Where) -> AxisSpec:
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
            return integer(int(axis.edges[0]), int(axis.edges[-1]), {**about, **flow}, where)
        case "IntCategory" | "StrCategory":
            return categories(kind, list(axis), {**about, "growth": traits.growth, "overflow": traits.overflow}, where)
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
