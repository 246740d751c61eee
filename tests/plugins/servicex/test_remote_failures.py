"""What a remote endpoint makes of requests and files that fail at the server: the right files, the right errors, never a part as the whole."""

from __future__ import annotations

import json

import awkward as ak
import pytest

from hep_flows.plugins.servicex.query import Query, Watch
from plugins.servicex.remote_runs import DATASET, EMPTY, QASTLE, QUERY, looked_again, object_of
from servicex_sim.faults import ALWAYS, FileFault, HttpFault, RequestFault


def _asked_for(sim) -> list[object]:
    bodies = [json.loads(c.body) for c in sim.submits()]
    return [b.get("did") or b["file-list"] for b in bodies]


def _complete(came, jets, names) -> None:
    assert came.refused is None
    assert not came.errors
    assert sorted(came.results) == sorted(map(object_of, names))
    assert all(ak.array_equal(came.results[object_of(n)], jets[n][1]) for n in names)


def test_only_the_file_that_failed_is_asked_for_again(sim, ask, names, right):
    sim.fail(FileFault("fails", names[3]))
    came = ask(sim, names)
    right(came, names)
    assert not came.errors
    assert _asked_for(sim) == [names, [names[3]]]


def test_a_file_that_always_fails_is_an_error_beside_the_others(sim, ask, names, right):
    sim.fail(FileFault("fails", names[3], times=ALWAYS))
    came = ask(sim, names)
    right(came, [n for n in names if n != names[3]])
    assert list(came.errors) == [names[3]]
    error = came.errors[names[3]]
    assert not error.transient
    last = list(sim.statuses())[-1]
    for part in (names[3], last, sim.url, "Complete", "1 failed", f"{sim.url}/logs", "exit code 1"):
        assert part in error.text, error.text
    assert _asked_for(sim) == [names, [names[3]], [names[3]]]
    assert came.progress[-1] == (5, 1, 6)


def test_when_all_fail_every_file_is_an_error(sim, ask, names):
    sim.fail(FileFault("fails", times=ALWAYS))
    came = ask(sim, names[:2], attempts=2)
    assert not came.results
    assert sorted(came.errors) == names[:2]


def test_a_column_that_is_not_there_fails_with_the_words_of_the_server(sim, ask, names):
    query = Query(QASTLE.replace("Jet_pt", "Jet_pretty"), "uproot", ("pt",), tree="Events")
    came = ask(sim, names[:1], query=query, attempts=1)
    assert "Jet_pretty" in came.errors[names[0]].text


def test_what_came_before_a_fatal_error_is_kept(sim, ask, names, right):
    sim.fail(RequestFault("Fatal", after_files=2))
    came = ask(sim, names)
    right(came, names)
    assert _asked_for(sim) == [names, names[2:]]


def test_a_request_that_is_always_fatal_is_an_error_for_every_file(sim, ask, names):
    sim.fail(RequestFault("Fatal", times=ALWAYS))
    came = ask(sim, names[:2], attempts=2)
    assert not came.results
    assert sorted(came.errors) == names[:2]
    assert all("Fatal" in e.text and sim.url in e.text for e in came.errors.values())


def test_a_request_that_somebody_cancelled_is_not_made_again(sim, ask, names, right):
    sim.fail(RequestFault("Canceled", after_files=1))
    came = ask(sim, names[:3])
    right(came, names[:1])
    assert sorted(came.errors) == names[1:3]
    assert all("cancelled at the server" in e.text and not e.transient for e in came.errors.values())
    assert len(sim.submits()) == 1


def test_a_dataset_that_does_not_exist_is_an_error_at_once(sim, ask):
    came = ask(sim, ["rucio://user.somebody:no-such-thing"])
    error = came.errors["rucio://user.somebody:no-such-thing"]
    assert "the dataset does not exist" in error.text
    assert "Bad Dataset" in error.text
    assert not error.transient
    assert len(sim.submits()) == 1


def test_a_look_up_that_failed_at_the_server_is_tried_again(sim, ask, names, jets):
    sim.fail(RequestFault("Bad Dataset"))
    _complete(ask(sim, [DATASET]), jets, names)
    assert _asked_for(sim) == [DATASET, DATASET]


def test_a_dataset_without_files_is_an_error(sim, ask):
    came = ask(sim, [EMPTY])
    assert not came.results
    assert "the dataset has no files" in came.errors[EMPTY].text
    assert not came.errors[EMPTY].transient
    assert len(sim.submits()) == 1


def test_a_list_that_is_complete_with_no_files_is_asked_for_again(sim, ask, names, right):
    sim.fail(RequestFault("no files"))
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 2


def test_of_a_dataset_only_the_files_that_failed_are_asked_for_again(sim, ask, names, jets):
    sim.fail(FileFault("fails", names[1]), FileFault("fails", names[4]))
    _complete(ask(sim, [DATASET]), jets, names)
    assert _asked_for(sim) == [DATASET, [names[1], names[4]]]


def test_a_dataset_is_asked_for_again_where_the_server_does_not_tell_its_files(sim, ask, names, jets):
    sim.fail(FileFault("fails", names[1]), HttpFault("GET", "/servicex/datasets/*", 404, times=ALWAYS))
    came = ask(sim, [DATASET])
    _complete(came, jets, names)
    assert len(came.items) == 6
    assert _asked_for(sim) == [DATASET, DATASET]


def test_a_dataset_with_a_file_that_always_fails_has_one_error_and_the_other_results(sim, ask, names):
    sim.fail(FileFault("fails", names[1], times=ALWAYS), FileFault("fails", names[2], times=ALWAYS))
    came = ask(sim, [DATASET])
    assert sorted(came.results) == sorted([object_of(n) for n in (names[0], *names[3:])])
    assert list(came.errors) == [DATASET]


def test_a_dataset_whose_second_request_names_its_results_otherwise_is_an_error(sim, ask, names):
    hidden = HttpFault("GET", "/servicex/datasets/*", 404, times=ALWAYS)
    sim.fail(FileFault("fails", names[1]), FileFault("other name", names[2]), hidden)
    came = ask(sim, [DATASET])
    assert "may have come twice" in came.errors[DATASET].text


def test_results_that_cannot_be_fetched_or_opened_are_made_again(sim, ask, names, right):
    kinds = ["missing", "truncated", "wrong size", "damaged"]
    sim.fail(*[FileFault(kind, name) for kind, name in zip(kinds, names, strict=False)])
    came = ask(sim, names)
    right(came, names)
    assert not came.errors
    assert _asked_for(sim) == [names, names[:4]]


def test_each_result_that_cannot_be_used_says_why(sim, ask, names, right):
    kinds = ["missing", "truncated", "wrong size", "damaged", "other columns"]
    sim.fail(*[FileFault(kind, name) for kind, name in zip(kinds, names, strict=False)])
    came = ask(sim, names, attempts=1, chunk_files=1)
    right(came, names[5:])
    texts = [came.errors[n].text for n in names[:5]]
    assert all("could not be fetched" in t for t in texts[:3]), texts
    assert "it is no Parquet file" in texts[3]
    assert "it has no column pt, but something else" in texts[4]
    assert [came.errors[n].transient for n in names[:5]] == [True, True, True, True, False]


def test_a_result_without_the_columns_is_not_made_again(sim, ask, names):
    sim.fail(FileFault("other columns", names[0], times=ALWAYS))
    came = ask(sim, names[:1])
    assert list(came.errors) == names[:1]
    assert len(sim.submits()) == 1


def test_a_dataset_whose_result_is_missing_is_not_complete(sim, ask, names):
    sim.fail(FileFault("missing", names[5], times=ALWAYS))
    came = ask(sim, [DATASET], attempts=1)
    assert sorted(came.results) == sorted(map(object_of, names[:5]))
    assert came.errors[DATASET].transient


def test_a_request_that_does_not_move_is_cancelled_and_made_again(sim, ask, names, right, clock):
    sim.fail(RequestFault("hangs", after_files=1))
    done = []
    with clock.skips(61, when=looked_again(sim, since=lambda: bool(done))):
        came = ask(sim, names[:3], watch=Watch(progress=lambda *counts: done.append(counts)), stall_s=60)
    right(came, names[:3])
    assert _asked_for(sim) == [names[:3], names[1:3]]
    assert sim.cancelled() == (next(iter(sim.statuses())),)


@pytest.mark.parametrize("kind", ["hangs", "endless look-up"])
def test_requests_that_never_move_are_all_cancelled_and_an_error(sim, ask, kind):
    sim.fail(RequestFault(kind, times=ALWAYS))
    came = ask(sim, [DATASET], attempts=2, stall_s=0.5)
    assert "nothing has changed for" in came.errors[DATASET].text
    assert came.errors[DATASET].transient
    assert not came.results
    assert set(sim.cancelled()) == set(sim.statuses())
    assert len(sim.submits()) == 2


def test_a_slow_server_is_not_a_stuck_one(sim, ask, names, right, clock):
    sim.fail(*[FileFault("held", n) for n in names[1:4]])

    def next_one(done, *_):
        clock.skip(50)
        sim.let_go(names[done])

    right(ask(sim, names[:4], watch=Watch(progress=next_one), stall_s=120), names[:4])
    assert len(sim.submits()) == 1


def test_a_dataset_whose_counts_never_close_is_an_error(sim, ask, names):
    sim.fail(RequestFault("never closes", times=ALWAYS))
    came = ask(sim, [DATASET], attempts=2)
    assert "7 files are counted as done, and 6 results are there" in came.errors[DATASET].text
    assert len(came.results) == 6


def test_a_list_is_complete_when_all_of_it_has_come_whatever_is_counted(sim, ask, names, right):
    sim.fail(RequestFault("never closes"))
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 1


def test_a_request_that_the_server_forgot_is_made_again(sim, ask, names, right):
    sim.fail(RequestFault("forgotten"), FileFault("held", names[0]))
    right(ask(sim, names[:2]), names[:2])
    assert len(sim.submits()) == 2


def test_after_a_restart_of_the_server_what_is_missing_is_asked_for_again(sim, endpoint, names, scratch):
    sim.fail(FileFault("held", names[1]))
    came = []
    for item in endpoint(sim).run(QUERY, names[:2], str(scratch), Watch()):
        came.append(item.file)
        if len(came) == 1:
            sim.restart()
    assert came == names[:2]
    assert _asked_for(sim) == [names[:2], [names[1]]]
