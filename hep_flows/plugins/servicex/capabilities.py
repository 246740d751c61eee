"""Say which nodes the dialect can run, node by node, and keep the terms of those that it can."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter, Input, Literal
from hep_flows.expr.types import Record
from hep_flows.plugins.servicex.build_terms import Builder, table_of
from hep_flows.plugins.servicex.elementwise_terms import table_name
from hep_flows.plugins.servicex.query_ast import query_ast
from hep_flows.plugins.servicex.stored_terms import readable
from hep_flows.plugins.servicex.terms import Refused, Term, Terms

if TYPE_CHECKING:
    from hep_flows.plugins.servicex.dialect import Dialect

MOST_TERMS = 50_000
TOO_MANY_STEPS = 20_000


class Capabilities:
    """Answers for one dialect; remembers terms, so that a node costs one step after its inputs."""

    def __init__(self, dialect: Dialect) -> None:
        """Nothing is known yet."""
        self.dialect = dialect
        self._lock = threading.Lock()
        self._builder = Builder(dialect, Terms())

    def refusal(self, node: Expr) -> str:
        """Give why the dialect cannot run a node whose inputs it runs; nothing when it can."""
        try:
            with self._lock:
                self._check(node, self._current())
        except Refused as refused:
            return str(refused)
        return ""

    def _current(self) -> Builder:
        if len(self._builder.terms) > MOST_TERMS:
            self._builder = Builder(self.dialect, Terms())
        return self._builder

    def _check(self, node: Expr, builder: Builder) -> None:
        if isinstance(node, Input | Literal):
            raise Refused("it sends queries about stored events")
        if node.type.loops:
            self._check_in_loop(node)
        elif is_event_count(node):
            builder.masks(node)
        elif not node.type.axes:
            raise Refused("a total over all events is made here, from what each file gives")
        elif isinstance(node, Dataset):
            return
        else:
            _check_whole(node, builder, self.dialect)

    def _check_in_loop(self, node: Expr) -> None:
        """Look at the row only: what a loop can do as a whole is seen where it is closed."""
        if not isinstance(node, Call):
            return
        name = table_name(node)
        is_reduce = name in FUNCTIONS and FUNCTIONS[name].kind == "reduce"
        row = (self.dialect.reducers if is_reduce else self.dialect.functions).get(name)
        if row is None or row.reason:
            raise Refused(row.reason if row is not None else f"the query language has no {name}")


def is_event_count(node: Expr) -> bool:
    """Say whether a node is the number of events."""
    return isinstance(node, Call) and node.function == "count" and not node.type.axes and len(node.args[0].type.axes) == 1


def _check_whole(node: Expr, builder: Builder, dialect: Dialect) -> None:
    if isinstance(node.type.item, Record):
        _check_record(node, builder)
        return
    masks = builder.masks(node)
    term = builder.value(node)
    _check_size(term)
    if term.lists != len(node.type.axes) - 1:
        raise Refused(f"it would give {term.lists} levels of lists")
    if str(term.item) != str(node.type.item):
        raise Refused(f"it would give {term.item}")
    if term.nesting > 1:
        # Whether the captured lists can be written is seen when they are.
        query_ast(dialect, table_of(node), masks, {"c0": term})


def _check_record(node: Expr, builder: Builder) -> None:
    if not isinstance(node, Field | Filter):
        raise Refused("objects are put together here")
    record = node.type.item
    assert isinstance(record, Record)
    if isinstance(node, Field) and len(node.type.axes) > 1 and not list(readable(record)):
        raise Refused(f"{record.name} has no leaf that can be read")
    for mask in builder.masks(node):
        _check_size(mask)
    if len(node.type.axes) > 1:
        _check_size(builder.value(node))


def _check_size(term: Term) -> None:
    if term.steps > TOO_MANY_STEPS:
        raise Refused(f"the query would have more than {TOO_MANY_STEPS} operations")
