"""The functions that make nodes: each checks its arguments and gives the new node its type.

A node that exists is well formed; there is no later pass that finds out. Every function takes ``where``, the user's line, which
stands in its errors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import AxisError, FieldError, LiteralError, MixedFilesError, Where, did_you_mean, visible
from hep_flows.expr.axes import aligned, element, merged_loops, misaligned, outside, part, view, within
from hep_flows.expr.functions import FUNCTIONS, Function, UserFunction, unit_of_result
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import (
    Anything,
    Axis,
    Bool,
    Constant,
    Float,
    Histogram,
    Int,
    Loop,
    Member,
    Record,
    String,
    Type,
    common,
    item_of,
    replaced_members,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Collections
    from hep_flows.expr.types import Item

# Constants: their types, and whether they fit what they are combined with --------------------------------------------------------

_WEAK: dict[type, Type] = {
    bool: Type(Bool()),
    int: Type(Int(64)),
    float: Type(Float(64)),
    str: Type(String()),
    tuple: Type(Anything()),
}


def literal(value: Constant, dtype: str = "", where: Where = None) -> Literal:
    """Give a constant; ``dtype`` is numpy's name of its type when it came from numpy."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise LiteralError(f"the constant {value} does not fit into 64 bits", where=where, do="write it as a float")
    kind = item_of(dtype) if dtype else None
    weak = _WEAK.get(type(value))
    if weak is None or (dtype and kind is None):
        raise LiteralError(f"a constant cannot be a {dtype or type(value).__name__}", where=where)
    return Literal(value, dtype, type=weak if kind is None else Type(kind), where=where)


def parameter(name: str, value: float, where: Where = None) -> Call:
    """Give a number of a dataset's metadata, by its name; `hep_flows.record.parameters` puts the value of each dataset there."""
    number = literal(value, where=where)
    return Call("parameter", (number,), (("name", name),), type=number.type, where=where)


def _adapts(node: Expr) -> bool:
    """Say whether a node is a plain Python constant, which takes the width of what it is combined with."""
    return (isinstance(node, Literal) and not node.dtype) or (isinstance(node, Call) and node.function == "parameter")


def fitted(value: Constant, item: Item, what: str, where: Where) -> Constant:
    """Give a default as a leaf of that kind holds it: 0 is 0.0 for a float leaf, None is missing.

    Raises
    ------
    LiteralError
        When the kind cannot hold it exactly.
    """
    if value is None:
        return None
    match item:
        case Bool() if isinstance(value, bool):
            return value
        case String() if isinstance(value, str):
            return value
        case Int() if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
            if value == value and abs(value) != float("inf") and value == int(value) and low <= value < high:  # noqa: PLR0124
                return int(value)
        case Float() if isinstance(value, float):
            # A plain number takes the width of what it is combined with, as in arithmetic.
            if item.bits == 64 or value != value or abs(value) == float("inf") or abs(value) < _LARGEST[item.bits]:  # noqa: PLR0124
                return value
        case Float() if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 1 << _DIGITS[item.bits]:
            return float(value)
    raise LiteralError(
        f"the default {value!r} is no {item}",
        where=where,
        why=f"{what} is {item}",
        do=f"give a default that {item} can hold, or None",
    )


# The name of the objects of a block: they are rows of numbers, and no vectors.
BLOCK = "block"

_DIGITS = {16: 11, 32: 24, 64: 53}
_LARGEST = {16: 65504.0, 32: 3.4e38}


def check_fit(args: tuple[Expr, ...], item: Int, title: str, where: Where) -> None:
    """Refuse a constant that the integers it is combined with cannot hold; numpy would, but only when it runs."""
    low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
    for a in args:
        if isinstance(a, Literal) and not a.dtype and isinstance(a.value, int) and not low <= a.value < high:
            raise LiteralError(
                f"the constant {a.value} does not fit into {item} in {title}",
                where=where,
                why="a plain number takes the width of what it is combined with",
                do=f"write np.int64({a.value}), or a float",
            )


LINK = "what is at the end of "  # What the index of an element link refers to: it depends on the link's key.


def dataset(  # noqa: PLR0913 - what a table is made of
    kind: str,
    content: tuple[str, ...],
    tree: str,
    record: Record,
    *,
    files: tuple[str, ...] = (),
    name: str = "events",
    collections: Collections = (),
) -> Dataset:
    """Give a table of events with its schema."""
    key = digest("axis of events", kind.rpartition(":")[2], content, tree, *((collections,) if collections else ()))
    events = Axis(key, "event", key)
    return Dataset(kind, content, tree, files, visible(name), collections, type=Type(record, (events,)))


def field(of: Expr, name: str, where: Where = None, default: Default | None = None) -> Field:
    """Give a stored leaf or collection of an event or object that is itself stored.

    Parameters
    ----------
    default : Default, optional
        What stands in its place where a file lacks it, as the leaf's kind holds it: see `fitted`.

    Raises
    ------
    FieldError
        When the schema does not have it, or it cannot be read.
    MixedFilesError
        When only some files have it, or they hold it as kinds that do not fit together, and nothing is said about that.
    """
    record = of.type.item
    if not isinstance(record, Record):
        raise FieldError(f"{record} has no leaf {name!r}", where=where)
    found = record.members.get(name)
    if found is None and default is None:
        raise FieldError(f"{record} has no leaf {name!r}", where=where, do=did_you_mean(name, record.members))
    if found is not None and found.unreadable:
        raise FieldError(f"{record.name}.{name} cannot be read", where=where, why=found.unreadable)
    if default is not None:
        return _field_or_default(of, name, found, default, where)
    assert found is not None
    # Of a collection that was asked for with get, the files that lack it have no elements that could lack a leaf.
    if (
        found.lacking and not (isinstance(of, Field) and of.default is not None and found.lacking == _member(of).lacking)
    ) or found.differs:
        raise _mixed(record, name, found, where)
    axes = _axes_of_member(of, found)
    optional = of.type.optional or found.optional
    return Field(of, name, type=Type(found.item, axes, of.type.loops, optional, found.unit), where=where)


def _member(of: Field) -> Member:
    record = of.of.type.item
    assert isinstance(record, Record)
    return record.members[of.name]


def _axes_of_member(of: Expr, found: Member) -> tuple[Axis, ...]:
    axes = of.type.axes
    for a in found.axes:
        axes = (*axes, within(axes, f"{_path(of)}{a}"))
    return axes


def _field_or_default(of: Expr, name: str, found: Member | None, default: Default, where: Where) -> Field:
    value = default.value
    record = of.type.item
    assert isinstance(record, Record)
    if found is None:
        item = item_of(default.as_) if default.as_ else None if value is None else literal(value).type.item
        if item is None:
            raise FieldError(
                f"no file has {record.name}.{name}, and nothing says what it is", where=where, do=did_you_mean(name, record.members)
            )
        optional = of.type.optional or value is None
        return Field(of, name, default, type=Type(item, of.type.axes, of.type.loops, optional), where=where)
    if found.differs and not default.as_:
        raise _mixed(record, name, found, where)
    item = item_of(default.as_) if default.as_ else found.item
    assert item is not None
    axes = _axes_of_member(of, found)
    has_own_lists = isinstance(item, Record) or bool(found.axes)
    optional = of.type.optional or found.optional or (bool(found.lacking) and value is None and not has_own_lists)
    return Field(of, name, default, type=Type(item, axes, of.type.loops, optional, found.unit), where=where)


def _mixed(record: Record, name: str, found: Member, where: Where) -> MixedFilesError:
    whose = "" if record.name == "event" else f"{record.name}."
    if found.differs:
        return MixedFilesError(
            f"the files of the dataset hold {whose}{name} as kinds that do not fit together",
            where=where,
            why=found.differs,
            do=f'say which kind it is to be: X.get("{name}", 0, as_="float64")',
        )
    is_list = isinstance(found.item, Record)
    return MixedFilesError(
        f"only some files of the dataset have {whose}{name}",
        where=where,
        why=found.lacking,
        do=f'X.get("{name}") has empty lists for the others'
        if is_list
        else f'X.get("{name}", {_blank(found.item)}), with what stands for it in the others; or make them a dataset of their own',
    )


def _blank(item: object) -> str:
    return "False" if isinstance(item, Bool) else "0" if isinstance(item, Int) else '""' if isinstance(item, String) else "0.0"


def _path(of: Expr) -> str:
    names: list[str] = []
    while isinstance(of, Field):
        names.append(of.name)
        of = of.of
    return "".join(f"{n}." for n in reversed(names))


def _check_axis(t: Type, at: int, what: str, where: Where) -> None:
    if not 0 <= at < len(t.axes):
        raise AxisError(f"{what} needs a collection, and there is none in {t}", where=where)


def filtered(of: Expr, mask: Expr, at: int, where: Where = None) -> Filter:
    """Give the entries of axis number ``at`` where the mask is true; a missing entry of the mask is false.

    Raises
    ------
    LiteralError
        When the mask is not true or false.
    AxisError
        When the mask is deeper than the axis, or belongs to other elements.
    """
    t, m = of.type, mask.type
    _check_axis(t, at, "a filter", where)
    if not isinstance(m.item, Bool):
        do = "compare it, for example != 0" if isinstance(m.item, Int | Float) else ""
        raise LiteralError(f"a mask must be true or false, and this one is {m.item}", where=where, do=do)
    if m.axes[: len(t.axes)] != t.axes[: len(m.axes)]:
        raise misaligned(m.axes, t.axes, "a mask", where)
    if len(m.axes) > at + 1:
        raise AxisError(
            f"the mask is deeper than what it filters: {m} against {t}",
            where=where,
            why=f"it has one value per {m.axes[-1].name}, and {t.axes[at].name} needs one value each",
            do="reduce it with .Any(), .All() or .Count()",
        )
    if at == 0 and (m.loops or t.loops):
        raise AxisError(
            "inside a lambda, one element or its mask cannot drop events",
            where=where,
            why="each element of the event would drop different events",
            do="filter a collection with it, or filter the events outside the lambda",
        )
    axes = (*t.axes[:at], view(t.axes[at], "view", mask.key), *t.axes[at + 1 :])
    loops = merged_loops([t.loops, m.loops])
    return Filter(of, mask, at, type=Type(t.item, axes, loops, t.optional, t.unit), where=where)


def call(
    name: str | UserFunction,
    args: Sequence[Expr],
    options: tuple[tuple[str, Constant], ...] = (),
    where: Where = None,
) -> Call:
    """Give a function of its arguments.

    Raises
    ------
    LiteralError
        When the arguments are of the wrong kind or number.
    AxisError
        When they do not align, or there is nothing left to reduce.
    """
    args = tuple(args)
    if isinstance(name, UserFunction):
        return _user_call(name, args, where)
    row = FUNCTIONS[name]
    if not row.arity[0] <= len(args) <= row.arity[1]:
        raise LiteralError(f"{name} takes {row.arity[0]} arguments, not {len(args)}", where=where)
    if row.kind == "reduce":
        return _reduce(row, args[0], options, where)
    if row.kind == "elementwise":
        return _elementwise(row, args, options, where)
    if row.kind == "list":
        return _of_list(row, args[0], options, where)
    raise ValueError(f"{name} has a function of its own in this module")


def _elementwise(row: Function, args: tuple[Expr, ...], options: tuple[tuple[str, Constant], ...], where: Where) -> Call:
    types = [a.type for a in args]
    title = row.named
    axes, loops = aligned(types, title, where)
    weak = [_adapts(a) for a in args]
    given = dict(options)
    _check_options(row, given, where)
    assert row.item is not None
    try:
        item = row.item([t.item for t in types], weak)
    except TypeError as error:
        raise LiteralError(f"{title} cannot be applied here: {error}", where=where) from None
    if row.item_option:
        item = item_of(str(given[row.item_option])) or item
    if isinstance(item, Int) and not row.options:
        check_fit(args, item, title, where)
    optional = types[-1].optional if row.missing == "filled" else row.missing == "passes" and any([t.optional for t in types])
    return Call(row.name, args, options, type=Type(item, axes, loops, optional, unit_of_result(row, types)), where=where)


def _user_call(function: UserFunction, args: tuple[Expr, ...], where: Where) -> Call:
    types = [a.type for a in args]
    if len(types) != len(function.parameters):
        raise LiteralError(f"{function.name} takes {len(function.parameters)} arguments, not {len(types)}", where=where)
    for i, (name, t) in enumerate(zip(function.parameters, types, strict=True)):
        if isinstance(t.item, Record | Histogram):
            raise LiteralError(
                f"{function.name} takes a number for {name}, not a {t.item}", where=where, do="pass its leaves: x.pt, x.eta, ..."
            )
        if name in function.lists:
            types[i] = _without_lists(function.name, name, t, where)
    axes, loops = aligned(types, function.name, where) if types else ((), ())
    if loops and not function.pure:
        raise AxisError(
            f"{function.name} is declared pure=False, and cannot be called inside a lambda",
            where=where,
            why="its column is computed once, for all elements",
            do=f"call {function.name} with the whole collection, keep it as a column, and use that in the lambda",
        )
    optional = any(t.optional for t in types)
    return Call(function, args, type=Type(function.returns, axes, loops, optional), where=where)


def _without_lists(function: str, name: str, t: Type, where: Where) -> Type:
    """Give the type of one entry for each list of the innermost axis."""
    if len(t.axes) < 2:
        raise AxisError(
            f"{function} takes a list for {name}, and this is {t}",
            where=where,
            why="a list is the innermost axis of a collection",
            do=f"give it a leaf of a collection, or declare {name} as float",
        )
    if t.optional:
        raise LiteralError(
            f"{function} takes a list for {name}, and some items of this one are missing",
            where=where,
            do="say what stands in their place: ak.fill_none(x, 0.0)",
        )
    return replace(t, axes=t.axes[:-1])


def _reduce(row: Function, of: Expr, options: tuple[tuple[str, Constant], ...], where: Where) -> Call:
    """Give an aggregate over the innermost axis, or with the option ``axis=None`` over all axes at once."""
    t = of.type
    title = row.method
    given = dict(options)
    at_once = row.everything == "at once" and given.pop("axis", "innermost") is None and len(t.axes) > 1
    _check_options(row, given, where)
    axes = () if at_once else t.axes[:-1]
    if not t.axes or (not axes and t.loops):
        raise AxisError(
            f"{title} requires a sequence, and this is one {'element' if t.loops else 'value'}: {t}",
            where=where,
            why="an aggregate removes the innermost axis, and no axis is left here",
            do=f"apply {title} to the collection, outside the lambda" if t.loops else "use the value as it is",
        )
    if isinstance(t.item, Record) and not row.lists_only:
        raise LiteralError(f"{title} of {t.item.name} objects has no meaning", where=where, do=f"take it of a leaf: X.pt.{title}()")
    while isinstance(of, Call) and of.function == "replace" and row.name == "count":
        of = of.args[0]  # The same elements: there are as many.
    assert row.item is not None
    try:
        item = row.item([t.item], [False])
    except TypeError as error:
        raise LiteralError(f"{title} cannot be applied here: {error}", where=where) from None
    if not axes and row.merge is None:
        raise AxisError(
            f"{title} over all events cannot be recorded",
            where=where,
            why="every range of events gives a part, and the whole cannot be made of such parts",
            do="call make_local first, and take it of the array",
        )
    if not axes and isinstance(item, Float) and row.name in {"sum", "prod", "mean"}:
        item = Float(64)  # Totals over all events are added up in double precision.
    options = (*sorted(given.items()), *((("axis", None),) if at_once else ()))
    return Call(
        row.name, (of,), options, type=Type(item, axes, t.loops, row.missing == "made", unit_of_result(row, [t])), where=where
    )


def _of_list(row: Function, of: Expr, options: tuple[tuple[str, Constant], ...], where: Where) -> Call:
    """Give a function with a list for each innermost list."""
    t = of.type
    _check_options(row, dict(options), where)
    if len(t.axes) < 2:
        raise AxisError(
            f"{row.named} requires a list in each event, and this is {t}",
            where=where,
            why="the order of all events is not known in a range of them",
            do="call make_local first, and take it of the array",
        )
    if isinstance(t.item, Record) and not row.lists_only:
        raise LiteralError(
            f"{row.method} of {t.item.name} objects has no meaning", where=where, do=f"take it of a leaf: X.pt.{row.method}()"
        )
    assert row.item is not None
    try:
        item = row.item([t.item], [False])
    except TypeError as error:
        raise LiteralError(f"{row.method} cannot be applied here: {error}", where=where) from None
    options = tuple(sorted(options))
    axis = _axis_of_list(row, of, options) if row.new_axis else t.axes[-1]
    optional = row.missing in {"passes", "unordered"} and (t.optional or (row.missing == "unordered" and isinstance(t.item, Float)))
    new = Type(item, (*t.axes[:-1], axis), t.loops, optional, unit_of_result(row, [t]))
    return Call(row.name, (of,), options, type=new, where=where)


def _axis_of_list(row: Function, of: Expr, options: tuple[tuple[str, Constant], ...]) -> Axis:
    axis = of.type.axes[-1]
    if not row.lists_only:
        return view(axis, row.name, of.key, *[v for _, v in options])
    members = [o.name for o in row.options if o.tells_members]
    made = view(axis, row.name, *[v for n, v in options if n not in members])
    # A group of elements is no selection of them.
    return Axis(made.key, f"{axis.name} {row.named.lower()}", made.key) if members else made


def _check_options(row: Function, given: Mapping[str, Constant], where: Where) -> None:
    """Refuse options that the function does not have, and values that they cannot have.

    Raises
    ------
    TypeError
        For other names.
    LiteralError
        For a value that the function refuses.
    """
    if not {o.name for o in row.options if o.required} <= set(given) <= {o.name for o in row.options}:
        raise TypeError(f"{row.name} takes {', '.join([o.name for o in row.options]) or 'no options'}, not {', '.join(given)}")
    for option in row.options:
        why = option.refusal(given[option.name]) if option.refusal and option.name in given else ""
        if why:
            raise LiteralError(f"{row.named} cannot be applied here: {why}", where=where)


def pick(of: Expr, index: int, at: int, where: Where = None) -> Call:
    """Give entry number ``index`` of axis ``at`` (from the end when negative), missing where there is none."""
    t = of.type
    _check_axis(t, at, "an index", where)
    if at == 0 and (len(t.axes) > 1 or t.loops):
        raise AxisError(
            f"one event cannot be picked from {t}", where=where, do="make it local and index the array, or filter the events"
        )
    kept = (*t.axes[:at], *[part(a, "pick", t.axes[at].key, index) for a in t.axes[at + 1 :]])
    return Call("pick", (of,), (("index", index), ("at", at)), type=Type(t.item, kept, t.loops, True, t.unit), where=where)


def sliced(of: Expr, bounds: tuple[int | None, int | None, int | None], at: int, where: Where = None) -> Call:
    """Give a Python slice of axis ``at``; the result is a view."""
    t = of.type
    _check_axis(t, at, "a slice", where)
    if bounds[2] == 0:
        raise LiteralError("a slice step cannot be zero", where=where)
    if at == 0 and t.loops:
        raise AxisError("an element of a lambda has no events to slice", where=where)
    axes = (*t.axes[:at], view(t.axes[at], "slice", bounds), *t.axes[at + 1 :])
    options = (("start", bounds[0]), ("stop", bounds[1]), ("step", bounds[2]), ("at", at))
    return Call("slice", (of,), options, type=Type(t.item, axes, t.loops, t.optional, t.unit), where=where)


def gathered(of: Expr, index: Expr, at: int, where: Where = None, *, inside: bool = False) -> Call:
    """Give, for every integer of ``index``, that entry of axis ``at`` of ``of``; missing where there is none.

    ``inside`` says that the index was made of the lists of that axis (their order, their combinations), so that there is one for each.

    ``index`` has the axes of ``of`` up to ``at`` (or fewer: it is then repeated), and any axes of its own below; the result has the
    index's axes in the place of axis ``at``. Below 0 there is none: only a constant index counts from the end.
    """
    t, i = of.type, index.type
    _check_axis(t, at, "an index", where)
    if not isinstance(i.item, Int):
        raise LiteralError(f"an index must be an integer, and this one is {i.item}", where=where)
    if i.axes[:at] != t.axes[: min(at, len(i.axes))]:
        raise misaligned(i.axes, t.axes, "an index", where)
    axis = t.axes[at]
    if i.item.refers_to and (axis.name != i.item.refers_to or axis.key != axis.root):
        link = i.item.refers_to.removeprefix(LINK)
        is_link = link != i.item.refers_to
        raise AxisError(
            f"the index refers to {i.item.refers_to}, and this is {axis}",
            where=where,
            why=f"a {'link' if is_link else 'stored'} index counts {'in the container that its key names' if is_link else 'the elements of the whole collection'}",
            do=f"follow the link: x.{link}.pt"
            if is_link
            else f"index the table's {i.item.refers_to} with it, then filter the result",
        )
    chosen = i.axes if len(i.axes) >= at else t.axes[:at]
    axes = (*chosen, *[part(a, "gather", t.axes[at].key, index.key) for a in t.axes[at + 1 :]])
    loops = merged_loops([t.loops, i.loops])
    options: tuple[tuple[str, Constant], ...] = (("at", at), ("inside", True)) if inside else (("at", at),)
    return Call("gather", (of, index), options, type=Type(t.item, axes, loops, t.optional or not inside, t.unit), where=where)


def referring(index: Expr, where: Where = None) -> Call:
    """Give, for each element of a collection whose elements refer to each other, the positions of those that refer to it, in order."""
    t = index.type
    if not isinstance(t.item, Int) or len(t.axes) < 2:
        raise AxisError(f"elements refer to each other by a stored index, and this is {t}", where=where)
    key = digest("referring", index.key)
    axes = (*t.axes, Axis(key, "children", key))
    return Call("referring", (index,), type=Type(Int(64, refers_to=t.item.refers_to), axes, t.loops), where=where)


def record(
    names: Sequence[str], parts: Sequence[Expr], where: Where = None, n_axes: int | None = None, block: Constant = None
) -> Call:
    """Give one record per element of the deepest part, or of the first ``n_axes`` axes: deeper parts are then lists in the record.

    A ``block`` is delivered as one rectangular array; the number is the length of its lists, 0 where there are none.
    """
    types = [p.type for p in parts]
    if len(set(names)) < len(parts):
        raise LiteralError(f"two members of a record have one name: {', '.join(names)}", where=where)
    if n_axes is not None and max([len(t.axes) for t in types]) > n_axes:
        options: tuple[tuple[str, Constant], ...] = (("names", tuple(names)), ("axes", n_axes))
        types = [replace(t, axes=t.axes[:n_axes]) for t in types]
    else:
        options = (("names", tuple(names)),) if block is None else (("block", block), ("names", tuple(names)))
    axes, loops = aligned(types, "a record", where)
    members = {
        n: Member(p.type.item, tuple([a.name for a in p.type.axes[len(axes) :]]), unit=p.type.unit, optional=p.type.optional)
        for n, p in zip(names, parts, strict=True)
    }
    item = Record("tuple" if block is None else BLOCK, members, model="tuple")
    return Call("record", tuple(parts), options, type=Type(item, axes, loops), where=where)


def replaced(of: Expr, names: Sequence[str], values: Sequence[Expr], hidden: Sequence[str] = (), where: Where = None) -> Call:
    """Give the same objects with some members replaced or added, and without those that are hidden.

    They are on the axes of ``of``: masks of one fit the other.

    Raises
    ------
    AxisError
        When a value belongs to other elements.
    """
    t = of.type
    record = t.item
    if not isinstance(record, Record):
        raise FieldError(f"a leaf has no leaves to replace: this is {t}", where=where, do="X.With(pt=...) is of the collection")
    if len(names) != len(values) or len(set(names)) < len(names):
        raise LiteralError(f"the members that are replaced need a value each: {', '.join(names)}", where=where)
    for name, v in zip(names, values, strict=True):
        # One number for everything is one for each event.
        if v.type.axes[: len(t.axes)] != t.axes and (v.type.axes or len(t.axes) > 1):
            raise misaligned(v.type.axes or (Axis(b"", "one value", b""),), t.axes, f"With({name}=...)", where)
    new = {
        n: Member(v.type.item, tuple([a.name for a in v.type.axes[len(t.axes) :]]), unit=v.type.unit, optional=v.type.optional)
        for n, v in zip(names, values, strict=True)
    }
    item = Record(record.name, replaced_members(record.members, new, hidden), record.model, record.doc)
    loops = merged_loops([t.loops, *[v.type.loops for v in values]])
    options: tuple[tuple[str, Constant], ...] = (("names", tuple(names)), ("hidden", tuple(hidden)))
    return Call("replace", (of, *values), options, type=Type(item, t.axes, loops, t.optional, t.unit), where=where)


def varied(nominal: Expr, others: Sequence[Expr], source: tuple[str, int], words: Sequence[str], where: Where = None) -> Call:
    """Give a value that has a variation: the nominal one, and one for each word of its source.

    The source has its name, and a number that orders it among others. The value is on the axes of the nominal one, and stands for several expressions: `hep_flows.record.variations` takes them apart before
    anything is planned.

    Raises
    ------
    AxisError
        When a variation belongs to other elements.
    LiteralError
        When the values have no kind in common.
    """
    t = nominal.type
    if len(others) != len(words) or len(set(words)) < len(words):
        raise LiteralError(f"the variations of {source[0]} need a value each: {', '.join(words)}", where=where)
    for word, o in zip(words, others, strict=True):
        if o.type.axes != t.axes:
            raise misaligned(o.type.axes or (Axis(b"", "one value", b""),), t.axes, f"{source[0]}: {word}", where)
    types = [t, *[o.type for o in others]]
    item = _common_item([x.item for x in types])
    if item is None:
        kinds = " and ".join(dict.fromkeys([str(x.item) for x in types]))
        raise LiteralError(f"variations of {source[0]}: {kinds} have no kind in common", where=where)
    loops = merged_loops([x.loops for x in types])
    options: tuple[tuple[str, Constant], ...] = (("source", source), ("words", tuple(words)))
    new = Type(item, t.axes, loops, any([x.optional for x in types]), t.unit)
    return Call("vary", (nominal, *others), options, type=new, where=where)


def flattened(of: Expr, where: Where = None) -> Call:
    """Give the innermost two collection axes as one."""
    t = of.type
    if len(t.axes) < 3:
        raise AxisError(f"there are no two collection axes to join in {t}", where=where)
    joined = digest("flat", t.axes[-2].key, t.axes[-1].key)
    axes = (*t.axes[:-2], Axis(joined, f"({t.axes[-2].name}, {t.axes[-1].name})", joined))
    return Call("flatten", (of,), type=Type(t.item, axes, t.loops, t.optional, t.unit), where=where)


def concatenated(parts: Sequence[Expr], at: int, where: Where = None) -> Call:
    """Give the entries of axis ``at`` of each part, one part after the other: one list where there was one in each part.

    Objects have the members that all parts have, and ``part``, the number of the part that they come from.

    Raises
    ------
    AxisError
        When the parts lie in different lists.
    LiteralError
        When their kinds have nothing in common.
    """
    types = [p.type for p in parts]
    first = types[0]
    for t in types:
        _check_axis(t, max(at, 1), "Concatenate", where)
        if t.axes[:at] != first.axes[:at]:
            raise misaligned(t.axes[:at], first.axes[:at], "Concatenate", where)
        if len(t.axes) != len(first.axes):
            raise AxisError(
                f"Concatenate: {t} is not nested as {first}", where=where, do="reduce one of them, or give both the same depth"
            )
    axes: list[Axis] = list(first.axes[:at])
    for i in range(at, len(first.axes)):
        key = digest("concatenate", *[t.axes[i].key for t in types])
        axes.append(Axis(key, " + ".join([t.axes[i].name for t in types]), key))
    units = {t.unit for t in types}
    loops = merged_loops([t.loops for t in types])
    item = _item_of_parts([t.item for t in types], where)
    new = Type(item, tuple(axes), loops, any([t.optional for t in types]), units.pop() if len(units) == 1 else "")
    return Call("concatenate", tuple(parts), (("at", at),), type=new, where=where)


def part_numbers(joined: Call) -> Call:
    """Give, for each element of a concatenation, the number of the part that it comes from."""
    at = joined.option("at")
    assert isinstance(at, int)
    numbers = []
    for i, part_ in enumerate(joined.args):
        lists: Expr = part_
        while len(lists.type.axes) > at + 1:
            lists = call("count", (lists,))
        numbers.append(call("add", (call("multiply", (call("index", (lists,)), literal(0))), literal(i))))
    return concatenated(numbers, at, joined.where)


def _item_of_parts(items: Sequence[Item], where: Where) -> Item:
    if all(isinstance(i, Record) for i in items):
        return _record_of_parts([i for i in items if isinstance(i, Record)])
    found = _common_item(items)
    if found is None:
        kinds = " and ".join(dict.fromkeys([str(i) for i in items]))
        raise LiteralError(
            f"Concatenate: {kinds} have no kind in common",
            where=where,
            why="what is joined becomes one kind; flags and numbers do not mix by themselves",
            do='say which kind it is to be: x.astype("int64")',
        )
    return found


def _common_item(items: Sequence[Item]) -> Item | None:
    first = items[0]
    for item in items[1:]:
        if isinstance(first, String | Bool):
            if type(item) is not type(first):
                return None
        elif not isinstance(first, Int | Float) or not isinstance(item, Int | Float):
            return None
        else:
            first = common(first, item)
    return None if isinstance(first, Record | Histogram | Anything) else first


def _record_of_parts(records: Sequence[Record]) -> Record:
    members: dict[str, Member] = {}
    for name in records[0].members:
        if all([name in r.members for r in records]):
            found = [r.members[name] for r in records]
            item = _common_item([m.item for m in found])
            if item is not None and all([m.is_plain and len(m.axes) == len(found[0].axes) for m in found]):
                units = {m.unit for m in found}
                unit = units.pop() if len(units) == 1 else ""
                members[name] = Member(item, found[0].axes, unit=unit, optional=any([m.optional for m in found]))
    return Record(" + ".join([r.name for r in records]), {**members, "part": Member(Int(64))}, model="tuple")


def histogram(name: str, args: Sequence[Expr], options: tuple[tuple[str, Constant], ...], spec: str, where: Where = None) -> Call:
    """Give an empty histogram (``histogram``), one with a fill more (``fill``), or numpy's pair (``np_histogram``)."""
    return Call(name, tuple(args), options, type=Type(Histogram(spec)), where=where)


def bound(of: Expr, level: int, where: Where = None) -> Bound:
    """Give the current element of the outermost collection axis of ``of`` in a loop."""
    t = of.type
    _check_axis(t, 1, "a loop", where)
    loop = Loop(t.axes[1], level)
    loops = merged_loops([t.loops, (loop,)])
    axes = (t.axes[0], *[element(a, t.axes[1], level) for a in t.axes[2:]])
    return Bound(of, level, type=Type(t.item, axes, loops, t.optional, t.unit), where=where)


def mapped(over: Expr, body: Expr, level: int, where: Where = None) -> Map:
    """Close the loop of that level: one ``body`` for each element of the outermost collection axis of ``over``."""
    o, b = over.type, body.type
    _check_axis(o, 1, "map", where)
    if b.axes and b.axes[0] != o.axes[0]:
        raise misaligned(b.axes, o.axes, "map", where)
    loop = Loop(o.axes[1], level)
    loops = merged_loops([o.loops, tuple([x for x in b.loops if x != loop])])
    axes = (o.axes[0], o.axes[1], *[outside(a, o.axes[1], level) for a in b.axes[1:]])
    return Map(over, body, level, type=Type(b.item, axes, loops, b.optional, b.unit), where=where)


def task_input(task: bytes, of: Type) -> Input:
    """Give the place where another task's result enters."""
    return Input(task, type=of)
