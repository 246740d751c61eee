"""What stands in prefect.yaml can be deployed, and a served flow runs when it is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from files import filled, histogram

from hep_flows.errors import OrchestrationError
from prefect_servers import note, token_for

ROOT = Path(__file__).parents[2]
HEP_FLOWS = [sys.executable, "-c", "from hep_flows.cli.main import main; main()"]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def _environment(server, **more):
    configured = {"PREFECT_API_URL": server.url, "PREFECT_API_AUTH_STRING": token_for(server.url)}
    return {**os.environ, **configured, "PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "1", **more}


def test_every_flow_has_a_deployment_and_every_entrypoint_is_a_flow(flow_of):
    entries = [d["entrypoint"] for d in DEPLOYMENTS]
    assert sorted(e.split(":")[0] for e in entries) == sorted(f"flows/{p.name}" for p in (ROOT / "flows").glob("*.py"))
    for deployment in DEPLOYMENTS:
        path, name = deployment["entrypoint"].split(":")
        flow = flow_of(name)
        assert Path(path).stem == name
        flow.validate_parameters(deployment["parameters"])


def test_flows_stay_thin():
    for path in (ROOT / "flows").glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path


def test_all_deployments_can_be_made(server, tmp_path):
    environment = _environment(server, HEP_FLOWS_PROJECT=str(ROOT), PREFECT_HOME=str(tmp_path / "home"))
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    pool = [*prefect, "work-pool", "create", "--type", "process", "hep-flows"]
    subprocess.run(pool, env=environment, check=True, capture_output=True)
    made = subprocess.run([*prefect, "deploy", "--all"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    listed = subprocess.run(
        [*prefect, "deployment", "ls"], env={**environment, "COLUMNS": "200"}, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"/{d['name']}" in listed for d in DEPLOYMENTS), listed


@pytest.mark.parametrize("whose", ["the user", "the cache folder"])
def test_a_served_flow_runs_when_it_is_asked_for(server, project, cache_folder, whose):
    flow = ROOT / "flows" / "scheduled_reprocessing.py"
    parameters = ["--param", "analysis=analysis.py", "--param", "fileset=data", "--param", "out=results"]
    environment = _environment(server, PREFECT_HOME=str(project / "home"), PREFECT_RUNNER_POLL_FREQUENCY="1")
    if whose == "the cache folder":
        note(server.pid, server.port, cache_folder)
        del environment["PREFECT_API_URL"], environment["PREFECT_API_AUTH_STRING"]
    serving = subprocess.Popen(
        [*HEP_FLOWS, "serve", str(flow), "--cron", "0 5 * * *", "--name", "served", *parameters],
        env=environment,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told = serving.stdout.readline()
        assert "serving 'scheduled reprocessing' as 'served'" in told
        assert ("the server of the cache folder" in told) == (whose == "the cache folder")
        assert token_for(server.url) not in told
        state = _deployment_run(server, project, "scheduled reprocessing/served")
        assert (state.type.value, state.name) == ("COMPLETED", "Completed"), state.message
        assert filled(project / "results", "ttbar").tolist() == histogram("data/ttbar/a.root").tolist()
        assert _deployment_run(server, project, "scheduled reprocessing/served").name == "Skipped"
    finally:
        serving.send_signal(signal.SIGINT)
        try:
            serving.wait(120)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()
        serving.stdout.close()


def _deployment_run(server, project, name):
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    from hep_flows.orchestrate.settings import shared_settings

    with shared_settings(server.url, token_for(server.url)):
        end = time.monotonic() + 300
        while True:
            try:
                return run_deployment(name, timeout=600, poll_interval=0.5).state
            except ObjectNotFound:
                assert time.monotonic() < end, "the deployment was never made"
                time.sleep(0.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.py"], "nothing.py is not a file"),
        (["analysis.py"], "analysis.py defines no flow"),
        (
            [str(ROOT / "flows/scheduled_reprocessing.py"), "--flow", "scheduled_reprocesing"],
            "did you mean 'scheduled_reprocessing'?",
        ),
        (
            [str(ROOT / "flows/scheduled_reprocessing.py"), "--param", "analysis=a.py"],
            "do not fit the flow 'scheduled reprocessing'",
        ),
        ([str(ROOT / "flows/scheduled_reprocessing.py"), "--param", "analysis"], "'analysis' is no parameter"),
    ],
)
def test_what_cannot_be_served_is_said(arguments, said, server, project):
    done = subprocess.run(
        [*HEP_FLOWS, "serve", *arguments], env=_environment(server), cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "flow", "what"),
    [
        (None, "", "is not a file"),
        ("x = 1", "", "defines no flow"),
        ("from prefect import flow\n\n\n@flow\ndef a(): ...\n", "b", "no flow 'b'"),
    ],
)
def test_a_file_without_the_flow_is_an_error_and_starts_no_server(tmp_path, cache_folder, text, flow, what):
    from hep_flows.orchestrate.serve import serve

    file = tmp_path / "flows.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OrchestrationError, match=what):
        serve(file, flow=flow, name="x", cron="", parameters={}, folder=str(cache_folder / "prefect"), tell=print)
    assert not (cache_folder / "prefect").exists()
