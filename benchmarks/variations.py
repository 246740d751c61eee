"""What variations cost: 50 weight variations of one selection, and 10 object variations, over the nominal run of it. Prints JSON.

Run with ``python benchmarks/variations.py [EVENTS]``. The runs take turns in one process; processor time decides, and every run computes
everything: ``stored`` keeps the results in a cache, ``not stored`` has none.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

if TYPE_CHECKING:
    from collections.abc import Callable

N_WEIGHTS, N_OBJECTS, ROUNDS = 50, 10, 5


def sample(folder: Path, events: int) -> str:
    """Write events with jets, and give the file."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(5, events)
    total = int(counts.sum())
    leaves = {
        "pt": rng.exponential(40, total) + 15,
        "eta": rng.normal(0, 2, total),
        "phi": rng.uniform(-3, 3, total),
        "mass": rng.exponential(8, total),
    }
    jets = ak.zip({k: ak.unflatten(v.astype("f4"), counts) for k, v in leaves.items()})
    path = folder / "events.root"
    with uproot.recreate(path) as file:
        record = "var * {pt: float32, eta: float32, phi: float32, mass: float32}"
        file.mktree("Events", {"Jet": record, "MET_pt": "f4", "genWeight": "f4"})
        met, weight = rng.exponential(50, events).astype("f4"), rng.normal(1, 0.1, events).astype("f4")
        file["Events"].extend({"Jet": jets, "MET_pt": met, "genWeight": weight})
    return str(path)


def analyses(path: str) -> dict[str, Callable[[], Any]]:
    """Give what is run, by name."""
    from hep_flows import Histogram, nanoaod_table, vary

    df = nanoaod_table(path)
    empty = Histogram.new.Reg(50, 0, 2000, name="m").Weight()

    def filled(events: Any, weight: Any) -> Any:
        central = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
        selected = events[central.Count() >= 4]
        mass = selected.Jet[selected.Jet.pt > 30].Sum().mass
        return empty.fill(m=mass, weight=weight(selected))

    def weights(selected: Any) -> Any:
        w = selected.genWeight
        return vary(w, "pdf", {str(i): w * (1 + 0.001 * i) + selected.MET.pt * (0.001 * i) for i in range(N_WEIGHTS)})

    def scale(i: int) -> Callable[[Any], Any]:
        return lambda j: j.With(pt=j.pt * (1 + 0.01 * (i + 1)))

    return {
        "nominal": lambda: filled(df, lambda s: s.genWeight),
        "weights": lambda: filled(df, weights),
        "objects": lambda: filled(vary(df, "jes", Jet={str(i): scale(i) for i in range(N_OBJECTS)}), lambda s: s.genWeight),
    }


def measured(path: str) -> dict[str, Any]:
    """Give the medians of processor seconds, and the ratios to the nominal run."""
    from hep_flows import run

    made = analyses(path)
    times: dict[str, list[float]] = {name: [] for name in made}
    peak = {}
    for _ in range(ROUNDS):
        for name, analysis in made.items():
            begin = time.process_time()
            run(analysis(), refresh=True, workers=1, engine="inline")
            times[name].append(time.process_time() - begin)
            peak.setdefault(name, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    medians = {name: statistics.median(t) for name, t in times.items()}
    ratios = {name: round(m / medians["nominal"], 2) for name, m in medians.items()}
    return {
        "seconds": {n: round(m, 3) for n, m in medians.items()},
        "over nominal": ratios,
        "peak MB": {n: round(p) for n, p in peak.items()},
    }


def main() -> None:
    """Print the figures with and without a cache."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = sample(Path(folder), events)
        found: dict[str, Any] = {"events": events, "weights": N_WEIGHTS, "objects": N_OBJECTS}
        os.environ["HEP_FLOWS_CACHE"] = "off"
        found["not stored"] = measured(path)
        os.environ["HEP_FLOWS_CACHE"] = str(Path(folder) / "cache")
        found["stored"] = measured(path)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
