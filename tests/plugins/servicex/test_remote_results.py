"""What a remote endpoint delivers when the server does what it should."""

from __future__ import annotations

import threading
from pathlib import Path

import awkward as ak
import pytest

from hep_flows.plugins.servicex.query import Query, Watch
from plugins.servicex.bare_client import bare_client
from plugins.servicex.remote_runs import DATASET, OPEN_DATA, QASTLE, QUERY, collect, object_of
from servicex_sim.faults import FileFault
from servicex_sim.work import Datasets


@pytest.mark.parametrize("capabilities", [("poll_local_transformation_results",), ()], ids=["results", "bucket"])
def test_every_file_of_a_list_comes_once_and_right(start, ask, names, right, capabilities):
    sim = start(capabilities=capabilities)
    came = ask(sim, names)
    right(came, names)
    assert not came.errors
    assert came.refused is None
    assert len(sim.submits()) == 1
    assert {i.request_id for i in came.items} == set(sim.statuses())


@pytest.mark.parametrize("capabilities", [("poll_local_transformation_results",), ()], ids=["results", "bucket"])
def test_a_dataset_gives_the_files_that_the_server_knows(start, ask, names, jets, capabilities):
    sim = start(capabilities=capabilities)
    came = ask(sim, [DATASET])
    assert came.refused is None
    assert not came.errors
    assert sorted(came.results) == sorted(map(object_of, names))
    assert all(ak.array_equal(came.results[object_of(n)], jets[n][1]) for n in names)
    assert came.progress[-1] == (6, 0, 6)


def test_datasets_and_files_can_be_asked_for_together(sim, ask, names):
    came = ask(sim, [OPEN_DATA, names[3], DATASET])
    assert came.refused is None
    assert not came.errors
    assert sorted([(i.dataset, i.file) for i in came.items]) == sorted(
        [("", names[3]), *[(OPEN_DATA, object_of(n)) for n in names[:2]], *[(DATASET, object_of(n)) for n in names]]
    )


def test_a_file_that_is_named_twice_comes_once_and_the_callers_list_stays(sim, ask, names, right):
    files = [names[2], names[0], names[2], names[1]]
    before = list(files)
    right(ask(sim, files), names[:3])
    assert files == before
    (call,) = sim.submits()
    assert call.body.count(b"part2.root") == 1


def test_files_whose_results_would_have_one_name_are_not_mixed_up(start, ask, jets, names):
    paths = {
        "root://a//x/y.root": jets[names[0]][0],
        "root://a//x:y.root": jets[names[1]][0],
        "root://a//x_y.root": jets[names[2]][0],
    }
    came = ask(start(datasets=Datasets(paths, {})), list(paths))
    assert {f: len(v) for f, v in came.results.items()} == dict(zip(paths, [50, 60, 70], strict=True))


def test_a_file_with_a_very_long_name_is_recognised(start, ask, jets, names):
    paths = {f"root://a//{letter * 300}.root": jets[names[i]][0] for i, letter in enumerate("xyz")}
    came = ask(start(datasets=Datasets(paths, {})), list(paths))
    assert {f: len(v) for f, v in came.results.items()} == dict(zip(paths, [50, 60, 70], strict=True))


def test_many_files_become_requests_of_a_few(sim, ask, names, right):
    right(ask(sim, names, chunk_files=4), names)
    assert sorted([c.body.count(b"part") for c in sim.submits()]) == [2, 4]


def test_no_more_requests_are_open_than_allowed(sim, ask, names, right):
    open_requests = []

    def note(*_counts) -> None:
        open_requests.append(sum([s == "Running" for s in sim.statuses().values()]))

    sim.fail(*[FileFault("slow", n, seconds=0.2) for n in names])
    right(ask(sim, names, watch=Watch(progress=note), chunk_files=1, requests=2), names)
    assert max(open_requests) <= 2
    assert len(sim.submits()) == 6


def test_results_come_while_others_are_still_made_and_in_order_of_completion(sim, endpoint, names, scratch):
    sim.fail(FileFault("held", names[0]), FileFault("held", names[1]))
    order = []
    for item in endpoint(sim).run(QUERY, names[:3], str(scratch), Watch()):
        order.append(item.file)
        if len(order) < 3:
            assert list(sim.statuses().values()) == ["Running"]
            sim.let_go(names[2 - len(order)])
    assert order == [names[2], names[1], names[0]]


def test_a_file_without_events_that_pass_has_a_result_without_rows(sim, ask, names, right):
    none = "(call Where (call EventDataset 'bogus.root' 'Events') (lambda (list e) (> (call Count (attr e 'Jet_pt')) 1000)))"
    text = QASTLE.replace("(call EventDataset 'bogus.root' 'Events')", none)
    came = ask(sim, names[:1], query=Query(text, "uproot", ("pt",), tree="Events"))
    assert len(came.results[names[0]]) == 0


def test_progress_counts_up_to_all(sim, ask, names):
    came = ask(sim, names)
    assert came.progress == [(i, 0, 6) for i in range(1, 7)]


def test_a_result_that_is_announced_twice_comes_once(start, ask, names, right):
    sim = start()
    sim.fail(FileFault("twice", times=3))
    right(ask(sim, names), names)


def test_the_result_of_a_single_file_may_have_any_name(sim, ask, names, right):
    sim.fail(FileFault("other name", names[4]))
    right(ask(sim, names[4:5]), names[4:5])


def test_results_with_names_that_tell_nothing_are_asked_for_again_one_by_one(sim, ask, names, right):
    sim.fail(FileFault("other name", times=4))
    right(ask(sim, names[:2], chunk_files=2, attempts=2), names[:2])
    assert [c.body.count(b"part") for c in sim.submits()] == [2, 1, 1]


def test_queries_of_several_threads_share_one_loop(sim, endpoint, names, right, scratch):
    came = []
    one = endpoint(sim)
    workers = [threading.Thread(target=lambda n=n: came.append((n, collect(one, [n], scratch)))) for n in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [t.name for t in threading.enumerate()].count("servicex") == 1
    assert len(came) == 6
    for name, part in came:
        right(part, [name])


def test_what_was_handed_over_stays_and_nothing_else(sim, ask, names, scratch):
    sim.fail(FileFault("damaged", names[1], times=2))
    came = ask(sim, names[:3], attempts=1)
    left = [str(p) for p in scratch.rglob("*") if p.is_file()]
    assert sorted(left) == sorted([i.path for i in came.items if i.file != names[1]])
    assert all(ak.from_parquet(p)["pt"].ndim == 2 for p in left)


def test_the_server_tells_its_version_and_code_generators(sim, endpoint):
    info = endpoint(sim).info()
    assert info.app_version == "simulator"
    assert list(info.code_generators) == ["uproot"]


def test_the_answers_of_the_clients_own_cache_are_never_used(sim, endpoint, names, scratch, tmp_path, right):
    one = endpoint(sim)
    (path,) = bare_client(one.address.config_file, names[:1])
    assert path.startswith(str(tmp_path / "client-cache"))
    Path(path).write_bytes(b"not what the server said")
    right(collect(one, names[:1], scratch), names[:1])
    assert len(sim.submits()) == 2


def test_nothing_is_written_to_the_clients_cache(sim, ask, names, tmp_path):
    ask(sim, names[:1])
    assert not (tmp_path / "client-cache").exists()
