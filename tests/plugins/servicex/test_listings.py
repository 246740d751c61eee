"""The paper's two listings through the embedded endpoint give the numbers of a local run."""

from __future__ import annotations

import pytest

from hep_flows import render
from hep_flows.contract import Columns, HistogramResult
from hep_flows.demo.listings import LISTINGS
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.execute.run import run_plan
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from plugins.servicex.exactly import exact_difference


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), Recipe(events=1500))


def results(listing, plugins):
    """Give the plan, and the results of everything that a listing asks for, in one run."""
    asked = [listing.values, listing.histogram, *listing.yields.values()]
    plan = make_plan(render(list(asked)), plugins)
    found = run_plan(plan, plugins)
    return plan, [found[t] for t in plan.targets]


@pytest.mark.parametrize(("name", "layout", "listing"), LISTINGS, ids=[name for name, _, _ in LISTINGS])
def test_listings_give_the_numbers_of_a_local_run(files, name, layout, listing):
    path = getattr(files, layout)
    local = (AwkwardPlugin(), HistPlugin())
    _, expected = results(listing(path), local)
    plan, got = results(listing(f"localds://{path}"), (ServiceXPlugin(), *local))
    assert {t.plugin for t in plan.tasks if t.dataset is not None and not t.inputs} == {"servicex"}
    for one, other in zip(got, expected, strict=True):
        if isinstance(other, Columns):
            assert exact_difference(one.array, other.array) == ""
        elif isinstance(other, HistogramResult):
            assert one.histogram == other.histogram
        else:
            assert one == other


def test_the_association_of_listing_2_is_sent(files):
    listing = {n: f for n, _, f in LISTINGS}["listing_2_nanoaod"](f"localds://{files.nanoaod}")
    plugins = (ServiceXPlugin(), AwkwardPlugin(), HistPlugin())
    plan = make_plan([render(listing.yields["matched electrons"])], plugins)
    assert [t.plugin for t in plan.tasks] == ["servicex", "awkward"]
    assert "(attr np 'hypot')" in plugins[0].translate(plan.tasks[0]).text
