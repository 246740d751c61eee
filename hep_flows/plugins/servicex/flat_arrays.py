"""Nested lists as flat arrays: what generated queries run on in this process.

A query that filters objects and then asks for one of their leaves makes awkward build every leaf of the objects anew, and its general
selections and broadcasts look at each list. Here a list is its offsets, a number is at its place in one flat array, and the leaf of an
object is computed when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.index import Index64
from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]
    Axes = tuple[Offsets, ...]


class NotFlatError(Exception):
    """Something that flat arrays are not made for; awkward arrays are."""


class Array(NDArrayOperatorsMixin):
    """A value for each event, or for each element of lists in the events.

    Attributes end with an underscore, since all other names may be those of leaves.

    Parameters
    ----------
    axes : tuple of arrays
        The offsets of the lists, outermost first; the elements of one are the lists of the next.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes_ = axes

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Items:
        if method != "__call__" or kwargs:
            raise NotFlatError(f"{ufunc.__name__}.{method}")
        axes, values = together(inputs)
        return Items(axes, ufunc(*values))

    def __getitem__(self, key: Any) -> Any:
        mask = _mask(key)
        level = len(key.axes_)
        check_same(self.axes_[:level], key.axes_)
        kept = np.flatnonzero(mask)
        if not level:
            return elements(self, 0, kept, ())
        n_before = np.zeros(len(mask) + 1, dtype=np.int64)
        np.cumsum(mask, out=n_before[1:])
        return elements(self, level, kept, (*key.axes_[:-1], n_before[key.axes_[-1]]))


class Items(Array):
    """Numbers; ``data`` has all of them in order."""

    def __init__(self, axes: Axes, data: Any) -> None:
        super().__init__(axes)
        self.data_ = data


class Objects(Array):
    """Objects, or whole events; ``members`` gives each leaf when it is asked for."""

    def __init__(self, axes: Axes, members: Mapping[str, Callable[[], Array]]) -> None:
        super().__init__(axes)
        self.members_ = members
        self.made_: dict[str, Array] = {}

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Items:
        raise NotFlatError("objects are no numbers")

    def __getitem__(self, key: Any) -> Any:
        return self.member_(key) if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> Array:
        return self.member_(name)

    def member_(self, name: str) -> Array:
        """Give a leaf of each object, once computed."""
        if name not in self.made_:
            if name not in self.members_:
                raise NotFlatError(f"no member {name}")
            self.made_[name] = self.members_[name]()
        return self.made_[name]


def _mask(key: Any) -> NDArray[np.bool_]:
    data = key.data_ if isinstance(key, Items) else None
    if isinstance(data, ak.Array) and not ak.any(ak.is_none(data)):
        data = np.asarray(ak.drop_none(data).layout.data)
    if not isinstance(data, np.ndarray) or data.dtype != np.bool_:
        raise NotFlatError("only masks without missing values select")
    return data


def elements(value: Array, level: int, index: NDArray[np.int64], axes: Axes) -> Array:
    """Give some elements of the lists at a level, in their order, as the elements of other lists.

    Parameters
    ----------
    value : Array
        Whose.
    level : int
        How many lists are around an element; at 0 it is an event.
    index : array of int
        The numbers of the elements.
    axes : tuple of arrays
        The offsets of the lists around them.
    """
    for offsets in value.axes_[level:]:
        starts = offsets[:-1].take(index)
        counts = offsets[1:].take(index) - starts
        inner = offsets_of(counts)
        index = np.arange(inner[-1]) + np.repeat(starts - inner[:-1], counts)
        axes = (*axes, inner)
    if isinstance(value, Items):
        data = value.data_
        return Items(axes, data.take(index) if isinstance(data, np.ndarray) else data[index])
    assert isinstance(value, Objects)
    objects = value
    depth = len(objects.axes_)
    return Objects(axes, {n: lambda n=n: elements(objects.member_(n), depth, index, axes) for n in objects.members_})  # type: ignore[misc]


def together(values: Sequence[Any]) -> tuple[Axes, list[Any]]:
    """Give the deepest axes of some values, and the flat data of each for these axes; plain numbers are left as they are.

    Raises
    ------
    NotFlatError
        When lists have different lengths.
    """
    deepest: Axes = max([v.axes_ for v in values if isinstance(v, Array)], key=len, default=())
    spreaded = [spread(v, deepest) if isinstance(v, Array) else v for v in values]
    if not all([isinstance(v, Items | bool | int | float | np.generic) for v in spreaded]):
        raise NotFlatError("only numbers are computed with")
    return deepest, [v.data_ if isinstance(v, Items) else v for v in spreaded]


def spread(value: Array, axes: Axes) -> Array:
    """Repeat each value for all elements of the lists that it stands beside."""
    level = len(value.axes_)
    check_same(value.axes_, axes[:level])
    if level == len(axes):
        return value
    index = np.arange(length(value, level))
    for offsets in axes[level:]:
        if len(offsets) != len(index) + 1:
            raise NotFlatError("another number of lists")
        index = np.repeat(index, np.diff(offsets))
    return elements(value, level, index, axes)


def length(value: Array, level: int) -> int:
    """Count the elements at a level: the events at 0."""
    if len(value.axes_) > level:
        return len(value.axes_[level]) - 1
    if isinstance(value, Items):
        return len(value.data_)
    if level:
        return int(value.axes_[level - 1][-1])
    assert isinstance(value, Objects)
    return length(value.member_(next(iter(value.members_))), 0)


def offsets_of(counts: NDArray[Any]) -> Offsets:
    """Give the offsets of lists of these lengths."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def check_same(first: Axes, second: Axes) -> None:
    """Make sure that values stand in the same lists.

    Raises
    ------
    NotFlatError
        When they do not: awkward has an error for it.
    """
    same = len(first) == len(second) and all([a is b or np.array_equal(a, b) for a, b in zip(first, second, strict=True)])
    if not same:
        raise NotFlatError("lists of other lengths")


def from_awkward(array: ak.Array) -> Array:
    """Give lists of numbers and of records as flat arrays.

    Raises
    ------
    NotFlatError
        When there is anything else.
    """
    return _from_layout(array.layout, ())


def _from_layout(layout: Any, axes: Axes) -> Array:
    if layout.is_record and not layout.is_tuple:
        contents = {n: layout.content(n) for n in layout.fields}
        return Objects(axes, {n: lambda c=c: _from_layout(c, axes) for n, c in contents.items()})  # type: ignore[misc]
    if layout.is_list and not layout.is_regular and layout.parameter("__array__") is None:
        lists = layout.to_ListOffsetArray64(start_at_zero=True)
        offsets = np.asarray(lists.offsets.data)
        return _from_layout(lists.content[: int(offsets[-1])], (*axes, offsets))
    if layout.is_numpy and layout.purelist_depth == 1 and layout.parameter("__array__") is None:
        return Items(axes, np.asarray(layout.data))
    raise NotFlatError(f"{layout.form.type}")


def to_awkward(value: Array) -> ak.Array:
    """Give numbers as an awkward array.

    Raises
    ------
    NotFlatError
        When it is an array of objects.
    """
    if not isinstance(value, Items):
        raise NotFlatError("objects are delivered leaf by leaf")
    layout = NumpyArray(value.data_) if isinstance(value.data_, np.ndarray) else value.data_.layout
    for offsets in reversed(value.axes_):
        layout = ListOffsetArray(Index64(offsets), layout)
    return ak.Array(layout)
