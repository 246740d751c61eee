"""What comes of a server through whole runs: the numbers of a local run, apart for each server and each epoch."""

from __future__ import annotations

from functools import partial

import awkward as ak
import numpy as np
import pytest

from grid.servers import CUT, Grid, analysis, check, datasets_of, run_in_time
from grid.store_files import DATASET, OPEN_DATA, StoreFiles
from hep_flows import make_local, nanoaod_table, plan, run, servicex_table, user_func
from hep_flows.demo import listings
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.errors import SourceError
from servicex_sim.work import Datasets


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), Recipe(events=400))


def of_listing(listing, path, **table):
    """Give what a listing of the paper asks for; ``table`` makes its table of the path."""
    told = listing(path, **table)
    return {"values": told.values, "histogram": told.histogram, **told.yields}


@pytest.mark.parametrize(
    ("listing", "layout"),
    [
        (listings.listing_1, "physlite"),
        (listings.listing_2, "physlite"),
        (listings.listing_1_nanoaod, "nanoaod"),
        (listings.listing_2_nanoaod, "nanoaod"),
    ],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_the_listings_of_the_paper_give_the_numbers_of_a_local_run(start, store, sample, tmp_path, listing, layout):
    path = str(getattr(sample, layout))
    name = f"root://store.example//{layout}.root"
    grid = Grid(start(datasets=Datasets({name: path}, {})), store, tmp_path).set_up()

    kind = "nanoaod" if layout == "nanoaod" else "xaod"
    here = make_local(of_listing(listing, path))
    embedded = make_local(of_listing(listing, path, table=partial(servicex_table, kind=kind)))
    assert not grid.sim.calls()
    remote = of_listing(listing, name, table=partial(servicex_table, kind=kind, like=path))
    served = run_in_time(remote, on_error="raise").values
    assert ak.count(here["values"]) > 20
    for other in (embedded, served):
        assert ak.array_equal(other["values"], here["values"], dtype_exact=True)
        assert other["histogram"] == here["histogram"]
        assert {k: v for k, v in other.items() if k not in {"values", "histogram"}} == {
            k: v for k, v in here.items() if k not in {"values", "histogram"}
        }
    # One request for each selection of events: none here is of events.
    assert grid.asked_for() == [[name]]


def test_two_servers_have_results_of_their_own(start, store, tmp_path):
    turned = StoreFiles(
        dict(zip(store.names, list(store.paths.values())[::-1], strict=True)),
        dict(zip(store.names, list(store.branches.values())[::-1], strict=True)),
    )
    second = start(datasets=datasets_of(turned), token="")
    grid = Grid(start(), store, tmp_path, {"second": second}).set_up()
    for source in (store.names, DATASET):
        check(run_in_time(analysis(grid.table(source))).values, store)
        check(run_in_time(analysis(grid.table(source, endpoint="second"))).values, turned)
    assert len(grid.sim.submits()) == len(second.submits()) == 2
    both = run_in_time([grid.table(DATASET).MET.pt, grid.table(DATASET, endpoint="second").MET.pt]).values
    assert ak.array_equal(both[0], store.column("MET_pt"))
    assert ak.array_equal(both[1], turned.column("MET_pt"))
    assert len(grid.sim.submits()) == len(second.submits()) == 2


def test_a_dataset_that_is_taken_for_new_is_asked_for_anew_and_others_are_not(grid):
    for source in (DATASET, OPEN_DATA):
        run_in_time(grid.table(source).MET.pt, on_error="raise")
    assert grid.asked_for() == [[DATASET], [OPEN_DATA]]
    anew = grid.table(DATASET, refresh=True)
    assert ak.array_equal(run_in_time(anew.MET.pt).values, grid.store.column("MET_pt"))
    assert grid.asked_for() == [[DATASET], [OPEN_DATA], [DATASET]]
    # The epoch is remembered: a table that is made later finds the new results.
    for source in (DATASET, OPEN_DATA):
        assert run_in_time(grid.table(source).MET.pt).report.tasks[0].state == "cached"
    assert run_in_time(anew.MET.pt, refresh=True).report.tasks[0].state == "computed"
    assert grid.asked_for()[3:] == [[DATASET]]


def test_files_that_are_added_to_a_list_are_all_that_is_asked_for(grid):
    names = grid.store.names
    check(run_in_time(analysis(grid.table(names[:4]))).values, grid.store, names[:4])
    check(run_in_time(analysis(grid.table(names))).values, grid.store)
    assert grid.asked_for() == [names[:4], names[4:]]


def test_columns_of_several_selections_of_events_are_a_request_each(grid):
    table = grid.table()
    quiet, loud = table[table.MET.pt < CUT], table[table.MET.pt >= CUT]
    values = run_in_time([quiet.Jet.pt, quiet.MET.pt, loud.Jet.pt, table.Count()], on_error="raise").values
    pt, met = grid.store.column("Jet_pt"), grid.store.column("MET_pt")
    assert ak.array_equal(values[0], pt[met < CUT], dtype_exact=True)
    assert ak.array_equal(values[1], met[met < CUT], dtype_exact=True)
    assert ak.array_equal(values[2], pt[met >= CUT], dtype_exact=True)
    assert values[3] == len(met)
    assert grid.asked_for() == [grid.store.names] * 3
    assert run_in_time([loud.Jet.pt, table.Count()]).values[1] == len(met)
    assert len(grid.sim.submits()) == 3


@pytest.mark.parametrize("cache", ["on", "off"])
def test_a_dataset_is_whole_where_a_later_step_fails_too(grid, cache, environment):
    if cache == "off":
        environment(HEP_FLOWS_CACHE="off")

    @user_func
    def broken(x: float) -> float:
        return np.asarray(x).reshape(-1, 10**6)[0]

    table = grid.table(DATASET)
    done = run_in_time({"bad": broken(table.MET.pt), "n": table.Jet[table.Jet.pt > CUT].Count().Sum(), "met": table.MET.pt})
    assert "cannot reshape" in done.values["bad"].reason
    assert done.values["n"] == ak.sum(grid.store.column("Jet_pt") > CUT)
    assert ak.array_equal(done.values["met"], grid.store.column("MET_pt"), dtype_exact=True)


def test_objects_of_the_client_name_the_same_datasets(grid):
    from servicex import dataset

    run_in_time(grid.table(DATASET).MET.pt, on_error="raise")
    for source in (dataset.Rucio(DATASET.removeprefix("rucio://")), DATASET.replace("rucio:", "did:")):
        assert run_in_time(grid.table(source).MET.pt).report.tasks[0].state == "cached"
    run_in_time(grid.table(dataset.CERNOpenData(6021)).MET.pt, on_error="raise")
    run_in_time(grid.table(dataset.FileList(grid.store.names[:1])).MET.pt, on_error="raise")
    assert grid.asked_for() == [[DATASET], [OPEN_DATA], grid.store.names[:1]]


def test_local_files_need_no_server_though_one_is_set_up(grid):
    paths = list(grid.store.paths.values())
    for source in (paths, [f"localds://{p}" for p in paths]):
        check(make_local(analysis(servicex_table(source, kind="nanoaod"))), grid.store)
    assert "embedded ServiceX" in str(plan(analysis(servicex_table(paths, kind="nanoaod"))))
    assert not grid.sim.calls()


def test_local_files_go_to_a_server_that_is_named(grid):
    paths = list(grid.store.paths.values())
    table = servicex_table(paths, kind="nanoaod", endpoint="simulator")
    assert "sends to servicex simulator" in str(plan(table.MET.pt))
    check(run_in_time(analysis(table)).values, grid.store)
    assert grid.asked_for() == [paths]


@pytest.mark.parametrize("source", [DATASET, OPEN_DATA])
def test_a_dataset_without_a_server_is_an_error_that_says_what_to_write(store, source):
    with pytest.raises(SourceError, match="no ServiceX server is set up") as caught:
        servicex_table(source, kind="nanoaod", like=store.like)
    assert "servicex.yaml" in str(caught.value)
    assert caught.value.where.file == __file__


def test_local_files_without_a_server_are_read_in_this_process(store):
    paths = list(store.paths.values())
    served, here = servicex_table(paths, kind="nanoaod"), nanoaod_table(paths)
    check(run(analysis(served), on_error="raise").values, store)
    check(run(analysis(here), on_error="raise").values, store)


def test_a_server_that_is_not_set_up_any_more_is_an_error_and_what_is_stored_is_there(grid):
    table = grid.table(DATASET)
    run_in_time(table.MET.pt, on_error="raise")
    (grid.folder / "servicex.yaml").unlink()
    assert ak.array_equal(run_in_time(table.MET.pt).values, grid.store.column("MET_pt"))
    with pytest.raises(SourceError, match="is not set up any more"):
        run_in_time(table.Jet.pt, on_error="raise")
