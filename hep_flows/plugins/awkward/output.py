"""From values back to awkward arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.expr.types import Record, String
from hep_flows.plugins.awkward.align import Argument, Flat, constant, spread
from hep_flows.plugins.awkward.strings import repeated
from hep_flows.plugins.awkward.values import Value, dtype_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.plugins.awkward.members import Output
    from hep_flows.plugins.awkward.values import Lists, Mask


def array_of(output: Output, values: Mapping[bytes, Argument]) -> Any:
    """Give the awkward array of a result: nested as its type says, of option type where items may be missing."""
    value = values[output.expr.key]
    assert isinstance(value, Value)
    return ak.Array(_layout(output, value, values, None))


def _layout(output: Output, value: Value, values: Mapping[bytes, Argument], around: Value | None) -> Any:
    """Give the layout of a value inside the record around it: only the axes that the record does not have."""
    if isinstance(output.expr.type.item, Record):
        contents = [_layout(m, _within(m, value, values), values, value) for m in output.members.values()]
        content: Any = ak.contents.RecordArray(contents, list(output.members), length=value.n_items)
    elif isinstance(output.expr.type.item, String):
        content = value.data.layout
    else:
        content = ak.contents.NumpyArray(np.ascontiguousarray(value.data))
    depth = 0 if around is None else len(around.axes)
    outer = around.valid if around is not None and depth == len(value.axes) else None
    return _nested(_optional(content, value.valid, outer, declared=output.optional), value.axes[depth:])


def _within(output: Output, record: Value, values: Mapping[bytes, Argument]) -> Value:
    """Give a member with all axes of the record around it; one that has fewer is repeated."""
    found = values[output.expr.key]
    item = output.expr.type.item
    if not isinstance(found, Value):
        flat = constant(found, item, record.n_items)
        return _of_constant(
            flat, record, is_text=isinstance(item, String), dtype=None if isinstance(item, String) else dtype_of(item)
        )
    if len(found.axes) >= len(record.axes):
        spread(record, found.axes)
        return found
    flat = spread(found, record.axes)
    return Value(record.frame, record.axes, flat.data, flat.valid)


def _of_constant(flat: Flat, record: Value, *, is_text: bool, dtype: Any) -> Value:
    size = record.n_items
    data = repeated(flat.data, size) if is_text else np.full(size, flat.data, dtype=dtype)
    return Value(record.frame, record.axes, data, flat.valid)


def _optional(content: Any, valid: Mask | None, outer: Mask | None, *, declared: bool) -> Any:
    """Give option type where it is declared, and wherever an item is missing of a record that is there."""
    if valid is not None and (declared or not (valid if outer is None else valid | ~outer).all()):
        return ak.contents.ByteMaskedArray.simplified(ak.index.Index8(valid.astype(np.int8)), content, valid_when=True)
    return ak.contents.UnmaskedArray.simplified(content) if declared else content


def _nested(content: Any, axes: tuple[Lists, ...]) -> Any:
    for lists in reversed(axes):
        content = ak.contents.ListOffsetArray(ak.index.Index64(lists.offsets), content)
    return content
