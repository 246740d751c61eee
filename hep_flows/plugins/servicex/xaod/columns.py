"""The columns that results are made of: lists of lists of numbers, one level for each axis."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Dataset, Expr, Field
from hep_flows.expr.select import select
from hep_flows.expr.types import Record
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.event_masks import is_event_count
from hep_flows.plugins.servicex.xaod.outputs import Objects, Output, Rows
from hep_flows.plugins.servicex.xaod.value import Value, both, called, function, method, operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hep_flows.plugins.servicex.xaod.walk import Elements, Walk

    Taken = Callable[[Value], ast.expr]


MOST_LEVELS = 2


class Columns:
    """Collects the columns of one query.

    Attributes
    ----------
    texts : dict of str to ast.expr
        The columns by name.
    """

    def __init__(self, walk: Walk) -> None:
        """There are none at first."""
        self.texts: dict[str, ast.expr] = {}
        self._walk = walk

    def add(self, name: str, expr: Expr) -> Output | Objects | Rows:
        """Add the columns of a result, with names that begin with ``name``.

        Raises
        ------
        Refused
            When the back end cannot say it.
        """
        if is_event_count(expr):
            self.texts[name] = ast.Constant(1)
            return Rows(name)
        return self._made(name, expr, expr)

    def check(self, expr: Expr) -> None:
        """See whether a result can be sent; of stored objects it is enough that their lists can.

        Raises
        ------
        Refused
            When it cannot.
        """
        item = expr.type.item
        if isinstance(item, Record) and expr.type.optional:
            raise Refused("records that may be missing")
        if not isinstance(item, Record) or item.model == "tuple":
            self.add("c", expr)
        elif len(expr.type.axes) > 1:
            self._nested(expr, expr, (), lambda _: ast.Constant(0))
        elif isinstance(expr, Field):
            self._walk.value(expr, ())

    def _made(self, name: str, expr: Expr, like: Expr) -> Output | Objects:
        """Add the columns of a result, repeated for each element of the axes of ``like``."""
        if isinstance(expr.type.item, Record):
            if expr.type.optional:
                raise Refused("records that may be missing")
            members = [(n, self._made(f"{name}_{i}", m, expr)) for i, (n, m) in enumerate(members_of(self._walk, expr).items())]
            return Objects(tuple(members), len(expr.type.axes) - 1)
        levels = max(len(expr.type.axes), len(like.type.axes)) - 1
        if levels > MOST_LEVELS:
            raise Refused("lists in lists in lists: the tree that the back end writes holds no more than lists in lists")
        found: list[Value] = []

        def value(v: Value) -> ast.expr:
            found.append(v)
            return _as_filled(v, levels)

        self.texts[name] = self._nested(expr, like, (), value)
        if not found[0].valid:
            return Output(name, "", expr.type.item, levels)
        there = self._nested(expr, like, (), lambda v: _as_filled(Value(both(v.valid), "bool"), levels))
        self.texts[f"{name}_there"] = there
        return Output(name, f"{name}_there", expr.type.item, levels)

    def _nested(self, expr: Expr, like: Expr, own: Elements, taken: Taken) -> ast.expr:
        n_axes, n_like = len(expr.type.axes) - 1, len(like.type.axes) - 1
        if len(own) >= n_axes and len(own) >= n_like:
            return taken(self._walk.value(expr, own[:n_axes]))
        over = like if len(own) < n_like else expr
        listed = self._walk.list(over, own)
        x = self._walk.variable(over, own)
        body = self._nested(expr, like, (*own, x), taken)
        if isinstance(body, ast.Name) and body.id == x.text:
            return listed
        return method(listed, "Select", function([x.text], body))


def _as_filled(value: Value, levels: int) -> ast.expr:
    """Give what goes into the tree.

    The generator fills no vector that the event hands out as it is, so such a number becomes the result of an operation. Trees know
    vectors of vectors of integers, and not for sure those of truths.
    """
    if levels == 1 and isinstance(value.node, ast.Name):
        if value.kind not in {"double", "float", "int"}:
            raise Refused("a list of the event as it is, other than of small numbers")
        return operation(value.node, ast.Mult(), ast.Constant(1))
    return called("hf_int", value.node) if value.kind == "bool" and levels == MOST_LEVELS else value.node


def members_of(walk: Walk, expr: Expr) -> Mapping[str, Expr]:
    """Give the members of records: those that were put together, or all leaves of a stored object that can be sent.

    Raises
    ------
    Refused
        When there are none, or the objects as a whole cannot be sent.
    """
    assert isinstance(expr.type.item, Record)
    found: dict[str, Expr] = {}
    for name, member in expr.type.item.members.items():
        leaf = None if not member.is_plain else select(expr, _defined(name))
        if expr.type.item.model == "tuple":
            if leaf is None or not leaf.type.axes:
                raise Refused(f"the member {name} of a record that was put together")
            found[name] = leaf
        elif leaf is not None and _can_be_sent(walk, leaf):
            found[name] = leaf
    if not found:
        raise Refused(f"{expr.type.item.name} has no member that can be sent")
    return found


def _defined(name: str) -> Callable[[Expr], Expr | None]:
    def member(here: Expr) -> Expr | None:
        if isinstance(here, Call) and here.function == "record":
            names = here.option("names")
            assert isinstance(names, tuple)
            return here.args[names.index(name)]
        return build.field(here, name, here.where) if isinstance(here, Dataset | Field) else None

    return member


def _can_be_sent(walk: Walk, leaf: Expr) -> bool:
    try:
        Columns(walk).add("c", leaf)
    except Refused:
        return False
    return True
