"""PHYSLITE: containers, links and units of a real file, and every leaf against coffea's PHYSLITESchema."""

import warnings

import awkward as ak
import numpy as np
import pytest
import uproot

from described import axes_of, described, leaves, member, one, read
from hep_flows.errors import FieldError
from hep_flows.expr import build
from hep_flows.expr.types import Float, Int, Record, String

pytestmark = pytest.mark.data
PHYS = "PHYSLITE_example.root"


@pytest.fixture(scope="module")
def phys(data):
    return described("xaod", data(PHYS))


@pytest.fixture(scope="module")
def tree(data):
    with uproot.open(data(PHYS)) as file:
        yield file["CollectionTree"]


def short(container):
    return container.replace("Analysis", "")


@pytest.fixture(scope="module")
def sample(phys):
    """Give every leaf but most of the trigger matches, which are two hundred containers of one kind, slow to read."""
    found = {p: m for p, m in leaves(phys.type.item) if not m.unreadable}
    triggers = sorted({p[0] for p in found if p[0].startswith("AnalysisTrigMatch")})
    chosen = {p: m for p, m in found.items() if p[0] not in triggers[3:]}
    return chosen, read(phys, *chosen)


def test_every_leaf_equals_that_of_physlite_schema(sample, data):
    nanoevents = pytest.importorskip("coffea.nanoevents")
    chosen, arrays = sample
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = nanoevents.NanoEventsFactory.from_root(
            {data(PHYS): "CollectionTree"}, schemaclass=nanoevents.PHYSLITESchema, mode="virtual"
        ).events()
        plain = ak.Array(ak.to_layout(events), behavior={})
        compared = 0
        for path in chosen:
            theirs = plain
            for step in (short(path[0]), *path[1:]):
                theirs = theirs[step] if theirs is not None and step in theirs.fields else None
            if theirs is not None and not theirs.fields:
                want = ak.without_parameters(ak.materialize(theirs))
                assert ak.array_equal(ak.without_parameters(arrays[path]), want, equal_nan=True), path
                compared += 1
    assert compared > 0.9 * len(chosen), f"{compared} of {len(chosen)}"


def test_every_leaf_equals_its_branch(sample, tree):
    chosen, arrays = sample
    for path, found in chosen.items():
        branch, *fields = found.path
        if arrays[path].ndim > 2 and "Links" in branch and "AnalysisElectrons" not in branch:
            continue
        want = tree[branch].array()
        for field in fields:
            want = want[field]
        assert ak.array_equal(arrays[path], want, dtype_exact=True, check_parameters=False, equal_nan=True), path


def test_every_stored_column_of_a_container_is_a_leaf(phys, tree):
    names = [n for n in tree.keys(recursive=False) if "AuxDyn." in n]
    for name in names:
        container, leaf = name.split("AuxDyn.")
        assert leaf in member(phys, container).item.members, name


def test_only_a_link_that_uproot_cannot_read_is_unreadable(phys):
    bad = [p for p, m in leaves(phys.type.item) if m.unreadable and len(p) > 1]
    assert bad == [("EventInfo", "hardScatterVertexLink")]
    event_info = build.field(phys, "EventInfo")
    with pytest.raises(FieldError, match="cannot be read") as error:
        build.field(event_info, "hardScatterVertexLink")
    assert "uproot" in error.value.why
    assert "hardScatterVertexLink" in error.value.why


def test_containers_are_collections_and_event_stores_are_groups(phys):
    for name in ("AnalysisElectrons", "TruthElectrons", "AnalysisJets", "AntiKt4TruthDressedWZJets", "MET_Core_AnalysisMET"):
        assert member(phys, name).axes == (name,)
    for name in ("EventInfo", "xTrigDecision", "Kt4EMPFlowEventShape"):
        assert member(phys, name).axes == ()
    assert axes_of(phys, "EventInfo", "eventNumber") == phys.type.axes
    assert axes_of(phys, "AnalysisElectrons", "pt") == axes_of(phys, "AnalysisElectrons", "eta")
    assert axes_of(phys, "AnalysisElectrons", "pt") != axes_of(phys, "AnalysisMuons", "pt")


def test_static_and_dynamic_leaves_make_one_container(phys, tree):
    jets = member(phys, "AntiKt10TruthSoftDropBeta100Zcut10Jets").item.members
    assert {"pt", "eta", "constituentLinks", "D2"} <= set(jets)
    name = "AntiKt10TruthSoftDropBeta100Zcut10Jets"
    assert one(phys, (name, "pt")).tolist() == tree[f"{name}Aux./{name}Aux.pt"].array().tolist()


def test_a_list_valued_leaf_adds_an_axis(phys, tree):
    assert [a.name for a in axes_of(phys, "AnalysisJets", "NumTrkPt500")] == ["event", "AnalysisJets", "NumTrkPt500"]
    assert one(phys, ("AnalysisJets", "NumTrkPt500")).tolist() == tree["AnalysisJetsAuxDyn.NumTrkPt500"].array().tolist()
    assert [a.name for a in axes_of(phys, "xTrigDecision", "tav")] == ["event", "tav"]
    deep = ("METAssoc_AnalysisMET", "overlapIndices")
    assert len(axes_of(phys, *deep)) == 4
    assert len(set(axes_of(phys, *deep))) == 4


def test_links_are_records_of_a_key_and_an_index(phys, tree):
    link = member(phys, "AnalysisElectrons", "truthParticleLink")
    assert link.axes == ()
    assert {n: m.item for n, m in link.item.members.items()} == {
        "m_persKey": Int(32, signed=False),
        "m_persIndex": Int(32, signed=False, refers_to="what is at the end of truthParticleLink"),
    }
    base = "AnalysisElectronsAuxDyn.truthParticleLink"
    want = tree[f"{base}/{base}.m_persIndex"].array()
    assert one(phys, ("AnalysisElectrons", "truthParticleLink", "m_persIndex")).tolist() == want.tolist()


def test_lists_of_links_have_an_axis_and_can_be_counted(phys, tree):
    path = ("AnalysisElectrons", "trackParticleLinks")
    want = tree["AnalysisElectronsAuxDyn.trackParticleLinks"].array()
    assert member(phys, *path).axes == ("trackParticleLinks",)
    got = read(phys, (*path, "m_persIndex"), (*path, "m_persKey"), path)
    assert got[(*path, "m_persIndex")].tolist() == want.m_persIndex.tolist()
    assert got[(*path, "m_persKey")].tolist() == want.m_persKey.tolist()
    assert got[path].tolist() == ak.num(want, axis=2).tolist()
    assert one(phys, path).tolist() == ak.num(want, axis=2).tolist()


def test_collections_are_counted_without_a_counter_branch(phys, tree):
    counts = read(phys, "AnalysisElectrons", "AnalysisJets")
    assert counts[("AnalysisJets",)].tolist() == ak.num(tree["AnalysisJetsAuxDyn.pt"].array()).tolist()
    assert ak.to_numpy(counts[("AnalysisElectrons",)]).dtype == np.int64


def test_a_container_without_leaves_says_so(phys):
    with pytest.raises(FieldError, match="cannot be read") as error:
        build.field(phys, "TruthTop")
    assert "stores no leaves of TruthTop" in error.value.why


def test_units_are_mev_and_mm_where_the_name_says_so(phys):
    assert member(phys, "AnalysisElectrons", "pt").unit == "MeV"
    assert member(phys, "TruthElectrons", "px").unit == "MeV"
    assert member(phys, "TruthElectrons", "e").unit == "MeV"
    assert member(phys, "InDetTrackParticles", "d0").unit == "mm"
    assert member(phys, "PrimaryVertices", "z").unit == "mm"
    assert member(phys, "AnalysisElectrons", "eta").unit == ""
    assert member(phys, "AnalysisElectrons", "author").unit == ""


def test_kinds_stay_what_they_are(phys):
    assert member(phys, "AnalysisElectrons", "pt").item == Float(32)
    assert member(phys, "TruthTaus", "pt_vis").item == Float(64)
    assert member(phys, "EventInfo", "eventNumber").item == Int(64, signed=False)
    assert member(phys, "AnalysisElectrons", "DFCommonElectronsLHLoose").item == Int(8)
    assert member(phys, "MET_Core_AnalysisMET", "name").item == String()
    assert one(phys, ("MET_Core_AnalysisMET", "name"))[0].tolist() == ["SoftClusCore", "PVSoftTrkCore"]


def test_records_follow_the_xaod_model_and_the_accessor_finds_its_container(phys):
    assert phys.type.item.model == "xaod"
    assert member(phys, "AnalysisElectrons").item.model == "xaod"
    assert isinstance(member(phys, "TruthElectrons").item, Record)
    assert "AnalysisElectrons" in phys.type.item.members
    assert "Electrons" not in phys.type.item.members


def test_an_rntuple_with_colons_is_read_the_same_way(tmp_path):
    pt = ak.values_astype(ak.Array([[1.0, 2.0], []]), np.float32)
    with uproot.recreate(tmp_path / "phys.root") as file:
        file.mkrntuple(
            "CollectionTree", {"AnalysisElectronsAuxDyn:pt": pt, "EventInfoAuxDyn:runNumber": np.array([1, 2], np.uint32)}
        )
    dataset = described("xaod", tmp_path / "phys.root")
    assert one(dataset, ("AnalysisElectrons", "pt")).tolist() == [[1.0, 2.0], []]
    assert one(dataset, ("EventInfo", "runNumber")).tolist() == [1, 2]


def test_a_static_store_without_prefixes_on_its_branches_is_a_container_too():
    from awkward.forms import ListOffsetForm, NumpyForm

    from hep_flows.contract import StoredColumn
    from hep_flows.sources.schema import xaod_record

    form = ListOffsetForm("i64", NumpyForm("float32"))
    names = ["JetsAux./pt", "MuonsAux/pt", "TausAux./TausAux.pt"]
    record = xaod_record({n: StoredColumn(n, form, inside=n[: n.rindex("/") + 1]) for n in names})
    assert {n: list(m.item.members) for n, m in record.members.items()} == {"Jets": ["pt"], "Muons": ["pt"], "Taus": ["pt"]}
    assert [m.item.members["pt"].column for m in record.members.values()] == names
