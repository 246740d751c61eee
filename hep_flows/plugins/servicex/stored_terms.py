"""Stored leaves and collections as terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Dataset, Field
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugins.servicex.terms import Collection, Leaf, Refused, Term, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hep_flows.expr.types import Item, Member


@dataclass(frozen=True, slots=True)
class Element:
    """A variable, and the list that it runs over: a branch, or the key of a collection's axis as text."""

    term: Term
    of: str


def stored_item(terms: Terms, node: Field, own: tuple[Element, ...]) -> Term:
    """Give a leaf where all of its axes have a variable.

    Raises
    ------
    Refused
        When it is no number, or its lists are those of another leaf.
    """
    member, path = _member(node), _path(node)
    item = _number(member, path)
    axes = node.type.axes
    if len(axes) == 1:
        return terms.column(member.column, item, 0)
    if len(axes) == 2 and own[0].of == axes[1].key.hex():
        return terms.leaf(own[0].term, Leaf(_collection(node), member.column, path[-1]), item, 0)
    if len(axes) > 2 and own[-1].of == f"{member.column}:{len(axes)}":
        return terms.element(own[-1].term.depth, item)
    raise Refused(f"{'.'.join(path)} lies in lists that another leaf has been taken from")


def stored_list(terms: Terms, node: Field, own: tuple[Element, ...]) -> tuple[Term, str]:
    """Give the list of the next axis of a leaf or a collection, and what its elements are elements of.

    Raises
    ------
    Refused
        When it is no number.
    """
    axes = node.type.axes
    if not own:
        collection = _collection(node)
        return terms.collection(collection), collection.axis.hex()
    member, path = _member(node), _path(node)
    item = _number(member, path)
    at = len(own) + 2
    below = len(axes) - at + 1
    mine = f"{member.column}:{at}"
    if len(own) == 1:
        return terms.leaf(own[0].term, Leaf(_collection(node), member.column, path[-1]), item, below), mine
    if own[-1].of != f"{member.column}:{at - 1}":
        raise Refused(f"{'.'.join(path)} lies in lists that another leaf has been taken from")
    raise Refused(f"{'.'.join(path)} has lists in lists of elements")


def readable(record: Record) -> Iterator[Member]:
    """Give the leaves of a record that are numbers and can be read."""
    for member in record.members.values():
        if isinstance(member.item, Record):
            if member.is_plain and not member.axes:
                yield from readable(member.item)
        elif isinstance(member.item, Bool | Int | Float) and member.is_plain and not member.widened and member.column:
            yield member


def _collection(node: Field) -> Collection:
    """Give the collection on whose axis a leaf or a collection lies."""
    axis = node.type.axes[1]
    top = node
    while isinstance(top.of, Field) and len(top.of.type.axes) > 1:
        top = top.of
    item = top.type.item
    record = item if isinstance(item, Record) else None
    columns = sorted(readable(record), key=_cost) if record is not None else []
    cheapest = columns[0].column if columns else _member(top).column
    model = getattr(top.of.type.item, "model", "")
    return Collection(axis.key, _path(top), model, cheapest)


def _cost(member: Member) -> tuple[int, int]:
    return len(member.axes), getattr(member.item, "bits", 8)


def _path(node: Field) -> tuple[str, ...]:
    names = [node.name]
    while isinstance(node.of, Field):
        node = node.of
        names.append(node.name)
    if not isinstance(node.of, Dataset):
        raise Refused(f"{'.'.join(reversed(names))} is a part of something that is not stored")
    return tuple(reversed(names))


def _member(node: Field) -> Member:
    record = node.of.type.item
    assert isinstance(record, Record)
    return record.members[node.name]


def _number(member: Member, path: tuple[str, ...]) -> Item:
    name = ".".join(path)
    if not isinstance(member.item, Bool | Int | Float):
        raise Refused(f"{name} is a {member.item}, and the query language has numbers only")
    if not member.column:
        raise Refused(f"it is not known which branch {name} is")
    if member.optional:
        raise Refused(f"values of {name} may be missing")
    return member.item
