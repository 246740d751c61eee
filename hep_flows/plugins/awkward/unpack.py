"""From an awkward array to flat items and the lists that they are nested in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.types import Record, String
from hep_flows.plugins.awkward.values import Lists, Selection, dtype_of, items_at, texts

if TYPE_CHECKING:
    from hep_flows.expr.types import Item
    from hep_flows.plugins.awkward.values import Mask

Unpacked = tuple[tuple[Lists, ...], Any, "Mask | None"]


def unpacked(array: Any, depth: int, item: Item) -> Unpacked:
    """Give the list axes, the flat items and where they are valid.

    Parameters
    ----------
    array : ak.Array
        Events, and inside them ``depth`` list axes.
    depth : int
        The number of list axes to take off.
    item : Item
        The kind of one item; of a `Record` only the structure is kept.

    Raises
    ------
    TaskError
        When the array is nested in another way, or a whole list is missing.
    """
    layout = array.layout if isinstance(array, ak.Array) else ak.to_layout(array)
    axes: list[Lists] = []
    for _ in range(depth):
        layout = _without_option(layout)
        if layout.is_unknown:
            axes.append(Lists(np.zeros(1, dtype=np.int64)))
            continue
        if not layout.is_list or layout.parameter("__array__") in {"string", "bytestring"}:
            raise TaskError(f"{depth} list axes were expected, and the array has {len(axes)}: {layout.form.type}")
        layout = layout.to_ListOffsetArray64(True)
        offsets = np.asarray(layout.offsets.data)
        axes.append(Lists(offsets))
        layout = layout.content[: int(offsets[-1])]
    data, valid = _items(layout, item)
    return tuple(axes), data, valid


def _without_option(layout: Any) -> Any:
    if layout.is_option:
        if not layout.mask_as_bool(valid_when=True).all():
            raise TaskError("a whole list is missing", why="lists may be empty, and only their items may be missing")
        return _without_option(layout.project())
    if layout.is_indexed:
        return _without_option(layout.project())
    return layout


def _items(layout: Any, item: Item) -> tuple[Any, Mask | None]:
    if layout.is_option:
        option = layout.to_IndexedOptionArray64()
        index = np.asarray(option.index.data)
        valid = index >= 0
        data, inner = _items(option.content, item)
        size = option.content.length
        if valid.all():
            return items_at(data, inner, Selection((), index), size)
        return items_at(data, inner, Selection((), np.where(valid, index, 0), valid), size)
    if layout.is_indexed:
        return _items(layout.project(), item)
    if isinstance(item, Record):
        return None, None
    if isinstance(item, String):
        return (texts([]) if layout.is_unknown else ak.Array(layout)), None
    dtype = dtype_of(item)
    if layout.is_unknown:
        return np.zeros(0, dtype=dtype), None
    if not layout.is_numpy or layout.purelist_depth != 1:
        raise TaskError(f"one {item} for each item was expected, and the array holds {layout.form.type}")
    return np.asarray(layout.data).astype(dtype, copy=False), None
