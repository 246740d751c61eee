"""Analyses over tables of the kind ``servicex:xaod-cpp``: the plug-in plans, sends, and puts results together."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local, render
from hep_flows.contract import Columns, Description
from hep_flows.execute.run import run_plan
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from hep_flows.plugins.servicex.xaod.schema import open_event, typed_event
from hep_flows.record.dataframe import table_of
from plugins.servicex.xaod.proof import assert_same, normal


def _cut(df):
    jets, electrons = df.Jets("Jets"), df.Electrons("Electrons")
    two = df[electrons.Count() >= 2]
    return {
        "filter": jets[(jets.pt > 30000) & (abs(jets.eta) < 2.5)].pt / 1000.0,
        "missing": electrons.First().pt,
        "events": two.Jets("Jets").eta,
        "count": jets.map(lambda j: electrons[electrons.DeltaR(j) < 0.4].Count()),
    }


def _at_home(df):
    jets, electrons = df.Jets("Jets"), df.Electrons("Electrons")
    return {
        "a slice of what was sent": jets[jets.pt > 30000].pt[::2],
        "rounding to a digit": np.round(jets.pt, 1),
        "an index": jets.pt[electrons.Count()],
        "a total": jets[jets.pt > 30000].Count().Sum(),
        "the events": df[electrons.Count() >= 2].Count(),
    }


def test_what_can_be_sent_is_one_task(df, remote, deliver):
    wanted = make_local(_cut(df))
    for name, frame in _cut(remote).items():
        plan, (result,) = deliver(frame)
        assert [t.plugin for t in plan.tasks] == ["servicex"], name
        assert isinstance(result, Columns)
        assert_same(result.array, wanted[name])


def test_one_query_answers_all_that_is_about_the_same_events(remote, deliver, endpoint):
    deliver(*_cut(remote).values())
    assert len(endpoint.queries) == 2


def test_the_rest_is_done_here(df, remote, deliver):
    wanted = make_local(_at_home(df))
    for name, frame in _at_home(remote).items():
        plan, (result,) = deliver(frame)
        assert "servicex" in {t.plugin for t in plan.tasks}, name
        assert_same(result.array, wanted[name]) if isinstance(result, Columns) else np.testing.assert_equal(
            result.value, wanted[name]
        )


def test_a_loop_over_what_was_sent_is_done_here(df, remote, deliver):
    def looped(table):
        jets = table.Jets("Jets")
        return jets.map(lambda j: jets[jets.pt > j.pt].pt[::2])

    _, (result,) = deliver(looped(remote))
    assert_same(result.array, make_local(looped(df)))


def test_no_events_at_all(remote, endpoint):
    plugin = ServiceXPlugin(endpoint)
    jets = remote.Jets("Jets")
    frames = [jets.pt, jets.map(lambda j: (j.pt, jets.Count())), remote.Electrons("Electrons").First().pt, jets.NumTrkPt500]
    plan = make_plan([normal(f) for f in frames], (plugin,))
    empty = [plugin.merge(plugin.translate(t), []).array for t in plan.tasks]
    assert [str(a.type) for a in empty] == [str(a.type) for a in (make_nothing(f, endpoint) for f in frames)]


def make_nothing(frame, endpoint):
    """Give the array of an expression for no event of many."""
    none = frame._made(normal(frame))
    plugins = (ServiceXPlugin(endpoint), AwkwardPlugin())
    plan = make_plan([normal(none)], plugins)
    return run_plan(plan, plugins, workers=1)[plan.targets[0]].array[:0]


def test_a_failing_query_names_what_the_compiler_says(endpoint, deliver, physlite):
    described = Description(open_event(), physlite.files, physlite.content, "CollectionTree", "events")
    jets = table_of(described, "servicex:xaod-cpp").Jets("AnalysisJets")
    with pytest.raises(Exception, match=r"no member named .ptt"):
        deliver(jets.ptt())


@pytest.mark.parametrize("schema", ["typed", "open"])
def test_schemas_without_a_file_give_what_the_file_has(schema, df, physlite, deliver):
    if schema == "typed":
        pytest.importorskip("func_adl_servicex_xaodr25")
    leaves = {"AnalysisJets": {"EMFrac": "float32"}}
    record = typed_event("25", leaves=leaves) if schema == "typed" else open_event(leaves=leaves)
    described = Description(record, physlite.files, physlite.content, "CollectionTree", "events")
    table = table_of(described, "servicex:xaod-cpp")
    jets, info, truth = table.Jets("AnalysisJets"), table.EventInfo("EventInfo"), table.TruthParticles("TruthElectrons")
    frames = [jets[jets.pt() > 30000.0].eta(), jets.EMFrac, info.eventNumber(), info.runNumber(), truth.pt(), jets.Count()]
    _, got = deliver(*frames)
    same, particles = df.Jets("Jets"), df.TruthParticles("TruthElectrons")
    local = [
        same[same.pt > 30000].eta, same.EMFrac, df.EventInfo("EventInfo").eventNumber, df.EventInfo("EventInfo").runNumber, particles.pt,
        same.Count(),
    ]  # fmt: skip
    wanted = make_local(local)
    wanted[0] = ak.values_astype(wanted[0], np.float64)
    for result, array, bits in zip(got, wanted, [0, 0, 0, 0, 64, 0], strict=True):
        assert_same(result.array, array, bits=bits)


def test_the_text_in_c_is_part_of_the_key(remote):
    from hep_flows import user_func

    def declared(body: str):
        @user_func(cpp=body)
        def f(x: float) -> float: ...

        return render(f(remote.Jets("Jets").pt))

    assert declared("return x;").key == declared("return x;").key
    assert declared("return x;").key != declared("return 2 * x;").key
    plain = declared("return x;").function
    assert replace(plain, cpp=None).identity() != plain.identity()
