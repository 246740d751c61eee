"""The identity of a file's content: it changes when, and only when, the content does.

It is made of the file's size and of the record in which the file describes its own data (ROOT: identifier and the tree's record
with the position and size of every basket; RNTuple: its envelopes; Parquet: the footer). Uncompressed data can change without
changing any of these, so local files add their bytes: all of a small file, blocks spread over a big one. Paths and times of the
file system are no part of it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SMALL_BYTES = 8 << 20
_BLOCK_BYTES = 16 << 10
_N_BLOCKS = 64


def identity(entries: int, parts: Iterable[bytes]) -> str:
    """Give the text that stands for a file's content: the number of events, and a digest."""
    made = sha256()
    for part in parts:
        made.update(b"%d:" % len(part))
        made.update(part)
    return f"{entries}:{made.hexdigest()}"


def entries_of(content: str) -> int:
    """Give the number of events that an identity tells."""
    return int(content.split(":", 1)[0])


def local_sample(file: str) -> bytes:
    """Give a digest of a local file's own bytes: of all of them, or of blocks spread over a big file."""
    path = Path(file)
    size = path.stat().st_size
    made = sha256(b"%d:" % size)
    with path.open("rb") as stream:
        if size <= _SMALL_BYTES:
            made.update(stream.read())
            return made.digest()
        for i in range(_N_BLOCKS):
            stream.seek((size - _BLOCK_BYTES) * i // (_N_BLOCKS - 1))
            made.update(stream.read(_BLOCK_BYTES))
    return made.digest()
