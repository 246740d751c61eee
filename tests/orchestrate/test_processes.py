"""Processes that are killed, interrupted, or that want the same at once; and one without Prefect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from jet_files import inline, n_computed, write
from long_run import asked, shown

from hep_flows import run
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store
from hep_flows.store.upkeep import verify
from prefect_servers import noted

SCRIPT = Path(__file__).parent / "long_run.py"
N_FILES = 6
# Of each file the columns, the histogram, the sum and what is scaled of it.
N_RESULTS = 4 * N_FILES
# Histograms and sums are stored for each batch, and merged.
N_COMMITTED = 6 * N_FILES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("long")
    for i in range(N_FILES):
        write(made / f"part_{i}.root", i)
    return made


def start(folder, cache):
    environment = {**os.environ, "HEP_FLOWS_CACHE": str(cache), "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    words = [sys.executable, str(SCRIPT), str(folder)]
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finished(process):
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    return {line.split(" ")[0]: line.split(" ", 1)[-1] for line in out.splitlines()}


def committed(cache):
    return {name: stat.st_ino for name, stat in sidecars(Store(cache).folder)}


def wait_for_results(cache, number, process):
    end = time.monotonic() + 600
    while len(committed(cache)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def servers_of(cache):
    """Give the processes that serve Prefect for a cache folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"serve_embedded" in command and str(cache).encode() in environment:
                found.append(int(process.name))
    return found


def assert_no_server_is_left(cache):
    end = time.monotonic() + 120
    while servers_of(cache) and time.monotonic() < end:
        time.sleep(0.05)
    assert servers_of(cache) == []


@pytest.fixture(scope="module")
def undisturbed(folder):
    """What nobody disturbs."""
    return shown(inline(asked(folder)))


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_run_that_ends_in_the_middle_loses_nothing_and_leaves_no_process(
    folder, undisturbed, served, cache_folder, how, prefect_database
):
    note = cache_folder / "prefect" / "server.json"
    told = note.read_text()
    note.unlink()
    prefect_database(cache_folder / "prefect")
    process = start(folder, cache_folder)
    wait_for_results(cache_folder, 5, process)
    assert len(servers_of(cache_folder)) == 1
    process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGINT)
    out, error = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "values" not in out
    if how == "interrupted":
        assert "KeyboardInterrupt" in error.strip().splitlines()[-1]
    assert_no_server_is_left(cache_folder)
    before = committed(cache_folder)
    assert 5 <= len(before) < N_COMMITTED, "it ends before its work is done"
    note.write_text(told)
    done = run(asked(folder), engine="embedded", on_error="raise")
    assert done.report.engine == "server"
    assert shown(done.values) == undisturbed
    after = committed(cache_folder)
    assert len(after) == N_COMMITTED
    assert {k: after.get(k) for k in before} == before, "a committed result was written again"
    assert n_computed(done) < N_RESULTS
    assert verify(Store(cache_folder), decode=True).is_sound


def test_processes_at_once_compute_everything_once(folder, undisturbed, tmp_path, prefect_database):
    cache = tmp_path / "cache"
    at_once = int(os.environ.get("HEP_FLOWS_AT_ONCE", "2"))
    for i in range(at_once):
        prefect_database(cache / "prefect", f"embedded-{i}.db")
    processes = [start(folder, cache) for _ in range(at_once)]
    done = [finished(p) for p in processes]
    assert {d["values"] for d in done} == {undisturbed}
    assert {d["engine"] for d in done} == {"embedded"}
    assert sum([int(d["computed"]) for d in done]) == N_RESULTS
    assert len(committed(cache)) == N_COMMITTED
    assert_no_server_is_left(cache)


def test_a_server_that_dies_in_the_middle_costs_nothing_but_its_records(folder, undisturbed, cache_folder, prefect_database):
    from hep_flows.orchestrate.server import EmbeddedServer

    prefect_database(cache_folder / "prefect")
    server = EmbeddedServer(str(cache_folder / "prefect"))
    noted(server, cache_folder)
    done = []
    running = threading.Thread(target=lambda: done.append(run(asked(folder), engine="embedded", on_error="raise")))
    running.start()
    while len(committed(cache_folder)) < 5 and running.is_alive():
        time.sleep(0.02)
    server.process.kill()
    running.join(300)
    server.stop()
    assert done
    assert shown(done[0].values) == undisturbed
    assert n_computed(done[0]) == N_RESULTS


WITHOUT_PREFECT = """
import sys
from importlib.abc import MetaPathFinder

class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("prefect", "prefect_dask"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, NotInstalled())
sys.path.insert(0, sys.argv[1])
from jet_files import fill
from hep_flows import nanoaod_table, run
from hep_flows.errors import OrchestrationError

events = nanoaod_table(sys.argv[2:])
for _ in range(2):
    done = run(fill(events), on_error="raise")
    print(done.report.engine, "-", done.report.engine_why, "-", [r.state for r in done.report.tasks])
print(run(fill(events), engine="embedded").report.engine_why)
for engine in ("embedded", "configured"):
    try:
        run(fill(events, bins=7), engine=engine)
    except OrchestrationError as error:
        print(error)
"""


def test_without_prefect_runs_are_inline_and_stored_results_are_found(folder, cache_folder):
    files = sorted(map(str, folder.glob("part_*.root")))[:2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    words = [sys.executable, "-c", WITHOUT_PREFECT, str(Path(__file__).parent), *files]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=600)
    no_prefect = "this engine needs Prefect, which is not installed\n"
    no_prefect += '  do:  pip install prefect, or run with engine="inline", which needs nothing\n'
    assert done.stdout == (
        "inline - the work takes less time than starting a server - ['computed', 'computed']\n"
        "inline - everything is stored - ['not run', 'cached']\n"
        "everything is stored\n" + no_prefect + no_prefect
    )
    assert done.stderr == ""
    assert not list((cache_folder / "prefect").glob("*")) if (cache_folder / "prefect").exists() else True
