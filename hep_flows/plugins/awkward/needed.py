"""Which stored leaves and collections an expression needs, by path: ``("Jet", "pt")``, ``("run",)``, or ``("Jet",)`` for the counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.loops import member_with, select
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Input
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hep_flows.expr.functions import UserFunction
    from hep_flows.expr.types import Member

Path = tuple[str, ...]


def path_of(node: Expr) -> tuple[Expr, Path]:
    """Give what a stored leaf or collection is a part of, and the names that lead there."""
    names: list[str] = []
    while isinstance(node, Field):
        names.append(node.name)
        node = node.of
    return node, tuple(reversed(names))


def needed_fields(roots: Sequence[Expr]) -> dict[bytes, Field]:
    """Give the fields whose values are used, by key and in order of use; a collection that only leads to its leaves is none."""
    used = {root.key for root in roots}
    for node in postorder(*roots):
        if not isinstance(node, Field):
            used.update([i.key for i in node.inputs()])
    return {n.key: n for n in postorder(*roots) if isinstance(n, Field) and n.key in used}


def leaves_of(roots: Sequence[Expr]) -> tuple[Path, ...]:
    """Give the paths that have to be read.

    A collection of which a leaf is read, too, needs no counts: the leaf has them. A group without an axis needs nothing.
    """
    leaves: dict[Path, None] = {}
    collections: dict[Path, None] = {}
    for node in needed_fields(roots).values():
        base, path = path_of(node)
        if isinstance(base, Dataset):
            if not isinstance(node.type.item, Record):
                leaves[path] = None
            elif node.type.axes[1:]:
                collections[path] = None
    with_leaf = {leaf[:i] for leaf in leaves for i in range(1, len(leaf))}
    return (*leaves, *[c for c in collections if c not in with_leaf])


def columns_of(dataset: Dataset, paths: Iterable[Path]) -> tuple[str, ...]:
    """Give what the file calls them, with a dot before a field inside a column; one that the file has no name for is left out."""
    found: dict[str, None] = {}
    for path in paths:
        member = _member(dataset, path)
        if member is not None and member.column:
            found[".".join(member.path)] = None
    return tuple(found)


def _member(dataset: Dataset, path: Path) -> Member | None:
    item, member = dataset.type.item, None
    for name in path:
        if not isinstance(item, Record):
            return None
        member = item.members.get(name)
        if member is None:
            return None
        item = member.item
    return member


# Users' functions that are known by name, so that they need no body --------------------------------------------------------------


def known_as(function: UserFunction) -> str:
    """Give the function of the table that a user's function stands for, empty when there is none."""
    return "delta_r" if function.name == "DeltaR" and len(function.parameters) == 4 else ""


def is_known(function: UserFunction) -> bool:
    """Say whether the function can be computed without a body of its own."""
    return bool(known_as(function))


# What a record-typed result is put together from: an expression for each member --------------------------------------------------


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
    return _member_output(expr, optional=expr.type.optional)


def _member_output(expr: Expr, *, optional: bool) -> Output:
    item = expr.type.item
    if not isinstance(item, Record):
        return Output(expr, optional)
    members = {name: _member_output(m, optional=item.members[name].optional) for name, m in members_of(expr).items()}
    return Output(expr, optional, members)


def members_of(node: Expr) -> dict[str, Expr]:
    """Give an expression for every member of a record that can be read."""
    item = node.type.item
    if not isinstance(item, Record):
        return {}
    found: dict[str, Expr] = {}
    for name, member in item.members.items():
        if member.is_plain and (expr := _member_value(node, name)) is not None:
            found[name] = expr
    return found


def _member_value(node: Expr, name: str) -> Expr | None:
    def found(here: Expr) -> Expr | bool | None:
        if (given := member_with(here, name)) is not None:
            return given
        if isinstance(here, Call) and here.function == "record":
            names: tuple[str, ...] = here.option("names")  # type: ignore[assignment]
            return _repeated(here.args[names.index(name)], here)
        if isinstance(here, Call) and here.function == "concatenate":
            return _of_all_parts(here, name)
        return build.field(here, name, here.where) if isinstance(here, Dataset | Field | Input) else None

    return select(node, found)


def _of_all_parts(joined: Call, name: str) -> Expr | None:
    if name == "part":
        return build.part_numbers(joined)
    parts = [p for p in [_member_value(a, name) for a in joined.args] if p is not None]
    return build.concatenated(parts, joined.option("at"), joined.where) if len(parts) == len(joined.args) else None  # type: ignore[arg-type]


def _repeated(part: Expr, record: Call) -> Expr:
    """Give a part of a record for each element of the record, so that what is selected from the record can be selected from it."""
    n_axes = len(record.type.axes)
    if len(part.type.axes) >= n_axes or isinstance(part.type.item, Record):
        return part
    lists: Expr = next(a for a in record.args if len(a.type.axes) >= n_axes)
    while len(lists.type.axes) > n_axes:
        lists = build.call("count", (lists,))
    return build.call("where", (build.call("is_none", (lists,)), part, part), where=record.where)
