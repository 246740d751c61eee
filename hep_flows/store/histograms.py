"""Histograms as a description and plain columns of numbers, one row for each bin, and back.

Rows stand in C order: the last axis runs fastest, flow bins stand where the histogram has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import StoreError, with_article
from hep_flows.store.exact_json import decoded, encoded
from hep_flows.store.histogram_axes import attributes_of, axis_from_uhi, axis_to_uhi

if TYPE_CHECKING:
    from collections.abc import Mapping

    Arrays = dict[str, Any]

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
