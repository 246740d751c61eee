"""How one node is written: the words of its own, and the places where its parts stand.

The texts of whole expressions (`hep_flows.expr.text`) are put together from these; each part says how strongly it must bind to
stand without parentheses.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.spelling_fill import fill_arguments
from hep_flows.expr.types import Loop
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Constant

LOOSE, UNARY, POWER, ATOM = 0, 8, 9, 10
EVENTS = "events"
FAR = 16  # how many nodes below it a spelling looks at, so that a long chain costs time in proportion to its length
NO_NAMES: Mapping[bytes, str] = MappingProxyType({})
_COMPARISON = 1

Part = str | tuple[Expr, int]


@dataclass(frozen=True, slots=True)
class Spelling:
    """The words of one node.

    Parameters
    ----------
    strength : int
        How strongly it binds: `ATOM` never needs parentheses.
    parts : tuple
        Texts, and inputs with the least strength that may stand there without parentheses.
    """

    strength: int
    parts: tuple[Part, ...]

    def inputs(self) -> list[Expr]:
        """Give the nodes that stand in it, in order."""
        return [p[0] for p in self.parts if not isinstance(p, str)]


def loop_collections(*roots: Expr) -> dict[Loop, Expr]:
    """Give the collection that each loop runs over, for the names of loop variables."""

    def in_loop(node: Expr) -> bool:
        return node.height > 0 or bool(node.type.loops)

    over: dict[Loop, Expr] = {}
    for node in postorder(*roots, into=in_loop):
        if isinstance(node, Map) and node.level:
            over.setdefault(Loop(node.over.type.axes[1], node.level), node.over)
    return over


def spelled(node: Expr, over: Mapping[Loop, Expr], names: Mapping[bytes, str] = NO_NAMES) -> Spelling:
    """Give the words of a node.

    Parameters
    ----------
    node : Expr
        Any node.
    over : mapping
        What `loop_collections` found.
    names : mapping, optional
        By key: what tables (``events``) and results of other tasks are to be called.
    """
    match node:
        case Field() | Filter(at=0):
            return _event_view(node, names) or stepwise(node, names)
        case Bound():
            return _element(node, over) or stepwise(node, names)
        case _:
            return stepwise(node, names)


def stepwise(node: Expr, names: Mapping[bytes, str] = NO_NAMES) -> Spelling:
    """Give the words of a node in terms of its own inputs, with nothing between left out."""
    match node:
        case Dataset():
            return Spelling(ATOM, (names.get(node.key, EVENTS),))
        case Literal():
            return _literal(node)
        case Input():
            return Spelling(ATOM, (names.get(node.key, f"task {node.task.hex()[:8]}"),))
        case Field():
            return Spelling(ATOM, ((node.of, ATOM), _named_leaf(node)))
        case Filter():
            events = "events: " if node.at == 0 and len(node.of.type.axes) > 1 else ""
            return Spelling(ATOM, ((node.of, ATOM), f"[{events}", (node.mask, LOOSE), "]"))
        case Bound():
            return Spelling(ATOM, ((node.of, ATOM), f"[{loop_variable(node.level)}]"))
        case Map():
            variable = loop_variable(node.level) if node.level else "_"
            return Spelling(ATOM, ((node.over, ATOM), f".map(lambda {variable}: ", (node.body, LOOSE), ")"))
        case Call():
            return _call(node)


def loop_variable(level: int) -> str:
    """Give the name of the element of a loop: it depends on the level alone."""
    return f"x{level}" if level < 1 << 32 else "x"


def constant(value: Constant, dtype: str = "") -> str:
    """Give a constant exactly."""
    return f"np.{dtype}({value!r})" if dtype else repr(value)


def _literal(node: Literal) -> Spelling:
    text = constant(node.value, node.dtype)
    return Spelling(UNARY if text.startswith("-") else ATOM, (text,))


def _named_leaf(node: Field) -> str:
    """Write the name of a leaf behind what it is taken of."""
    if node.default is None:
        return f".{node.name}"
    kind = f", as_={node.default.as_!r}" if node.default.as_ else ""
    return f".get({node.name!r}, {node.default.value!r}{kind})"


def _event_view(node: Field | Filter, called: Mapping[bytes, str]) -> Spelling | None:
    """Write stored leaves of filtered events as the user does: ``events[mask].Jet.pt``; None for anything else."""
    names: list[str] = []
    masks: list[Expr] = []
    below: Expr = node
    while len(names) + len(masks) < FAR:
        match below:
            case Field():
                names.append(_named_leaf(below))
                below = below.of
            case Filter(at=0):
                masks.append(below.mask)
                below = below.of
            case Dataset():
                cuts: list[Part] = []
                for mask in reversed(masks):
                    cuts += ["[", (mask, LOOSE), "]"]
                return Spelling(ATOM, (called.get(below.key, EVENTS), *cuts, "".join(reversed(names))))
            case _:
                return None
    return None


def _element(node: Bound, over: Mapping[Loop, Expr]) -> Spelling | None:
    """Write the current element of the loop's collection as ``x1`` or ``x1.pt``; None for any other array on its axis."""
    variable = loop_variable(node.level)
    collection = over.get(Loop(node.of.type.axes[1], node.level))
    if collection is not None and collection.key == node.of.key:
        return Spelling(ATOM, (variable,))
    base, names = _below_axis(node.of, 1)
    if base is not None:
        there, others = _below_axis(collection, 1) if collection is not None else (base, ())
        if there == base and not others:
            return Spelling(ATOM, ("".join([variable, *[f".{n}" for n in names]]),))
    return None


def _below_axis(node: Expr, axis: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Give the stored collection that brings an axis, and the names between it and the node; selections do not count."""
    names: list[str] = []
    for _ in range(FAR):
        match node:
            case Filter() if node.at <= axis:
                node = node.of
            case Call(function="slice") if node.option("at") in range(axis + 1):
                node = node.args[0]
            case Bound():
                node, axis = node.of, axis + 1
            case Field() if len(node.of.type.axes) <= axis:
                return node.key, tuple(reversed(names))
            case Field():
                names.append(node.name)
                node = node.of
            case _:
                return None, ()
    return None, ()


def _call(node: Call) -> Spelling:
    name, args = node.function, node.args
    if isinstance(name, UserFunction):
        return _named(name.name, node)
    row = FUNCTIONS[name]
    if row.symbol and len(args) == 1:
        return Spelling(UNARY, (row.symbol, (args[0], UNARY)))
    if row.symbol:
        return _binary(node, row.symbol, row.strength or _COMPARISON)
    if row.kind == "reduce" and ("axis", None) not in node.options:
        options = ", ".join([constant(v) for _, v in node.options])
        return Spelling(ATOM, ((args[0], ATOM), f".{row.method}({options})"))
    if row.kind == "structure":
        return _structure(node, name)
    if row.kind == "histogram":
        return _histogram(node, name)
    return _named(row.written, node)


def _binary(node: Call, symbol: str, strength: int) -> Spelling:
    left, right = strength, strength + 1
    if strength == _COMPARISON:
        left = strength + 1
    if strength == POWER:
        left, right = ATOM, UNARY
    return Spelling(strength, ((node.args[0], left), f" {symbol} ", (node.args[1], right)))


def _named(title: str, node: Call, args: tuple[Expr, ...] | None = None) -> Spelling:
    parts: list[Part] = [f"{title}("]
    for i, a in enumerate(node.args if args is None else args):
        parts += [", ", (a, LOOSE)] if i else [(a, LOOSE)]
    for name, value in node.options:
        parts.append(f"{', ' if len(parts) > 1 else ''}{name}={constant(value)}")
    return Spelling(ATOM, (*parts, ")"))


def _axis(node: Call) -> str:
    """Say which axis is meant when it is not the innermost."""
    at = node.option("at")
    return "" if at == len(node.args[0].type.axes) - 1 else f"axis {constant(at)}: "


def _structure(node: Call, name: str) -> Spelling:
    first = (node.args[0], ATOM)
    axis = _axis(node) if name in {"pick", "slice"} else ""
    match name:
        case "pick":
            if node.option("index") == 0 and not axis:
                return Spelling(ATOM, (first, ".First()"))
            return Spelling(ATOM, (first, f"[{axis}{constant(node.option('index'))}]"))
        case "slice":
            bounds = ["" if b is None else constant(b) for b in (node.option("start"), node.option("stop"), node.option("step"))]
            text = ":".join(bounds if bounds[2] else bounds[:2])
            return Spelling(ATOM, (first, f"[{axis}{text}]"))
        case "gather":
            return Spelling(ATOM, (first, "[", (node.args[1], LOOSE), "]"))
        case "record":
            return _record(node)
        case _:
            return _named(FUNCTIONS[name].written, node)


def _record(node: Call) -> Spelling:
    names = node.option("names")
    assert isinstance(names, tuple)
    numbered = names == tuple([str(i) for i in range(len(names))])
    parts: list[Part] = ["(" if numbered else "{"]
    for i, (name, arg) in enumerate(zip(names, node.args, strict=True)):
        title = "" if numbered else f"{constant(name)}: "
        parts += [f"{', ' if i else ''}{title}", (arg, LOOSE)]
    return Spelling(ATOM, (*parts, ",)" if numbered and len(names) == 1 else ")" if numbered else "}"))


def _histogram(node: Call, name: str) -> Spelling:
    if name == "np_histogram":
        return _named("np.histogram", node)
    if name == "histogram":
        return Spelling(ATOM, ("Histogram(...)",))
    arguments = [a if isinstance(a, str) else (a, LOOSE) for a in fill_arguments(node)]
    return Spelling(ATOM, ((node.args[0], ATOM), ".fill(", *arguments, ")"))
