"""Small files of events, and an analysis of them that has everything: columns, numbers, histograms, and numbers inside of others."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, run


def write(path, seed, n=40):
    """Write a file, and give its path."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    pt = ak.unflatten(ak.Array(rng.exponential(50, int(counts.sum())).astype(np.float32)), counts)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Jet": "var * {pt: float32}", "MET_pt": "float32"})
        file["Events"].extend({"Jet": ak.zip({"pt": pt}), "MET_pt": rng.exponential(30, n).astype(np.float32)})
    return str(path)


def fill(events, bins=20, cut=30.0):
    """Fill the jets above a cut."""
    jets = events.Jet[events.Jet.pt > cut]
    return Histogram.new.Reg(bins, 0, 200, name="pt").Weight().fill(pt=jets.pt, weight=jets.pt)


def everything(events, cut=30.0):
    """Ask for one of each."""
    jets = events.Jet[events.Jet.pt > cut]
    return {
        "columns": jets.pt / 3,
        "number": jets.pt.Sum().Sum(),
        "of the largest": events.MET.pt / events.MET.pt.Max(),
        "filled": fill(events, cut=cut),
        "filled of the largest": Histogram.new.Reg(10, 0, 1, name="x").Double().fill(x=jets.pt / events.Jet.pt.Max().Max()),
        "counts and edges": np.histogram(events.MET.pt, bins=10, range=(0, 200)),
        "first": events.MET.pt[:7],
        "nested": [jets.Count().Sum(), (events.MET.pt.Sum(), events.MET.pt.Min())],
    }


def bits(value):
    """Give a value as something that is equal only where every bit is."""
    if isinstance(value, dict):
        return {k: bits(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [bits(v) for v in value]
    if isinstance(value, ak.Array):
        form, length, buffers = ak.to_buffers(ak.to_packed(value))
        return str(form), length, {k: np.asarray(b).tobytes() for k, b in buffers.items()}
    if hasattr(value, "view"):
        view = value.view() if isinstance(value, np.ndarray) else value.view(flow=True)
        return str(view.dtype), view.shape, view.tobytes(), [str(a) for a in getattr(value, "axes", ())]
    return type(value), float(value).hex()


def inline(asked, **options):
    """Give the values of a run within this process that neither finds nor stores anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEP_FLOWS_CACHE", "off")
        return run(asked, engine="inline", on_error="raise", **options).values


def value_of(result):
    """Give what a user gets of a result."""
    (name,) = [n for n in ("array", "value", "histogram") if hasattr(result, n)]
    return getattr(result, name)


def states(done):
    """Give what became of each task: who ran it, how it ended, and how many batches were computed and found."""
    return [(r.plugin, r.state, r.batches_computed, r.batches_cached) for r in done.report.tasks]


def n_computed(done):
    """Give how many batches, and whole results, were computed."""
    return sum([r.batches_computed for r in done.report.tasks])


def new_process():
    """Forget what this process has in memory of the store."""
    from hep_flows.execute import results as open_store

    open_store.store_of.cache_clear()
