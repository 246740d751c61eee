"""Which input file a result belongs to: a transformer names the object after the file.

A transformer that writes Parquet adds ``.parquet``. One that writes ROOT only, as those that run C++ do, has its results turned into Parquet
beside it, and there ``.parquet`` takes the place of what stands after the last dot: ``a.root`` gives ``a.parquet``, and ``a.root.1`` gives
``a.root.parquet``. A site that reads through a cache puts the cache's address in front. A name that is too long for a store is a digest and
its end.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONGEST = 255
_PARQUET = ".parquet"
_CACHE = re.compile(r"root:::[^:]+(?::\d+)?::(?P<name>.+)", re.DOTALL)
_SHORT = re.compile(r"_[0-9a-f]{40}(?P<end>.+)", re.DOTALL)


def object_name(file: str, *, converted: bool = False) -> str:
    """Give the name of a file's result; ``converted`` where the server makes Parquet of what the transformer writes."""
    name = _plain(file)
    return (_stem(name) if converted else name) + _PARQUET


class ObjectNames:
    """Finds the file that a result belongs to.

    Parameters
    ----------
    files : sequence of str
        The files of one request.
    """

    def __init__(self, files: Sequence[str]) -> None:
        """Every name that a result may have is known."""
        self._files: dict[str, str] = {}
        for converted in (False, True):
            for file in files:
                for name in _possible(file, converted=converted):
                    self._files.setdefault(name, file)

    def file_of(self, name: str) -> str:
        """Give the file of a result; empty where it is not clear."""
        found = next((self._files[n] for n in _readings(name) if n in self._files), "")
        short = _SHORT.fullmatch(name)
        if found or short is None:
            return found
        # The digest of a name with a cache's address in it cannot be known here; what is left of the name may be enough.
        ends = {file for known, file in self._files.items() if known.endswith(short["end"])}
        return ends.pop() if len(ends) == 1 else ""


def _readings(name: str) -> Iterator[str]:
    yield name
    cached = _CACHE.fullmatch(name)
    if cached is not None:
        yield cached["name"]


def _possible(file: str, *, converted: bool) -> Iterator[str]:
    yield object_name(file, converted=converted)
    name = _plain(file)
    if converted and len(name) > _LONGEST:
        yield _stem(_shortened(name, _LONGEST)) + _PARQUET
    elif not converted and len(name + _PARQUET) > _LONGEST:
        yield _shortened(name + _PARQUET, _LONGEST)
        yield _shortened(name, _LONGEST) + _PARQUET


def _plain(file: str) -> str:
    return re.sub("^davs", "https", file).replace("/", ":")


def _stem(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix else name


def _shortened(name: str, length: int) -> str:
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return f"_{digest}{name[-(length - len(digest) - 1) :]}"
