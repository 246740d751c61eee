"""What numpy's and awkward's functions are recorded with: one line, one table."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.record.methods import aggregated
from hep_flows.record.operands import constant_of, expr_of
from hep_flows.record.operators import elementwise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.errors import Site
    from hep_flows.expr.functions import Function
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.record.methods import Options
    from hep_flows.record.table import Table


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes expressions from operands, at one line and over one table."""

    table: Table
    where: Site | None

    def expr(self, value: Any) -> Expr:
        """Give the expression of an operand."""
        return expr_of(value, self.table, self.where)

    def frame(self, expr: Expr) -> DataFrame:
        """Give the frame of an expression."""
        from hep_flows.record.dataframe import DataFrame

        return DataFrame._of(expr, self.table)  # noqa: SLF001

    def call(self, name: str, *values: Any, options: Any = ()) -> DataFrame:
        """Give an elementwise function of operands."""
        return self.frame(elementwise(name, tuple([self.expr(v) for v in values]), self.where, options))

    def refuse(self, what: str, do: str = "") -> LiteralError:
        """Give the error that says why a function cannot be recorded."""
        return LiteralError(what, where=self.where, do=do)

    def over_all(self, name: str, expr: Expr, options: Options = ()) -> Expr:
        """Give an aggregate over all axes; a mean is over the entries that are there."""
        row = FUNCTIONS[name]
        if row.everything == "never" and len(expr.type.axes) > 1:
            raise self.refuse(
                f"without an axis, this would be the {row.name} of all entries of all events, which cannot be recorded",
                f"axis=-1, or x.{row.method}(), takes each innermost list",
            )
        if row.everything == "at once":
            return build.call(name, (expr,), (*options, ("axis", None)), self.where)
        if row.everything == "ratio":
            there = build.call("invert", (build.call("is_none", (expr,), where=self.where),), where=self.where)
            total, n = self.over_all("sum", expr), self.over_all("sum", there)
            return build.call("true_divide", (total, n), where=self.where)
        new = build.call(name, (expr,), options, self.where)
        while new.type.axes:
            new = build.call(row.reduced_by, (new,), where=self.where)
        return new

    def recorded(self, row: Function, first: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Expr:
        """Give numpy's or awkward's form of a function of the table; ``first`` is what they call the first argument.

        An aggregate is over everything when no axis is named, and the method for ``axis=-1``.
        """
        kind = Parameter.POSITIONAL_OR_KEYWORD
        operands = [first, *[f"{first}{i + 2}" for i in range(row.arity[0] - 1)]]
        parameters = [Parameter(n, kind) for n in (*operands, *[o.name for o in row.options])]
        if row.kind == "reduce":
            parameters.append(Parameter("axis", kind, default=None))
        given = Signature(parameters).bind(*args, **kwargs).arguments
        options = tuple([(o.name, constant_of(given[o.name], self.where)[0]) for o in row.options])
        exprs = tuple([self.expr(given[n]) for n in operands])
        if row.kind == "elementwise":
            return elementwise(row.name, exprs, self.where, options)
        if (axis := given.get("axis")) is None:
            return self.over_all(row.name, exprs[0], options)
        return aggregated(row.name, exprs[0], axis, self.where, options)


def called_with(on: Recorder, title: str, record: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the function that records another, and name a keyword that it does not take.

    Raises
    ------
    LiteralError
        When the arguments are not those that the language knows.
    """
    try:
        return record(on, *args, **kwargs)
    except TypeError as error:
        if "argument" not in str(error) or isinstance(error, LiteralError):
            raise
        extra = next((k for k in kwargs if f"unexpected keyword argument {k!r}" in str(error)), "")
        raise on.refuse(
            f"{title}: {str(error).split(') ', 1)[-1]}",
            f"leave {extra} out, or make_local(x) and use {title} on the array"
            if extra
            else f"make_local(x), and use {title} on the array",
        ) from None
