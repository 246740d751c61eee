"""``hep-flows servicex-sim``: a ServiceX server on this machine, to try things without an account."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hep_flows.store.commit import save_text
from hep_flows.testing.servicex_sim.datasets import datasets_of_folder
from hep_flows.testing.servicex_sim.parse_fault import parse_fault
from hep_flows.testing.servicex_sim.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_simulator(folder: Path, port: int, faults: Sequence[str], write: Path | None) -> None:
    """Serve the ROOT files of a folder until the process is told to stop; print what ``servicex.yaml`` has to say."""
    parsed = [parse_fault(f) for f in faults]
    datasets = datasets_of_folder(folder)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Simulator(datasets, port=port) as simulator:
        simulator.fail(*parsed)
        # As an absolute path: the client would take another one to be in the folder that it runs in.
        text = simulator.config(Path("servicex-cache").resolve())
        if write is not None:
            save_text(write, text, "the configuration")
        typer.echo(f"# A ServiceX server for {len({*datasets.files.values()})} files of {folder} listens; stop it with Ctrl-C.")
        typer.echo(f"# Datasets: {', '.join(datasets.datasets)}")
        typer.echo(f"# {'Written to ' + str(write) if write is not None else 'Put this into servicex.yaml'}:")
        typer.echo(text)
        stopped.wait()
    typer.echo(f"# {len(simulator.submits())} requests, {len(simulator.calls())} calls.")
