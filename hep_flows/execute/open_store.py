"""The store of a cache folder: one for each folder in a process, so that what was read or made a moment ago is at hand."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hep_flows.settings import Settings
    from hep_flows.store.store import Store


def open_store(settings: Settings) -> Store | None:
    """Give the store that the settings name; None when nothing is to be stored."""
    if settings.cache is None:
        return None
    return store_of(str(settings.cache), tuple([str(p) for p in settings.cache_layers]))


@lru_cache(maxsize=4)
def store_of(root: str, layers: tuple[str, ...]) -> Store:
    """Give the store of a folder, with the folders below it."""
    from hep_flows.store.store import Store

    return Store(root, layers)
