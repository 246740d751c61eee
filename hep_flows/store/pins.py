"""Pins: results that are never removed to make room. Each is a small file of its own, so no index is needed to know them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import StoreError
from hep_flows.store.commit import told_of_disk, write_text
from hep_flows.store.paths import is_key_name, key_name

if TYPE_CHECKING:
    from hep_flows.store.store import Store


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
