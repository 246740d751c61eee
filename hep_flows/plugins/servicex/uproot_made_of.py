"""What the dialect ``uproot`` has no word for, made of what it has, with every bit of the reference."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float
from hep_flows.plugins.servicex.elementwise_terms import converted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.terms import Term, Terms


def delta_phi(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the difference of two angles in [-pi, pi)."""
    first, second = [converted(terms, a, wanted) for a in args]
    return _wrapped(terms, terms.call("subtract", (first, second), wanted), wanted)


def delta_r(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the distance of (eta1, phi1) and (eta2, phi2), with the difference of the angles in [-pi, pi)."""
    eta1, phi1, eta2, phi2 = [converted(terms, a, wanted) for a in args]
    d_eta = terms.call("subtract", (eta1, eta2), wanted)
    d_phi = _wrapped(terms, terms.call("subtract", (phi1, phi2), wanted), wanted)
    squares = [terms.call("square", (d,), wanted) for d in (d_eta, d_phi)]
    square = terms.call("add", squares, wanted)
    near = terms.call("sqrt", (square,), wanted)
    # The square of a huge or an infinite distance is infinite.
    far = terms.call("hypot", (d_eta, d_phi), wanted)
    return terms.call("where", (terms.call("isfinite", (square,), Bool()), near, far), wanted)


def _wrapped(terms: Terms, angle: Term, wanted: Item) -> Term:
    """Give the same angle in [-pi, pi), step by step as the awkward plug-in computes it."""

    def call(name: str, *args: Term) -> Term:
        return terms.call(name, args, wanted)

    def number(value: float) -> Term:
        return terms.constant(value, Float(64))

    def inside(term: Term) -> Term:
        above = terms.call("greater_equal", (term, number(-math.pi)), Bool())
        return terms.call("bitwise_and", (above, terms.call("less", (term, number(math.pi)), Bool())), Bool())

    turn = 2 * math.pi
    turns = call("floor", call("true_divide", call("add", angle, number(math.pi)), number(turn)))
    near = call("subtract", angle, call("multiply", turns, number(turn)))
    if str(wanted) != "float64":
        lacking = turn - struct.unpack("f", struct.pack("f", turn))[0]
        near = call("subtract", near, call("multiply", turns, number(lacking)))
    above = terms.call("greater_equal", (near, number(math.pi)), Bool())
    moved = call("where", above, call("subtract", near, number(turn)), call("add", near, number(turn)))
    return call("where", inside(near), near, call("where", inside(angle), angle, moved))


def extreme(name: str) -> Callable[[Terms, Sequence[Term], Item], Term]:
    """Give the row of the largest or smallest of a list: as in numpy, one that is not a number makes the result none."""

    def made_of(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
        (listed,) = args
        found = terms.reduce(name, listed, wanted)
        if not isinstance(wanted, Float):
            return found
        variable = listed.depth + 1
        element = terms.element(variable, wanted)
        is_nan = terms.call("not_equal", (element, element), Bool())
        has_nan = terms.reduce("any", terms.select(listed, variable, is_nan), Bool())
        return terms.call("where", (has_nan, terms.reduce("sum", listed, wanted), found), wanted)

    return made_of
