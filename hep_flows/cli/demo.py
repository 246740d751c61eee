"""``hep-flows demo``: the two listings of the paper on a small sample, with what a user wants to see of them."""

from __future__ import annotations

import importlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hep_flows.demo.listings import LISTINGS, listing_1_nanoaod
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.errors import SourceError
from hep_flows.plots import plot, save
from hep_flows.store.commit import told_of_disk
from hep_flows.verbs import plan, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hep_flows.demo.listings import Listing
    from hep_flows.demo.sample import SampleFiles
    from hep_flows.execute.report import RunReport

# What the demo shows of the cache: the same question again, and one with another cut ---------------------------------------------

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


class Stopwatch:
    """Seconds by step, in the order in which the steps were first timed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Add what the ``with`` block takes to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def run_demo(data: Path, out: Path, events: int, *, made: bool) -> None:
    """Run the listings over the files of ``data``, print what happens and put the plots into ``out``.

    ``made`` says that the sample may be written into the folder.
    """
    console, watch = Console(soft_wrap=True, highlight=False), Stopwatch()
    with watch.time("sample"):
        if not made and not any(data.glob("*.root")):
            raise SourceError(f"{data} has no ROOT files", do="leave --data out to make the sample in demo-data")
        files = sample_files(data, Recipe(events=events))
    _say_files(console, files)
    with watch.time("load the plotting library"):
        importlib.import_module("mplhep")
    pictures = []
    for name, layout, listing in LISTINGS:
        with watch.time("record"):
            recorded = listing(files.physlite if layout == "physlite" else files.nanoaod)
        pictures += _show_listing(console, watch, recorded, out / name)
    show_reuse(console, files.nanoaod)
    console.print(_times(watch.seconds))
    console.print("Plots, and the plans as pictures:")
    for picture in pictures:
        console.print(f"  {picture}")


def _say_files(console: Console, files: SampleFiles) -> None:
    said = {
        "generated": "Made the sample (written by the demo itself, not measured by an experiment):",
        "found": "Found the sample of an earlier run:",
        "real": "Running over the files found:",
    }
    console.print(said[files.origin])
    console.print(f"  {files.physlite}\n  {files.nanoaod}")


def _show_listing(console: Console, watch: Stopwatch, recorded: Listing, start: Path) -> list[Path]:
    """Print one listing, and give its pictures; ``start`` is how their names begin."""
    console.rule(f"[bold]{recorded.title}", align="left")
    with watch.time("plan"):
        planned = plan(recorded.histogram)
    console.print(str(planned), markup=False)
    with watch.time("execute"):
        done = run({"histogram": recorded.histogram, **recorded.yields}, on_error="raise")
    result: dict[str, Any] = done.values
    table = Table("yield", "number", title_justify="left")
    table.columns[1].justify = "right"
    for name in recorded.yields:
        table.add_row(name, f"{int(result[name]):,}")
    console.print(table)
    console.print(_found(done.report))
    with watch.time("draw"):
        with told_of_disk(start.parent, "the plot"):
            picture = start.with_name(f"{start.name}.png")
            save(plot(result["histogram"], title=recorded.title), picture)
        drawn = start.with_name(f"{start.name}_plan.svg")
        planned.save(drawn)
    return [picture, drawn]


def _found(report: RunReport) -> str:
    """Say how much of it was computed before."""
    states = [row.state for row in report.tasks if row.state != "not run"]
    n_found = states.count("cached")
    if n_found == len(states):
        return "All results were found in the cache: nothing was computed."
    return f"{len(states) - n_found} results were computed, {n_found} found in the cache."


def _times(seconds: dict[str, float]) -> Table:
    total = sum(seconds.values())
    table = Table("where the time went", "seconds", "share")
    for column in table.columns[1:]:
        column.justify = "right"
    for step, spent in seconds.items():
        table.add_row(step, f"{spent:.2f}", f"{100 * spent / total:.0f} %")
    table.add_section()
    table.add_row("all", f"{total:.2f}", "")
    return table
