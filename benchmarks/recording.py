"""What recording costs: microseconds an operation, and whether long expressions stay linear. Prints JSON.

Run with ``python benchmarks/recording.py``; no file is read, the table has a schema only.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from hep_flows.contract import Description
from hep_flows.expr.text import tree_text
from hep_flows.expr.types import Float, Member, Record
from hep_flows.planning.normalise import normalise
from hep_flows.record.dataframe import table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.record.dataframe import DataFrame


def table() -> DataFrame:
    """Give a table with one collection."""
    jet = Record("Jet", {n: Member(Float(32)) for n in ("pt", "eta", "phi")})
    event = Record("event", {"Jet": Member(jet, ("Jet",))})
    return table_of(Description(event, ("a.root",), ("content",), "Events", "events"), "nanoaod")


def chain(df: DataFrame, n: int) -> DataFrame:
    """Give one long sum: each step is one operation."""
    x = df.Jet.pt
    for i in range(n):
        x = x + float(i)
    return x


def mixed(df: DataFrame, n: int) -> DataFrame:
    """Give arithmetic, functions and masks in turn: five operations a step."""
    x = df.Jet.pt
    for i in range(n // 5):
        x = np.where(abs(x) > i, x * 2.0, np.sqrt(x))
    return x


def filters(df: DataFrame, n: int) -> DataFrame:
    """Give a chain of views, each cut on the one before: three operations a step."""
    jets = df.Jet
    for i in range(n // 3):
        jets = jets[jets.pt > i]
    return jets.pt


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Give the median processor time of some runs: it does not count what else the machine does."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    df = table()
    figures: dict[str, object] = {}
    for build in (chain, mixed, filters):
        figures[f"{build.__name__}: us an operation"] = round(seconds(lambda b=build: b(df, 3000)) / 3000 * 1e6, 1)  # type: ignore[misc]
    for n in (2_500, 5_000, 10_000):
        expr = chain(df, n)._expr  # noqa: SLF001
        record = seconds(lambda n=n: chain(df, n), 3)  # type: ignore[misc]
        rest = seconds(lambda e=expr: tree_text(normalise([e])[0]), 3)  # type: ignore[misc]
        figures[f"{n} operations: record, normalise, hash, print, s"] = round(record + rest, 3)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
