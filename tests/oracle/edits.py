"""Edits of an expression, one at a time, as a user makes them: another constant, operator, function, leaf or index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import assume
from hypothesis import strategies as st

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Expr, Field, Literal
from hep_flows.expr.transport import made_call
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from oracle.rewritten import rewritten

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

_ALIKE = (
    ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    ("add", "subtract", "multiply"),
    ("maximum", "minimum"),
    ("max", "min"),
    ("any", "all"),
    ("sum", "prod"),
    ("sin", "cos", "arctan", "tanh"),
    ("negative", "absolute", "square"),
)


@dataclass(frozen=True)
class Edit:
    """An edited expression.

    ``node`` is the new form of what was edited; None inside of a loop, where what is made is closed again, so that its key changes.
    """

    expr: Expr
    node: Expr | None


def edited(draw: DrawFn, expr: Expr) -> Edit:
    """Give the expression with one edit, wherever the node that it is made at stands."""
    able = [(n, new) for n in postorder(expr) if (new := _others(n))]
    assume(able)
    node, others = draw(st.sampled_from(able))
    other = draw(st.sampled_from(others))
    made: list[Expr] = []

    def change(at: Expr, inputs: tuple[Expr, ...]) -> Expr | None:
        if at.key != node.key:
            return None
        made.append(_applied(at, other, inputs))
        return made[-1]

    try:
        new = rewritten(expr, change)
    except RecordError:
        assume(False)
    assume(new.key != expr.key and new.type.loops == ())
    return Edit(new, made[0] if made[0].key in {n.key for n in postorder(new)} else None)


def _others(node: Expr) -> list[object]:
    """Give what may stand in the place of a node: values, names of functions or of leaves, or options."""
    match node:
        case Literal(value=bool(value)):
            return [not value]
        case Literal(value=int(value), dtype=""):
            return [value + 1, value + 3]
        case Literal(value=float(value), dtype="") if value == value:  # noqa: PLR0124 - no NaN
            return [value + 0.25, value - 1.5] if abs(value) < 1e6 else [1.5]
        case Call(function="pick"):
            return [(n, v + 1) for n, v in node.options if n == "index"]
        case Call(function=str(name)):
            return [o for group in _ALIKE if name in group for o in group if o != name]
        case Field():
            record = node.of.type.item
            assert isinstance(record, Record)
            mine = record.members[node.name]
            alike = [n for n, m in record.members.items() if (m.item, m.axes, m.optional) == (mine.item, mine.axes, mine.optional)]
            return [] if isinstance(mine.item, Record) or mine.axes else [n for n in alike if n != node.name]
        case _:
            return []


def _applied(node: Expr, other: object, inputs: tuple[Expr, ...]) -> Expr:
    match node:
        case Literal():
            return replace(node, value=other)
        case Field():
            return build.field(inputs[0], str(other))
        case Call(function="pick"):
            return made_call("pick", inputs, tuple([other if n == other[0] else (n, v) for n, v in node.options]))
        case Call():
            return made_call(str(other), inputs, node.options)
    raise AssertionError(f"no edits of {node}")
