"""A folder or a pattern as a fileset: one dataset for each folder that has files."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from hep_flows.errors import SourceError
from hep_flows.filesets.entry import Entry

ENDINGS = (".root", ".parquet", ".parq", ".pq")


def entries_in(folder: Path) -> tuple[Entry, ...]:
    """Give a dataset for each subfolder that has data files at any depth, and one for the files of the folder itself.

    Raises
    ------
    SourceError
        When there are none.
    """
    found = [_entry(folder.name, _files(folder, "*"))] if _files(folder, "*") else []
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    found += [_entry(p.name, files) for p in below if (files := _files(p, "**/*"))]
    if not found:
        raise SourceError(f"there are no data files in {folder}", why=f"data files end in {', '.join(ENDINGS)}")
    return tuple(found)


def entries_like(pattern: str) -> tuple[Entry, ...]:
    """Give a dataset for each folder whose files match a pattern; a folder that matches is a dataset with all of its files.

    Raises
    ------
    SourceError
        When nothing matches.
    """
    matches = [Path(p) for p in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]  # noqa: PTH111, PTH207
    by_folder: dict[Path, list[str]] = {}
    for path in matches:
        if path.is_dir():
            by_folder.setdefault(path.resolve(), []).extend(_files(path.resolve(), "**/*"))
        elif path.name.lower().endswith(ENDINGS):
            by_folder.setdefault(path.resolve().parent, []).append(str(path.absolute()))
    filled = {folder: list(dict.fromkeys(files)) for folder, files in by_folder.items() if files}
    if not filled:
        raise SourceError(f"no data file matches {pattern}", why=f"patterns start from the current folder, {Path.cwd()}")
    names = _names(list(filled))
    return tuple([_entry(names[folder], files) for folder, files in filled.items()])


def _names(folders: list[Path]) -> dict[Path, str]:
    """Name folders by the last parts of their paths, as few as tell them apart."""
    for depth in range(1, max([len(f.parts) for f in folders]) + 1):
        names = {f: "/".join(f.parts[-depth:]) for f in folders}
        if len(set(names.values())) == len(folders):
            return names
    raise AssertionError


def _files(folder: Path, pattern: str) -> list[str]:
    found = [p.absolute() for p in sorted(folder.glob(pattern)) if p.name.lower().endswith(ENDINGS) and p.is_file()]
    return [str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(folder.absolute()).parts)]


def _entry(name: str, files: list[str]) -> Entry:
    return Entry(name, tuple(files), metadata={"dataset": name})
