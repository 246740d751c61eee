"""Elements of a list by their place in it: picks other than the first, and slices.

The generator has no indices. So the place of an element is counted: how many of the list come before it. Elements are told apart by where
they are in memory, which is the same whenever the event is asked for its objects.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.value import both, called, compared, constant, function, method, operation

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Call


def picked(listed: ast.expr, index: int, variable: str) -> tuple[ast.expr, ast.expr]:
    """Give the element at an index, counted from the end when negative, and the condition that there is one."""
    most = ast.Constant(index if index >= 0 else -index - 1)
    there = compared(method(listed, "Count"), ast.Gt(), most)
    if index == 0:
        return method(listed, "First"), there
    condition = compared(_place(listed, variable), ast.Eq(), _from(listed, index))
    return method(method(listed, "Where", function([variable], condition)), "First"), there


def sliced(listed: ast.expr, node: Call, variable: str) -> ast.expr:
    """Give the elements of a slice.

    Raises
    ------
    Refused
        When it leaves elements out, or turns them round.
    """
    start, stop = _bound(node, "start"), _bound(node, "stop")
    if node.option("step") not in (None, 1):
        raise Refused("the query language takes no steps in slices")
    conditions = []
    if start not in (None, 0):
        conditions.append(compared(_place(listed, variable), ast.GtE(), _from(listed, start or 0)))
    if stop is not None:
        conditions.append(compared(_place(listed, variable), ast.Lt(), _from(listed, stop)))
    return method(listed, "Where", function([variable], both(conditions))) if conditions else listed


def _bound(node: Call, name: str) -> int | None:
    found = node.option(name)
    assert found is None or isinstance(found, int)
    return found


def _from(listed: ast.expr, index: int) -> ast.expr:
    """Give an index as a number that counts from the start."""
    if index >= 0:
        return ast.Constant(index)
    return operation(method(listed, "Count"), ast.Sub(), ast.Constant(-index))


def _place(listed: ast.expr, variable: str) -> ast.expr:
    """Give the place of the element that a variable stands for."""
    if _root_is_numbers(listed):
        raise Refused("numbers that are stored as a list are sent whole, or their first")
    names = [ast.Name(n, ast.Load()) for n in ("a", "v", variable)]
    last = method(listed, "Aggregate", constant(0.0), function(["a", "v"], called("hf_place", *names)))
    return operation(constant(-1.0), ast.Sub(), last)


def _root_is_numbers(listed: ast.expr) -> bool:
    while isinstance(listed, ast.Call) and isinstance(listed.func, ast.Attribute) and listed.func.attr == "Where":
        listed = listed.func.value
    return isinstance(listed, ast.Call) and isinstance(listed.func, ast.Name)
