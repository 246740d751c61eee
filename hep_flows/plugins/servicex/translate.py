"""From expressions to the syntax trees of queries: what is the same whatever generator the query is for.

One walk down from a node, with the variables that its axes and loops stand for: every axis is a list with a variable for its element, every
filter a Where, every loop a Select. Variables are numbered from the outside in, so a part that depends on none of them is the same wherever it
stands; what is walked once is remembered, and asking for a node after its inputs costs one step. What a part becomes, which functions
there are, and why others are refused, a dialect says.
"""

from __future__ import annotations

import ast
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, assert_never

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Loop, Record
from hep_flows.plugins.servicex.query import Request, Rows, array_of, nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Task
    from hep_flows.expr.types import Member
    from hep_flows.plugins.servicex.query import Objects, Output, Query

    Outputs = Sequence[Output | Objects | Rows]


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """The dialect cannot say it, or would say something else; the text is a sentence for the user."""


NO_TOTALS = "a total over all events is made here, from what each file gives"

# Parts of syntax trees -----------------------------------------------------------------------------------------------------------


def called(name: str, *args: ast.expr) -> ast.expr:
    """Give a call of a function."""
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def method(of: ast.expr, name: str, *args: ast.expr) -> ast.expr:
    """Give a call of a method."""
    return ast.Call(ast.Attribute(of, name, ast.Load()), list(args), [])


def function(names: Sequence[str], body: ast.expr) -> ast.Lambda:
    """Give a lambda."""
    arguments = ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])
    return ast.Lambda(arguments, body)


def compared(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    """Give a comparison."""
    return ast.Compare(left, [operator], [right])


def operated(name: str, *args: ast.expr) -> ast.expr:
    """Give a function of the language's table by the operator that its row has as a symbol."""
    operator = _operator(FUNCTIONS[name].symbol, len(args))
    if isinstance(operator, ast.unaryop):
        return ast.UnaryOp(operator, args[0])
    return compared(args[0], operator, args[1]) if isinstance(operator, ast.cmpop) else ast.BinOp(args[0], operator, args[1])


@cache
def _operator(symbol: str, n_args: int) -> ast.operator | ast.cmpop | ast.unaryop:
    """Give what Python reads a symbol as."""
    found: Any = ast.parse(f"x {symbol} y" if n_args > 1 else f"{symbol} x", mode="eval").body
    operator: ast.operator | ast.cmpop | ast.unaryop = found.ops[0] if isinstance(found, ast.Compare) else found.op
    return operator


def qastle_text(query: ast.expr) -> str:
    """Give the text of a query."""
    import qastle

    text: str = qastle.python_ast_to_text_ast(query)
    return text


# The walk ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """What stands for the element of an axis.

    Parameters
    ----------
    node : Term or ast.expr
        The variable, as the dialect has it.
    name : str
        What tells it from others of its depth.
    depth : int
        Its number: 1 for the element of a list of the event, 2 for one of a list inside, ...
    """

    node: Any = field(compare=False)
    name: str
    depth: int


Elements = tuple[Element, ...]
Loops = tuple[tuple[Loop, Element], ...]
Value = TypeVar("Value")
Listed = TypeVar("Listed")


class Walk(ABC, Generic[Value, Listed]):
    """Gives what expressions are in a dialect: a value for the elements of their axes, and the list that the next axis stands for."""

    def __init__(self) -> None:
        """Nothing is walked yet."""
        self._values: dict[tuple[object, ...], Value] = {}
        self._lists: dict[tuple[object, ...], Listed] = {}

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._values) + len(self._lists)

    def value(self, node: Expr, own: Elements = (), loops: Loops = ()) -> Value:
        """Give what a node is for the elements of its axes after the events, and of the loops around it.

        Raises
        ------
        Refused
            When the dialect cannot say it.
        """
        key = (node.key, own, _inside(node, loops))
        if key not in self._values:
            found = self._value(node, own, loops)
            self.measure_value(found)
            self._values[key] = found
        return self._values[key]

    def list(self, node: Expr, own: Elements = (), loops: Loops = ()) -> Listed:
        """Give the list that the next axis of a node stands for, after those in ``own``.

        Raises
        ------
        Refused
            When the dialect cannot say it.
        """
        key = (node.key, own, _inside(node, loops))
        if key not in self._lists:
            found = self._list(node, own, loops)
            self.measure_list(found)
            self._lists[key] = found
        return self._lists[key]

    def variable(self, node: Expr, own: Elements, loops: Loops, listed: Listed) -> Element:
        """Give a new variable for the element of a list, that of the next axis of a node: its number is above all that the node depends on."""
        used = [e.depth for e in own] + [e.depth for _, e in _inside(node, loops)]
        return self.element(1 + max(used, default=0), listed)

    def arguments(self, node: Call, own: Elements, loops: Loops) -> Sequence[Value]:
        """Give the arguments of a function of items.

        Raises
        ------
        Refused
            When it takes whole lists.
        """
        if any([len(a.type.axes) - 1 > len(own) for a in node.args]):
            raise Refused("a function of whole lists is called here")
        return [self.value(a, own[: max(0, len(a.type.axes) - 1)], loops) for a in node.args]

    def _value(self, node: Expr, own: Elements, loops: Loops) -> Value:
        match node:
            case Literal():
                return self.constant(node)
            case Field():
                return self.leaf(node, own, loops)
            case Filter():
                return self.value(node.of, own, loops)
            case Bound():
                return self.value(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                return self.value(node.body, own[1:], _with(loops, node, own[0]))
            case Call():
                kind = "" if isinstance(node.function, UserFunction) else FUNCTIONS[node.function].kind
                return self._reduced(node, own, loops) if kind == "reduce" else self.call(node, own, loops)
            case Dataset() | Input():
                return self.whole(node)
            case _:
                assert_never(node)

    def _reduced(self, node: Call, own: Elements, loops: Loops) -> Value:
        of = node.args[0]
        if not node.type.axes or len(own) != len(of.type.axes) - 2:
            raise Refused(NO_TOTALS)
        listed = self.list(of, own, loops)
        x = self.variable(of, own, loops, listed)
        return self.reduced(node, listed, x, None if node.function == "count" else self.value(of, (*own, x), loops))

    def _list(self, node: Expr, own: Elements, loops: Loops) -> Listed:
        match node:
            case Field():
                return self.stored_list(node, own, loops)
            case Filter():
                below = self.list(node.of, own, loops)
                return self._filtered(node, below, own, loops) if node.at == len(own) + 1 else below
            case Bound():
                return self.list(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                return self.list(node.body, own[1:], _with(loops, node, own[0])) if own else self.list(node.over, (), loops)
            case Call():
                return self.list_of_call(node, own, loops)
            case _:
                raise Refused("events as a whole cannot be sent")

    def _filtered(self, node: Filter, below: Listed, own: Elements, loops: Loops) -> Listed:
        x = self.variable(node, own, loops, below)
        mask = self.value(node.mask, (*own, x)[: max(0, len(node.mask.type.axes) - 1)], loops)
        return self.where(below, x, mask)

    @abstractmethod
    def measure_value(self, found: Value) -> None:
        """Refuse a value that grew beyond measure."""

    def measure_list(self, found: Listed) -> None:
        """Refuse a list that grew beyond measure."""

    @abstractmethod
    def element(self, depth: int, listed: Listed) -> Element:
        """Give the variable of that number, for the element of a list."""

    @abstractmethod
    def constant(self, node: Literal) -> Value:
        """Give a constant."""

    @abstractmethod
    def whole(self, node: Dataset | Input) -> Value:
        """Give events as a whole."""

    @abstractmethod
    def leaf(self, node: Field, own: Elements, loops: Loops) -> Value:
        """Give a member of what all axes have a variable for."""

    @abstractmethod
    def stored_list(self, node: Field, own: Elements, loops: Loops) -> Listed:
        """Give the list of the next axis of a leaf or a collection."""

    @abstractmethod
    def call(self, node: Call, own: Elements, loops: Loops) -> Value:
        """Give a function that is no aggregate."""

    @abstractmethod
    def list_of_call(self, node: Call, own: Elements, loops: Loops) -> Listed:
        """Give the list of the next axis of what a function gives."""

    @abstractmethod
    def where(self, listed: Listed, x: Element, mask: Value) -> Listed:
        """Give the elements of a list for which a mask is true."""

    @abstractmethod
    def reduced(self, node: Call, listed: Listed, x: Element, body: Value | None) -> Value:
        """Give an aggregate of what is said of each element of a list; without that, the number of elements."""


def _inside(node: Expr, loops: Loops) -> Loops:
    """Give the loops that a node depends on: others make no difference to it."""
    wanted = node.type.loops
    return tuple([pair for pair in loops if pair[0] in wanted])


def _with(loops: Loops, node: Map, element: Element) -> Loops:
    loop = Loop(node.over.type.axes[1], node.level)
    return (*[pair for pair in loops if pair[0] != loop], (loop, element))


def _of_loop(node: Bound, loops: Loops) -> Element:
    loop = Loop(node.of.type.axes[1], node.level)
    return next(element for known, element in loops if known == loop)


def function_name(node: Call) -> str:
    """Give the name in the language's table of functions; a user's function without a body may stand for one, others have no name."""
    known = node.function
    if isinstance(known, str):
        return known
    is_known = known.name == "DeltaR" and len(known.parameters) == 4 and known.body is None and known.cpp is None
    return "delta_r" if is_known else ""


def member_of(node: Field) -> Member:
    """Give what the schema says of a leaf or a collection."""
    record = node.of.type.item
    assert isinstance(record, Record)
    return record.members[node.name]


# Which events an expression is about ---------------------------------------------------------------------------------------------


def is_event_count(node: Expr) -> bool:
    """Say whether a node is the number of events."""
    return isinstance(node, Call) and node.function == "count" and not node.type.axes and len(node.args[0].type.axes) == 1


def about_events(expr: Expr) -> Expr:
    """Give what has the events that an expression is about: the expression, or what is counted."""
    return expr.args[0] if isinstance(expr, Call) and is_event_count(expr) else expr


def down_to_table(node: Expr) -> Iterator[Expr]:
    """Give a node and, one after the other, the inputs that it has its events from; the table comes last.

    Raises
    ------
    Refused
        When it has none.
    """
    while not isinstance(node, Dataset):
        yield node
        match node:
            case Filter() | Field() | Bound():
                node = node.of
            case Map():
                node = node.over
            case _:
                found = next((i for i in node.inputs() if i.type.axes), None)
                if found is None:
                    raise Refused("it sends queries about stored events")
                node = found
    yield node


def table_of(expr: Expr) -> Dataset:
    """Give the table that an expression is about."""
    *_, table = down_to_table(about_events(expr))
    assert isinstance(table, Dataset)
    return table


def event_filters(node: Expr) -> list[Filter]:
    """Give the filters that select the events of a node, in the order in which they apply."""
    return [n for n in down_to_table(node) if isinstance(n, Filter) and n.at == 0][::-1]


# A dialect -----------------------------------------------------------------------------------------------------------------------

MOST_REMEMBERED = 50_000
MOST_REQUESTS = 64
Walks = TypeVar("Walks", bound="Walk[Any, Any]")
Column = TypeVar("Column")


class Dialect(ABC, Generic[Walks, Column]):
    """A language of queries: says which nodes it can say, and makes the queries of tasks.

    Attributes
    ----------
    kinds : frozenset of str
        The kinds of tables that are asked about in it.
    """

    kinds: frozenset[str]

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._lock = threading.Lock()
        self._walk = self.walk()
        self._made: dict[tuple[tuple[Key, int], ...], tuple[Sequence[Task], list[Request]]] = {}

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        with self._lock:
            if len(self._walk) > MOST_REMEMBERED:
                self._walk = self.walk()
            try:
                self.check(self._walk, node)
            except Refused as refused:
                return str(refused)
        return ""

    def requests(self, tasks: Sequence[Task]) -> list[Request]:
        """Give the queries that answer tasks over one table: one for each selection of events.

        The same is asked for a plan, before a run and for each of its ranges, so the latest answers are remembered. A task is told by the
        expression itself, since the user's lines are no part of its key.

        Raises
        ------
        Refused
            When a task cannot be said.
        """
        name = tuple([(t.key, id(t.expr)) for t in tasks])
        with self._lock:
            if name in self._made:
                return self._made[name][1]
        walk = self.walk()
        groups: dict[tuple[object, ...], list[Task]] = {}
        for task in tasks:
            groups.setdefault(self.events(walk, task.expr), []).append(task)
        made = [self._request(walk, events, group) for events, group in groups.items()]
        with self._lock:
            while len(self._made) >= MOST_REQUESTS:
                self._made.pop(next(iter(self._made)))
            self._made[name] = tasks, made  # with the tasks, so that no other expression takes the place of one of theirs
        return made

    def _request(self, walk: Walks, events: tuple[Any, ...], tasks: Sequence[Task]) -> Request:
        query, outputs = self._asked(walk, events, [t.expr for t in tasks])
        only_counts = not events and all([isinstance(o, Rows) for o in outputs])
        return Request(query, {t.key: o for t, o in zip(tasks, outputs, strict=True)}, tasks[0].expr.where, only_counts)

    def asked(self, exprs: Sequence[Expr]) -> tuple[Query, Outputs]:
        """Give the query of expressions that are about the same events, and what each is made of.

        Raises
        ------
        Refused
            When one of them cannot be sent, or they are about different selections of events.
        """
        walk = self.walk()
        events, *others = [self.events(walk, e) for e in exprs]
        if any(other != events for other in others):
            raise Refused("one query has one selection of events")
        return self._asked(walk, events, exprs)

    def _asked(self, walk: Walks, events: tuple[Any, ...], exprs: Sequence[Expr]) -> tuple[Query, Outputs]:
        outputs, columns = self.columns(walk, exprs)
        return self.query(walk, table_of(exprs[0]), events, columns), outputs

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files, in the order given; without any, that of no events."""
        import awkward as ak

        if arrays:
            return ak.concatenate(list(arrays))
        ((output,), _) = self.columns(self.walk(), [expr])
        assert not isinstance(output, Rows)
        return array_of(output, nothing(output))

    @abstractmethod
    def walk(self) -> Walks:
        """Give a walk that remembers nothing."""

    @abstractmethod
    def check(self, walk: Walks, node: Expr) -> None:
        """Refuse a node that cannot be sent."""

    @abstractmethod
    def events(self, walk: Walks, expr: Expr) -> tuple[Any, ...]:
        """Give the masks that select the events that an expression is about, in the order in which they apply."""

    @abstractmethod
    def columns(self, walk: Walks, exprs: Sequence[Expr]) -> tuple[Outputs, Mapping[str, Column]]:
        """Give what expressions are made of, and the columns for that, by name."""

    @abstractmethod
    def query(self, walk: Walks, table: Dataset, events: tuple[Any, ...], columns: Mapping[str, Column]) -> Query:
        """Give the query for columns of the events of a table that pass the masks."""
