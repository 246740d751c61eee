"""Users' functions that are known by name, so that they need no body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hep_flows.expr.functions import UserFunction


def known_as(function: UserFunction) -> str:
    """Give the function of the table that a user's function stands for, empty when there is none."""
    return "delta_r" if function.name == "DeltaR" and len(function.parameters) == 4 else ""


def is_known(function: UserFunction) -> bool:
    """Say whether the function can be computed without a body of its own."""
    return bool(known_as(function))
