"""The entries that values stand in: events, and inside each the elements of the loops around.

A frame for loops (l1, ..., ln) is the frame for (l1, ..., ln-1) with one entry for each element of the collection that ln runs
over. A value that depends on fewer loops is lifted: repeated for the elements that it does not depend on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hep_flows.errors import TaskError
from hep_flows.plugins.awkward.values import Lists, Selection, Value, selected, take

if TYPE_CHECKING:
    from hep_flows.expr.types import Loop
    from hep_flows.plugins.awkward.values import Indices


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
