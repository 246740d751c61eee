"""What an expression means event by event, in the words of func_adl: lists, elements, and functions of elements.

Before: ``Jet.pt[Jet.pt > 30] / 1000``, an array of arrays. After: the jets of an event, those where an element's pt is above 30, and for
each element its pt divided by 1000. Terms are made by `Terms`, which gives equal terms as one object: what two columns share is
found by identity.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.types import Bool, Int
from hep_flows.plugins.servicex.translate import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from hep_flows.expr.types import Item

Op = Literal["column", "collection", "leaf", "element", "constant", "call", "select", "where", "reduce"]

MOST_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects of an event, stored as one branch for each leaf.

    Parameters
    ----------
    axis : bytes
        The key of the axis.
    path : tuple of str
        The names that lead there from the event.
    model : str
        The data model of the schema.
    cheapest : str
        The branch that is smallest to read, for counting; empty where nothing can be read.
    """

    axis: bytes
    path: tuple[str, ...]
    model: str = ""
    cheapest: str = ""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One stored value of an element of a collection: its branch, and what the schema calls it."""

    collection: Collection
    column: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A value for each event, or for each element that the variables in ``free`` stand for.

    Parameters
    ----------
    op : str
        ``column`` (a branch), ``collection``, ``leaf`` of an element, ``element`` (of a list of plain values), ``constant``, ``call`` of a
        function of items, ``select`` and ``where`` (of a list and what is said of its element), ``reduce`` of a list.
    args : tuple of Term
        The parts; of ``select`` and ``where`` the list, and the body.
    value : object
        The branch, `Collection`, `Leaf`, constant, function, or the number of the variable that ``select`` and ``where`` introduce.
    item : Item or None
        The kind of one item, as the dialect computes it; None for objects.
    optional : bool
        Whether items may be missing.
    lists : int
        How many levels of lists the value is.
    free : frozenset of int
        The numbers of the variables that it depends on: 1 for the element of a list of the event, 2 for one of a list inside, ...
    steps : int
        How many operations it takes when nothing is shared.
    height : int
        How deep it is nested.
    nesting : int
        How many lambdas stand inside each other in it.
    """

    op: Op
    args: tuple[Term, ...]
    value: object
    item: Item | None
    optional: bool
    lists: int
    free: frozenset[int]
    steps: int
    height: int
    nesting: int = 0

    @property
    def depth(self) -> int:
        """The number of the innermost variable that it depends on; 0 where it is one value for each event."""
        return max(self.free, default=0)


class Terms:
    """Makes terms; equal ones are one object."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self._made: dict[tuple[object, ...], Term] = {}

    def __len__(self) -> int:
        """Count the terms."""
        return len(self._made)

    def _make(  # noqa: PLR0913 - the fields of a term
        self,
        op: Op,
        args: tuple[Term, ...],
        value: object,
        item: Item | None,
        *,
        optional: bool = False,
        lists: int = 0,
        bound: int = 0,
    ) -> Term:
        key = (op, tuple([id(a) for a in args]), type(value), str(value) if isinstance(value, float) else value, str(item))
        found = self._made.get(key)
        if found is None:
            free = frozenset().union(*[a.free for a in args]) - {bound}
            if op == "element":
                free = frozenset([value])  # type: ignore[list-item]
            steps = min(MOST_STEPS, sum([a.steps for a in args]) + (op in {"call", "select", "where", "reduce"}))
            height = 1 + max([a.height for a in args], default=0)
            inside = [a.nesting + (bool(bound) and n == 1) for n, a in enumerate(args)]
            nesting = max(inside, default=0)
            found = self._made[key] = Term(op, args, value, item, optional, lists, free, steps, height, nesting)
        return found

    def column(self, name: str, item: Item, lists: int) -> Term:
        """Give a branch."""
        return self._make("column", (), name, item, lists=lists)

    def collection(self, collection: Collection) -> Term:
        """Give the objects of a collection."""
        return self._make("collection", (), collection, None, lists=1)

    def element(self, variable: int, item: Item | None = None) -> Term:
        """Give the variable that stands for an element; an object where there is no item."""
        return self._make("element", (), variable, item)

    def leaf(self, element: Term, leaf: Leaf, item: Item, lists: int) -> Term:
        """Give a stored value of an element."""
        return self._make("leaf", (element,), leaf, item, lists=lists)

    def constant(self, value: object, item: Item, dtype: str = "") -> Term:
        """Give a constant; with a ``dtype`` of numpy it keeps its width, without it adapts."""
        return self._make("constant", (), (type(value).__name__, value, str(value), dtype), item)

    def call(self, function: str, args: Sequence[Term], item: Item) -> Term:
        """Give a function of items."""
        return self._make("call", tuple(args), function, item, optional=any([a.optional for a in args]))

    def select(self, of: Term, variable: int, body: Term) -> Term:
        """Give what ``body`` says of each element of a list.

        Raises
        ------
        Refused
            When it says nothing of the element: the back end would not repeat the value.
        """
        if body.op == "element" and body.value == variable:
            return of
        if of.op == "collection" and body.op == "leaf" and isinstance(body.value, Leaf):
            assert body.item is not None
            return self.column(body.value.column, body.item, 1 + body.lists)
        _check_about(body, variable, "a value that is the same for all elements of a list")
        return self._make("select", (of, body), variable, body.item, optional=body.optional, lists=1 + body.lists, bound=variable)

    def where(self, of: Term, variable: int, predicate: Term) -> Term:
        """Give the elements of a list for which the predicate is true.

        Raises
        ------
        Refused
            When the predicate may be missing, or says nothing of the element.
        """
        if predicate.optional:
            raise Refused("the query language keeps elements where the mask is missing")
        _check_about(predicate, variable, "a mask that is the same for all elements of a list")
        return self._make("where", (of, predicate), variable, of.item, optional=of.optional, lists=of.lists, bound=variable)

    def reduce(self, name: str, of: Term, item: Item) -> Term:
        """Give one value for a list."""
        if name == "count":
            while of.op == "select":
                of = of.args[0]
        return self._make("reduce", (of,), name, item, optional=FUNCTIONS[name].missing == "made", lists=of.lists - 1)

    def all_of(self, masks: Sequence[Term]) -> Term:
        """Give whether all masks are true."""
        found = masks[0]
        for mask in masks[1:]:
            found = self.call("bitwise_and", (found, mask), Bool())
        return found

    def counted(self, of: Term) -> Term:
        """Give the number of elements of a list."""
        return self.reduce("count", of, Int(64))


def _check_about(body: Term, variable: int, what: str) -> None:
    if variable not in body.free:
        raise Refused(f"{what} would not be repeated by the back end")


# What a back end can do: a row of a table, with how a function is written, or why it is not --------------------------------------


def _fine(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return ""


def _any_shape(args: Sequence[Term]) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True, slots=True)
class Row:
    """A function of items, or an aggregate.

    Parameters
    ----------
    write : callable, optional
        Gives the syntax tree from those of the arguments; None when the row is refused, or made of other rows.
    made_of : callable, optional
        Gives a term that means the same, of other rows.
    check : callable
        Says why some kinds of arguments are refused.
    shape : callable
        Says why some shapes of arguments are refused.
    reason : str
        Why the whole row is refused.
    """

    write: Callable[[Sequence[ast.expr]], ast.expr] | None = None
    made_of: Callable[[Terms, Sequence[Term], Item], Term] | None = None
    check: Callable[[Sequence[Item], Item], str] = field(default=_fine)
    shape: Callable[[Sequence[Term]], str] = field(default=_any_shape)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What the back end can do: functions of items, and aggregates over lists, by the names in `hep_flows.expr.functions`."""

    functions: Mapping[str, Row]
    reducers: Mapping[str, Row]


# The variables of lambdas while a query is written, and the names of what they carry ---------------------------------------------

# What arrays have attributes for, here or in a back end: a leaf of such a name could not be reached.
RESERVED = frozenset(
    """Mask attrs behavior clear_divisions compute cpp_type dask defined_divisions divisions eager_compute_divisions fields form head
    is_tuple keys keys_array known_divisions layout map_partitions mask name named_axis nbytes ndim npartitions numba_type partitions
    persist positional_axis repartition reset_meta show to_dask_array to_dask_bag to_delayed to_list to_numpy to_parquet tolist type
    typestr visualize Select SelectMany Where Zip Count Sum Min Max Any All First Last ElementAt Contains Concat Choose OrderBy
    OrderByDescending Aggregate MetaData ToFourMomentum ToFourMomenta""".split()
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The variable of one lambda.

    Parameters
    ----------
    name : str
        The variable.
    depth : int
        Its number: 0 for events, 1 for the element of a list of the event, ...
    names : mapping of int to str
        What it carries, by the identity of the term; an empty name where the variable itself is that value.
    raw : bool
        Whether it is what is stored: an event of the file, or an element of a list.
    """

    name: str
    depth: int
    names: Mapping[int, str]
    raw: bool = False

    def variable(self) -> ast.expr:
        """Give the variable."""
        return ast.Name(self.name, ast.Load())

    def found(self, term: Term) -> ast.expr | None:
        """Give a value that the variable carries, or None."""
        name = self.names.get(id(term))
        if name is None:
            return None
        return ast.Attribute(self.variable(), name, ast.Load()) if name else self.variable()


def fresh_name(wish: str, taken: Container[str]) -> str:
    """Give a name that is not taken yet, and add it where it can be added."""
    plain = re.sub(r"\W", "_", wish, flags=re.ASCII) or "x"
    if plain[0].isdigit() or plain[0] == "_" or plain in RESERVED or keyword.iskeyword(plain):
        plain = f"x{plain}" if plain[0].isdigit() or plain[0] == "_" else f"{plain}_"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}{number}"
    if isinstance(taken, set):
        taken.add(name)
    return name


def labels_of(goals: Sequence[Term]) -> dict[tuple[bytes, str], str]:
    """Give each leaf that is used a label among those of its collection, by the axis and the branch; an only one has none."""
    labels: dict[tuple[bytes, str], str] = {}
    taken: dict[bytes, set[str]] = {}
    bare: dict[bytes, str] = {}
    for term in every(goals):
        if isinstance(term.value, Leaf):
            axis, column = term.value.collection.axis, term.value.column
            if (axis, column) not in labels:
                labels[axis, column] = fresh_name(term.value.name, taken.setdefault(axis, set()))
        elif isinstance(term.value, Collection):
            bare.setdefault(term.value.axis, term.value.cheapest)
    labels |= {(axis, cheapest): "" for axis, cheapest in bare.items() if axis not in taken}
    return {(axis, column): label if len(taken.get(axis, ())) > 1 else "" for (axis, column), label in labels.items()}


def leaves_of(goals: Sequence[Term]) -> dict[tuple[bytes, int], list[Term]]:
    """Give the leaves that are used, by the axis of the collection and the number of the variable."""
    found: dict[tuple[bytes, int], list[Term]] = {}
    for term in every(goals):
        if isinstance(term.value, Leaf):
            found.setdefault((term.value.collection.axis, term.depth), []).append(term)
    return found


def every(goals: Sequence[Term]) -> Iterator[Term]:
    """Give every term once, in order of use."""
    seen: set[int] = set()
    stack = list(reversed(goals))
    while stack:
        term = stack.pop()
        if id(term) not in seen:
            seen.add(id(term))
            yield term
            stack.extend(reversed(term.args))
