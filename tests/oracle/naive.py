"""The user's language, executed at once: a frame of plain Python lists that the same source text runs on as on a `DataFrame`.

It knows nothing of expressions. Objects are dicts, and a column is one more entry of them: filtering selects dicts, so a column is
a property of the element. A lambda is called once for each element of each event.

Besides the events of the table each frame holds one phantom event, in which every list has one element, filters keep everything and
an index always finds something. It tells how deep the result of a lambda is nested where no event has an element to call it with.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.expr.types import Record
from oracle.lists import broadcast, deep, gathered, picked
from oracle.naive_items import VECTOR, aggregate, applied, is_known, item_of, prototype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oracle.tables import Table

PHANTOM = -1
_NO_EVENT = -2
_AGGREGATES = ("Count", "Sum", "Prod", "Max", "Min", "Any", "All", "Mean", "ArgMax", "ArgMin")
_OPERATORS = (
    "add:add sub:subtract mul:multiply truediv:true_divide floordiv:floor_divide mod:remainder pow:power and:bitwise_and or:bitwise_or "
    "xor:bitwise_xor lt:less le:less_equal gt:greater ge:greater_equal eq:equal ne:not_equal"
)


@dataclass(frozen=True)
class Shared:
    """What all frames of a table know: how many lists each name adds, the events of the lambdas that are
    being called, the aliases, and the events."""

    levels: dict[str, int]
    inside: list[int]
    aliases: dict[str, Callable[[Naive], Naive]]
    events: dict[int, Any]


class Naive:
    """Values by event number, nested ``depth`` lists deep; ``element`` marks what a lambda holds: one event's part."""

    def __init__(self, values: dict[int, Any], depth: int, shared: Shared, *, element: bool = False) -> None:
        self.values = values
        self.depth = depth
        self.shared = shared
        self.element = element

    @classmethod
    def of(cls, table: Table) -> Naive:
        """Give the frame of a table."""
        events = {i: item_of(table.record, e) for i, e in enumerate(table.events)}
        every = {**events, PHANTOM: prototype(table.record)}
        shared = Shared(dict.fromkeys((*VECTOR, "part"), 0), [], {}, every)
        _note_levels(table.record, shared.levels)
        return cls(dict(every), 0, shared)

    def result(self) -> Any:
        """Give the value as plain data, without the phantom."""
        if _NO_EVENT in self.values:
            return self.values[_NO_EVENT]
        return [v for i, v in self.values.items() if i != PHANTOM]

    # ------------------------------------------------------------------------------------------------- names and columns

    def __getattr__(self, name: str) -> Any:
        synonym = {"count": "Count", "first": "First", "sum": "Sum", "max": "Max", "min": "Min", "any": "Any", "all": "All"}
        if name in synonym:
            return getattr(self, synonym[name])
        if name in _AGGREGATES:
            return lambda: self._aggregate(name.lower())
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.shared.aliases:
            return self.shared.aliases[name](self)
        added = self.shared.levels[name]
        absent: Any = [] if added else None
        found = {i: deep(v, self.depth, lambda x: absent if x is None else x[name]) for i, v in self.values.items()}
        return Naive(found, self.depth + added, self.shared, element=self.element)

    def __setitem__(self, name: str, value: Any) -> None:
        if callable(value):
            value = self.map(value) if self.depth else value(self)
        self.shared.levels[name] = max(value.depth - self.depth, 0)
        for i, objects in self.values.items():
            # A column that is shallower than the objects is the same for each of them.
            broadcast(
                lambda x, v: x.__setitem__(name, copy.copy(v)) if x is not None else None,
                [objects, value.values[i] if i in value.values else value.values[_NO_EVENT]],
                [self.depth, min(value.depth, self.depth)],
            )

    def get(self, name: str, default: Any) -> Naive:
        """Give a leaf of a table whose events were completed with the default where their file lacks it."""
        del default
        return getattr(self, name)  # type: ignore[no-any-return]

    def With(self, **leaves: Any) -> Naive:
        """Give copies of the objects, or events with other collections: columns that use a replaced leaf are not drawn."""
        new = Naive(
            {i: deep(v, self.depth, copy.copy) for i, v in self.values.items()}, self.depth, self.shared, element=self.element
        )
        around = {n: self if self.depth else getattr(self, n) for n in leaves}
        found = {name: value(around[name]) if callable(value) else value for name, value in leaves.items()}
        for name, value in found.items():
            new[name] = value
        return new

    # -------------------------------------------------------------------------------------------------------- selections

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return getattr(self, key)
        if isinstance(key, slice):
            return self._sliced(key)
        if isinstance(key, Naive):
            return self._masked(key)
        return self._picked(key) if isinstance(key, int) else self[key(self)]

    def Where(self, condition: Any) -> Any:
        return self[condition]

    def First(self) -> Naive:
        return self[0]

    def _masked(self, key: Naive) -> Naive:
        here, masks = self._beside(key)
        if isinstance(_any_item(key.values), np.integer):
            return here._gathered(masks)
        if not here.depth:
            return Naive({i: v for i, v in here.values.items() if i == PHANTOM or masks.values[i] is True}, 0, self.shared)

        def keep(values: list[Any], mask: Any) -> list[Any]:
            each = mask if masks.depth >= here.depth else [mask] * len(values)
            return [v for v, m in zip(values, each, strict=True) if m is True]

        depths = [here.depth - 1, min(masks.depth, here.depth - 1)]
        found = {i: v if i == PHANTOM else broadcast(keep, [v, masks.values[i]], depths) for i, v in here.values.items()}
        return Naive(found, here.depth, self.shared, element=here.element)

    def _gathered(self, key: Naive) -> Naive:
        around = self.depth - 1
        found = {}
        for i, v in self.values.items():
            index = deep(key.values[i], key.depth, lambda k: 0 if k is not None else None) if i == PHANTOM else key.values[i]
            found[i] = broadcast(lambda x, k: gathered(x, k, key.depth - around), [v, index], [around, around])
        return Naive(found, key.depth, self.shared, element=self.element)

    def _sliced(self, key: slice) -> Naive:
        if not self.depth:
            numbers = [i for i in self.values if i != PHANTOM][key]
            return Naive({i: self.values[i] for i in [*numbers, PHANTOM]}, 0, self.shared)
        found = {i: v if i == PHANTOM else deep(v, self.depth - 1, lambda x: x[key]) for i, v in self.values.items()}
        return Naive(found, self.depth, self.shared, element=self.element)

    def _picked(self, index: int) -> Naive:
        found = {i: deep(v, self.depth - 1, lambda x, k=0 if i == PHANTOM else index: picked(x, k)) for i, v in self.values.items()}
        return Naive(found, self.depth - 1, self.shared, element=self.element)

    # ------------------------------------------------------------------------------- pairs, order, choice, positions

    def Combinations(self, n: int, fields: Sequence[str]) -> Naive:
        def groups(x: list[Any], i: int) -> list[Any]:
            return [dict(zip(fields, g, strict=True)) for g in ([x * n] if i == PHANTOM else itertools.combinations(x, n))]

        self.shared.levels.update(dict.fromkeys(fields, 0))
        return self._of_lists(groups)

    def Cartesian(self, other: Naive, fields: Sequence[str]) -> Naive:
        self.shared.levels.update(dict.fromkeys(fields, 0))
        here, there = self._beside(other)
        found = {
            i: [dict(zip(fields, g, strict=True)) for g in itertools.product(v, there.values[i])] for i, v in here.values.items()
        }
        return Naive(found, here.depth, self.shared, element=here.element)

    def MinBy(self, key: Any) -> Naive:
        return self._chosen(key, 1)

    def MaxBy(self, key: Any) -> Naive:
        return self._chosen(key, -1)

    def _chosen(self, key: Any, sign: int, below: float | None = None) -> Naive:
        """Give the first element with the smallest key, times the sign."""
        here, keys = self._beside(key(self) if callable(key) else key)

        def first(values: list[Any], numbers: list[Any]) -> Any:
            known = [(sign * float(k), i) for i, k in enumerate(numbers) if is_known(k) and (below is None or k < below)]
            return values[min(known)[1]] if known else None

        around = here.depth - 1
        found = {i: broadcast(first, [v, keys.values[i]], [around, around]) for i, v in here.values.items() if i != PHANTOM}
        phantom = {i: deep(v, around, lambda x: x[0]) for i, v in here.values.items() if i == PHANTOM}
        return Naive(found | phantom, around, self.shared, element=here.element)

    def OrderBy(self, key: Any, *, descending: bool = False) -> Naive:
        here, keys = self._beside(key(self) if callable(key) else key)

        def ordered(values: list[Any], numbers: list[Any]) -> list[Any]:
            known = sorted(
                [i for i, k in enumerate(numbers) if is_known(k)], key=lambda i: float(numbers[i]) * (-1 if descending else 1)
            )
            return [values[i] for i in [*known, *[i for i, k in enumerate(numbers) if not is_known(k)]]]

        around = here.depth - 1
        found = {i: broadcast(ordered, [v, keys.values[i]], [around, around]) for i, v in here.values.items()}
        return Naive(found, here.depth, self.shared, element=here.element)

    def Nearest(self, other: Naive, *, key: Any, within: float) -> Naive:
        return self.map(lambda x: other._chosen(key(x, other), 1, within))

    def Index(self) -> Naive:
        return self._of_lists(lambda x, _: [np.int64(k) for k in range(len(x))])

    def Pad(self, n: int) -> Naive:
        return self._of_lists(lambda x, i: x if i == PHANTOM else [*x, *[None] * n][:n])

    def Event(self) -> Naive:
        found = {i: deep(v, self.depth, lambda _, i=i: self.shared.events[i]) for i, v in self.values.items()}
        return Naive(found, self.depth, self.shared, element=self.element)

    def _of_lists(self, f: Callable[[list[Any], int], list[Any]]) -> Naive:
        found = {i: deep(v, self.depth - 1, lambda x, i=i: f(x, i)) for i, v in self.values.items()}
        return Naive(found, self.depth, self.shared, element=self.element)

    # --------------------------------------------------------------------------------------------------------- functions

    def map(self, f: Callable[[Naive], Any]) -> Naive:
        depth = 0
        shared = self.shared

        def one(i: int, x: Any) -> Any:
            nonlocal depth
            shared.inside.append(i)
            body = f(Naive({i: x}, self.depth - 1, shared, element=True))
            shared.inside.pop()
            if isinstance(body, tuple):
                body = {str(k): b for k, b in enumerate(body)}
            if isinstance(body, dict):
                return {name: _in_event(b, i) for name, b in body.items()}
            depth = body.depth if isinstance(body, Naive) else 0
            return _in_event(body, i)

        # A whole collection in another lambda is that of the lambda's event.
        numbers = shared.inside[-1:] or list(self.values)
        found = {i: [one(i, x) for x in self.values[i]] for i in numbers}
        return Naive(found, 1 + depth, shared, element=bool(shared.inside))

    def _aggregate(self, name: str) -> Naive:
        if self.depth:
            found = {i: deep(v, self.depth - 1, lambda x: aggregate(name, x)) for i, v in self.values.items()}
            return Naive(found, self.depth - 1, self.shared, element=self.element)
        assert not self.element, f"{name} requires a sequence"
        return Naive({_NO_EVENT: aggregate(name, self.result())}, 0, self.shared)

    def DeltaR(self, other: Naive) -> Naive:
        return _call("delta_r", self.eta, self.phi, other.eta, other.phi)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Naive:
        return _call({"divide": "true_divide"}.get(ufunc.__name__, ufunc.__name__), *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Naive:
        return _call(func.__name__, *args)

    def __abs__(self) -> Naive:
        return _call("absolute", self)

    def __neg__(self) -> Naive:
        return _call("negative", self)

    def __invert__(self) -> Naive:
        return _call("invert", self)

    __hash__ = None  # type: ignore[assignment]

    def _beside(self, other: Naive) -> tuple[Naive, Naive]:
        """Give both over the events that both have: those of the element where one of them is one."""
        numbers = _events_of([self, other])
        return self._over(numbers), other._over(numbers)

    def _over(self, numbers: list[int]) -> Naive:
        only = self.values.get(_NO_EVENT)
        assert _NO_EVENT in self.values or set(numbers) <= set(self.values), "two selections of events meet"
        found = {i: only if _NO_EVENT in self.values else self.values[i] for i in numbers}
        return Naive(found, self.depth, self.shared, element=self.element or bool(self.shared.inside))


def _events_of(frames: Sequence[Naive]) -> list[int]:
    """Give the events of an operation: that of an element, else those of the table, else none."""
    ranked = max(frames, key=lambda f: (f.element, _NO_EVENT not in f.values))
    return list(ranked.values)


def _forward(name: str) -> Any:
    return lambda self, other: _call(name, self, other)


def _backward(name: str) -> Any:
    return lambda self, other: _call(name, other, self)


for _pair in _OPERATORS.split():
    _dunder, _name = _pair.split(":")
    setattr(Naive, f"__{_dunder}__", _forward(_name))
    setattr(Naive, f"__r{_dunder}__", _backward(_name))


def _call(name: str | Callable[..., Any], *args: Any) -> Naive:
    """Apply a function of single values to frames and constants."""
    frames = [a for a in args if isinstance(a, Naive)]
    numbers = _events_of(frames)
    over = [a._over(numbers) if isinstance(a, Naive) else a for a in args]
    depths = [a.depth if isinstance(a, Naive) else 0 for a in over]

    def one(*items: Any) -> Any:
        return applied(name, items)

    found = {i: broadcast(one, [a.values[i] if isinstance(a, Naive) else a for a in over], depths) for i in numbers}
    return Naive(found, max(depths), frames[0].shared, element=any(f.element for f in frames))


def _any_item(values: Any) -> Any:
    """Give one of the items; the phantom has one."""
    while isinstance(values, dict | list):
        found = [
            v for v in (values.values() if isinstance(values, dict) else values) if v is not None and (v or not isinstance(v, list))
        ]
        values = found[-1] if found else None
    return values


def joined(one: Naive, other: Naive) -> Naive:
    """Give the elements of two collections as one: the numbers that both have, and where each element is from."""
    here, there = one._beside(other)
    examples = [x.values[PHANTOM][0] for x in (here, there)]
    kinds = {n: np.result_type(*[x[n] for x in examples]) for n in ("pt", "eta", "phi", "mass")}

    def of(x: dict[str, Any], part: int) -> dict[str, Any]:
        return {n: kind.type(x[n]) for n, kind in kinds.items()} | {"part": np.int64(part)}

    found = {i: [of(x, part) for part, values in enumerate((v, there.values[i])) for x in values] for i, v in here.values.items()}
    found[PHANTOM] = found[PHANTOM][:1]
    return Naive(found, 1, one.shared)


def lifted(f: Callable[..., Any]) -> Callable[..., Naive]:
    """Give what `user_func` makes of a function that declares all its arguments as floats."""
    return lambda *args: _call(lambda *items: f(*[np.float64(i) for i in items]), *args)


def lifted_of_lists(f: Callable[..., Any]) -> Callable[..., Naive]:
    """Give what `user_func` makes of a function that takes the whole innermost list, as floats."""

    def call(of: Naive) -> Naive:
        def one(values: list[Any]) -> Any:
            return np.float64(f(np.array(values, np.float64)))

        found = {i: deep(v, of.depth - 1, one) for i, v in of.values.items()}
        return Naive(found, of.depth - 1, of.shared, element=of.element)

    return call


def _in_event(value: Any, i: int) -> Any:
    if not isinstance(value, Naive):
        return value
    return value.values[i] if i in value.values else value.values[_NO_EVENT]


def _note_levels(record: Record, levels: dict[str, int]) -> None:
    for name, member in record.members.items():
        levels[name] = len(member.axes)
        if isinstance(member.item, Record):
            _note_levels(member.item, levels)
