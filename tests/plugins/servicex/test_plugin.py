"""The plug-in as the planner and the runner see it."""

from __future__ import annotations

import threading

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import render, user_func
from hep_flows.contract import Columns, Program, RunContext, Yes
from hep_flows.errors import NoPluginError, PlanError, TaskError
from hep_flows.execute.run import run_plan
from hep_flows.expr.nodes import Dataset, Input
from hep_flows.expr.walk import postorder
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from hep_flows.plugins.servicex.query import Delivered, EndpointError
from hep_flows.record.dataframe import table_of
from hep_flows.sources.describe import describe
from hep_flows.testing.suite import PluginSuite, sample_table
from plugins.servicex.both import Both, plugins_of
from plugins.servicex.exactly import exact_difference
from plugins.servicex.memory_endpoint import MemoryEndpoint
from plugins.servicex.nowhere import nano_nowhere


@user_func
def of_lists(x: list[float]) -> float:
    return float(len(x))


def node_of(expression):
    return render(expression)


def planned(*expressions, plugins=None):
    return make_plan(render(list(expressions)), plugins or [ServiceXPlugin(), AwkwardPlugin(), HistPlugin()])


def root_files(folder):
    """Write the events of the sample table as three ROOT files in NanoAOD's layout."""
    from hep_flows import make_local

    table = sample_table(folder)
    names = ("number", "run", "trigger")
    columns = dict(zip(names, make_local([getattr(table, n) for n in names]), strict=True))
    columns["weight"] = ak.fill_none(make_local(table.weight), 0.25)
    columns["MET_pt"] = make_local(table.MET.pt)
    columns["Jet"] = make_local(table.Jet)
    columns["Muon"] = make_local(table.Muon)
    files = []
    for start, stop in ((0, 18), (18, 29), (29, 41)):
        files.append(str(folder / f"events_{start}.root"))
        part = {n: a[start:stop] for n, a in columns.items()}
        with uproot.recreate(files[-1]) as file:
            tree = file.mktree("Events", {n: a.type.content if a.ndim > 1 else ak.to_numpy(a).dtype for n, a in part.items()})
            tree.extend({n: a if a.ndim > 1 else ak.to_numpy(a) for n, a in part.items()})
    return files


class TestSuite(PluginSuite):
    plugin = ServiceXPlugin
    relative = 0.0

    @pytest.fixture
    def tables(self, tmp_path):
        return Both("nanoaod", root_files(tmp_path), "Events")

    @pytest.fixture
    def table(self, tables):
        self.twins = tables
        return tables.remote

    def twin(self, table):
        return self.twins.local


def test_columns_of_one_selection_come_with_one_query(data):
    file = data("nano_dy.root")
    described = describe("nanoaod", [file], "Events")
    with uproot.open(file) as opened:
        endpoint = MemoryEndpoint(opened["Events"].arrays(["Jet_pt", "Jet_eta", "MET_pt"]))
    plugin = ServiceXPlugin(endpoint)
    df = table_of(described, "servicex:nanoaod")
    central = df.Jet[abs(df.Jet.eta) < 1]
    some = df[df.MET.pt > 20]
    plan = planned(df.Jet.pt, central.pt, central.Count(), some.Jet.eta, some.MET.pt, df.Count(), plugins=[plugin])
    run_plan(plan, [plugin])
    assert plugins_of(plan) == ["servicex"] * 6
    assert [len(q.columns) for q in endpoint.queries] == [3, 2]


def test_what_cannot_be_sent_is_computed_on_what_is_delivered(data):
    tables = Both("nanoaod", [data("nano_dy.root")])

    def expression(df):
        return df.Jet[abs(df.Jet.eta) < 2.4].First().pt + df.MET.pt

    plan = tables.plan(expression(tables.remote))
    assert plugins_of(plan) == ["servicex", "servicex", "awkward"]
    assert tables.difference(expression(tables.local), expression(tables.remote)) == ""


@pytest.mark.parametrize("first", ["local", "remote"])
def test_one_file_is_one_table_whoever_reads_it(data, first):
    tables = Both("nanoaod", [data("nano_dy.root")])
    plugins = [tables.servicex, AwkwardPlugin()]

    def asked(df):
        return [
            df.Jet[abs(df.Jet.eta) < 2.4].pt,
            df.MET.pt / df.MET.pt.Max(),
            df.Jet.First().pt,
            df.Jet[df.Jet.pt > 30].Count().Sum(),
        ]

    one, other = (asked(t) for t in ((tables.local, tables.remote) if first == "local" else (tables.remote, tables.local)))
    plans = [planned(*exprs, plugins=plugins) for exprs in (one, other, one + other)]
    assert len({tuple(p.targets[:4]) for p in plans}) == 1
    assert plans[2].targets[4:] == plans[2].targets[:4]
    assert [p.forms[k] for p in plans[:2] for k in p.targets[:3]] == 2 * [plans[0].forms[k] for k in plans[0].targets[:3]]
    results = [run_plan(p, plugins) for p in plans]
    for key in plans[0].targets[:3]:
        assert not exact_difference(results[1][key].array, results[0][key].array)
        assert not exact_difference(results[2][key].array, results[0][key].array)
    assert results[0][plans[0].targets[3]] == results[1][plans[0].targets[3]]


def test_a_loop_that_stays_here_reads_no_whole_objects(data):
    tables = Both("nanoaod", [data("nano_dy.root")])

    def expression(df):
        return df.Jet.map(lambda j: df.Muon[lambda m: m.DeltaR(j) < 1].First().pt)

    plan = tables.plan(expression(tables.remote))
    assert {c for t in plan.tasks if t.plugin == "servicex" for c in t.columns} == {
        "Jet_eta", "Jet_phi", "Muon_eta", "Muon_phi", "Muon_pt",
    }  # fmt: skip
    assert tables.difference(expression(tables.local), expression(tables.remote)) == ""


def test_a_leaf_of_text_has_no_plugin_and_both_say_why():
    with pytest.raises(NoPluginError) as caught:
        planned(nano_nowhere().kind)
    assert "servicex: kind is a string" in caught.value.why
    assert "awkward: it reads nanoaod, parquet, tree, xaod, not servicex:nanoaod" in caught.value.why


def test_objects_with_a_member_that_cannot_be_sent_are_an_error_of_the_plan():
    with pytest.raises(PlanError, match="values of weight may be missing"):
        planned(nano_nowhere())


def test_tables_of_other_kinds_are_refused():
    node = next(n for n in postorder(render(sample(nano_nowhere(), "nanoaod"))) if isinstance(n, Dataset))
    assert "servicex:nanoaod" in ServiceXPlugin().can_run(node, []).reason


def sample(df, kind):
    dataset = next(n for n in postorder(render(df)) if isinstance(n, Dataset))
    return table_of(_Described(dataset.type.item, dataset), kind)


class _Described:
    def __init__(self, record, dataset):
        self.record, self.content, self.tree, self.files, self.name = record, dataset.content, dataset.tree, dataset.files, "x"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (lambda df: df.Jet[0].pt, "of an empty list, the back end fails"),
        (lambda df: df.Jet.pt[:2], "no slice"),
        (lambda df: df.Jet.pt.Mean(), "no mean"),
        (lambda df: df.Jet.pt.Prod(), "no product"),
        (lambda df: df.MET.pt.Max(), "a total over all events is made here"),
        (lambda df: df.Jet[df.MET.pt > 30].pt, "would not be repeated"),
        (lambda df: df.Jet.pt - df.Muon.pt.Max(), "would make the whole list missing"),
        (lambda df: df.Jet[df.Jet.map(lambda j: df.Muon.map(lambda m: m.pt - j.pt).Max() > 0)].pt, "keeps elements where the mask"),
        (lambda df: df.Jet.pt + np.inf, "cannot write inf"),
        (lambda df: df.weight + 1, "may be missing"),
        (lambda df: df.Jet.map(lambda j: df.MET.pt), "would not be repeated"),
        (lambda df: df.Jet.map(lambda j: df.Muon[lambda m: m.pt > j.pt]).pt, "cannot filter a collection by the element"),
        (
            lambda df: df.Jet.map(lambda j: df.Jet.map(lambda k: df.Jet.map(lambda m: j.pt + k.pt + m.pt))),
            "pair the elements of two",
        ),
        (lambda df: df.Muon.charge**2, "may fail"),
        (lambda df: np.isin(df.run, range(40)), "more than 16"),
        (lambda df: np.round(df.Jet.pt, 1), "whole numbers only"),
        (lambda df: of_lists(df.Jet.pt), "its body is Python"),
    ],
)
def test_a_refusal_says_why(expression, reason):
    plugin = ServiceXPlugin()
    fine = set()
    reasons = []
    for node in postorder(node_of(expression(nano_nowhere()))):
        answer = plugin.can_run(node, ["servicex" if i.key in fine or not i.inputs() else "awkward" for i in node.inputs()])
        if isinstance(answer, Yes):
            fine.add(node.key)
        else:
            reasons.append(answer.reason)
    assert any(reason in r for r in reasons), reasons


def test_results_of_other_tasks_are_not_sent():
    node = Input(bytes(32), type=render(nano_nowhere().Jet.pt).type)
    assert "stored events" in ServiceXPlugin().can_run(node, []).reason


@user_func(cpp="return eta1 - eta2;")
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float: ...


def test_a_function_with_a_body_of_its_own_is_not_taken_for_one_of_its_name():
    df = nano_nowhere()
    node = node_of(DeltaR(df.Jet.eta, df.Jet.phi, df.MET.phi, df.MET.phi))
    assert "DeltaR with a body of its own" in ServiceXPlugin().can_run(node, ["servicex"] * 4).reason


def test_what_is_nested_too_deeply_is_refused_whatever_was_asked_before():
    plugin, df = ServiceXPlugin(), nano_nowhere()
    x = df.Jet.pt
    for _ in range(70):
        x = x + df.Jet.eta
    answers = [plugin.can_run(node_of(x), ["servicex"] * 2) for _ in range(2)]
    assert ["nested more than" in a.reason for a in answers] == [True, True]


def test_a_long_sum_is_refused_and_computed_here():
    df = nano_nowhere()
    total = df.Jet.pt
    for _ in range(400):
        total = total + df.Jet.eta
    plan = planned(total)
    assert set(plugins_of(plan)) == {"servicex", "awkward"}


def test_an_expression_that_doubles_forty_times_is_planned_at_once():
    x = nano_nowhere().Jet.pt
    for _ in range(40):
        x = x * x
    assert planned(x).tasks


class Failing:
    """Gives one thing for every file."""

    name = "a back end"

    def __init__(self, gives):
        self.gives = gives

    def run(self, query, files, scratch, watch):
        del query, files, scratch, watch
        yield from self.gives


def run_on(endpoint, expression):
    plugin = ServiceXPlugin(endpoint)
    plan = planned(expression, plugins=[plugin])
    return run_plan(plan, [plugin])[plan.targets[0]]


def test_a_file_that_fails_is_an_error_with_the_query():
    error = EndpointError("no such file at the site", file="nano.root")
    with pytest.raises(TaskError, match=r"a back end failed on nano.root: no such file at the site") as caught:
        run_on(Failing([error]), nano_nowhere().Jet.pt)
    assert "Jet_pt" in caught.value.why


def test_nothing_delivered_is_an_error():
    with pytest.raises(TaskError, match="delivered nothing"):
        run_on(Failing([]), nano_nowhere().Jet.pt)


def parquet(path, **columns):
    ak.to_parquet(ak.zip(columns, depth_limit=1), path)
    return str(path)


def test_a_column_that_is_missing_is_an_error(tmp_path):
    path = parquet(tmp_path / "a.parquet", other=ak.Array([1.0]))
    with pytest.raises(TaskError, match="did not deliver the column c0"):
        run_on(Failing([Delivered("nano.root", path)]), nano_nowhere().MET.pt)


def test_a_missing_value_where_none_can_be_is_an_error(tmp_path):
    path = parquet(tmp_path / "a.parquet", c0=ak.values_astype(ak.Array([1.0, None]), "float32"))
    with pytest.raises(TaskError, match="delivered missing values"):
        run_on(Failing([Delivered("nano.root", path)]), nano_nowhere("2:aa").MET.pt)


@pytest.mark.parametrize("wrong", [ak.Array([1.0, 2.0]), ak.Array([[1.0], []])])
def test_another_kind_of_values_is_an_error(tmp_path, wrong):
    path = parquet(tmp_path / "a.parquet", c0=wrong)
    with pytest.raises(TaskError, match=r"delivered .* where float32 was asked for"):
        run_on(Failing([Delivered("nano.root", path)]), nano_nowhere("2:aa").MET.pt)


def test_no_events_give_an_empty_array_of_the_type_without_a_query():
    df = nano_nowhere("0:aa")
    got = run_on(Failing([]), df.Jet[df.Jet.pt > 30].pt)
    assert str(got.array.type) == "0 * var * float32"
    assert str(run_on(Failing([]), df.Jet.pt.Max()).array.type) == "0 * ?float32"


def test_merging_no_parts_gives_an_empty_array():
    plugin = ServiceXPlugin()
    task = planned(nano_nowhere().Muon, plugins=[plugin]).tasks[0]
    merged = plugin.merge(plugin.translate(task), [])
    assert str(merged.array.type) == "0 * var * {pt: float32, eta: float32, phi: float32, charge: int32}"


def test_threads_may_ask_and_run_at_the_same_time(data):
    tables = Both("nanoaod", [data("nano_dy.root")])
    df = tables.remote
    tasks = [tables.plan(df.Jet[df.Jet.pt > k].pt / (k + 1)).tasks[0] for k in range(8)]
    (partition,) = tables.servicex.partitions(tasks[0].dataset, 1000)
    alone = [tables.servicex.run([Program(t, "", "")], {}, RunContext(partition))[t.key].array for t in tasks]
    together = {}

    def work(number):
        task = tasks[number]
        for _ in range(3):
            together[number] = tables.servicex.run([Program(task, "", "")], {}, RunContext(partition))[task.key].array

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [exact_difference(together[k], alone[k]) for k in range(8)] == [""] * 8


def test_several_files_are_one_table_in_order(tmp_path):
    tables = Both("nanoaod", root_files(tmp_path), "Events")
    got = tables.delivered(tables.remote.number)
    assert isinstance(got, Columns)
    assert got.array.tolist() == list(range(-5, 36))
    assert tables.delivered(tables.remote.Count()) == tables.expected(tables.local.Count())
