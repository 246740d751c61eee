"""What the evaluator computes with: flat items, and beside them the lists that they are nested in.

No awkward array is built, broadcast or taken apart between two steps: an elementwise function is one numpy call on flat items, and
a selection is one index array that all leaves of a collection share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.expr.types import Bool, Float, Int

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.frames import Frame

    Indices = NDArray[np.int64]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lists:
    """One level of nesting: list i holds the items from ``offsets[i]`` to ``offsets[i + 1]``; the first offset is 0.

    Two are compared by identity: leaves of one collection share the object.
    """

    offsets: Indices

    @property
    def n_items(self) -> int:
        """Give the number of items in all lists."""
        return int(self.offsets[-1])

    @property
    def starts(self) -> Indices:
        """Give where each list begins."""
        return self.offsets[:-1]

    @cached_property
    def counts(self) -> Indices:
        """Give the length of each list."""
        return np.diff(self.offsets)

    @cached_property
    def parents(self) -> Indices:
        """Give the number of the list that each item is in."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)

    @cached_property
    def positions(self) -> Indices:
        """Give the position of each item in its list."""
        return np.arange(self.n_items) - self.starts[self.parents]

    def holds_the_same_numbers_as(self, other: Lists) -> bool:
        """Say whether all lists have the same lengths."""
        return self is other or self.offsets is other.offsets or np.array_equal(self.offsets, other.offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """The values of a node: flat items, in lists, in the entries of a frame.

    Parameters
    ----------
    frame : Frame
        The events, and for each the elements of the loops that the node depends on.
    axes : tuple of Lists
        The node's own collection axes, outermost first.
    data : numpy array, awkward array of text, or None
        One item for each entry of the innermost axis; None for records, of which only the structure is kept.
    valid : numpy array of bool, optional
        False where an item is missing; the data there mean nothing. None: no item is missing.
    """

    frame: Frame
    axes: tuple[Lists, ...]
    data: Any
    valid: Mask | None = None

    @property
    def n_items(self) -> int:
        """Give the number of items of the innermost axis."""
        return self.axes[-1].n_items if self.axes else self.frame.size


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """One value for everything; ``weak`` marks a plain Python constant, which adapts to the width of arrays. None is missing."""

    value: Any
    weak: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Which items come next and how they nest: shared by every leaf that is selected in the same way.

    ``present`` is false where there is no item; the index is 0 there. It is None when all are there.
    """

    axes: tuple[Lists, ...]
    index: Indices
    present: Mask | None = None


def dtype_of(item: Item) -> np.dtype[Any]:
    """Give numpy's type of a number."""
    if not isinstance(item, Bool | Int | Float):
        raise TypeError(f"{item} is not a number")
    return np.dtype(str(item))


def offsets_of(counts: NDArray[Any]) -> Indices:
    """Give the offsets of lists of these lengths."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def running_count(mask: Mask) -> NDArray[Any]:
    """Give how many are true before each position, and in all at the end."""
    # Half the memory is much less than half the time: fresh pages are what a large result costs.
    total = np.empty(len(mask) + 1, dtype=np.int32 if len(mask) < 2**31 else np.int64)
    total[0] = 0
    np.cumsum(mask.view(np.int8), dtype=total.dtype, out=total[1:])
    return total


def kept_lists(lists: Lists, keep: Mask) -> Lists:
    """Give the lists with only the items that are kept."""
    return Lists(running_count(keep)[lists.offsets].astype(np.int64))


def composed(axes: Sequence[Lists]) -> Indices:
    """Give the offsets of the innermost items in the outermost lists."""
    offsets = axes[0].offsets
    for lists in axes[1:]:
        offsets = lists.offsets[offsets]
    return offsets


def take(axes: tuple[Lists, ...], index: Indices, present: Mask | None = None) -> Selection:
    """Select entries of the outermost level by number, with all that is nested in them.

    Where ``present`` is false there is no entry: it becomes an empty list, or a missing item where nothing is nested.
    """
    if present is not None:
        index = np.where(present, index, 0)
    if not axes:
        return Selection((), index, present)
    new: list[Lists] = []
    for lists in axes:
        counts = _counts_at(lists, index, present)
        inner = Lists(offsets_of(counts))
        shift = _starts_at(lists, index) - inner.starts
        index = np.arange(inner.n_items) + np.repeat(shift, counts)
        present = None
        new.append(inner)
    return Selection(tuple(new), index)


def _counts_at(lists: Lists, index: Indices, present: Mask | None) -> Indices:
    if len(lists.offsets) == 1:
        return np.zeros(len(index), dtype=np.int64)
    counts = lists.counts.take(index)
    return counts if present is None else np.where(present, counts, 0)


def _starts_at(lists: Lists, index: Indices) -> Indices:
    return np.zeros(len(index), dtype=np.int64) if len(lists.offsets) == 1 else lists.starts.take(index)


def selected(value: Value, selection: Selection, frame: Frame, outer: tuple[Lists, ...] = ()) -> Value:
    """Give the items of a value that are selected; ``outer`` are the axes around those of the selection."""
    data, valid = items_at(value.data, value.valid, selection, value.n_items)
    return Value(frame, (*outer, *selection.axes), data, valid)


def items_at(data: Any, valid: Mask | None, selection: Selection, n_items: int) -> tuple[Any, Mask | None]:
    """Give the flat items and where they are valid."""
    index, present = selection.index, selection.present
    if n_items == 0:
        missing = np.zeros(len(index), dtype=np.bool_) if len(index) else None
        return (None if data is None else blanks(data, len(index))), (missing if present is not None else valid)
    items = None if data is None else data.take(index) if isinstance(data, np.ndarray) else data[index]
    if valid is not None:
        valid = valid.take(index)
        return items, valid if present is None else valid & present
    return items, present


def blanks(like: Any, size: int) -> Any:
    """Give items without a meaning, to stand where all are missing."""
    if isinstance(like, np.ndarray):
        return np.zeros(size, dtype=like.dtype)
    return texts([""] * size)


def texts(strings: Sequence[str]) -> Any:
    """Give an array of text."""
    return ak.from_iter(strings) if len(strings) else ak.from_iter(["x"])[:0]


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """Give where both are valid."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
