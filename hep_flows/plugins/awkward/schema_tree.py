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
    from hep_flows.plugins.awkward.stored import Columns

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
    for prefix, counter, leaves in _collections(columns, names):
        if prefix not in members:
            members[prefix] = _collection(prefix, leaves, counter, members, columns)
    return Record("event", members, "tree")


def member_names(columns: Columns) -> dict[str, str]:
    """Give the member's name for each column: its own short name, or its whole path where that is not unique."""
    seen: dict[str, int] = {}
    for column in columns.values():
        seen[column.short] = seen.get(column.short, 0) + 1
    return {c.name: c.short if seen[c.short] == 1 else c.name for c in columns.values()}


def _collections(columns: Columns, names: dict[str, str]) -> list[tuple[str, str, list[str]]]:
    """Give the prefix, the counter and the leaves of each counter whose leaves share a prefix that no other counter's have."""
    groups: dict[str, list[str]] = {}
    for column in columns.values():
        # uproot writes a counter of its own for each branch: that makes no collection.
        if column.counter and depth_of(column) and column.counter != f"n{column.name}":
            groups.setdefault(column.counter, []).append(names[column.name])
    prefixes = {counter: _shared_prefix(leaves) for counter, leaves in groups.items()}
    claimed = list(prefixes.values())
    return [(p, counter, groups[counter]) for counter, p in prefixes.items() if p and claimed.count(p) == 1]


def _collection(prefix: str, leaves: list[str], counter: str, members: dict[str, Member], columns: Columns) -> Member:
    """Give the collection that the leaves of a counter make."""
    inside: dict[str, Member] = {}
    for name in leaves:
        found = members[name]
        inside[name[len(prefix) + 1 :]] = replace(found, axes=found.axes[1:])
        # An axis below the collection is the same one however the leaf is reached.
        members[name] = replace(found, axes=(*found.axes[:1], *[f"{prefix}.{a}" for a in found.axes[1:]]))
    return Member(Record(prefix, inside, "tree"), (counter,), counter if counter in columns else "")


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
