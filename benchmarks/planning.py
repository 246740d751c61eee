"""How long it takes to find out that 200 datasets with 10 results each are all there. Prints JSON, in seconds of processor time.

``plan`` is everything that precedes a run (the fileset, the files, recording, instantiation, the plan), ``look up`` asks the store for
every task; both are medians in a process that has done it once. ``run`` is a whole warm `run_analysis`, values included; ``new process``
is a whole warm ``hep-flows plan``, and ``cold run`` the first run, both by the clock. ``take over`` is what one recording of 2000 fills
costs for each of the datasets that it is taken over to, in milliseconds, and ``record`` what the recording itself takes. Usage: ``planning.py [NANOAOD_FILE]``, whose copies are the datasets; else a sample is made.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows import run_analysis
from hep_flows.analysis.prepare import prepare
from hep_flows.analysis.record import loaded
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.execute.history import plan_status
from hep_flows.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.filesets import Described

DATASETS = 200
ANALYSIS = """
from hep_flows import Histogram

H = Histogram.new


def analysis(events):
    jets = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
    muons = events.Muon[events.Muon.pt > 10]
    selected = events[(jets.Count() >= 2) & (muons.Count() >= 1)]
    return {
        "jet_pt": H.Reg(50, 0, 200, name="pt").Double().fill(pt=jets.pt),
        "jet_eta": H.Reg(50, -3, 3, name="eta").Double().fill(eta=jets.eta),
        "muon_pt": H.Reg(50, 0, 200, name="pt").Double().fill(pt=muons.pt),
        "n_jets": H.Reg(10, 0, 10, name="n").Double().fill(n=jets.Count()),
        "met": H.Reg(50, 0, 200, name="met").Double().fill(met=selected.MET.pt),
        "ht": H.Reg(50, 0, 500, name="ht").Double().fill(ht=jets.pt.Sum()),
        "events": events.Count(),
        "selected": selected.Count(),
        "mean_met": selected.MET.pt.Mean(),
        "hardest": jets.pt.Max().Max(),
    }
"""


FILLS = """
from hep_flows import Histogram

H = Histogram.new


def analysis(events):
    weight = events.genWeight * (events.metadata["xsec"] * 59.7)
    found = {}
    for i in range(200):
        jets = events.Jet[(events.Jet.pt > 20 + i * 0.1) & (abs(events.Jet.eta) < 2.4)]
        two = jets.Count() >= 2
        ev = events[two]
        values = (ev.MET.pt, ev.MET.phi, ev.Muon.Count(), ev.Jet.Count(), ev.Jet.pt.Sum(), ev.Muon.pt.Max(), ev.Jet.pt.Max(), ev.Jet.eta.Max())
        for j, x in enumerate((*values, ev.MET.pt * 2, ev.MET.pt + ev.Jet.pt.Sum())):
            found[f"h{i}_{j}"] = H.Reg(50, 0, 200, name="x").Weight().fill(x=x, weight=weight[two])
    return found
"""


def taken_over(analysis: Path, datasets: Sequence[Described]) -> tuple[float, float]:
    """Give the seconds of a recording, and those of taking it over to each of the other datasets."""
    from hep_flows.analysis.record import record

    with loaded(analysis) as found:
        begin = time.process_time()
        recording = record(found, datasets[0])
        middle = time.process_time()
        for dataset in datasets[1:]:
            if not recording.holds_for(dataset):
                raise SystemExit(f"the recording does not hold for {dataset.entry.name}")
            recording.over(dataset)
    return middle - begin, (time.process_time() - middle) / (len(datasets) - 1)


def copies(source: Path, folder: Path) -> dict[str, Any]:
    """Give a fileset of copies of a file, each with an identifier of its own."""
    import uproot

    content = source.read_bytes()
    with uproot.open({str(source): None}) as file:
        own = file.file.uuid.bytes
    folder.mkdir()
    fileset = {}
    for i in range(DATASETS):
        path = folder / f"dataset_{i:03d}.root"
        path.write_bytes(content.replace(own, own[:-4] + i.to_bytes(4, "big"), 1))
        fileset[path.stem] = {"files": {str(path): "Events"}, "metadata": {"xsec": float(i)}}
    return fileset


def seconds(work: Any, clock: Callable[[], float] = time.process_time) -> float:
    """Time a call."""
    start = clock()
    work()
    return clock() - start


def main(folder: Path) -> None:
    """Measure and print."""
    os.environ["HEP_FLOWS_CACHE"] = str(folder / "cache")
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_files(folder, Recipe(events=200)).nanoaod
    fileset = copies(source, folder / "data")
    analysis, written = folder / "analysis.py", folder / "fileset.json"
    analysis.write_text(ANALYSIS)
    written.write_text(json.dumps(fileset))
    time.sleep(2.1)  # files that were just written are not remembered
    cold = seconds(lambda: run_analysis(analysis, fileset, engine="inline"), time.perf_counter)
    with loaded(analysis) as found:
        ready = prepare(found, fileset, read_settings())
        plans = [seconds(lambda: prepare(found, fileset, read_settings())) for _ in range(5)]
    looks = [seconds(lambda: plan_status(ready.plan, ready.plugins, ready.store)) for _ in range(5)]
    runs = [seconds(lambda: run_analysis(analysis, fileset)) for _ in range(3)]
    many = folder / "many.py"
    many.write_text(FILLS)
    recorded, over = taken_over(many, list(ready.datasets.values())[:50])
    command = [sys.executable, "-c", "from hep_flows.cli.main import main; main()", "plan", str(analysis), str(written)]
    new = [seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), time.perf_counter) for _ in range(3)]
    figures = {
        "datasets": DATASETS,
        "tasks": len(ready.plan.tasks),
        "recordings": ready.expressions.recordings,
        "cold run": round(cold, 2),
        "plan": round(statistics.median(plans), 3),
        "look up": round(statistics.median(looks), 3),
        "run": round(statistics.median(runs), 3),
        "record 2000 fills": round(recorded, 2),
        "take over, ms": round(1000 * over, 1),
        "new process": round(statistics.median(new), 3),
    }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
