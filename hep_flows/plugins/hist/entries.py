"""From a nested record array to flat columns of complete entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Column = npt.NDArray[Any]


def entries(array: ak.Array, names: tuple[str, ...]) -> dict[str, Column]:
    """Give the members of every record, in order, without those records of which any member is missing.

    Parameters
    ----------
    array : ak.Array
        Records, nested or not; whole lists and whole records may be missing too.
    names : tuple of str
        The members.
    """
    flat = _flat(array, names)
    columns = [flat[n] for n in names]
    present: Any = None
    for column in columns:
        if isinstance(column.type.content, ak.types.OptionType):
            here = ~ak.to_numpy(ak.is_none(column))
            present = here if present is None else present & here
    if present is not None and not present.all():
        columns = [c[present] for c in columns]
    return {n: _column(c) for n, c in zip(names, columns, strict=True)}


def _flat(array: ak.Array, names: tuple[str, ...]) -> ak.Array:
    if any(array[n].ndim > array.ndim for n in names):
        array = ak.zip({n: array[n] for n in names})
    while array.ndim > 1:
        array = ak.flatten(array, axis=1)
    return ak.drop_none(array, axis=0)


def _column(values: ak.Array) -> Column:
    if not len(values):
        return np.array([], dtype=_dtype(values))
    plain: Column = np.asarray(ak.to_numpy(ak.drop_none(values, axis=0)))
    return plain


def _dtype(values: ak.Array) -> Any:
    """Give the type of no values: text where strings were to come, floats where nothing is known."""
    content = values.type.content
    if isinstance(content, ak.types.OptionType):
        content = content.content
    if isinstance(content, ak.types.ListType):
        return "<U1"
    return content.primitive if isinstance(content, ak.types.NumpyType) else "float64"
