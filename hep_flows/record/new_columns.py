"""``df.Jet["g"] = ...``: columns, kept by table and collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, with_article
from hep_flows.expr.types import Record
from hep_flows.record.callables import mapped
from hep_flows.record.members import leaf_of, path_of
from hep_flows.record.operands import expr_of
from hep_flows.record.spread import spread

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.record.dataframe import DataFrame


def set_column(frame: DataFrame, name: Any, value: Any, where: Where) -> None:
    """Define a column on a collection, a view or the table.

    Parameters
    ----------
    frame : DataFrame
        The collection.
    name : str
        The new name.
    value : DataFrame or callable
        An expression, or a function of one element of the outermost collection axis (of the event, on the table).

    Raises
    ------
    LiteralError
        When the name or the value is of the wrong kind.
    FieldError
        When a stored leaf has the name, or the frame is itself a leaf.
    AxisError
        When the value belongs to other elements.
    """
    of, table = frame._expr, frame._table  # noqa: SLF001
    if not isinstance(name, str) or not name:
        raise LiteralError(f"a column's name is a text, not {name!r}", where=where)
    if not isinstance(of.type.item, Record):
        raise FieldError(
            f"a leaf cannot have the column {name!r}", where=where, why=f"this is {of.type}", do="define it on the collection"
        )
    if leaf_of(of, name, table, where) is not None:
        base = ".".join(path_of(of))
        owner = base or "the table"
        raise FieldError(
            f"{name!r} is a stored leaf of {owner}",
            where=where,
            why="a column would change the meaning of what the file holds",
            do=f"choose another name, or hide it on purpose with define_alias({base!r}, {name!r}, lambda o: ...)",
        )
    if hasattr(value, "_expr"):
        definition = expr_of(value, table, where)
    elif callable(value):
        definition = mapped(frame, value, where)
    else:
        raise LiteralError(
            f"a column is an expression or a function of one element, not {with_article(value)}",
            where=where,
            do=f"write lambda x: {value!r}"
            if isinstance(value, bool | int | float | str)
            else "an array that is local stays outside: join it to the result, when that is local",
        )
    table.add_column(of, name, spread(definition, of, where), where)
