"""From typed expressions to the text of one Python function: a loop over events with all other loops inside, for numba to compile.

Before: ``count(filter(Jet, less(abs(Jet.eta), 1)))``. After::

    for e in range(n_events):
        n = offsets[e + 1] - offsets[e]
        m = 0
        for p in range(n):
            q = offsets[e] + p
            chosen[m] = p
            if abs(eta[q]) < 1:
                m += 1
        out[e] = m

An item is asked for by its node and its place: one index for each list axis. What is computed for a place is written into the innermost
block that the place depends on, so it stands outside of all loops that it does not depend on, and is written once. Only what rounds in one
way alone is written here: ``+ - * /``, roots, comparisons, choices and whole numbers, each step in the type that numpy has for it. A rare
case that needs more sets ``status``, and the caller computes everything with numpy.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Expr, Filter, Literal, Map
from hep_flows.expr.types import Bool, Float, Int, Loop, Record, common, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hep_flows.expr.types import Axis, Item

# What can be written, and why the rest cannot -------------------------------------------------------------------------------------

_ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "true_divide": "/"}
_COMPARISONS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_TRUTHS = {"logical_and": "&", "logical_or": "|", "logical_xor": "!="}
_SINGLE = frozenset({"negative", "positive", "absolute", "square", "sqrt", "invert", "logical_not", "isnan", "isfinite", "isinf"})
_CHOICES = frozenset({"maximum", "minimum", "where", "is_none", "fill_none", "isin", "astype", "copysign", "delta_phi", "delta_r"})
_ITEMS = frozenset({*_ARITHMETIC, *_COMPARISONS, *_BITS, *_TRUTHS, *_SINGLE, *_CHOICES})
_REDUCTIONS = frozenset({"count", "sum", "prod", "any", "all", "max", "min", "mean", "argmax", "argmin"})
_LISTS = frozenset({"index", "argcombinations", "argpad", "argsort"})
_STRUCTURE = frozenset({"pick", "slice", "gather", "flatten", "concatenate", "record", "replace"})
_FEW = 16


def refusal(node: Expr) -> str:
    """Say why a node has no place in compiled loops, nothing when it has: each item of it is a few exact steps."""
    if not (isinstance(node.type.item, Record) or _is_plain(node.type.item)):
        return f"it compiles numbers, and this is {node.type.item}"
    match node:
        case Bound() | Map():
            return ""
        case Filter():
            return "" if _is_plain(node.mask.type.item) else "its mask is no truth value"
        case Call():
            return _refusal_of_call(node)
        case _:
            return "it is read, not computed"


def has_value(node: Expr) -> bool:
    """Say whether a node that comes from outside has values in loops; of others only the lists are looked at."""
    return _is_plain(node.type.item)


def _is_plain(item: Item) -> bool:
    return is_number(item) and not (isinstance(item, Float) and item.bits < 32)


def _refusal_of_call(node: Call) -> str:  # noqa: PLR0911 - one for each kind
    name, options = node.function, dict(node.options)
    if isinstance(name, UserFunction):
        return "the body of a user's function is Python"
    if not (node.type.axes or node.type.loops):
        return "one number for all events is no loop"
    if options.get("at") == 0 and node.args:
        return "which events are chosen by their number is known when all are there"
    if name in _REDUCTIONS | _LISTS:
        of = node.args[0].type
        if name != "count" and name not in _LISTS and not _is_plain(of.item):
            return f"it compiles numbers, and this is {of.item}"
        if options.get("axis", "innermost") is None:
            return "it reduces several axes at once"
        return "a missing entry has no place in an order" if name == "argsort" and of.optional else ""
    if name in _STRUCTURE:
        return ""
    if name not in _ITEMS:
        kind = FUNCTIONS[name].kind
        return "its last digits are numpy's own" if kind == "elementwise" else f"it has no loop for {name}"
    return _refusal_of_items(node, name, options)


def _refusal_of_items(node: Call, name: str, options: Mapping[str, object]) -> str:  # noqa: PLR0911 - one for each kind
    items = [a.type.item for a in node.args]
    if name == "is_none":
        return ""
    if not all(_is_plain(i) for i in items):
        return "it compiles numbers of 32 and 64 bits"
    if any(isinstance(a, Call) and a.function == "parameter" for a in node.args):
        return "a parameter has no width of its own"
    if any(isinstance(a, Literal) and type(a.value) is int and not -(2**63) <= a.value < 2**63 for a in node.args):
        return "a constant is beyond 64 bits with a sign"
    if name in _COMPARISONS and _compared(node) is None:
        return "integers of 64 bits with and without a sign are compared by numpy"
    if name in {"isnan", "isfinite", "isinf", "copysign", "sqrt"} and not all(isinstance(i, Float) for i in items):
        return "it compiles this function of floats alone"
    if name == "isin":
        values = options["values"]
        assert isinstance(values, tuple)
        few = len(values) <= _FEW and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        whole = isinstance(items[0], Float) or all(isinstance(v, int) and abs(v) < 2**31 for v in values)
        return "" if few and whole and not isinstance(items[0], Bool) else "it compares with a few numbers alone"
    if name == "astype":
        before, after = items[0], node.type.item
        exact = isinstance(after, Float) or (isinstance(before, Bool) and isinstance(after, Int)) or before == after
        return "" if exact else "whether each number fits into the other kind is for numpy to say"
    return ""


def _whole(node: Call, name: str) -> int:
    value = node.option(name)
    assert isinstance(value, int)
    return value


def _is_weak(node: Expr) -> bool:
    return isinstance(node, Literal) and not node.dtype


def _compared(node: Call) -> Item | None:
    """Give the type that two numbers are compared in."""
    a, b = node.args
    if all(isinstance(x.type.item, Int | Bool) for x in (a, b)):
        wide = [isinstance(x.type.item, Int) and not x.type.item.signed and x.type.item.bits == 64 for x in (a, b)]
        if not any(wide):
            return Int(64)
        return Int(64, signed=False) if all(wide) else None
    item = common(a.type.item, b.type.item, left_weak=_is_weak(a), right_weak=_is_weak(b))
    return item if _is_plain(item) else None


# The text of a function, block by block -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One item: an expression for its value (empty for records), and one for whether it is there (empty: always)."""

    value: str
    there: str = ""


@dataclass(slots=True)
class _Block:
    head: str
    lines: list[str] = field(default_factory=list)
    known: dict[object, Any] = field(default_factory=dict)


Place = tuple[str, ...]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Kernel:
    """The text of one function, and what it takes and gives.

    Parameters
    ----------
    text : str
        The definition of ``kernel``.
    events : tuple of bytes
        The axes of events that it loops over.
    inputs : tuple of Expr
        The nodes whose values it takes.
    axes : tuple
        The list axes whose offsets it takes, as the axes from the events down to each.
    chosen : tuple of bytes
        The axes of events that masks leave, whose numbers it gives.
    outputs : tuple of Expr
        The nodes whose values it gives.
    made : tuple
        The axes of results whose offsets it makes, with their names among what it gives.
    given, back : tuple of str
        What it takes: the sizes ``s``, values ``x``, whether they are there ``t``, and offsets ``o``. What it gives after its status and the
        numbers of events: values ``y``, whether they are there ``z``, and offsets.
    """

    text: str
    events: tuple[bytes, ...]
    inputs: tuple[Expr, ...]
    axes: tuple[tuple[Axis, ...], ...]
    chosen: tuple[bytes, ...]
    outputs: tuple[Expr, ...]
    made: tuple[tuple[tuple[Axis, ...], tuple[str, ...]], ...]
    given: tuple[str, ...]
    back: tuple[str, ...]


class Writer:
    """Writes one kernel.

    Parameters
    ----------
    inside : mapping of bytes to Expr
        The nodes that are computed in the loop, by key.
    inputs, outputs : sequence of Expr
        The nodes whose values come from outside, and those whose values are wanted; neither depends on a loop's element.
    """

    def __init__(self, inside: Mapping[bytes, Expr], inputs: Sequence[Expr], outputs: Sequence[Expr]) -> None:
        """Nothing is written yet."""
        self._inside, self._inputs, self._outputs = inside, tuple(inputs), tuple(outputs)
        self._numbers = {n.key: i for i, n in enumerate(inputs)}
        self._offsets: dict[tuple[bytes, ...], str] = {}
        self._axes: list[tuple[Axis, ...]] = []
        self._blocks = [_Block("")]
        self._depth: dict[str, int] = {"0": 0}
        self._places: dict[
            bytes, tuple[str, int]
        ] = {}  # of each axis of events: the number of the event, and the depth of its block
        self._loops: dict[Loop, str] = {}
        self._count = 0
        self._start: list[str] = []
        self._results: list[str] = []
        self._made: list[tuple[tuple[Axis, ...], tuple[str, ...]]] = []
        users: dict[bytes, int] = {}
        for node in (*inside.values(), *self._outputs):
            for i in {i.key for i in node.inputs()} if node.key in inside else ():
                users[i] = users.get(i, 0) + 1
        for node in outputs:
            users[node.key] = users.get(node.key, 0) + 1
        self._users = users

    # Blocks and names

    def _new(self, prefix: str, depth: int | None = None) -> str:
        self._count += 1
        name = f"{prefix}{self._count}"
        self._depth[name] = len(self._blocks) - 1 if depth is None else depth
        return name

    def _emit(self, line: str) -> None:
        self._blocks[-1].lines.append(line)

    def _let(self, value: str, prefix: str = "v") -> str:
        if value in self._depth or value.isdigit() or value in {"True", "False"}:
            return value
        name = self._new(prefix)
        self._emit(f"{name} = {value}")
        return name

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self._blocks.append(_Block(head))
        yield
        done = self._blocks.pop()
        self._blocks[-1].lines += [done.head, *[f"    {line}" for line in done.lines or ["pass"]]]

    @contextmanager
    def _loop(self, count: str) -> Iterator[str]:
        name = self._new("p", len(self._blocks))
        with self._block(f"for {name} in range({count}):"):
            yield name

    @contextmanager
    def _outside(self, depth: int) -> Iterator[None]:
        """Write into a block further out: what is written there comes before the blocks that are open inside of it."""
        inner = self._blocks[depth + 1 :]
        del self._blocks[depth + 1 :]
        yield
        self._blocks.extend(inner)

    def _once(self, key: object, depth: int, make: Callable[[], Made]) -> Made:
        """Give what was made before and can be seen from here, or make it in the block of that depth."""
        for block in reversed(self._blocks):
            if key in block.known:
                return block.known[key]  # type: ignore[no-any-return]
        with self._outside(depth):
            made = make()
            self._blocks[-1].known[key] = made
        return made

    def _bound(self, node: Expr) -> Place:
        return tuple([self._loops[o] for o in node.type.loops])

    def _depth_of(self, node: Expr, place: Place) -> int:
        """Give the innermost block that an item depends on."""
        axes = node.type.axes
        event = self._places[axes[0].key][1] if axes else 0
        return max([event, *[self._depth[v] for v in (*place, *self._bound(node))]])

    # Items and lengths

    def item(self, node: Expr, place: Place) -> Cell:
        """Give one item of a node, written where it belongs; the place may have more indices than the node has axes."""
        if isinstance(node, Literal):
            return Cell(_constant(node))
        place = place[: max(0, len(node.type.axes) - 1)]
        if node.key in self._numbers:
            return self._once(("in", node.key, place), self._depth_of(node, place), lambda: self._input(node, place))
        if self._is_kept(node):
            return self._once(
                ("at", node.key, place, self._bound(node)), self._depth_of(node, place), lambda: self._kept(node, place)
            )
        return self._computed(node, place)

    def _computed(self, node: Expr, place: Place) -> Cell:
        key = ("item", node.key, place, self._bound(node))
        return self._once(key, self._depth_of(node, place), lambda: self._item(node, place))

    def count(self, node: Expr, place: Place) -> str:
        """Give the length of the list of a node that lies at a place: the lists of axis number ``len(place) + 1``."""
        if node.key in self._numbers:
            key: object = ("n", tuple([a.key for a in node.type.axes[: len(place) + 2]]), place)
            return self._once(key, self._depth_of(node, place), lambda: self._let(self._input_count(node, place), "n"))
        key = ("n", node.key, place, self._bound(node))
        return self._once(key, self._depth_of(node, place), lambda: self._let(self._count_of(node, place), "n"))

    # What comes from outside

    def _offsets_of(self, axes: tuple[Axis, ...]) -> str:
        key = tuple([a.key for a in axes])
        if key not in self._offsets:
            self._offsets[key] = f"o{len(self._offsets)}"
            self._axes.append(axes)
        return self._offsets[key]

    def _list_of(self, axes: tuple[Axis, ...], place: Place) -> str:
        """Give the number of the list, or item, of a place in all events."""
        at = self._places[axes[0].key][0]
        for i, p in enumerate(place):
            key = ("q", tuple([a.key for a in axes[: i + 2]]), place[: i + 1])
            offsets = self._offsets_of(axes[: i + 2])
            depth = max(self._places[axes[0].key][1], *[self._depth[v] for v in place[: i + 1]])
            before = at

            def position(offsets: str = offsets, before: str = before, p: str = p) -> str:
                return self._let(f"{offsets}[{before}] + {p}", "q")

            at = self._once(key, depth, position)
        return at

    def _input(self, node: Expr, place: Place) -> Cell:
        number = self._numbers[node.key]
        if not node.type.axes:
            return Cell(f"x{number}", f"t{number}" if node.type.optional else "")
        at = self._list_of(node.type.axes, place)
        there = self._let(f"t{number}[{at}]", "h") if node.type.optional else ""
        return Cell(self._let(f"x{number}[{at}]") if has_value(node) else "", there)

    def _input_count(self, node: Expr, place: Place) -> str:
        axes = node.type.axes[: len(place) + 2]
        at, offsets = self._list_of(axes[:-1], place), self._offsets_of(axes)
        return f"{offsets}[{at} + 1] - {offsets}[{at}]"

    # Lists that are written down, so that their items are computed once

    def _is_kept(self, node: Expr) -> bool:
        if len(node.type.axes) != 2 or isinstance(node.type.item, Record) or not isinstance(node, Call | Map):
            return False
        if isinstance(node, Map) or node.function in _REDUCTIONS:
            return True
        return (
            node.function in _ITEMS and self._users.get(node.key, 0) > 1 and any(not isinstance(a, Literal) for a in node.inputs())
        )

    def _array(self, dtype: str) -> str:
        name = self._new("b", 0)
        self._start.append(f"{name} = np.empty(32, np.{dtype})")
        return name

    def _room(self, array: str, dtype: str, size: str) -> None:
        self._emit(f"if len({array}) < {size}:")
        self._emit(f"    {array} = np.empty(2 * {size}, np.{dtype})")

    def _kept(self, node: Expr, place: Place) -> Cell:
        key = ("kept", node.key, self._bound(node))
        data, there = self._once(key, self._depth_of(node, ()), lambda: self._written(node))
        return Cell(self._let(f"{data}[{place[0]}]"), self._let(f"{there}[{place[0]}]", "h") if there else "")

    def _written(self, node: Expr) -> tuple[str, str]:
        size, dtype = self.count(node, ()), _dtype(node.type.item)
        data, there = self._array(dtype), self._array("bool_") if node.type.optional else ""
        self._room(data, dtype, size)
        if there:
            self._room(there, "bool_", size)
        with self._loop(size) as p:
            cell = self._computed(node, (p,))
            self._emit(f"{data}[{p}] = {cell.value}")
            if there:
                self._emit(f"{there}[{p}] = {cell.there or 'True'}")
        return data, there

    # One item of each kind of node

    def _item(self, node: Expr, place: Place) -> Cell:  # noqa: C901, PLR0911, PLR0912 - one for each kind
        match node:
            case Bound():
                return self.item(node.of, (self._element(node), *place))
            case Map():
                with self._element_of(node, place[0]):
                    return self.item(node.body, place[1:])
            case Filter(at=0):
                return self.item(node.of, place)
            case Filter():
                chosen, _ = self._chosen(node, place[: node.at - 1])
                return self.item(node.of, (*place[: node.at - 1], self._at(chosen, place[node.at - 1]), *place[node.at :]))
            case Call(function="pick" | "gather"):
                return self._one_of(node, place)
            case Call(function="slice"):
                at = self._at_of(node)
                first, _, step = self._sliced(node, place[:at])
                index = self._let(f"{first} + {step} * {place[at]}", "i")
                return self.item(node.args[0], (*place[:at], index, *place[at + 1 :]))
            case Call(function="flatten"):
                outer, inner, _ = self._joined(node, place[:-1])
                return self.item(node.args[0], (*place[:-1], self._at(outer, place[-1]), self._at(inner, place[-1])))
            case Call(function="concatenate"):
                return self._of_part(node, place)
            case Call(function="index" | "argpad"):
                return Cell(f"np.int64({place[-1]})")
            case Call(function="argcombinations"):
                members, _ = self._combined(node, place[:-1])
                return Cell(self._at(members[_whole(node, "which")], place[-1]))
            case Call(function="argsort"):
                return Cell(self._at(self._sorted(node, place[:-1]), place[-1]))
            case Call(function="record"):
                return Cell("")
            case Call(function="replace"):
                return self.item(node.args[0], place)
            case Call(function=str(name)) if name in _REDUCTIONS:
                return self._reduced(node, name, place)
            case Call():
                return self._of_items(node, place)
            case _:
                raise TypeError(f"a {node.tag} is no part of a loop")

    def _at(self, array: str, index: str) -> str:
        return self._let(f"{array}[{index}]", "i")

    def _at_of(self, node: Call) -> int:
        return _whole(node, "at") - 1

    def _element(self, node: Bound) -> str:
        return self._loops[Loop(node.of.type.axes[1], node.level)]

    @contextmanager
    def _element_of(self, node: Map, index: str) -> Iterator[None]:
        loop = Loop(node.over.type.axes[1], node.level)
        before = self._loops.get(loop)
        self._loops[loop] = index
        yield
        if before is None:
            del self._loops[loop]
        else:
            self._loops[loop] = before

    def _count_of(self, node: Expr, place: Place) -> str:  # noqa: C901, PLR0911, PLR0912 - one for each kind
        match node:
            case Bound():
                return self.count(node.of, (self._element(node), *place))
            case Map():
                if not place:
                    return self.count(node.over, ())
                with self._element_of(node, place[0]):
                    return self.count(node.body, place[1:])
            case Filter(at=0):
                return self.count(node.of, place)
            case Filter():
                at = node.at - 1
                if len(place) < at:
                    return self.count(node.of, place)
                chosen, size = self._chosen(node, place[:at])
                if len(place) == at:
                    return size
                return self.count(node.of, (*place[:at], self._at(chosen, place[at]), *place[at + 1 :]))
            case Call(function="pick" | "gather"):
                return self._count_of_one(node, place)
            case Call(function="slice"):
                at = self._at_of(node)
                if len(place) < at:
                    return self.count(node.args[0], place)
                first, size, step = self._sliced(node, place[:at])
                if len(place) == at:
                    return size
                return self.count(node.args[0], (*place[:at], self._let(f"{first} + {step} * {place[at]}", "i"), *place[at + 1 :]))
            case Call(function="flatten"):
                depth = len(node.type.axes) - 2
                return self.count(node.args[0], place) if len(place) < depth else self._joined(node, place)[2]
            case Call(function="concatenate"):
                return self._count_of_parts(node, place)
            case Call(function="argcombinations") if len(place) == len(node.type.axes) - 2:
                return self._combined(node, place)[1]
            case Call(function="argpad") if len(place) == len(node.type.axes) - 2:
                return (
                    f"{_whole(node, 'n')}"
                    if node.option("clip")
                    else f"max({_whole(node, 'n')}, {self.count(node.args[0], place)})"
                )
            case Call():
                return self.count(self._with_lists(node, len(place) + 2), place)
            case _:
                raise TypeError(f"a {node.tag} is no part of a loop")

    def _with_lists(self, node: Call, n_axes: int) -> Expr:
        return next(a for a in node.args if len(a.type.axes) >= n_axes)

    # Choosing items

    def _chosen(self, node: Filter, place: Place) -> tuple[str, str]:
        """Give the positions that a mask leaves of one list, and their number."""
        key = ("chosen", node.type.axes[node.at].key, place, self._bound(node))
        depth = max(self._depth_of(node, place), self._depth_of(node.mask, place) if node.mask.type.axes else 0)
        return self._once(key, depth, lambda: self._mask(node, place))

    def _mask(self, node: Filter, place: Place) -> tuple[str, str]:
        n = self.count(node.of, place)
        chosen, size = self._array("int64"), self._new("m")
        self._room(chosen, "int64", n)
        self._emit(f"{size} = 0")
        with self._loop(n) as p:
            cell = self.item(node.mask, (*place, p))
            self._emit(f"{chosen}[{size}] = {p}")
            self._emit(f"if {' and '.join([c for c in (cell.there, cell.value) if c])}:")
            self._emit(f"    {size} += 1")
        return chosen, size

    def _sliced(self, node: Call, place: Place) -> tuple[str, str, int]:
        """Give where a slice of a list begins, how many items it has, and its step: as Python has it."""
        start, stop, step = [node.option(n) for n in ("start", "stop", "step")]
        step = 1 if step is None else step
        assert isinstance(step, int)

        def made() -> tuple[str, str, int]:
            n = self.count(node.args[0], place)
            low, high = (0, n) if step > 0 else (-1, f"{n} - 1")

            def end(bound: object, default: object) -> str:
                if bound is None:
                    return f"{default}"
                assert isinstance(bound, int)
                top = 2**62
                return f"min({min(bound, top)}, {high})" if bound >= 0 else f"max({n} + {max(bound, -top)}, {low})"

            first = self._let(end(start, 0 if step > 0 else high), "i")
            last = self._let(end(stop, n if step > 0 else -1), "i")
            size = f"({last} - {first} + {step - 1}) // {step}" if step > 0 else f"({first} - {last} + {-step - 1}) // {-step}"
            return first, self._let(f"max({size}, 0)", "n"), step

        depth = self._depth_of(node.args[0], place)
        return self._once(("slice", node.key, place, self._bound(node)), depth, made)

    def _index(self, node: Call, place: Place) -> tuple[int, int, str, str]:
        """Give the axis that one item is chosen on, how many indices say which, its position, and whether there is one."""
        at, of = self._at_of(node), node.args[0]
        if node.function == "pick":
            index, n = _whole(node, "index"), self.count(of, place[:at])
            if index >= 0:
                return at, at, self._let(f"{index}", "i"), self._let(f"{n} > {index}", "h")
            return at, at, self._let(f"{n} + {index}" if index > -(2**62) else "-1", "i"), self._let(f"{n} >= {-index}", "h")
        index_of = node.args[1]
        own = max(at, len(index_of.type.axes) - 1) if index_of.type.axes else at
        cell = self.item(index_of, place[:own])
        position = self._let(f"np.int64({cell.value})", "i")
        if dict(node.options).get("inside"):
            return at, own, position, ""
        inside = f"0 <= {position} < {self.count(of, place[:at])}"
        return at, own, position, self._let(f"{cell.there} and {inside}" if cell.there else inside, "h")

    def _one_of(self, node: Call, place: Place) -> Cell:
        at, own, position, there = self._index(node, place)
        if not there:
            return self.item(node.args[0], (*place[:at], position, *place[own:]))
        return self._if(there, node, lambda: self.item(node.args[0], (*place[:at], self._again(position), *place[own:])))

    def _again(self, name: str) -> str:
        """Give the same number under a name of this block: what depends on it is not to be computed outside of it."""
        new = self._new("i")
        self._emit(f"{new} = {name}")
        return new

    def _if(self, there: str, node: Expr, made: Callable[[], Cell]) -> Cell:
        """Give an item that is there on a condition; nothing is read where it is not."""
        is_record = isinstance(node.type.item, Record)
        value, found = "" if is_record else self._new("v"), self._new("h")
        if value:
            self._emit(f"{value} = {_zero(node.type.item)}")
        self._emit(f"{found} = {there}")
        with self._block(f"if {there}:"):
            cell = made()
            if value:
                self._emit(f"{value} = {cell.value}")
            if cell.there:
                self._emit(f"{found} = {cell.there}")
        return Cell(value, found)

    def _count_of_one(self, node: Call, place: Place) -> str:
        at = self._at_of(node)
        if node.function == "gather":
            index_of = node.args[1]
            own = max(at, len(index_of.type.axes) - 1) if index_of.type.axes else at
            if len(place) < own:
                return self.count(node.args[0] if len(place) < at else index_of, place)
        elif len(place) < at:
            return self.count(node.args[0], place)
        at, own, position, there = self._index(node, place)
        if not there:
            return self.count(node.args[0], (*place[:at], position, *place[own:]))
        size = self._new("n")
        self._emit(f"{size} = 0")
        with self._block(f"if {there}:"):
            self._emit(f"{size} = {self.count(node.args[0], (*place[:at], self._again(position), *place[own:]))}")
        return size

    def _joined(self, node: Call, place: Place) -> tuple[str, str, str]:
        """Give for each item of two joined axes its position on both, and the number of items."""

        def made() -> tuple[str, str, str]:
            of = node.args[0]
            outer, inner, size = self._array("int64"), self._array("int64"), self._new("m")
            self._emit(f"{size} = 0")
            with self._loop(self.count(of, place)) as p:
                n = self.count(of, (*place, p))
                for array in (outer, inner):
                    self._emit(f"if len({array}) < {size} + {n}:")
                    self._emit(f"    {array} = np.concatenate(({array}, np.empty({size} + {n}, np.int64)))")
                with self._loop(n) as q:
                    self._emit(f"{outer}[{size}] = {p}")
                    self._emit(f"{inner}[{size}] = {q}")
                    self._emit(f"{size} += 1")
            return outer, inner, size

        key = ("joined", node.type.axes[-1].key, node.args[0].key, place, self._bound(node))
        return self._once(key, self._depth_of(node, place), made)

    def _of_part(self, node: Call, place: Place) -> Cell:
        at = self._at_of(node)
        is_record = isinstance(node.type.item, Record)
        value, there = "" if is_record else self._new("v"), self._new("h") if node.type.optional else ""
        if value:
            self._emit(f"{value} = {_zero(node.type.item)}")
        if there:
            self._emit(f"{there} = True")
        self._in_part(node, place, 0, place[at], value, there)
        return Cell(value, there)

    def _in_part(self, node: Call, place: Place, number: int, index: str, value: str, there: str) -> None:
        at, part = self._at_of(node), node.args[number]

        def take() -> None:
            cell = self.item(part, (*place[:at], self._again(index), *place[at + 1 :]))
            if value:
                self._emit(f"{value} = {_cast(cell.value, part.type.item, node.type.item)}")
            if there:
                self._emit(f"{there} = {cell.there or 'True'}")

        if number == len(node.args) - 1:
            take()
            return
        n = self.count(part, place[:at])
        with self._block(f"if {index} < {n}:"):
            take()
        with self._block("else:"):
            self._in_part(node, place, number + 1, self._let(f"{index} - {n}", "i"), value, there)

    def _count_of_parts(self, node: Call, place: Place) -> str:
        at = self._at_of(node)
        if len(place) < at:
            return self.count(node.args[0], place)
        if len(place) == at:
            return " + ".join([self.count(a, place) for a in node.args])
        size = self._new("n")
        self._emit(f"{size} = 0")
        self._count_in_part(node, place, 0, place[at], size)
        return size

    def _count_in_part(self, node: Call, place: Place, number: int, index: str, size: str) -> None:
        at, part = self._at_of(node), node.args[number]
        if number == len(node.args) - 1:
            self._emit(f"{size} = {self.count(part, (*place[:at], self._again(index), *place[at + 1 :]))}")
            return
        n = self.count(part, place[:at])
        with self._block(f"if {index} < {n}:"):
            self._emit(f"{size} = {self.count(part, (*place[:at], self._again(index), *place[at + 1 :]))}")
        with self._block("else:"):
            self._count_in_part(node, place, number + 1, self._let(f"{index} - {n}", "i"), size)

    def _combined(self, node: Call, place: Place) -> tuple[list[str], str]:
        """Give the position of each member of each choice of ``n`` items of a list, in the order 01, 02, 12, and their number."""
        n, of = _whole(node, "n"), node.args[0]

        def made() -> tuple[list[str], str]:
            members, size, total = [self._array("int64") for _ in range(n)], self._new("m"), self.count(of, place)
            choices = "1"
            for i in range(n):
                choices = f"{choices} * ({total} - {i}) // {i + 1}"
            wanted = self._let(f"max({choices}, 0)", "n")
            for array in members:
                self._room(array, "int64", wanted)
            self._emit(f"{size} = 0")
            indent, before, names = "", "-1", [self._new("p") for _ in range(n)]
            for i, name in enumerate(names):
                self._emit(f"{indent}for {name} in range({before} + 1, {total} - {n - 1 - i}):")
                indent, before = f"{indent}    ", name
            for array, name in zip(members, names, strict=True):
                self._emit(f"{indent}{array}[{size}] = {name}")
            self._emit(f"{indent}{size} += 1")
            return members, size

        key = ("combined", of.type.axes[-1].key, of.key, n, place, self._bound(of))
        return self._once(key, self._depth_of(of, place), made)

    def _sorted(self, node: Call, place: Place) -> str:
        """Give the positions of the items of a list in order: equal ones as they come, and what is no number last."""
        of, descending = node.args[0], bool(node.option("descending"))

        def made() -> str:
            n, dtype = self.count(of, place), _dtype(of.type.item)
            order, keys = self._array("int64"), self._array(dtype)
            self._room(order, "int64", n)
            self._room(keys, dtype, n)
            with self._loop(n) as p:
                self._emit(f"{keys}[{p}] = {self.item(of, (*place, p)).value}")
            j, x, a, b = self._new("j"), self._new("u"), self._new("u"), self._new("u")
            swap = f"{a} < {b}" if descending else f"{a} > {b}"
            if isinstance(of.type.item, Float):
                swap = f"{swap} or ({a} != {a} and {b} == {b})"
            with self._loop(n) as p:
                for line in (
                    f"{b} = {keys}[{p}]",
                    f"{j} = {p}",
                    f"while {j} > 0:",
                    f"    {x} = {order}[{j} - 1]",
                    f"    {a} = {keys}[{x}]",
                    f"    if not ({swap}):",
                    "        break",
                    f"    {order}[{j}] = {x}",
                    f"    {j} -= 1",
                    f"{order}[{j}] = {p}",
                ):
                    self._emit(line)
            return order

        return self._once(("sorted", node.key, place, self._bound(node)), self._depth_of(node, place), made)

    # One value for each list

    def _reduced(self, node: Call, name: str, place: Place) -> Cell:  # noqa: PLR0915 - one for each aggregate
        of, item = node.args[0], node.type.item
        n = self.count(of, place)
        if name == "count":
            return Cell(f"np.int64({n})")
        kind = of.type.item
        is_truth = isinstance(kind, Bool)
        found = self._new("a")
        if name in {"any", "all"} or (is_truth and name in {"max", "min"}):
            is_any = name in {"any", "max"}
            seen = self._seen(name in {"max", "min"})
            self._emit(f"{found} = {not is_any}")
            with self._loop(n) as p:
                cell = self.item(of, (*place, p))
                with self._present(cell):
                    if seen:
                        self._emit(f"{seen} = True")
                    self._emit(f"if {'' if is_any else 'not '}{_cast(cell.value, kind, Bool())}:")
                    self._emit(f"    {found} = {is_any}")
                    if not cell.there:
                        self._emit("    break")
            return Cell(found, seen)
        if name in {"argmax", "argmin"}:
            best, seen = self._new("a"), self._seen(needed=True)
            self._emit(f"{best} = {_zero(kind)}")
            self._emit(f"{found} = np.int64(0)")
            with self._loop(n) as p:
                cell = self.item(of, (*place, p))
                with self._present(cell, ordered=isinstance(kind, Float)):
                    better = self._better(name == "argmax", cell.value, best, kind)
                    self._emit(f"if not {seen} or {better}:")
                    self._emit(f"    {best} = {cell.value}")
                    self._emit(f"    {found} = np.int64({p})")
                    self._emit(f"    {seen} = True")
            return Cell(found, seen)
        if name in {"max", "min"}:
            seen = self._seen(needed=True)
            self._emit(f"{found} = {_zero(kind)}")
            with self._loop(n) as p:
                cell = self.item(of, (*place, p))
                with self._present(cell, ordered=isinstance(kind, Float)):
                    self._emit(f"if not {seen} or {cell.value} {'>' if name == 'max' else '<'} {found}:")
                    self._emit(f"    {found} = {cell.value}")
                    self._emit(f"    {seen} = True")
            return Cell(found, seen)
        wide: Item = Float(64) if name == "mean" else item
        number = self._new("a") if name == "mean" else ""
        self._emit(f"{found} = {_number(1 if name == 'prod' else 0, wide)}")
        if number:
            self._emit(f"{number} = 0")
        with self._loop(n) as p:
            cell = self.item(of, (*place, p))
            with self._present(cell):
                sign = "*" if name == "prod" else "+"
                self._emit(f"{found} = {_exactly(f'{found} {sign} {_cast(cell.value, kind, wide)}', wide)}")
                if number:
                    self._emit(f"{number} += 1")
        if not number:
            return Cell(found)
        return Cell(f"{found} / np.float64({number})", self._let(f"{number} > 0", "h"))

    def _seen(self, needed: bool) -> str:  # noqa: FBT001
        if not needed:
            return ""
        seen = self._new("h")
        self._emit(f"{seen} = False")
        return seen

    def _better(self, largest: bool, new: str, old: str, kind: Item) -> str:  # noqa: FBT001
        if isinstance(kind, Bool):
            return f"({new} and not {old})" if largest else f"({old} and not {new})"
        return f"{new} {'>' if largest else '<'} {old}"

    @contextmanager
    def _present(self, cell: Cell, *, ordered: bool = False) -> Iterator[None]:
        conditions = [c for c in (cell.there, f"{cell.value} == {cell.value}" if ordered else "") if c]
        if not conditions:
            yield
            return
        with self._block(f"if {' and '.join(conditions)}:"):
            yield

    # Functions of items

    def _of_items(self, node: Call, place: Place) -> Cell:
        name = str(node.function)
        cells = [self.item(a, place) for a in node.args]
        items = [a.type.item for a in node.args]
        if name == "is_none":
            return Cell(self._let(f"not {cells[0].there}", "v") if cells[0].there else "False")
        if name == "fill_none":
            value, other = [_cast(c.value, i, node.type.item) for c, i in zip(cells, items, strict=True)]
            if not cells[0].there:
                return Cell(self._let(value))
            there = f"{cells[0].there} or {cells[1].there}" if cells[1].there else ""
            return Cell(self._let(f"{value} if {cells[0].there} else {other}"), self._let(there, "h") if there else "")
        if name == "where":
            return self._where(node, cells, items)
        there = " and ".join([c.there for c in cells if c.there])
        there = self._let(there, "h") if " and " in there else there
        if name in {"delta_phi", "delta_r"}:
            return Cell(self._angle(name, [_cast(c.value, i, Float(64)) for c, i in zip(cells, items, strict=True)], there), there)
        return Cell(self._let(self._formula(node, name, [c.value for c in cells], items)), there)

    def _where(self, node: Call, cells: list[Cell], items: list[Item]) -> Cell:
        condition, yes, no = cells
        values = [_cast(c.value, i, node.type.item) for c, i in zip((yes, no), items[1:], strict=True)]
        there = condition.there
        if yes.there or no.there:
            side = f"({yes.there or 'True'} if {condition.value} else {no.there or 'True'})"
            there = f"{there} and {side}" if there else side
        return Cell(self._let(f"{values[0]} if {condition.value} else {values[1]}"), self._let(there, "h") if there else "")

    def _formula(self, node: Call, name: str, values: list[str], items: list[Item]) -> str:
        item = node.type.item
        if name in _COMPARISONS:
            kind = _compared(node)
            assert kind is not None
            a, b = [_cast(v, i, kind) for v, i in zip(values, items, strict=True)]
            return f"{a} {_COMPARISONS[name]} {b}"
        if name in {"isnan", "isfinite", "isinf"}:
            return f"np.{name}({values[0]})"
        if name == "isin":
            among, of = node.option("values"), items[0]
            assert isinstance(among, tuple)
            return " or ".join([f"{values[0]} == {_number(v, of if isinstance(of, Float) else Int(64))}" for v in among]) or "False"
        if name in _TRUTHS or name == "logical_not" or isinstance(item, Bool):
            truths = [_cast(v, i, Bool()) for v, i in zip(values, items, strict=True)]
            return truths[0] if name == "astype" else _of_truths(name, truths)
        same = [self._let(_cast(v, i, item)) for v, i in zip(values, items, strict=True)]
        return (
            _of_floats(name, same) if isinstance(item, Float) else _exactly(_of_whole(name, [_wide(v, item) for v in same]), item)
        )

    def _angle(self, name: str, values: list[str], there: str) -> str:
        if name == "delta_phi":
            return self._wrapped(f"{values[0]} - {values[1]}")
        d_eta = self._let(f"{values[0]} - {values[2]}")
        d_phi = self._wrapped(f"{values[1]} - {values[3]}")
        square, found = self._let(f"{d_eta} * {d_eta} + {d_phi} * {d_phi}"), self._new("v")
        self._emit(f"{found} = np.sqrt({square})")
        self._emit(f"if {' and '.join([c for c in (there, f'not np.isfinite({square})') if c])}:")
        self._emit("    status = 1")
        return found

    def _wrapped(self, difference: str) -> str:
        """Give the same angle in [-pi, pi), as `hep_flows.plugins.awkward.functions.wrapped` does."""
        angle = self._let(difference)
        pi, turn, near = repr(math.pi), repr(2 * math.pi), self._new("v")
        for line in (
            f"{near} = {angle} - np.floor(({angle} + {pi}) / {turn}) * {turn}",
            f"if not ({near} >= -{pi} and {near} < {pi}):",
            f"    if {angle} >= -{pi} and {angle} < {pi}:",
            f"        {near} = {angle}",
            f"    elif {angle} >= {pi}:",
            f"        {near} = {near} - {turn}",
            "    else:",
            f"        {near} = {near} + {turn}",
        ):
            self._emit(line)
        return near

    # The whole function

    def kernel(self) -> Kernel:
        """Write the function."""
        masks = {n.type.axes[0].key: n for n in self._inside.values() if isinstance(n, Filter) and n.at == 0}
        of_events = [n.type.axes[0].key for n in (*self._inside.values(), *self._outputs) if n.type.axes]
        of_events += [n.of.type.axes[0].key for n in masks.values()]
        entries = [k for k in dict.fromkeys(of_events) if k not in masks]
        for number, key in enumerate(entries):
            place = self._new("e", 1)
            with self._block(f"for {place} in range(s{number}):"):
                self._events(key, place, f"s{number}", masks)
        counted = [k for k in self._places if k in masks]
        for axes in [n.type.axes for n in self._inputs if len(n.type.axes) > 1]:
            for i in range(2, len(axes) + 1):
                self._offsets_of(axes[:i])
        given = [f"s{i}" for i in range(len(entries))]
        for i, node in enumerate(self._inputs):
            given += [f"x{i}"] if has_value(node) else []
            given += [f"t{i}"] if node.type.optional else []
        given += list(self._offsets.values())
        back = ["status", *[self._places[k][0] for k in counted], *self._results]
        lines = ["status = 0", *self._start, *self._blocks[0].lines, f"return ({', '.join(back)},)"]
        text = "\n".join([f"def kernel({', '.join(given)}):", *[f"    {line}" for line in lines], ""])
        made = (tuple(self._made), tuple(given), tuple(self._results))
        return Kernel(text, tuple(entries), self._inputs, tuple(self._axes), tuple(counted), self._outputs, *made)

    def _events(self, key: bytes, place: str, size: str, masks: Mapping[bytes, Filter]) -> None:
        """Write all that is wanted of the events of one axis, and of those that masks leave of them."""
        self._places[key] = (place, len(self._blocks) - 1)
        groups: dict[tuple[bytes, ...], list[int]] = {}
        for i, node in enumerate(self._outputs):
            if node.type.axes[0].key == key:
                groups.setdefault(tuple([a.key for a in node.type.axes]), []).append(i)
        for numbers in groups.values():
            self._group([(i, self._outputs[i]) for i in numbers], place, size)
        for inner, node in masks.items():
            if node.of.type.axes[0].key != key:
                continue
            cell = self.item(node.mask, ())
            number = self._new("k", 0)
            self._start.append(f"{number} = 0")
            with self._block(f"if {' and '.join([c for c in (cell.there, cell.value) if c])}:"):
                self._events(inner, number, size, masks)
                self._emit(f"{number} += 1")

    def _group(self, outputs: Sequence[tuple[int, Expr]], place: str, size: str) -> None:
        """Write down results that have the same lists."""
        axes = outputs[0][1].type.axes
        known = tuple([a.key for a in axes]) in {
            tuple([a.key for a in n.type.axes[:i]]) for n in self._inputs for i in range(2, len(n.type.axes) + 1)
        }
        room = size if len(axes) == 1 else f"{self._offsets_of(axes)}[-1]" if known else self._most()
        arrays: list[tuple[Expr, str, str]] = []
        for number, node in outputs:
            names = ["" if isinstance(node.type.item, Record) else f"y{number}", f"z{number}" if node.type.optional else ""]
            for name, dtype in zip(names, ("" if not names[0] else _dtype(node.type.item), "bool_"), strict=True):
                if name:
                    self._start.append(f"{name} = np.empty({room}, np.{dtype})")
                    self._results.append(name)
            arrays.append((node, names[0], names[1]))
        if len(axes) == 1:
            self._write(arrays, (), place)
            return
        counters = [place, *[self._new("c", 0) for _ in axes[1:]]]
        self._start += [f"{c} = 0" for c in counters[1:]]
        offsets: list[str] = []
        if not known:
            offsets = [self._new("f", 0) for _ in axes[1:]]
            self._made.append((axes, tuple(offsets)))
            self._start += [f"{f} = np.zeros({size} + 1, np.int64)" for f in offsets]
            self._results += offsets
        self._nest(arrays, (), counters, offsets)

    def _most(self) -> str:
        """Give about how many items the longest result has, to begin with: as many as what comes in."""
        names = [self._offsets_of(n.type.axes) for n in self._inputs if len(n.type.axes) > 1]
        return f"max(64, {', '.join([f'{n}[-1]' for n in dict.fromkeys(names)])})" if names else "64"

    def _nest(self, arrays: Sequence[tuple[Expr, str, str]], place: Place, counters: Sequence[str], offsets: Sequence[str]) -> None:
        level = len(place)
        before, counter = counters[level], counters[level + 1]
        n = self.count(arrays[0][0], place)
        if offsets:
            if level:
                self._more(offsets[level], "int64", f"{before} + 2")
            self._emit(f"{offsets[level]}[{before} + 1] = {counter} + {n}")
        is_last = level + 2 == len(counters)
        if is_last and offsets:
            for node, data, there in arrays:
                for array, dtype in ((data, data and _dtype(node.type.item)), (there, "bool_")):
                    if array:
                        self._more(array, dtype, f"{counter} + {n}")
        with self._loop(n) as p:
            if is_last:
                self._write(arrays, (*place, p), f"{counter} + {p}")
            else:
                self._nest(arrays, (*place, p), counters, offsets)
                self._emit(f"{counter} += 1")
        if is_last:
            self._emit(f"{counter} += {n}")

    def _write(self, arrays: Sequence[tuple[Expr, str, str]], place: Place, at: str) -> None:
        for node, data, there in arrays:
            cell = self.item(node, place)
            if data:
                self._emit(f"{data}[{at}] = {cell.value}")
            if there:
                self._emit(f"{there}[{at}] = {cell.there or 'True'}")

    def _more(self, array: str, dtype: str, size: str) -> None:
        self._emit(f"if len({array}) < {size}:")
        self._emit(f"    {array} = np.concatenate(({array}, np.empty({size}, np.{dtype})))")


# Formulas of numbers that have their kind already ---------------------------------------------------------------------------------


def _of_truths(name: str, values: list[str]) -> str:
    if len(values) == 1:
        return f"not {values[0]}"
    sign = {**_BITS, **_TRUTHS, "bitwise_xor": "!=", "maximum": "|", "minimum": "&"}[name]
    return f"{values[0]} {sign} {values[1]}"


def _of_floats(name: str, values: list[str]) -> str:
    a, b = values[0], values[-1]
    match name:
        case "maximum" | "minimum":  # of equal ones the second, and what is no number, as numpy's vector instructions do
            return f"{a} if {a} {'>' if name == 'maximum' else '<'} {b} or {a} != {a} else {b}"
        case "absolute" | "sqrt" | "copysign":
            return f"{'abs' if name == 'absolute' else f'np.{name}'}({', '.join(values)})"
        case "negative" | "square":
            return f"-{a}" if name == "negative" else f"{a} * {a}"
        case _:
            return f"{a} {_ARITHMETIC[name]} {b}" if name in _ARITHMETIC else a


def _of_whole(name: str, values: list[str]) -> str:
    a, b = values[0], values[-1]
    match name:
        case "maximum" | "minimum":
            return f"{a} if {a} {'>' if name == 'maximum' else '<'} {b} else {b}"
        case "absolute":
            return f"{a} if {a} >= 0 else -{a}"
        case "negative" | "invert":
            return f"{'-' if name == 'negative' else '~'}{a}"
        case "square":
            return f"{a} * {a}"
        case _:
            sign = {**_ARITHMETIC, **_BITS}.get(name, "")
            return f"{a} {sign} {b}" if sign else a


# Constants and kinds in the text --------------------------------------------------------------------------------------------------


def _dtype(item: Item) -> str:
    return "bool_" if isinstance(item, Bool) else str(item)


def _zero(item: Item) -> str:
    return "False" if isinstance(item, Bool) else _number(0, item)


def _number(value: object, item: Item) -> str:
    if isinstance(item, Bool):
        return f"{bool(value)}"
    assert isinstance(value, int | float)
    if isinstance(value, float) and not math.isfinite(value):
        return f"np.{item}(np.{'nan' if math.isnan(value) else 'inf'})" if not value < 0 else f"np.{item}(-np.inf)"
    return f"np.{item}({value!r})"


def _constant(node: Literal) -> str:
    return _number(node.value, node.type.item)


def _cast(value: str, before: Item, after: Item) -> str:
    """Give a number as another kind that holds it; a truth value is whether it is not zero."""
    if _dtype(before) == _dtype(after):
        return value
    return f"({value} != 0)" if isinstance(after, Bool) else f"np.{after}({value})"


def _wide(value: str, item: Item) -> str:
    """Give a number as compiled arithmetic has it: whole numbers in 64 bits."""
    return value if isinstance(item, Float) or (isinstance(item, Int) and item.bits == 64) else f"np.int64({value})"


def _exactly(value: str, item: Item) -> str:
    """Give the result of a step in exactly its kind: whole numbers wrap around."""
    return value if isinstance(item, Float) else f"np.{_dtype(item)}({value})"
