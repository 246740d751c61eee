"""numpy's functions on expressions: recorded, not computed."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, RecordError, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, Function, row_called
from hep_flows.expr.types import Record
from hep_flows.record.groups import cartesian, combinations, joined, padded
from hep_flows.record.instead import VALUES, instead_of
from hep_flows.record.operands import aggregated, as_kind, constant_of, elementwise, expr_of
from hep_flows.record.where import asking_library, no_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.errors import Site
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.operands import Options
    from hep_flows.record.table import Recorded, Table

# What numpy's and awkward's functions are recorded with: one line, one table -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes expressions from operands, at one line and over one table."""

    table: Table
    where: Site | None

    def expr(self, value: Any) -> Expr:
        """Give the expression of an operand."""
        return expr_of(value, self.table, self.where)

    def frame(self, expr: Expr) -> Recorded:
        """Give the frame of an expression."""
        return self.table.frame(expr)  # type: ignore[no-any-return]

    def call(self, name: str, *values: Any, options: Any = ()) -> Recorded:
        """Give an elementwise function of operands."""
        return self.frame(elementwise(name, tuple([self.expr(v) for v in values]), self.where, options))

    def refuse(self, what: str, do: str = "") -> LiteralError:
        """Give the error that says why a function cannot be recorded."""
        return LiteralError(what, where=self.where, do=do)

    def over_all(self, name: str, expr: Expr, options: Options = ()) -> Expr:
        """Give an aggregate over all axes; a mean is over the entries that are there."""
        row = FUNCTIONS[name]
        if row.everything == "never" and len(expr.type.axes) > 1:
            raise self.refuse(
                f"without an axis, this would be the {row.name} of all entries of all events, which cannot be recorded",
                f"axis=-1, or x.{row.method}({', '.join([o.name for o in row.options])}), takes each innermost list; of all values: "
                f"np.{row.name}(ak.flatten(make_local(x), axis=None){''.join([f', {o.name}' for o in row.options])})",
            )
        if row.everything == "at once":
            return build.call(name, (expr,), (*options, ("axis", None)), self.where)
        if row.everything == "ratio":
            there = build.call("invert", (build.call("is_none", (expr,), where=self.where),), where=self.where)
            total, n = self.over_all("sum", expr), self.over_all("sum", there)
            return build.call("true_divide", (total, n), where=self.where)
        new = build.call(name, (expr,), options, self.where)
        while new.type.axes:
            new = build.call(row.reduced_by, (new,), where=self.where)
        return new

    def recorded(self, row: Function, first: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Expr:
        """Give numpy's or awkward's form of a function of the table; ``first`` is what they call the first argument.

        An aggregate is over everything when no axis is named, and the method for ``axis=-1``.
        """
        kind = Parameter.POSITIONAL_OR_KEYWORD
        operands = [first, *[f"{first}{i + 2}" for i in range(row.arity[0] - 1)]]
        parameters = [Parameter(n, kind) for n in (*operands, *[o.name for o in row.options])]
        if row.kind != "elementwise":
            parameters.append(Parameter("axis", kind, default=None))
        given = Signature(parameters).bind(*args, **kwargs).arguments
        options = tuple([(o.name, constant_of(given[o.name], self.where)[0]) for o in row.options])
        exprs = tuple([self.expr(given[n]) for n in operands])
        if row.kind == "elementwise":
            return elementwise(row.name, exprs, self.where, options)
        axis = given.get("axis")
        if row.kind == "list":
            if axis not in (-1, len(exprs[0].type.axes) - 1):
                raise self.refuse(
                    f"{row.name} along axis {axis} would be over the entries of all events, which cannot be recorded",
                    f"axis=-1, or x.{row.method}(), takes each innermost list",
                )
            return build.call(row.name, exprs, options, self.where)
        if axis is None:
            return self.over_all(row.name, exprs[0], options)
        return aggregated(row.name, exprs[0], axis, self.where, options)


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
        extra = next((k for k in kwargs if f"unexpected keyword argument {k!r}" in str(error)), "")
        raise on.refuse(
            f"{title}: {str(error).split(') ', 1)[-1]}",
            f"leave {extra} out, or make_local(x) and use {title} on the array"
            if extra
            else f"make_local(x), and use {title} on the array",
        ) from None


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
        do = f"x.{form}() does so with each list" if form else instead_of("cumprod" if method == "accumulate" else method) or VALUES
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
    return list(dict.fromkeys([*[n for r in FUNCTIONS.values() for n in r.numpy], *_NUMPY]))


def numpy_function(frame: Recorded, func: Any, args: Sequence[Any], kwargs: dict[str, Any], where: Site | None) -> Any:
    """Give what a numpy function means on expressions.

    Raises
    ------
    LiteralError
        For a function or a keyword that the language does not have.
    """
    name = func.__name__
    on = Recorder(frame._table, where)  # noqa: SLF001
    record = _NUMPY.get(name)
    row = row_called(name, "numpy") if record is None else None
    if row is not None:
        record = _numpy_of_row(row)
    if record is None:
        module = str(getattr(func, "__module__", "numpy")).removeprefix("numpy").lstrip(".")
        raise _unknown(f"{module}.{name}" if module else name, where)
    return called_with(on, f"np.{name}", record, args, kwargs)


def _numpy_of_row(row: Function) -> Callable[..., Recorded]:
    return lambda on, *args, **kwargs: on.frame(on.recorded(row, "a", args, kwargs))


def _numpy_where(on: Recorder, condition: Any, *choices: Any) -> Recorded:
    if len(choices) != 2:
        raise LiteralError(
            "np.where with one argument gives positions, which have no place in an expression",
            where=on.where,
            do="use X[mask] to select, np.where(mask, a, b) to choose",
        )
    return on.call("where", condition, *choices)


def _numpy_round(on: Recorder, a: Any, decimals: Any = 0) -> Recorded:
    if not isinstance(decimals, int) or isinstance(decimals, bool):
        raise on.refuse(f"decimals are an integer, not {with_article(decimals)}", "write np.round(x, 2)")
    return on.call("round", a, options=(("decimals", decimals),))


def _clip(on: Recorder, a: Any, a_min: Any = None, a_max: Any = None) -> Recorded:
    lower = a if a_min is None else on.call("maximum", a, a_min)
    return lower if a_max is None else on.call("minimum", lower, a_max)


def _isin(on: Recorder, element: Any, test_elements: Any, *, invert: bool = False) -> Recorded:
    values = test_elements.tolist() if hasattr(test_elements, "tolist") else test_elements
    constants, _ = constant_of(values if isinstance(values, list | tuple) else list(values), on.where)
    mask = on.call("isin", element, options=(("values", constants),))
    return on.call("invert", mask) if invert else mask


def _isclose(on: Recorder, a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> Recorded:
    distance = on.call("absolute", on.call("subtract", a, b))
    return on.call("less_equal", distance, on.call("add", on.call("multiply", on.call("absolute", b), rtol), atol))


def _count_nonzero(on: Recorder, a: Any, axis: int | None = None) -> Recorded:
    return on.frame(on.recorded(FUNCTIONS["sum"], "a", (on.call("not_equal", a, 0), axis), {}))


def _interp(on: Recorder, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Recorded:
    if left is not None or right is not None:
        raise on.refuse("np.interp takes no value beyond the table here", "choose with np.where(x < low, left, np.interp(x, ...))")
    table = (("xp", _table(on, xp)), ("fp", _table(on, fp)))
    if len(table[0][1]) != len(table[1][1]):
        raise on.refuse(f"the tables of np.interp have {len(table[0][1])} and {len(table[1][1])} numbers")
    return on.call("interp", x, options=table)


def _table(on: Recorder, values: Any) -> tuple[Any, ...]:
    if hasattr(values, "_expr"):
        raise on.refuse("the table must be constant, and this is an expression", "call make_local(x) first")
    return tuple([constant_of(v, on.where)[0] for v in (values.tolist() if hasattr(values, "tolist") else values)])


def _searchsorted(on: Recorder, a: Any, v: Any, side: str = "left") -> Recorded:
    return on.call("searchsorted", v, options=(("edges", _table(on, a)), ("side", side)))


def _digitize(on: Recorder, x: Any, bins: Any, right: bool = False) -> Recorded:  # noqa: FBT001, FBT002 - numpy's signature
    edges, side = _table(on, bins), "left" if right else "right"
    if len(edges) < 2 or edges[0] <= edges[-1]:
        return on.call("searchsorted", x, options=(("edges", edges), ("side", side)))
    return on.call("subtract", len(edges), on.call("searchsorted", x, options=(("edges", edges[::-1]), ("side", side))))


def _select(on: Recorder, condlist: Any, choicelist: Any, default: Any = 0) -> Recorded:
    """Choose the value of the first condition that is true."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise on.refuse(f"np.select has {len(condlist)} conditions and {len(choicelist)} choices")
    found: Any = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = on.call("where", condition, choice, found)
    return found  # type: ignore[no-any-return]


def _nan_to_num(on: Recorder, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Recorded:  # noqa: ARG001, FBT001, FBT002 - numpy's signature
    options = [
        (n, None if v is None else constant_of(v, on.where)[0]) for n, v in (("nan", nan), ("posinf", posinf), ("neginf", neginf))
    ]
    return on.call("nan_to_num", x, options=tuple(options))


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


_NUMPY: dict[str, Callable[..., Any]] = {
    "where": _numpy_where,
    "histogram": _histogram,
    "round": _numpy_round,
    "around": _numpy_round,
    "clip": _clip,
    "isin": _isin,
    "isclose": _isclose,
    "interp": _interp,
    "searchsorted": _searchsorted,
    "digitize": _digitize,
    "select": _select,
    "nan_to_num": _nan_to_num,
    "count_nonzero": _count_nonzero,
}


# awkward's functions on expressions, through awkward's own dispatch: recorded, not computed --------------------------------------


def awkward_call(frame: Recorded, func: Any, args: Sequence[Any], kwargs: dict[str, Any], where: Site | None) -> Any:
    """Give what an awkward function means on expressions.

    Raises
    ------
    LiteralError
        For a function or a keyword that the language does not have.
    """
    name = func.__name__
    if name == "with_field":
        return called_with(Recorder(frame._table, where), "ak.with_field", _with_field, args, _given_plain(kwargs))  # noqa: SLF001
    record = _AWKWARD.get(name)
    row = row_called(name, "awkward") if record is None else None
    if row is not None:
        record = _awkward_of_row(row)
    if record is None:
        raise LiteralError(
            f"ak.{name} cannot be recorded", where=where, why="the language has no such function", do=instead_of(name) or VALUES
        )
    on = Recorder(frame._table, where)  # noqa: SLF001
    return frame._made(called_with(on, f"ak.{name}", record, args, _given(on, name, row, kwargs)))  # noqa: SLF001


def awkward_names() -> list[str]:
    """Give the functions of awkward that record: those of the table, and those that are made of others."""
    return list(dict.fromkeys([*[n for r in FUNCTIONS.values() for n in r.awkward], *_AWKWARD]))


def _awkward_of_row(row: Function) -> Callable[..., Expr]:
    return lambda on, *args, **kwargs: on.recorded(row, "array", args, kwargs)


def _given(on: Recorder, name: str, row: Function | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Give the keywords that mean something: those that say what holds anyway are left out.

    Raises
    ------
    LiteralError
        When ``mask_identity`` asks for another result on empty lists than the language gives.
    """
    missing_on_empty = row is not None and row.missing == "made"
    if kwargs.get("mask_identity", missing_on_empty) not in (None, missing_on_empty):
        gives = "missing" if missing_on_empty else "the neutral value"
        raise on.refuse(f"ak.{name} with mask_identity={kwargs['mask_identity']} cannot be recorded: an empty list gives {gives}")
    holds = {"highlevel": True, "behavior": None, "attrs": None, "keepdims": False, "mask_identity": kwargs.get("mask_identity")}
    return {k: v for k, v in kwargs.items() if k not in holds or v != holds[k]}


def _given_plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if k not in ("highlevel", "behavior", "attrs") or v not in (None, True)}


def _with_field(on: Recorder, array: Any, what: Any, where: Any = None) -> Any:
    if not isinstance(where, str) or not hasattr(array, "_expr"):
        raise on.refuse("ak.with_field needs a collection and the name of a leaf", 'ak.with_field(X, value, "pt")')
    return array._with({where: what}, on.where)  # noqa: SLF001


def _num(on: Recorder, array: Any, axis: int = 1) -> Expr:
    return aggregated("count", on.expr(array), axis, on.where)


def _firsts(on: Recorder, array: Any, axis: int = 1) -> Expr:
    expr = on.expr(array)
    depth = len(expr.type.axes)
    at = axis + depth if axis < 0 else axis
    if not 1 <= at < depth:
        raise on.refuse(f"ak.firsts has no axis {axis} in {expr.type}", "use X.First() for the innermost axis")
    return build.pick(expr, 0, at, on.where)


def _is_none(on: Recorder, array: Any, axis: int = 0) -> Expr:
    return build.call("is_none", (_at_innermost(on, array, axis, "is_none"),), where=on.where)


def _drop_none(on: Recorder, array: Any, axis: int = -1) -> Expr:
    expr = _at_innermost(on, array, axis, "drop_none")
    keep = build.call("invert", (build.call("is_none", (expr,), where=on.where),), where=on.where)
    return build.filtered(expr, keep, len(expr.type.axes) - 1, on.where)


def _fill_none(on: Recorder, array: Any, value: Any, axis: int = -1) -> Expr:
    expr = _at_innermost(on, array, axis, "fill_none")
    return elementwise("fill_none", (expr, on.expr(value)), on.where)


def _at_innermost(on: Recorder, array: Any, axis: int | None, name: str) -> Expr:
    """Give the operand; missing values live on the innermost axis, so any other one would do nothing."""
    expr = on.expr(array)
    depth = len(expr.type.axes)
    if axis is not None and axis not in (-1, depth - 1):
        raise on.refuse(f"ak.{name} works on the innermost axis here, not on axis {axis} of {expr.type}", "use axis=-1")
    return expr


def _awkward_where(on: Recorder, condition: Any, *choices: Any) -> Expr:
    if len(choices) != 2:
        raise on.refuse("ak.where needs a condition and two choices", "use X[mask] to select")
    return elementwise("where", tuple([on.expr(v) for v in (condition, *choices)]), on.where)


def _zip(on: Recorder, arrays: Any) -> Expr:
    named = arrays if isinstance(arrays, dict) else {str(i): a for i, a in enumerate(arrays)}
    return build.record(tuple(named), [on.expr(a) for a in named.values()], on.where)


def _local_index(on: Recorder, array: Any, axis: int = -1) -> Expr:
    return build.call("index", (_at_innermost(on, array, axis, "local_index"),), where=on.where)


def _argsort(on: Recorder, array: Any, axis: int = -1, ascending: bool = True, stable: bool = True) -> Expr:  # noqa: ARG001, FBT001, FBT002 - awkward's signature
    of = _at_innermost(on, array, axis, "argsort")
    return build.call("argsort", (of,), (("descending", not ascending),), on.where)


def _sort(on: Recorder, array: Any, axis: int = -1, ascending: bool = True, stable: bool = True) -> Expr:  # noqa: FBT001, FBT002 - awkward's signature
    of = _at_innermost(on, array, axis, "sort")
    return build.gathered(of, _argsort(on, array, axis, ascending, stable), len(of.type.axes) - 1, on.where, inside=True)


def _combinations(
    on: Recorder, array: Any, n: Any, replacement: Any = False, axis: int = 1, fields: Any = None, **more: Any  # noqa: FBT002 - awkward's signature
) -> Expr:  # fmt: skip
    if replacement or any([v is not None for v in more.values()]):
        raise on.refuse(
            "ak.combinations with repeated elements, parameters or a name cannot be recorded",
            "X.Combinations(2) has each pair of two elements, X.Cartesian(X) all pairs in both orders",
        )
    return combinations(_at_innermost(on, array, axis, "combinations"), n, fields, on.where)


def _cartesian(on: Recorder, arrays: Any, axis: int = 1, nested: Any = None, **more: Any) -> Expr:
    if any([v is not None for v in more.values()]) or not (nested is None or isinstance(nested, bool)):
        raise on.refuse(
            "ak.cartesian with parameters, a name or some of its axes nested cannot be recorded", "nested=True keeps all axes"
        )
    parts = list(arrays.values()) if isinstance(arrays, dict) else list(arrays)
    if len(parts) < 2:
        raise on.refuse("ak.cartesian needs two collections or more")
    exprs = [_at_innermost(on, a, axis, "cartesian") for a in parts]
    return cartesian(exprs, tuple(arrays) if isinstance(arrays, dict) else None, on.where, nested=bool(nested))


def _pad_none(on: Recorder, array: Any, target: Any, axis: int = 1, clip: bool = False) -> Expr:  # noqa: FBT001, FBT002 - awkward's signature
    return padded(_at_innermost(on, array, axis, "pad_none"), target, on.where, clip=bool(clip))


def _concatenate(on: Recorder, arrays: Any, axis: int = 0) -> Expr:
    exprs = [on.expr(a) for a in arrays]
    depth = len(exprs[0].type.axes)
    if depth < 2 or axis not in (-1, depth - 1):
        raise on.refuse(
            f"ak.concatenate along axis {axis} would join events, or lists of other depths",
            "axis=1 joins the lists of each event, as Concatenate does; files of one kind are one table: nanoaod_table([a, b])",
        )
    return joined(exprs, on.table, on.where)


def _values_astype(on: Recorder, array: Any, to: Any, including_unknown: bool = False) -> Expr:  # noqa: ARG001, FBT001, FBT002 - awkward's signature
    return as_kind(on.expr(array), to, on.where)


def _awkward_round(on: Recorder, array: Any, decimals: int = 0) -> Expr:
    return build.call("round", (on.expr(array),), (("decimals", decimals),), on.where)


def _flatten(on: Recorder, array: Any, axis: int | None = 1) -> Expr:
    expr = on.expr(array)
    depth = len(expr.type.axes)
    if depth < 3 or axis is None or axis + (depth if axis < 0 else 0) != depth - 1:
        raise on.refuse(
            f"ak.flatten along axis {axis} of {expr.type} would lose which event an entry belongs to",
            "it joins the two innermost collection axes (axis=-1); flatten everything after make_local",
        )
    return build.flattened(expr, on.where)


_AWKWARD: dict[str, Callable[..., Expr]] = {
    "num": _num,
    "local_index": _local_index,
    "argsort": _argsort,
    "sort": _sort,
    "combinations": _combinations,
    "cartesian": _cartesian,
    "pad_none": _pad_none,
    "concatenate": _concatenate,
    "values_astype": _values_astype,
    "firsts": _firsts,
    "is_none": _is_none,
    "drop_none": _drop_none,
    "fill_none": _fill_none,
    "where": _awkward_where,
    "zip": _zip,
    "round": _awkward_round,
    "flatten": _flatten,
}
