"""What interrupted writers left: temporaries, objects that were never committed, locks without a holder."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.store.claims import claimed_if_free
from hep_flows.store.index import entries
from hep_flows.store.paths import is_key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hep_flows.store.paths import Folder

SAFE_AGE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was found, or removed: how many files, and how many bytes they have."""

    files: int = 0
    nbytes: int = 0


def remove_leftovers(folder: Folder, *, dry_run: bool = False) -> Leftovers:
    """Remove what no living writer can still need; gives what it was.

    A writer holds the claim of its key as long as its files are unfinished: where the claim is free, the writer is gone. Files whose
    name tells no key are removed when they are a day old.
    """
    sizes: list[int] = []
    for path, name in _suspects(folder):
        if not name:
            sizes += _removed(path, dry_run=dry_run) if _age(path) > SAFE_AGE_S else []
            continue
        with claimed_if_free(folder.lock(name)) as is_free:
            if is_free and not (path == folder.object(name) and os.path.exists(folder.sidecar(name))):
                sizes += _removed(path, dry_run=dry_run)
    _free_locks(folder)
    return Leftovers(len(sizes), sum(sizes))


def _suspects(folder: Folder) -> Iterator[tuple[str, str]]:
    """Give the path of each file that may be left, and its key, empty where the name tells none."""
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(folder.temporaries)):
            name = entry.name.partition(".")[0]
            yield entry.path, name if is_key_name(name) else ""
    seen = {e.name for e in entries(folder)}
    for file in sorted(seen):
        name, _, ending = file.partition(".")
        if is_key_name(name) and ending == "parquet" and f"{name}.json" not in seen:
            yield folder.object(name), name


def _age(path: str) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _removed(path: str, *, dry_run: bool) -> list[int]:
    try:
        size = os.stat(path).st_size
        if not dry_run:
            os.unlink(path)
    except OSError:  # somebody else removed it
        return []
    return [size]


def _free_locks(folder: Folder) -> None:
    """Take every lock that nobody holds, which removes it."""
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(folder.locks)):
            if entry.name.endswith(".lock"):
                with claimed_if_free(entry.path):
                    pass
