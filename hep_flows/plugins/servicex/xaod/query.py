"""A query for the ATLAS C++ generator: its declarations, the masks of events, and the columns that its results are made of.

::

    MetaData(EventDataset(), {'metadata_type': ...})
      .Where(lambda e: e.Jets('AnalysisJets').Count() >= 2)
      .Select(lambda e: {'c0': e.Jets('AnalysisJets').Select(lambda x1: x1.pt()), ...})
"""

from __future__ import annotations

import ast
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import TaskError
from hep_flows.expr import build
from hep_flows.expr.loops import member_with, select
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Map
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.query import XAOD, Query, zipped
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.write import qastle_text
from hep_flows.plugins.servicex.xaod.own_functions import carried, declarations, declaring
from hep_flows.plugins.servicex.xaod.value import Value, both, called, function, method, operation, true_where_valid
from hep_flows.plugins.servicex.xaod.walk import EVENT, TOO_DEEP, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Result, Task
    from hep_flows.errors import Where
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.xaod.walk import Elements

    Taken = Callable[[Value], ast.expr]

# Every variable of a query gets a name of its own: no lambda hides the variable of another one -----------------------------------
#
# before: ``e.Jets().Select(lambda x1: e.Muons().Where(lambda x1: ...))``; after: ``x1``, and ``x2`` inside. Shared parts become copies.


def renamed(query: ast.expr) -> ast.expr:
    """Give the same query with distinct variables, numbered in the order of the text; those of the events keep their name."""
    return _Renamer().rename(query, {})


class _Renamer:
    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def rename(self, node: ast.expr, names: dict[str, str]) -> ast.expr:
        match node:
            case ast.Name():
                return ast.Name(names.get(node.id, node.id), ast.Load())
            case ast.Lambda():
                inner = {a.arg: self._fresh(a.arg) for a in node.args.args}
                arguments = ast.arguments([], [ast.arg(n) for n in inner.values()], None, [], [], None, [])
                return ast.Lambda(arguments, self.rename(node.body, {**names, **inner}))
            case _:
                return self._copied(node, names)

    def _fresh(self, name: str) -> str:
        letter = name.rstrip("0123456789")
        if name == "e":
            return name
        self._used[letter] = self._used.get(letter, 0) + 1
        return f"{letter}{self._used[letter]}"

    def _copied(self, node: ast.expr, names: dict[str, str]) -> ast.expr:
        made = type(node)()
        for name, value in ast.iter_fields(node):
            setattr(made, name, self._part(value, names))
        return declaring(made, carried(node))

    def _part(self, value: object, names: dict[str, str]) -> object:
        if isinstance(value, list):
            return [self._part(v, names) for v in value]
        return self.rename(value, names) if isinstance(value, ast.expr) else value


# Which events an expression is about ---------------------------------------------------------------------------------------------


def is_event_count(node: Expr) -> bool:
    """Say whether a node is the number of events."""
    return isinstance(node, Call) and node.function == "count" and not node.type.axes and len(node.args[0].type.axes) == 1


def event_masks(node: Expr) -> tuple[Expr, ...]:
    """Give the masks that select the events of a node, in the order in which they apply.

    Raises
    ------
    Refused
        When events are selected by their place, or it is not about the events of a table.
    """
    found: list[Expr] = []
    while not isinstance(node, Dataset):
        if isinstance(node, Filter) and node.at == 0:
            found.insert(0, node.mask)
        elif isinstance(node, Call) and dict(node.options).get("at") == 0:
            raise Refused("events are chosen by their place in the table as a whole")
        node = _over_events(node)
    return tuple(found)


def _over_events(node: Expr) -> Expr:
    """Give the input that a node has its events from."""
    match node:
        case Filter() | Field() | Bound():
            return node.of
        case Map():
            return node.over
        case _:
            found = next((i for i in node.inputs() if i.type.axes), None)
            if found is None:
                raise Refused("it is not about the events of a table that the server reads")
            return found


# The columns of a query, and what arrays they make: a value that may be missing is two columns, the value and whether it is there ---


@dataclass(frozen=True, slots=True)
class Output:
    """A result, or a member of one, that is numbers or lists of numbers.

    Parameters
    ----------
    column : str
        The column with the values.
    there : str
        The column that says where there are any; empty where all are there.
    item : Item
        What the values are. C++ may deliver them in a wider type; the conversion is exact.
    levels : int
        How many levels of lists an event has.
    """

    column: str
    there: str
    item: Item
    levels: int

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        yield self.column
        if self.there:
            yield self.there


@dataclass(frozen=True, slots=True)
class Objects:
    """A result whose items are records; each member has the lists that the records lie in, and may have more."""

    members: tuple[tuple[str, Output | Objects], ...]
    levels: int

    def columns(self) -> Iterator[str]:
        """Give the columns that it is made of."""
        for _, member in self.members:
            yield from member.columns()


@dataclass(frozen=True, slots=True)
class Rows:
    """The number of events that passed."""

    column: str

    def columns(self) -> Iterator[str]:
        """Give a column to count the rows of."""
        yield self.column


def array_of(output: Output | Objects, columns: Mapping[str, Any]) -> Any:
    """Give the awkward array of a result, in exactly the type of its items.

    Raises
    ------
    TaskError
        When what was delivered is nested in another way.
    """
    import awkward as ak

    return ak.Array(_layout(output, columns, 0))


def _layout(output: Output | Objects, columns: Mapping[str, Any], above: int) -> Any:
    """Give the layout below the lists that the objects around it have."""
    import awkward as ak

    if isinstance(output, Objects):
        parts = {name: _layout(o, columns, output.levels) for name, o in output.members}
        return zipped(parts, output.levels - above)
    values = ak.to_layout(columns[output.column])
    there = ak.to_layout(columns[output.there]) if output.there else None
    return _items(values, there, output, output.levels)


def _items(values: Any, there: Any, output: Output, levels: int) -> Any:
    import numpy as np
    from awkward.contents import ByteMaskedArray, ListOffsetArray, NumpyArray
    from awkward.index import Index8

    values, there = _plain(values, output), None if there is None else _plain(there, output)
    if levels:
        lists = _lists(values, output)
        inner = None if there is None else _lists(there, output).content
        return ListOffsetArray(lists.offsets, _items(lists.content, inner, output, levels - 1))
    if not values.is_numpy and not values.is_unknown:
        raise TaskError(f"the back end delivered {values.form.type} where {output.item} was asked for")
    dtype = np.dtype(str(output.item))
    if there is None:
        return NumpyArray(_converted(values, dtype))
    valid = _converted(there, np.dtype(bool))
    numbers = np.zeros(len(valid), dtype=dtype)
    numbers[valid] = _converted(values[valid], dtype)
    return ByteMaskedArray(Index8(valid.astype(np.int8)), NumpyArray(numbers), valid_when=True)


def _plain(layout: Any, output: Output) -> Any:
    """Take off the option of being missing, which some formats add."""
    while layout.is_option or layout.is_indexed:
        if layout.is_option and not layout.mask_as_bool(valid_when=True).all():
            raise TaskError(f"the back end delivered missing values for {output.column}")
        layout = layout.project()
    return layout


def _lists(layout: Any, output: Output) -> Any:
    from awkward.contents import EmptyArray, ListOffsetArray
    from awkward.index import Index64

    if layout.is_unknown:
        return ListOffsetArray(Index64([0]), EmptyArray())
    if not layout.is_list:
        raise TaskError(
            f"the back end delivered {layout.form.type} where lists were asked for", why=f"it is the column {output.column}"
        )
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    return lists.copy(content=lists.content[: int(lists.offsets[-1])])


def _converted(layout: Any, dtype: Any) -> Any:
    import numpy as np

    if layout.is_unknown:
        return np.zeros(0, dtype=dtype)
    return np.asarray(layout.data).astype(dtype, copy=False)


# The columns that results are made of: lists of lists of numbers, one level for each axis ----------------------------------------

MOST_LEVELS = 2


class SentColumns:
    """Collects the columns of one query.

    Attributes
    ----------
    texts : dict of str to ast.expr
        The columns by name.
    """

    def __init__(self, walk: Walk) -> None:
        """There are none at first."""
        self.texts: dict[str, ast.expr] = {}
        self._walk = walk

    def add(self, name: str, expr: Expr) -> Output | Objects | Rows:
        """Add the columns of a result, with names that begin with ``name``.

        Raises
        ------
        Refused
            When the back end cannot say it.
        """
        if is_event_count(expr):
            self.texts[name] = ast.Constant(1)
            return Rows(name)
        return self._made(name, expr, expr)

    def check(self, expr: Expr) -> None:
        """See whether a result can be sent; of stored objects it is enough that their lists can.

        Raises
        ------
        Refused
            When it cannot.
        """
        item = expr.type.item
        if isinstance(item, Record) and expr.type.optional:
            raise Refused("records that may be missing")
        if not isinstance(item, Record) or item.model == "tuple":
            self.add("c", expr)
        elif len(expr.type.axes) > 1:
            self._nested(expr, expr, (), lambda _: ast.Constant(0))
        elif isinstance(expr, Field):
            self._walk.value(expr, ())

    def _made(self, name: str, expr: Expr, like: Expr) -> Output | Objects:
        """Add the columns of a result, repeated for each element of the axes of ``like``."""
        if isinstance(expr.type.item, Record):
            if expr.type.optional:
                raise Refused("records that may be missing")
            members = [(n, self._made(f"{name}_{i}", m, expr)) for i, (n, m) in enumerate(members_of(self._walk, expr).items())]
            return Objects(tuple(members), len(expr.type.axes) - 1)
        levels = max(len(expr.type.axes), len(like.type.axes)) - 1
        if levels > MOST_LEVELS:
            raise Refused("lists in lists in lists: the tree that the back end writes holds no more than lists in lists")
        found: list[Value] = []

        def value(v: Value) -> ast.expr:
            found.append(v)
            return _as_filled(v, levels)

        self.texts[name] = self._nested(expr, like, (), value)
        if not found[0].valid:
            return Output(name, "", expr.type.item, levels)
        there = self._nested(expr, like, (), lambda v: _as_filled(Value(both(v.valid), "bool"), levels))
        self.texts[f"{name}_there"] = there
        return Output(name, f"{name}_there", expr.type.item, levels)

    def _nested(self, expr: Expr, like: Expr, own: Elements, taken: Taken) -> ast.expr:
        n_axes, n_like = len(expr.type.axes) - 1, len(like.type.axes) - 1
        if len(own) >= n_axes and len(own) >= n_like:
            return taken(self._walk.value(expr, own[:n_axes]))
        over = like if len(own) < n_like else expr
        listed = self._walk.list(over, own)
        x = self._walk.variable(over, own)
        body = self._nested(expr, like, (*own, x), taken)
        if isinstance(body, ast.Name) and body.id == x.text:
            return listed
        return method(listed, "Select", function([x.text], body))


def _as_filled(value: Value, levels: int) -> ast.expr:
    """Give what goes into the tree.

    The generator fills no vector that the event hands out as it is, so such a number becomes the result of an operation. Trees know
    vectors of vectors of integers, and not for sure those of truths.
    """
    if levels == 1 and isinstance(value.node, ast.Name):
        if value.kind not in {"double", "float", "int"}:
            raise Refused("a list of the event as it is, other than of small numbers")
        return operation(value.node, ast.Mult(), ast.Constant(1))
    return called("hf_int", value.node) if value.kind == "bool" and levels == MOST_LEVELS else value.node


def members_of(walk: Walk, expr: Expr) -> Mapping[str, Expr]:
    """Give the members of records: those that were put together, or all leaves of a stored object that can be sent.

    Raises
    ------
    Refused
        When there are none, or the objects as a whole cannot be sent.
    """
    assert isinstance(expr.type.item, Record)
    found: dict[str, Expr] = {}
    for name, member in expr.type.item.members.items():
        leaf = None if not member.is_plain else select(expr, _defined(name))
        if expr.type.item.model == "tuple":
            if leaf is None or not leaf.type.axes:
                raise Refused(f"the member {name} of a record that was put together")
            found[name] = leaf
        elif leaf is not None and _can_be_sent(walk, leaf):
            found[name] = leaf
    if not found:
        raise Refused(f"{expr.type.item.name} has no member that can be sent")
    return found


def _defined(name: str) -> Callable[[Expr], Expr | bool | None]:
    def member(here: Expr) -> Expr | bool | None:
        if (given := member_with(here, name)) is not None:
            return given
        if isinstance(here, Call) and here.function == "record":
            names = here.option("names")
            assert isinstance(names, tuple)
            return here.args[names.index(name)]
        return build.field(here, name, here.where) if isinstance(here, Dataset | Field) else None

    return member


def _can_be_sent(walk: Walk, leaf: Expr) -> bool:
    try:
        SentColumns(walk).add("c", leaf)
    except Refused:
        return False
    return True


MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class XaodQuery:
    """A query, and what its columns make.

    Parameters
    ----------
    text : str
        In qastle.
    columns : tuple of str
        All columns.
    outputs : tuple of Output, Objects or Rows
        One for each expression, in order.
    """

    text: str
    columns: tuple[str, ...]
    outputs: tuple[Output | Objects | Rows, ...]


class XaodDialect:
    """Says what the ATLAS C++ generator can do, and writes it; what was looked at once is remembered."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._walk = Walk()
        self._heights: dict[bytes, int] = {}

    def refusal(self, node: Expr) -> str:
        """Say why a node cannot be sent, as a sentence; empty when it can."""
        with self._lock:
            if len(self._heights) > MOST_REMEMBERED:
                self._forget()
            try:
                self._check(node)
            except Refused as refused:
                return str(refused)
        return ""

    def _check(self, node: Expr) -> None:
        self._check_height(node)
        if isinstance(node, Dataset):
            return
        for mask in self._masks(node):
            self._walk.value(mask, ())
        # What depends on a loop's element has no columns of its own: it is looked at where the loop is closed.
        if not node.type.loops:
            SentColumns(self._walk).check(node)

    def query(self, exprs: Sequence[Expr]) -> XaodQuery:
        """Give the query of results that are about the same events.

        Raises
        ------
        Refused
            When one of them cannot be sent, or they are about different selections of events.
        """
        with self._lock:
            return self._query(exprs)

    def _query(self, exprs: Sequence[Expr]) -> XaodQuery:
        for expr in exprs:
            self._check_height(expr)
        masks = self._masks(exprs[0])
        if any([m.key for m in self._masks(e)] != [m.key for m in masks] for e in exprs):
            raise Refused("one query has one selection of events")
        columns = SentColumns(self._walk)
        outputs = tuple([columns.add(f"c{i}", e) for i, e in enumerate(exprs)])
        stream: ast.expr = called("EventDataset")
        for mask in masks:
            condition = true_where_valid(self._walk.value(mask, ()))
            stream = method(stream, "Where", function([EVENT], condition))
        names = [ast.Constant(n) for n in columns.texts]
        stream = method(stream, "Select", function([EVENT], ast.Dict(list(names), list(columns.texts.values()))))
        return XaodQuery(self._text(stream), tuple(columns.texts), outputs)

    @staticmethod
    def _masks(expr: Expr) -> tuple[Expr, ...]:
        if is_event_count(expr):
            assert isinstance(expr, Call)
            return event_masks(expr.args[0])
        if not expr.type.axes:
            raise Refused("a total over all events is made here, from what each file gives")
        return event_masks(expr)

    @staticmethod
    def _text(stream: ast.expr) -> str:
        query = renamed(stream)
        return qastle_text(_with_metadata(query, declarations(query)))

    def _check_height(self, node: Expr) -> None:
        for n in postorder(node, into=lambda n: n.key not in self._heights):
            self._heights[n.key] = 1 + max([self._heights[i.key] for i in n.inputs()], default=0)
        if self._heights[node.key] > TOO_DEEP:
            raise Refused(f"it is nested more than {TOO_DEEP} operations deep")


def _with_metadata(query: ast.expr, declarations: Sequence[Mapping[str, object]]) -> ast.expr:
    """Declare things for the whole of a query, at its source."""
    if isinstance(query, ast.Call) and isinstance(query.func, ast.Attribute):
        inside = _with_metadata(query.func.value, declarations)
        return ast.Call(ast.Attribute(inside, query.func.attr, ast.Load()), query.args, [])
    for declaration in declarations:
        query = called("MetaData", query, _as_ast(declaration))
    return query


def _as_ast(value: object) -> ast.expr:
    if isinstance(value, dict):
        return ast.Dict([ast.Constant(k) for k in value], [_as_ast(v) for v in value.values()])
    if isinstance(value, list | tuple):
        return ast.List([_as_ast(v) for v in value], ast.Load())
    assert isinstance(value, str | bool | int)
    return ast.Constant(value)


# Tasks as queries about the objects of ATLAS events, for a code generator that makes C++ of them ---------------------------------


@dataclass(frozen=True, slots=True)
class XaodRequest:
    """One query, and the tasks that it answers, in the order of its outputs."""

    made: XaodQuery
    tasks: tuple[Task, ...]

    # The events of ATLAS files are counted by the server: nothing here knows how many there are.
    only_counts = False

    @property
    def query(self) -> Query:
        """What is sent."""
        return Query(self.made.text, "xaod", self.made.columns)

    @property
    def keys(self) -> Collection[Key]:
        """The keys of the tasks."""
        return [t.key for t in self.tasks]

    @property
    def where(self) -> Where:
        """The user's line."""
        return self.tasks[0].expr.where

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        found: dict[Key, Result] = {}
        for task, output in zip(self.tasks, self.made.outputs, strict=True):
            found[task.key] = Scalar(n_rows) if isinstance(output, Rows) else Columns(array_of(output, columns))
        return found

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give the results of no events."""
        nothing = {name: _no_events() for name in self.made.columns}
        return self.results(nothing, n_events)


class XaodWording:
    """Queries about the methods of ATLAS objects."""

    kinds = XAOD

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._dialect = XaodDialect()

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        return self._dialect.refusal(node)

    def requests(self, dataset: Dataset, tasks: Sequence[Task]) -> list[XaodRequest]:
        """Give the queries that answer tasks over one table: one for each selection of events."""
        del dataset
        groups: dict[tuple[Key, ...], list[Task]] = {}
        for task in tasks:
            groups.setdefault(_events_of(task.expr), []).append(task)
        return [XaodRequest(self._dialect.query([t.expr for t in group]), tuple(group)) for group in groups.values()]

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files; without any, that of no events."""
        import awkward as ak

        if arrays:
            return ak.concatenate(list(arrays))
        made = self._dialect.query([expr])
        (output,) = made.outputs
        assert not isinstance(output, Rows)
        return array_of(output, {name: _no_events() for name in made.columns})


def _events_of(expr: Expr) -> tuple[Key, ...]:
    """Give what selects the events of an expression, by the keys of the masks."""
    return tuple([m.key for m in event_masks(expr.args[0] if is_event_count(expr) else expr)])  # type: ignore[union-attr]


def _no_events() -> Any:
    import awkward as ak

    return ak.Array([])
