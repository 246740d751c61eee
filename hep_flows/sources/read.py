"""Read leaves of a table for a range of events: every column once, in one pass."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
from awkward.contents import EmptyArray, IndexedArray, IndexedOptionArray, ListArray, ListOffsetArray, NumpyArray, RegularArray
from awkward.index import Index64

from hep_flows.contract import Partition
from hep_flows.errors import SourceError
from hep_flows.expr.text import shown
from hep_flows.expr.types import Bool, Int, Member, Record, String
from hep_flows.sources.kinds import source_of
from hep_flows.sources.open import OpenTables
from hep_flows.sources.stored import entries_of, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from awkward.contents import Content

    from hep_flows.contract import ColumnPath, StoredTable
    from hep_flows.expr.nodes import Dataset
    from hep_flows.expr.types import Item

# Bring an array that was read to the layout that its member declares: plain lists of numbers or texts, options at the leaf only ---

Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]


class NotAsDeclaredError(Exception):
    """The array is not what the schema says; the text says how."""


def plain(array: ak.Array, member: Member, depth: int) -> ak.Array:
    """Give the array as the member declares it, with ``depth`` list axes below the events.

    Raises
    ------
    NotAsDeclaredError
        When a list is missing, or a value that the schema promised.
    """
    return ak.Array(_plain(ak.to_layout(array), depth, member))


def _plain(layout: Content, depth: int, member: Member) -> Content:
    if isinstance(layout, IndexedArray):
        layout = layout.project()
    if layout.is_option and not (member.optional and depth == 0):
        layout = _without_option(layout, "a list" if depth else "a value")
    if depth == 0:
        return _leaf(layout, member)
    if isinstance(layout, EmptyArray):
        layout = ListOffsetArray(Index64(np.zeros(1, np.int64)), layout)
    if isinstance(layout, NumpyArray):
        layout = layout.to_RegularArray()
    if not isinstance(layout, ListArray | ListOffsetArray | RegularArray):
        raise NotAsDeclaredError("it is not a list where the schema says so")
    lists = layout.to_ListOffsetArray64(start_at_zero=True)
    content = lists.content[: lists.offsets[-1]]
    return ListOffsetArray(Index64(np.asarray(lists.offsets)), _plain(content, depth - 1, member))


def _without_option(layout: Content, what: str) -> Content:
    if np.any(layout.mask_as_bool(valid_when=False)):
        raise NotAsDeclaredError(f"{what} is missing in it")
    made = layout.project()
    return made.project() if isinstance(made, IndexedArray) else made


def _leaf(layout: Content, member: Member) -> Content:
    values = layout.content if layout.is_option else layout
    if isinstance(values, IndexedArray):
        values = values.project()
    found = "string" if values.parameter("__array__") == "string" else str(getattr(values, "dtype", type(values).__name__))
    if found == str(member.item) or (member.differs and found in _NUMBERS):
        return layout
    if isinstance(values, EmptyArray):  # a column without a type: lists that are all empty, or values that are all missing
        return _without_values(layout, member)
    if member.widened and found in _NUMBERS:
        wide = NumpyArray(np.asarray(values.data).astype(str(member.item)))
        return wide if not layout.is_option else layout.to_IndexedOptionArray64().copy(content=wide)
    raise NotAsDeclaredError(f"it holds {found} where the schema says {member.item}")


_NUMBERS = frozenset({"bool", *[f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)]})


def _without_values(layout: Content, member: Member) -> Content:
    item = member.item
    blank = ak.to_layout(ak.Array([""])) if isinstance(item, String) else NumpyArray(np.zeros(1, str(item)))
    if not layout.is_option:
        return blank[:0]
    return IndexedOptionArray(Index64(np.full(layout.length, -1)), blank)


def missing_values(offsets: Sequence[Offsets], n_events: int, item: Item, depth: int) -> ak.Array:
    """Give missing values for a leaf that a file lacks, ``depth`` lists deep: one for each item of the lists that are known.

    Parameters
    ----------
    offsets : sequence of array
        Of the outer lists, as far as another leaf tells them; those below are empty.
    """
    offsets = list(offsets)
    while len(offsets) < depth:
        offsets.append(np.zeros((int(offsets[-1][-1]) if offsets else n_events) + 1, np.int64))
    size = int(offsets[-1][-1]) if offsets else n_events
    blank = ak.to_layout(ak.Array([""])) if isinstance(item, String) else NumpyArray(np.zeros(1, str(item)))
    made: Content = IndexedOptionArray(Index64(np.full(size, -1)), blank)
    for o in reversed(offsets):
        made = ListOffsetArray(Index64(o), made)
    return ak.Array(made)


def offsets_at(array: ak.Array, level: int) -> Offsets:
    """Give the offsets of list axis number ``level`` (0: the outermost below the events) of a plain array."""
    layout = ak.to_layout(array)
    for _ in range(level):
        layout = layout.content
    return np.asarray(layout.offsets)


def counts_at(array: ak.Array, level: int) -> ak.Array:
    """Give the number of entries of list axis number ``level`` of a plain array, as int64, nested in the axes above."""
    layout = ak.to_layout(array)
    above = []
    for _ in range(level):
        above.append(layout.offsets)
        layout = layout.content
    counts: Content = NumpyArray(np.diff(np.asarray(layout.offsets)).astype(np.int64))
    for offsets in reversed(above):
        counts = ListOffsetArray(offsets, counts)
    return ak.Array(counts)


Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A stored leaf or collection: its member, and the identity of each list axis from the outermost in.

    ``may_lack`` says whether it has to be seen in the file whether it is there.
    """

    path: Path
    member: Member
    axes: tuple[str, ...]
    may_lack: bool


@dataclass(frozen=True, slots=True)
class Lacking:
    """Stands for a leaf that a file lacks: as many missing values as it would have."""

    array: ak.Array


def read_columns(
    dataset: Dataset, partition: Partition, members: Sequence[Path], tables: OpenTables | None = None
) -> dict[Path, ak.Array | Lacking]:
    """Give an array for each leaf, and the number of objects for each collection, over the events of the partition.

    Parameters
    ----------
    members : sequence of tuple of str
        Paths from the event: ``("Jet", "pt")``, ``("run",)``; ``("Jet",)`` asks for the counts.
    tables : OpenTables, optional
        Where open files are kept between calls; without it the file is opened and closed.

    Raises
    ------
    SourceError
        When the file changed since the table was made, cannot be read, or its leaves contradict each other.
    """
    record = dataset.type.item
    assert isinstance(record, Record)
    if partition.stop == partition.start:  # an empty file need not even have the tree
        return {}
    found = {path: find_member(record, path) for path in members}
    own = tables or OpenTables(limit=0)
    with own.lent(dataset.model, partition.file, dataset.tree, dataset.content[partition.file_number]) as table:
        return _Reading(record, partition, table).of(found)


class _Reading:
    """Reads one range of one file."""

    def __init__(self, record: Record, partition: Partition, table: StoredTable) -> None:
        self._record, self._partition, self._table = record, partition, table

    def of(self, found: Mapping[Path, _Leaf]) -> dict[Path, ak.Array | Lacking]:
        there = {path: leaf for path, leaf in found.items() if self._has(leaf)}
        leaves = {path: leaf for path, leaf in there.items() if not isinstance(leaf.member.item, Record)}
        # What a collection is counted by, and what tells the lists of a leaf that is not there.
        counted = {path: self._counting(leaf, leaves.values()) for path, leaf in found.items() if path not in leaves}
        wanted = {leaf.member.path: leaf for leaf in [*leaves.values(), *[c for c in counted.values() if c is not None]]}
        arrays = self._read(wanted)
        _check_counts(self._partition, [leaf for leaf in wanted.values() if leaf.axes], arrays)
        results: dict[Path, ak.Array | Lacking] = {}
        for path, leaf in found.items():
            if path in leaves:
                results[path] = arrays[leaf.member.path]
                continue
            by = counted[path]
            if isinstance(leaf.member.item, Record):
                results[path] = self._none(leaf) if by is None else _counts(arrays[by.member.path], by, len(leaf.axes) - 1)
            else:
                results[path] = self._lacking(leaf, by, arrays)
        return results

    def _has(self, leaf: _Leaf) -> bool:
        if not leaf.may_lack:
            return True
        item = leaf.member.item
        if isinstance(item, Record) and not self._table.has(leaf.member.path):
            return any(self._has(one) for one in _leaves_below(self._record, leaf.path, item))
        return bool(leaf.member.column) and self._table.has(leaf.member.path)

    def _counting(self, leaf: _Leaf, read_anyway: Iterable[_Leaf]) -> _Leaf | None:
        """Give what to read to count a collection, or the lists of a leaf that is not there; None where nothing tells them."""
        if isinstance(leaf.member.item, Record):
            return _counting_leaf(self._record, leaf, read_anyway, self._has) if self._has(leaf) else None
        depth = _shared_depth(self._record, leaf)
        if not depth:
            return None
        same = [r for r in read_anyway if r.axes[:depth] == leaf.axes[:depth]]
        return next(iter(same), None) or next((o for o in _on_axes(self._record, leaf.axes[:depth]) if self._has(o)), None)

    def _none(self, leaf: _Leaf) -> ak.Array:
        """Give no objects in each event."""
        return (
            missing_values((), self._n_events, Int(64), len(leaf.axes) - 1)
            if len(leaf.axes) > 1
            else ak.Array(np.zeros(self._n_events, np.int64))
        )

    def _lacking(self, leaf: _Leaf, by: _Leaf | None, arrays: Mapping[Path, ak.Array]) -> Lacking:
        depth = 0 if by is None else _shared_depth(self._record, leaf)
        offsets = [offsets_at(arrays[by.member.path], level) for level in range(depth)] if by is not None else []
        return Lacking(missing_values(offsets, self._n_events, leaf.member.item, len(leaf.axes)))

    @property
    def _n_events(self) -> int:
        return self._partition.stop - self._partition.start

    def _read(self, wanted: Mapping[Path, _Leaf]) -> dict[Path, ak.Array]:
        start, stop = self._partition.start, self._partition.stop
        arrays = self._arrays(tuple(wanted), start, stop) if wanted else {}
        made: dict[Path, ak.Array] = {}
        for path, leaf in wanted.items():
            if len(arrays[path]) != stop - start:
                raise SourceError(
                    f"{shown(self._partition.file)}: {'.'.join(path)} has {len(arrays[path])} entries between events {start} and {stop}",
                    why="the tree has more events than the branch, or less",
                    do="repair the file, or leave the branch out",
                )
            try:
                made[path] = plain(arrays[path], leaf.member, len(leaf.axes))
            except NotAsDeclaredError as error:
                raise SourceError(
                    f"{shown(self._partition.file)}: {'.'.join(path)} cannot be used",
                    why=f"{error}, between events {start} and {stop}",
                ) from None
        return made

    def _arrays(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        names = ", ".join([".".join(p) for p in paths])
        with told_as_source_error(self._partition.file, f"{names} cannot be read, between events {start} and {stop}"):
            found = self._table.read(paths, start, stop)
            return {path: found[path] if isinstance(found[path], ak.Array) else ak.Array(found[path]) for path in paths}


def find_member(record: Record, path: Path) -> _Leaf:
    """Give the member at a path below the event, with its axes; of a name that no file has, those of what it would be in."""
    axes: tuple[str, ...] = ()
    may_lack = False
    for i, name in enumerate(path):
        if name not in record.members:
            return _Leaf(path, Member(Int(64)), axes, may_lack=True)
        member = record.members[name]
        may_lack = may_lack or bool(member.lacking)
        above = "".join([f"{p}." for p in path[:i]])
        axes = (*axes, *[f"{above}{a}" for a in member.axes])
        if i < len(path) - 1:
            assert isinstance(member.item, Record)
            record = member.item
    return _Leaf(path, member, axes, may_lack)


def _shared_depth(record: Record, leaf: _Leaf) -> int:
    """Give how many of a leaf's axes other leaves have too: those below are lists of its own."""
    depth = len(leaf.axes)
    while depth and not any(o.path != leaf.path for o in _on_axes(record, leaf.axes[:depth])):
        depth -= 1
    return depth


def _on_axes(record: Record, axes: tuple[str, ...]) -> list[_Leaf]:
    """Give the leaves whose outermost axes are these, the cheapest first."""
    every = [leaf for leaf in _leaves_below(record, (), record) if leaf.axes[: len(axes)] == axes]
    return sorted(every, key=_cost)


def _counting_leaf(record: Record, collection: _Leaf, read_anyway: Iterable[_Leaf], has: Callable[[_Leaf], bool]) -> _Leaf:
    """Give what to read to count a collection: a leaf that is read anyway, its counter, or its cheapest leaf."""
    depth = len(collection.axes)
    for leaf in read_anyway:
        if leaf.axes[:depth] == collection.axes:
            return leaf
    inside = collection.member.item
    assert isinstance(inside, Record)
    column = collection.member.column
    counter = record.members.get(column)
    if counter is not None and isinstance(counter.item, Int) and depth == 1 and not counter.axes and not counter.unreadable:
        found = _Leaf(collection.path, counter, (), bool(counter.lacking))
        if has(found):
            return found
    leaves = sorted([leaf for leaf in _leaves_below(record, collection.path, inside) if has(leaf)], key=_cost)
    if not leaves:
        raise SourceError(f"{'.'.join(collection.path)} cannot be counted", why="none of its leaves can be read")
    return leaves[0]


def leaves_to_count(record: Record, collection: _Leaf) -> list[_Leaf]:
    """Give the leaves that have as many entries as a collection, or more, the cheapest first."""
    inside = collection.member.item
    assert isinstance(inside, Record)
    return sorted(_leaves_below(record, collection.path, inside), key=_cost)


def _leaves_below(record: Record, path: Path, inside: Record) -> Iterator[_Leaf]:
    for name, member in inside.members.items():
        if isinstance(member.item, Record):
            yield from _leaves_below(record, (*path, name), member.item)
        elif not member.unreadable:
            yield find_member(record, (*path, name))


def _cost(leaf: _Leaf) -> tuple[int, int]:
    return len(leaf.axes), getattr(leaf.member.item, "bits", 8 if isinstance(leaf.member.item, Bool) else 1000)


def _check_counts(partition: Partition, leaves: Sequence[_Leaf], arrays: Mapping[Path, ak.Array]) -> None:
    first: dict[str, tuple[Path, Offsets]] = {}
    for leaf in leaves:
        for level, axis in enumerate(leaf.axes):
            offsets = offsets_at(arrays[leaf.member.path], level)
            column, seen = first.setdefault(axis, (leaf.member.path, offsets))
            if seen is not offsets and not np.array_equal(seen, offsets):
                where = f", in event {partition.start + _first_difference(seen, offsets)}" if level == 0 else ""
                raise SourceError(
                    f"{shown(partition.file)}: {'.'.join(column)} and {'.'.join(leaf.member.path)} have different numbers of entries{where}",
                    why=f"they are leaves of one collection, {axis}",
                    do="read one of them without the other, say which leaves belong together with collections={...}, or repair the file",
                )


def _first_difference(one: Offsets, other: Offsets) -> int:
    n = min(len(one), len(other))
    unlike = np.flatnonzero(one[:n] != other[:n])
    return int(unlike[0]) - 1 if len(unlike) else n - 1


def _counts(array: ak.Array, leaf: _Leaf, level: int) -> ak.Array:
    return counts_at(array, level) if leaf.axes else ak.values_astype(array, np.int64)


# Divide a dataset into ranges of events ------------------------------------------------------------------------------------------

# A range may be this much longer than asked for, so that no short one is left over.
_SLACK = 1.25
# A cluster of up to this many ranges is read in one: each cut inside would decompress all of its baskets once more.
_LONGEST_CLUSTER = 6


def partitions(dataset: Dataset, chunk_events: int, tables: OpenTables | None = None) -> tuple[Partition, ...]:
    """Give ranges of about ``chunk_events`` events of each file, in dataset order, on cluster boundaries where there are any.

    Only files with more events than that are opened. A file without events has no range.

    Raises
    ------
    SourceError
        When a file that must be opened is gone, or not what it was.
    """
    if chunk_events < 1:
        raise SourceError(f"a partition cannot have {chunk_events} events", do="give a positive number")
    own = tables or OpenTables(limit=0)
    made: list[Partition] = []
    first = 0
    for number, (file, content) in enumerate(zip(dataset.files, dataset.content, strict=True)):
        entries = entries_of(content)
        cuts: Sequence[int] = (0, entries)
        if entries > chunk_events * _SLACK:
            with own.lent(dataset.model, file, dataset.tree, content) as table:
                cuts = chosen_cuts(source_of(dataset.model).partitions(table, chunk_events), entries, chunk_events)
        made += [Partition(file, number, a, b, first + a) for a, b in pairwise(cuts) if b > a]
        first += entries
    return tuple(made)


def chosen_cuts(boundaries: Sequence[int], entries: int, chunk_events: int) -> tuple[int, ...]:
    """Give the entries at which to cut: of the boundaries those nearest to equal ranges, and inside of very long clusters."""
    ends = [0, *sorted({int(b) for b in boundaries if 0 < b < entries}), entries]
    inner = ends[1:-1]
    for a, b in pairwise(ends):
        if b - a > chunk_events * _LONGEST_CLUSTER:
            n_parts = round((b - a) / chunk_events)
            inner += [a + (b - a) * i // n_parts for i in range(1, n_parts)]
    inner.sort()
    n_ranges = max(1, round(entries / chunk_events))
    nearest = [_nearest(inner, entries * i // n_ranges) for i in range(1, n_ranges)]
    return tuple(sorted({0, entries, *(n for n in nearest if n is not None)}))


def _nearest(sorted_values: Sequence[int], wanted: int) -> int | None:
    place = bisect_left(sorted_values, wanted)
    near = sorted_values[max(0, place - 1) : place + 1]
    return min(near, key=lambda v: abs(v - wanted)) if near else None
