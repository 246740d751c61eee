"""Whole runs in processes of their own, which tests kill, run side by side, and give another clock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hep_flows.store.index import sidecars
from hep_flows.store.store import Store

HERE = Path(__file__).parent


def start(files, cache, *, clock_s=0.0, hold_s=0.01):
    """Start a run over the files of a folder; its clock goes ahead by some seconds, and results wait for others for some."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "with_clock.py"), str(clock_s), str(HERE / "killed.py"), str(files)],
        env={**environment(cache), "HEP_FLOWS_HOLD_S": str(hold_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Wait for a run; gives the line with its values, and how many results it computed and how many it found."""
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    values, computed = [line for line in out.splitlines() if line.startswith(("values", "computed"))]
    return values, [int(n) for n in computed.split() if n.isdigit()]


def command(cache, *words, clock_s=0.0):
    """Run ``hep-flows``; gives what it prints."""
    code = "import sys; from hep_flows.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, str(HERE / "with_clock.py"), str(clock_s), "-c", code, *words],
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(cache):
    """Give the environment of a process that uses that cache."""
    return {**os.environ, "HEP_FLOWS_CACHE": str(cache), "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}


def committed(cache):
    """Give what is stored, and which file it is."""
    return {name: stat.st_ino for name, stat in sidecars(Store(cache).folder)}
