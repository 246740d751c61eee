"""From expressions to func_adl: every axis is a list with a variable for its element, every filter a Where, every loop a Select.

One walk down from a node, with the variables that its axes and loops stand for. Variables are numbered from the outside in, so a part that
depends on none of them has one text wherever it stands; what is walked once is remembered.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import assert_never

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Bool, Float, Int, Loop
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.functions import functions
from hep_flows.plugins.servicex.xaod.places import picked, sliced
from hep_flows.plugins.servicex.xaod.reducers import Reduced, counted, reducers
from hep_flows.plugins.servicex.xaod.stored import container, leaf_list, stored_leaf
from hep_flows.plugins.servicex.xaod.user_functions import table_name, user_call
from hep_flows.plugins.servicex.xaod.value import (
    Value,
    bits_of,
    both,
    constant,
    function,
    method,
    true_where_valid,
)
from hep_flows.plugins.servicex.xaod.work import Work

EVENT = "e"
TOO_DEEP = 60


@dataclass(frozen=True, slots=True)
class Element:
    """What stands for the element of an axis; two are the same when their texts are."""

    node: ast.expr = field(compare=False)
    text: str
    depth: int


Elements = tuple[Element, ...]
Loops = tuple[tuple[Loop, Element], ...]


class Walk:
    """Gives the text of expressions; what is walked once is remembered."""

    def __init__(self) -> None:
        """Nothing is walked yet."""
        self._functions, self._reducers = functions(), reducers()
        self._values: dict[tuple[object, ...], Value] = {}
        self._lists: dict[tuple[object, ...], ast.expr] = {}
        self._work = Work()

    def value(self, node: Expr, own: Elements, loops: Loops = ()) -> Value:
        """Give what a node is for the elements of its axes after the events, and of the loops around it.

        Raises
        ------
        Refused
            When the back end cannot say it.
        """
        key = (node.key, own, _inside(node, loops))
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = self._value(node, own, loops)
            self._work.check([found.node, *found.valid])
        return found

    def list(self, node: Expr, own: Elements, loops: Loops = ()) -> ast.expr:
        """Give the list that the next axis of a node stands for, after those in ``own``.

        Raises
        ------
        Refused
            When the back end cannot say it.
        """
        key = (node.key, own, _inside(node, loops))
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = self._list(node, own, loops)
            self._work.check([found])
        return found

    def variable(self, node: Expr, own: Elements, loops: Loops = ()) -> Element:
        """Give a new variable for the element of the next axis of a node."""
        used = [e.depth for e in own] + [e.depth for _, e in _inside(node, loops)]
        depth = 1 + max(used, default=0)
        name = f"x{depth}"
        return Element(ast.Name(name, ast.Load()), name, depth)

    def _value(self, node: Expr, own: Elements, loops: Loops) -> Value:
        match node:
            case Literal():
                return _constant(node)
            case Field():
                return self._field(node, own, loops)
            case Filter():
                return self.value(node.of, own, loops)
            case Bound():
                return self.value(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                loop = Loop(node.over.type.axes[1], node.level)
                return self.value(node.body, own[1:], _with(loops, loop, own[0]))
            case Call():
                return self._call(node, own, loops)
            case Dataset():
                return Value(ast.Name(EVENT, ast.Load()), "object")
            case Input():
                raise Refused("the result of another task is not at the server")
            case _:
                assert_never(node)

    def _field(self, node: Field, own: Elements, loops: Loops) -> Value:
        n_axes = len(node.type.axes) - len(node.of.type.axes)
        if n_axes:
            self._list(node, own[:-1], loops)
            item = node.type.item
            if n_axes == 1 and isinstance(item, Bool | Int | Float):
                return stored_leaf(node, own[-1].node, of_list=True)
            return Value(own[-1].node, "object")
        if isinstance(node.of, Dataset):
            return Value(container(node), "object")
        of = self.value(node.of, own, loops)
        return replace(stored_leaf(node, of.node), valid=of.valid)

    def _call(self, node: Call, own: Elements, loops: Loops) -> Value:
        if isinstance(node.function, UserFunction):
            args = [self.value(a, own[: max(0, len(a.type.axes) - 1)], loops) for a in node.args]
            if table_name(node.function) == "":
                return user_call(node.function, args)
            return self._functions[table_name(node.function)](args, node.type.item, node)
        kind = FUNCTIONS[node.function].kind
        if kind == "reduce":
            return self._reduced(node, own, loops)
        if node.function == "pick":
            return self._picked(node, own, loops)
        if node.function == "slice":
            self.list(node, own[: _at(node) - 1], loops)
            return self.value(node.args[0], own, loops)
        write = self._functions.get(node.function)
        if kind != "elementwise" or write is None:
            raise Refused(f"the query language has no {FUNCTIONS[node.function].title or node.function}")
        args = [self.value(a, own[: max(0, len(a.type.axes) - 1)], loops) for a in node.args]
        if any(a.kind == "object" for a in args):
            raise Refused(f"{node.function} of objects")
        return write(args, node.type.item, node)

    def _reduced(self, node: Call, own: Elements, loops: Loops) -> Value:
        of = node.args[0]
        if not node.type.axes or len(own) != len(of.type.axes) - 2:
            raise Refused("a total over all events is made here, from what each file gives")
        listed = self.list(of, own, loops)
        if node.function == "count":
            return counted(listed)
        x = self.variable(of, own, loops)
        body = self.value(of, (*own, x), loops)
        if body.kind == "object":
            raise Refused(f"{node.function} of objects")
        if body.valid:
            listed = method(listed, "Where", function([x.text], both(body.valid)))
        reduce = self._reducers.get(str(node.function))
        if reduce is None:
            raise Refused(f"the query language has no {node.function} of a list")
        return reduce(Reduced(listed, x.text, replace(body, valid=()), node.type.item))

    def _picked(self, node: Call, own: Elements, loops: Loops) -> Value:
        of, index, at = node.args[0], node.option("index"), _at(node)
        assert isinstance(index, int)
        listed = self.list(of, own[: at - 1], loops)
        first, there = picked(listed, index, self.variable(of, own[: at - 1], loops).text)
        depth = max([e.depth for e in own[: at - 1]], default=0)
        element = Element(first, ast.unparse(first), depth)
        value = self.value(of, (*own[: at - 1], element, *own[at - 1 :]), loops)
        if value.kind == "object":
            raise Refused("an object that may be missing: only its leaves can be taken")
        # First stops the whole file where the list is empty, so it stands where it is reached only for others.
        return _guarded(replace(value, valid=(there, *value.valid)))

    def _list(self, node: Expr, own: Elements, loops: Loops) -> ast.expr:
        at = len(own) + 1
        match node:
            case Field():
                return self._stored_list(node, own, loops)
            case Filter():
                below = self.list(node.of, own, loops)
                return self._filtered(node, below, own, loops) if node.at == at else below
            case Bound():
                return self.list(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                if not own:
                    return self.list(node.over, (), loops)
                loop = Loop(node.over.type.axes[1], node.level)
                return self.list(node.body, own[1:], _with(loops, loop, own[0]))
            case Call(function="pick") if _at(node) > at:
                return self.list(node.args[0], own, loops)
            case Call(function="slice"):
                below = self.list(node.args[0], own, loops)
                return sliced(below, node, self.variable(node, own, loops).text) if _at(node) == at else below
            case Call():
                if isinstance(node.function, str) and FUNCTIONS[node.function].kind == "structure" and node.function != "record":
                    raise Refused(f"the query language has no list that {node.function} gives")
                longest = next(a for a in node.args if len(a.type.axes) > at)
                return self.list(longest, own, loops)
            case _:
                raise Refused("events as a whole cannot be sent")

    def _stored_list(self, node: Field, own: Elements, loops: Loops) -> ast.expr:
        outer = len(node.of.type.axes) - 1
        if len(own) < outer:
            return self.list(node.of, own, loops)
        if len(node.type.axes) - 1 > outer + 1:
            raise Refused(f"{node.name} has lists in lists")
        if isinstance(node.of, Dataset):
            return container(node)
        return leaf_list(node, self.value(node.of, own, loops))

    def _filtered(self, node: Filter, below: ast.expr, own: Elements, loops: Loops) -> ast.expr:
        x = self.variable(node, own, loops)
        mask = self.value(node.mask, (*own, x)[: max(0, len(node.mask.type.axes) - 1)], loops)
        return method(below, "Where", function([x.text], true_where_valid(mask)))


def _at(node: Call) -> int:
    at = node.option("at")
    assert isinstance(at, int)
    if at == 0:
        raise Refused("events are chosen by their place in the table as a whole")
    return at


def _guarded(value: Value) -> Value:
    """Give a value that is computed only where it is there, and is zero elsewhere."""
    if value.kind == "wide":
        raise Refused("a 64-bit whole number that may be missing")
    if value.kind == "bool":
        return replace(value, node=both([*value.valid, value.node]))
    node = ast.IfExp(both(value.valid), value.node, constant(0.0))
    return replace(value, node=node, kind="double")


def _inside(node: Expr, loops: Loops) -> Loops:
    """Give the loops that a node depends on: others make no difference to it."""
    wanted = node.type.loops
    return tuple([pair for pair in loops if pair[0] in wanted])


def _with(loops: Loops, loop: Loop, element: Element) -> Loops:
    return (*[pair for pair in loops if pair[0] != loop], (loop, element))


def _of_loop(node: Bound, loops: Loops) -> Element:
    loop = Loop(node.of.type.axes[1], node.level)
    return next(element for known, element in loops if known == loop)


def _constant(node: Literal) -> Value:
    value, item = node.value, node.type.item
    if not isinstance(value, bool | int | float):
        raise Refused(f"a constant {item} cannot be sent")
    if isinstance(value, bool):
        return Value(constant(value), "bool", item, 1, constant=value, weak=not node.dtype)
    if isinstance(value, int):
        bits = value.bit_length()
        return Value(constant(value), "int", item, bits, constant=value, weak=not node.dtype)
    return Value(constant(value), "double", item, bits_of(item), constant=value, weak=not node.dtype)
