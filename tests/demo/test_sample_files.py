"""The files have the two layouts, are written once, and are never left half-written."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows.demo import sample as root_file
from hep_flows.demo.sample import Recipe, generate, sample_files
from hep_flows.errors import SourceError

RECIPE = Recipe(events=200)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), RECIPE)


@pytest.fixture(scope="module")
def sample():
    return generate(RECIPE)


def test_nanoaod_has_counters_and_branches_of_its_types(files):
    with uproot.open(files.nanoaod) as file:
        tree = file["Events"]
        types = {name: tree[name].typename for name in tree.keys()}  # noqa: SIM118 - a tree is no mapping of names
    assert types["nElectron"] == "int32_t"
    assert types["Electron_pt"] == "float[]"
    assert types["Electron_genPartIdx"] == types["GenPart_genPartIdxMother"] == "int16_t[]"
    assert types["HLT_Ele27"] == "bool"
    assert (types["run"], types["event"]) == ("uint32_t", "uint64_t")


def test_nanoaod_links_electrons_to_their_generated_particle(files):
    with uproot.open(files.nanoaod) as file:
        events = file["Events"].arrays()
    link = events.Electron_genPartIdx
    matched = events.GenPart_pdgId[link[link >= 0]]
    assert ak.all(abs(matched) == 11)
    near = abs(events.GenPart_eta[link[link >= 0]] - events.Electron_eta[link >= 0])
    assert ak.max(near) < 0.01
    assert ak.all(events.GenPart_pdgId[:, 0] == 23)


def test_physlite_is_in_mev_with_cartesian_truth(files, sample):
    with uproot.open(files.physlite) as file:
        events = file["CollectionTree"].arrays()
    pt = np.hypot(events["TruthElectronsAuxDyn.px"], events["TruthElectronsAuxDyn.py"])
    np.testing.assert_allclose(ak.flatten(pt), ak.flatten(ak.from_regular(sample.truth.pt)) * 1000, rtol=1e-5)
    assert ak.all(ak.num(events["AnalysisElectronsAuxDyn.pt"]) == ak.num(sample.electrons))
    assert events["EventInfoAuxDyn.eventNumber"].tolist()[:2] == [1, 2]


def test_both_layouts_hold_the_same_events(files):
    with uproot.open(files.physlite) as atlas, uproot.open(files.nanoaod) as cms:
        mev = atlas["CollectionTree"]["AnalysisElectronsAuxDyn.pt"].array()
        gev = cms["Events"]["Electron_pt"].array()
    np.testing.assert_allclose(ak.flatten(mev) / 1000, ak.flatten(gev), rtol=1e-6)


def test_a_second_run_finds_the_sample_and_does_not_write(tmp_path):
    first = sample_files(tmp_path, RECIPE)
    before = [f.stat().st_mtime_ns for f in (first.physlite, first.nanoaod)]
    second = sample_files(tmp_path, RECIPE)
    assert (first.origin, second.origin) == ("generated", "found")
    assert [f.stat().st_mtime_ns for f in (second.physlite, second.nanoaod)] == before


def test_another_recipe_is_written_anew(tmp_path):
    sample_files(tmp_path, RECIPE)
    again = sample_files(tmp_path, Recipe(events=50))
    assert again.origin == "generated"
    with uproot.open(again.nanoaod) as file:
        assert file["Events"].num_entries == 50


@pytest.mark.parametrize("damage", [b"", b"not a file of ROOT's", None])
def test_a_damaged_file_is_written_anew(tmp_path, damage):
    files = sample_files(tmp_path, RECIPE)
    content = files.physlite.read_bytes()
    files.physlite.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert sample_files(tmp_path, RECIPE).origin == "generated"
    assert root_file.recipe_of(files.physlite) == RECIPE.text()


def test_a_failed_write_leaves_nothing_behind(tmp_path, sample):
    columns = {"pt": sample.met.pt.to_numpy(), "shorter": np.zeros(3)}
    with pytest.raises(ValueError, match="same number of entries"):
        root_file.write_tree(tmp_path / "x.root", "Events", columns, recipe="none")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_root_files_is_an_error_that_names_the_layout(tmp_path):
    with uproot.recreate(tmp_path / "flat.root") as file:
        file["events"] = {"x": np.arange(3)}
    with pytest.raises(SourceError, match="PHYSLITE") as error:
        sample_files(tmp_path, RECIPE)
    assert "flat.root" in str(error.value)


@pytest.mark.data
def test_real_files_are_found_by_content(data):
    from pathlib import Path

    found = sample_files(Path(data("PHYSLITE_example.root")).parent, RECIPE)
    assert found.origin == "real"
    assert found.physlite.name == "PHYSLITE_example.root"
    with uproot.open(found.nanoaod) as file:
        assert "GenPart_pdgId" in file["Events"]
