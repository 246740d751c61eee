"""Queries in this process by ServiceX's code generator, beside the awkward plug-in on the same files. Prints JSON.

Each figure is the median of the rounds in seconds, from the open table to the result, with the file in the page cache; ``ratio`` is the
embedded endpoint's time over the awkward plug-in's, round by round, so that it holds while the machine's speed drifts. Arrays must be
equal. The first run of a query, which makes its program, is given apart. The folder with a real PHYSLITE file may follow the scratch
folder on the command line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
from memory import in_folder, sample

from hep_flows.contract import Columns
from hep_flows.execute.run import run_plan
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from hep_flows.record.dataframe import table_of
from hep_flows.sources.describe import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows import DataFrame
    from hep_flows.contract import Plugin

    Ask = Callable[[DataFrame], DataFrame]

EVENTS = 300_000
ROUNDS = 7


def nanoaod() -> dict[str, Ask]:
    """Give the queries over NanoAOD."""
    return {
        "a column": lambda df: df.Jet.pt,
        "a filter": lambda df: df.Jet[(df.Jet.pt > 30) & (abs(df.Jet.eta) < 1.5)].pt / 1000,
        "a count": lambda df: df.Jet[df.Jet.pt > 40].Count(),
        "a sum": lambda df: df.Jet[abs(df.Jet.eta) < 2].pt.Sum(),
        "chosen events": lambda df: df[df.Jet[df.Jet.pt > 40].Count() >= 2].MET.pt,
        "near objects": lambda df: df.Electron.map(lambda e: df.Muon[lambda m: m.DeltaR(e) < 0.4].Count()),
    }


def physlite() -> dict[str, Ask]:
    """Give the queries over PHYSLITE."""
    return {
        "a column": lambda df: df.Electrons("Electrons").pt,
        "a filter": lambda df: df.Electrons("Electrons")[df.Electrons("Electrons").pt > 20_000.0].eta,
        "a sum": lambda df: df.Jets("Jets").pt.Sum(),
    }


def ratios(kind: str, file: str, asks: dict[str, Ask]) -> dict[str, Any]:
    """Give the figures of some queries over one file."""
    awkward, servicex = AwkwardPlugin(), ServiceXPlugin()
    described = describe(kind, [file])
    local, remote = table_of(described, kind), table_of(described, f"servicex:{kind}")
    return {name: _figures(ask(local), ask(remote), awkward, servicex) for name, ask in asks.items()}


def _figures(local: DataFrame, remote: DataFrame, awkward: Plugin, servicex: Plugin) -> dict[str, Any]:
    (here, expected), (first, got) = _timed(local, [awkward]), _timed(remote, [servicex])
    assert ak.array_equal(got, expected, equal_nan=True), "the results differ"
    rounds = [(_timed(local, [awkward])[0], _timed(remote, [servicex])[0]) for _ in range(ROUNDS)]
    return {
        "awkward, s": round(statistics.median([a for a, _ in rounds]), 4),
        "embedded, s": round(statistics.median([e for _, e in rounds]), 4),
        "ratio": round(statistics.median([e / a for a, e in rounds]), 2),
        "first, awkward and embedded, s": [round(here, 3), round(first, 3)],
    }


def _timed(expression: DataFrame, plugins: Sequence[Plugin]) -> tuple[float, Any]:
    plan = make_plan(normalise([expression._expr]), plugins)  # noqa: SLF001
    start = time.perf_counter()
    result = run_plan(plan, plugins, workers=1)[plan.targets[0]]
    assert isinstance(result, Columns)
    return time.perf_counter() - start, result.array


def main(folder: Path) -> None:
    """Measure and print."""
    from hep_flows.demo.sample import Recipe, sample_files

    (folder / "demo").mkdir(exist_ok=True)
    figures: dict[str, Any] = {f"NanoAOD, {EVENTS} events": ratios("nanoaod", str(sample(folder, EVENTS)), nanoaod())}
    figures["PHYSLITE of the demo"] = ratios("xaod", str(sample_files(folder / "demo", Recipe(events=20_000)).physlite), physlite())
    real = [p for d in sys.argv[2:] for p in sorted(Path(d).glob("*PHYSLITE*.root"))]
    figures |= {f"PHYSLITE, {path.name}": ratios("xaod", str(path), physlite()) for path in real}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    in_folder(main)
