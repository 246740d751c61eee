"""The capability table of the dialect ``uproot``: flat trees, NanoAOD, and PHYSLITE by its branches.

Rows were compared with the awkward plug-in bit by bit; a row that is refused says why.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float
from hep_flows.plugins.servicex.dialect import Dialect, Row
from hep_flows.plugins.servicex.uproot_made_of import delta_phi, delta_r, extreme
from hep_flows.plugins.servicex.uproot_spelling import UprootSpelling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.types import Item

    Write = Callable[[Sequence[ast.expr]], ast.expr]

_ARITHMETIC: dict[str, type[ast.operator]] = {
    "add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "true_divide": ast.Div, "floor_divide": ast.FloorDiv,
    "remainder": ast.Mod, "left_shift": ast.LShift, "right_shift": ast.RShift,
    "bitwise_and": ast.BitAnd, "bitwise_or": ast.BitOr, "bitwise_xor": ast.BitXor,
}  # fmt: skip
_SIGNS: dict[str, type[ast.unaryop]] = {"invert": ast.Invert, "negative": ast.USub, "positive": ast.UAdd}
_COMPARISONS: dict[str, type[ast.cmpop]] = {
    "equal": ast.Eq, "not_equal": ast.NotEq, "less": ast.Lt, "less_equal": ast.LtE, "greater": ast.Gt, "greater_equal": ast.GtE,
}  # fmt: skip
_NUMPY = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs rint spacing fmod "
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians deg2rad rad2deg "
    "maximum minimum fmax fmin hypot arctan2 copysign logaddexp logaddexp2 nextafter heaviside float_power "
    "square reciprocal sign isnan isfinite isinf signbit logical_xor logical_and logical_or logical_not"
)
_LOCAL = {
    "is_none": "the query language cannot ask whether a value is missing",
    "fill_none": "the query language cannot replace missing values",
    "round": "the query language rounds to whole numbers only",
    "gcd": "the query language has no gcd",
    "lcm": "the query language has no lcm",
    "conjugate": "the query language has no complex numbers",
}


def uproot_dialect() -> Dialect:
    """Give the capability table."""
    return Dialect(
        "uproot",
        UprootSpelling(),
        functions=_functions(),
        reducers=_reducers(),
        captured_lists="a list of the event that is filtered by an element of another one cannot be broadcast",
    )


def _functions() -> dict[str, Row]:
    rows = {name: Row(_operator(op)) for name, op in _ARITHMETIC.items()}
    rows |= {name: Row(_comparison(op)) for name, op in _COMPARISONS.items()}
    rows |= {name: Row(_sign(op)) for name, op in _SIGNS.items()}
    rows |= {name: Row(_numpy(name)) for name in _NUMPY.split()}
    rows |= {name: Row(_numpy(name), check=_a_float) for name in ("floor", "ceil", "trunc")}
    rows["power"] = Row(_operator(ast.Pow), check=_float_base)
    rows["absolute"] = Row(lambda args: ast.Call(ast.Name("abs", ast.Load()), list(args), []))
    rows["where"] = Row(lambda args: ast.IfExp(*args), check=_one_width)
    rows["isin"] = Row(_comparison(ast.Eq))
    rows["delta_phi"] = Row(made_of=delta_phi)
    rows["delta_r"] = Row(made_of=delta_r)
    rows |= {name: Row(reason=reason) for name, reason in _LOCAL.items()}
    return rows


def _reducers() -> dict[str, Row]:
    return {
        "count": Row(_method("Count")),
        "sum": Row(_method("Sum"), check=_a_sum),
        "any": Row(_method("Any")),
        "all": Row(_method("All")),
        "max": Row(made_of=extreme("max")),
        "min": Row(made_of=extreme("min")),
        "mean": Row(reason="the query language has no mean"),
        "prod": Row(reason="the query language has no product of a list"),
    }


def _operator(op: type[ast.operator]) -> Write:
    return lambda args: ast.BinOp(args[0], op(), args[1])


def _comparison(op: type[ast.cmpop]) -> Write:
    return lambda args: ast.Compare(args[0], [op()], [args[1]])


def _numpy(name: str) -> Write:
    return lambda args: ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()), list(args), [])


def _method(name: str) -> Write:
    return lambda args: ast.Call(ast.Attribute(args[0], name, ast.Load()), list(args[1:]), [])


def _sign(op: type[ast.unaryop]) -> Write:
    return lambda args: ast.UnaryOp(op(), args[0])


def _a_float(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "of whole numbers it is left to numpy here"


def _float_base(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "a power of whole numbers may fail at the back end"


def _one_width(items: Sequence[Item], result: Item) -> str:
    wrong = [i for i in items[1:] if str(i) != str(result)]
    return f"both sides must be {result}, and one is {wrong[0]}" if wrong else ""


def _a_sum(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "half precision" if isinstance(items[0], Float) and items[0].bits < 32 else ""  # noqa: PLR2004


def _a_truth(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Bool) else "only of truth values"
