"""Run expressions with a plug-in wherever it says yes, and with the built-in ones for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.execute.run_plan import run_plan
from hep_flows.expr.nodes import Map
from hep_flows.expr.walk import postorder
from hep_flows.normalise import normalise
from hep_flows.planning.make_plan import make_plan
from hep_flows.plugin import Yes
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin, Result

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
