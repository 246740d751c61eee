"""A server that stays: started and stopped by the command, used by runs over its cache folder, or as the user's own Prefect."""

from __future__ import annotations

import base64
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
from prefect_servers import as_configured, client, end_prefect, token_for


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
    configured = {"PREFECT_API_URL": in_its_folder.url, "PREFECT_API_AUTH_STRING": token_for(in_its_folder.url)}
    environment = {**os.environ, **configured, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
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
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    environment(HEP_FLOWS_CACHE=cache_folder)

    @flow
    def my_flow():
        return run(fill(nanoaod_table(files), cut=53.0), engine="configured", on_error="raise")

    with temporary_settings({**as_configured(in_its_folder.url), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        done = my_flow()
    assert done.report.engine == "configured"
    with client(in_its_folder.url) as talk:
        inner = [f for f in talk.read_flow_runs(limit=200) if f.parent_task_run_id is not None]
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


@pytest.mark.parametrize("whose", ["nobody", "a guess", "another folder"])
@pytest.mark.parametrize("kind", ["server", "embedded"])
def test_a_client_without_the_token_of_the_folder_is_refused(whose, kind, in_its_folder, private_server, tmp_path):
    url = in_its_folder.url if kind == "server" else private_server.api_url()
    with client(url) as talk:
        talk.read_flow_runs(limit=1)
    wrong = {"nobody": "", "a guess": "hep-flows:" + "0" * 43, "another folder": servers.token_of(str(tmp_path / "prefect"))}
    from prefect.exceptions import PrefectHTTPStatusError

    with client(url, wrong[whose]) as talk, pytest.raises(PrefectHTTPStatusError, match="401"):
        talk.read_flow_runs(limit=1)


def test_without_the_token_the_users_own_prefect_is_an_error_that_says_what_is_missing(files, in_its_folder):
    """In a process of its own: Prefect leaves the connection open that was refused."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from jet_files import fill
from hep_flows import nanoaod_table, run
from hep_flows.errors import OrchestrationError
try:
    run(fill(nanoaod_table(sys.argv[2:]), cut=57.0), engine="configured")
except OrchestrationError as error:
    print(error.do)
"""
    configured = {"PREFECT_API_URL": in_its_folder.url, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    words = [sys.executable, "-c", code, str(Path(__file__).parent), *files]
    done = subprocess.run(words, env={**os.environ, **configured}, capture_output=True, text=True, check=True, timeout=600)
    assert "PREFECT_API_AUTH_STRING" in done.stdout


def test_a_note_of_the_server_of_another_folder_is_not_believed(in_its_folder, cache_folder):
    prefect = cache_folder / "prefect"
    prefect.mkdir(parents=True)
    (prefect / "server.json").write_text(json.dumps({"pid": in_its_folder.pid, "port": in_its_folder.port}))
    assert servers.running(str(prefect)) is None
    with pytest.raises(OrchestrationError, match="does not take its token"):
        servers.start(str(prefect))
    assert is_healthy(in_its_folder.url)


def test_the_token_is_in_a_file_of_its_owner_and_nowhere_else(started, files, in_its_folder, tmp_path):
    cache, said = started
    done = run(fill(nanoaod_table(files), cut=58.0), on_error="raise", report=tmp_path / "report.json")
    assert done.report.engine == "server"
    again, status = command(cache, "start"), command(cache, "status")
    token_file = cache / "prefect" / "token"
    secret = token_file.read_bytes()
    assert str(token_file) in said
    assert (token_file.stat().st_mode & 0o777, token_file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    shown = [said, again.stdout, again.stderr, status.stdout, status.stderr, str(done.report), repr(done)]
    assert not [s for s in shown if secret.decode() in s]
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if secret in read(p)]
    written = [f for folder in (cache, tmp_path) for f in folder.rglob("*") if f.is_file() and f != token_file]
    assert any(f.suffix == ".db" for f in written)
    assert any(f.name == "server.log" for f in written)
    forms = (secret, secret.partition(b":")[2], base64.b64encode(secret))
    assert not [f for f in written for form in forms if form in read(f)]


def read(file):
    try:
        return file.read_bytes()
    except OSError:  # a process that has ended, a temporary file
        return b""


def test_processes_that_ask_at_once_get_one_token(tmp_path):
    code = "import sys; from hep_flows.orchestrate.server import token_of; sys.stdin.read(); print(token_of(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(tmp_path / "prefect")]
    asking = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in asking:
        process.stdin.close()
    told = {process.stdout.read() for process in asking}
    assert [process.wait() for process in asking] == [0] * 6
    for process in asking:
        process.stdout.close()
    assert told == {servers.token_of(str(tmp_path / "prefect")) + "\n"}


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o604])
def test_a_token_that_others_could_read_or_write_is_replaced(tmp_path, mode):
    known = servers.token_of(str(tmp_path))
    (tmp_path / "token").chmod(mode)
    assert servers.token_of(str(tmp_path)) != known
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "hep-flows:short", "x" * 1000, "hep-flows:" + "a" * 43 + "\n", "\0\xff"])
def test_a_token_that_is_none_is_replaced(tmp_path, text):
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text(text)
    made = servers.token_of(str(tmp_path))
    assert made != text
    assert servers.token_of(str(tmp_path)) == made


@pytest.mark.parametrize("planted", ["link", "second name", "folder", "pipe"])
def test_what_is_planted_in_the_place_of_the_token_is_refused(tmp_path, planted):
    folder, place, other = tmp_path / "prefect", tmp_path / "prefect" / "token", tmp_path / "other"
    folder.mkdir()
    other.write_text("mine")
    plant = {"link": place.symlink_to, "second name": place.hardlink_to, "folder": lambda _: place.mkdir()}
    plant.get(planted, lambda _: os.mkfifo(place))(other)
    with pytest.raises(OrchestrationError, match="cannot be the token"):
        servers.token_of(str(folder))
    assert other.read_text() == "mine"


LISTENING = """
import http.server, sys

class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.headers.get("Authorization"), file=sys.stderr, flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")
def test_the_token_is_not_shown_to_a_process_of_another_user_at_the_port_of_the_server(tmp_path, cache_folder):
    words = ["/usr/bin/env", "python3", "-c", LISTENING]
    with (tmp_path / "said").open("wb") as said:
        stranger = subprocess.Popen(words, user=65534, cwd="/", stdout=subprocess.PIPE, stderr=said, text=True)
    try:
        port = int(stranger.stdout.readline())
        folder = cache_folder / "prefect"
        folder.mkdir(parents=True)
        (folder / "server.json").write_text(json.dumps({"pid": stranger.pid, "port": port}))
        assert servers.running(str(folder)) is None
        assert not servers.takes(servers.Server(stranger.pid, port), "hep-flows:secret")
        assert (tmp_path / "said").read_text() == ""
        assert is_healthy(f"http://127.0.0.1:{port}/api")
        assert (tmp_path / "said").read_text() == "asked None\n"
    finally:
        stranger.kill()
        stranger.wait()
        stranger.stdout.close()


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
