"""What Prefect costs: starting a server, a flow run, and each task run over the same work inline. Prints JSON.

The work is one small table and N different histograms of it, so every plan has N fills, N columns and one pass. ``per task`` is the slope
over four sizes, in milliseconds over inline; ``fixed`` is what is left at no tasks, in seconds; both with a server that runs, as the median
of nine rounds with the middle half of them. The first start makes the database of the server, later ones find it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import combinations
from typing import TYPE_CHECKING, Any

from memory import in_folder, sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZES = (5, 20, 35, 50)
SLOPE_ROUNDS = 9
# For a moment after a run the server still writes, and refuses a new one; Prefect's client then waits two seconds.
SETTLE_S = 1.0
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


def costs(path: str) -> dict[str, Any]:
    """Give what a flow run and a task run cost over inline: medians over the rounds, and their middle halves.

    In each round runs of all sizes take turns, so that a machine that gets slower or faster changes no slope by much; the slope of a
    round is the median over the pairs of its sizes, so that one run that was disturbed does not decide.
    """
    timed(path, SIZES[0], 0.5, "embedded")  # the server starts, libraries are imported
    timed(path, SIZES[-1], 0.7, "embedded")
    slopes: list[float] = []
    fixed: list[float] = []
    for number in range(SLOPE_ROUNDS):
        points = [over_inline(path, n, number) for n in (SIZES if number % 2 else SIZES[::-1])]
        each = statistics.median([(b - a) / (m - n) for (n, a), (m, b) in combinations(points, 2)])
        slopes.append(1e3 * each)
        fixed.append(statistics.median([seconds - each * tasks for tasks, seconds in points]))
    return {"per task, ms": with_spread(slopes, 1), "fixed, s": with_spread(fixed, 2)}


def over_inline(path: str, n: int, number: int) -> tuple[int, float]:
    """Give the tasks of a run, and what it takes with Prefect over what it takes inline."""
    inline, _ = timed(path, n, 1000 + 100 * number + n, "inline")
    time.sleep(SETTLE_S)
    prefect, tasks = timed(path, n, 5000 + 100 * number + n, "embedded")
    return tasks, prefect - inline


def with_spread(values: Sequence[float], digits: int) -> str:
    """Give the median, and the middle half of the values."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


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
    figures: dict[str, Any] = {
        "run in a new process, inline, s": round(inline, 2),
        "the same with a server of its own, first time, s": round(first, 2),
        "the same with a server of its own, later, s": round(later, 2),
    }
    print(json.dumps(figures | costs(path), indent=1))


if __name__ == "__main__":
    in_folder(main)
