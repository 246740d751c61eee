"""What the cache saves: warm look-ups in this process and in a new one, and edited analyses against cold ones. Prints JSON.

``same process`` and ``new process`` are medians in milliseconds; the latter is the time from the start of Python to the histogram, beside a
Python that imports hist and does nothing else. The figures of edited analyses are seconds, and their part of the cold run.
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

from hep_flows import Histogram, make_local, nanoaod_table, run

if TYPE_CHECKING:
    from pathlib import Path

WARM = """
import sys
from hep_flows import Histogram, make_local, nanoaod_table
df = nanoaod_table(sys.argv[1])
jets = df.Jet[(df.Jet.pt > 30) & (abs(df.Jet.eta) < 2.4)]
h = make_local(Histogram.new.Reg(100, 0, 200, name="pt").Double().fill(pt=jets.pt))
"""

ARRAY = """
import sys
from hep_flows import make_local, nanoaod_table
df = nanoaod_table(sys.argv[1])
make_local(df.Jet[(df.Jet.pt > 30) & (abs(df.Jet.eta) < 2.4)].pt)
"""


def analysis(path: str, cut: float = 30, bins: int = 100) -> Any:
    """Give the histogram of central jets."""
    df = nanoaod_table(path)
    jets = df.Jet[(df.Jet.pt > cut) & (abs(df.Jet.eta) < 2.4)]
    return Histogram.new.Reg(bins, 0, 200, name="pt").Double().fill(pt=jets.pt)


def seconds(work: Any) -> float:
    """Time a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(*arguments: str) -> float:
    """Time a new Python in milliseconds."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return 1e3 * seconds(lambda: subprocess.run([sys.executable, *arguments], check=True, env=environment))


def main(folder: Path, rounds: int = 9) -> None:
    """Measure and print."""
    os.environ["HEP_FLOWS_CACHE"] = str(folder / "cache")
    path = str(sample(folder, 1_000_000))
    time.sleep(2.1)  # a file that was just written is not remembered
    make_local(analysis(path, cut=99))  # libraries are imported, and the file is in the page cache
    cold = seconds(lambda: make_local(analysis(path)))
    os.environ["HEP_FLOWS_CACHE"] = "off"
    without = seconds(lambda: make_local(analysis(path)))
    os.environ["HEP_FLOWS_CACHE"] = str(folder / "cache")
    binning = seconds(lambda: make_local(analysis(path, bins=50)))
    cut = seconds(lambda: make_local(analysis(path, cut=35)))
    expr = analysis(path)
    again = statistics.median([1e3 * seconds(lambda: make_local(expr)) for _ in range(50)])
    table = statistics.median([1e3 * seconds(lambda: nanoaod_table(path)) for _ in range(20)])
    assert [r.state for r in run(expr).report.tasks] == ["not run", "cached"]
    pairs = [(process("-c", WARM, path), process("-c", "import hist")) for _ in range(rounds + 1)][1:]
    warm, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    process("-c", ARRAY, path)
    arrays = [(process("-c", ARRAY, path), process("-c", "import awkward, pyarrow.parquet")) for _ in range(rounds)]
    ratio = statistics.median([a / b for a, b in pairs])
    figures = {
        "same process, ms": round(again, 2),
        "table of a known file, ms": round(table, 2),
        "new process to a histogram, ms": round(warm, 1),
        "import of hist alone, ms": round(alone, 1),
        "ratio of these": round(ratio, 2),
        "new process to an array, over the import of awkward and pyarrow": round(statistics.median([a / b for a, b in arrays]), 2),
        "cold without a cache, s": round(without, 3),
        "cold, results stored, s": round(cold, 3),
        "other bins, s": round(binning, 3),
        "other bins, part of cold": round(binning / cold, 2),
        "other cut, s": round(cut, 3),
        "other cut, part of cold": round(cut / cold, 2),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    in_folder(main)
