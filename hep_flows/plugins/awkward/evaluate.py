"""Evaluate expressions: one walk from the leaves up, each distinct node once.

`Bound` makes each element of a collection an entry of a deeper frame and copies nothing; `Map` turns the entries into list items
again. Between the two, the same functions work as outside of any loop, on all elements of all events at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

import awkward as ak
import numpy as np

from hep_flows.contract import Columns, Scalar
from hep_flows.errors import PluginError, TaskError
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Int, Loop, Record, String
from hep_flows.expr.walk import postorder, uses
from hep_flows.plugins.awkward import reduce
from hep_flows.plugins.awkward.functions import ForUser, ListsOf, elementwise_call, repeated
from hep_flows.plugins.awkward.needed import Output, leaves_of, needed_fields, output_of, path_of
from hep_flows.plugins.awkward.reduce import combinations, list_of_each, reduced
from hep_flows.plugins.awkward.values import (
    Argument,
    Constant,
    Flat,
    Frames,
    Lists,
    Selection,
    Value,
    aligned,
    composed,
    constant,
    dtype_of,
    items_at,
    joined_items,
    kept_lists,
    offsets_of,
    one_for_each_list,
    selected,
    spread,
    take,
    texts,
)
from hep_flows.sources.read import Lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.contract import Key, Partition, Result, RunContext, Slice, Task
    from hep_flows.expr.types import Axis, Item, Type
    from hep_flows.plugins.awkward.needed import Path
    from hep_flows.plugins.awkward.values import Frame, Indices, Mask

    Read = Callable[[Dataset, Partition, Sequence[Path]], Mapping[Path, Any]]
    Evaluate = Callable[[Sequence[Expr], "Leaves", Frames, Callable[[], bool]], dict[bytes, Argument]]

# Functions that choose items and keep, remove or add lists; each says which items come next, and never looks at them -------------

Axes = tuple[Lists, ...]
Bounds = tuple[int | None, int | None, int | None]


def filtered(axes: Axes, at: int, keep: Mask) -> Selection:
    """Keep the items of own axis ``at`` where the mask is true."""
    within = take(axes[at + 1 :], np.flatnonzero(keep))
    return Selection((*axes[:at], kept_lists(axes[at], keep), *within.axes), within.index)


def picked(axes: Axes, at: int, index: int) -> Selection:
    """Take one item of each list of own axis ``at``, from the end when the number is negative."""
    lists = axes[at]
    if index >= 0:
        chosen = lists.starts + index
        present = lists.counts > index
    else:
        chosen = lists.offsets[1:] + index
        present = lists.counts >= -index
    within = take(axes[at + 1 :], chosen, None if present.all() else present)
    return Selection((*axes[:at], *within.axes), within.index, within.present)


def sliced(axes: Axes, at: int, bounds: Bounds) -> Selection:
    """Take a Python slice of each list of own axis ``at``."""
    lists = axes[at]
    first, counts, step = slice_of(lists.counts, bounds)
    new = Lists(offsets_of(counts))
    chosen = np.repeat(lists.starts + first, counts) + step * new.positions
    within = take(axes[at + 1 :], chosen)
    return Selection((*axes[:at], new, *within.axes), within.index)


def slice_of(counts: Indices, bounds: Bounds) -> tuple[Indices, Indices, int]:
    """Give where a slice of lists of these lengths begins in each list, how many items it has, and its step."""
    start, stop, step = bounds
    step = 1 if step is None else step
    lowest = 0 if step > 0 else -1
    highest = counts + lowest
    begin = _bound(start, counts, lowest, highest, 0 if step > 0 else highest)
    end = _bound(stop, counts, lowest, highest, highest if step > 0 else -1)
    length = (end - begin + step - 1) // step if step > 0 else (begin - end - step - 1) // -step
    return begin, np.maximum(length, 0), step


def _bound(bound: int | None, counts: Indices, lowest: int, highest: Indices, default: int | Indices) -> Indices:
    if bound is None:
        return np.broadcast_to(np.asarray(default, dtype=np.int64), counts.shape)
    if bound >= 0:
        return np.minimum(min(bound, np.iinfo(np.int64).max), highest)
    return np.maximum(counts + max(bound, np.iinfo(np.int64).min // 2), lowest)


def gathered(axes: Axes, at: int, index_axes: Axes, index: Indices, valid: Mask | None) -> Selection:
    """Take, for each index, that item of the list of own axis ``at`` that the index lies in; there is none below 0 or beyond the end."""
    lists = axes[at]
    counts, starts = lists.counts, lists.starts
    if len(index_axes) > at:
        own = Lists(composed(index_axes[at:])) if len(index_axes) > at + 1 else index_axes[at]
        counts, starts = counts.take(own.parents), starts.take(own.parents)
    if index.dtype == np.uint64:
        index = np.minimum(index, np.uint64(np.iinfo(np.int64).max))
    index = index.astype(np.int64, copy=False)
    present = (index < counts) & (index >= 0)
    if valid is not None:
        present &= valid
    within = take(axes[at + 1 :], starts + index, None if present.all() else present)
    return Selection((*index_axes, *within.axes), within.index, within.present)


def gathered_inside(axes: Axes, at: int, index_axes: Axes, index: Indices) -> Selection:
    """Take, for each index, that item of the list of own axis ``at`` that the index lies in; there is one for each."""
    starts = axes[at].starts
    if len(index_axes) > at:
        own = Lists(composed(index_axes[at:])) if len(index_axes) > at + 1 else index_axes[at]
        starts = starts.take(own.parents)
    within = take(axes[at + 1 :], starts + index)
    return Selection((*index_axes, *within.axes), within.index)


def concatenated(parts: Sequence[Axes], at: int) -> Selection:
    """Take the items of own axis ``at`` of all parts, list by list: the index counts the items of all parts, one part after the other."""
    counts = sum([axes[at].counts for axes in parts])
    new = Lists(offsets_of(np.asarray(counts)))
    index = np.empty(new.n_items, dtype=np.int64)
    start, before = new.starts, 0
    for axes in parts:
        lists = axes[at]
        index[start[lists.parents] + lists.positions] = np.arange(before, before + lists.n_items)
        start, before = start + lists.counts, before + lists.n_items
    deeper = [Lists(offsets_of(np.concatenate([axes[i].counts for axes in parts]))) for i in range(at + 1, len(parts[0]))]
    within = take(tuple(deeper), index)
    return Selection((*parts[0][:at], new, *within.axes), within.index)


def referring(lists: Lists, index: Indices, valid: Mask | None) -> tuple[Lists, Indices]:
    """Give, for each item, the positions of the items of its list whose index is its position, in order."""
    index = index.astype(np.int64, copy=False)
    usable = (index >= 0) & (index < lists.counts[lists.parents])
    if valid is not None:
        usable &= valid
    who = np.flatnonzero(usable)
    to = lists.starts[lists.parents[who]] + index[who]
    new = Lists(offsets_of(np.bincount(to, minlength=lists.n_items)))
    return new, lists.positions[who[np.argsort(to, kind="stable")]]


def flattened(axes: Axes) -> Axes:
    """Join the two innermost axes."""
    return (*axes[:-2], Lists(composed(axes[-2:])))


def evaluate(roots: Sequence[Expr], leaves: Leaves, frames: Frames, cancelled: Callable[[], bool]) -> dict[bytes, Argument]:
    """Give the values of expressions, by key; what they share is computed once, and let go after its last use.

    Raises
    ------
    TaskError
        When a function cannot be computed; it names the user's line.
    """
    evaluation = Evaluation(leaves, frames)
    kept = {r.key for r in roots}
    needed = needed_fields(roots)
    left = uses(*roots)
    values = evaluation.values
    with np.errstate(all="ignore"):
        for node in postorder(*roots):
            if cancelled():
                raise TaskError("the run was cancelled", where=node.where)
            if not isinstance(node, Field) or node.key in needed:
                values[node.key] = located(evaluation, node)
            for i in node.inputs():
                left[i.key] -= 1
                if not left[i.key] and i.key not in kept:
                    values.pop(i.key, None)
    return values


def located(evaluation: Evaluation, node: Expr) -> Argument:
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


class Evaluation:
    """The values of one evaluation, and the selections that its leaves share."""

    def __init__(self, leaves: Leaves, frames: Frames) -> None:
        self.values: dict[bytes, Argument] = {}
        self._leaves = leaves
        self._frames = frames
        self._selections: dict[tuple[object, ...], Selection] = {}
        self._joined: dict[tuple[Lists, ...], tuple[Lists, ...]] = {}
        self._groups: dict[tuple[Lists, int], tuple[Lists, list[Indices]]] = {}
        self._made: dict[tuple[object, ...], dict[str, Any]] = {}

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
        return selected(of, self._selection(key, lambda: filtered(of.axes, at, self._keep(node, of, at))), frame)

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

    def _call(self, node: Call) -> Argument:  # noqa: PLR0911 - one for each function
        match node.function:
            case "pick":
                return self._pick(node)
            case "slice":
                return self._slice(node)
            case "gather":
                return self._gather(node)
            case "flatten":
                return self._flatten(node)
            case "concatenate":
                return self._concatenate(node)
            case "argcombinations":
                return self._combinations(node)
            case "referring":
                of = self._of(node.args[0])
                lists, places = referring(of.axes[-1], of.data, of.valid)
                return Value(of.frame, (*of.axes, lists), places)
            case "replace":
                # Only the structure is kept: the members are put together at the end.
                whole = self.values[node.args[0].key]
                return self._frames.lifted(whole, self._frame(node)) if isinstance(whole, Value) else whole
            case _:
                return self._of_items(node)

    def _flatten(self, node: Call) -> Value:
        of = self._of(node.args[0])
        axes = self._joined.get(of.axes)
        if axes is None:
            axes = self._joined[of.axes] = flattened(of.axes)
        return replace(of, axes=axes)

    def _concatenate(self, node: Call) -> Value:
        frame, at = self._frame(node), node.option("at")
        assert isinstance(at, int)
        parts = [self._frames.lifted(self._of(a), frame) for a in node.args]
        for part in parts[1:]:
            for mine, theirs in zip(parts[0].axes[: at - 1], part.axes[: at - 1], strict=True):
                if not mine.holds_the_same_numbers_as(theirs):
                    raise TaskError("lists of different lengths are joined", where=node.where)
        axes = tuple([p.axes for p in parts])
        selection = self._selection(("concatenate", at, frame, axes), lambda: concatenated(axes, at - 1))
        return selected(joined_items(parts, node.type.item), selection, frame)

    def _combinations(self, node: Call) -> Value:
        """Give the position of one member of each combination; those of the others are made along with it."""
        of = self._of(node.args[0])
        options: dict[str, Any] = dict(node.options)
        key = (of.axes[-1], options["n"])
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = combinations(*key)
        lists, members = found
        return Value(of.frame, (*of.axes[:-1], lists), members[options["which"]])

    def _of_items(self, node: Call) -> Argument:
        if isinstance(node.function, str) and FUNCTIONS[node.function].kind == "reduce":
            return self._reduce(node, node.function)
        if isinstance(node.function, str) and FUNCTIONS[node.function].kind == "list":
            return self._of_list(node, node.function)
        if node.function == "record":
            return self._record(node)
        arguments = [self.values[a.key] for a in node.args]
        user = self._for_user(node, arguments) if isinstance(node.function, UserFunction) else None
        together = aligned(self._frames, arguments, [a.type.item for a in node.args], node.type.loops)
        return elementwise_call(node, together, user)

    def _for_user(self, node: Call, arguments: list[Argument]) -> ForUser:
        """Take lists out of the arguments of a user's function: each entry gets the number of its list."""
        function = node.function
        assert isinstance(function, UserFunction)
        lists: dict[int, ListsOf] = {}
        for i, name in enumerate(function.parameters):
            of = arguments[i]
            if name in function.lists and isinstance(of, Value):
                *outer, inner = of.axes
                lists[i] = ListsOf(of.data, inner.offsets)
                arguments[i] = Value(of.frame, tuple(outer), np.arange(len(inner.starts)))
        if not function.members:
            return ForUser(lists)
        call = (function.code, function.name, function.mode, *[a.key for a in node.args])
        return ForUser(lists, self._made.setdefault(call, {}))

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
            return Constant(merge([reduce.part(name, of)]))
        data, valid = reduced(name, of.axes[-1], of.data, of.valid, node.type.item, dict(node.options))
        return Value(of.frame, of.axes[:-1], data, valid)

    def _of_list(self, node: Call, name: str) -> Value:
        of = self._of(node.args[0])
        lists, data, valid = list_of_each(name, of.axes[-1], of.data, of.valid, node.type.item, dict(node.options))
        return Value(of.frame, (*of.axes[:-1], lists), data, valid)

    def _pick(self, node: Call) -> Argument:
        of = self._of(node.args[0])
        options: dict[str, Any] = dict(node.options)
        if options["at"] == 0:
            return self._item(of, options["index"], node)
        at = options["at"] - 1
        key = ("pick", options["index"], at, of.frame, of.axes)
        return selected(of, self._selection(key, lambda: picked(of.axes, at, options["index"])), of.frame)

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
        return selected(of, self._selection(key, lambda: sliced(of.axes, at, bounds)), of.frame)

    def _gather(self, node: Call) -> Argument:
        of, index_node = self._of(node.args[0]), node.args[1]
        index = self.values[index_node.key]
        options: dict[str, Any] = dict(node.options)
        if options["at"] == 0:
            return self._events_at(of, index, node)
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
            if "inside" in options:
                return gathered_inside(of.axes, at, index.axes, index.data)
            return gathered(of.axes, at, index.axes, index.data, index.valid)

        return selected(of, self._selection(("gather", index_node.key, at, frame, of.axes), made), frame)

    def _events_at(self, of: Value, index: Argument, node: Call) -> Argument:
        """Give the items of the events that an index names."""
        if isinstance(index, Constant):
            if index.value is None or index.value < 0:
                return Constant(None)
            return self._item(of, int(index.value), node)
        events = (Lists(np.asarray([0, of.frame.size], dtype=np.int64)), *of.axes)
        everything = (Lists(np.asarray([0, index.n_items], dtype=np.int64)),)
        found = gathered(events, 0, everything, index.data, index.valid)
        return selected(of, replace(found, axes=found.axes[1:]), index.frame, index.axes)


# From values back to awkward arrays ----------------------------------------------------------------------------------------------


def array_of(output: Output, values: Mapping[bytes, Argument]) -> Any:
    """Give the awkward array of a result: nested as its type says, of option type where items may be missing."""
    value = values[output.expr.key]
    assert isinstance(value, Value)
    return ak.Array(_layout(output, value, values, None))


def _layout(output: Output, value: Value, values: Mapping[bytes, Argument], around: Value | None) -> Any:
    """Give the layout of a value inside the record around it: only the axes that the record does not have."""
    if isinstance(output.expr.type.item, Record):
        contents = [_layout(m, _within(m, value, values), values, value) for m in output.members.values()]
        content: Any = ak.contents.RecordArray(contents, list(output.members), length=value.n_items)
    elif isinstance(output.expr.type.item, String):
        content = value.data.layout
    else:
        content = ak.contents.NumpyArray(np.ascontiguousarray(value.data))
    depth = 0 if around is None else len(around.axes)
    outer = around.valid if around is not None and depth == len(value.axes) else None
    return _nested(_optional(content, value.valid, outer, declared=output.optional), value.axes[depth:])


def _within(output: Output, record: Value, values: Mapping[bytes, Argument]) -> Value:
    """Give a member with all axes of the record around it; one that has fewer is repeated."""
    found = values[output.expr.key]
    item = output.expr.type.item
    if not isinstance(found, Value):
        flat = constant(found, item, record.n_items)
        return _of_constant(
            flat, record, is_text=isinstance(item, String), dtype=None if isinstance(item, String) else dtype_of(item)
        )
    if len(found.axes) >= len(record.axes):
        spread(record, found.axes)
        return found
    flat = spread(found, record.axes)
    return Value(record.frame, record.axes, flat.data, flat.valid)


def _of_constant(flat: Flat, record: Value, *, is_text: bool, dtype: Any) -> Value:
    size = record.n_items
    data = repeated(flat.data, size) if is_text else np.full(size, flat.data, dtype=dtype)
    return Value(record.frame, record.axes, data, flat.valid)


def _optional(content: Any, valid: Mask | None, outer: Mask | None, *, declared: bool) -> Any:
    """Give option type where it is declared, and wherever an item is missing of a record that is there."""
    if valid is not None and (declared or not (valid if outer is None else valid | ~outer).all()):
        return ak.contents.ByteMaskedArray.simplified(ak.index.Index8(valid.astype(np.int8)), content, valid_when=True)
    return ak.contents.UnmaskedArray.simplified(content) if declared else content


def _nested(content: Any, axes: tuple[Lists, ...]) -> Any:
    for lists in reversed(axes):
        content = ak.contents.ListOffsetArray(ak.index.Index64(lists.offsets), content)
    return content


# From an awkward array to flat items and the lists that they are nested in -------------------------------------------------------

Unpacked = tuple[tuple[Lists, ...], Any, "Mask | None"]


def unpacked(array: Any, depth: int, item: Item) -> Unpacked:
    """Give the list axes, the flat items and where they are valid.

    Parameters
    ----------
    array : ak.Array
        Events, and inside them ``depth`` list axes.
    depth : int
        The number of list axes to take off.
    item : Item
        The kind of one item; of a `Record` only the structure is kept.

    Raises
    ------
    TaskError
        When the array is nested in another way, or a whole list is missing.
    """
    layout = array.layout if isinstance(array, ak.Array) else ak.to_layout(array)
    axes: list[Lists] = []
    for _ in range(depth):
        layout = _without_option(layout)
        if layout.is_unknown:
            axes.append(Lists(np.zeros(1, dtype=np.int64)))
            continue
        if not layout.is_list or layout.parameter("__array__") in {"string", "bytestring"}:
            raise TaskError(f"{depth} list axes were expected, and the array has {len(axes)}: {layout.form.type}")
        layout = layout.to_ListOffsetArray64(True)
        offsets = np.asarray(layout.offsets.data)
        axes.append(Lists(offsets))
        layout = layout.content[: int(offsets[-1])]
    data, valid = _items(layout, item)
    return tuple(axes), data, valid


def _without_option(layout: Any) -> Any:
    if layout.is_option:
        if not layout.mask_as_bool(valid_when=True).all():
            raise TaskError("a whole list is missing", why="lists may be empty, and only their items may be missing")
        return _without_option(layout.project())
    if layout.is_indexed:
        return _without_option(layout.project())
    return layout


def _items(layout: Any, item: Item) -> tuple[Any, Mask | None]:
    if layout.is_option:
        option = layout.to_IndexedOptionArray64()
        index = np.asarray(option.index.data)
        valid = index >= 0
        data, inner = _items(option.content, item)
        size = option.content.length
        if valid.all():
            return items_at(data, inner, Selection((), index), size)
        return items_at(data, inner, Selection((), np.where(valid, index, 0), valid), size)
    if layout.is_indexed:
        return _items(layout.project(), item)
    if isinstance(item, Record):
        return None, None
    if isinstance(item, String):
        return (texts([]) if layout.is_unknown else ak.Array(layout)), None
    dtype = dtype_of(item)
    if layout.is_unknown:
        return np.zeros(0, dtype=dtype), None
    if not layout.is_numpy or layout.purelist_depth != 1:
        raise TaskError(f"one {item} for each item was expected, and the array holds {layout.form.type}")
    return np.asarray(layout.data).astype(dtype, copy=False), None


# The values that an evaluation starts from: stored leaves, and results of other tasks --------------------------------------------


class Leaves:
    """Stored leaves and results of other tasks as values; leaves of one collection share their lists.

    Parameters
    ----------
    frames : Frames
        Where the events of each axis are entered.
    n_events : int
        The number of events that were read.
    arrays : mapping
        What was read, by path; nothing where there are no events.
    inputs : mapping
        Results of other tasks, by task key.
    roots : sequence of Expr
        What is evaluated: an array is kept until each leaf that takes it was asked for.
    """

    def __init__(
        self, frames: Frames, n_events: int, arrays: Mapping[Path, Any], inputs: Mapping[Key, Result], roots: Sequence[Expr] = ()
    ) -> None:
        self._frames = frames
        self._n_events = n_events
        self._arrays = dict(arrays)
        self._inputs = inputs
        self._uses = Counter([path_of(n)[1] for n in needed_fields(roots).values()])
        self._lists: dict[tuple[Axis, ...], Lists] = {}

    def table(self, node: Dataset) -> Value:
        """Give the events themselves."""
        return Value(self._frames.root(node.type.axes[0].key, self._n_events), (), None)

    def field(self, node: Field) -> Value:
        """Give a stored leaf, or the structure of a stored collection."""
        base, path = path_of(node)
        depth = len(node.type.axes) - 1
        if isinstance(base, Input):
            if self._is_unknown(base):
                return self._nothing(node.type)
            array = self._columns(base)
            for name in path:
                array = array[name]
            return self._value(node.type, array, len(array))
        if not isinstance(base, Dataset):
            raise PluginError(f"{'.'.join(path)} is not stored: it is a part of a {base.tag}", where=node.where)
        if isinstance(node.type.item, Record):
            return self._structure(node, path, depth)
        # An array is let go with the last value that needs it.
        self._uses[path] -= 1
        array = self._arrays.get(path) if self._uses[path] > 0 else self._arrays.pop(path, None)
        if array is None:
            return self._nothing(node.type)
        if isinstance(array, Lacking):
            return self._default(node, array)
        if node.default is not None and node.default.as_:
            array = _converted(array, node)
        return self._value(node.type, array, self._n_events)

    def _default(self, node: Field, lacking: Lacking) -> Value:
        """Give the default of a leaf that the file lacks."""
        axes, _, _ = unpacked(lacking.array, len(node.type.axes) - 1, Record("", {}))
        shape = Value(self._frames.root(node.type.axes[0].key, self._n_events), self._shared(node.type, axes), None)
        size = shape.axes[-1].n_items if shape.axes else self._n_events
        value = None if node.default is None else node.default.value
        item = node.type.item
        blank = value if value is not None else "" if isinstance(item, String) else 0
        data = texts([str(blank)] * size) if isinstance(item, String) else np.full(size, blank, dtype_of(item))
        return replace(shape, data=data, valid=np.zeros(size, np.bool_) if value is None and size else None)

    def _structure(self, node: Expr, path: Path, depth: int) -> Value:
        if depth == 0:
            return Value(self._frames.root(node.type.axes[0].key, self._n_events), (), None)
        known = [self._lists.get(node.type.axes[: i + 2]) for i in range(depth)]
        axes = tuple([k for k in known if k is not None])
        if len(axes) == depth:
            return Value(self._frames.root(node.type.axes[0].key, self._n_events), axes, None)
        if path in self._arrays:
            return self._from_counts(node.type, self._arrays[path], depth)
        leaf = next((p for p in self._arrays if p[: len(path)] == path), None)
        if leaf is None:
            return self._nothing(node.type)
        found = self._arrays[leaf]
        return replace(self._value(node.type, found.array if isinstance(found, Lacking) else found, self._n_events), valid=None)

    def _from_counts(self, of: Type, counts: Any, depth: int) -> Value:
        # Below an outer collection the counts are jagged themselves.
        outer, n_items, _ = unpacked(counts, depth - 1, Int(64))
        axes = self._shared(of, (*outer, Lists(offsets_of(n_items))))
        return Value(self._frames.root(of.axes[0].key, self._n_events), axes, None)

    def _nothing(self, of: Type) -> Value:
        axes = tuple([Lists(np.zeros(1, dtype=np.int64)) for _ in of.axes[1:]])
        data = None if isinstance(of.item, Record) else texts([]) if isinstance(of.item, String) else np.zeros(0, dtype_of(of.item))
        return Value(self._frames.root(of.axes[0].key, 0), self._shared(of, axes), data)

    def result(self, node: Input) -> Value | Constant:
        """Give the result of another task."""
        if self._is_unknown(node):
            return self._nothing(node.type) if node.type.axes else Constant(None)
        found = self._inputs[node.task]
        if isinstance(found, Scalar):
            return Constant(found.value)
        array = self._columns(node)
        return self._value(node.type, array, len(array))

    def _is_unknown(self, node: Input) -> bool:
        """Say whether there is no result because there are no events."""
        return self._n_events == 0 and node.task not in self._inputs

    def _columns(self, node: Input) -> Any:
        found = self._inputs[node.task]
        if not isinstance(found, Columns):
            raise PluginError(f"{node.type} was expected of another task, and it gave a {type(found).__name__}", where=node.where)
        return found.array

    def _value(self, of: Type, array: Any, n_events: int) -> Value:
        axes, data, valid = unpacked(array, len(of.axes) - 1, of.item)
        frame = self._frames.root(of.axes[0].key, n_events)
        if len(array) != n_events:
            raise PluginError(f"{n_events} events were read, and a column has {len(array)}")
        return Value(frame, self._shared(of, axes), data, valid)

    def _shared(self, of: Type, axes: tuple[Lists, ...]) -> tuple[Lists, ...]:
        """Give the lists that other leaves of the same axes have, so that they need not be compared again."""
        found: list[Lists] = []
        for i, lists in enumerate(axes):
            known = self._lists.setdefault(of.axes[: i + 2], lists)
            found.append(known if known.holds_the_same_numbers_as(lists) else lists)
        return tuple(found)


def _converted(array: Any, node: Field) -> Any:
    """Give a leaf as the kind that was asked for.

    Raises
    ------
    TaskError
        When a whole number has no place in it.
    """
    import awkward as ak

    kind = str(node.type.item)
    made = ak.values_astype(array, kind)
    if isinstance(node.type.item, Int) and not ak.all(made == array, axis=None):
        raise TaskError(f"{node.name} holds values that {kind} cannot hold", where=node.where, do='take as_="float64"')
    return made


# Run tasks over one range of events, or once on merged results -------------------------------------------------------------------


def run_tasks(
    tasks: Sequence[Task], inputs: Mapping[Key, Result], context: RunContext, read: Read, evaluating: Evaluate = evaluate
) -> dict[Key, Result]:
    """Give the results by task key.

    All tasks share one read of the columns that any of them needs, and every part that they have in common is evaluated once.

    Parameters
    ----------
    tasks : sequence of Task
        Over one table, or over results alone.
    inputs : mapping
        Results of other tasks.
    context : RunContext
        With the range of events, if there is one.
    read : callable
        Reads the columns of a range of events.
    evaluating : callable, optional
        Gives the values of expressions, as `evaluate` does.
    """
    outputs = [_output(t) for t in tasks]
    roots = [e for o in outputs for e in o.exprs()]
    frames = Frames()
    leaves = _leaves(tasks, roots, inputs, context, frames, read)
    values = evaluating(roots, leaves, frames, context.cancelled)
    return {t.key: _result(t, o, values, context.slice) for t, o in zip(tasks, outputs, strict=True)}


def _output(task: Task) -> Output:
    """Give what to evaluate; of a part of a total, that is what it is a total of."""
    if task.expr.type.loops:
        raise PluginError("a task is cut out of a loop: it has one value for each element, and the loop is elsewhere")
    if not total_of(task):
        return output_of(task.expr)
    assert isinstance(task.expr, Call)
    return Output(task.expr.args[0], optional=False)


def total_of(task: Task) -> str:
    """Give the aggregate over all events that a partitioned task is a part of, empty when it is none."""
    expr = task.expr
    if task.spread != "partitions" or expr.type.axes:
        return ""
    if isinstance(expr, Call) and isinstance(expr.function, str) and FUNCTIONS[expr.function].kind == "reduce":
        return expr.function
    return ""


def _leaves(
    tasks: Sequence[Task], roots: Sequence[Expr], inputs: Mapping[Key, Result], context: RunContext, frames: Frames, read: Read
) -> Leaves:
    partition = context.partition
    paths = leaves_of(roots)
    if partition is None:
        if any(isinstance(n, Dataset) for n in postorder(*roots)):
            raise PluginError("a task on whole results reads a table", where=roots[0].where)
        return Leaves(frames, 0, {}, inputs, roots)
    dataset = next((t.dataset for t in tasks if t.dataset is not None), None)
    if paths and dataset is None:
        raise PluginError("a task that reads columns names no table", where=roots[0].where)
    arrays = _read(dataset, partition, paths, context, read) if paths and dataset is not None else {}
    return Leaves(frames, partition.stop - partition.start, arrays, inputs, roots)


def _read(dataset: Dataset, partition: Partition, paths: Sequence[Path], context: RunContext, read: Read) -> Mapping[Path, Any]:
    """Read a partition; of a slice, those that follow too: their entries are in the same baskets, and would be decompressed again."""
    if context.slice is None:
        return read(dataset, partition, paths)
    reading, name = context.slice.reading, ("read", dataset.key, tuple(paths))
    held, arrays = context.slice.held.get(name, (None, {}))
    if held != reading:
        context.slice.held.pop(name, None)  # let go before the next is there
        arrays = read(dataset, reading, paths)
        context.slice.held[name] = (reading, arrays)
    a, b = partition.start - reading.start, partition.stop - reading.start
    return {path: Lacking(one.array[a:b]) if isinstance(one, Lacking) else one[a:b] for path, one in arrays.items()}


def _result(task: Task, output: Output, values: Mapping[bytes, Argument], place: Slice | None) -> Result:
    value = values[output.expr.key]
    if name := total_of(task):
        assert isinstance(value, Value)
        before = place.before.get(task.key) if place is not None else None
        more = place is not None and place.more
        return Scalar(reduce.part(name, value, before.value if isinstance(before, Scalar) else None, more=more))
    return Scalar(_plain(output, values)) if isinstance(value, Constant) else Columns(array_of(output, values))


def _plain(output: Output, values: Mapping[bytes, Argument]) -> Any:
    """Give one value as plain Python has it; a record is a dict."""
    value = values[output.expr.key]
    assert isinstance(value, Constant)
    if output.members and value.value is not None:
        return {name: _plain(member, values) for name, member in output.members.items()}
    return value.value.item() if hasattr(value.value, "item") else value.value


def merge_parts(task: Task, parts: Sequence[Result]) -> Result:
    """Give the final result from those of the ranges of events, in order; without any, that of no events."""
    if task.output == "scalar":
        values = [p.value for p in parts if isinstance(p, Scalar)]
        merge = FUNCTIONS[name].merge if (name := total_of(task)) else None
        return Scalar(values[0] if merge is None else merge(values))
    arrays = [p.array for p in parts if isinstance(p, Columns)]
    if not arrays:
        return Columns(_empty(task))
    return Columns(arrays[0] if len(arrays) == 1 else ak.concatenate(arrays))


def _empty(task: Task) -> Any:
    output = output_of(task.expr)
    frames = Frames()
    values = evaluate(list(output.exprs()), Leaves(frames, 0, {}, {}), frames, lambda: False)
    return array_of(output, values)
