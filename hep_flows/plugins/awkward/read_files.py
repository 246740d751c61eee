"""Read leaves of a table for a range of events: every column once, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import shown
from hep_flows.expr.types import Bool, Int, Record
from hep_flows.plugins.awkward.open_tables import OpenTables
from hep_flows.plugins.awkward.plain_layout import NotAsDeclaredError, counts_at, offsets_at, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.expr.types import Member
    from hep_flows.plugin import Partition

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A stored leaf: its member, and the identity of each list axis from the outermost in."""

    path: Path
    member: Member
    axes: tuple[str, ...]


def read_columns(
    dataset: Dataset, partition: Partition, members: Sequence[Path], tables: OpenTables | None = None
) -> dict[Path, ak.Array]:
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
    found = {path: find_member(record, path) for path in members}
    leaves = {path: leaf for path, leaf in found.items() if not isinstance(leaf.member.item, Record)}
    counted = {path: _counting_leaf(record, leaf, leaves.values()) for path, leaf in found.items() if path not in leaves}
    wanted = {leaf.member.column: leaf for leaf in [*leaves.values(), *counted.values()]}
    arrays = _read(dataset, partition, wanted, tables)
    _check_counts(partition.file, [leaf for leaf in wanted.values() if leaf.axes], arrays)
    results: dict[Path, ak.Array] = {}
    for path, leaf in found.items():
        if path in leaves:
            results[path] = arrays[leaf.member.column]
        else:
            results[path] = _counts(arrays[counted[path].member.column], counted[path], len(leaf.axes) - 1)
    return results


def find_member(record: Record, path: Path) -> _Leaf:
    """Give the member at a path below the event, with its axes."""
    axes: tuple[str, ...] = ()
    for i, name in enumerate(path):
        member = record.members[name]
        above = "".join([f"{p}." for p in path[:i]])
        axes = (*axes, *[f"{above}{a}" for a in member.axes])
        if i < len(path) - 1:
            assert isinstance(member.item, Record)
            record = member.item
    return _Leaf(path, member, axes)


def _counting_leaf(record: Record, collection: _Leaf, read_anyway: Iterable[_Leaf]) -> _Leaf:
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
        return _Leaf(collection.path, counter, ())
    leaves = sorted(_readable_leaves(record, collection.path, inside), key=_cost)
    if not leaves:
        raise SourceError(f"{'.'.join(collection.path)} cannot be counted", why="none of its leaves can be read")
    return leaves[0]


def counted_by(record: Record, collection: _Leaf) -> _Leaf:
    """Give a leaf that has as many entries as a collection: the cheapest that can be read."""
    inside = collection.member.item
    assert isinstance(inside, Record)
    leaves = sorted(_readable_leaves(record, collection.path, inside), key=_cost)
    return leaves[0] if leaves else _counting_leaf(record, collection, ())


def _readable_leaves(record: Record, path: Path, inside: Record) -> Iterator[_Leaf]:
    for name, member in inside.members.items():
        if isinstance(member.item, Record):
            yield from _readable_leaves(record, (*path, name), member.item)
        elif not member.unreadable:
            yield find_member(record, (*path, name))


def _cost(leaf: _Leaf) -> tuple[int, int]:
    return len(leaf.axes), getattr(leaf.member.item, "bits", 8 if isinstance(leaf.member.item, Bool) else 1000)


def _read(dataset: Dataset, partition: Partition, wanted: Mapping[str, _Leaf], tables: OpenTables | None) -> dict[str, ak.Array]:
    own = tables or OpenTables(limit=0)
    content = dataset.content[partition.file_number]
    with own.lent(dataset.kind, partition.file, dataset.tree, content) as table:
        arrays = table.read(tuple(wanted), partition.start, partition.stop)
    made: dict[str, ak.Array] = {}
    for column, leaf in wanted.items():
        try:
            made[column] = plain(arrays[column], leaf.member, len(leaf.axes))
        except NotAsDeclaredError as error:
            raise SourceError(
                f"{shown(partition.file)}: {column} cannot be used",
                why=f"{error}, between events {partition.start} and {partition.stop}",
            ) from None
    return made


def _check_counts(file: str, leaves: Sequence[_Leaf], arrays: Mapping[str, ak.Array]) -> None:
    first: dict[str, tuple[str, np.ndarray]] = {}
    for leaf in leaves:
        for level, axis in enumerate(leaf.axes):
            offsets = offsets_at(arrays[leaf.member.column], level)
            column, seen = first.setdefault(axis, (leaf.member.column, offsets))
            if seen is not offsets and not np.array_equal(seen, offsets):
                raise SourceError(
                    f"{shown(file)}: {column} and {leaf.member.column} have different numbers of entries",
                    why=f"they are leaves of one collection, {axis}",
                    do="read one of them without the other, or repair the file",
                )


def _counts(array: ak.Array, leaf: _Leaf, level: int) -> ak.Array:
    return counts_at(array, level) if leaf.axes else ak.values_astype(array, np.int64)
