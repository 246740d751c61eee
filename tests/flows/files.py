"""Small files of jets, and what a flow must find in them."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import uproot


def write(path, seed, n=40):
    """Write a file of events."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    pt = ak.unflatten(ak.Array(rng.exponential(50, int(counts.sum())).astype(np.float32)), counts)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Jet": "var * {pt: float32}", "MET_pt": "float32"})
        file["Events"].extend({"Jet": ak.zip({"pt": pt}), "MET_pt": rng.exponential(30, n).astype(np.float32)})


def hard_jets(*paths):
    """Give the momenta of the jets above 30, with uproot and awkward alone."""
    arrays = [uproot.open(f"{p}:Events")["Jet_pt"].array() for p in paths]
    pt = ak.concatenate(arrays)
    return pt[pt > 30]


def histogram(*paths):
    """Give the counts of the histogram that the analysis fills, with numpy."""
    return np.histogram(ak.flatten(hard_jets(*paths)), bins=20, range=(0, 200))[0]


def filled(out, dataset, name="pt"):
    """Give the counts of a histogram as a flow has written it to a ROOT file."""
    with uproot.open(out / "histograms.root") as file:
        return file[f"{dataset}/{name}"].values()


def states(out):
    """Give what became of each task, by dataset."""
    rows = json.loads((out / "report.json").read_text())["tasks"]
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["dataset"], set()).add(row["state"])
    return found
