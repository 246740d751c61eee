"""NanoAOD: what the schema of real files says, and every leaf against coffea's NanoEvents."""

import warnings

import awkward as ak
import numpy as np
import pytest
import uproot

from described import axes_of, described, leaves, member, one, read
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.sources.schema import reference_of

pytestmark = pytest.mark.data
FILES = ["Run2012B_SingleMu_1000.root", "nano_tt_v12.root", "nano_dy.root", "nano_dimuon.root"]
SM, TT, DY = FILES[:3]


def nano_events(path):
    nanoevents = pytest.importorskip("coffea.nanoevents")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nanoevents.NanoEventsFactory.from_root(
            {path: "Events"}, schemaclass=nanoevents.NanoAODSchema, mode="virtual"
        ).events()


@pytest.fixture(scope="module")
def sm(data):
    return described("nanoaod", data(SM))


@pytest.fixture(scope="module")
def tt(data):
    return described("nanoaod", data(TT))


@pytest.fixture(scope="module")
def dy(data):
    return described("nanoaod", data(DY))


@pytest.fixture(scope="module", params=FILES)
def whole(request, data):
    """Give a file, its dataset and every leaf and count of it, except most trigger bits, which are a thousand of one kind."""
    dataset = described("nanoaod", data(request.param))
    found = [p for p, _ in leaves(dataset.type.item)]
    triggers = [p for p in found if p[0].startswith(("HLT", "L1"))]
    found = [p for p in found if p not in set(triggers[10:])]
    counts = [(n,) for n, m in dataset.type.item.members.items() if isinstance(m.item, Record) and m.axes]
    return data(request.param), dataset, read(dataset, *found, *counts)


def test_every_leaf_equals_that_of_nano_events(whole):
    schema = pytest.importorskip("coffea.nanoevents").NanoAODSchema
    file, _, arrays = whole
    events = nano_events(file)
    below_the_top = [p for p in arrays if len(p) > 1]
    compared = 0
    for path in [p for p in arrays if "_".join(p) not in schema.full_like_items]:
        theirs = events
        for step in path:
            theirs = theirs[step] if theirs is not None and step in theirs.fields else None
        if theirs is not None and not theirs.fields:
            want = ak.without_parameters(ak.materialize(theirs))
            assert ak.array_equal(arrays[path], want, dtype_exact=False, equal_nan=True), path
            compared += 1
    assert compared > 0.95 * len(below_the_top), "branches have a second name at the top, which NanoEvents does not give them"


def test_every_branch_has_its_own_name_at_the_top_and_its_own_type(whole):
    file, dataset, arrays = whole
    with uproot.open(file) as opened:
        tree = opened["Events"]
        branches = {b.name: b for b in tree.branches}
        assert set(branches) <= set(dataset.type.item.members)
        for name in [p[0] for p in arrays if p[0] in branches and len(p) == 1]:
            got = arrays[(name,)]
            assert ak.array_equal(got, branches[name].array(), dtype_exact=True, equal_nan=True), name
            assert str(member(dataset, name).item) == str(ak.to_layout(ak.ravel(got)).dtype), name


def test_every_collection_has_the_counts_of_its_counter(whole):
    file, dataset, arrays = whole
    collections = {n: m for n, m in dataset.type.item.members.items() if isinstance(m.item, Record) and m.axes}
    assert {"Jet", "Muon", "Electron"} <= set(collections)
    assert all(m.column == f"n{n}" for n, m in collections.items())
    with uproot.open(file) as opened:
        branches = {b.name: b for b in opened["Events"].branches}
        for collection in collections:
            assert arrays[(collection,)].tolist() == branches[f"n{collection}"].array().tolist()
            assert ak.to_numpy(arrays[(collection,)]).dtype == np.int64


def test_no_leaf_of_a_real_file_is_unreadable(whole):
    _, dataset, _ = whole
    assert not [m.unreadable for _, m in leaves(dataset.type.item) if m.unreadable]


def test_counts_are_the_same_whether_or_not_a_leaf_is_read_too(sm):
    dataset = sm
    together = read(dataset, "Jet", "Jet.pt")
    assert one(dataset, "Jet").tolist() == together[("Jet",)].tolist() == ak.num(together[("Jet", "pt")]).tolist()


def test_groups_are_event_values_by_prefix(sm):
    dataset = sm
    assert member(dataset, "MET").axes == ()
    assert member(dataset, "HLT", "IsoMu24").item == Bool()
    assert list(member(dataset, "PV").item.members) == ["npvs", "x", "y", "z"]
    assert axes_of(dataset, "MET", "pt") == axes_of(dataset, "MET_pt") == axes_of(dataset, "run") == dataset.type.axes


def test_collections_and_groups_come_before_branches(tt):
    names = list(tt.type.item.members)
    record = tt.type.item
    kinds = [isinstance(record.members[n].item, Record) for n in names]
    assert kinds == sorted(kinds, reverse=True)


def test_the_full_name_of_a_leaf_lies_on_the_axis_of_its_collection(sm):
    dataset = sm
    assert axes_of(dataset, "Jet_pt") == axes_of(dataset, "Jet", "pt") == axes_of(dataset, "Jet", "eta")
    assert axes_of(dataset, "Jet_pt") != axes_of(dataset, "Muon_pt")
    assert [a.name for a in axes_of(dataset, "Jet", "pt")] == ["event", "Jet"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (("Electron", "genPartIdx"), "GenPart"),
        (("Electron", "jetIdx"), "Jet"),
        (("GenPart", "genPartIdxMother"), "GenPart"),
        (("FatJet", "genJetAK8Idx"), "GenJetAK8"),
        (("Jet", "genJetIdx"), "GenJet"),
        (("Jet", "muonIdx2"), "Muon"),
        (("Jet", "svIdx1"), "Sv"),
        (("Electron", "photonIdx"), "Photon"),
        (("Jet", "nMuons"), ""),
        (("GenPart", "pdgId"), ""),
    ],
)
def test_a_stored_index_knows_its_collection(path, target, tt):
    dataset = tt
    assert member(dataset, *path).item.refers_to == target
    assert member(dataset, "_".join(path)).item.refers_to == target


@pytest.mark.parametrize(
    ("leaf", "target"),
    [("svIdx1", "SV"), ("muonIdx3SJ", "Muon"), ("subJetIdx1", "SubJet"), ("genPartIdxMother", "GenPart"), ("fsrPhotonIdx", "FsrPhoton"),
     ("pFCandsIdx", "PFCands"), ("nMuons", ""), ("tightIdx", "Tight"), ("Idx", ""), ("jetIdxG", "")],
)  # fmt: skip
def test_names_of_indices_name_their_collection(leaf, target):
    assert reference_of(leaf, ["Jet", "Muon", "SubJet", "SV", "GenPart", "FsrPhoton", "PFCands"]) == target


def test_references_agree_with_those_of_nano_aod_schema(tt):
    schema = pytest.importorskip("coffea.nanoevents").NanoAODSchema
    dataset = tt
    collections = [n for n, m in dataset.type.item.members.items() if isinstance(m.item, Record) and m.axes]
    checked = 0
    for branch, target in schema.all_cross_references.items():
        prefix, leaf = branch.split("_")
        assert reference_of(leaf, [*collections, target]) == target
        if branch in dataset.type.item.members and target in collections:
            assert member(dataset, prefix, leaf).item.refers_to == target
            checked += 1
    assert checked > 10


def test_an_index_into_a_collection_that_is_not_stored_still_says_where_it_points(sm):
    """So that it is refused in the place of an index into another one."""
    assert member(sm, "Electron", "genPartIdx").item == Int(32, refers_to="GenPart")


def test_obvious_units_and_descriptions_are_kept(sm, dy):
    dataset = dy
    assert member(dataset, "Jet", "pt").unit == "GeV"
    assert member(dataset, "MET", "sumEt").unit == "GeV"
    assert member(dataset, "Muon", "dxy").unit == "cm"
    assert member(dataset, "PV", "z").unit == "cm"
    assert member(dataset, "Jet", "eta").unit == ""
    assert member(dataset, "Jet", "area").doc == "jet catchment area, for JECs"
    assert member(sm, "Jet", "pt").doc == "", "Jet_pt[nJet]/F is no description"
    assert member(dataset, "Jet", "pt").item == Float(32)


def test_a_range_of_events_is_what_the_tree_gives_for_it(data, sm):
    from hep_flows.contract import Partition
    from hep_flows.sources.read import read_columns

    dataset = sm
    with uproot.open(data(SM)) as file:
        want = file["Events"].arrays(["Jet_pt", "MET_pt"], entry_start=123, entry_stop=777)
    got = read_columns(dataset, Partition(data(SM), 0, 123, 777, 123), [("Jet", "pt"), ("MET", "pt"), ("Jet",)])
    assert ak.array_equal(got[("Jet", "pt")], want.Jet_pt)
    assert ak.array_equal(got[("MET", "pt")], want.MET_pt)
    assert got[("Jet",)].tolist() == ak.num(want.Jet_pt).tolist()


def jagged(*events):
    return ak.values_astype(ak.Array(list(events)), np.float32)


def test_a_prefix_without_counter_but_with_lists_is_a_collection(tmp_path):
    with uproot.recreate(tmp_path / "old.root") as file:
        file.mkrntuple("Events", {"Jet_pt": jagged([1.0, 2.0], []), "Jet_eta": jagged([3.0, 4.0], []), "MET_pt": np.ones(2)})
    dataset = described("nanoaod", tmp_path / "old.root")
    assert member(dataset, "Jet").axes == ("Jet",)
    assert axes_of(dataset, "Jet", "pt") == axes_of(dataset, "Jet", "eta")
    assert one(dataset, "Jet").tolist() == [2, 0]


def test_a_scalar_with_the_prefix_of_a_collection_is_reached_by_its_full_name(tmp_path):
    made = {"nJet": np.array([2, 0], np.int32), "Jet_pt": jagged([1.0, 2.0], []), "Jet_someScalar": np.array([5.0, 6.0])}
    with uproot.recreate(tmp_path / "scalar.root") as file:
        file.mkrntuple("Events", made)
    dataset = described("nanoaod", tmp_path / "scalar.root")
    assert list(member(dataset, "Jet").item.members) == ["pt"]
    assert one(dataset, "Jet_someScalar").tolist() == [5.0, 6.0]
    assert axes_of(dataset, "Jet_someScalar") == dataset.type.axes


def test_a_lone_list_with_a_counter_is_a_leaf_with_an_axis(data, tt):
    dataset = tt
    found = member(dataset, "LHEPdfWeight")
    assert found.item == Float(32)
    assert found.axes == ("LHEPdfWeight",)
    with uproot.open(data(TT)) as file:
        assert one(dataset, "LHEPdfWeight").tolist() == file["Events/LHEPdfWeight"].array().tolist()


def test_a_collection_with_an_underscore_goes_by_its_counter(tmp_path):
    made = {
        "nJet_A": np.array([1], np.int32),
        "Jet_A_pt": jagged([1.0]),
        "nJet": np.array([2], np.int32),
        "Jet_pt": jagged([1.0, 2.0]),
    }
    with uproot.recreate(tmp_path / "two.root") as file:
        file.mkrntuple("Events", made)
    dataset = described("nanoaod", tmp_path / "two.root")
    assert one(dataset, ("Jet_A", "pt")).tolist() == [[1.0]]
    assert one(dataset, ("Jet", "pt")).tolist() == [[1.0, 2.0]]
    assert axes_of(dataset, "Jet_A", "pt") != axes_of(dataset, "Jet", "pt")
