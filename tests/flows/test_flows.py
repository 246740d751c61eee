"""The flows over a small project, on a real server of Prefect: complete, skipped, partial, and back again."""

from __future__ import annotations

import awkward as ak
import pytest
from files import filled, hard_jets, histogram, states, write


def _run(flow, **parameters):
    return flow(parameters, return_state=True)


def test_a_scheduled_run_computes_then_skips_then_does_what_is_new(project, flow_of):
    flow, out = flow_of("scheduled_reprocessing"), project / "results"
    asked = {"analysis": "analysis.py", "fileset": "data", "out": "results"}
    first = _run(flow, **asked)
    assert (first.type.value, first.name) == ("COMPLETED", "Completed"), first.message
    assert filled(out, "ttbar").tolist() == histogram("data/ttbar/a.root").tolist()

    again = _run(flow, **asked)
    assert (again.type.value, again.name) == ("COMPLETED", "Skipped")
    assert states(out) == {"ttbar": {"cached", "not run"}, "dy": {"cached", "not run"}}

    write(project / "data" / "ttbar" / "b.root", 7)
    more = _run(flow, **asked)
    assert more.name == "Completed"
    assert filled(out, "ttbar").tolist() == histogram("data/ttbar/a.root", "data/ttbar/b.root").tolist()
    assert states(out)["dy"] == {"cached", "not run"}


def test_a_dataset_that_fails_stops_no_other_and_a_rerun_does_it_alone(project, flow_of):
    flow, out = flow_of("multi_dataset_skim"), project / "skims"
    broken = project / "data" / "dy" / "a.root"
    good = broken.read_bytes()
    broken.write_bytes(good[: len(good) // 2])
    failed = _run(flow, analysis="analysis.py", fileset="data", out="skims")
    assert failed.type.value == "FAILED"
    assert "dy" in failed.message
    assert "a.root" in failed.message
    skim = ak.from_parquet(sorted((out / "skims" / "ttbar" / "skim").glob("*.parquet")))
    assert ak.to_list(skim.skim) == ak.to_list(hard_jets("data/ttbar/a.root"))
    assert not list((out / "skims").glob("dy/**/*.parquet"))

    broken.write_bytes(good)
    done = _run(flow, analysis="analysis.py", fileset="data", out="skims")
    assert done.name == "Completed", done.message
    assert states(out)["ttbar"] == {"cached", "not run"}
    skim = ak.from_parquet(sorted((out / "skims" / "dy" / "skim").glob("*.parquet")))
    assert ak.to_list(skim.skim) == ak.to_list(hard_jets("data/dy/a.root"))


def test_production_runs_in_one_process_and_is_found_by_the_other_flows(project, flow_of):
    production = flow_of("grid_production")
    done = _run(production, analysis="analysis.py", fileset="data", out="production")
    assert done.name == "Completed", done.message
    assert filled(project / "production", "dy").tolist() == histogram("data/dy/a.root").tolist()
    assert production.retries == 2
    skipped = _run(flow_of("scheduled_reprocessing"), analysis="analysis.py", fileset="data", out="results")
    assert skipped.name == "Skipped"


def test_only_some_datasets_are_skimmed_when_asked(project, flow_of):
    done = _run(flow_of("multi_dataset_skim"), analysis="analysis.py", fileset="data", out="skims", only=["dy"])
    assert done.name == "Completed", done.message
    assert [p.name for p in (project / "skims" / "skims").iterdir()] == ["dy"]


@pytest.mark.parametrize("name", ["scheduled_reprocessing", "multi_dataset_skim", "grid_production"])
def test_wrong_parameters_are_refused_before_anything_runs(name, project, flow_of):
    from prefect.exceptions import ParameterTypeError

    flow = flow_of(name)
    with pytest.raises(ParameterTypeError, match="workers"):
        flow.validate_parameters({"parameters": {"analysis": "analysis.py", "fileset": "data", "out": "results", "workers": 0}})
    assert flow({"analysis": "analysis.py"}, return_state=True).type.value == "FAILED"
    assert not (project / "results").exists()
