"""Histograms in files that others read: UHI's JSON, and ROOT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hep_flows.store.commit import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COUNTS = ("Double", "Int64", "AtomicInt64", "Unlimited", "Weight")


def write_json(file: Path, histograms: Mapping[str, Any], metadata: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Write histograms by name, flow bins included, in the JSON form of UHI: ``hist.Hist(json[name])`` gives one back.

    By name of a histogram, texts may be given that go into its metadata.
    """
    import uhi.io.json

    said = {name: _uhi(h) for name, h in histograms.items()}
    for name, texts in (metadata or {}).items():
        said[name]["metadata"] = {**said[name]["metadata"], **texts}
    with whole_file(file) as part, part.open("w", encoding="utf-8") as opened:
        json.dump(said, opened, default=uhi.io.json.default)


def _uhi(histogram: Any) -> dict[str, Any]:
    import numpy as np
    from boost_histogram.serialization import to_uhi

    said: dict[str, Any] = to_uhi(histogram)
    if "mean" in said["storage"]["type"]:
        # The variance of one entry is undefined, and would come back as one that is not a number; nothing was summed up yet.
        said["storage"]["variances"] = np.nan_to_num(said["storage"]["variances"], nan=0.0)
    return said


def write_root(file: Path, histograms: Mapping[str, Any], texts: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write histograms of counts as TH1, TH2 and TH3, and texts beside them; gives why each other histogram is not in the file."""
    import uproot

    left_out: dict[str, str] = {}
    with whole_file(file) as part, uproot.recreate(part) as opened:
        for name, histogram in histograms.items():
            reason = _no_root(histogram)
            if reason:
                left_out[name] = reason
            else:
                opened[name] = _as_root(with_flow(histogram))
        for name, text in (texts or {}).items():
            opened[name] = text
    return left_out


def _no_root(histogram: Any) -> str:
    storage = histogram.storage_type.__name__
    if storage not in _COUNTS:
        return f"its storage is {storage}, and ROOT's histograms count"
    if histogram.ndim > 3:
        return f"it has {histogram.ndim} axes, and ROOT's histograms have up to 3"
    return "an axis has no bins" if 0 in histogram.shape else ""


def _as_root(histogram: Any) -> Any:
    """Give a histogram that uproot finds bins below in, too: it drops all flow bins where an axis has none there, as categories."""
    import hist
    import numpy as np

    below = [(int(not a.traits.underflow), 0) for a in histogram.axes]

    class Padded(hist.Hist[Any]):  # type: ignore[misc]
        __module__ = "hist"  # by which uproot knows that axes may have categories

        def values(self, flow: bool = False) -> Any:  # noqa: FBT001, FBT002 - of the protocol of UHI
            return np.pad(super().values(flow=True), below) if flow else super().values()

        def variances(self, flow: bool = False) -> Any:  # noqa: FBT001, FBT002
            found = super().variances(flow=flow)
            return np.pad(found, below) if flow and found is not None else found

    return Padded(histogram) if any(n for n, _ in below) else histogram


def with_flow(histogram: Any) -> Any:
    """Give every axis flow bins, as ROOT has them; where there were none they are empty. Categories become labelled bins."""
    import hist
    import numpy as np

    axes = [_axis(a) for a in histogram.axes]
    weighted = histogram.storage_type.__name__ == "Weight"
    made = hist.Hist(*axes, storage=hist.storage.Weight() if weighted else hist.storage.Double())
    inside = tuple([_inside(old, new) for old, new in zip(histogram.axes, axes, strict=True)])
    view, old = made.view(flow=True), histogram.view(flow=True)
    if weighted:
        view["value"][inside], view["variance"][inside] = old["value"], old["variance"]
    else:
        view[inside] = np.asarray(old, dtype=np.float64)
    return made


def _axis(axis: Any) -> Any:
    import hist

    match type(axis).__name__:
        case "StrCategory":
            return hist.axis.StrCategory(list(axis), name=axis.name, label=axis.label)
        case "IntCategory":
            return hist.axis.StrCategory([str(c) for c in axis], name=axis.name, label=axis.label)
        case "Regular" if axis.transform is None:
            return hist.axis.Regular(axis.size, axis.edges[0], axis.edges[-1], name=axis.name, label=axis.label)
        case _:
            return hist.axis.Variable(axis.edges, name=axis.name, label=axis.label)


def _inside(old: Any, new: Any) -> slice:
    """Give where the bins of an axis, flow bins included, stand on the axis that has all flow bins."""
    start = int(new.traits.underflow and not old.traits.underflow)
    return slice(start, start + old.extent)
