"""What filters, picks, slices and broadcasting do to nested Python lists, where None is a missing value. Lists are never missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class DifferentLengthsError(AssertionError):
    """Lists that an expression combines element by element have different lengths."""


def deep(value: Any, depth: int, f: Callable[[Any], Any]) -> Any:
    """Apply ``f`` that many lists down."""
    return f(value) if depth <= 0 else [deep(v, depth - 1, f) for v in value]


def broadcast(f: Callable[..., Any], values: Sequence[Any], depths: Sequence[int]) -> Any:
    """Apply ``f`` element by element, repeating the shallower values along the lists of the deeper ones."""
    if not any(depths):
        return f(*values)
    lengths = {len(v) for v, d in zip(values, depths, strict=True) if d}
    if len(lengths) > 1:
        raise DifferentLengthsError(f"lists of {lengths} entries meet")
    below = [max(d - 1, 0) for d in depths]
    return [broadcast(f, [v[k] if d else v for v, d in zip(values, depths, strict=True)], below) for k in range(lengths.pop())]


def masked(value: Any, mask: Any, at: int, mask_depth: int) -> Any:
    """Keep the entries of the list ``at`` levels down where the mask, repeated along deeper lists, is true."""
    if mask_depth and len(mask) != len(value):
        raise DifferentLengthsError(f"a mask of {len(mask)} entries for {len(value)}")
    masks = mask if mask_depth else [mask] * len(value)
    if at > 1:
        return [masked(v, m, at - 1, max(mask_depth - 1, 0)) for v, m in zip(value, masks, strict=True)]
    return [v for v, m in zip(value, masks, strict=True) if m is True]


def picked(values: Sequence[Any], index: int | None, absent: Any = None) -> Any:
    """Give one entry, from the end for negative numbers, and ``absent`` where there is none."""
    return values[index] if index is not None and -len(values) <= index < len(values) else absent


def sliced(values: list[Any], bounds: slice) -> Any:
    """Give a Python slice of a list."""
    return values[bounds]


def gathered(values: Sequence[Any], index: Any, depth: int, absent: Any = None) -> Any:
    """Give the entry that each integer stands for; a missing one and a negative one stand for none."""
    if depth:
        return [gathered(values, k, depth - 1, absent) for k in index]
    if index is None or index < 0:
        return absent
    return picked(values, int(index), absent)


def referring(index: Sequence[Any]) -> list[list[int]]:
    """Give, for each entry, the positions of those that refer to it."""
    return [[np.int64(k) for k, i in enumerate(index) if i is not None and i == n] for n in range(len(index))]


def flattened(lists: Sequence[list[Any]]) -> Any:
    """Give the entries of a list of lists as one list."""
    return [v for inner in lists for v in inner]
