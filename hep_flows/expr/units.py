"""Units: carried by the schema, kept by operations that keep them, never converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.types import Type

_KEEPS = frozenset(
    "add subtract maximum minimum fmax fmin hypot negative positive absolute fabs floor ceil trunc rint round "
    "where fill_none copysign remainder fmod".split()
)
_COMPARES = frozenset("equal not_equal less less_equal greater greater_equal".split())


def unit_of_result(name: str, types: Sequence[Type]) -> str:
    """Give the unit of a function's result; empty when it is not one of its arguments' units."""
    if name not in _KEEPS:
        return ""
    units = {t.unit for t in types if t.unit}
    return units.pop() if len(units) == 1 else ""


def mixed_units(name: str, types: Sequence[Type]) -> tuple[str, str] | None:
    """Give two different units that an operation adds or compares, if it does."""
    if name not in _KEEPS and name not in _COMPARES:
        return None
    units = sorted({t.unit for t in types if t.unit})
    return (units[0], units[1]) if len(units) > 1 else None
