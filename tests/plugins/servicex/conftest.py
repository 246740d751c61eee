"""A simulator of ServiceX over parts of a real file, and an endpoint that is in a hurry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import pytest

from hep_flows.plugins.servicex.addresses import configured_endpoints
from hep_flows.plugins.servicex.remote import RemoteServiceX
from plugins.servicex.remote_runs import DATASET, EMPTY, HURRY, OPEN_DATA, QUERY, TOKEN, Clock, Holding, client_clock, collect
from servicex_sim.work import Datasets, UprootScience


@pytest.fixture(autouse=True)
def _client_in_a_hurry(tmp_path_factory, environment, hasty_client):
    """Let the client not wait, and load one certificate instead of all: it does so for every call, and nothing here is encrypted."""
    import certifi

    end = "-----END CERTIFICATE-----"
    file = tmp_path_factory.getbasetemp() / "one.pem"
    if not file.exists():
        file.write_text(Path(certifi.where()).read_text().partition(end)[0] + end + "\n")
    environment(SSL_CERT_FILE=file)


@pytest.fixture
def clock() -> Clock:
    return client_clock()


@pytest.fixture(scope="session")
def jets(data, tmp_path_factory) -> dict[str, tuple[str, Any]]:
    """Give six parts of a real file by the names that a grid would use: the local path, and the jets' momenta read independently."""
    import uproot

    with uproot.open(data("Run2012B_SingleMu_1000.root")) as file:
        pt = file["Events"]["Jet_pt"].array()
    folder = tmp_path_factory.mktemp("parts")
    found = {}
    for i in range(6):
        part = pt[100 * i : 100 * i + 50 + 10 * i]
        with uproot.recreate(folder / f"part{i}.root") as out:
            out.mktree("Events", {"Jet_pt": part.type.content}).extend({"Jet_pt": part})
        found[f"root://store.example//jets/part{i}.root"] = (str(folder / f"part{i}.root"), part)
    return found


@pytest.fixture(scope="session")
def names(jets) -> list[str]:
    return list(jets)


@pytest.fixture(scope="session")
def datasets(jets, names) -> Datasets:
    paths = {n: p for n, (p, _) in jets.items()}
    return Datasets(paths, {DATASET: tuple(names), OPEN_DATA: tuple(names[:2]), EMPTY: ()})


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
def start(datasets, science):
    """Give a function that starts a simulator; it stops with the test."""
    running = []

    def started(**options) -> Holding:
        simulator = Holding(**{"datasets": datasets, "token": TOKEN, "science": science, **options}).__enter__()
        running.append(simulator)
        return simulator

    yield started
    for one in running:
        one.stop()


@pytest.fixture
def sim(start) -> Holding:
    return start()


@pytest.fixture
def endpoint(tmp_path):
    """Give the endpoint of a simulator, set up through a file as a user does."""

    def made(simulator: Holding, name: str = "simulator", **changes) -> RemoteServiceX:
        file = tmp_path / f"{name}.yaml"
        file.write_text(simulator.config(tmp_path / "client-cache", name))
        return RemoteServiceX(configured_endpoints(file)[0], replace(HURRY, **changes))

    return made


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def ask(endpoint, scratch):
    """Ask a simulator through the endpoint, and give what came."""

    def asked(simulator, files, query=QUERY, watch=None, **changes):
        return collect(endpoint(simulator, **changes), files, scratch, query, watch)

    return asked


@pytest.fixture
def right(jets):
    """Check that exactly these files came, each with the momenta of its jets."""

    def check(came, files) -> None:
        assert sorted(came.results) == sorted(files)
        for name in files:
            assert ak.array_equal(came.results[name], jets[name][1], dtype_exact=True), name

    return check
