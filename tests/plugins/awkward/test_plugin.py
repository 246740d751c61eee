"""The plug-in itself: what it says it can run, what it reads, and real files from schema to result."""

from __future__ import annotations

import awkward as ak
import pytest
import uproot

from hep_flows.contract import Columns, No, Partition, Plugin, RunContext, Scalar, Yes, reads_tables
from hep_flows.errors import TaskError
from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.types import Float
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.sources.describe import describe
from plugins.awkward.memory_events import DS, call, leaf, literal, task_of

SINGLE_MUON = "Run2012B_SingleMu_1000.root"


@pytest.fixture
def plugin():
    return AwkwardPlugin()


@pytest.fixture
def table(data):
    file = data(SINGLE_MUON)
    found = describe("nanoaod", [file])
    return build.dataset("nanoaod", found.content, found.tree, found.record, files=found.files)


def make(plugin, table, *exprs, chunk_events=10_000):
    programs = [plugin.translate(task_of(e, dataset=table)) for e in exprs]
    parts = [plugin.run(programs, {}, RunContext(p)) for p in plugin.partitions(table, chunk_events)]
    return [plugin.merge(p, [part[p.task.key] for part in parts]) for p in programs]


def test_it_has_every_ability(plugin):
    assert isinstance(plugin, Plugin)
    assert reads_tables(plugin)


def test_it_runs_everything_but_histograms_and_unknown_sources(plugin):
    pt = leaf("Jet", "pt")
    for node in (DS, pt, literal(1), build.filtered(pt, call("greater", pt, 1), 1), call("sum", pt), build.bound(pt, 1)):
        assert plugin.can_run(node, []) == Yes()
    elsewhere = build.dataset("servicex", ("name",), "", DS.type.item)
    assert plugin.can_run(elsewhere, []) == No("it reads nanoaod, parquet, tree, xaod, not servicex")
    empty = build.histogram("histogram", (), (), "axes")
    for node in (empty, build.histogram("np_histogram", (pt,), (), "numpy"), build.task_input(b"h", empty.type)):
        assert isinstance(plugin.can_run(node, []), No)


def test_it_runs_functions_with_a_body_and_delta_r(plugin):
    def declared(name, *parameters, body=None):
        function = UserFunction(name, parameters, (None,) * len(parameters), Float(64), body=body)
        return build.call(function, [leaf("Jet", "pt")] * len(parameters))

    assert plugin.can_run(declared("f", "x", body=abs), []) == Yes()
    assert plugin.can_run(declared("DeltaR", "a", "b", "c", "d"), []) == Yes()
    assert plugin.can_run(declared("DeltaR", "a", "b"), []) == No("DeltaR has no body here")
    assert plugin.can_run(declared("f", "x"), []) == No("f has no body here")


def test_program_names_what_is_read(plugin):
    jet_pt = leaf("Jet", "pt")
    program = plugin.translate(task_of(build.filtered(jet_pt, call("greater", leaf("MET", "pt"), 30), 1)))
    assert program.columns == ("Jet_pt", "MET_pt")
    assert "Jet.pt" in program.text
    assert program.language == "awkward"
    assert plugin.translate(task_of(call("count", leaf("Jet")))).columns == ("nJet",)
    assert plugin.translate(task_of(call("count", DS))).columns == ()
    assert "Jet_hits" in plugin.translate(task_of(leaf("Jet"))).columns


@pytest.mark.parametrize("chunk_events", [10_000, 300])
def test_real_file_from_schema_to_results(plugin, table, data, chunk_events):
    tree = uproot.open(data(SINGLE_MUON))["Events"]
    pt, eta, met = (tree[n].array() for n in ("Jet_pt", "Jet_eta", "MET_pt"))
    jet = build.field(table, "Jet")
    jet_pt, jet_eta = build.field(jet, "pt"), build.field(jet, "eta")
    chosen = build.filtered(
        jet_pt, call("bitwise_and", call("greater", jet_pt, 30), call("less", call("absolute", jet_eta), 2.4)), 1
    )
    met_pt = build.field(build.field(table, "MET"), "pt")
    exprs = [
        call("sum", chosen),
        call("count", jet),
        build.filtered(met_pt, call("greater", call("count", chosen), 1), 0),
        call("sum", call("count", jet)),
        build.pick(jet_pt, 0, 1),
    ]
    got = make(plugin, table, *exprs, chunk_events=chunk_events)
    mask = (pt > 30) & (abs(eta) < 2.4)
    want = [
        ak.sum(ak.values_astype(pt[mask], "f8"), axis=1),
        ak.num(pt),
        met[ak.sum(mask, axis=1) > 1],
        int(ak.count(pt)),
        ak.firsts(pt),
    ]
    for result, expected in zip(got, want, strict=True):
        if isinstance(result, Scalar):
            assert result == Scalar(expected)
        else:
            assert isinstance(result, Columns)
            assert result.array.to_list() == expected.to_list()


def test_whole_events_of_a_real_file(plugin, table, data):
    tree = uproot.open(data(SINGLE_MUON))["Events"]
    few = build.filtered(table, call("greater", build.field(build.field(table, "MET"), "pt"), 60), 0)
    (got,) = make(plugin, table, few)
    passed = tree["MET_pt"].array() > 60
    for name in ("Jet_pt", "Muon_charge", "Tau_phi"):
        collection, leaf_name = name.split("_")
        assert got.array[collection, leaf_name].to_list() == tree[name].array()[passed].to_list()
    assert got.array["run"].to_list() == tree["run"].array()[passed].to_list()


def test_cancelled_run_stops(plugin, table):
    program = plugin.translate(task_of(call("count", build.field(table, "Jet")), dataset=table))
    partition = Partition(table.files[0], 0, 0, 10, 0)
    with pytest.raises(TaskError, match="cancelled"):
        plugin.run([program], {}, RunContext(partition, cancelled=lambda: True))
