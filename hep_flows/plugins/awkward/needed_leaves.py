"""Which stored leaves and collections an expression needs, by path: ``("Jet", "pt")``, ``("run",)``, or ``("Jet",)`` for the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Dataset, Expr, Field
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
