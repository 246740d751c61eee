"""What Prefect costs: starting a server, a flow run, and each task run over the same work inline. Prints JSON.

The work is one small table and N different histograms of it, so every plan has N fills, N columns and one pass. ``per task`` is the slope
between two sizes, in milliseconds over inline; ``fixed`` is what is left at no tasks, in seconds; both with a server that runs. The first
start makes the database of the server, later ones find it. ``seen by a run`` is the start as a run waits for it: Prefect is imported
meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from memory import in_folder, sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FEW, MANY = 5, 45
ROUNDS = 3

RUN = """
import sys, time
start = time.perf_counter()
from hep_flows import nanoaod_table, run
df = nanoaod_table(sys.argv[1])
run(df.MET.pt * float(sys.argv[2]), engine=sys.argv[3])
print(time.perf_counter() - start)
"""


def fills(path: str, numbers: Sequence[float]) -> list[Any]:
    """Give histograms that have nothing in common but the table."""
    from hep_flows import Histogram, nanoaod_table

    df = nanoaod_table(path)
    axes = Histogram.new.Reg(20, 0, 200, name="pt").Double()
    return [axes.fill(pt=df.MET.pt * n) for n in numbers]


def timed(path: str, n: int, seed: float, engine: str) -> tuple[float, int]:
    """Give the seconds of a cold run, and the number of its tasks."""
    from hep_flows import run

    asked = fills(path, [seed + i / 1000 for i in range(n)])
    start = time.perf_counter()
    done = run(asked, engine=engine, on_error="raise")
    assert all(row.state == "computed" for row in done.report.tasks)
    return time.perf_counter() - start, len(done.report.tasks) + 1


def costs(path: str) -> dict[str, float]:
    """Give what a flow run and a task run cost over inline."""
    timed(path, FEW, 0.5, "embedded")  # the server starts, libraries are imported
    over: dict[int, list[float]] = {FEW: [], MANY: []}
    tasks: dict[int, int] = {}
    for number in range(ROUNDS):
        for n, seconds in over.items():
            inline, _ = timed(path, n, 1000 + 100 * number + n, "inline")
            prefect, tasks[n] = timed(path, n, 2000 + 100 * number + n, "embedded")
            seconds.append(prefect - inline)
    few, many = statistics.median(over[FEW]), statistics.median(over[MANY])
    each = (many - few) / (tasks[MANY] - tasks[FEW])
    return {"per task, ms": round(1e3 * each, 1), "fixed, s": round(few - each * tasks[FEW], 2)}


def process(path: str, factor: float, engine: str) -> float:
    """Give the seconds of a run in a new process, from the first import on."""
    command = [sys.executable, "-W", "ignore", "-c", RUN, path, f"{factor}", engine]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(folder: Path) -> None:
    """Measure and print."""
    os.environ["HEP_FLOWS_CACHE"] = str(folder / "cache")
    path = str(sample(folder, 20_000))
    time.sleep(2.1)  # a file that was just written is not remembered
    inline = process(path, 2.0, "inline")
    first = process(path, 3.0, "embedded")
    later = statistics.median([process(path, 4.0 + i, "embedded") for i in range(ROUNDS)])
    figures: dict[str, float] = {
        "run in a new process, inline, s": round(inline, 2),
        "the same with a server of its own, first time, s": round(first, 2),
        "the same with a server of its own, later, s": round(later, 2),
    }
    print(json.dumps(figures | costs(path), indent=1))


if __name__ == "__main__":
    in_folder(main)
