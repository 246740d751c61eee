"""Plans made by hand: every node gets its label from a function."""

from __future__ import annotations

from dataclasses import replace

from expr.sample import SPEC, call, delta, expressions, leaf, lit
from hep_flows.contract import Numerics, Plan
from hep_flows.errors import SourceLine
from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Dataset, Field
from hep_flows.expr.walk import postorder
from hep_flows.planning.cut import Borders, cut
from hep_flows.planning.spread import spread


def by_kind(node):
    """Leaves are fetched, histograms are filled by hist, all else is awkward's."""
    if isinstance(node, Dataset | Field):
        return "servicex"
    if isinstance(node, Call) and node.function in {"fill", "histogram"}:
        return "hist"
    return "awkward"


def plan_of(*exprs, label=by_kind, refusals=None):
    labels = {n.key: label(n) for n in postorder(*exprs)}
    tasks, targets, forms = cut(exprs, Borders(labels, spread(exprs)), lambda *_: Numerics("local", "1"))
    lines = {exprs[0].key: (SourceLine("/home/somebody/analysis.py", 8),)}
    return Plan(tuple(replace(t, columns=columns(t)) for t in tasks), targets, exprs, labels, refusals or {}, lines, forms)


def columns(task):
    fields = [n for n in postorder(task.expr) if isinstance(n, Field)]
    return tuple(m.column for f in fields if (m := f.of.type.item.members[f.name]).column)


def ht_of_busy_events():
    """A histogram of the sum of jet pt, in events with two hard jets."""
    hard = call("greater", leaf("Jet.pt"), 30.5)
    pt = build.filtered(leaf("Jet.pt"), hard, 1)
    ht = build.filtered(call("sum", pt), call("greater_equal", call("count", pt), 2), 0)
    options = (("members", ("pt",)), ("axes", (("member", "pt"),)), ("weight", ("number", 0)), ("sample", None))
    return build.histogram("fill", (expressions()["histogram"], build.record(("pt",), (ht,)), lit(2.0)), options, SPEC)


def plans():
    """Plans by name."""
    noted = replace(delta(), note="no return type is declared: float64 is assumed", portable=False)
    by_function = call(noted, leaf("Jet.pt"), 2.0)
    both = expressions()["filter both"]
    return {
        "leaf": plan_of(leaf("Jet.pt")),
        "filter": plan_of(both),
        "one plug-in": plan_of(both, label=lambda _: "awkward"),
        "loop": plan_of(expressions()["filtered by map"]),
        "histogram": plan_of(ht_of_busy_events()),
        "several results": plan_of(ht_of_busy_events(), both, call("count", leaf("Jet"))),
        "user function": plan_of(by_function, refusals={by_function.key: {"servicex": "it does not know DeltaR"}}),
        "shared": plan_of(expressions()["shared"]),
    }
