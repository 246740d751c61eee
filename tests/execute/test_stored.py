"""Results are stored as they are made, found again, and computed again only where something is missing."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, make_local, nanoaod_table, plan, render, run, user_func
from hep_flows.errors import HepFlowsError, SourceError, TaskError
from hep_flows.execute import results as open_store
from hep_flows.execute.batches import BATCH_EVENTS
from hep_flows.execute.report import Missing
from hep_flows.execute.results import ResultNotStored
from hep_flows.execute.run import run_and_report
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.store.index import sidecars
from hep_flows.store.store import DamagedResultWarning, Store
from hep_flows.verbs import LeavesLeftOut


def write(path, seed, n=40):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    pt = ak.unflatten(ak.Array(rng.exponential(50, int(counts.sum())).astype(np.float32)), counts)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Jet": "var * {pt: float32}", "MET_pt": "float32"})
        file["Events"].extend({"Jet": ak.zip({"pt": pt}), "MET_pt": rng.exponential(30, n).astype(np.float32)})
    return str(path)


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / f"part_{i}.root", i) for i in range(3)]


def new_process():
    """Forget what is in memory."""
    open_store.store_of.cache_clear()


def states(done):
    return [(r.plugin, r.state, r.batches_computed, r.batches_cached) for r in done.report.tasks]


def fill(events, bins=20, cut=30.0):
    jets = events.Jet[events.Jet.pt > cut]
    return Histogram.new.Reg(bins, 0, 200, name="pt").Weight().fill(pt=jets.pt, weight=0.1)


def bits(h):
    return h.view(flow=True).tobytes()


def test_what_was_computed_is_found_by_the_next_process(files):
    events = nanoaod_table(files)
    first = run(fill(events), on_error="raise")
    assert states(first) == [("awkward", "computed", 3, 0), ("hist", "computed", 3, 0)]
    new_process()
    second = run(fill(nanoaod_table(files)), on_error="raise")
    assert states(second) == [("awkward", "not run", 0, 0), ("hist", "cached", 0, 1)]
    assert bits(second.values) == bits(first.values)
    assert second.report.tasks[0].reason == "what is made from it is stored"


def test_a_file_more_means_that_file_only(files, tmp_path):
    run(fill(nanoaod_table(files)))
    files.append(write(tmp_path / "part_3.root", 3))
    done = run(fill(nanoaod_table(files)), on_error="raise")
    assert states(done) == [("awkward", "computed", 1, 0), ("hist", "computed", 1, 3)]


def test_other_bins_are_filled_from_stored_columns(files):
    events = nanoaod_table(files)
    run(fill(events))
    done = run(fill(events, bins=7), on_error="raise")
    assert states(done) == [("awkward", "cached", 0, 3), ("hist", "computed", 3, 0)]


@pytest.mark.parametrize("how", ["off", "cold", "refill", "grown", "merged again"])
def test_the_bits_do_not_depend_on_how_a_result_came_about(files, how, environment, cache_folder):
    def asked(some, bins=20):
        events = nanoaod_table(some)
        return [fill(events, bins), events.MET.pt.Sum(), (events.Jet.pt / 3).Sum().Sum(), events.Jet.pt * 0.1]

    environment(HEP_FLOWS_CACHE="off")
    want = make_local(asked(files), workers=1)
    if how != "off":
        environment(HEP_FLOWS_CACHE=cache_folder)
    if how == "refill":
        run(asked(files, bins=3))
    if how == "grown":
        run(asked(files[:2]))
    if how == "merged again":
        done = run(asked(files))
        for row in done.report.tasks:
            if bytes.fromhex(row.key) in Store(cache_folder):
                Store(cache_folder).remove(row.key)
    got = make_local(asked(files), workers=2)
    assert bits(got[0]) == bits(want[0])
    assert got[1:3] == want[1:3]
    assert got[3].to_list() == want[3].to_list()
    assert got[3].type == want[3].type


def test_one_bad_file_does_not_stop_the_others(files):
    events = nanoaod_table(files)
    asked = {"h": fill(events), "n": events.Jet.Count().Sum()}
    write(files[1], 99)
    done = run(asked)
    assert not done.is_complete
    assert all(isinstance(v, Missing) for v in done.values.values())
    row = next(r for r in done.report.tasks if r.plugin == "hist")
    assert row.state == "failed"
    assert "part_1.root" in row.reason
    assert "changed since the table was made" in row.reason
    with pytest.raises(TaskError, match="not every result is there"):
        done.checked()
    again = run({"h": fill(nanoaod_table(files)), "n": nanoaod_table(files).Jet.Count().Sum()}, on_error="raise")
    assert [r.batches_computed for r in again.report.tasks] == [1, 1, 1]


def test_the_first_error_ends_the_run_when_asked_to(files):
    events = nanoaod_table(files)
    write(files[1], 99)
    with pytest.raises(SourceError, match=r"part_1\.root"):
        run(fill(events), on_error="raise")
    with pytest.raises(SourceError, match=r"part_1\.root"):
        make_local(fill(events))


def test_a_function_that_fails_leaves_the_others_alone(files):
    @user_func
    def wrong(x: float) -> float:
        raise ValueError("not today")
        return x

    events = nanoaod_table(files)
    done = run({"wrong": wrong(events.MET.pt).Sum(), "right": events.MET.pt.Sum(), "above": wrong(events.MET.pt).Sum() / 2})
    assert isinstance(done.values["wrong"], Missing)
    assert isinstance(done.values["above"], Missing)
    assert done.values["right"] == make_local(events.MET.pt.Sum())
    assert {r.state for r in done.report.tasks} == {"failed", "computed", "not run"}
    assert "not today" in done.values["wrong"].reason


def test_refresh_computes_again_and_replaces(files, cache_folder):
    events = nanoaod_table(files)
    first = run(fill(events))
    before = {name: stat.st_ino for name, stat in sidecars(Store(cache_folder).folder)}
    again = run(fill(events), refresh=True)
    after = {name: stat.st_ino for name, stat in sidecars(Store(cache_folder).folder)}
    assert states(again) == states(first)
    assert before.keys() == after.keys()
    assert all(before[k] != after[k] for k in before)
    assert bits(again.values) == bits(first.values)


def test_without_a_cache_nothing_is_written(files, environment, cache_folder):
    environment(HEP_FLOWS_CACHE="off")
    assert run(nanoaod_table(files).Count()).values == 120
    assert not cache_folder.exists()
    assert "miss" not in str(plan(nanoaod_table(files).Count()))


def test_a_read_only_cache_is_read_and_not_written(files, of_somebody_else):
    events = nanoaod_table(files)
    run(events.Count())
    new_process()
    of_somebody_else()
    for _ in range(2):
        with pytest.warns(ResultNotStored, match="cannot be written: it belongs to another user"):
            done = run([events.Count(), events.MET.pt.Sum()], on_error="raise")
        assert [r.state for r in done.report.tasks] == ["cached", "computed"]
        assert "cannot be written: it belongs to another user" in done.report.tasks[1].reason


def test_a_cache_that_is_a_file_is_told_of_and_nothing_is_lost(files, environment, tmp_path):
    (tmp_path / "file").write_text("mine")
    environment(HEP_FLOWS_CACHE=tmp_path / "file")
    with pytest.warns(ResultNotStored, match="cannot be written: it is no folder"):
        assert run(nanoaod_table(files).Count()).values > 0
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_team_has_is_not_computed_again(files, environment, tmp_path, cache_folder):
    run(fill(nanoaod_table(files)))
    environment(HEP_FLOWS_CACHE=tmp_path / "own", HEP_FLOWS_CACHE_LAYERS=cache_folder)
    done = run(fill(nanoaod_table(files), bins=5), on_error="raise")
    assert states(done) == [("awkward", "cached", 0, 3), ("hist", "computed", 3, 0)]


def _damage(cache_folder, change):
    store = Store(cache_folder)
    for path in {Path(store.path(name)) for name, _ in sidecars(store.folder)}:
        change(path, bytearray(path.read_bytes()))
    new_process()


@pytest.mark.parametrize("how", ["cut short", "altered", "removed"])
def test_damaged_results_are_computed_again(files, cache_folder, how):
    asked = [fill(nanoaod_table(files)), nanoaod_table(files).MET.pt]
    first = run(asked)

    def change(path, data):
        if how == "removed":
            path.unlink()
            return
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data[:-5] if how == "cut short" else data)

    _damage(cache_folder, change)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        second = run(asked, on_error="raise")
    assert how != "altered" or any(issubclass(w.category, DamagedResultWarning) for w in said)
    assert bits(second.values[0]) == bits(first.values[0])
    assert second.values[1].to_list() == first.values[1].to_list()
    assert all(r.state == "computed" for r in second.report.tasks)
    new_process()
    assert not [r for r in run(asked, on_error="raise").report.tasks if r.state == "computed"]


def test_a_function_without_a_key_is_computed_and_never_stored(files, cache_folder):
    secret = object()

    @user_func
    def odd(x: float) -> float:
        return x if secret else -x

    events = nanoaod_table(files)
    asked = odd(events.MET.pt).Sum()
    first = run(asked, on_error="raise")
    assert "never stored" in str(plan(asked))
    assert "not stored: odd holds values that have no content key" in first.report.tasks[0].reason
    assert run(asked, on_error="raise").report.tasks[0].state == "computed"
    assert not list(sidecars(Store(cache_folder).folder))


def test_a_number_over_all_events_enters_by_its_own_key(files, tmp_path):
    events = nanoaod_table(files)
    run(events.MET.pt / events.MET.pt.Max())
    files.append(write(tmp_path / "part_3.root", 3))
    events = nanoaod_table(files)
    done = run(events.MET.pt / events.MET.pt.Max(), on_error="raise")
    assert [(r.batches_computed, r.batches_cached) for r in done.report.tasks] == [(1, 3), (4, 0)]
    assert ak.max(done.values) == 1.0


def test_events_by_position(files):
    events = nanoaod_table(files)
    asked = [events[:50].MET.pt, events.MET.pt[-1]]
    first = run(asked, on_error="raise")
    second = run(asked, on_error="raise")
    assert [r.state for r in second.report.tasks if r.state == "computed"] == []
    assert second.values[0].to_list() == first.values[0].to_list() == make_local(events.MET.pt).to_list()[:50]
    assert second.values[1] == first.values[1]


def test_a_growing_axis_is_filled_in_order(files):
    events = nanoaod_table(files)
    growing = Histogram.new.Regular(4, 0, 50, name="pt", growth=True).Double().fill(pt=events.Jet.pt)
    first = run(growing, on_error="raise")
    new_process()
    assert bits(run(growing, on_error="raise").values) == bits(first.values)


def test_numpys_histogram_is_stored(files):
    events = nanoaod_table(files)
    first = run(np.histogram(events.MET.pt, bins=5), on_error="raise").values
    new_process()
    done = run(np.histogram(events.MET.pt, bins=5), on_error="raise")
    assert {r.state for r in done.report.tasks} == {"cached", "not run"}
    assert [a.tobytes() for a in done.values] == [a.tobytes() for a in first]
    assert [a.dtype for a in done.values] == [a.dtype for a in first]


def test_what_the_user_does_with_a_result_does_not_change_the_stored_one(files):
    events = nanoaod_table(files)
    first = run(fill(events)).values
    before = bits(first)
    first.fill(pt=[1.0, 2.0])
    assert bits(run(fill(events)).values) == before


def test_the_report_can_be_written(files, tmp_path):
    run(nanoaod_table(files).Count(), report=tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["complete"] is True
    (row,) = written["tasks"]
    assert (row["state"], row["batches"], row["batches_computed"], row["attempts"]) == ("computed", 3, 3, 1)
    assert row["seconds"] >= 0
    assert row["bytes"] > 0


def test_plans_say_what_changed(files, tmp_path):
    def text(asked):
        return str(plan(asked)).split("tasks\n")[1]

    assert text(fill(nanoaod_table(files))).count("miss: never computed") == 1
    run(fill(nanoaod_table(files)))
    assert "miss" not in text(fill(nanoaod_table(files)))
    changed = text(fill(nanoaod_table(files), cut=35.0))
    assert "miss: `events.Jet.pt > 30.0` became `events.Jet.pt > 35.0` at test_stored.py:" in changed
    assert "it takes the result of task 1" in changed
    assert "the axes or the storage of the histogram changed" in text(fill(nanoaod_table(files), bins=5))
    write(files[1], 98)
    assert "miss 1 of 3 batches: file 2 (part_1.root) was replaced" in text(fill(nanoaod_table(files)))
    files.append(write(tmp_path / "more.root", 9))
    assert "file 4 (more.root) was added" in text(fill(nanoaod_table(files)))


def test_a_cache_that_cannot_be_written_costs_time_only(files, environment, tmp_path):
    (tmp_path / "a file").write_text("")
    environment(HEP_FLOWS_CACHE=tmp_path / "a file" / "cache")
    with pytest.warns(ResultNotStored, match="cannot be written"):
        done = run(nanoaod_table(files).MET.pt.Sum(), on_error="raise")
    assert done.report.tasks[0].state == "computed"
    assert "cannot be written" in done.report.tasks[0].reason


def test_a_record_of_files_that_differ_has_what_all_of_them_have(tmp_path):
    one, other = tmp_path / "one.root", tmp_path / "other.root"
    for path, types in (
        (one, {"MET_pt": "float32", "MET_phi": "float32", "MET_sig": "float32"}),
        (other, {"MET_pt": "float32", "MET_phi": "float32"}),
    ):
        with uproot.recreate(path) as file:
            file.mktree("Events", types)
            file["Events"].extend({name: np.ones(3, np.float32) for name in types})
    alone = make_local(nanoaod_table(str(one)).MET)
    with pytest.warns(
        LeavesLeftOut, match=r"1 leaf is not in record MET: sig \(.*other\.root has no MET_sig, .*one\.root has it\)"
    ):
        both = make_local(nanoaod_table([str(one), str(other)]).MET)
    assert set(alone.fields) == {"pt", "phi", "sig"}
    assert set(both.fields) == {"pt", "phi"}
    assert len(both) == 6
    assert set(make_local(nanoaod_table(str(one)).MET).fields) == {"pt", "phi", "sig"}


def test_a_file_that_is_listed_twice_counts_twice(files):
    done = run(nanoaod_table([files[0], files[0]]).Count(), on_error="raise")
    assert done.values == 80
    assert (done.report.tasks[0].batches_computed, done.report.tasks[0].batches_cached) == (1, 1)


class NeverDivides(AwkwardPlugin):
    def partitions(self, dataset, chunk_events):
        raise AssertionError("the file is looked into, to divide it")


def test_big_files_are_stored_in_ranges(tmp_path, cache_folder):
    path = tmp_path / "big.root"
    half = BATCH_EVENTS // 2
    with uproot.recreate(path) as file:
        file.mktree("Events", {"MET_pt": "uint8"})
        for i in range(7):
            file["Events"].extend({"MET_pt": np.full(half, i, np.uint8)})
    events = nanoaod_table(str(path))
    first = run([events.MET.pt, events.MET.pt.Sum()], on_error="raise")
    assert np.array_equal(ak.to_numpy(first.values[0]), np.repeat(np.arange(7), half))
    assert [r.batches_computed for r in first.report.tasks] == [4, 4]
    new_process()
    asked = [events.MET.pt, events.MET.pt.Sum(), events.MET.pt.Max()]
    plugins = [NeverDivides(), HistPlugin()]
    made = make_plan(render(asked), plugins)
    _, report = run_and_report(made, plugins, store=Store(cache_folder))
    assert [r.state for r in report.tasks] == ["cached", "cached", "computed"]


def test_runs_keep_the_cache_within_its_limit_and_what_they_use(files, environment, cache_folder, capsys):
    events = nanoaod_table(files)
    first = run([events.Jet.pt, events.Jet.pt.Sum()], on_error="raise").values
    store = Store(cache_folder)
    old = {name for name, _ in sidecars(store.folder)}
    for name in old:
        os.utime(store.folder.sidecar(name), (1, 1))
    environment(HEP_FLOWS_CACHE_LIMIT="1kB")
    new_process()
    run([events.Jet.pt * 3.0, events.Jet.pt.Sum() * 2.0], on_error="raise")
    left = {name for name, _ in sidecars(store.folder)}
    assert left
    assert not old <= left
    assert "the cache keeps within cache_limit" in capsys.readouterr().err
    assert {r.state for r in run([events.Jet.pt * 3.0, events.Jet.pt.Sum() * 2.0]).report.tasks} == {"cached"}
    again = run([events.Jet.pt, events.Jet.pt.Sum()], on_error="raise").values
    assert again[0].to_list() == first[0].to_list()
    assert again[1].to_list() == first[1].to_list()


@pytest.mark.parametrize("setting", ["HEP_FLOWS_CACHE", "HEP_FLOWS_CACHE_LAYERS"])
def test_an_address_is_no_folder_of_a_cache(files, environment, tmp_path, work_in, setting):
    work_in(tmp_path)
    environment(**{setting: "s3://bucket/cache"})
    with pytest.raises(HepFlowsError, match="has no usable value") as caught:
        run(nanoaod_table(files).Count())
    assert "not an address" in caught.value.why
    assert not (tmp_path / "s3:").exists()
