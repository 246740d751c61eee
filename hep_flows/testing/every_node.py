"""One node of every class, and one call of every function: what a plug-in can be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Function, UserFunction
from hep_flows.expr.types import Bool, Float, Histogram, Int, Member, Record

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Constant, Expr

_SPEC = '{"axes":[{"bins":5,"kind":"Regular","name":"x","start":0.0,"stop":1.0}],"storage":{"kind":"Double"}}'


def every_node() -> dict[str, Expr]:
    """Give nodes over a table that is nowhere, by name of the class or the function."""
    jets, values, nested = _leaf("Jet"), _leaf("Jet", "x"), _leaf("Jet", "list")
    mask = build.call("greater", [values, build.literal(1.5)])
    element = build.bound(values, 1)
    empty = build.histogram("histogram", (), (("spec", _SPEC),), _SPEC)
    weights: tuple[tuple[str, Constant], ...] = (
        ("members", ("x",)), ("axes", (("member", "x"),)), ("weight", ("number", 0)), ("sample", None),
    )  # fmt: skip
    special: dict[str, Expr] = {
        "Dataset": _table(),
        "Field": values,
        "Filter": build.filtered(values, mask, 1),
        "Literal": build.literal(1.5),
        "Bound": element,
        "Map": build.mapped(jets, build.call("add", [element, build.literal(1)]), 1),
        "Input": build.task_input(bytes(32), values.type),
        "UserFunction": build.call(UserFunction("nobody_knows_it", ("x",), (None,), Float(64)), [values]),
        "pick": build.pick(values, 0, 1),
        "slice": build.sliced(values, (None, 2, None), 1),
        "gather": build.gathered(values, _leaf("Jet", "n"), 1),
        "record": build.record(("x", "n"), (values, _leaf("Jet", "n"))),
        "flatten": build.flattened(nested),
        "histogram": empty,
        "fill": build.histogram("fill", (empty, build.record(("x",), (values,)), build.literal(2.0)), weights, _SPEC),
        "np_histogram": build.histogram("np_histogram", (values,), (("bins", 5), ("range", (0, 1))), "numpy"),
    }
    called = {name: _call(row) for name, row in FUNCTIONS.items() if row.kind in {"elementwise", "reduce"}}
    return {**special, **called}


def function_names(nodes: dict[str, Expr]) -> set[str]:
    """Give the functions of the language that none of the nodes is about."""
    return set(FUNCTIONS) - set(nodes)


def _call(row: Function) -> Expr:
    """Give a call with the first kind of arguments that the function takes."""
    options = tuple([(o.name, o.example) for o in row.options])
    for leaf in ("x", "n", "b"):
        try:
            return build.call(row.name, [_leaf("Jet", leaf)] * row.arity[0], options)
        except LiteralError:
            continue
    return build.call(row.name, [_leaf("Jet", "b"), *[_leaf("Jet", "x")] * (row.arity[0] - 1)])


def _table() -> Expr:
    jet = Record(
        "Jet", {"x": Member(Float(64)), "n": Member(Int(64)), "b": Member(Bool()), "list": Member(Float(32), ("list",))}, "nanoaod"
    )
    return build.dataset(
        "nanoaod", ("nowhere",), "Events", Record("event", {"Jet": Member(jet, ("Jet",))}, "nanoaod"), files=("none.root",)
    )


def _leaf(*names: str) -> Expr:
    node = _table()
    for name in names:
        node = build.field(node, name)
    return node


def is_histogram(node: Expr) -> bool:
    """Say whether the value of a node is a histogram."""
    return isinstance(node.type.item, Histogram)
