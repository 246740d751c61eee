"""A run with a server of its own leaves alone what else goes on: the user's Prefect, event loops, other threads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from jet_files import bits, everything, fill, inline, n_computed
from prefect_view import flow_run_count, latest

from hep_flows import make_local_async, nanoaod_table, run, user_func
from prefect_servers import as_configured, client, end_prefect

IN_A_NEW_HOME = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from jet_files import fill
from hep_flows import nanoaod_table, run
before = dict(os.environ)
done = run(fill(nanoaod_table(sys.argv[2])), engine="embedded", on_error="raise")
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
import prefect.settings
assert prefect.settings.PREFECT_API_URL.value() is None
assert str(prefect.settings.PREFECT_HOME.value()) == str(Path.home() / ".prefect")
print(done.report.engine, "and", *sorted(p.relative_to(Path.home()).as_posix() for p in Path.home().rglob("*")))
"""


def in_a_process(text, home, *words, check=True, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PREFECT_"))}
    environment |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join([p for p in sys.path if p]), **more}
    command = [sys.executable, "-c", text, str(Path(__file__).parent), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check, timeout=600)


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_nothing_is_written_to_the_home_of_the_user(files, home):
    """With a server that the process starts itself."""
    done = in_a_process(IN_A_NEW_HOME, home, files[0])
    assert done.stdout == "embedded and\n"
    assert (
        done.stderr.strip() == "hep_flows: starting a Prefect server for this process (hep-flows server start gives one that stays)"
    )


def test_the_profile_of_the_user_is_not_touched(files, home, served):
    profile = home / ".prefect" / "profiles.toml"
    profile.parent.mkdir()
    profile.write_text('active = "mine"\n\n[profiles.mine]\nPREFECT_LOGGING_LEVEL = "DEBUG"\n')
    before = profile.read_text()
    done = in_a_process(IN_A_NEW_HOME, home, files[0])
    assert done.stdout == "server and .prefect .prefect/profiles.toml\n"
    assert profile.read_text() == before


def test_a_run_works_within_a_running_event_loop(files, served):
    async def notebook():
        return run(everything(nanoaod_table(files)), engine="embedded", on_error="raise")

    done = asyncio.run(notebook())
    assert done.report.engine == "server"
    assert bits(done.values) == bits(inline(everything(nanoaod_table(files))))


def test_make_local_async_leaves_the_loop_free(files, served, environment):
    environment(HEP_FLOWS_ENGINE="embedded")
    n_flows = flow_run_count(served)
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    async def both():
        ticking = asyncio.create_task(tick())
        values = await make_local_async(everything(nanoaod_table(files)))
        ticking.cancel()
        return values

    assert bits(asyncio.run(both())) == bits(inline(everything(nanoaod_table(files))))
    assert len(ticks) > 5
    assert flow_run_count(served) == n_flows + 1


def test_runs_in_two_threads_at_once_compute_everything_once(files, served):
    before = dict(os.environ)
    events = nanoaod_table(files)
    alone = n_computed(run([fill(events, cut=61.0), events.MET.pt / 61], engine="embedded"))
    asked = [fill(events, cut=62.0), events.MET.pt / 62]
    done = []
    threads = [threading.Thread(target=lambda: done.append(run(asked, engine="embedded", on_error="raise"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bits(d.values) for d in done] == [bits(inline(asked))] * 2
    assert sum([n_computed(d) for d in done]) == alone
    assert {d.report.engine for d in done} <= {"server", "inline"}
    assert dict(os.environ) == before


def test_a_run_within_a_flow_of_the_user_stays_out_of_it(files, served):
    from prefect import flow, task
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    asked = [fill(nanoaod_table(files)), nanoaod_table(files).MET.pt / 3]

    @task
    def a_task_of_mine():
        return run(asked, engine="embedded", on_error="raise")

    @flow
    def my_flow():
        return run(asked, engine="embedded", refresh=True, on_error="raise"), a_task_of_mine()

    with temporary_settings({**as_configured(served), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        first, second = my_flow()
    assert bits(first.values) == bits(second.values) == bits(inline(asked))
    with client(served) as talk:
        mine = [f for f in talk.read_flow_runs(limit=200) if f.parent_task_run_id is not None]
    assert mine == []


def test_a_cancelled_run_ends_soon(files, served, environment):
    environment(HEP_FLOWS_ENGINE="embedded")

    @user_func
    def slow(x: float) -> float:
        y = float(x)
        for _ in range(10_000_000):
            y = y + 0.0
        return y

    events = nanoaod_table(files)
    before = flow_run_count(served)

    async def impatient():
        running = asyncio.create_task(make_local_async(slow(events.MET.pt), chunk_events=1))
        while await asyncio.to_thread(flow_run_count, served) == before:
            assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(impatient())
    flow = latest(served)
    assert flow.state != "Completed", "it ends before its work is done"


def test_events_of_a_run_go_to_its_own_server_whatever_went_before(files, served, tmp_path, prefect_database):
    """Prefect keeps the connection for events that it made first in a process."""
    from prefect import flow, task
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from hep_flows.orchestrate.server import EmbeddedServer

    prefect_database(tmp_path / "other")
    other = EmbeddedServer(str(tmp_path / "other"))
    try:

        @task
        def nothing():
            return 1

        @flow
        def mine():
            return nothing()

        def of_the_user():
            with temporary_settings({**as_configured(other.api_url()), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return mine()

        of_the_user()
        run(fill(nanoaod_table(files), cut=71.0), engine="embedded", on_error="raise")
        assert set(latest(served, n_tasks=2).tasks.values()) == {"Completed"}
        of_the_user()
        assert set(latest(other.api_url(), n_tasks=1).tasks.values()) == {"Completed"}
    finally:
        end_prefect()
        other.stop()
