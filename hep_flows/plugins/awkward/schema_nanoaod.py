"""NanoAOD: collections by counter (``nJet`` and ``Jet_*``), groups of event values by prefix (``MET_pt``, ``HLT_IsoMu24``).

Every branch can also be reached by its full name at the top; ``df.Jet_pt`` lies on the same axis as ``df.Jet.pt``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.expr.types import Int, Member, Record
from hep_flows.plugins.awkward.forms import depth_of, member_of
from hep_flows.plugins.awkward.nanoaod_facts import reference_of, unit_of
from hep_flows.plugins.awkward.schema_tree import there_with, with_plain_doc
from hep_flows.plugins.awkward.stored import shared_lack

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.plugins.awkward.schema_tree import Shared
    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

_MODEL = "nanoaod"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a branch belongs.

    Parameters
    ----------
    prefix : str
        The collection or group; empty for a value of the event.
    leaf : str
        Its name there.
    axis : str
        The collection axis that it lies on; empty for a value of the event, or a list of its own.
    """

    prefix: str
    leaf: str
    axis: str = ""


def nanoaod_record(columns: Columns, shared: Shared) -> Record:
    """Give the record of events: collections and groups first, then every branch by its full name."""
    del shared
    counters = _counters(columns)
    places = {c.name: _place(c, counters, columns) for c in columns.values()}
    stored = {c.name for c in columns.values() if _is_record(c)}
    collections = {p.axis for p in places.values() if p.axis} | stored
    jagged = {p.prefix for p in places.values() if p.axis and p.prefix}
    objects: dict[str, dict[str, Member]] = {}
    branches: dict[str, Member] = {}
    for column in columns.values():
        place = places[column.name]
        top = _branch(column, place, collections)
        if column.name in stored:
            objects[column.name] = dict(_with_facts(top, column.name, collections))
            continue
        branches[column.name] = top
        is_loose = bool(place.prefix) and place.prefix in jagged and not place.axis
        if place.prefix and place.prefix not in columns and not is_loose:
            objects.setdefault(place.prefix, {})[place.leaf] = _below(top, place)
    lists = jagged | {n for n in stored if depth_of(columns[n])}
    below = {n: [c for c in columns.values() if places[c.name].prefix == n and places[c.name].axis == n] for n in jagged}
    made = {
        n: _object(n, leaves, counters.get(n, "") if n in lists else None, below.get(n, ()), columns)
        for n, leaves in objects.items()
    }
    return Record("event", {**made, **branches}, _MODEL)


def _object(name: str, leaves: dict[str, Member], counter: str | None, stored: Sequence[StoredColumn], columns: Columns) -> Member:
    """Give a collection with its counter's branch, or a group where there is None; a leaf is lacking where its collection is there."""
    if counter is None:
        return Member(Record(name, leaves, _MODEL))
    lack, lacking = shared_lack([columns[counter]] if counter in columns else stored)
    return Member(Record(name, there_with(leaves, lack, stored), _MODEL), (name,), counter, lacking=lacking)


def _counters(columns: Columns) -> Mapping[str, str]:
    """Give the branch ``nJet`` that may count each ``Jet``, but not one that counts a single branch, as uproot writes them."""
    return {n[1:]: n for n, c in columns.items() if _is_count(n) and n[1:] not in columns and c.form and depth_of(c) == 0}


def _is_count(name: str) -> bool:
    return name[:1] == "n" and name[1:2] not in {"", "_"}


def _place(column: StoredColumn, counters: Mapping[str, str], columns: Columns) -> _Place:
    """Give where a branch belongs: by its own counter, else by the longest prefix with a counter, else by what precedes the _."""
    name = column.name
    prefix, _, leaf = name.partition("_")
    if depth_of(column) == 0:
        counts_a_branch = _is_count(name) and name[1:] in columns
        return _Place(prefix, leaf) if prefix and leaf and not counts_a_branch else _Place("", name)
    owned = column.counter.removeprefix("n")
    if owned and owned != name:
        fits = name.startswith(f"{owned}_") and len(name) > len(owned) + 1
        return _Place(owned, name[len(owned) + 1 :], owned) if fits else _Place("", name, owned)
    parts = name.split("_")
    for i in range(len(parts) - 1, 0, -1):
        known = "_".join(parts[:i])
        if known in counters:
            return _Place(known, "_".join(parts[i:]), known)
    return _Place(prefix, leaf, prefix) if prefix and leaf else _Place("", name, owned)


def _branch(column: StoredColumn, place: _Place, collections: Collection[str]) -> Member:
    """Give a branch as a member of the event."""
    inner = f"{place.prefix}.{place.leaf}" if place.axis and place.prefix else column.name
    outer = (place.axis,) if place.axis else ()
    made = with_plain_doc(member_of(column, place.leaf, _MODEL, outer, inner))
    return _with_fact(made, place.prefix, place.leaf, collections)


def _below(top: Member, place: _Place) -> Member:
    """Give the same branch as a member of its collection or group: the collection's own axis is not among its axes."""
    axes = top.axes[1:] if place.axis else top.axes
    return replace(top, axes=tuple([a.removeprefix(f"{place.prefix}.") for a in axes]))


def _with_facts(collection: Member, prefix: str, collections: Collection[str]) -> Mapping[str, Member]:
    """Give the members of a collection that is stored as one field, with units and references."""
    members = collection.item.members if isinstance(collection.item, Record) else {}
    return {name: _with_fact(m, prefix, name, collections) for name, m in members.items()}


def _with_fact(member: Member, prefix: str, leaf: str, collections: Collection[str]) -> Member:
    if isinstance(member.item, Int) and prefix:
        return replace(member, item=replace(member.item, refers_to=reference_of(leaf, collections)))
    return replace(member, unit=unit_of(prefix, leaf, member))


def _is_record(column: StoredColumn) -> bool:
    """Say whether a column holds records, or lists of them: an object stored as one field."""
    form = column.form
    while form is not None and not form.is_record:
        form = getattr(form, "content", None)
    return form is not None
