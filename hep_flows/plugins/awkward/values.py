"""What the evaluator computes with: flat items, and beside them the lists that they are nested in.

No awkward array is built, broadcast or taken apart between two steps: an elementwise function is one numpy call on flat items, and
a selection is one index array that all leaves of a collection share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.types import Bool, Float, Int, String

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hep_flows.expr.types import Item, Loop

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


def joined_items(parts: Sequence[Value], item: Item) -> Value:
    """Give the items of all values, one value after the other, as items of one kind, in one list."""
    frame, axes = parts[0].frame, (Lists(np.asarray([0, sum([p.n_items for p in parts])])),)
    valid = None
    if any(p.valid is not None for p in parts):
        valid = np.concatenate([np.ones(p.n_items, np.bool_) if p.valid is None else p.valid for p in parts])
    if parts[0].data is None:
        return Value(frame, axes, None, valid)
    if isinstance(item, String):
        return Value(frame, axes, ak.concatenate([p.data for p in parts]), valid)
    return Value(frame, axes, np.concatenate([p.data.astype(dtype_of(item), copy=False) for p in parts]), valid)


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


# The entries that values stand in: events, and inside each the elements of the loops around --------------------------------------
#
# A frame for loops (l1, ..., ln) is the frame for (l1, ..., ln-1) with one entry for each element of the collection that ln runs
# over. A value that depends on fewer loops is lifted: repeated for the elements that it does not depend on.


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The entries for one tuple of loops over the events of one axis.

    ``lists`` says which entries of the frame belong to each entry of ``parent``, the frame without the last loop.
    """

    events: bytes
    loops: tuple[Loop, ...]
    size: int
    parent: Frame | None = None
    lists: Lists | None = None


class Frames:
    """The frames of one evaluation, and the lifting of values between them."""

    def __init__(self) -> None:
        self._roots: dict[bytes, Frame] = {}
        self._frames: dict[tuple[bytes, tuple[Loop, ...]], Frame] = {}
        self._collections: dict[tuple[bytes, Loop], list[Value]] = {}
        self._positions: dict[tuple[Frame, Frame], Indices] = {}
        self._lifted: dict[tuple[Frame, Frame, tuple[Lists, ...]], Selection] = {}

    def root(self, events: bytes, size: int) -> Frame:
        """Give the frame of all events of an axis.

        Raises
        ------
        TaskError
            When the axis is known with another number of events.
        """
        frame = self._roots.setdefault(events, Frame(events, (), size))
        if frame.size != size:
            raise TaskError(f"{size} events meet {frame.size} events of the same table", why="the parts do not belong together")
        return frame

    def frame(self, events: bytes, loops: tuple[Loop, ...]) -> Frame:
        """Give the frame for these loops; their collections must be known."""
        if not loops:
            return self._roots[events]
        found = self._frames.get((events, loops))
        if found is None:
            parent = self.frame(events, loops[:-1])
            found = self._new(parent, loops)
            self._frames[events, loops] = found
        return found

    def _new(self, parent: Frame, loops: tuple[Loop, ...]) -> Frame:
        outer = set(parent.loops)
        known = [c for c in self._collections[parent.events, loops[-1]] if outer.issuperset(c.frame.loops)]
        lists = self.lifted(known[0], parent).axes[0]
        for other in known[1:]:
            _check(lists, self.lifted(other, parent).axes[0], loops[-1])
        return Frame(parent.events, loops, lists.n_items, parent, lists)

    def enter(self, collection: Value, loop: Loop) -> None:
        """Say which collection a loop runs over: the elements of the first own axis of the value."""
        structure = replace(collection, axes=collection.axes[:1], data=None, valid=None)
        events = collection.frame.events
        known = self._collections.setdefault((events, loop), [])
        for other in known:
            if other.frame is structure.frame:
                _check(other.axes[0], structure.axes[0], loop)
                return
        known.append(structure)
        for frame in self._frames.values():
            inside = frame.events == events and frame.loops[-1] == loop
            if inside and frame.parent is not None and frame.lists is not None:
                self._check_against(structure, frame.parent, frame.lists, loop)

    def _check_against(self, collection: Value, parent: Frame, lists: Lists, loop: Loop) -> None:
        if set(parent.loops).issuperset(collection.frame.loops):
            _check(lists, self.lifted(collection, parent).axes[0], loop)

    def lifted(self, value: Value, to: Frame) -> Value:
        """Give the value in a frame with at least its loops."""
        if value.frame is to:
            return value
        key = (value.frame, to, value.axes)
        selection = self._lifted.get(key)
        if selection is None:
            selection = take(value.axes, self._position(value.frame, to))
            self._lifted[key] = selection
        return selected(value, selection, to)

    def _position(self, of: Frame, entries: Frame) -> Indices:
        """Give, for each entry of a frame, the entry of another that it lies in; the other has some of its loops."""
        found = self._positions.get((of, entries))
        if found is not None:
            return found
        parent, lists = entries.parent, entries.lists
        if parent is None or lists is None:
            raise TaskError("values of two event selections meet", why="one of them lacks events that the other has")
        if not of.loops or of.loops[-1] != entries.loops[-1]:
            found = lists.parents if parent is of else self._position(of, parent)[lists.parents]
        else:
            assert of.parent is not None
            assert of.lists is not None
            outer = lists.parents if parent is of.parent else self._position(of.parent, parent)[lists.parents]
            found = of.lists.starts[outer] + lists.positions if len(of.lists.starts) else np.zeros(0, dtype=np.int64)
        self._positions[of, entries] = found
        return found


def _check(one: Lists, other: Lists, loop: Loop) -> None:
    if not one.holds_the_same_numbers_as(other):
        raise TaskError(
            f"two lists of {loop.axis.name} with different lengths meet in one loop",
            why="elements of different objects have no common order",
            do="reduce one of them first, or loop over each in a map of its own",
        )


# Bring the arguments of one call to one frame and one nesting, as flat items of equal number -------------------------------------

Argument = Value | Constant


@dataclass(frozen=True, slots=True)
class Flat:
    """One argument: flat items or a constant, and where they are valid."""

    data: Any
    valid: Mask | None = None


@dataclass(frozen=True, slots=True)
class Aligned:
    """Arguments side by side; ``frame`` is None when all are constants, which then count as one element."""

    frame: Frame | None
    axes: tuple[Lists, ...]
    size: int
    flats: tuple[Flat, ...]


def aligned(frames: Frames, arguments: Sequence[Argument], items: Sequence[Item], loops: tuple[Loop, ...]) -> Aligned:
    """Give the arguments as flat items of one nesting: that of the deepest, in the frame of all loops.

    Raises
    ------
    TaskError
        When lists that stand for the same axis have different lengths.
    """
    first = next((a for a in arguments if isinstance(a, Value)), None)
    if first is None:
        return Aligned(None, (), 1, tuple([_flat(a, t, (), 1) for a, t in zip(arguments, items, strict=True)]))
    frame = frames.frame(first.frame.events, loops)
    lifted = [frames.lifted(a, frame) if isinstance(a, Value) else a for a in arguments]
    longest = max([a for a in lifted if isinstance(a, Value)], key=lambda a: len(a.axes))
    flats = [_flat(a, t, longest.axes, longest.n_items) for a, t in zip(lifted, items, strict=True)]
    return Aligned(frame, longest.axes, longest.n_items, tuple(flats))


def _flat(argument: Argument, item: Item, axes: tuple[Lists, ...], size: int) -> Flat:
    return spread(argument, axes) if isinstance(argument, Value) else constant(argument, item, size)


def spread(value: Value, axes: tuple[Lists, ...]) -> Flat:
    """Repeat the items of a value along the axes that it does not have."""
    for mine, theirs in zip(value.axes, axes, strict=False):
        if not mine.holds_the_same_numbers_as(theirs):
            raise TaskError(
                "two arguments have lists of different lengths",
                why="they are elements of different objects, or the data do not have the structure that was described",
            )
    more = axes[len(value.axes) :]
    if not more or value.data is None:
        return Flat(value.data, value.valid)
    parents = more[0].parents if len(more) == 1 else Lists(composed(more)).parents
    data = value.data.take(parents) if isinstance(value.data, np.ndarray) else value.data[parents]
    return Flat(data, None if value.valid is None else value.valid.take(parents))


def constant(value: Constant, item: Item, size: int) -> Flat:
    """Give a constant as numpy or plain Python has it; a missing one as items that are all missing."""
    if value.value is None:
        blank: Any = "" if isinstance(item, String) else dtype_of(item).type(0)
        return Flat(blank, np.zeros(size, dtype=np.bool_))
    if value.weak or isinstance(value.value, str):
        return Flat(value.value)
    return Flat(dtype_of(item).type(value.value))


def one_for_each_list(index: Constant, of: Value, at: int) -> Value:
    """Give one number as the index of every list of an axis."""
    size = of.axes[at - 1].n_items if at else of.frame.size
    valid = np.zeros(size, dtype=np.bool_) if index.value is None else None
    return Value(of.frame, of.axes[:at], np.full(size, index.value or 0, dtype=np.int64), valid)
