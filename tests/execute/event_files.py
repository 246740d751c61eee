"""Small files of events, and what is asked of them."""

from __future__ import annotations

import awkward as ak
import numpy as np
import uproot

from hep_flows import Histogram
from hep_flows.execute import results as open_store


def write(path, seed, n=40):
    """Write events with jets and missing energy."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    pt = ak.unflatten(ak.Array(rng.exponential(50, int(counts.sum())).astype(np.float32)), counts)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Jet": "var * {pt: float32}", "MET_pt": "float32"})
        file["Events"].extend({"Jet": ak.zip({"pt": pt}), "MET_pt": rng.exponential(30, n).astype(np.float32)})
    return str(path)


def new_process():
    """Forget what is in memory."""
    open_store.store_of.cache_clear()


def fill(events, bins=20, cut=30.0):
    """Ask for a histogram of the jets above a cut."""
    jets = events.Jet[events.Jet.pt > cut]
    return Histogram.new.Reg(bins, 0, 200, name="pt").Weight().fill(pt=jets.pt, weight=0.1)
