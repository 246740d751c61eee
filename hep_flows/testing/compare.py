"""Say where two results differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hep_flows.plugin import Columns, HistogramResult

if TYPE_CHECKING:
    from hep_flows.plugin import Result


def difference(got: Result, expected: Result, relative: float) -> str:
    """Give the first difference between two results as text, or nothing where there is none.

    Parameters
    ----------
    got, expected : Result
        Columns, a scalar or a histogram.
    relative : float
        By what part floats may differ; zero: by no bit.
    """
    if type(got) is not type(expected):
        return f"{type(got).__name__} instead of {type(expected).__name__}"
    return values_differ(plain(got), plain(expected), relative)


def plain(result: Result) -> Any:
    """Give a result as lists, dicts and plain Python values."""
    if isinstance(result, Columns):
        import awkward as ak

        return ak.to_list(result.array)
    if isinstance(result, HistogramResult):
        return _plain_histogram(result.histogram)
    return result.value


def _plain_histogram(histogram: Any) -> Any:
    if isinstance(histogram, tuple):
        return [part.tolist() for part in histogram]
    view = histogram.view(flow=True)
    parts = [view[n].tolist() for n in view.dtype.names] if view.dtype.names else [view.tolist()]
    return {"axes": [str(a) for a in histogram.axes], "storage": str(histogram.storage_type), "contents": parts}


def values_differ(got: Any, expected: Any, relative: float, path: str = "") -> str:
    """Give the first difference between two nested plain values as text."""
    if isinstance(expected, list) and isinstance(got, list):
        if len(got) != len(expected):
            return f"{path or 'it'} has {len(got)} entries instead of {len(expected)}"
        parts = enumerate(zip(got, expected, strict=True))
        return next((d for i, (g, e) in parts if (d := values_differ(g, e, relative, f"{path}[{i}]"))), "")
    if isinstance(expected, dict) and isinstance(got, dict):
        if list(got) != list(expected):
            return f"{path or 'it'} has {list(got)} instead of {list(expected)}"
        return next((d for k in expected if (d := values_differ(got[k], expected[k], relative, f"{path}.{k}"))), "")
    return "" if _same(got, expected, relative) else f"{path or 'it'} is {got!r} instead of {expected!r}"


def _same(got: Any, expected: Any, relative: float) -> bool:
    if type(got) is not type(expected):
        return False
    if isinstance(expected, float) and not (math.isnan(expected) or got == expected):
        return math.isclose(got, expected, rel_tol=relative, abs_tol=0.0)
    return bool(got == expected) or (isinstance(expected, float) and math.isnan(expected) and math.isnan(got))
