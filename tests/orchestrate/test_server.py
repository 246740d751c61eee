"""A server that stays: started and stopped by the command, used by runs over its cache folder, or as the user's own Prefect."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jet_files import bits, fill, inline
from prefect_view import latest

from hep_flows import nanoaod_table, run
from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate import server as servers
from hep_flows.orchestrate.server import is_healthy
from prefect_servers import end_prefect


def command(cache, *words):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"HEP_FLOWS_CACHE": str(cache), "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    return subprocess.run(
        [sys.executable, "-c", "from hep_flows.cli.main import main; main()", "server", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory, prefect_database):
    """Start a server for a cache folder with the command; gives the folder, and what the command said."""
    cache = tmp_path_factory.mktemp("served") / "cache"
    prefect_database(cache / "prefect", "server.db")
    before = command(cache, "status")
    assert before.returncode == 1, before.stdout + before.stderr
    done = command(cache, "start")
    assert done.returncode == 0, done.stderr
    yield cache, done.stdout
    end_prefect()
    servers.stop(str(cache / "prefect"))


@pytest.fixture
def in_its_folder(started, environment):
    environment(HEP_FLOWS_CACHE=started[0])
    return servers.running(str(started[0] / "prefect"))


def test_the_command_says_where_the_server_is(started, in_its_folder):
    assert in_its_folder is not None
    assert in_its_folder.url in started[1]
    assert in_its_folder.ui in started[1]
    status = command(started[0], "status")
    assert status.returncode == 0
    assert in_its_folder.url in status.stdout


def test_starting_it_again_leaves_it_alone(started, in_its_folder):
    again = command(started[0], "start")
    assert "runs already" in again.stdout
    assert servers.running(str(started[0] / "prefect")) == in_its_folder


def test_a_run_over_the_folder_uses_it(files, in_its_folder):
    done = run(fill(nanoaod_table(files), cut=51.0), on_error="raise")
    assert (done.report.engine, done.report.engine_url) == ("server", in_its_folder.url)
    assert bits(done.values) == bits(inline(fill(nanoaod_table(files), cut=51.0)))
    assert latest(in_its_folder.url).state == "Completed"


def test_as_the_users_own_prefect_nothing_of_it_is_touched(files, in_its_folder, environment, cache_folder):
    environment(HEP_FLOWS_CACHE=cache_folder)
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jet_files import fill
from hep_flows import nanoaod_table, run
before = dict(os.environ)
done = run(fill(nanoaod_table(sys.argv[2:]), cut=52.0), on_error="raise")
assert dict(os.environ) == before
print(done.report.engine, done.report.engine_why, done.report.engine_url, done.values.sum().value.hex())
"""
    environment = {**os.environ, "PREFECT_API_URL": in_its_folder.url, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    words = [sys.executable, "-c", code, str(Path(__file__).parent), *files]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=600)
    want = inline(fill(nanoaod_table(files), cut=52.0)).sum().value.hex()
    assert done.stdout.strip() == f"configured PREFECT_API_URL is set {in_its_folder.url} {want}"
    assert "starting a Prefect server" not in done.stderr
    assert "hep-flows" in done.stderr, "Prefect logs as the user has configured it"
    flow = latest(in_its_folder.url)
    assert flow.name == "1 result · part_0.root and 2 more"
    assert flow.states == {"Completed": 2}
    assert not list((cache_folder / "prefect").glob("embedded*"))


def test_within_a_flow_of_the_user_on_the_same_server_the_run_is_a_part_of_it(files, in_its_folder, environment, cache_folder):
    from prefect import flow
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    environment(HEP_FLOWS_CACHE=cache_folder)

    @flow
    def my_flow():
        return run(fill(nanoaod_table(files), cut=53.0), engine="configured", on_error="raise")

    with temporary_settings({PREFECT_API_URL: in_its_folder.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        done = my_flow()
    assert done.report.engine == "configured"
    with SyncPrefectClient(in_its_folder.url) as client:
        inner = [f for f in client.read_flow_runs(limit=200) if f.parent_task_run_id is not None]
    assert [f.name for f in inner] == ["1 result · part_0.root and 2 more"]


def test_configured_without_an_address_is_an_error(files, environment, tmp_path):
    environment(HOME=tmp_path)
    with pytest.raises(OrchestrationError, match="the address of a Prefect API"):
        run(fill(nanoaod_table(files), cut=54.0), engine="configured")


def test_an_address_where_nobody_answers_is_an_error_that_names_it(files, tmp_path):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(OrchestrationError, match=r"127\.0\.0\.1:9"),
    ):
        run(fill(nanoaod_table(files), cut=55.0), engine="configured")


def test_a_port_that_is_taken_is_an_error_that_names_the_log(tmp_path):
    folder = str(tmp_path / "prefect")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OrchestrationError) as error:
            servers.start(folder, other.getsockname()[1])
    assert "server.log" in error.value.do
    assert servers.noted(folder) is None


def test_a_note_of_a_server_that_died_is_harmless(files, cache_folder):
    folder = cache_folder / "prefect"
    folder.mkdir(parents=True)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (folder / "server.json").write_text(json.dumps({"pid": gone.pid, "port": 9}))
    done = run(fill(nanoaod_table(files), cut=56.0), on_error="raise")
    assert done.report.engine == "inline"
    assert not servers.stop(str(folder))
    assert not (folder / "server.json").exists()


def test_stopping_ends_no_process_that_is_no_server(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    try:
        (tmp_path / "server.json").write_text(json.dumps({"pid": other.pid, "port": 9}))
        assert not servers.stop(str(tmp_path))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_stopping_ends_the_server_and_nothing_else(started, in_its_folder, tmp_path):
    """The server of another folder, which other tests use, goes on."""
    cache = tmp_path / "cache"
    assert command(cache, "start").returncode == 0
    own = servers.running(str(cache / "prefect"))
    stopped = command(cache, "stop")
    assert stopped.returncode == 0
    assert "stopped" in stopped.stdout
    end = time.monotonic() + 120
    while is_healthy(own.url) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_healthy(own.url)
    assert not Path(f"/proc/{own.pid}").exists()
    assert "there is no server" in command(cache, "stop").stdout
    assert command(cache, "status").returncode == 1
    assert is_healthy(in_its_folder.url)
