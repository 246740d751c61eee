"""Ranges of events, open files that are kept and lent, threads, and the faster zlib."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from described import described, one
from hep_flows.contract import Partition
from hep_flows.errors import SourceError
from hep_flows.sources import root as root_files
from hep_flows.sources.open import OpenTables
from hep_flows.sources.read import chosen_cuts, partitions, read_columns

SM = "Run2012B_SingleMu_1000.root"


def clusters(path, *sizes):
    with uproot.recreate(path) as file:
        file.mktree("t", {"x": "int64", "Jet": "var * float32"})
        first = 0
        for n in sizes:
            numbers = np.arange(first, first + n)
            jets = ak.unflatten(np.repeat(numbers, numbers % 3).astype(np.float32), numbers % 3)
            file["t"].extend({"x": numbers, "Jet": jets})
            first += n
    return described("tree", path)


def test_ranges_lie_on_clusters_near_the_wanted_size(tmp_path):
    ranges = partitions(clusters(tmp_path / "a.root", 90, 110, 95, 105), 100)
    assert [(p.start, p.stop) for p in ranges] == [(0, 90), (90, 200), (200, 295), (295, 400)]


def test_ranges_of_several_files_count_events_through(tmp_path):
    clusters(tmp_path / "a.root", 100, 100)
    clusters(tmp_path / "b.root", 50)
    dataset = described("tree", tmp_path / "a.root", tmp_path / "b.root", tmp_path / "a.root")
    ranges = partitions(dataset, 100)
    assert [p.first for p in ranges] == [0, 100, 200, 250, 350]
    assert [p.file_number for p in ranges] == [0, 0, 1, 2, 2]
    assert [p.file for p in ranges] == [dataset.files[p.file_number] for p in ranges]


def test_a_small_file_is_one_range_and_is_not_opened_for_it(tmp_path):
    dataset = clusters(tmp_path / "a.root", 60, 60)
    (tmp_path / "a.root").unlink()
    assert partitions(dataset, 100) == (Partition(dataset.files[0], 0, 0, 120, 0),)


def test_a_cluster_longer_than_a_range_is_cut_inside(tmp_path):
    ranges = partitions(clusters(tmp_path / "a.root", 1000), 100)
    assert len(ranges) == 10
    assert {p.stop - p.start for p in ranges} == {100}


def test_a_size_below_one_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="0 events"):
        partitions(clusters(tmp_path / "a.root", 5), 0)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.integers(1, 600))
def test_cuts_cover_everything_in_ranges_of_about_the_wanted_size(sizes, wanted):
    bounds = np.cumsum([0, *sizes]).tolist()
    cuts = chosen_cuts(bounds, bounds[-1], wanted)
    assert cuts[0] == 0
    assert cuts[-1] == bounds[-1]
    lengths = np.diff(cuts)
    assert (lengths > 0).all()
    # A cluster of up to six ranges is read in one; only longer ones are cut inside.
    assert lengths.max() <= 2.6 * wanted + 1 + min(max(sizes), 6 * wanted)


@pytest.mark.parametrize("chunk", [1, 37, 100, 1000])
def test_the_ranges_together_are_the_whole(tmp_path, chunk):
    dataset = clusters(tmp_path / "a.root", 40, 40, 20)
    parts = [read_columns(dataset, p, [("Jet",), ("x",)]) for p in partitions(dataset, chunk)]
    assert ak.concatenate([p[("x",)] for p in parts]).tolist() == list(range(100))
    assert ak.concatenate([p[("Jet",)] for p in parts]).tolist() == one(dataset, "Jet").tolist()


@pytest.mark.data
def test_threads_read_ranges_from_a_few_shared_open_files(data):
    dataset = described("nanoaod", data(SM))
    ranges = partitions(dataset, 50)
    paths = [("Jet", "pt"), ("Muon", "eta"), ("MET", "pt"), ("Jet",)]
    tables = OpenTables(limit=3)
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda p: read_columns(dataset, p, paths, tables), ranges))
    tables.close()
    whole = read_columns(dataset, Partition(data(SM), 0, 0, 1000, 0), paths)
    for path in paths:
        assert ak.array_equal(ak.concatenate([p[path] for p in parts]), whole[path]), path


class Fake:
    def __init__(self, content="c"):
        self.content, self.closed, self.offered = content, False, b""

    def close(self):
        self.closed = True


@pytest.fixture
def made():
    return []


@pytest.fixture
def opening(made):
    return lambda *_: made.append(Fake()) or made[-1]


def test_a_table_is_kept_for_the_next_reader(made, opening):
    tables = OpenTables(opening=opening)
    for _ in range(3):
        with tables.lent("tree", "f", "t", "c"):
            pass
    assert len(made) == 1
    tables.close()
    assert made[0].closed


def test_two_readers_at_a_time_never_share_a_table(made, opening):
    tables = OpenTables(opening=opening)
    with tables.lent("tree", "f", "t") as first, tables.lent("tree", "f", "t") as second:
        assert first is not second
    assert not any(t.closed for t in made)
    tables.close()


def test_no_more_than_the_limit_are_kept(made, opening):
    tables = OpenTables(limit=2, opening=opening)
    for name in "abcd":
        with tables.lent("tree", name, "t"):
            pass
    assert [t.closed for t in made] == [True, True, False, False]
    tables.close()
    assert all(t.closed for t in made)


def test_a_table_is_closed_after_an_error_and_not_lent_again(made, opening):
    tables = OpenTables(opening=opening)
    with pytest.raises(ValueError, match="mine"), tables.lent("tree", "f", "t"):
        raise ValueError("mine")
    assert made[0].closed
    with pytest.raises(SourceError, match="changed"), tables.lent("tree", "f", "t", "other content"):
        pass
    assert all(t.closed for t in made)


def test_zlib_is_read_by_isal():
    code = (
        "import uproot; from hep_flows.sources.root import speed_up_zlib; speed_up_zlib(); "
        "print(uproot.compression._DecompressZLIB.library)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "isal"


@pytest.mark.data
def test_nothing_breaks_where_uproot_has_no_such_switch(data, monkeypatch):
    monkeypatch.delattr(uproot.compression, "_DecompressZLIB")
    root_files.speed_up_zlib()
    assert len(one(described("nanoaod", data(SM)), "Jet.pt")) == 1000
