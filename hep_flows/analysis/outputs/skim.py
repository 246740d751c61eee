"""Arrays as Parquet files: one for each part, so that memory does not grow with the number of events."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.outputs.manifest import FileNote
from hep_flows.analysis.outputs.whole_files import whole_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an array: its key, and how to get it."""

    key: str
    array: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Skim:
    """An array in Parquet files.

    Parameters
    ----------
    folder : Path
        Where they are.
    files : tuple of str
        Their names, in dataset order.
    rows : int
        The number of events.
    column : str
        The column that the array is; empty where it is an array of records, whose members are the columns.
    """

    folder: Path
    files: tuple[str, ...]
    rows: int
    column: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, for `parquet_table`."""
        return tuple([str(self.folder / f) for f in self.files])

    def array(self) -> Any:
        """Give the whole array."""
        import awkward as ak

        array = ak.concatenate([_read(p) for p in self.paths])
        return array[self.column] if self.column else array


def part_name(number: int) -> str:
    """Give the name of the file of a part."""
    return f"part-{number:04d}.parquet"


def write_skim(place: Path, column: str, parts: Sequence[Part], before: Mapping[str, FileNote]) -> tuple[Skim, dict[str, FileNote]]:
    """Write an array, and give where it is, and the files by name.

    Parameters
    ----------
    place : Path
        The folder of this array.
    column : str
        The name of its column; empty for an array of records.
    parts : sequence of Part
        What is written, in dataset order.
    before : mapping
        The files that are there, by name: those that have the same key are kept as they are.
    """
    names = [part_name(number) for number in range(len(parts))]
    kept = {n for n, p in zip(names, parts, strict=True) if _is_kept(place / n, before.get(n), p.key)}
    if len(kept) < len(names) or set(before) != set(names):
        with whole_folder(place) as folder:
            for name, part in zip(names, parts, strict=True):
                if name in kept:
                    _link(place / name, folder / name)
                else:
                    _write(part.array(), column, folder / name)
    files = {n: FileNote("skim", p.key, (place / n).stat().st_size) for n, p in zip(names, parts, strict=True)}
    return Skim(place, tuple(names), sum([_rows(place / n) for n in names]), column), files


def _is_kept(file: Path, note: FileNote | None, key: str) -> bool:
    return note is not None and note.key == key and file.is_file() and file.stat().st_size == note.bytes


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)


def _write(array: Any, column: str, file: Path) -> None:
    import awkward as ak

    ak.to_parquet(ak.zip({column: array}, depth_limit=1) if column else array, str(file), compression="zstd")


def _read(file: str) -> Any:
    """Give the array in a file, as `ak.from_parquet` gives it, without threads that Python knows nothing of.

    That function hands a Python file to the threads of Arrow. One of them may still hold it when the interpreter ends: to let go of it,
    the thread asks for an interpreter that is gone, which ends the process ("terminate called without an active exception").
    """
    import awkward as ak
    import pyarrow.parquet as pq
    from awkward._connect.pyarrow import convert_native_arrow_table_to_awkward

    return ak.from_arrow(convert_native_arrow_table_to_awkward(pq.ParquetFile(file, memory_map=True).read(use_threads=False)))


def _rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)
