"""Results by process: datasets of one process added, and simulation scaled to a luminosity.

The expected number of events of a simulated dataset is its cross section times the integrated luminosity, times the efficiency of a
filter at generation and a k-factor where there are any. A histogram of weights is scaled by that number over the sum of weights of
all events that were generated for the very files that were read. Data is never scaled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AnalysisError, did_you_mean, visible
from hep_flows.execute.joint import Cutflow, CutRow, bounds_of
from hep_flows.execute.report import Missing
from hep_flows.expr.variations import AXIS
from hep_flows.record.dataframe import OF_GENERATORS
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hep_flows.errors import Where

PB_TIMES_FB = 1000.0  # A cross section of 1 pb times a luminosity of 1/fb are a thousand events.
_FACTORS = ("k_factor", "filter_efficiency")
_TOTALS = re.compile(r"n?(gen)?(sum|num|tot|event|evt|entries|generated)", re.IGNORECASE)
NORMALISED = frozenset({"xsec", "lumi", "sumw", *_FACTORS})


@dataclass(frozen=True, slots=True)
class Sample:
    """What normalises the results of one dataset.

    Parameters
    ----------
    name : str
        The dataset.
    process : str
        The process that it belongs to.
    is_data : bool
        Whether it is recorded data.
    metadata : mapping
        What the fileset says.
    sumw : callable
        Gives the sum of weights of all events that were generated for its files.
    weights : mapping
        By name of a result, what its weights were multiplied by already: names of metadata, and ``sumw``.
    sums : callable
        Gives the sums of weights of the variations that have their own, by variation.
    is_partial : bool
        Whether files of it are left out.
    """

    name: str
    process: str
    is_data: bool
    metadata: Mapping[str, Any]
    sumw: Callable[[], float]
    weights: Mapping[str, frozenset[str]]
    sums: Callable[[], Mapping[str, float]] = dict
    is_partial: bool = False


def is_total(name: str) -> bool:
    """Say whether a number of the metadata is, by its name, what somebody counted in all files: ``sumw``, ``n_events``, ``nevts``."""
    return _TOTALS.match(name.replace("_", "")) is not None


def is_data(metadata: Mapping[str, Any], leaves: Iterable[str]) -> bool:
    """Say whether a dataset is recorded data: the metadata says so (``is_data``, ``is_mc``), or there is nothing of a generator."""
    if "is_data" in metadata:
        return bool(metadata["is_data"])
    if "is_mc" in metadata:
        return not metadata["is_mc"]
    return "xsec" not in metadata and not any(leaf.startswith(OF_GENERATORS) for leaf in leaves)


def process_of(name: str, metadata: Mapping[str, Any], patterns: Mapping[str, str | Sequence[str]]) -> str:
    """Give the process of a dataset: the first of ``patterns`` that its name fits, the metadata ``process``, or its own name."""
    for process, given in patterns.items():
        if any(fnmatchcase(name, p) for p in ((given,) if isinstance(given, str) else given)):
            return process
    return str(metadata.get("process", name))


def by_process(values: Mapping[str, Mapping[str, Any]], process_of_dataset: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Give the results of each process: histograms, numbers and cutflows of its datasets added, in the order of the fileset.

    Arrays stay with their datasets. Where a dataset lacks a result, the process lacks it as well: a part is never given as the whole.
    """
    parts: dict[str, dict[str, list[Any]]] = {}
    for dataset, given in values.items():
        for name, value in given.items():
            parts.setdefault(process_of_dataset[dataset], {}).setdefault(name, []).append(value)
    found: dict[str, dict[str, Any]] = {process: {} for process in parts}
    for process, named in parts.items():
        for name, several in named.items():
            if any(_adds(v) or isinstance(v, Missing) for v in several):
                found[process][name] = total(several)
    return found


def _adds(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(_adds(v) for v in value.values())
    return isinstance(value, bool | int | float | Cutflow) or hasattr(value, "storage_type")


def total(values: Sequence[Any]) -> Any:
    """Give the sum of results of one kind."""
    missing = next((v for v in values if isinstance(v, Missing)), None)
    if missing is not None:
        return missing
    first = values[0]
    if isinstance(first, Mapping):
        keys = dict.fromkeys([k for v in values for k in v])
        return {k: total([v.get(k, v.get("nominal")) for v in values]) for k in keys}
    if isinstance(first, Cutflow):
        return _added_cutflows(values)
    so_far = first
    for value in values[1:]:
        so_far = so_far + value
    return so_far


def _added_cutflows(flows: Sequence[Cutflow]) -> Cutflow:
    names = [tuple([r.name for r in f]) for f in flows]
    if len(set(names)) > 1:
        raise AnalysisError(
            "cutflows with different cuts do not add",
            why="; ".join([", ".join(n) for n in dict.fromkeys(names)]),
            do="give the cuts of all datasets the same names: cut('2 muons', mask)",
        )
    rows = [CutRow(r[0].name, sum([x.events for x in r]), sum([x.sumw for x in r])) for r in zip(*flows, strict=True)]
    return replace(flows[0], rows=tuple(rows), weighted=any(f.weighted for f in flows))


def scaled_values(
    sample: Sample, values: Mapping[str, Any], lumi: float, where: Where, samples: Iterable[Sample] = ()
) -> dict[str, Any]:
    """Give the results of a dataset scaled to a luminosity in 1/fb: data as it is, simulation by its own factor.

    Where the metadata says that it is stitched with others of ``samples``, each bin is scaled by the luminosity that all samples with
    events in it have together.

    Raises
    ------
    AnalysisError
        When the weights of a result are normalised already, or the cross section or the sum of weights is not known.
    """
    if sample.is_data or all(isinstance(v, Missing) for v in values.values()):
        return dict(values)
    for name, used in sample.weights.items():
        twice = sorted(used & NORMALISED)
        if twice:
            raise AnalysisError(
                f"{name!r} of {visible(sample.name)} is normalised already: its weight has {', '.join(twice)}",
                where=where,
                why="scaled to a luminosity it would be scaled twice",
                do=f"take {', '.join(twice)} out of the weight, or use done.values and done.processes as they are",
            )
    rule = _stitch(sample, where)
    if rule is None:
        factor, factors = _factors(sample, lumi, where)
        return {name: _times(value, factor, factors) for name, value in values.items()}
    axis = rule[0]
    parts = [
        (r[1], _factors(s, lumi, where))
        for s in samples
        if s.process == sample.process and not s.is_data and (r := _stitch(s, where)) is not None and r[0] == axis
    ]
    stitching = _Stitching(sample.name, axis, rule[1], tuple(parts), where)
    return {name: stitching.times(value) for name, value in values.items()}


def _factors(sample: Sample, lumi: float, where: Where) -> tuple[float, dict[str, float]]:
    """Give the factor of a sample, and those of the variations that have a sum of weights of their own."""
    known = sample.metadata
    if "xsec" not in known:
        raise AnalysisError(
            f"nothing says the cross section of {visible(sample.name)}",
            where=where,
            why="it is simulation: it has weights of a generator, or the fileset says so",
            do=did_you_mean("xsec", list(known))
            or "write it in pb into the fileset: metadata: {xsec: 88.29}; of data: {is_data: true}",
        )
    factor = float(known["xsec"]) * lumi * PB_TIMES_FB
    for name in _FACTORS:
        factor *= float(known.get(name, 1.0))
    # What somebody counted in all files is not that of those that are there.
    nominal = float(known["sumw"]) if "sumw" in known and not sample.is_partial else sample.sumw()
    sums = {"": nominal, **sample.sums()}
    for variation, sumw in sums.items():
        if not sumw or not isfinite(sumw):
            of = f"{variation} of {sample.name}" if variation else sample.name
            raise AnalysisError(
                f"the sum of weights of {visible(of)} is {sumw}", where=where, do="look at the files of the dataset"
            )
    factors = {variation: factor / sumw for variation, sumw in sums.items()}
    return factors.pop(""), factors


def _times(value: Any, factor: float, factors: Mapping[str, float]) -> Any:
    """Give a result times a factor, and its variations times their own ones."""
    if isinstance(value, Missing) or not _adds(value):
        return value
    if isinstance(value, Mapping):
        return {k: _times(v, factors.get(k, factor), {}) for k, v in value.items()}
    if isinstance(value, Cutflow):
        return replace(value, rows=tuple([replace(r, sumw=r.sumw * factor) for r in value]), weighted=True)
    new = value * factor
    own = [n for n in new.axes[0] if n in factors] if factors and hasattr(new, "axes") and new.axes[0].name == AXIS else []
    for name in own:
        at = new.axes[0].index(name)
        new.view(flow=True)[at, ...] = (value[at, ...] * factors[name]).view(flow=True)
    return new


# Samples of one process that have events of the same kind: an inclusive one, and others of a part of its phase space --------------------
#
# An event stands for 1 / L of an event in 1/fb, where L is the luminosity of everything that was generated in its part of phase space: the
# sum over the samples that have such events, each of which has sumw / xsec. Which part that is, an axis of the histogram says.

Range = tuple[float, float]


def _stitch(sample: Sample, where: Where) -> tuple[str, Range] | None:
    """Give the axis by which a sample is stitched, and the range that it has events in; None where the metadata says nothing."""
    said = sample.metadata.get("stitch")
    if said is None:
        return None
    if isinstance(said, str) and said:
        return said, (-inf, inf)
    if isinstance(said, Mapping) and len(said) == 1:
        ((axis, bounds),) = said.items()
        if isinstance(bounds, list | tuple) and len(bounds) == 2:
            low, high = -inf if bounds[0] is None else bounds[0], inf if bounds[1] is None else bounds[1]
            if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
                return str(axis), (float(low), float(high))
    raise AnalysisError(
        f"the metadata of {visible(sample.name)} says stitch: {said!r}",
        where=where,
        why="it is the name of an axis, for a sample of everything, or the axis with the range that a sample was generated in",
        do="stitch: njets, or stitch: {njets: [1, 2]}; null is no limit",
    )


@dataclass(frozen=True, slots=True)
class _Stitching:
    """How the results of one sample are scaled: its own range, and the range and the factors of each sample that it is stitched with."""

    name: str
    axis: str
    own: Range
    parts: tuple[tuple[Range, tuple[float, Mapping[str, float]]], ...]
    where: Where

    def times(self, value: Any, variation: str = "") -> Any:
        if isinstance(value, Missing) or not _adds(value):
            return value
        if isinstance(value, Mapping):
            return {k: self.times(v, k) for k, v in value.items()}
        if not hasattr(value, "axes") or self.axis not in value.axes.name:
            return Missing(f"{self.name} is stitched by the axis {self.axis!r}, which this result has not")
        new = value * 1.0
        if new.axes[0].name != AXIS:
            self._scale(new.view(flow=True), new.axes, variation)
            return new
        for i, name in enumerate(new.axes[0]):
            self._scale(new.view(flow=True)[i], new.axes[1:], name)
        return new

    def _scale(self, view: Any, axes: Any, variation: str) -> None:
        import numpy as np

        at = axes.name.index(self.axis)
        factors = []
        for number, bounds in enumerate(bounds_of(axes[at])):
            inverse = sum([1 / f.get(variation, n) for inside, (n, f) in self.parts if self._covers(inside, bounds)])
            content = view.take(number, axis=at)
            if not self._covers(self.own, bounds) and np.any((content["value"] if content.dtype.names else content) != 0):
                raise AnalysisError(
                    f"{visible(self.name)} has events outside of the range that it was generated in",
                    where=self.where,
                    why=f"its metadata says stitch: {self.axis}: {list(self.own)}, and there are some in {list(bounds)}",
                    do="correct the range, or fill the axis with what the generator cut on",
                )
            factors.append(1 / inverse if inverse else 0.0)
        shape = [1] * view.ndim
        shape[at] = -1
        by_bin = np.asarray(factors).reshape(shape)
        if view.dtype.names:
            view["value"] *= by_bin
            view["variance"] *= by_bin**2
        else:
            view *= by_bin

    def _covers(self, inside: Range, bounds: Any) -> bool:
        if isinstance(bounds, str) or (bounds[0] < inside[0] < bounds[1]) or (bounds[0] < inside[1] < bounds[1]):
            raise AnalysisError(
                f"the axis {self.axis!r} has a bin {bounds} that is no part of phase space of {visible(self.name)} and its samples",
                where=self.where,
                why=f"a sample has events from {inside[0]:g} to {inside[1]:g}, so a part of the bin is another sample's",
                do="give the axis the edges of the samples",
            )
        return bool(inside[0] <= bounds[0] and bounds[1] <= inside[1])


def checked_lumi(lumi: Any, where: Where = None) -> float:
    """Give a luminosity in 1/fb as a float."""
    if isinstance(lumi, bool) or not isinstance(lumi, int | float) or not 0 < lumi < float("inf"):
        raise AnalysisError(
            f"a luminosity is a positive number in 1/fb, not {lumi!r}", where=where or user_site(), do="done.scaled(lumi=59.7)"
        )
    return float(lumi)
