"""Memory against the number of events: a selection and a fill over 1, 3 and 10 million events, and pairs. Prints JSON.

The sample of a million events is written once into the folder given as argument (default: a temporary one); a table of ten million
is the file ten times over. The pairs are of 5 jets and 100 particles an event, over 5, 20 and 80 thousand events, and over the last
with other settings of ``memory``. Each runs in a process of its own, which reports its peak resident memory and its processor time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MEASURE = """
import json, resource, sys, time
from hep_flows import Histogram, make_local, nanoaod_table

df = nanoaod_table([sys.argv[1]] * int(sys.argv[2]))
jets = df.Jet[(df.Jet.pt > 30) & (abs(df.Jet.eta) < 2.4)]
events = df[df.Electron.Count() >= 2]
start = time.perf_counter()
pt, ht, n = make_local([
    Histogram.new.Reg(100, 0, 200, name="pt").Double().fill(pt=jets.pt),
    Histogram.new.Reg(100, 0, 500, name="ht").Double().fill(ht=jets.pt.Sum()),
    events.Count(),
])
print(json.dumps({
    "seconds": round(time.perf_counter() - start, 2),
    "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "entries": int(pt.sum(flow=True)), "selected events": n,
}))
"""


_PAIRS = """
import json, resource, sys
from hep_flows import make_local, nanoaod_table, plan

df = nanoaod_table(sys.argv[1])
nearest = df.Jet.map(lambda j: df.GenPart.DeltaR(j).Min()).Sum()
(event,) = plan(nearest).event_bytes.values()
before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
make_local(nearest)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "processor s": round(sum(used[:2]) - before, 2),
    "peak MB": used.ru_maxrss // 1024,
    "estimated kB an event": round(event / 1000, 1),
}))
"""


def pairs(folder: Path, n_events: int) -> Path:
    """Give a NanoAOD file of so many events with 5 jets and 100 particles each, on average."""
    import awkward as ak
    import numpy as np
    import uproot

    path = folder / f"pairs_{n_events}.root"
    if not path.exists():
        rng = np.random.default_rng(0)
        data = {}
        for name, mean in (("GenPart", 100), ("Jet", 5)):
            counts = rng.poisson(mean, n_events)
            leaves = {k: rng.normal(0, 1.5, counts.sum()).astype("f4") for k in ("eta", "phi")}
            data[name] = ak.zip({k: ak.unflatten(v, counts) for k, v in leaves.items()})
        with uproot.recreate(path) as file:
            types = {k: v.type.content for k, v in data.items()}
            file.mktree("Events", types, counter_name=lambda c: "n" + c).extend(data)
    return path


def sample(folder: Path, n_events: int) -> Path:
    """Give a NanoAOD file of that many events, written on first use."""
    from hep_flows.demo.sample import Recipe, generate, write_nanoaod

    path = folder / f"sample_{n_events}.root"
    if not path.exists():
        recipe = Recipe(events=n_events)
        write_nanoaod(generate(recipe), recipe, path)
    return path


def in_folder(measure: Callable[[Path], None]) -> None:
    """Measure in the folder given as argument, or in a temporary one."""
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch))


def main(folder: Path) -> None:
    """Measure and print."""
    os.environ["HEP_FLOWS_CACHE"] = "off"  # what is measured is the computation
    start = time.perf_counter()
    path = sample(folder, 1_000_000)
    figures: dict[str, object] = {"sample, s": round(time.perf_counter() - start, 1), "file MB": path.stat().st_size >> 20}
    for copies in (1, 3, 10):
        command = [sys.executable, "-c", _MEASURE, str(path), str(copies)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures[f"{copies} million events"] = json.loads(out)
    for n_events, memory in ((5_000, ""), (20_000, ""), (80_000, ""), (80_000, "2GB"), (80_000, "600MB")):
        command = [sys.executable, "-c", _PAIRS, str(pairs(folder, n_events))]
        place = os.environ | ({"HEP_FLOWS_MEMORY": memory} if memory else {})
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=place).stdout
        figures[f"pairs of {n_events:,} events" + f", memory={memory}" * bool(memory)] = json.loads(out)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    in_folder(main)
