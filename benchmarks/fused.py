"""The eight ADL benchmark queries in memory: numpy's evaluator beside compiled loops. Prints JSON: ``python fused.py [nano.root [copies [rounds]]]``.

Both evaluate the columns of each query of the same arrays, and fill its histograms, in turn in one thread; each figure is the median of
the rounds, in milliseconds of CPU for 200 000 events. ``first`` is the first round of the loops, which compiles them. The histograms are equal to the
bit.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uproot
from adl import QUERIES, repeated

from hep_flows import nanoaod_table, render
from hep_flows.contract import Partition, RunContext
from hep_flows.planning.plan import make_plan
from hep_flows.plugins import installed
from hep_flows.plugins.awkward.evaluate import evaluate, run_tasks
from hep_flows.plugins.fused.regions import compiled, evaluate_fused
from hep_flows.sources.open import OpenTables
from hep_flows.sources.read import read_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.contract import Plan

WAYS: dict[str, Any] = {"awkward": evaluate, "fused": partial(evaluate_fused, loop_of=compiled, always=True)}


def in_memory() -> Callable[..., Any]:
    """Give a function that reads columns of the file once."""
    known: dict[Any, Any] = {}
    tables = OpenTables()

    def read(dataset: Any, partition: Partition, paths: Any) -> Any:
        if tuple(paths) not in known:
            known[tuple(paths)] = read_columns(dataset, partition, paths, tables=tables)
        return known[tuple(paths)]

    return read


def run(plan: Plan, context: RunContext, read: Callable[..., Any], evaluating: Any) -> list[Any]:
    """Give the filled histograms."""
    hist = next(p for p in installed(("awkward", "hist")) if p.name == "hist")
    tasks = [t for t in plan.tasks if t.plugin != "hist"]
    columns = run_tasks(tasks, {}, context, read, evaluating)
    programs = [hist.translate(t) for t in plan.tasks if t.plugin == "hist"]
    parts = hist.run(programs, columns, context)
    return [hist.merge(p, [parts[p.task.key]]).histogram for p in programs]


def main(path: str = "", copies: int = 200, rounds: int = 5) -> None:
    """Measure and print."""
    from memory import sample  # beside this file

    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = repeated(path or str(sample(Path(folder), 1000)), copies, folder)
        with uproot.open(file) as opened:
            n_events = opened["Events"].num_entries
        context, read = RunContext(partition=Partition(file, 0, 0, n_events, 0)), in_memory()
        for name, query in QUERIES.items():
            made = render(query(nanoaod_table(file)))
            plan = make_plan(made if isinstance(made, list) else [made], installed(("awkward", "hist")))
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(rounds + 1):
                found = []
                for way, evaluating in WAYS.items():
                    start = time.process_time()
                    found.append(run(plan, context, read, evaluating))
                    times[way].append(1e3 * (time.process_time() - start) * 200_000 / n_events)
                assert [h.view(flow=True).tolist() for h in found[0]] == [h.view(flow=True).tolist() for h in found[1]], name
            row: dict[str, object] = {way: round(statistics.median(t[1:]), 2) for way, t in times.items()}
            row["ratio"] = round(statistics.median(a / b for a, b in zip(times["awkward"][1:], times["fused"][1:], strict=True)), 2)
            figures[name] = row | {"first": round(times["fused"][0])}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:2], *[int(n) for n in sys.argv[2:]])
