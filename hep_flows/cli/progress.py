"""Where a run stands: one display in a terminal, a line for each dataset elsewhere."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from hep_flows.execute.report import Step


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
                typer.echo(f"{step.table}: {step.events_done:,} events{again}", err=True)

    return told


def _bars(display: object) -> Callable[[Step], None]:
    from rich.progress import Progress

    assert isinstance(display, Progress)
    lock, bars = threading.Lock(), dict[str, "TaskID"]()

    def told(step: Step) -> None:
        with lock:
            if step.table not in bars:
                bars[step.table] = display.add_task(step.table, total=step.events)
            display.update(bars[step.table], completed=step.events_done, total=step.events)
            if step.events_done >= step.events:
                display.update(bars[step.table], visible=False)

    return told
