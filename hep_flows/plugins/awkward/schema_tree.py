"""Flat trees: every branch is a leaf of the event; branches whose lists belong together share an axis.

``Jet_Px`` and ``Jet_Py``, both counted by ``NJet``, are leaves on the axis ``NJet``; where all branches of a counter begin with
``Jet_``, they are also ``Px`` and ``Py`` of a collection ``Jet`` on that same axis. Lists without a counter (``std::vector`` branches,
vector fields of an RNTuple, list columns of Parquet) belong together by their names: `lists_by_name`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.types import Member, Record
from hep_flows.plugins.awkward.forms import depth_of, is_jagged, member_of
from hep_flows.plugins.awkward.stored import shared_lack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

    # By the name of a collection, the columns whose lists are its objects.
    Shared = Mapping[str, Sequence[str]]

# Titles like "Jet_pt[nJet]/F" repeat what the type says.
_LEAF_LIST = re.compile(r"^[\w.]+(\[\w*\])*(/[A-Za-z])?(:[\w.]+(\[\w*\])*/[A-Za-z])*$")


def tree_record(columns: Columns, shared: Shared) -> Record:
    """Give the record of events of a flat tree."""
    return flat_record(columns, shared, "tree")


def flat_record(columns: Columns, shared: Shared, model: str) -> Record:
    """Give the record of events whose columns are leaves, and collections where their lists belong together.

    Parameters
    ----------
    shared : mapping
        The collections of columns that have no counter, as the data or the user tell them.
    """
    names = member_names(columns)
    axis_of = {c: collection for collection, cs in shared.items() for c in cs}
    groups = {**_by_counter(columns, names, axis_of), **{c: (c, list(cs)) for c, cs in shared.items()}}
    for axis, (_, group) in groups.items():
        axis_of.update(dict.fromkeys(group, axis))
    members: dict[str, Member] = {}
    for column in columns.values():
        name = names[column.name]
        axis = axis_of.get(column.name, column.counter)
        members[name] = with_plain_doc(member_of(column, name, model, (axis,) if axis and depth_of(column) else ()))
    for axis, (collection, group) in groups.items():
        if collection and collection not in members:
            members[collection] = _collection(collection, axis, [columns[c] for c in group], names, members, model)
    return Record("event", members, model)


def member_names(columns: Columns) -> dict[str, str]:
    """Give the member's name for each column: its own short name, or its whole path where that is not unique."""
    seen: dict[str, int] = {}
    for column in columns.values():
        seen[column.short] = seen.get(column.short, 0) + 1
    return {c.name: c.short if seen[c.short] == 1 else c.name for c in columns.values()}


def _has_counter(column: StoredColumn) -> bool:
    """Say whether a counter of several branches counts the column: uproot writes one of its own for each branch."""
    return bool(column.counter) and column.counter != f"n{column.name}"


def _by_counter(columns: Columns, names: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, tuple[str, list[str]]]:
    """Give by axis the collection and the columns of each counter; without a name where another counter's columns share the prefix."""
    groups: dict[str, list[str]] = {}
    for column in columns.values():
        if _has_counter(column) and depth_of(column) and column.name not in taken:
            groups.setdefault(column.counter, []).append(column.name)
    prefixes = {counter: _shared_prefix([names[c] for c in group]) for counter, group in groups.items()}
    claimed = list(prefixes.values())
    found: dict[str, tuple[str, list[str]]] = {}
    for counter, group in groups.items():
        prefix = prefixes[counter] if claimed.count(prefixes[counter]) == 1 else ""
        # A counter inside another branch is called by the collection: its own name says little.
        found[prefix if prefix and "/" in counter else counter] = (prefix, group)
    return found


def _collection(
    name: str, axis: str, stored: Sequence[StoredColumn], names: Mapping[str, str], members: dict[str, Member], model: str
) -> Member:
    """Give the collection that columns make."""
    inside: dict[str, Member] = {}
    for column in stored:
        full = names[column.name]
        found = members[full]
        own = full[len(name) + 1 :] if full.startswith((f"{name}_", f"{name}.")) and len(full) > len(name) + 1 else full
        inside[own] = replace(found, axes=found.axes[1:])
        # An axis below the collection is the same one however the leaf is reached.
        members[full] = replace(found, axes=(*found.axes[:1], *[f"{name}.{a}" for a in found.axes[1:]]))
    lack, lacking = shared_lack(stored)
    counter = stored[0].counter if _has_counter(stored[0]) and stored[0].counter in members else ""
    return Member(Record(name, there_with(inside, lack, stored), model), (axis,), counter, lacking=lacking)


def _shared_prefix(names: Sequence[str]) -> str:
    """Give the shortest text before a ``.``, else before a ``_``, that all names begin with, and go on after."""
    first = names[0]
    for mark in "._":
        for cut in range(1, len(first) - 1):
            if first[cut] == mark and all(n.startswith(first[: cut + 1]) and len(n) > cut + 1 for n in names):
                return first[:cut]
    return ""


def lists_by_name(columns: Columns) -> dict[str, list[str]]:
    """Give the columns of lists without a counter by what precedes the first ``.``, else the first ``_``, of their names."""
    names = member_names(columns)
    found: dict[str, list[str]] = {}
    for column in columns.values():
        if column.form is not None and not column.problem and not _has_counter(column) and is_jagged(column.form):
            name = names[column.name]
            prefix = name.partition("." if "." in name else "_")[0]
            if prefix and len(name) > len(prefix) + 1:
                found.setdefault(prefix, []).append(column.name)
    return found


def chosen_collections(columns: Columns, asked: Shared) -> dict[str, list[str]]:
    """Give the columns of the collections that a user names by their leaves.

    Raises
    ------
    SourceError
        When there is no such leaf, or it has no lists, or is asked for twice.
    """
    column_of = {name: column for column, name in member_names(columns).items()}
    column_of |= {c: c for c in columns}
    found: dict[str, list[str]] = {}
    for collection, leaves in asked.items():
        if collection in column_of:
            raise SourceError(f"collections: {collection} is a stored leaf", do="give the collection another name")
        for leaf in leaves:
            if leaf not in column_of:
                raise SourceError(
                    f"collections: the files have no {leaf!r}, asked for in {collection}", do=did_you_mean(leaf, column_of)
                )
            column = columns[column_of[leaf]]
            if not depth_of(column):
                raise SourceError(f"collections: {leaf} has no lists, so it cannot be a leaf of {collection}")
            if any(column.name in others for others in found.values()):
                raise SourceError(f"collections: {leaf} is asked for twice")
            found.setdefault(collection, []).append(column.name)
    return found


def with_plain_doc(member: Member) -> Member:
    """Give the member without a description that only repeats its name and type."""
    return replace(member, doc="") if _LEAF_LIST.match(member.doc) else member


def there_with(leaves: Mapping[str, Member], lack: frozenset[int], columns: Sequence[StoredColumn]) -> dict[str, Member]:
    """Give the leaves of a collection: one that lacks in no other files than the collection does is there wherever that is."""
    with_it = {c.name for c in columns if lack and c.lack <= lack}
    return {n: replace(m, lacking="") if m.column in with_it and not m.inside else m for n, m in leaves.items()}
