"""What a run finds in the store and puts there; without a store nothing is found and nothing is kept."""

from __future__ import annotations

import sys
import warnings
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import StoreError
from hep_flows.in_order import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from hep_flows.contract import Key, Result
    from hep_flows.settings import Settings
    from hep_flows.store.about import Provenance
    from hep_flows.store.store import Store


class ResultNotStored(UserWarning):
    """A result was computed, and could not be stored; it will be computed again."""


class Vanished(Exception):  # noqa: N818
    """A result that was stored a moment ago cannot be read: what it is needed for has to be planned again."""


class Results:
    """Stored results, as one run sees them.

    Parameters
    ----------
    store : Store, optional
        The store; None where nothing is to be stored.
    refresh : bool
        Compute everything again: only what this run itself put is found.
    put : collection of bytes
        What other parts of this run have put already.
    """

    def __init__(self, store: Store | None, *, refresh: bool = False, put: Collection[Key] = ()) -> None:
        """Nothing was looked up yet."""
        self._store = store
        self._refresh = refresh
        self._why_not = ""
        self._put: set[Key] = set(put)
        self._used: set[str] = set()
        self._unusable: set[Key] = set()

    @property
    def is_kept(self) -> bool:
        """Whether what is put can be found again."""
        return self._store is not None and self._store.writable and not self._why_not

    @property
    def is_refresh(self) -> bool:
        """Whether everything is computed again."""
        return self._refresh

    def has(self, key: Key) -> bool:
        """Say whether there is a result, as far as can be told without reading it."""
        if self._store is None or key in self._unusable or (self._refresh and key not in self._put):
            return False
        found = key in self._store
        if found:
            self._used.add(key.hex())
        return found

    def __contains__(self, key: Key) -> bool:
        """Say the same as `has`."""
        return self.has(key)

    def get(self, key: Key) -> Result | None:
        """Give a result, or None; one that turns out to be damaged is not found again."""
        if self._store is None or not self.has(key):
            return None
        found = self._store.get(key)
        if found is None:
            self._unusable.add(key)
        return found

    def size(self, key: Key) -> tuple[int, int]:
        """Give the rows and the bytes of a stored result, without reading it."""
        found = None if self._store is None else self._store.sidecar(key)
        return (0, 0) if found is None else (found.rows, found.nbytes)

    def put(self, key: Key, result: Result, provenance: Callable[[], Provenance], *, now: bool = False) -> str:
        """Store a result, together with others unless it is to be now; gives why it could not be stored, empty when it was."""
        if self._store is None:
            return ""
        if not self._store.writable and not self._why_not:
            self._give_up(self._store.why_read_only)
        if self._why_not:
            return self._why_not
        try:
            with self._store.claim(key) as waited:
                if waited and not self._refresh and key in self._store:  # another process was first
                    return ""
                (self._store.put if now else self._store.put_soon)(key, result, provenance())
            self._used.add(key.hex())
            if self._store.has_grown:
                self._keep_limit()
        except (StoreError, OSError) as error:
            return _told(error)
        self._put.add(key)
        self._unusable.discard(key)
        return ""

    def commit(self) -> dict[Key, str]:
        """Have everything stored that was put; gives why something could not be."""
        errors = {} if self._store is None else self._store.commit()
        notes = {error: _told(error) for error in dict.fromkeys(errors.values())}
        self._put -= {bytes.fromhex(name) for name in errors}
        self._keep_limit()
        return {bytes.fromhex(name): notes[error] for name, error in errors.items()}

    def _keep_limit(self) -> None:
        """Make room where the cache has outgrown its limit; what this run uses stays."""
        store = self._store
        if store is None or not store.has_outgrown():
            return
        from hep_flows.store.upkeep import collect

        done = collect(store, limit_bytes=store.limit_bytes, keep=self._used)
        if done.removed:
            removed = (
                f"{len(done.removed):,} results that were not used for longest were removed ({done.removed_bytes / 1e6:.3g} MB)"
            )
            sys.stderr.write(f"hep_flows: {removed}: the cache keeps within cache_limit\n")

    @contextmanager
    def claims(self, keys: Iterable[Key], cancelled: Callable[[], bool]) -> Iterator[None]:
        """Be the only one who computes these keys. Everybody takes them in one order, so nobody waits for ever."""
        with ExitStack() as held:
            for key in sorted(keys):
                if self._store is None or not self.is_kept:
                    break
                try:
                    held.enter_context(self._store.claim(key, cancelled=cancelled))
                except (StoreError, OSError) as error:
                    if cancelled():
                        raise Stopped from error
                    self._give_up(error)
            yield

    def _give_up(self, why: object) -> None:
        """Go on without storing anything: a cache that does not work costs time, never the result."""
        assert self._store is not None
        self._why_not = f"the cache {self._store.folder.root} cannot be written: {why}"
        warnings.warn(self._why_not, ResultNotStored, stacklevel=2)

    def remembered(self, name: Key) -> Any:
        """Give what was remembered about some data, or None."""
        if self._store is None:
            return None
        from hep_flows.store.store import read_fact

        return read_fact(self._store, name)

    def remember(self, name: Key, value: Any) -> None:
        """Remember something about some data; what it is must follow from the name."""
        if self._store is not None and self.is_kept:
            from hep_flows.store.store import write_fact

            write_fact(self._store, name, value)


def _told(error: Exception) -> str:
    warnings.warn(f"a result was computed, and could not be stored: {error}", ResultNotStored, stacklevel=3)
    return error.what if isinstance(error, StoreError) else f"{error}"


# The store of a cache folder: one for each folder in a process, so that what was read or made a moment ago is at hand ------------


def open_store(settings: Settings) -> Store | None:
    """Give the store that the settings name; None when nothing is to be stored."""
    if settings.cache is None:
        return None
    store = store_of(str(settings.cache), tuple([str(p) for p in settings.cache_layers]))
    store.limit_bytes = settings.cache_limit
    return store


@lru_cache(maxsize=4)
def store_of(root: str, layers: tuple[str, ...]) -> Store:
    """Give the store of a folder, with the folders below it; says, until something is stored there, what of another version lies in it."""
    from hep_flows.store.store import Store

    store = Store(root, layers)
    if not Path(store.folder.objects).is_dir():
        for other in store.of_other_formats():
            sys.stderr.write(f"hep_flows: the results in {other} are of another version of hep_flows: not used, and left alone\n")
    return store
