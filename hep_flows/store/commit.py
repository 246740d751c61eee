"""Write an object so that it is there completely or not at all.

Both files are written and synced as temporaries in the same folder tree; then the object is renamed into its place, and last
the sidecar: that is the commit. A crash at any moment leaves the key as it was, or missing.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO

from hep_flows.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.store.paths import Folder

FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: how many bytes, and their checksum."""

    nbytes: int
    sha256: str


class HashingFile:
    """A binary file that is written once, from front to end, and knows its checksum.

    Parameters
    ----------
    file : binary file
        Where the bytes go.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._nbytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Write some bytes."""
        self._digest.update(data)
        self._file.write(data)
        length = memoryview(data).nbytes
        self._nbytes += length
        return length

    def tell(self) -> int:
        """Give how many bytes were written."""
        return self._nbytes

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Nothing: the file is closed where it was opened."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def written(self) -> Written:
        """Give what was written."""
        return Written(self._nbytes, self._digest.hexdigest())


def no_step(_: str) -> None:
    """Do nothing between two steps."""


def commit(
    folder: Folder,
    name: str,
    write: Callable[[HashingFile], None],
    sidecar: Callable[[Written], bytes],
    *,
    step: Callable[[str], None] = no_step,
) -> Written:
    """Write an object and its sidecar; the caller holds the claim of the key.

    Parameters
    ----------
    folder : Folder
        The cache folder.
    name : str
        The key, as digits.
    write : callable
        Writes the object into a file.
    sidecar : callable
        Gives the text of the sidecar from what was written.
    step : callable
        Called with the name of each step after it is done.

    Raises
    ------
    OSError
        As the file system raises it; nothing is left behind.
    """
    parts = _temporaries(folder, name)
    try:
        with _new(parts[0]) as object_, _new(parts[1]) as beside:
            file = HashingFile(object_)
            write(file)
            step("object written")
            beside.write(sidecar(file.written()))
            step("sidecar written")
            _sync(object_)
            _sync(beside)
        step("both synced")
        _into_place(folder, name, parts, step)
    finally:
        for part in parts:
            with suppress(FileNotFoundError):
                os.unlink(part)
    return file.written()


def _into_place(folder: Folder, name: str, parts: tuple[str, str], step: Callable[[str], None]) -> None:
    shelf = folder.shelf(name)
    is_new = not os.path.isdir(shelf)
    os.makedirs(shelf, exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(folder.sidecar(name))  # the old one does not belong to the new object
        step("old sidecar removed")
    os.replace(parts[0], folder.object(name))
    step("object renamed")
    os.replace(parts[1], folder.sidecar(name))
    step("sidecar renamed")
    for place in (shelf, folder.objects) if is_new else (shelf,):
        _sync_folder(place)
    step("folder synced")


def _temporaries(folder: Folder, name: str) -> tuple[str, str]:
    """Give names that say whose they are, so that what a dead process left can be removed."""
    start = f"{folder.temporaries}/{name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:12]}"
    return f"{start}.parquet", f"{start}.json"


def _host() -> str:
    return "".join([c for c in socket.gethostname() if c.isalnum() or c == "-"]) or "unknown"


def _new(path: str) -> BinaryIO:
    try:
        return open(path, "xb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(folder: Folder, name: str) -> None:
    """Remove the result of a key, the sidecar first; the caller holds the claim."""
    for path in (folder.sidecar(name), folder.object(name)):
        with suppress(FileNotFoundError):
            os.unlink(path)


def full_disk(error: BaseException, root: str, need: int) -> StoreError | None:
    """Give the error to raise when a full disk or a quota is behind an error, however it is wrapped.

    Parameters
    ----------
    error : BaseException
        What came out of writing. Arrow raises an error of its own about the file that it could not finish.
    root : str
        The cache folder.
    need : int
        How many bytes the result has, not compressed.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and len(seen) < 50:
        if isinstance(link, OSError) and link.errno in FULL:
            return StoreError(
                f"there is no room in the cache folder {root}",
                why=f"the result has {need / 1e6:.1f} MB before compression, {_free(root)} (error {link.errno})",
                do="remove results that are not needed (hep-flows cache gc), or move the cache to another disk",
            )
        seen.add(len(seen))
        link = link.__cause__ or link.__context__
    return None


def _free(root: str) -> str:
    try:
        return f"{shutil.disk_usage(root).free / 1e6:.1f} MB are free"
    except OSError:
        return "how much is free cannot be told"
