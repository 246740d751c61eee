"""Bring the arguments of one call to one frame and one nesting, as flat items of equal number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.types import String
from hep_flows.plugins.awkward.values import Constant, Lists, Value, composed, dtype_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.types import Item, Loop
    from hep_flows.plugins.awkward.frames import Frame, Frames
    from hep_flows.plugins.awkward.values import Mask

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
