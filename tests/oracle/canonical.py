"""Equality of expressions, decided a second way: one nested tuple for each expression, without keys and without levels.

Loops are numbered by how many maps lie between an element and its own map, a collection is the path to it and what was selected
from it, and arguments whose order cannot matter are sorted. Two expressions have equal keys if, and only if, their tuples are equal.
"""

from __future__ import annotations

from typing import Any

from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Loop

_COMMUTE = {
    *("add", "multiply", "equal", "not_equal", "bitwise_and", "bitwise_or", "bitwise_xor"),
    *("logical_and", "logical_or", "logical_xor"),
}
_MIRRORS = {"greater": "less", "greater_equal": "less_equal"}

Form = Any


def canonical(expr: Expr, loops: tuple[Loop, ...] = ()) -> Form:
    """Give the tuple that stands for an expression; ``loops`` are those around it, outermost first."""
    match expr:
        case Dataset():
            return ("table", expr.kind, expr.content, expr.tree)
        case Literal():
            # 1, 1.0 and True are different constants, and so are 0.0 and -0.0.
            return ("constant", _exact(expr.value), expr.dtype)
        case Field():
            return ("leaf", canonical(expr.of, loops), expr.name)
        case Filter():
            return ("filter", canonical(expr.of, loops), canonical(expr.mask, loops), expr.at)
        case Bound():
            return ("element", canonical(expr.of, loops), _distance(Loop(expr.of.type.axes[1], expr.level), loops))
        case Map():
            inside = (*loops, Loop(expr.over.type.axes[1], expr.level))
            return ("map", axes(expr.over, loops)[:2], canonical(expr.body, inside))
        case Call():
            return _call(expr, loops)
        case Input():
            return ("input", expr.task)


def _call(expr: Call, loops: tuple[Loop, ...]) -> Form:
    name = expr.function
    args = [canonical(a, loops) for a in expr.args]
    options = tuple((k, _exact(v)) for k, v in expr.options)
    if isinstance(name, UserFunction):
        return ("user", name, tuple(args), options)
    if name in _MIRRORS:
        name, args = _MIRRORS[name], args[::-1]
    if name in _COMMUTE:
        args = sorted(args, key=repr)
    return ("call", name, tuple(args), options)


def _exact(value: Any) -> Form:
    return tuple(_exact(v) for v in value) if isinstance(value, tuple) else (type(value).__name__, repr(value))


def _distance(loop: Loop, loops: tuple[Loop, ...]) -> Form:
    """Count the maps between an element and the map that binds it; for an open loop give the loop."""
    inner = loops[::-1]
    return ("loop", inner.index(loop)) if loop in inner else ("open", loop.level)


def axes(expr: Expr, loops: tuple[Loop, ...]) -> tuple[Form, ...]:
    """Give what an expression is spread over: for each axis the collection, and what was selected from it."""
    match expr:
        case Dataset():
            return (("events", canonical(expr)),)
        case Field():
            outer = axes(expr.of, loops)
            path = _path(expr.of)
            added = len(expr.type.axes) - len(expr.of.type.axes)
            assert isinstance(expr.of.type.item.members, dict)
            names = expr.of.type.item.members[expr.name].axes[:added]
            return (*outer, *[("stored", _root(outer), f"{path}{n}") for n in names])
        case Filter():
            return _changed(axes(expr.of, loops), expr.at, ("where", canonical(expr.mask, loops)))
        case Bound():
            outer = axes(expr.of, loops)
            return (outer[0], *outer[2:])
        case Map():
            return (*axes(expr.over, loops)[:2], *_body_axes(expr, loops)[1:])
        case Call():
            return _call_axes(expr, loops)
        case _:
            return ()


def _call_axes(expr: Call, loops: tuple[Loop, ...]) -> tuple[Form, ...]:  # noqa: PLR0911 - one for each function
    match expr.function:
        case "pick":
            outer, at = axes(expr.args[0], loops), expr.option("at")
            inside = [("inside", expr.option("index"), a) for a in outer[at + 1 :]]
            return (*outer[:at], *inside)
        case "slice":
            bounds = tuple(expr.option(k) for k in ("start", "stop", "step"))
            return _changed(axes(expr.args[0], loops), expr.option("at"), ("slice", bounds))
        case "gather":
            of, index = expr.args
            inside = [("inside", canonical(index, loops), a) for a in axes(of, loops)[expr.option("at") + 1 :]]
            return (*axes(index, loops), *inside)
        case "argcombinations" | "argpad":
            outer = axes(expr.args[0], loops)
            how = tuple(v for k, v in expr.options if k != "which")
            return (*outer[:-1], (expr.function, how, outer[-1]))
        case "argsort":
            outer = axes(expr.args[0], loops)
            return (*outer[:-1], ("order", expr.options, canonical(expr.args[0], loops), outer[-1]))
        case "concatenate":
            every, at = [axes(a, loops) for a in expr.args], expr.option("at")
            return (*every[0][:at], *[("parts", *[e[i] for e in every]) for i in range(at, len(every[0]))])
        case "replace":
            return axes(expr.args[0], loops)
        case "referring":
            return (*axes(expr.args[0], loops), ("referring", canonical(expr.args[0], loops)))
        case "flatten":
            outer = axes(expr.args[0], loops)
            return (*outer[:-2], ("joined", outer[-2], outer[-1]))
        case _:
            every = [axes(a, loops) for a in expr.args]
            longest = max(every, key=len, default=())
            return longest if len(longest) == len(expr.type.axes) else longest[: len(expr.type.axes)]


def _body_axes(expr: Map, loops: tuple[Loop, ...]) -> tuple[Form, ...]:
    return axes(expr.body, (*loops, Loop(expr.over.type.axes[1], expr.level))) or ((),)


def _changed(outer: tuple[Form, ...], at: int, how: Form) -> tuple[Form, ...]:
    return (*outer[:at], (*how, outer[at]), *outer[at + 1 :])


def _path(of: Expr) -> str:
    names: list[str] = []
    while isinstance(of, Field):
        names.append(of.name)
        of = of.of
    return "".join(f"{n}." for n in reversed(names))


def _root(outer: tuple[Form, ...]) -> Form:
    """Give the whole table behind the first axis."""
    events = outer[0]
    while events[0] != "events":
        events = events[-1]
    return events
