"""Closing loops: from a recorded lambda body to its one canonical form.

While a lambda is recorded, its element is a `Bound` with a provisional level that no other loop has. `close` turns the body into

- an expression without a loop, where the body only works along the element (``X.map(lambda x: x.pt / 1000)`` is ``X.pt / 1000``);
- else a `Map` whose level is one more than the number of loops nested inside it.

So equal functions give equal keys, whatever their variables are called and wherever they stand, and an element that escapes from
its lambda keeps its provisional level and is recognised.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypeGuard

from hep_flows.expr import build
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Histogram, Loop
from hep_flows.expr.walk import postorder, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.errors import Where

PROVISIONAL = 1 << 32


def provisional_level(depth: int) -> int:
    """Give a level that no other loop has; outer lambdas (smaller depth) get higher ones."""
    return (1 << 96) - (depth << 64) + (uuid.uuid4().int >> 66) + PROVISIONAL


def close(over: Expr, body: Expr, level: int, where: Where = None) -> Expr:
    """Give ``body`` for each element of the outermost collection axis of ``over``.

    Parameters
    ----------
    over : Expr
        At least one collection axis.
    body : Expr
        Written in terms of ``Bound(..., level)``.
    level : int
        The level that the body was written with.
    """
    loop = Loop(over.type.axes[1], level)
    if loop not in body.type.loops:
        return build.mapped(over, body, 0, where)
    if _works_along(body, loop):
        return _substituted(body, loop, lambda b: b.of)
    height = body.height + 1
    new = _substituted(body, loop, lambda b: build.bound(b.of, height, b.where))
    return build.mapped(over, new, height, where)


def _works_along(body: Expr, loop: Loop) -> bool:
    """Say whether no dependent node meets a whole collection from outside the loop, or is looped over itself."""

    def depends(node: Expr) -> bool:
        return loop in node.type.loops

    for node in postorder(body, into=depends):
        if isinstance(node, Bound):
            if Loop(node.of.type.axes[1], node.level) != loop:
                return False
            continue
        if isinstance(node, Map):
            return False
        if any(not depends(i) and len(i.type.axes) > 1 for i in node.inputs()):
            return False
    return True


def _substituted(body: Expr, loop: Loop, new: Callable[[Bound], Expr]) -> Expr:
    """Replace the element of one loop wherever it is free."""

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if isinstance(node, Bound) and Loop(node.of.type.axes[1], node.level) == loop:
            return new(build.bound(inputs[0], node.level, node.where))
        return rebuilt(node, inputs)

    return rewrite([body], change, into=lambda n: loop in n.type.loops)[0]


def rebuilt(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Give the same node over other inputs, checked and typed anew.

    Where a loop was dissolved below, an input has gained that axis: axis numbers then count one more.
    """
    if inputs == node.inputs() and all(a is b for a, b in zip(inputs, node.inputs(), strict=True)):
        return node
    match node:
        case Dataset() | Literal() | Input():
            return node
        case Field():
            return build.field(inputs[0], node.name, node.where, node.default)
        case Filter():
            shift = len(inputs[0].type.axes) - len(node.of.type.axes)
            return build.filtered(inputs[0], inputs[1], node.at + shift, node.where)
        case Bound():
            return build.bound(inputs[0], node.level, node.where)
        case Map():
            return build.mapped(inputs[0], inputs[1], node.level, node.where)
        case Call():
            return _rebuilt_call(node, inputs)


def _rebuilt_call(node: Call, inputs: tuple[Expr, ...]) -> Expr:  # noqa: C901, PLR0911
    options = dict(node.options)
    shift = len(inputs[0].type.axes) - len(node.args[0].type.axes) if node.args else 0
    match node.function:
        case "pick":
            return build.pick(inputs[0], options["index"], options["at"] + shift, node.where)  # type: ignore[arg-type,operator]
        case "slice":
            bounds = (options["start"], options["stop"], options["step"])
            return build.sliced(inputs[0], bounds, options["at"] + shift, node.where)  # type: ignore[arg-type,operator]
        case "gather":
            return build.gathered(inputs[0], inputs[1], options["at"] + shift, node.where, inside="inside" in options)  # type: ignore[arg-type,operator]
        case "concatenate":
            return build.concatenated(inputs, options["at"] + shift, node.where)  # type: ignore[arg-type,operator]
        case "record":
            # A dissolved loop gives its axis to every part that used its element, and so to the record.
            gained = max([len(i.type.axes) - len(a.type.axes) for i, a in zip(inputs, node.args, strict=True)])
            n_axes = options["axes"] + gained if "axes" in options else None  # type: ignore[operator]
            return build.record(options["names"], inputs, node.where, n_axes, options.get("block"))  # type: ignore[arg-type]
        case "referring":
            return build.referring(inputs[0], node.where)
        case "replace":
            return build.replaced(inputs[0], options["names"], inputs[1:], options["hidden"], node.where)  # type: ignore[arg-type]
        case "flatten":
            return build.flattened(inputs[0], node.where)
        case "parameter":
            return node
        case "vary":
            return build.varied(inputs[0], inputs[1:], options["source"], options["words"], node.where)  # type: ignore[arg-type]
        case "histogram" | "fill" | "np_histogram" | "scaled":
            assert isinstance(node.type.item, Histogram)
            return build.histogram(node.function, inputs, node.options, node.type.item.spec, node.where)
        case _:
            return build.call(node.function, inputs, node.options, node.where)


# Carry the choice of a member through filters, picks and loops, down to where the member is defined, and back up -----------------
#
# ``X[mask].pt`` is written ``X.pt[mask]``, ``X.First().pt`` is ``X.pt.First()``: every spelling of a leaf becomes one expression, only
# the leaves that are used are ever read, and a column that was defined before a filter is selected by it, never computed again.

# These choose among elements and leave their members as they are; ``with`` keeps the elements.
_CARRIES = frozenset({"pick", "slice", "gather", "flatten", "replace"})


def below(node: Expr) -> Expr | None:
    """Give what a selection selects from; None for a node that makes objects."""
    match node:
        case Filter() | Bound():
            return node.of
        case Map():
            return node.body
        case Call(function=str(name)) if name in _CARRIES:
            return node.args[0]
        case _:
            return None


def select(of: Expr, found: Callable[[Expr], Expr | bool | None]) -> Expr | None:
    """Give the member of an expression, whatever selections lie between it and the place that defines it.

    Parameters
    ----------
    of : Expr
        A record expression.
    found : callable
        Says what the member is at a node, None where this node does not define it, False where there is none from here on.

    Returns
    -------
    Expr or None
        None when no node on the way defines it.
    """
    crossed: list[Expr] = []
    node: Expr | None = of
    while node is not None and (here := found(node)) is None:
        crossed.append(node)
        node = below(node)
    if node is None or isinstance(here, bool) or here is None:
        return None
    for outer in reversed(crossed):
        here = selected_again(outer, here)
    return here


def is_with(node: Expr) -> TypeGuard[Call]:
    """Say whether a node replaces members of its elements."""
    return isinstance(node, Call) and node.function == "replace"


def names_with(node: Expr) -> tuple[str, ...]:
    """Give the members that a node replaces, adds or hides; none where it is no ``with``."""
    return (*node.option("names"), *node.option("hidden")) if is_with(node) else ()  # type: ignore[misc]


def member_with(node: Expr, name: str) -> Expr | bool | None:
    """Give a member that this node replaces or adds, False where it hides it, None where it says nothing about it."""
    if not is_with(node):
        return None
    names, hidden = node.option("names"), node.option("hidden")
    assert isinstance(names, tuple)
    assert isinstance(hidden, tuple)
    return node.args[1 + names.index(name)] if name in names else False if name in hidden else None


def selected_again(outer: Expr, member: Expr) -> Expr:
    """Give the selection that a node makes, made of a member instead."""
    if isinstance(outer, Map):
        return close(outer.over, member, outer.level, outer.where)
    if is_with(outer):
        return member
    _, *rest = outer.inputs()
    inputs = (member, *rest)
    return _at_same_axis(outer, inputs)


def _at_same_axis(outer: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Rebuild a selection over a member: the member may have more axes inside, the selected one keeps its number.

    A member without that axis (a column that is one number for all events) is not touched by the selection.
    """
    at = outer.at if isinstance(outer, Filter) else dict(outer.options).get("at", 0) if isinstance(outer, Call) else 0
    if len(inputs[0].type.axes) <= at:  # type: ignore[operator]
        return inputs[0]
    match outer:
        case Filter():
            return build.filtered(inputs[0], inputs[1], outer.at, outer.where)
        case Call(function="pick"):
            return build.pick(inputs[0], outer.option("index"), outer.option("at"), outer.where)  # type: ignore[arg-type]
        case Call(function="slice"):
            bounds = (outer.option("start"), outer.option("stop"), outer.option("step"))
            return build.sliced(inputs[0], bounds, outer.option("at"), outer.where)  # type: ignore[arg-type]
        case Call(function="gather"):
            inside = "inside" in dict(outer.options)
            return build.gathered(inputs[0], inputs[1], outer.option("at"), outer.where, inside=inside)  # type: ignore[arg-type]
        case _:
            return rebuilt(outer, inputs)
