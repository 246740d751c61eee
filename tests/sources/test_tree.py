"""Flat trees: branches, counters, arrays and texts, from real and from made files."""

import awkward as ak
import numpy as np
import pytest
import uproot

from described import axes_of, described, leaves, member, one, read
from hep_flows.expr.types import Bool, Float, Int, String

ZMM, HZZ = "uproot-Zmumu.root", "uproot-HZZ.root"


def written(path, branches, name="events"):
    with uproot.recreate(path) as file:
        file.mktree(name, {k: v.dtype if isinstance(v, np.ndarray) and v.ndim == 1 else v.type for k, v in branches.items()})
        file[name].extend(branches)
    return path


@pytest.mark.data
@pytest.mark.parametrize("name", [ZMM, HZZ])
def test_every_branch_is_a_leaf_with_its_values(data, name):
    dataset = described("tree", data(name))
    with uproot.open(data(name)) as file:
        tree = file["events"]
        branches = [p for p, _ in leaves(dataset.type.item) if len(p) == 1]
        assert [p[0] for p in branches] == tree.keys()
        arrays = read(dataset, *branches)
        for branch in tree.keys():  # noqa: SIM118 - a tree is not iterated by its keys
            assert ak.array_equal(arrays[(branch,)], tree[branch].array(), dtype_exact=True), branch


@pytest.mark.data
def test_branches_of_one_counter_share_an_axis(data):
    dataset = described("tree", data(HZZ))
    assert axes_of(dataset, "Jet_Px") == axes_of(dataset, "Jet_Py") == axes_of(dataset, "Jet", "Px")
    assert axes_of(dataset, "Jet_Px") != axes_of(dataset, "Muon_Px")
    assert [a.name for a in axes_of(dataset, "Jet_Px")] == ["event", "NJet"]


@pytest.mark.data
def test_branches_of_one_counter_and_prefix_are_a_collection_too(data):
    dataset = described("tree", data(HZZ))
    jet = member(dataset, "Jet")
    assert list(jet.item.members) == ["Px", "Py", "Pz", "E", "btag", "ID"]
    assert jet.column == "NJet"
    got = read(dataset, "Jet", "Jet.Px", "Jet_Px")
    assert got[("Jet", "Px")].tolist() == got[("Jet_Px",)].tolist()
    with uproot.open(data(HZZ)) as file:
        assert got[("Jet",)].tolist() == one(dataset, "Jet").tolist() == file["events/NJet"].array().tolist()


@pytest.mark.data
def test_kinds_of_a_flat_tree(data):
    dataset = described("tree", data(ZMM))
    assert member(dataset, "Type").item == String()
    assert member(dataset, "Run").item == Int(32)
    assert member(dataset, "M").item == Float(64)
    assert member(described("tree", data(HZZ)), "Jet_ID").item == Bool()
    assert {len(axes_of(dataset, name)) for name in dataset.type.item.members} == {1}
    assert one(dataset, "Type")[:3].tolist() == ["GT", "TT", "GT"]


def test_scalars_of_one_prefix_stay_at_the_top(tmp_path):
    dataset = described("tree", written(tmp_path / "a.root", {"MET_px": np.ones(3), "MET_py": np.zeros(3)}))
    assert list(dataset.type.item.members) == ["MET_px", "MET_py"]


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
)
def test_widths_are_kept(tmp_path, kind):
    values = np.array([0, 1, 1], dtype=kind)
    dataset = described("tree", written(tmp_path / "a.root", {"x": values}))
    assert str(member(dataset, "x").item) == kind
    assert ak.to_numpy(one(dataset, "x")).dtype == np.dtype(kind)
    assert one(dataset, "x").tolist() == values.tolist()


def test_an_array_of_fixed_size_adds_an_axis(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"x": np.dtype((np.float32, (3,))), "y": np.dtype((np.int32, (2, 2)))})
        file["events"].extend({"x": values, "y": np.arange(16, dtype=np.int32).reshape(4, 2, 2)})
    dataset = described("tree", tmp_path / "a.root")
    assert [a.name for a in axes_of(dataset, "x")] == ["event", "x"]
    assert len(set(axes_of(dataset, "y"))) == 3
    got = read(dataset, "x", "y")
    assert got[("x",)].tolist() == values.tolist()
    assert got[("y",)].tolist() == np.arange(16).reshape(4, 2, 2).tolist()
    assert str(got[("x",)].type) == "4 * var * float32"


@pytest.mark.parametrize("other", ["Jet_eta", "Trk_eta"])
def test_lists_with_counters_of_their_own_belong_together_by_name_and_lengths(other, tmp_path):
    lists = ak.values_astype(ak.Array([[1.0, 2.0], [], [3.0]]), np.float32)
    longer = ak.concatenate([lists, lists], axis=1)
    dataset = described("tree", written(tmp_path / "a.root", {"Jet_pt": lists, other: -lists, "Jet_phi": lists, "Jet_trk": longer}))
    assert (axes_of(dataset, "Jet_pt") == axes_of(dataset, other)) == (other == "Jet_eta")
    assert axes_of(dataset, "Jet_pt") != axes_of(dataset, "Jet_trk")
    assert axes_of(dataset, "Jet", "phi") == axes_of(dataset, "Jet_pt")
    assert "trk" not in member(dataset, "Jet").item.members
    assert one(dataset, other).tolist() == (-lists).tolist()


def test_branches_zipped_into_a_collection_share_their_counter(tmp_path):
    lists = ak.values_astype(ak.Array([[1.0, 2.0], [], [3.0]]), np.float32)
    with uproot.recreate(tmp_path / "a.root") as file:
        jets = ak.zip({"pt": lists, "eta": -lists})
        file.mktree("events", {"Jet": jets.type, "x": "float64"})
        file["events"].extend({"Jet": jets, "x": np.ones(3)})
    dataset = described("tree", tmp_path / "a.root")
    assert axes_of(dataset, "Jet_pt") == axes_of(dataset, "Jet_eta") == axes_of(dataset, "Jet", "pt")
    assert one(dataset, "Jet").tolist() == [2, 0, 1]


def test_texts_are_read_from_a_tree(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"s": "string"})
        file["events"].extend({"s": ["a", "", "längere"]})
    dataset = described("tree", tmp_path / "a.root")
    assert member(dataset, "s").item == String()
    assert one(dataset, "s").tolist() == ["a", "", "längere"]


def test_a_tree_without_entries_has_a_schema_and_no_partition(tmp_path):
    from hep_flows.sources.read import partitions

    with uproot.recreate(tmp_path / "empty.root") as file:
        file.mktree("events", {"x": "float64", "Jet": "var * float32"})
    dataset = described("tree", tmp_path / "empty.root")
    assert member(dataset, "x").item == Float(64)
    assert partitions(dataset, 100) == ()


def test_the_only_tree_is_found_and_named(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file["folder/mine"] = {"x": np.ones(2)}
    dataset = described("tree", tmp_path / "a.root")
    assert dataset.tree == "folder/mine"
    assert one(dataset, "x").tolist() == [1, 1]
