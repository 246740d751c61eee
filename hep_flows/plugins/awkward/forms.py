"""From the form of a stored column to a member of a record."""

from __future__ import annotations

from dataclasses import replace
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

from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.plugins.awkward.stored import inside

if TYPE_CHECKING:
    from awkward.forms import Form

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.stored import StoredColumn

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
        made = _member(column.form, column.name, name, model, (*outer,), inner or name)
    except UnreadableFormError as error:
        return Member(String(), column=column.name, doc=column.title, unreadable=f"{column.name} holds {error}")
    return replace(made, doc=column.title, unreadable=column.problem)


def _member(form: Form, column: str, name: str, model: str, names: tuple[str, ...], inner: str) -> Member:
    """Descend through lists and options to what the column holds."""
    axes: list[str] = []
    optional = False
    while True:
        if is_text(form):
            return Member(String(), tuple(axes), column, optional=optional)
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
            return Member(item_of(form.primitive), tuple(axes), column, optional=optional)
        elif isinstance(form, RecordForm):
            record = _record(form, column, name, model, optional=optional)
            return Member(record, tuple(axes), column)
        else:
            raise UnreadableFormError(_kind(form))


def _axis_name(depth: int, names: tuple[str, ...], inner: str) -> str:
    if depth < len(names):
        return names[depth]
    below = depth - len(names)
    return inner if below == 0 else f"{inner}_{below + 1}"


def _record(form: RecordForm, column: str, name: str, model: str, *, optional: bool) -> Record:
    members: dict[str, Member] = {}
    for field in form.fields:
        short = field.removeprefix(f"{name}.")
        try:
            made = _member(form.content(field), inside(column, field), short, model, (), short)
        except UnreadableFormError as error:
            made = Member(String(), column=inside(column, field), unreadable=f"{column}, {field} holds {error}")
        members[short] = with_missing(made) if optional else made
    return Record(name, members, model)


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
