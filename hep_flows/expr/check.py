"""What a well-formed expression is: asserted between passes, in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import RecordError
from hep_flows.expr.loops import PROVISIONAL
from hep_flows.expr.nodes import Bound, Expr, Field, Map
from hep_flows.expr.remake import remade
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Loop, Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.expr.types import Item, Type


def check(*exprs: Expr, closed: bool = True) -> None:
    """Assert that expressions are well formed.

    Every node has the key and the type that it gets when it is made anew; a leaf is taken of a stored record; loops are numbered
    from the inside; and where ``closed``, no element is outside its loop.

    Raises
    ------
    AssertionError
        With the node that is not.
    """
    for node in postorder(*exprs):
        _check_anew(node)
        if isinstance(node, Field):
            record = node.of.type.item
            _require(isinstance(record, Record) and record.model != "tuple", node, "a leaf of something that is not stored")
        if isinstance(node, Bound):
            _require(0 < node.level < PROVISIONAL, node, f"an element with the level {node.level}, which no closed loop has")
        if isinstance(node, Map):
            _check_loop(node)
    for root in exprs if closed else ():
        _require(not root.type.loops, root, "an element outside its loop")


def _check_anew(node: Expr) -> None:
    try:
        again = remade(node)
    except (RecordError, KeyError, TypeError, IndexError, ValueError) as error:
        raise AssertionError(f"{one_line(node)}: cannot be made anew: {error}") from error
    _require(again.key == node.key, node, "another key when made anew")
    _require(_same(again.type, node.type), node, f"{node.type}, but {again.type} when made anew")
    _require(again.height == node.height, node, "another height when made anew")


def _check_loop(node: Map) -> None:
    if node.level == 0:
        return
    loop = Loop(node.over.type.axes[1], node.level)
    _require(loop in node.body.type.loops, node, "a loop with a level whose body does not depend on it")
    wanted = node.body.height + 1
    _require(node.level == wanted, node, f"a loop of level {node.level} around {wanted - 1} loops")


def _same(a: Type, b: Type) -> bool:
    return (a.axes, a.loops, a.optional, a.unit) == (b.axes, b.loops, b.optional, b.unit) and _same_item(a.item, b.item)


def _same_item(a: Item, b: Item) -> bool:
    """Compare items; records made by an expression have no identity of their own and are compared by their members."""
    pairs = [(a, b)]
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if not (isinstance(left, Record) and isinstance(right, Record) and left.model == right.model == "tuple"):
            if left != right:
                return False
            continue
        if list(left.members) != list(right.members):
            return False
        for m, n in zip(left.members.values(), right.members.values(), strict=True):
            if (m.axes, m.optional, m.unit) != (n.axes, n.optional, n.unit):
                return False
            pairs.append((m.item, n.item))
    return True


def _require(fine: object, node: Expr, what: str) -> None:
    if not fine:
        raise AssertionError(f"{one_line(node)}: {what}")
