"""Results by key: what was computed before is here, or it was not computed.

A key is committed when its sidecar stands in its place. Whatever is missing, cut short or altered counts as not there, with a
warning, and is computed again. Nothing that is read here can run code.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest, sha256
from typing import TYPE_CHECKING, Any

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.errors import StoreError
from hep_flows.settings import regular_file
from hep_flows.store.about import Sidecar, parse
from hep_flows.store.paths import Folder, key_name, why_read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import FileIO

    from hep_flows.contract import Result
    from hep_flows.store.about import Provenance

# Results that this process made or read a short while ago, within a limit of bytes -----------------------------------------------

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    result: Result
    nbytes: int
    stamp: Stamp


class Memory:
    """The latest results, until they have more than ``limit`` bytes together.

    Parameters
    ----------
    limit : int
        Bytes. A result that has more on its own is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return self._nbytes

    def get(self, name: str, stamp: Stamp) -> Result | None:
        """Give a result, if the files on disk are still those that it belongs to.

        Parameters
        ----------
        name : str
            The key, as digits.
        stamp : tuple of int
            What identifies the files.
        """
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            if entry.stamp != stamp:
                self._remove(name)
                return None
            self._entries.move_to_end(name)
        return _separate(entry.result)

    def put(self, name: str, stamp: Stamp, result: Result) -> None:
        """Keep a result."""
        nbytes = _size(result)
        if nbytes > self._limit:
            return
        kept = _Entry(_separate(result), nbytes, stamp)
        with self._lock:
            self._remove(name)
            self._entries[name] = kept
            self._nbytes += nbytes
            while self._nbytes > self._limit:
                self._remove(next(iter(self._entries)))

    def forget(self, name: str) -> None:
        """Drop a result."""
        with self._lock:
            self._remove(name)

    def _remove(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._nbytes -= entry.nbytes


def _size(result: Result) -> int:
    match result:
        case Columns(array):
            return int(array.nbytes) + 1024
        case Scalar(value):
            return int(getattr(value, "nbytes", 0)) + 1024
        case HistogramResult((counts, edges)):
            return int(counts.nbytes + edges.nbytes) + 1024
        case HistogramResult(histogram):
            return int(histogram.view(flow=True).nbytes) + 8192


def _separate(result: Result) -> Result:
    """Give a result that the user may fill or add members to without changing the one that is kept."""
    match result:
        case Columns(array, rows):
            return Columns(_shallow(array), rows)
        case Scalar(value):
            return Scalar(_shallow(value)) if type(value).__module__.startswith("awkward.") else result
        case HistogramResult((counts, edges)):
            return HistogramResult((counts.copy(), edges.copy()))
        case HistogramResult(histogram):
            return HistogramResult(histogram.copy())


def _shallow(array: Any) -> Any:
    """Give another wrapper of the same immutable layout."""
    return type(array)(array.layout, behavior=array.behavior, attrs=array.attrs or None)


# What reading a damaged file can raise, whichever library finds the damage.
DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
MEMORY_BYTES = 256 * 2**20
USE_S = 60.0
_OBJECTS = re.compile(r"objects(-\d+)?")


class DamagedResultWarning(UserWarning):
    """A stored result cannot be used, and is computed again."""


class Store:
    """The results in a cache folder, and below it in read-only folders of others.

    Parameters
    ----------
    root : str or Path
        The user's own folder; made when the first result is put.
    layers : sequence of str or Path
        Folders that are read where the own one has nothing, in this order; never written.
    memory_bytes : int
        How much of the latest results is kept in this process.
    allow_foreign : bool
        Whether a folder that belongs to another user may be written.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        layers: Sequence[str | os.PathLike[str]] = (),
        *,
        memory_bytes: int = MEMORY_BYTES,
        allow_foreign: bool = False,
    ) -> None:
        self.folder = Folder(_absolute(root))
        self.layers = tuple([Folder(_absolute(layer)) for layer in layers])
        self.why_read_only = why_read_only(self.folder.root, allow_foreign=allow_foreign)
        self._memory = Memory(memory_bytes)
        self._verified: set[tuple[int, ...]] = set()
        self._held: dict[str, int] = {}

    @property
    def writable(self) -> bool:
        """Whether results can be put; if not, ``why_read_only`` says why."""
        return not self.why_read_only

    def of_other_formats(self) -> tuple[str, ...]:
        """Give the folders of results that another version of this package wrote: they are not read, and never touched."""
        found: list[str] = []
        for folder in (self.folder, *self.layers):
            with suppress(OSError):
                names = sorted(e.name for e in os.scandir(folder.root) if _OBJECTS.fullmatch(e.name))
                found += [f"{folder.root}/{n}" for n in names if f"{folder.root}/{n}" != folder.objects]
        return tuple(found)

    def get(self, key: bytes | str) -> Result | None:
        """Give the result of a key, or None when it has to be computed.

        Parameters
        ----------
        key : bytes or str
            32 bytes, or 64 hexadecimal digits.

        Warns
        -----
        DamagedResultWarning
            When there is a result that cannot be used.
        """
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            result = self._look_up(folder, name)
            if result is not None:
                return result
        return None

    def has(self, keys: Iterable[bytes | str]) -> set[bytes | str]:
        """Give those of the keys that are committed, with an object of the right size; checksums are verified by `get`."""
        return {k for k in keys if self.sidecar(k) is not None}

    def __contains__(self, key: bytes | str) -> bool:
        """Say whether a key is committed."""
        return self.sidecar(key) is not None

    def sidecar(self, key: bytes | str) -> Sidecar | None:
        """Give what is known about the result of a key without reading it."""
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            with suppress(*DAMAGE):
                found = parse(_content(folder.sidecar(name)), name, check=False)
                if os.stat(folder.object(name)).st_size == found.nbytes:
                    return found
        return None

    def is_intact(self, key: bytes | str) -> bool:
        """Say whether a key is committed and its object has its checksum, which is looked at once in a process."""
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            with suppress(*DAMAGE):
                self._verify(folder.object(name), parse(_content(folder.sidecar(name)), name), _stamp(folder, name))
                return True
        return False

    def path(self, key: bytes | str) -> str | None:
        """Give the Parquet file of a committed key."""
        name = key_name(key)
        places = [f.object(name) for f in (self.folder, *self.layers) if os.path.exists(f.sidecar(name))]
        return next((p for p in places if os.path.exists(p)), None)

    def put(
        self,
        key: bytes | str,
        result: Result,
        provenance: Provenance | None = None,
        *,
        step: Callable[[str], None] | None = None,
    ) -> Sidecar:
        """Commit the result of a key, in place of any that is there; waits while another process writes it.

        Parameters
        ----------
        key : bytes or str
            The key.
        result : Result
            What to store.
        provenance : Provenance, optional
            How it came about.
        step : callable, optional
            Called after each step of the commit with its name.

        Raises
        ------
        StoreError
            When the folder is read-only or full, or the result cannot be stored exactly. The folder is then as it was before.
        """
        name = key_name(key)
        if not self.writable:
            raise StoreError(
                f"the cache folder {self.folder.root} cannot be written",
                why=self.why_read_only,
                do="give a folder of your own as the cache, and this one as a layer below it",
            )
        from hep_flows.store.parquet import put

        with self.claim(key):
            written = put(self.folder, name, result, provenance, step)
        stamp = _stamp(self.folder, name)
        self._verified.add(stamp)
        self._memory.put(name, stamp, result)
        return written

    @contextmanager
    def claim(
        self, key: bytes | str, *, timeout_s: float | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[bool]:
        """Be the only one, of all processes and threads, who computes a key; gives whether somebody else did before.

        Ask the store again inside: another may have put the result meanwhile. The thread that holds a claim can claim again.
        In a folder that cannot be written there is nothing to protect, and no lock.

        Parameters
        ----------
        key : bytes or str
            The key.
        timeout_s : float, optional
            How long to wait; for ever when left out.
        cancelled : callable, optional
            Asked while waiting; true ends it.

        Raises
        ------
        StoreError
            When the wait ended without the claim.
        """
        name, thread = key_name(key), threading.get_ident()
        if not self.writable or self._held.get(name) == thread:
            yield False
            return
        from hep_flows.store.commit import claimed

        with claimed(self.folder.lock(name), timeout_s=timeout_s, cancelled=cancelled) as waited:
            self._held[name] = thread
            try:
                yield waited
            finally:
                del self._held[name]

    def remove(self, key: bytes | str) -> None:
        """Remove the result of a key from the user's own folder; nothing happens when it is not there."""
        name = key_name(key)
        if not self.writable:
            raise StoreError(f"the cache folder {self.folder.root} cannot be written", why=self.why_read_only)
        from hep_flows.store.commit import remove

        with self.claim(key):
            remove(self.folder, name)
        self._memory.forget(name)

    def _look_up(self, folder: Folder, name: str) -> Result | None:
        text = b""
        while True:
            before = text
            try:
                text = _content(folder.sidecar(name))
            except FileNotFoundError:
                return None
            except OSError as error:
                _warn(folder, name, error)
                return None
            try:
                return self._read(folder, name, text)
            except DAMAGE as error:
                if text == before:  # else it was being replaced while we read
                    _warn(folder, name, error)
                    return None

    def _read(self, folder: Folder, name: str, text: bytes) -> Result:
        stamp = _stamp(folder, name)
        result = self._memory.get(name, stamp)
        if result is None:
            sidecar = parse(text, name)
            self._verify(folder.object(name), sidecar, stamp)
            result = _decoded(folder, sidecar)
            self._memory.put(name, stamp, result)
        if folder is self.folder and self.writable:
            _note_use(folder.sidecar(name))
        return result

    def _verify(self, path: str, sidecar: Sidecar, stamp: tuple[int, ...]) -> None:
        """Check size and, once in this process and for this file, the checksum, and the key in the footer of what is not read from there."""
        if stamp in self._verified:
            return
        with regular_file(path) as file:
            n_bytes = os.fstat(file.fileno()).st_size
            if n_bytes != sidecar.nbytes:
                raise ValueError(f"it has {n_bytes} bytes instead of {sidecar.nbytes}")
            if file_digest(file, "sha256").hexdigest() != sidecar.sha256:
                raise ValueError("its checksum is wrong")
            if sidecar.inline is not None:
                check_footer(file, n_bytes, sidecar.key)
        self._verified.add(stamp)


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _decoded(folder: Folder, sidecar: Sidecar) -> Result:
    if sidecar.inline is not None:
        from hep_flows.store.histograms import from_inline

        return from_inline(sidecar.inline)
    from hep_flows.store.parquet import read_parquet

    return read_parquet(folder.object(sidecar.key), sidecar.key)


def check_footer(file: FileIO, n_bytes: int, key: str) -> None:
    """Check that the footer of a Parquet file is that of a key; no Parquet library is needed for that.

    Raises
    ------
    ValueError
        When it is another one's.
    """
    file.seek(max(0, n_bytes - 8))
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(0, n_bytes - 8 - length))
    if f'"key": "{key}"'.encode() not in file.read(min(length, n_bytes)):
        raise ValueError("its footer is that of another key")


def _content(path: str) -> bytes:
    with regular_file(path) as file:
        return file.read()


def _stamp(folder: Folder, name: str) -> tuple[int, ...]:
    """Give what changes when the files of a key are replaced or written to. The sidecar's time tells its last use, no more."""
    object_, sidecar = os.stat(folder.object(name)), os.stat(folder.sidecar(name))
    return object_.st_dev, object_.st_ino, object_.st_size, object_.st_mtime_ns, sidecar.st_ino, sidecar.st_size


def _note_use(sidecar: str) -> None:
    """Note the use of a result in the time of its sidecar, not more than once a minute."""
    now = time.time()
    with suppress(OSError):
        if not 0 <= now - os.stat(sidecar).st_mtime < USE_S:
            os.utime(sidecar)


def _warn(folder: Folder, name: str, error: BaseException) -> None:
    text = f"the stored result {name} in {folder.root} counts as missing: {str(error) or type(error).__name__}"
    warnings.warn(text, DamagedResultWarning, stacklevel=4)


# Small things that are known about data, so that it need not be opened again: JSON files beside the results ----------------------
#
# A fact must follow from its name, as a result follows from its key. Facts may be deleted at any time, which costs time only.

FORMAT = "hf-fact/1"
MOST_BYTES = 64 * 1024 * 1024


def read_fact(store: Store, name: bytes) -> Any:
    """Give what was written under a name; None when there is nothing, or nothing that can be used."""
    for folder in (store.folder, *store.layers):
        with suppress(OSError, ValueError, RecursionError):
            path = _path(folder.root, name)
            with regular_file(path) as file:
                found = file.read() if os.fstat(file.fileno()).st_size <= MOST_BYTES else b""
            head, _, text = found.partition(b"\n")
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
