"""Read leaves of a table for a range of events: every column once, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import shown
from hep_flows.expr.types import Bool, Int, Member, Record
from hep_flows.plugins.awkward.open_tables import OpenTables
from hep_flows.plugins.awkward.plain_layout import NotAsDeclaredError, counts_at, missing_values, offsets_at, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugin import Partition
    from hep_flows.plugins.awkward.plain_layout import Offsets
    from hep_flows.plugins.awkward.stored import StoredTable

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
    with own.lent(dataset.kind, partition.file, dataset.tree, dataset.content[partition.file_number]) as table:
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
        arrays = self._table.read(tuple(wanted), start, stop) if wanted else {}
        made: dict[Path, ak.Array] = {}
        for path, leaf in wanted.items():
            try:
                made[path] = plain(arrays[path], leaf.member, len(leaf.axes))
            except NotAsDeclaredError as error:
                raise SourceError(
                    f"{shown(self._partition.file)}: {'.'.join(path)} cannot be used",
                    why=f"{error}, between events {start} and {stop}",
                ) from None
        return made


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
