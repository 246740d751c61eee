"""The error that ends a run says what became of each task until then."""

from __future__ import annotations

import copy
import json
import pickle  # noqa: TID251 - how errors cross processes

import pytest

from execute.event_files import write
from hep_flows import Histogram, make_local, nanoaod_table, run, run_analysis, user_func
from hep_flows.errors import HepFlowsError, SourceError, TaskError

HERE = __file__.rsplit("/", 1)[-1]


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / f"part_{i}.root", i) for i in range(3)]


@user_func
def not_that_one(x: float) -> float:
    if x > 60:
        raise ValueError("not that one")
    return float(x)


def fill(events, cut=30.0):
    jets = events.Jet[events.Jet.pt > cut]
    return Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=jets.pt)


def raised(asked, **options):
    with pytest.raises(HepFlowsError) as caught:
        run(asked, engine="inline", on_error="raise", **options)
    return caught.value


def states(report):
    """Give the states of the columns, the fill and the total."""
    found = {("total" if r.label.endswith(".Sum()") else r.plugin): r.state for r in report.tasks}
    return found["awkward"], found["hist"], found["total"]


def test_the_error_of_make_local_holds_the_report_and_ends_with_it(files):
    events = nanoaod_table(files)
    asked = {
        "right": events.MET.pt.Sum(),
        "wrong": not_that_one(events.MET.pt).Sum(),
        "above": not_that_one(events.MET.pt).Sum() / 2,
    }
    with pytest.raises(TaskError) as caught:
        make_local(asked)
    error = caught.value
    lines = str(error).splitlines()
    assert lines[0] == "the function 'not_that_one' failed: ValueError: not that one"
    assert lines[1].split()[0].startswith(f"{HERE}:")
    assert "not_that_one(events.MET.pt)" in lines[1]
    assert lines[-1] == "  run: 1 failed, 2 not run (error.report has them one by one)"
    assert isinstance(error.__cause__, ValueError)
    found = {r.label.split()[0]: r for r in error.report.tasks}
    right, wrong, above = found["events.MET.pt.Sum()"], found["not_that_one(events.MET.pt).Sum()"], found["task"]
    assert (right.state, right.reason) == ("not run", "the run ended with the first error")
    assert (wrong.state, wrong.attempts) == ("failed", 1)
    assert "part_0.root: the function 'not_that_one' failed" in wrong.reason
    assert above.state == "not run"
    assert error.report.errors[0] is error
    assert not error.report.as_json()["complete"]
    assert error.report.engine == "inline"


def test_an_error_of_a_single_task_needs_no_more_lines(files):
    events = nanoaod_table(files)
    error = raised(not_that_one(events.MET.pt).Sum())
    assert len(error.report.tasks) == 1
    assert "run:" not in str(error)


def test_an_error_before_anything_runs_has_no_report(files):
    with pytest.raises(HepFlowsError) as caught:
        make_local(nanoaod_table(files).Count(), workers=0)
    assert caught.value.report is None


@pytest.mark.parametrize("workers", [1, 3])
def test_what_was_computed_before_the_error_is_stored_and_said(files, workers):
    first, other = nanoaod_table(files[:2]), nanoaod_table(files[2:])
    wrong = not_that_one(other.MET.pt).Sum()
    error = raised([fill(first), wrong], workers=workers)
    assert states(error.report) == ("computed", "computed", "failed")
    assert str(error).splitlines()[-1].startswith("  run: 2 computed, 1 failed (")
    again = run(fill(first), engine="inline")
    assert [r.state for r in again.report.tasks if r.plugin == "hist"] == ["cached"]
    error = raised([fill(first), wrong], workers=workers)
    assert states(error.report) == ("not run", "cached", "failed")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_was_begun_is_not_run_and_its_batches_are_counted(tmp_path, workers):
    @user_func
    def only_small(x: float) -> float:
        if x > 1e6:
            raise ValueError("too large")
        return float(x)

    paths = [write(tmp_path / f"some_{i}.root", i) for i in range(4)]
    events = nanoaod_table(paths)
    last = nanoaod_table(paths[3]).MET.pt.Max()
    largest = make_local(last)
    bad = only_small((events.MET.pt == largest) * 2e6).Sum()
    asked = [bad, events.Jet.pt.Sum().Sum()]
    keep = run(asked, engine="inline", workers=workers, refresh=True)
    failed = {r.key for r in keep.report.tasks if r.state == "failed"}
    error = raised(asked, workers=workers, refresh=True)
    assert {r.key for r in error.report.tasks if r.state == "failed"} == failed, "those are blamed that fail when tried alone"
    good = next(r for r in error.report.tasks if r.state == "not run")
    assert (good.batches, good.batches_computed) == (4, 3)


def test_a_changed_file_is_said_before_anything_runs(files):
    first, other = nanoaod_table(files[:2]), nanoaod_table(files[2:])
    write(files[2], 99)
    error = raised([fill(first), other.MET.pt.Sum()])
    assert isinstance(error, SourceError)
    assert states(error.report) == ("not run", "not run", "failed")
    assert next(r for r in error.report.tasks if r.state == "failed").reason == error.what


def test_an_aggregate_that_fails_leaves_what_it_takes_computed(files):
    events = nanoaod_table(files)
    error = raised([not_that_one(events.MET.pt.Sum()), events.Count()])
    assert {r.state for r in error.report.tasks} == {"computed", "failed"}


def test_the_report_goes_along_to_other_processes(files):
    error = raised([not_that_one(nanoaod_table(files).MET.pt).Sum(), nanoaod_table(files).Count()])
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert str(other) == str(error)
        assert other.report.tasks == error.report.tasks


def test_checked_raises_with_the_same_report(files):
    events = nanoaod_table(files)
    done = run([not_that_one(events.MET.pt).Sum(), events.Count()], engine="inline")
    with pytest.raises(TaskError) as caught:
        done.checked()
    assert caught.value.report is done.report
    assert str(caught.value).splitlines()[-1] == "  run: 1 computed, 1 failed (error.report has them one by one)"


def test_what_nothing_could_be_made_of_is_not_said_to_be_stored(files):
    events = nanoaod_table(files)
    wrong = not_that_one(events.MET.pt)
    done = run([fill(events[wrong > 0]), events.Count()], engine="inline")
    columns = next(r for r in done.report.tasks if r.state == "not run")
    assert columns.reason == "nothing that takes it could be computed"


def test_an_analysis_that_ends_with_an_error_names_the_datasets(files):
    def analysis(events):
        return {"n": events.Count(), "wrong": not_that_one(events.MET.pt).Sum()}

    with pytest.raises(TaskError) as caught:
        run_analysis(analysis, {"one": files[:1], "two": files[1:]}, on_error="raise", engine="inline")
    assert {r.dataset for r in caught.value.report.tasks} == {"one", "two"}
    assert {r.state for r in caught.value.report.tasks if r.dataset == "one"} == {"failed", "not run"}


def test_the_report_is_written_also_when_an_error_ends_the_run(files, tmp_path):
    place = tmp_path / "report.json"
    error = raised(not_that_one(nanoaod_table(files).MET.pt).Sum(), report=place)
    written = json.loads(place.read_text())
    assert written["complete"] is False
    assert [r["state"] for r in written["tasks"]] == [r.state for r in error.report.tasks] == ["failed"]
