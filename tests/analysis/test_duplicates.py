"""Events that are there more than once, against counting by hand."""

import json
from collections import defaultdict

import numpy as np
import pytest
import uproot

from hep_flows import check_duplicates, nanoaod_table, tree_table, xaod_table
from hep_flows.cli.main import app
from hep_flows.errors import FieldError, LiteralError

pytestmark = pytest.mark.data

SM = "Run2012B_SingleMu_1000.root"
IDS = ("run", "luminosityBlock", "event")


@pytest.fixture(scope="module")
def pieces(data, tmp_path_factory):
    """Give overlapping pieces of a real file, one of which has an event twice."""
    folder = tmp_path_factory.mktemp("pieces")
    events = uproot.open(data(SM))["Events"].arrays(IDS)
    rows = {"a": np.arange(600), "b": np.r_[500:900], "c": np.r_[880:1000, 990, 10], "d": np.arange(0)}
    for name, chosen in rows.items():
        with uproot.recreate(folder / f"{name}.root") as file:
            file["Events"] = {n: np.asarray(events[n])[chosen] for n in IDS}
    return {name: str(folder / f"{name}.root") for name in rows}


def by_hand(files):
    """Give the places of each event that is there more than once."""
    places = defaultdict(list)
    for file in files:
        arrays = uproot.open(file)["Events"].arrays(IDS, library="np")
        for entry, event in enumerate(zip(*[arrays[n].tolist() for n in IDS], strict=True)):
            places[event].append((file, entry))
    return {event: tuple(p) for event, p in places.items() if len(p) > 1}


@pytest.mark.parametrize("names", ["a", "abcd", "bd", "d", "cb", "ac"])
def test_what_is_there_twice_is_found_with_files_and_entries(names, pieces):
    files = [pieces[n] for n in names]
    want = by_hand(files)
    found = check_duplicates({"x": {"files": dict.fromkeys(files, "Events")}}).datasets["x"]
    assert {d.event: d.places for d in found.first} == want
    assert [d.event for d in found.first] == sorted(want)
    assert found.surplus == sum([len(p) - 1 for p in want.values()])
    assert found.events == sum([uproot.open(f)["Events"].num_entries for f in files])
    assert sum(found.between.values()) == len(want)


def test_datasets_are_looked_at_by_themselves_or_by_process(pieces):
    fileset = {n: {"files": {pieces[n]: "Events"}, "metadata": {"process": "data"}} for n in "ab"}
    assert not check_duplicates(fileset)
    found = check_duplicates(fileset, by="process")
    assert found
    assert found.datasets["data"].between == {(pieces["a"], pieces["b"]): 100}
    assert "100 in" in str(found)
    assert not check_duplicates(fileset, by="process", only=["a"])


def test_a_table_of_any_kind_has_events(pieces, data):
    assert check_duplicates(nanoaod_table([pieces["a"], pieces["b"]])).as_json()["a.root and 1 more"]["surplus"] == 100
    assert check_duplicates(tree_table(pieces["a"], "Events"), event_id=["run", "luminosityBlock"])
    assert not check_duplicates(xaod_table(data("PHYSLITE_example.root")))


def test_more_events_than_are_held_at_once_are_compared_whole(tmp_path):
    rng = np.random.default_rng(1)
    files, every = [], []
    for name in ("p", "q", "r"):
        ids = np.stack([rng.integers(1, 4, 700_000), rng.integers(0, 3000, 700_000), rng.integers(0, 100_000, 700_000)], axis=1)
        files.append(str(tmp_path / f"{name}.root"))
        every.append(ids)
        with uproot.recreate(files[-1], compression=None) as file:
            file["Events"] = dict(zip(IDS, ids.T, strict=True))
    events, times = np.unique(np.concatenate(every), axis=0, return_counts=True)
    found = check_duplicates({"x": {"files": dict.fromkeys(files, "Events")}}).datasets["x"]
    assert found.surplus == int((times - 1).sum())
    assert sum(found.between.values()) == int((times > 1).sum())
    assert [list(d.event) for d in found.first] == events[times > 1][:1000].tolist()
    for duplicate in found.first[::100]:
        assert [every[files.index(f)][e].tolist() for f, e in duplicate.places] == [list(duplicate.event)] * len(duplicate.places)


def test_the_command_says_it_with_its_exit_code(pieces, tmp_path):
    from typer.testing import CliRunner

    fileset = tmp_path / "fileset.json"
    fileset.write_text(json.dumps({"x": {"files": {pieces["a"]: "Events", pieces["c"]: "Events"}}, "y": [pieces["b"]]}))
    done = CliRunner().invoke(app, ["duplicates", str(fileset)])
    assert (done.exit_code, "x: 722 events, 2 are there already" in done.output) == (4, True)
    done = CliRunner().invoke(app, ["duplicates", str(fileset), "--only", "y", "--json"])
    assert (done.exit_code, json.loads(done.output)["y"]["surplus"]) == (0, 0)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda file: check_duplicates([file], by="stream"), LiteralError, "by 'dataset' or 'process', not 'stream'"),
        (lambda file: check_duplicates({"x": [file]}, event_id=["evt"]), FieldError, "evt"),
        (lambda file: check_duplicates({"x": [file]}, event_id="event"), LiteralError, "a list of leaves"),
    ],
)
def test_what_cannot_be_looked_for(wrong, error, says, pieces):
    with pytest.raises(error, match=says) as caught:
        wrong(pieces["a"])
    assert caught.value.where.file == __file__
