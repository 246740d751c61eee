"""A histogram that was asked for: what it is to be, and the expressions that fill it. It has no value and no operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from hep_flows.errors import ControlFlowError, FieldError, RecordError, did_you_mean
from hep_flows.record.instead import LOCAL_HISTOGRAM
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.table import Table


class HistogramRequest:
    """A histogram of expressions; `hep_flows.make_local` gives its value.

    ``np.histogram(x)`` gives one; its value is numpy's pair of counts and edges. `hep_flows.Histogram` is the one with hist's axes.
    """

    __slots__ = ("_expr", "_table")
    _expr: Expr
    _table: Table | None

    def __init__(self) -> None:
        """Refuse: requests are made by np.histogram and Histogram."""
        raise RecordError("a histogram is asked for with np.histogram(x) or Histogram.new", where=user_site())

    @classmethod
    def _of(cls, expr: Expr, table: Table | None) -> Self:
        new = object.__new__(cls)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", table)
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a request never changes."""
        raise RecordError(f"{name!r} cannot be set: a histogram request never changes", where=user_site())

    def __iter__(self) -> NoReturn:
        """Refuse to be unpacked: there are no counts yet."""
        raise ControlFlowError(
            "a histogram that is not local yet cannot be unpacked",
            where=user_site(),
            do="write counts, edges = make_local(np.histogram(x))",
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what a histogram with values has."""
        if name.startswith("_"):
            raise AttributeError(name)
        own = [n for n in dir(type(self)) if not n.startswith("_")]
        raise FieldError(
            f"a histogram that is not local yet has no {name!r}",
            where=user_site(),
            why="nothing has been counted yet",
            do=did_you_mean(name, own) or LOCAL_HISTOGRAM,
        )

    def _refused(self, *_: object, **__: object) -> NoReturn:
        raise ControlFlowError(
            "a histogram that is not local yet has no bins and no arithmetic",
            where=user_site(),
            why="nothing has been counted yet",
            do=LOCAL_HISTOGRAM,
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _refused
    __getitem__ = __setitem__ = __len__ = __array__ = __float__ = __array_ufunc__ = __array_function__ = _refused

    def __eq__(self, other: object) -> bool:
        """Say whether it asks for the same histogram of the same table."""
        if not isinstance(other, HistogramRequest):
            return NotImplemented
        return self._expr == other._expr and self._table is other._table

    def __hash__(self) -> int:
        """Hash by the expression's key."""
        return hash(self._expr)

    def __copy__(self) -> Self:
        """Give itself: it never changes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give itself: it never changes."""
        return self

    def __repr__(self) -> str:
        """Show what is asked for."""
        from hep_flows.expr.text import one_line

        return f"<{type(self).__name__} {one_line(self._expr)}>"
