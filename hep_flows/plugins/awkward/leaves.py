"""The values that an evaluation starts from: stored leaves, and results of other tasks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.errors import PluginError, TaskError
from hep_flows.expr.nodes import Dataset, Expr, Field, Input
from hep_flows.expr.types import Int, Record, String
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.awkward.needed_leaves import needed_fields, path_of
from hep_flows.plugins.awkward.read_files import Lacking
from hep_flows.plugins.awkward.unpack import unpacked
from hep_flows.plugins.awkward.values import Constant, Lists, Value, dtype_of, offsets_of, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.types import Axis, Type
    from hep_flows.planning.task import Key
    from hep_flows.plugin import Result
    from hep_flows.plugins.awkward.frames import Frames
    from hep_flows.plugins.awkward.needed_leaves import Path


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
