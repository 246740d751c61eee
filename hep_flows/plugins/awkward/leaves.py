"""The values that an evaluation starts from: stored leaves, and results of other tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.errors import PluginError
from hep_flows.expr.nodes import Dataset, Expr, Field, Input
from hep_flows.expr.types import Int, Record, String
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.awkward.needed_leaves import path_of
from hep_flows.plugins.awkward.unpack import unpacked
from hep_flows.plugins.awkward.values import Constant, Lists, Value, dtype_of, offsets_of, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """

    def __init__(self, frames: Frames, n_events: int, arrays: Mapping[Path, Any], inputs: Mapping[Key, Result]) -> None:
        self._frames = frames
        self._n_events = n_events
        self._arrays = dict(arrays)
        self._inputs = inputs
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
        # Each leaf is asked for once: its array is let go with the last value that needs it.
        array = self._arrays.pop(path, None)
        return self._nothing(node.type) if array is None else self._value(node.type, array, self._n_events)

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
        return replace(self._value(node.type, self._arrays[leaf], self._n_events), valid=None)

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
