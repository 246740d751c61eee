"""The columns of a query, and what arrays they make: a value that may be missing is two columns, the value and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.expr.types import Bool, Float

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.types import Item


@dataclass(frozen=True, slots=True)
class Output:
    """A result that columns of a query make.

    Parameters
    ----------
    column : str
        The column with the values.
    there : str
        The column that says where there are any; empty where all are there.
    item : Item
        What the values are. C++ may deliver them in a wider type; the conversion is exact.
    depth : int
        How many levels of lists there are in an event.
    """

    column: str
    there: str
    item: Item
    depth: int


@dataclass(frozen=True, slots=True)
class RecordOutput:
    """A result whose items are records; each member has the depth of the record, or is a list in it."""

    members: tuple[tuple[str, Output], ...]
    depth: int


def array_of(output: Output | RecordOutput, columns: Mapping[str, Any]) -> Any:
    """Give the awkward array of a result, in exactly the type of its items."""
    import awkward as ak

    if isinstance(output, RecordOutput):
        parts = {name: array_of(o, columns) for name, o in output.members}
        deepest = next(n for n, o in output.members if o.depth >= output.depth)
        shape = parts[deepest]
        filled = {n: ak.broadcast_arrays(p, shape, depth_limit=output.depth + 1)[0] for n, p in parts.items()}
        return ak.zip(filled, depth_limit=output.depth + 1)
    values = _typed(columns[output.column], output.item)
    if not output.there:
        return values
    return _missing(values, columns[output.there])


def _typed(array: Any, item: Item) -> Any:
    import awkward as ak
    import numpy as np

    name = "bool" if isinstance(item, Bool) else str(item)
    found = ak.to_packed(ak.drop_none(array) if False else array)
    if isinstance(item, Float):
        return ak.values_astype(found, np.dtype(name))
    return ak.values_astype(found, np.dtype(name))


def _missing(values: Any, there: Any) -> Any:
    import awkward as ak

    def mask(layouts: Any, **_: Any) -> Any:
        of, kept = layouts
        if not of.is_numpy:
            return None
        return (ak.contents.ByteMaskedArray(ak.index.Index8(kept.data.astype("int8")), of, valid_when=True),)

    return ak.transform(mask, values, there)
