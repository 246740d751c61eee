"""Histograms as a description and plain columns of numbers, one row for each bin, and back.

Rows stand in C order: the last axis runs fastest, flow bins stand where the histogram has them.
"""

from __future__ import annotations

import base64
import math
import struct
import sys
from typing import TYPE_CHECKING, Any

from hep_flows.contract import HistogramResult, Scalar
from hep_flows.errors import StoreError, with_article

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hep_flows.contract import Result

    Arrays = dict[str, Any]

# Plain Python values as JSON, without any loss: every bit of a float, integers of any size, tuples, numpy's numbers --------------
#
# What JSON cannot say stands in an object with one member whose name begins with ``$``.

_KINDS = frozenset("biufcSUMm")


def encoded(value: object) -> Any:
    """Give what `json.dumps` writes exactly and `decoded` turns back.

    Raises
    ------
    StoreError
        For a value of any other kind than None, bool, int, float, complex, str, bytes, list, tuple, dict, and numpy's
        numbers, texts, times and arrays of these.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind in {int, float, complex}:
        return _encoded_number(value)
    match value:
        case list() if kind is list:
            return [encoded(v) for v in value]
        case tuple() if kind is tuple:
            return {"$tuple": [encoded(v) for v in value]}
        case dict() if kind is dict:
            return _encoded_dict(value)
        case bytes() if kind is bytes:
            return {"$bytes": base64.b64encode(value).decode()}
        case _:
            return _encoded_numpy(value)


def _encoded_number(value: Any) -> Any:
    match value:
        case int():
            return value if -(2**63) <= value < 2**64 else {"$int": hex(value)}
        case float():
            return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
        case _:
            return {"$complex": [encoded(value.real), encoded(value.imag)]}


def _encoded_dict(value: dict[Any, Any]) -> Any:
    if all(type(k) is str and not k.startswith("$") for k in value):
        return {k: encoded(v) for k, v in value.items()}
    return {"$dict": [[encoded(k), encoded(v)] for k, v in value.items()]}


def _encoded_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _KINDS:
        return {"$number": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
    if numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in _KINDS:
        return {"$array": [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    raise StoreError(
        f"{with_article(value)} cannot be stored",
        why="stored values are numbers, texts, bytes, None, and lists, tuples and dicts of these",
        do="turn it into one of these, for example in the metadata of a histogram",
    )


def decoded(value: Any) -> Any:
    """Give the value that `encoded` was given.

    Raises
    ------
    ValueError
        When it is no output of `encoded`.
    """
    match value:
        case list():
            return [decoded(v) for v in value]
        case dict() if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            return _decoded_tag(name, value[name])
        case dict():
            return {k: decoded(v) for k, v in value.items()}
        case _:
            return value


def _decoded_tag(name: str, value: Any) -> Any:
    match name, value:
        case "$int", str():
            return int(value, 16)
        case "$float", str():
            return struct.unpack(">d", bytes.fromhex(value))[0]
        case "$tuple", list():
            return tuple([decoded(v) for v in value])
        case "$dict", list():
            return {decoded(k): decoded(v) for k, v in value}
        case "$bytes", str():
            return base64.b64decode(value, validate=True)
        case "$complex", [real, imaginary]:
            return complex(decoded(real), decoded(imaginary))
        case "$number", [str(dtype), str(data)]:
            return _decoded_array(dtype, (), data)[()]
        case "$array", [str(dtype), list(shape), str(data)]:
            return _decoded_array(dtype, tuple(shape), data)
        case _:
            raise ValueError(f"no value is written as {name}")


def _decoded_array(dtype: str, shape: tuple[int, ...], data: str) -> Any:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in _KINDS:
        raise ValueError(f"no stored value has the type {dtype}")
    return np.frombuffer(base64.b64decode(data, validate=True), dtype=kind).reshape(shape).copy()


# Axes of histograms as UHI's JSON, with what UHI cannot say under ``writer_info``, and back --------------------------------------
#
# Only public constructors are called on the way back. Where a bin edge was rounded when the axis was made, the numbers are searched
# for that make the same axis again, and compared, so that an axis that cannot be told exactly is refused when it is stored.

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


STORAGES = {
    "Double": "double", "Unlimited": "double", "Int64": "int", "AtomicInt64": "int",
    "Weight": "weighted", "Mean": "mean", "WeightedMean": "weighted_mean", "MultiCell": "multi_cell",
}  # fmt: skip


def histogram_parts(histogram: Any) -> tuple[dict[str, Any], Arrays]:
    """Give the description and the columns of a histogram.

    Parameters
    ----------
    histogram : hist.Hist, hist.NamedHist, boost_histogram.Histogram, or a pair of numpy arrays
        Counts and edges, for the pair.

    Raises
    ------
    StoreError
        When it holds something that cannot be written down exactly.
    """
    if isinstance(histogram, tuple):
        return _pair_parts(histogram)
    kind = type(histogram)
    name = f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    if name not in {"hist.Hist", "hist.NamedHist", "boost_histogram.Histogram"}:
        raise StoreError(f"{with_article(histogram)} cannot be stored as a histogram", do="give a hist.Hist, or counts and edges")
    storage = histogram.storage_type.__name__
    if storage not in STORAGES:
        raise StoreError(f"a histogram with {storage} storage cannot be stored", why=f"known are {', '.join(STORAGES)}")
    axes = _family(name)[1]
    view = histogram.view(flow=True)
    attributes = dict(histogram.__dict__)
    uhi = {
        "uhi_schema": 1,
        "writer_info": {"hep_flows": {"class": name, "storage": storage, "attributes": encoded(attributes)}},
        "metadata": {k: v for k, v in attributes.items() if isinstance(v, str)},
        "axes": [axis_to_uhi(a, axes) for a in histogram.axes],
        "storage": {"type": STORAGES[storage]},
    }
    return {"kind": "histogram", "uhi": uhi, "shape": list(view.shape)}, _columns(view, storage)


def _family(name: str) -> tuple[Any, Any, Any]:
    """Give the class of a histogram, and the modules of its axes and storages."""
    if name == "boost_histogram.Histogram":
        import boost_histogram

        return boost_histogram.Histogram, boost_histogram.axis, boost_histogram.storage
    import hist

    return getattr(hist, name.removeprefix("hist.")), hist.axis, hist.storage


def _columns(view: Any, storage: str) -> Arrays:
    import numpy as np

    plain = np.asarray(view)
    if storage == "MultiCell":
        return {f"cell_{i}": plain[i].ravel() for i in range(len(plain))}
    if plain.dtype.names is None:
        return {"value": plain.ravel()}
    return {n: np.ascontiguousarray(plain[n]).ravel() for n in plain.dtype.names}


def histogram_of(description: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
    """Give the histogram that `histogram_parts` was given.

    Raises
    ------
    ValueError, KeyError, TypeError
        When the description is damaged or does not fit the columns.
    """
    if description["kind"] == "pair":
        return _pair(description, columns)
    uhi = description["uhi"]
    ours = uhi["writer_info"]["hep_flows"]
    kind, axes, storages = _family(_known(ours["class"]))
    storage, shape = ours["storage"], tuple(description["shape"])
    if storage not in STORAGES:
        raise ValueError(f"no stored histogram has {storage} storage")
    arguments = (shape[0],) if storage == "MultiCell" else ()
    histogram = kind(*[axis_from_uhi(a, axes) for a in uhi["axes"]], storage=getattr(storages, storage)(*arguments))
    _fill(histogram, columns, storage, shape)
    for axis, described in zip(histogram.axes, uhi["axes"], strict=True):
        axis.__dict__.clear()  # hist gives axes without a label one of its own
        axis.__dict__.update(attributes_of(described))
    histogram.__dict__.update(decoded(ours["attributes"]))
    return histogram


def _known(name: Any) -> str:
    if name not in {"hist.Hist", "hist.NamedHist", "boost_histogram.Histogram"}:
        raise ValueError(f"no stored histogram is a {name}")
    return str(name)


def _fill(histogram: Any, columns: Mapping[str, Any], storage: str, shape: tuple[int, ...]) -> None:
    view = histogram.view(flow=True)
    if view.shape != shape:
        raise ValueError(f"a histogram of shape {view.shape} cannot hold numbers of shape {shape}")
    if storage == "Unlimited":  # its view is a copy
        histogram[...] = columns["value"].reshape(shape)
    elif storage == "MultiCell":
        for i in range(shape[0]):
            view[i] = columns[f"cell_{i}"].reshape(shape[1:])
    elif view.dtype.names is None:
        view[...] = columns["value"].reshape(shape)
    else:
        for name in view.dtype.names:
            view[name] = columns[name].reshape(shape)


def _pair_parts(pair: tuple[Any, ...]) -> tuple[dict[str, Any], Arrays]:
    import numpy as np

    counts, edges = [np.asarray(a) for a in pair]
    if counts.ndim != 1 or edges.ndim != 1 or len(edges) != len(counts) + 1 or not len(counts):
        raise StoreError(
            "counts and edges of numpy have the lengths n and n + 1", why=f"these have {counts.shape} and {edges.shape}"
        )
    description = {"kind": "pair", "counts": counts.dtype.str, "edges": edges.dtype.str}
    return description, {"low": edges[:-1], "high": edges[1:], "count": counts}


def _pair(description: Mapping[str, Any], columns: Mapping[str, Any]) -> tuple[Any, Any]:
    import numpy as np

    counts = np.array(columns["count"], dtype=description["counts"])
    edges = np.empty(len(counts) + 1, dtype=description["edges"])
    edges[:-1] = columns["low"]
    edges[-1:] = columns["high"][-1:]
    return counts, edges


# Results whose numbers fit into a few plain columns: scalars and histograms. Reading them needs no Parquet library ---------------

INLINE_BYTES = 64 * 1024


def plain_parts(result: Scalar | HistogramResult) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the description and the columns, as flat numpy arrays, of a scalar or a histogram."""
    if isinstance(result, Scalar):
        return {"kind": "scalar", "value": encoded(result.value)}, {}

    description, columns = histogram_parts(result.histogram)
    return description | {"columns": {n: c.dtype.str for n, c in columns.items()}}, columns


def plain_result(description: Mapping[str, Any], columns: Mapping[str, Any]) -> Result:
    """Give the result that `plain_parts` was given."""
    if description["kind"] == "scalar":
        return Scalar(decoded(description["value"]))

    return HistogramResult(histogram_of(description, columns))


def inline(description: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give a small result as JSON, with every bit of its numbers; None when it is not small."""
    if sum([c.nbytes for c in columns.values()]) > INLINE_BYTES:
        return None
    return {"description": dict(description), "columns": {n: base64.b64encode(c.tobytes()).decode() for n, c in columns.items()}}


def from_inline(written: Mapping[str, Any]) -> Result:
    """Give the result that `inline` was given."""
    description = written["description"]
    columns: dict[str, Any] = {}
    if written["columns"]:
        import numpy as np

        dtypes = description["columns"]
        columns = {n: np.frombuffer(base64.b64decode(data), dtype=dtypes[n]) for n, data in written["columns"].items()}
    return plain_result(description, columns)
