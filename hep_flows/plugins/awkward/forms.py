"""From the form of a stored column to a member of a record."""

from __future__ import annotations

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

from hep_flows.expr.promotion import common
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.plugins.awkward.stored import Note

if TYPE_CHECKING:
    from awkward.forms import Form

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.stored import ColumnPath, StoredColumn

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
