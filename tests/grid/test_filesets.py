"""Filesets of local and of grid datasets: one analysis over all of them, each read where it is."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import pytest
from typer.testing import CliRunner

from grid.servers import CUT, TOKEN
from grid.store_files import DATASET, OPEN_DATA
from hep_flows import run_analysis
from hep_flows.cli.main import app
from hep_flows.errors import SourceError
from hep_flows.execute.report import Missing
from hep_flows.filesets import read_fileset

ANALYSIS = f"""
def analysis(events):
    good = events.Jet[events.Jet.pt > {CUT}]
    return {{"eta": good.eta, "n": good.Count().Sum()}}
"""


@pytest.fixture
def fileset(grid):
    """Write a fileset of three datasets and an analysis into the current folder; give its path."""
    grid.folder.joinpath("shapes").mkdir()
    grid.folder.joinpath("shapes/sample.root").hardlink_to(grid.store.like)
    grid.folder.joinpath("cuts.py").write_text(ANALYSIS)
    about = {"kind": "nanoaod", "like": "shapes/sample.root"}
    sets = {
        "here": {"files": dict.fromkeys(list(grid.store.paths.values())[3:], "Events"), "metadata": {"kind": "a word of the user"}},
        "ttbar": {"files": {DATASET: "Events"}, "metadata": {**about, "xsec": 831.8}},
        "open": {"files": {OPEN_DATA: "Events"}, "metadata": {"like": "shapes/sample.root"}},
        "listed": {"files": grid.store.names[:1], "treename": "Events", "metadata": {**about, "endpoint": "simulator"}},
    }
    path = grid.folder / "sets.json"
    path.write_text(json.dumps(sets))
    return path


def check_dataset(values, store, names):
    pt = store.column("Jet_pt", names)
    assert ak.array_equal(values["eta"], store.column("Jet_eta", names)[pt > CUT], dtype_exact=True)
    assert values["n"] == ak.sum(pt > CUT)


def test_an_analysis_runs_over_local_files_and_datasets_of_the_grid(grid, fileset, environment, work_in):
    work_in("/")  # paths of the fileset start in its own folder
    environment(HOME=grid.folder)
    done = run_analysis(grid.folder / "cuts.py", fileset, engine="inline", on_error="raise")
    names = grid.store.names
    for dataset, files in {"here": names[3:], "ttbar": names, "open": names[:2], "listed": names[:1]}.items():
        check_dataset(done.values[dataset], grid.store, files)
    assert sorted(grid.asked_for()) == sorted([[DATASET], [OPEN_DATA], names[:1]])
    kinds = {n.name: (n.kind, n.kind_reason) for n in done.datasets}
    assert kinds["here"][0] == "nanoaod"
    assert kinds["ttbar"] == ("servicex:nanoaod", "")
    assert kinds["open"] == ("servicex:nanoaod", "by the name of its tree, Events")


def test_a_dataset_of_the_grid_that_fails_leaves_the_others(grid, fileset):
    told = json.loads(fileset.read_text())
    told["misspelt"] = {**told["ttbar"], "files": {"rucio://user.somebody:misspelt": "Events"}}
    told["elsewhere"] = {**told["ttbar"], "metadata": {"kind": "nanoaod", "like": "shapes/sample.root", "endpoint": "nowhere"}}
    fileset.write_text(json.dumps(told))
    done = run_analysis(grid.folder / "cuts.py", fileset, engine="inline")
    check_dataset(done.values["ttbar"], grid.store, grid.store.names)
    check_dataset(done.values["here"], grid.store, grid.store.names[3:])
    assert all("the dataset does not exist" in v.reason for v in done.values["misspelt"].values())
    assert all("no ServiceX server 'nowhere' is set up" in v.reason for v in done.values["elsewhere"].values())
    assert all(isinstance(v, Missing) for name in ("misspelt", "elsewhere") for v in done.values[name].values())
    before = len(grid.sim.submits())
    run_analysis(grid.folder / "cuts.py", fileset, engine="inline", only=["ttbar", "open", "here", "listed"], on_error="raise")
    assert len(grid.sim.submits()) == before


def test_the_plan_of_an_analysis_lists_datasets_of_the_grid_and_asks_no_server(grid, fileset):
    done = CliRunner().invoke(app, ["plan", "cuts.py", str(fileset), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    by_dataset = {name: {r["plugin"] for r in told if r["dataset"] == name} for name in ("here", "ttbar", "open", "listed")}
    assert "servicex" not in by_dataset.pop("here")
    assert all("servicex" in plugins for plugins in by_dataset.values()), by_dataset
    assert not grid.sim.calls()
    assert TOKEN not in done.output


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"files": {DATASET: "Events", "/a.root": "Events"}}, "and 1 more"),
        ({"files": [DATASET], "metadata": {"like": 3}}, "like is a text"),
        ({"files": [DATASET], "metadata": {"kind": "nanaod"}}, "did you mean 'nanoaod'"),
    ],
)
def test_what_is_said_of_a_dataset_of_the_grid_is_checked(said, says):
    with pytest.raises(SourceError, match=says):
        read_fileset({"ttbar": said})


def test_a_dataset_of_the_grid_whose_kind_nobody_says_is_an_error(grid):
    done = run_analysis(lambda events: {"n": events.Count()}, {"ttbar": [DATASET]}, engine="inline")
    (note,) = done.datasets
    assert f"nothing says what kind of table {DATASET} is" in note.failed
    assert not done.is_complete


def test_the_path_of_a_file_of_the_same_form_starts_at_the_fileset(tmp_path):
    (entry,) = read_fileset({"ttbar": {"files": [DATASET], "metadata": {"like": "a.root"}}})
    assert entry.server is not None
    assert entry.server.like == str(Path.cwd() / "a.root")
