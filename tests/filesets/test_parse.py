"""Every form of a fileset that coffea takes, and what is refused."""

import gzip
import json

import pytest

from hep_flows.errors import SourceError
from hep_flows.filesets import read_fileset


def one(fileset):
    (entry,) = read_fileset(fileset)
    return entry


@pytest.mark.parametrize(
    "said",
    [
        {"files": {"/a.root": "Events", "/b.root": "Events"}},
        {"files": {"/a.root": {"object_path": "Events"}, "/b.root": {"object_path": "Events", "uuid": "x"}}},
        {"files": ["/a.root", "/b.root"], "treename": "Events"},
        {"files": {"/a.root": None, "/b.root": "Events"}},
        {"files": {"/a.root": {"object_path": "Events", "steps": [[0, 10], [10, 20]], "num_entries": 20}, "/b.root": "Events"}},
    ],
)
def test_every_form_of_a_dataset_means_the_same(said):
    entry = one({"tt": said})
    assert (entry.name, entry.files, entry.tree) == ("tt", ("/a.root", "/b.root"), "Events")


def test_a_dataset_may_be_a_list_of_paths_or_one_path(tmp_path):
    assert one({"tt": ["/a.root", tmp_path / "b.root"]}).files == ("/a.root", str(tmp_path / "b.root"))
    assert one({"tt": "/a.root"}).files == ("/a.root",)


def test_metadata_comes_with_the_name_of_the_dataset():
    entry = one({"tt": {"files": ["/a.root"], "metadata": {"xsec": 1.5, "dataset": "another"}}})
    assert dict(entry.metadata) == {"xsec": 1.5, "dataset": "tt"}


def test_the_number_of_events_is_kept():
    files = {"/a.root": {"object_path": "E", "num_entries": 7}, "/b.root": {"object_path": "E", "steps": [[0, 4], [4, 9]]}}
    assert one({"tt": {"files": files}}).events == {"/a.root": 7, "/b.root": 9}


@pytest.mark.parametrize("steps", [[[0, 10], [20, 30]], [[5, 10]], [[0, 10], [5, 20]]])
def test_steps_that_leave_events_out_are_refused(steps):
    with pytest.raises(SourceError, match="leave events out"):
        read_fileset({"tt": {"files": {"/a.root": {"object_path": "E", "steps": steps}}}})


def test_steps_that_end_before_the_file_does_are_refused():
    with pytest.raises(SourceError, match="leave events out"):
        read_fileset({"tt": {"files": {"/a.root": {"object_path": "E", "steps": [[0, 10]], "num_entries": 20}}}})


@pytest.mark.parametrize(
    ("fileset", "says"),
    [
        ([], "a fileset is a mapping or a path, not a list"),
        ({}, "has no datasets"),
        ({"tt": 3}, "dataset 'tt' is an int"),
        ({"tt": {}}, "has no files"),
        ({"tt": []}, "has no files"),
        ({"tt": {"files": {}}}, "has no files"),
        ({"tt": {"files": 3}}, "its files are an int"),
        ({"tt": {"files": [3]}}, "3 is no path"),
        ({"tt": {"files": [""]}}, "is no path"),
        ({"tt": {"files": ["/a.root"], "metdata": {}}}, "'metdata'"),
        ({"tt": {"files": ["/a.root"], "metadata": [1]}}, "metadata is not a mapping"),
        ({"tt": {"files": {"/a.root": 3}}}, "'tt': /a.root is described by an int"),
        ({"tt": {"files": {"/a.root": {"object_path": 3}}}}, "'tt': /a.root: object_path is an int"),
        ({"tt": {"files": {"/a.root": {"num_entries": "7"}}}}, "'tt': /a.root: num_entries is a str"),
        ({"tt": {"files": {"/a.root": {"steps": [[0, "x"]]}}}}, "'tt': /a.root: steps.0.1 is a str"),
        ({"tt": {"files": {"/a.root": {"steps": [3]}}}}, "'tt': /a.root: steps.0 is an int"),
        ({"tt": {"files": ["/a.root"], "treename": 3}}, "'tt': treename is an int"),
        ({"tt": {"files": ["/a.root", "/a.root"]}}, "are the same file"),
        ({"tt": {"files": ["/a.root"], "metadata": {1: 2}}}, "metadata is not a mapping"),
        ({"tt": {"files": {"/a.root": "A", "/b.root": "B"}}}, "several trees: A, B"),
        ({"tt": {"files": {"/a.root": "A"}, "treename": "B"}}, "several trees: A, B"),
        ({2018: ["/a.root"]}, "2018 is no name of a dataset"),
        ({" ": ["/a.root"]}, "no name of a dataset"),
        ({"tt": {"files": ["/a.root"], "metadata": {"schema": "nanoaood"}}}, "'nanoaood' is no kind of table"),
    ],
)
def test_other_forms_are_refused_and_the_dataset_is_named(fileset, says):
    with pytest.raises(SourceError) as caught:
        read_fileset(fileset)
    assert says in str(caught.value)


def test_a_misspelt_member_is_named_with_the_right_one():
    with pytest.raises(SourceError, match="did you mean 'metadata'"):
        read_fileset({"tt": {"files": ["/a.root"], "metdata": {}}})


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("nanoaod", "nanoaod"),
        ("NanoAODSchema", "nanoaod"),
        ("PHYSLITE", "xaod"),
        ("parquet", "parquet"),
        ("BaseSchema", "tree"),
        ("root", ""),
    ],
)
def test_the_kind_of_table_may_stand_in_the_metadata_or_beside_the_files(said, kind):
    assert one({"tt": {"files": ["/a.root"], "metadata": {"schema": said}}}).kind == kind
    assert one({"tt": {"files": ["/a.root"], "format": said}}).kind == kind


FILESET = {"tt": {"files": {"a.root": "Events", "root://x//b.root": "Events"}, "metadata": {"xsec": 1}}}
YAML = "tt:\n  files: {a.root: Events, 'root://x//b.root': Events}\n  metadata: {xsec: 1}\n"


@pytest.mark.parametrize("ending", [".json", ".yaml", ".yml", ".json.gz", ".yaml.gz"])
def test_files_are_read_and_paths_start_from_them(tmp_path, ending, work_in):
    folder = tmp_path / "some" / "where"
    folder.mkdir(parents=True)
    text = json.dumps(FILESET) if "json" in ending else YAML
    path = folder / f"fileset{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    work_in(tmp_path)
    entry = one(path)
    assert entry.files == (str(folder / "a.root"), "root://x//b.root")
    assert (entry.tree, entry.metadata["xsec"]) == ("Events", 1)
    assert one(str(path.relative_to(tmp_path))) == entry


def test_paths_of_a_mapping_start_from_the_current_folder(tmp_path, work_in):
    work_in(tmp_path)
    assert one(FILESET).files[0] == str(tmp_path / "a.root")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("f.json", '{"tt": ["a.root"], "tt": ["b.root"]}', "'tt' stands in it twice"),
        ("f.yaml", "tt: [a.root]\ntt: [b.root]\n", "'tt' stands in it twice"),
        ("f.json", "{", "cannot be read"),
        ("f.yaml", "a: [", "cannot be read"),
        ("f.yaml", "!!python/object/apply:os.system [echo]", "cannot be read"),
        ("f.yaml", "? [a, b]\n: 1\n", "cannot be read"),
        ("f.json", "3", "not a mapping of datasets"),
        ("f.json.gz", "{}", "cannot be read"),
        ("f.txt", "{}", "neither JSON nor YAML"),
        ("f.json", "[" * 100_000, "cannot be read"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        read_fileset(path)
    assert says in str(caught.value)
    assert name in str(caught.value)


def test_yaml_runs_no_code(tmp_path):
    path, proof = tmp_path / "f.yaml", tmp_path / "proof"
    path.write_text(f"tt: !!python/object/apply:os.mkdir ['{proof}']\n")
    with pytest.raises(SourceError):
        read_fileset(path)
    assert not proof.exists()


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="there is no fileset"):
        read_fileset(tmp_path / "f.json")


@pytest.fixture
def folder(tmp_path):
    for name in ("tt/a.root", "tt/more/b.root", "dy/c.parquet", "empty/readme.txt", ".hidden/d.root"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_each_subfolder_with_data_files_is_a_dataset(folder):
    entries = read_fileset(folder)
    assert {e.name: e.files for e in entries} == {
        "dy": (str(folder / "dy/c.parquet"),),
        "tt": (str(folder / "tt/a.root"), str(folder / "tt/more/b.root")),
    }
    assert entries[0].metadata == {"dataset": "dy"}


def test_a_folder_of_files_is_one_dataset(folder):
    assert [(e.name, len(e.files)) for e in read_fileset(folder / "tt" / "more")] == [("more", 1)]


def test_a_folder_without_data_files_is_an_error(folder):
    with pytest.raises(SourceError, match="no data files"):
        read_fileset(folder / "empty")


def test_a_pattern_makes_a_dataset_of_each_folder_that_matches(folder):
    assert {e.name: len(e.files) for e in read_fileset(str(folder / "*" / "*.root"))} == {"tt": 1}
    assert {e.name: len(e.files) for e in read_fileset(str(folder / "t*"))} == {"tt": 2}
    with pytest.raises(SourceError, match="no data file matches"):
        read_fileset(str(folder / "*.root"))


def test_folders_of_one_name_are_told_apart(tmp_path):
    for name in ("2017/tt/a.root", "2018/tt/a.root"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert [e.name for e in read_fileset(str(tmp_path / "*" / "tt" / "*.root"))] == ["2017/tt", "2018/tt"]


def test_a_data_file_is_a_fileset_of_one_dataset(folder):
    assert [(e.name, e.files) for e in read_fileset(folder / "tt" / "a.root")] == [("a", (str(folder / "tt/a.root"),))]


def test_only_takes_some_and_names_what_is_not_there():
    fileset = {n: [f"/{n}.root"] for n in ("tt", "dy", "wjets")}
    assert [e.name for e in read_fileset(fileset, only=["wjets", "tt"])] == ["tt", "wjets"]
    with pytest.raises(SourceError, match="did you mean 'wjets'"):
        read_fileset(fileset, only=["wjet"])
