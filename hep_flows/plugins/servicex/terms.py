"""What an expression means event by event, in the words of func_adl: lists, elements, and functions of elements.

Before: ``Jet.pt[Jet.pt > 30] / 1000``, an array of arrays. After: the jets of an event, those where an element's pt is above 30, and for
each element its pt divided by 1000. Terms are made by `Terms`, which gives equal terms as one object: what two columns share is
found by identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.types import Bool, Int

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.types import Item

Op = Literal["column", "collection", "leaf", "element", "constant", "call", "select", "where", "reduce"]

MOST_STEPS = 1_000_000


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """The dialect cannot say it, or would say something else; the text is a sentence for the user."""


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
