"""What filters, picks, slices and broadcasting do to nested Python lists, where None is a missing value or a missing list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def deep(value: Any, depth: int, f: Callable[[Any], Any]) -> Any:
    """Apply ``f`` that many lists down; a missing list on the way stays missing."""
    if depth <= 0:
        return f(value)
    return None if value is None else [deep(v, depth - 1, f) for v in value]


def broadcast(f: Callable[..., Any], values: Sequence[Any], depths: Sequence[int]) -> Any:
    """Apply ``f`` element by element, repeating the shallower values along the lists of the deeper ones."""
    if not any(depths):
        return f(*values)
    lists = [v for v, d in zip(values, depths, strict=True) if d]
    if any(v is None for v in lists):
        return None
    assert len({len(v) for v in lists}) == 1, f"lists of different lengths meet: {[len(v) for v in lists]}"
    below = [max(d - 1, 0) for d in depths]
    return [broadcast(f, [v[k] if d else v for v, d in zip(values, depths, strict=True)], below) for k in range(len(lists[0]))]


def masked(value: Any, mask: Any, at: int, mask_depth: int) -> Any:
    """Keep the entries of the list ``at`` levels down where the mask, repeated along deeper lists, is true."""
    if value is None:
        return None
    if at > 1:
        assert not mask_depth or mask is None or len(mask) == len(value), "the mask has another length"
        below = max(mask_depth - 1, 0)
        return [masked(v, mask[k] if mask_depth and mask is not None else mask, at - 1, below) for k, v in enumerate(value)]
    if not mask_depth or mask is None:
        return list(value) if mask is True else []
    assert len(mask) == len(value), "the mask has another length"
    return [v for v, m in zip(value, mask, strict=True) if m is True]


def picked(values: Sequence[Any] | None, index: int | None) -> Any:
    """Give one entry, from the end for negative numbers, and None where there is none."""
    if values is None or index is None:
        return None
    return values[index] if -len(values) <= index < len(values) else None


def sliced(values: list[Any] | None, bounds: slice) -> Any:
    """Give a Python slice of a list."""
    return None if values is None else values[bounds]


def gathered(values: Sequence[Any] | None, index: Any, depth: int, *, refers_to: bool) -> Any:
    """Give the entry that each integer stands for; a negative stored reference stands for none."""
    if index is None:
        return None
    if depth:
        return [gathered(values, k, depth - 1, refers_to=refers_to) for k in index]
    return None if refers_to and index < 0 else picked(values, int(index))


def flattened(lists: Sequence[list[Any] | None] | None) -> Any:
    """Give the entries of a list of lists as one list."""
    return None if lists is None else [v for inner in lists if inner is not None for v in inner]
