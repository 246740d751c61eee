"""What goes wrong at a server, through whole runs: what was delivered is kept, the rest is asked for again, nothing partial is a result."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from grid.servers import TOKEN, analysis, check, n_delivered, run_in_time
from grid.store_files import DATASET, EMPTY
from hep_flows.errors import HepFlowsError
from hep_flows.execute.report import Missing
from hep_flows.plugins.servicex.addresses import RemoteSettings
from plugins.servicex.remote_runs import looked_again, requests_stand_still
from servicex_sim.faults import ALWAYS, FileFault, HttpFault, RequestFault

TRANSFORMATION = "/servicex/transformation"


@dataclass(frozen=True)
class Case:
    """A fault that passes: how often files are asked for more than once, and settings that matter."""

    title: str
    faults: tuple[Any, ...]
    again: tuple[int, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


PASSING = [
    Case(
        "files fail in six ways",
        (
            FileFault("other name", "*part0*"),
            FileFault("missing", "*part1*"),
            FileFault("fails", "*part2*", times=2),
            FileFault("truncated", "*part3*"),
            FileFault("wrong size", "*part4*"),
            FileFault("damaged", "*part5*"),
        ),
        (0, 1, 2, 2, 3, 4, 5),
    ),
    Case("a result is announced twice, and a file is slow", (FileFault("twice", "*part3*"), FileFault("slow", "*part0*"))),
    Case("the request is fatal", (RequestFault("Fatal", after_files=2),), (2, 3, 4, 5)),
    Case("the request stands still", (RequestFault("hangs", after_files=4),), (4, 5), {"stall_s": 60}),
    Case("the counts never close", (RequestFault("never closes"),)),
    Case("the request is complete without files", (RequestFault("no files"),), (0, 1, 2, 3, 4, 5)),
    Case("the server forgets the request", (RequestFault("forgotten"),), (0, 1, 2, 3, 4, 5)),
    Case(
        "calls are not answered as they should",
        (
            HttpFault("POST", TRANSFORMATION, 503),
            HttpFault("POST", TRANSFORMATION, 500),
            HttpFault("GET", TRANSFORMATION + "/*", 0),
            HttpFault("GET", TRANSFORMATION + "/*", 401, after=1),
        ),
    ),
]


@pytest.mark.parametrize("case", PASSING, ids=lambda c: c.title)
def test_a_fault_that_passes_changes_no_number_and_only_what_is_missing_is_asked_for_again(grid, case, clock, cache_folder):
    grid.set_up(**case.settings)
    grid.sim.fail(*case.faults)
    stands_still = looked_again(grid.sim, since=lambda: n_delivered(cache_folder) == 4)
    with clock.skips(61, when=stands_still) if case.settings else nullcontext():
        done = run_in_time(analysis(grid.table()))
    assert not done.report.errors, done.report
    check(done.values, grid.store)
    assert {r.state for r in done.report.tasks} == {"computed"}
    sent = [r.attempts for r in done.report.tasks if r.plugin == "servicex"]
    assert set(sent) == {1 + max(Counter(case.again).values(), default=0)}
    assert sorted(grid.asked_for()[0]) == grid.store.names
    assert grid.files_asked_for(since=1) == [grid.store.names[i] for i in case.again]
    assert "Running" not in grid.sim.statuses().values()


EVERY = [0, 1, 2, 3, 4, 5]
LASTING = [
    (
        (
            FileFault("fails", "*part1*", times=ALWAYS),
            FileFault("missing", "*part2*", times=ALWAYS),
            FileFault("truncated", "*part3*", times=ALWAYS),
            FileFault("other columns", "*part5*", times=ALWAYS),
        ),
        [1, 2, 3, 5],
        ["1 failed", "stopped with exit code 1", "Complete", "it has no column", "something else"],
        {},
    ),
    ((RequestFault("Canceled", after_files=4),), [4, 5], ["it was cancelled at the server"], {}),
    ((RequestFault("Fatal", times=ALWAYS),), EVERY, ["Fatal", "log: "], {}),
    ((RequestFault("hangs", times=ALWAYS),), EVERY, ["nothing has changed for", "Running"], {"stall_s": 60}),
]


@pytest.mark.parametrize(("faults", "lost", "words", "settings"), LASTING, ids=["files", "Canceled", "Fatal", "hangs"])
def test_a_fault_that_lasts_is_an_error_with_its_reason_and_a_rerun_asks_for_what_was_lost(
    grid, faults, lost, words, settings, clock
):
    grid.set_up(attempts=2, **settings)
    grid.sim.fail(*faults)
    with requests_stand_still(clock, grid.sim, "Running", 61, times=2) if settings else nullcontext():
        done = run_in_time(analysis(grid.table()))
    assert not done.is_complete
    assert all(isinstance(v, Missing) for v in done.values.values()), done.values
    for row in done.report.tasks:
        expect_failure(row, grid, lost, words)
    assert {e.where.file for e in done.report.errors if e.where} == {analysis.__code__.co_filename}
    assert "Running" not in grid.sim.statuses().values()
    before = len(grid.sim.submits())
    grid.sim.faults.clear()
    grid.set_up()
    again = run_in_time(analysis(grid.table()))
    check(again.values, grid.store)
    assert grid.files_asked_for(since=before) == [grid.store.names[i] for i in lost]
    n_kept = 6 - len(lost)
    assert {(r.state, r.batches_computed, r.batches_cached) for r in again.report.tasks} == {
        ("computed", len(lost), n_kept),
        ("computed", len(lost), 0),  # what the sum takes: where the sum is stored, it is not looked at
    }


def expect_failure(row, grid, lost, words):
    assert row.state == "failed"
    for word in words:
        assert word in row.reason
    assert [i for i in EVERY if grid.store.names[i] in row.reason] == lost
    assert any(i in row.reason for i in grid.sim.statuses())
    assert TOKEN not in row.reason


DATASETS_THAT_FAIL = [
    (FileFault("fails", "*part2*", times=ALWAYS), ["1 failed", "stopped with exit code 1"]),
    (FileFault("damaged", "*part0*", times=ALWAYS), ["part0.root", "no Parquet file"]),
    (RequestFault("Bad Dataset", times=ALWAYS), ["the look-up of the dataset failed"]),
    (RequestFault("Fatal", after_files=1, times=ALWAYS), ["Fatal"]),
    (RequestFault("Canceled", after_files=3), ["it was cancelled at the server"]),
    (RequestFault("never closes", times=ALWAYS), ["7 files are counted as done, and 6 results are there"]),
    (RequestFault("endless look-up", times=ALWAYS), ["nothing has changed for", "Lookup"]),
]


@pytest.mark.parametrize(("fault", "words"), DATASETS_THAT_FAIL, ids=lambda p: getattr(p, "kind", None))
def test_a_part_of_a_dataset_is_never_taken_for_all_of_it(grid, fault, words, clock):
    stands_still = "look-up" in fault.kind
    grid.set_up(attempts=2, **({"stall_s": 60} if stands_still else {}))
    grid.sim.fail(fault)
    with requests_stand_still(clock, grid.sim, "Lookup", 61, times=2) if stands_still else nullcontext():
        done = run_in_time(analysis(grid.table(DATASET)))
    assert all(isinstance(v, Missing) for v in done.values.values()), done.values
    reasons = "\n".join([r.reason for r in done.report.tasks if r.state == "failed"])
    for word in [DATASET, "request ", *words]:
        assert word in reasons
    before = len(grid.sim.submits())
    grid.sim.faults.clear()
    grid.set_up()
    check(run_in_time(analysis(grid.table(DATASET))).values, grid.store)
    assert grid.asked_for(since=before) == [[DATASET]]


def test_of_a_dataset_the_missing_file_alone_is_asked_for_again(grid):
    grid.sim.fail(FileFault("fails", "*part2*"))
    check(run_in_time(analysis(grid.table(DATASET))).values, grid.store)
    assert grid.asked_for() == [[DATASET], [grid.store.names[2]]]


@pytest.mark.parametrize(
    ("source", "words"),
    [("rucio://user.somebody:misspelt", "the dataset does not exist"), (EMPTY, "the dataset has no files")],
)
def test_a_dataset_without_files_is_an_error_after_one_request(grid, source, words):
    with pytest.raises(HepFlowsError, match=words) as caught:
        run_in_time(analysis(grid.table(source)), on_error="raise")
    assert source in str(caught.value)
    assert caught.value.where.file == analysis.__code__.co_filename
    assert len(grid.sim.submits()) == 1


def test_a_server_that_fails_every_submission_is_one_clear_error(grid):
    grid.sim.fail(HttpFault("POST", TRANSFORMATION, 503, times=ALWAYS))
    with pytest.raises(HepFlowsError, match="servicex simulator failed") as caught:
        run_in_time(analysis(grid.table()), on_error="raise")
    assert "503" in str(caught.value)
    assert "what was delivered is stored" in caught.value.do
    assert grid.sim.url in str(caught.value)
    assert not grid.sim.submits()


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 3), (0.5, 1)], ids=["at once", "after a while"])
def test_a_server_that_cannot_say_what_it_is_is_not_waited_for_again_and_again(grid, seconds, calls, monkeypatch):
    monkeypatch.setattr(RemoteSettings, "wait_s", lambda *_: 0.05)
    grid.set_up(backoff_s=0.05 if seconds else 60)  # a call that took twice as long is not made again
    grid.sim.fail(HttpFault("GET", "/servicex", 500, times=ALWAYS, delay_s=seconds))
    with pytest.raises(HepFlowsError, match="asked about itself"):
        run_in_time(grid.table().Jet.pt, on_error="raise")
    assert len(grid.sim.calls("GET", "/servicex")) == calls


def test_a_server_that_is_down_is_one_clear_error_and_what_is_stored_needs_no_server(grid):
    check(run_in_time(analysis(grid.table())).values, grid.store)
    grid.sim.stop()
    check(run_in_time(analysis(grid.table())).values, grid.store)
    with pytest.raises(HepFlowsError, match="servicex simulator failed") as caught:
        run_in_time(grid.table().Jet.pt, on_error="raise")
    assert grid.sim.url in str(caught.value)


def test_a_code_generator_that_the_server_lacks_is_named_beside_those_that_it_has(grid):
    grid.set_up(code_generators={"uproot": "uproot-next"})
    with pytest.raises(HepFlowsError, match="has no code generator uproot-next; it has: uproot"):
        run_in_time(analysis(grid.table()), on_error="raise")
    assert not grid.sim.submits()


def test_a_deadline_ends_everything_and_keeps_what_came(grid, clock, cache_folder):
    grid.set_up(deadline_s=600)
    grid.sim.fail(FileFault("held", "*part3*"))
    with clock.skips(600, when=lambda: n_delivered(cache_folder) == 5):
        done = run_in_time(analysis(grid.table()))
    reasons = "\n".join([r.reason for r in done.report.tasks])
    assert "no result within 600 s: 1 of 6 missing" in reasons
    assert len(grid.sim.cancelled()) == 1
    grid.sim.let_go()
    check(run_in_time(analysis(grid.table())).values, grid.store)
    assert grid.asked_for()[1:] == [[grid.store.names[3]]]


def test_a_name_that_stands_twice_in_a_list_is_read_twice_and_asked_for_once(grid):
    names = [grid.store.names[i] for i in (1, 0, 1)]
    done = run_in_time(analysis(grid.table(list(names))))
    check(done.values, grid.store, names)
    assert grid.files_asked_for() == sorted(set(names))
    assert names == [grid.store.names[i] for i in (1, 0, 1)]


def test_results_come_in_the_order_of_the_list_whatever_comes_first(grid):
    names = grid.store.names[::-1]
    grid.sim.fail(FileFault("slow", "*part5*"), FileFault("slow", "*part3*", seconds=1))
    check(run_in_time(analysis(grid.table(names))).values, grid.store, names)
