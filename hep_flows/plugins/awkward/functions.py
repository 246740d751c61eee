"""Calls of elementwise functions and of users' functions, missing items included."""

from __future__ import annotations

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

    Body = Callable[..., object]

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
    first, second = [np.asarray(o, dtype=dtype) for o in operands]
    return wrapped(first - second)


def _delta_r(operands: Sequence[Any], dtype: np.dtype[Any], options: Mapping[str, Any]) -> Any:  # noqa: ARG001
    eta1, phi1, eta2, phi2 = [np.asarray(o, dtype=dtype) for o in operands]
    d_eta, d_phi = eta1 - eta2, wrapped(phi1 - phi2)
    square = d_eta * d_eta + d_phi * d_phi
    if np.isfinite(square.sum()):
        return np.sqrt(square, out=square)
    # hypot is exact for every number, and several times slower; it may round in another way, so each item decides for itself.
    return np.where(np.isfinite(square), np.sqrt(square), np.hypot(d_eta, d_phi))


def wrapped(angle: NDArray[Any]) -> NDArray[Any]:
    """Give the same angle in [-pi, pi); one that lies there already is not touched, so it keeps every bit."""
    angle = np.atleast_1d(angle)
    pi, turn = angle.dtype.type(np.pi), angle.dtype.type(2 * np.pi)
    turns = np.floor((angle + pi) / turn)
    near: NDArray[Any] = angle - turns * turn
    if angle.dtype != np.float64:
        # What the narrow number lacks of a turn would be the largest error of all.
        near -= turns * angle.dtype.type(2 * np.pi - float(turn))
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


# Functions that users wrote: elementwise by meaning, on whole arrays where that gives the same -----------------------------------

SAMPLES = 8


def called(function: UserFunction, operands: Sequence[Any], size: int, where: Where) -> Any:
    """Give the function's value for each of ``size`` elements, in the type that it declares.

    The body is called with whole arrays first. Where that fails, gives another shape, or differs for a sample of elements from what
    single calls give, it is called once for each element.

    Parameters
    ----------
    function : UserFunction
        With a body.
    operands : sequence
        Flat arrays of that size, without missing items, and constants.
    size : int
        The number of elements.
    where : Site
        The user's line.

    Raises
    ------
    TaskError
        When the body raises for an element (the original is chained), or gives something that it does not declare.
    """
    body = function.body
    if body is None:
        raise TaskError(f"the function {function.name!r} has no body here", where=where, do=f"write the body of {function.name}")
    operands = [_as_declared(o, item) for o, item in zip(operands, function.accepts, strict=True)]
    if size == 0:
        return texts([]) if isinstance(function.returns, String) else np.zeros(0, dtype=dtype_of(function.returns))
    whole = _on_arrays(body, operands, size)
    if whole is None or not _agrees(function, whole, operands, size, where):
        found = [_on_element(function, operands, i, where) for i in range(size)]
        return _typed(found, function, where)
    return _typed(whole, function, where)


def _as_declared(operand: Any, item: Item | None) -> Any:
    """Give an argument in the declared type, where that holds every value of the stored one: ``a: int`` is no 8-bit number."""
    if item is None or isinstance(item, String) or not isinstance(operand, np.ndarray | np.generic):
        return operand
    declared = dtype_of(item)
    return operand.astype(declared) if np.can_cast(operand.dtype, declared, "safe") else operand


def _on_arrays(body: Body, operands: Sequence[Any], size: int) -> Any:
    """Give the value for all elements at once, or None where the body does not work on arrays."""
    views = [_read_only(o) for o in operands]
    # An array of one item passes for a number in places where no other array does.
    if size == 1 or any(isinstance(v, ak.Array) for v in views) or not any(isinstance(v, np.ndarray) for v in views):
        return None
    try:
        result = body(*views)
    except (Exception, SystemExit):  # noqa: BLE001  a user's body may raise anything; the elements decide
        return None
    return result if isinstance(result, np.ndarray) and result.shape == (size,) and result.dtype.kind in "biuf" else None


def _read_only(operand: Any) -> Any:
    """Give a view that the body cannot write to: other expressions use the same array."""
    if not isinstance(operand, np.ndarray):
        return operand
    view = operand.view()
    view.flags.writeable = False
    return view


def _on_element(function: UserFunction, operands: Sequence[Any], i: int, where: Where) -> object:
    assert function.body is not None
    try:
        result = function.body(*[o[i] if isinstance(o, np.ndarray | ak.Array) else o for o in operands])
    except (Exception, SystemExit) as error:
        raise TaskError(
            f"the function {function.name!r} failed: {type(error).__name__}: {error}",
            where=where,
            why=f"it was called with {_shown(function, operands, i)}",
            do="; ".join(getattr(error, "__notes__", [])),
        ) from error
    # np.where and its like give arrays without axes for single numbers.
    return result[()] if isinstance(result, np.ndarray) and result.ndim == 0 else result


def _shown(function: UserFunction, operands: Sequence[Any], i: int) -> str:
    values = [o[i] if isinstance(o, np.ndarray | ak.Array) else o for o in operands]
    return ", ".join([f"{n} = {v}" for n, v in zip(function.parameters, values, strict=False)]) or "no argument"


def _agrees(function: UserFunction, whole: Any, operands: Sequence[Any], size: int, where: Where) -> bool:
    for i in sorted({round(x) for x in np.linspace(0, size - 1, min(SAMPLES, size))}):
        if not _same_value(whole[i], _on_element(function, operands, i, where)):
            return False
    return True


def _same_value(one: Any, other: Any) -> bool:
    if not isinstance(other, int | float | np.number | np.bool_):
        return False
    if one == other:
        return True
    if not isinstance(one, np.floating) or np.isinf(one):
        return False
    if np.isnan(one):
        return bool(np.isnan(other))
    # Vector instructions may round the last bits of a function in another way.
    return bool(abs(float(one) - float(other)) <= 64 * np.finfo(one.dtype).eps * abs(one))


def _typed(found: Any, function: UserFunction, where: Where) -> Any:
    """Give the values in the declared type, unless that would change them."""
    item = function.returns
    kinds = str | np.str_ if isinstance(item, String) else bool | int | float | np.generic
    wrong = next((v for v in found if not isinstance(v, kinds)), None) if isinstance(found, list) else None
    if wrong is not None or (isinstance(found, list) and None in found):
        raise _undeclared(function, wrong, item, where)
    if isinstance(item, String):
        return texts([str(v) for v in found])
    values = np.asarray(found)
    typed = values.astype(dtype_of(item))
    if typed.dtype.kind != "f" and values.dtype != typed.dtype:
        changed = np.flatnonzero(typed != values)
        if len(changed):
            raise _undeclared(function, values[changed[0]], item, where)
    return typed


def _undeclared(function: UserFunction, value: object, item: Item, where: Where) -> TaskError:
    return TaskError(
        f"the function {function.name!r} is declared to return {item}, and gave {value}",
        where=where,
        do="declare what it returns: def f(x: float) -> float",
    )


def elementwise_call(node: Call, arguments: Aligned) -> Value | Constant:
    """Give the value of a call whose arguments are aligned."""
    data, valid = _computed(node, arguments)
    if valid is not None and valid.all():
        valid = None
    if arguments.frame is not None:
        return Value(arguments.frame, arguments.axes, data, valid)
    if valid is not None:
        return Constant(None)
    only = data[0] if np.ndim(data) or isinstance(data, ak.Array) else data[()]
    return Constant(only)


def _computed(node: Call, arguments: Aligned) -> tuple[Any, Mask | None]:
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
        return _on_present(node, operands, valid, size), valid
    # The data of missing items mean nothing, and an integer power of nothing may be refused.
    if valid is not None and function in {"power", "astype"}:
        return _on_present(node, operands, valid, size), valid
    return _plain(node, operands), valid


def _plain(node: Call, operands: list[Any]) -> Any:
    name = known_as(node.function) if isinstance(node.function, UserFunction) else node.function
    options = dict(node.options)
    if any(is_text(o) for o in operands):
        return computed_text(name, operands, options)
    return computed(name, operands, node.type.item, options)


def _on_present(node: Call, operands: list[Any], valid: Mask | None, size: int) -> Any:
    """Compute only where nothing is missing."""
    present = operands if valid is None else [o[valid] if np.ndim(o) or isinstance(o, ak.Array) else o for o in operands]
    n_present = size if valid is None else int(np.count_nonzero(valid))
    if isinstance(node.function, UserFunction):
        found = called(node.function, present, n_present, node.where)
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
