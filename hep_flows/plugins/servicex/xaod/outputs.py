"""The columns of a query, and what arrays they make: a value that may be missing is two columns, the value and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hep_flows.expr.types import Item


@dataclass(frozen=True, slots=True)
class Output:
    """A result, or a member of one, that is numbers or lists of numbers.

    Parameters
    ----------
    column : str
        The column with the values.
    there : str
        The column that says where there are any; empty where all are there.
    item : Item
        What the values are. C++ may deliver them in a wider type; the conversion is exact.
    levels : int
        How many levels of lists an event has.
    """

    column: str
    there: str
    item: Item
    levels: int

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        yield self.column
        if self.there:
            yield self.there


@dataclass(frozen=True, slots=True)
class Objects:
    """A result whose items are records; each member has the lists that the records lie in, and may have more."""

    members: tuple[tuple[str, Output | Objects], ...]
    levels: int

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        for _, member in self.members:
            yield from member.columns()


@dataclass(frozen=True, slots=True)
class Rows:
    """The number of events that passed."""

    column: str

    def columns(self) -> Iterator[str]:
        """Give a column to count the rows of."""
        yield self.column


def array_of(output: Output | Objects, columns: Mapping[str, Any]) -> Any:
    """Give the awkward array of a result, in exactly the type of its items.

    Raises
    ------
    TaskError
        When what was delivered is nested in another way.
    """
    import awkward as ak

    return ak.Array(_layout(output, columns, 0))


def _layout(output: Output | Objects, columns: Mapping[str, Any], above: int) -> Any:
    """Give the layout below the lists that the objects around it have."""
    import awkward as ak

    if isinstance(output, Objects):
        parts = {name: _layout(o, columns, output.levels) for name, o in output.members}
        return _zipped(parts, output.levels - above)
    values = ak.to_layout(columns[output.column])
    there = ak.to_layout(columns[output.there]) if output.there else None
    return _items(values, there, output, output.levels)


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


def _items(values: Any, there: Any, output: Output, levels: int) -> Any:
    import numpy as np
    from awkward.contents import ByteMaskedArray, ListOffsetArray, NumpyArray
    from awkward.index import Index8

    values, there = _plain(values, output), None if there is None else _plain(there, output)
    if levels:
        lists = _lists(values, output)
        inner = None if there is None else _lists(there, output).content
        return ListOffsetArray(lists.offsets, _items(lists.content, inner, output, levels - 1))
    if not values.is_numpy and not values.is_unknown:
        raise TaskError(f"the back end delivered {values.form.type} where {output.item} was asked for")
    dtype = np.dtype(str(output.item))
    if there is None:
        return NumpyArray(_converted(values, dtype))
    valid = _converted(there, np.dtype(bool))
    numbers = np.zeros(len(valid), dtype=dtype)
    numbers[valid] = _converted(values[valid], dtype)
    return ByteMaskedArray(Index8(valid.astype(np.int8)), NumpyArray(numbers), valid_when=True)


def _plain(layout: Any, output: Output) -> Any:
    """Take off the option of being missing, which some formats add."""
    while layout.is_option or layout.is_indexed:
        if layout.is_option and not layout.mask_as_bool(valid_when=True).all():
            raise TaskError(f"the back end delivered missing values for {output.column}")
        layout = layout.project()
    return layout


def _lists(layout: Any, output: Output) -> Any:
    from awkward.contents import EmptyArray, ListOffsetArray
    from awkward.index import Index64

    if layout.is_unknown:
        return ListOffsetArray(Index64([0]), EmptyArray())
    if not layout.is_list:
        raise TaskError(
            f"the back end delivered {layout.form.type} where lists were asked for", why=f"it is the column {output.column}"
        )
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    return lists.copy(content=lists.content[: int(lists.offsets[-1])])


def _converted(layout: Any, dtype: Any) -> Any:
    import numpy as np

    if layout.is_unknown:
        return np.zeros(0, dtype=dtype)
    return np.asarray(layout.data).astype(dtype, copy=False)
