"""Units on the workers of a Dask cluster: other processes, which have the package and the cache folder, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from importlib.util import find_spec

import pytest
from jet_files import bits, everything, fill, inline, n_computed, write
from prefect_view import latest

from hep_flows import nanoaod_table, run, user_func
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store

pytestmark = [
    pytest.mark.skipif(not (find_spec("distributed") and find_spec("prefect_dask")), reason="pip install 'hep-flows[dask]'"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Give a cluster of two processes."""
    import distributed

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made


@pytest.fixture
def runner(cluster, served):
    from prefect_dask import DaskTaskRunner

    return DaskTaskRunner(address=cluster.scheduler_address)


def test_values_are_those_of_an_inline_run(files, runner, served):
    asked = everything(nanoaod_table(files), cut=81.0)
    done = run(asked, task_runner=runner, on_error="raise")
    assert bits(done.values) == bits(inline(asked))
    assert done.report.engine == "server"
    assert {r.state for r in done.report.tasks} == {"computed"}
    flow = latest(served)
    assert flow.state == "Completed"
    assert set(flow.states) == {"Completed"}


def test_other_bins_are_filled_from_stored_columns(files, runner, served):
    run(fill(nanoaod_table(files), cut=82.0), task_runner=runner, on_error="raise")
    done = run(fill(nanoaod_table(files), cut=82.0, bins=7), task_runner=runner, on_error="raise")
    assert n_computed(done) == 3
    assert bits(done.values) == bits(inline(fill(nanoaod_table(files), cut=82.0, bins=7)))
    assert latest(served).states == {"Cached": 1, "Completed": 1}


def test_refresh_computes_everything_again(files, runner):
    asked = everything(nanoaod_table(files), cut=83.0)
    first = run(asked, task_runner=runner, on_error="raise")
    again = run(asked, task_runner=runner, refresh=True, on_error="raise")
    assert n_computed(again) == n_computed(first)
    assert bits(again.values) == bits(first.values)


def test_a_function_with_a_captured_value_goes_along(files, runner):
    scale = 1.75

    def shifted(x):
        return x + 3

    @user_func
    def calibrated(x: float) -> float:
        return shifted(x) * scale

    asked = [calibrated(nanoaod_table(files).MET.pt).Sum(), calibrated(nanoaod_table(files).Jet.pt)]
    done = run(asked, task_runner=runner, on_error="raise")
    assert bits(done.values) == bits(inline(asked))


def test_an_error_there_shows_the_line_here(files, runner, served):
    @user_func
    def wrong(x: float) -> float:
        if x > 20:
            raise ValueError("not on this worker")
        return float(x)

    done = run([wrong(nanoaod_table(files).MET.pt), nanoaod_table(files).MET.pt.Sum()], task_runner=runner)
    assert bits(done.values[1]) == bits(inline(nanoaod_table(files).MET.pt.Sum()))
    (row,) = [r for r in done.report.tasks if r.state == "failed"]
    assert "not on this worker" in row.reason
    assert row.attempts == 1
    error = done.report.errors[0]
    assert error.where.file == __file__
    assert "wrong(nanoaod_table" in error.where.text()
    assert latest(served).state == "Failed"


def test_a_table_of_many_batches_is_divided_over_the_workers(tmp_path, runner, served):
    files = [write(tmp_path / f"small_{i}.root", i, n=5) for i in range(9)]
    asked = [fill(nanoaod_table(files), cut=84.0), nanoaod_table(files).MET.pt / 84]
    done = run(asked, task_runner=runner, on_error="raise")
    assert bits(done.values) == bits(inline(asked))
    names = latest(served).tasks
    assert len([n for n in names if n.startswith("read") and ", batch" in n]) == 3
    assert n_computed(done) == 3 * 9


def test_a_worker_that_is_killed_costs_time_and_nothing_else(tmp_path, cluster, runner, cache_folder):
    @user_func
    def slow(x: float) -> float:
        y = x
        for _ in range(30_000):
            y = y + 0.0
        return y

    files = [write(tmp_path / f"small_{i}.root", i, n=5) for i in range(9)]
    asked = slow(nanoaod_table(files).MET.pt * 85)
    done = []
    running = threading.Thread(target=lambda: done.append(run(asked, task_runner=runner, on_error="raise")))
    running.start()
    while not list(sidecars(Store(cache_folder).folder)) and running.is_alive():
        time.sleep(0.02)
    before = {name: s.st_ino for name, s in sidecars(Store(cache_folder).folder)}
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    running.join(600)
    assert done
    assert bits(done[0].values) == bits(inline(asked))
    after = {name: s.st_ino for name, s in sidecars(Store(cache_folder).folder)}
    assert {k: after[k] for k in before} == before
    assert len(after) == len(files)
