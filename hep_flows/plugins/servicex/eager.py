"""Run what func_adl_uproot generates on arrays instead of a graph of delayed ones.

The generated function is not changed, but for the three things that have to do with delayed arrays: the modules that it imports are given
to it, the call that opens files gives the events that were read, and nothing is left to compute at the end.
"""

from __future__ import annotations

import ast
import functools
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_FUNCTION = "run_query"


def generated_source(text: str) -> str:
    """Give the Python that func_adl_uproot makes of a query.

    Raises
    ------
    ValueError
        When the text holds no query.
    """
    import qastle
    from func_adl_uproot import generate_python_source

    body = qastle.text_ast_to_python_ast(text).body
    if len(body) != 1:
        raise ValueError("a query is one expression")
    source: str = generate_python_source(body[0].value, _FUNCTION)
    return source


def generated_function(text: str) -> Callable[..., Any]:
    """Give a function from the events of a file, and what stands in the place of awkward's functions, to the result of a query.

    Raises
    ------
    ValueError
        When what is generated has another form than it had.
    """
    tree = _Eager().visit(ast.parse(generated_source(text)))
    code = compile(ast.fix_missing_locations(tree), "<func_adl_uproot>", "exec")

    def function(events: Any, functions: Any = None) -> Any:
        names = _modules(events, functions)
        # The text was generated from a query of our own a moment ago, and was in no file.
        exec(code, names)  # noqa: S102
        return names[_FUNCTION]("events")

    return function


class _Eager(ast.NodeTransformer):
    """Leaves out what imports modules, and what computes delayed arrays."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == _FUNCTION:
            body = [self.visit(s) for s in node.body if not isinstance(s, ast.Import | ast.FunctionDef) and not _registers(s)]
            node.body = [ast.parse("_remove_not_interpretable = None").body[0], *body]
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "compute":
            raise ValueError("func_adl_uproot generates functions that end in another way than they did")
        return ast.Return(call.func.value)


def _registers(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement) == "vector.register_awkward()"


def _modules(events: Any, functions: Any) -> dict[str, Any]:
    """Give what the generated function imports: arrays in the place of delayed arrays, and the events in the place of files."""
    import awkward as ak
    import numpy as np

    return {
        "functools": functools,
        "logging": logging,
        "np": np,
        "dak": functions or ak,
        "uproot": SimpleNamespace(dask=lambda files, filter_branch: events),  # noqa: ARG005 - as it is called
    }


def evaluated(function: Callable[..., Any], events: Any) -> Any:
    """Give the result of a generated function; numbers that leave their range are no news, as in the language."""
    import numpy as np

    with np.errstate(all="ignore"):
        return function(events)


def columns_of(function: Callable[..., Any], events: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Give the columns of the result of a generated function: by flat arrays, and by awkward arrays what these are not made for."""
    from hep_flows.plugins.servicex.flat_arrays import NotFlatError

    try:
        return flat_columns(function, events, names)
    except NotFlatError:
        found = evaluated(function, events)
        return {n: found[n] for n in names}


def flat_columns(function: Callable[..., Any], events: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Give the columns of the result by flat arrays alone.

    Raises
    ------
    NotFlatError
        When the events hold, or the query needs, something that these are not made for.
    """
    import numpy as np

    from hep_flows.plugins.servicex.flat_arrays import from_awkward, to_awkward
    from hep_flows.plugins.servicex.flat_functions import flat_functions

    with np.errstate(all="ignore"):
        found = function(from_awkward(events), flat_functions())
        return {n: to_awkward(found[n]) for n in names}
