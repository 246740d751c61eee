"""The dialect ``uproot``: flat trees, NanoAOD, and PHYSLITE by its branches.

A part of an expression becomes a term (`hep_flows.plugins.servicex.terms`), and terms a query in which what is shared stands once
(`hep_flows.plugins.servicex.write`). Rows of the table were compared with the awkward plug-in bit by bit; a row that is refused says why.
"""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, WIDENING, UserFunction
from hep_flows.expr.loops import select
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter, Input, Literal
from hep_flows.expr.types import Anything, Bool, Float, Int, Record, is_number, widened
from hep_flows.plugins.servicex.addresses import RemoteIdentity
from hep_flows.plugins.servicex.query import UPROOT, Objects, Output, Query, Rows
from hep_flows.plugins.servicex.terms import Collection, Leaf, Row, Table, Term, Terms, every
from hep_flows.plugins.servicex.translate import (
    NO_TOTALS,
    Dialect,
    Element,
    Refused,
    Walk,
    about_events,
    called,
    event_filters,
    function_name,
    is_event_count,
    member_of,
    method,
    operated,
    qastle_text,
    table_of,
)
from hep_flows.plugins.servicex.write import constant, query_ast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hep_flows.expr.types import Item, Member
    from hep_flows.plugins.servicex.translate import Elements, Loops

    Write = Callable[[Sequence[ast.expr]], ast.expr]

# Functions of items as terms: what a row of the capability table allows, with the kind of number that the back end would compute ---

_FEW = 16
_SHIFTS = frozenset({"left_shift", "right_shift"})


def row_of(table: Table, node: Call) -> Row:
    """Give the row of a function or an aggregate.

    Raises
    ------
    Refused
        When there is none, or it says why it is refused.
    """
    name = function_name(node)
    is_reduce = name in FUNCTIONS and FUNCTIONS[name].kind == "reduce"
    row = (table.reducers if is_reduce else table.functions).get(name)
    if row is None:
        raise Refused(f"the query language has no {name or _title(node.function)}{' of a list' if is_reduce else ''}")
    if row.reason:
        raise Refused(row.reason)
    return row


def _title(function: str | UserFunction) -> str:
    assert isinstance(function, UserFunction)
    if function.name == "DeltaR":
        return "DeltaR with a body of its own"
    return f"function {function.name}: its body is Python"


def applied(terms: Terms, table: Table, name: str, args: Sequence[Term], wanted: Item) -> Term:
    """Give a function of the table of terms.

    Raises
    ------
    Refused
        When the row does not allow it, or the kind of number would not be the one that is wanted.
    """
    row = table.functions[name]
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


def _is_one_of(terms: Terms, node: Call, of: Term) -> Term:
    values = node.option("values")
    if not isinstance(values, tuple) or not 0 < len(values) <= _FEW:
        raise Refused(f"membership of more than {_FEW} values is looked up here")
    found: Term | None = None
    for value in values:
        if not isinstance(value, bool | int | float):
            raise Refused("the query language has numbers only")
        constant(value, "")
        one = terms.constant(value, Bool() if isinstance(value, bool) else Int(64) if isinstance(value, int) else Float(64))
        if not _fits(one, of.item):
            continue  # It equals none of them.
        same = terms.call("equal", (of, one), Bool())
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


def reduced(terms: Terms, table: Table, node: Call, listed: Listed) -> Term:
    """Give the term of an aggregate.

    Raises
    ------
    Refused
        When the dialect cannot compute it, or computes something else.
    """
    name, row = str(node.function), row_of(table, node)
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


def stored_item(terms: Terms, node: Field, own: Elements) -> Term:
    """Give a leaf where all of its axes have a variable.

    Raises
    ------
    Refused
        When it is no number, or its lists are those of another leaf.
    """
    member, path = member_of(node), _path(node)
    item = _number(member, path)
    axes = node.type.axes
    if len(axes) == 1:
        return terms.column(member.column, item, 0)
    if len(axes) == 2 and own[0].name == axes[1].key.hex():
        return terms.leaf(own[0].node, Leaf(_collection(node), member.column, path[-1]), item, 0)
    if len(axes) > 2 and own[-1].name == f"{member.column}:{len(axes)}":
        return terms.element(own[-1].depth, item)
    raise Refused(f"{'.'.join(path)} lies in lists that another leaf has been taken from")


def stored_list(terms: Terms, node: Field, own: Elements) -> tuple[Term, str]:
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
    member, path = member_of(node), _path(node)
    item = _number(member, path)
    at = len(own) + 2
    below = len(axes) - at + 1
    mine = f"{member.column}:{at}"
    if len(own) == 1:
        return terms.leaf(own[0].node, Leaf(_collection(node), member.column, path[-1]), item, below), mine
    if own[-1].name != f"{member.column}:{at - 1}":
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
    cheapest = columns[0].column if columns else member_of(top).column
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


def _number(member: Member, path: tuple[str, ...]) -> Item:
    name = ".".join(path)
    if not isinstance(member.item, Bool | Int | Float):
        raise Refused(f"{name} is a {member.item}, and the query language has numbers only")
    if not member.column:
        raise Refused(f"it is not known which branch {name} is")
    if member.optional:
        raise Refused(f"values of {name} may be missing")
    return member.item


# Expressions as terms ------------------------------------------------------------------------------------------------------------

TOO_DEEP = 60
TOO_MANY_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Guarded:
    """A list, and masks of its elements that the back end cannot filter by; ``element`` says of what its elements are elements."""

    of: Term
    element: str
    masks: tuple[Term, ...] = ()


class TermWalk(Walk[Term, Guarded]):
    """Gives the terms of expressions over one table."""

    def __init__(self, table: Table) -> None:
        """Nothing is walked yet."""
        super().__init__()
        self.terms = Terms()
        self._table = table

    def __len__(self) -> int:
        """Count the terms."""
        return len(self.terms)

    def column(self, node: Expr, own: Elements = ()) -> Term:
        """Give the lists of a node, one for each of its axes that has no variable in ``own``.

        Raises
        ------
        Refused
            When the dialect cannot say it.
        """
        if len(own) >= len(node.type.axes) - 1:
            return self.value(node, own)
        guarded = self.list(node, own)
        if guarded.masks:
            raise Refused("the query language cannot filter a collection by the element of another one and keep the elements")
        if isinstance(node.type.item, Record) and len(own) == len(node.type.axes) - 2:
            return guarded.of
        x = self.variable(node, own, (), guarded)
        found = self.terms.select(guarded.of, x.depth, self.column(node, (*own, x)))
        self.measure_value(found)
        return found

    def masks(self, node: Expr) -> tuple[Term, ...]:
        """Give the masks that select the events of a node, in the order in which they apply."""
        return tuple([mask for found in event_filters(node) for mask in self._event_masks(found)])

    def _event_masks(self, node: Filter) -> tuple[Term, ...]:
        """Give the mask of events; where it may be missing, the masks before it leave only events where it is not."""
        mask = self.value(node.mask)
        if not mask.optional:
            return (mask,)
        lists = [t.args[0] for t in every([mask]) if t.op == "reduce" and t.optional]
        zero = self.terms.constant(0, Int(64))
        filled = [self.terms.call("greater", (self.terms.counted(of), zero), Bool()) for of in lists]
        return (*dict.fromkeys(filled), mask)

    def measure_value(self, found: Term) -> None:
        """Refuse a value that is nested too deeply."""
        if found.height > TOO_DEEP:
            raise Refused(f"it is nested more than {TOO_DEEP} operations deep")

    def element(self, depth: int, listed: Guarded) -> Element:
        """Give the variable of that number, for the element of a list."""
        return Element(self.terms.element(depth), listed.element, depth)

    def constant(self, node: Literal) -> Term:
        """Give a constant."""
        item = node.type.item
        if isinstance(item, Anything) or not isinstance(node.value, bool | int | float):
            raise Refused(f"a constant {item} cannot be sent")
        constant(node.value, node.dtype)
        return self.terms.constant(node.value, item, node.dtype)

    def whole(self, node: Dataset | Input) -> Term:
        """Refuse events as a whole."""
        raise Refused("events as a whole cannot be sent")

    def leaf(self, node: Field, own: Elements, loops: Loops) -> Term:
        """Give a stored leaf."""
        return stored_item(self.terms, node, own)

    def stored_list(self, node: Field, own: Elements, loops: Loops) -> Guarded:
        """Give the list of the next axis of a leaf or a collection."""
        return Guarded(*stored_list(self.terms, node, own))

    def call(self, node: Call, own: Elements, loops: Loops) -> Term:
        """Give a function of items."""
        if all([isinstance(a, Literal) for a in node.args]):
            raise Refused("it is a constant")
        row_of(self._table, node)
        args: Sequence[Term] = self.arguments(node, own, loops)
        wanted = node.type.item
        if node.function == "isin":
            return _is_one_of(self.terms, node, args[0])
        if isinstance(node.function, UserFunction):
            args = [converted(self.terms, a, wanted) for a in args]
        return applied(self.terms, self._table, function_name(node), args, wanted)

    def list_of_call(self, node: Call, own: Elements, loops: Loops) -> Guarded:
        """Give the list of an argument: functions keep the axes of these, but for those that make lists of their own."""
        axes = node.type.axes[: len(own) + 2]
        longest = next((a for a in node.args if a.type.axes[: len(axes)] == axes), None)
        if longest is None:
            raise Refused(f"the query language has no {function_name(node) or _title(node.function)}")
        return self.list(longest, own, loops)

    def where(self, listed: Guarded, x: Element, mask: Term) -> Guarded:
        """Give the elements for which a mask is true, or the masks with the list where the back end cannot filter by them."""
        if mask.optional:
            raise Refused("the query language keeps elements where the mask is missing")
        is_captured = not listed.of.free and bool(mask.free - {x.depth})
        if listed.masks or is_captured:
            return replace(listed, masks=(*listed.masks, mask))
        return replace(listed, of=self.terms.where(listed.of, x.depth, mask))

    def reduced(self, node: Call, listed: Guarded, x: Element, body: Term | None) -> Term:
        """Give an aggregate."""
        return reduced(self.terms, self._table, node, Listed(listed.of, x.depth, body, listed.masks))


# What the dialect ``uproot`` has no word for, made of what it has, with every bit of the reference -------------------------------


def delta_phi(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the difference of two angles in [-pi, pi)."""
    first, second = [converted(terms, a, wanted) for a in args]
    return _wrapped(terms, terms.call("subtract", (first, second), wanted), wanted)


def delta_r(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
    """Give the distance of (eta1, phi1) and (eta2, phi2), with the difference of the angles in [-pi, pi)."""
    eta1, phi1, eta2, phi2 = [converted(terms, a, wanted) for a in args]
    d_eta = terms.call("subtract", (eta1, eta2), wanted)
    d_phi = _wrapped(terms, terms.call("subtract", (phi1, phi2), wanted), wanted)
    squares = [terms.call("square", (d,), wanted) for d in (d_eta, d_phi)]
    square = terms.call("add", squares, wanted)
    near = terms.call("sqrt", (square,), wanted)
    # The square of a huge or an infinite distance is infinite.
    far = terms.call("hypot", (d_eta, d_phi), wanted)
    return terms.call("where", (terms.call("isfinite", (square,), Bool()), near, far), wanted)


def _wrapped(terms: Terms, angle: Term, wanted: Item) -> Term:
    """Give the same angle in [-pi, pi), step by step as the awkward plug-in computes it."""

    def call(name: str, *args: Term) -> Term:
        return terms.call(name, args, wanted)

    def number(value: float) -> Term:
        return terms.constant(value, Float(64))

    def inside(term: Term) -> Term:
        above = terms.call("greater_equal", (term, number(-math.pi)), Bool())
        return terms.call("bitwise_and", (above, terms.call("less", (term, number(math.pi)), Bool())), Bool())

    turn = 2 * math.pi
    turns = call("floor", call("true_divide", call("add", angle, number(math.pi)), number(turn)))
    near = call("subtract", angle, call("multiply", turns, number(turn)))
    if str(wanted) != "float64":
        lacking = turn - struct.unpack("f", struct.pack("f", turn))[0]
        near = call("subtract", near, call("multiply", turns, number(lacking)))
    above = terms.call("greater_equal", (near, number(math.pi)), Bool())
    moved = call("where", above, call("subtract", near, number(turn)), call("add", near, number(turn)))
    return call("where", inside(near), near, call("where", inside(angle), angle, moved))


def extreme(name: str) -> Callable[[Terms, Sequence[Term], Item], Term]:
    """Give the row of the largest or smallest of a list: one that is not a number counts as missing."""

    def made_of(terms: Terms, args: Sequence[Term], wanted: Item) -> Term:
        (listed,) = args
        if isinstance(wanted, Float):
            variable = listed.depth + 1
            element = terms.element(variable, wanted)
            listed = terms.where(listed, variable, terms.call("equal", (element, element), Bool()))
        return terms.reduce(name, listed, wanted)

    return made_of


# The table of what the dialect can say, how, and why not -------------------------------------------------------------------------

_OPERATORS = (
    "add subtract multiply true_divide floor_divide remainder left_shift right_shift bitwise_and bitwise_or bitwise_xor "
    "equal not_equal less less_equal greater greater_equal invert negative positive"
)
_NUMPY = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs rint spacing fmod "
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians deg2rad rad2deg "
    "maximum minimum fmax fmin hypot arctan2 copysign logaddexp logaddexp2 nextafter heaviside float_power "
    "square reciprocal sign isnan isfinite isinf signbit logical_xor logical_and logical_or logical_not"
)
_LOCAL = {
    "is_none": "the query language cannot ask whether a value is missing",
    "fill_none": "the query language cannot replace missing values",
    "round": "the query language rounds to whole numbers only",
    "gcd": "the query language has no gcd",
    "lcm": "the query language has no lcm",
    "conjugate": "the query language has no complex numbers",
    "pick": "of an empty list, the back end fails, where the language has a missing value",
    "slice": "the query language has no slices",
    "gather": "the query language has no indices",
    "flatten": "lists of lists are joined here",
    "concatenate": "collections are joined here",
    "argcombinations": "the query language has no positions of combinations",
    "argpad": "the query language cannot fill lists up",
    "record": "objects are put together here",
}


def functions() -> dict[str, Row]:
    """Give the functions of items, by the names in `hep_flows.expr.functions`."""
    rows = {name: Row(_operator(name)) for name in _OPERATORS.split()}
    rows |= {name: Row(_numpy(name)) for name in _NUMPY.split()}
    rows |= {name: Row(_numpy(name), check=_a_float) for name in ("floor", "ceil", "trunc")}
    rows["power"] = Row(_operator("power"), check=_float_base)
    rows["absolute"] = Row(lambda args: called("abs", *args))
    rows["where"] = Row(lambda args: ast.IfExp(*args), check=_one_width, shape=_deep_condition)
    rows["isin"] = Row(_operator("equal"))
    rows["delta_phi"] = Row(made_of=delta_phi)
    rows["delta_r"] = Row(made_of=delta_r)
    rows |= {name: Row(reason=reason) for name, reason in _LOCAL.items()}
    return rows


def reducers() -> dict[str, Row]:
    """Give the aggregates over lists; ``made_of`` gets the list as its only argument."""
    return {
        "count": Row(_method("Count")),
        "sum": Row(_method("Sum"), check=_a_sum),
        "any": Row(_method("Any")),
        "all": Row(_method("All")),
        "max": Row(made_of=extreme("max")),
        "min": Row(made_of=extreme("min")),
        "mean": Row(reason="the query language has no mean"),
        "prod": Row(reason="the query language has no product of a list"),
    }


def _operator(name: str) -> Write:
    return lambda args: operated(name, *args)


def _numpy(name: str) -> Write:
    return lambda args: method(ast.Name("np", ast.Load()), name, *args)


def _method(name: str) -> Write:
    return lambda args: method(args[0], name)


def _a_float(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "of whole numbers it is left to numpy here"


def _float_base(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "" if isinstance(items[0], Float) else "a power of whole numbers may fail at the back end"


def _one_width(items: Sequence[Item], result: Item) -> str:
    wrong = [i for i in items[1:] if str(i) != str(result)]
    return f"both sides must be {result}, and one is {wrong[0]}" if wrong else ""


def _deep_condition(args: Sequence[Term]) -> str:
    shallow = args[0].depth < max([a.depth for a in args])
    return "the condition must be one for each element, as the values are" if shallow else ""


def _a_sum(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return "half precision" if isinstance(items[0], Float) and items[0].bits < 32 else ""


# Which nodes can be sent, and the queries of tasks -------------------------------------------------------------------------------


class UprootDialect(Dialect[TermWalk, Term]):
    """Queries about branches, for the code generator ``uproot``."""

    kinds = UPROOT

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self.table = Table(functions(), reducers())
        super().__init__()

    def walk(self) -> TermWalk:
        """Give a walk that remembers nothing."""
        return TermWalk(self.table)

    def check(self, walk: TermWalk, node: Expr) -> None:
        """Refuse a node that cannot be sent; of what is in a loop the row is looked at only: the rest is seen where the loop is closed."""
        if isinstance(node, Input | Literal):
            raise Refused("it sends queries about stored events")
        if node.type.loops:
            if isinstance(node, Call):
                row_of(self.table, node)
        elif is_event_count(node):
            walk.masks(node)
        elif not node.type.axes:
            raise Refused(NO_TOTALS)
        elif isinstance(node.type.item, Record):
            _check_record(node, walk)
        else:
            self._check_column(node, walk)

    def _check_column(self, node: Expr, walk: TermWalk) -> None:
        masks, term = walk.masks(node), walk.column(node)
        _check_size(term)
        if term.lists != len(node.type.axes) - 1:
            raise Refused(f"it would give {term.lists} levels of lists")
        if str(term.item) != str(node.type.item):
            raise Refused(f"it would give {term.item}")
        if term.nesting > 1:
            # Whether the captured lists can be written is seen when they are.
            query_ast(self.table, table_of(node), masks, {"c0": term})

    def events(self, walk: TermWalk, expr: Expr) -> tuple[Term, ...]:
        """Give the masks of events."""
        return walk.masks(about_events(expr))

    def columns(self, walk: TermWalk, exprs: Sequence[Expr]) -> tuple[list[Output | Objects | Rows], dict[str, Term]]:
        """Give what expressions are made of, and the columns for that; a term that several need is one column."""
        names: dict[Term, str] = {}
        outputs = [Rows() if is_event_count(e) else _output(walk, e, names) for e in exprs]
        return outputs, {name: term for term, name in names.items()}

    def query(self, walk: TermWalk, table: Dataset, events: tuple[Term, ...], columns: Mapping[str, Term]) -> Query:
        """Give the query for columns of the events that pass the masks."""
        terms = {
            **columns,
            **(_beside(walk.terms, events, list(columns.values())) if columns or events else _rows(walk.terms, table)),
        }
        text = qastle_text(query_ast(self.table, table, events, terms)) if terms else ""
        return Query(text, "uproot", tuple(terms), branches([*events, *terms.values()]), table.tree)


def _check_record(node: Expr, walk: TermWalk) -> None:
    if isinstance(node, Dataset):
        return
    if not isinstance(node, Field | Filter):
        raise Refused("objects are put together here")
    record = node.type.item
    assert isinstance(record, Record)
    if isinstance(node, Field) and len(node.type.axes) > 1 and not list(readable(record)):
        raise Refused(f"{record.name} has no leaf that can be read")
    for mask in walk.masks(node):
        _check_size(mask)
    if len(node.type.axes) > 1:
        _check_size(walk.column(node))


def _check_size(term: Term) -> None:
    if term.steps > TOO_MANY_STEPS:
        raise Refused(f"the query would have more than {TOO_MANY_STEPS} operations")


def _output(walk: TermWalk, expr: Expr, names: dict[Term, str]) -> Output | Objects:
    """Give what a result is made of, and put the columns that it needs into ``names``."""
    levels = len(expr.type.axes) - 1
    if not isinstance(expr.type.item, Record):
        column = names.setdefault(walk.column(expr), f"c{len(names)}")
        return Output(column, expr.type, levels, where=expr.where)
    members: list[tuple[str, Output | Objects]] = []
    for name, member in expr.type.item.members.items():
        found = None if not member.is_plain else select(expr, lambda here, name=name: _stored(here, name))  # type: ignore[misc]
        if found is not None:
            members.append((name, _output(walk, found, names)))
    if not members:
        raise Refused(f"{expr.type.item.name} has no member that can be sent")
    return Objects(tuple(members), levels)


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


def _rows(terms: Terms, dataset: Dataset) -> dict[str, Term]:
    """Give a stored number of each event, so that something comes back for each; nothing where there is none.

    Of files that are read here it is known how many events they have.
    """
    if all([RemoteIdentity.read(c) is None for c in dataset.content]):
        return {}
    assert isinstance(dataset.type.item, Record)
    for member in dataset.type.item.members.values():
        if (
            member.column
            and not member.axes
            and member.is_plain
            and not member.widened
            and isinstance(member.item, Bool | Int | Float)
        ):
            return {"rows": terms.column(member.column, member.item, 0)}
    return {}


def _stored_list(term: Term) -> Term:
    """Give the list that a list is made of: it is there anyway, and nothing is computed twice."""
    while term.op in {"select", "where"}:
        term = term.args[0]
    return term


def _beside(terms: Terms, masks: Sequence[Term], outputs: Sequence[Term]) -> dict[str, Term]:
    """Give a column of truths that takes no room.

    A dict of one list comes back as a list of dicts; and where events are only counted, something must come back for each.
    """
    if not outputs:
        return {"rows": masks[-1]} if masks else {}
    if len(outputs) > 1 or outputs[0].lists == 0:
        return {}
    some = terms.counted(_stored_list(outputs[0]))
    return {"rows": terms.call("greater_equal", (some, terms.constant(0, Int(64))), Bool())}
