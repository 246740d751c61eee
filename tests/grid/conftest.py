"""Servers for whole runs: the simulator, set up by a ``servicex.yaml`` in the current folder, and one Prefect server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grid.servers import TOKEN, Grid, datasets_of
from grid.store_files import StoreFiles, write_store
from plugins.servicex.remote_runs import Clock, client_clock
from servicex_sim.server import Simulator
from servicex_sim.work import UprootScience


@pytest.fixture(autouse=True)
def _nobodys_machine(tmp_path, environment, work_in):
    """Start in an empty folder, with an empty home folder and nothing that the person who runs the tests has configured."""
    home = tmp_path / "home"
    home.mkdir()
    environment(HOME=home, BEARER_TOKEN_FILE=None, **dict.fromkeys(n for n in os.environ if n.startswith("PREFECT_")))
    work_in(tmp_path)


@pytest.fixture(autouse=True)
def _client_in_a_hurry(tmp_path_factory, environment, hasty_client):
    """Let the client not wait, and load one certificate instead of all: it does so for every call, and nothing here is encrypted."""
    import certifi

    end = "-----END CERTIFICATE-----"
    file = tmp_path_factory.getbasetemp() / "one-authority.pem"
    if not file.exists():
        file.write_text(Path(certifi.where()).read_text().partition(end)[0] + end + "\n")
    environment(SSL_CERT_FILE=file)


@pytest.fixture
def clock() -> Clock:
    return client_clock()


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> StoreFiles:
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def science():
    """Give the real code generator; it transforms a file once for all tests."""
    generate, made = UprootScience(), {}

    def once(selection):
        function = generate(selection)

        def transform(path):
            if (selection, path) not in made:
                made[selection, path] = function(path)
            return made[selection, path]

        return transform

    return {"uproot": once}


@pytest.fixture
def start(store, science):
    """Give a function that starts a simulator; it stops with the test."""
    running = []

    def started(**options) -> Simulator:
        simulator = Simulator(**{"datasets": datasets_of(store), "token": TOKEN, "science": science, **options}).start()
        running.append(simulator)
        return simulator

    yield started
    for one in running:
        one.stop()


@pytest.fixture
def grid(start, store, tmp_path) -> Grid:
    return Grid(start(), store, tmp_path).set_up()
