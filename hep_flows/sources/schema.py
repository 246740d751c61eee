"""From the form of a stored column to a member of a record."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from awkward.forms import (
    BitMaskedForm,
    ByteMaskedForm,
    EmptyForm,
    IndexedForm,
    IndexedOptionForm,
    ListForm,
    ListOffsetForm,
    NumpyForm,
    RecordForm,
    RegularForm,
    UnionForm,
    UnmaskedForm,
)

from hep_flows.contract import Note
from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.build import LINK
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String, common
from hep_flows.sources.stored import shared_lack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from awkward.forms import Form

    from hep_flows.contract import ColumnPath, StoredColumn
    from hep_flows.expr.types import Item
    from hep_flows.sources.stored import Columns

    Shared = Mapping[str, Sequence[str]]

_OPTIONS = (BitMaskedForm, ByteMaskedForm, IndexedOptionForm)
_LISTS = (ListForm, ListOffsetForm, RegularForm)


class UnreadableFormError(Exception):
    """A layout that the language has no word for; the text says which."""


def member_of(column: StoredColumn, name: str, model: str, outer: tuple[str, ...] = (), inner: str = "") -> Member:
    """Give the member that a column is.

    Parameters
    ----------
    name : str
        The name of the member.
    model : str
        The data model of records inside.
    outer : tuple of str
        Names for the outermost list axes of the column; the first ``len(outer)`` axes get them.
    inner : str
        The name of the axes below; the member's own when empty.
    """
    if column.form is None:
        return Member(String(), column=column.name, doc=column.title, unreadable=column.problem)
    try:
        made = _member(column.form, _At(column, (), model), name, (*outer,), inner or name)
    except UnreadableFormError as error:
        return Member(String(), column=column.name, doc=column.title, unreadable=f"{column.name} holds {error}")
    return replace(made, doc=column.title, unreadable=column.problem or made.unreadable)


@dataclass(frozen=True, slots=True)
class _At:
    """A column, or a field inside it, and the data model of the records in it."""

    column: StoredColumn
    inside: ColumnPath
    model: str

    def below(self, field: str) -> _At:
        return replace(self, inside=(*self.inside, field))

    def noted(self, member: Member) -> Member:
        """Give the member with its place, and with what makes files differ in it."""
        note = self.column.notes.get(self.inside, Note())
        return replace(
            member,
            column=self.column.name,
            inside=self.inside,
            lacking=note.lacking,
            differs=note.differs,
            unreadable=note.unreadable or member.unreadable,
            widened=note.widened,
        )


def _member(form: Form, at: _At, name: str, names: tuple[str, ...], inner: str) -> Member:
    """Descend through lists and options to what the column, or a field inside it, holds."""
    axes: list[str] = []
    optional = False
    while True:
        if is_text(form):
            return at.noted(Member(String(), tuple(axes), optional=optional))
        if isinstance(form, _OPTIONS):
            optional = True
            form = form.content
        elif isinstance(form, IndexedForm | UnmaskedForm):
            form = form.content
        elif form.parameter("__array__") == "bytestring":
            raise UnreadableFormError("bytes, which are neither text nor numbers")
        elif isinstance(form, _LISTS):
            # A missing list has no place in the language: reading refuses it, so the option above does not count.
            optional = False
            axes.append(_axis_name(len(axes), names, inner))
            form = form.content
        elif isinstance(form, NumpyForm) and form.inner_shape:
            form = form.to_RegularForm()
        elif isinstance(form, NumpyForm):
            return at.noted(Member(item_of(form.primitive), tuple(axes), optional=optional))
        elif isinstance(form, RecordForm):
            return at.noted(Member(_record(form, at, name, optional=optional), tuple(axes)))
        else:
            raise UnreadableFormError(_kind(form))


def _axis_name(depth: int, names: tuple[str, ...], inner: str) -> str:
    if depth < len(names):
        return names[depth]
    below = depth - len(names)
    return inner if below == 0 else f"{inner}_{below + 1}"


def _record(form: RecordForm, at: _At, name: str, *, optional: bool) -> Record:
    members: dict[str, Member] = {}
    for field in form.fields:
        short = field.removeprefix(f"{name}.")
        below = at.below(field)
        try:
            made = _member(form.content(field), below, short, (), short)
        except UnreadableFormError as error:
            why = f"{'.'.join((at.column.name, *below.inside))} holds {error}"
            made = below.noted(Member(String(), unreadable=why))
        members[short] = with_missing(made) if optional else made
    return Record(name, members, at.model)


def with_missing(member: Member) -> Member:
    """Give the member whose values may be missing because the record that holds them may be."""
    if isinstance(member.item, Record):
        return replace(member, item=replace(member.item, members={n: with_missing(m) for n, m in member.item.members.items()}))
    return replace(member, optional=member.optional or not member.axes)


def item_of(primitive: str) -> Item:
    """Give the item of numpy's name of a type."""
    if primitive == "bool":
        return Bool()
    kind = primitive.rstrip("0123456789")
    if kind in {"int", "uint"}:
        return Int(int(primitive[len(kind) :]), signed=kind == "int")
    if kind == "float" and primitive != "float128":
        return Float(int(primitive[len(kind) :]))
    raise UnreadableFormError(f"{primitive} values, which the language has no arithmetic for")


def is_option(form: Form) -> bool:
    """Say whether values of the form may be missing."""
    return isinstance(form, _OPTIONS)


def is_text(form: Form) -> bool:
    """Say whether the form is one text."""
    return bool(form.parameter("__array__") == "string")


def _kind(form: Form) -> str:
    if isinstance(form, EmptyForm):
        return "values of no type"
    if isinstance(form, UnionForm):
        return "values of several types"
    return f"a {type(form).__name__.removesuffix('Form')}"


def depth_of(column: StoredColumn) -> int:
    """Give the number of list axes of a column; 0 when it cannot be read."""
    depth, form = 0, column.form
    while form is not None and not is_text(form):
        if isinstance(form, NumpyForm):
            return depth + len(form.inner_shape)
        if isinstance(form, _LISTS):
            depth += 1
        elif not isinstance(form, (*_OPTIONS, IndexedForm, UnmaskedForm)):
            return depth
        form = form.content
    return depth


def is_jagged(form: Form) -> bool:
    """Say whether a form is lists of different lengths of something else than objects."""
    while isinstance(form, (*_OPTIONS, IndexedForm, UnmaskedForm)):
        form = form.content
    if is_text(form) or not isinstance(form, ListForm | ListOffsetForm) or form.parameter("__array__") == "bytestring":
        return False
    inner = form.content
    while not isinstance(inner, RecordForm | NumpyForm | EmptyForm | UnionForm) and not is_text(inner):
        inner = inner.content
    return not isinstance(inner, RecordForm | UnionForm)


def type_text(form: Form | None) -> str:
    """Give the type of a column in words that do not depend on whether values may be missing."""
    if form is None:
        return "unreadable"
    if is_text(form):
        return "string"
    if isinstance(form, NumpyForm):
        return "".join([f"{n} * " for n in form.inner_shape]) + str(form.primitive)
    if isinstance(form, RegularForm):
        return f"{form.size} * {type_text(form.content)}"
    if isinstance(form, _LISTS):
        return f"list of {type_text(form.content)}"
    if isinstance(form, RecordForm):
        return f"{{{', '.join([f'{f}: {type_text(form.content(f))}' for f in form.fields])}}}"
    if isinstance(form, (*_OPTIONS, IndexedForm, UnmaskedForm)):
        return type_text(form.content)
    return _kind(form)


def joined(one: StoredColumn, other: StoredColumn, files: tuple[str, str]) -> StoredColumn:
    """Give the column that stands for one that two files hold differently: each kind widened to one that holds both without a loss.

    Parameters
    ----------
    files : tuple of str
        The names of the two files, for the notes.
    """
    notes = dict(one.notes)
    try:
        form = _joined(one.form, other.form, (), _Joining(one.name, files, notes))
    except UnreadableFormError as error:
        return replace(one, problem=str(error))
    return replace(one, form=form, notes=notes)


@dataclass(frozen=True, slots=True)
class _Joining:
    """What two forms are joined for: the column, the two files, and the notes that are made on the way."""

    column: str
    files: tuple[str, str]
    notes: dict[ColumnPath, Note]

    def note(self, inside: ColumnPath, **said: object) -> None:
        self.notes[inside] = replace(self.notes.get(inside, Note()), **said)  # type: ignore[arg-type]

    def contrast(self, inside: ColumnPath, one: Form, other: Form) -> str:
        """Say in words how two files hold a leaf."""
        name = ".".join((self.column, *inside))
        return f"{name} is {type_text(one)} in {self.files[0]} and {type_text(other)} in {self.files[1]}"


def _joined(one: Form | None, other: Form | None, inside: ColumnPath, how: _Joining) -> Form:  # noqa: PLR0911 - one for each kind
    assert one is not None
    assert other is not None
    if one == other or isinstance(other, EmptyForm):
        return one
    if isinstance(one, EmptyForm):
        return other
    if isinstance(one, _OPTIONS) or isinstance(other, _OPTIONS):
        content = _joined(_without_option(one), _without_option(other), inside, how)
        return content if isinstance(content, _OPTIONS) else IndexedOptionForm("i64", content)
    if isinstance(one, IndexedForm | UnmaskedForm) or isinstance(other, IndexedForm | UnmaskedForm):
        return _joined(_without_index(one), _without_index(other), inside, how)
    if is_text(one) and is_text(other):
        return one
    one, other = _regular(one), _regular(other)
    if isinstance(one, _LISTS) and isinstance(other, _LISTS) and not (is_text(one) or is_text(other)):
        content = _joined(one.content, other.content, inside, how)
        if isinstance(one, RegularForm) and isinstance(other, RegularForm) and one.size == other.size:
            return RegularForm(content, one.size)
        return ListOffsetForm("i64", content)
    if isinstance(one, RecordForm) and isinstance(other, RecordForm):
        return _joined_records(one, other, inside, how)
    if isinstance(one, NumpyForm) and isinstance(other, NumpyForm):
        return _joined_numbers(one, other, inside, how)
    raise UnreadableFormError(how.contrast(inside, one, other))


def _without_option(form: Form) -> Form:
    return form.content if isinstance(form, _OPTIONS) else form


def _without_index(form: Form) -> Form:
    return form.content if isinstance(form, IndexedForm | UnmaskedForm) else form


def _regular(form: Form) -> Form:
    return form.to_RegularForm() if isinstance(form, NumpyForm) and form.inner_shape else form


def _joined_records(one: RecordForm, other: RecordForm, inside: ColumnPath, how: _Joining) -> Form:
    parts: dict[str, Form] = {}
    for field in dict.fromkeys([*one.fields, *other.fields]):
        below = (*inside, field)
        has = [field in one.fields, field in other.fields]
        if not all(has):
            parts[field] = (one if has[0] else other).content(field)
            name = ".".join((how.column, *below))
            how.note(below, lacking=f"{how.files[has[0]]} has no {name}, {how.files[not has[0]]} has it")
            continue
        try:
            parts[field] = _joined(one.content(field), other.content(field), below, how)
        except UnreadableFormError as error:
            parts[field] = one.content(field)
            how.note(below, unreadable=str(error))
    return RecordForm(list(parts.values()), list(parts))


def _joined_numbers(one: NumpyForm, other: NumpyForm, inside: ColumnPath, how: _Joining) -> Form:
    both = (item_of(one.primitive), item_of(other.primitive))
    wide = wider(*both)
    if wide is None:
        how.note(inside, differs=how.contrast(inside, one, other))
        return one
    how.note(inside, widened=True)
    return NumpyForm(str(wide))


def wider(one: Item, other: Item) -> Item | None:
    """Give the kind of numbers that holds all values of two kinds; None where there is none, and for flags beside numbers."""
    if one == other:
        return one
    if not (isinstance(one, Int | Float) and isinstance(other, Int | Float)):
        return None
    found = common(one, other)
    return found if _holds(found, one) and _holds(found, other) else None


def _holds(wide: Item, narrow: Item) -> bool:
    if isinstance(wide, Float) and isinstance(narrow, Int):
        return narrow.bits - narrow.signed <= {16: 11, 32: 24, 64: 53}[wide.bits]
    return True


# Flat trees: every branch is a leaf of the event; branches whose lists belong together share an axis -----------------------------
#
# ``Jet_Px`` and ``Jet_Py``, both counted by ``NJet``, are leaves on the axis ``NJet``; where all branches of a counter begin with
# ``Jet_``, they are also ``Px`` and ``Py`` of a collection ``Jet`` on that same axis. Lists without a counter (``std::vector`` branches,
# vector fields of an RNTuple, list columns of Parquet) belong together by their names: `lists_by_name`.

# Titles like "Jet_pt[nJet]/F" repeat what the type says.
_LEAF_LIST = re.compile(r"^[\w.]+(\[\w*\])*(/[A-Za-z])?(:[\w.]+(\[\w*\])*/[A-Za-z])*$")


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
    """Give the member's name for each column: of a branch its own short name, or its whole path where that is not unique."""
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


# What NanoAOD's names mean: which collection an index points into, and the obvious units -----------------------------------------

# genPartIdx, genPartIdxMother, subJetIdx1, muonIdx3SJ
_INDEX = re.compile(r"^(?P<target>[A-Za-z]\w*?)Idx(Mother|\d+(SJ)?)?$")
_GEV = frozenset("pt mass energy sumet sumpt ht vpt htincoming msoftdrop rawpt pterr energyerr masserr ptcorr tunep_pt".split())
_GEV_ENDS = ("_pt", "_mass", "_energy")
_CM = frozenset("dxy dxyerr dz dzerr ip3d dxybs dxybserr dlen z0".split())
_VERTICES = frozenset(("PV", "OtherPV", "SV", "GenVtx", "BeamSpot"))


def reference_of(leaf: str, collections: Iterable[str]) -> str:
    """Give the collection that a leaf's name refers to, or an empty string; one that the file lacks as the leaf spells it."""
    found = _INDEX.match(leaf)
    if found is None:
        return ""
    target = found["target"]
    return next((c for c in collections if c.lower() == target.lower()), target[:1].upper() + target[1:])


def unit_of(prefix: str, leaf: str, member: Member) -> str:
    """Give GeV or cm where the name leaves no doubt, else an empty string."""
    if not isinstance(member.item, Float):
        return ""
    name = leaf.lower()
    if name in _GEV or name.endswith(_GEV_ENDS):
        return "GeV"
    if name in _CM or (prefix in _VERTICES and name in {"x", "y", "z"}):
        return "cm"
    return ""


# NanoAOD: collections by counter (``nJet`` and ``Jet_*``), groups of event values by prefix (``MET_pt``, ``HLT_IsoMu24``) --------
#
# Every branch can also be reached by its full name at the top; ``df.Jet_pt`` lies on the same axis as ``df.Jet.pt``.

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


def nanoaod_record(columns: Columns) -> Record:
    """Give the record of events: collections and groups first, then every branch by its full name."""
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


# xAOD (PHYSLITE): one object per container, its leaves from the static and the dynamic store -------------------------------------
#
# ``AnalysisElectronsAuxDyn.pt`` is ``AnalysisElectrons.pt``. A container of the event itself (``EventInfo``) is a group of event
# values. An ElementLink stays what it is: a record with the key of the container (``m_persKey``) and the place in it
# (``m_persIndex``).

_XAOD_MODEL = "xaod"
# AnalysisElectronsAuxDyn.pt; RNTuples have a colon there.
_LEAF = re.compile(r"^(?P<container>.+?)Aux(?P<dynamic>Dyn)?[.:](?P<leaf>.+)$")
_MEV = frozenset("pt m e et px py pz mpx mpy sumet energy mass rawe cale".split())
_MM = frozenset("d0 z0 vz x y z".split())


def xaod_record(columns: Columns) -> Record:
    """Give the record of events: one member for each container, then the values that belong to none."""
    containers: dict[str, dict[str, StoredColumn]] = {}
    loose: list[StoredColumn] = []
    for column in columns.values():
        found = _LEAF.match(column.short) or _LEAF.match(column.name.replace("/", ".").replace("..", "."))
        if found is None:
            loose.append(column)
        elif found["leaf"] and not found["leaf"].startswith("xAOD::"):
            containers.setdefault(found["container"], {}).setdefault(found["leaf"], column)
    members = {name: _container(name, leaves) for name, leaves in containers.items()}
    for column in loose:
        if column.short not in members:
            members[column.short] = _loose(column)
    return Record("event", members, _XAOD_MODEL)


def _loose(column: StoredColumn) -> Member:
    """Give a value that belongs to no container; a container's own object holds nothing, so without leaves it is empty."""
    if column.form is None and "xAOD::" in column.class_name:
        name = column.short
        return Member(Record(name, {}, _XAOD_MODEL), (name,), column.name, unreadable=f"the file stores no leaves of {name}")
    return member_of(column, column.short, _XAOD_MODEL)


def _container(name: str, columns: dict[str, StoredColumn]) -> Member:
    # A store of event values may hold lists too; a store of objects holds lists only.
    is_list = all(depth_of(c) > 0 for c in columns.values() if c.form is not None)
    outer = (name,) if is_list else ()
    lack, lacking = shared_lack(list(columns.values())) if is_list else (frozenset[int](), "")
    leaves: dict[str, Member] = {}
    links: dict[str, dict[str, Member]] = {}
    for leaf, column in columns.items():
        link, _, part = leaf.partition(".")
        made = _leaf(name, leaf, column, outer)
        if lack and column.lack <= lack:  # there wherever the container is
            made = replace(made, lacking="")
        if part:
            links.setdefault(link, {})[part] = _of_link(link, part, made)
        else:
            leaves[leaf] = made
    for link, parts in links.items():
        leaves.setdefault(link, Member(Record(link, parts, _XAOD_MODEL)))
    return Member(Record(name, leaves, _XAOD_MODEL), outer, lacking=lacking)


def _of_link(link: str, part: str, made: Member) -> Member:
    """Give a part of a link: its index counts in the container that its key names, and in no other."""
    if part == "m_persIndex" and isinstance(made.item, Int):
        return replace(made, item=replace(made.item, refers_to=f"{LINK}{link}"))
    return made


def _leaf(container: str, leaf: str, column: StoredColumn, outer: tuple[str, ...]) -> Member:
    made = member_of(column, leaf, _XAOD_MODEL, outer)
    unit = _unit_of(container, leaf) if isinstance(made.item, Float) else ""
    doc = "" if made.doc == column.short else made.doc
    return with_plain_doc(replace(made, axes=made.axes[len(outer) :], unit=unit, doc=doc))


def _unit_of(container: str, leaf: str) -> str:
    """Give MeV or mm where the name leaves no doubt, else an empty string."""
    name = leaf.lower()
    if name in _MEV:
        return "MeV"
    is_position = name in {"d0", "z0", "vz"} or "Vert" in container or "Vtx" in container
    return "mm" if name in _MM and is_position else ""
