"""Objects as vectors: sums and differences, and the distance of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.axes import aligned
from hep_flows.expr.nodes import Call
from hep_flows.expr.types import Member, Record, Type, is_number
from hep_flows.record.members import derived_leaf, leaf_of

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.table import Recorded, Table

SYMBOLS = {"delta_r": "DeltaR", "delta_phi": "DeltaPhi"}
_POLAR = frozenset({"pt", "eta", "phi"})
_CARTESIAN = ("px", "py", "pz", "energy")


def delta_r(a: Recorded, b: Recorded, where: Where) -> Expr:
    """Give sqrt(deta^2 + dphi^2) with dphi wrapped into [-pi, pi).

    Raises
    ------
    LiteralError
        When the other is not an object.
    """
    return _of_both("delta_r", ("eta", "phi"), a, b, where)


def delta_phi(a: Recorded, b: Recorded, where: Where) -> Expr:
    """Give phi_a - phi_b wrapped into [-pi, pi).

    Raises
    ------
    LiteralError
        When the other is not an object.
    """
    return _of_both("delta_phi", ("phi",), a, b, where)


def _of_both(name: str, leaves: tuple[str, ...], a: Recorded, b: Recorded, where: Where) -> Expr:
    from hep_flows.record.operands import expr_of

    if not hasattr(b, "_expr"):
        raise LiteralError(
            f"{SYMBOLS[name]} needs another object, not {with_article(b)}",
            where=where,
            do="give an object with eta and phi: x.DeltaR(y)",
        )
    parts = [frame[leaf] for frame in (a, b) for leaf in leaves]
    return build.call(name, [expr_of(p, a._table, where) for p in parts], where=where)  # noqa: SLF001


def combined(name: str, a: Expr, b: Expr, table: Table, where: Where) -> Expr:
    """Give the sum or difference of two objects.

    Four-vectors (pt, eta, phi, mass or Cartesian) are added by their Cartesian components, in double precision, and offer pt, eta,
    phi, mass, energy, px, py, pz. Other objects are added component by component.

    Raises
    ------
    LiteralError
        For another operator, or when only one side is an object.
    FieldError
        When a component of a four-vector is missing.
    """
    if name not in ("add", "subtract") or not (isinstance(a.type.item, Record) and isinstance(b.type.item, Record)):
        symbol = {"equal": "==", "multiply": "*", "true_divide": "/"}.get(name, name)
        raise LiteralError(
            f"{symbol} has no meaning on objects ({a.type.item} and {b.type.item})",
            where=where,
            why="an object has many leaves; only + and - of two objects are defined",
            do="name the leaf: x.pt",
        )
    aligned([a.type, b.type], name, where)
    sides = (_components(a, table, where), _components(b, table, where))
    names = [n for n in sides[0] if n in sides[1]]
    if not names:
        raise FieldError(f"{a.type.item} and {b.type.item} have no components in common", where=where)
    parts = [build.call(name, (sides[0][n], sides[1][n]), where=where) for n in names]
    made = build.record(names, parts, where)
    return _as_vector(made) if set(_CARTESIAN) <= set(names) else made


def _as_vector(record: Call) -> Expr:
    """Mark a record as a four-vector, so that its polar components are derived."""
    item = record.type.item
    if not isinstance(item, Record):
        raise TypeError("a vector is a record")
    members = {**item.members, "e": item.members["energy"]}
    vector = Record("four-vector", members, model="vector")
    options = (("names", (*item.members, "e")),)
    t = record.type
    energy = record.args[list(item.members).index("energy")]
    return Call("record", (*record.args, energy), options, type=Type(vector, t.axes, t.loops), where=record.where)


def _components(of: Expr, table: Table, where: Where) -> dict[str, Expr]:
    record = of.type.item
    if not isinstance(record, Record):
        raise TypeError("an object is a record")
    if record.model == "vector":
        return {n: _leaf(of, n, table, where) for n in _CARTESIAN}
    table.looked.whole_schema = True  # Which components there are decides what is added.
    if set(record.members) >= _POLAR:
        return _from_polar(of, table, where)
    if {"px", "py", "pz"} <= set(record.members):
        energy = next((n for n in ("energy", "e", "E") if n in record.members), "")
        px, py, pz = (_leaf(of, n, table, where) for n in ("px", "py", "pz"))
        e = _leaf(of, energy, table, where) if energy else derived_leaf(of, "e", lambda o, n: leaf_of(o, n, table, where))
        if e is None:
            raise _incomplete(record, "energy or mass", where)
        return dict(zip(_CARTESIAN, [_double(x) for x in (px, py, pz, e)], strict=True))
    return {n: _leaf(of, n, table, where) for n, m in record.members.items() if _is_component(m)}


def _is_component(member: Member) -> bool:
    return is_number(member.item) and not member.axes and member.is_plain


def _from_polar(of: Expr, table: Table, where: Where) -> dict[str, Expr]:
    record: Any = of.type.item
    pt, eta, phi = (_double(_leaf(of, n, table, where)) for n in ("pt", "eta", "phi"))
    mass = next((n for n in ("mass", "m") if n in record.members), "")
    energy = next((n for n in ("energy", "e") if n in record.members), "")
    if not mass and not energy:
        raise _incomplete(record, "mass or energy", where)
    pz = _call("multiply", pt, _call("sinh", eta))
    if energy and not mass:
        e = _double(_leaf(of, energy, table, where))
    else:
        m = _double(_leaf(of, mass, table, where))
        e = _call("sqrt", _call("add", _call("square", m), _call("square", _call("multiply", pt, _call("cosh", eta)))))
    px, py = _call("multiply", pt, _call("cos", phi)), _call("multiply", pt, _call("sin", phi))
    return dict(zip(_CARTESIAN, (px, py, pz, e), strict=True))


def _incomplete(record: Record, missing: str, where: Where) -> FieldError:
    return FieldError(
        f"{record.name} is no four-vector: it has no {missing}",
        where=where,
        why="a missing component is never taken as zero",
        do=f"add a column for it, or add leaf by leaf ({record.name}.pt + ...)",
    )


def _leaf(of: Expr, name: str, table: Table, where: Where) -> Expr:
    leaf = leaf_of(of, name, table, where)
    if leaf is None:
        raise FieldError(f"{of.type.item} has no leaf {name!r}", where=where)
    return leaf


def _double(x: Expr) -> Expr:
    return build.call("multiply", (x, build.literal(1.0, "float64")), where=x.where)


def _call(name: str, *args: Expr) -> Expr:
    return build.call(name, args, where=args[0].where)
