"""Plain branches are read here as uproot reads them, leaf by leaf; damaged baskets are errors, or change nothing."""

from __future__ import annotations

import os
import random
from io import FileIO

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows.errors import SourceError
from hep_flows.sources.baskets import FlatTable, read_flat_tree
from hep_flows.sources.root import TTreeTable, open_root, open_tree

CODECS = {"none": None, "zlib": uproot.ZLIB(1), "lzma": uproot.LZMA(1), "lz4": uproot.LZ4(1), "zstd": uproot.ZSTD(1)}
KINDS = ["bool", *[f"{u}int{n}" for n in (8, 16, 32, 64) for u in ("", "u")], "float32", "float64"]


def tree_of(path, tree="t"):
    with FileIO(str(path)) as stream:
        return read_flat_tree(str(path), stream, tree)


def not_needed():
    raise AssertionError("uproot is not needed")


@pytest.fixture
def own():
    """Open a tree with the reader of plain branches, however young the file is."""
    opened = []

    def opening(path, tree="t", others=not_needed):
        opened.append(FlatTable(str(path), tree, tree_of(path, tree), FileIO(str(path)), others))
        return opened[-1]

    yield opening
    for table in opened:
        table.close()


@pytest.fixture
def oracle():
    """Open a tree with uproot."""
    opened = []

    def opening(path, tree="t"):
        opened.append(TTreeTable(str(path), open_root(str(path)), tree))
        return opened[-1]

    yield opening
    for table in opened:
        table.close()


def values(n, seed=0):
    """Give a leaf of each kind for so many events, alone and in lists, with every bit used."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    found = {}
    for kind in KINDS:
        some = rng.bytes(8 * (n + int(counts.sum())))
        numbers = np.frombuffer(some, np.uint8)[: n + counts.sum()] % 2 == 1 if kind == "bool" else np.frombuffer(some, kind)
        found[f"one_{kind}"] = numbers[:n]
        found[f"jagged_{kind}"] = ak.unflatten(numbers[n : n + counts.sum()], counts)
    return found


def written(path, codec, sizes):
    with uproot.recreate(path, compression=CODECS[codec]) as file:
        types = {n: (v.dtype if isinstance(v, np.ndarray) else v.type.content) for n, v in values(2).items()}
        file.mktree("t", types)
        for seed, n in enumerate(sizes):
            file["t"].extend(values(n, seed))
    return str(path)


def assert_same(mine, theirs, name):
    assert str(mine.type) == str(theirs.type), name
    for one, other in zip(ak.to_buffers(mine)[2].items(), ak.to_buffers(theirs)[2].items(), strict=True):
        assert one[0] == other[0], name
        assert np.asarray(one[1]).tobytes() == np.asarray(other[1]).tobytes(), name


def assert_like_uproot(mine, theirs, names, ranges):
    assert mine.content == theirs.content
    assert list(mine.boundaries()) == list(theirs.boundaries())
    assert mine.columns() == theirs.columns()
    for start, stop in ranges:
        got = mine.read([(n,) for n in names], start, stop)
        for name in names:
            assert_same(got[(name,)], theirs.read([(name,)], start, stop)[(name,)], name)
            assert mine.item_bytes((name,)) == theirs.item_bytes((name,))
            assert mine.stored_bytes([name]) == theirs.stored_bytes([name])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sizes", [(1,) * 7, (500, 0, 3, 2000), (0,)], ids=["tiny", "uneven", "empty"])
def test_every_kind_by_every_codec_is_what_uproot_reads(tmp_path, own, oracle, codec, sizes):
    path, n = written(tmp_path / "a.root", codec, sizes), sum(sizes)
    names = oracle(path).columns()
    assert set(tree_of(path).branches) == set(names)
    assert_like_uproot(own(path), oracle(path), names, [(0, n), (n // 3, n - n // 4), (n // 2, n // 2), (max(0, n - 1), n)])


REAL = {
    "Run2012B_SingleMu_1000.root": ("Events", 86),
    "nano_dimuon.root": ("Events", 1601),
    "nano_dy.root": ("Events", 1499),
    "nano_tt_v12.root": ("Events", 654),
    "uproot-HZZ.root": ("events", 51),
    "uproot-Zmumu.root": ("events", 19),
    "PHYSLITE_example.root": ("CollectionTree", 54),
}


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_plain_branches_of_real_files_are_what_uproot_reads(data, oracle, name):
    path, (tree, n_plain) = data(name), REAL[name]
    names, n = tree_of(path, tree).branches, tree_of(path, tree).entries
    assert len(names) == n_plain
    step = 1 if "HEP_FLOWS_TORTURE_TABLE" in os.environ else max(1, n_plain // 60)  # make torture compares every branch
    mine = open_tree(path, (tree,))
    assert isinstance(mine, FlatTable)
    assert_like_uproot(mine, oracle(path, tree), [*names][::step], [(0, n), (7, n - 5)])
    mine.close()


def test_the_latest_of_several_cycles_and_a_tree_in_a_folder_are_found(tmp_path, own):
    path = str(tmp_path / "a.root")
    with uproot.recreate(path) as file:
        for value in (1.0, 2.0):
            file.mktree("here/t", {"x": "f8"}).extend({"x": np.full(3, value)})
    assert own(path, "here/t").read([("x",)], 0, 3)[("x",)].tolist() == [2, 2, 2]


def test_lists_of_one_counter_have_one_array_of_offsets(tmp_path, own):
    path = str(tmp_path / "a.root")
    jets = ak.Array([[{"pt": 1.0, "n": 3}], [], [{"pt": 2.0, "n": 4}, {"pt": 3.0, "n": 5}]])
    with uproot.recreate(path) as file:
        file.mktree("t", {"Jet": jets.type.content}).extend({"Jet": jets})
        file["t"].extend({"Jet": jets[::-1]})
    pt, n = own(path).read([("Jet_pt",), ("Jet_n",)], 1, 6).values()
    assert np.shares_memory(pt.layout.offsets.data, n.layout.offsets.data)
    assert (pt.tolist(), n.tolist()) == ([[], [2, 3], [2, 3], [], [1]], [[], [4, 5], [4, 5], [], [3]])


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_basket_is_an_error_that_names_file_and_leaf_or_changes_nothing(tmp_path, own, codec):
    path = str(tmp_path / "events.root")
    few = np.random.default_rng(2).integers(0, 9, 4000)  # so that they compress
    with uproot.recreate(path, compression=CODECS[codec]) as file:
        file.mktree("t", {"one_float64": "f8", "jagged_float32": "var * float32"})
        for n in (300, 200):
            lists = ak.unflatten(few[: int(few[:n].sum())].astype("f4"), few[:n])
            file["t"].extend({"one_float64": few[:n].astype("f8"), "jagged_float32": lists})
    whole = (tmp_path / "events.root").read_bytes()
    rng = random.Random(1)
    # Values that are not compressed, and those of zstd, have no checksum in a file: other bits of them are other numbers. The identity
    # of the file is another one then.
    is_checked = codec not in ("none", "zstd")
    n_errors = 0
    for name in ("one_float64", "jagged_float32"):
        table = own(path)
        before = table.read([(name,)], 0, 500)[(name,)]
        baskets = tree_of(path).baskets(name)
        for _ in range(60):
            number = rng.randrange(2)
            at = baskets.places[number] + rng.randrange(baskets.sizes[number])
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.randrange(8)
            (tmp_path / "events.root").write_bytes(damaged)
            got, told = before, f"events.root: {name} cannot be read"
            try:
                got = table.read([(name,)], 0, 500)[(name,)]
            except SourceError as error:
                told = error.what
                n_errors += 1
            assert f"events.root: {name} cannot be read" in told
            assert len(got) == 500
            if is_checked:
                assert_same(got, before, name)
        (tmp_path / "events.root").write_bytes(whole)
    assert n_errors > 60 or not is_checked


def test_a_file_that_ends_inside_of_a_basket_is_named_with_the_leaf(tmp_path, own):
    path = written(tmp_path / "events.root", "zlib", (300, 200))
    table = own(path)
    os.truncate(path, tree_of(path).baskets("one_float64").places[1] + 50)
    with pytest.raises(SourceError, match=r"events\.root: one_float64 cannot be read, between events 10 and 400") as caught:
        table.read([("one_float64",)], 10, 400)
    assert "truncated" in caught.value.why
    assert table.read([("one_float64",)], 0, 300)[("one_float64",)].tolist()


def test_a_tree_with_other_branches_is_read_together_with_uproot(tmp_path, own):
    path = str(tmp_path / "a.root")
    with uproot.recreate(path) as file:
        file.mktree("t", {"x": "f8", "pair": ("f4", (2,))}).extend({"x": np.arange(4.0), "pair": np.ones((4, 2), "f4")})
    table = own(path, others=lambda: TTreeTable(path, open_root(path), "t"))
    assert list(table.columns()) == ["x", "pair"]
    got = table.read([("pair",), ("x",)], 1, 3)
    assert (got[("x",)].tolist(), got[("pair",)].tolist()) == ([1, 2], [[1, 1], [1, 1]])
    assert table.has(("pair",))
    assert not table.has(("nothing",))
