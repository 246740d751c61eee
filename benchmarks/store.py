"""What the store costs: writing and reading against plain `ak.to_parquet` and `ak.from_parquet`, and look-ups. Prints JSON.

Run with ``python benchmarks/store.py [events]``. Writing and reading are processor seconds of this process, all threads, and wall
seconds; a first read verifies the checksum, a second one does not. New processes are wall seconds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np

from hep_flows.contract import Columns, HistogramResult
from hep_flows.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 5
PROCESSES = 9


def events(n: int) -> dict[str, ak.Array]:
    """Give arrays like those of an analysis: values with the precision that files have, not noise."""
    random = np.random.default_rng(1)
    counts = random.poisson(1.6, n)
    members = {}
    for name in ("pt", "eta", "phi", "mass"):
        values = random.exponential(30, counts.sum()).astype(np.float32)
        members[name] = (values.view(np.int32) & ~0x3FF).view(np.float32)
    jets = ak.unflatten(ak.Array(members), counts)
    return {
        "jagged column": jets.pt,
        "jagged records": jets,
        "flat columns": ak.Array({"met": members["pt"][:n], "run": np.arange(n)}),
    }


def timed(works: dict[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Give the median seconds of each work; they take turns, so that a busy machine is busy for all of them."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {"wall": round(statistics.median([w for w, _ in t]), 4), "cpu": round(statistics.median([c for _, c in t]), 4)}
        for name, t in times.items()
    }


def against_awkward(folder: Path, array: ak.Array) -> dict[str, Any]:
    """Give what writing and reading one array costs, beside awkward's own way."""
    key, plain = bytes(32), str(folder / "plain.parquet")
    root = folder / "cache"
    store = Store(root, memory_bytes=0)
    read = Store(root, memory_bytes=0)
    ak.to_parquet(array, plain)
    store.put(key, Columns(array))
    read.get(key)
    out: dict[str, Any] = timed(
        {
            "plain write": lambda: ak.to_parquet(array, plain),
            "store write": lambda: store.put(key, Columns(array)),
        }
    )
    read.get(key)
    out |= timed(
        {
            "plain read": lambda: ak.from_parquet(plain),
            "store first read": lambda: Store(root, memory_bytes=0).get(key),
            "store read": lambda: read.get(key),
        }
    )
    for name, base in (("store write", "plain write"), ("store first read", "plain read"), ("store read", "plain read")):
        out[f"{name} ratio"] = {k: round(out[name][k] / out[base][k], 3) for k in ("wall", "cpu")}
    sizes = Path(plain).stat().st_size, Path(str(store.path(key))).stat().st_size
    return out | {"MB": {"plain": round(sizes[0] / 1e6, 2), "store": round(sizes[1] / 1e6, 2)}}


def look_ups(folder: Path, n_keys: int) -> dict[str, float]:
    """Give what it costs to look small histograms up by key."""
    histogram = HistogramResult(hist.Hist.new.Reg(50, 0, 100, name="pt").Weight().fill([1, 2, 3], weight=0.5))
    keys = [sha256(str(n).encode()).digest() for n in range(n_keys)]
    store = Store(folder / "many")
    start = time.perf_counter()
    for key in keys:
        store.put(key, histogram)
    put = time.perf_counter() - start
    fresh = Store(folder / "many")
    out = timed({"has": lambda: fresh.has(keys), "memory": lambda: [store.get(k) for k in keys[:200]]})
    first = timed({"get": lambda: [Store(folder / "many").get(k) for k in keys[:200]]})
    return {
        f"has {n_keys} keys, s": out["has"]["wall"],
        "put one histogram, ms": round(put / n_keys * 1e3, 3),
        "first get of a histogram, ms": round(first["get"]["wall"] * 5, 3),
        "get of a histogram from memory, ms": round(out["memory"]["wall"] * 5, 3),
    }


def together(folder: Path, n_files: int) -> dict[str, Any]:
    """Give what a run of 5 results over small files costs, cache on and off, and what it leaves; then one of 200 histograms."""
    from hep_flows import Histogram, nanoaod_table, run
    from hep_flows.demo.sample import Recipe, sample_files
    from hep_flows.settings import environment_with

    files = [str(sample_files(folder / f"{n:04d}", Recipe(events=1000, seed=n)).nanoaod) for n in range(n_files)]
    events, one = nanoaod_table(files), nanoaod_table(files[0])
    syncs, real = [0], os.fsync

    def counted(fd: Any) -> None:
        syncs[0] += 1
        real(fd)

    def five(factor: float) -> list[Any]:
        good = events.Jet[events.Jet.pt > 30 * factor]
        pt, met = (Histogram.new.Reg(50, 0, 200, name=n).Weight() for n in ("pt", "met"))
        return [pt.fill(pt=good.pt), met.fill(met=events.MET.pt * factor), events.Count(), events.MET.pt.Sum(), good.Count().Sum()]

    def many(factor: float) -> list[Any]:
        return [Histogram.new.Reg(50, 0, 200 + i, name="pt").Weight().fill(pt=one.Jet.pt * factor) for i in range(200)]

    out: dict[str, Any] = {"files": n_files}
    with environment_with({"HEP_FLOWS_ENGINE": "inline"}):
        for name, asked in (("five results", five), ("200 histograms", many)):
            for cache in ("off", str(folder / name)):
                with environment_with({"HEP_FLOWS_CACHE": cache}):
                    run(asked(0.9), on_error="raise")  # libraries are loaded
                    syncs[0], os.fsync = 0, counted
                    wall, cpu = time.perf_counter(), time.process_time()
                    run(asked(1.1), on_error="raise")
                    os.fsync = real
                    spent = {"wall": round(time.perf_counter() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}
                    out[f"{name}, {'off' if cache == 'off' else 'stored'}"] = spent | {"syncs": syncs[0]}
            objects = {p.stat().st_ino: p.stat().st_size for p in (folder / name).glob("objects-*/**/*") if p.is_file()}
            out[f"{name}, two runs"] = {"inodes": len(objects), "MB": round(sum(objects.values()) / 1e6, 3)}
    return out


def new_processes(folder: Path) -> dict[str, float]:
    """Give the milliseconds of whole processes that fetch a warm result."""
    store = Store(folder / "warm")
    store.put(b"h" * 32, HistogramResult(hist.Hist.new.Reg(50, 0, 100, name="pt").Weight()))
    store.put(b"a" * 32, Columns(events(10_000)["jagged column"]))
    get = f"from hep_flows.store.store import Store; assert Store({store.folder.root!r}).get(b'%s' * 32)"
    codes = {
        "python": "pass",
        "import hist": "import hist",
        "histogram": get % "h",
        "import awkward": "import awkward",
        "array": get % "a",
    }

    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(PROCESSES):
        for name, code in codes.items():
            start = time.perf_counter()
            run(code)()
            times[name].append(time.perf_counter() - start)
    out = {f"{name}, ms": round(statistics.median(t) * 1e3, 1) for name, t in times.items()}
    out["histogram / import hist"] = round(out["histogram, ms"] / out["import hist, ms"], 3)
    out["array / import awkward"] = round(out["array, ms"] / out["import awkward, ms"], 3)
    return out


def main(n_events: int) -> None:
    """Print everything as JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out: dict[str, Any] = {"events": n_events}
        for what, array in events(n_events).items():
            (folder / what).mkdir()
            out[what] = against_awkward(folder / what, array)
        out["look-ups"] = look_ups(folder, 2000)
        out["together"] = together(folder, 100)
        out["new processes"] = new_processes(folder)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
