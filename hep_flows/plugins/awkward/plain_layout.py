"""Bring an array that was read to the layout that its member declares: plain lists of numbers or texts, options at the leaf only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
from awkward.contents import EmptyArray, IndexedArray, IndexedOptionArray, ListArray, ListOffsetArray, NumpyArray, RegularArray
from awkward.index import Index64

from hep_flows.expr.types import String

if TYPE_CHECKING:
    from collections.abc import Sequence

    from awkward.contents import Content

    from hep_flows.expr.types import Item, Member


Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]


class NotAsDeclaredError(Exception):
    """The array is not what the schema says; the text says how."""


def plain(array: ak.Array, member: Member, depth: int) -> ak.Array:
    """Give the array as the member declares it, with ``depth`` list axes below the events.

    Raises
    ------
    NotAsDeclaredError
        When a list is missing, or a value that the schema promised.
    """
    return ak.Array(_plain(ak.to_layout(array), depth, member))


def _plain(layout: Content, depth: int, member: Member) -> Content:
    if isinstance(layout, IndexedArray):
        layout = layout.project()
    if layout.is_option and not (member.optional and depth == 0):
        layout = _without_option(layout, "a list" if depth else "a value")
    if depth == 0:
        return _leaf(layout, member)
    if isinstance(layout, EmptyArray):
        layout = ListOffsetArray(Index64(np.zeros(1, np.int64)), layout)
    if isinstance(layout, NumpyArray):
        layout = layout.to_RegularArray()
    if not isinstance(layout, ListArray | ListOffsetArray | RegularArray):
        raise NotAsDeclaredError("it is not a list where the schema says so")
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    content = lists.content[: lists.offsets[-1]]
    return ListOffsetArray(Index64(np.asarray(lists.offsets)), _plain(content, depth - 1, member))


def _without_option(layout: Content, what: str) -> Content:
    if np.any(layout.mask_as_bool(valid_when=False)):
        raise NotAsDeclaredError(f"{what} is missing in it")
    made = layout.project()
    return made.project() if isinstance(made, IndexedArray) else made


def _leaf(layout: Content, member: Member) -> Content:
    values = layout.content if layout.is_option else layout
    if isinstance(values, IndexedArray):
        values = values.project()
    found = "string" if values.parameter("__array__") == "string" else str(getattr(values, "dtype", type(values).__name__))
    if found == str(member.item) or (member.differs and found in _NUMBERS):
        return layout
    if isinstance(values, EmptyArray):  # a column without a type: lists that are all empty, or values that are all missing
        return _without_values(layout, member)
    if member.widened and found in _NUMBERS:
        wide = NumpyArray(np.asarray(values.data).astype(str(member.item)))
        return wide if not layout.is_option else layout.to_IndexedOptionArray64().copy(content=wide)
    raise NotAsDeclaredError(f"it holds {found} where the schema says {member.item}")


_NUMBERS = frozenset({"bool", *[f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)]})


def _without_values(layout: Content, member: Member) -> Content:
    item = member.item
    blank = ak.to_layout(ak.Array([""])) if isinstance(item, String) else NumpyArray(np.zeros(1, str(item)))
    if not layout.is_option:
        return blank[:0]
    return IndexedOptionArray(Index64(np.full(layout.length, -1)), blank)


def missing_values(offsets: Sequence[Offsets], n_events: int, item: Item, depth: int) -> ak.Array:
    """Give missing values for a leaf that a file lacks, ``depth`` lists deep: one for each item of the lists that are known.

    Parameters
    ----------
    offsets : sequence of array
        Of the outer lists, as far as another leaf tells them; those below are empty.
    """
    offsets = list(offsets)
    while len(offsets) < depth:
        offsets.append(np.zeros((int(offsets[-1][-1]) if offsets else n_events) + 1, np.int64))
    size = int(offsets[-1][-1]) if offsets else n_events
    blank = ak.to_layout(ak.Array([""])) if isinstance(item, String) else NumpyArray(np.zeros(1, str(item)))
    made: Content = IndexedOptionArray(Index64(np.full(size, -1)), blank)
    for o in reversed(offsets):
        made = ListOffsetArray(Index64(o), made)
    return ak.Array(made)


def offsets_at(array: ak.Array, level: int) -> Offsets:
    """Give the offsets of list axis number ``level`` (0: the outermost below the events) of a plain array."""
    layout = ak.to_layout(array)
    for _ in range(level):
        layout = layout.content
    return np.asarray(layout.offsets)


def counts_at(array: ak.Array, level: int) -> ak.Array:
    """Give the number of entries of list axis number ``level`` of a plain array, as int64, nested in the axes above."""
    layout = ak.to_layout(array)
    above = []
    for _ in range(level):
        above.append(layout.offsets)
        layout = layout.content
    counts: Content = NumpyArray(np.diff(np.asarray(layout.offsets)).astype(np.int64))
    for offsets in reversed(above):
        counts = ListOffsetArray(offsets, counts)
    return ak.Array(counts)
