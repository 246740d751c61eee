"""Functions that users wrote: elementwise by meaning, on whole arrays where that gives the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.types import Item, String
from hep_flows.plugins.awkward.values import dtype_of, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.functions import UserFunction

    Body = Callable[..., object]

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
        if not _equal(whole[i], _on_element(function, operands, i, where)):
            return False
    return True


def _equal(one: Any, other: Any) -> bool:
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
