"""A query for the ATLAS C++ generator: its declarations, the masks of events, and the columns that its results are made of.

::

    MetaData(EventDataset(), {'metadata_type': ...})
      .Where(lambda e: e.Jets('AnalysisJets').Count() >= 2)
      .Select(lambda e: {'c0': e.Jets('AnalysisJets').Select(lambda x1: x1.pt()), ...})
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.loops import member_with, select
from hep_flows.expr.nodes import Call, Dataset, Expr, Field
from hep_flows.expr.types import Record
from hep_flows.plugins.servicex.query import XAOD, Objects, Output, Query, Rows
from hep_flows.plugins.servicex.translate import (
    NO_TOTALS,
    Dialect,
    Refused,
    about_events,
    called,
    down_to_table,
    event_filters,
    function,
    is_event_count,
    method,
    qastle_text,
)
from hep_flows.plugins.servicex.xaod.own_functions import carried, declarations, declaring
from hep_flows.plugins.servicex.xaod.value import Value, both, operation, true_where_valid
from hep_flows.plugins.servicex.xaod.walk import EVENT, CppWalk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.plugins.servicex.translate import Elements

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


# The columns that results are made of: lists of lists of numbers, one level for each axis ----------------------------------------

MOST_LEVELS = 2


class SentColumns:
    """Collects the columns of one query.

    Attributes
    ----------
    texts : dict of str to ast.expr
        The columns by name.
    """

    def __init__(self, walk: CppWalk) -> None:
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
        kind = replace(expr.type, optional=False)
        found: list[Value] = []

        def value(v: Value) -> ast.expr:
            found.append(v)
            return _as_filled(v, levels)

        self.texts[name] = self._nested(expr, like, (), value)
        if not found[0].valid:
            return Output(name, kind, levels, where=expr.where, exact=False)
        there = self._nested(expr, like, (), lambda v: _as_filled(Value(both(v.valid), "bool"), levels))
        self.texts[f"{name}_there"] = there
        return Output(name, kind, levels, f"{name}_there", expr.where, exact=False)

    def _nested(self, expr: Expr, like: Expr, own: Elements, taken: Taken) -> ast.expr:
        n_axes, n_like = len(expr.type.axes) - 1, len(like.type.axes) - 1
        if len(own) >= n_axes and len(own) >= n_like:
            return taken(self._walk.value(expr, own[:n_axes]))
        over = like if len(own) < n_like else expr
        listed = self._walk.list(over, own)
        x = self._walk.variable(over, own, (), listed)
        body = self._nested(expr, like, (*own, x), taken)
        if isinstance(body, ast.Name) and body.id == x.name:
            return listed
        return method(listed, "Select", function([x.name], body))


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


def members_of(walk: CppWalk, expr: Expr) -> Mapping[str, Expr]:
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


def _can_be_sent(walk: CppWalk, leaf: Expr) -> bool:
    try:
        SentColumns(walk).add("c", leaf)
    except Refused:
        return False
    return True


class XaodDialect(Dialect[CppWalk, ast.expr]):
    """Queries about the methods of ATLAS objects."""

    kinds = XAOD

    def walk(self) -> CppWalk:
        """Give a walk that remembers nothing."""
        return CppWalk()

    def check(self, walk: CppWalk, node: Expr) -> None:
        """Refuse a node that cannot be sent."""
        walk.measure(node)
        if isinstance(node, Dataset):
            return
        for mask in self.events(walk, node):
            walk.value(mask)
        # What depends on a loop's element has no columns of its own: it is looked at where the loop is closed.
        if not node.type.loops:
            SentColumns(walk).check(node)

    def events(self, walk: CppWalk, expr: Expr) -> tuple[Expr, ...]:
        """Give the masks of events."""
        if not expr.type.axes and not is_event_count(expr):
            raise Refused(NO_TOTALS)
        about = about_events(expr)
        if any(isinstance(n, Call) and dict(n.options).get("at") == 0 for n in down_to_table(about)):
            raise Refused("events are chosen by their place in the table as a whole")
        return tuple([f.mask for f in event_filters(about)])

    def columns(self, walk: CppWalk, exprs: Sequence[Expr]) -> tuple[list[Output | Objects | Rows], dict[str, ast.expr]]:
        """Give what expressions are made of, and the columns for that."""
        for expr in exprs:
            walk.measure(expr)
        columns = SentColumns(walk)
        return [columns.add(f"c{i}", e) for i, e in enumerate(exprs)], columns.texts

    def query(self, walk: CppWalk, table: Dataset, events: tuple[Expr, ...], columns: Mapping[str, ast.expr]) -> Query:
        """Give the query for columns of the events that pass the masks."""
        stream: ast.expr = called("EventDataset")
        for mask in events:
            stream = method(stream, "Where", function([EVENT], true_where_valid(walk.value(mask))))
        names: list[ast.expr | None] = [ast.Constant(n) for n in columns]
        stream = renamed(method(stream, "Select", function([EVENT], ast.Dict(names, list(columns.values())))))
        return Query(qastle_text(_with_metadata(stream, declarations(stream))), "xaod", tuple(columns))


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
