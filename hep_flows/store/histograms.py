"""Histograms as a description and plain columns of numbers, one row for each bin, and back.

Rows stand in C order: the last axis runs fastest, flow bins stand where the histogram has them.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hep_flows.contract import HistogramResult, Scalar
from hep_flows.errors import StoreError, with_article

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


# Axes of histograms as UHI's JSON, by boost-histogram's own reader and writer ----------------------------------------------------
#
# UHI says what every reader of it understands. What it cannot say exactly, the attributes of an axis, stands under ``writer_info``. Every
# axis is made again and compared when it is written, so that one that cannot be told exactly is refused then. The ends of a regular axis
# are such a case: they are rounded when the axis is made, so those are searched for that make the same axis again.

STEPS = 256


def axes_to_uhi(axes: Sequence[Any]) -> list[dict[str, Any]]:
    """Give UHI's descriptions of axes of any kind.

    Raises
    ------
    StoreError
        When an axis has a transform or a value that cannot be written down.
    """
    return [_axis_to_uhi(_Axis(axis)) for axis in axes]


class _Axis:
    """An axis that is equal to one of which everything that is written down is the same."""

    def __init__(self, axis: Any) -> None:
        self.axis = axis
        about = encoded(dict(axis.__dict__))
        self._same = type(axis).__name__, repr(axis), str(axis.traits), _edge_bits(axis), json.dumps(about, sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Axis) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)


@lru_cache(maxsize=256)  # the histograms of a hundred files have the same axes
def _axis_to_uhi(of: _Axis) -> dict[str, Any]:
    from boost_histogram import Histogram
    from boost_histogram.serialization import to_uhi

    (written,) = to_uhi(Histogram(of.axis), keep_storage=False)["axes"]
    return _exactly(of.axis, written)


def _exactly(axis: Any, uhi: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        k: v for k, v in axis.__dict__.items() if isinstance(v, str | bool | int | float) and not k.startswith(("_", "@"))
    }
    writer = {
        "hep_flows": {"attributes": encoded(dict(axis.__dict__))},
        "boost-histogram": uhi.get("writer_info", {}).get("boost-histogram", {}),
    }
    made = uhi | {"metadata": attributes, "writer_info": writer}
    if "edges" in made:
        made["edges"] = [encoded(float(e)) for e in made["edges"]]
    transform = getattr(axis, "transform", None)
    if transform is not None and "transform" not in writer["boost-histogram"]:
        raise StoreError(
            "an axis with a transform of your own cannot be stored",
            why="a function cannot be written down exactly; log, sqrt and Pow can",
            do="use a Variable axis with the edges that you want",
        )
    ends = writer["boost-histogram"] if transform is not None else made
    for told in _ends(axis) if type(axis).__name__ == "Regular" else [{}]:
        ends |= told
        if _is_again(axis, made):
            return made
    raise StoreError(f"a {type(axis).__name__} axis cannot be stored exactly", why="no numbers make it again")


def _is_again(axis: Any, uhi: Mapping[str, Any]) -> bool:
    try:
        (again,) = axes_from_uhi([uhi])
    except ValueError:  # an end where the transform has no value
        return False
    return bool(again == axis) and again.traits == axis.traits and _edge_bits(again) == _edge_bits(axis)


def _edge_bits(axis: Any) -> bytes:
    import numpy as np

    return np.asarray(axis.edges).tobytes()


def _ends(axis: Any) -> Iterator[dict[str, float]]:
    """Give numbers that may make the same regular axis again: what somebody may have typed first, then those next to its edges."""
    first, last = float(axis.edges[0]), float(axis.edges[-1])
    yield {"lower": float(f"{first:.12g}"), "upper": float(f"{last:.12g}")}
    yield {"lower": first, "upper": last}
    forward = axis.transform.forward if axis.transform is not None else float
    low, span = axis._ax.__getstate__()[-2:]  # noqa: SLF001  what comes of it is compared before it is believed
    for start in (s for s in _near(first) if forward(s) == low):
        yield from ({"lower": start, "upper": stop} for stop in _near(last) if forward(stop) - low == span)


def _near(value: float) -> Iterator[float]:
    """Give the number and those next to it, nearest first."""
    yield value
    below = above = value
    for _ in range(STEPS):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        yield below
        yield above


def axes_from_uhi(written: Sequence[Mapping[str, Any]]) -> Any:
    """Give the axes that `axes_to_uhi` described, as boost-histogram has them, with all that stood in their ``__dict__``.

    Raises
    ------
    ValueError, KeyError, TypeError
        When a description is damaged.
    """
    from boost_histogram.serialization import from_uhi

    axes = [{**a, "metadata": attributes_of(a)} | ({"edges": decoded(a["edges"])} if "edges" in a else {}) for a in written]
    return from_uhi({"uhi_schema": 1, "axes": axes, "storage": {"type": "double"}}).axes


def attributes_of(uhi: Mapping[str, Any]) -> dict[str, Any]:
    """Give what stood in the axis's ``__dict__``: name, label, metadata and what else was set."""
    found = decoded(uhi["writer_info"]["hep_flows"]["attributes"])
    if not isinstance(found, dict):
        raise TypeError("attributes of an axis are a dict")
    return found


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
    view = histogram.view(flow=True)
    attributes = dict(histogram.__dict__)
    uhi = {
        "uhi_schema": 1,
        "writer_info": {"hep_flows": {"class": name, "storage": storage, "attributes": encoded(attributes)}},
        "metadata": {k: v for k, v in attributes.items() if isinstance(v, str)},
        "axes": axes_to_uhi(histogram.axes),
        "storage": {"type": STORAGES[storage]},
    }
    return {"kind": "histogram", "uhi": uhi, "shape": list(view.shape)}, _columns(view, storage)


def _family(name: str) -> tuple[Any, Any]:
    """Give the class of a histogram, and the module of its storages."""
    if name == "boost_histogram.Histogram":
        import boost_histogram

        return boost_histogram.Histogram, boost_histogram.storage
    import hist

    return getattr(hist, name.removeprefix("hist.")), hist.storage


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
    kind, storages = _family(_known(ours["class"]))
    storage, shape = ours["storage"], tuple(description["shape"])
    if storage not in STORAGES:
        raise ValueError(f"no stored histogram has {storage} storage")
    arguments = (shape[0],) if storage == "MultiCell" else ()
    histogram = kind(*axes_from_uhi(uhi["axes"]), storage=getattr(storages, storage)(*arguments))
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
