"""One row in the table of functions is a function of the language: everything else follows from it, and nothing fails with a KeyError."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from docs.pages import DOCS, functions_not_documented
from expr.python_view import from_python, to_python
from hep_flows import DataFrame, dumps, make_local, plan, render
from hep_flows.errors import AxisError, LiteralError, NoPluginError
from hep_flows.expr import functions as results
from hep_flows.expr.functions import FUNCTIONS, Function
from hep_flows.expr.transport import decode, encode
from hep_flows.plugins.awkward import functions as elementwise
from hep_flows.plugins.awkward import reduce
from hep_flows.plugins.awkward import reduce as totals
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.servicex.uproot import UprootDialect
from hep_flows.plugins.servicex.xaod.query import XaodDialect
from hep_flows.testing.suite import every_node, sample_table
from plugins.servicex.nowhere import nano_nowhere

SPREAD = Function(
    "ptp", "reduce", (1, 1), results.same, missing="made", method="Spread", synonyms=("spread",), numpy=("ptp",), awkward=("ptp",),
    unit="keeps", empty="missing", doc="the largest less the smallest",
)  # fmt: skip
SINC = Function("sinc", "elementwise", (1, 1), results.real, numpy=("sinc",), doc="sin(pi x) / (pi x)")


@pytest.fixture
def df(tmp_path):
    return sample_table(tmp_path)


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    """Add the rows, and nothing else."""
    for row in (SPREAD, SINC):
        monkeypatch.setitem(FUNCTIONS, row.name, row)


@pytest.fixture
def kernels(monkeypatch):
    """Add the kernels of the awkward plug-in."""

    def of_list(lists, data):
        return reduce.KERNELS["max"](lists, data, None)[0] - reduce.KERNELS["min"](lists, data, None)[0]

    monkeypatch.setitem(reduce.KERNELS, "ptp", reduce.of_present(of_list, on_empty=False))
    monkeypatch.setitem(elementwise.KERNELS, "sinc", lambda operands, dtype, options: np.sinc(operands[0]))


def key(frame):
    return render(frame).key


def test_it_is_recorded_by_every_name(df):
    pt = df.Jet.pt
    assert {key(x) for x in (pt.Spread(), pt.spread(), pt.Spread(axis=-1), np.ptp(pt, axis=-1), ak.ptp(pt, axis=1))} == {
        key(pt.Spread())
    }
    assert str(render(pt.Spread()).type) == "?float32, events"
    assert key(np.sinc(pt)) != key(pt)


def test_texts_have_it_and_read_it_back(df):
    both = np.sinc(df.Jet.pt).Spread() + 1
    assert "np.sinc(events.Jet.pt).Spread() + 1" in dumps(both)
    form = to_python(render(both))
    assert from_python(form.module, form.names).key == key(both)
    assert decode(encode(render(both))).key == key(both)


def test_without_a_kernel_the_plan_says_who_refuses_it(df):
    for new in (np.sinc(df.Jet.pt), df.Jet.pt.Spread()):
        with pytest.raises(NoPluginError, match=r"ptp|sinc") as caught:
            plan(new)
        assert "awkward: it has no function" in caught.value.why


@pytest.mark.usefixtures("kernels")
def test_with_a_kernel_it_runs(df):
    pt = make_local(df.Jet.pt)
    want = ak.max(pt, axis=1) - ak.min(pt, axis=1)
    assert make_local(df.Jet.pt.Spread()).to_list() == want.to_list()
    assert "awkward" in str(plan(np.sinc(df.Jet.pt).Spread()))
    np.testing.assert_array_equal(ak.flatten(make_local(np.sinc(df.Jet.pt))), np.sinc(ak.to_numpy(ak.flatten(pt))))


def test_a_total_that_cannot_be_merged_is_refused_when_it_is_recorded(df):
    with pytest.raises(AxisError, match="Spread over all events cannot be recorded"):
        df.MET.pt.Spread()
    with pytest.raises(LiteralError, match="without an axis, this would be the ptp of all entries"):
        np.ptp(df.Jet.pt)


@pytest.mark.usefixtures("kernels")
def test_a_total_with_a_merge_is_merged(df, monkeypatch):
    def merge(parts):
        return max([high for high, _ in parts]) - min([low for _, low in parts])

    monkeypatch.setitem(FUNCTIONS, "ptp", Function(**{n: getattr(SPREAD, n) for n in SPREAD.__slots__} | {"merge": merge}))

    def part(value, before):
        high, low = before or (-np.inf, np.inf)
        return (max(high, value.data.max().item()), min(low, value.data.min().item()))

    monkeypatch.setitem(totals.PARTS, "ptp", part)
    met = make_local(df.MET.pt)
    assert make_local(df.MET.pt.Spread()) == pytest.approx(np.ptp(ak.to_numpy(met)))


def test_both_dialects_refuse_it_with_a_reason():
    nano = nano_nowhere()
    uproot, xaod = UprootDialect(), XaodDialect()
    for new in (nano.Jet.pt.Spread(), np.sinc(nano.Jet.pt), nano.Jet.map(lambda j: (nano.Muon.pt - j.pt).Spread())):
        expr = render(new)
        assert "the query language has no" in uproot.refusal(expr)
    for node in (every_node()["ptp"], every_node()["sinc"]):
        assert xaod.refusal(node) != ""


def test_the_documentation_is_found_to_lack_it():
    assert functions_not_documented((DOCS / "language.md").read_text()) == ["Spread", "np.ptp", "np.sinc", "ak.ptp"]


@pytest.mark.parametrize("row", [r for r in FUNCTIONS.values() if r.kind == "reduce"], ids=lambda r: r.name)
def test_every_aggregate_of_the_language_is_whole(row):
    assert callable(getattr(DataFrame, row.method))
    assert row.doc in getattr(DataFrame, row.method).__doc__
    assert row.name in reduce.KERNELS
    assert (row.merge is not None) == (row.name in {*totals.PARTS, *totals.OF_ALL})
    assert bool(row.empty)
    assert AwkwardPlugin().can_run(every_node()[row.name], ["awkward"]).__class__.__name__ == "Yes"
