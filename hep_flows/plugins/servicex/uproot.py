"""The capability table of the dialect ``uproot``: flat trees, NanoAOD, and PHYSLITE by its branches.

Rows were compared with the awkward plug-in bit by bit; a row that is refused says why.
"""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import TaskError
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugins.servicex.addresses import RemoteIdentity
from hep_flows.plugins.servicex.query import UPROOT, Query, zipped
from hep_flows.plugins.servicex.terms import Dialect, Refused, Row, Term, Terms
from hep_flows.plugins.servicex.translate import Asked, Builder, Capabilities, asked, branches, converted
from hep_flows.plugins.servicex.write import qastle_text, query_ast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Collection as Keys

    from hep_flows.contract import Key, Result, Task
    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.terms import Collection, Leaf
    from hep_flows.plugins.servicex.translate import Output

    Write = Callable[[Sequence[ast.expr]], ast.expr]

# What the dialect ``uproot`` has no word for, made of what it has, with every bit of the reference -------------------------------


def delta_phi(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the difference of two angles in [-pi, pi)."""
    first, second = [converted(terms, a, wanted) for a in args]
    return _wrapped(terms, terms.call("subtract", (first, second), wanted), wanted)


def delta_r(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the distance of (eta1, phi1) and (eta2, phi2), with the difference of the angles in [-pi, pi)."""
    eta1, phi1, eta2, phi2 = [converted(terms, a, wanted) for a in args]
    d_eta = terms.call("subtract", (eta1, eta2), wanted)
    d_phi = _wrapped(terms, terms.call("subtract", (phi1, phi2), wanted), wanted)
    squares = [terms.call("square", (d,), wanted) for d in (d_eta, d_phi)]
    square = terms.call("add", squares, wanted)
    near = terms.call("sqrt", (square,), wanted)
    # The square of a huge or an infinite distance is infinite.
    far = terms.call("hypot", (d_eta, d_phi), wanted)
    return terms.call("where", (terms.call("isfinite", (square,), Bool()), near, far), wanted)


def _wrapped(terms: Terms, angle: Term, wanted: Item) -> Term:
    """Give the same angle in [-pi, pi), step by step as the awkward plug-in computes it."""

    def call(name: str, *args: Term) -> Term:
        return terms.call(name, args, wanted)

    def number(value: float) -> Term:
        return terms.constant(value, Float(64))

    def inside(term: Term) -> Term:
        above = terms.call("greater_equal", (term, number(-math.pi)), Bool())
        return terms.call("bitwise_and", (above, terms.call("less", (term, number(math.pi)), Bool())), Bool())

    turn = 2 * math.pi
    turns = call("floor", call("true_divide", call("add", angle, number(math.pi)), number(turn)))
    near = call("subtract", angle, call("multiply", turns, number(turn)))
    if str(wanted) != "float64":
        lacking = turn - struct.unpack("f", struct.pack("f", turn))[0]
        near = call("subtract", near, call("multiply", turns, number(lacking)))
    above = terms.call("greater_equal", (near, number(math.pi)), Bool())
    moved = call("where", above, call("subtract", near, number(turn)), call("add", near, number(turn)))
    return call("where", inside(near), near, call("where", inside(angle), angle, moved))


def extreme(name: str) -> Callable[[Terms, Sequence[Term], Item], Term]:
    """Give the row of the largest or smallest of a list: one that is not a number counts as missing."""

    def made_of(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
        (listed,) = args
        if isinstance(wanted, Float):
            variable = listed.depth + 1
            element = terms.element(variable, wanted)
            listed = terms.where(listed, variable, terms.call("equal", (element, element), Bool()))
        return terms.reduce(name, listed, wanted)

    return made_of


# How the dialect ``uproot`` writes what is stored: a branch is an item of the event, a collection a Zip of its branches, or the only one ---


class UprootSpelling:
    """Writes for func_adl_uproot."""

    def table(self, dataset: Dataset) -> ast.expr:
        """Give the stream of events; the file is given to the generated code when it runs."""
        return _call(ast.Name("EventDataset", ast.Load()), ast.Constant("bogus.root"), ast.Constant(dataset.tree))

    def column(self, event: ast.expr, column: str) -> ast.expr:
        """Give a branch; as an item, since names of branches hold dots, and words that arrays have of their own.

        A branch inside of another goes by its own name, and a member of a branch of records by one more item.
        """
        branch, *members = column.split("|")
        found: ast.expr = event
        for name in (branch.rsplit("/", 1)[-1], *members):
            found = ast.Subscript(found, ast.Constant(name), ast.Load())
        return found

    def collection(self, event: ast.expr, collection: Collection, leaves: Mapping[str, str]) -> ast.expr:
        """Give the objects with the leaves that are used; where there is one only, the list of its values."""
        del collection
        if "" in leaves:
            return self.column(event, leaves[""])
        labels = [ast.Constant(label) for label in leaves]
        columns = [self.column(event, column) for column in leaves.values()]
        return _call(ast.Name("Zip", ast.Load()), ast.Dict(list(labels), columns))

    def leaf(self, element: ast.expr, leaf: Leaf, label: str) -> ast.expr:
        """Give a stored value of an object."""
        del leaf
        return element if not label else ast.Attribute(element, label, ast.Load())

    def constant(self, value: object, dtype: str) -> ast.expr:
        """Give a constant, with a width where it has one.

        Raises
        ------
        Refused
            When it is no finite number.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise Refused(f"the query language cannot write {value}")
        written = ast.Constant(value)  # type: ignore[arg-type]  # a constant of the language is one of Python
        if not dtype or isinstance(value, bool):
            return written
        return _call(ast.Attribute(ast.Name("np", ast.Load()), dtype, ast.Load()), written)


def _call(function: ast.expr, *args: ast.expr) -> ast.expr:
    return ast.Call(function, list(args), [])


_ARITHMETIC: dict[str, type[ast.operator]] = {
    "add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "true_divide": ast.Div, "floor_divide": ast.FloorDiv,
    "remainder": ast.Mod, "left_shift": ast.LShift, "right_shift": ast.RShift,
    "bitwise_and": ast.BitAnd, "bitwise_or": ast.BitOr, "bitwise_xor": ast.BitXor,
}  # fmt: skip
_SIGNS: dict[str, type[ast.unaryop]] = {"invert": ast.Invert, "negative": ast.USub, "positive": ast.UAdd}
_COMPARISONS: dict[str, type[ast.cmpop]] = {
    "equal": ast.Eq, "not_equal": ast.NotEq, "less": ast.Lt, "less_equal": ast.LtE, "greater": ast.Gt, "greater_equal": ast.GtE,
}  # fmt: skip
_NUMPY = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs rint spacing fmod "
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians deg2rad rad2deg "
    "maximum minimum fmax fmin hypot arctan2 copysign logaddexp logaddexp2 nextafter heaviside float_power "
    "square reciprocal sign isnan isfinite isinf signbit logical_xor logical_and logical_or logical_not"
)
_LOCAL = {
    "is_none": "the query language cannot ask whether a value is missing",
    "fill_none": "the query language cannot replace missing values",
    "round": "the query language rounds to whole numbers only",
    "gcd": "the query language has no gcd",
    "lcm": "the query language has no lcm",
    "conjugate": "the query language has no complex numbers",
    "pick": "of an empty list, the back end fails, where the language has a missing value",
    "slice": "the query language has no slices",
    "gather": "the query language has no indices",
    "flatten": "lists of lists are joined here",
    "concatenate": "collections are joined here",
    "argcombinations": "the query language has no positions of combinations",
    "argpad": "the query language cannot fill lists up",
    "record": "objects are put together here",
}


def uproot_dialect() -> Dialect:
    """Give the capability table."""
    return Dialect(
        "uproot",
        UprootSpelling(),
        functions=_functions(),
        reducers=_reducers(),
        captured_lists="a list of the event that is filtered by an element of another one cannot be broadcast",
    )


def _functions() -> dict[str, Row]:
    rows = {name: Row(_operator(op)) for name, op in _ARITHMETIC.items()}
    rows |= {name: Row(_comparison(op)) for name, op in _COMPARISONS.items()}
    rows |= {name: Row(_sign(op)) for name, op in _SIGNS.items()}
    rows |= {name: Row(_numpy(name)) for name in _NUMPY.split()}
    rows |= {name: Row(_numpy(name), check=_a_float) for name in ("floor", "ceil", "trunc")}
    rows["power"] = Row(_operator(ast.Pow), check=_float_base)
    rows["absolute"] = Row(lambda args: ast.Call(ast.Name("abs", ast.Load()), list(args), []))
    rows["where"] = Row(lambda args: ast.IfExp(*args), check=_one_width, shape=_deep_condition)
    rows["isin"] = Row(_comparison(ast.Eq))
    rows["delta_phi"] = Row(made_of=delta_phi)
    rows["delta_r"] = Row(made_of=delta_r)
    rows |= {name: Row(reason=reason) for name, reason in _LOCAL.items()}
    return rows


def _reducers() -> dict[str, Row]:
    return {
        "count": Row(_method("Count")),
        "sum": Row(_method("Sum"), check=_a_sum),
        "any": Row(_method("Any")),
        "all": Row(_method("All")),
        "max": Row(made_of=extreme("max")),
        "min": Row(made_of=extreme("min")),
        "mean": Row(reason="the query language has no mean"),
        "prod": Row(reason="the query language has no product of a list"),
    }


def _operator(op: type[ast.operator]) -> Write:
    return lambda args: ast.BinOp(args[0], op(), args[1])


def _comparison(op: type[ast.cmpop]) -> Write:
    return lambda args: ast.Compare(args[0], [op()], [args[1]])


def _numpy(name: str) -> Write:
    return lambda args: ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()), list(args), [])


def _method(name: str) -> Write:
    return lambda args: ast.Call(ast.Attribute(args[0], name, ast.Load()), list(args[1:]), [])


def _sign(op: type[ast.unaryop]) -> Write:
    return lambda args: ast.UnaryOp(op(), args[0])


def _a_float(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "of whole numbers it is left to numpy here"


def _float_base(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "a power of whole numbers may fail at the back end"


def _one_width(items: Sequence[Item], result: Item) -> str:
    wrong = [i for i in items[1:] if str(i) != str(result)]
    return f"both sides must be {result}, and one is {wrong[0]}" if wrong else ""


def _deep_condition(args: Sequence[Term]) -> str:
    shallow = args[0].depth < max([a.depth for a in args])
    return "the condition must be one for each element, as the values are" if shallow else ""


def _a_sum(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "half precision" if isinstance(items[0], Float) and items[0].bits < 32 else ""


# From the Parquet file that an endpoint delivers to arrays of exactly the type of their expressions ------------------------------


def read_columns(path: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Give the columns of a Parquet file as awkward arrays, by name.

    Raises
    ------
    TaskError
        When the file lacks one of them.
    """
    import awkward as ak
    import pyarrow.parquet as pq

    table = pq.read_table(path, memory_map=True)
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise TaskError(
            f"the back end did not deliver the column {missing[0]}", why=f"it delivered {', '.join(table.column_names)}"
        )
    return {n: ak.from_arrow(table.column(n)) for n in names}


def array_of(output: Output, columns: Mapping[int, Any]) -> Any:
    """Give the awkward array of a result.

    Parameters
    ----------
    output : Output
        What it is put together from.
    columns : mapping of int to array
        What was delivered, by the identity of the term.

    Raises
    ------
    TaskError
        When a value is missing that the expression has, or the array is nested in another way.
    """
    import awkward as ak

    return ak.Array(_layout(output, columns, 0))


def _layout(output: Output, columns: Mapping[int, Any], depth: int) -> Any:
    """Give the layout below the list axes that the object around has."""
    import awkward as ak

    if output.term is not None:
        return _plain(ak.to_layout(columns[id(output.term)]), output.expr, len(output.expr.type.axes) - 1)
    assert isinstance(output.expr.type.item, Record)
    own = len(output.expr.type.axes) - 1 - depth
    parts = {name: _layout(m, columns, depth + own) for name, m in output.members.items()}
    return zipped(parts, own)


def _plain(layout: Any, expr: Expr, levels: int) -> Any:
    """Give plain lists of plain numbers, with options where the expression has them."""
    from awkward.contents import ListOffsetArray

    if levels == 0:
        return _items(layout, expr)
    layout = _there(layout, expr)
    if not layout.is_list:
        raise TaskError(f"the back end delivered {layout.form.type} where lists were asked for", where=expr.where)
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    return ListOffsetArray(lists.offsets, _plain(lists.content[: int(lists.offsets[-1])], expr, levels - 1))


def _items(layout: Any, expr: Expr) -> Any:
    import numpy as np
    from awkward.contents import ByteMaskedArray, NumpyArray, UnmaskedArray
    from awkward.index import Index8

    dtype = np.dtype(str(expr.type.item))
    if not expr.type.optional:
        return NumpyArray(_numbers(_there(layout, expr), expr, dtype))
    if not layout.is_option:
        return UnmaskedArray(NumpyArray(_numbers(layout, expr, dtype)))
    valid = layout.mask_as_bool(valid_when=True)
    data = np.zeros(len(valid), dtype=dtype)
    data[valid] = _numbers(layout.project(), expr, dtype)
    return ByteMaskedArray(Index8(valid.astype(np.int8)), NumpyArray(data), valid_when=True)


def _there(layout: Any, expr: Expr) -> Any:
    """Give the items without the option of being missing.

    Raises
    ------
    TaskError
        When one is missing.
    """
    while layout.is_option or layout.is_indexed:
        if layout.is_option and not layout.mask_as_bool(valid_when=True).all():
            raise TaskError(
                "the back end delivered missing values",
                where=expr.where,
                why=f"the expression is {expr.type}: none of its values is",
            )
        layout = layout.project()
    return layout


def _numbers(layout: Any, expr: Expr, dtype: Any) -> Any:
    import numpy as np

    layout = _there(layout, expr)
    if layout.is_unknown:
        return np.zeros(0, dtype=dtype)
    if not layout.is_numpy or layout.purelist_depth != 1 or np.asarray(layout.data).dtype != dtype:
        raise TaskError(f"the back end delivered {layout.form.type} where {dtype} was asked for", where=expr.where)
    return np.ascontiguousarray(layout.data)


def empty_array(output: Output) -> Any:
    """Give the result for no events."""
    import awkward as ak

    return ak.Array(_empty(output, 0))


def _empty(output: Output, depth: int) -> Any:
    import numpy as np
    from awkward.contents import ListOffsetArray, NumpyArray, RecordArray, UnmaskedArray
    from awkward.index import Index64

    levels = len(output.expr.type.axes) - 1 - depth
    if output.term is None:
        parts = {n: _empty(m, depth + levels) for n, m in output.members.items()}
        made: Any = RecordArray(list(parts.values()), list(parts), length=0)
    else:
        made = NumpyArray(np.zeros(0, dtype=np.dtype(str(output.expr.type.item))))
        made = UnmaskedArray(made) if output.expr.type.optional else made
    for _ in range(levels):
        made = ListOffsetArray(Index64(np.zeros(1, dtype=np.int64)), made)
    return made


# Put the columns of several files together ---------------------------------------------------------------------------------------


def concatenated(dialect: Dialect, expr: Expr, arrays: Sequence[Any]) -> Any:
    """Give one array of all events, in the order given; without any, that of no events."""
    import awkward as ak

    if not arrays:
        return empty_array(asked(Builder(dialect, Terms()), expr).output)
    return ak.concatenate(list(arrays))


# Tasks as queries about the branches of files, for the code generator ``uproot`` -------------------------------------------------


@dataclass(frozen=True, slots=True)
class UprootRequest:
    """One query, and the tasks that it answers.

    Parameters
    ----------
    query : Query
        What is sent.
    columns : mapping of int to str
        The name of each column, by the identity of its term.
    asked : mapping of bytes to Asked
        What each task asks for, by its key.
    only_counts : bool
        Whether all that is asked for is the number of all events: where that is known, nothing is sent.
    """

    query: Query
    columns: Mapping[int, str]
    asked: Mapping[Key, Asked]
    only_counts: bool = False

    @property
    def keys(self) -> Keys[Key]:
        """The keys of the tasks."""
        return self.asked.keys()

    @property
    def where(self) -> Where:
        """The user's line."""
        return next(iter(self.asked.values())).output.expr.where

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        by_term = {term: columns[name] for term, name in self.columns.items()}
        return {k: Scalar(n_rows) if _counts(one) else Columns(array_of(one.output, by_term)) for k, one in self.asked.items()}

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give what is known without a query: a number of events, or that there is nothing."""
        return {k: Scalar(n_events) if _counts(one) else Columns(empty_array(one.output)) for k, one in self.asked.items()}


class UprootWording:
    """Queries about branches, for the code generator ``uproot``.

    Parameters
    ----------
    dialect : Dialect
        What it can do.
    """

    kinds = UPROOT

    def __init__(self, dialect: Dialect) -> None:
        """Nothing is looked at yet."""
        self._dialect = dialect
        self._capabilities = Capabilities(dialect)
        self._last: tuple[Dataset | None, list[Task], list[UprootRequest]] = (None, [], [])

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        return self._capabilities.refusal(node)

    def requests(self, dataset: Dataset, tasks: Sequence[Task]) -> list[UprootRequest]:
        """Give the queries that answer tasks over one table: one for each selection of events."""
        known, before, made = self._last
        # A plan of one task asks the same when it is made, when it starts and when it runs; the user's lines are in the expressions.
        if known is dataset and [(t.key, id(t.expr)) for t in before] == [(t.key, id(t.expr)) for t in tasks]:
            return made
        made = requests(self._dialect, dataset, tasks)
        self._last = (dataset, list(tasks), made)
        return made

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files; without any, that of no events."""
        return concatenated(self._dialect, expr, arrays)


def requests(dialect: Dialect, dataset: Dataset, tasks: Sequence[Task]) -> list[UprootRequest]:
    """Give the queries that answer tasks over one table: one for each selection of events.

    Raises
    ------
    Refused
        When a task cannot be said in the dialect.
    """
    builder = Builder(dialect, Terms())
    groups: dict[tuple[Term, ...], dict[Key, Asked]] = {}
    for task in tasks:
        wanted = asked(builder, task.expr)
        groups.setdefault(wanted.masks, {})[task.key] = wanted
    return [_request(builder.terms, dialect, dataset, masks, group) for masks, group in groups.items()]


def _request(
    terms: Terms, dialect: Dialect, dataset: Dataset, masks: tuple[Term, ...], group: Mapping[Key, Asked]
) -> UprootRequest:
    columns: dict[int, str] = {}
    outputs: dict[str, Term] = {}
    for one in group.values():
        for term in one.output.terms():
            if id(term) not in columns:
                columns[id(term)] = f"c{len(columns)}"
                outputs[columns[id(term)]] = term
    only_counts = not outputs and not masks
    outputs |= _rows(terms, dataset) if only_counts else _beside(terms, masks, list(outputs.values()))
    tree = query_ast(dialect, dataset, masks, outputs) if outputs else None
    text = "" if tree is None else qastle_text(tree)
    reads = branches([*masks, *outputs.values()])
    return UprootRequest(Query(text, dialect.name, tuple(outputs), reads, dataset.tree), columns, group, only_counts)  # type: ignore[arg-type]


def _rows(terms: Terms, dataset: Dataset) -> dict[str, Term]:
    """Give a stored number of each event, so that something comes back for each; nothing where there is none.

    Of files that are read here it is known how many events they have.
    """
    if all([RemoteIdentity.read(c) is None for c in dataset.content]):
        return {}
    assert isinstance(dataset.type.item, Record)
    for member in dataset.type.item.members.values():
        if (
            member.column
            and not member.axes
            and member.is_plain
            and not member.widened
            and isinstance(member.item, Bool | Int | Float)
        ):
            return {"rows": terms.column(member.column, member.item, 0)}
    return {}


def _stored_list(term: Term) -> Term:
    """Give the list that a list is made of: it is there anyway, and nothing is computed twice."""
    while term.op in {"select", "where"}:
        term = term.args[0]
    return term


def _beside(terms: Terms, masks: Sequence[Term], outputs: Sequence[Term]) -> dict[str, Term]:
    """Give a column of truths that takes no room.

    A dict of one list comes back as a list of dicts; and where events are only counted, something must come back for each.
    """
    if not outputs:
        return {"rows": masks[-1]} if masks else {}
    if len(outputs) > 1 or outputs[0].lists == 0:
        return {}
    some = terms.counted(_stored_list(outputs[0]))
    return {"rows": terms.call("greater_equal", (some, terms.constant(0, Int(64))), Bool())}


def _counts(one: Asked) -> bool:
    return one.output.term is None and not one.output.members
