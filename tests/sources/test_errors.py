"""Everything that can be wrong with a source ends in an error that names it, before any event is read where possible."""

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from described import described, member, one, read
from hep_flows.errors import MixedFilesError, SourceError
from hep_flows.expr import build
from hep_flows.sources.read import partitions, read_columns

SM = "Run2012B_SingleMu_1000.root"


def tree_file(path, name="events", **branches):
    with uproot.recreate(path) as file:
        file.mktree(name, {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in branches.items()})
        file[name].extend(branches)
    return str(path)


def source_error(kind, *files, tree=""):
    with pytest.raises(SourceError) as error:
        described(kind, *files, tree=tree)
    return error.value


def test_a_missing_file_is_named_with_its_neighbours(tmp_path):
    tree_file(tmp_path / "muons.root", x=np.ones(2))
    error = source_error("tree", tmp_path / "muon.root")
    assert str(tmp_path / "muon.root") in error.what
    assert "'muons.root'" in error.do


def test_a_missing_folder_is_named(tmp_path):
    assert "there is no folder" in source_error("tree", tmp_path / "nowhere" / "a.root").why


def test_a_folder_is_no_file(tmp_path):
    assert "is a folder" in source_error("tree", tmp_path).what


@pytest.mark.parametrize("kind", ["nanoaod", "xaod", "tree", "parquet"])
def test_an_empty_file_is_called_empty(tmp_path, kind):
    (tmp_path / "a.root").touch()
    error = source_error(kind, tmp_path / "a.root")
    assert "a.root is empty" in error.what


@pytest.mark.parametrize("kind", ["nanoaod", "tree", "parquet"])
def test_a_text_file_is_of_another_kind(tmp_path, kind):
    (tmp_path / "a.root").write_text("not what the name says, though long enough to be a header\n")
    assert f"a.root is not a {'Parquet' if kind == 'parquet' else 'ROOT'} file" in source_error(kind, tmp_path / "a.root").what


def test_the_right_function_is_named_for_a_file_of_the_other_kind(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    assert "parquet_table" in source_error("nanoaod", tmp_path / "a.parquet").do
    assert "tree_table" in source_error("parquet", tree_file(tmp_path / "a.root", x=np.ones(1))).do


@pytest.mark.parametrize("n_bytes", [3, 10, 200, 0.3, 0.9, -1])
def test_a_truncated_root_file_says_how_long_it_should_be(tmp_path, n_bytes):
    whole = Path(tree_file(tmp_path / "whole.root", x=np.arange(5000.0)))
    size = whole.stat().st_size
    kept = int(size * n_bytes) if isinstance(n_bytes, float) else n_bytes % size
    cut = tmp_path / "cut.root"
    cut.write_bytes(whole.read_bytes()[:kept])
    error = source_error("tree", cut)
    assert "cut.root" in error.what
    assert "truncated" in error.what or "not a ROOT file" in error.what


@pytest.mark.parametrize("kept", [10, 0.5, -1])
def test_a_truncated_parquet_file_is_called_so(tmp_path, kept):
    pq.write_table(pa.table({"x": list(range(1000))}), tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    assert "cut.parquet is truncated" in source_error("parquet", tmp_path / "cut.parquet").what


@pytest.mark.data
def test_damaged_tree_metadata_is_an_error_that_names_the_file(data, tmp_path):
    shutil.copy(data(SM), tmp_path / "bad.root")
    with uproot.open(data(SM)) as file:
        key = file.key("Events")
        start = key.fSeekKey + key.fKeylen + 30
    content = bytearray((tmp_path / "bad.root").read_bytes())
    content[start : start + 300] = bytes(300)
    (tmp_path / "bad.root").write_bytes(content)
    assert "bad.root" in source_error("nanoaod", tmp_path / "bad.root").what


@pytest.mark.data
def test_a_damaged_basket_is_an_error_that_names_file_and_branch(data, tmp_path):
    shutil.copy(data(SM), tmp_path / "bad.root")
    with uproot.open(data(SM)) as file:
        branch = file["Events/Jet_pt"]
        start = int(branch.member("fBasketSeek")[0]) + branch.basket_key(0).fKeylen + 20
    content = bytearray((tmp_path / "bad.root").read_bytes())
    content[start : start + 200] = bytes(200)
    (tmp_path / "bad.root").write_bytes(content)
    dataset = described("nanoaod", tmp_path / "bad.root")
    assert len(one(dataset, "Muon.pt")) == 1000
    with pytest.raises(SourceError, match=r"bad\.root") as error:
        one(dataset, "Jet.pt")
    assert "Jet_pt" in error.value.what


def test_a_tree_that_is_not_there_is_an_error_that_lists_the_trees(tmp_path):
    file = tree_file(tmp_path / "a.root", name="Event", x=np.ones(1))
    error = source_error("nanoaod", file)
    assert "no tree 'Events'" in error.what
    assert "Event" in error.why
    assert "did you mean 'Event'" in error.do


def test_a_file_without_trees_says_so(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
    assert "there is no TTree or RNTuple in it" in source_error("tree", tmp_path / "a.root").why
    assert "h is a TH1" in source_error("tree", tmp_path / "a.root", tree="h").why


def test_several_trees_must_be_chosen_from(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("one", {"x": "float64"})
        file.mktree("two", {"x": "float64"})
    error = source_error("tree", tmp_path / "a.root")
    assert "2 trees" in error.what
    assert "one, two" in error.why
    assert described("tree", tmp_path / "a.root", tree="two").tree == "two"


def test_no_files_at_all_are_an_error():
    assert "at least one file" in source_error("tree").what


def test_a_tree_missing_in_one_file_is_an_error_at_once(tmp_path):
    a, b = tree_file(tmp_path / "a.root", x=np.ones(1)), tree_file(tmp_path / "b.root", name="other", x=np.ones(1))
    error = source_error("tree", a, b)
    assert "b.root has no tree 'events'" in error.what


def test_a_branch_that_one_file_lacks_hurts_only_when_used(tmp_path):
    a = tree_file(tmp_path / "a.root", x=np.ones(1), y=np.ones(1))
    b = tree_file(tmp_path / "b.root", x=np.ones(1), z=np.ones(1))
    dataset = described("tree", a, b)
    assert member(dataset, "x").unreadable == ""
    for name, without in (("y", "b.root"), ("z", "a.root")):
        assert f"{without} has no {name}" in member(dataset, name).lacking
        with pytest.raises(MixedFilesError) as error:
            build.field(dataset, name)
        assert f"{without} has no {name}" in error.value.why


def test_a_branch_of_another_type_in_one_file_names_both(tmp_path):
    a = tree_file(tmp_path / "a.root", x=np.ones(1), y=np.ones(1, np.float32))
    b = tree_file(tmp_path / "b.root", x=np.ones(1), y=np.ones(1, np.int64))
    dataset = described("tree", a, b)
    with pytest.raises(MixedFilesError) as error:
        build.field(dataset, "y")
    for word in ("y", "float32", "int64", "a.root", "b.root"):
        assert word in error.value.why
    assert "as_=" in error.value.do


def test_missing_values_in_one_parquet_file_only_are_no_difference(tmp_path):
    pq.write_table(pa.table({"x": pa.array([1, 2])}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([None, 2])}), tmp_path / "b.parquet")
    for files in (("a", "b"), ("b", "a")):
        dataset = described("parquet", *[tmp_path / f"{f}.parquet" for f in files])
        assert member(dataset, "x").optional
        assert not member(dataset, "x").unreadable
        parts = [read_columns(dataset, p, [("x",)])[("x",)].tolist() for p in partitions(dataset, 10**9)]
        assert parts == ([[1, 2], [None, 2]] if files == ("a", "b") else [[None, 2], [1, 2]])


def test_leaves_of_one_collection_with_different_counts_are_an_error_when_read_together(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        columns = {"nJet": np.array([2, 1]), "Jet_pt": ak.Array([[1.0, 2.0], [3.0]]), "Jet_eta": ak.Array([[1.0], [2.0, 3.0]])}
        file.mkrntuple("Events", columns)
    dataset = described("nanoaod", tmp_path / "a.root")
    assert one(dataset, "Jet.pt").tolist() == [[1, 2], [3]]
    with pytest.raises(SourceError, match="different numbers of entries") as error:
        read(dataset, "Jet.pt", "Jet.eta")
    for word in ("a.root", "Jet_pt", "Jet_eta"):
        assert word in error.value.what


def test_a_url_without_its_package_says_what_to_install():
    pytest.importorskip("fsspec")
    try:
        import XRootD  # noqa: F401
    except ImportError:
        error = source_error("nanoaod", "root://somewhere//file.root")
        assert "xrootd" in error.what
        assert "pip install" in error.do
    assert "cannot be read by gopher" in source_error("nanoaod", "gopher://somewhere/file.root").what
