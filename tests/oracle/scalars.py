"""What each function of the table does to single values: numpy scalars of the declared widths, one element at a time."""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.expr.types import Bool, Float, Int, Item, String

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
_LOGICAL: dict[str, Callable[[bool, bool], bool]] = {
    "logical_and": lambda a, b: a and b,
    "logical_or": lambda a, b: a or b,
    "logical_xor": operator.ne,
}
_ANGLES = {"delta_phi", "delta_r"}
_ASKS = {"isnan", "isfinite", "isinf", "signbit"}


def cast(value: Any, item: Item) -> Any:
    """Give the value as a scalar of exactly that kind."""
    if value is None or isinstance(item, String):
        return value
    if isinstance(item, Bool):
        return bool(value)
    if isinstance(item, Float | Int):
        with np.errstate(all="ignore"):
            return np.dtype(str(item)).type(value)
    return value


def in_arithmetic(values: Sequence[Any]) -> list[Any]:
    """Give small integers and truth values in 32 bits, as a physicist's counts and flags are in arithmetic."""
    has_float = any(np.asarray(v).dtype.kind == "f" for v in values)
    small = ("bool", "int8", "int16", "uint8", "uint16")
    kept = [not isinstance(v, np.ndarray) or v.dtype.name not in small or (has_float and v.dtype == bool) for v in values]
    return [v if k else v.astype("int32") for v, k in zip(values, kept, strict=True)]


def elementwise(name: str, args: Sequence[Any], weak: Sequence[bool], item: Item, options: Mapping[str, Any]) -> Any:
    """Give one value of an elementwise function; None is a missing value."""
    if name == "is_none":
        return args[0] is None
    if name == "fill_none":
        return cast(args[1] if args[0] is None else args[0], item)
    if name == "where":
        return None if args[0] is None else cast(args[1] if args[0] else args[2], item)
    if any(a is None for a in args):
        return None
    with np.errstate(all="ignore"):
        return cast(_present(name, args, weak, item, options), item)


def _present(name: str, args: Sequence[Any], weak: Sequence[bool], item: Item, options: Mapping[str, Any]) -> Any:  # noqa: C901, PLR0911 - one line for each function
    if name in _COMPARISONS:
        return _COMPARISONS[name](*[a if w or isinstance(a, str) else np.asarray(a)[()] for a, w in zip(args, weak, strict=True)])
    if name in _LOGICAL:
        return _LOGICAL[name](bool(args[0]), bool(args[1]))
    if name == "logical_not":
        return not args[0]
    if name in _ANGLES:
        return _angle(name, [float(a) for a in args])
    if name == "isin":
        return any(args[0] == v for v in _values(options))
    if name in _ASKS:
        return getattr(np, name)(args[0])
    if name == "interp":
        return np.interp(float(args[0]), options["xp"], options["fp"])
    if name == "searchsorted":
        beside = operator.le if options["side"] == "right" else operator.lt
        return len(options["edges"]) if np.isnan(args[0]) else sum(beside(e, args[0]) for e in options["edges"])
    if name == "astype":
        return args[0]
    typed = [cast(a, item) for a in args]
    if name == "nan_to_num":
        return np.nan_to_num(typed[0], **options)
    if name == "round":
        return np.round(typed[0], int(options.get("decimals", 0)))
    return getattr(np, name)(*[np.asarray(t)[()] for t in typed])


def _values(options: Mapping[str, Any]) -> Sequence[Any]:
    (values,) = options.values()
    return values if isinstance(values, tuple) else (values,)


def _angle(name: str, args: list[float]) -> float:
    """Angles in double precision, whatever the width of the arguments: the caller compares within a tolerance."""
    if name == "delta_phi":
        return _wrapped(args[0] - args[1])
    eta1, phi1, eta2, phi2 = args
    return math.hypot(eta1 - eta2, _wrapped(phi1 - phi2))


def _wrapped(angle: float) -> float:
    if not math.isfinite(angle):
        return math.nan
    angle = math.remainder(angle, 2 * math.pi)
    return -math.pi if angle == math.pi else angle


def reduced(name: str, values: Sequence[Any], item: Item, options: Mapping[str, Any] | None = None) -> Any:  # noqa: PLR0911 - one for each function
    """Give the aggregate of one list; only a count counts missing entries."""
    if name == "count":
        return cast(len(values), item)
    present = [v for v in values if v is not None]
    if name in {"argmax", "argmin"}:
        numbers = [v for v in present if not np.isnan(v)]
        best = (max if name == "argmax" else min)(numbers, default=None)
        return None if best is None else cast(next(i for i, v in enumerate(values) if v is not None and v == best), item)
    if name in {"max", "min"}:  # What is no number counts as missing.
        present = [v for v in present if not np.isnan(v)]
    if name in {"any", "all"}:
        return any(bool(v) for v in present) if name == "any" else all(bool(v) for v in present)
    if name in {"max", "min", "mean", "std", "var", "median", "quantile"} and not present:
        return None
    if name in {"max", "min"}:
        return max(present) if name == "max" else min(present)
    if name == "mean":
        return cast(_total([float(v) for v in present]) / len(present), item)
    if name in {"std", "var", "median"}:
        with np.errstate(all="ignore"):
            return getattr(np, name)([float(v) for v in present])
    if name == "quantile":
        with np.errstate(all="ignore"):
            return np.quantile([float(v) for v in present], (options or {})["q"])
    return cast(_accumulated(name, present, item), item)


def listed(name: str, values: Sequence[Any], item: Item, options: Mapping[str, Any]) -> list[Any]:
    """Give the list that a function gives for one list."""
    places = range(len(values))
    known = [i for i in places if values[i] is not None and not np.isnan(values[i])] if name in {"rank", "argsort"} else []
    match name:
        case "index":
            return [cast(i, item) for i in places]
        case "argcombinations":
            return [cast(group[options["which"]], item) for group in itertools.combinations(places, options["n"])]
        case "argpad":
            return [cast(i, item) for i in range(options["n"] if options["clip"] else max(options["n"], len(values)))]
        case "cumsum":
            so_far = [[v for v in values[: i + 1] if v is not None] for i in places]
            totals = [_accumulated("sum", s, item) if isinstance(item, Int) else sum(float(v) for v in s) for s in so_far]
            return [None if values[i] is None else cast(totals[i], item) for i in places]
        case "unique":
            present = [v for v in values if v is not None]
            numbers = [v for v in present if not np.isnan(v)]
            return sorted(set(numbers)) + [v for v in present if np.isnan(v)][:1]
        case "rank":
            ascending = sorted(known, key=lambda i: values[i])
            return [cast(ascending.index(i), item) if i in known else None for i in places]
        case "argsort":
            ordered = sorted(known, key=lambda i: float(values[i]) * (-1 if options["descending"] else 1))
            return [cast(i, item) for i in [*ordered, *[i for i in places if i not in known]]]
    raise AssertionError(name)


def _accumulated(name: str, present: Sequence[Any], item: Item) -> Any:
    if isinstance(item, Int):
        wide = math.prod(int(v) for v in present) if name == "prod" else sum(int(v) for v in present)
        return _wrapped_integer(wide, item)
    return math.prod(float(v) for v in present) if name == "prod" else _total([float(v) for v in present])


def _total(values: list[float]) -> float:
    return math.fsum(values) if all(math.isfinite(v) for v in values) else sum(values)


def _wrapped_integer(value: int, item: Int) -> int:
    """Wrap a whole number as the machine's arithmetic does."""
    value %= 1 << item.bits
    return value - (1 << item.bits) if item.signed and value >= 1 << (item.bits - 1) else value
