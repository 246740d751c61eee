"""Flat trees: every branch is a leaf of the event; branches with one counter share an axis.

``Jet_Px`` and ``Jet_Py``, both counted by ``NJet``, are leaves on the axis ``NJet``; where all branches of a counter begin with
``Jet_``, they are also ``Px`` and ``Py`` of a collection ``Jet`` on that same axis.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.expr.types import Member, Record
from hep_flows.plugins.awkward.forms import depth_of, member_of

if TYPE_CHECKING:
    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

# Titles like "Jet_pt[nJet]/F" repeat what the type says.
_LEAF_LIST = re.compile(r"^[\w.]+(\[\w*\])*(/[A-Za-z])?(:[\w.]+(\[\w*\])*/[A-Za-z])*$")


def tree_record(columns: Columns) -> Record:
    """Give the record of events of a flat tree."""
    names = member_names(columns)
    members: dict[str, Member] = {}
    for column in columns.values():
        name = names[column.name]
        outer = (column.counter,) if column.counter and depth_of(column) else ()
        members[name] = with_plain_doc(member_of(column, name, "tree", outer))
    for counter, group in _by_counter(columns).items():
        made = _collection([names[c.name] for c in group], counter, members, columns)
        if made is not None and made[0] not in members:
            members[made[0]] = made[1]
    return Record("event", members, "tree")


def member_names(columns: Columns) -> dict[str, str]:
    """Give the member's name for each column: its own short name, or its whole path where that is not unique."""
    seen: dict[str, int] = {}
    for column in columns.values():
        seen[column.short] = seen.get(column.short, 0) + 1
    return {c.name: c.short if seen[c.short] == 1 else c.name for c in columns.values()}


def _by_counter(columns: Columns) -> dict[str, list[StoredColumn]]:
    groups: dict[str, list[StoredColumn]] = {}
    for column in columns.values():
        if column.counter and depth_of(column):
            groups.setdefault(column.counter, []).append(column)
    return groups


def _collection(leaves: list[str], counter: str, members: dict[str, Member], columns: Columns) -> tuple[str, Member] | None:
    """Give the name and the record of the collection that the leaves of a counter make, if they share a prefix."""
    prefix = _shared_prefix(leaves)
    if not prefix:
        return None
    skipped = len(prefix) + 1
    inside = {name[skipped:]: replace(members[name], axes=members[name].axes[1:]) for name in leaves}
    for name in leaves:
        # An axis below the collection is the same one however the leaf is reached.
        below = tuple([f"{prefix}.{a}" for a in members[name].axes[1:]])
        members[name] = replace(members[name], axes=(*members[name].axes[:1], *below))
    column = counter if counter in columns else ""
    return prefix, Member(Record(prefix, inside, "tree"), (counter,), column)


def _shared_prefix(names: list[str]) -> str:
    """Give the shortest text before a ``_`` or ``.`` that all names begin with, and go on after."""
    first = names[0]
    for cut in range(1, len(first) - 1):
        if first[cut] in "_." and all(n.startswith(first[: cut + 1]) and len(n) > cut + 1 for n in names):
            return first[:cut]
    return ""


def with_plain_doc(member: Member) -> Member:
    """Give the member without a description that only repeats its name and type."""
    return replace(member, doc="") if _LEAF_LIST.match(member.doc) else member
