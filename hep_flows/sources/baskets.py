"""Read the plain branches of a TTree: numbers, and lists of numbers, in local files.

Nearly all of what analyses read are such branches. Of the tree's record only names, leaves and the tables of baskets are looked at, and a
basket is decompressed into bytes that are copied once, in the machine's byte order, to their place in the result. Whatever is not
understood here (other classes, several leaves, dimensions, baskets inside of the record, other versions) is left to uproot; what both can
read is the same, leaf by leaf.

What a record says is remembered while the file system notes no change of the file, as identities are. Of a file that changed a moment ago
only the record is read here, each time: somebody may be writing to it, so uproot reads its events, and has to find the same record.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import FileIO
from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
from awkward import Array
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.forms import ListOffsetForm, NumpyForm
from awkward.index import Index64

from hep_flows.contract import StoredColumn, StoredTable
from hep_flows.errors import SourceError
from hep_flows.expr.text import shown
from hep_flows.sources.stored import content_parts, identity, is_settled, stamp_of, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from hep_flows.contract import ColumnPath

    Numbers = npt.NDArray[Any]
    Bytes = bytes | memoryview

# No compression of ROOT makes more bytes out of one: 16 MB of zeros become about 500 bytes.
MOST_EXPANSION = 1 << 15


class _Unlike(Exception):  # noqa: N818
    """Something is not as it is in plain trees: uproot has to look at it."""


# Decompress ----------------------------------------------------------------------------------------------------------------------

_BLOCK_HEADER = 9


def _inflated(data: Bytes, size: int) -> Bytes:
    from isal import isal_zlib

    return isal_zlib.decompress(data, bufsize=size)


def _from_lzma(data: Bytes, size: int) -> Bytes:
    import lzma

    del size
    return lzma.decompress(data)


def _from_lz4(data: Bytes, size: int) -> Bytes:
    import cramjam
    import xxhash

    if xxhash.xxh64(data[8:]).digest() != data[:8]:
        raise ValueError("the checksum of a compressed block is not that of its bytes")
    return memoryview(cramjam.lz4.decompress_block(data[8:], output_len=size))


def _from_zstd(data: Bytes, size: int) -> Bytes:
    import cramjam

    return memoryview(cramjam.zstd.decompress(data, output_len=size))


_CODECS = {b"ZL": _inflated, b"XZ": _from_lzma, b"L4": _from_lz4, b"ZS": _from_zstd}


def _decompressed(data: memoryview, size: int) -> Bytes:
    """Give what some compressed blocks hold together, which is to be so many bytes; data of that length are not compressed."""
    if len(data) == size:
        return data
    if not 0 <= size <= len(data) * MOST_EXPANSION:
        raise ValueError(f"{len(data):,} bytes cannot become the {size:,} that their header claims")
    blocks: list[Bytes] = []
    at = left = 0
    for_all = size
    while at < len(data) and for_all > 0:
        head = data[at : at + _BLOCK_HEADER]
        codec = _CODECS.get(bytes(head[:2]))
        if codec is None or len(head) < _BLOCK_HEADER:
            raise ValueError(f"a compressed block begins with {bytes(head[:2])!r}, which is no compression of ROOT")
        packed, left = int.from_bytes(head[3:6], "little"), int.from_bytes(head[6:9], "little")
        at += _BLOCK_HEADER
        if at + packed > len(data) or left > for_all:
            raise ValueError("a compressed block is longer than what it is in")
        block = codec(data[at : at + packed], left)
        if len(block) != left:
            raise ValueError(f"a compressed block holds {len(block):,} bytes, and its header says {left:,}")
        blocks.append(block)
        at += packed
        for_all -= left
    if for_all:
        raise ValueError(f"it holds {size - for_all:,} bytes, and its header claims {size:,}")
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


# The record of a tree ------------------------------------------------------------------------------------------------------------
#
# Objects stand in it one inside of another, each with the number of its bytes in front, so that what is not needed is stepped over. A
# class is named where it first occurs; later, and where an object is meant that stands elsewhere, there is a place: counted from the
# beginning of the key, plus two.

_COUNTED, _CLASS, _NEW_CLASS, _MAP_OFFSET = 0x40000000, 0x80000000, 0xFFFFFFFF, 2
_REFERENCED = 1 << 4
_U4, _TWO, _I8, _VERSION, _LEAF = Struct(">I"), Struct(">ii"), Struct(">q"), Struct(">IH"), Struct(">iiiBBI")
# How long what stands between the bases of a tree and its branches is, by version; from 19 on there are ranges of clusters, too.
_TREE_BYTES = {16: 92, 17: 96, 18: 112, 19: 116, 20: 116}
_CLUSTERS_SINCE, _FEATURES_SINCE = 19, 20
_N_RANGES_AT = 64
# The same of a branch; the latest has something in between.
_LATEST = 13
_BRANCH = {10: Struct(">iiiiqiIiqqq"), 11: Struct(">iiiiqiIiqqqq"), 12: Struct(">iiiiqiIiqqqq")}
_BRANCH_LATEST = Struct(">iiiiq"), Struct(">iIiqqqq")
_LEAVES = {
    "TLeafO": "?",
    "TLeafB": "i1",
    "TLeafS": "i2",
    "TLeafI": "i4",
    "TLeafL": "i8",
    "TLeafG": "i8",
    "TLeafF": "f4",
    "TLeafD": "f8",
}
_LEAF_VERSION = 2


class _Record:
    """The bytes of a tree's record, behind its key of ``shift`` bytes."""

    def __init__(self, raw: bytes, shift: int) -> None:
        self.raw, self.shift = raw, shift
        self._classes: dict[int, str] = {}

    def after(self, at: int) -> int:
        """Give where what begins here ends."""
        (n,) = _U4.unpack_from(self.raw, at)
        end: int = at + 4 + (n & ~_COUNTED)
        if not n & _COUNTED or end > len(self.raw):
            raise _Unlike
        return end

    def named(self, at: int) -> tuple[str, str, int]:
        """Give the name and the title of an object, and where they end."""
        name, at = _text(self.raw, self._inside(at))
        title, at = _text(self.raw, at)
        return name, title, at

    def items(self, at: int) -> Iterator[tuple[str, int, int]]:
        """Give for each object of an array its class, where the whole of it begins, and where its own bytes do.

        The class of one that stands elsewhere is empty.
        """
        end, raw = self.after(at), self.raw
        _, at = _text(self.raw, self._inside(at))
        n, _ = _TWO.unpack_from(raw, at)
        at += 8
        for _ in range(n):
            if at >= end:
                raise _Unlike
            (count,) = _U4.unpack_from(raw, at)
            if 0 < count < _COUNTED:
                yield "", count - _MAP_OFFSET - self.shift, 0
                at += 4
                continue
            after = self.after(at)
            (tag,) = _U4.unpack_from(raw, at + 4)
            yield self._class(tag, at + 4), at, at + 8 if tag != _NEW_CLASS else raw.index(0, at + 8) + 1
            at = after

    def is_empty(self, at: int) -> bool:
        """Say whether an array has no objects."""
        _, at = _text(self.raw, self._inside(at))
        return self.raw[at : at + 4] == bytes(4)

    def _inside(self, at: int) -> int:
        """Step over the number of bytes, the version, and what every object has."""
        return at + (18 if self.raw[at + 15] & _REFERENCED else 16)

    def _class(self, tag: int, at: int) -> str:
        if tag == _NEW_CLASS:
            return self.raw[at + 4 : self.raw.index(0, at + 4)].decode()
        if tag not in self._classes:
            at = (tag & ~_CLASS) - _MAP_OFFSET - self.shift
            if not tag & _CLASS or at < 0 or _U4.unpack_from(self.raw, at)[0] != _NEW_CLASS:
                raise _Unlike
            self._classes[tag] = self._class(_NEW_CLASS, at)
        return self._classes[tag]


def _text(raw: bytes, at: int) -> tuple[str, int]:
    """Give a text, and where it ends."""
    n, at = raw[at], at + 1
    if n == 0xFF:
        (n,), at = _U4.unpack_from(raw, at), at + 4
    return raw[at : at + n].decode(), at + n


@dataclass(frozen=True, slots=True)
class _Branch:
    """A branch as its record has it.

    Parameters
    ----------
    name, title : str
        As the file says.
    entries, total_bytes, stored_bytes : int
        The number of its entries, and of its bytes before and after compression.
    tables : tuple of int
        How many baskets there are at most, and where their bytes, first entries and places stand in the record.
    leaf, counter : int
        Where its leaf stands, and the leaf that counts its entries, where every entry is a list.
    kind : str
        The numpy kind of its values; empty where uproot has to read it.
    """

    name: str
    title: str
    entries: int
    total_bytes: int
    stored_bytes: int
    tables: tuple[int, int, int, int]
    leaf: int
    counter: int
    kind: str


def _branch(record: _Record, at: int) -> _Branch:
    """Read what stands in front of a branch's baskets, and where these are listed."""
    raw = record.raw
    _, version = _VERSION.unpack_from(raw, at)
    name, title, _ = record.named(at + 6)
    at = record.after(record.after(at + 6))
    first = 0
    if version == _LATEST:
        _, _, _, n_baskets, _ = _BRANCH_LATEST[0].unpack_from(raw, at)
        at = record.after(at + _BRANCH_LATEST[0].size)
        _, most, _, entries, first, total, stored = _BRANCH_LATEST[1].unpack_from(raw, at)
        at += _BRANCH_LATEST[1].size
    elif version in _BRANCH:
        _, _, _, n_baskets, _, _, most, _, entries, *some, total, stored = _BRANCH[version].unpack_from(raw, at)
        first, at = sum(some), at + _BRANCH[version].size
    else:
        raise _Unlike
    leaves = record.after(at)
    sizes = record.after(record.after(leaves)) + 1
    starts = sizes + 4 * most + 1
    places = starts + 8 * most + 1
    # The file that has the baskets may be another one, whose name follows.
    if not 0 <= n_baskets <= most or first or raw[places + 8 * most] or not record.is_empty(at):
        raise _Unlike
    kind, leaf, counter = _leaf(record, leaves)
    return _Branch(name, title, entries, total, stored, (n_baskets, sizes, starts, places), leaf, counter, kind)


def _leaf(record: _Record, leaves: int) -> tuple[str, int, int]:
    """Give what the one leaf of a branch holds, if it is numbers or lists of numbers, where it stands, and which other counts them."""
    ((name, at, body),) = record.items(leaves)
    if name not in _LEAVES:
        raise _Unlike
    base = body + 6
    _, version = _VERSION.unpack_from(record.raw, base)
    _, title, end = record.named(base + 6)
    length, _, _, _, is_unsigned, counter = _LEAF.unpack_from(record.raw, end)
    kind = _LEAVES[name].replace("i", "u") if is_unsigned else _LEAVES[name]
    _, is_list, dimension = title.partition("[")
    is_plain = dimension.endswith("]") and "[" not in dimension and not dimension[:-1].isdigit() if is_list else not dimension
    if version != _LEAF_VERSION or length != 1 or bool(counter) != bool(is_list) or counter >= _COUNTED or not is_plain:
        raise _Unlike
    return kind, at, counter - _MAP_OFFSET - record.shift if counter else -1


@dataclass(frozen=True, slots=True)
class Baskets:
    """Where the baskets of a branch are.

    Parameters
    ----------
    starts : array of int64
        The first entry of each, and the number of entries.
    places, sizes : list of int
        Where each begins in the file, and how many bytes it has there.
    """

    starts: npt.NDArray[np.int64]
    places: list[int]
    sizes: list[int]


class FlatTree:
    """What the record of a tree says of its plain branches, each looked at when it is asked for. Threads share it: what one finds out, all find.

    Parameters
    ----------
    entries : int
        The number of events.
    content : str
        The identity of the file's content: `hep_flows.sources.stored.identity`.
    record : _Record
        The record.
    places : sequence of tuple
        The class of each branch, and where the whole of it and its own bytes begin.
    """

    def __init__(self, entries: int, content: str, record: _Record, places: Sequence[tuple[str, int, int]]) -> None:
        """Look at the names."""
        self.entries, self.content = entries, content
        self._record, self._n_all = record, len(places)
        named = [(record.named(body + 6)[0], at, body) for kind, at, body in places if kind == "TBranch"]
        n_of_name = Counter([name for name, _, _ in named])
        self._bodies = {name: body for name, _, body in named if n_of_name[name] == 1 and "/" not in name}
        self._begins = [(at, name) for name, at, _ in named]
        self._branches: dict[str, _Branch | None] = {}
        self._baskets: dict[str, Baskets] = {}

    @property
    def branches(self) -> dict[str, _Branch]:
        """Every plain branch by its name."""
        return {name: branch for name in self._bodies if (branch := self.branch(name)) is not None}

    @property
    def is_whole(self) -> bool:
        """Whether all branches are plain."""
        return len(self.branches) == self._n_all

    def branch(self, name: str) -> _Branch | None:
        """Give a branch, if it is plain: numbers, or lists that a plain branch counts."""
        found = self._alone(name)
        return found if found is None or found.counter < 0 or self.counter(name) else None

    def counter(self, name: str) -> str:
        """Give the branch that counts the entries of another; empty where there is none, or none that is plain."""
        found = self._alone(name)
        if found is None or found.counter < 0:
            return ""
        by = self._begins[max(0, bisect_right(self._begins, (found.counter, "")) - 1)][1]
        other = self._alone(by)
        return by if other is not None and other.leaf == found.counter else ""

    def baskets(self, name: str) -> Baskets:
        """Give where the baskets of a branch are.

        Raises
        ------
        ValueError
            When the record contradicts itself.
        """
        if name not in self._baskets:
            branch = self._alone(name)
            if branch is None:
                raise ValueError("it is no plain branch")
            most, sizes, starts, places = branch.tables
            raw = self._record.raw
            found = np.frombuffer(raw, ">i8", most, places)
            n = most if found.all() else int(np.argmin(found != 0))
            if starts + 8 * (n + 1) >= places:
                raise ValueError("it does not say where its last basket ends")
            firsts = np.frombuffer(raw, ">i8", n + 1, starts).astype(np.int64)
            if firsts[0] or firsts[-1] != branch.entries or (np.diff(firsts) < 0).any():
                raise ValueError("its baskets do not hold the entries that it says it has")
            nbytes = np.frombuffer(raw, ">i4", n, sizes)
            self._baskets[name] = Baskets(firsts, found[:n].tolist(), nbytes.tolist())
        return self._baskets[name]

    @cached_property
    def boundaries(self) -> list[int]:
        """The entries at which baskets of all branches begin or end; none where not all that is needed for that is known."""
        if not self.is_whole:
            return []
        try:
            each = {self.baskets(n).starts.tobytes() for n in self._bodies if len(self.baskets(n).places)}
        except ValueError:
            return []
        common = [set(np.frombuffer(one, np.int64).tolist()) for one in each]
        return sorted(set.intersection(*common)) if common else [0]

    def _alone(self, name: str) -> _Branch | None:
        """Give a branch of numbers or lists of numbers, whatever counts these."""
        if name not in self._branches:
            found = None
            with suppress(_Unlike, ValueError):
                found = _branch(self._record, self._bodies[name]) if name in self._bodies else None
            self._branches[name] = found if found is not None and found.entries == self.entries else None
        return self._branches[name]


def _read_tree(record: _Record, content: Callable[[int], str]) -> FlatTree:
    raw = record.raw
    _, version = _VERSION.unpack_from(raw, 0)
    if version not in _TREE_BYTES:
        raise _Unlike
    at = 6
    for _ in range(4):  # a name, and what lines, areas and markers look like
        at = record.after(at)
    (entries,) = _I8.unpack_from(raw, at)
    n_ranges = _U4.unpack_from(raw, at + _N_RANGES_AT)[0] if version >= _CLUSTERS_SINCE else 0
    at += _TREE_BYTES[version] + (2 * (1 + 8 * n_ranges) if version >= _CLUSTERS_SINCE else 0)
    at = record.after(at) if version >= _FEATURES_SINCE else at
    return FlatTree(entries, content(entries), record, list(record.items(at)))


# A tree in a file ----------------------------------------------------------------------------------------------------------------

_HEADER = Struct(">4siiiiiiiBiiiH16s"), Struct(">4siiqqiiiBiqiH16s")
_FOLDER = Struct(">hIIiiiii"), Struct(">hIIiiqqq")
_KEY = Struct(">ihiIhhii"), Struct(">ihiIhhqq")
# From these versions on, places have eight bytes.
_BIG_FILE, _BIG_OBJECT = 1_000_000, 1000


def _read(stream: FileIO, nbytes: int, at: int) -> bytes:
    found = os.pread(stream.fileno(), nbytes, at)
    if len(found) != nbytes:
        raise ValueError(f"the file ends after {len(found):,} of {nbytes:,} bytes at {at:,}: it is truncated")
    return found


def _key_in(stream: FileIO, folder: int, name: str, classes: Collection[str]) -> tuple[int, int, int, int]:
    """Give where an object of a folder begins, how many bytes it has in the file, those of its key, and those it becomes."""
    head = _read(stream, _FOLDER[0].size, folder)
    found = _FOLDER[0].unpack(head)
    if found[0] > _BIG_OBJECT:
        found = _FOLDER[1].unpack(_read(stream, _FOLDER[1].size, folder))
    raw = _read(stream, found[3], found[7])
    at = _KEY[0].unpack_from(raw)[4]  # a key of their own is in front
    (n_keys,), at = _U4.unpack_from(raw, at), at + 4
    latest: dict[int, tuple[int, int, int, int]] = {}
    for _ in range(n_keys):
        nbytes, version, size, _, key_bytes, cycle, seek, _ = _KEY[0].unpack_from(raw, at)
        place = at + _KEY[0].size
        if version > _BIG_OBJECT:
            *_, seek, _ = _KEY[1].unpack_from(raw, at)
            place = at + _KEY[1].size
        kind, place = _text(raw, place)
        if _text(raw, place)[0] == name:
            if kind not in classes:
                raise _Unlike
            latest[cycle] = (seek, nbytes, key_bytes, size)
        at += key_bytes
    if not latest:
        raise _Unlike
    return latest[max(latest)]


def read_flat_tree(file: str, stream: FileIO, name: str) -> FlatTree:
    """Read what a local file says of a tree, with the folders that it is in; no event data.

    Raises
    ------
    Exception
        Of any kind, where something is not as it is in plain trees, or damaged.
    """
    size = os.fstat(stream.fileno()).st_size
    header = _read(stream, _HEADER[1].size, 0)
    found = _HEADER[0].unpack_from(header)
    if found[1] >= _BIG_FILE:
        found = _HEADER[1].unpack_from(header)
    if found[0] != b"root" or found[3] > size:
        raise _Unlike
    folder = found[2] + found[7]
    *above, last = name.strip("/").split("/")
    for one in above:
        seek, _, key_bytes, _ = _key_in(stream, folder, one, ("TDirectory", "TDirectoryFile"))
        folder = seek + key_bytes
    seek, nbytes, key_bytes, n = _key_in(stream, folder, last, ("TTree",))
    raw = _read(stream, nbytes, seek)
    record = _Record(bytes(_decompressed(memoryview(raw)[key_bytes:], n)), key_bytes)
    said = [str(size).encode(), found[-1], raw]
    return _read_tree(record, lambda entries: identity(entries, [*said, *content_parts(file, b"")]))


@lru_cache(maxsize=8)
def _remembered(file: str, name: str, stamp: tuple[int, ...]) -> FlatTree | None:
    return _looked(file, name, stamp)


def _looked(file: str, name: str, stamp: tuple[int, ...]) -> FlatTree | None:
    """Read the record of a tree while the file system notes no change of the file; None where uproot has to."""
    if not stamp:
        return None
    try:
        with FileIO(file) as stream:
            tree = read_flat_tree(file, stream, name)
            return tree if _stamp(stream) == stamp == stamp_of(file) and 0 <= tree.entries <= stamp[2] * MOST_EXPANSION else None
    except Exception:  # noqa: BLE001 - whatever foreign bytes lead to: uproot says what is wrong with them
        return None


def _stamp(stream: FileIO) -> tuple[int, ...]:
    found = os.fstat(stream.fileno())
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def flat_table(file: str, name: str, others: Callable[[], StoredTable]) -> FlatTable | None:
    """Open a tree of a local file of which some branches are plain; None where nothing can be told of it here.

    Parameters
    ----------
    others : callable
        Opens the same tree with uproot, which reads what is not plain.
    """
    stamp = stamp_of(file)
    known = is_settled(stamp)
    tree = _remembered(file, name, stamp) if known else _looked(file, name, stamp)
    if tree is None:
        return None
    stream = FileIO(file)
    if _stamp(stream) != stamp:
        stream.close()
        return None
    return FlatTable(file, name, tree, stream, others, reads=known)


class FlatTable(StoredTable):
    """A tree of a local file: plain branches are read here, and all others by uproot, which opens the file when it is needed.

    Parameters
    ----------
    file, name : str
        The file, and the tree in it.
    tree : FlatTree
        What its record says.
    stream : FileIO
        The open file.
    others : callable
        Opens it with uproot.
    reads : bool
        Whether events are read here, too.
    """

    def __init__(
        self, file: str, name: str, tree: FlatTree, stream: FileIO, others: Callable[[], StoredTable], *, reads: bool = True
    ) -> None:
        """Nothing is read yet."""
        self._reads = reads
        self.file, self.tree = file, name.strip("/")
        self.entries, self.content = tree.entries, tree.content
        self._flat, self._stream, self._open_others = tree, stream, others
        self._opened: StoredTable | None = None

    def columns(self) -> dict[str, StoredColumn]:
        """Give every branch that holds values of its own."""
        flat = self._flat
        if not flat.is_whole:
            return self._others.columns()
        forms: dict[tuple[str, bool], Any] = {}
        found: dict[str, StoredColumn] = {}
        for name, branch in flat.branches.items():
            layout = branch.kind, branch.counter >= 0
            if layout not in forms:
                values = NumpyForm(np.dtype(branch.kind).name)
                forms[layout] = ListOffsetForm("i64", values) if layout[1] else values
            found[name] = StoredColumn(name, forms[layout], flat.counter(name), branch.title)
        return found

    def boundaries(self) -> Sequence[int]:
        """Give the entries at which baskets of all branches begin or end."""
        return self._flat.boundaries or self._others.boundaries()

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a branch, with such fields inside."""
        return (len(path) == 1 and self._flat.branch(path[0]) is not None) or self._others.has(path)

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, Array]:
        """Read branches over a range of entries; lists with the same counter share their offsets."""
        own = [p for p in paths if self._is_own(p)]
        left = [p for p in paths if p not in own]
        found = dict(self._others.read(left, start, stop)) if left else {}
        lists: dict[str, _Lists] = {}
        for path in own:
            name = path[0]
            with told_as_source_error(self.file, f"{name} cannot be read, between events {start} and {stop}"):
                branch = self._plain(name)
                values = self._lists(name, start, stop, lists) if branch.counter >= 0 else self._values(name, start, stop)
                found[path] = Array(values)
        return found

    def item_bytes(self, path: ColumnPath) -> int:
        """Give the size of the branch's baskets; the offsets in them are a few bytes an event more."""
        branch = self._flat.branch(path[0])
        return self._others.item_bytes(path) if branch is None else branch.total_bytes

    def stored_bytes(self, names: Collection[str]) -> int | None:
        """Add up the compressed baskets of branches, and of those that count their entries."""
        flat = self._flat
        if any(flat.branch(n) is None for n in names):
            return self._others.stored_bytes(names)
        counters = [flat.counter(n) for n in names]
        return sum([self._plain(n).stored_bytes for n in {*names, *counters} - {""}])

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        if self._opened is not None:
            self._opened.close()

    @property
    def _others(self) -> StoredTable:
        if self._opened is None:
            self._opened = self._open_others()
            if self._opened.content != self.content:
                raise SourceError(f"{shown(self.file)} changed while it was read", why="another program writes to it")
        return self._opened

    def _plain(self, name: str) -> _Branch:
        found = self._flat.branch(name)
        assert found is not None
        return found

    def _is_own(self, path: ColumnPath) -> bool:
        if not self._reads or len(path) != 1 or self._flat.branch(path[0]) is None:
            return False
        try:
            self._flat.baskets(path[0])
        except ValueError:
            return False
        return True

    def _parts(self, name: str, start: int, stop: int) -> Iterator[tuple[_Basket, int, int, int]]:
        """Give each basket that has some of the entries, the first of them and the one after the last, and its own first entry."""
        baskets = self._flat.baskets(name)
        starts = baskets.starts
        first, after = int(np.searchsorted(starts, start, "right")) - 1, int(np.searchsorted(starts, stop, "left"))
        ends = starts[first : after + 1].tolist()
        for number, (a, b) in enumerate(pairwise(ends), start=first):
            if b > a:
                basket = _basket(_read(self._stream, baskets.sizes[number], baskets.places[number]), b - a)
                yield basket, max(start, a) - a, min(stop, b) - a, a
        if hasattr(os, "posix_fadvise"):  # what comes next is fetched from the disk meanwhile
            for place, size in zip(baskets.places[after : 2 * after - first], baskets.sizes[after:], strict=False):
                os.posix_fadvise(self._stream.fileno(), place, size, os.POSIX_FADV_WILLNEED)

    def _values(self, name: str, start: int, stop: int) -> NumpyArray:
        kind = np.dtype(self._plain(name).kind)
        out = np.empty(stop - start, kind)
        at = 0
        for basket, low, high, _ in self._parts(name, start, stop) if stop > start else ():
            values = np.frombuffer(basket.data, kind.newbyteorder(">"))
            if len(values) != basket.entries:
                raise ValueError(f"a basket of {basket.entries:,} entries holds {len(values):,}")
            out[at : at + high - low] = values[low:high]
            at += high - low
        return NumpyArray(out)

    def _lists(self, name: str, start: int, stop: int, known: dict[str, _Lists]) -> ListOffsetArray:
        kind = np.dtype(self._plain(name).kind)
        counter = self._flat.counter(name)
        pieces: list[Numbers] = []
        inside: list[Numbers] = []
        for basket, low, high, first in self._parts(name, start, stop) if stop > start else ():
            local = basket.offsets(kind.itemsize)
            if local is None:
                counts = np.asarray(self._values(counter, first, first + basket.entries).data)
                local = np.concatenate([[0], np.cumsum(counts, dtype=np.int32)]).astype(np.int32)
                if local[-1] * kind.itemsize != len(basket.data):
                    raise ValueError(f"a basket holds {len(basket.data):,} bytes, and {counter} counts other lists")
            values = np.frombuffer(basket.data, kind.newbyteorder(">"))
            if not 0 <= local[low] <= local[high] <= len(values):
                raise ValueError("the lists of a basket reach beyond its values")
            inside.append(local[low : high + 1])
            pieces.append(values[local[low] : local[high]])
        lists = known.get(counter)
        if lists is None or not lists.are(inside):
            lists = _Lists.of(inside)
            known.setdefault(counter, lists)
        out = np.empty(sum([len(p) for p in pieces]), kind)
        at = 0
        for piece in pieces:
            out[at : at + len(piece)] = piece
            at += len(piece)
        return ListOffsetArray(lists.offsets, NumpyArray(out))


@dataclass(frozen=True, slots=True)
class _Lists:
    """How lists lie in some baskets, and the offsets of all of them: what several leaves of a collection share."""

    inside: list[Numbers]
    offsets: Index64

    @staticmethod
    def of(inside: list[Numbers]) -> _Lists:
        made = np.zeros(1 + sum([len(one) - 1 for one in inside]), np.int64)
        at = 0
        for one in inside:
            if (one[1:] < one[:-1]).any():
                raise ValueError("the lists of a basket are not one after another")
            np.add(one[1:], made[at] - one[0], out=made[at + 1 : at + len(one)])
            at += len(one) - 1
        return _Lists(inside, Index64(made))

    def are(self, inside: list[Numbers]) -> bool:
        return len(inside) == len(self.inside) and all(np.array_equal(a, b) for a, b in zip(inside, self.inside, strict=True))


@dataclass(frozen=True, slots=True)
class _Basket:
    """What one basket holds: the values, and behind them where the list of each entry begins, from the beginning of the key."""

    entries: int
    data: memoryview
    behind: memoryview
    key_bytes: int

    def offsets(self, itemsize: int) -> Numbers | None:
        """Give where each list begins, in values, and where the last one ends; None where only the counter knows."""
        if not self.behind:
            return None
        found = np.frombuffer(self.behind, ">i4")
        if len(found) != self.entries + 2:
            raise ValueError(f"a basket of {self.entries:,} entries says of {len(found) - 2:,} where they begin")
        local = found[1:].astype(np.int32)
        local -= self.key_bytes
        local[-1] = len(self.data)
        if local[0] or (local & (itemsize - 1)).any():
            raise ValueError("the lists of a basket do not begin where a value does")
        if itemsize > 1:
            local >>= itemsize.bit_length() - 1
        return local


_BASKET = Struct(">ihiIhh"), Struct(">Hiiii")


def _basket(raw: bytes, entries: int) -> _Basket:
    """Read and decompress a basket that is to have so many entries."""
    nbytes, _, size, _, key_bytes, _ = _BASKET[0].unpack_from(raw)
    about = key_bytes - _BASKET[1].size - 1
    if nbytes != len(raw) or not _BASKET[0].size <= about < nbytes - _BASKET[1].size:
        raise ValueError("a basket does not begin where the tree says")
    _, _, _, n, last = _BASKET[1].unpack_from(raw, about)
    if n != entries:
        raise ValueError(f"a basket holds {n:,} entries where the tree says {entries:,}")
    data = memoryview(_decompressed(memoryview(raw)[key_bytes:], size))
    border = last - key_bytes
    if not 0 <= border <= size:
        raise ValueError(f"a basket of {size:,} bytes claims {border:,} bytes of values")
    return _Basket(entries, data[:border], data[border:], key_bytes)
