"""From the Parquet file that an endpoint delivers to arrays of exactly the type of their expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import TaskError
from hep_flows.expr.types import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Expr
    from hep_flows.plugins.servicex.asked import Output


def read_columns(path: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Give the columns of a Parquet file as awkward arrays, by name.

    Raises
    ------
    TaskError
        When the file lacks one of them.
    """
    import awkward as ak
    import pyarrow.parquet as pq

    table = pq.read_table(path, memory_map=True)
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise TaskError(
            f"the back end did not deliver the column {missing[0]}", why=f"it delivered {', '.join(table.column_names)}"
        )
    return {n: ak.from_arrow(table.column(n)) for n in names}


def array_of(output: Output, columns: Mapping[int, Any]) -> Any:
    """Give the awkward array of a result.

    Parameters
    ----------
    output : Output
        What it is put together from.
    columns : mapping of int to array
        What was delivered, by the identity of the term.

    Raises
    ------
    TaskError
        When a value is missing that the expression has, or the array is nested in another way.
    """
    import awkward as ak

    return ak.Array(_layout(output, columns, 0))


def _layout(output: Output, columns: Mapping[int, Any], depth: int) -> Any:
    """Give the layout below the list axes that the object around has."""
    import awkward as ak

    if output.term is not None:
        return _plain(ak.to_layout(columns[id(output.term)]), output.expr, len(output.expr.type.axes) - 1)
    assert isinstance(output.expr.type.item, Record)
    own = len(output.expr.type.axes) - 1 - depth
    parts = {name: _layout(m, columns, depth + own) for name, m in output.members.items()}
    return _zipped(parts, own)


def _zipped(parts: Mapping[str, Any], levels: int) -> Any:
    """Put arrays together to records, below so many levels of lists, which all of them share."""
    import numpy as np
    from awkward.contents import ListOffsetArray, RecordArray

    if levels == 0:
        return RecordArray(list(parts.values()), list(parts))
    first = next(iter(parts.values()))
    offsets = np.asarray(first.offsets.data)
    for name, part in parts.items():
        if not np.array_equal(np.asarray(part.offsets.data), offsets):
            raise TaskError(f"the back end delivered lists of other lengths for {name}", why="they are leaves of one collection")
    return ListOffsetArray(first.offsets, _zipped({n: p.content for n, p in parts.items()}, levels - 1))


def _plain(layout: Any, expr: Expr, levels: int) -> Any:
    """Give plain lists of plain numbers, with options where the expression has them."""
    from awkward.contents import ListOffsetArray

    if levels == 0:
        return _items(layout, expr)
    layout = _there(layout, expr)
    if not layout.is_list:
        raise TaskError(f"the back end delivered {layout.form.type} where lists were asked for", where=expr.where)
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    return ListOffsetArray(lists.offsets, _plain(lists.content[: int(lists.offsets[-1])], expr, levels - 1))


def _items(layout: Any, expr: Expr) -> Any:
    import numpy as np
    from awkward.contents import ByteMaskedArray, NumpyArray, UnmaskedArray
    from awkward.index import Index8

    dtype = np.dtype(str(expr.type.item))
    if not expr.type.optional:
        return NumpyArray(_numbers(_there(layout, expr), expr, dtype))
    if not layout.is_option:
        return UnmaskedArray(NumpyArray(_numbers(layout, expr, dtype)))
    valid = layout.mask_as_bool(valid_when=True)
    data = np.zeros(len(valid), dtype=dtype)
    data[valid] = _numbers(layout.project(), expr, dtype)
    return ByteMaskedArray(Index8(valid.astype(np.int8)), NumpyArray(data), valid_when=True)


def _there(layout: Any, expr: Expr) -> Any:
    """Give the items without the option of being missing.

    Raises
    ------
    TaskError
        When one is missing.
    """
    while layout.is_option or layout.is_indexed:
        if layout.is_option and not layout.mask_as_bool(valid_when=True).all():
            raise TaskError(
                "the back end delivered missing values",
                where=expr.where,
                why=f"the expression is {expr.type}: none of its values is",
            )
        layout = layout.project()
    return layout


def _numbers(layout: Any, expr: Expr, dtype: Any) -> Any:
    import numpy as np

    layout = _there(layout, expr)
    if layout.is_unknown:
        return np.zeros(0, dtype=dtype)
    if not layout.is_numpy or layout.purelist_depth != 1 or np.asarray(layout.data).dtype != dtype:
        raise TaskError(f"the back end delivered {layout.form.type} where {dtype} was asked for", where=expr.where)
    return np.ascontiguousarray(layout.data)


def empty_array(output: Output) -> Any:
    """Give the result for no events."""
    import awkward as ak

    return ak.Array(_empty(output, 0))


def _empty(output: Output, depth: int) -> Any:
    import numpy as np
    from awkward.contents import ListOffsetArray, NumpyArray, RecordArray, UnmaskedArray
    from awkward.index import Index64

    levels = len(output.expr.type.axes) - 1 - depth
    if output.term is None:
        parts = {n: _empty(m, depth + levels) for n, m in output.members.items()}
        made: Any = RecordArray(list(parts.values()), list(parts), length=0)
    else:
        made = NumpyArray(np.zeros(0, dtype=np.dtype(str(output.expr.type.item))))
        made = UnmaskedArray(made) if output.expr.type.optional else made
    for _ in range(levels):
        made = ListOffsetArray(Index64(np.zeros(1, dtype=np.int64)), made)
    return made
