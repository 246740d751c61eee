"""What a record-typed result is put together from: an expression for each member."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Input
from hep_flows.expr.select import select
from hep_flows.expr.types import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Output:
    """One result: a leaf without members, or a record with an output for each member.

    ``optional`` says whether items may be missing, beyond those of a record around it that is missing as a whole.
    """

    expr: Expr
    optional: bool
    members: Mapping[str, Output] = field(default_factory=dict)

    def exprs(self) -> Iterator[Expr]:
        """Give all expressions that must be evaluated."""
        yield self.expr
        for member in self.members.values():
            yield from member.exprs()


def output_of(expr: Expr) -> Output:
    """Give what has to be evaluated for a result; collections are nested in the event record that they belong to."""
    return _output(expr, optional=expr.type.optional)


def _output(expr: Expr, *, optional: bool) -> Output:
    item = expr.type.item
    if not isinstance(item, Record):
        return Output(expr, optional)
    members = {name: _output(m, optional=item.members[name].optional) for name, m in members_of(expr).items()}
    return Output(expr, optional, members)


def members_of(node: Expr) -> dict[str, Expr]:
    """Give an expression for every member of a record that can be read."""
    item = node.type.item
    if not isinstance(item, Record):
        return {}
    found: dict[str, Expr] = {}
    for name, member in item.members.items():
        if member.is_plain and (expr := _member(node, name)) is not None:
            found[name] = expr
    return found


def _member(node: Expr, name: str) -> Expr | None:
    def found(here: Expr) -> Expr | None:
        if isinstance(here, Call) and here.function == "record":
            names: tuple[str, ...] = here.option("names")  # type: ignore[assignment]
            return _repeated(here.args[names.index(name)], here)
        return build.field(here, name, here.where) if isinstance(here, Dataset | Field | Input) else None

    return select(node, found)


def _repeated(part: Expr, record: Call) -> Expr:
    """Give a part of a record for each element of the record, so that what is selected from the record can be selected from it."""
    n_axes = len(record.type.axes)
    if len(part.type.axes) >= n_axes or isinstance(part.type.item, Record):
        return part
    lists: Expr = next(a for a in record.args if len(a.type.axes) >= n_axes)
    while len(lists.type.axes) > n_axes:
        lists = build.call("count", (lists,))
    return build.call("where", (build.call("is_none", (lists,)), part, part), where=record.where)
