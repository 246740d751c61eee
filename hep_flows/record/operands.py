"""Turn what the user wrote beside an expression into an expression: other frames, constants, numpy scalars."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, FieldError, LiteralError, line_of, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, mixed_units
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.record.parameters import is_parameter, plain_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Site, Where
    from hep_flows.expr.nodes import Call, Dataset, Expr
    from hep_flows.expr.types import Constant, Item
    from hep_flows.record.table import Table


def aggregated(name: str, of: Expr, axis: int | None, where: Site | None, options: Options = ()) -> Expr:
    """Give an aggregate over one axis, the innermost unless another is named.

    Raises
    ------
    AxisError
        When the axis does not exist, or lies outside of an inner one that the aggregate would have to keep.
    """
    depth = len(of.type.axes)
    if axis is None or not depth:
        return build.call(name, (of,), options, where)
    at = _axis_number(axis, depth, of, where)
    if at == depth - 1:
        return build.call(name, (of,), options, where)
    if name == "count":
        for _ in range(depth - 1 - at):
            of = build.call("count", (of,), where=where)
        return build.call("count", (of,), where=where)
    raise AxisError(
        f"{FUNCTIONS[name].method} over axis {axis} would keep the axis inside it: {of.type}",
        where=where,
        why="lists of different lengths have no common inner axis",
        do="reduce the innermost axis first, without an axis argument",
    )


def _axis_number(axis: Any, depth: int, of: Expr, where: Site | None) -> int:
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise LiteralError(
            f"an axis is an integer, not {with_article(axis)}",
            where=where,
            do="leave it out: the innermost list is meant; the element with the largest pt is X[X.pt == X.pt.Max()].First()",
        )
    at = axis + depth if axis < 0 else axis
    if not 0 <= at < depth:
        raise AxisError(
            f"there is no axis {axis} in {of.type}", where=where, do=f"axis 0 is the events, axis -1 the innermost of {depth}"
        )
    return at


Options = tuple[tuple[str, "Constant"], ...]


def elementwise(name: str, args: tuple[Expr, ...], where: Site | None, options: Any = ()) -> Call:
    """Give a function of aligned operands, with a warning where units are mixed."""
    new = build.call(name, args, options, where)
    if len(args) > 1:
        mixed = mixed_units(name, [a.type for a in args])
        if mixed:
            line = line_of(where)
            place = f"\n{line.text()}" if line else ""
            warnings.warn(
                f"{mixed[0]} and {mixed[1]} meet in one expression; nothing is converted{place}", MixedUnits, stacklevel=3
            )
    if name in _MAY_WRAP:
        _warn_of_wrapping(name, new, where)
    return new


class MixedUnits(UserWarning):
    """One expression adds or compares values of different units."""


class UnsignedArithmetic(UserWarning):
    """The result of arithmetic on unsigned integers may leave their range."""


_MAY_WRAP = frozenset("add subtract multiply power negative square".split())


def _warn_of_wrapping(name: str, new: Call, where: Site | None) -> None:
    """Say that unsigned integers have no negative numbers, and that with signed ones of 64 bits only floats are left."""
    wide = [i for a in new.args if isinstance(i := a.type.item, Int) and not i.signed and i.bits > 16]
    item = new.type.item
    if not wide or (isinstance(item, Int) and item.signed) or (isinstance(item, Float) and not _is_of_integers(new)):
        return
    is_huge = any(i.bits == 64 for i in wide)
    loses = (
        "a difference below zero, or a result that is too large, wraps around"
        if isinstance(item, Int)
        else "it is exact up to 2**53 only"
    )
    fix = "x * 1.0 first, which is exact up to 2**53" if is_huge else "x * np.int64(1) first"
    line = line_of(where)
    place = f"\n{line.text()}" if line else ""
    warnings.warn(f"{name} of {wide[0]} gives {item}: {loses}; write {fix}{place}", UnsignedArithmetic, stacklevel=4)


def _is_of_integers(call: Call) -> bool:
    return all(isinstance(a.type.item, Int | Bool) for a in call.args)


def expr_of(value: Any, table: Table | None, where: Where) -> Expr:
    """Give the expression of an operand.

    Parameters
    ----------
    value : DataFrame, bool, int, float, str, or a numpy scalar
        The operand.
    table : Table, optional
        The table of the other operands.

    Raises
    ------
    LiteralError
        For any other kind of value.
    AxisError
        When the value belongs to another table.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return build.literal(value, where=where)
    if is_parameter(value):
        return value.node  # type: ignore[no-any-return]
    other = getattr(value, "_table", None)
    if other is not None:
        if table is not None and other.origin is not table.origin:
            raise two_tables(table, other, where)
        return value._expr  # type: ignore[no-any-return]  # noqa: SLF001
    constant, dtype = constant_of(value, where)
    return build.literal(constant, dtype, where)


def two_tables(a: Table, b: Table, where: Where) -> AxisError:
    """Say that one expression cannot hold two tables."""
    return AxisError(
        f"two tables in one expression: {_title(a)} and {_title(b)}",
        where=where,
        why="each table has its own events, also when both read the same dataset or file",
        do=f'numbers over another tree of the same files are had by df.tree("{b.dataset.tree}")'
        if a.dataset.files == b.dataset.files and a.dataset.tree != b.dataset.tree
        else "write the expression over one table, or make both local and combine the arrays",
    )


def _title(table: Table) -> str:
    files = table.dataset.files
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"the table of {files[0].rsplit('/', 1)[-1]}{more}" if files else table.name


def constant_of(value: Any, where: Where) -> tuple[Constant, str]:
    """Give a constant and numpy's name of its type, empty for Python's own values.

    Raises
    ------
    LiteralError
        When the value is no constant that the language takes.
    """
    value = plain_number(value)
    if isinstance(value, bool | int | float | str) and type(value).__module__ != "numpy":
        if isinstance(value, str):
            return _text(str(value), where), ""
        plain: type = next(k for k in (bool, int, float) if isinstance(value, k))
        return plain(value), ""
    if isinstance(value, tuple | list):
        return tuple([constant_of(v, where)[0] for v in value]), ""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        kind = value.dtype.kind
        if kind in "biuf" and value.dtype.itemsize <= 8:
            return value.item(), str(value.dtype)
        if kind == "U":
            return _text(str(value), where), ""
    raise LiteralError(
        f"{with_article(value)} cannot be part of an expression",
        where=where,
        why="constants are bool, int, float, str, numpy scalars, and tuples or lists of these as arguments",
        do=_advice(value),
    )


def _text(value: str, where: Where) -> str:
    """Give the text, refused when it holds half characters, which no file can."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise LiteralError("a text constant cannot be written as UTF-8", where=where, why=str(error)) from None
    return value


def _advice(value: Any) -> str:
    if hasattr(value, "dtype") or type(value).__module__.startswith("awkward"):
        return "arrays that are in memory already do not line up with the table's events: make the expression local first"
    return "missing values are found with ak.is_none(x, axis=-1); or did a function forget its return?" if value is None else ""


def as_kind(of: Expr, dtype: Any, where: Site | None) -> Expr:
    """Give numbers as another kind, which is named as numpy does, or by one of its types or Python's."""
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", dtype)
    name = {"float": "float64", "int": "int64"}.get(name, name)
    return build.call("astype", (of,), (("dtype", str(name)),), where)


# What tells the events of a table apart ------------------------------------------------------------------------------------------

EVENT_IDS = (
    ("run", "luminosityBlock", "event"),
    ("EventInfo.runNumber", "EventInfo.lumiBlock", "EventInfo.eventNumber"),
    ("EventInfoAuxDyn.runNumber", "EventInfoAuxDyn.lumiBlock", "EventInfoAuxDyn.eventNumber"),
)


def event_ids(table: Table, given: Sequence[Any] | None, where: Where) -> list[Expr]:
    """Give what tells the events of a table apart: what ``event_id=`` names, or run, luminosity block and event as known schemas name them.

    Raises
    ------
    FieldError
        When the table has no such leaves.
    LiteralError
        When they are no whole numbers.
    """
    events = table.dataset
    if isinstance(given, str):
        raise LiteralError(f"event_id is a list of leaves, not {given!r}", where=where, do='event_id=("run", "lumi", "evt")')
    found = [_leaf_named(events, e, where) if isinstance(e, str) else expr_of(e, table, where) for e in given or ()]
    if not found:
        known = next((n for n in EVENT_IDS if all(_has(events, i) for i in n)), ())
        if not known:
            raise FieldError(
                f"{events.name} has no leaves that tell its events apart",
                where=where,
                why=f"there are neither {', nor '.join([', '.join(n) for n in EVENT_IDS[:2]])}",
                do='name them: event_id=("run", "lumi", "evt")',
            )
        found = [_leaf_named(events, name, where) for name in known]
    for leaf in found:
        if not isinstance(leaf.type.item, Int) or leaf.type.axes != events.type.axes or leaf.type.loops:
            raise LiteralError(f"an event is known by whole numbers, and one of event_id is {leaf.type}", where=where)
    return found


def _leaf_named(events: Dataset, name: str, where: Where) -> Expr:
    node: Expr = events
    for part in name.split("."):
        node = build.field(node, part, where)
    return node


def _has(events: Dataset, name: str) -> bool:
    item: Item = events.type.item
    for part in name.split("."):
        member = item.members.get(part) if isinstance(item, Record) else None
        if member is None or member.unreadable:
            return False
        item = member.item
    return True
