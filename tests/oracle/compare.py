"""Equality of values as plain Python data: nesting and kinds exactly, floats within what rounding may change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_DIGITS = {"float16": 5e-3, "float32": 1e-4}


def differences(got: Any, expected: Any, *, exact: bool, kinds: bool = True, path: str = "") -> list[str]:
    """Give where two values differ, as text.

    Parameters
    ----------
    got, expected : nested lists and dicts of bool, str, None and numpy scalars
        Plain Python numbers are good where numpy's are expected.
    kinds : bool
        Whether 1 and 1.0 differ.
    exact : bool
        Whether floats must be equal to the last bit; else those of sums and transcendental functions may differ a little.
    """
    if isinstance(expected, list) and isinstance(got, list):
        if len(got) != len(expected):
            return [f"{path}: {len(got)} entries instead of {len(expected)}"]
        pairs = enumerate(zip(got, expected, strict=True))
        return [d for i, (g, e) in pairs for d in differences(g, e, exact=exact, kinds=kinds, path=f"{path}[{i}]")]
    if isinstance(expected, dict) and isinstance(got, dict):
        if got.keys() != expected.keys():
            return [f"{path}: members {list(got)} instead of {list(expected)}"]
        return [d for k in expected for d in differences(got[k], expected[k], exact=exact, kinds=kinds, path=f"{path}.{k}")]
    return [] if _same(got, expected, exact, kinds) else [f"{path}: {got!r} instead of {expected!r}"]


def _same(got: Any, expected: Any, exact: bool, kinds: bool) -> bool:
    if expected is None or got is None:
        return expected is got
    if isinstance(expected, bool | str) or isinstance(got, bool | str | list | dict):
        return type(got) is type(expected) and got == expected
    of_float = [isinstance(x, float | np.floating) for x in (got, expected)]
    if not any(of_float):
        return int(got) == int(expected)
    if kinds and not all(of_float):
        return False
    g, e = float(got), float(expected)
    if math.isnan(e) or math.isinf(e) or exact:
        return g == e or (math.isnan(g) and math.isnan(e))
    digits = _DIGITS.get(str(getattr(expected, "dtype", "")), 1e-9)
    return math.isclose(g, e, rel_tol=digits, abs_tol=100 * digits)
