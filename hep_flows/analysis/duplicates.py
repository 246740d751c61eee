"""``check_duplicates``: events that are in the files of a dataset more than once.

A file that was copied under another name, two productions in one list, or the same event in two streams of recorded data count twice
in every histogram, and nothing else notices. The numbers that tell events apart are gathered file by file, divided by a hash into
buckets on disk whenever there are more than fit into memory, and compared whole: the answer is exact.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import LiteralError, visible
from hep_flows.expr.text import shown
from hep_flows.record.arguments import checked
from hep_flows.record.dataframe import DataFrame, frame_of
from hep_flows.record.operands import event_ids
from hep_flows.record.where import user_site
from hep_flows.verbs import make_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset

MOST_LISTED = 1000
_MEMORY = 64 << 20  # bytes of numbers that are held at once
_BUCKETS, _BITS = 64, 6
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An event that is there more than once: its numbers, and the file and the entry of each time."""

    event: tuple[int, ...]
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DuplicatesOf:
    """What was found in one dataset.

    Parameters
    ----------
    events : int
        How many entries were looked at.
    surplus : int
        How many entries have an event that an entry before has.
    between : mapping
        By the files that share events, how many events these are.
    first : tuple of Duplicate
        The first thousand, in the order of their numbers.
    """

    events: int
    surplus: int
    between: Mapping[tuple[str, ...], int]
    first: tuple[Duplicate, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found, by dataset or process; true where any event is there more than once."""

    datasets: Mapping[str, DuplicatesOf] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return any(d.surplus for d in self.datasets.values())

    def __str__(self) -> str:
        """Give the numbers, which files share events, and an example of each."""
        lines = []
        for name, found in self.datasets.items():
            said = f"{found.surplus:,} are there already" if found.surplus else "each is there once"
            lines.append(visible(f"{name}: {found.events:,} events, {said}"))
            for files, n in found.between.items():
                one = next((d for d in found.first if _files(d) == files), None)
                places = "" if one is None else f"; {one.event} is entry {' and '.join([f'{e} of {f}' for f, e in one.places])}"
                lines.append(visible(f"  {n:,} in {' and '.join(files)}{places}"))
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            name: {
                "events": d.events,
                "surplus": d.surplus,
                "between": [{"files": list(files), "events": n} for files, n in d.between.items()],
                "first": [{"event": list(e.event), "places": [list(p) for p in e.places]} for e in d.first],
            }
            for name, d in self.datasets.items()
        }


def _files(one: Duplicate) -> tuple[str, ...]:
    return tuple(dict.fromkeys([file for file, _ in one.places]))


@checked
def check_duplicates(
    of: Any,
    *,
    by: Literal["dataset", "process"] = "dataset",
    event_id: Sequence[str] | None = None,
    only: Iterable[str] | None = None,
    kind: str | None = None,
) -> Duplicates:
    """Find events that are in the files of a dataset more than once, by run, luminosity block and event number.

    Memory is that of the numbers of one file, and about 200 MB, however many events there are; 40 bytes on disk for each event where
    there are more than a million. What was read of a file is in the cache.

    Parameters
    ----------
    of : fileset or table
        A fileset as `run_analysis` takes it, or a table of events.
    by : str
        ``dataset``: each dataset by itself; ``process``: datasets of one metadata ``process`` together, such as the streams of recorded
        data, which share events.
    event_id : sequence of str, optional
        The leaves that tell events apart. When left out, those that NanoAOD and xAOD have for that.
    only : iterable of str, optional
        The datasets to take.
    kind : str, optional
        The kind of table of datasets that do not say theirs.

    Returns
    -------
    Duplicates
        True where there are any; by dataset with the numbers, the files that share events, and the first thousand with file and entry.

    Raises
    ------
    FieldError
        When a table has no such leaves.
    SourceError
        When the fileset has another form, or a file cannot be read.
    """
    from hep_flows.execute.results import Results, open_store
    from hep_flows.filesets import describe_all, read_fileset
    from hep_flows.settings import read_settings
    from hep_flows.sources.kinds import kind_named

    where = user_site()
    if by not in ("dataset", "process"):
        raise LiteralError(f"duplicates are looked for by 'dataset' or 'process', not {by!r}", where=where, do="by='process'")
    groups: dict[str, list[Dataset]] = {}
    if isinstance(of, DataFrame):
        groups[of._table.name] = [of._table.dataset]  # noqa: SLF001
    else:
        entries = read_fileset(of, only=only)
        facts = Results(open_store(read_settings()))
        described, _ = describe_all(entries, facts, kind=kind_named(kind, "kind"), missing_tree="", keep_going=False)
        for name, one in described.items():
            group = str(one.entry.metadata.get("process", name)) if by == "process" else name
            groups.setdefault(group, []).append(one.table)
    return Duplicates({name: _of_tables(tables, event_id, where) for name, tables in groups.items()})


def _of_tables(tables: Sequence[Dataset], event_id: Sequence[str] | None, where: Where) -> DuplicatesOf:
    import numpy as np

    files: list[str] = []
    total, signed = 0, True
    with tempfile.TemporaryDirectory(prefix="hep-flows-") as folder:
        gathered = _Bucket(Path(folder), 0)
        for table in tables:
            for file, content in zip(table.files, table.content, strict=True):
                frame = frame_of(replace(table, files=(file,), content=(content,)))
                leaves = event_ids(frame._table, event_id, where)  # noqa: SLF001
                columns = [np.asarray(c) for c in make_local([frame._made(leaf) for leaf in leaves])]  # noqa: SLF001
                signed = all(c.dtype.kind == "i" or c.dtype.itemsize < 8 for c in columns)
                rows = np.empty((len(columns[0]), len(columns) + 2), np.uint64)
                for i, column in enumerate(columns):
                    rows[:, i] = column.astype(np.int64).view(np.uint64) if column.dtype.kind == "i" else column
                rows[:, -2], rows[:, -1] = len(files), np.arange(len(rows))
                files.append(shown(file))
                total += len(rows)
                gathered.add(rows)
        surplus = 0
        between = Counter[tuple[str, ...]]()
        first: list[Duplicate] = []
        for rows, sizes in gathered.repeated():
            surplus += int((sizes - 1).sum())
            ends = np.cumsum(sizes)
            for i, (start, end) in enumerate(zip(ends - sizes, ends, strict=True)):
                same = rows[start:end]
                between[tuple(dict.fromkeys([files[f] for f in same[:, -2].tolist()]))] += 1
                if i < MOST_LISTED:
                    numbers = same[0, :-2].view(np.int64) if signed else same[0, :-2]
                    first.append(Duplicate(tuple(numbers.tolist()), tuple([(files[f], e) for f, e in same[:, -2:].tolist()])))
            first = sorted(first, key=lambda d: d.event)[:MOST_LISTED]
    return DuplicatesOf(total, surplus, dict(between.most_common()), tuple(first))


class _Bucket:
    """Rows of numbers: in memory, and beyond that in as many files as it takes, by a hash of what tells events apart."""

    def __init__(self, folder: Path, level: int) -> None:
        self._folder, self._level = folder, level
        self._held: list[Any] = []
        self._bytes = 0
        self._width = 0
        self._on_disk = False

    def add(self, rows: Any) -> None:
        self._width = rows.shape[1]
        self._held.append(rows)
        self._bytes += rows.nbytes
        # Events that cannot be told apart by any part of the hash are one event.
        if self._bytes > _MEMORY and _BITS * (self._level + 1) <= 64:
            self._write()

    def repeated(self) -> Iterator[tuple[Any, Any]]:
        """Give the rows of events that are there several times, side by side, and how many there are of each."""
        import numpy as np

        if not self._on_disk:
            if self._held:
                yield _repeated(np.concatenate(self._held))
            return
        self._write()
        for file in sorted(self._folder.glob("*.rows")):
            inner = self._folder / file.stem
            inner.mkdir()
            bucket = _Bucket(inner, self._level + 1)
            whole = np.memmap(file, np.uint64, mode="r").reshape(-1, self._width)
            step = max(1, _MEMORY // (8 * self._width))
            for start in range(0, len(whole), step):
                bucket.add(np.array(whole[start : start + step]))
            del whole
            file.unlink()
            yield from bucket.repeated()

    def _write(self) -> None:
        import numpy as np

        self._on_disk = True
        rows = np.concatenate(self._held) if self._held else np.empty((0, self._width), np.uint64)
        which = (_hash(rows[:, :-2]) >> np.uint64(64 - _BITS * (self._level + 1))) % np.uint64(_BUCKETS)
        order = np.argsort(which, kind="stable")
        limits = np.searchsorted(which[order], np.arange(_BUCKETS + 1, dtype=np.uint64))
        for number in range(_BUCKETS):
            part = rows[order[limits[number] : limits[number + 1]]]
            if len(part):
                with (self._folder / f"{number:02d}.rows").open("ab") as file:
                    part.tofile(file)
        self._held, self._bytes = [], 0


def _hash(ids: Any) -> Any:
    import numpy as np

    bits = np.zeros(len(ids), np.uint64)
    for i in range(ids.shape[1]):
        bits = (bits ^ ids[:, i]) * np.uint64(_ODD[i % 3])
        bits ^= bits >> np.uint64(31)
    return bits * np.uint64(_ODD[0])


def _repeated(rows: Any) -> tuple[Any, Any]:
    import numpy as np

    if not len(rows):
        return rows, np.empty(0, np.int64)
    rows = rows[np.lexsort(rows.T[::-1])]
    starts = np.flatnonzero(np.concatenate([[True], np.any(rows[1:, :-2] != rows[:-1, :-2], axis=1)]))
    sizes = np.diff(np.append(starts, len(rows)))
    kept = sizes > 1
    return rows[np.repeat(kept, sizes)], sizes[kept]
