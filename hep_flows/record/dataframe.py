"""What the user holds: an expression of a table, with Python's operators.

A `DataFrame` records; its ``==`` makes a comparison of events. The node that it holds (`hep_flows.expr`) compares. They are two classes
on purpose.
"""

from __future__ import annotations

import functools
import warnings
from contextvars import ContextVar
from dataclasses import replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hep_flows.errors import AxisError, FieldError, LiteralError, RecordError, SourceError, did_you_mean, line_of, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Calls, Function, UserFunction, row_of_method
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Call, Dataset
from hep_flows.expr.types import Bool, Int, Record
from hep_flows.expr.variations import nominal_leaf
from hep_flows.record import where
from hep_flows.record.arguments import checked
from hep_flows.record.callables import called, mapped, name_of
from hep_flows.record.follow import swapped
from hep_flows.record.groups import (
    cartesian,
    chosen_by,
    combinations,
    event_of,
    index_of,
    is_order_of,
    nearest,
    ordered_by,
    padded,
)
from hep_flows.record.hooks import awkward_call, numpy_function, ufunc_call
from hep_flows.record.members import (
    REQUIRED,
    accessed,
    called_leaf,
    known_names,
    leaf_of,
    leaf_or_default,
    leaves_within,
    member_of,
    no_member,
    operand_of,
    path_of,
    plain_member,
    rows_of,
    spread,
)
from hep_flows.record.operands import aggregated, as_kind, constant_of, elementwise, expr_of
from hep_flows.record.table import Recorded, Table
from hep_flows.record.vectors import Operand, boosted, combined, components_of_with, delta, nothing, opposite, summed
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.contract import Description
    from hep_flows.errors import Site, Where
    from hep_flows.expr.nodes import Collections, Expr

# Python's operators on expressions, and the ones that have no meaning on them ----------------------------------------------------


def binary(name: str, frame: Any, left: Any, right: Any) -> Any:
    """Record an operator of two operands, one of which is the frame."""
    where = user_site()
    table: Table = frame._table  # noqa: SLF001
    a, b = expr_of(left, table, where), expr_of(right, table, where)
    if isinstance(a.type.item, Record) or isinstance(b.type.item, Record):
        one, two = [operand_of(v, table, where) if hasattr(v, "_expr") else Operand(e, nothing) for v, e in ((left, a), (right, b))]
        return frame._like(combined(name, one, two, where))  # noqa: SLF001
    return frame._made(elementwise(name, (a, b), where))  # noqa: SLF001


def unary(name: str, frame: Any, options: Any = ()) -> Any:
    """Record an operator of one operand."""
    where = user_site()
    expr: Expr = frame._expr  # noqa: SLF001
    if name == "negative" and isinstance(expr.type.item, Record):
        return frame._like(opposite(operand_of(frame, frame._table, where), where))  # noqa: SLF001
    return frame._made(elementwise(name, (expr,), where, options))  # noqa: SLF001


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
        raise where.no_truth(user_site())

    def __iter__(self) -> Any:
        """Refuse, and say what to write instead."""
        # There is no __contains__ on purpose: with it, this would be a Collection, whose length others ask for. ``in`` comes here.
        raise where.no_iteration(user_site())

    def __len__(self) -> int:
        """Refuse, and say what to write instead."""
        raise where.no_value(user_site(), "len()", "use X.Count(), or len(make_local(x))")

    def __float__(self) -> float:
        """Refuse, and say what to write instead."""
        do = "use numpy's functions instead of math's (np.sqrt for math.sqrt), or make_local(x) first"
        raise where.no_value(user_site(), "float() or a function of the math module", do)

    def __int__(self) -> int:
        """Refuse, and say what to write instead."""
        raise where.no_value(user_site(), "int()", "use np.trunc(x) or x // 1, or make_local(x) first")

    def __index__(self) -> int:
        """Refuse, and say what to write instead."""
        raise where.no_value(user_site(), "a Python index or range()", "use X[i] with an integer expression, or make_local first")

    def __complex__(self) -> complex:
        """Refuse, and say what to write instead."""
        raise where.no_value(user_site(), "complex()", "call make_local(x) first")


# The methods of an expression: those of the table of functions, and the geometry of two objects ----------------------------------


def method_of(row: Function) -> Callable[..., DataFrame]:
    """Give the method that records a function of the table: an aggregate, or a function of lists."""
    parameters = [Parameter(o.name, Parameter.POSITIONAL_OR_KEYWORD) for o in row.options]
    if row.kind == "reduce":
        parameters.append(Parameter("axis", Parameter.POSITIONAL_OR_KEYWORD, default=None))
    signature = Signature([Parameter("self", Parameter.POSITIONAL_ONLY), *parameters])

    def method(self: Any, /, *args: Any, **kwargs: Any) -> DataFrame:
        where = user_site()
        given = signature.bind(self, *args, **kwargs).arguments
        if row.name == "sum" and isinstance(self._expr.type.item, Record) and given.get("axis") is None:
            return self._made(summed(operand_of(self, self._table, where), where))  # type: ignore[no-any-return]
        options = tuple([(o.name, constant_of(given[o.name], where)[0]) for o in row.options])
        if row.kind != "reduce":
            return self._made(build.call(row.name, (self._expr,), options, where))  # type: ignore[no-any-return]
        return self._made(aggregated(row.name, self._expr, given.get("axis"), where, options))  # type: ignore[no-any-return]

    method.__name__, method.__qualname__ = row.method, f"DataFrame.{row.method}"
    method.__doc__ = f"Give {row.doc}." + (f" Of an empty list: {row.empty}." if row.empty else "")
    method.__signature__ = signature  # type: ignore[attr-defined]
    return checked(method)


class Aggregates:
    """The methods of `DataFrame`. Each aggregate removes the innermost axis; those of the table are added below."""

    __slots__ = ()

    @checked
    def astype(self, dtype: Any) -> DataFrame:
        """Give the same numbers as another kind: ``"float64"``, ``np.int32``; an error where a number does not fit into it."""
        frame: Any = self
        return frame._made(as_kind(frame._expr, dtype, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def First(self) -> DataFrame:  # noqa: N802
        """Give the first entry of each innermost list, missing for an empty one."""
        frame: Any = self
        return frame._like(picked(frame._expr, 0, "First", user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    def With(self, **leaves: Any) -> Any:  # noqa: N802
        """Give the same elements with leaves replaced or added: ``X.With(pt=X.pt * 1.03)``.

        X and the result align. Columns that use a replaced leaf follow it; ``p4=`` a vector replaces all components. On a table,
        ``df.With(Jet=lambda j: j.With(...))`` replaces a collection everywhere below it.
        """
        return self._with(leaves, user_site())

    def _with(self, leaves: Mapping[str, Any], where: Site | None) -> Any:
        frame: Any = self
        return with_replaced(frame, leaves, where)

    def hasFlags(self, *flags: Any) -> DataFrame:  # noqa: N802
        """Say whether a generator particle of NanoAOD has all of these flags: ``gp.hasFlags("isLastCopy", "isPrompt")``."""
        from hep_flows.record.references import status_flags

        frame: Any = self
        names = [n for f in flags for n in (f if isinstance(f, list | tuple) else [f])]
        bits = status_flags(names, user_site())
        return (frame.statusFlags & bits) == bits  # type: ignore[no-any-return]

    @checked
    def DeltaR(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the distance sqrt(deta^2 + dphi^2) of two objects, dphi wrapped into [-pi, pi).

        Both need eta and phi, and must align.
        """
        frame: Any = self
        return frame._made(delta("delta_r", frame, other, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def DeltaPhi(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the difference of phi of two objects, wrapped into [-pi, pi). Both need phi, and must align."""
        frame: Any = self
        return frame._made(delta("delta_phi", frame, other, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    def DeltaEta(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the difference of eta of two objects. Both need eta, and must align."""
        frame: Any = self
        return frame._made(delta("delta_eta", frame, other, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    def boost(self, other: DataFrame) -> DataFrame:
        """Give the four-vector boosted by the velocity of another one; from the other's rest frame into the laboratory's."""
        return self._boosted(other, back=False)

    def boostCM_of(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """Give the four-vector in the rest frame of another one."""
        return self._boosted(other, back=True)

    def _boosted(self, other: Any, *, back: bool) -> DataFrame:
        frame: Any = self
        where = user_site()
        by = expr_of(other, frame._table, where)  # noqa: SLF001
        if not isinstance(by.type.item, Record) or not isinstance(frame._expr.type.item, Record):  # noqa: SLF001
            raise LiteralError(
                "a boost needs two four-vectors", where=where, do="(a + b) is one, and so is an object with pt, eta, phi, mass"
            )
        one, two = [operand_of(f, frame._table, where) for f in (frame, other)]  # noqa: SLF001
        return frame._like(boosted(one, two, where, back=back))  # type: ignore[no-any-return]  # noqa: SLF001


class Groups:
    """The methods of `DataFrame` that make other elements of the elements of one collection or of several."""

    __slots__ = ()

    @checked
    def Combinations(self, n: int, fields: Any = None) -> DataFrame:  # noqa: N802
        """Give every choice of ``n`` elements of each list: no element twice, in the collection's order (01, 02, 12).

        Parameters
        ----------
        n : int
            How many elements make one.
        fields : tuple of str, optional
            The names of the members: ``("a", "b")``; without, they are ``"0"``, ``"1"``, ...

        Returns
        -------
        DataFrame
            Axes: events, combinations; an empty list where there are too few elements.
        """
        frame: Any = self
        return frame._made(combinations(frame._expr, n, fields, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Cartesian(self, *others: Any, fields: Any = None, nested: bool = False) -> DataFrame:  # noqa: N802
        """Give every group of one element of this collection and one of each other, this one outermost.

        Parameters
        ----------
        others : DataFrame
            Collections of the same events.
        fields : tuple of str, optional
            The names of the members: ``("j", "e")``; without, they are ``"0"``, ``"1"``, ...
        nested : bool
            Whether each collection keeps an axis of its own.

        Returns
        -------
        DataFrame
            Axes: events, groups; nested: events, then the collections in order.
        """
        where = user_site()
        frame: Any = self
        if not others or not isinstance(nested, bool):
            what = "nested is True or False" if others else "Cartesian needs another collection"
            raise LiteralError(what, where=where, do='df.Jet.Cartesian(df.Electron, fields=("j", "e"))')
        parts = [frame._expr, *[expr_of(o, frame._table, where) for o in others]]  # noqa: SLF001
        return frame._made(cartesian(parts, fields, where, nested=nested))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def MinBy(self, key: Any) -> DataFrame:  # noqa: N802
        """Give the element of each list with the smallest key: the first of equals, missing where there is none.

        Parameters
        ----------
        key : callable or DataFrame
            A function of the whole collection, or a number for each element. Elements without a key, or with ``nan``, are skipped.
        """
        frame: Any = self
        return frame._like(chosen_by(frame, key, user_site(), largest=False))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def MaxBy(self, key: Any) -> DataFrame:  # noqa: N802
        """Give the element of each list with the largest key: the first of equals, missing where there is none.

        Parameters
        ----------
        key : callable or DataFrame
            A function of the whole collection, or a number for each element. Elements without a key, or with ``nan``, are skipped.
        """
        frame: Any = self
        return frame._like(chosen_by(frame, key, user_site(), largest=True))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def OrderBy(self, key: Any, descending: bool = False) -> DataFrame:  # noqa: N802, FBT001, FBT002 - one plain switch
        """Give the elements of each list in ascending order of a key: equal ones as they come; a view, with all columns.

        Parameters
        ----------
        key : callable or DataFrame
            A function of the whole collection, or a number for each element. Elements without a key, or with ``nan``, come last.
        descending : bool
            Whether the largest comes first.
        """
        where = user_site()
        if not isinstance(descending, bool):
            raise LiteralError("descending is True or False", where=where, do="X.OrderBy(lambda x: x.pt, descending=True)")
        frame: Any = self
        return frame._like(ordered_by(frame, key, where, descending=descending))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Nearest(self, other: DataFrame, within: Any = None, key: Any = None) -> DataFrame:  # noqa: N802
        """Give, for each element, the element of another collection with the smallest DeltaR: the first of equals.

        Parameters
        ----------
        other : DataFrame
            Where to look: a collection of the same events, with eta and phi.
        within : float, optional
            Only distances below it count; missing where there is none.
        key : callable, optional
            Another distance, of an element of each: ``lambda x, y: abs(x.pt - y.pt)``.

        Returns
        -------
        DataFrame
            Axes: those of this collection.
        """
        frame: Any = self
        return frame._made(nearest(frame, other, within, key, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Index(self, stored: bool = False) -> DataFrame:  # noqa: N802, FBT001, FBT002 - one plain switch
        """Give the position of each entry in its list, from 0: a view counts anew.

        Parameters
        ----------
        stored : bool
            Whether to give the position in the stored collection that the elements are of.
        """
        where = user_site()
        if not isinstance(stored, bool):
            raise LiteralError("stored is True or False", where=where, do="X.Index(stored=True)")
        frame: Any = self
        return frame._made(index_of(frame._expr, where, stored=stored))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Event(self) -> DataFrame:  # noqa: N802
        """Give the event of each element, for functions of a collection: ``j.Event().MET.pt``."""
        frame: Any = self
        return frame._made(event_of(frame._expr, frame._table.whole, user_site()))  # type: ignore[no-any-return]  # noqa: SLF001

    @checked
    def Pad(self, n: int) -> DataFrame:  # noqa: N802
        """Give lists of ``n`` entries: the first ``n``, and missing ones where there are fewer."""
        frame: Any = self
        return frame._like(padded(frame._expr, n, user_site(), clip=True))  # type: ignore[no-any-return]  # noqa: SLF001


for _row in FUNCTIONS.values():
    if _row.method and not hasattr(Groups, _row.method) and not hasattr(Aggregates, _row.method):
        setattr(Aggregates, _row.method, method_of(_row))


def picked(of: Expr, index: int, title: str, where: Site | None) -> Expr:
    """Give one entry of each innermost list.

    Raises
    ------
    AxisError
        When there is no list.
    """
    t = of.type
    if not t.axes or (len(t.axes) == 1 and t.loops):
        raise AxisError(
            f"{title} requires a sequence, and this is one {'element' if t.loops else 'value'}: {t}",
            where=where,
            do="use the value as it is",
        )
    if len(t.axes) == 1 and isinstance(t.item, Record) and any(m.axes for m in t.item.members.values()):
        raise AxisError(
            f"{title} of the table would be one event, and expressions are about all of them",
            where=where,
            why="a position in brackets is one in each innermost list",
            do="df[:1] is the table of the first event; make_local(df.MET.pt)[0] is its value, when it is local",
        )
    return build.pick(of, index, len(t.axes) - 1, where)


# What stands in brackets: a mask, a function, an integer, a slice, a list of names -----------------------------------------------

_KEYS = "in brackets stand a name, a mask, a function, an integer, a slice or a list of names"


def bracketed(frame: DataFrame, key: Any, where: Site | None) -> Expr:
    """Give the selection that ``frame[key]`` means, for every key but a name.

    Raises
    ------
    LiteralError
        For a key that means nothing.
    AxisError
        When there is nothing to select from, or a mask that does not fit.
    """
    of = frame._expr  # noqa: SLF001
    if isinstance(of, Call) and of.function == "record" and dict(of.options).get("block"):
        raise AxisError(
            "a block has the same number of objects in each event, and what is selected of it has not",
            where=where,
            do="select before: ml_features(df[mask].Jet[cut], ...)",
        )
    if hasattr(key, "_expr"):
        by = expr_of(key, frame._table, where)  # noqa: SLF001
        if frame._table.varies:  # noqa: SLF001
            _tell_of_nominal(frame._table.whole, by, where)  # noqa: SLF001
        return _by_expression(of, by, where)
    if isinstance(key, slice):
        bounds = (_bound(key.start, where), _bound(key.stop, where), _bound(key.step, where))
        return build.sliced(of, bounds, _innermost(of, where), where)
    if isinstance(key, list) and key and all(isinstance(k, str) for k in key):
        return build.record(key, [frame[k]._expr for k in key], where)  # noqa: SLF001
    if callable(key):
        value = called(key, frame, where)
        if not hasattr(value, "_expr"):
            raise LiteralError(
                f"filter function {name_of(key)!r} returned {with_article(value)}, not a mask",
                where=where,
                do="return a comparison of its argument",
            )
        return _by_expression(of, expr_of(value, frame._table, where), where)  # noqa: SLF001
    index = _integer(key)
    if index is not None:
        return picked(of, index, f"[{index}]", where)
    raise LiteralError(f"{with_article(key)} cannot stand in brackets", where=where, why=_KEYS, do=_advice(key))


def _advice(key: Any) -> str:
    if isinstance(key, tuple):
        if key and all(isinstance(k, str) for k in key):
            return "several leaves are a list of names: X[['pt', 'eta']]"
        return "one pair of brackets for each step: X[X.pt > 30]['pt']; the innermost list is meant without ':': X[0]"
    if hasattr(key, "dtype") or type(key).__module__.startswith("awkward"):
        return "a mask is written over the table, and not made local: X[X.pt > 30]"
    if isinstance(key, bool):
        return "a mask has a truth value for each element: X[X.pt > 30]"
    return "select by a mask X[X.pt > 30], a function X[lambda x: x.pt > 30], a position X[0], X[:2], or names X[['pt', 'eta']]"


class NominalMask(UserWarning):
    """A mask of what is nominal selects of a table that varies: it keeps the same objects, or events, in every variation."""


def _tell_of_nominal(whole: Expr, mask: Expr, where: Where) -> None:
    leaf = nominal_leaf(whole, mask)
    if leaf:
        line = line_of(where)
        place = f"\n{line.text()}" if line else ""
        fix = "make it of the table that varies, if that is meant"
        warnings.warn(f"{leaf} varies, and the mask takes the nominal {leaf}: {fix}{place}", NominalMask, stacklevel=4)


def _by_expression(of: Expr, key: Expr, where: Site | None) -> Expr:
    at = _innermost(of, where)
    if isinstance(key.type.item, Int):
        if at == 0 and key.type.axes:
            raise LiteralError(
                f"a number per event cannot select events: this is {key.type}",
                where=where,
                why="a mask of events is true or false; a number would be taken as the position of another event",
                do="compare it, for example df[df.Muon.Count() > 0]",
            )
        if key.type.item.bits == 8 and not key.type.item.refers_to and key.type.axes == of.type.axes:
            raise LiteralError(
                f"a number of 8 bits for each element is a flag, and no mask: this is {key.type}",
                where=where,
                why="ATLAS stores flags as numbers; a number would be taken as the position of another element",
                do="compare it: X[flag != 0]; where it is a position indeed, X[flag + np.int64(0)]",
            )
        return build.gathered(of, key, at, where, inside=is_order_of(key, of, at))
    if isinstance(key.type.item, Bool):
        if not key.type.axes:
            raise AxisError(
                "one truth value of all events is no cut: it keeps everything, or nothing",
                where=where,
                why="np.any, np.all and their like reduce everything to one value, unless they are given axis=-1",
                do="write x.Any() or np.any(x, axis=-1); for a decision on a number, make it local first",
            )
        return build.filtered(of, key, at, where)
    raise LiteralError(
        f"a mask is true or false and an index is an integer; this is {key.type.item}",
        where=where,
        do="compare it: X[x > 0]",
    )


def _innermost(of: Expr, where: Site | None) -> int:
    if not of.type.axes:
        raise AxisError(f"there is nothing to select from: this is {of.type}", where=where)
    return len(of.type.axes) - 1


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", ()) != ():
        return None
    return int(value.__index__())


def _bound(value: Any, where: Site | None) -> int | None:
    index = None if value is None else _integer(value)
    if value is not None and index is None:
        raise LiteralError(f"a slice takes integers, not {with_article(value)}", where=where)
    return index


# What the user gives a name to: columns, ``df.Jet["g"] = ...``, and replaced leaves, ``df.Jet.With(pt=...)`` ---------------------


def set_column(frame: DataFrame, name: Any, value: Any, where: Where) -> None:
    """Define a column on a collection, a view or the table.

    Parameters
    ----------
    frame : DataFrame
        The collection.
    name : str
        The new name.
    value : DataFrame or callable
        An expression, or a function of one element of the outermost collection axis (of the event, on the table).

    Raises
    ------
    LiteralError
        When the name or the value is of the wrong kind.
    FieldError
        When a stored leaf has the name, or the frame is itself a leaf.
    AxisError
        When the value belongs to other elements.
    """
    of, table = frame._expr, frame._table  # noqa: SLF001
    if not isinstance(name, str) or not name:
        raise LiteralError(f"a column's name is a text, not {name!r}", where=where)
    if not isinstance(of.type.item, Record):
        raise FieldError(
            f"a leaf cannot have the column {name!r}", where=where, why=f"this is {of.type}", do="define it on the collection"
        )
    if leaf_of(of, name, table, where) is not None:
        base = ".".join(path_of(of))
        owner = base or "the table"
        raise FieldError(
            f"{name!r} is a stored leaf of {owner}",
            where=where,
            why="a column would change the meaning of what the file holds",
            do=f"X.With({name}=...) gives the same objects with that leaf replaced; another name adds a column",
        )
    table.add_column(of, name, _definition(frame, value, "a column", where), where)


def _definition(frame: DataFrame, value: Any, what: str, where: Where) -> Expr:
    """Give what a value means for each element of a frame."""
    if hasattr(value, "_expr"):
        definition = expr_of(value, frame._table, where)  # noqa: SLF001
    elif callable(value):
        definition = mapped(frame, value, where)
    else:
        raise LiteralError(
            f"{what} is an expression or a function of one element, not {with_article(value)}",
            where=where,
            do=f"write lambda x: {value!r}"
            if isinstance(value, bool | int | float | str)
            else "an array that is local stays outside: join it to the result, when that is local",
        )
    of: Expr = frame._expr  # noqa: SLF001
    if what != "a column" and definition.type.axes != of.type.axes[: len(definition.type.axes)]:
        return definition  # It is of the same elements, or refused.
    return spread(definition, of, where)


def with_replaced(frame: DataFrame, values: Mapping[str, Any], where: Where) -> DataFrame:
    """Give the same elements with leaves replaced or added; on a table, with collections replaced everywhere.

    Parameters
    ----------
    frame : DataFrame
        A collection, a view, an object or the table.
    values : mapping
        By name: an expression, or a function of one element (of the collection as it was). ``p4=`` a vector replaces all components.

    Raises
    ------
    AxisError
        When a value belongs to other elements.
    FieldError
        When the frame is a leaf, or the new components contradict a stored one.
    """
    of, table = frame._expr, frame._table  # noqa: SLF001
    if not isinstance(of.type.item, Record):
        raise FieldError(
            "a leaf has no leaves to replace", where=where, why=f"this is {of.type}", do="X.With(pt=...) is of the collection"
        )
    if not values:
        raise LiteralError("With needs the leaves to replace", where=where, do="X.With(pt=X.pt * 1.03)")
    if of.key == table.whole.key and any(_is_collection(of.type.item, n) for n in values):
        return _table_with(frame, values, where)
    collection = next((n for n in values if _is_collection(of.type.item, n)), "")
    if collection and _has_all(of.type.item, table.whole.type.item):
        raise FieldError(
            f"{collection} is replaced in the whole table, and these are some of its events",
            where=where,
            why="columns, references and cuts that use the collection could not follow",
            do=f"replace it first, and choose events of what that gives: df.With({collection}=...)[mask]",
        )
    given = {n: _definition(frame, v, f"With({n}=...)", where) for n, v in values.items()}
    new, hidden = components_of_with(operand_of(frame, table, where), given, where)
    for name in (*new, *hidden):
        table.gives(name)
    return frame._like(build.replaced(of, tuple(new), tuple(new.values()), hidden, where))  # noqa: SLF001


def _has_all(record: Record, events: object) -> bool:
    return isinstance(events, Record) and events.members.keys() <= record.members.keys()


def _is_collection(record: Record, name: str) -> bool:
    member = record.members.get(name)
    return member is not None and isinstance(member.item, Record)


def _table_with(frame: DataFrame, values: Mapping[str, Any], where: Where) -> DataFrame:
    """Give the table with collections replaced wherever it, its columns and its references mention them."""
    of, table = frame._expr, frame._table  # noqa: SLF001
    new: dict[str, Expr] = {}
    for name, value in values.items():
        made = value(frame[name]) if callable(value) and not hasattr(value, "_expr") else value
        if not hasattr(made, "_expr"):
            raise LiteralError(
                f"With({name}=...) of a table is a collection, or a function of it, not {with_article(made)}",
                where=where,
                do=f"df.With({name}=lambda x: x.With(pt=x.pt * 1.03))",
            )
        new[name] = expr_of(made, table, where)
        if not isinstance(new[name].type.item, Record) and _is_collection(of.type.item, name):  # type: ignore[arg-type]
            raise LiteralError(
                f"{name} is a collection, and With({name}=...) gives {new[name].type}",
                where=where,
                do=f"df.With({name}=lambda x: x.With(pt=x.pt * 1.03))",
            )
        table.gives(name)
    whole = build.replaced(of, tuple(new), tuple(new.values()), (), where)
    before = {n: leaf_of(of, n, table, where) for n in new}
    old = {b.key: new[n] for n, b in before.items() if b is not None}
    back = {new[n].key: b for n, b in before.items() if b is not None}
    again: list[Table] = []

    def leaf(record: Expr, name: str, at: Where) -> Expr:
        found = plain_member(record, name, again[0], at)
        if found is None:
            raise FieldError(f"the new {record.type.item} has no leaf {name!r}, which a column of the table uses", where=where)
        return found

    again.append(table.replaced(whole, {**back, whole.key: of}, lambda d: swapped(d, old, leaf)))
    return again[0].frame(whole)  # type: ignore[no-any-return]


# Subclasses of DataFrame: the user's own objects with properties of their own ----------------------------------------------------

C = TypeVar("C", bound=type)

# Which properties are being computed: (class, name, expression key). Inside, the name means the leaf.
_ACTIVE: ContextVar[tuple[tuple[type, str, bytes], ...]] = ContextVar("hep_flows_properties", default=())


def guarded_properties(cls: type) -> None:
    """Let each property of a class use the leaf of its own name instead of calling itself for ever."""
    for name, own in list(vars(cls).items()):
        if isinstance(own, property) and own.fget is not None and not name.startswith("_"):
            setattr(cls, name, property(_guarded(cls, name, own.fget), own.fset, own.fdel, own.__doc__))


def _guarded(cls: type, name: str, getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(getter)
    def get(frame: Any) -> Any:
        mark = (cls, name, frame._expr.key)  # noqa: SLF001
        if mark in _ACTIVE.get():
            return frame[name]
        token = _ACTIVE.set((*_ACTIVE.get(), mark))
        try:
            return getter(frame)
        finally:
            _ACTIVE.reset(token)

    return get


def exclusive_class(cls: C) -> C:
    """Give a class whose objects have only the properties, methods and operators that it defines itself.

    Inside them the object is an ordinary one, so that ``self.pt`` is the leaf.

    Parameters
    ----------
    cls : type
        A subclass of `DataFrame`.
    """
    own = {n: v for c in cls.__mro__ if c.__module__.split(".")[0] != "hep_flows" for n, v in vars(c).items() if c is not object}

    def refuse(name: str) -> FieldError:
        return FieldError(
            f"{cls.__name__} has no attribute {name!r}",
            where=user_site(),
            why="an exclusive class offers only what it defines",
            do=did_you_mean(name, [n for n in own if not n.startswith("_")]) or f"add a property {name!r} to {cls.__name__}",
        )

    def __getattribute__(self: Any, name: str) -> Any:  # noqa: N807
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        if name not in own:
            raise refuse(name)
        return getattr(_inner(self), name)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        del self  # It is what Python passes; only the class matters.
        # Python asks here after __getattribute__ refused: the leaf must stay hidden.
        raise AttributeError(name) if name.startswith("_") else refuse(name)

    def _inner(self: Any) -> Any:
        inner: Any = object.__new__(cls)
        inner.__dict__.update(self.__dict__)
        for slot in ("_expr", "_table"):
            object.__setattr__(inner, slot, object.__getattribute__(self, slot))
        return inner

    outside: dict[str, Any] = {
        "__getattribute__": __getattribute__,
        "__getattr__": __getattr__,
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
    }
    outside["__qualname__"] = cls.__qualname__
    for name in _operators(cls):
        outside[name] = _delegated(name, _inner) if name in own else _refused(cls, name)
    return type(cls.__name__, (cls,), outside)  # type: ignore[return-value]


def _operators(cls: type) -> list[str]:

    skip = {"__doc__", "__module__", "__slots__", "__hash__", "__bool__", "__iter__", "__len__", "__contains__"}
    names = {n for n in vars(Operators) if n.startswith("__")} | {"__getitem__", "__setitem__", "__call__", "__array_ufunc__"}
    return sorted(n for n in names - skip if callable(getattr(cls, n, None)))


def _delegated(name: str, inner: Callable[[Any], Any]) -> Callable[..., Any]:
    def operator(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(inner(self), name)(*args, **kwargs)

    return operator


def _refused(cls: type, name: str) -> Callable[..., Any]:
    def operator(self: Any, *args: Any, **kwargs: Any) -> Any:
        del self, args, kwargs  # Python passes them; the answer is the same for all.
        raise FieldError(
            f"{cls.__name__} does not define {name}",
            where=user_site(),
            why="an exclusive class offers only the operators that it defines",
            do=f"define {name} in {cls.__name__}",
        )

    return operator


class _Doc:
    """The docstring: the class's own on the class, the branch's on an expression."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __get__(self, frame: DataFrame | None, owner: type) -> str:
        return self.text if frame is None else frame._describe()  # noqa: SLF001


class DataFrame(Operators, Aggregates, Groups, Recorded):
    """A recorded expression on the events of a table.

    Leaves and collections are attributes (``df.Jet.pt``) or string keys (``df["Jet"]["pt"]``); ``X[mask]``, ``X[function]``, ``X[0]``
    and ``X[:2]`` select; ``X["name"] = ...`` adds a column. Nothing is read until `hep_flows.make_local`.

    Parameters
    ----------
    df : DataFrame
        The expression that the new object stands for; subclasses pass theirs on.
    """

    __slots__ = ()

    def __init__(self, df: DataFrame) -> None:
        """Stand for the same expression as ``df``."""
        if not isinstance(df, DataFrame):
            raise LiteralError(
                f"a DataFrame is made from another, not from {with_article(df)}",
                where=user_site(),
                do="begin with nanoaod_table, xaod_table, tree_table or parquet_table",
            )
        object.__setattr__(self, "_expr", df._expr)
        object.__setattr__(self, "_table", df._table)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let a property of a subclass use the leaf that it has the name of."""
        super().__init_subclass__(**kwargs)
        guarded_properties(cls)

    @classmethod
    def _of(cls, expr: Expr, table: Table) -> DataFrame:
        new = object.__new__(DataFrame)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", table)
        return new

    def _made(self, expr: Expr) -> DataFrame:
        """Give a plain frame over the same table."""
        return self._table.frame(expr)  # type: ignore[no-any-return]

    @property
    def metadata(self) -> Any:
        """What the fileset says about the dataset of these events, for reading; of anything else, its leaf of that name.

        ``events["metadata"]`` is a leaf in any case. Tables that were not made from a fileset have no metadata.
        """
        expr = self._expr
        if expr.type.item is self._table.dataset.type.item and len(expr.type.axes) == 1:
            return self._table.metadata
        return self["metadata"]

    def __getattr__(self, name: str) -> Any:
        """Give a leaf, collection, column or alias by name."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}; leaves with an underscore: df[{name!r}]")
        own = getattr(type(self), name, None)
        if isinstance(own, property) and own.fget is not None:
            return own.fget(self)  # It raised AttributeError, which hid its reason: raise that again.
        where = user_site()
        row = row_of_method(name)
        if row is not None and name == row.method:
            return method_of(row).__get__(self)  # A row that was added after this class was made.
        found = member_of(self, self._expr, name, self._table, where)
        if found is not None:
            return self._made(found)
        if row is not None:
            return getattr(self, row.method)
        accessor = accessed(self, name)
        if accessor is not None:
            return accessor
        if isinstance(self._expr.type.item, Record) and name in ("fields", "find"):
            return self._fields() if name == "fields" else self._find
        raise no_member(self._expr, name, self._table, where)

    def __getitem__(self, key: Any) -> Any:
        """Select: by name, mask, function, integer or slice."""
        where = user_site()
        if isinstance(key, str):
            found = member_of(self, self._expr, key, self._table, where)
            if found is None:
                raise no_member(self._expr, key, self._table, where)
            return self._made(found)
        return self._like(bracketed(self, key, where))

    def __setitem__(self, name: str, value: Any) -> None:
        """Add a column: an expression, or a function of one element."""
        set_column(self, name, value, user_site())

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to hide a leaf behind a Python attribute."""
        if type(self) is DataFrame:
            of = "df" if isinstance(self._expr, Dataset) else "X"
            raise RecordError(
                f"{name!r} cannot be set as an attribute",
                where=user_site(),
                why="a column is added in brackets, and a stored leaf keeps its meaning",
                do=f"add a column of a new name: {of}['new_{name}'] = ...",
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        """Refuse: what is not asked for is not read."""
        raise self._kept(name)

    def __delitem__(self, name: Any) -> None:
        """Refuse: what is not asked for is not read."""
        raise self._kept(name)

    def _kept(self, name: Any) -> RecordError:
        return RecordError(
            f"{name!r} cannot be deleted: what a file holds stays",
            where=user_site(),
            why="nothing is read that is not asked for",
            do="name what you want: X[['pt', 'eta']] has these leaves",
        )

    def __matmul__(self, other: Any) -> Any:
        """Refuse: lists have no matrix product."""
        raise LiteralError("lists have no matrix product", where=user_site(), do="a sum of products is (x * y).Sum()")

    __rmatmul__ = __matmul__

    def __call__(self, *args: Any, **kwargs: Any) -> DataFrame:
        """Give an xAOD leaf that is written as a call, ``p.eta()``."""
        return called_leaf(self, args, kwargs, user_site())  # type: ignore[no-any-return]

    @checked
    def get(self, name: str, default: Any = REQUIRED, *, as_: str = "") -> DataFrame:
        """Give a leaf, with ``default`` in the files of the dataset that lack it, decided file by file.

        Parameters
        ----------
        name : str
            The leaf or collection.
        default : bool, int, float, str or None
            What the leaf is in files that lack it, in every event and for each object; None is missing. A collection needs none: files that
            lack it have none of its objects, and leaves that are lists themselves are empty lists there.
        as_ : str
            The kind to convert the leaf to, as numpy names it; needed where files hold it as kinds that do not fit together.

        Raises
        ------
        LiteralError
            When there is no default, or the leaf's kind cannot hold it exactly.
        MixedFilesError
            When files hold it as kinds that do not fit together, and ``as_`` does not say which it is to be.
        """
        where = user_site()
        return self._made(leaf_or_default(self, name, default, as_, where))

    @checked
    def tree(self, name: Any) -> DataFrame:
        """Give another tree of the same files, ``df.tree("Runs")``, as a table of its own.

        A number over all its entries (``df.tree("Runs").genEventSumw.Sum()``) may stand in any expression of this table. Its leaves are there
        with and without a trailing ``_``.

        Parameters
        ----------
        name : str
            The name of the tree.

        Raises
        ------
        SourceError
            When a file has no such tree.
        """
        where = user_site()
        if not isinstance(name, str) or not name:
            raise LiteralError(f"a tree is named by a text, not by {with_article(name)}", where=where, do='df.tree("Runs")')
        if self._expr.key != self._table.whole.key:
            raise LiteralError("a tree is one of the files of a table", where=where, do='write df.tree("Runs") of the table itself')
        return self._table.tree(name, where)  # type: ignore[no-any-return]

    @property
    def sumw(self) -> Any:
        """The sum of the generator's weights of all events that were generated for these files, selected or not; of anything else, its leaf.

        Of ``Runs.genEventSumw`` in NanoAOD, of the CutBookkeepers of the first job that read the AOD in PHYSLITE. It is the number to divide by: ``df.genWeight * xsec / df.sumw``.
        """
        return self["sumw"] if self._expr.key != self._table.whole.key else sum_of_weights(self, user_site())

    @property
    def n_generated(self) -> Any:
        """The number of events that were generated for these files; of data, the number of events. Of anything else, its leaf."""
        return self["n_generated"] if self._expr.key != self._table.whole.key else number_generated(self, user_site())

    @checked
    def map(self, function: Callable[..., Any]) -> DataFrame:
        """Give ``function`` of each element of the outermost collection inside the event.

        Parameters
        ----------
        function : callable
            Gets one element; whatever else it uses is whole, the same collection included.

        Returns
        -------
        DataFrame
            Axes: events, the collection, then those of the function's result.
        """
        return self._made(mapped(self, function, user_site()))

    @checked
    def Where(self, condition: Any) -> Self:  # noqa: N802
        """Give ``self[condition]``."""
        return self[condition]  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> DataFrame:
        """Record a numpy ufunc."""
        return self._made(ufunc_call(ufunc, method, inputs, kwargs, self._table, user_site()))

    def __array_function__(self, func: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Record a numpy function."""
        return numpy_function(self, func, args, kwargs, user_site())

    def __awkward_function__(self, func: Any, arrays: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Record an awkward function."""
        return awkward_call(self, func, args, kwargs, user_site())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: there are no values yet."""
        raise where.no_value(user_site(), "a numpy array", "call make_local(x) first")

    # Arrays that are local already ask for these before they compute with us: without them, awkward takes us for a list of something.
    __dlpack__ = __dlpack_device__ = __arrow_array__ = __array__

    def __hash__(self) -> int:
        """Hash by the expression's key."""
        return hash(self._expr)

    def __format__(self, spec: str) -> str:
        """Give the text of the expression; a number's format needs a value."""
        if spec:
            raise where.no_value(user_site(), f"the format {spec!r}", "call make_local(x) first")
        return repr(self)

    def __copy__(self) -> Self:
        """Give a frame of the same expression."""
        return self._like(self._expr)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give a frame of the same expression over the same table."""
        return self._like(self._expr)

    def __reduce__(self) -> Any:
        """Refuse: a table and its columns live in this process."""
        raise LiteralError("an expression cannot be pickled", where=user_site(), do="send the function that records it")

    def __dir__(self) -> list[str]:
        """List methods, columns, aliases and leaves, for tab completion."""
        self._table.looked.whole_schema = True
        methods = [n for n in dir(type(self)) if not n.startswith("_")]
        return sorted({*methods, *(n for n in known_names(self._expr, self._table) if n.isidentifier())})

    def __repr__(self) -> str:
        """Show the expression and its type."""
        from hep_flows.expr.text import one_line

        self._table.looked.whole_schema = True
        return f"<{type(self).__name__} {one_line(self._expr)}: {self._expr.type}>"

    def _fields(self) -> list[str]:
        """Give the names of leaves, collections, columns and aliases, as awkward's ``fields``; what is derived from them is in ``dir``."""
        self._table.looked.whole_schema = True
        return list(known_names(self._expr, self._table, derived=False))

    def _find(self, text: Any) -> list[str]:
        """Give the leaves whose name, title or unit has a text in it, whatever the case: ``df.find("btag")``."""
        if not isinstance(text, str):
            raise LiteralError(f"what is looked for is a text, not {with_article(text)}", where=user_site(), do='df.find("btag")')
        self._table.looked.whole_schema = True
        return [path for path, about in leaves_within(self._expr) if text.lower() in f"{path} {about}".lower()]

    def _ipython_key_completions_(self) -> list[str]:
        """Give what may stand in brackets as a text."""
        return self._fields() if isinstance(self._expr.type.item, Record) else []

    def _repr_html_(self) -> str:
        """Show the expression, and of a table or a collection what it has, with types, units and titles."""
        from html import escape

        head = f"<code>{escape(repr(self))}</code>"
        if not isinstance(self._expr.type.item, Record):
            return head
        rows = "".join([f"<tr>{''.join([f'<td>{escape(c)}</td>' for c in row])}</tr>" for row in rows_of(self._expr)])
        names = "".join([f"<th>{n}</th>" for n in ("name", "has", "unit", "title")])
        return f"{head}<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"

    def _describe(self) -> str:
        """Give the type, the unit and what the file says about it."""
        from hep_flows.record.members import document_of

        self._table.looked.whole_schema = True
        return document_of(self._expr)


DataFrame.__doc__ = _Doc(DataFrame.__doc__ or "")  # type: ignore[assignment]


# Sums over what was generated: they stand in another tree of the files, and do not depend on what was selected ----------------------


def sum_of_weights(df: DataFrame, where: Where) -> DataFrame:
    """Give the sum of the generator's weights over all files.

    Raises
    ------
    FieldError
        When nothing in the files says it, with the two ways to say it oneself.
    """
    found = _generated(df, "genEventSumw", "sumOfEventWeights", where)
    if found is None:
        raise FieldError(
            f"nothing in the files of {df._table.name} says the sum of weights",  # noqa: SLF001
            where=where,
            why=f"{_WHERE_SUMS}, and the sum over the events is another number where events were dropped",
            do='divide by events.metadata["sumw"], if you know it, or by df.genWeight.Sum(), if no event was ever dropped',
        )
    return found


_WHERE_SUMS = "NanoAOD has such sums in the tree Runs, PHYSLITE in CutBookkeepers of MetaData"
OF_GENERATORS = ("genWeight", "Generator", "LHE", "GenPart", "Truth")  # what only simulated events have begins like this


def number_generated(df: DataFrame, where: Where) -> DataFrame:
    """Give the number of generated events; of data, that of all events."""
    found = _generated(df, "genEventCount", "nAcceptedEvents", where)
    if found is not None:
        return found
    if _is_data(df):
        return df.Count()  # type: ignore[no-any-return]
    raise FieldError(
        f"nothing in the files of {df._table.name} says how many events were generated",  # noqa: SLF001
        where=where,
        why=_WHERE_SUMS,
        do='take events.metadata["n_generated"], if you know it, or df.Count(), if no event was ever dropped',
    )


def _is_data(df: DataFrame) -> bool:
    record = df._expr.type.item  # noqa: SLF001
    assert isinstance(record, Record)
    df._table.looked.whole_schema = True  # noqa: SLF001 - what there is decides whether it is data
    return not any(n.startswith(OF_GENERATORS) for n in record.members)


def _generated(df: DataFrame, of_runs: str, of_bookkeepers: str, where: Where) -> DataFrame | None:
    """Give a sum over what was generated; None where no file says it.

    Book-keepers count the events that a job read: the first job that read the AOD (name AllExecutedEvents, input StreamAOD, the lowest
    cycle) saw all that were generated, whatever later ones dropped.
    """
    if df._table.dataset.kind != "xaod":  # noqa: SLF001
        runs = _in_tree(df, "Runs", of_runs, where)
        return None if runs is None else runs.Sum()
    try:
        jobs = None if _is_data(df) else _in_tree(df, "MetaData", "CutBookkeepers", where)
        if jobs is None:
            return None
        first = jobs[(jobs["name"] == "AllExecutedEvents") & (jobs["inputStream"] == "StreamAOD")]
        first = first[first["cycle"] == first["cycle"].Min()]
        value = first[of_bookkeepers].Sum()
    except FieldError as error:
        raise FieldError(
            f"the book-keepers in the files of {df._table.name} cannot be read: {error.what}",  # noqa: SLF001
            where=where,
            why=error.why or "some files store them as whole objects",
            do='take events.metadata["sumw"] or events.metadata["n_generated"], if you know it',
        ) from None
    returns = value._expr.type.item  # noqa: SLF001
    calls = Calls()
    calls.is_checked = True
    one = UserFunction(
        "of_one_bookkeeper", ("n", "value"), (None, None), returns, digest("of one bookkeeper", 1), body=_of_one_job, calls=calls
    )
    return first._made(build.call(one, [first.Count()._expr, value._expr], where=where)).Sum()  # type: ignore[no-any-return]  # noqa: SLF001


def _of_one_job(n: Any, value: Any) -> Any:
    if (n != 1).any():
        raise ValueError(
            "a file has no single book-keeper AllExecutedEvents of StreamAOD, so nothing says what was generated for it"
        )
    return value


def _in_tree(df: DataFrame, tree: str, leaf: str, where: Where) -> DataFrame | None:
    """Give a leaf of another tree of the files; None where none of them has the tree, or it has no such leaf."""
    if df._table.dataset.kind != df._table.dataset.model:  # noqa: SLF001 - a server reads the events, and no other tree of their files
        return None if _is_data(df) else df.tree(tree)
    try:
        other = df.tree(tree)
        found = leaf_of(other._expr, leaf, other._table, where)  # noqa: SLF001
        return None if found is None else other._made(found)  # noqa: SLF001
    except SourceError:
        table = df._table  # noqa: SLF001
        files = zip(table.dataset.files, table.dataset.content, strict=True)
        if not any([_has_tree(table, tree, f, c) for f, c in files]):
            return None
        raise


def _has_tree(table: Table, tree: str, file: str, content: str) -> bool:
    """Say whether one file of a table has a tree."""
    assert table.open_tree is not None
    try:
        table.open_tree(replace(table.dataset, files=(file,), content=(content,)), tree)
    except SourceError:
        return False
    return True


# The first expression of all: a table of events ---------------------------------------------------------------------------------


def table_of(description: Description, kind: str, collections: Collections = ()) -> DataFrame:
    """Give the frame of a table from what a plug-in found in its files."""
    return frame_of(dataset_of(description, kind, collections=collections))


def dataset_of(description: Description, kind: str, name: str = "", collections: Collections = ()) -> Dataset:
    """Give the node of a table, under a name to show; ``collections`` are those that the user named by their leaves."""
    return build.dataset(
        kind,
        description.content,
        description.tree,
        description.record,
        files=description.files,
        name=name or description.name,
        collections=collections,
    )


def frame_of(dataset: Dataset, metadata: Mapping[str, object] | None = None) -> DataFrame:
    """Give the frame of a table, with what a fileset says about it."""
    return DataFrame._of(dataset, Table(dataset, metadata, DataFrame._of))  # noqa: SLF001
