"""What a streaming plug-in delivers is stored as it comes, in whatever order; what it fails to deliver is asked for again, or reported."""

import shutil

import pytest

from hep_flows import Histogram, nanoaod_table, render
from hep_flows.contract import RunContext
from hep_flows.errors import SourceError
from hep_flows.execute.run import run_and_report
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.store.store import Store


class Streamer(AwkwardPlugin):
    """Delivers files from the last to the first; fails those that it is told to, some of them a few times only."""

    def __init__(self, fails=(), transient=0, breaks_after=None):
        super().__init__()
        self.fails, self.transient, self.breaks_after = fails, transient, breaks_after
        self.asked, self.singles = [], []

    def streams(self, dataset):
        return True

    def stream(self, programs, partitions, context):
        self.asked.append([p.file_number for p in partitions])
        for n, part in enumerate(reversed(partitions)):
            if n == self.breaks_after:
                raise RuntimeError("the stream broke")
            if part.file_number in self.fails:
                error = SourceError(f"file {part.file_number} cannot be had")
                error.transient = len(self.asked) <= self.transient
                if error.transient or not self.transient:
                    yield part, error
                    continue
            yield part, super().run(programs, {}, RunContext(partition=part))

    def run(self, programs, inputs, context):
        if context.partition is not None and not inputs:
            self.singles.append(context.partition.file_number)
        return super().run(programs, inputs, context)


@pytest.fixture
def files(data, tmp_path):
    for i, name in enumerate(["nano_dy.root", "nano_tt_v12.root", "nano_dimuon.root"]):
        shutil.copy(data(name), tmp_path / f"{i}.root")
    return [str(tmp_path / f"{i}.root") for i in range(3)]


def _expressions(files):
    events = nanoaod_table(files)
    jets = events.Jet[events.Jet.pt > 30]
    return [Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=jets.pt), jets.eta]


def _run(files, streamer, store, **options):
    plugins = [streamer, HistPlugin()]
    plan = make_plan(render(list(_expressions(files))), plugins)
    found, report = run_and_report(plan, plugins, store=store, delays_s=(0.01, 0.01, 0.01), **options)
    return [found.get(t) for t in plan.targets], report


def _same(one, other):
    return (one[0].histogram == other[0].histogram) and one[1].array.tolist() == other[1].array.tolist()


def test_all_missing_files_are_asked_for_at_once_and_the_values_are_those_of_plain_runs(files, tmp_path):
    plain, _ = _run(files, AwkwardPlugin(), None)
    streamer = Streamer()
    values, report = _run(files, streamer, Store(tmp_path / "cache"))
    assert streamer.asked == [[0, 1, 2]]
    assert streamer.singles == []
    assert _same(values, plain)
    assert {r.state for r in report.tasks} == {"computed"}
    again = Streamer()
    values, report = _run(files, again, Store(tmp_path / "cache"))
    assert again.asked == []
    assert _same(values, plain)


def test_without_a_store_the_results_are_the_same(files):
    plain, _ = _run(files, AwkwardPlugin(), None)
    streamer = Streamer()
    values, _ = _run(files, streamer, None)
    assert streamer.asked == [[0, 1, 2]]
    assert _same(values, plain)


def test_a_stream_that_breaks_has_stored_what_came_before(files, tmp_path):
    store = Store(tmp_path / "cache")
    with pytest.raises(Exception, match="the stream broke"):
        _run(files, Streamer(breaks_after=2), store)
    streamer = Streamer()
    values, _ = _run(files, streamer, store)
    assert streamer.asked == [[0]]
    assert _same(values, _run(files, AwkwardPlugin(), None)[0])


def test_files_that_failed_for_the_moment_are_asked_for_again_and_no_others(files, tmp_path):
    streamer = Streamer(fails=(1,), transient=2)
    values, report = _run(files, streamer, Store(tmp_path / "cache"))
    assert streamer.asked == [[0, 1, 2], [1], [1]]
    assert _same(values, _run(files, AwkwardPlugin(), None)[0])
    assert max(r.attempts for r in report.tasks) == 3


def test_a_file_that_failed_is_reported_and_not_tried_one_by_one(files, tmp_path):
    store = Store(tmp_path / "cache")
    streamer = Streamer(fails=(1,))
    values, report = _run(files, streamer, store, keep_going=True)
    assert values == [None, None]
    assert streamer.asked == [[0, 1, 2]]
    assert streamer.singles == []
    assert [r.state for r in report.tasks if r.plugin == "hist" or "eta" in r.label] == ["failed", "failed"]
    assert "file 1 cannot be had" in "".join(r.reason for r in report.tasks)
    repaired = Streamer()
    values, _ = _run(files, repaired, store)
    assert repaired.asked == [[1]]
    assert _same(values, _run(files, AwkwardPlugin(), None)[0])


def test_the_first_error_ends_a_run_that_does_not_go_on(files, tmp_path):
    with pytest.raises(SourceError, match="file 1 cannot be had"):
        _run(files, Streamer(fails=(1,)), Store(tmp_path / "cache"))
