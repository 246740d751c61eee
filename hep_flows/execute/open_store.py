"""The store of a cache folder: one for each folder in a process, so that what was read or made a moment ago is at hand."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
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
    """Give the store of a folder, with the folders below it; says, until something is stored there, what of another version lies in it."""
    from hep_flows.store.store import Store

    store = Store(root, layers)
    if not Path(store.folder.objects).is_dir():
        for other in store.of_other_formats():
            sys.stderr.write(f"hep_flows: the results in {other} are of another version of hep_flows: not used, and left alone\n")
    return store
