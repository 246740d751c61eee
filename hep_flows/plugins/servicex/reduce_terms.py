"""Aggregates as terms.

A list that the back end cannot filter (its mask depends on the element of another list) can still be aggregated: the items that are not
kept count nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused, Term, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Call
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Listed:
    """What is aggregated.

    Parameters
    ----------
    of : Term
        A list.
    variable : int
        The variable for its element.
    body : Term, optional
        What is aggregated of each element; None where the elements are counted.
    masks : tuple of Term
        Which elements count, where the list has all of them.
    """

    of: Term
    variable: int
    body: Term | None
    masks: tuple[Term, ...] = ()


def reduced(terms: Terms, dialect: Dialect, node: Call, listed: Listed) -> Term:
    """Give the term of an aggregate.

    Raises
    ------
    Refused
        When the dialect cannot compute it, or computes something else.
    """
    name = str(node.function)
    row = dialect.reducers.get(name)
    if row is None or row.reason or (row.write is None and row.made_of is None):
        raise Refused(row.reason if row is not None and row.reason else f"the query language has no {name} of a list")
    wanted = node.type.item
    of, variable, body, masks = listed.of, listed.variable, listed.body, listed.masks
    if body is None:
        return _count(terms, of, variable, masks)
    if body.optional:
        raise Refused(f"{name} of values that may be missing")
    item = body.item
    assert item is not None
    why = row.check([item], wanted)
    if why:
        raise Refused(f"{name}: {why}")
    if name in {"any", "all"}:
        return _truth(terms, name, replace(listed, body=_true(terms, body)))
    if name == "sum" and isinstance(item, Float) and item.bits < 64:
        # A first power in 64 bits: the language has no conversion, and the back end would add up in the width of the items.
        item = Float(64)
        body = terms.call("float_power", (body, terms.constant(1.0, item)), item)
    if masks:
        body = _or_zero(terms, name, body, item, masks)
    items = terms.select(of, variable, body)
    return row.made_of(terms, [items], wanted) if row.made_of is not None else terms.reduce(name, items, wanted)


def _count(terms: Terms, of: Term, variable: int, masks: Sequence[Term]) -> Term:
    if not masks:
        return terms.counted(of)
    return terms.reduce("sum", terms.select(of, variable, terms.all_of(masks)), Int(64))


def _true(terms: Terms, body: Term) -> Term:
    if isinstance(body.item, Bool):
        return body
    return terms.call("not_equal", (body, terms.constant(0, Int(64))), Bool())


def _truth(terms: Terms, name: str, listed: Listed) -> Term:
    body, masks = listed.body, listed.masks
    assert body is not None
    if masks and name == "any":
        body = terms.all_of((*masks, body))
    elif masks:
        body = terms.call("bitwise_or", (terms.call("invert", (terms.all_of(masks),), Bool()), body), Bool())
    return terms.reduce(name, terms.select(listed.of, listed.variable, body), Bool())


def _or_zero(terms: Terms, name: str, body: Term, item: Item, masks: Sequence[Term]) -> Term:
    """Give zero for what does not count: a sum that starts at zero does not change by it."""
    if name != "sum":
        raise Refused(f"{name} of elements that are chosen by the element of another collection")
    if isinstance(item, Bool):
        return terms.all_of((*masks, body))
    zero = terms.constant(0.0 if isinstance(item, Float) else 0, item, str(item))
    return terms.call("where", (terms.all_of(masks), body, zero), item)
