"""The error that ends a run holds the report, whoever ran it."""

from __future__ import annotations

import pytest
from jet_files import fill, new_process, write
from prefect_view import latest

from hep_flows import nanoaod_table, run, user_func
from hep_flows.errors import TaskError


@user_func
def not_today(x: float) -> float:
    """Refuse large numbers."""
    if x > 20:
        raise ValueError("not today: too large")
    return float(x)


def asked(files, other):
    events, more = nanoaod_table(files), nanoaod_table(other)
    return {
        "wrong": not_today(events.MET.pt).Sum(),
        "right": events.MET.pt.Sum(),
        "filled": fill(events[not_today(events.MET.pt) > 3]),
        "above": not_today(events.MET.pt).Sum() / 2,
        "other": fill(more),
    }


def raised(exprs, engine):
    with pytest.raises(TaskError) as caught:
        run(exprs, engine=engine, on_error="raise")
    return caught.value


def test_the_error_of_a_flow_run_holds_the_report_of_all_its_tasks(files, tmp_path, served):
    other = write(tmp_path / "other.root", 9)
    exprs = asked(files, other)
    error = raised(exprs, "embedded")
    report, lines = error.report, str(error).splitlines()
    assert lines[1].lstrip().startswith("test_error_report.py:")
    assert "not_today(events.MET.pt)" in lines[1]
    assert lines[-1] == f"  run: {report.in_short} (error.report has them one by one)"
    assert isinstance(error.__cause__, ValueError)
    assert (report.engine, report.engine_url) == ("server", served)
    assert report.errors[0] is error
    keep = run(exprs, engine="inline")
    assert [r.key for r in report.tasks] == [r.key for r in keep.report.tasks]
    failed = {r.key for r in report.tasks if r.state == "failed"}
    wrong = next(r for r in report.tasks if r.label == "not_today(events.MET.pt).Sum()")
    assert wrong.key in failed
    assert wrong.reason.count("not today: too large") == 1
    assert failed <= {r.key for r in keep.report.tasks if r.state in ("failed", "not run")}
    ended = [r for r in report.tasks if r.state == "not run"]
    assert {r.reason for r in ended} == {"the run ended with the first error"}
    assert latest(served).state == "Failed"


def test_what_a_flow_run_computed_before_its_error_is_found(files, tmp_path, served):
    """What the report says was computed is in the store; a task that it says was not run is not delivered."""
    exprs = asked(files, write(tmp_path / "other.root", 9))
    run(exprs["other"], engine="inline")
    report = raised(exprs, "embedded").report
    before = {r.key: r.state for r in report.tasks}
    assert "cached" in before.values(), "the other dataset was there"
    new_process()
    again = run({k: v for k, v in exprs.items() if k in ("right", "other")}, engine="inline", on_error="raise").report
    for row in again.tasks:
        if before[row.key] in ("computed", "cached"):
            assert row.batches_computed == 0


def test_the_error_of_one_task_has_a_report_and_no_more_lines(files, served):
    error = raised(not_today(nanoaod_table(files).MET.pt).Sum(), "embedded")
    assert [r.state for r in error.report.tasks] == ["failed"]
    assert "run:" not in str(error)
