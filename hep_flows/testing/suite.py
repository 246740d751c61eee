"""Tests that every plug-in should pass: subclass `PluginSuite` in a test module, and name the plug-in.

::

    class TestJetScale(PluginSuite):
        plugin = JetScalePlugin
"""

from __future__ import annotations

import inspect
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from hep_flows.contract import LOCAL, LOCAL_VERSION, Columns, HistogramResult, No, Plugin, Program, Yes
from hep_flows.errors import LiteralError
from hep_flows.execute.run import run_plan
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Function, UserFunction
from hep_flows.expr.nodes import Map
from hep_flows.expr.types import Bool, Float, Int, Member, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hep_flows.contract import Key, Plan, Result, Task
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Constant
    from hep_flows.record.dataframe import DataFrame

# Say where two results differ ----------------------------------------------------------------------------------------------------


def difference(got: Result, expected: Result, relative: float) -> str:
    """Give the first difference between two results as text, or nothing where there is none.

    Parameters
    ----------
    got, expected : Result
        Columns, a scalar or a histogram.
    relative : float
        By what part floats may differ; zero: by no bit.
    """
    if type(got) is not type(expected):
        return f"{type(got).__name__} instead of {type(expected).__name__}"
    return values_differ(plain(got), plain(expected), relative)


def plain(result: Result) -> Any:
    """Give a result as lists, dicts and plain Python values."""
    if isinstance(result, Columns):
        import awkward as ak

        return ak.to_list(result.array)
    if isinstance(result, HistogramResult):
        return _plain_histogram(result.histogram)
    return result.value


def _plain_histogram(histogram: Any) -> Any:
    if isinstance(histogram, tuple):
        return [part.tolist() for part in histogram]
    view = histogram.view(flow=True)
    parts = [view[n].tolist() for n in view.dtype.names] if view.dtype.names else [view.tolist()]
    return {"axes": [str(a) for a in histogram.axes], "storage": str(histogram.storage_type), "contents": parts}


def values_differ(got: Any, expected: Any, relative: float, path: str = "") -> str:
    """Give the first difference between two nested plain values as text."""
    if isinstance(expected, list) and isinstance(got, list):
        if len(got) != len(expected):
            return f"{path or 'it'} has {len(got)} entries instead of {len(expected)}"
        parts = enumerate(zip(got, expected, strict=True))
        return next((d for i, (g, e) in parts if (d := values_differ(g, e, relative, f"{path}[{i}]"))), "")
    if isinstance(expected, dict) and isinstance(got, dict):
        if list(got) != list(expected):
            return f"{path or 'it'} has {list(got)} instead of {list(expected)}"
        return next((d for k in expected if (d := values_differ(got[k], expected[k], relative, f"{path}.{k}"))), "")
    return "" if _same(got, expected, relative) else f"{path or 'it'} is {got!r} instead of {expected!r}"


def _same(got: Any, expected: Any, relative: float) -> bool:
    if type(got) is not type(expected):
        return False
    if isinstance(expected, float) and not (math.isnan(expected) or got == expected):
        return math.isclose(got, expected, rel_tol=relative, abs_tol=0.0)
    return bool(got == expected) or (isinstance(expected, float) and math.isnan(expected) and math.isnan(got))


# Notice when a part of a plug-in that should only think opens a file or a connection ---------------------------------------------

_DOORS = (
    "builtins.open", "io.open", "os.open", "os.listdir", "os.scandir",
    "socket.socket.connect", "socket.create_connection", "socket.getaddrinfo",
)  # fmt: skip


@contextmanager
def no_effects(what: str) -> Iterator[None]:
    """Let files and connections fail inside the block, and fail after it when one was tried and the error swallowed."""
    tried: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for door in _DOORS:
            patch.setattr(door, _refusing(door, what, tried))
        yield
    assert not tried, f"{what} must touch neither files nor the network, and called {tried[0]}"


def _refusing(door: str, what: str, tried: list[str]) -> Any:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        tried.append(door)
        raise AssertionError(f"{what} must touch neither files nor the network, and called {door}")

    return refuse


# Run expressions with a plug-in wherever it says yes, and with the built-in ones for the rest ------------------------------------

Plugins = tuple["Plugin", ...]


def reference() -> Plugins:
    """Give the plug-ins that say what is right."""
    return (AwkwardPlugin(), HistPlugin())


def with_reference(plugin: Plugin) -> Plugins:
    """Give the plug-in, and the built-in ones for what it does not run."""
    return (plugin, *[p for p in reference() if p.name != plugin.name])


def planned(expr: Expr, plugin: Plugin) -> Plan:
    """Give a plan in which the plug-in runs every node that it can run, whatever others would cost."""
    (expr,) = normalise([expr])
    plugins = with_reference(plugin)
    labels = dict(make_plan([expr], plugins).labels)
    pins: dict[Key, str] = {}
    for node in postorder(expr):
        if node.key not in labels:
            continue
        inputs = [pins.get(i.key, labels.get(i.key, "")) for i in node.inputs()]
        open_loops = [pins.get(i.key) == plugin.name for i in node.inputs() if i.type.loops]
        whole = all(open_loops) or not isinstance(node, Map)
        if whole and isinstance(plugin.can_run(node, inputs), Yes):
            pins[node.key] = plugin.name
    return make_plan([expr], plugins, pins=pins)


def takes_part(plan: Plan, plugin: Plugin) -> bool:
    """Say whether the plug-in runs a part of the plan."""
    return any(t.plugin == plugin.name for t in plan.tasks)


def result(plan: Plan, plugins: Plugins, *, workers: int = 1, chunk_events: int = 1_000_000) -> Result:
    """Give the result of a plan with one target."""
    return run_plan(plan, plugins, workers=workers, chunk_events=chunk_events)[plan.targets[0]]


def expected_result(expr: Expr, plugins: Plugins) -> Result:
    """Give what the built-in plug-ins compute, in one range on one thread."""
    return result(make_plan(normalise([expr]), plugins), plugins)


# One node of every class, and one call of every function: what a plug-in can be asked about --------------------------------------

_SPEC = '{"axes":[{"bins":5,"kind":"Regular","name":"x","start":0.0,"stop":1.0}],"storage":{"kind":"Double"}}'


def every_node() -> dict[str, Expr]:
    """Give nodes over a table that is nowhere, by name of the class or the function."""
    jets, values, nested = _leaf("Jet"), _leaf("Jet", "x"), _leaf("Jet", "list")
    mask = build.call("greater", [values, build.literal(1.5)])
    element = build.bound(values, 1)
    empty = build.histogram("histogram", (), (("spec", _SPEC),), _SPEC)
    weights: tuple[tuple[str, Constant], ...] = (
        ("members", ("x",)), ("axes", (("member", "x"),)), ("weight", ("number", 0)), ("sample", None),
    )  # fmt: skip
    special: dict[str, Expr] = {
        "Dataset": _table(),
        "Field": values,
        "Filter": build.filtered(values, mask, 1),
        "Literal": build.literal(1.5),
        "Bound": element,
        "Map": build.mapped(jets, build.call("add", [element, build.literal(1)]), 1),
        "Input": build.task_input(bytes(32), values.type),
        "UserFunction": build.call(UserFunction("nobody_knows_it", ("x",), (None,), Float(64)), [values]),
        "pick": build.pick(values, 0, 1),
        "slice": build.sliced(values, (None, 2, None), 1),
        "gather": build.gathered(values, _leaf("Jet", "n"), 1),
        "record": build.record(("x", "n"), (values, _leaf("Jet", "n"))),
        "replace": build.replaced(jets, ("x",), (values,)),
        "referring": build.referring(_leaf("Jet", "n")),
        "flatten": build.flattened(nested),
        "parameter": build.parameter("xsec", 2.5),
        "vary": build.varied(values, (build.call("negative", (values,)),), ("jes", 0), ("up",)),
        "concatenate": build.concatenated((values, _leaf("Jet", "n")), 1),
        "histogram": empty,
        "fill": build.histogram("fill", (empty, build.record(("x",), (values,)), build.literal(2.0)), weights, _SPEC),
        "scaled": build.histogram("scaled", (empty, build.literal(2.0)), (), _SPEC),
        "np_histogram": build.histogram("np_histogram", (values,), (("bins", 5), ("range", (0, 1))), "numpy"),
    }
    called = {name: _call(row) for name, row in FUNCTIONS.items() if row.kind in {"elementwise", "reduce", "list"}}
    return {**special, **called}


def _call(row: Function) -> Expr:
    """Give a call with the first kind of arguments that the function takes."""
    options = tuple([(o.name, o.example) for o in row.options])
    for leaf in ("x", "n", "b"):
        try:
            return build.call(row.name, [_leaf("Jet", leaf)] * row.arity[0], options)
        except LiteralError:
            continue
    return build.call(row.name, [_leaf("Jet", "b"), *[_leaf("Jet", "x")] * (row.arity[0] - 1)])


def _table() -> Expr:
    jet = Record(
        "Jet", {"x": Member(Float(64)), "n": Member(Int(64)), "b": Member(Bool()), "list": Member(Float(32), ("list",))}, "nanoaod"
    )
    return build.dataset(
        "nanoaod", ("nowhere",), "Events", Record("event", {"Jet": Member(jet, ("Jet",))}, "nanoaod"), files=("none.root",)
    )


def _leaf(*names: str) -> Expr:
    node = _table()
    for name in names:
        node = build.field(node, name)
    return node


# Expressions over the sample table, from every corner of the language ------------------------------------------------------------


def sample_expressions(df: DataFrame) -> dict[str, Any]:
    """Give recorded expressions by name, over a table with the members of the sample table."""
    return {**_items(df), **_lists(df), **_loops_and_events(df), **_totals(df), **_histograms(df)}


def _items(df: DataFrame) -> dict[str, Any]:
    import numpy as np

    jets = df.Jet
    return {
        "leaf": jets.pt,
        "leaf of events": df.MET.pt,
        "leaf with missing values": df.weight,
        "arithmetic": (jets.pt + 1) * jets.eta - df.MET.pt / 2,
        "arithmetic of integers": df.number * 3 - df.run,
        "division of negative integers": df.number // 4 + df.number % 3,
        "missing values pass": df.weight * df.MET.pt,
        "function": np.sqrt(jets.pt) + abs(jets.eta),
        "function alone": np.sqrt(jets.pt),
        "comparison": jets.pt > 30,
        "and, or, not": ((jets.pt > 30) & (abs(jets.eta) < 1.5)) | ~(jets.id > 1),
        "where": np.where(jets.eta > 0, jets.pt, -jets.pt),
    }


def _lists(df: DataFrame) -> dict[str, Any]:
    jets = df.Jet
    hard = jets[(jets.pt > 30) & (abs(jets.eta) < 2)]
    return {
        "filter": hard.pt,
        "filter of a filter": hard[hard.eta > 0].pt,
        "filtered objects": hard,
        "count": hard.Count(),
        "sum": hard.pt.Sum(),
        "sum of integers": jets.id.Sum(),
        "product": jets.id.Prod(),
        "largest, missing in empty lists": hard.pt.Max(),
        "smallest": jets.eta.Min(),
        "mean": jets.pt.Mean(),
        "any": (jets.pt > 80).Any(),
        "all": (jets.pt > 20).All(),
        "first": hard.First().pt,
        "last": jets.pt[-1],
        "slice": jets.pt[:2],
    }


def _loops_and_events(df: DataFrame) -> dict[str, Any]:
    jets, muons = df.Jet, df.Muon
    some = df[(jets.Count() >= 2) & df.trigger]
    return {
        "map": jets.map(lambda j: j.pt / 2 + df.MET.pt),
        "pairs": jets.map(lambda j: muons.map(lambda m: j.eta - m.eta)),
        "count of near objects": jets.map(lambda j: muons[lambda m: abs(m.eta - j.eta) < 0.5].Count()),
        "objects of chosen events": some.Jet.pt,
        "aggregate of chosen events": some.Muon.pt.Sum(),
        "no events": df[df.number > 1000].Jet.pt,
    }


def _totals(df: DataFrame) -> dict[str, Any]:
    return {
        "number of events": df.Count(),
        "number of objects": df.Jet.Count().Sum(),
        "sum over events": df.weight.Sum(),
        "largest of all": df.Jet.pt.Max().Max(),
        "mean over events": df.MET.pt.Mean(),
        "share of the total": df.MET.pt / df.MET.pt.Sum(),
    }


def _histograms(df: DataFrame) -> dict[str, Any]:
    import numpy as np

    from hep_flows.record.histogram import Histogram

    counts = Histogram.new.Reg(6, 0, 100, name="pt").Double()
    two = Histogram.new.Reg(4, 0, 60, name="met").Int(0, 4, name="n").Weight()
    return {
        "histogram": counts.fill(pt=df.Jet.pt),
        "two fills": counts.fill(pt=df.Jet.pt).fill(pt=df.Muon.pt),
        "weighted histogram": two.fill(met=df.MET.pt, n=df.Jet.Count(), weight=df.run),
        "numpy's histogram": np.histogram(df.MET.pt, bins=5, range=(0, 60)),
    }


# A small table of events in three Parquet files, with what goes wrong easily: events without objects, missing and negative numbers ---

N_EVENTS = 41


def sample_table(folder: Path) -> DataFrame:
    """Give a table with the members number, run, weight (may be missing), trigger, MET, Jet and Muon.

    Parameters
    ----------
    folder : Path
        Where the files are written. Their row groups have four events, so that they can be divided.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hep_flows.record.dataframe import table_of
    from hep_flows.sources.describe import describe

    events, files = [_event(i) for i in range(N_EVENTS)], []
    for start, stop in ((0, 18), (18, 29), (29, N_EVENTS)):
        files.append(str(folder / f"events_{start}.parquet"))
        pq.write_table(pa.Table.from_pylist(events[start:stop], schema=_schema()), files[-1], row_group_size=4)
    return table_of(describe("parquet", files), "parquet")


def _event(i: int) -> dict[str, Any]:
    jets = [
        {"pt": 15.5 + (37 * i + 23 * j) % 90, "eta": ((7 * i + 5 * j) % 49 - 24) / 10, "id": (i + j) % 5 - 1} for j in range(i % 4)
    ]
    muons = [{"pt": 4.25 + (29 * i + 31 * j) % 60, "eta": ((11 * i + 3 * j) % 41 - 20) / 10} for j in range((i // 2) % 3)]
    return {
        "number": i - 5,
        "run": 7 + i % 3,
        "weight": None if i % 7 == 3 else 0.5 + (i % 4) / 4,
        "trigger": i % 3 != 1,
        "MET": {"pt": 2.5 + (17 * i) % 53},
        "Jet": jets,
        "Muon": muons,
    }


def _schema() -> Any:
    import pyarrow as pa

    def needed(name: str, kind: Any) -> Any:
        return pa.field(name, kind, nullable=False)

    muon = [needed("pt", pa.float32()), needed("eta", pa.float32())]
    return pa.schema(
        [
            needed("number", pa.int64()),
            needed("run", pa.int32()),
            pa.field("weight", pa.float64()),
            needed("trigger", pa.bool_()),
            needed("MET", pa.struct([needed("pt", pa.float32())])),
            needed("Jet", pa.list_(needed("item", pa.struct([*muon, needed("id", pa.int32())])))),
            needed("Muon", pa.list_(needed("item", pa.struct(muon)))),
        ]
    )


class PluginSuite:
    """Holds a plug-in against its contract, and its numbers against those of the built-in plug-ins.

    Attributes
    ----------
    plugin : Plugin or class or fixture
        What is tested. A class is called without arguments, for each test anew.
    relative : float
        By what part floats may differ from those of the reference.
    chunks : tuple of int
        The sizes of the ranges of events that results are compared for.
    """

    plugin: ClassVar[Any] = None
    relative: ClassVar[float] = 1e-6
    chunks: ClassVar[tuple[int, ...]] = (4, 12)

    @pytest.fixture
    def tested(self, request: pytest.FixtureRequest) -> Plugin:
        """Give the plug-in, from the attribute or the fixture ``plugin``."""
        given = inspect.getattr_static(type(self), "plugin")
        assert given is not None, f"give {type(self).__name__} a plug-in: plugin = MyPlugin"
        if not isinstance(given, type) and not hasattr(given, "can_run"):
            given = request.getfixturevalue("plugin")
        made = given() if isinstance(given, type) else given
        assert isinstance(made, Plugin), f"{made!r} is no plug-in: it lacks a part of hep_flows.contract.Plugin"
        return made

    @pytest.fixture
    def table(self, tmp_path: Path) -> DataFrame:
        """Give the table that expressions are over; a fixture ``table`` of a subclass may give another."""
        return sample_table(tmp_path)

    def expressions(self, table: DataFrame) -> Mapping[str, Any]:
        """Give the expressions that results are compared for, by name."""
        return sample_expressions(table)

    def twin(self, table: DataFrame) -> DataFrame:
        """Give the table that the built-in plug-ins read in its place: the same events, where they cannot read the table itself."""
        return table

    def own(self, table: DataFrame) -> Mapping[str, tuple[Any, Any]]:
        """Give expressions that only this plug-in can run, with their values as lists or numbers."""
        del table
        return {}

    def test_names_are_text(self, tested: Plugin) -> None:
        """The name and the version of results are text, and not empty."""
        for attribute in ("name", "result_version"):
            value = getattr(tested, attribute)
            assert isinstance(value, str), f"{attribute} must be a text, and is {value!r}"
            assert value, f"{attribute} must not be empty"

    def test_can_run_answers_every_node(self, tested: Plugin) -> None:
        """There is a Yes with a cost, or a No with a reason, for every class of nodes and every function."""
        for name, node, inputs in _questions(tested):
            answer = tested.can_run(node, inputs)
            assert isinstance(answer, Yes | No), f"can_run must give Yes or No for {name}, and gave {answer!r}"
            if isinstance(answer, No):
                reason: object = answer.reason
                good = isinstance(reason, str) and reason.strip()
                assert good, f"can_run says No to {name} without a reason"
            else:
                assert answer.cost >= 0, f"can_run gives {name} the cost {answer.cost}"

    def test_can_run_is_pure(self, tested: Plugin) -> None:
        """The same question has the same answer, in any order, and no file or connection is opened for it."""
        questions = list(_questions(tested))
        first = [tested.can_run(node, inputs) for _, node, inputs in questions]
        with no_effects("can_run"):
            again = [tested.can_run(node, inputs) for _, node, inputs in reversed(questions)][::-1]
        for (name, _, _), before, after in zip(questions, first, again, strict=True):
            assert before == after, f"can_run gave {before} for {name}, and then {after}"

    def test_translate_is_pure(self, tested: Plugin, table: DataFrame) -> None:
        """A task has one program, and no file or connection is opened for it."""
        tasks = [task for _, plan in self._plans(tested, table) for task in plan.tasks if task.plugin == tested.name]
        first = [tested.translate(task) for task in tasks]
        with no_effects("translate"):
            again = [tested.translate(task) for task in reversed(tasks)][::-1]
        for task, before, after in zip(tasks, first, again, strict=True):
            _check_program(task, before)
            assert before == after, f"translate gave {before.text!r}, and then {after.text!r}, or other columns, for one task"

    def test_results_are_those_of_the_reference(self, tested: Plugin, table: DataFrame) -> None:
        """Wherever the plug-in says yes, it gives the values of the built-in plug-ins."""
        twins, plugins, others = self.expressions(self.twin(table)), with_reference(tested), reference()
        for name, plan in self._plans(tested, table):
            if name not in twins:
                continue
            wrong = difference(result(plan, plugins), expected_result(_expr(twins[name]), others), self.relative)
            assert not wrong, f"{name}: {wrong}"

    def test_a_member_of_the_local_family_gives_every_bit(self, tested: Plugin, table: DataFrame) -> None:
        """Whoever promises the bits of the built-in plug-ins gives their values and types exactly, and shares their keys."""
        twins, plugins, others = self.expressions(self.twin(table)), with_reference(tested), reference()
        for name, plan in self._plans(tested, table):
            if name not in twins or any(t.numerics.family != LOCAL for t in plan.tasks):
                continue
            alone = make_plan(normalise([_expr(twins[name])]), others)
            got, expected = result(plan, plugins), result(alone, others)
            wrong = difference(got, expected, 0.0)
            if isinstance(got, Columns) and isinstance(expected, Columns) and not wrong:
                wrong = "" if got.array.type == expected.array.type else f"{got.array.type} instead of {expected.array.type}"
            assert not wrong, f"{name}: {wrong}"
            if tested.result_version == LOCAL_VERSION:
                assert plan.targets == alone.targets, f"{name}: the key is another one"

    def test_own_results_are_as_expected(self, tested: Plugin, table: DataFrame) -> None:
        """What only this plug-in can run has the values that are given with it."""
        for name, (expression, value) in self.own(table).items():
            plan = planned(_expr(expression), tested)
            assert takes_part(plan, tested), f"{name}: the plug-in says no to every part of it"
            wrong = values_differ(plain(result(plan, with_reference(tested))), value, self.relative)
            assert not wrong, f"{name}: {wrong}"

    def test_merged_parts_are_the_whole(self, tested: Plugin, table: DataFrame) -> None:
        """Ranges of any size, merged, give what one range gives."""
        plugins = with_reference(tested)
        for name, plan in self._plans(tested, table):
            whole = result(plan, plugins)
            for size in self.chunks:
                wrong = difference(result(plan, plugins, chunk_events=size), whole, self.relative)
                assert not wrong, f"{name}, in ranges of {size} events: {wrong}"

    def test_results_do_not_depend_on_the_number_of_threads(self, tested: Plugin, table: DataFrame) -> None:
        """Four threads give every bit of what one gives."""
        plugins = with_reference(tested)
        for name, plan in self._plans(tested, table):
            alone, together = (result(plan, plugins, workers=n, chunk_events=self.chunks[0]) for n in (1, 4))
            wrong = difference(together, alone, 0.0)
            assert not wrong, f"{name}, on 4 threads: {wrong}"

    def _plans(self, tested: Plugin, table: DataFrame) -> Iterator[tuple[str, Plan]]:
        """Give the plans that the plug-in has a part in."""
        own = {name: expression for name, (expression, _) in self.own(table).items()}
        for name, expression in {**self.expressions(table), **own}.items():
            plan = planned(_expr(expression), tested)
            if takes_part(plan, tested):
                yield name, plan


def _expr(expression: Any) -> Expr:
    node: Expr = expression._expr  # noqa: SLF001
    return node


def _questions(plugin: Plugin) -> Iterator[tuple[str, Expr, list[str]]]:
    """Give every node with labels of its inputs: all of the plug-in, and all of another."""
    for name, root in every_node().items():
        for node in postorder(root):
            for label in (plugin.name, "another"):
                yield name, node, [label for _ in node.inputs()]


def _check_program(task: Task, program: Program) -> None:
    assert isinstance(program, Program), f"translate must give a Program, and gave {program!r}"
    assert program.task.key == task.key, "the program must hold the task that it was made for"
    assert isinstance(program.text, str), f"the text of a program must be a text, and is {program.text!r}"
    assert isinstance(program.language, str), f"the language of a program must be a text, and is {program.language!r}"
    columns: object = program.columns
    good = isinstance(columns, tuple) and all(isinstance(c, str) for c in columns)
    assert good, f"the columns of a program must be a tuple of texts, and are {program.columns!r}"
