"""What a name means on an event, a collection or an object: a column, an alias, a stored leaf, or one derived by the data model.

Columns win over aliases, aliases over stored leaves, before and after filters alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, RecordError, did_you_mean, with_article
from hep_flows.expr import build
from hep_flows.expr.constants import fitted, item_of
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Map
from hep_flows.expr.select import select
from hep_flows.expr.types import Record
from hep_flows.record import aliases
from hep_flows.record.derived import derived_leaf, derived_names
from hep_flows.record.instead import instead_of
from hep_flows.record.spread import spread
from hep_flows.record.xaod_names import ACCESSORS

_NAMES = "dir(X) lists all names; X['name'] = ... adds a column"
_EXPRESSION = "print(x) shows what it is; leaves belong to the collection: X.pt, X.eta"

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.record.table import Table

REQUIRED: Any = object()  # no default was given


def column_of(of: Expr, name: str, table: Table) -> Expr | None:
    """Give a column that was defined on the expression or on what it is a selection of."""

    def found(node: Expr) -> Expr | None:
        return table.found_columns.get((node.key, name)) or table.column(node, name)

    column = select(of, found) if table.has_column(name) else None
    if column is not None:
        table.found_columns[of.key, name] = column
    return column


def leaf_of(of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give a stored leaf or collection, chosen before every selection that the expression makes."""

    def found(node: Expr) -> Expr | None:
        known = table.leaves.get((node.key, name))
        if known is not None:
            return known
        if isinstance(node, Call) and node.function == "record":
            return _member_of_record(node, name, where)
        if isinstance(node, Field | Dataset) and isinstance(node.type.item, Record) and name in node.type.item.members:
            return build.field(node, name, where)
        return None

    try:
        leaf = select(of, found)
    except FieldError:  # it is there, and cannot be read
        table.looked.whole_schema = True
        raise
    if leaf is not None:
        table.leaves[of.key, name] = leaf
    table.looked.names[of.key, name] = (of, leaf)
    return leaf


def leaf_or_default(frame: DataFrame, name: Any, default: Any, as_: str, where: Where) -> Expr:
    """Give what `DataFrame.get` gives: a column or an alias as it is, a stored leaf with a default for the files that lack it."""
    of, table = frame._expr, frame._table  # noqa: SLF001
    if not isinstance(name, str) or not name:
        raise LiteralError(f"get takes the name of a leaf, not {with_article(name)}", where=where, do='X.get("pt", 0.0)')
    if not isinstance(of.type.item, Record):
        raise no_member(of, name, table, where)
    if table.has_column(name) and (column := column_of(of, name, table)) is not None:
        return column
    if aliases.any_aliases() and aliases.alias_for(path_of(of), name) is not None:
        found = member_of(frame, of, name, table, where)
        assert found is not None
        return found
    if as_ and item_of(as_) is None:
        raise LiteralError(f"as_ is the name of a kind of numbers, not {as_!r}", where=where, do='as_="float64", "int64", "bool"')

    def found_at(node: Expr) -> Expr | None:
        if isinstance(node, Call) and node.function == "record":
            return _member_of_record(node, name, where)
        if isinstance(node, Field | Dataset) and isinstance(node.type.item, Record) and node.type.item.model != "tuple":
            return build.field(node, name, where, _default(node, name, default, as_, where))
        return None

    leaf = select(of, found_at)
    if leaf is None:
        raise no_member(of, name, table, where)
    table.looked.gets[leaf.key] = leaf
    return leaf


def _default(node: Expr, name: str, value: Any, as_: str, where: Where) -> Default:
    """Give a default as the leaf's kind holds it."""
    record = node.type.item
    assert isinstance(record, Record)
    member = record.members.get(name)
    is_collection = member is not None and isinstance(member.item, Record)
    if value is REQUIRED and not is_collection:
        raise LiteralError(
            f"get needs what {name} is to be in files that lack it", where=where, do=f'X.get("{name}", 0.0), or None for missing'
        )
    if is_collection:
        if as_ or value not in (REQUIRED, None):
            raise LiteralError(f"{name} is no single leaf: files that lack it have none", where=where, do=f'X.get("{name}")')
        return Default()
    value = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    if value is not None and not isinstance(value, bool | int | float | str):
        raise LiteralError(f"a default is a number, a text or None, not {with_article(value)}", where=where)
    item = item_of(as_) if as_ else member.item if member is not None else None
    return Default(value if item is None else fitted(value, item, f"{record.name}.{name}", where), as_)


def _member_of_record(record: Call, name: str, where: Where) -> Expr | None:
    """Give a member with the axes of its record: the event's value beside a jet's is one for each jet."""
    names: tuple[str, ...] = record.option("names")  # type: ignore[assignment]
    if name not in names:
        return None
    member = record.args[names.index(name)]
    n_axes = len(record.type.axes)
    if len(member.type.axes) >= n_axes:
        return member
    return spread(member, next(a for a in record.args if len(a.type.axes) >= n_axes), where, n_axes)


def path_of(of: Expr) -> tuple[str, ...]:
    """Give the names that lead from the table to a collection, whatever selections were made of it."""
    names: list[str] = []
    while True:
        match of:
            case Field():
                names.append(of.name)
                of = of.of
            case Filter() | Bound():
                of = of.of
            case Map():
                of = of.body
            case Call() if of.args and of.function in ("pick", "slice", "gather", "flatten"):
                of = of.args[0]
            case _:
                return tuple(reversed(names))


def member_of(frame: DataFrame, of: Expr, name: str, table: Table, where: Where) -> Expr | None:
    """Give what a name means on an expression, or None when it means nothing.

    Parameters
    ----------
    frame : DataFrame
        What the user holds: handed to the definition of an alias.
    of : Expr
        Its expression.
    name : str
        The name.
    table : Table
        Its table.
    where : Site
        The user's line.
    """
    if table.has_column(name) and (column := column_of(of, name, table)) is not None:
        return column
    if aliases.any_aliases():
        path = path_of(of)
        alias = aliases.alias_for(path, name)
        if alias is not None:
            return aliases.expand(alias, frame, path)._expr  # noqa: SLF001
    if not isinstance(of.type.item, Record):
        return None
    leaf = leaf_of(of, name, table, where)
    if leaf is not None:
        return leaf
    derived = derived_leaf(of, name, lambda o, n: leaf_of(o, n, table, where))
    if derived is not None:
        table.looked.whole_schema = True  # The formula depends on what else is stored.
    return derived


def known_names(of: Expr, table: Table) -> tuple[str, ...]:
    """Give every name that means something on an expression: columns, aliases, leaves."""
    names: dict[str, None] = {}
    select(of, lambda node: names.update(dict.fromkeys(table.columns(node))))
    names.update(dict.fromkeys(aliases.alias_names(path_of(of))))
    if isinstance(of.type.item, Record):
        names.update(dict.fromkeys(of.type.item.members))
        names.update(dict.fromkeys(derived_names(of.type.item)))
    return tuple(names)


def no_member(of: Expr, name: str, table: Table, where: Where) -> RecordError:
    """Say that a name means nothing here, and which names are near."""
    circle = aliases.circle_of(path_of(of), name)
    if circle:
        return RecordError(f"aliases are defined in a circle: {circle}", where=where, do="define one of them by stored leaves")
    item = of.type.item
    if not isinstance(item, Record):
        return FieldError(
            f"{_title(of)} has no leaf {name!r}",
            where=where,
            why=f"it is itself a leaf ({of.type}), and leaves have none",
            do="columns belong to the collection: X.name, not X.pt.name"
            if table.has_column(name)
            else instead_of(name) or _EXPRESSION,
        )
    if not name.isidentifier() and any(c in name for c in "<>=!&|") and name not in item.members:
        return FieldError(
            f"{_title(of)} has no leaf {name!r}",
            where=where,
            why="a text in brackets is the name of a leaf, and conditions are no texts here",
            do="write the condition as Python: X[X.pt > 30]",
        )
    known = known_names(of, table)
    shown = ", ".join(known[:12]) + (f", ... ({len(known)} names)" if len(known) > 12 else "")
    about = {n: m.doc for n, m in item.members.items() if m.doc}
    more = ACCESSORS if isinstance(of, Dataset) and item.model == "xaod" else ()
    return FieldError(
        f"{_title(of)} has no leaf {name!r}",
        where=where,
        why=f"its names are {shown}",
        do=did_you_mean(name, [*known, *more], about=about) or _within(of, name, table) or instead_of(name) or _NAMES,
    )


def _within(of: Expr, name: str, table: Table) -> str:
    """Give how a path such as ``"MET.pt"`` or ``"Jet/pt"`` is written."""
    head, *rest = re.split(r"[./]", name)
    if not rest or not all(p.isidentifier() for p in (head, *rest)):
        return ""
    at = of
    for part in (head, *rest):
        found = leaf_of(at, part, table, None)
        if found is None:
            return ""
        at = found
    return f"name one after the other: X{''.join([f'[{p!r}]' for p in (head, *rest)])}"


def _title(of: Expr) -> str:
    item = of.type.item
    if isinstance(item, Record):
        return "the table" if isinstance(of, Dataset) else item.name
    return ".".join(path_of(of)) or "this value"


def document_of(of: Expr) -> str:
    """Give the type of an expression, with its unit and what the file says about it."""
    node = of
    while not isinstance(node, Field | Dataset) and node.inputs():
        node = node.inputs()[0]
    lines = [str(of.type)]
    if of.type.unit:
        lines.append(f"unit: {of.type.unit}")
    if isinstance(node, Field) and isinstance(of.type.item, type(node.type.item)):
        item = node.of.type.item
        member = item.members.get(node.name) if isinstance(item, Record) else None
        lines.extend(t for t in (member.doc if member else "",) if t)
    if isinstance(of.type.item, Record):
        named = [f"{n} (in some files)" if m.lacking else n for n, m in of.type.item.members.items()]
        lines.append("names: " + ", ".join(named))
    return "\n".join(lines)
