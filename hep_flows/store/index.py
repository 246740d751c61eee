"""What is in a cache folder: sizes, last uses, tags and pins, without opening every sidecar each time.

The index is a copy of what the sidecars say, kept in diskcache. It is brought up to date whenever it is asked, and made again when
it is missing or damaged. Nothing else relies on it: it may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import StoreError
from hep_flows.store.about import SIDECAR_FAULTS, Pack, read_pack
from hep_flows.store.commit import told_of_disk, write_text
from hep_flows.store.paths import is_key_name, key_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hep_flows.store.paths import Folder
    from hep_flows.store.store import Store

# Pins: results that are never removed to make room. Each is a small file of its own, so no index is needed to know them ----------


def pin(store: Store, key: bytes | str, why: str = "") -> None:
    """Keep the result of a key, also one that is still to come, until it is unpinned."""
    path = store.folder.pin(key_name(key))
    _writable(store)
    with told_of_disk(store.folder.pins, "the pin", need=len(why)):
        write_text(Path(path), why)


def unpin(store: Store, key: bytes | str) -> None:
    """Let the result of a key be removed again."""
    path = store.folder.pin(key_name(key))
    _writable(store)
    with suppress(FileNotFoundError):
        os.unlink(path)


def pins(store: Store) -> dict[str, str]:
    """Give the pinned keys, as digits, and why each is pinned."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for name in sorted(filter(is_key_name, os.listdir(store.folder.pins))):
            with suppress(FileNotFoundError), open(store.folder.pin(name), encoding="utf-8", errors="replace") as file:
                found[name] = file.read()
    return found


def _writable(store: Store) -> None:
    if not store.writable:
        raise StoreError(f"the cache folder {store.folder.root} cannot be written", why=store.why_read_only)


SHELF = 2  # digits
INDEX_FAULTS = (sqlite3.Error, OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Row:
    """One committed result.

    Parameters
    ----------
    key, kind, type, created : str
        As in the sidecar.
    rows, nbytes : int
        Of the object.
    about : mapping
        Provenance in short: name, plugin, text, tags, inputs, events, seconds.
    used : float
        When it was last used or made, in seconds since 1970.
    pinned : bool
        Whether it is kept for ever.
    stamp : tuple of int
        What identifies the sidecar's file.
    object : str
        The name of the object that it is in.
    """

    key: str
    kind: str
    type: str
    rows: int
    nbytes: int
    created: str
    about: Mapping[str, Any] = field(default_factory=dict)
    used: float = 0.0
    pinned: bool = False
    stamp: tuple[int, int] = (0, 0)
    object: str = ""


def listed(store: Store, place: str | None = None) -> dict[str, Row]:
    """Give what is committed in the store's own folder, by key.

    Parameters
    ----------
    store : Store
        The store.
    place : str, optional
        Where the index is kept, on a local disk; inside the cache folder when left out.
    """
    where = place or store.folder.index
    known = _read_index(where) if store.writable else {}
    pinned = pins(store)
    rows: dict[str, Row] = {}
    packs: dict[tuple[int, int], Pack] = {}
    for name, stat in sidecars(store.folder):
        stamp = (stat.st_ino, stat.st_size)
        row = known.get(name)
        if row is None or row.stamp != stamp:
            row = _row(store.folder, name, stamp, packs)
        if row is not None:
            rows[name] = _now(row, stat.st_mtime, pinned=name in pinned)
    if store.writable and rows != known:
        _write_index(where, known, rows)
    return rows


def rebuild(store: Store, place: str | None = None) -> dict[str, Row]:
    """Give what is committed, from the sidecars alone, and make the index anew."""
    if store.writable:
        _discard(place or store.folder.index)
    return listed(store, place)


def sidecars(folder: Folder) -> Iterator[tuple[str, os.stat_result]]:
    """Give the key and the state of every sidecar, in the order of the keys."""
    for entry in entries(folder):
        name, _, ending = entry.name.partition(".")
        if ending == "json" and is_key_name(name):
            with suppress(FileNotFoundError):
                yield name, entry.stat(follow_symlinks=False)


def entries(folder: Folder) -> Iterator[os.DirEntry[str]]:
    """Give every file on the shelves of keys, in the order of their names."""
    try:
        shelves = sorted(s.path for s in os.scandir(folder.objects) if len(s.name) == SHELF and s.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return
    for shelf in shelves:
        yield from sorted(os.scandir(shelf), key=lambda e: e.name)


def _row(folder: Folder, name: str, stamp: tuple[int, int], packs: dict[tuple[int, int], Pack]) -> Row | None:
    with suppress(*SIDECAR_FAULTS):
        if stamp not in packs:
            packs[stamp] = read_pack(folder.sidecar(name))
        s = packs[stamp].result(name)
        return Row(s.key, s.kind, s.type, s.rows, s.nbytes, s.created, dict(s.about), stamp=stamp, object=packs[stamp].name)
    return None


def _now(row: Row, used: float, *, pinned: bool) -> Row:
    return replace(row, used=used, pinned=pinned)


def _read_index(where: str) -> dict[str, Row]:
    if not os.path.exists(f"{where}/cache.db"):
        return {}
    try:
        with _opened(where) as cache:
            return {name: _of_json(name, cache[name]) for name in cache}
    except INDEX_FAULTS as error:
        warnings.warn(f"the index {where} is damaged and is made again: {error}", UserWarning, stacklevel=3)
        _discard(where)
        return {}


def _of_json(name: str, written: Any) -> Row:
    row = Row(**written | {"stamp": tuple(written["stamp"])})
    if row.key != name or not is_key_name(name) or type(row.nbytes) is not int or not isinstance(row.about, dict):
        raise ValueError("the index has a row of something else")
    return row


def _write_index(where: str, known: Mapping[str, Row], rows: Mapping[str, Row]) -> None:
    try:
        with _opened(where) as cache, cache.transact():
            for name in known.keys() - rows.keys():
                del cache[name]
            for name, row in rows.items():
                if known.get(name) != row:
                    cache[name] = asdict(row)
    except INDEX_FAULTS as error:
        warnings.warn(f"the index {where} cannot be written, which costs time only: {error}", UserWarning, stacklevel=3)


def _opened(where: str) -> Any:
    from diskcache import Cache

    return Cache(where, timeout=5, disk=no_pickle_disk(), eviction_policy="none", cull_limit=0, statistics=0)


def _discard(where: str) -> None:
    """Remove the files of an index, and nothing else that may stand there."""
    for name in ("cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal"):
        with suppress(OSError):
            os.unlink(f"{where}/{name}")
    with suppress(OSError):
        os.rmdir(where)


def no_pickle_disk() -> Any:
    """Give how diskcache keeps rows here: keys are texts, values are JSON. Nothing is ever unpickled, and no files are used."""
    from diskcache import Disk
    from diskcache.core import MODE_TEXT, UNKNOWN

    class NoPickleDisk(Disk):  # type: ignore[misc]
        """Texts as keys, JSON as values; whatever else stands in the database is refused.

        diskcache's own ``JSONDisk`` still unpickles a row that says it is pickled.
        """

        def hash(self, key: str) -> int:
            """Give a number for the key."""
            return int(super().hash(_text(key)))

        def put(self, key: str) -> tuple[str, bool]:
            """Give the key as it is kept."""
            return _text(key), True

        def get(self, key: object, raw: object) -> str:
            """Give the key again."""
            if not raw:
                raise ValueError("the index has a key that is no text")
            return _text(key)

        def store(self, value: Any, read: bool, key: object = UNKNOWN) -> tuple[int, int, None, str]:  # noqa: ARG002, FBT001
            """Give the value as it is kept."""
            return 0, MODE_TEXT, None, json.dumps(value, sort_keys=True)

        def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> Any:  # noqa: ARG002, FBT001
            """Give the value again."""
            if mode != MODE_TEXT or filename is not None or not isinstance(value, str):
                raise ValueError("the index has a value that is no JSON")
            return json.loads(value)

        def remove(self, file_path: str) -> None:
            """Remove no file: there are none, and a database that names one was altered."""

    return NoPickleDisk


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError("keys of the index are texts")
    return key
