"""A query for the ATLAS C++ generator: its declarations, the masks of events, and one column for each result.

::

    MetaData(..., EventDataset(), {'metadata_type': ...})
      .Where(lambda e: e.Jets('AnalysisJets').Count() >= 2)
      .Select(lambda e: {'c0': e.Jets('AnalysisJets').Select(lambda x1: x1.pt()), ...})
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Map
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.xaod.needs import Needs
from hep_flows.plugins.servicex.xaod.outputs import Output, RecordOutput
from hep_flows.plugins.servicex.xaod.rename import renamed
from hep_flows.plugins.servicex.xaod.value import Refused, Value, both, called, function, method, true_where_valid
from hep_flows.plugins.servicex.xaod.walk import EVENT, TOO_DEEP, Elements, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class XaodQuery:
    """A query, and what its columns make.

    Parameters
    ----------
    text : str
        In qastle.
    columns : tuple of str
        All columns.
    outputs : tuple of Output or RecordOutput
        One for each expression, in order.
    """

    text: str
    columns: tuple[str, ...]
    outputs: tuple[Output | RecordOutput, ...]


class XaodDialect:
    """Says what the ATLAS C++ generator can do, and writes it; what was looked at once is remembered."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._needs = Needs()
        self._walk = Walk(self._needs)
        self._heights: dict[bytes, int] = {}

    def refusal(self, node: Expr) -> str:
        """Say why a node cannot be sent, as a sentence; empty when it can."""
        try:
            self._checked(node)
        except Refused as refused:
            return str(refused)
        return ""

    def _checked(self, node: Expr) -> None:
        self._check_height(node)
        if isinstance(node, Dataset):
            return
        if not node.type.axes:
            raise Refused("a total over all events is made here, from what each file gives")
        for mask in event_masks(node):
            self._walk.value(mask, ())
        if node.type.loops:
            return
        if isinstance(node, Call) and node.function == "record":
            self._record(node)
        else:
            self._columns(node)

    def query(self, exprs: Sequence[Expr]) -> XaodQuery:
        """Give the query of results that are about the same events.

        Raises
        ------
        Refused
            When one of them cannot be sent, or they are about different selections of events.
        """
        stream: ast.expr = called("EventDataset")
        masks = [event_masks(e) for e in exprs]
        if any([m.key for m in of] != [m.key for m in masks[0]] for of in masks):
            raise Refused("one query has one selection of events")
        for expr in exprs:
            self._check_height(expr)
        for mask in masks[0]:
            condition = true_where_valid(self._walk.value(mask, ()))
            stream = method(stream, "Where", function([EVENT], condition))
        columns: dict[str, ast.expr] = {}
        outputs = tuple([self._output(f"c{i}", e, columns) for i, e in enumerate(exprs)])
        made = ast.Dict([ast.Constant(n) for n in columns], list(columns.values()))
        stream = method(stream, "Select", function([EVENT], made))
        return XaodQuery(self._text(stream), tuple(columns), outputs)

    def _text(self, stream: ast.expr) -> str:
        from qastle import python_ast_to_text_ast

        query = renamed(stream)
        for metadata in self._needs.of(query):
            query = _with_metadata(query, metadata)
        text: str = python_ast_to_text_ast(query)
        return text

    def _check_height(self, node: Expr) -> None:
        for n in postorder(node, into=lambda n: n.key not in self._heights):
            self._heights[n.key] = 1 + max([self._heights[i.key] for i in n.inputs()], default=0)
        if self._heights[node.key] > TOO_DEEP:
            raise Refused(f"it is nested more than {TOO_DEEP} operations deep")

    def _output(self, name: str, expr: Expr, columns: dict[str, ast.expr]) -> Output | RecordOutput:
        if isinstance(expr, Call) and expr.function == "record":
            parts = self._record(expr)
            members = [(n, self._made(f"{name}_{i}", p, columns)) for i, (n, p) in enumerate(parts)]
            return RecordOutput(tuple(members), len(expr.type.axes) - 1)
        return self._made(name, expr, columns)

    def _record(self, node: Call) -> list[tuple[str, Expr]]:
        names = node.option("names")
        assert isinstance(names, tuple)
        if any(isinstance(a.type.item, Record) for a in node.args):
            raise Refused("objects inside of a record")
        for part in node.args:
            if not part.type.axes:
                raise Refused("a record with a constant")
            self._columns(part)
        return list(zip([str(n) for n in names], node.args, strict=True))

    def _made(self, name: str, expr: Expr, columns: dict[str, ast.expr]) -> Output:
        value, there = self._columns(expr)
        columns[name] = value
        if there is not None:
            columns[f"{name}_there"] = there
        return Output(name, f"{name}_there" if there is not None else "", expr.type.item, len(expr.type.axes) - 1)

    def _columns(self, expr: Expr) -> tuple[ast.expr, ast.expr | None]:
        """Give the text of the values, and that of whether they are there."""
        if isinstance(expr.type.item, Record):
            return self._nested(expr, (), lambda _: ast.Constant(0)), None
        found: list[Value] = []

        def value(v: Value) -> ast.expr:
            found.append(v)
            return v.node

        values = self._nested(expr, (), value)
        if not found[0].valid:
            return values, None
        return values, self._nested(expr, (), lambda v: both(v.valid))

    def _nested(self, expr: Expr, own: Elements, taken) -> ast.expr:  # type: ignore[no-untyped-def]
        if len(own) == len(expr.type.axes) - 1:
            result: ast.expr = taken(self._walk.value(expr, own))
            return result
        listed = self._walk.list(expr, own)
        x = self._walk.variable(expr, own)
        body = self._nested(expr, (*own, x), taken)
        if isinstance(body, ast.Name) and body.id == x.text:
            return listed
        return method(listed, "Select", function([x.text], body))


def event_masks(node: Expr) -> tuple[Expr, ...]:
    """Give the masks that select the events of a node, in the order in which they apply."""
    found: list[Expr] = []
    while not isinstance(node, Dataset):
        if isinstance(node, Filter) and node.at == 0:
            found.insert(0, node.mask)
        elif isinstance(node, Call) and dict(node.options).get("at") == 0:
            raise Refused("the events of a table as a whole are looked at here")
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


def _with_metadata(query: ast.expr, metadata) -> ast.expr:  # type: ignore[no-untyped-def]
    """Declare something for the whole of a query, at its source."""
    of = query
    while isinstance(of, ast.Call) and isinstance(of.func, ast.Attribute):
        if isinstance(of.func.value, ast.Call) and isinstance(of.func.value.func, ast.Name):
            of.func.value = called("MetaData", of.func.value, _as_ast(metadata))
            return query
        of = of.func.value
    return query


def _as_ast(value: object) -> ast.expr:
    if isinstance(value, dict):
        return ast.Dict([ast.Constant(k) for k in value], [_as_ast(v) for v in value.values()])
    if isinstance(value, list | tuple):
        return ast.List([_as_ast(v) for v in value], ast.Load())
    return ast.Constant(value)
