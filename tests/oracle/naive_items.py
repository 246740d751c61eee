"""Single values in the naive frames: numpy scalars that follow numpy's own promotion, dicts for objects, None for what is missing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.expr.functions import WIDENING
from hep_flows.expr.types import Record, String
from oracle.scalars import cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.types import Item, Member


def item_of(item: Item, value: Any) -> Any:
    """Give a stored value with numbers of the declared width."""
    if isinstance(item, Record):
        return {name: _member_of(m, value[name], len(m.axes)) for name, m in item.members.items()}
    return cast(value, item)


def _member_of(member: Member, value: Any, depth: int) -> Any:
    return [_member_of(member, v, depth - 1) for v in value] if depth else item_of(member.item, value)


def prototype(item: Item) -> Any:
    """Give an object with one element in each list."""
    if isinstance(item, Record):
        return {name: _wrapped(prototype(m.item), len(m.axes)) for name, m in item.members.items()}
    return "" if isinstance(item, String) else cast(1, item)


def _wrapped(value: Any, depth: int) -> Any:
    return [_wrapped(value, depth - 1)] if depth else value


VECTOR = ("px", "py", "pz")


def is_known(number: Any) -> bool:
    """Say whether a number is one that can be put in order: neither missing nor nan."""
    return number is not None and not np.isnan(number)


def vector_sum(*objects: dict[str, Any]) -> dict[str, Any]:
    """Give the momentum of the sum of objects with pt, eta and phi, in double precision."""
    px, py, pz = (
        sum(float(o["pt"]) * f(o) for o in objects)
        for f in (
            lambda o: np.cos(float(o["phi"])),
            lambda o: np.sin(float(o["phi"])),
            lambda o: np.sinh(float(o["eta"])),
        )
    )
    return {"px": np.float64(px), "py": np.float64(py), "pz": np.float64(pz), "pt": np.float64(math.hypot(px, py))}


def applied(name: str | Callable[..., Any], items: Sequence[Any]) -> Any:
    """Give a function of single values; plain Python numbers adapt to numpy's."""
    if name == "where":
        return _chosen(*items)
    if any(i is None for i in items):
        return None
    if callable(name):
        return np.float64(name(*items))
    if all(isinstance(i, dict) for i in items):
        assert name == "add", "only sums of objects are known here"
        with np.errstate(all="ignore"):
            return vector_sum(*items)
    if name == "delta_r":
        eta1, phi1, eta2, phi2 = map(float, items)
        turn = phi1 - phi2
        return np.float64(math.hypot(eta1 - eta2, math.remainder(turn, 2 * math.pi) if math.isfinite(turn) else math.nan))
    if all(isinstance(i, str) for i in items):
        return (items[0] == items[1]) == (name == "equal")
    if name in WIDENING:
        # Small numbers are 32 bits wide; a truth value beside a float need not be.
        has_float = any(isinstance(i, float | np.floating) for i in items)
        items = [_wide(i, has_float=has_float) for i in items]
    with np.errstate(all="ignore"):
        return _plain(getattr(np, name)(*[np.bool_(i) if isinstance(i, bool) else i for i in items]))


def _wide(value: Any, *, has_float: bool) -> Any:
    if isinstance(value, bool):
        return value if has_float else np.int32(value)
    return np.int32(value) if isinstance(value, np.integer) and value.itemsize < 4 else value


def _chosen(condition: Any, yes: Any, no: Any) -> Any:
    if condition is None:
        return None
    found, other = (yes, no) if condition else (no, yes)
    if found is None or other is None or isinstance(found, str | bool):
        return found
    return np.result_type(found, other).type(found) if isinstance(found, np.generic) or isinstance(other, np.generic) else found


def _plain(value: Any) -> Any:
    return bool(value) if isinstance(value, np.bool_) else value


def aggregate(name: str, values: Sequence[Any]) -> Any:  # noqa: PLR0911 - one for each function
    """Give the aggregate of one list; a sum of nothing is a plain 0, whose kind only the schema would tell."""
    if name == "count":
        return np.int64(len(values))
    present = [v for v in values if v is not None]
    match name:
        case "any":
            return any(present)
        case "all":
            return all(present)
        case "max" | "min":
            known = [v for v in present if not np.isnan(v)]
            return (max(known) if name == "max" else min(known)) if known else None
        case "argmax" | "argmin":
            best = (max if name == "argmax" else min)([v for v in present if is_known(v)], default=None)
            return None if best is None else np.int64(next(i for i, v in enumerate(values) if v is not None and v == best))
        case "mean":
            kind = type(present[0]) if present and isinstance(present[0], np.floating) else np.float64
            return kind(math.fsum(float(v) for v in present) / len(present)) if present else None
    if not present:
        return 0 if name == "sum" else 1
    if isinstance(present[0], np.floating):
        total = math.fsum(float(v) for v in present) if name == "sum" else math.prod(float(v) for v in present)
        return type(present[0])(total)
    whole = sum(int(v) for v in present) if name == "sum" else math.prod(int(v) for v in present)
    return np.int64((whole + 2**63) % 2**64 - 2**63)
