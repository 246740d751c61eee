"""The command ``hep-flows servicex-sim``, as a user starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import awkward as ak
import pytest
import uproot

from hep_flows.plugins.servicex.addresses import RemoteSettings, configured_endpoints
from hep_flows.plugins.servicex.query import Query, Watch
from hep_flows.plugins.servicex.remote import RemoteServiceX

COMMAND = [str(Path(sys.executable).parent / "hep-flows"), "servicex-sim"]
QASTLE = "(call Select (call EventDataset 'bogus.root' 'events') (lambda (list e) (dict (list 'pt') (list (attr e 'pt1')))))"


@pytest.fixture
def folder(tmp_path, data):
    (tmp_path / "data" / "zmumu").mkdir(parents=True)
    shutil.copy(data("uproot-Zmumu.root"), tmp_path / "data" / "zmumu")
    return tmp_path


@pytest.fixture
def running(folder):
    config = folder / "servicex.yaml"
    command = [*COMMAND, "--data", "data", "--write", str(config), "--fault", "file kind=fails"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    said = ""
    while "# Written to" not in said and (line := process.stdout.readline()):
        said += line
    yield process, config, said
    process.kill()
    process.communicate()


def test_it_serves_a_folder_with_faults_until_it_is_stopped(running, tmp_path, data):
    process, config, begun = running
    assert config.exists(), begun
    one = RemoteServiceX(configured_endpoints(config)[0], RemoteSettings(poll_s=0.1, backoff_s=0.1, deadline_s=300))
    (item,) = one.run(Query(QASTLE, "uproot", ("pt",)), ["rucio://local:zmumu"], str(tmp_path), Watch())
    with uproot.open(data("uproot-Zmumu.root")) as file:
        assert ak.array_equal(ak.from_parquet(item.path)["pt"], file["events"]["pt1"].array())
    process.send_signal(signal.SIGINT)
    said = begun + process.stdout.read()
    process.wait(300)
    assert process.returncode == 0
    assert "rucio://local:zmumu" in said
    assert config.read_text() in said
    assert "# 2 requests" in said


def test_a_fault_that_is_none_is_an_error_of_one_line_each(folder):
    command = [*COMMAND, "--data", "data", "--fault", "disk kind=full"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "HepFlowsError: 'disk kind=full' is no fault" in done.stderr
