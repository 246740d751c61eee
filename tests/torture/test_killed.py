"""A run that is killed at any moment loses nothing that it had stored, and leaves nothing wrong behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import write_file

from hep_flows.store.index import sidecars
from hep_flows.store.store import Store
from hep_flows.store.verify import verify

SCRIPT = Path(__file__).parent / "killed.py"
KILLS = int(os.environ.get("HEP_FLOWS_KILLS", "10"))


def _start(files, cache):
    environment = {**os.environ, "HEP_FLOWS_CACHE": str(cache), "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(files)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _finished(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    values, computed = [line for line in out.splitlines() if line.startswith(("values", "computed"))]
    return values, [int(n) for n in computed.split() if n.isdigit()]


def _committed(cache):
    return {name: stat.st_ino for name, stat in sidecars(Store(cache).folder)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for i in range(8):
        write_file(folder / f"part_{i}.root", i)
    return folder


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    """The values of a run that nobody killed, how many results it computed, and how long it took after its start."""
    process = _start(files, tmp_path_factory.mktemp("undisturbed") / "cache")
    process.stdout.readline()
    start = time.monotonic()
    values, (computed, _) = _finished(process)
    return values, computed, time.monotonic() - start


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_where_it_stopped(number, files, undisturbed, tmp_path):
    want, n_computed, seconds = undisturbed
    cache = tmp_path / "cache"
    process = _start(files, cache)
    process.stdout.readline()
    time.sleep(random.Random(number).uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = _committed(cache)
    values, (computed, _) = _finished(_start(files, cache))
    assert values == want
    after = _committed(cache)
    assert {k: after.get(k) for k in before} == before, "a committed result was written again"
    assert computed <= n_computed
    report = verify(Store(cache), decode=True)
    assert report.is_sound
    assert not list((cache / "unfinished").glob("*"))
    _, (again, _) = _finished(_start(files, cache))
    assert again == 0


def test_processes_at_once_compute_each_result_once(files, undisturbed, tmp_path):
    want, n_computed, _ = undisturbed
    cache = tmp_path / "cache"
    done = [_finished(p) for p in [_start(files, cache) for _ in range(3)]]
    assert {values for values, _ in done} == {want}
    assert sum([computed for _, (computed, _) in done]) == n_computed
