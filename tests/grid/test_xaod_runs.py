"""ATLAS files by the methods of objects, the whole way: the client, a server, the real generator, a C++ compiler, and back."""

from __future__ import annotations

import json
from typing import Any

import awkward as ak
import numpy as np
import pytest

from grid.atlas import MC, REAL, REAL_FILE, AtlasGrid, AtlasScience, datasets_of, write_samples
from grid.servers import NO_TYPED_PACKAGES, run_in_time
from hep_flows import Histogram, make_local, plan, user_func, xaod_table
from hep_flows.demo import listings
from hep_flows.errors import HepFlowsError
from hep_flows.execute.report import Missing
from plugins.servicex.edm.compiled import Compiler, need_compiler
from plugins.servicex.remote_runs import looked_again
from plugins.servicex.xaod.proof import assert_same
from servicex_sim.faults import ALWAYS, FileFault, RequestFault


@pytest.fixture(scope="session")
def samples(tmp_path_factory, data):
    return write_samples(tmp_path_factory.mktemp("samples"), data("PHYSLITE_example.root"))


@pytest.fixture(scope="session")
def atlas_science(tmp_path_factory):
    need_compiler()
    return AtlasScience(Compiler(tmp_path_factory.mktemp("compiled")), tmp_path_factory.mktemp("values"))


@pytest.fixture
def atlas(start, samples, atlas_science, science, tmp_path) -> AtlasGrid:
    """Give a server with the code generators ``atlasr22`` and ``uproot``."""
    sim = start(datasets=datasets_of(samples), science={**science, "atlasr22": atlas_science})
    return AtlasGrid(sim, samples, tmp_path).set_up()


@user_func(cpp="return std::sqrt(x * x + y * y);")
def length(x: float, y: float) -> float:
    return np.sqrt(x * x + y * y)


def analysis(table: Any) -> dict[str, Any]:
    """Ask for most of what can be sent, and for what is made here of it."""
    jets, electrons = table.Jets("Jets"), table.Electrons("Electrons")
    truth, info = table.TruthParticles("TruthElectrons"), table.EventInfo("EventInfo")
    good = electrons[(electrons.pt > 25_000.0) & (abs(electrons.eta) < 2.0)]
    return {
        "filtered": good.eta,
        "counts": good.Count(),
        "total": good.Count().Sum(),
        "first": good.First().pt,
        "sum": jets.pt.Sum(),
        "smallest": jets.eta.Min(),
        "largest": good.pt.Max(),
        "any": (jets.pt > 40_000.0).Any(),
        "nearest": electrons.map(lambda e: jets.DeltaR(e).Min()),
        "cleaned": jets[jets.map(lambda j: ~(electrons.DeltaR(j) < 0.4).Any())].pt,
        "in c++": length(electrons.eta, 3.0),
        "true": truth[abs(truth.pdgId) == 11].px,
        "numbers": info.eventNumber,
        "histogram": Histogram.new.Reg(20, 0, 100, name="pt").Double().fill(pt=good.pt / 1000.0),
        "two": good[:2].eta,
        "second": jets.pt[1],
        "odd": info.eventNumber % 2 == 1,
        "every other": good[::2].eta,
    }


def selected(table: Any) -> dict[str, Any]:
    electrons = table.Electrons("Electrons")
    events = table[(electrons.pt > 30_000.0).Sum() >= 2]
    none = table[electrons.Count() > 100]
    return {
        "jets": events.Jets("Jets").pt,
        "electrons": events.Electrons("Electrons").pt.Max(),
        "n": events.Count(),
        "none": none.Jets("Jets").eta,
    }


def compare(values: dict[str, Any], wanted: dict[str, Any], *, exact: bool = True) -> None:
    """Compare to the bit, or numbers of another width up to the last digits of the narrower one."""
    assert set(values) == set(wanted)
    for name, value in values.items():
        if exact or not isinstance(value, ak.Array):
            assert_same(value, wanted[name])
        else:
            near = ak.almost_equal(value, wanted[name], rtol=1e-6, atol=1e-6, dtype_exact=False, check_parameters=False)
            assert near, name


@pytest.mark.parametrize("source", ["list", "dataset"])
def test_a_run_gives_the_numbers_of_a_local_run_and_a_rerun_asks_for_nothing(atlas, source):
    table = atlas.table(atlas.names if source == "list" else MC)
    wanted = make_local(analysis(xaod_table(atlas.paths)))
    done = run_in_time(analysis(table), on_error="raise")
    compare(done.values, wanted)
    assert atlas.asked_for() == [atlas.names if source == "list" else [MC]]
    again = run_in_time(analysis(table), on_error="raise")
    compare(again.values, wanted)
    assert {r.state for r in again.report.tasks} == {"cached", "not run"}
    assert len(atlas.sim.submits()) == 1


def test_selections_of_events_are_a_request_each_and_files_may_have_no_events(atlas):
    wanted = make_local(selected(xaod_table(atlas.paths)))
    compare(run_in_time(selected(atlas.table()), on_error="raise").values, wanted)
    assert 0 < wanted["n"] < 130
    assert len(wanted["none"]) == 0
    assert atlas.asked_for() == [atlas.names] * 2


@pytest.mark.parametrize("listing", [listings.listing_1, listings.listing_2], ids=lambda f: f.__name__)
def test_the_listings_of_the_paper_give_the_numbers_of_a_local_run(atlas, listing):
    def asked(table):
        told = listing("", table=lambda _: table)
        return {"values": told.values, "histogram": told.histogram, **told.yields}

    wanted = make_local(asked(xaod_table(atlas.paths)))
    assert ak.count(wanted["values"]) > 5
    compare(run_in_time(asked(atlas.table(MC)), on_error="raise").values, wanted)
    assert atlas.asked_for() == [[MC]]


@pytest.mark.parametrize("schema", ["typed", "open"])
def test_a_table_without_a_file_gives_the_numbers_of_the_file(atlas, schema, modules):
    if schema == "typed":
        pytest.importorskip("func_adl_servicex_xaodr25")
    else:
        modules(**NO_TYPED_PACKAGES)
    wanted = make_local(
        {**analysis(xaod_table(atlas.store.paths[REAL_FILE])), **selected(xaod_table(atlas.store.paths[REAL_FILE]))}
    )
    table = xaod_table(REAL)
    done = run_in_time({**analysis(table), **selected(table)}, on_error="raise")
    compare(done.values, wanted, exact=False)
    assert atlas.asked_for() == [[REAL]] * 3
    assert {json.loads(c.body)["codegen"] for c in atlas.sim.submits()} == {"atlasr22"}


def test_a_plan_shows_the_query_and_the_server_and_what_is_done_here_and_why(atlas):
    table = atlas.table(MC)
    good = table.Electrons("Electrons")[table.Electrons("Electrons").pt > 25_000.0]
    shown = str(
        plan({"every other": good.eta[::2], "histogram": Histogram.new.Reg(20, 0, 100, name="pt").Double().fill(pt=good.pt)})
    )
    flat = " ".join(shown.split())
    for part in (
        "servicex:xaod-cpp",
        "sends to servicex simulator",
        "(call (attr (call (attr (call (attr e 'Electrons') 'AnalysisElectrons') 'Where') (lambda (list x1) (> (call (attr x1 'pt'))",
        "not servicex: the query language takes no steps in slices",
        "not servicex: it delivers columns, not histograms",
    ):
        assert part in flat, part
    assert not atlas.sim.calls()


def test_a_file_that_fails_once_is_asked_for_again_alone(atlas):
    atlas.sim.fail(FileFault("fails", "*00002.pool*"))
    done = run_in_time(analysis(atlas.table()), on_error="raise")
    compare(done.values, make_local(analysis(xaod_table(atlas.paths))))
    assert atlas.asked_for() == [atlas.names, [atlas.names[2]]]


@pytest.mark.parametrize("source", ["list", "dataset"])
def test_a_file_that_fails_for_ever_is_an_error_and_what_else_came_is_kept(atlas, source):
    atlas.set_up(attempts=2)
    atlas.sim.fail(FileFault("fails", "*00002.pool*", times=ALWAYS))
    table = atlas.table(atlas.names if source == "list" else MC)
    done = run_in_time(selected(table))
    assert all(isinstance(v, Missing) for v in done.values.values())
    name = atlas.names[2] if source == "list" else MC
    for error in done.report.errors:
        for part in (f"failed on {name}: request ", "stopped with exit code 1", "1 failed", f"log: {atlas.sim.url}/logs"):
            assert part in str(error)
        assert any(i in str(error) for i in atlas.sim.statuses())
        assert error.where.file == __file__
    before = len(atlas.sim.submits())
    atlas.sim.faults.clear()
    compare(run_in_time(selected(table), on_error="raise").values, make_local(selected(xaod_table(atlas.paths))))
    assert atlas.asked_for(since=before) == [[name]] * 2


def test_c_plus_plus_that_does_not_compile_is_an_error_at_the_users_line(atlas):
    @user_func(cpp="return x +* 2;")
    def wrong(x: float) -> float: ...

    frame = wrong(atlas.table().Jets("Jets").pt)
    with pytest.raises(HepFlowsError, match="invalid type argument of unary") as caught:
        run_in_time(frame, on_error="raise")
    assert "see whether the C++ of wrong compiles" in str(caught.value)
    assert "frame = wrong(atlas.table()" in str(caught.value)
    assert atlas.files_asked_for() == sorted(atlas.names * 3)
    assert set(atlas.sim.statuses().values()) == {"Complete"}


def test_a_method_that_the_release_lacks_is_an_error_at_the_users_line(atlas, modules):
    modules(**NO_TYPED_PACKAGES)
    atlas.set_up(attempts=1)
    jets = xaod_table(MC).Jets("AnalysisJets")
    many = {"eta": jets.eta, "ptt": jets[jets.ptt > 30_000.0].pt}
    with pytest.raises(HepFlowsError, match=r"no member named .ptt") as caught:
        run_in_time(many, on_error="raise")
    assert caught.value.where.file == __file__
    assert len(str(caught.value)) < 3000
    assert len(atlas.sim.submits()) == 1


def test_a_request_that_never_ends_is_cancelled_and_made_again(atlas, clock):
    atlas.set_up(stall_s=60)
    atlas.sim.fail(RequestFault("hangs", after_files=1))
    with clock.skips(61, when=looked_again(atlas.sim, since=lambda: bool(atlas.sim.calls("GET", ".parquet")))):
        done = run_in_time(selected(atlas.table(MC)), on_error="raise")
    compare(done.values, make_local(selected(xaod_table(atlas.paths))))
    assert len(atlas.sim.cancelled()) == 1
    assert sorted(atlas.sim.statuses().values()) == ["Canceled", "Complete", "Complete"]


def test_results_that_are_spoilt_on_their_way_are_asked_for_again(atlas):
    names = atlas.names
    faults = {"truncated": names[0], "damaged": names[2], "missing": names[3]}
    atlas.sim.fail(*[FileFault(kind, f"*{name[-20:]}") for kind, name in faults.items()])
    done = run_in_time(analysis(atlas.table()), on_error="raise")
    compare(done.values, make_local(analysis(xaod_table(atlas.paths))))
    assert atlas.files_asked_for() == sorted([*names, *faults.values()])
