"""What is sent as a whole: its text, and its values on real files, to the bit."""

from __future__ import annotations

import ast

import awkward as ak
import numpy as np
import pytest
import qastle
import uproot

from golden_files import assert_golden
from hep_flows import render
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.servicex.embedded import generated_source
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from plugins.servicex.both import Both, plugins_of
from plugins.servicex.nowhere import nano_nowhere
from plugins.servicex.sent import sent, sent_of_physlite, sent_of_tree

FILES = {
    "tt": ("nanoaod", "nano_tt_v12.root", "", sent),
    "dy": ("nanoaod", "nano_dy.root", "", sent),
    "2012": ("nanoaod", "Run2012B_SingleMu_1000.root", "", sent),
    "physlite": ("xaod", "PHYSLITE_example.root", "", sent_of_physlite),
    "tree": ("tree", "uproot-HZZ.root", "events", sent_of_tree),
}


@pytest.fixture(scope="module")
def both(data):
    """Give the two tables over one of the files."""
    made = {}

    def of(name):
        kind, file, tree, _ = FILES[name]
        if name not in made:
            made[name] = Both(kind, [data(file)], tree)
        return made[name]

    return of


def names(expressions):
    return list(expressions(nano_nowhere()))


def cases():
    return [(f, n) for f in ("tt", "dy", "2012") for n in names(sent)]


def test_there_are_enough_expressions():
    assert len(names(sent)) >= 40


def test_queries_are_as_they_were():
    plugin = ServiceXPlugin()
    parts = []
    for name, expression in sent(nano_nowhere()).items():
        plan = make_plan([render(expression)], [plugin])
        assert plugins_of(plan) == ["servicex"], name
        text = plugin.translate(plan.tasks[0]).text
        query = ast.unparse(qastle.text_ast_to_python_ast(text)) if text else "no query: the number of events of the file"
        parts.append(f"{name}\n    {query}\n    {text}\n")
    assert_golden("func_adl_uproot.txt", "\n".join(parts))


@pytest.mark.parametrize("name", names(sent))
def test_the_code_generator_accepts_the_query(name):
    plugin = ServiceXPlugin()
    plan = make_plan([render(sent(nano_nowhere())[name])], [plugin])
    text = plugin.translate(plan.tasks[0]).text
    if text:
        compile(generated_source(text), "<query>", "exec")


@pytest.mark.data
@pytest.mark.parametrize(("file", "name"), cases())
def test_values_on_nanoaod_are_those_of_the_awkward_plugin(both, file, name):
    tables = both(file)
    local, remote = sent(tables.local)[name], sent(tables.remote)[name]
    assert plugins_of(tables.plan(remote)) == ["servicex"]
    assert tables.difference(local, remote) == ""


@pytest.mark.data
@pytest.mark.parametrize("file", ["physlite", "tree"])
def test_values_on_other_files_are_those_of_the_awkward_plugin(both, file):
    tables, expressions = both(file), FILES[file][-1]
    local, remote = expressions(tables.local), expressions(tables.remote)
    for name in local:
        assert plugins_of(tables.plan(remote[name])) == ["servicex"], name
        assert tables.difference(local[name], remote[name]) == "", name


@pytest.fixture
def with_nan(tmp_path):
    """Give both tables over a file with lists in which some numbers, or all of them, are none."""
    lists = ak.values_astype(ak.Array([[np.nan], [1.0, np.nan, 3.0], [np.nan, 2.0], [], [5.0, 4.0]]), np.float32)
    with uproot.recreate(tmp_path / "nan.root") as file:
        file.mktree("Events", {"Jet_pt": lists.type.content}).extend({"Jet_pt": lists})
    return Both("nanoaod", [str(tmp_path / "nan.root")])


@pytest.mark.parametrize(
    "expression",
    [
        lambda df: df.Jet.pt.Max(),
        lambda df: df.Jet[df.Jet.pt > 1].pt.Min() + 1,
        lambda df: df[df.Jet.pt.Max() > 2].Jet.pt,
        lambda df: df[df.Jet.Count() > 0].Jet.pt.Min(),
    ],
)
def test_the_largest_of_a_list_is_none_of_those_that_are_no_numbers(with_nan, expression):
    assert plugins_of(with_nan.plan(expression(with_nan.remote))) == ["servicex"]
    assert with_nan.difference(expression(with_nan.local), expression(with_nan.remote)) == ""
