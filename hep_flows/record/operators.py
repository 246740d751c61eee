"""Python's operators on expressions, and the ones that have no meaning on them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, line_of, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import mixed_units
from hep_flows.expr.types import Record
from hep_flows.record import control_flow
from hep_flows.record.operands import expr_of
from hep_flows.record.source_line import user_site
from hep_flows.record.vectors import combined

if TYPE_CHECKING:
    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.record.table import Table


class MixedUnits(UserWarning):
    """One expression adds or compares values of different units."""


def elementwise(name: str, args: tuple[Expr, ...], where: Site | None, options: Any = ()) -> Expr:
    """Give a function of aligned operands, with a warning where units are mixed."""
    new = build.call(name, args, options, where)
    if len(args) > 1:
        mixed = mixed_units(name, [a.type for a in args])
        if mixed:
            line = line_of(where)
            place = f"\n{line.text()}" if line else ""
            warnings.warn(
                f"{mixed[0]} and {mixed[1]} meet in one expression; nothing is converted{place}", MixedUnits, stacklevel=3
            )
    return new


def binary(name: str, frame: Any, left: Any, right: Any) -> Any:
    """Record an operator of two operands, one of which is the frame."""
    where = user_site()
    table: Table = frame._table  # noqa: SLF001
    a, b = expr_of(left, table, where), expr_of(right, table, where)
    if isinstance(a.type.item, Record) or isinstance(b.type.item, Record):
        return frame._like(combined(name, a, b, table, where))  # noqa: SLF001
    return frame._made(elementwise(name, (a, b), where))  # noqa: SLF001


def unary(name: str, frame: Any, options: Any = ()) -> Any:
    """Record an operator of one operand."""
    where = user_site()
    expr: Expr = frame._expr  # noqa: SLF001
    return frame._made(build.call(name, (expr,), options, where))  # noqa: SLF001


def _forward(function: str) -> Any:
    def operator(self: Any, other: Any) -> Any:
        return binary(function, self, self, other)

    return operator


def _backward(function: str) -> Any:
    def operator(self: Any, other: Any) -> Any:
        return binary(function, self, other, self)

    return operator


def _alone(function: str) -> Any:
    def operator(self: Any) -> Any:
        return unary(function, self)

    return operator


class Operators:  # noqa: PLW1641 - DataFrame defines the hash
    """The operators of `DataFrame`: all record, none computes."""

    __slots__ = ()

    __add__, __radd__ = _forward("add"), _backward("add")
    __sub__, __rsub__ = _forward("subtract"), _backward("subtract")
    __mul__, __rmul__ = _forward("multiply"), _backward("multiply")
    __truediv__, __rtruediv__ = _forward("true_divide"), _backward("true_divide")
    __floordiv__, __rfloordiv__ = _forward("floor_divide"), _backward("floor_divide")
    __mod__, __rmod__ = _forward("remainder"), _backward("remainder")
    __pow__, __rpow__ = _forward("power"), _backward("power")
    __and__, __rand__ = _forward("bitwise_and"), _backward("bitwise_and")
    __or__, __ror__ = _forward("bitwise_or"), _backward("bitwise_or")
    __xor__, __rxor__ = _forward("bitwise_xor"), _backward("bitwise_xor")
    __lshift__, __rlshift__ = _forward("left_shift"), _backward("left_shift")
    __rshift__, __rrshift__ = _forward("right_shift"), _backward("right_shift")
    __lt__ = _forward("less")
    __le__ = _forward("less_equal")
    __gt__ = _forward("greater")
    __ge__ = _forward("greater_equal")
    __eq__ = _forward("equal")
    __ne__ = _forward("not_equal")
    __neg__ = _alone("negative")
    __pos__ = _alone("positive")
    __invert__ = _alone("invert")
    __abs__ = _alone("absolute")

    def __divmod__(self, other: Any) -> tuple[DataFrame, DataFrame]:
        """Record the whole quotient and the remainder."""
        return self // other, self % other

    def __round__(self, digits: Any = None) -> DataFrame:
        """Record rounding to that many decimals, half to even."""
        if digits is not None and (not isinstance(digits, int) or isinstance(digits, bool)):
            raise LiteralError(f"decimals are an integer, not {with_article(digits)}", where=user_site(), do="write round(x, 2)")
        return unary("round", self, (("decimals", digits or 0),))  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        """Refuse, and say what to write instead."""
        raise control_flow.no_truth(user_site())

    def __iter__(self) -> Any:
        """Refuse, and say what to write instead."""
        # There is no __contains__ on purpose: with it, this would be a Collection, whose length others ask for. ``in`` comes here.
        raise control_flow.no_iteration(user_site())

    def __len__(self) -> int:
        """Refuse, and say what to write instead."""
        raise control_flow.no_value(user_site(), "len()", "use X.Count(), or len(make_local(x))")

    def __float__(self) -> float:
        """Refuse, and say what to write instead."""
        do = "use numpy's functions instead of math's (np.sqrt for math.sqrt), or make_local(x) first"
        raise control_flow.no_value(user_site(), "float() or a function of the math module", do)

    def __int__(self) -> int:
        """Refuse, and say what to write instead."""
        raise control_flow.no_value(user_site(), "int()", "use np.trunc(x) or x // 1, or make_local(x) first")

    def __index__(self) -> int:
        """Refuse, and say what to write instead."""
        raise control_flow.no_value(
            user_site(), "a Python index or range()", "use X[i] with an integer expression, or make_local first"
        )

    def __complex__(self) -> complex:
        """Refuse, and say what to write instead."""
        raise control_flow.no_value(user_site(), "complex()", "call make_local(x) first")
