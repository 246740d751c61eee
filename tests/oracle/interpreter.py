"""The language, read aloud: a slow interpreter of expressions over plain Python data, one event at a time.

It shares nothing with the evaluator but the node classes: a `map` binds its variable in an environment (which element of the
collection stands for the current one), lists are Python lists, a missing value is None, a number is a numpy scalar of its width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Loop, Record
from oracle.lists import broadcast, deep, flattened, gathered, masked, picked, referring, sliced
from oracle.scalars import cast, elementwise, listed, reduced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Event = dict[str, Any]
Environment = dict[Loop, int]


def interpret(expr: Expr, events: Sequence[Event]) -> Any:
    """Give the value of an expression over a table: a list with one entry per event, or one value where no axis is left."""
    return _Reader(events).whole(expr)


class _Reader:
    """One table and what was computed from it so far."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.known: dict[Any, Any] = {}
        self.surviving: dict[bytes, list[int]] = {}

    def whole(self, node: Expr) -> Any:
        if not node.type.axes:
            return self.number(node)
        return [self.value(node, i, {}) for i in range(self.length(node))]

    # ------------------------------------------------------------------------------------------------ events

    def length(self, node: Expr) -> int:
        """Count the events of an expression's first axis."""
        match node:
            case Dataset():
                return len(self.events)
            case Filter(at=0) | Call(function="slice") if _axis(node) == 0:
                return len(self.kept(node))
            case Field() | Filter() | Bound():
                return self.length(node.of)
            case Map():
                return self.length(node.over)
            case Call(function="gather"):
                return self.length(node.args[1] if node.args[1].type.axes else node.args[0])
            case Call():
                return self.length(next(a for a in node.args if a.type.axes))
            case Literal() | Input():
                raise AssertionError(f"{node} has no events")

    def kept(self, node: Filter | Call) -> list[int]:
        """Give, by number in what is filtered or sliced, the events that remain."""
        if node.key not in self.surviving:
            if isinstance(node, Filter):
                every = range(self.length(node.of))
                self.surviving[node.key] = [i for i in every if self.any_value(node.mask, i, {}) is True]
            else:
                start, stop, step = (node.option(k) for k in ("start", "stop", "step"))
                self.surviving[node.key] = list(range(self.length(node.args[0])))[slice(start, stop, step)]
        return self.surviving[node.key]

    # ---------------------------------------------------------------------------------------- one for the table

    def number(self, node: Expr) -> Any:
        """Give the one value of an expression without axes."""
        if node.key not in self.known:
            self.known[node.key] = self._number(node)
        return self.known[node.key]

    def _number(self, node: Expr) -> Any:
        if isinstance(node, Literal):
            return cast(node.value, node.type.item) if node.dtype else node.value
        if isinstance(node, Field):
            record = self.number(node.of)
            return None if record is None else record[node.name]
        assert isinstance(node, Call), f"{node} has no value of its own"
        if isinstance(node.function, UserFunction) or FUNCTIONS[node.function].kind == "elementwise":
            return self._element(node, [self.number(a) for a in node.args])
        match node.function:
            case "record":
                return dict(zip(node.option("names"), [self.number(a) for a in node.args], strict=True))
            case "replace":
                return _replaced(node, *[self.number(a) for a in node.args])
            case "pick":
                return picked(self.whole(node.args[0]), node.option("index"))
            case "count" if isinstance(node.args[0].type.item, Record):
                return cast(self.length(node.args[0]), node.type.item)
            case str(name):
                values = self.whole(node.args[0])
                for _ in node.args[0].type.axes[1:]:  # an aggregate over all axes at once
                    values = [v for inner in values if inner is not None for v in inner]
                return reduced(name, values, node.type.item)

    # --------------------------------------------------------------------------------------------- one per event

    def any_value(self, node: Expr, i: int, env: Environment) -> Any:
        """Give the value in one event, or the one value of all events."""
        return self.value(node, i, env) if node.type.axes else self.number(node)

    def value(self, node: Expr, i: int, env: Environment) -> Any:
        """Give the value of an expression in event ``i`` of its own first axis, for the bound elements of the environment."""
        place = (node.key, i, frozenset(env.items()))
        if place not in self.known:
            self.known[place] = self._value(node, i, env)
        return self.known[place]

    def _value(self, node: Expr, i: int, env: Environment) -> Any:
        match node:
            case Dataset():
                return self.events[i]
            case Field():
                return deep(self.value(node.of, i, env), len(node.of.type.axes) - 1, lambda r: self._member(r, node))
            case Filter(at=0):
                return self.value(node.of, self.kept(node)[i], env)
            case Filter():
                mask = self.any_value(node.mask, i, env)
                return masked(self.value(node.of, i, env), mask, node.at, max(len(node.mask.type.axes) - 1, 0))
            case Bound():
                element = env[Loop(node.of.type.axes[1], node.level)]
                return self.value(node.of, i, env)[element]
            case Map():
                return self._map(node, i, env)
            case Call():
                return self._call(node, i, env)
            case Literal() | Input():
                raise AssertionError(f"{node} has no events")

    def _member(self, record: Mapping[str, Any] | None, node: Field) -> Any:
        if record is None:
            return None
        below = len(node.type.axes) - len(node.of.type.axes)
        return deep(record[node.name], below, lambda v: cast(v, node.type.item))

    def _map(self, node: Map, i: int, env: Environment) -> Any:
        over = self.value(node.over, i, env)
        loop = Loop(node.over.type.axes[1], node.level)
        return [self.any_value(node.body, i, {**env, loop: k}) for k in range(len(over))]

    def _call(self, node: Call, i: int, env: Environment) -> Any:  # noqa: C901, PLR0911
        if isinstance(node.function, UserFunction) or FUNCTIONS[node.function].kind == "elementwise":
            return self._broadcast(node, i, env, lambda *args: self._element(node, args))
        first = node.args[0]
        depth = len(first.type.axes) - 1
        match node.function:
            case "record":
                names = node.option("names")
                return self._broadcast(node, i, env, lambda *parts: dict(zip(names, parts, strict=True)), own_axes_only=True)
            case "pick":
                absent = _absent(first, node.option("at"))
                return deep(self.value(first, i, env), node.option("at") - 1, lambda x: picked(x, node.option("index"), absent))
            case "slice" if node.option("at") == 0:
                return self.value(first, self.kept(node)[i], env)
            case "slice":
                start, stop, step = (node.option(k) for k in ("start", "stop", "step"))
                return deep(self.value(first, i, env), node.option("at") - 1, lambda x: sliced(x, slice(start, stop, step)))
            case "gather":
                return self._gather(node, i, env)
            case "concatenate":
                at = node.option("at")
                parts = [self.value(a, i, env) for a in node.args]
                return broadcast(
                    lambda *lists: [deep(v, len(node.type.axes) - at - 1, lambda x: _as(x, node)) for x in lists for v in x],
                    parts,
                    [at - 1] * len(parts),
                )
            case "flatten":
                return deep(self.value(first, i, env), depth - 2, flattened)
            case "replace":
                return self._broadcast(node, i, env, lambda *parts: _replaced(node, *parts), own_axes_only=True)
            case "referring":
                return deep(self.value(first, i, env), depth - 1, referring)
            case str(name):
                how = listed if FUNCTIONS[name].kind == "list" else reduced
                return deep(self.value(first, i, env), depth - 1, lambda x: how(name, x, node.type.item, dict(node.options)))

    def _gather(self, node: Call, i: int, env: Environment) -> Any:
        of, index = node.args
        at = node.option("at")
        indices = self.any_value(index, i, env)
        if at == 0:
            every = self.whole(of)
            return deep(indices, len(index.type.axes) - 1, lambda k: gathered(every, k, 0))
        below = max(len(index.type.axes) - at, 0)
        absent = _absent(of, at)
        return broadcast(
            lambda x, k: gathered(x, k, below, absent),
            [self.value(of, i, env), indices],
            [at - 1, max(min(at, len(index.type.axes)) - 1, 0)],
        )

    def _broadcast(self, node: Call, i: int, env: Environment, f: Any, *, own_axes_only: bool = False) -> Any:
        values = [self.any_value(a, i, env) for a in node.args]
        depths = [max(len(a.type.axes) - 1, 0) for a in node.args]
        if isinstance(node.function, UserFunction):  # what takes lists gets the innermost ones whole
            depths = [d - (p in node.function.lists) for d, p in zip(depths, node.function.parameters, strict=True)]
        if own_axes_only:
            # A part that is deeper than the record is a list in it.
            depths = [min(d, len(node.type.axes) - 1) for d in depths]
        return broadcast(f, values, depths)

    def _element(self, node: Call, args: Sequence[Any]) -> Any:
        if isinstance(node.function, UserFunction):
            assert node.function.body is not None, f"{node.function.name} has no body"
            if any(a is None for a in args):
                return None
            # What a parameter is declared to take is what the body gets.
            f = node.function
            whole = [p in f.lists for p in f.parameters]
            given = [
                np.array([cast(v, to) for v in a], str(to)) if w else a if to is None else cast(a, to)
                for a, to, w in zip(args, f.accepts, whole, strict=True)
            ]
            return cast(node.function.body(*given), node.type.item)
        weak = [isinstance(a, Literal) and not a.dtype for a in node.args]
        return elementwise(node.function, args, weak, node.type.item, dict(node.options))


def _as(value: Any, joined: Call) -> Any:
    """Give an entry of one part as the kind of all."""
    item = joined.type.item
    return value if value is None or isinstance(item, Record) else cast(value, item)


def _replaced(node: Call, record: Any, *values: Any) -> Any:
    """Give an object with members replaced, added and hidden; one that is missing has none."""
    if record is None:
        return None
    kept = {n: v for n, v in record.items() if n not in node.option("hidden")}
    return {**kept, **dict(zip(node.option("names"), values, strict=True))}


def _absent(of: Expr, at: int) -> Any:
    """Give what stands for an entry that is not there: a missing value, or an empty list where the entries are lists."""
    return [] if len(of.type.axes) > at + 1 else None


def _axis(node: Expr) -> Any:
    return node.at if isinstance(node, Filter) else node.option("at") if isinstance(node, Call) else None
