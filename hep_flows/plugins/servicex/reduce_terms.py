"""Aggregates as terms.

A list that the back end cannot filter (its mask depends on the element of another list) can still be aggregated: the items that are not
kept count nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused, Term, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Call
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.dialect import Dialect


def reduced(  # noqa: PLR0913 - a list is three things here
    terms: Terms, dialect: Dialect, node: Call, of: Term, variable: int, body: Term | None, masks: Sequence[Term]
) -> Term:
    """Give the term of an aggregate.

    Parameters
    ----------
    of, variable, body : Term, int, Term or None
        The list, the variable for its element, and what is aggregated of each; None where the elements are counted.
    masks : sequence of Term
        Which elements count, where the list has all of them.

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
        return _truth(terms, name, of, variable, _true(terms, body), masks)
    if masks:
        body = _or_zero(terms, name, body, item, masks)
    listed = terms.select(of, variable, body)
    return row.made_of(terms, [listed], wanted) if row.made_of is not None else terms.reduce(name, listed, wanted)


def _count(terms: Terms, of: Term, variable: int, masks: Sequence[Term]) -> Term:
    if not masks:
        return terms.counted(of)
    return terms.reduce("sum", terms.select(of, variable, terms.all_of(masks)), Int(64))


def _true(terms: Terms, body: Term) -> Term:
    if isinstance(body.item, Bool):
        return body
    return terms.call("not_equal", (body, terms.constant(0, Int(64))), Bool())


def _truth(terms: Terms, name: str, of: Term, variable: int, body: Term, masks: Sequence[Term]) -> Term:
    if masks and name == "any":
        body = terms.all_of((*masks, body))
    elif masks:
        body = terms.call("bitwise_or", (terms.call("invert", (terms.all_of(masks),), Bool()), body), Bool())
    return terms.reduce(name, terms.select(of, variable, body), Bool())


def _or_zero(terms: Terms, name: str, body: Term, item: Item, masks: Sequence[Term]) -> Term:
    """Give zero for what does not count: a sum that starts at zero does not change by it."""
    if name != "sum":
        raise Refused(f"{name} of elements that are chosen by the element of another collection")
    if isinstance(item, Bool):
        return terms.all_of((*masks, body))
    zero = terms.constant(0.0 if isinstance(item, Float) else 0, item, str(item))
    return terms.call("where", (terms.all_of(masks), body, zero), item)
