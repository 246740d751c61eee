"""The generated code as a server runs it, unchanged and on delayed arrays, gives what the embedded endpoint gives.

Delayed arrays take a second for each query, so every fourth expression is looked at; all of them with HEP_FLOWS_TORTURE.
"""

from __future__ import annotations

import logging
import os

import awkward as ak
import dask
import dask_awkward  # noqa: F401 - its settings are there once it is imported
import pytest

from hep_flows import render
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.servicex.embedded import EmbeddedServiceX, generated_source
from hep_flows.plugins.servicex.uproot import UprootDialect
from plugins.servicex.both import Both
from plugins.servicex.exactly import exact_difference
from plugins.servicex.sent import on_real_files

# dask-awkward fuses its graph in a way that newer releases of dask refuse; which columns are read is still worked out.
DELAYED = {"awkward.optimization.which": ["columns"], "scheduler": "sync"}


def delayed(text, file):
    """Run a query as generated; the source is the generator's own."""
    names = {}
    exec(generated_source(text), names)
    with dask.config.set(DELAYED):
        return names["run_query"](file)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
@on_real_files
def test_delayed_arrays_give_the_same(data, kind, file, tree, expressions):
    logging.getLogger("run_query").setLevel(logging.ERROR)
    tables = Both(kind, [data(file)], tree)
    step = 1 if os.environ.get("HEP_FLOWS_TORTURE") else 4
    exprs = render(list(list(expressions(tables.remote).values())[::step]))
    plan = make_plan(exprs, [tables.servicex])
    embedded = EmbeddedServiceX()
    dataset = plan.tasks[0].dataset
    (partition,) = embedded.partitions(dataset, 10**9)
    for request in UprootDialect().requests(plan.tasks):
        query = request.query
        if not query.text:
            continue
        got = delayed(query.text, data(file))
        expected = embedded.columns(query, dataset, partition)
        assert got.fields == list(expected)
        for name in expected:
            assert exact_difference(ak.to_packed(got[name]), ak.to_packed(expected[name])) == "", f"{name} of {query.text}"
