"""The functions that make tables: sources of every form, and what is wrong with the others."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from func_adl_uproot import UprootDataset
from servicex.func_adl.func_adl_dataset import FuncADLQuery_Uproot

from hep_flows import DataFrame, nanoaod_table, parquet_table, render, servicex_table, tree_table, xaod_table
from hep_flows.errors import SourceError
from hep_flows.sources.paths import files_of

SM, PHYS, ZMM, DY = "Run2012B_SingleMu_1000.root", "PHYSLITE_example.root", "uproot-Zmumu.root", "nano_dy.root"


def tree_file(path, name="events", n=3):
    with uproot.recreate(path) as file:
        file.mktree(name, {"x": "float64"})
        file[name].extend({"x": np.arange(float(n))})
    return path


def dataset_of(frame):
    return render(frame)


@pytest.mark.data
@pytest.mark.parametrize(
    ("make", "name", "leaf"),
    [
        (nanoaod_table, SM, lambda df: df.Jet.pt),
        (xaod_table, PHYS, lambda df: df.AnalysisElectrons.pt),
        (tree_table, ZMM, lambda df: df.M),
    ],
)
def test_each_kind_of_table_gives_a_frame_with_its_leaves(data, make, name, leaf):
    df = make(data(name))
    assert isinstance(df, DataFrame)
    assert isinstance(leaf(df), DataFrame)
    assert dataset_of(df).files == (data(name),)
    assert dataset_of(df).name == name


def test_parquet_makes_a_table_too(tmp_path):
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    assert isinstance(parquet_table(tmp_path / "a.parquet").x, DataFrame)


def test_a_source_is_a_text_a_path_or_a_list_of_them(tmp_path):
    a, b = tree_file(tmp_path / "a.root"), tree_file(tmp_path / "b.root")
    assert dataset_of(tree_table(str(a))).files == dataset_of(tree_table(a)).files == (str(a),)
    assert dataset_of(tree_table([a, str(b)])).files == (str(a), str(b))
    assert dataset_of(tree_table((b, a, b))).files == (str(b), str(a), str(b))


def test_a_pattern_gives_its_files_in_order_of_name(tmp_path):
    names = [str(tree_file(tmp_path / f"{n}.root")) for n in ("b", "a", "c")]
    assert dataset_of(tree_table(f"{tmp_path}/*.root")).files == tuple(sorted(names))
    assert dataset_of(tree_table([f"{tmp_path}/[bc].root", f"{tmp_path}/a.root"])).files == (names[0], names[2], names[1])
    assert dataset_of(tree_table(f"{tmp_path}/*.root")).name == "a.root and 2 more"


def test_a_file_with_pattern_letters_in_its_name_is_that_file(tmp_path):
    odd = tree_file(tmp_path / "run[1].root")
    assert dataset_of(tree_table(odd)).files == (str(odd),)


def test_a_path_is_kept_from_the_folder_where_the_table_was_made(tmp_path, work_in):
    tree_file(tmp_path / "a.root")
    work_in(tmp_path)
    assert dataset_of(tree_table("a.root")).files == (str(tmp_path / "a.root"),)


def test_the_home_folder_is_understood(tmp_path, environment):
    environment(HOME=tmp_path)
    tree_file(tmp_path / "a.root")
    assert dataset_of(tree_table("~/a.root")).files == (str(tmp_path / "a.root"),)


def test_the_tree_may_be_part_of_the_source(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        for name in ("one", "folder/two"):
            file.mktree(name, {"x": "float64"})
    assert dataset_of(tree_table(f"{tmp_path}/a.root:one")).tree == "one"
    assert dataset_of(tree_table(f"{tmp_path}/a.root:folder/two")).tree == "folder/two"
    assert dataset_of(tree_table(f"{tmp_path}/a.root", tree="folder/two")).tree == "folder/two"
    assert dataset_of(nanoaod_table(f"{tmp_path}/a.root", tree="one")).tree == "one"


def test_two_trees_in_one_table_are_an_error(tmp_path):
    tree_file(tmp_path / "a.root", "one")
    tree_file(tmp_path / "b.root", "two")
    with pytest.raises(SourceError, match="one table has one tree"):
        tree_table([f"{tmp_path}/a.root:one", f"{tmp_path}/b.root:two"])
    with pytest.raises(SourceError, match="one table has one tree"):
        tree_table(f"{tmp_path}/a.root:one", tree="two")


def test_a_file_whose_name_has_a_colon_is_that_file(tmp_path):
    odd = tree_file(tmp_path / "a.root:one")
    assert files_of(str(odd), "tree") == ((str(odd),), "")
    assert dataset_of(tree_table(odd)).tree == "events"


@pytest.mark.parametrize("make", [nanoaod_table, xaod_table, tree_table, parquet_table])
def test_no_files_are_an_error(make, tmp_path):
    with pytest.raises(SourceError, match="at least one file"):
        make([])
    with pytest.raises(SourceError, match="no file matches"):
        make(f"{tmp_path}/*.root")
    with pytest.raises(SourceError, match="not an int"):
        make(3)
    with pytest.raises(SourceError, match="not a NoneType"):
        make([None])
    with pytest.raises(SourceError, match="empty"):
        make("")


@pytest.mark.parametrize("name", ["mc20_13TeV:mc20_13TeV.700320.Sh.DAOD_PHYSLITE.e8351", "some.dataset.name"])
def test_a_name_that_may_be_a_dataset_says_how_its_table_is_made(name):
    with pytest.raises(SourceError) as error:
        xaod_table(name)
    assert name in error.value.what
    assert f"rucio://{name}" in error.value.do


def test_a_dataset_needs_a_server_that_is_set_up(tmp_path, environment, work_in):
    work_in(tmp_path)
    environment(HOME=tmp_path)
    with pytest.raises(SourceError, match="no ServiceX server is set up") as error:
        xaod_table("rucio://mc20:some.dataset")
    assert "servicex.yaml" in error.value.why


def test_a_dataset_of_func_adl_stands_for_its_files_and_its_tree(data):
    path = data("Run2012B_SingleMu_1000.root")
    named = servicex_table(UprootDataset(path, "Events"), kind="nanoaod")
    listed = servicex_table(UprootDataset([path], "Events"), kind="tree")
    assert render(named).key == render(servicex_table(path, kind="nanoaod")).key
    assert render(listed).key == render(servicex_table(path, kind="tree", tree="Events")).key
    assert render(nanoaod_table(UprootDataset(f"localds://{path}", "Events"))).key == render(named).key


@pytest.mark.parametrize(
    ("source", "tree", "what"),
    [
        (FuncADLQuery_Uproot().FromTree("Events"), "", "names no files"),
        (FuncADLQuery_Uproot(), "", "names no files"),
        (UprootDataset("a.root", "Events").Select("lambda e: e.x"), "", "is a query already"),
        (UprootDataset("a.root", "Events"), "Other", "names the tree Events, and not Other"),
        (UprootDataset("rucio://short", "Events"), "", "names no dataset"),
    ],
)
def test_a_source_of_func_adl_that_is_no_table_is_an_error(source, tree, what):
    with pytest.raises(SourceError, match=what):
        servicex_table(source, kind="tree", tree=tree)


def test_a_missing_file_is_no_dataset_name(tmp_path):
    for name in (f"{tmp_path}/DAOD.root", "DAOD_PHYSLITE.root"):
        with pytest.raises(SourceError, match="does not exist"):
            xaod_table(name)


def test_a_pattern_in_a_url_is_an_error():
    with pytest.raises(SourceError, match="local files only"):
        nanoaod_table("https://127.0.0.1/*.root")


def test_errors_show_the_users_own_line(tmp_path):
    with pytest.raises(SourceError) as error:
        nanoaod_table(tmp_path / "nothing.root")
    assert error.value.where is not None
    assert error.value.where.file == __file__
    assert 'nanoaod_table(tmp_path / "nothing.root")' in str(error.value)


@pytest.mark.data
def test_the_wrong_kind_of_table_names_the_trees_of_the_file(data):
    with pytest.raises(SourceError) as error:
        xaod_table(data(DY))
    assert "CollectionTree" in error.value.what
    assert "Events" in error.value.why


@pytest.mark.data
def test_tables_of_equal_content_are_equal_data(data, tmp_path):
    shutil.copy(data(SM), tmp_path / "copy.root")
    one, other = nanoaod_table(data(SM)), nanoaod_table(tmp_path / "copy.root")
    assert dataset_of(one).key == dataset_of(other).key
