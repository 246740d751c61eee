"""What a well-formed expression is: asserted between passes, in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import RecordError
from hep_flows.expr.loops import PROVISIONAL
from hep_flows.expr.nodes import Bound, Expr, Field, Input, Map
from hep_flows.expr.remake import remade, same_item, same_type
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Loop, Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.expr.types import Type


def check(*exprs: Expr, closed: bool = True) -> None:
    """Assert that expressions are well formed.

    Every node has the key and the type that it gets when it is made anew; a leaf is taken of a stored record; loops are numbered
    from the inside; and where ``closed``, no element is outside its loop. Above the results of other tasks axes need only have the
    same names, and levels may have been counted before the task was cut.

    Raises
    ------
    AssertionError
        With the node that is not.
    """
    in_task: set[bytes] = set()
    for node in postorder(*exprs):
        if isinstance(node, Input) or any(i.key in in_task for i in node.inputs()):
            in_task.add(node.key)
        _check_anew(node, exactly=node.key not in in_task)
        if isinstance(node, Field):
            record = node.of.type.item
            _require(isinstance(record, Record) and record.model != "tuple", node, "a leaf of something that is not stored")
        if isinstance(node, Bound):
            _require(0 < node.level < PROVISIONAL, node, f"an element with the level {node.level}, which no closed loop has")
        if isinstance(node, Map) and node.key not in in_task:
            _check_loop(node)
    for root in exprs if closed else ():
        _require(not root.type.loops, root, "an element outside its loop")


def _check_anew(node: Expr, *, exactly: bool) -> None:
    try:
        again = remade(node)
    except (RecordError, KeyError, TypeError, IndexError, ValueError) as error:
        raise AssertionError(f"{one_line(node)}: cannot be made anew: {error}") from error
    _require(again.key == node.key, node, "another key when made anew")
    same = same_type if exactly else _alike
    _require(same(again.type, node.type), node, f"{node.type}, but {again.type} when made anew")
    _require(again.height == node.height, node, "another height when made anew")


def _alike(a: Type, b: Type) -> bool:
    """Compare types where results of other tasks stand for parts: axes keep the identity that they had without."""
    kinds = (a.optional, a.unit, len(a.loops)) == (b.optional, b.unit, len(b.loops))
    return kinds and [x.name for x in a.axes] == [x.name for x in b.axes] and same_item(a.item, b.item)


def _check_loop(node: Map) -> None:
    if node.level == 0:
        return
    loop = Loop(node.over.type.axes[1], node.level)
    _require(loop in node.body.type.loops, node, "a loop with a level whose body does not depend on it")
    wanted = node.body.height + 1
    _require(node.level == wanted, node, f"a loop of level {node.level} around {wanted - 1} loops")


def _require(fine: object, node: Expr, what: str) -> None:
    if not fine:
        raise AssertionError(f"{one_line(node)}: {what}")
