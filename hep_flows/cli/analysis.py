"""``hep-flows run``, ``hep-flows plan`` and ``hep-flows fileset``: analyses over filesets, and the files of these."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hep_flows.errors import AnalysisError, did_you_mean, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import TaskID

    from hep_flows.analysis.prepare import PlanRow, Prepared
    from hep_flows.analysis.result import AnalysisResult
    from hep_flows.analysis.story import Told
    from hep_flows.execute.report import Step
    from hep_flows.expr.nodes import Dataset

NOT_COMPLETE = 3
TWICE = 4
MOST_ROWS = 60
MOST_ERRORS = 5

File = Annotated[Path, typer.Argument(metavar="ANALYSIS.py", help="A Python file with: def analysis(events) -> dict.")]
Fileset = Annotated[
    str,
    typer.Argument(help="JSON or YAML as for coffea, a folder, a pattern, or a data file [default: the table events of the file]."),
]
Only = Annotated[list[str] | None, typer.Option(help="A dataset to take; may be given several times.")]
Kind = Annotated[
    str, typer.Option(help="nanoaod, xaod, tree or parquet, for datasets that do not say which they are [default: guessed].")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run(  # noqa: PLR0913 - the options of the command
    analysis: File,
    fileset: Fileset = "",
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the results.")] = Path("results"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads.")] = None,
    chunk_events: Annotated[
        int | None, typer.Option(min=1, help="At most so many events are worked on at a time [default: as many as memory allows].")
    ] = None,
    dask: Annotated[str, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers do the work.")] = "",
    engine: Annotated[str | None, typer.Option(help="inline, embedded or configured [default: what fits].")] = None,
    on_error: Annotated[
        Literal["keep", "raise"], typer.Option(help="Go on without what fails, or end with the first error.")
    ] = "keep",
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Give the results over the files that can be used, labelled, where others cannot."),
    ] = False,
    only: Only = None,
    kind: Kind = "",
    refresh: Annotated[bool, typer.Option("--refresh", help="Compute everything again.")] = False,
    unblind: Annotated[bool, typer.Option("--unblind", help="Show what the analysis blinds in recorded data.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be computed, and write nothing.")] = False,
) -> None:
    """Run an analysis over a fileset; the exit code is 0 when everything is there, 3 when something is missing or partial."""
    from hep_flows.analysis.run import run_analysis

    if dry_run:
        plan(analysis, fileset, only=only, kind=kind, as_json=False)
        return
    from hep_flows.orchestrate.run import dask_runner

    with progress() as shown:
        done = run_analysis(
            analysis,
            fileset or None,
            out=out,
            workers=workers,
            chunk_events=chunk_events,
            engine=engine,
            task_runner=dask_runner(dask),
            on_error=on_error,
            on_missing="partial" if allow_partial else "withhold",
            only=only or None,
            kind=kind or None,
            refresh=refresh,
            progress=shown,
            unblind=unblind,
        )
    _say(done, out)
    if not done.is_complete:
        raise typer.Exit(NOT_COMPLETE)


def plan(analysis: File, fileset: Fileset = "", *, only: Only = None, kind: Kind = "", as_json: AsJson = False) -> None:
    """Print what a run would compute and what it would find, task by task; nothing runs."""
    from hep_flows.analysis.prepare import plan_rows, prepare
    from hep_flows.analysis.record import loaded
    from hep_flows.settings import read_settings
    from hep_flows.sources.kinds import kind_named

    with loaded(analysis) as found:
        prepared = prepare(found, fileset or None, read_settings(), only=only or None, kind=kind_named(kind, "--kind"))
        rows = plan_rows(prepared)
    if as_json:
        typer.echo(json.dumps([r.as_json() for r in rows], indent=2))
        return
    _say_plan(prepared, rows)


def plot(  # noqa: PLR0913 - the options of the command
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A folder that hep-flows run wrote.", exists=True)],
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="A result [default: all that can be drawn].")] = None,
    *,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder of the pictures [default: plots in RESULTS].")] = None,
    lumi: Annotated[float | None, typer.Option(help="Scale simulation to this luminosity in 1/fb, and stack it.")] = None,
    style: Annotated[str, typer.Option(help="CMS, ATLAS, LHCb2, ...: a style of mplhep.")] = "",
    label: Annotated[str, typer.Option(help="What follows the name of the experiment: Preliminary.")] = "",
    com: Annotated[str, typer.Option(help="The energy in the centre of mass in TeV, for the label.")] = "",
    log: Annotated[bool, typer.Option("--log", help="A logarithmic axis.")] = False,
    ending: Annotated[Literal["png", "pdf", "svg"], typer.Option("--format", help="The format of the files.")] = "png",
) -> None:
    """Draw what a run wrote: one picture for each observable; processes stacked where they are normalised, or with --lumi."""
    from hep_flows.analysis.outputs import pages, read_results
    from hep_flows.plots import save

    done = read_results(results)
    shown = done if lumi is None else done.scaled(lumi=lumi)
    known = pages(shown)
    for name in names or ():
        if name not in [n for n, _ in known.values()]:
            raise AnalysisError(
                f"there is no picture of {name!r}",
                do=did_you_mean(name, [n for n, _ in known.values()]) or f"there are {', '.join([n for n, _ in known.values()])}",
            )
    look = {"style": style, "label": label, "com": com or None, "log": log}
    for path, (name, draw) in known.items():
        if not names or name in names:
            file = (results / "plots" if out is None else out) / Path(path).with_suffix(f".{ending}").name
            save(draw(**look), file)
            typer.echo(f"{file}")


def duplicates(
    fileset: Annotated[str, typer.Argument(help="JSON or YAML as for coffea, a folder, a pattern, or a data file.")],
    *,
    by: Annotated[
        Literal["dataset", "process"], typer.Option(help="Each dataset by itself, or all of one metadata process together.")
    ] = "dataset",
    event_id: Annotated[
        list[str] | None, typer.Option(help="A leaf that tells events apart; once for each [default: those of NanoAOD and xAOD].")
    ] = None,
    only: Only = None,
    kind: Kind = "",
    as_json: AsJson = False,
) -> None:
    """Look for events that are in the files of a dataset more than once; the exit code is 4 when there are any."""
    from hep_flows.analysis.duplicates import check_duplicates

    found = check_duplicates(fileset, by=by, event_id=event_id or None, only=only or None, kind=kind or None)
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
    if found:
        raise typer.Exit(TWICE)


Results = Annotated[Path, typer.Argument(metavar="FILE", help="histograms.json, histograms.root, or a picture.", exists=True)]
Named = Annotated[list[str] | None, typer.Argument(metavar="DATASET/NAME", help="A result [default: all of the file].")]


def trace(file: Results, names: Named = None) -> None:
    """Print what a file of results says about itself: queries, data, versions; the exit code is 1 when contents were altered."""
    from hep_flows.analysis.story import story_text

    found = _chosen(file, names)
    for one in found:
        typer.echo(story_text(one))
    if any(one.is_altered for one in found):
        raise typer.Exit(1)


def replay(
    file: Results,
    names: Named = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare; the exit code is 1 when a bit differs.")] = False,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write what was made into this file, in the form of UHI.")
    ] = None,
) -> None:
    """Make the histograms of a file again from what it says about itself, without the analysis; nothing that is stored is used."""
    from hep_flows.analysis.histogram_files import write_json
    from hep_flows.analysis.story import compared, replayed

    made, differs = {}, False
    for one in _chosen(file, names):
        made[one.name] = replayed(one)
        said = compared(one, made[one.name]) if check else ""
        differs |= bool(said)
        typer.echo(visible(f"{one.name}: {said or ('the same, bit for bit' if check else 'made again')}"))
    if out is not None:
        write_json(out, made)
    if differs:
        raise typer.Exit(1)


def _chosen(file: Path, names: Sequence[str] | None) -> list[Told]:
    from hep_flows.analysis.story import read_stories

    found = read_stories(file)
    for name in names or ():
        if name not in [one.name for one in found]:
            known = [one.name for one in found]
            raise AnalysisError(f"{file} has no {name!r}", do=did_you_mean(name, known) or f"it has {', '.join(known)}")
    return [one for one in found if not names or one.name in names]


def _say_plan(prepared: Prepared, rows: Sequence[PlanRow]) -> None:
    from hep_flows.analysis.result import notes_of
    from hep_flows.cli.cache import shown_size

    for note in notes_of(prepared):
        typer.echo(f"{note}")
    widths = [max([len(f"{getattr(r, c)}") for r in rows], default=0) for c in ("dataset", "plugin")]
    for row in rows[:MOST_ROWS]:
        why = f"  ({row.why})" if row.why else ""
        typer.echo(visible(f"  {row.state:4s}  {row.dataset:{widths[0]}s}  {row.plugin:{widths[1]}s}  {row.label}{why}"))
    if len(rows) > MOST_ROWS:
        typer.echo(f"  ... and {len(rows) - MOST_ROWS:,} more; --json prints all")
    missing = [r for r in rows if r.state == "miss"]
    n_bytes = sum([r.bytes or 0 for r in missing])
    known = [r.seconds for r in missing if r.seconds is not None]
    took = f", about {sum(known):.1f} s of work" if known and len(known) == len(missing) else ""
    to_do = f"{len(missing):,} to compute, {shown_size(n_bytes)} to read{took}" if missing else "nothing to compute"
    typer.echo(f"{len(rows):,} tasks: {to_do}")


def _say(done: AnalysisResult, out: Path) -> None:
    from hep_flows.analysis.outputs import error_texts

    for note in done.datasets:
        typer.echo(f"{note}{f': {note.in_short}' if note.name in done.partial else ''}")
    for bad in done.bad_files[:MOST_ERRORS]:
        typer.echo(visible(f"cannot be used: {bad.why}\n  see it: {bad.reproduce}"), err=True)
    if len(done.bad_files) > MOST_ERRORS:
        typer.echo(f"... and {len(done.bad_files) - MOST_ERRORS:,} more files in quarantine.json", err=True)
    states = [r.state for r in done.report.tasks if r.key]
    computed, found = states.count("computed"), states.count("cached")
    typer.echo(f"{computed:,} tasks computed, {found:,} found in the cache ({done.report.engine})")
    for row in done.report.tasks:
        if row.state == "failed":
            typer.echo(visible(f"failed: {row.dataset}: {row.label + ': ' if row.label else ''}{row.reason}"), err=True)
    texts = error_texts(done.report.errors)
    for text in texts[:MOST_ERRORS]:
        typer.echo(text, err=True)
    if len(texts) > MOST_ERRORS:
        typer.echo(f"... and {len(texts) - MOST_ERRORS:,} more errors in report.txt", err=True)
    typer.echo(
        f"{len(done.written):,} files in {out}{'' if done.is_complete else '; NOT COMPLETE: run it again for what is missing'}"
    )


# ``hep-flows fileset``: look at files before anything is computed ----------------------------------------------------------------

fileset = typer.Typer(help="Look at the files of datasets: nothing is computed.", no_args_is_help=True)


@fileset.command()
def check(
    given: Annotated[str, typer.Argument(metavar="FILESET", help="JSON or YAML, a folder, a pattern, or a data file.")],
    *,
    kind: Kind = "",
    tree: Annotated[str, typer.Option(help="The tree, where the fileset does not name one.")] = "",
    only: Only = None,
    read: Annotated[bool, typer.Option("--read", help="Read every leaf, too.")] = False,
) -> None:
    """Look into every file, and print what cannot be used and what differs; the exit code is 3 when a file cannot be used."""
    from dataclasses import replace

    from hep_flows.execute.results import Results, open_store
    from hep_flows.filesets import describe_all, differences, read_fileset
    from hep_flows.settings import read_settings
    from hep_flows.sources.kinds import kind_named

    entries = [replace(e, tree=e.tree or tree) for e in read_fileset(given, only=only or None)]
    found, failed = describe_all(entries, Results(open_store(read_settings())), kind=kind_named(kind, "--kind"))
    bad = 0
    for entry in entries:
        one = found.get(entry.name)
        if one is None:
            whats = list(failed[entry.name].files.values()) or [failed[entry.name].what]
        else:
            lost = _unread(one.table) if read and entry.server is None else []
            whats = [e.what for e in one.bad.values()] + lost
            events = sum([int(c.partition(":")[0]) for c in one.table.content if c.partition(":")[0].isdigit()])
            n_good = len(one.table.files) - len(lost)
            typer.echo(
                visible(
                    f"{entry.name}: {one.table.kind}, {n_good} of {len(one.table.files) + len(one.bad)} files, {events:,} events"
                )
            )
            for text in differences(one.table):
                typer.echo(visible(f"  differs: {text}"))
        for what in whats:
            typer.echo(visible(f"  cannot be used: {what}" if one else f"{entry.name}: {what}"), err=True)
        bad += len(whats)
    if bad:
        raise typer.Exit(NOT_COMPLETE)


def _unread(table: Dataset) -> list[str]:
    from hep_flows.errors import SourceError
    from hep_flows.sources.describe import read_through

    lost = []
    for file in table.files:
        try:
            read_through(table.model, file, table.tree)
        except SourceError as error:
            lost.append(error.what)
    return lost


# Where a run stands: one display in a terminal, a line for each dataset elsewhere ------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[Step], None]]:
    """Give what is to be told of every step, from whatever thread."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("events"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        yield _bars(display)


def _lines() -> Callable[[Step], None]:
    """Give what prints a line whenever all events of a dataset were gone through."""
    lock = threading.Lock()

    def told(step: Step) -> None:
        if step.events_done >= step.events:
            with lock:
                again = f", round {step.round} of {step.rounds}" if step.rounds > 1 else ""
                typer.echo(visible(f"{step.table}: {step.events_done:,} events{again}"), err=True)

    return told


def _bars(display: object) -> Callable[[Step], None]:
    from rich.markup import escape
    from rich.progress import Progress

    assert isinstance(display, Progress)
    lock, bars = threading.Lock(), dict[str, "TaskID"]()

    def told(step: Step) -> None:
        with lock:
            if step.table not in bars:
                bars[step.table] = display.add_task(escape(visible(step.table)), total=step.events)
            display.update(bars[step.table], completed=step.events_done, total=step.events)
            if step.events_done >= step.events:
                display.update(bars[step.table], visible=False)

    return told
