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
from collections import Counter, OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.errors import StoreError
from hep_flows.settings import regular_file
from hep_flows.store.about import read_pack
from hep_flows.store.paths import Folder, key_name, why_read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.contract import Result
    from hep_flows.store.about import Pack, Provenance, Sidecar
    from hep_flows.store.parquet import Entry

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
        """Keep a result, which is nobody else's."""
        nbytes = _size(result)
        if nbytes > self._limit:
            return
        kept = _Entry(result, nbytes, stamp)
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


# Results that wait to be committed together --------------------------------------------------------------------------------------
#
# To sync a file costs as much as to compute many a result, and a file of its own costs an inode. So results wait for others, a few seconds
# at most, and are written by a thread. The claims of their keys wait with them: another process that needs one waits for that, as it
# does for a result that is being computed, and finds it then.

HOLD_S = 5.0
FULL_GROUP = 64
MOST_CLAIMS = 256
OPEN_BYTES = 64 * 2**20


@dataclass(slots=True)
class Waiting:
    """A result that waits: how it is to be written, itself, and the lock of its key."""

    entry: Entry
    result: Result
    descriptor: int | None = None


class Open:
    """What was put and is not committed yet.

    Parameters
    ----------
    folder : Folder
        Where it is to be committed.
    committed : callable
        Told of each object, with its results.
    hold_s : float
        How long a result waits for others.
    """

    def __init__(self, folder: Folder, committed: Callable[[Pack, Mapping[str, Result]], None], hold_s: float) -> None:
        self._folder, self._tell, self._hold_s = folder, committed, hold_s
        self._waiting: dict[str, Waiting] = {}
        self._nbytes = 0
        self._of_task: Counter[str] = Counter()
        self._errors: dict[str, Exception] = {}
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._full = threading.Event()
        self._writer: threading.Thread | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def get(self, name: str) -> Result | None:
        """Give a result that waits."""
        waiting = self._waiting.get(name)
        return None if waiting is None else _separate(waiting.result)

    def take(self, one: Waiting) -> None:
        """Let a result wait; too many of them wait until some are written."""
        if self._nbytes > 2 * OPEN_BYTES:
            self.write()
        with self._lock:
            self._waiting[one.entry.key] = one
            self._nbytes += one.entry.packed.nbytes
            self._of_task[one.entry.full["task"]] += 1
            is_full = len(self._waiting) >= MOST_CLAIMS or self._of_task[one.entry.full["task"]] >= FULL_GROUP
            if is_full or self._nbytes > OPEN_BYTES:
                self._full.set()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_later, name="hep-flows store", daemon=True)
                self._writer.start()

    def keeps(self, name: str, descriptor: int) -> bool:
        """Say whether the lock of a key stays with a result that waits."""
        with self._lock:
            waiting = self._waiting.get(name)
            if waiting is not None and waiting.descriptor is None:
                waiting.descriptor = descriptor
                return True
            return False

    def give_way(self) -> bool:
        """Commit what waits, because this thread is going to wait for what another process holds, which may wait for this one."""
        if self._waiting:
            self.write()
        return False

    def commit(self) -> dict[str, Exception]:
        """Commit what waits; gives why something could not be."""
        self.write()
        with self._lock:
            errors, self._errors = self._errors, {}
        return errors

    def _write_later(self) -> None:
        while True:
            self._full.wait(self._hold_s)
            self.write()
            with self._lock:
                if not self._waiting:
                    self._writer = None
                    return

    def forget(self, name: str) -> None:
        """Let go of a result that waits: another stands in its place."""
        with self._lock:
            waiting = self._waiting.get(name)
            if waiting is not None and waiting.descriptor is None:
                del self._waiting[name]
                self._nbytes -= waiting.entry.packed.nbytes

    def write(self) -> None:
        """Write what waits now."""
        from hep_flows.store.commit import release
        from hep_flows.store.parquet import put

        with self._writing:
            with self._lock:
                self._full.clear()
                # A result whose claim is still held by the thread that put it goes with the next.
                now = {name: w for name, w in self._waiting.items() if w.descriptor is not None}
                self._of_task = Counter(w.entry.full["task"] for name, w in self._waiting.items() if name not in now)
            if not now:
                return
            try:
                for pack in put(self._folder, [w.entry for w in now.values()]):
                    self._tell(pack, {name: now[name].result for name in pack.results})
            except (*DAMAGE, StoreError, MemoryError) as error:  # whoever asks for the commit is told
                with self._lock:
                    self._errors.update(dict.fromkeys(now, error))
            finally:
                with self._lock:
                    for name, waiting in now.items():
                        del self._waiting[name]
                        self._nbytes -= waiting.entry.packed.nbytes
                for name, waiting in now.items():
                    if waiting.descriptor is not None:
                        release(self._folder.lock(name), waiting.descriptor)


# What reading a damaged file can raise, whichever library finds the damage.
DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
MEMORY_BYTES = 256 * 2**20
PACKS_BYTES = 32 * 2**20  # of sidecars that are at hand
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
    hold_s : float
        How long a result that is put soon waits for others.

    Attributes
    ----------
    limit_bytes : int, optional
        What the objects of the own folder may have together. The store only tells when they have more.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        layers: Sequence[str | os.PathLike[str]] = (),
        *,
        memory_bytes: int = MEMORY_BYTES,
        allow_foreign: bool = False,
        hold_s: float = HOLD_S,
    ) -> None:
        self.limit_bytes: int | None = None
        self._grown = 0
        self.folder = Folder(_absolute(root))
        self.layers = tuple([Folder(_absolute(layer)) for layer in layers])
        self.why_read_only = why_read_only(self.folder.root, allow_foreign=allow_foreign)
        self._memory = Memory(memory_bytes)
        self._open = Open(self.folder, self._committed, hold_s)
        self._lock = threading.Lock()
        self._packs: dict[tuple[int, int, int], Pack] = {}
        self._verified: set[tuple[Stamp, int]] = set()
        self._held: dict[str, int] = {}

    @property
    def writable(self) -> bool:
        """Whether results can be put; if not, ``why_read_only`` says why."""
        return not self.why_read_only

    @property
    def has_grown(self) -> bool:
        """Whether this process wrote so much since it last looked that the limit may be exceeded."""
        return self.limit_bytes is not None and self._grown > self.limit_bytes // 10

    def has_outgrown(self) -> bool:
        """Say whether the objects have more bytes than they may, looking at them where this process wrote some since it last looked."""
        if self.limit_bytes is None or not self._grown or not self.writable:
            return False
        self._grown, total = 0, 0
        with suppress(FileNotFoundError):
            for shelf in list(os.scandir(self.folder.objects)):
                with suppress(OSError):  # removed meanwhile, or no folder
                    total += sum([e.stat().st_size for e in os.scandir(shelf.path) if e.name.endswith(".parquet")])
        return total > self.limit_bytes

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
        result = self._open.get(name)
        for folder in (self.folder, *self.layers) if result is None else ():
            result = self._look_up(folder, name)
            if result is not None:
                break
        return result

    def has(self, keys: Iterable[bytes | str]) -> set[bytes | str]:
        """Give those of the keys that are committed, with an object of the right size; checksums are verified by `get`."""
        return {k for k in keys if k in self}

    def __contains__(self, key: bytes | str) -> bool:
        """Say whether a key is committed, or about to be by this process."""
        name = key_name(key)
        return name in self._open or any(self._known(folder, name) is not None for folder in (self.folder, *self.layers))

    def sidecar(self, key: bytes | str) -> Sidecar | None:
        """Give what is known about the result of a committed key without reading it."""
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            found = self._known(folder, name)
            if found is not None:
                with suppress(*DAMAGE):
                    return found.result(name)
        return None

    def is_intact(self, key: bytes | str) -> bool:
        """Say whether a key is committed and its object has its checksum, which is looked at once in a process."""
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            with suppress(*DAMAGE):
                pack = read_pack(folder.sidecar(name))
                self._verify(folder, pack, name)
                return True
        return False

    def path(self, key: bytes | str) -> str | None:
        """Give the Parquet file that a committed key is in."""
        name = key_name(key)
        for folder in (self.folder, *self.layers):
            with suppress(*DAMAGE):
                path = object_of(folder, self._pack(folder, name), name)
                if os.path.exists(path):
                    return path
        return None

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
        entry = self._entry(name, result, provenance)
        from hep_flows.store.commit import no_step
        from hep_flows.store.parquet import put

        with self.claim(key):
            self._open.forget(name)
            (written,) = put(self.folder, [entry], step or no_step)
        self._committed(written, {name: _separate(result)})
        return written.result(name)

    def put_soon(self, key: bytes | str, result: Result, provenance: Provenance | None = None) -> None:
        """Take the result of a key, to be committed with others: when there are enough of them, after some seconds, or by `commit`.

        It is found by this process at once. Others that claim its key wait until it is committed.

        Parameters
        ----------
        key : bytes or str
            The key.
        result : Result
            What to store.
        provenance : Provenance, optional
            How it came about.

        Raises
        ------
        StoreError
            When the folder is read-only, or the result cannot be stored exactly.
        """
        name = key_name(key)
        entry = self._entry(name, result, provenance)
        with self.claim(key):
            self._open.take(Waiting(entry, _separate(result)))

    def commit(self) -> dict[str, Exception]:
        """Commit what waits for it; gives, by key, why something could not be, since this was asked for the last time."""
        return self._open.commit()

    def _entry(self, name: str, result: Result, provenance: Provenance | None) -> Entry:
        if not self.writable:
            raise StoreError(
                f"the cache folder {self.folder.root} cannot be written",
                why=self.why_read_only,
                do="give a folder of your own as the cache, and this one as a layer below it",
            )
        from hep_flows.store.about import Provenance as Unknown
        from hep_flows.store.parquet import entry_of

        return entry_of(name, result, provenance or Unknown())

    def _committed(self, pack: Pack, results: Mapping[str, Result]) -> None:
        """Take note of what this process wrote: it need not be verified, or read again."""
        self._grown += pack.nbytes
        with suppress(OSError):
            for name in pack.results:
                stamp = _stamp(self.folder, pack, name)
                self._verified.update([(stamp, piece) for piece in range(len(pack.pieces))])
                self._memory.put(name, stamp, results[name])

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
        from hep_flows.store.commit import release, wait_for

        path = self.folder.lock(name)
        descriptor, waited = wait_for(path, timeout_s, lambda: self._open.give_way() or (cancelled is not None and cancelled()))
        self._held[name] = thread
        try:
            yield waited
        finally:
            del self._held[name]
            if not self._open.keeps(name, descriptor):
                release(path, descriptor)

    def remove(self, key: bytes | str) -> None:
        """Remove the result of a key from the user's own folder; nothing happens when it is not there."""
        name = key_name(key)
        if not self.writable:
            raise StoreError(f"the cache folder {self.folder.root} cannot be written", why=self.why_read_only)
        from hep_flows.store.commit import remove

        with self.claim(key):
            self._open.forget(name)
            remove(self.folder, name)
        self._memory.forget(name)

    def _pack(self, folder: Folder, name: str, *, again: bool = False) -> Pack:
        """Give what the sidecar of a key says; the same file is read once, unless it is to be read again."""
        stat = os.stat(folder.sidecar(name))
        stamp = stat.st_dev, stat.st_ino, stat.st_size
        known = self._packs.get(stamp)
        if again or known is None or name not in known.results:
            known = read_pack(folder.sidecar(name))
            if len(known.results) > 1:
                with self._lock:
                    self._packs[stamp] = known
                    while sum([size for _, _, size in self._packs]) > PACKS_BYTES and len(self._packs) > 1:
                        del self._packs[next(iter(self._packs))]
        return known

    def _known(self, folder: Folder, name: str) -> Pack | None:
        """Give what the sidecar of a key says, where its object has the right size."""
        for again in (False, True):
            try:
                found = self._pack(folder, name, again=again)
                if name in found.results and os.stat(object_of(folder, found, name)).st_size == found.nbytes:
                    return found
            except DAMAGE:
                pass
        return None

    def _look_up(self, folder: Folder, name: str) -> Result | None:
        before: Pack | None = None
        while True:
            try:
                pack = self._pack(folder, name, again=before is not None)
            except FileNotFoundError:
                return None
            except DAMAGE as error:
                _warn(folder, name, error)
                return None
            try:
                return self._read(folder, name, pack)
            except DAMAGE as error:
                if before is not None and pack.written() == before.written():  # else it was being replaced while we read
                    _warn(folder, name, error)
                    return None
            before = pack

    def _read(self, folder: Folder, name: str, pack: Pack) -> Result:
        sidecar, stamp = pack.result(name), _stamp(folder, pack, name)
        result = self._memory.get(name, stamp)
        if result is None:
            self._verify(folder, pack, name)
            result = _decoded(object_of(folder, pack, name), sidecar)
            self._memory.put(name, stamp, _separate(result))
        if folder is self.folder and self.writable:
            _note_use(folder.sidecar(name))
        return result

    def _verify(self, folder: Folder, pack: Pack, name: str) -> None:
        """Check the piece of an object that a result is in, and its footer, once in this process for each file."""
        sidecar, stamp = pack.result(name), _stamp(folder, pack, name)
        wanted = {sidecar.piece, len(pack.pieces) - 1}
        if not {(stamp, piece) for piece in wanted} <= self._verified:
            check_object(object_of(folder, pack, name), pack, sidecar)
            self._verified.update([(stamp, piece) for piece in wanted])


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _decoded(path: str, sidecar: Sidecar) -> Result:
    if sidecar.inline is not None:
        from hep_flows.store.histograms import from_inline

        return from_inline(sidecar.inline)
    from hep_flows.store.parquet import read_parquet

    return read_parquet(path, sidecar.key)


def check_object(path: str, pack: Pack, sidecar: Sidecar) -> None:
    """Check what an object has for a result: its size, and the checksums of the piece that the result is in and of the footer.

    That the footer is that of the key needs no Parquet library.

    Raises
    ------
    OSError, ValueError, LookupError
        When it is missing, or something else.
    """
    with regular_file(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes != pack.nbytes:
            raise ValueError(f"it has {n_bytes} bytes instead of {pack.nbytes}")
        for piece in (sidecar.piece, len(pack.pieces) - 1):
            length, checksum = pack.pieces[piece]
            file.seek(sum([n for n, _ in pack.pieces[:piece]]))
            digest, left = sha256(), length
            while left and (some := file.read(min(left, 2**20))):
                digest.update(some)
                left -= len(some)
            if digest.hexdigest() != checksum:
                raise ValueError("its checksum is wrong")
        length, footer = pack.pieces[-1][0], b""
        if sidecar.inline is not None:
            file.seek(n_bytes - length)
            footer = file.read(length)
    if sidecar.inline is not None and f'"key": "{sidecar.key}"'.encode() not in footer:
        raise ValueError("its footer is that of another key")


def object_of(folder: Folder, pack: Pack, name: str) -> str:
    """Give the Parquet file that the result of a key is in."""
    return folder.object(name) if pack.name == name else folder.pack(pack.name)


def _stamp(folder: Folder, pack: Pack, name: str) -> tuple[int, ...]:
    """Give what changes when the files of a key are replaced or written to. The sidecar's time tells its last use, no more."""
    object_, sidecar = os.stat(object_of(folder, pack, name)), os.stat(folder.sidecar(name))
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

FACT = "hf-fact/1"
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
    return f"{FACT} {key_name(name)} {sha256(text).hexdigest()}".encode()
