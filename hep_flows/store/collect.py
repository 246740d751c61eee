"""Garbage collection: remove results until what is left fits, the ones that were not used for the longest time first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import StoreError
from hep_flows.store.claims import claimed_if_free
from hep_flows.store.commit import remove
from hep_flows.store.index import listed
from hep_flows.store.leftovers import Leftovers, remove_leftovers
from hep_flows.store.paths import key_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hep_flows.store.index import Row
    from hep_flows.store.store import Store

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
    return sorted([(r, r.key in wanted) for r in free], key=lambda pair: (pair[1], pair[0].used, pair[0].key))


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
