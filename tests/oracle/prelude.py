"""What the drawn analyses may use besides ``df`` and ``np``, for recorded and for naive frames."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from hep_flows import alias_scope, curry, define_alias, user_func
from hep_flows.record.operands import UnsignedArithmetic
from hep_flows.record.sources import frame_of
from oracle.naive import Naive, lifted


def near(objects, x):
    return objects[abs(objects.eta - x.eta) < 2]


def affine(x: float, y: float) -> float:
    return 2 * x + y


def run_naive(program: str, table: Any) -> dict[str, Any]:
    """Give what an analysis names, computed at once."""
    df = Naive.of(table)

    def alias(base: str, name: str, definition: Any) -> None:
        df.shared.aliases[name] = definition

    return _run(program, df, affine=lifted(affine), define_alias=alias)


def record(program: str, table: Any) -> dict[str, Any]:
    """Give what an analysis names, recorded."""
    dataset = table.dataset
    # Arithmetic of unsigned numbers that may wrap is drawn too; it warns.
    with alias_scope(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsignedArithmetic)
        return _run(program, frame_of(dataset), affine=user_func(affine), define_alias=define_alias)


def recorded(frame: Any) -> Any:
    """Give the expression as it was recorded, before it is normalised: `render` gives the normal form."""
    return frame._expr


def _run(program: str, df: Any, **names: Any) -> dict[str, Any]:
    everything = {"df": df, "np": np, "near": curry(near), **names}
    exec(program, everything)
    return everything
