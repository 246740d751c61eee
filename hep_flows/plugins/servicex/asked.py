"""What a task asks of the back end: which events, which columns, and how its result is put together from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Dataset, Expr, Field
from hep_flows.expr.select import select
from hep_flows.expr.types import Record
from hep_flows.plugins.servicex.capabilities import is_event_count
from hep_flows.plugins.servicex.frames import every
from hep_flows.plugins.servicex.terms import Collection, Leaf, Refused, Term

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hep_flows.plugins.servicex.build_terms import Builder


@dataclass(frozen=True, slots=True)
class Output:
    """One column, or an object with an output for each member.

    Parameters
    ----------
    expr : Expr
        The expression.
    term : Term, optional
        The column; None of an object, and of the number of events.
    members : mapping of str to Output
        The members of an object.
    """

    expr: Expr
    term: Term | None = None
    members: Mapping[str, Output] = field(default_factory=dict)

    def terms(self) -> Iterator[Term]:
        """Give the columns."""
        if self.term is not None:
            yield self.term
        for member in self.members.values():
            yield from member.terms()


@dataclass(frozen=True, slots=True)
class Asked:
    """The events that a task is about (all that pass the masks), and what it wants of them."""

    masks: tuple[Term, ...]
    output: Output


def asked(builder: Builder, expr: Expr) -> Asked:
    """Give what an expression asks for.

    Raises
    ------
    Refused
        When the dialect cannot say it; a plan does not give such an expression to this plug-in.
    """
    if is_event_count(expr):
        assert isinstance(expr, Call)
        return Asked(builder.masks(expr.args[0]), Output(expr))
    return Asked(builder.masks(expr), _output(builder, expr))


def _output(builder: Builder, expr: Expr) -> Output:
    if not isinstance(expr.type.item, Record):
        return Output(expr, builder.value(expr))
    members: dict[str, Output] = {}
    for name, member in expr.type.item.members.items():
        found = None if not member.is_plain else select(expr, lambda here, name=name: _stored(here, name))  # type: ignore[misc]
        if found is None:
            continue
        members[name] = _output(builder, found)
    if not members:
        raise Refused(f"{expr.type.item.name} has no member that can be sent")
    return Output(expr, None, members)


def _stored(here: Expr, name: str) -> Expr | None:
    return build.field(here, name, here.where) if isinstance(here, Dataset | Field) else None


def branches(terms: Sequence[Term]) -> tuple[str, ...]:
    """Give the branches that terms are made of, in order of use."""
    found: dict[str, None] = {}
    bare: dict[bytes, str] = {}
    axes: set[bytes] = set()
    for term in every(terms):
        match term.value:
            case Leaf(collection, column, _):
                found[column] = None
                axes.add(collection.axis)
            case Collection() as collection:
                bare[collection.axis] = collection.cheapest
            case str() as column if term.op == "column":
                found[column] = None
    found.update({column: None for axis, column in bare.items() if axis not in axes})
    return tuple(dict.fromkeys([column.split("|", 1)[0] for column in found]))
