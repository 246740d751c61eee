"""What the drawn analyses may use besides ``df`` and ``np``, for recorded and for naive frames."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from hep_flows import Concatenate, alias_scope, curry, define_alias, user_func
from hep_flows.record.dataframe import frame_of
from hep_flows.record.operands import UnsignedArithmetic
from oracle.naive import Naive, joined, lifted, lifted_of_lists


def near(objects, x):
    return objects[abs(objects.eta - x.eta) < 2]


def affine(x: float, y: float) -> float:
    return 2 * x + y


def spread(values: list[float]) -> float:
    """Take a whole list: its length, and how its ends differ."""
    return len(values) + float(values[-1]) - float(values[0]) if len(values) else -1.0


def fickle(x: float) -> float:
    """Stand for a body that may give something else each time: it is declared so."""
    return x - 0.5


def stepped(x: float) -> float:
    """Take single values only: arrays cannot decide."""
    return x * 2 if x > 1 else -1.0


def run_naive(program: str, table: Any) -> dict[str, Any]:
    """Give what an analysis names, computed at once."""
    df = Naive.of(table)

    def alias(base: str, name: str, definition: Any) -> None:
        df.shared.aliases[name] = definition

    own = {
        "affine": lifted(affine),
        "spread": lifted_of_lists(spread),
        "stepped": lifted(stepped),
        "fickle": lifted(fickle),
        "Concatenate": joined,
    }
    return _run(program, df, define_alias=alias, **own)


def record(program: str, table: Any) -> dict[str, Any]:
    """Give what an analysis names, recorded."""
    dataset = table.dataset
    # Arithmetic of unsigned numbers that may wrap is drawn too; it warns.
    with alias_scope(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsignedArithmetic)
        own = {
            "affine": user_func(affine),
            "spread": user_func(spread),
            "stepped": user_func(stepped, single=True),
            "fickle": user_func(fickle, pure=False),
            "Concatenate": Concatenate,
        }
        return _run(program, frame_of(dataset), define_alias=define_alias, **own)


def recorded(frame: Any) -> Any:
    """Give the expression as it was recorded, before it is normalised: `render` gives the normal form."""
    return frame._expr


def _run(program: str, df: Any, **names: Any) -> dict[str, Any]:
    everything = {"df": df, "np": np, "near": curry(near), **names}
    exec(program, everything)
    return everything
