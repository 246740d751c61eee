"""One server of Prefect for the flows, and a small project to run them over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from prefect_servers import end_prefect, token_for

HERE = Path(__file__).parent
FLOWS = HERE.parents[1] / "flows"
sys.path.insert(0, str(HERE))

ANALYSIS = """
from hep_flows import Histogram


def analysis(events):
    jets = events.Jet[events.Jet.pt > 30.0]
    return {
        "pt": Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=jets.pt),
        "skim": jets.pt,
        "events": events.Count(),
    }
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory, prefect_database):
    """Give a server that schedules runs, with its folder."""
    from hep_flows.orchestrate import server as servers

    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("PREFECT_")]:
            patch.delenv(name)
        folder = tmp_path_factory.mktemp("prefect")
        prefect_database(folder, "server.db")
        started = servers.start(str(folder))
        yield started
        end_prefect()
        servers.stop(str(folder))


@pytest.fixture
def prefect(server, environment, tmp_path):
    """Let flows of this process use the server."""
    from hep_flows.orchestrate.settings import shared_settings

    environment(PREFECT_HOME=tmp_path / "prefect-home")
    with shared_settings(server.url, token_for(server.url)):
        yield server


@pytest.fixture
def project(tmp_path, work_in):
    """Give a folder with an analysis, and two datasets of small files."""
    from files import write

    (tmp_path / "analysis.py").write_text(ANALYSIS)
    for number, dataset in enumerate(["ttbar", "dy"]):
        (tmp_path / "data" / dataset).mkdir(parents=True)
        write(tmp_path / "data" / dataset / "a.root", number)
    work_in(tmp_path)
    return tmp_path


@pytest.fixture
def flow_of(prefect):
    """Give a flow of the project's folder by its name; loaded as Prefect loads it."""
    from prefect.flows import load_flow_from_entrypoint

    return lambda name: load_flow_from_entrypoint(f"{FLOWS / name}.py:{name}")
