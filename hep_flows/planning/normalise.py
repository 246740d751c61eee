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

import json
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter, Literal, Map
from hep_flows.expr.types import Float, Histogram, Record
from hep_flows.expr.walk import postorder, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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


# ``fill(weight=w * xsec / sumw)`` becomes ``fill(weight=w) * (xsec / sumw)``, and ``(w * xsec).Sum()`` becomes ``w.Sum() * xsec`` ------
#
# Factors without axes, at the top of a weight or of a sum over events, multiply the finished result. So a corrected cross section or sum
# of weights reads no file again. Nothing else is reordered: factors inside of a function or of a sum of terms stay.


def scale_last(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Give the same expressions with the factors that all entries share taken out of weights and sums over events."""
    return rewrite(exprs, _scaled)


def _scaled(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    new = rebuilt(node, inputs)
    if not isinstance(new, Call):
        return new
    if new.function == "sum" and not new.type.axes and isinstance(new.args[0].type.item, Float):
        rest, factor = _factored(new.args[0])
        if factor is None or rest is None:
            return new
        made = _times(build.call("sum", (rest,), new.options, new.where), factor)
        return made if made.type == new.type else new
    if new.function == "fill":
        return _scaled_fill(new)
    return new


def _scaled_fill(new: Call) -> Expr:  # noqa: C901 - a weight is of several forms
    item = new.type.item
    before = new.args[0]
    source = new.option("weight")
    is_first = isinstance(before, Call) and before.function == "histogram"
    if not (is_first and isinstance(item, Histogram) and isinstance(source, tuple)):
        return new
    if json.loads(item.spec)["storage"]["kind"] not in ("Double", "Weight"):
        return new
    options = dict(new.options)
    args = list(new.args)
    rest: Expr | None = None
    match source:
        case ("constant", constant):
            factor: Expr | None = build.literal(constant)
        case ("number", int(position)):
            factor = args.pop(position + (2 if new.option("members") else 1))
            if _has_numbers_after(options, position) or factor.type.optional:
                return new
        case ("member", name):
            rest, factor, args[1] = _without_factor(args[1], str(name))
            if factor is None:
                return new
            if rest is None:
                options["members"] = tuple([n for n in options["members"] if n != name])  # type: ignore[union-attr]
        case _:
            return new
    if rest is None:
        options["weight"] = None
    assert factor is not None
    if len(args) < 2 or (not options["members"] and new.option("members")):
        return new
    filled = build.histogram("fill", args, tuple(options.items()), item.spec, new.where)
    return build.histogram("scaled", (filled, factor), (), item.spec, new.where)


def _has_numbers_after(options: Mapping[str, object], position: int) -> bool:
    """Say whether any other argument is a number that comes later, and would move up."""
    sources: list[object] = [*options["axes"], options["sample"]]  # type: ignore[misc]
    return any(isinstance(s, tuple) and s[0] == "number" and s[1] > position for s in sources)


def _without_factor(filled: Expr, name: str) -> tuple[Expr | None, Expr | None, Expr]:
    """Give the weight among the members of a record without its shared factors, these, and the record with it."""
    if isinstance(filled, Filter):
        rest, factor, of = _without_factor(filled.of, name)
        same_axes = of.type.axes == filled.of.type.axes
        return (rest, factor, build.filtered(of, filled.mask, filled.at, filled.where)) if same_axes else (None, None, filled)
    if not (isinstance(filled, Call) and filled.function == "record"):
        return None, None, filled
    names: tuple[str, ...] = filled.option("names")  # type: ignore[assignment]
    at = names.index(name)
    rest, factor = _factored(filled.args[at])
    if factor is None or (rest is not None and rest.type.optional != filled.args[at].type.optional):
        return None, None, filled
    values = list(filled.args)
    if rest is None:
        return None, None, filled
    values[at] = rest
    return rest, factor, build.record(names, values, filled.where)


def _factored(product: Expr) -> tuple[Expr | None, Expr | None]:
    """Give a product without the factors that have no axes, and the product of these; None where there is nothing left, or none."""
    if not product.type.axes and not product.type.loops:
        return (product, None) if product.type.optional else (None, product)
    if (
        not isinstance(product, Call)
        or product.function not in ("multiply", "true_divide")
        or not isinstance(product.type.item, Float)
    ):
        return product, None
    a, b = product.args
    rest, factor = _factored(a)
    if product.function == "multiply":
        other, more = _factored(b)
    elif b.type.axes or b.type.loops or b.type.optional:
        # What is shared above a line that differs between entries stays there: ``3 / w`` has no other numerator.
        return (
            (product, None)
            if rest is None or factor is None
            else (build.call("true_divide", (rest, b), where=product.where), factor)
        )
    else:
        return rest, build.call("true_divide", (build.literal(1.0) if factor is None else factor, b), where=product.where)
    if factor is None and more is None:
        return product, None
    rest = other if rest is None else rest if other is None else build.call("multiply", (rest, other), where=product.where)
    return rest, more if factor is None else factor if more is None else build.call("multiply", (factor, more), where=product.where)


def _times(value: Expr, factor: Expr) -> Expr:
    """Give a sum times a factor; a sum over nothing is zero whatever the factor is, such as one over a sum of weights that is zero too."""
    product = build.call("multiply", (value, factor), where=value.where)
    if all(
        isinstance(n, Literal) or (isinstance(n, Call) and n.function == "parameter") for n in postorder(factor) if not n.inputs()
    ):
        return product
    is_zero = build.call("equal", (value, build.literal(0.0)), where=value.where)
    return build.call("where", (is_zero, value, product), where=value.where)


PASSES: tuple[Pass, ...] = (one_name, move_filters, scale_last, count_structure, share_repeats)


def normalise(exprs: Iterable[Expr]) -> tuple[Expr, ...]:
    """Give the normal form of expressions that are asked for together."""
    exprs = tuple(exprs)
    for one in PASSES:
        exprs = one(exprs)
    return exprs
