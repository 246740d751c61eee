"""Counting looks at the lists, not at what is in them: ``Jet.pt.Count()`` becomes ``Jet.Count()``.

before: ``count(less(Jet.pt, 30))``; after: ``count(Jet)``, which reads the counts only. Filters stay: they change the lists. What is
counted inside of a loop is counted there: ``Jet.map(f).Count()`` becomes ``Jet.map(lambda j: f(j).Count())``, which makes no lists of
whole objects.
"""

from __future__ import annotations

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Expr, Field, Filter, Map
from hep_flows.expr.walk import rewrite


def count_structure(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with counts that need no values."""
    return rewrite(exprs, _change)


def _change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    new = rebuilt(node, inputs)
    if not isinstance(new, Call) or new.function != "count":
        return new
    return _counted(new, new.args[0])


def _counted(new: Call, of: Expr) -> Expr:
    if isinstance(of, Map) and len(of.body.type.axes) > 1:
        return build.mapped(of.over, _counted(new, of.body), of.level, of.where)
    counted = _structure(of)
    return new if counted is new.args[0] else build.call("count", (counted,), where=new.where)


def _structure(of: Expr) -> Expr:
    """Give the simplest expression with the same lists."""
    filters: list[Filter] = []
    while True:
        if isinstance(of, Filter):
            filters.append(of)
            of = of.of
        elif isinstance(of, Field) and of.of.type.axes == of.type.axes and len(of.type.axes) > 1:
            of = of.of
        elif _is_elementwise(of):
            below = next((a for a in of.inputs() if a.type.axes == of.type.axes and a.type.loops == of.type.loops), None)
            if below is None:
                break
            of = below
        else:
            break
    for f in reversed(filters):
        of = f if of is f.of else build.filtered(of, f.mask, f.at, f.where)
    return of


def _is_elementwise(of: Expr) -> bool:
    if not isinstance(of, Call):
        return False
    return isinstance(of.function, UserFunction) or FUNCTIONS[of.function].kind == "elementwise" or of.function == "record"
