"""Evaluate expressions: one walk from the leaves up, each distinct node once.

`Bound` makes each element of a collection an entry of a deeper frame and copies nothing; `Map` turns the entries into list items
again. Between the two, the same functions work as outside of any loop, on all elements of all events at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from hep_flows.errors import PluginError, TaskError
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Int, Loop, Record, String
from hep_flows.expr.walk import postorder, uses
from hep_flows.plugins.awkward import structure, totals
from hep_flows.plugins.awkward.align import Argument, aligned, constant, one_for_each_list, spread
from hep_flows.plugins.awkward.calls import elementwise_call
from hep_flows.plugins.awkward.needed_leaves import needed_fields
from hep_flows.plugins.awkward.reduce import reduced
from hep_flows.plugins.awkward.strings import repeated
from hep_flows.plugins.awkward.values import Constant, Lists, Selection, Value, dtype_of, selected, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.plugins.awkward.frames import Frame, Frames
    from hep_flows.plugins.awkward.leaves import Leaves
    from hep_flows.plugins.awkward.values import Mask


def evaluate(roots: Sequence[Expr], leaves: Leaves, frames: Frames, cancelled: Callable[[], bool]) -> dict[bytes, Argument]:
    """Give the values of expressions, by key; what they share is computed once, and let go after its last use.

    Raises
    ------
    TaskError
        When a function cannot be computed; it names the user's line.
    """
    evaluation = _Evaluation(leaves, frames)
    kept = {r.key for r in roots}
    needed = needed_fields(roots)
    left = uses(*roots)
    values = evaluation.values
    with np.errstate(all="ignore"):
        for node in postorder(*roots):
            if cancelled():
                raise TaskError("the run was cancelled", where=node.where)
            if not isinstance(node, Field) or node.key in needed:
                values[node.key] = _located(evaluation, node)
            for i in node.inputs():
                left[i.key] -= 1
                if not left[i.key] and i.key not in kept:
                    values.pop(i.key, None)
    return values


def _located(evaluation: _Evaluation, node: Expr) -> Argument:
    """Evaluate a node; an error says where the user wrote it."""
    try:
        return evaluation.value(node)
    except TaskError as error:
        if error.where is not None or node.where is None:
            raise
        raise TaskError(error.what, where=node.where, why=error.why, do=error.do) from error.__cause__
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise TaskError(f"{_title(node)} cannot be computed", where=node.where, why=str(error)) from error


def _title(node: Expr) -> str:
    if isinstance(node, Call):
        return node.function.name if isinstance(node.function, UserFunction) else node.function
    return node.name if isinstance(node, Field) else f"a {node.tag}"


class _Evaluation:
    """The values of one evaluation, and the selections that its leaves share."""

    def __init__(self, leaves: Leaves, frames: Frames) -> None:
        self.values: dict[bytes, Argument] = {}
        self._leaves = leaves
        self._frames = frames
        self._selections: dict[tuple[object, ...], Selection] = {}
        self._joined: dict[tuple[Lists, ...], tuple[Lists, ...]] = {}

    def value(self, node: Expr) -> Argument:
        """Give the value of a node whose inputs have theirs."""
        match node:
            case Dataset():
                return self._leaves.table(node)
            case Field():
                return self._leaves.field(node)
            case Literal():
                return Constant(node.value, weak=not node.dtype)
            case Input():
                return self._leaves.result(node)
            case Filter():
                return self._filter(node)
            case Bound():
                return self._bound(node)
            case Map():
                return self._map(node)
            case Call():
                return self._call(node)
            case _:
                assert_never(node)

    def _of(self, node: Expr) -> Value:
        """Give the value of an input that has events."""
        found = self.values[node.key]
        if not isinstance(found, Value):
            raise PluginError(f"{node.type} was expected to have events", where=node.where)
        return found

    def _frame(self, node: Expr) -> Frame:
        return self._frames.frame(node.type.axes[0].key, node.type.loops)

    def _selection(self, key: tuple[object, ...], made: Callable[[], Selection]) -> Selection:
        """Give a selection that was made before for another leaf of the same lists, or make it."""
        found = self._selections.get(key)
        if found is None:
            found = self._selections[key] = made()
        return found

    def _bound(self, node: Bound) -> Value:
        of = self._of(node.of)
        loop = Loop(node.of.type.axes[1], node.level)
        if node.type.loops[-1] != loop:
            raise PluginError("a loop depends on a loop inside of it", where=node.where)
        self._frames.enter(of, loop)
        return Value(self._frame(node), of.axes[1:], of.data, of.valid)

    def _map(self, node: Map) -> Value:
        loop = Loop(node.over.type.axes[1], node.level)
        self._frames.enter(self._of(node.over), loop)
        outer = self._frame(node)
        frame = self._frames.frame(outer.events, (*outer.loops, loop))
        assert frame.lists is not None
        body = self.values[node.body.key]
        if isinstance(body, Constant):
            data, valid = self._repeated(body, node, frame.size)
            return Value(outer, (frame.lists,), data, valid)
        inner = self._frames.lifted(body, frame)
        return Value(outer, (frame.lists, *inner.axes), inner.data, inner.valid)

    def _repeated(self, body: Constant, node: Map, size: int) -> tuple[Any, Mask | None]:
        item = node.type.item
        flat = constant(body, item, size)
        if isinstance(item, String):
            return repeated(flat.data, size), flat.valid
        return np.full(size, flat.data, dtype=dtype_of(item)), flat.valid

    def _filter(self, node: Filter) -> Value:
        of = self._of(node.of)
        if node.at == 0:
            return self._event_filter(node, of)
        frame = self._frame(node)
        of = self._frames.lifted(of, frame)
        at = node.at - 1
        key = ("filter", node.mask.key, at, frame, of.axes)
        return selected(of, self._selection(key, lambda: structure.filtered(of.axes, at, self._keep(node, of, at))), frame)

    def _keep(self, node: Filter, of: Value, at: int) -> Mask:
        mask = self.values[node.mask.key]
        size = of.axes[at].n_items
        if isinstance(mask, Constant):
            return np.full(size, bool(mask.value))
        flat = spread(self._frames.lifted(mask, of.frame), of.axes[: at + 1])
        data: Mask = flat.data
        return data if flat.valid is None else data & flat.valid

    def _event_filter(self, node: Filter, of: Value) -> Value:
        mask = self.values[node.mask.key]

        def made() -> Selection:
            if isinstance(mask, Constant):
                keep = np.full(of.frame.size, bool(mask.value))
            else:
                keep = mask.data if mask.valid is None else mask.data & mask.valid
                if len(keep) != of.frame.size:
                    raise TaskError(f"a mask of {len(keep)} events meets {of.frame.size} events")
            return take(of.axes, np.flatnonzero(keep))

        if isinstance(mask, Value):
            self._frames.lifted(mask, of.frame)
        return self._new_events(node, of, self._selection(("events", node.mask.key, of.frame, of.axes), made))

    def _new_events(self, node: Expr, of: Value, selection: Selection) -> Value:
        n_events = len(selection.axes[0].starts) if selection.axes else len(selection.index)
        return selected(of, selection, self._frames.root(node.type.axes[0].key, n_events))

    def _call(self, node: Call) -> Argument:
        match node.function:
            case "pick":
                return self._pick(node)
            case "slice":
                return self._slice(node)
            case "gather":
                return self._gather(node)
            case "flatten":
                return self._flatten(node)
            case _:
                return self._of_items(node)

    def _flatten(self, node: Call) -> Value:
        of = self._of(node.args[0])
        axes = self._joined.get(of.axes)
        if axes is None:
            axes = self._joined[of.axes] = structure.flattened(of.axes)
        return replace(of, axes=axes)

    def _of_items(self, node: Call) -> Argument:
        if isinstance(node.function, str) and FUNCTIONS[node.function].kind == "reduce":
            return self._reduce(node, node.function)
        if node.function == "record":
            return self._record(node)
        arguments = [self.values[a.key] for a in node.args]
        together = aligned(self._frames, arguments, [a.type.item for a in node.args], node.type.loops)
        return elementwise_call(node, together)

    def _record(self, node: Call) -> Argument:
        """Give the structure of a record; its members are put together at the end."""
        if not (axes := node.type.axes):
            return Constant(True)
        whole = self._of(next(a for a in node.args if len(a.type.axes) >= len(axes)))
        lifted = self._frames.lifted(whole, self._frame(node))
        return Value(lifted.frame, lifted.axes[: len(axes) - 1], None)

    def _reduce(self, node: Call, name: str) -> Argument:
        of = self._of(node.args[0])
        if not node.type.axes:
            merge = FUNCTIONS[name].merge
            assert merge is not None
            return Constant(merge([totals.part(name, of)]))
        data, valid = reduced(name, of.axes[-1], of.data, of.valid, node.type.item)
        return Value(of.frame, of.axes[:-1], data, valid)

    def _pick(self, node: Call) -> Argument:
        of = self._of(node.args[0])
        options: dict[str, Any] = dict(node.options)
        if options["at"] == 0:
            return self._item(of, options["index"], node)
        at = options["at"] - 1
        key = ("pick", options["index"], at, of.frame, of.axes)
        return selected(of, self._selection(key, lambda: structure.picked(of.axes, at, options["index"])), of.frame)

    def _item(self, of: Value, index: int, node: Call) -> Constant:
        """Give the item of one event, missing where there is none."""
        size = of.frame.size
        if not -size <= index < size or (of.valid is not None and not of.valid[index]):
            return Constant(None)
        return Constant(True if isinstance(node.type.item, Record) else of.data[index])

    def _slice(self, node: Call) -> Value:
        of = self._of(node.args[0])
        options: dict[str, Any] = dict(node.options)
        bounds = (options["start"], options["stop"], options["step"])
        if options["at"] == 0:
            index = np.arange(of.frame.size)[slice(*bounds)]
            key: tuple[object, ...] = ("slice events", bounds, of.frame, of.axes)
            return self._new_events(node, of, self._selection(key, lambda: take(of.axes, index)))
        at = options["at"] - 1
        key = ("slice", bounds, at, of.frame, of.axes)
        return selected(of, self._selection(key, lambda: structure.sliced(of.axes, at, bounds)), of.frame)

    def _gather(self, node: Call) -> Argument:
        of, index_node = self._of(node.args[0]), node.args[1]
        index = self.values[index_node.key]
        item = index_node.type.item
        refers = isinstance(item, Int) and bool(item.refers_to)
        options: dict[str, Any] = dict(node.options)
        if options["at"] == 0:
            return self._events_at(of, index, node, negative_is_missing=refers)
        frame = self._frame(node)
        of, at = self._frames.lifted(of, frame), options["at"] - 1
        index = one_for_each_list(index, of, at) if isinstance(index, Constant) else self._frames.lifted(index, frame)
        if len(index.axes) < at:
            flat = spread(index, of.axes[:at])
            index = replace(index, axes=of.axes[:at], data=flat.data, valid=flat.valid)
        for mine, theirs in zip(of.axes[:at], index.axes[:at], strict=True):
            if not mine.holds_the_same_numbers_as(theirs):
                raise TaskError("an index has lists of other lengths than what it points into", where=node.where)

        def made() -> Selection:
            return structure.gathered(of.axes, at, index.axes, index.data, index.valid, negative_is_missing=refers)

        return selected(of, self._selection(("gather", index_node.key, at, frame, of.axes), made), frame)

    def _events_at(self, of: Value, index: Argument, node: Call, *, negative_is_missing: bool) -> Argument:
        """Give the items of the events that an index names."""
        if isinstance(index, Constant):
            if index.value is None or (negative_is_missing and index.value < 0):
                return Constant(None)
            return self._item(of, int(index.value), node)
        events = (Lists(np.asarray([0, of.frame.size], dtype=np.int64)), *of.axes)
        everything = (Lists(np.asarray([0, index.n_items], dtype=np.int64)),)
        found = structure.gathered(events, 0, everything, index.data, index.valid, negative_is_missing=negative_is_missing)
        return selected(of, replace(found, axes=found.axes[1:]), index.frame, index.axes)
