"""Functions of the user: recorded by calling them with expressions."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, RecordError, with_article
from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level
from hep_flows.record.arguments import checked
from hep_flows.record.operands import expr_of
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.table import Recorded, Table

_DEPTH: ContextVar[int] = ContextVar("hep_flows_lambda_depth", default=0)
_DEEPEST = 200


def name_of(function: Callable[..., object]) -> str:
    """Give a name to show for a function, a partial or a callable object."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return getattr(function, "__name__", type(function).__name__)


def called(function: Any, argument: Recorded, where: Where) -> Any:
    """Call a user's one-argument function with an expression.

    Raises
    ------
    LiteralError
        When it cannot take one argument.
    RecordError
        When it returns nothing.
    """
    if not callable(function) or hasattr(function, "_expr"):
        raise LiteralError(
            f"a function is needed here, not {with_article(function)}",
            where=where,
            why="map calls it once, with one element of the collection",
            do="write X.map(lambda x: ...); an expression of X is there for each element already, and needs no map",
        )
    try:
        inspect.signature(function).bind(argument)
    except TypeError as error:
        raise LiteralError(
            f"{name_of(function)} must take one argument here",
            where=where,
            why=str(error),
            do="give the others before: lambda x: f(x, 30)",
        ) from None
    except ValueError:
        pass  # Some callables written in C have no signature; calling them will tell.
    value = function(argument)
    if value is None:
        raise RecordError(f"function {name_of(function)!r} returned nothing", where=where, do="return the expression at its end")
    return value


def result_expr(value: Any, table: Table, where: Where) -> Expr:
    """Give the expression of what a lambda returned: a tuple or a dict becomes one record per element."""
    if isinstance(value, tuple | list):
        value = {str(i): v for i, v in enumerate(value)}
    if isinstance(value, dict) and value:
        return build.record(tuple(value), [result_expr(v, table, where) for v in value.values()], where, n_axes=1)
    return expr_of(value, table, where)


def mapped(frame: Recorded, function: Callable[..., Any], where: Where) -> Expr:
    """Give ``function`` of each element of the outermost collection axis inside the event.

    On a table or a per-event value the element is the event itself, so the function is called with the whole frame.
    """
    over, table = frame._expr, frame._table  # noqa: SLF001
    axes = over.type.axes
    if not axes or (len(axes) == 1 and over.type.loops):
        raise AxisError(
            f"map requires a sequence, and this is one {'element' if over.type.loops else 'value'}: {over.type}",
            where=where,
            do="apply the function to it directly",
        )
    if len(axes) == 1:
        return result_expr(called(function, frame, where), table, where)
    depth = _DEPTH.get() + 1
    if depth > _DEEPEST:
        raise RecordError(f"map is nested more than {_DEEPEST} deep", where=where, do="split the expression into columns")
    level = provisional_level(depth)
    element = frame._like(build.bound(over, level, where))  # noqa: SLF001
    token = _DEPTH.set(depth)
    try:
        body = result_expr(called(function, element, where), table, where)
    finally:
        _DEPTH.reset(token)
    return close(over, body, level, where)


@checked
def curry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be called with all but its last argument first: ``X.map(near(df.Muon))`` for ``lambda x: near(df.Muon, x)``.

    Raises
    ------
    LiteralError
        When it is called with any other number of arguments.
    """
    if not callable(function):
        raise LiteralError(f"curry takes a function, not {with_article(function)}", where=user_site(), do="write @curry above it")
    parameters = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    wanted = len(parameters)

    @functools.wraps(function)
    def curried(*args: Any) -> Any:
        if len(args) == wanted:
            return function(*args)
        if len(args) == wanted - 1:
            return lambda last: function(*args, last)
        raise LiteralError(
            f"{name_of(function)} takes {wanted} arguments, or {wanted - 1} to wait for the last, not {len(args)}",
            where=user_site(),
        )

    return curried
