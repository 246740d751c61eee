"""What the demo shows of the cache: the same question again, and one with another cut."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.table import Table

from hep_flows import plan, run
from hep_flows.demo.listings import listing_1_nanoaod

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from hep_flows.demo.listings import Listing
    from hep_flows.execute.report import RunReport

FIRST_CUT_GEV = 51
MOST_CUTS = 100


def show_reuse(console: Console, path: Path) -> None:
    """Ask for Listing 1 once more, then with a cut that was not asked for before, and print what ran and what was found."""
    console.rule("[bold]The same again, and with another cut", align="left")
    again, seconds = _run(listing_1_nanoaod(path))
    n_found = [row.state for row in again.tasks].count("cached")
    console.print(f"Listing 1 again: {n_found} results found in {1e3 * seconds:.0f} ms, nothing computed.")
    edited, cut = _new_cut(path)
    console.print(f"The cut of 50 GeV becomes {cut} GeV:")
    before = {k.hex(): f"{s}" for k, s in plan([edited.histogram, *edited.yields.values()]).status.items()}
    report, seconds = _run(edited)
    table = Table("task", "what became of it", "why")
    for row in report.tasks:
        table.add_row(row.label, row.state, before[row.key].partition(": ")[2])
    console.print(table)
    console.print(f"{seconds:.2f} s; what the cut has no part in was not computed again.")


def _run(listing: Listing) -> tuple[RunReport, float]:
    start = time.perf_counter()
    report = run({"histogram": listing.histogram, **listing.yields}, on_error="raise").report
    return report, time.perf_counter() - start


def _new_cut(path: Path) -> tuple[Listing, int]:
    for cut in range(FIRST_CUT_GEV, FIRST_CUT_GEV + MOST_CUTS):
        listing = listing_1_nanoaod(path, float(cut))
        if any(f"{s}".startswith("miss") for s in plan(listing.histogram).status.values()):
            break
    return listing, cut
