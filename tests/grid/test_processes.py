"""Runs that are given up, interrupted or killed, and runs side by side: what the server is asked for, and what is left running there."""

from __future__ import annotations

import asyncio
import signal

import awkward as ak
import pytest

from grid.child import answer, start_child, wait_until
from grid.servers import CUT, TOKEN, Grid, analysis, check, n_delivered, run_in_time
from grid.store_files import DATASET, StoreFiles
from hep_flows import make_local_async
from servicex_sim.faults import ALWAYS, FileFault
from servicex_sim.work import Datasets

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves files open


def expected(store: StoreFiles):
    return [int(ak.sum(store.column("Jet_pt") > CUT)), len(store.column("MET_pt"))]


def test_an_analysis_that_is_given_up_is_cancelled_at_the_server(grid, environment):
    environment(HEP_FLOWS_ENGINE="inline")
    grid.sim.fail(FileFault("held", "*part3*"))
    asked = analysis(grid.table())

    async def give_up():
        task = asyncio.create_task(make_local_async(asked))
        await asyncio.to_thread(wait_until, lambda: any("part2" in c.path for c, _ in grid.sim.calls("GET")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(give_up(), 300))
    assert set(grid.sim.statuses().values()) == {"Canceled"}
    grid.sim.let_go()
    check(run_in_time(asked).values, grid.store)
    assert len(grid.sim.submits()) == 2
    assert grid.store.names[3] in grid.asked_for()[1]


@pytest.mark.parametrize("engine", ["inline", "embedded"])
def test_ctrl_c_cancels_what_runs_at_the_server_and_ends(grid, engine, request):
    if engine == "embedded":
        request.getfixturevalue("served")
    grid.sim.fail(FileFault("held", "*part3*"))
    child = start_child(grid.store.names, grid.store.like, engine)
    wait_until(lambda: any("part2" in c.path for c, _ in grid.sim.calls("GET")))
    child.send_signal(signal.SIGINT)
    text, _ = child.communicate(timeout=300)
    assert child.returncode != 0
    assert "DONE" not in text
    assert TOKEN not in text
    assert set(grid.sim.statuses().values()) == {"Canceled"}
    grid.sim.let_go()
    check(run_in_time(analysis(grid.table())).values, grid.store)


def test_two_processes_that_want_the_same_at_once_submit_once(grid):
    grid.sim.fail(FileFault("slow", "*", times=6, seconds=2.0))
    child = start_child(DATASET, grid.store.like)
    wait_until(lambda: bool(grid.sim.submits()))
    check(run_in_time(analysis(grid.table(DATASET))).values, grid.store)
    assert answer(child) == expected(grid.store)
    assert grid.asked_for() == [[DATASET]]


def test_a_run_that_is_killed_among_twenty_requests_asks_again_for_what_was_not_delivered_only(
    start, store, tmp_path, cache_folder
):
    names = [f"root://store.example//many/part{i:02d}.root" for i in range(20)]
    paths = [store.paths[store.names[i % 6]] for i in range(20)]
    many = StoreFiles(dict(zip(names, paths, strict=True)), {n: store.branches[store.names[i % 6]] for i, n in enumerate(names)})
    grid = Grid(start(datasets=Datasets(many.paths, {})), many, tmp_path).set_up(chunk_files=1)
    # Every other file waits: four requests are under way for good, the others go through one after the other.
    grid.sim.fail(FileFault("held", "*part[01][27].root", times=ALWAYS))
    held = {names[i] for i in (2, 7, 12, 17)}
    child = start_child(names, many.like)
    wait_until(lambda: len(grid.sim.submits()) == 20 and n_delivered(cache_folder) == 16)
    child.kill()
    child.wait()
    grid.sim.let_go()
    check(run_in_time(analysis(grid.table())).values, many)
    again = grid.files_asked_for(since=20)
    assert again == sorted(held)
