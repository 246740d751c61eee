"""Equality of results: nesting, kinds of items, missing values and values."""

from __future__ import annotations

import math
from typing import Any

import awkward as ak
import numpy as np


def assert_same(got: Any, want: Any, rel: float = 0.0) -> None:
    """Compare containers, arrays, histograms and numbers; floats to the last bit unless ``rel`` is given."""
    if isinstance(want, dict):
        assert isinstance(got, dict)
        assert list(got) == list(want)
        for key in want:
            assert_same(got[key], want[key], rel)
    elif isinstance(want, list | tuple):
        assert type(got) is type(want)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert_same(g, w, rel)
    elif isinstance(want, ak.Array | ak.Record | np.ndarray):
        assert isinstance(got, type(want)), f"{type(got)} instead of {type(want)}"
        assert kind(got) == kind(want)
        _assert_values(got.tolist(), want.tolist(), rel, "")
    elif hasattr(want, "axes") and hasattr(want, "view"):
        assert_same_histogram(got, want, rel)
    else:
        assert not isinstance(got, ak.Array | np.ndarray), f"{got!r} is no single value"
        _assert_values(_python(got), _python(want), rel, "")


def assert_same_histogram(got: Any, want: Any, rel: float = 0.0) -> None:
    """Compare histograms of hist: axes with names, storage, contents with under- and overflow."""
    assert [a.name for a in got.axes] == [a.name for a in want.axes]
    for g, w in zip(got.axes, want.axes, strict=True):
        assert g == w, f"{g} instead of {w}"
    assert got.storage_type is want.storage_type
    mine, theirs = got.view(flow=True), want.view(flow=True)
    for field in theirs.dtype.names or ("",):
        a, b = (mine[field], theirs[field]) if field else (mine, theirs)
        np.testing.assert_allclose(a, b, rtol=rel or 1e-12, atol=0)


def kind(array: Any) -> str:
    """Give nesting and item types; whether an entry may be missing is seen in the values."""
    if isinstance(array, np.ndarray):
        return f"numpy {array.dtype}"
    if isinstance(array, ak.Record):
        return f"one {_form(array.layout.array.form)}"
    return _form(array.layout.form)


def _form(form: Any) -> str:
    if form.parameter("__array__") in {"string", "bytestring"}:
        return "text"
    if form.is_option or form.is_indexed:
        return _form(form.content)
    if form.is_list:
        return f"[{_form(form.content)}]"
    if form.is_record:
        return "{" + ", ".join(f"{f}: {_form(form.content(f))}" for f in form.fields) + "}"
    if form.is_numpy:
        return str(form.primitive)
    return type(form).__name__


def wide_sum(array: Any, axis: int) -> Any:
    """Give sums of floats as the language has them: in 64 bits."""
    return ak.sum(ak.values_astype(array, "float64"), axis=axis)


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _assert_values(got: Any, want: Any, rel: float, path: str) -> None:
    if isinstance(want, list):
        assert isinstance(got, list), f"{path}: {got!r:.100} instead of a list"
        assert len(got) == len(want), f"{path}: {len(got)} entries instead of {len(want)}"
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            _assert_values(g, w, rel, f"{path}[{i}]")
    elif isinstance(want, dict):
        assert isinstance(got, dict), path
        assert list(got) == list(want), path
        for k in want:
            _assert_values(got[k], want[k], rel, f"{path}.{k}")
    elif isinstance(want, float) and isinstance(got, float):
        same = got == want or (math.isnan(got) and math.isnan(want)) or math.isclose(got, want, rel_tol=rel, abs_tol=rel)
        assert same, f"{path}: {got!r} instead of {want!r}"
    else:
        assert type(got) is type(want), f"{path}: {got!r:.100} instead of {want!r:.100}"
        assert got == want, f"{path}: {got!r} instead of {want!r}"
