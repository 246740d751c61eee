"""RNTuples, written by uproot: flat ones, nested ones, and real NanoAOD events."""

import awkward as ak
import numpy as np
import pytest
import uproot

from described import axes_of, described, leaves, member, one, read
from hep_flows.expr.types import Float, Int, Record, String
from hep_flows.sources.read import partitions, read_columns

SM = "Run2012B_SingleMu_1000.root"
EVENTS = [
    {
        "x": 1,
        "jets": [{"pt": 1.5, "tags": [1, 2]}, {"pt": 2.5, "tags": []}],
        "s": "a",
        "o": None,
        "l": ["b"],
        "g": {"a": 1, "b": True},
    },
    {"x": 2, "jets": [], "s": "", "o": 3, "l": [], "g": {"a": 2, "b": False}},
    {"x": 3, "jets": [{"pt": 3.5, "tags": [3]}], "s": "c", "o": None, "l": ["d", "e"], "g": {"a": 3, "b": True}},
]


@pytest.fixture
def nested(tmp_path):
    with uproot.recreate(tmp_path / "nested.root") as file:
        file.mkrntuple("events", ak.Array(EVENTS))
    return described("tree", tmp_path / "nested.root")


def test_structs_are_groups_and_vectors_of_structs_collections(nested):
    assert member(nested, "g").axes == ()
    assert member(nested, "jets").axes == ("jets",)
    assert axes_of(nested, "g", "a") == nested.type.axes
    assert [a.name for a in axes_of(nested, "jets", "tags")] == ["event", "jets", "tags"]
    assert member(nested, "s").item == String()
    assert member(nested, "x").item == Int(64)


def test_values_come_back_as_they_were_written(nested):
    got = read(nested, "x", "s", "o", "l", "g.a", "g.b", "jets.pt", "jets.tags", "jets")
    for name in ("x", "s", "o", "l"):
        assert got[(name,)].tolist() == [e[name] for e in EVENTS]
    assert got[("g", "b")].tolist() == [e["g"]["b"] for e in EVENTS]
    for leaf in ("pt", "tags"):
        assert got[("jets", leaf)].tolist() == [[j[leaf] for j in e["jets"]] for e in EVENTS]
    assert got[("jets",)].tolist() == [2, 0, 1] == one(nested, "jets").tolist()


def test_an_optional_field_may_be_missing(nested):
    assert member(nested, "o").optional
    assert not member(nested, "x").optional


def test_only_the_wanted_field_of_a_struct_is_read(nested):
    from hep_flows.sources.open import open_table

    table = open_table("tree", nested.files[0], ("events",))
    array = table.read([("jets", "pt")], 0, 3)["jets", "pt"]
    table.close()
    assert array.fields == []
    assert array.tolist() == [[1.5, 2.5], [], [3.5]]


@pytest.fixture(scope="module")
def converted(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("rntuple") / "nano.root"
    with uproot.open(data(SM)) as source, uproot.recreate(path) as file:
        arrays = source["Events"].arrays()
        parts = {k: arrays[k] for k in arrays.fields}
        ntuple = file.mkrntuple("Events", {k: v[:400] for k, v in parts.items()})
        ntuple.extend({k: v[400:] for k, v in parts.items()})
    return described("nanoaod", data(SM)), described("nanoaod", path)


@pytest.mark.data
def test_nano_aod_has_the_same_schema_in_both_formats(converted):
    tree, ntuple = (dict(leaves(d.type.item)) for d in converted)
    assert set(tree) == set(ntuple)
    for path, found in tree.items():
        assert (found.item, found.axes, found.unit) == (ntuple[path].item, ntuple[path].axes, ntuple[path].unit), path


@pytest.mark.data
def test_nano_aod_has_the_same_values_in_both_formats(converted):
    tree, ntuple = converted
    paths = [p for p, _ in leaves(tree.type.item)]
    one_way, other = read(tree, *paths, ("Jet",)), read(ntuple, *paths, ("Jet",))
    for path in [*paths, ("Jet",)]:
        assert ak.array_equal(one_way[path], other[path], dtype_exact=True, equal_nan=True), path


@pytest.mark.data
def test_ranges_lie_on_clusters_and_give_their_events(converted):
    tree, ntuple = converted
    ranges = partitions(ntuple, 500)
    assert [(p.start, p.stop, p.first) for p in ranges] == [(0, 400, 0), (400, 1000, 400)]
    parts = [read_columns(ntuple, p, [("Muon", "pt")])[("Muon", "pt")] for p in ranges]
    assert ak.concatenate(parts).tolist() == one(tree, "Muon.pt").tolist()


def test_a_nano_aod_collection_may_be_one_vector_of_structs(tmp_path):
    events = ak.Array(
        [
            {"Jet": [{"pt": 1.0, "muonIdx1": 0}], "Muon": [{"pt": 2.0}], "MET": {"pt": 3.0}},
            {"Jet": [], "Muon": [], "MET": {"pt": 4.0}},
        ]
    )
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("Events", events)
    dataset = described("nanoaod", tmp_path / "n.root")
    assert isinstance(member(dataset, "Jet").item, Record)
    assert member(dataset, "Jet").axes == ("Jet",)
    assert member(dataset, "Jet", "pt").item == Float(64)
    assert member(dataset, "Jet", "pt").unit == "GeV"
    assert member(dataset, "Jet", "muonIdx1").item.refers_to == "Muon"
    assert member(dataset, "MET").axes == ()
    got = read(dataset, "Jet.pt", "Jet", "MET.pt")
    assert got[("Jet", "pt")].tolist() == [[1.0], []]
    assert got[("Jet",)].tolist() == [1, 0]
    assert got[("MET", "pt")].tolist() == [3.0, 4.0]


def test_an_rntuple_without_entries_is_fine(tmp_path):
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("events", {"x": np.array([], np.int64)})
    dataset = described("tree", tmp_path / "n.root")
    assert member(dataset, "x").item == Int(64)
    assert partitions(dataset, 100) == ()
