"""Divide a dataset into ranges of events."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from hep_flows.errors import SourceError
from hep_flows.plugin import Partition
from hep_flows.plugins.awkward.file_identity import entries_of
from hep_flows.plugins.awkward.open_tables import OpenTables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Dataset

CHUNK_EVENTS = 200_000
# A range may be this much longer than asked for, so that no short one is left over.
_SLACK = 1.25
# A cluster of up to this many ranges is read in one: each cut inside would decompress all of its baskets once more.
_LONGEST_CLUSTER = 6


def partitions(dataset: Dataset, chunk_events: int = CHUNK_EVENTS, tables: OpenTables | None = None) -> tuple[Partition, ...]:
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
            with own.lent(dataset.kind, file, dataset.tree, content) as table:
                cuts = chosen_cuts(table.boundaries(), entries, chunk_events)
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
