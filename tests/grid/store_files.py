"""Small files of events under the names that a grid would use, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "rucio://user.somebody:jets"
EMPTY = "rucio://user.somebody:nothing"
OPEN_DATA = "cernopendata://6021"
N_FILES = 6


@dataclass(frozen=True)
class StoreFiles:
    """The local path of each name, and the branches of each file as they were made."""

    paths: dict[str, str]
    branches: dict[str, dict[str, Any]]

    @property
    def names(self) -> list[str]:
        return list(self.paths)

    @property
    def like(self) -> str:
        return next(iter(self.paths.values()))

    def column(self, branch: str, names: list[str] | None = None) -> Any:
        """Give a branch of all files, or of some, in order."""
        return ak.concatenate([self.branches[n][branch] for n in (self.names if names is None else names)])


def write_store(folder: Path) -> StoreFiles:
    """Write the files; they have different numbers of events."""
    paths, branches = {}, {}
    for i in range(N_FILES):
        name = f"root://store.example//jets/part{i}.root"
        paths[name], branches[name] = str(folder / f"part{i}.root"), _events(i, 15 + 5 * i)
        with uproot.recreate(paths[name]) as out:
            out.mktree("Events", {n: b.type.content for n, b in branches[name].items()}).extend(branches[name])
    return StoreFiles(paths, branches)


def _events(seed: int, n_events: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 5, n_events)
    pt = random.exponential(40, counts.sum()).astype(np.float32)
    eta = random.normal(0, 2, counts.sum()).astype(np.float32)
    met = random.exponential(30, n_events).astype(np.float32)
    return {"Jet_pt": ak.unflatten(pt, counts), "Jet_eta": ak.unflatten(eta, counts), "MET_pt": ak.Array(met)}
