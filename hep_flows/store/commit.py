"""Write an object so that it is there completely or not at all.

Both files are written and synced as temporaries in the same folder tree; then the object is renamed into its place, and last
the sidecar: that is the commit. The sidecar of an object of several results then gets a second name for each of their keys. A crash at
any moment leaves a key as it was, or missing.
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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hep_flows.errors import StoreError
from hep_flows.settings import is_address
from hep_flows.store.about import SIDECAR_FAULTS, read_pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hep_flows.errors import Where
    from hep_flows.store.about import Pack
    from hep_flows.store.paths import Folder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last is the limit of a process
UNFINISHED = ".unfinished-"


class HashingFile:
    """A binary file that is written once, from front to end, and knows the checksums of its pieces.

    Parameters
    ----------
    file : binary file
        Where the bytes go.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._nbytes = self._start = 0
        self._pieces: list[tuple[int, str]] = []
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

    def cut(self) -> None:
        """End a piece here."""
        self._pieces.append((self._nbytes - self._start, self._digest.hexdigest()))
        self._digest, self._start = sha256(), self._nbytes

    def pieces(self) -> tuple[tuple[int, str], ...]:
        """Give bytes and checksum of each piece; what follows the last cut is one too."""
        if self._nbytes > self._start:
            self.cut()
        return tuple(self._pieces)


def no_step(_: str) -> None:
    """Do nothing between two steps."""


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that is to be committed.

    Parameters
    ----------
    name : str
        Its name: the key of its one result, or a new number.
    keys : tuple of str
        Of its results.
    write : callable
        Writes the object into a file.
    sidecar : callable
        Gives what its sidecar says from the pieces that were written.
    """

    name: str
    keys: tuple[str, ...]
    write: Callable[[HashingFile], None]
    sidecar: Callable[[tuple[tuple[int, str], ...]], Pack]

    @property
    def is_alone(self) -> bool:
        """Whether it stands under the key of its one result."""
        return self.keys == (self.name,)


def commit(folder: Folder, objects: Sequence[NewObject], *, step: Callable[[str], None] = no_step) -> list[Pack]:
    """Write objects and their sidecars; the caller holds the claims of all keys.

    Parameters
    ----------
    folder : Folder
        The cache folder.
    objects : sequence of NewObject
        What is written. They are synced one by one, and the folder once for all.
    step : callable
        Called with the name of each step after it is done.

    Raises
    ------
    OSError
        As the file system raises it; nothing is left behind.
    """
    parts = [_temporaries(folder, o.name) for o in objects]
    packs: list[Pack] = []
    with ExitStack() as held:
        for new in objects:
            if not new.is_alone:  # its temporaries are those of the living
                held.enter_context(claimed(folder.lock(new.name)))
        try:
            for new, (object_part, sidecar_part) in zip(objects, parts, strict=True):
                with _new(object_part) as object_, _new(sidecar_part) as beside:
                    file = HashingFile(object_)
                    new.write(file)
                    step("object written")
                    packs.append(new.sidecar(file.pieces()))
                    beside.write(packs[-1].written())
                    step("sidecar written")
                    _sync(object_)
                    _sync(beside)
            step("both synced")
            places = {p for new, part in zip(objects, parts, strict=True) for p in _into_place(folder, new, part, step)}
            for place in places:
                _sync_folder(place)
            step("folder synced")
        finally:
            for part in [p for pair in parts for p in pair]:
                with suppress(FileNotFoundError):
                    os.unlink(part)
    return packs


def _into_place(folder: Folder, new: NewObject, parts: tuple[str, str], step: Callable[[str], None]) -> list[str]:
    """Rename an object and its sidecar into their places; gives the folders to sync."""
    object_, sidecar = _places(folder, new.name, is_alone=new.is_alone)
    shelf = os.path.dirname(object_)
    is_new = not os.path.isdir(shelf)
    os.makedirs(shelf, exist_ok=True)
    before: set[str] = set()
    if new.is_alone:
        before = named_by(sidecar)
        if _removed(sidecar):  # the old one does not belong to the new object
            step("old sidecar removed")
    if os.path.isdir(object_):
        _removed(object_)
    os.replace(parts[0], object_)
    step("object renamed")
    os.replace(parts[1], sidecar)
    step("sidecar renamed")
    if not new.is_alone:
        for key in new.keys:
            before |= _stand_under(folder, key, sidecar)
        step("keys linked")
    for old in before - {new.name}:
        _remove_unused(folder, old)
    return [shelf, folder.objects] if is_new else [shelf]


def _places(folder: Folder, name: str, *, is_alone: bool) -> tuple[str, str]:
    return (folder.object(name), folder.sidecar(name)) if is_alone else (folder.pack(name), folder.pack(name, "json"))


def _stand_under(folder: Folder, key: str, sidecar: str) -> set[str]:
    """Let a sidecar stand under a key too; gives the name of the object that stood there before.

    It is the same file once more. Where a file system has no second names for a file, it is a copy.
    """
    place = folder.sidecar(key)
    os.makedirs(folder.shelf(key), exist_ok=True)
    try:
        os.link(sidecar, place)
    except FileExistsError:
        before = named_by(place)
        if os.path.isdir(place):
            _removed(place)
    except OSError:
        before = set()
    else:
        return set()
    part = _temporaries(folder, key)[1]
    try:
        try:
            os.link(sidecar, part)
        except OSError:
            shutil.copyfile(sidecar, part)
        os.replace(part, place)
        return before
    finally:  # a name that is renamed onto another of the same file stays
        with suppress(FileNotFoundError):
            os.unlink(part)


def named_by(sidecar: str) -> set[str]:
    """Give the name of the object that a sidecar is of, if it says one."""
    with suppress(*SIDECAR_FAULTS):
        return {read_pack(sidecar).name}
    return set()


def is_used(folder: Folder, name: str) -> bool:
    """Say whether a result of an object of several is still found under its key."""
    with suppress(*SIDECAR_FAULTS):
        return any(name in named_by(folder.sidecar(key)) for key in read_pack(folder.pack(name, "json")).results)
    return False


def _remove_unused(folder: Folder, name: str) -> None:
    """Remove an object that no key stands for any more; its sidecar first."""
    if os.path.lexists(folder.pack(name)):
        if not is_used(folder, name):
            _removed(folder.pack(name, "json"))
            _removed(folder.pack(name))
    elif name not in named_by(folder.sidecar(name)):
        _removed(folder.object(name))


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


def remove(folder: Folder, key: str) -> None:
    """Remove the result of a key, the sidecar first; the caller holds the claim."""
    before = named_by(folder.sidecar(key))
    _removed(folder.sidecar(key))
    for name in before | {key}:
        _remove_unused(folder, name)


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
    if is_address(path):
        reason = "it is an address, and files are written to disks of this machine"
    elif target.is_dir():
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
    if is_address(place):
        raise StoreError(
            f"{what} cannot be written to {os.fspath(place)}",
            where=where,
            why="it is an address, and files are written to disks of this machine",
            do="give a folder here, and copy it from there",
        )
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
    descriptor, waited = wait_for(path, timeout_s, cancelled)
    try:
        yield waited
    finally:
        release(path, descriptor)


@contextmanager
def claimed_if_free(path: str) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does; gives whether it is held."""
    descriptor = _try(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            release(path, descriptor)


def wait_for(path: str, timeout_s: float | None, cancelled: Callable[[], bool] | None) -> tuple[int, bool]:
    """Take the lock of a file; gives its descriptor, for `release`, and whether somebody else had it first."""
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


def release(path: str, descriptor: int) -> None:
    """Let go of a lock."""
    try:
        if _stands_at(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)
