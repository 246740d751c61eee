"""How work is cut into requests, how results find their files, and which code generator is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hep_flows.plugins.servicex.addresses import RemoteSettings
from hep_flows.plugins.servicex.remote import ObjectNames, code_generator, pieces
from servicex_sim.work import object_name

NAMES = st.lists(st.text("ab:/.", min_size=1, max_size=6).map("f{}".format))


GENERATORS = st.sampled_from(["uproot", "atlasr25"])


@given(NAMES, st.integers(1, 5), GENERATORS)
def test_every_file_is_in_one_piece_once_and_no_piece_has_two_of_one_name(names, most, generator):
    cut = pieces(names, most, converted=generator != "uproot")
    assert sorted([f for p in cut for f in p.files]) == sorted(set(names))
    for piece in cut:
        assert 1 <= len(piece.files) <= most
        assert len({object_name(f, "parquet", generator) for f in piece.files}) == len(piece.files)


@given(NAMES, st.integers(1, 5))
def test_every_result_finds_its_file(names, most):
    for piece in pieces([n * 60 for n in names], most):
        found = ObjectNames(piece.files)
        assert [found.file_of(object_name(f, "parquet")) for f in piece.files] == list(piece.files)


GRID = [f"root://store.example//pnfs/mc23_13p6TeV/DAOD_PHYSLITE.371._0000{i}.pool.root.1" for i in range(3)]
LONG = [f.replace("pnfs", "pnfs/" + "deep/" * 60) for f in GRID]


@pytest.mark.parametrize("files", [GRID, LONG], ids=["short", "long"])
@pytest.mark.parametrize("generator", ["uproot", "atlasr25"])
@pytest.mark.parametrize("cache", ["", "root://cache.example:1094//", "root://cache//"])
def test_results_find_their_files_however_the_site_names_them(files, generator, cache):
    found = ObjectNames(files)
    results = [object_name(cache + f, "parquet", generator) for f in files]
    assert len({len(r) > 254 for r in results}) == 1
    assert [found.file_of(r) for r in results] == files


def test_a_result_that_may_belong_to_several_files_belongs_to_none():
    twice = [f.replace("store", store) for f in LONG[:1] for store in ("one", "two")]
    assert ObjectNames(twice).file_of(object_name("root://cache//" + twice[0], "parquet")) == ""
    assert ObjectNames(GRID).file_of("something else.parquet") == ""


def test_the_result_of_a_file_on_a_web_server_has_its_other_name():
    assert ObjectNames(["davs://store/a.root"]).file_of(object_name("https://store/a.root", "parquet")) == "davs://store/a.root"


def test_attempts_of_one_file_are_asked_for_apart_where_their_results_would_have_one_name():
    attempts = ["root://s//x.root.1", "root://s//x.root.2"]
    assert [p.files for p in pieces(attempts, 10, converted=True)] == [(attempts[0],), (attempts[1],)]
    assert [p.files for p in pieces(attempts, 10)] == [tuple(attempts)]


def test_datasets_are_pieces_of_their_own():
    cut = pieces(["rucio://a:b", "x.root", "cernopendata://1", "root://s//y.root", "rucio://a:b"], 10)
    assert [(p.dataset, p.files) for p in cut] == [
        ("rucio://a:b", ()),
        ("cernopendata://1", ()),
        ("", ("x.root", "root://s//y.root")),
    ]


@pytest.mark.parametrize(
    ("dialect", "available", "told", "chosen"),
    [
        ("uproot", ["python", "uproot", "uproot-raw"], "", "uproot"),
        ("uproot", ["python"], "", ""),
        ("xaod", ["atlasr21", "atlasr25", "atlasr22", "uproot"], "", "atlasr25"),
        ("xaod", ["uproot", "atlasxaod"], "", "atlasxaod"),
        ("xaod", ["uproot"], "", ""),
        ("xaod", ["atlasr21", "atlasr22"], "atlasr21", "atlasr21"),
        ("xaod", ["atlasr22"], "atlasr21", ""),
    ],
)
def test_the_code_generator_is_one_that_the_server_has(dialect, available, told, chosen):
    assert code_generator(dialect, available, told) == chosen


def test_waits_double_and_vary_and_have_a_limit():
    settings = RemoteSettings(backoff_s=2.0)
    assert [settings.wait_s(a, 0.5) for a in range(4)] == [2.0, 4.0, 8.0, 16.0]
    assert (settings.wait_s(1, 0.0), settings.wait_s(1, 1.0)) == (2.0, 6.0)
    assert settings.wait_s(20, 1.0) == 180.0
