"""From expressions to terms: every axis becomes a list with a variable for its element, every filter a Where.

One walk down from a node, with the variables that its axes and loops stand for. Terms are remembered by node and variables, so asking for
a node after its inputs costs one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Anything, Bool, Int, Loop, Record
from hep_flows.plugins.servicex.elementwise_terms import called
from hep_flows.plugins.servicex.frames import every
from hep_flows.plugins.servicex.reduce_terms import Listed, reduced
from hep_flows.plugins.servicex.stored_terms import Element, stored_item, stored_list
from hep_flows.plugins.servicex.terms import Refused, Term, Terms

if TYPE_CHECKING:
    from hep_flows.plugins.servicex.dialect import Dialect

Elements = tuple[Element, ...]
Loops = tuple[tuple[Loop, Element], ...]

TOO_DEEP = 60


@dataclass(frozen=True, slots=True)
class Guarded:
    """A list, and masks of its elements that the back end cannot filter by: ``variable`` stands for the element in them."""

    of: Term
    element: str
    masks: tuple[Term, ...] = ()


class Builder:
    """Gives the terms of expressions over one table.

    Parameters
    ----------
    dialect : Dialect
        The capability table.
    terms : Terms
        Where terms are made.
    """

    def __init__(self, dialect: Dialect, terms: Terms) -> None:
        """Nothing is built yet."""
        self._dialect = dialect
        self.terms = terms
        self._known: dict[tuple[object, ...], Term] = {}

    def value(self, node: Expr, own: Elements = (), loops: Loops = ()) -> Term:
        """Give the term of a node: lists for the axes that have no variable in ``own``.

        Raises
        ------
        Refused
            When the dialect cannot say it.
        """
        key = (node.key, own, _inside(node, loops))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._value(node, own, loops)
            if found.height > TOO_DEEP:
                raise Refused(f"it is nested more than {TOO_DEEP} operations deep")
        return found

    def masks(self, node: Expr) -> tuple[Term, ...]:
        """Give the masks that select the events of a node, in the order in which they apply."""
        found: list[Term] = []
        while not isinstance(node, Dataset):
            if isinstance(node, Filter) and node.at == 0:
                found = [*self._event_masks(node), *found]
            node = over_events(node)
        return tuple(found)

    def _event_masks(self, node: Filter) -> tuple[Term, ...]:
        """Give the mask of events; where it may be missing, the masks before it leave only events where it is not."""
        mask = self.value(node.mask)
        if not mask.optional:
            return (mask,)
        lists = [t.args[0] for t in every([mask]) if t.op == "reduce" and t.optional]
        zero = self.terms.constant(0, Int(64))
        filled = [self.terms.call("greater", (self.terms.counted(of), zero), Bool()) for of in lists]
        return (*dict.fromkeys(filled), mask)

    def _value(self, node: Expr, own: Elements, loops: Loops) -> Term:
        if len(own) >= len(node.type.axes) - 1:
            return self._item(node, own, loops)
        guarded = self.list(node, own, loops)
        if guarded.masks:
            raise Refused("the query language cannot filter a collection by the element of another one and keep the elements")
        variable = _next(node, own, loops)
        element = Element(self.terms.element(variable), guarded.element)
        if isinstance(node.type.item, Record) and len(own) == len(node.type.axes) - 2:
            return guarded.of
        return self.terms.select(guarded.of, variable, self.value(node, (*own, element), loops))

    def _item(self, node: Expr, own: Elements, loops: Loops) -> Term:
        match node:
            case Literal():
                return self._constant(node)
            case Field():
                return stored_item(self.terms, node, own)
            case Filter():
                return self.value(node.of, own, loops)
            case Bound():
                return self.value(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                loop = Loop(node.over.type.axes[1], node.level)
                return self.value(node.body, own[1:], _with(loops, loop, own[0]))
            case Call():
                return self._call(node, own, loops)
            case Dataset() | Input():
                raise Refused("events as a whole cannot be sent")
            case _:
                assert_never(node)

    def _constant(self, node: Literal) -> Term:
        item = node.type.item
        if isinstance(item, Anything) or not isinstance(node.value, bool | int | float):
            raise Refused(f"a constant {item} cannot be sent")
        self._dialect.spelling.constant(node.value, node.dtype)
        return self.terms.constant(node.value, item, node.dtype)

    def _call(self, node: Call, own: Elements, loops: Loops) -> Term:
        row = None if isinstance(node.function, UserFunction) else FUNCTIONS[node.function]
        if row is not None and row.kind == "reduce":
            return self._reduced(node, own, loops)
        args = [self.value(a, own[: max(0, len(a.type.axes) - 1)], loops) for a in node.args]
        return called(self.terms, self._dialect, node, args)

    def _reduced(self, node: Call, own: Elements, loops: Loops) -> Term:
        of = node.args[0]
        if not node.type.axes:
            raise Refused("a total over all events is made here, from what each file gives")
        variable = _next(of, own, loops)
        guarded = self.list(of, own, loops)
        element = Element(self.terms.element(variable), guarded.element)
        count = node.function == "count"
        body = None if count else self.value(of, (*own, element), loops)
        return reduced(self.terms, self._dialect, node, Listed(guarded.of, variable, body, guarded.masks))

    def list(self, node: Expr, own: Elements, loops: Loops) -> Guarded:
        """Give the list that the next axis of a node stands for, after those that have variables."""
        at = len(own) + 1
        match node:
            case Field():
                of, element = stored_list(self.terms, node, own)
                return Guarded(of, element)
            case Filter():
                below = self.list(node.of, own, loops)
                return self._filtered(node, below, own, loops) if node.at == at else below
            case Bound():
                return self.list(node.of, (_of_loop(node, loops), *own), loops)
            case Map():
                if not own:
                    return self.list(node.over, (), loops)
                loop = Loop(node.over.type.axes[1], node.level)
                return self.list(node.body, own[1:], _with(loops, loop, own[0]))
            case Call():
                longest = next(a for a in node.args if len(a.type.axes) > at)
                return self.list(longest, own, loops)
            case _:
                raise Refused("events as a whole cannot be sent")

    def _filtered(self, node: Filter, below: Guarded, own: Elements, loops: Loops) -> Guarded:
        variable = _next(node, own, loops)
        element = Element(self.terms.element(variable), below.element)
        masks = node.mask.type.axes
        mask = self.value(node.mask, (*own, element)[: max(0, len(masks) - 1)], loops)
        if mask.optional:
            raise Refused("the query language keeps elements where the mask is missing")
        captured = not below.of.free and bool(mask.free - {variable})
        if not below.masks and not (captured and self._dialect.captured_lists):
            return Guarded(self.terms.where(below.of, variable, mask), below.element)
        return Guarded(below.of, below.element, (*below.masks, mask))


def _inside(node: Expr, loops: Loops) -> Loops:
    """Give the loops that a node depends on: others make no difference to it."""
    wanted = node.type.loops
    return tuple([pair for pair in loops if pair[0] in wanted])


def _next(node: Expr, own: Elements, loops: Loops) -> int:
    """Give the number of a new variable: one more than any that the node depends on."""
    used = [e.term.depth for e in own] + [e.term.depth for _, e in _inside(node, loops)]
    return 1 + max(used, default=0)


def _with(loops: Loops, loop: Loop, element: Element) -> Loops:
    return (*[pair for pair in loops if pair[0] != loop], (loop, element))


def _of_loop(node: Bound, loops: Loops) -> Element:
    loop = Loop(node.of.type.axes[1], node.level)
    return next(element for known, element in loops if known == loop)


def table_of(node: Expr) -> Dataset:
    """Give the table that a node has its events from."""
    while not isinstance(node, Dataset):
        node = over_events(node)
    return node


def over_events(node: Expr) -> Expr:
    """Give the input that a node has its events from.

    Raises
    ------
    Refused
        When it has none.
    """
    match node:
        case Filter() | Field() | Bound():
            return node.of
        case Map():
            return node.over
        case _:
            found = next((i for i in node.inputs() if i.type.axes), None)
            if found is None:
                raise Refused("it sends queries about stored events")
            return found
