"""The real files: as tables of hep_flows, and as plain awkward arrays."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

from hep_flows import nanoaod_table, render, tree_table, xaod_table
from hep_flows.record.dataframe import frame_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows import DataFrame
    from hep_flows.expr.nodes import Dataset

FILES = {
    "sm": ("Run2012B_SingleMu_1000.root", "Events"),
    "tt": ("nano_tt_v12.root", "Events"),
    "dy": ("nano_dy.root", "Events"),
    "phys": ("PHYSLITE_example.root", "CollectionTree"),
    "hzz": ("uproot-HZZ.root", "events"),
    "zmm": ("uproot-Zmumu.root", "events"),
}


class Datasets:
    """The files, described once in a session."""

    def __init__(self, data: Callable[[str], str]) -> None:
        self.path = data
        self._found: dict[str, Dataset] = {}

    def __getitem__(self, name: str) -> Dataset:
        if name not in self._found:
            file, tree = FILES[name]
            kind = {"phys": xaod_table, "hzz": tree_table, "zmm": tree_table}.get(name, nanoaod_table)
            table = kind(self.path(file), tree=tree) if kind is tree_table else kind(self.path(file))
            self._found[name] = render(table)
        return self._found[name]


class Tables:
    """New tables over the files, so that a test's columns are its own."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def path(self, name: str) -> str:
        return self._datasets.path(FILES[name][0])

    def new(self, name: str) -> DataFrame:
        dataset = self._datasets[name]
        return frame_of(dataset)

    @cached_property
    def sm(self) -> Any:
        """CMS data of 2012 in NanoAOD's form, 1000 events."""
        return self.new("sm")

    @cached_property
    def tt(self) -> Any:
        """CMS NanoAOD v12, top pairs, 200 events."""
        return self.new("tt")

    @cached_property
    def dy(self) -> Any:
        """CMS NanoAOD, Drell-Yan, 40 events."""
        return self.new("dy")

    @cached_property
    def phys(self) -> Any:
        """ATLAS PHYSLITE, 100 events."""
        return self.new("phys")

    @cached_property
    def hzz(self) -> Any:
        """A tree with jagged branches, 2421 entries."""
        return self.new("hzz")

    @cached_property
    def zmm(self) -> Any:
        """A flat tree, 2304 entries."""
        return self.new("zmm")


class Branches:
    """The branches of one tree as awkward arrays."""

    def __init__(self, path: str, tree: str) -> None:
        self.tree = uproot.open(path)[tree]
        self._read: dict[str, Any] = {}

    def __getitem__(self, branch: str) -> Any:
        if branch not in self._read:
            self._read[branch] = self.tree[branch].array(library="ak")
        return self._read[branch]

    def objects(self, prefix: str, *leaves: str) -> Any:
        """Give a collection as records."""
        return ak.zip({leaf: self[prefix + leaf] for leaf in leaves})


class Raw:
    """What uproot reads, without hep_flows."""

    def __init__(self, data: Callable[[str], str]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Branches:
        file, tree = FILES[name]
        branches = Branches(self._data(file), tree)
        setattr(self, name, branches)
        return branches


def delta_r(a: Any, b: Any) -> Any:
    """Give the distance of aligned objects, in double precision."""
    eta, phi = (ak.values_astype(a[n], "float64") - b[n] for n in ("eta", "phi"))
    return np.hypot(eta, (phi + np.pi) % (2 * np.pi) - np.pi)


def pairs(a: Any, b: Any) -> tuple[Any, Any]:
    """Give a and b of every pair: events, elements of a, elements of b."""
    x, y = ak.unzip(ak.cartesian([a, b], nested=True))
    return x, y
