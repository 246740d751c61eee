"""Runs with a real Prefect server: the values of an inline run to the last bit, nothing computed twice, and what the server shows."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import uproot
from jet_files import bits, everything, fill, inline, n_computed, new_process, states, write
from prefect_view import flow_run_count, latest

from hep_flows import make_local, nanoaod_table, render, run
from hep_flows.store.index import sidecars
from hep_flows.store.store import DamagedResultWarning, Store


def stored(cache):
    return {name for name, _ in sidecars(Store(cache).folder)}


def test_a_cold_run_gives_the_bits_of_an_inline_run(files, served):
    events = nanoaod_table(files)
    done = run(everything(events), engine="embedded", on_error="raise")
    assert bits(done.values) == bits(inline(everything(events)))
    assert done.report.engine == "server"
    assert done.report.engine_url == served
    assert {r.state for r in done.report.tasks} == {"computed"}
    flow = latest(served)
    assert flow.state == "Completed"
    assert set(flow.states) == {"Completed"}


def test_the_values_are_those_of_the_files(files, served):
    done = run(everything(nanoaod_table(files)), engine="embedded", on_error="raise").values
    met = np.concatenate([uproot.open(f)["Events"]["MET_pt"].array(library="np") for f in files])
    pt = np.concatenate([np.concatenate(uproot.open(f)["Events"]["Jet_pt"].array(library="np")) for f in files])
    assert done["of the largest"].to_numpy().tolist() == (met / met.max()).tolist()
    assert done["first"].to_numpy().tolist() == met[:7].tolist()
    assert done["counts and edges"][0].tolist() == np.histogram(met, bins=10, range=(0, 200))[0].tolist()
    hard = pt[pt > 30]
    assert done["nested"][0] == len(hard)
    want, _ = np.histogram(hard, bins=20, range=(0, 200), weights=hard.astype(np.float64))
    np.testing.assert_allclose(done["filled"].values(), want, rtol=1e-6)


def test_the_second_run_finds_everything_and_starts_no_flow(files, served):
    first = run(everything(nanoaod_table(files)), engine="embedded")
    n_flows = flow_run_count(served)
    new_process()
    second = run(everything(nanoaod_table(files)), engine="embedded", on_error="raise")
    assert bits(second.values) == bits(first.values)
    assert n_computed(second) == 0
    assert second.report.engine == "inline"
    assert second.report.engine_why == "everything is stored"
    assert flow_run_count(served) == n_flows


def test_what_is_deleted_is_computed_again_and_nothing_else(files, served, cache_folder):
    asked = everything(nanoaod_table(files))
    first = run(asked, engine="embedded", on_error="raise")
    before = stored(cache_folder)
    row = next(r for r in first.report.tasks if r.plugin == "hist")
    Store(cache_folder).remove(row.key)
    gone = before - stored(cache_folder)
    assert len(gone) == 1
    new_process()
    second = run(asked, engine="embedded", on_error="raise")
    assert bits(second.values) == bits(first.values)
    assert n_computed(second) == 0, "the batches are there, and are merged again"
    assert stored(cache_folder) == before


def test_a_deleted_column_of_one_file_is_computed_again_and_shows_among_cached_ones(files, served, cache_folder):
    events = nanoaod_table(files)
    asked = {"jets": events.Jet.pt / 7, "met": events.MET.pt / 7, "sum": (events.MET.pt / 8).Sum()}
    first = run(asked, engine="embedded", on_error="raise")
    row = next(r for r in first.report.tasks if "Jet" in r.label)
    from hep_flows.execute.batches import Batches, Keys
    from hep_flows.execute.results import Results
    from hep_flows.planning.plan import make_plan
    from hep_flows.plugins import installed

    plugins = installed(())
    plan = make_plan([render(asked["jets"])], plugins)
    (task,) = plan.tasks
    assert task.key.hex() == row.key
    by_name = {p.name: p for p in plugins}
    batch = Batches(plan, by_name, Results(Store(cache_folder))).of(task.dataset)[1]
    Store(cache_folder).remove(Keys(plan).of_batch(task, batch).hex())
    new_process()
    second = run(asked, engine="embedded", on_error="raise")
    assert bits(second.values) == bits(first.values)
    counts = {r.label: (r.state, r.batches_computed, r.batches_cached) for r in second.report.tasks}
    assert counts[row.label] == ("computed", 1, 2)
    assert n_computed(second) == 1
    flow = latest(served)
    assert flow.states == {"Cached": 2, "Completed": 1}


@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_a_damaged_result_is_computed_again(files, served, cache_folder, how):
    asked = {"h": fill(nanoaod_table(files)), "m": nanoaod_table(files).MET.pt * 3}
    first = run(asked, engine="embedded", on_error="raise")
    key = next(r.key for r in first.report.tasks if r.plugin == "hist")
    path = Store(cache_folder).path(key)
    content = bytearray(Path(path).read_bytes())
    if how == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 255
    Path(path).write_bytes(content)
    new_process()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedResultWarning)
        second = run(asked, engine="embedded", on_error="raise")
    assert bits(second.values) == bits(first.values)


def test_other_bins_are_filled_from_stored_columns(files, served):
    events = nanoaod_table(files)
    run(fill(events), engine="embedded", on_error="raise")
    done = run(fill(events, bins=7), engine="embedded", on_error="raise")
    assert states(done) == [("awkward", "cached", 0, 3), ("hist", "computed", 3, 0)]
    assert bits(done.values) == bits(inline(fill(events, bins=7)))


def test_another_cut_computes_what_depends_on_it(files, served):
    events = nanoaod_table(files)
    run([fill(events), events.MET.pt.Max()], engine="embedded", on_error="raise")
    done = run([fill(events, cut=35.0), events.MET.pt.Max()], engine="embedded", on_error="raise")
    assert sorted(states(done)) == [("awkward", "cached", 0, 3), ("awkward", "computed", 3, 0), ("hist", "computed", 3, 0)]
    assert bits(done.values) == bits(inline([fill(events, cut=35.0), events.MET.pt.Max()]))


def test_one_file_more_is_that_file_only(files, served, tmp_path):
    run(fill(nanoaod_table(files)), engine="embedded", on_error="raise")
    files.append(write(tmp_path / "part_3.root", 3))
    done = run(fill(nanoaod_table(files)), engine="embedded", on_error="raise")
    assert states(done) == [("awkward", "computed", 1, 0), ("hist", "computed", 1, 3)]
    assert bits(done.values) == bits(inline(fill(nanoaod_table(files))))


def test_refresh_computes_everything_again(files, served):
    events = nanoaod_table(files)
    first = run(everything(events), engine="embedded", on_error="raise")
    again = run(everything(events), engine="embedded", refresh=True, on_error="raise")
    assert {r.state for r in again.report.tasks} == {"computed"}
    assert n_computed(again) == n_computed(first)
    assert bits(again.values) == bits(first.values)
    assert set(latest(served).states) == {"Completed"}


def test_a_refresh_that_fails_loses_nothing(files, served, cache_folder):
    events = nanoaod_table(files)
    asked = [fill(events), events.MET.pt.Sum()]
    first = run(asked, engine="embedded", on_error="raise")
    before = stored(cache_folder)
    content = Path(files[1]).read_bytes()
    Path(files[1]).write_bytes(content[: len(content) // 2])
    failed = run(asked, engine="embedded", refresh=True)
    assert not failed.is_complete
    assert before <= stored(cache_folder)
    Path(files[1]).write_bytes(content)
    new_process()
    assert bits(run(asked, engine="embedded", on_error="raise").values) == bits(first.values)


def test_numbers_that_cannot_be_stored_are_computed_by_the_run_that_delivers(files, served):
    events = nanoaod_table(files)
    asked = {"first": events.MET.pt[:7], "whole": events.MET.pt / 2}
    done = run(asked, engine="embedded", on_error="raise")
    assert bits(done.values) == bits(inline(asked))


def test_make_local_uses_the_engine_of_the_setting(files, served, environment):
    environment(HEP_FLOWS_ENGINE="embedded")
    events = nanoaod_table(files)
    n_flows = flow_run_count(served)
    assert bits(make_local(everything(events))) == bits(inline(everything(events)))
    assert flow_run_count(served) == n_flows + 1


def test_small_work_is_done_inline_where_no_server_runs(files):
    done = run(fill(nanoaod_table(files)))
    assert (done.report.engine, done.report.engine_why) == ("inline", "the work takes less time than starting a server")


def test_work_is_small_where_the_columns_that_it_needs_are(files, environment):
    whole = sum([Path(f).stat().st_size for f in files])
    environment(HEP_FLOWS_DIRECT_BELOW=f"{whole // 2}B")
    done = run(nanoaod_table(files).MET.pt.Sum())
    assert (done.report.engine, done.report.engine_why) == ("inline", "the work takes less time than starting a server")


def test_names_are_words_of_physics_and_there_is_one_table(files, served):
    events = nanoaod_table(files)
    jets = events.Jet[events.Jet.pt > 41.0]
    from hep_flows import Histogram

    asked = [Histogram.new.Reg(5, 0, 200, name="jet_pt").Double().fill(jet_pt=jets.pt), jets.pt.Sum().Sum(), events.MET.pt / 5]
    run(asked, engine="embedded", on_error="raise")
    flow = latest(served)
    assert flow.name == "3 results · part_0.root and 2 more"
    assert {n.split(" ")[0] for n in flow.tasks} == {"fill", "read", "sum", "transform"}
    assert "fill part_0.root and 2 more · jet_pt" in flow.tasks
    assert "transform part_0.root and 2 more · events.MET.pt / 5" in flow.tasks
    (read,) = [n for n in flow.tasks if n.startswith("read")]
    assert "Jet_pt" in read
    assert "MET_pt" in read
    (table,) = [a for a in flow.artifacts if a.type == "table"]
    assert len([a for a in flow.artifacts if a.type == "progress"]) <= 1
    rows = json.loads(table.data)
    assert {r["task"] for r in rows} == set(flow.tasks)
    assert {r["state"] for r in rows} == {"Completed"}
    assert sum([r["rows"] for r in rows]) > 0


def test_the_report_says_how_long_it_took_in_all(files, served):
    import time

    start = time.perf_counter()
    done = run(everything(nanoaod_table(files)), engine="embedded", on_error="raise")
    took = time.perf_counter() - start
    assert latest(served).seconds <= done.report.seconds <= took
