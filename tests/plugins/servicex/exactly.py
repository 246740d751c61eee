"""Equality of arrays to the bit: type, nesting, where values are missing, and every bit of a number (all NaN are one)."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np


def exact_difference(got: ak.Array, expected: ak.Array) -> str:
    """Say in what two arrays differ, or nothing when they do not."""
    if str(got.type) != str(expected.type):
        return f"{got.type} instead of {expected.type}"
    return _layouts_differ(ak.to_layout(got), ak.to_layout(expected))


def _layouts_differ(got: Any, expected: Any) -> str:
    if expected.is_record:
        parts = [(f, _layouts_differ(got.content(f), expected.content(f))) for f in expected.fields]
        return next((f"{f}: {d}" for f, d in parts if d), "")
    if expected.is_list:
        got, expected = got.to_ListOffsetArray64(True), expected.to_ListOffsetArray64(True)
        if not np.array_equal(np.asarray(got.offsets.data), np.asarray(expected.offsets.data)):
            return f"lists of {np.diff(got.offsets.data)[:20]} instead of {np.diff(expected.offsets.data)[:20]}"
        return _layouts_differ(got.content[: got.offsets[-1]], expected.content[: expected.offsets[-1]])
    if expected.is_option:
        masks = [np.asarray(a.mask_as_bool(valid_when=True)) for a in (got, expected)]
        if not np.array_equal(*masks):
            return f"values at {masks[0][:20]} instead of {masks[1][:20]}"
        return _layouts_differ(got.project(), expected.project())
    return _numbers_differ(np.asarray(got.data), np.asarray(expected.data))


def _numbers_differ(got: np.ndarray, expected: np.ndarray) -> str:
    if got.dtype != expected.dtype or len(got) != len(expected):
        return f"{len(got)} of {got.dtype} instead of {len(expected)} of {expected.dtype}"
    same = got == expected
    if got.dtype.kind == "f":
        same = (same & (np.signbit(got) == np.signbit(expected))) | (np.isnan(got) & np.isnan(expected))
    wrong = np.flatnonzero(~same)
    return f"{got[wrong[0]]!r} instead of {expected[wrong[0]]!r} at {wrong[0]}, and {len(wrong) - 1} more" if len(wrong) else ""
