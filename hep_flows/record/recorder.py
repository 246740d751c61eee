"""What numpy's and awkward's functions are recorded with: one line, one table."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.record.operands import expr_of
from hep_flows.record.operators import elementwise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame
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

    def over_all(self, name: str, expr: Expr) -> Expr:
        """Give an aggregate over all axes, innermost first; a mean is over the entries that are there."""
        if name == "mean":
            there = build.call("invert", (build.call("is_none", (expr,), where=self.where),), where=self.where)
            total, n = self.over_all("sum", expr), self.over_all("sum", there)
            return build.call("true_divide", (total, n), where=self.where)
        new = build.call(name, (expr,), where=self.where)
        while new.type.axes:
            new = build.call({"count": "sum"}.get(name, name), (new,), where=self.where)
        return new


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
        extra = next((k for k in kwargs if k not in inspect.signature(record).parameters), "")
        raise on.refuse(
            f"{title}: {str(error).split(') ', 1)[-1]}",
            f"leave {extra} out, or make_local(x) and use {title} on the array"
            if extra
            else f"make_local(x), and use {title} on the array",
        ) from None
