"""Make a node again from what it is known by: for decoding, checking and reading Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Histogram, Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Constant
    from hep_flows.expr.types import Item, Type

Options = tuple[tuple[str, "Constant"], ...]


def remade(node: Expr) -> Expr:
    """Give the node made anew over its own inputs: checked and typed as if it had just been written."""
    match node:
        case Dataset(type=t):
            assert isinstance(t.item, Record)
            return build.dataset(
                node.kind, node.content, node.tree, t.item, files=node.files, name=node.name, collections=node.collections
            )
        case Field():
            return build.field(node.of, node.name, node.where, node.default)
        case Filter():
            return build.filtered(node.of, node.mask, node.at, node.where)
        case Literal():
            return build.literal(node.value, node.dtype, node.where)
        case Call():
            item = node.type.item
            return made_call(node.function, node.args, node.options, item.spec if isinstance(item, Histogram) else "", node.where)
        case Bound():
            return build.bound(node.of, node.level, node.where)
        case Map():
            return build.mapped(node.over, node.body, node.level, node.where)
        case Input():
            return build.task_input(node.task, node.type)


def retyped(root: Expr) -> dict[bytes, Type]:
    """Give the nodes, by key, whose types are not those that they would get if they were made anew.

    In a task they may: a filter whose mask holds another task's result keeps the axis of the mask that the user wrote.
    """
    nodes = list(postorder(root))
    if not any(isinstance(n, Input) for n in nodes):
        return {}
    return {n.key: n.type for n in nodes if not isinstance(n, Input) and not same_type(remade(n).type, n.type)}


def same_type(a: Type, b: Type) -> bool:
    """Say whether two types are the same; records made by an expression are compared by their members."""
    return (a.axes, a.loops, a.optional, a.unit) == (b.axes, b.loops, b.optional, b.unit) and same_item(a.item, b.item)


def same_item(a: Item, b: Item) -> bool:
    """Say whether two items are the same."""
    pairs = [(a, b)]
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if not (isinstance(left, Record) and isinstance(right, Record) and left.model == right.model == "tuple"):
            if left != right:
                return False
            continue
        if list(left.members) != list(right.members):
            return False
        for m, n in zip(left.members.values(), right.members.values(), strict=True):
            if (m.axes, m.optional, m.unit) != (n.axes, n.optional, n.unit):
                return False
            pairs.append((m.item, n.item))
    return True


def made_call(
    function: str | UserFunction, args: Sequence[Expr], options: Options = (), spec: str = "", where: Where = None
) -> Expr:
    """Give a call of any function of the table, by name and options.

    Raises
    ------
    RecordError
        When the arguments do not fit the function.
    KeyError, TypeError, IndexError
        When there is no such function, or its options are not those that it has.
    """
    if isinstance(function, UserFunction):
        return build.call(function, args, options, where)
    kind = FUNCTIONS[function].kind
    if kind == "histogram":
        return build.histogram(function, args, options, spec, where)
    if kind == "structure":
        return _made_structure(function, args, dict(options), where)
    return build.call(function, args, options, where)


def _made_structure(function: str, args: Sequence[Expr], options: dict[str, Constant], where: Where) -> Expr:
    match function:
        case "pick":
            return build.pick(args[0], _whole(options["index"]), _whole(options["at"]), where)
        case "slice":
            start, stop, step = [_whole_or_none(options[n]) for n in ("start", "stop", "step")]
            return build.sliced(args[0], (start, stop, step), _whole(options["at"]), where)
        case "gather":
            return build.gathered(args[0], args[1], _whole(options["at"]), where)
        case "record":
            names = options["names"]
            if not isinstance(names, tuple):
                raise TypeError("the names of a record are a tuple")
            n_axes = _whole(options["axes"]) if "axes" in options else None
            return build.record([_text(n) for n in names], args, where, n_axes)
        case "flatten":
            return build.flattened(args[0], where)
        case _:
            raise KeyError(function)


def _whole(value: Constant) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def _whole_or_none(value: Constant) -> int | None:
    return None if value is None else _whole(value)


def _text(value: Constant) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a name")
    return value
