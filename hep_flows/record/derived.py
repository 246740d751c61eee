"""Leaves that the data model derives from stored ones: the kinematics of objects that store Cartesian components.

The xAOD EDM offers pt, eta, phi, m and e of truth particles as methods and computes them in double precision from the stored
px, py, pz and e (or m); so do we. The same holds for sums of four-vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.types import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.expr.nodes import Expr

    Leaf = Callable[[Expr, str], Expr | None]

_MODELS = frozenset({"xaod", "vector"})
_NEEDS = {
    "pt": ("px", "py"),
    "phi": ("px", "py"),
    "eta": ("px", "py", "pz"),
    "mass": ("px", "py", "pz", "e"),
    "m": ("px", "py", "pz", "e"),
    "e": ("px", "py", "pz", "m"),
    "energy": ("px", "py", "pz", "m"),
}


def derived_names(record: Record) -> tuple[str, ...]:
    """Give the names that the model derives for a record, stored ones left out."""
    has = record.members
    if record.model not in _MODELS or not {"px", "py"} <= set(has):
        return ()
    synonyms = {"mass": "m", "m": "mass", "e": "energy", "energy": "e"}
    return tuple(n for n, needs in _NEEDS.items() if n not in has and (synonyms.get(n) in has or all(x in has for x in needs)))


def derived_leaf(of: Expr, name: str, leaf: Leaf) -> Expr | None:
    """Give a leaf by the data model's formula, or None when it derives none of that name.

    Parameters
    ----------
    of : Expr
        An object with stored Cartesian components.
    name : str
        ``pt``, ``eta``, ``phi``, ``mass``, ``m``, ``e`` or ``energy``.
    leaf : callable
        Gives a stored leaf of an expression by name.
    """
    record = of.type.item
    if not isinstance(record, Record) or name not in derived_names(record):
        return None
    synonym = {"mass": "m", "m": "mass", "e": "energy", "energy": "e"}.get(name, "")
    if synonym in record.members:
        return leaf(of, synonym)
    part = {n: _double(e) for n in ("px", "py", "pz", "e", "m") if n in record.members and (e := leaf(of, n)) is not None}
    return _FORMULAS[name](part)


def _double(expr: Expr) -> Expr:
    return build.call("multiply", (expr, build.literal(1.0, "float64")), where=expr.where)


def _call(name: str, *args: Expr) -> Expr:
    return build.call(name, args, where=args[0].where)


def _square(x: Expr) -> Expr:
    return _call("square", x)


def _pt(p: dict[str, Expr]) -> Expr:
    return _call("hypot", p["px"], p["py"])


def _phi(p: dict[str, Expr]) -> Expr:
    return _call("arctan2", p["py"], p["px"])


def _eta(p: dict[str, Expr]) -> Expr:
    return _call("arcsinh", _call("true_divide", p["pz"], _pt(p)))


def _p2(p: dict[str, Expr]) -> Expr:
    return _call("add", _call("add", _square(p["px"]), _square(p["py"])), _square(p["pz"]))


def _mass(p: dict[str, Expr]) -> Expr:
    """Give sqrt(e^2 - p^2); negative where rounding makes e smaller than p, as ROOT's TLorentzVector does."""
    m2 = _call("subtract", _square(p["e"]), _p2(p))
    return _call("copysign", _call("sqrt", _call("absolute", m2)), m2)


def _energy(p: dict[str, Expr]) -> Expr:
    return _call("sqrt", _call("add", _square(p["m"]), _p2(p)))


_FORMULAS = {"pt": _pt, "phi": _phi, "eta": _eta, "mass": _mass, "m": _mass, "e": _energy, "energy": _energy}
