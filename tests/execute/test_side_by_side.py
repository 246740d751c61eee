"""Datasets run side by side; what comes of them does not depend on how many threads there are, nor on which was done first."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import replace

import pytest

from execute.event_files import new_process, write
from hep_flows import Histogram, nanoaod_table, render, run, user_func
from hep_flows.contract import RunContext
from hep_flows.errors import TaskError
from hep_flows.execute.run import run_and_report
from hep_flows.in_order import Stopped
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.store.store import Store
from tiny_plugin import TinyPlugin, tiny_events, tiny_table

WAIT_S = 120


@user_func
def not_too_large(x: float) -> float:
    if x > 130:
        raise ValueError(f"{x:.0f} is too large")
    return float(x)


@pytest.fixture
def datasets(tmp_path):
    """Give five datasets of one to three files; the largest values are in the second and the fourth."""
    sizes = [3, 1, 2, 1, 3]
    return [[write(tmp_path / f"set_{s}_{i}.root", 10 * s + i, n=60) for i in range(n)] for s, n in enumerate(sizes)]


def asked(datasets):
    found = {}
    for number, files in enumerate(datasets):
        events = nanoaod_table(files)
        jets = events.Jet[events.Jet.pt > 30]
        found[f"set_{number}"] = {
            "filled": Histogram.new.Reg(20, 0, 200, name="pt").Weight().fill(pt=jets.pt, weight=1 / events.Count()),
            "total": events.MET.pt.Sum() / 3,
            "columns": jets.pt * 0.1,
            "first": events.MET.pt[:5],
        }
    return found


def careful(datasets):
    return [not_too_large(nanoaod_table(files).MET.pt).Sum() for files in datasets]


def plain(value):
    """Give values as something that can be compared to the bit."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if hasattr(value, "to_list"):
        return value.to_list()
    return value.view(flow=True).tobytes() if hasattr(value, "view") else value


def told(report):
    """Give a report without the times in it, and without the bytes of files that times are written in."""
    rows = [replace(r, seconds=0.0, bytes=0) for r in report.tasks]
    return rows, [str(e) for e in report.errors], report.events, report.partitions, [(s.plugin, s.tasks) for s in report.stages]


@pytest.fixture
def with_workers(tmp_path, environment):
    """Give a run with an empty cache and that many threads."""

    def ran(exprs, workers, **options):
        environment(HEP_FLOWS_CACHE=tempfile.mkdtemp(prefix="cache", dir=tmp_path))
        new_process()
        return run(exprs, engine="inline", workers=workers, **options)

    return ran


def test_values_and_reports_are_the_same_with_any_number_of_threads(datasets, with_workers):
    exprs = asked(datasets)
    done = {n: with_workers(exprs, n, on_error="raise") for n in (1, 2, 4)}
    assert plain(done[2].values) == plain(done[1].values)
    assert plain(done[4].values) == plain(done[1].values)
    assert told(done[2].report) == told(done[1].report)
    assert told(done[4].report) == told(done[1].report)
    assert {r.state for r in done[1].report.tasks} == {"computed"}


def test_a_dataset_that_fails_leaves_the_others_and_the_report_is_the_same(datasets, with_workers):
    exprs = careful(datasets)
    largest = [max(run(nanoaod_table(files).MET.pt).values) for files in datasets]
    fails = [n > 130 for n in largest]
    assert 0 < sum(fails) < len(datasets), "some of the datasets have events that are too large"
    done = {n: with_workers(exprs, n) for n in (1, 2, 4)}
    for one in done.values():
        assert [r.state == "failed" for r in one.report.tasks] == fails
        assert [isinstance(v, float) for v in one.values] == [not f for f in fails]
        assert [v for v in one.values if isinstance(v, float)] == [v for v in done[1].values if isinstance(v, float)]
        assert told(one.report) == told(done[1].report)


def test_the_first_error_in_the_order_of_the_datasets_ends_the_run(datasets, with_workers):
    errors = []
    for workers in (1, 2, 4):
        with pytest.raises(TaskError) as caught:
            with_workers(careful(datasets), workers, on_error="raise")
        errors.append(caught.value)
    assert len({str(e) for e in errors}) == 1
    assert told(errors[1].report) == told(errors[0].report)
    assert told(errors[2].report) == told(errors[0].report)


class Meeting(TinyPlugin):
    """Goes on only when that many calls have come together."""

    def __init__(self, events, barrier):
        super().__init__(events)
        self.barrier = barrier

    def run(self, programs, inputs, context):
        self.barrier.wait(WAIT_S)
        return super().run(programs, inputs, context)


class Counting(TinyPlugin):
    """Counts how many calls are in flight at a time."""

    def __init__(self, events):
        super().__init__(events)
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def run(self, programs, inputs, context):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        with self.lock:
            self.now -= 1
        return super().run(programs, inputs, context)


def values(result):
    if result is None:
        return None
    return result.array.to_list() if hasattr(result, "array") else result.value


def tiny(plugin, names, **options):
    plugins = [plugin, HistPlugin()]
    plan = make_plan([render(tiny_table(n).x.Sum()) for n in names], plugins)
    results, report = run_and_report(plan, plugins, **options)
    return [values(results.get(k)) for k in plan.targets], report


NAMES = [f"table_{i}" for i in range(6)]


def tables(n=50):
    return {name: tiny_events(n, seed) for seed, name in enumerate(NAMES)}


def test_two_datasets_are_in_flight_at_once():
    events = tables()
    got, _ = tiny(Meeting(events, threading.Barrier(2)), NAMES, workers=2)
    assert got == pytest.approx([sum(events[n].x.to_list()) for n in NAMES])


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_partitions_are_in_flight_than_there_are_workers(workers):
    plugin = Counting(tables(100))
    tiny(plugin, NAMES, workers=workers, chunk_events=10)
    assert len(plugin.calls) == 60
    assert plugin.most == workers


@pytest.mark.parametrize("workers", [2, 4])
def test_tasks_that_are_tried_alone_take_no_more_workers(workers):
    class Failing(Counting):
        def run(self, programs, inputs, context):
            found = super().run(programs, inputs, context)
            if len(programs) > 1:
                raise ValueError("not together")
            return found

    plugin = Failing(tables(60))
    plugins = [plugin, HistPlugin()]
    plan = make_plan([render(e) for n in NAMES for e in (tiny_table(n).x.Sum(), tiny_table(n).k.Sum())], plugins)
    results, report = run_and_report(plan, plugins, workers=workers, chunk_events=10, keep_going=True)
    assert len(results) == 12
    assert not report.errors
    assert plugin.most <= workers


def test_progress_is_told_in_order_in_the_thread_of_the_run():
    seen, threads = {}, set()
    for workers in (1, 4):
        steps = seen[workers] = []

        def progress(step, steps=steps):
            threads.add(threading.get_ident())
            steps.append((step.table, step.partitions_done, step.events_done))

        tiny(TinyPlugin(tables(60)), NAMES, workers=workers, chunk_events=20, progress=progress)
    assert seen[4] == seen[1]
    assert threads == {threading.get_ident()}


def test_an_interrupt_stops_all_datasets_and_leaves_no_thread_behind():
    before = set(threading.enumerate())
    plugin = Counting(tables(500))

    def progress(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(plugin, NAMES, workers=2, chunk_events=10, progress=progress)
    end = time.monotonic() + WAIT_S
    while set(threading.enumerate()) - before:
        assert time.monotonic() < end, "threads are left"
        time.sleep(0.01)
    assert len(plugin.calls) < 300, "what nobody wants any more is not computed"


def test_a_cancelled_run_stops_all_datasets():
    plugin = Counting(tables(500))
    with pytest.raises(Stopped):
        tiny(plugin, NAMES, workers=2, chunk_events=10, cancelled=lambda: len(plugin.calls) > 4)
    assert len(plugin.calls) < 20


class Server(AwkwardPlugin):
    """Delivers only when all datasets have been asked for."""

    def __init__(self, barrier, refuses=""):
        super().__init__()
        self.barrier, self.refuses = barrier, refuses

    def streams(self, dataset):
        return True

    def stream(self, programs, partitions, context):
        self.barrier.wait(WAIT_S)
        for part in partitions:
            if self.refuses and self.refuses in part.file:
                yield part, TaskError(f"{part.file} is refused")
            else:
                yield part, super().run(programs, {}, RunContext(partition=part))


def streamed(datasets, server, store, **options):
    plugins = [server, HistPlugin()]
    plan = make_plan(normalise([render(nanoaod_table(files).MET.pt) for files in datasets]), plugins)
    results, report = run_and_report(plan, plugins, store=store, **options)
    return [values(results.get(k)) for k in plan.targets], report


def test_several_datasets_are_asked_for_at_once(datasets, tmp_path):
    some = datasets[:4]
    want, plain_report = streamed(some, Server(threading.Barrier(1)), Store(tmp_path / "one"), workers=1)
    got, report = streamed(some, Server(threading.Barrier(2)), Store(tmp_path / "two"), workers=2)
    assert got == want
    assert told(report) == told(plain_report)


def test_a_dataset_that_a_server_refuses_leaves_the_others(datasets, tmp_path):
    some = datasets[:4]
    told_by = []
    for workers in (1, 2):
        server = Server(threading.Barrier(workers), refuses="set_1_0")
        got, report = streamed(some, server, Store(tmp_path / f"{workers}"), workers=workers, keep_going=True)
        assert [v is None for v in got] == [False, True, False, False]
        told_by.append(told(report))
        server = Server(threading.Barrier(1), refuses="set_1_0")
        with pytest.raises(TaskError, match="is refused") as caught:
            streamed(some, server, Store(tmp_path / f"raise_{workers}"), workers=workers)
        assert [r.state for r in caught.value.report.tasks].count("failed") == 1
    assert told_by[0] == told_by[1]


def test_what_cannot_be_stored_is_asked_for_dataset_by_dataset(datasets):
    some = datasets[:4]
    want, _ = streamed(some, AwkwardPlugin(), None, workers=1)
    asking = Server(threading.Barrier(1))
    got, _ = streamed(some, asking, None, workers=4)
    assert got == want
