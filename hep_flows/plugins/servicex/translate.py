"""From expressions to terms: every axis becomes a list with a variable for its element, every filter a Where.

One walk down from a node, with the variables that its axes and loops stand for. Terms are remembered by node and variables, so asking for
a node after its inputs costs one step.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, WIDENING, UserFunction
from hep_flows.expr.loops import select
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Anything, Bool, Float, Int, Loop, Record, is_number, widened
from hep_flows.plugins.servicex.terms import Collection, Leaf, Refused, Term, Terms, every
from hep_flows.plugins.servicex.write import query_ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hep_flows.expr.types import Item, Member
    from hep_flows.plugins.servicex.terms import Dialect, Row

# Functions of items as terms: what a row of the capability table allows, with the kind of number that the back end would compute ---

_FEW = 16
_SHIFTS = frozenset({"left_shift", "right_shift"})


def called(terms: Terms, dialect: Dialect, node: Call, args: Sequence[Term]) -> Term:
    """Give the term of a call.

    Raises
    ------
    Refused
        When the dialect has no such function for such arguments, or computes another kind of number.
    """
    if not any([a.op != "constant" for a in args]):
        raise Refused("it is a constant")
    name = table_name(node)
    row = dialect.functions.get(name)
    if row is None or (row.write is None and row.made_of is None):
        raise Refused(row.reason if row is not None and row.reason else f"the query language has no {name}")
    if name == "isin":
        return _is_one_of(terms, dialect, node, args[0])
    wanted = node.type.item
    if isinstance(node.function, UserFunction):
        args = [converted(terms, a, wanted) for a in args]
    return applied(terms, dialect, name, args, wanted)


def table_name(node: Call) -> str:
    """Give the name in the table of functions: a user's function without a body may stand for one."""
    function = node.function
    if isinstance(function, str):
        return function
    if function.name == "DeltaR" and len(function.parameters) == 4:
        return "delta_r" if function.body is None else f"{function.name} with a body of its own"
    return f"function {function.name}: its body is Python"


def applied(terms: Terms, dialect: Dialect, name: str, args: Sequence[Term], wanted: Item) -> Term:
    """Give a function of the table of terms.

    Raises
    ------
    Refused
        When the row does not allow it, or the kind of number would not be the one that is wanted.
    """
    row = dialect.functions[name]
    args = _prepared(terms, name, args, wanted)
    why = _why_not(row, args, wanted)
    if why:
        raise Refused(f"{name}: {why}")
    if row.made_of is not None:
        return row.made_of(terms, args, wanted)
    found = computed_item(name, args)
    if str(found) != str(wanted):
        raise Refused(f"{name} would give {found} there, not {wanted}")
    return terms.call(name, args, wanted)


def _prepared(terms: Terms, name: str, args: Sequence[Term], wanted: Item) -> Sequence[Term]:
    """Give the arguments with the width that the language gives them, where a back end would take another."""
    if name == "where":
        if any([a.optional for a in args]):
            raise Refused("where: a choice between values that may be missing is made here")
        return [args[0], *[typed(terms, a, wanted) for a in args[1:]]]
    if name in WIDENING:
        has_float = any([isinstance(a.item, Float) for a in args])
        return [_widened(terms, a, keep_truth=has_float) for a in args]
    if name in _SHIFTS and all([isinstance(a.item, Bool) for a in args]):
        return [converted(terms, a, Int(64)) for a in args]
    return args


def _widened(terms: Terms, term: Term, *, keep_truth: bool) -> Term:
    """Give small integers in the 32 bits that the language computes in; truth values may stay beside a float."""
    if term.item is None or is_weak(term) or (keep_truth and isinstance(term.item, Bool)):
        return term
    return converted(terms, term, widened(term.item))


def typed(terms: Terms, term: Term, wanted: Item) -> Term:
    """Give a constant that does not adapt to its neighbours any more."""
    return converted(terms, term, wanted) if is_weak(term) and not isinstance(wanted, Bool) else term


def _why_not(row: Row, args: Sequence[Term], wanted: Item) -> str:
    items = [a.item for a in args]
    if any([i is None or not is_number(i) for i in items]):
        return "the query language has numbers only"
    if any([isinstance(i, Float) and i.bits < 32 for i in [*items, wanted]]):
        return "the query language has no 16-bit numbers"
    deepest = max([a.depth for a in args])
    if any([a.optional and a.depth < deepest for a in args]):
        return "one missing value beside a list would make the whole list missing"
    if not all([_fits(a, i) for a in args for i in items]):
        return "a constant does not fit into the integers that it meets"
    return row.check([i for i in items if i is not None], wanted) or row.shape(args)


def _fits(term: Term, item: Item | None) -> bool:
    """Say whether a plain constant can take the width of an integer: numpy raises an error where it cannot."""
    if not is_weak(term) or not isinstance(term.item, Int) or not isinstance(item, Int):
        return True
    low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
    return low <= term.value[1] < high  # type: ignore[index,no-any-return]


def computed_item(name: str, args: Sequence[Term]) -> Item | None:
    """Give the kind of number that numpy gives."""
    rule = FUNCTIONS[name].item
    if rule is None:
        return None
    weak = [is_weak(a) for a in args]
    try:
        return rule([a.item for a in args if a.item is not None], weak)
    except TypeError:
        return None


def is_weak(term: Term) -> bool:
    """Say whether a term is a plain constant, which adapts to the width of its neighbours."""
    return term.op == "constant" and isinstance(term.value, tuple) and not term.value[3]


def converted(terms: Terms, term: Term, wanted: Item) -> Term:
    """Give the same number with a width of its own: a constant has it, anything else is multiplied by one."""
    if term.op == "constant":
        value = term.value[1]  # type: ignore[index]
        return terms.constant(float(value) if isinstance(wanted, Float) else int(value), wanted, str(wanted))
    if str(term.item) == str(wanted):
        return term
    one = terms.constant(1 if isinstance(wanted, Int) else 1.0, wanted, str(wanted))
    return terms.call("multiply", (term, one), wanted)


def _is_one_of(terms: Terms, dialect: Dialect, node: Call, of: Term) -> Term:
    values = node.option("values")
    if not isinstance(values, tuple) or not 0 < len(values) <= _FEW:
        raise Refused(f"membership of more than {_FEW} values is looked up here")
    found: Term | None = None
    for value in values:
        if not isinstance(value, bool | int | float):
            raise Refused("the query language has numbers only")
        dialect.spelling.constant(value, "")
        constant = terms.constant(value, Bool() if isinstance(value, bool) else Int(64) if isinstance(value, int) else Float(64))
        if not _fits(constant, of.item):
            continue  # It equals none of them.
        same = terms.call("equal", (of, constant), Bool())
        found = same if found is None else terms.call("bitwise_or", (found, same), Bool())
    if found is None:
        raise Refused("no value is one of these")
    return found


# Aggregates as terms -------------------------------------------------------------------------------------------------------------
#
# A list that the back end cannot filter (its mask depends on the element of another list) can still be aggregated: the items that are not
# kept count nothing.


@dataclass(frozen=True, slots=True)
class Listed:
    """What is aggregated.

    Parameters
    ----------
    of : Term
        A list.
    variable : int
        The variable for its element.
    body : Term, optional
        What is aggregated of each element; None where the elements are counted.
    masks : tuple of Term
        Which elements count, where the list has all of them.
    """

    of: Term
    variable: int
    body: Term | None
    masks: tuple[Term, ...] = ()


def reduced(terms: Terms, dialect: Dialect, node: Call, listed: Listed) -> Term:
    """Give the term of an aggregate.

    Raises
    ------
    Refused
        When the dialect cannot compute it, or computes something else.
    """
    name = str(node.function)
    row = dialect.reducers.get(name)
    if row is None or row.reason or (row.write is None and row.made_of is None):
        raise Refused(row.reason if row is not None and row.reason else f"the query language has no {name} of a list")
    wanted = node.type.item
    of, variable, body, masks = listed.of, listed.variable, listed.body, listed.masks
    if body is None:
        return _count(terms, of, variable, masks)
    if body.optional:
        raise Refused(f"{name} of values that may be missing")
    item = body.item
    assert item is not None
    why = row.check([item], wanted)
    if why:
        raise Refused(f"{name}: {why}")
    if name in {"any", "all"}:
        return _truth(terms, name, replace(listed, body=_true(terms, body)))
    if name == "sum" and isinstance(item, Float) and item.bits < 64:
        # A first power in 64 bits: the language has no conversion, and the back end would add up in the width of the items.
        item = Float(64)
        body = terms.call("float_power", (body, terms.constant(1.0, item)), item)
    if masks:
        body = _or_zero(terms, name, body, item, masks)
    items = terms.select(of, variable, body)
    return row.made_of(terms, [items], wanted) if row.made_of is not None else terms.reduce(name, items, wanted)


def _count(terms: Terms, of: Term, variable: int, masks: Sequence[Term]) -> Term:
    if not masks:
        return terms.counted(of)
    return terms.reduce("sum", terms.select(of, variable, terms.all_of(masks)), Int(64))


def _true(terms: Terms, body: Term) -> Term:
    if isinstance(body.item, Bool):
        return body
    return terms.call("not_equal", (body, terms.constant(0, Int(64))), Bool())


def _truth(terms: Terms, name: str, listed: Listed) -> Term:
    body, masks = listed.body, listed.masks
    assert body is not None
    if masks and name == "any":
        body = terms.all_of((*masks, body))
    elif masks:
        body = terms.call("bitwise_or", (terms.call("invert", (terms.all_of(masks),), Bool()), body), Bool())
    return terms.reduce(name, terms.select(listed.of, listed.variable, body), Bool())


def _or_zero(terms: Terms, name: str, body: Term, item: Item, masks: Sequence[Term]) -> Term:
    """Give zero for what does not count: a sum that starts at zero does not change by it."""
    if name != "sum":
        raise Refused(f"{name} of elements that are chosen by the element of another collection")
    if isinstance(item, Bool):
        return terms.all_of((*masks, body))
    zero = terms.constant(0.0 if isinstance(item, Float) else 0, item, str(item))
    return terms.call("where", (terms.all_of(masks), body, zero), item)


# Stored leaves and collections as terms ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """A variable, and the list that it runs over: a branch, or the key of a collection's axis as text."""

    term: Term
    of: str


def stored_item(terms: Terms, node: Field, own: tuple[Element, ...]) -> Term:
    """Give a leaf where all of its axes have a variable.

    Raises
    ------
    Refused
        When it is no number, or its lists are those of another leaf.
    """
    member, path = _member(node), _path(node)
    item = _number(member, path)
    axes = node.type.axes
    if len(axes) == 1:
        return terms.column(member.column, item, 0)
    if len(axes) == 2 and own[0].of == axes[1].key.hex():
        return terms.leaf(own[0].term, Leaf(_collection(node), member.column, path[-1]), item, 0)
    if len(axes) > 2 and own[-1].of == f"{member.column}:{len(axes)}":
        return terms.element(own[-1].term.depth, item)
    raise Refused(f"{'.'.join(path)} lies in lists that another leaf has been taken from")


def stored_list(terms: Terms, node: Field, own: tuple[Element, ...]) -> tuple[Term, str]:
    """Give the list of the next axis of a leaf or a collection, and what its elements are elements of.

    Raises
    ------
    Refused
        When it is no number.
    """
    axes = node.type.axes
    if not own:
        collection = _collection(node)
        return terms.collection(collection), collection.axis.hex()
    member, path = _member(node), _path(node)
    item = _number(member, path)
    at = len(own) + 2
    below = len(axes) - at + 1
    mine = f"{member.column}:{at}"
    if len(own) == 1:
        return terms.leaf(own[0].term, Leaf(_collection(node), member.column, path[-1]), item, below), mine
    if own[-1].of != f"{member.column}:{at - 1}":
        raise Refused(f"{'.'.join(path)} lies in lists that another leaf has been taken from")
    raise Refused(f"{'.'.join(path)} has lists in lists of elements")


def readable(record: Record) -> Iterator[Member]:
    """Give the leaves of a record that are numbers and can be read."""
    for member in record.members.values():
        if isinstance(member.item, Record):
            if member.is_plain and not member.axes:
                yield from readable(member.item)
        elif isinstance(member.item, Bool | Int | Float) and member.is_plain and not member.widened and member.column:
            yield member


def _collection(node: Field) -> Collection:
    """Give the collection on whose axis a leaf or a collection lies."""
    axis = node.type.axes[1]
    top = node
    while isinstance(top.of, Field) and len(top.of.type.axes) > 1:
        top = top.of
    item = top.type.item
    record = item if isinstance(item, Record) else None
    columns = sorted(readable(record), key=_cost) if record is not None else []
    cheapest = columns[0].column if columns else _member(top).column
    model = getattr(top.of.type.item, "model", "")
    return Collection(axis.key, _path(top), model, cheapest)


def _cost(member: Member) -> tuple[int, int]:
    return len(member.axes), getattr(member.item, "bits", 8)


def _path(node: Field) -> tuple[str, ...]:
    names = [node.name]
    while isinstance(node.of, Field):
        node = node.of
        names.append(node.name)
    if not isinstance(node.of, Dataset):
        raise Refused(f"{'.'.join(reversed(names))} is a part of something that is not stored")
    return tuple(reversed(names))


def _member(node: Field) -> Member:
    record = node.of.type.item
    assert isinstance(record, Record)
    return record.members[node.name]


def _number(member: Member, path: tuple[str, ...]) -> Item:
    name = ".".join(path)
    if not isinstance(member.item, Bool | Int | Float):
        raise Refused(f"{name} is a {member.item}, and the query language has numbers only")
    if not member.column:
        raise Refused(f"it is not known which branch {name} is")
    if member.optional:
        raise Refused(f"values of {name} may be missing")
    return member.item


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
                # Functions keep the axes of their arguments, but for those that make lists of their own.
                longest = next((a for a in node.args if node.type.axes[: at + 1] == a.type.axes[: at + 1]), None)
                if longest is None:
                    raise Refused(f"the query language has no {table_name(node)}")
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


# Say which nodes the dialect can run, node by node, and keep the terms of those that it can --------------------------------------

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


# What a task asks of the back end: which events, which columns, and how its result is put together from them ---------------------


@dataclass(frozen=True, slots=True)
class Output:
    """One column, or an object with an output for each member.

    Parameters
    ----------
    expr : Expr
        The expression.
    term : Term, optional
        The column; None of an object, and of the number of events.
    members : mapping of str to Output
        The members of an object.
    """

    expr: Expr
    term: Term | None = None
    members: Mapping[str, Output] = field(default_factory=dict)

    def terms(self) -> Iterator[Term]:
        """Give the columns."""
        if self.term is not None:
            yield self.term
        for member in self.members.values():
            yield from member.terms()


@dataclass(frozen=True, slots=True)
class Asked:
    """The events that a task is about (all that pass the masks), and what it wants of them."""

    masks: tuple[Term, ...]
    output: Output


def asked(builder: Builder, expr: Expr) -> Asked:
    """Give what an expression asks for.

    Raises
    ------
    Refused
        When the dialect cannot say it; a plan does not give such an expression to this plug-in.
    """
    if is_event_count(expr):
        assert isinstance(expr, Call)
        return Asked(builder.masks(expr.args[0]), Output(expr))
    return Asked(builder.masks(expr), _output(builder, expr))


def _output(builder: Builder, expr: Expr) -> Output:
    if not isinstance(expr.type.item, Record):
        return Output(expr, builder.value(expr))
    members: dict[str, Output] = {}
    for name, member in expr.type.item.members.items():
        found = None if not member.is_plain else select(expr, lambda here, name=name: _stored(here, name))  # type: ignore[misc]
        if found is None:
            continue
        members[name] = _output(builder, found)
    if not members:
        raise Refused(f"{expr.type.item.name} has no member that can be sent")
    return Output(expr, None, members)


def _stored(here: Expr, name: str) -> Expr | None:
    return build.field(here, name, here.where) if isinstance(here, Dataset | Field) else None


def branches(terms: Sequence[Term]) -> tuple[str, ...]:
    """Give the branches that terms are made of, in order of use."""
    found: dict[str, None] = {}
    bare: dict[bytes, str] = {}
    axes: set[bytes] = set()
    for term in every(terms):
        match term.value:
            case Leaf(collection, column, _):
                found[column] = None
                axes.add(collection.axis)
            case Collection() as collection:
                bare[collection.axis] = collection.cheapest
            case str() as column if term.op == "column":
                found[column] = None
    found.update({column: None for axis, column in bare.items() if axis not in axes})
    return tuple(dict.fromkeys([column.split("|", 1)[0] for column in found]))
