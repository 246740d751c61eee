"""Functions that choose items and keep, remove or add lists; each says which items come next, and never looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hep_flows.plugins.awkward.values import Lists, Selection, composed, kept_lists, offsets_of, take

if TYPE_CHECKING:
    from hep_flows.plugins.awkward.values import Indices, Mask

Axes = tuple[Lists, ...]
Bounds = tuple[int | None, int | None, int | None]


def filtered(axes: Axes, at: int, keep: Mask) -> Selection:
    """Keep the items of own axis ``at`` where the mask is true."""
    within = take(axes[at + 1 :], np.flatnonzero(keep))
    return Selection((*axes[:at], kept_lists(axes[at], keep), *within.axes), within.index)


def picked(axes: Axes, at: int, index: int) -> Selection:
    """Take one item of each list of own axis ``at``, from the end when the number is negative."""
    lists = axes[at]
    if index >= 0:
        chosen = lists.starts + index
        present = lists.counts > index
    else:
        chosen = lists.offsets[1:] + index
        present = lists.counts >= -index
    within = take(axes[at + 1 :], chosen, None if present.all() else present)
    return Selection((*axes[:at], *within.axes), within.index, within.present)


def sliced(axes: Axes, at: int, bounds: Bounds) -> Selection:
    """Take a Python slice of each list of own axis ``at``."""
    lists = axes[at]
    first, counts, step = slice_of(lists.counts, bounds)
    new = Lists(offsets_of(counts))
    chosen = np.repeat(lists.starts + first, counts) + step * new.positions
    within = take(axes[at + 1 :], chosen)
    return Selection((*axes[:at], new, *within.axes), within.index)


def slice_of(counts: Indices, bounds: Bounds) -> tuple[Indices, Indices, int]:
    """Give where a slice of lists of these lengths begins in each list, how many items it has, and its step."""
    start, stop, step = bounds
    step = 1 if step is None else step
    lowest = 0 if step > 0 else -1
    highest = counts + lowest
    begin = _bound(start, counts, lowest, highest, 0 if step > 0 else highest)
    end = _bound(stop, counts, lowest, highest, highest if step > 0 else -1)
    length = (end - begin + step - 1) // step if step > 0 else (begin - end - step - 1) // -step
    return begin, np.maximum(length, 0), step


def _bound(bound: int | None, counts: Indices, lowest: int, highest: Indices, default: int | Indices) -> Indices:
    if bound is None:
        return np.broadcast_to(np.asarray(default, dtype=np.int64), counts.shape)
    if bound >= 0:
        return np.minimum(min(bound, np.iinfo(np.int64).max), highest)
    return np.maximum(counts + max(bound, np.iinfo(np.int64).min // 2), lowest)


def gathered(axes: Axes, at: int, index_axes: Axes, index: Indices, valid: Mask | None, *, negative_is_missing: bool) -> Selection:
    """Take, for each index, that item of the list of own axis ``at`` that the index lies in."""
    lists = axes[at]
    counts, starts = lists.counts, lists.starts
    if len(index_axes) > at:
        own = Lists(composed(index_axes[at:])) if len(index_axes) > at + 1 else index_axes[at]
        counts, starts = counts.take(own.parents), starts.take(own.parents)
    index = index.astype(np.int64, copy=False)
    present = index < counts
    if negative_is_missing:
        present &= index >= 0
    else:
        present &= index >= -counts
        index = np.where(index < 0, index + counts, index)
    if valid is not None:
        present &= valid
    within = take(axes[at + 1 :], starts + index, None if present.all() else present)
    return Selection((*index_axes, *within.axes), within.index, within.present)


def flattened(axes: Axes) -> Axes:
    """Join the two innermost axes."""
    return (*axes[:-2], Lists(composed(axes[-2:])))
