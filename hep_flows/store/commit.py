"""Write an object so that it is there completely or not at all.

Both files are written and synced as temporaries in the same folder tree; then the object is renamed into its place, and last
the sidecar: that is the commit. A crash at any moment leaves the key as it was, or missing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hep_flows.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hep_flows.errors import Where
    from hep_flows.store.paths import Folder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last is the limit of a process
UNFINISHED = ".unfinished-"


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
    if _removed(folder.sidecar(name)):  # the old one does not belong to the new object
        step("old sidecar removed")
    if os.path.isdir(folder.object(name)):
        _removed(folder.object(name))
    os.replace(parts[0], folder.object(name))
    step("object renamed")
    os.replace(parts[1], folder.sidecar(name))
    step("sidecar renamed")
    for place in (shelf, folder.objects) if is_new else (shelf,):
        _sync_folder(place)
    step("folder synced")


def _removed(path: str) -> bool:
    """Remove a file, or a folder that stands where a file should; gives whether there was one."""
    with suppress(FileNotFoundError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        return True
    return False


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
        _removed(path)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give the path of a file to write; it takes its place at the end of the ``with`` block, unless that fails.

    Raises
    ------
    OSError
        As the file system raises it; nothing is left behind, and what was there before is untouched.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:12]}{target.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        with suppress(OSError):
            part.unlink()


def write_text(target: Path, text: str) -> None:
    """Write a text file that is there completely or not at all."""
    with whole_file(target) as part:
        part.write_text(text, encoding="utf-8")


def save_text(target: Path, text: str, what: str, where: Where = None) -> None:
    """Write a text file that the user asked for.

    Raises
    ------
    StoreError
        When it cannot be written: with the folder, what is missing and how much room is needed.
    """
    check_place(target, what, where)
    with told_of_disk(target, what, where=where, need=len(text.encode())):
        write_text(target, text)


def check_place(path: str | os.PathLike[str], what: str, where: Where = None) -> None:
    """Check that a file can be written, before the work is done that it is to tell of.

    Raises
    ------
    StoreError
        When its folder is not there, or cannot be written.
    """
    target = Path(path).absolute()
    reason, do = "", "give a place that can be written"
    if target.is_dir():
        reason, do = "it is a folder", f"name a file in it: {os.fspath(path)}/NAME"
    elif not target.parent.is_dir():
        reason, do = f"there is no folder {target.parent}", "make that folder, or give another place"
    elif not os.access(target.parent, os.W_OK):
        reason = f"you may not write into {target.parent}"
    if reason:
        raise StoreError(f"{what} cannot be written to {os.fspath(path)}", where=where, why=reason, do=do)


@contextmanager
def told_of_disk(
    place: str | os.PathLike[str], what: str, *, where: Where = None, need: int | Callable[[], int] = 0, do: str = ""
) -> Iterator[None]:
    """Tell what the file system refuses in the block as an error of ours.

    Parameters
    ----------
    place : path
        The file or folder that the user named.
    what : str
        What is written, such as ``"the plan"``.
    need : int or callable
        How many bytes are needed, as far as that is known.
    do : str
        What helps, where it is something else than another place.

    Raises
    ------
    StoreError
        For an error of the file system, however it is wrapped: Arrow raises one of its own about the file that it could not finish.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = refused_by_disk(error)
        if found is None:
            raise
        folder = Path(place).absolute()
        while not folder.is_dir():
            folder = folder.parent
        full = found.errno in FULL
        n_bytes = need if isinstance(need, int) else need()
        room = f"; about {n_bytes / 1e6:.3g} MB are needed, {_free(str(folder))}" if full else ""
        raise StoreError(
            f"{what} cannot be written to {os.fspath(place)}" + (": there is no room" if full else ""),
            where=where,
            why=f"{found.strerror or found}{room} in the folder {folder}",
            do=do or ("make room there, or give another place" if full else "give a place that can be written"),
        ) from error


def refused_by_disk(error: BaseException) -> OSError | None:
    """Give the error of the file system that is behind another one."""
    link: BaseException | None = error
    for _ in range(50):
        if link is None or isinstance(link, OSError):
            return link
        link = link.__cause__ or link.__context__
    return None


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
    found = refused_by_disk(error)
    if found is None or found.errno not in FULL:
        return None
    return StoreError(
        f"there is no room in the cache folder {root}",
        why=f"the result has {need / 1e6:.1f} MB before compression, {_free(root)} (error {found.errno})",
        do="remove results that are not needed (hep-flows cache gc), or move the cache to another disk",
    )


def _free(root: str) -> str:
    try:
        return f"{shutil.disk_usage(root).free / 1e6:.1f} MB are free"
    except OSError:
        return "how much is free cannot be told"


# One writer per key: an exclusive lock on a file, which the operating system releases when its holder dies -----------------------

FIRST_WAIT_S = 0.002
TELL_AFTER_S = 5.0
LONGEST_WAIT_S = 0.1


class WaitingForResult(UserWarning):
    """Another process computes what is needed here, and takes some time; it may have been stopped."""


def _holder_of(path: str) -> str:
    """Say who holds a lock, and whether that process is stopped; empty where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        about = os.stat(path)
        place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            pid = next(int(line.split()[4]) for line in locks if place in line.split() and "->" not in line)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
        return f"process {pid}" + (f", which is stopped (kill -CONT {pid} lets it go on)," if state in "Tt" else "")
    return ""


@contextmanager
def claimed(path: str, *, timeout_s: float | None = None, cancelled: Callable[[], bool] | None = None) -> Iterator[bool]:
    """Hold the lock of a file; gives whether somebody else had it first, so that the store should be asked again.

    The file is removed when the lock is released. It stays behind after a kill, and is then simply taken over.

    Parameters
    ----------
    path : str
        The file of the lock.
    timeout_s : float, optional
        How long to wait; for ever when left out.
    cancelled : callable, optional
        Asked while waiting; true ends it.

    Raises
    ------
    StoreError
        When the wait ended without the lock, or the folder cannot hold one.
    """
    descriptor, waited = _wait_for(path, timeout_s, cancelled)
    try:
        yield waited
    finally:
        _release(path, descriptor)


@contextmanager
def claimed_if_free(path: str) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does; gives whether it is held."""
    descriptor = _try(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _wait_for(path: str, timeout_s: float | None, cancelled: Callable[[], bool] | None) -> tuple[int, bool]:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    pause, waited, tell_at = FIRST_WAIT_S, False, time.monotonic() + TELL_AFTER_S
    while (descriptor := _try(path)) is None:
        waited = True
        if cancelled is not None and cancelled():
            raise StoreError("waiting for a result of another process was cancelled")
        if end is not None and time.monotonic() >= end:
            raise StoreError(
                f"another process did not finish a result within {timeout_s:g} s",
                why=f"it holds {path}",
                do="wait longer, or end that process: its lock goes with it",
            )
        if time.monotonic() >= tell_at:
            tell_at = float("inf")
            state = _holder_of(path)
            line = f"waiting for a result that {state or 'another process'} computes ({path})"
            warnings.warn(line, WaitingForResult, stacklevel=2)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_WAIT_S)
    return descriptor, waited


def _try(path: str) -> int | None:
    """Give the descriptor of a lock that is now held, or None when somebody else has it."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            continue
        except OSError as error:
            raise StoreError(f"the lock {path} cannot be made", why=error.strerror or str(error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"the file system of {path} has no locks",
                why=error.strerror or str(error),
                do="put the cache on another file system: without locks two processes would compute the same",
            ) from error
        if _stands_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed the file meanwhile


def _stands_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _release(path: str, descriptor: int) -> None:
    try:
        if _stands_at(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)
