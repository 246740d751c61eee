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
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Call, Dataset, Expr
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.qastle_text import qastle_text
from hep_flows.plugins.servicex.terms import Refused
from hep_flows.plugins.servicex.xaod.columns import Columns
from hep_flows.plugins.servicex.xaod.declarations import declarations
from hep_flows.plugins.servicex.xaod.event_masks import event_masks, is_event_count
from hep_flows.plugins.servicex.xaod.rename import renamed
from hep_flows.plugins.servicex.xaod.value import called, function, method, true_where_valid
from hep_flows.plugins.servicex.xaod.walk import EVENT, TOO_DEEP, Walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.plugins.servicex.xaod.outputs import Objects, Output, Rows

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
            Columns(self._walk).check(node)

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
        columns = Columns(self._walk)
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
