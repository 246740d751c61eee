"""From the text of a histogram's axes and storage to an empty `hist.Hist`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hist

from hep_flows.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boost_histogram.axis import Axis


def template(spec: str) -> hist.Hist[Any]:
    """Give the empty histogram that `hep_flows.record.histogram_spec` describes.

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
