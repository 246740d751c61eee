"""Which input file a result belongs to: a transformer names the object after the file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONGEST = 255


def object_name(file: str) -> str:
    """Give the name of a file's result."""
    return file.replace("/", ":") + ".parquet"


def files_by_object(files: Sequence[str]) -> dict[str, str]:
    """Give the file for every name that its result may have; names that are too long for a store are a digest and their end."""
    return {name: file for file in files for name in _possible(file)}


def _possible(file: str) -> Iterator[str]:
    name = object_name(file)
    yield name
    if len(name) > _LONGEST:
        yield _shortened(name, _LONGEST)
        yield _shortened(name.removesuffix(".parquet"), _LONGEST) + ".parquet"


def _shortened(name: str, length: int) -> str:
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return f"_{digest}{name[-(length - len(digest) - 1) :]}"
