"""Units on the workers of Ray, where it is installed: it is an extra of its own, and large."""

from __future__ import annotations

import pytest
from jet_files import everything

from hep_flows import nanoaod_table, run, user_func


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_workers_of_ray_give_the_values_of_an_inline_run(files, served):
    prefect_ray = pytest.importorskip("prefect_ray", reason="pip install 'hep-flows[ray]' to run it")
    factor = 2.5

    @user_func
    def scaled(pt: float) -> float:
        return pt * factor

    events = nanoaod_table(files)
    asked = everything(events, cut=33.0) | {"scaled": scaled(events.MET.pt)}
    options = {"num_cpus": 2, "include_dashboard": False}
    done = run(asked, task_runner=prefect_ray.RayTaskRunner(init_kwargs=options), on_error="raise")
    assert done.report.engine == "server"
    here = run(asked, engine="inline", refresh=True)
    assert done.values["columns"].to_list() == here.values["columns"].to_list()
    assert done.values["scaled"].to_list() == here.values["scaled"].to_list()
    assert done.values["filled"] == here.values["filled"]
    assert done.values["number"] == here.values["number"]
