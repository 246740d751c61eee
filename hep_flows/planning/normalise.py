"""Filters move to the leaves: ``(Jet.pt / 1000)[m]`` becomes ``Jet.pt[m] / 1000``, ``Jet.Count()[e]`` becomes ``Count`` over ``Jet[e]``.

So a column that was defined before a filter, and the same formula written after it, are one expression; cuts are shipped with each
leaf, and nothing is computed for entries that are dropped. An aggregate on the filtered axis is not touched: it was over all entries
(``pt / pt.Sum()`` after a cut keeps the whole sum).

- A filter on events crosses everything that works event by event: all nodes up to aggregates over events and other selections of
  events.
- A filter on a collection crosses functions that work item by item.

Nothing crosses a function that is declared ``pure=False``: its column is what it is, and a filter selects of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter, Map
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hep_flows.errors import Where
    from hep_flows.expr.types import Member

    Pass = Callable[[tuple[Expr, ...]], tuple[Expr, ...]]


def move_filters(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with every filter as near to the leaves as it can be."""
    return rewrite(exprs, _pushed_down)


def _pushed_down(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    if isinstance(node, Filter):
        of, mask = inputs
        if node.at == 0:
            return _events(of, mask, node.where)
        return _entries(of, mask, node.at, node.where)
    return rebuilt(node, inputs)


def _events(of: Expr, mask: Expr, where: Where) -> Expr:
    """Filter events below everything that works event by event."""

    def crosses(node: Expr) -> bool:
        if not node.type.axes or isinstance(node, Dataset | Field):
            return False
        if isinstance(node, Filter):
            return node.at != 0
        if isinstance(node, Call) and isinstance(node.function, UserFunction):
            return node.function.pure
        return not (isinstance(node, Call) and dict(node.options).get("at") == 0)

    return _moved(of, mask, 0, crosses, where)


def _entries(of: Expr, mask: Expr, at: int, where: Where) -> Expr:
    """Filter a collection axis below the functions that work item by item."""

    def crosses(node: Expr) -> bool:
        if not isinstance(node, Call) or len(node.type.axes) <= at:
            return False
        if isinstance(node.function, UserFunction):
            return node.function.pure
        return FUNCTIONS[node.function].kind == "elementwise"

    return _moved(of, mask, at, crosses, where)


def _moved(of: Expr, mask: Expr, at: int, crosses: Callable[[Expr], bool], where: Where) -> Expr:
    def filtered(node: Expr) -> Expr:
        has_axis = len(node.type.axes) > at
        return build.filtered(node, mask, at, where) if has_axis else node

    if not crosses(of):
        return filtered(of)
    done: dict[bytes, Expr] = {}
    for node in postorder(of, into=crosses):
        done[node.key] = rebuilt(node, tuple([done.get(i.key) or filtered(i) for i in node.inputs()]))
    return done[of.key]


# Counting looks at the lists, not at what is in them: ``Jet.pt.Count()`` becomes ``Jet.Count()`` ---------------------------------
#
# before: ``count(less(Jet.pt, 30))``; after: ``count(Jet)``, which reads the counts only. Filters stay: they change the lists. What is
# counted inside of a loop is counted there: ``Jet.map(f).Count()`` becomes ``Jet.map(lambda j: f(j).Count())``, which makes no lists of
# whole objects.


def count_structure(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with counts that need no values."""
    return rewrite(exprs, _without_structure)


def _without_structure(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    new = rebuilt(node, inputs)
    if not isinstance(new, Call) or isinstance(new.function, UserFunction) or not FUNCTIONS[new.function].lists_only:
        return new
    return _counted(new, new.args[0])


def _counted(new: Call, of: Expr) -> Expr:
    if isinstance(of, Map) and len(of.body.type.axes) > 1 and not FUNCTIONS[str(new.function)].new_axis:
        return build.mapped(of.over, _counted(new, of.body), of.level, of.where)
    counted = _structure(of)
    return new if counted is new.args[0] else build.call(new.function, (counted,), new.options, new.where)


def _structure(of: Expr) -> Expr:
    """Give the simplest expression with the same lists."""
    filters: list[Filter] = []
    while True:
        if isinstance(of, Filter):
            filters.append(of)
            of = of.of
        elif isinstance(of, Field) and of.of.type.axes == of.type.axes and len(of.type.axes) > 1:
            of = of.of
        elif _is_elementwise(of):
            below = next((a for a in of.inputs() if a.type.axes == of.type.axes and a.type.loops == of.type.loops), None)
            if below is None:
                break
            of = below
        else:
            break
    for f in reversed(filters):
        of = f if of is f.of else build.filtered(of, f.mask, f.at, f.where)
    return of


def _is_elementwise(of: Expr) -> bool:
    if not isinstance(of, Call):
        return False
    if isinstance(of.function, UserFunction) or of.function == "record":
        return True
    row = FUNCTIONS[of.function]
    return row.kind == "elementwise" or (row.kind == "list" and not row.new_axis)


# ``x * x`` with two equal nodes becomes the same with one: equal subtrees are one object -----------------------------------------
#
# before: ``multiply(sqrt(a), sqrt(a'))`` with ``a == a'``; after: both arguments are the first of them.


def share_repeats(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with one node for each key; of equal nodes the first one's line is kept."""
    return rewrite(exprs, rebuilt)


# Many spellings, one expression: the passes between recording and planning -------------------------------------------------------
#
# Recording resolves names, columns, aliases and lambdas, and every node is typed when it is made; what is left for the passes are
# equalities between whole expressions. Each pass is exact (it never changes a bit of a result), keeps the type and is idempotent.


def one_name(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with ``events.Jet_pt`` written as ``events.Jet.pt``, where both are the same column on the same axis."""
    return rewrite(exprs, _renamed)


def _renamed(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    new = rebuilt(node, inputs)
    if not isinstance(new, Field) or not isinstance(new.of, Dataset) or new.default is not None:
        return new
    record = new.of.type.item
    assert isinstance(record, Record)
    full = record.members[new.name]
    for i in [i for i, sign in enumerate(new.name) if sign == "_"]:
        group, leaf = record.members.get(new.name[:i]), new.name[i + 1 :]
        if group is None or not isinstance(group.item, Record):
            continue
        short = group.item.members.get(leaf)
        if short is not None and _is_same_column(short, full) and not (_is_open(group) or _is_open(short)):
            made = build.field(build.field(new.of, new.name[:i], new.where), leaf, new.where)
            if made.type == new.type:
                return made
    return new


def _is_same_column(a: Member, b: Member) -> bool:
    return bool(a.column) and (a.column, a.inside) == (b.column, b.inside)


def _is_open(member: Member) -> bool:
    """Say whether something has to be known of the files before it can be taken."""
    return bool(member.unreadable or member.lacking or member.differs)


PASSES: tuple[Pass, ...] = (one_name, move_filters, count_structure, share_repeats)


def normalise(exprs: Iterable[Expr]) -> tuple[Expr, ...]:
    """Give the normal form of expressions that are asked for together."""
    exprs = tuple(exprs)
    for one in PASSES:
        exprs = one(exprs)
    return exprs
