"""Calls of elementwise functions and of users' functions, missing items included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.functions import WIDENING, UserFunction
from hep_flows.expr.types import Float, Item, String
from hep_flows.plugins.awkward.needed import is_known, known_as
from hep_flows.plugins.awkward.values import Constant, Value, both, dtype_of, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Call
    from hep_flows.plugins.awkward.values import Aligned, Flat, Mask

    Columns = dict[str, Any]

# Functions of aligned items: one numpy call each, on flat arrays and plain constants ---------------------------------------------
#
# They mean what numpy means, in 32 bits at least: integers wrap around, and an integer divided by zero is 0.

FEW = 16

_SHIFTS = frozenset({"left_shift", "right_shift"})
_WHOLE_ALREADY = frozenset({"floor", "ceil", "trunc"})


def computed(name: str, operands: Sequence[Any], item: Item, options: Mapping[str, Any]) -> NDArray[Any]:
    """Give a function of numbers, in exactly the type of the item.

    Parameters
    ----------
    name : str
        The function, as in `hep_flows.expr.functions`.
    operands : sequence
        Flat arrays of one length, numpy scalars, and plain Python numbers, which adapt to the width of the others.
    item : Item
        The kind of number of the result.
    options : mapping
        The constants that belong to the function.
    """
    dtype = dtype_of(item)
    if name in WIDENING:
        has_float = any(isinstance(o, float) or getattr(o, "dtype", dtype).kind == "f" for o in operands if not isinstance(o, int))
        operands = [_widened(o, keep_bool=has_float) for o in operands]
    elif name in _SHIFTS and all(_is_bool(o) for o in operands):
        operands = [np.asarray(o, dtype=np.int64) for o in operands]
    elif name in _WHOLE_ALREADY and not isinstance(item, Float):
        return np.asarray(operands[0], dtype=dtype)
    special = KERNELS.get(name)
    result = special(operands, dtype, options) if special is not None else getattr(np, name)(*operands)
    return np.asarray(result).astype(dtype, copy=False)


def _widened(operand: Any, *, keep_bool: bool) -> Any:
    """Give truth values and integers of 8 and 16 bits in 32 bits; beside a float, truth values need not be."""
    kind = getattr(operand, "dtype", None)
    if kind is None or (keep_bool and kind.kind == "b") or kind.kind not in "biu" or kind.itemsize >= np.int32().itemsize:
        return operand
    return operand.astype(np.int32)


def _is_bool(operand: Any) -> bool:
    return isinstance(operand, bool) or (isinstance(operand, np.ndarray | np.generic) and operand.dtype == np.bool_)


def _round(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:
    decimals = options.get("decimals", 0)
    if dtype.kind != "f" and decimals >= 0:
        return operands[0]
    return np.round(operands[0], decimals)


def _where_flat(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    condition, yes, no = operands
    return np.where(condition, np.asarray(yes, dtype=dtype), np.asarray(no, dtype=dtype))


def _isin(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    return member_of(operands[0], tuple(options["values"]))


def member_of(items: Any, values: Sequence[Any]) -> Any:
    """Say which items equal one of the values.

    Few values are compared one by one, which is exact for every pair of kinds; many integers are looked up.
    """
    kind = getattr(items, "dtype", None)
    whole = all(isinstance(v, int) for v in values)
    if len(values) > FEW and whole and isinstance(kind, np.dtype) and kind.kind in "iu":
        limits = np.iinfo(kind)
        fitting = [int(v) for v in values if limits.min <= v <= limits.max]
        return np.isin(items, np.asarray(fitting, dtype=kind))
    found = np.zeros(np.shape(items), dtype=np.bool_)
    for value in values:
        found |= items == value
    return found


def _interp(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:
    return np.interp(np.asarray(operands[0], dtype=dtype), options["xp"], options["fp"])


def _searchsorted(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    return np.searchsorted(np.asarray(options["edges"]), operands[0], side=options["side"])


def _nan_to_num(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:
    return np.nan_to_num(
        np.asarray(operands[0], dtype=dtype), nan=options["nan"], posinf=options["posinf"], neginf=options["neginf"]
    )


def _astype(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    """Give the numbers in another kind; what an integer cannot hold would be another number on every machine."""
    data = np.asarray(operands[0])
    if dtype.kind in "iu" and data.dtype.kind in "iuf":
        limits = np.iinfo(dtype)
        # As floats, the limits of 64 bits are not exact: the upper one is the first number that does not fit.
        fits = (
            (data > limits.min - 1.0) & (data < limits.max + 1.0)
            if data.dtype.kind == "f"
            else (data >= limits.min) & (data <= limits.max)
        )
        if dtype.itemsize == 8 and data.dtype.kind == "f" and dtype.kind == "i":
            fits |= data == limits.min
        if not np.all(fits):
            odd = data[~fits][0] if np.ndim(data) else data
            raise ValueError(f"{odd} does not fit into {dtype}")
    return data.astype(dtype)


def _delta_phi(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    first, second = [np.asarray(o, dtype=np.float64) for o in operands]
    return wrapped(first - second)


def _delta_r(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    eta1, phi1, eta2, phi2 = [np.asarray(o, dtype=np.float64) for o in operands]
    d_eta, d_phi = eta1 - eta2, wrapped(phi1 - phi2)
    square = d_eta * d_eta + d_phi * d_phi
    if np.isfinite(square.sum()):
        return np.sqrt(square, out=square)
    # hypot is exact for every number, and several times slower; it may round in another way, so each item decides for itself.
    return np.where(np.isfinite(square), np.sqrt(square), np.hypot(d_eta, d_phi))


def wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the same angle in [-pi, pi); one that lies there already is not touched, so it keeps every bit."""
    angle = np.atleast_1d(angle)
    pi, turn = np.pi, 2 * np.pi
    near = angle - np.floor((angle + pi) / turn) * turn
    # Next to the borders the rounded quotient may be off by one turn.
    off = np.flatnonzero(~((near >= -pi) & (near < pi)))
    if len(off):
        before, after = angle[off], near[off]
        moved = np.where(after >= pi, after - turn, after + turn)
        near[off] = np.where((before >= -pi) & (before < pi), before, moved)
    return near


KERNELS: Mapping[str, Callable[[Sequence[Any], np.dtype[Any], Mapping[str, Any]], Any]] = {
    "round": _round,
    "where": _where_flat,
    "isin": _isin,
    "interp": _interp,
    "searchsorted": _searchsorted,
    "nan_to_num": _nan_to_num,
    "astype": _astype,
    "delta_phi": _delta_phi,
    "delta_r": _delta_r,
}


# Functions of text: comparison, choice and membership on flat arrays of text -----------------------------------------------------


def computed_text(name: str, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Give a function of text; operands are flat arrays of text and plain strings."""
    match name:
        case "equal":
            return _equal(operands[0], operands[1])
        case "not_equal":
            return ~_equal(operands[0], operands[1])
        case "isin":
            found = np.zeros(_size(operands[0]), dtype=np.bool_)
            for value in options["values"]:
                found |= _equal(operands[0], value)
            return found
        case "where":
            return chosen(*operands)
        case _:
            raise TypeError(f"{name} is not defined for text")


def is_text(operand: Any) -> bool:
    """Say whether an operand is text."""
    return isinstance(operand, str | ak.Array)


def _size(operand: Any) -> int:
    return 1 if isinstance(operand, str) else len(operand)


def _equal(one: Any, other: Any) -> NDArray[np.bool_]:
    if not is_text(one) or not is_text(other):
        return np.zeros(max(_size(o) for o in (one, other) if is_text(o)), dtype=np.bool_)
    if isinstance(one, str) and isinstance(other, str):
        return np.asarray([one == other])
    if max(_size(one), _size(other)) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(one == other)


def chosen(condition: NDArray[np.bool_], yes: Any, no: Any) -> Any:
    """Give the first text where the condition is true, else the second."""
    size = len(condition)
    yes, no = [repeated(t, size) for t in (yes, no)]
    return ak.concatenate([yes, no])[np.arange(size) + size * ~condition]


def repeated(text: Any, size: int) -> Any:
    """Give an array of text; one string is repeated."""
    return texts([text])[np.zeros(size, dtype=np.int64)] if isinstance(text, str) else text


def is_filled(text: Any) -> NDArray[np.bool_]:
    """Say which texts are not empty: what Python takes as true."""
    return np.asarray(ak.num(text, axis=1)) > 0


# Functions that users wrote: how their bodies are called is declared, and what comes of it is checked, never guessed from samples ---
#
# A body gets flat arrays of many elements, and gives one value for each. One that raises then gets single values, from the first range of
# events on to the last. One that takes lists gets one list per call, or jagged arrays if it is declared so. In the first range with two
# entries the body is called again on two parts: what is no function of the single entries gives something else there, and is refused.

ARRAYS, SINGLE = "arrays", "single values"
SINGLE_DO = "@user_func(single=True) calls it with one value at a time"
LISTS_DO = "a parameter annotated list[float] gets whole lists"
RANDOM_DO = 'random_normal(X, seed="...") and its like draw one number for each element'


@dataclass(frozen=True, slots=True)
class ListsOf:
    """Lists of numbers that stand beside each other in one array: list i holds the items from ``offsets[i]`` to ``offsets[i + 1]``."""

    items: NDArray[Any]
    offsets: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> ListsOf:
        """Give the lists with these numbers."""
        starts, counts = self.offsets[:-1][index], np.diff(self.offsets)[index]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        return ListsOf(self.items[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)], offsets)

    def one(self, i: int) -> NDArray[Any]:
        """Give one list, for its user alone."""
        return self.items[self.offsets[i] : self.offsets[i + 1]].copy()

    def jagged(self) -> ak.Array:
        """Give all of them as one array."""
        return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(self.offsets), ak.contents.NumpyArray(self.items.copy())))


def called(function: UserFunction, operands: Sequence[Any], size: int, where: Where, made: Columns | None = None) -> Any:
    """Give the function's value for each of ``size`` entries, in the type that it declares.

    Parameters
    ----------
    function : UserFunction
        With a body.
    operands : sequence
        Flat arrays of that size, without missing items, `ListsOf` so many lists, and constants.
    size : int
        The number of entries.
    where : Site
        The user's line.
    made : dict, optional
        What the body gave for these operands, by member: looked up, else filled.

    Raises
    ------
    TaskError
        When the body raises (the original is chained), gives something that it does not declare, or is no function of single entries.
    """
    if function.body is None:
        raise TaskError(f"the function {function.name!r} has no body here", where=where, do=f"write the body of {function.name}")
    if size == 0:
        return texts([]) if isinstance(function.returns, String) else np.zeros(0, dtype=dtype_of(function.returns))
    if not made:
        operands = [_as_declared(o, item) for o, item in zip(operands, function.accepts, strict=True)]
        found = _Body(function, where).values(operands, size)
        if made is None:
            made = {}
        made.update(found)
    return _typed(made[function.member], function, where)


def _as_declared(operand: Any, item: Item | None) -> Any:
    """Give an argument in the declared type, where that holds every value of the stored one: ``a: int`` is no 8-bit number."""
    if isinstance(operand, ListsOf):
        return ListsOf(_as_declared(operand.items, item), operand.offsets)
    if item is None or isinstance(item, String) or not isinstance(operand, np.ndarray | np.generic):
        return operand
    declared = dtype_of(item)
    return operand.astype(declared) if np.can_cast(operand.dtype, declared, "safe") else operand


class _Body:
    """The body of a function, in one of its ways to be called."""

    def __init__(self, function: UserFunction, where: Where) -> None:
        self._function, self._where = function, where
        self._members = function.members or ("",)

    def values(self, operands: Sequence[Any], size: int) -> Columns:
        """Give one value for each entry, by member."""
        function = self._function
        if not any(isinstance(o, np.ndarray | ak.Array | ListsOf) for o in operands):
            return self._checked(self._each, operands, size)
        if function.mode != "arrays" or function.lists:
            function.calls.settle(function.called_with)
        if function.mode == "jagged":
            return self._checked(self._at_once, operands, size)
        # Texts are not numpy's: a body gets them one by one.
        if self._has_text(operands):
            function.calls.settle(SINGLE)
        if function.lists or function.mode == "single" or function.calls.how == SINGLE:
            return self._checked(self._each, operands, size)
        try:
            found = self._at_once(operands, size)
        except TaskError as error:
            if error.__cause__ is None:
                raise
            if function.calls.how == ARRAYS:
                shown = self._of_one_entry(operands, size, error)
                raise shown from shown.__cause__
            return self._one_by_one(operands, size, error)
        if function.calls.settle(ARRAYS) != ARRAYS:
            raise self._two_ways()
        return self._checked(self._at_once, operands, size, found)

    def _has_text(self, operands: Sequence[Any]) -> bool:
        return isinstance(self._function.returns, String) or any(isinstance(o, ak.Array) for o in operands)

    def _of_one_entry(self, operands: Sequence[Any], size: int, error: TaskError) -> TaskError:
        """Give the error of the entry that the body fails on, where it fails on one; it says with which values."""
        try:
            self._each(operands, size)
        except TaskError as found:
            return found if type(found.__cause__) is type(error.__cause__) else error
        return error

    def _one_by_one(self, operands: Sequence[Any], size: int, of_arrays: TaskError) -> Columns:
        """Call a body that does not take arrays with single values; where that fails too, say what matters to the user."""
        try:
            found = self._each(operands, size)
        except TaskError as error:
            raised = of_arrays.__cause__
            is_same = type(error.__cause__) is type(raised)
            shown = error if is_same or error.__cause__ is None or "array" in f"{raised}" else of_arrays
            raise shown from shown.__cause__
        if "draws random numbers" in self._function.why_not_portable and self._function.pure:
            raise TaskError(
                f"the function {self._function.name!r} draws random numbers, and takes no arrays",
                where=self._where,
                why=f"called with arrays it raises {type(of_arrays.__cause__).__name__}; called for each value, a generator with a seed "
                "starts anew, and gives each the same number",
                do=RANDOM_DO,
            ) from of_arrays.__cause__
        if self._function.calls.settle(SINGLE) != SINGLE:
            raise of_arrays
        return self._checked(self._each, operands, size, found)

    def _two_ways(self) -> TaskError:
        return TaskError(
            f"the function {self._function.name!r} takes arrays in some ranges of events, and raises in others",
            where=self._where,
            why="how it is called is the same for all events",
            do=SINGLE_DO,
        )

    # Calls.

    def _at_once(self, operands: Sequence[Any], size: int) -> Columns:
        """Call the body with all entries; arrays are its own, so that it may write into them."""
        # An array of one item passes for a number in places where no other array does.
        few = size == 1
        operands = [_taken(o, np.zeros(2, np.int64)) for o in operands] if few else operands
        found = self._result(operands, None, [_own(o) for o in operands])
        columns = {m: self._column(v, 2 if few else size) for m, v in found.items()}
        return {m: v[:1] for m, v in columns.items()} if few else columns

    def _each(self, operands: Sequence[Any], size: int) -> Columns:
        """Call the body for each entry."""
        rows = [self._result(operands, i, [_at(o, i) for o in operands]) for i in range(size)]
        return {m: [_user_functions_plain(row[m]) for row in rows] for m in self._members}

    def _result(self, operands: Sequence[Any], i: int | None, values: Sequence[Any]) -> Columns:
        function = self._function
        assert function.body is not None
        try:
            result: Any = function.body(*values)
        except (Exception, SystemExit) as error:
            with_what = "arrays" if i is None else self._shown(operands, i)
            raise TaskError(
                f"the function {function.name!r} failed: {type(error).__name__}: {error}",
                where=self._where,
                why=f"it was called with {with_what}",
                do="; ".join(getattr(error, "__notes__", [])),
            ) from error
        if result is None:
            raise TaskError(
                f"the function {function.name!r} returned nothing",
                where=self._where,
                why=f"it was called with {'arrays' if i is None else self._shown(operands, i)}",
                do="every branch needs a `return` with a value; an `if` needs an `else`",
            )
        if not function.members:
            return {"": result}
        return self._of_record(result)

    def _of_record(self, result: Any) -> Columns:
        names = self._members
        if isinstance(result, dict) and set(result) == set(names):
            return {n: result[n] for n in names}
        if isinstance(result, tuple) and len(result) == len(names):
            return dict(zip(names, result, strict=True))
        if all(hasattr(result, n) for n in names):
            return {n: getattr(result, n) for n in names}
        raise TaskError(
            f"the function {self._function.name!r} is declared to return {', '.join(names)}, and gave {_short(result)}",
            where=self._where,
            do="return the type that it is annotated with",
        )

    def _column(self, result: Any, size: int) -> Any:
        """Give what the body returned as one value for each entry."""
        if isinstance(result, ak.Array):
            result = self._of_awkward(result)
        if isinstance(result, np.ma.MaskedArray) and np.ma.is_masked(result):
            raise self._refused("gave masked values", "return a number for each entry: np.ma.filled(x, 0.0)")
        if isinstance(result, list | tuple):
            return self._counted(list(result), size)
        if isinstance(result, str | bytes | dict) or np.ndim(result) == 0:
            said = _short(result)
            raise self._refused(
                f"gave {said} for arrays of {size:,} entries", f"return one value for each, as np.full_like does; or {SINGLE_DO}"
            )
        return self._counted(np.asarray(result), size)

    def _of_awkward(self, result: ak.Array) -> Any:
        try:
            return ak.to_numpy(result, allow_missing=False)
        except ValueError:
            raise self._refused(f"gave an array of type {result.type}", "return one number for each entry") from None

    def _counted(self, values: Any, size: int) -> Any:
        shape = (len(values),) if isinstance(values, list) else values.shape
        if shape != (size,):
            raise self._refused(
                f"gave values of shape {shape} for {size:,} entries", f"return one value for each; {LISTS_DO}; or {SINGLE_DO}"
            )
        return values if isinstance(values, list) or values.dtype.kind in "biufU" else values.tolist()

    def _refused(self, what: str, do: str) -> TaskError:
        return TaskError(f"the function {self._function.name!r} {what}", where=self._where, do=do)

    def _shown(self, operands: Sequence[Any], i: int) -> str:
        values = [_at(o, i) for o in operands]
        return ", ".join([f"{n} = {_short(v)}" for n, v in zip(self._function.parameters, values, strict=False)]) or "no argument"

    # The check.

    def _checked(
        self, how: Callable[[Sequence[Any], int], Columns], operands: Sequence[Any], size: int, found: Columns | None = None
    ) -> Columns:
        """Give the values, and see once that the body gives the same for the same entries among others."""
        found = how(operands, size) if found is None else found
        function = self._function
        if function.calls.is_checked or not function.pure or size < 2:
            return found
        # One by one, an entry cannot see the others: whether it comes out the same a second time shows on the first two.
        alone = how == self._each
        ranges = [(0, 1), (1, 2)] if alone else [(0, max(1, size // 3)), (max(1, size // 3), size)]
        ranges = ranges[:1] if function.lists and alone else ranges
        parts = [how([_taken(o, np.arange(*r)) for o in operands], r[1] - r[0]) for r in ranges]
        for member in self._members:
            again = np.concatenate([np.asarray(p[member]) for p in parts])
            here = np.asarray(found[member])[: len(again)]
            differs = _differs(here, again, np.asarray(found[member]))
            if differs is not None:
                raise self._not_elementwise(here[differs], again[differs], int(differs), is_alone=alone)
        function.calls.is_checked = True
        return found

    def _not_elementwise(self, first: Any, then: Any, i: int, *, is_alone: bool) -> TaskError:
        draws = is_alone or "draws random numbers" in self._function.why_not_portable
        remedies = [RANDOM_DO] if draws else [SINGLE_DO, LISTS_DO]
        call = "for one entry" if is_alone else "on two parts of its arrays"
        return TaskError(
            f"the function {self._function.name!r} does not give one value for one entry",
            where=self._where,
            why=f"called again {call}, it gave {then} where it had given {first} (entry {i:,})",
            do="; ".join(remedies),
        )


def _differs(first: Any, again: Any, whole: Any) -> Any:
    """Give the first place where two calls differ by more than rounding, which depends on where in an array a number stands."""
    if first.dtype.kind != "f" or again.dtype.kind != "f":
        different = first != again
    else:
        finite = np.abs(whole[np.isfinite(whole)])
        tolerance = 100 * np.finfo(first.dtype).eps * (finite.max() if len(finite) else 0.0)
        with np.errstate(all="ignore"):
            near = np.abs(first - again) <= tolerance
        different = ~((first == again) | near | (np.isnan(first) & np.isnan(again)))
    return next(iter(np.flatnonzero(different)), None)


def _own(operand: Any) -> Any:
    """Give what a body may write into: others use the same array."""
    if isinstance(operand, ListsOf):
        return operand.jagged()
    return operand.copy() if isinstance(operand, np.ndarray) else operand


def _taken(operand: Any, index: NDArray[np.int64]) -> Any:
    if isinstance(operand, ListsOf):
        return operand.take(index)
    return operand[index] if isinstance(operand, np.ndarray | ak.Array) else operand


def _at(operand: Any, i: int) -> Any:
    if isinstance(operand, ListsOf):
        return operand.one(i)
    return operand[i] if isinstance(operand, np.ndarray | ak.Array) else operand


def _user_functions_plain(value: Any) -> Any:
    """Give a single number as such: np.where and its like give arrays without axes."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _short(value: object) -> str:
    text = f"{value}".replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."


def _typed(found: Any, function: UserFunction, where: Where) -> Any:
    """Give the values in the declared type, unless that would change them."""
    item = function.returns
    kinds = str | np.str_ if isinstance(item, String) else bool | int | float | np.generic
    wrong = [v for v in found if not isinstance(v, kinds)][:1] if isinstance(found, list) else []
    if wrong:
        raise _undeclared(function, wrong[0], item, where)
    if isinstance(item, String):
        return texts([str(v) for v in found])
    values = np.asarray(found)
    if values.dtype.kind not in "biuf":
        raise _undeclared(function, found[0], item, where)
    typed = values.astype(dtype_of(item))
    if typed.dtype.kind != "f" and values.dtype != typed.dtype:
        changed = np.flatnonzero(typed != values)
        if len(changed):
            raise _undeclared(function, values[changed[0]], item, where)
    return typed


def _undeclared(function: UserFunction, value: object, item: Item, where: Where) -> TaskError:
    name = f"{function.name!r}" + (f" for {function.member}" if function.member else "")
    if value is None:
        do = "every branch needs a `return` with a value; an `if` needs an `else`"
    else:
        do = "declare what it returns: def f(x: float) -> float"
    return TaskError(f"the function {name} is declared to return {item}, and gave {_short(value)}", where=where, do=do)


def list_operands(operands: Sequence[Any], lists: Mapping[int, ListsOf]) -> list[Any]:
    """Put lists in the place of the numbers that say which of them each entry has."""
    return [lists[i].take(o) if i in lists else o for i, o in enumerate(operands)]


@dataclass(frozen=True, slots=True)
class ForUser:
    """What a user's function is called with beside flat arguments.

    Parameters
    ----------
    lists : mapping of int to ListsOf
        By the place of an argument, its lists; the flat argument then says which list each entry has.
    made : dict, optional
        The results of the same call by member, for a function of several results.
    """

    lists: Mapping[int, ListsOf] = field(default_factory=dict)
    made: dict[str, Any] | None = None


def elementwise_call(node: Call, arguments: Aligned, user: ForUser | None = None) -> Value | Constant:
    """Give the value of a call whose arguments are aligned; ``user`` is what there is for a user's function."""
    data, valid = _computed(node, arguments, user or ForUser())
    if valid is not None and valid.all():
        valid = None
    if arguments.frame is not None:
        return Value(arguments.frame, arguments.axes, data, valid)
    if valid is not None:
        return Constant(None)
    only = data[0] if np.ndim(data) or isinstance(data, ak.Array) else data[()]
    return Constant(only)


def _computed(node: Call, arguments: Aligned, user: ForUser) -> tuple[Any, Mask | None]:
    function, flats, size = node.function, arguments.flats, arguments.size
    if function == "is_none":
        missing = flats[0].valid
        return (np.zeros(size, dtype=np.bool_) if missing is None else ~missing), None
    if function == "fill_none":
        return _filled(node, flats, size)
    if function == "where":
        return _where(node, flats, size)
    valid: Mask | None = None
    for flat in flats:
        valid = both(valid, flat.valid)
    operands = [f.data for f in flats]
    if isinstance(function, UserFunction) and (function.body is not None or not is_known(function)):
        return _on_present(node, operands, valid, size, user), valid
    # The data of missing items mean nothing, and an integer power of nothing may be refused.
    if valid is not None and function in {"power", "astype"}:
        return _on_present(node, operands, valid, size, user), valid
    return _plain(node, operands), valid


def _plain(node: Call, operands: list[Any]) -> Any:
    name = known_as(node.function) if isinstance(node.function, UserFunction) else node.function
    options = dict(node.options)
    if any(is_text(o) for o in operands):
        return computed_text(name, operands, options)
    return computed(name, operands, node.type.item, options)


def _on_present(node: Call, operands: list[Any], valid: Mask | None, size: int, user: ForUser) -> Any:
    """Compute only where nothing is missing."""
    present = operands if valid is None else [o[valid] if np.ndim(o) or isinstance(o, ak.Array) else o for o in operands]
    n_present = size if valid is None else int(np.count_nonzero(valid))
    if isinstance(node.function, UserFunction):
        found = called(node.function, list_operands(present, user.lists), n_present, node.where, user.made)
    else:
        found = np.broadcast_to(_plain(node, present), (n_present,))
    if valid is None:
        return found
    if isinstance(node.type.item, String):
        return ak.concatenate([found, texts([""])])[np.where(valid, np.cumsum(valid) - 1, n_present)]
    data = np.zeros(size, dtype=dtype_of(node.type.item))
    data[valid] = found
    return data


def _filled(node: Call, flats: tuple[Flat, ...], size: int) -> tuple[Any, Mask | None]:
    items, default = flats
    there = np.ones(size, dtype=np.bool_) if items.valid is None else items.valid
    data = _choice(node, there, items.data, default.data)
    return data, None if items.valid is None or default.valid is None else there | default.valid


def _where(node: Call, flats: tuple[Flat, ...], size: int) -> tuple[Any, Mask | None]:
    """Choose; an item of the side that is not chosen may be missing."""
    condition, yes, no = flats
    chosen = np.broadcast_to(np.asarray(condition.data), (size,))
    valid = condition.valid
    if yes.valid is not None or no.valid is not None:
        sides = [True if f.valid is None else f.valid for f in (yes, no)]
        valid = both(valid, np.where(chosen, *sides))
    return _choice(node, chosen, yes.data, no.data), valid


def _choice(node: Call, condition: Mask, yes: Any, no: Any) -> Any:
    if isinstance(node.type.item, String):
        return chosen(condition, yes, no)
    return computed("where", [condition, yes, no], node.type.item, {})
