"""Functions that users declared: those that the back end knows, and those that come with a body in C++."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.cpp_spec import CppSpec
from hep_flows.plugins.servicex.xaod.declarations import declaring
from hep_flows.plugins.servicex.xaod.value import Value, as_number, called, valid_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from hep_flows.expr.functions import UserFunction
    from hep_flows.expr.types import Item


def table_name(function: UserFunction) -> str:
    """Give the function of the language's table that a user's function without a body stands for; empty when there is none."""
    is_known = function.name == "DeltaR" and len(function.parameters) == 4 and function.body is None
    return "delta_r" if is_known and function.cpp is None else ""


def user_call(function: UserFunction, args: Sequence[Value]) -> Value:
    """Give a call of a function that has a body in C++.

    Raises
    ------
    Refused
        When it has none.
    """
    if function.cpp is None:
        why = "its body is Python" if function.body is not None else "it has no body in C++"
        raise Refused(f"{function.name}: {why}")
    name = f"hf_user_{re.sub('[^A-Za-z0-9]', '_', function.name)}_{function.identity().hex()[:8]}"
    parameters = tuple([(_cpp_type(i), p) for i, p in zip(function.accepts, function.parameters, strict=True)])
    # The generator calculates with double, float and int alone; a double holds every whole number up to 2**53.
    returns = "bool" if isinstance(function.returns, Bool) else "double"
    body = function.cpp.body
    if returns != "bool":
        body = f"const auto body = [&]() -> {_cpp_type(function.returns)} {{ {body} }}; return static_cast<double>(body());"
    spec = CppSpec(name, parameters, returns, body, tuple(dict.fromkeys(["cmath", *function.cpp.includes])))
    operands = [_operand(a, i) for a, i in zip(args, function.accepts, strict=True)]
    bits = 53 if isinstance(function.returns, Int) else 0
    node = declaring(called(name, *operands), spec.metadata())
    return Value(node, "bool" if returns == "bool" else "double", function.returns, bits, valid_of(args))


def _operand(value: Value, wanted: Item | None) -> ast.expr:
    return value.node if isinstance(wanted, Bool) and value.kind == "bool" else as_number(value, Float(64))


def _cpp_type(item: Item | None) -> str:
    if isinstance(item, Bool):
        return "bool"
    return "long long" if isinstance(item, Int) else "double"
