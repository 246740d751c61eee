"""The table of functions of the language: what they are called, how many arguments they take, what comes out.

Plug-ins may add rows; nodes never grow new classes. A row's ``meaning`` number is part of every key that uses it and is raised
by hand when the function starts to mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hep_flows.expr import results
from hep_flows.expr.key import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.cpp_function import CppFunction
    from hep_flows.expr.nodes import Constant
    from hep_flows.expr.types import Item

Kind = Literal["elementwise", "reduce", "structure", "histogram"]


@dataclass(frozen=True, slots=True)
class Function:
    """One row.

    Parameters
    ----------
    name : str
        The name in nodes, numpy's where numpy has the function.
    kind : str
        ``elementwise`` works on aligned items; ``reduce`` removes the innermost axis; ``structure`` moves items about;
        ``histogram`` fills.
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
        ``passes`` (a missing argument gives a missing item), ``made`` (an empty list gives a missing item), ``removed``.
    title : str
        The name in errors, where physicists have one of their own.
    """

    name: str
    kind: Kind
    arity: tuple[int, int]
    item: Callable[[Sequence[Item], Sequence[bool]], Item] | None = None
    commutative: bool = False
    mirror: str = ""
    symbol: str = ""
    meaning: int = 1
    missing: Literal["passes", "made", "removed"] = "passes"
    title: str = ""


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

    def identity(self) -> bytes:
        """Give the digest that stands for the function in keys."""
        accepts = tuple([str(a) for a in self.accepts])
        name, parameters = ("", ()) if self.from_file else (self.name, self.parameters)
        cpp = () if self.cpp is None else ((self.cpp.body, self.cpp.includes),)
        return digest("user function", name, parameters, accepts, str(self.returns), self.code, *cpp)


def _rows() -> dict[str, Function]:
    rows: list[Function] = []

    def add(names: str, arity: int, item: Callable[[Sequence[Item], Sequence[bool]], Item], **more: object) -> None:
        for entry in names.split():
            name, _, symbol = entry.partition(":")
            rows.append(Function(name, "elementwise", (arity, arity), item, symbol=symbol, **more))  # type: ignore[arg-type]

    add("add:+ multiply:*", 2, results.arithmetic, commutative=True)
    add("subtract:- floor_divide:// remainder:% power:** fmod", 2, results.arithmetic)
    add("true_divide:/", 2, results.divided)
    add("equal:== not_equal:!=", 2, results.equality, commutative=True)
    add("less:< less_equal:<=", 2, results.comparison)
    rows.append(Function("greater", "elementwise", (2, 2), results.comparison, mirror="less", symbol=">"))
    rows.append(Function("greater_equal", "elementwise", (2, 2), results.comparison, mirror="less_equal", symbol=">="))
    add("bitwise_and:& bitwise_or:| bitwise_xor:^", 2, results.bitwise, commutative=True)
    add("left_shift:<< right_shift:>> gcd lcm", 2, results.whole)
    add("logical_and logical_or logical_xor", 2, results.truth, commutative=True)
    add("maximum minimum fmax fmin", 2, results.widest)
    add("hypot arctan2 copysign logaddexp logaddexp2 nextafter heaviside", 2, results.real)
    add("float_power", 2, results.double)
    add("invert:~", 1, results.bitwise)
    add("negative:- positive:+ sign", 1, results.signed)
    add("absolute", 1, results.same)
    add("square conjugate", 1, results.arithmetic)
    add("floor ceil trunc", 1, results.same)
    add("rint sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs spacing", 1, results.real)
    add("reciprocal", 1, results.signed)
    add("sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh", 1, results.real)
    add("degrees radians deg2rad rad2deg", 1, results.real)
    add("logical_not isnan isfinite isinf signbit", 1, results.truth)
    add("round", 1, results.arithmetic)
    add("isin", 1, results.any_truth)
    add("where", 3, results.choice)
    add("is_none", 1, results.any_truth, missing="removed")
    add("fill_none", 2, results.widest_or_text, missing="removed")
    add("delta_r", 4, results.real, title="DeltaR")
    add("delta_phi", 2, results.real, title="DeltaPhi")

    def reduce(names: str, item: Callable[[Sequence[Item], Sequence[bool]], Item], missing: str) -> None:
        rows.extend([Function(n, "reduce", (1, 1), item, missing=missing) for n in names.split()])  # type: ignore[arg-type]

    reduce("count", results.counted, "removed")
    reduce("sum", results.summed, "removed")
    reduce("prod", results.multiplied, "removed")
    reduce("any all", results.truth, "removed")
    reduce("max min", results.same, "made")
    reduce("mean", results.double, "made")
    rows.extend(
        [
            Function("pick", "structure", (1, 1), missing="made"),
            Function("slice", "structure", (1, 1)),
            Function("gather", "structure", (2, 2), missing="made"),
            Function("record", "structure", (1, 10_000)),
            Function("flatten", "structure", (1, 1)),
            Function("histogram", "histogram", (0, 0)),
            Function("fill", "histogram", (2, 2)),
            Function("np_histogram", "histogram", (1, 3)),
        ]
    )
    return {r.name: r for r in rows}


FUNCTIONS = _rows()


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
