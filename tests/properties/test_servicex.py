"""What the servicex plug-in says yes to, the real code generator accepts and computes as the evaluator does, to the bit."""

from __future__ import annotations

from hypothesis import given

from hep_flows.contract import Scalar, Yes
from hep_flows.execute.run import run_plan
from hep_flows.expr.nodes import Literal
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from oracle.expressions import cases
from oracle.memory import MemoryPlugin
from oracle.prelude import record, recorded
from oracle.programs import programs
from oracle.tables import tables
from plugins.servicex.exactly import exact_difference
from plugins.servicex.memory_endpoint import MemoryEndpoint, branches_of

KIND = "servicex:tree"


def pushed(plugin, exprs):
    """Give the outermost nodes that the plug-in runs with everything below them."""
    fine: set[bytes] = set()
    inner: set[bytes] = set()
    nodes = list(postorder(*exprs))
    for node in nodes:
        labels = ["" if isinstance(i, Literal) else plugin.name if i.key in fine else "another" for i in node.inputs()]
        if isinstance(plugin.can_run(node, labels), Yes):
            fine.add(node.key)
            inner.update([i.key for i in node.inputs()])
    return [n for n in nodes if n.key in fine and not n.type.loops and (n.key not in inner or n.key in {e.key for e in exprs})]


def result(expr, plugin):
    plan = make_plan([expr], [plugin])
    return run_plan(plan, [plugin], workers=1)[plan.targets[0]]


def agrees(expr, table):
    memory = MemoryPlugin(table)
    plugin = ServiceXPlugin(MemoryEndpoint(branches_of(table.record, memory.arrays, len(table.events))))
    plugin.partitions = memory.partitions
    for node in pushed(plugin, normalise([expr])):
        if isinstance(node.type.item, Record):
            continue
        got, expected = result(node, plugin), result(node, memory)
        if isinstance(expected, Scalar):
            assert got == expected
            continue
        assert exact_difference(got.array, expected.array) == "", one_line(node)


@given(case=cases(kind=KIND))
def test_what_is_sent_is_computed_as_the_evaluator_does(case):
    agrees(case.expr, case.table)


@given(case=cases(special=True, kind=KIND))
def test_what_is_sent_is_computed_alike_of_values_that_are_not_finite(case):
    agrees(case.expr, case.table)


@given(program=programs(), table=tables(kind=KIND))
def test_what_is_sent_of_an_analysis_is_computed_as_the_evaluator_does(program, table):
    agrees(recorded(record(program, table)["result"]), table)
