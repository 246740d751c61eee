"""Small things that are known about data, so that it need not be opened again: JSON files beside the results.

A fact must follow from its name, as a result follows from its key. Facts may be deleted at any time, which costs time only.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hep_flows.store.paths import key_name

if TYPE_CHECKING:
    from hep_flows.store.store import Store

FORMAT = "hf-fact/1"
MOST_BYTES = 64 * 1024 * 1024


def read_fact(store: Store, name: bytes) -> Any:
    """Give what was written under a name; None when there is nothing, or nothing that can be used."""
    for folder in (store.folder, *store.layers):
        with suppress(OSError, ValueError, RecursionError):
            path = _path(folder.root, name)
            if os.stat(path).st_size <= MOST_BYTES:
                with open(path, "rb") as file:
                    head, _, text = file.read().partition(b"\n")
                if head == _head(name, text):
                    return json.loads(text)
    return None


def write_fact(store: Store, name: bytes, value: Any) -> None:
    """Write what is known under a name. Where it cannot be written it is found out again next time."""
    if not store.writable:
        return
    path = _path(store.folder.root, name)
    part = f"{store.folder.temporaries}/{key_name(name)}.{uuid.uuid4().hex[:12]}.fact"
    text = json.dumps(value, separators=(",", ":")).encode()
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.makedirs(store.folder.temporaries, exist_ok=True)
        try:
            with open(part, "xb") as file:
                file.write(_head(name, text) + b"\n" + text)
            os.replace(part, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)


def _path(root: str, name: bytes) -> str:
    checked = key_name(name)
    return f"{root}/facts/{checked[:2]}/{checked}.json"


def _head(name: bytes, text: bytes) -> bytes:
    return f"{FORMAT} {key_name(name)} {sha256(text).hexdigest()}".encode()
