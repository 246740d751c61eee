"""Expressions as text: on one line, and one line per step."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from hep_flows.errors import visible
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Histogram, Loop
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.types import Constant

# How a fill of a histogram is written: ``Histogram(...).fill(pt=..., weight=...)`` -----------------------------------------------


def fill_arguments(node: Call) -> list[str | Expr]:
    """Give the arguments of a fill as the user wrote them: texts, and expressions that stand between them.

    The node holds one record of what is filled per entry, then the numbers that all entries share; its options say what goes where.
    """
    options = dict(node.options)
    members = options.get("members", ())
    sources = options.get("axes", ())
    if not isinstance(members, tuple) or not isinstance(sources, tuple):
        return [part for i, a in enumerate(node.args[1:]) for part in (", " if i else "", a)]
    titles = [f"{n}=" if n else "" for n in _axis_names(node)]
    titled = list(zip(titles, sources, strict=False))
    titled += [(f"{n}=", options[n]) for n in ("weight", "sample") if options.get(n) is not None]
    written: list[str | Expr] = []
    for i, (title, source) in enumerate(titled):
        written += [f"{', ' if i else ''}{title}", *_source(node, source, has_record=bool(members))]
    return written


def _axis_names(node: Call) -> list[str]:
    assert isinstance(node.type.item, Histogram)
    try:
        axes = json.loads(node.type.item.spec)["axes"]
        return [str(a["name"]) for a in axes]
    except (ValueError, LookupError, TypeError):
        return [""] * len(node.args)


def _source(node: Call, source: Constant, *, has_record: bool) -> list[str | Expr]:
    match source:
        case ("member", str(name)):
            return _member(node.args[1], name)
        case ("number", int(position)):
            return [node.args[1 + has_record + position]]
        case ("constant", constant):
            return [f"{constant!r}"]
        case ("cells", tuple(several)):
            inside = [p for i, s in enumerate(several) for p in (", " if i else "", *_source(node, s, has_record=has_record))]
            return ["[", *inside, "]"]
        case _:
            return [f"{source!r}"]


def _member(record: Expr, name: str) -> list[str | Expr]:
    if isinstance(record, Filter):
        return ["(", *_member(record.of, name), ")[", record.mask, "]"]
    if isinstance(record, Call) and record.function == "record":
        names = record.option("names")
        assert isinstance(names, tuple)
        return [record.args[names.index(name)]]
    return [record, f".{name}" if name.isidentifier() else f"[{name!r}]"]


# How one node is written: the words of its own, and the places where its parts stand ---------------------------------------------
#
# The texts of whole expressions (`hep_flows.expr.text`) are put together from these; each part says how strongly it must bind to
# stand without parentheses.

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

    def __post_init__(self) -> None:
        """Spell out what names of files hold and no text should: whatever is shown of an expression comes from here."""
        if any(isinstance(p, str) and not p.isprintable() for p in self.parts):
            object.__setattr__(self, "parts", tuple([visible(p) if isinstance(p, str) else p for p in self.parts]))

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
    if row.method and (row.kind in {"reduce", "list"} or row.item_option) and ("axis", None) not in node.options:
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


def _structure(node: Call, name: str) -> Spelling:  # noqa: PLR0911 - one for each function
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
        case "concatenate":
            parts: list[Part] = ["Concatenate("]
            for i, a in enumerate(node.args):
                parts += [", ", (a, LOOSE)] if i else [(a, LOOSE)]
            return Spelling(ATOM, (*parts, ")"))
        case "replace":
            names = node.option("names")
            assert isinstance(names, tuple)
            named = [(f"{', ' if i else ''}{n!s}=", (v, LOOSE)) for i, (n, v) in enumerate(zip(names, node.args[1:], strict=True))]
            return Spelling(ATOM, (first, ".With(", *[part for pair in named for part in pair], ")"))
        case "vary":
            words = node.option("words")
            source = node.option("source")
            assert isinstance(words, tuple)
            assert isinstance(source, tuple)
            varied = [(f", {w!s}=", (v, LOOSE)) for w, v in zip(words, node.args[1:], strict=True)]
            return Spelling(
                ATOM, ("vary(", (node.args[0], LOOSE), f", {constant(source[0])}", *[p for v in varied for p in v], ")")
            )
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
    end = ",)" if numbered and len(names) == 1 else ")" if numbered else "}"
    if "block" in dict(node.options):
        return Spelling(ATOM, ("ml_features(", *parts, f"{end})"))
    return Spelling(ATOM, (*parts, end))


def _histogram(node: Call, name: str) -> Spelling:
    if name == "np_histogram":
        return _named("np.histogram", node)
    if name == "histogram":
        return Spelling(ATOM, ("Histogram(...)",))
    if name == "scaled":
        times = FUNCTIONS["multiply"].strength
        return Spelling(times, ((node.args[0], times), " * ", (node.args[1], times + 1)))
    arguments = [a if isinstance(a, str) else (a, LOOSE) for a in fill_arguments(node)]
    return Spelling(ATOM, ((node.args[0], ATOM), ".fill(", *arguments, ")"))


WIDTH = 100
SHORT = 24


def one_line(expr: Expr, limit: int = 160, names: Mapping[bytes, str] = NO_NAMES) -> str:
    """Give the expression as a physicist writes it; what goes beyond ``limit`` characters is cut off with ``...``.

    Loop variables are named by level: ``x1`` is the element of the innermost loop. ``names`` says, by key, what tables and results
    of other tasks are to be called.
    """
    over = loop_collections(expr)
    written: list[str] = []
    length = 0
    ahead: list[Part] = [(expr, LOOSE)]
    while ahead and length <= limit:
        part = ahead.pop()
        if isinstance(part, str):
            written.append(part)
            length += len(part)
            continue
        node, least = part
        spelling = spelled(node, over, names)
        parts = spelling.parts if spelling.strength >= least else ("(", *spelling.parts, ")")
        ahead.extend(reversed(parts))
    text = "".join(written)
    return text if length <= limit else f"{text[: max(limit - 4, 0)].rstrip()} ..."


def tree_text(expr: Expr) -> str:
    """Give the expression as text, one line per step.

    First come the tables. A part that is used more than once, or that would make a line too long, is written once, on a line
    ``v1 = ...`` of its own, and stands by that name in the lines below. Lines inside a `map` say for which element they hold.
    """
    tables = _table_names(expr)
    return "\n".join([*_table_lines(expr, tables), *_Lines(expr, tables).written])


def _table_names(expr: Expr) -> dict[bytes, str]:
    """Name the tables: ``events``, and if there are more ``events_2``, ``events_3``, ..."""
    keys = [n.key for n in postorder(expr) if isinstance(n, Dataset)]
    return {key: EVENTS if i == 0 else f"{EVENTS}_{i + 1}" for i, key in enumerate(keys)}


def _table_lines(expr: Expr, names: dict[bytes, str]) -> list[str]:
    lines = []
    for node in postorder(expr):
        if isinstance(node, Dataset):
            count = len(node.content)
            tree = f", tree {visible(node.tree)}" if node.tree else ""
            lines.append(f"{names[node.key]}: {node.name}, {node.kind}, {count} file{'' if count == 1 else 's'}{tree}")
    return lines


class _Lines:
    """The lines of one expression, written while the nodes are met from the leaves up."""

    def __init__(self, expr: Expr, tables: dict[bytes, str]) -> None:
        self.written: list[str] = []
        self._texts: dict[bytes, tuple[int, str]] = {}
        self._long: set[bytes] = set()
        self._named = 0
        nodes = list(postorder(expr))
        spellings = _spellings(expr, nodes, tables)
        uses = _uses(expr, nodes, spellings)
        for node in nodes:
            if node.key not in uses:
                continue
            spelling = spellings[node.key]
            text = self._fitted(spelling)
            self._texts[node.key] = (spelling.strength, text)
            if not _is_plain(spelling):
                self._long.add(node.key)
                if uses[node.key] > 1 and node is not expr:
                    self._name(node)
        self.written.append(f"result = {self._texts[expr.key][1]}    # {expr.type}")

    def _fitted(self, spelling: Spelling) -> str:
        """Join the parts; while that is too long, give the longest part a line of its own."""
        inputs = {n.key: n for n in spelling.inputs() if n.key in self._long}
        excess = sum([len(self._shown(p)) for p in spelling.parts]) - WIDTH
        for node in sorted(inputs.values(), key=lambda n: -len(self._texts[n.key][1])):
            length = len(self._texts[node.key][1])
            if excess <= 0 or length < SHORT:
                break
            excess -= length
            self._name(node)
        return "".join([self._shown(p) for p in spelling.parts])

    def _shown(self, part: Part) -> str:
        if isinstance(part, str):
            return part
        strength, text = self._texts[part[0].key]
        return text if strength >= part[1] else f"({text})"

    def _name(self, node: Expr) -> None:
        self._long.discard(node.key)
        self._named += 1
        name = f"v{self._named}"
        variables = [loop_variable(o.level) for o in node.type.loops]
        note = f"    # for each {', '.join(variables)}" if variables else ""
        self.written.append(f"{name} = {self._texts[node.key][1]}{note}")
        self._texts[node.key] = (ATOM, name)


def _spellings(expr: Expr, nodes: Sequence[Expr], tables: dict[bytes, str]) -> dict[bytes, Spelling]:
    over = loop_collections(expr)
    return {n.key: spelled(n, over, tables) for n in nodes}


def _uses(expr: Expr, nodes: Sequence[Expr], spellings: dict[bytes, Spelling]) -> dict[bytes, int]:
    """Count how often each node is written, starting from the root; nodes that are not written do not occur."""
    uses = {expr.key: 1}
    for node in reversed(nodes):
        if node.key in uses:
            for part in spellings[node.key].inputs():
                uses[part.key] = uses.get(part.key, 0) + 1
    return uses


def _is_plain(spelling: Spelling) -> bool:
    """Say whether it is a leaf or a constant short enough to be written anywhere."""
    return not spelling.inputs() and sum([len(p) for p in spelling.parts if isinstance(p, str)]) < WIDTH


# Names of files as they may be shown and written down ----------------------------------------------------------------------------

_USER = re.compile(r"(?<=://)[^/@]+@")


def is_url(file: str) -> bool:
    """Say whether the name is a URL and not a local path."""
    return "://" in file


def shown(file: str) -> str:
    """Give the name for messages and for what is stored: URLs without user, password and query, which may hold secrets."""
    return _USER.sub("", file.split("?", 1)[0]) if is_url(file) else file
