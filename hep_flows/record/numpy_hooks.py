"""numpy's functions on expressions: recorded, not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, RecordError, with_article
from hep_flows.expr.functions import FUNCTIONS, Function, row_called
from hep_flows.expr.types import Record
from hep_flows.record.control_flow import no_value
from hep_flows.record.instead import VALUES, instead_of
from hep_flows.record.operands import constant_of, expr_of
from hep_flows.record.operators import elementwise
from hep_flows.record.recorder import Recorder, called_with
from hep_flows.record.source_line import asking_library

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.record.table import Table


def ufunc_call(ufunc: Any, method: str, inputs: Sequence[Any], kwargs: dict[str, Any], table: Table, where: Site | None) -> Expr:
    """Give the expression of a ufunc.

    Raises
    ------
    LiteralError
        For a method such as ``reduce``, a keyword, or a ufunc that the language does not have.
    """
    if method != "__call__":
        reduced = {"add": "Sum", "multiply": "Prod", "maximum": "Max", "minimum": "Min", "logical_and": "All", "logical_or": "Any"}
        form = reduced.get(ufunc.__name__) if method == "reduce" else None
        do = f"x.{form}() does so with each list" if form else instead_of("cumsum" if method == "accumulate" else method) or VALUES
        raise LiteralError(f"np.{ufunc.__name__}.{method} cannot be recorded", where=where, do=do)
    if kwargs:
        raise LiteralError(
            f"np.{ufunc.__name__} takes no keyword {', '.join(kwargs)!r} on an expression",
            where=where,
            do=f"leave {next(iter(kwargs))} out; where a condition is meant: np.where(mask, y, z)",
        )
    row = row_called(ufunc.__name__, "numpy")
    if row is None or row.kind != "elementwise":
        raise _unknown(ufunc.__name__, where)
    args = tuple([expr_of(i, table, where) for i in inputs])
    for a in args:
        if isinstance(a.type.item, Record):
            raise LiteralError(f"np.{ufunc.__name__} needs numbers, not a {a.type.item}", where=where, do="name the leaf: x.pt")
    return elementwise(row.name, args, where)


def _unknown(name: str, where: Site | None) -> RecordError:
    if asking_library() not in ("", "numpy", "awkward"):
        return no_value(where, f"np.{name}", "")
    return LiteralError(
        f"np.{name} cannot be recorded", where=where, why="the language has no such function", do=instead_of(name) or VALUES
    )


def numpy_names() -> list[str]:
    """Give the functions of numpy that record: those of the table, and those that are made of others."""
    return list(dict.fromkeys([*[n for r in FUNCTIONS.values() for n in r.numpy], *_FUNCTIONS]))


def numpy_function(frame: DataFrame, func: Any, args: Sequence[Any], kwargs: dict[str, Any], where: Site | None) -> Any:
    """Give what a numpy function means on expressions.

    Raises
    ------
    LiteralError
        For a function or a keyword that the language does not have.
    """
    name = func.__name__
    on = Recorder(frame._table, where)  # noqa: SLF001
    record = _FUNCTIONS.get(name)
    row = row_called(name, "numpy") if record is None else None
    if row is not None:
        record = _of_row(row)
    if record is None:
        module = str(getattr(func, "__module__", "numpy")).removeprefix("numpy").lstrip(".")
        raise _unknown(f"{module}.{name}" if module else name, where)
    return called_with(on, f"np.{name}", record, args, kwargs)


def _of_row(row: Function) -> Callable[..., DataFrame]:
    return lambda on, *args, **kwargs: on.frame(on.recorded(row, "a", args, kwargs))


def _where(on: Recorder, condition: Any, *choices: Any) -> DataFrame:
    if len(choices) != 2:
        raise LiteralError(
            "np.where with one argument gives positions, which have no place in an expression",
            where=on.where,
            do="use X[mask] to select, np.where(mask, a, b) to choose",
        )
    return on.call("where", condition, *choices)


def _round(on: Recorder, a: Any, decimals: Any = 0) -> DataFrame:
    if not isinstance(decimals, int) or isinstance(decimals, bool):
        raise on.refuse(f"decimals are an integer, not {with_article(decimals)}", "write np.round(x, 2)")
    return on.call("round", a, options=(("decimals", decimals),))


def _clip(on: Recorder, a: Any, a_min: Any = None, a_max: Any = None) -> DataFrame:
    lower = a if a_min is None else on.call("maximum", a, a_min)
    return lower if a_max is None else on.call("minimum", lower, a_max)


def _isin(on: Recorder, element: Any, test_elements: Any, *, invert: bool = False) -> DataFrame:
    values = test_elements.tolist() if hasattr(test_elements, "tolist") else test_elements
    constants, _ = constant_of(values if isinstance(values, list | tuple) else list(values), on.where)
    mask = on.call("isin", element, options=(("values", constants),))
    return ~mask if invert else mask


def _isclose(on: Recorder, a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> DataFrame:
    distance = on.call("absolute", on.call("subtract", a, b))
    return on.call("less_equal", distance, on.call("add", on.call("multiply", on.call("absolute", b), rtol), atol))


def _count_nonzero(on: Recorder, a: Any, axis: int | None = None) -> DataFrame:
    return on.frame(on.recorded(FUNCTIONS["sum"], "a", (on.call("not_equal", a, 0), axis), {}))


def _histogram(
    on: Recorder,
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - numpy's name
    density: Any = None,
    weights: Any = None,
) -> Any:
    from hep_flows.record.histogram import numpy_histogram

    return numpy_histogram(a, bins=bins, range=range, density=density, weights=weights, table=on.table, where=on.where)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": _where,
    "histogram": _histogram,
    "round": _round,
    "around": _round,
    "clip": _clip,
    "isin": _isin,
    "isclose": _isclose,
    "count_nonzero": _count_nonzero,
}
