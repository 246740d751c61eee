"""Helper modules of this folder are imported by name; small files of events."""

import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import nanoaod_table

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def raw():
    """The events, as arrays."""
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 4, 300)
    n = int(counts.sum())
    return {
        "pt": ak.unflatten(ak.Array(rng.exponential(30, n).astype(np.float32)), counts),
        "eta": ak.unflatten(ak.Array(rng.normal(0, 2, n).astype(np.float32)), counts),
        "npv": rng.integers(0, 8, 300).astype(np.uint8),
    }


@pytest.fixture
def events(tmp_path, raw):
    """A table with electrons, and a number of vertices."""
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Electron": "var * {pt: float32, eta: float32}", "PV_npvs": "uint8"})
        file["Events"].extend({"Electron": ak.zip({n: raw[n] for n in ("pt", "eta")}), "PV_npvs": raw["npv"]})
    return nanoaod_table(str(path))
