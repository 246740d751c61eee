"""Tests that every plug-in should pass: subclass `PluginSuite` in a test module, and name the plug-in.

::

    class TestJetScale(PluginSuite):
        plugin = JetScalePlugin
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from hep_flows.expr.walk import postorder
from hep_flows.normalise import normalise
from hep_flows.planning.make_plan import make_plan
from hep_flows.plugin import LOCAL, LOCAL_VERSION, Columns, No, Plugin, Program, Yes
from hep_flows.testing.compare import difference, plain, values_differ
from hep_flows.testing.every_node import every_node
from hep_flows.testing.expressions import sample_expressions
from hep_flows.testing.no_effects import no_effects
from hep_flows.testing.run_with import expected_result, planned, reference, result, takes_part, with_reference
from hep_flows.testing.sample_table import sample_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Plan, Task
    from hep_flows.record.dataframe import DataFrame


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
        assert isinstance(made, Plugin), f"{made!r} is no plug-in: it lacks a part of hep_flows.plugin.Plugin"
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
