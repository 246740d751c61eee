"""The built-in plug-ins pass the suite, and broken ones fail it."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path

import awkward as ak
import pytest

from hep_flows.contract import Columns, No, Yes
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Call
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin
from hep_flows.testing.suite import PluginSuite, every_node, sample_table


class TestAwkward(PluginSuite):
    plugin = AwkwardPlugin
    relative = 0.0


class TestHist(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return HistPlugin()


class Square(AwkwardPlugin):
    """Runs nothing but square roots, and those right."""

    name = "square"

    def can_run(self, node, inputs):
        return Yes() if isinstance(node, Call) and node.function == "sqrt" else No("it knows sqrt and nothing else")


class Suite(PluginSuite):
    __test__ = False


class Counting(Square):
    """Says something else each time."""

    def __init__(self):
        super().__init__()
        self.numbers = itertools.count()

    def can_run(self, node, inputs):
        return No(f"asked {next(self.numbers)} times")


class Reading(Square):
    def can_run(self, node, inputs):
        Path(__file__).read_text()
        return super().can_run(node, inputs)


class SwallowingReading(Square):
    def can_run(self, node, inputs):
        with contextlib.suppress(AssertionError):
            Path(__file__).read_text()
        return super().can_run(node, inputs)


class Silent(Square):
    def can_run(self, node, inputs):
        return No("") if isinstance(super().can_run(node, inputs), No) else Yes()


class Partial(Square):
    def can_run(self, node, inputs):
        return Yes() if isinstance(node, Call) and node.function == "sqrt" else None


class Wrong(Square):
    def run(self, programs, inputs, context):
        return {key: Columns(part.array + 1) for key, part in super().run(programs, inputs, context).items()}


class ForgetsEvents(Square):
    """Gives the ranges in the wrong order."""

    def merge(self, program, parts):
        return Columns(ak.concatenate([p.array for p in reversed(parts)]))


class Nervous(Square):
    def __init__(self):
        super().__init__()
        self.numbers = itertools.count()

    def translate(self, task):
        return replace(super().translate(task), text=f"program {next(self.numbers)}")


class ListsColumns(Square):
    def translate(self, task):
        return replace(super().translate(task), columns=["pt"])


class NumberedVersion(Square):
    result_version = 1


BROKEN = [
    (Counting, "test_can_run_is_pure", "can_run gave"),
    (Reading, "test_can_run_is_pure", "neither files nor the network"),
    (SwallowingReading, "test_can_run_is_pure", "neither files nor the network"),
    (Silent, "test_can_run_answers_every_node", "without a reason"),
    (Partial, "test_can_run_answers_every_node", "must give Yes or No"),
    (Wrong, "test_results_are_those_of_the_reference", "instead of"),
    (ForgetsEvents, "test_results_are_those_of_the_reference", "instead of"),
    (Nervous, "test_translate_is_pure", "program"),
    (ListsColumns, "test_translate_is_pure", "tuple of texts"),
    (NumberedVersion, "test_names_are_text", "result_version must be a text"),
]


def _run(test, plugin, tmp_path):
    given = (plugin,) if test == "test_names_are_text" or "can_run" in test else (plugin, sample_table(tmp_path))
    getattr(Suite(), test)(*given)


@pytest.mark.parametrize(("plugin", "test", "message"), BROKEN, ids=lambda x: getattr(x, "__name__", None))
def test_a_broken_plugin_fails(plugin, test, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        _run(test, plugin(), tmp_path)


@pytest.mark.parametrize("test", sorted({test for _, test, _ in BROKEN}))
def test_the_same_plugin_without_the_fault_passes(test, tmp_path):
    _run(test, Square(), tmp_path)


def test_every_function_is_asked_about():
    assert set(FUNCTIONS) <= set(every_node())
