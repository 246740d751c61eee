"""The table of functions of the language: one row says all about a function, and everything else is driven by it.

Recording (methods, numpy's and awkward's names), types and units, texts, the totals over ranges of events, what a back end refuses, the
documentation and the tests read the rows; a function needs one row here and one kernel in the plug-in that computes it
(`hep_flows.plugins.awkward`). Plug-ins may add rows; nodes never grow new classes. A row's ``meaning`` number is part of every key that
uses it and is raised by hand when the function starts to mean something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.expr import types
from hep_flows.expr.key import digest
from hep_flows.expr.types import Anything, Bool, Float, Int, Item, String, is_number, item_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.types import Constant, Type

# The item of a function's result from the items of its arguments -----------------------------------------------------------------
#
# Every rule gets the items and, beside each, whether it is a plain Python constant (which adapts to the other's width). A rule that
# does not apply raises `TypeError` with the reason; `hep_flows.expr.build` adds the user's line.


def _results_numbers(items: Sequence[Item]) -> None:
    for item in items:
        if isinstance(item, Anything):
            raise TypeError("a list or tuple has no place beside values of events; for membership use np.isin(x, [1, 2])")
        if not is_number(item):
            raise TypeError(f"it needs numbers, and one argument is a {item}")


def _common(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    if len(items) == 1:
        return types.common(items[0], items[0])
    return types.common(items[0], items[1], left_weak=weak[0], right_weak=weak[1])


def _widened(items: Sequence[Item], weak: Sequence[bool]) -> Sequence[Item]:
    """Give the arguments as they enter arithmetic; beside a float, a truth value need not be wider."""
    has_float = any(isinstance(i, Float) for i in items)
    keep = [w or (has_float and isinstance(i, Bool)) for i, w in zip(items, weak, strict=True)]
    return [i if k else types.widened(i) for i, k in zip(items, keep, strict=True)]


def arithmetic(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Sums, products and their like: in 32 bits at least, and truth values count as the integers 0 and 1."""
    _results_numbers(items)
    item = _common(_widened(items, weak), weak)
    return Int(32) if isinstance(item, Bool) else item


def divided(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """True division: whole numbers give 64-bit floats."""
    item = arithmetic(items, weak)
    return item if isinstance(item, Float) else Float(64)


def equality(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``==`` and ``!=`` compare numbers with numbers and text with text."""
    if all(isinstance(i, String) for i in items):
        return Bool()
    return comparison(items, weak)


def comparison(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``<`` and its like compare numbers."""
    _results_numbers(items)
    return Bool()


def bitwise(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``& | ^ ~`` combine truth values, or the bits of integers."""
    for item in items:
        if isinstance(item, Float):
            raise TypeError(
                f"it combines truth values or integers, and one side is {item}; comparisons need parentheses: (a > 1) & (b < 2)"
            )
    _results_numbers(items)
    return _integer(_common(items, weak), items)


def _integer(item: Item, items: Sequence[Item]) -> Item:
    """Refuse integers that only a float could hold together: uint64 beside a signed one."""
    if isinstance(item, Float):
        raise TypeError(f"no integer type holds both {items[0]} and {items[1]}")
    return item


def whole(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of integers only."""
    if any(isinstance(i, Float) for i in items):
        raise TypeError("it needs integers")
    return _integer(arithmetic(items, weak), items)


def shifted(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Shifts of bits keep the width; truth values are 64-bit integers there."""
    if any(isinstance(i, Float) for i in items):
        raise TypeError("it needs integers")
    _results_numbers(items)
    item = _integer(_common(items, weak), items)
    return Int(64) if isinstance(item, Bool) else item


def truth(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of numbers that say true or false."""
    _results_numbers(items)
    return Bool()


def any_truth(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of any item that say true or false."""
    return Bool()


def widest(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The larger or smaller of two: truth values stay truth values."""
    _results_numbers(items)
    return _common(items, weak)


def widest_or_text(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Either of two numbers, or either of two texts."""
    if all(isinstance(i, String) for i in items):
        return String()
    return widest(items, weak)


def real(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions with real values: every argument becomes a float that can hold it, and the widest decides."""
    _results_numbers(items)
    items = _widened(items, weak)
    strong = [i for i, is_weak in zip(items, weak, strict=True) if not is_weak] or items
    beyond = [i for i, is_weak in zip(items, weak, strict=True) if is_weak and _kind(i) > max([_kind(j) for j in strong])]
    every = [*strong, *beyond]
    floats = [i.bits for i in every if isinstance(i, Float)]
    whole = [types.as_float(i).bits for i in every if isinstance(i, Int) or (isinstance(i, Bool) and not floats)]
    return Float(max([*floats, *whole]))


def _kind(item: Item) -> int:
    """Order numbers by kind: a constant of a higher kind than all arrays brings its own width."""
    return 0 if isinstance(item, Bool) else 1 if isinstance(item, Int) else 2


def double(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions that always work in 64 bits."""
    _results_numbers(items)
    return Float(64)


def signed(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of a sign: truth values have none."""
    _results_numbers(items)
    if isinstance(items[0], Bool):
        raise TypeError("a mask has no sign; write ~mask for its opposite")
    return _common(items, weak)


def negated(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The opposite of a number."""
    return arithmetic([signed(items, weak)], weak)


def magnitude(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The magnitude of a number, and others of one argument that work in 32 bits at least."""
    return arithmetic(items, [False])


def same(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions that keep the kind of number."""
    _results_numbers(items)
    return types.common(items[0], items[0])


def choice(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``np.where``: a mask, and two values of one kind."""
    if not isinstance(items[0], Bool):
        raise TypeError(f"its condition must be true or false, and is {items[0]}")
    return widest_or_text(items[1:], weak[1:])


def counted(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A count."""
    return Int(64)


def position(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The place of a number in its list."""
    _results_numbers(items)
    return Int(64)


def accumulated(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A running sum: 64 bits, whole numbers stay whole."""
    _results_numbers(items)
    return Float(64) if isinstance(items[0], Float) else types.summed(items[0])


def summed(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A sum over a list."""
    _results_numbers(items)
    return types.summed(items[0])


def multiplied(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A product over a list: floats keep their width."""
    _results_numbers(items)
    return items[0] if isinstance(items[0], Float) else types.summed(items[0])


Kind = Literal["elementwise", "reduce", "list", "structure", "histogram"]


@dataclass(frozen=True, slots=True)
class Option:
    """A constant that belongs to a call, and is no expression.

    Parameters
    ----------
    name : str
        The keyword.
    example : constant
        A value that it may have.
    refusal : callable, optional
        Says why a value is refused; empty when it is not.
    required : bool
        Whether a call must have it.
    tells_members : bool
        Of a function of lists whose entries are groups: it chooses the member of each group, and the groups are the same for all its values.
    """

    name: str
    example: Constant
    refusal: Callable[[Any], str] | None = None
    required: bool = True
    tells_members: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One row.

    Parameters
    ----------
    name : str
        The name in nodes, numpy's where numpy has the function.
    kind : str
        ``elementwise`` works on aligned items; ``reduce`` removes the innermost axis; ``list`` gives a list for each innermost list;
        ``structure`` moves items about; ``histogram`` fills.
    arity : tuple of int
        Fewest and most arguments.
    item : callable, optional
        Gets the argument items and which of them are plain Python constants, gives the item of the result.
    commutative : bool
        Whether swapping the arguments can never change a bit of the result.
    mirror : str
        The function that gives the same when the arguments are swapped.
    symbol : str
        How an operator is written.
    meaning : int
        The version of the meaning.
    missing : str
        ``passes`` (a missing argument gives a missing item), ``made`` (an empty list gives a missing item), ``removed``, ``filled`` (by
        the last argument), ``unordered`` (a missing argument or one that is no number gives a missing item).
    title : str
        The name in errors and texts, where physicists have one of their own.
    spelled : str
        The name in texts alone, where it is another.
    strength : int
        How strongly an operator binds in texts, more than a comparison; see `hep_flows.expr.text`.
    method : str
        The method of an expression that records it.
    synonyms : tuple of str
        Other names of the method, which a leaf of that name hides.
    numpy, awkward : tuple of str
        Its names there.
    options : tuple of Option
        Constants that belong to a call, in the order in which the method takes them.
    unit : str
        ``keeps`` the unit of its arguments, ``compares`` values that should have one unit, or empty: the result has none.
    merge : callable, optional
        Gives the value over all events from what each range of events gave, in order; None where that cannot be done, so that an
        aggregate over events is refused when it is recorded. The parts are plain Python values.
    everything : str
        How numpy's and awkward's form without an axis is made of it: ``again`` (the results are reduced by the same function, or by
        the one that ``reduced_by`` names), ``at once`` (one aggregate over all axes), ``ratio`` (a sum by a count), ``never``.
    reduced_by : str
        Which function reduces the results of lists further.
    new_axis : bool
        Of a ``list``: whether its entries are other ones than those of its argument, so that the two do not align.
    item_option : str
        The option that names the item of the result, where it is not one of ``item``.
    lists_only : bool
        Whether it looks at the lists and not at what is in them; with ``new_axis``, its positions are the same for all leaves of a collection.
    empty : str
        What an empty list gives, in the documentation.
    doc : str
        What it gives, in one line: the docstring of its method and its line in the documentation.
    """

    name: str
    kind: Kind
    arity: tuple[int, int]
    item: Callable[[Sequence[Item], Sequence[bool]], Item] | None = None
    commutative: bool = False
    mirror: str = ""
    symbol: str = ""
    meaning: int = 1
    missing: Literal["passes", "made", "removed", "filled", "unordered"] = "passes"
    title: str = ""
    spelled: str = ""
    strength: int = 0
    method: str = ""
    synonyms: tuple[str, ...] = ()
    numpy: tuple[str, ...] = ()
    awkward: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    unit: Literal["keeps", "compares", ""] = ""
    merge: Callable[[Sequence[Any]], Any] | None = None
    everything: Literal["again", "at once", "ratio", "never"] = "never"
    reduced_by: str = ""
    new_axis: bool = False
    item_option: str = ""
    lists_only: bool = False
    empty: str = ""
    doc: str = ""

    @property
    def named(self) -> str:
        """Give its name in errors: the symbol, the method, or a name of its own."""
        return self.symbol or self.title or self.method or self.name

    @property
    def written(self) -> str:
        """Give its name as it is called in texts: ``np.sqrt``, ``ak.is_none``, ``DeltaR``."""
        return self.spelled or self.title or f"{'ak' if self.name in self.awkward and not self.numpy else 'np'}.{self.name}"


Mode = Literal["arrays", "single", "jagged"]


class Calls:
    """How the body of a function turned out to be called, once it was: the same for all its calls."""

    def __init__(self) -> None:
        """Nothing was called yet."""
        self.how = ""
        self.is_checked = False
        self._lock = Lock()

    def settle(self, how: str) -> str:
        """Give how it is called: as said here, unless that is settled already."""
        with self._lock:
            self.how = self.how or how
            return self.how


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function that a user declared with `user_func`.

    Parameters
    ----------
    name : str
        The name, which a back end may know.
    parameters : tuple of str
        Parameter names, in order.
    accepts : tuple of Item or None
        The declared item of each parameter; None where none is declared.
    returns : Item
        The item of the result.
    code : bytes
        The identity of the body: a digest of its canonical source and captured values, or a mark that is good in this
        process only.
    portable : bool
        Whether ``code`` means the same in another process.
    body : callable, optional
        The local body; not identity (``code`` is).
    note : str
        What the plan says about it, for example an assumed return type.
    why_not_portable : str
        What it does that no key can stand for, where it is not portable.
    now : callable, optional
        Gives what ``code`` would be now, where that may change after the function was written into an expression; not identity.
    from_file : bool
        Whether ``code`` covers the file that it was read from, and its names are therefore no identity. The note says which file.
    cpp : CppFunction, optional
        The body in C++, for back ends that generate it; part of the identity.
    mode : str
        How the body is called: with flat ``arrays`` (with single values where that raises), with ``single`` values, or with ``jagged``
        arrays. A function that takes lists gets one list per call unless it is jagged.
    lists : tuple of str
        The parameters that take whole lists, of the innermost axis.
    members : tuple of str
        The names of the results, where there are several.
    member : str
        The one of them that this is.
    pure : bool
        Whether the body gives the same for the same arguments. If not, filters do not move past it.
    calls : Calls
        What calls of the body came to; not identity.
    """

    name: str
    parameters: tuple[str, ...]
    accepts: tuple[Item | None, ...]
    returns: Item
    code: bytes = b""
    portable: bool = True
    body: Callable[..., object] | None = field(default=None, compare=False, repr=False)
    note: str = field(default="", compare=False, repr=False)
    why_not_portable: str = field(default="holds values that have no content key", compare=False, repr=False)
    now: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)
    from_file: bool = False
    cpp: CppFunction | None = None
    mode: Mode = "arrays"
    lists: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    member: str = ""
    pure: bool = True
    calls: Calls = field(default_factory=Calls, compare=False, repr=False)

    @property
    def called_with(self) -> str:
        """What the body gets in one call."""
        if self.mode == "jagged":
            return "jagged arrays"
        if self.mode == "single":
            return "single values"
        return "one list per call" if self.lists else self.calls.how or "arrays"

    def identity(self) -> bytes:
        """Give the digest that stands for the function in keys."""
        accepts = tuple([str(a) for a in self.accepts])
        name, parameters = ("", ()) if self.from_file else (self.name, self.parameters)
        cpp = () if self.cpp is None else ((self.cpp.body, self.cpp.includes),)
        lists = tuple([str(i) for i, p in enumerate(self.parameters) if p in self.lists]) if self.from_file else self.lists
        how: tuple[object, ...] = (self.mode, lists, self.members, self.member, self.pure)
        more = (how,) if how != ("arrays", (), (), "", True) else ()
        return digest("user function", name, parameters, accepts, str(self.returns), self.code, *cpp, *more)


def _rows() -> dict[str, Function]:
    return {r.name: r for r in (*_elementwise(), *_aggregates(), *_of_lists(), *_others())}


def _elementwise() -> list[Function]:  # noqa: PLR0915 - a table
    rows: list[Function] = []

    def add(names: str, arity: int, item: Callable[[Sequence[Item], Sequence[bool]], Item], **more: Any) -> None:
        for entry in names.split():
            name, _, symbol = entry.partition(":")
            symbol, _, strength = symbol.partition("@")
            given = {"numpy": (name,), **more}
            rows.append(Function(name, "elementwise", (arity, arity), item, symbol=symbol, strength=int(strength or 0), **given))

    add("add:+@6", 2, arithmetic, commutative=True, unit="keeps")
    add("multiply:*@7", 2, arithmetic, commutative=True)
    add("subtract:-@6 fmod", 2, arithmetic, unit="keeps")
    add("remainder:%@7", 2, arithmetic, unit="keeps", numpy=("remainder", "mod"))
    add("floor_divide://@7 power:**@9", 2, arithmetic)
    add("true_divide:/@7", 2, divided, numpy=("true_divide", "divide"))
    add("equal:== not_equal:!=", 2, equality, commutative=True, unit="compares")
    add("less:< less_equal:<=", 2, comparison, unit="compares")
    add("greater:>", 2, comparison, mirror="less", unit="compares")
    add("greater_equal:>=", 2, comparison, mirror="less_equal", unit="compares")
    add("bitwise_and:&@4 bitwise_or:|@2 bitwise_xor:^@3", 2, bitwise, commutative=True)
    add("left_shift:<<@5 right_shift:>>@5", 2, shifted)
    add("gcd lcm", 2, whole)
    add("logical_and logical_or logical_xor", 2, truth, commutative=True)
    add("maximum minimum fmax fmin", 2, widest, unit="keeps")
    add("hypot copysign", 2, real, unit="keeps")
    add("arctan2 logaddexp logaddexp2 nextafter heaviside", 2, real)
    add("float_power", 2, double)
    add("invert:~", 1, bitwise, numpy=("invert", "bitwise_not"))
    add("negative:- positive:+", 1, negated, unit="keeps")
    add("sign", 1, signed)
    add("absolute", 1, magnitude, unit="keeps", spelled="abs", numpy=("absolute", "abs"))
    add("square", 1, arithmetic)
    add("conjugate", 1, arithmetic, numpy=("conjugate", "conj"))
    add("floor ceil trunc", 1, same, unit="keeps")
    add("rint fabs", 1, real, unit="keeps")
    add("sqrt cbrt exp exp2 expm1 log log2 log10 log1p spacing", 1, real)
    add("reciprocal", 1, signed)
    add("sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh", 1, real)
    add("degrees radians deg2rad rad2deg", 1, real)
    add("logical_not isnan isfinite isinf signbit", 1, truth)
    add(
        "round",
        1,
        arithmetic,
        unit="keeps",
        options=(Option("decimals", 1, required=False),),
        numpy=("round", "around"),
        awkward=("round",),
    )
    add("isin", 1, any_truth, options=(Option("values", (1, 2)),))
    table = (Option("xp", (0.0, 1.0), _rising), Option("fp", (1.0, 2.0), _numbers))
    add("interp", 1, double, options=table)
    side = Option("side", "left", lambda s: "" if s in {"left", "right"} else "side is 'left' or 'right'")
    add("searchsorted", 1, position, options=(Option("edges", (0.0, 1.0), _rising), side))
    instead = (Option("nan", 0.0, _number), Option("posinf", None, _number_or_none), Option("neginf", None, _number_or_none))
    add("nan_to_num", 1, same, options=instead, unit="keeps")
    kind = Option("dtype", "float64", lambda d: "" if item_of(str(d)) else f"{d!r} names no kind of number")
    add(
        "astype",
        1,
        same,
        options=(kind,),
        item_option="dtype",
        unit="keeps",
        numpy=(),
        method="astype",
        doc="the same numbers as another kind, named as numpy does; an error where a number does not fit",
    )
    add("where", 3, choice, unit="keeps", awkward=("where",))
    add("is_none", 1, any_truth, missing="removed", numpy=(), awkward=("is_none",))
    add("fill_none", 2, widest_or_text, missing="filled", numpy=(), awkward=("fill_none",), unit="keeps")
    add(
        "delta_r",
        4,
        double,
        title="DeltaR",
        numpy=(),
        method="DeltaR",
        doc="the distance in eta and phi of two aligned objects, phi wrapped",
    )
    add(
        "delta_phi",
        2,
        double,
        title="DeltaPhi",
        numpy=(),
        method="DeltaPhi",
        doc="phi of one minus phi of the other, wrapped into [-pi, pi)",
    )
    return rows


def _aggregates() -> list[Function]:
    def row(name: str, item: Callable[[Sequence[Item], Sequence[bool]], Item], **more: Any) -> Function:
        given = {
            "method": name.capitalize(),
            "numpy": (name,),
            "awkward": (name,),
            "everything": "again",
            "reduced_by": name,
            **more,
        }
        return Function(name, "reduce", (1, 1), item, synonyms=(given["method"].lower(),), **given)

    return [
        row(
            "count",
            counted,
            missing="removed",
            numpy=(),
            awkward=(),
            merge=_added,
            reduced_by="sum",
            lists_only=True,
            empty="0",
            doc="the number of entries; missing ones count too",
        ),
        row(
            "sum",
            summed,
            missing="removed",
            unit="keeps",
            merge=_added,
            empty="0",
            doc="the sum; of a mask, how many are true",
        ),
        row("prod", multiplied, missing="removed", merge=math.prod, empty="1", doc="the product"),
        row("any", truth, missing="removed", merge=any, empty="false", doc="whether any is true"),
        row("all", truth, missing="removed", merge=all, empty="true", doc="whether all are true"),
        row(
            "max",
            same,
            missing="made",
            unit="keeps",
            numpy=("max", "amax"),
            merge=_largest,
            empty="missing",
            doc="the largest; `nan` is skipped",
        ),
        row(
            "min",
            same,
            missing="made",
            unit="keeps",
            numpy=("min", "amin"),
            merge=_smallest,
            empty="missing",
            doc="the smallest; `nan` is skipped",
        ),
        row("mean", double, missing="made", unit="keeps", merge=_mean, everything="ratio", empty="missing", doc="the mean"),
        row(
            "std",
            double,
            missing="made",
            unit="keeps",
            merge=_deviation,
            everything="at once",
            empty="missing",
            doc="the standard deviation, with the number of entries in the denominator",
        ),
        row(
            "var",
            double,
            missing="made",
            merge=_variance,
            everything="at once",
            empty="missing",
            doc="the variance: the square of `Std()`",
        ),
        row(
            "median",
            double,
            missing="made",
            unit="keeps",
            awkward=(),
            everything="never",
            empty="missing",
            doc="the median; not over all events",
        ),
        row(
            "quantile",
            double,
            missing="made",
            unit="keeps",
            awkward=(),
            everything="never",
            options=(Option("q", 0.5, _fraction),),
            empty="missing",
            doc="the value below which that fraction of the entries is, interpolated; not over all events",
        ),
        row(
            "argmax",
            position,
            missing="made",
            method="ArgMax",
            merge=_first_largest,
            everything="never",
            empty="missing",
            doc="the position of the largest, of the first one among equals; `nan` is skipped",
        ),
        row(
            "argmin",
            position,
            missing="made",
            method="ArgMin",
            merge=_first_smallest,
            everything="never",
            empty="missing",
            doc="the position of the smallest, of the first one among equals; `nan` is skipped",
        ),
    ]


def _of_lists() -> list[Function]:
    def row(name: str, method: str, item: Callable[[Sequence[Item], Sequence[bool]], Item], **more: Any) -> Function:
        return Function(name, "list", (1, 1), item, method=method, synonyms=(method.lower(),), empty="an empty list", **more)

    return [
        row(
            "cumsum",
            "CumSum",
            accumulated,
            numpy=("cumsum",),
            unit="keeps",
            doc="the sum of the entries up to each; missing ones are skipped",
        ),
        row("rank", "Rank", position, missing="unordered", doc="the place of each entry in ascending order, from 0"),
        row(
            "index",
            "Index",
            counted,
            missing="removed",
            lists_only=True,
            doc="the position of each entry in its list, from 0",
        ),
        row("unique", "Unique", same, missing="removed", new_axis=True, unit="keeps", doc="the distinct entries, ascending"),
        row(
            "argsort",
            "ArgSort",
            position,
            missing="removed",
            new_axis=True,
            options=(Option("descending", False, _truth_value("descending")),),
            doc="the positions of the entries in ascending order, equal ones as they come, missing ones and `nan` last",
        ),
        row(
            "argcombinations",
            "",
            counted,
            title="Combinations",
            spelled="argcombinations",
            missing="removed",
            lists_only=True,
            new_axis=True,
            options=(Option("n", 2, _whole_from(1)), Option("which", 0, _whole_from(0), tells_members=True)),
        ),
        row(
            "argpad",
            "",
            counted,
            title="Pad",
            spelled="argpad",
            missing="removed",
            lists_only=True,
            new_axis=True,
            options=(Option("clip", True, _truth_value("clip")), Option("n", 4, _whole_from(0))),
        ),
    ]


def _others() -> list[Function]:
    return [
        Function(
            "pick", "structure", (1, 1), missing="made", method="First", synonyms=("first",), empty="missing", doc="the first entry"
        ),
        Function("slice", "structure", (1, 1)),
        Function("gather", "structure", (2, 2), missing="made"),
        Function("referring", "structure", (1, 1)),
        Function("record", "structure", (1, 10_000)),
        Function("replace", "structure", (2, 10_000)),
        Function("flatten", "structure", (1, 1), awkward=("flatten",)),
        Function("parameter", "structure", (1, 1)),
        Function("vary", "structure", (2, 10_000), title="vary"),
        Function("concatenate", "structure", (2, 10_000), title="Concatenate"),
        Function("histogram", "histogram", (0, 0)),
        Function("fill", "histogram", (2, 2)),
        Function("np_histogram", "histogram", (1, 3)),
        Function("scaled", "histogram", (2, 2)),
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> str:
    return "" if _is_number(value) else f"{value!r} is not a number"


def _number_or_none(value: Any) -> str:
    return "" if value is None else _number(value)


def _truth_value(name: str) -> Callable[[Any], str]:
    return lambda value: "" if isinstance(value, bool) else f"{name} is True or False"


def _whole_from(least: int) -> Callable[[Any], str]:
    def refusal(value: Any) -> str:
        fine = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return "" if fine else f"{value!r} is no whole number from {least} on"

    return refusal


def _numbers(values: Any) -> str:
    fine = isinstance(values, tuple) and len(values) > 0 and all([_is_number(v) for v in values])
    return "" if fine else "the table is a list of numbers"


def _rising(values: Any) -> str:
    why = _numbers(values)
    return why or ("" if all([a <= b for a, b in pairwise(values)]) else "the table must be in ascending order")


def _fraction(value: Any) -> str:
    return "" if _is_number(value) and 0 <= value <= 1 else f"q is one number from 0 to 1, not {value!r}"


def _added(parts: Sequence[Any]) -> Any:
    """Add up in order; Python's own sum of floats has other digits from release 3.12 on."""
    total = 0
    for part in parts:
        total = total + part
    return total


def _extreme(parts: Sequence[Any], choose: Callable[[Sequence[Any]], Any]) -> Any:
    present = [p for p in parts if p is not None]
    return choose(present) if present else None


def _largest(parts: Sequence[Any]) -> Any:
    return _extreme(parts, max)


def _smallest(parts: Sequence[Any]) -> Any:
    return _extreme(parts, min)


def _mean(parts: Sequence[tuple[float, int]]) -> float | None:
    """Merge sums and numbers of entries."""
    n_items = _added([n for _, n in parts])
    return _added([s for s, _ in parts]) / n_items if n_items else None


def _variance(parts: Sequence[tuple[int, float, float]]) -> float | None:
    """Merge numbers of entries, means, and sums of squared distances from the mean.

    The formula is that of Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    """
    n, mean, squares = 0, 0.0, 0.0
    for more, other, squares_there in parts:
        if more:
            distance = other - mean if n else 0.0
            mean = mean + distance * (more / (n + more)) if n else other
            squares += squares_there + distance * distance * (n * (more / (n + more)))
            n += more
    return squares / n if n else None


def _deviation(parts: Sequence[tuple[int, float, float]]) -> float | None:
    variance = _variance(parts)
    return None if variance is None else math.sqrt(variance)


def _first(parts: Sequence[tuple[int, int | None, Any]], better: Callable[[Any, Any], bool]) -> int | None:
    """Merge numbers of entries, and the position and value of the best one of each part."""
    found, best, before = None, None, 0
    for n_items, position, value in parts:
        if position is not None and (found is None or better(value, best)):
            found, best = before + position, value
        before += n_items
    return found


def _first_largest(parts: Sequence[tuple[int, int | None, Any]]) -> int | None:
    return _first(parts, lambda new, old: new > old)


def _first_smallest(parts: Sequence[tuple[int, int | None, Any]]) -> int | None:
    return _first(parts, lambda new, old: new < old)


FUNCTIONS = _rows()

# What computes in 32 bits at least: `hep_flows.expr.types.widened` says which arguments become wider.
_RULES = (arithmetic, divided, negated, magnitude, whole, real)
WIDENING = frozenset([r.name for r in FUNCTIONS.values() if r.item in _RULES])


def call_identity(function: str | UserFunction, keys: list[bytes], options: tuple[tuple[str, Constant], ...]) -> tuple[object, ...]:
    """Give the identity of a call: equal for calls that give the same bits, whatever the order they are written in."""
    if isinstance(function, UserFunction):
        return ("user", function.identity(), tuple(keys), options)
    row = FUNCTIONS[function]
    if row.mirror:
        row, keys = FUNCTIONS[row.mirror], keys[::-1]
    if row.commutative:
        keys = sorted(keys)
    return (row.name, row.meaning, tuple(keys), options)


def row_of_method(name: str) -> Function | None:
    """Give the row that a method, or its synonym in lower case, records."""
    return next((r for r in FUNCTIONS.values() if r.method and name in (r.method, *r.synonyms)), None)


def row_called(name: str, library: Literal["numpy", "awkward"]) -> Function | None:
    """Give the row of a function that numpy or awkward has under that name."""
    return next((r for r in FUNCTIONS.values() if name in getattr(r, library)), None)


def unit_of_result(row: Function, types: Sequence[Type]) -> str:
    """Give the unit of a function's result; empty when it is not one of its arguments' units."""
    units = {t.unit for t in types if t.unit} if row.unit == "keeps" else set()
    return units.pop() if len(units) == 1 else ""


def mixed_units(name: str, types: Sequence[Type]) -> tuple[str, str] | None:
    """Give two different units that an operation adds or compares, if it does."""
    units = sorted({t.unit for t in types if t.unit}) if FUNCTIONS[name].unit else []
    return (units[0], units[1]) if len(units) > 1 else None


# A body in C++ for a user's function, for back ends that generate C++ ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CppFunction:
    """What a function computes, as a back end that generates C++ is told it.

    Parameters
    ----------
    body : str
        The text between the braces of a C++ function, with its ``return``. The parameters have the names that they have in Python;
        ``float`` is ``double`` there, ``int`` is ``long long`` and ``bool`` is ``bool``. No line may be a ``//`` comment.
    includes : tuple of str
        The headers that it needs: ``("cmath",)``.
    """

    body: str
    includes: tuple[str, ...] = ()
