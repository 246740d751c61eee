"""Aggregates over lists, written as loops of the C++ generator that give what awkward gives.

Floats add up one after the other in their own width. An empty list has no maximum, minimum and mean: the value comes with the condition
that the list is not empty. Items that are missing are left out before.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.value import (
    EXACT_BITS,
    Value,
    as_number,
    as_truth,
    called,
    compared,
    constant,
    function,
    method,
    negated,
    operation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hep_flows.expr.types import Item

    Reduce = Callable[["Reduced"], Value]

# No list of an event has four million elements; with this many, a sum of 32-bit numbers is exact in double precision.
COUNT_BITS = 22


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is reduced: a list, the name of the variable for its element, and what is taken of each.

    ``item`` is the item of the result.
    """

    of: ast.expr
    variable: str
    body: Value
    item: Item

    def mapped(self, body: ast.expr) -> ast.expr:
        """Give the list of that value of each element."""
        is_element = isinstance(body, ast.Name) and body.id == self.variable
        return self.of if is_element else method(self.of, "Select", function([self.variable], body))

    def where(self, condition: ast.expr) -> ast.expr:
        """Give the elements that fulfil a condition."""
        return method(self.of, "Where", function([self.variable], condition))


def reducers() -> Mapping[str, Reduce]:
    """Give the table, by the names in `hep_flows.expr.functions`; counting needs no values and stands apart."""
    return {
        "sum": _sum,
        "prod": _prod,
        "mean": _mean,
        "max": _extreme("hf_maximum", -1.0),
        "min": _extreme("hf_minimum", 1.0),
        "any": _any,
        "all": _all,
    }


def counted(of: ast.expr) -> Value:
    """Give the number of elements of a list."""
    return Value(method(of, "Count"), "int", Int(64), COUNT_BITS)


def is_filled(of: ast.expr) -> ast.expr:
    """Give whether a list has elements."""
    return compared(method(of, "Count"), ast.Gt(), ast.Constant(0))


def _folded(r: Reduced, start: float, operator: ast.operator, item: Float) -> ast.expr:
    """Add up, or multiply, in the width of the item."""
    step: ast.expr = operation(ast.Name("a", ast.Load()), operator, ast.Name("v", ast.Load()))
    if item.bits == 32:
        step = called("hf_float", step)
    listed = r.mapped(as_number(r.body, item))
    return method(listed, "Aggregate", constant(start), function(["a", "v"], step))


def _real_of(item: Item) -> Float:
    if not isinstance(item, Float) or item.bits < 32:
        raise Refused(f"the query language has no {item}")
    return item


def _sum(r: Reduced) -> Value:
    if isinstance(r.body.item, Bool):
        return counted(r.where(as_truth(r.body)))
    if isinstance(r.item, Int):
        bits = r.body.bits + COUNT_BITS
        if bits > EXACT_BITS or r.body.kind == "wide":
            raise Refused(f"a sum of {r.body.item} may need more digits than a double has")
        return Value(_folded(r, 0.0, ast.Add(), Float(64)), "double", r.item, bits)
    return Value(_folded(r, 0.0, ast.Add(), _real_of(r.item)), "double", r.item)


def _prod(r: Reduced) -> Value:
    if not isinstance(r.item, Float):
        raise Refused("the query language has no product of whole numbers")
    return Value(_folded(r, 1.0, ast.Mult(), _real_of(r.item)), "double", r.item)


def _mean(r: Reduced) -> Value:
    item = _real_of(r.item)
    total = _folded(r, 0.0, ast.Add(), item if isinstance(r.body.item, Float) else Float(64))
    if isinstance(r.body.item, Int) and r.body.bits + COUNT_BITS > EXACT_BITS:
        raise Refused(f"a sum of {r.body.item} may need more digits than a double has")
    ratio = operation(total, ast.Div(), operation(constant(1.0), ast.Mult(), method(r.of, "Count")))
    node = called("hf_float", ratio) if item.bits == 32 else ratio
    return Value(node, "double", item, valid=(is_filled(r.of),))


def _extreme(name: str, sign: float) -> Reduce:
    """Begin at the infinity that everything exceeds; a NaN stays, as in numpy."""

    def reduce(r: Reduced) -> Value:
        if isinstance(r.body.item, Bool):
            found = _any(r) if name == "hf_maximum" else _all(r)
            return Value(found.node, "bool", r.item, valid=(is_filled(r.of),))
        if r.body.kind == "wide":
            raise Refused("the query language does no arithmetic on 64-bit whole numbers")
        step = function(["a", "v"], called(name, ast.Name("a", ast.Load()), ast.Name("v", ast.Load())))
        start = constant(sign * float("inf"))
        node = method(r.mapped(r.body.node), "Aggregate", start, step)
        return Value(node, "double", r.item, r.body.bits, (is_filled(r.of),))

    return reduce


def _any(r: Reduced) -> Value:
    return Value(is_filled(r.where(as_truth(r.body))), "bool", Bool())


def _all(r: Reduced) -> Value:
    others = method(r.where(negated(as_truth(r.body))), "Count")
    return Value(compared(others, ast.Eq(), ast.Constant(0)), "bool", Bool())
