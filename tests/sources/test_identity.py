"""The identity of a file changes when, and only when, its content does."""

import os
import shutil

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from uproot.writing import _cascade

from described import described, one, read
from hep_flows.errors import SourceError
from hep_flows.sources.describe import describe
from hep_flows.sources.open import OpenTables
from hep_flows.sources.read import partitions, read_columns
from hep_flows.sources.stored import entries_of

REAL = [("nanoaod", "nano_dy.root"), ("xaod", "PHYSLITE_example.root"), ("tree", "uproot-Zmumu.root")]


def content(kind, path):
    return described(kind, path).content[0]


def write_tree(path, values):
    with uproot.recreate(path, compression=None) as file:
        file.mktree("t", {"x": "float64"})
        file["t"].extend({"x": values})


def write_ntuple(path, values):
    with uproot.recreate(path, compression=None) as file:
        file.mkrntuple("t", {"x": values})


def write_parquet(path, values):
    pq.write_table(pa.table({"x": values}), path, compression="none", use_dictionary=False, write_statistics=False)


WRITERS = [("tree", write_tree), ("tree", write_ntuple), ("parquet", write_parquet)]


@pytest.mark.data
@pytest.mark.parametrize(("kind", "name"), REAL)
def test_a_copy_elsewhere_and_later_is_the_same_content(data, tmp_path, kind, name):
    before = content(kind, data(name))
    shutil.copyfile(data(name), tmp_path / "copy.root")
    os.utime(tmp_path / "copy.root", (1, 1))
    assert content(kind, tmp_path / "copy.root") == before


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_other_values_of_the_same_size_are_another_content(tmp_path, monkeypatch, kind, write):
    # The same identifier and the same clock: nothing but the values tells the files apart.
    monkeypatch.setattr(_cascade.uuid, "uuid1", lambda: _cascade.uuid.UUID(int=1))
    write(tmp_path / "a", np.zeros(100))
    write(tmp_path / "b", np.ones(100))
    write(tmp_path / "c", np.zeros(100))
    assert (tmp_path / "a").stat().st_size == (tmp_path / "b").stat().st_size
    assert content(kind, tmp_path / "a") != content(kind, tmp_path / "b")
    if kind == "parquet":
        assert content(kind, tmp_path / "a") == content(kind, tmp_path / "c")


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_any_changed_byte_of_data_is_another_content(tmp_path, kind, write):
    write(tmp_path / "a", np.arange(50.0))
    before = content(kind, tmp_path / "a")
    raw = bytearray((tmp_path / "a").read_bytes())
    at = raw.find(np.arange(20.0, 30.0).astype(">f8" if write is write_tree else "<f8").tobytes()[3:8])
    at = raw.find(b"\x40\x39") if at < 0 else at
    raw[at] ^= 1
    (tmp_path / "a").write_bytes(raw)
    assert content(kind, tmp_path / "a") != before


def test_blocks_of_a_big_file_are_looked_at(tmp_path):
    write_tree(tmp_path / "a", np.zeros(1_500_000))
    before = content("tree", tmp_path / "a")
    raw = bytearray((tmp_path / "a").read_bytes())
    assert len(raw) > 8 << 20  # what is smaller is looked at whole
    raw[len(raw) * 32 // 63] ^= 1
    (tmp_path / "a").write_bytes(raw)
    assert content("tree", tmp_path / "a") != before


def test_more_events_and_another_tree_of_one_file_are_told_apart(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        for name in ("one", "two"):
            file.mktree(name, {"x": "float64"})
            file[name].extend({"x": np.ones(3)})
        file["two"].extend({"x": np.ones(3)})
    one_tree, other = (describe("tree", [str(tmp_path / "a.root")], t).content[0] for t in ("one", "two"))
    assert one_tree != other
    assert (entries_of(one_tree), entries_of(other)) == (3, 6)


def test_the_order_of_files_counts_and_their_folder_does_not(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    for name, value in (("a", 1.0), ("b", 2.0)):
        write_tree(tmp_path / "here" / name, np.full(3, value))
        shutil.copy(tmp_path / "here" / name, tmp_path / "there" / name)
    here, there = (described("tree", tmp_path / f / "a", tmp_path / f / "b") for f in ("here", "there"))
    assert here.key == there.key
    assert described("tree", tmp_path / "here" / "b", tmp_path / "here" / "a").key != here.key


def test_a_file_that_changed_after_the_table_was_made_is_refused(tmp_path):
    write_tree(tmp_path / "a", np.zeros(10))
    dataset = described("tree", tmp_path / "a")
    assert one(dataset, "x").tolist() == [0.0] * 10
    write_tree(tmp_path / "a", np.ones(10))
    with pytest.raises(SourceError, match="changed since the table was made"):
        one(dataset, "x")


def test_a_file_that_changed_while_it_was_kept_open_is_refused(tmp_path):
    write_tree(tmp_path / "a", np.zeros(10))
    dataset = described("tree", tmp_path / "a")
    tables = OpenTables()
    everything = partitions(dataset, 10**9)[0]
    assert read_columns(dataset, everything, [("x",)], tables)[("x",)].tolist() == [0.0] * 10
    write_tree(tmp_path / "a", np.ones(10))
    with pytest.raises(SourceError, match="changed since the table was made"):
        read_columns(dataset, everything, [("x",)], tables)
    tables.close()


def test_a_file_that_went_away_is_named(tmp_path):
    write_tree(tmp_path / "a", np.zeros(10))
    dataset = described("tree", tmp_path / "a")
    (tmp_path / "a").unlink()
    with pytest.raises(SourceError, match="does not exist"):
        read(dataset, "x")


def test_one_file_twice_is_two_partitions_of_one_content(tmp_path):
    write_tree(tmp_path / "a", np.arange(4.0))
    dataset = described("tree", tmp_path / "a", tmp_path / "a")
    assert dataset.content[0] == dataset.content[1]
    assert len(dataset.files) == 2
    assert ak.Array(one(dataset, "x")).tolist() == [0, 1, 2, 3]
