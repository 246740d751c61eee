"""Garbage collection: remove results until what is left fits, the ones that were not used for the longest time first."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import RecordError, StoreError
from hep_flows.store.about import read_pack
from hep_flows.store.commit import claimed_if_free, is_used, named_by, remove
from hep_flows.store.index import entries, listed, sidecars
from hep_flows.store.paths import is_key_name, key_name
from hep_flows.store.store import DAMAGE, check_object, object_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from hep_flows.store.index import Row
    from hep_flows.store.paths import Folder
    from hep_flows.store.store import Store

# What interrupted writers left: temporaries, objects that were never committed, locks without a holder ---------------------------

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
            sizes += _file_removed(path, dry_run=dry_run) if _age(path) > SAFE_AGE_S else []
            continue
        with claimed_if_free(folder.lock(name)) as is_free:
            if is_free and not _is_used(folder, path, name):
                sizes += _file_removed(path, dry_run=dry_run)
    _free_locks(folder)
    return Leftovers(len(sizes), sum(sizes))


def _is_used(folder: Folder, path: str, name: str) -> bool:
    """Say whether a result is found in a file."""
    if path == folder.object(name):
        return os.path.exists(folder.sidecar(name)) and not named_by(folder.sidecar(name)) - {name}
    return path in (folder.pack(name), folder.pack(name, "json")) and is_used(folder, name)


def _suspects(folder: Folder) -> Iterator[tuple[str, str]]:
    """Give the path of each file that may be left, and its key, empty where the name tells none."""
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(folder.temporaries)):
            name = entry.name.partition(".")[0]
            yield entry.path, name if is_key_name(name) else ""
    seen = {e.name for e in entries(folder)}
    for file in sorted(seen):
        name, _, ending = file.partition(".")
        if (
            is_key_name(name)
            and ending == "parquet"
            and not (f"{name}.json" in seen and _is_used(folder, folder.object(name), name))
        ):
            yield folder.object(name), name
    with suppress(FileNotFoundError):
        for entry in sorted(os.scandir(os.path.dirname(folder.pack(""))), key=lambda e: e.name):
            name = entry.name.partition(".")[0]
            if is_key_name(name) and not is_used(folder, name):
                yield entry.path, name


def _age(path: str) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _file_removed(path: str, *, dry_run: bool) -> list[int]:
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


RECENT_S = 600.0
# A clock that was wrong and was set right leaves uses in the future: they protect as well, unless they are no times at all.
AHEAD_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What a collection did.

    Parameters
    ----------
    removed, kept : tuple of Row
        The results, those that were removed in that order.
    in_use : tuple of str
        Keys that should have gone, but that another process was working on.
    leftovers : Leftovers
        What interrupted writers had left.
    limit_bytes : int, optional
        The limit.
    dry_run : bool
        Whether nothing was really removed.
    """

    removed: tuple[Row, ...]
    kept: tuple[Row, ...]
    in_use: tuple[str, ...]
    leftovers: Leftovers
    limit_bytes: int | None
    dry_run: bool

    @property
    def removed_bytes(self) -> int:
        """The bytes of what was removed."""
        return sum([r.nbytes for r in self.removed])

    @property
    def kept_bytes(self) -> int:
        """The bytes of what is left."""
        return sum([r.nbytes for r in self.kept])

    @property
    def is_within_limit(self) -> bool:
        """Whether what is left fits."""
        return self.limit_bytes is None or self.kept_bytes <= self.limit_bytes


def collect(
    store: Store,
    *,
    limit_bytes: int | None = None,
    roots: Iterable[bytes | str] | None = None,
    recent_s: float = RECENT_S,
    dry_run: bool = False,
    keep: Collection[str] | None = None,
) -> CollectReport:
    """Remove what is not needed from the store's own folder.

    Pinned results stay, and so do those that were used within ``recent_s``, or by a clock that was ahead of this one: a run may be about
    to read them.

    Parameters
    ----------
    store : Store
        The store.
    limit_bytes : int, optional
        What objects may have together; the least recently used go first.
    roots : iterable of keys, optional
        Results that are wanted. Everything that they were not made from, directly or not, goes, whatever the limit.
    recent_s : float
        How long a use protects a result.
    dry_run : bool
        Only say what would go.
    keep : collection of str, optional
        Keys, as digits, that a run is using: they stay.

    Raises
    ------
    StoreError
        When the folder cannot be written.
    """
    if not store.writable:
        raise StoreError(f"the cache folder {store.folder.root} cannot be written", why=store.why_read_only)
    leftovers = remove_leftovers(store.folder, dry_run=dry_run)
    rows = listed(store)
    kept = dict(rows)
    removed: list[Row] = []
    in_use: list[str] = []
    total = sum([r.nbytes for r in rows.values()])
    for row, is_wanted in _in_order(rows, roots, recent_s):
        if is_wanted and (limit_bytes is None or total <= limit_bytes):
            break
        if keep is not None and row.key in keep:
            continue
        if dry_run or _removed(store, row.key):
            removed.append(kept.pop(row.key))
            total -= row.nbytes
        else:
            in_use.append(row.key)
    if removed and not dry_run:
        listed(store)  # the rows go last
    return CollectReport(tuple(removed), tuple(kept.values()), tuple(in_use), leftovers, limit_bytes, dry_run)


def _in_order(rows: Mapping[str, Row], roots: Iterable[bytes | str] | None, recent_s: float) -> list[tuple[Row, bool]]:
    """Give what may go, in the order in which it goes, and whether it is wanted: first what is not, then the longest unused."""
    now = time.time()
    free = [r for r in rows.values() if not r.pinned and not now - recent_s < r.used <= now + AHEAD_S]
    wanted = rows.keys() if roots is None else reachable(rows, [key_name(k) for k in roots])
    return sorted([(r, r.key in wanted) for r in free], key=lambda pair: (pair[1], pair[0].used, pair[0].object, pair[0].key))


def reachable(rows: Mapping[str, Row], roots: Iterable[str]) -> set[str]:
    """Give the keys of the roots and of everything that they were made from."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [str(i) for i in rows[name].about.get("inputs", ())] if name in rows else []
    return found


def _removed(store: Store, name: str) -> bool:
    with claimed_if_free(store.folder.lock(name)) as is_free:
        if is_free:
            remove(store.folder, name)
        return is_free


# Look at every object of a cache folder: it should be what its sidecar says ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Damage:
    """A result that cannot be used, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Parameters
    ----------
    sound : int
        How many results are as they were written.
    nbytes : int
        The bytes of these.
    damaged : tuple of Damage
        The others.
    leftovers : Leftovers
        What interrupted writers had left; removed if the folder can be written.
    """

    sound: int
    nbytes: int
    damaged: tuple[Damage, ...]
    leftovers: Leftovers

    @property
    def is_sound(self) -> bool:
        """Whether every result can be used."""
        return not self.damaged


def verify(
    store: Store,
    *,
    decode: bool = False,
    remove_damaged: bool = False,
    progress: Callable[[int], None] | None = None,
    key_of: Callable[[Mapping[str, Any]], bytes | None] | None = None,
) -> VerifyReport:
    """Give what is wrong in the store's own folder.

    Parameters
    ----------
    store : Store
        The store.
    decode : bool
        Read every result as well, not just its bytes.
    remove_damaged : bool
        Remove what cannot be used, so that it no longer takes room.
    progress : callable, optional
        Called with the number of results that were looked at.
    key_of : callable, optional
        Gives the key that a result must have by its provenance, or None where that does not tell; asked where results are read.
    """
    leftovers = remove_leftovers(store.folder) if store.writable else Leftovers()
    sizes: list[int] = []
    damaged: list[Damage] = []
    for name, _ in sidecars(store.folder):
        try:
            n_bytes = _check(store.folder, name, decode=decode)
            if decode and key_of is not None:
                _check_key(store.folder, name, key_of)
            sizes.append(n_bytes)
        except (*DAMAGE, RecordError) as error:
            if os.path.exists(store.folder.sidecar(name)):  # else it was removed meanwhile
                damaged.append(Damage(name, str(error) or type(error).__name__))
                _remove(store, name, wanted=remove_damaged)
        if progress is not None:
            progress(len(sizes) + len(damaged))
    return VerifyReport(len(sizes), sum(sizes), tuple(damaged), leftovers)


def _check(folder: Folder, name: str, *, decode: bool) -> int:
    pack = read_pack(folder.sidecar(name))
    sidecar, path = pack.result(name), object_of(folder, pack, name)
    check_object(path, pack, sidecar)
    if decode:
        from hep_flows.store.histograms import from_inline
        from hep_flows.store.parquet import read_parquet

        if sidecar.inline is not None:
            from_inline(sidecar.inline)
        read_parquet(path, name)
    return sidecar.nbytes


def _check_key(folder: Folder, name: str, key_of: Callable[[Mapping[str, Any]], bytes | None]) -> None:
    """See that a result stands under the key of the expression and the data that it names."""
    from hep_flows.store.parquet import provenance_of

    about = provenance_of(object_of(folder, read_pack(folder.sidecar(name)), name), name)
    key = key_of(about) if about.get("expression") else None
    if key is not None and key.hex() != name:
        raise ValueError("it is the result of another expression, or of other data, than its key says")


def _remove(store: Store, name: str, *, wanted: bool) -> None:
    if wanted and store.writable:
        with claimed_if_free(store.folder.lock(name)) as is_free:
            if is_free:
                remove(store.folder, name)
