"""Running plans in this process."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
import time

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep_flows import Histogram, render
from hep_flows.contract import Columns, HistogramResult
from hep_flows.errors import FieldError, PluginError, TaskError
from hep_flows.execute.need import schedule
from hep_flows.execute.run import run_and_report, run_plan
from hep_flows.expr.nodes import Literal
from hep_flows.expr.types import Histogram as HistogramItem
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.in_order import Stopped, in_order
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.hist.plugin import HistPlugin
from tiny_plugin import TinyPlugin, tiny_events, tiny_table

N = 1000


@pytest.fixture
def events():
    return tiny_events(N)


def value(result):
    if isinstance(result, Columns):
        return result.array
    return result.histogram if isinstance(result, HistogramResult) else result.value


def run(frames, events, *, workers=2, chunk_events=170, extra_cuts=(), plugin=None, **more):
    tiny = plugin or TinyPlugin({"tiny": events})
    plugins = [tiny, HistPlugin()]
    plan = make_plan(render(list(frames)), plugins, extra_cuts=extra_cuts)
    results = run_plan(plan, plugins, workers=workers, chunk_events=chunk_events, **more)
    return [value(results[k]) for k in plan.targets]


def test_columns_are_concatenated_in_order(events):
    df = tiny_table()
    (got,) = run([df.Jet.pt / 2], events)
    assert got.tolist() == (events.Jet.pt / 2).tolist()


def test_event_filters_drop_events_in_order(events):
    df = tiny_table()
    (got,) = run([df[df.good].x], events)
    assert got.tolist() == events.x[events.good].tolist()


def test_numbers_over_all_events(events):
    df = tiny_table()
    got = run([df.Count(), df.k.Sum(), df.x.Max(), df.y.Min(), df.Jet.pt.Sum().Max()], events)
    want = [N, ak.sum(events.k), ak.max(events.x), ak.min(events.y), ak.max(ak.sum(events.Jet.pt, axis=-1))]
    assert got == pytest.approx(want, rel=1e-14)


def test_a_global_number_enters_every_partition(events):
    df = tiny_table()
    (got,) = run([df.x / df.x.Max()], events)
    assert got.tolist() == (events.x / ak.max(events.x)).tolist()


def test_global_numbers_may_depend_on_each_other(events):
    df = tiny_table()
    centred = df.x - df.x.Sum() / df.Count()
    (spread, n) = run([(centred * centred).Sum() / df.Count(), df.Count()], events)
    assert spread == pytest.approx(np.var(events.x.to_numpy()), rel=1e-12)
    assert n == N


def test_events_by_position_are_those_of_the_whole_table(events):
    df = tiny_table()
    got = run([df[df.good][300:420:7].x, df.x[-1], df.x - df.x[999], df.x[5000]], events)
    assert got[0].tolist() == events.x[events.good][300:420:7].tolist()
    assert got[1] == events.x[-1]
    assert got[2].tolist() == (events.x - events.x[999]).tolist()
    assert got[3] is None


@pytest.mark.parametrize(
    ("asked", "n_read"),
    [
        (lambda df: df[:10].x, 1),
        (lambda df: df[3:171:2].Jet.pt + 1, 2),
        (lambda df: df.x[200], 2),
        (lambda df: df[df.good][:90].x, 2),
        (lambda df: df[:10].x.Sum() + df[:100].k.Sum(), 1),
        (lambda df: df[-10:].x, 6),
        (lambda df: df[10:].x, 6),
        (lambda df: df[:-10].x, 6),
        (lambda df: df[10::-1].x, 6),
        (lambda df: df.x[-1], 6),
        (lambda df: df[:10].x.Sum() + df.x.Sum(), 6),
        (lambda df: df[:0].x, 1),
    ],
)
def test_reading_stops_when_the_first_events_are_there(events, asked, n_read):
    tiny = TinyPlugin({"tiny": events})
    (got,) = run([asked(tiny_table())], events, plugin=tiny, workers=1)
    (want,) = run([asked(tiny_table())], events, chunk_events=10**6)
    assert ak.to_list(got) == pytest.approx(ak.to_list(want)) if not isinstance(got, ak.Array) else got.tolist() == want.tolist()
    assert len([c for c in tiny.calls if c]) == n_read


def test_several_tables_run_in_one_request(events):
    a, b = tiny_table("a"), tiny_table("b")
    plugin = TinyPlugin({"a": events, "b": events[:10]})
    got = run([a.Count(), b.Count()], events, plugin=plugin)
    assert got == [N, 10]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_do_not_depend_on_the_number_of_threads(events, workers):
    df = tiny_table()
    h = Histogram.new.Reg(20, 0, 100, name="pt").StrCat([], name="tag", growth=True).Weight()
    frames = [df.x.Sum(), df.Jet.pt, h.fill(pt=df.Jet.pt, tag=df.Jet.tag, weight=df.x)]
    want = run(frames, events, workers=1)
    got = run(frames, events, workers=workers)
    assert got[0] == want[0]
    assert got[1].tolist() == want[1].tolist()
    assert got[2] == want[2]
    assert list(got[2].axes[1]) == list(want[2].axes[1])


def test_each_partition_is_read_once_for_all_tasks(events):
    df = tiny_table()
    tiny = TinyPlugin({"tiny": events})
    h = Histogram.new.Reg(20, 0, 100, name="pt").Double()
    run([df.x, df.x.Sum(), h.fill(pt=df.Jet.pt), h.fill(pt=df.x)], events, plugin=tiny)
    assert sorted(tiny.calls) == [(s, min(s + 170, N)) for s in range(0, N, 170)]


def test_a_table_without_events_gives_typed_empty_results():
    df = tiny_table()
    h = Histogram.new.Reg(20, 0, 100, name="pt").Double()
    empty = tiny_events(0)
    got = run([df.Jet.pt, df.x.Sum(), df.Count(), df.x.Max(), h.fill(pt=df.Jet.pt), np.histogram(df.Jet.pt)], empty)
    assert str(got[0].type) == "0 * var * float64"
    assert got[1:4] == [0.0, 0, None]
    assert got[4].sum(flow=True) == 0
    assert got[5][0].tolist() == [0] * 10
    assert got[5][1].tolist() == np.histogram([])[1].tolist()


class TestSchedule:
    def test_what_needs_a_merged_number_runs_in_a_later_round(self):
        df = tiny_table()
        plan = make_plan([render(df.x / df.x.Max())], [TinyPlugin({})])
        rounds = schedule(plan)
        assert [[len(s.tasks) for p in r.passes for s in p.stages] for r in rounds] == [[1], [1]]

    def test_columns_that_only_a_later_round_needs_are_made_there(self):
        df = tiny_table()
        h = Histogram.new.Reg(2, 0, 1, name="pt").Double().fill(pt=df.x / df.x.Max())
        plan = make_plan([render(h)], [TinyPlugin({}), HistPlugin()])
        rounds = schedule(plan)
        assert [[s.plugin for p in r.passes for s in p.stages] for r in rounds] == [["tiny"], ["tiny", "hist"]]
        assert rounds[1].passes[0].merged == frozenset(plan.targets)

    def test_columns_that_two_rounds_need_are_made_twice_and_never_kept(self):
        df = tiny_table()
        inner = df.x * 2
        plan = make_plan([render(inner / inner.Max())], [TinyPlugin({})], extra_cuts={render(inner).key})
        rounds = schedule(plan)
        made = [t.key for r in rounds for p in r.passes for s in p.stages for t in s.tasks]
        assert len(made) == 4
        assert len(set(made)) == 3
        assert all(len(p.merged) == 1 for r in rounds for p in r.passes)


class TestErrors:
    def test_the_error_is_that_of_the_first_partition_that_fails(self, events):
        df = tiny_table()
        plugin = TinyPlugin({"tiny": events}, fail_on=frozenset({340, 170, 850}))
        with pytest.raises(TaskError, match="bad event in 170") as caught:
            run([df.x], events, plugin=plugin, workers=4)
        assert isinstance(caught.value.__cause__, ValueError)
        assert "'tiny'" in caught.value.what
        assert "entries 170 to 340" in caught.value.what
        assert caught.value.where is not None
        assert caught.value.where.file.endswith("test_run_plan.py")

    def test_errors_of_hep_flows_come_out_as_they_are(self, events):
        class Raises(TinyPlugin):
            def run(self, programs, inputs, context):
                raise FieldError("no such leaf")

        with pytest.raises(FieldError, match="no such leaf"):
            run([tiny_table().x], events, plugin=Raises({"tiny": events}))

    def test_a_result_of_the_wrong_kind_breaks_the_contract(self, events):
        class Breaks(TinyPlugin):
            def run(self, programs, inputs, context):
                return {p.task.key: 3 for p in programs}

        with pytest.raises(PluginError, match="gave int for a task whose output is columns"):
            run([tiny_table().x], events, plugin=Breaks({"tiny": events}))

    def test_a_missing_result_breaks_the_contract(self, events):
        class Breaks(TinyPlugin):
            def run(self, programs, inputs, context):
                return {}

        with pytest.raises(PluginError, match="gave NoneType"):
            run([tiny_table().x], events, plugin=Breaks({"tiny": events}))

    def test_an_interrupt_comes_out(self, events):
        class Interrupts(TinyPlugin):
            def run(self, programs, inputs, context):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run([tiny_table().x], events, plugin=Interrupts({"tiny": events}))

    def test_a_cancelled_run_stops(self, events):
        plugin = TinyPlugin({"tiny": events})
        with pytest.raises(Stopped):
            run([tiny_table().x], events, plugin=plugin, cancelled=lambda: len(plugin.calls) > 1, workers=1)
        assert len(plugin.calls) == 2

    def test_a_plan_of_a_plugin_that_is_gone_says_so(self, events):
        df = tiny_table()
        plan = make_plan([render(df.x)], [TinyPlugin({})])
        with pytest.raises(PluginError, match="needs the plug-in 'tiny'"):
            run_plan(plan, [HistPlugin()])


class TestInOrder:
    def test_results_come_in_the_order_of_the_items(self):
        def work(item, cancelled):
            time.sleep(0.002 * (item % 3))
            return item * 2

        assert list(in_order(work, range(20), 4)) == [i * 2 for i in range(20)]

    def test_few_items_are_in_flight(self):
        lock = threading.Lock()
        started = [0]

        def work(item, cancelled):
            with lock:
                started[0] += 1
            return item

        for n, _ in enumerate(in_order(work, range(100), 2)):
            time.sleep(0.001)
            assert started[0] <= n + 1 + 4

    def test_later_items_stop_when_one_fails(self):
        seen = []

        def work(item, cancelled):
            if item == 1:
                raise ValueError("one")
            for _ in range(12_000):
                if cancelled():
                    seen.append(item)
                    raise Stopped
                time.sleep(0.005)
            not_told.append(item)
            return item

        not_told = []
        results = in_order(work, range(1, 50), 3)
        with pytest.raises(ValueError, match="one"):
            next(results)
        assert set(seen) <= set(range(2, 50))
        assert not not_told

    def test_an_earlier_item_is_finished_before_the_error_of_a_later_one(self):
        failed = threading.Event()

        def work(item, cancelled):
            if item == 1:
                failed.set()
                raise ValueError("one")
            assert failed.wait(60)
            return item

        results = in_order(work, range(2), 2)
        assert next(results) == 0
        with pytest.raises(ValueError, match="one"):
            next(results)


def test_progress_ends_with_all_events(events):
    steps = []
    df = tiny_table()
    run([df.x / df.x.Max()], events, progress=steps.append)
    assert [(s.round, s.rounds) for s in steps] == [(1, 2)] * 6 + [(2, 2)] * 6
    assert (steps[-1].events_done, steps[-1].events, steps[-1].partitions_done) == (N, N, 6)


def test_the_report_counts_what_was_run(events):
    df = tiny_table()
    plugins = [TinyPlugin({"tiny": events}), HistPlugin()]
    h = Histogram.new.Reg(20, 0, 100, name="pt").Double().fill(pt=df.Jet.pt)
    plan = make_plan([render(h)], plugins)
    _, report = run_and_report(plan, plugins, workers=2, chunk_events=250)
    assert (report.events, report.partitions, report.rounds) == (N, 4, 1)
    assert [s.plugin for s in report.stages] == ["tiny", "hist"]
    assert set(report.merging) == set(plan.targets)
    assert "1,000 events in 4 partitions" in str(report)


def _asked(df):
    hard = df.Jet[df.Jet.pt > 20]
    h = Histogram.new.Reg(8, 0, 100, name="pt").StrCat([], name="s", growth=True).Weight()
    ev = df[(df.k > 1) & df.good]
    return [
        hard.pt.Sum() / (df.Count() + df.x.Sum()),
        ev.Jet.pt / ev.Jet.pt.Sum().Max(),
        df[10:80:3].k + df.k[3],
        h.fill(pt=hard.pt, s=hard.tag, weight=df.x + df.x.Max(), allow_missing_weight=True)
        .fill(pt=df.k.Sum(), s="sum")
        .fill(pt=ev.y, s=ev.s),
        np.histogram(ev.Jet.pt, weights=ev.x),
        (df.k.Sum() + df.Count()) * 2,
    ]


_FRAMES = _asked(tiny_table())
_CUTTABLE = sorted(
    n.key
    for n in postorder(*[render(f) for f in _FRAMES])
    if not isinstance(n, Literal) and not (isinstance(n.type.item, Record) and n.type.item.model != "tuple")
)
_EVENTS = tiny_events(90)


def _assert_same_but_for_rounding(a, b):
    if not isinstance(a, ak.Array):
        assert a == pytest.approx(b, rel=1e-12)
        return
    assert str(a.type) == str(b.type)
    assert ak.to_list(ak.num(a, axis=-1) if a.ndim > 1 else len(a)) == ak.to_list(ak.num(b, axis=-1) if b.ndim > 1 else len(b))
    np.testing.assert_allclose(ak.to_list(ak.flatten(a, axis=None)), ak.to_list(ak.flatten(b, axis=None)), rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(st.sets(st.sampled_from(_CUTTABLE)), st.integers(25, 100))
def test_any_cut_of_a_plan_gives_the_same_values(cuts, chunk_events):
    want = run(_FRAMES, _EVENTS, chunk_events=chunk_events, workers=1)
    got = run(_FRAMES, _EVENTS, chunk_events=chunk_events, workers=2, extra_cuts=cuts)
    for frame, a, b in zip(_FRAMES, got, want, strict=True):
        if isinstance(render(frame).type.item, HistogramItem) and not isinstance(a, tuple):
            assert list(a.axes[1]) == list(b.axes[1])
            np.testing.assert_allclose(a.view(flow=True)["value"], b.view(flow=True)["value"], rtol=1e-12)
        elif isinstance(a, tuple):
            np.testing.assert_array_equal(a[0], b[0])
            np.testing.assert_array_equal(a[1], b[1])
        else:
            _assert_same_but_for_rounding(a, b)  # a sum over ranges, or over the whole batch of a task of its own


def test_memory_that_was_freed_is_used_again_and_not_asked_for_anew():
    code = """
import resource
import numpy as np
from hep_flows.execute.machine import keep_freed_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(2_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
pages()
print(pages())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc":
        assert int(done.stdout) < 4000  # one such array has that many
