"""The functions of arrays that generated queries call, on flat arrays instead of awkward's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.index import Index64

from hep_flows.plugins.servicex.flat_arrays import (
    Array,
    Items,
    NotFlatError,
    Objects,
    check_same,
    elements,
    length,
    offsets_of,
    spread,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def flat_functions() -> SimpleNamespace:
    """Give what stands in the place of awkward: each function has the name and the parameters of awkward's."""
    reducers = {name: _reducer(name) for name in ("sum", "min", "max", "any", "all")}
    return SimpleNamespace(Array=Array, num=_num, where=_where, zip=_zip, cartesian=_cartesian, unzip=_unzip, **reducers)


def _num(array: Array, axis: int) -> Items:
    if not 0 < axis <= len(array.axes_):
        raise NotFlatError(f"no axis {axis}")
    return Items(array.axes_[: axis - 1], np.diff(array.axes_[axis - 1]))


def _where(condition: Any, first: Any, second: Any) -> Items:
    if not isinstance(condition, Array):
        raise NotFlatError("a choice that is the same for all")
    axes, values = together((condition, first, second))
    # The common type of two values is awkward's to say, on flat arrays as on others.
    return Items(axes, _numbers(ak.where(*[ak.Array(NumpyArray(v)) if isinstance(v, np.ndarray) else v for v in values])))


def _zip(arrays: Mapping[str, Any], depth_limit: int | None = None) -> Objects:
    """Put values together as the members of objects, below so many axes as the limit says."""
    if not all([isinstance(a, Array) for a in arrays.values()]) or (depth_limit is None and len(arrays) > 1):
        raise NotFlatError("values of unknown depth")
    level = len(next(iter(arrays.values())).axes_) if depth_limit is None else depth_limit - 1
    axes = next((a.axes_[:level] for a in arrays.values() if len(a.axes_) >= level), None)
    if axes is None:
        raise NotFlatError(f"no lists at depth {depth_limit}")
    members = {name: _beside(array, axes) for name, array in arrays.items()}
    if len({length(m, level) for m in members.values()}) > 1:
        raise NotFlatError("values of different numbers of events")
    return Objects(axes, {n: lambda m=m: m for n, m in members.items()})  # type: ignore[misc]


def _beside(array: Array, axes: tuple[Any, ...]) -> Array:
    if len(array.axes_) < len(axes):
        return spread(array, axes)
    check_same(array.axes_[: len(axes)], axes)
    return array


def _cartesian(arrays: Sequence[Array], *, axis: int, nested: bool) -> tuple[Array, Array]:
    """Give the pairs of the elements of two lists, in a list for each element of the first: its value, and the other's."""
    if not nested or len(arrays) != 2 or not 0 < axis <= min([len(a.axes_) for a in arrays]):
        raise NotFlatError("pairs of other lists")
    left, right = arrays
    check_same(left.axes_[: axis - 1], right.axes_[: axis - 1])
    lefts, rights = left.axes_[axis - 1], right.axes_[axis - 1]
    if len(lefts) != len(rights):
        raise NotFlatError("pairs of lists of different numbers of events")
    n_lefts = np.diff(lefts)
    n_pairs = np.repeat(np.diff(rights), n_lefts)
    pairs = offsets_of(n_pairs)
    first = np.repeat(np.arange(lefts[-1]), n_pairs)
    second = np.arange(pairs[-1]) + np.repeat(np.repeat(rights[:-1], n_lefts) - pairs[:-1], n_pairs)
    axes = (*left.axes_[:axis], pairs)
    return elements(left, axis, first, axes), elements(right, axis, second, axes)


def _unzip(pairs: tuple[Array, Array]) -> tuple[Array, Array]:
    return pairs


def _reducer(name: str) -> Callable[..., Items]:
    def reduced(array: Any, axis: int) -> Items:
        if not isinstance(array, Items) or axis != len(array.axes_) or not isinstance(array.data_, np.ndarray):
            raise NotFlatError(f"{name} of something else than lists of numbers")
        lists = ak.Array(ListOffsetArray(Index64(array.axes_[-1]), NumpyArray(array.data_)))
        return Items(array.axes_[:-1], _numbers(getattr(ak, name)(lists, axis=1)))

    return reduced


def _numbers(array: ak.Array) -> Any:
    """Give a numpy array where no item may be missing."""
    return np.asarray(array.layout.data) if array.layout.is_numpy else array
