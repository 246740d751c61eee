"""An analysis that Prefect runs gives the same files as one that this process runs alone."""

import json

import pytest

from hep_flows import Histogram, run_analysis

pytestmark = pytest.mark.data


def analysis(events):
    good = events.Jet[events.Jet.pt > 30]
    pt = Histogram.new.Reg(40, 0, 200, name="pt").Weight()
    return {"pt": pt.fill(pt=good.pt, weight=events.metadata.get("xsec", 1.0)), "jets": good.pt, "n": events.Count()}


def test_prefect_gives_the_same_results(fileset, tmp_path, environment):
    found = {}
    for engine in ("inline", "embedded"):
        environment(HEP_FLOWS_CACHE=tmp_path / f"cache-{engine}")
        out = tmp_path / engine
        done = run_analysis(analysis, fileset | {"gone": ["/gone.root"]}, out=out, engine=engine)
        assert done.report.engine == engine
        assert {(r.dataset, r.state) for r in done.report.tasks if r.state != "not run"} == {
            ("gone", "failed"),
            *((n, "computed") for n in fileset),
        }
        manifest = json.loads((out / "manifest.json").read_text())
        found[engine] = (
            (out / "histograms.json").read_text(),
            (out / "numbers.json").read_text(),
            manifest["results"],
            {n: done.values[n]["jets"].array().tolist() for n in fileset},
        )
    assert found["inline"] == found["embedded"]
