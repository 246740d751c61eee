"""Open ROOT files, find the tree in them, and say what is wrong with those that cannot be used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uproot
from uproot.interpretation.grouped import AsGrouped
from uproot.interpretation.identify import UnknownInterpretation
from uproot.interpretation.objects import CannotBeAwkward
from uproot.source.file import MultithreadedFileSource

from hep_flows.contract import StoredColumn, StoredTable, has_field
from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.text import is_url, shown
from hep_flows.sources.baskets import MOST_EXPANSION, flat_table
from hep_flows.sources.stored import content_parts, field_of, identity, offered, remote_options, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import awkward as ak

    from hep_flows.contract import ColumnPath

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_HEADER_BYTES = 20
_BIG_FILE_VERSION = 1_000_000


def speed_up_zlib() -> None:
    """Let uproot decompress zlib baskets with isal, which takes two thirds of the time.

    uproot has a public switch for writing only; the class behind it serves reading. Nothing happens when that is gone.
    """
    decompressor = getattr(uproot.compression, "_DecompressZLIB", None)
    if decompressor is not None and getattr(decompressor, "library", None) == "zlib":
        decompressor.library = "isal"


def _check_claimed_bytes(*, compressed_bytes: int, uncompressed_bytes: int, **_: Any) -> None:
    """Refuse a record that says that it becomes more than any compression makes of it, before anything is allocated for that."""
    if uncompressed_bytes > compressed_bytes * MOST_EXPANSION:
        raise ValueError(f"{compressed_bytes:,} bytes cannot become the {uncompressed_bytes:,} that their header claims")


def _check_filled(*, cursor: Any, start: Any, compressed_bytes: int, uncompressed_bytes: int, filled: int, **_: Any) -> None:
    """Refuse a record whose blocks are less than its header says: what is not filled is whatever was in memory."""
    if cursor.displacement(start) >= compressed_bytes and filled < uncompressed_bytes:
        raise ValueError(f"it holds {filled:,} bytes, and its header claims {uncompressed_bytes:,}")


def check_claimed_entries(file: str, entries: int, size: int) -> None:
    """Refuse a file that claims more events than its bytes can hold, before anything is allocated for them.

    Raises
    ------
    SourceError
        When it does.
    """
    if not 0 <= entries <= size * MOST_EXPANSION:
        raise SourceError(
            f"{shown(file)} claims {entries:,} events, and {size:,} bytes cannot hold them",
            why="its header is damaged, or made to exhaust memory",
            do="copy the file again",
        )


def check_root_file(file: str) -> None:
    """Check that a local file is a complete ROOT file, from its first bytes.

    Raises
    ------
    SourceError
        When it is empty, of another kind, or shorter than its header says.
    """
    path = Path(file)
    size = path.stat().st_size
    if size == 0:
        raise SourceError(f"{file} is empty: it has 0 bytes", do="write or copy the file again")
    with path.open("rb") as stream:
        head = stream.read(_HEADER_BYTES)
    if head[:4] == b"PAR1":
        raise SourceError(f"{file} is a Parquet file, not a ROOT file", do="open it with parquet_table")
    if head[:4] != b"root":
        raise SourceError(f"{file} is not a ROOT file", why=f"it begins with {head[:8]!r} instead of b'root'")
    if len(head) < _HEADER_BYTES:
        raise SourceError(f"{file} is truncated: it has {size} bytes only", do="copy the file again")
    version = int.from_bytes(head[4:8], "big")
    end = int.from_bytes(head[12:20] if version >= _BIG_FILE_VERSION else head[12:16], "big")
    if end > size:
        raise SourceError(
            f"{file} is truncated: it has {size} bytes", why=f"its header says {end} bytes", do="copy or download the file again"
        )


def check_remote(file: str) -> None:
    """Check that the package is installed that reads URLs of this kind.

    Raises
    ------
    SourceError
        When it is not, saying which.
    """
    scheme = file.split("://", 1)[0].lower()
    packages = {"http": "aiohttp", "https": "aiohttp", "root": "fsspec_xrootd", "roots": "fsspec_xrootd", "s3": "s3fs"}
    package = packages.get(scheme)
    if package is None:
        raise SourceError(f"{shown(file)}: files cannot be read by {scheme}://", do="use a local path, http(s):// or root://")
    try:
        importlib.import_module(package)
        if package == "fsspec_xrootd":
            importlib.import_module("XRootD")
    except ImportError as error:
        name = "xrootd and fsspec-xrootd" if package == "fsspec_xrootd" else package
        raise SourceError(
            f"{shown(file)} cannot be read without {name}", why=str(error), do=f"pip install {name.replace(' and', '')}"
        ) from None


def open_root(file: str) -> Any:
    """Open a ROOT file, local or remote; the caller closes it.

    Raises
    ------
    SourceError
        When it is missing, damaged or of another kind.
    """
    speed_up_zlib()
    uproot.compression.decompress.hook_before_block = _check_claimed_bytes
    uproot.compression.decompress.hook_after_block = _check_filled
    with told_as_source_error(file, "the file cannot be opened"):
        if is_url(file):
            check_remote(file)
        else:
            check_root_file(file)
        # As a mapping, or uproot would take what follows a colon in the path for the name of an object. Local files are read
        # without the event loop that uproot runs by default: it costs as much as a small branch.
        options = remote_options(file) if is_url(file) else {"handler": MultithreadedFileSource}
        return uproot.open({file: None}, **options)


def key_named(opened: Any, name: str) -> Any:
    """Give the key of an object by its whole name; uproot by itself takes what follows a colon for a branch."""
    *folders, last = name.split("/")
    for folder in folders:
        opened = opened.key(folder).get()
    return opened.key(last)


def trees_in(opened: Any) -> dict[str, str]:
    """Give the class of each tree in an open file, by name, those in folders included."""
    return {name: kind for name, kind in opened.classnames(recursive=True, cycle=False).items() if kind in TREE_CLASSES}


def open_tree(file: str, trees: Sequence[str]) -> StoredTable:
    """Open the first of these trees that a ROOT file has; without a name the only tree there is.

    Raises
    ------
    NoTreeError
        When the file has no such tree.
    SourceError
        When it is damaged or of another kind.
    """
    found = flat_table(file, trees[0], lambda: _open_tree(file, trees[:1])) if trees else None
    return found or _open_tree(file, trees)


def _open_tree(file: str, trees: Sequence[str]) -> StoredTable:
    opened = open_root(file)
    try:
        name, kind = tree_named(opened, file, trees)
        return RNTupleTable(file, opened, name) if kind.startswith("ROOT::") else TTreeTable(file, opened, name)
    except BaseException:
        opened.close()
        raise


class NoTreeError(SourceError):
    """A file without the tree that is looked for; ``content`` is its identity as a file of no events."""

    content: str = ""


def tree_named(opened: Any, file: str, wanted: Sequence[str]) -> tuple[str, str]:
    """Give the name and the class of the tree to use: the first of the given ones, or the only one in the file.

    A name may begin with ``/`` and may end with a cycle (``tree;1``).

    Raises
    ------
    NoTreeError
        When there is none of these; the trees of the file are listed.
    SourceError
        When there are several to choose from.
    """
    trees = trees_in(opened)
    listed = f"its trees are {', '.join(trees)}" if trees else "there is no TTree or RNTuple in it"
    if not wanted and len(trees) > 1:
        raise SourceError(f"{shown(file)} has {len(trees)} trees: say which one", why=listed, do=f"tree={next(iter(trees))!r}")
    every = opened.classnames(recursive=True, cycle=True)
    for name in wanted or tuple(trees):
        plain = name.strip("/")
        if plain in trees:
            return plain, trees[plain]
        if every.get(plain) in TREE_CLASSES:
            latest = plain.rpartition(";")[0]
            return (
                (latest, every[plain])
                if key_named(opened, latest).fCycle == key_named(opened, plain).fCycle
                else (plain, every[plain])
            )
        other = opened.classnames(recursive=True, cycle=False).get(plain)
        if other is not None:
            listed = f"{name} is a {'folder' if other.startswith('TDirectory') else other}; {listed}"
    named = f"tree {' or '.join([repr(n) for n in wanted])}" if wanted else "tree"
    error = NoTreeError(f"{shown(file)} has no {named}", why=listed, do=did_you_mean(wanted[0], trees) if wanted else "")
    parts = [b"no tree", str(opened.file.source.num_bytes).encode(), opened.file.uuid.bytes]
    error.content = identity(0, [*parts, *content_parts(file, offered(file))])
    raise error


def root_identity(opened: Any, file: str, said: bytes, entries: int, records: list[tuple[int, int]]) -> str:
    """Give the identity of an open file from its identifier and the records that describe the tree.

    Parameters
    ----------
    said : bytes
        What the server of a remote file says: `offered`.
    records : list of tuple of int
        The first byte and the byte after the last of each record.
    """
    source = opened.file.source
    parts = [str(source.num_bytes).encode(), opened.file.uuid.bytes]
    parts += [bytes(source.chunk(start, stop).raw_data) for start, stop in records]
    return identity(entries, [*parts, *content_parts(file, said)])


# TTrees as stored tables ---------------------------------------------------------------------------------------------------------


class TTreeTable(StoredTable):
    """An open TTree."""

    def __init__(self, file: str, opened: Any, name: str) -> None:
        """Read the tree's own record; no event data."""
        self.file = file
        self.tree = name
        self._opened = opened
        with told_as_source_error(file, f"the tree {name!r} cannot be read"):
            self._tree = key_named(opened, name).get()
            self.offered = offered(file)
            self.entries: int = int(self._tree.num_entries)
            key = key_named(opened, name)
            check_claimed_entries(file, self.entries, int(opened.file.source.num_bytes))
            self.content = root_identity(opened, file, self.offered, self.entries, [(key.fSeekKey, key.fSeekKey + key.fNbytes)])

    def columns(self) -> dict[str, StoredColumn]:
        """Give every branch that holds values of its own, by its whole path."""
        with told_as_source_error(self.file, "the branches of the tree cannot be understood"):
            every = list(_branches(self._tree))
            paths = {branch.cache_key: path for path, branch in every}
            found = [_column(path, branch, paths) for path, branch in every]
        return {c.name: c for c in found if c is not None}

    def boundaries(self) -> Sequence[int]:
        """Give the first entries of the clusters, and the number of entries."""
        if self.entries == 0:
            return (0,)
        offsets = self._tree.common_entry_offsets()
        return [int(o) for o in offsets]

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a branch, with such fields inside."""
        for name, branch in _branches(self._tree):
            if name == path[0]:
                column = _column(name, branch, {})
                return column is not None and has_field(column.form, path[1:])
        return False

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        """Read branches over a range of entries."""
        wanted = {p[0] for p in paths}
        branches = {path: branch for path, branch in _branches(self._tree) if path in wanted}
        missing = wanted - set(branches)
        if missing:
            raise SourceError(
                f"{shown(self.file)} has no branch {min(missing)!r}", why="the file changed since its schema was read"
            )
        arrays = self._in_one_request(branches, start, stop) if is_url(self.file) else self._one_by_one(branches, start, stop)
        return {p: field_of(arrays, p) for p in paths}

    def _one_by_one(self, branches: Mapping[str, Any], start: int, stop: int) -> dict[str, ak.Array]:
        """Read each branch by itself: uproot's joint reading looks every name up in the whole tree, 30 ms for each in a wide one."""
        arrays: dict[str, ak.Array] = {}
        for path, branch in branches.items():
            with told_as_source_error(self.file, f"{path} cannot be read, between events {start} and {stop}"):
                arrays[path] = branch.array(entry_start=start, entry_stop=stop, library="ak", array_cache=None)
        return arrays

    def _in_one_request(self, branches: Mapping[str, Any], start: int, stop: int) -> dict[str, ak.Array]:
        """Read branches together, since each request of a remote file costs a round trip; those of one short name take turns."""
        arrays: dict[str, ak.Array] = {}
        left = dict(branches)
        while left:
            by_short = {branch.name: path for path, branch in reversed(left.items())}
            chosen = {branches[path].cache_key for path in by_short.values()}
            with told_as_source_error(self.file, f"{', '.join(left)} cannot be read, between events {start} and {stop}"):
                got = self._tree.arrays(
                    filter_branch=lambda b, chosen=chosen: b.cache_key in chosen,
                    entry_start=start,
                    entry_stop=stop,
                    library="ak",
                    how=dict,
                    array_cache=None,
                )
            for short, path in by_short.items():
                arrays[path] = got[short]
                del left[path]
        return arrays

    def item_bytes(self, path: ColumnPath) -> int:
        """Give the size of the branch's baskets; the offsets in them are a few bytes an event more."""
        return next((int(branch.uncompressed_bytes) for name, branch in _branches(self._tree) if name == path[0]), 0)

    def stored_bytes(self, names: Collection[str]) -> int:
        """Add up the compressed baskets of branches, and of those that count their entries."""
        branches = [branch for path, branch in _branches(self._tree) if path in names]
        counters = [b.count_branch for b in branches if b.count_branch is not None]
        return sum({b.cache_key: int(b.compressed_bytes) for b in (*branches, *counters)}.values())

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Give every branch by its whole path, parents before children."""
    stack = [(branch.name, branch) for branch in reversed(tree.branches)]
    while stack:
        path, branch = stack.pop()
        yield path, branch
        stack.extend([(f"{path}/{b.name}", b) for b in reversed(branch.branches)])


def _column(path: str, branch: Any, paths: Mapping[str, str]) -> StoredColumn | None:
    """Give what a branch holds, or None when it only holds other branches, or nothing at all.

    One that uproot fails on is a column that cannot be read: the others can.
    """
    try:
        return _understood(path, branch, paths)
    except Exception as error:  # noqa: BLE001 - whatever a type that uproot does not know leads to
        why = f"{path} cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return StoredColumn(path, None, problem=why, inside=_above(path))


def _above(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _understood(path: str, branch: Any, paths: Mapping[str, str]) -> StoredColumn | None:
    interpretation = branch.interpretation
    if isinstance(interpretation, AsGrouped):
        return None
    counter = branch.count_branch
    about = {
        "inside": _above(path),
        "counter": "" if counter is None else paths.get(counter.cache_key, counter.name),
        "title": branch.title,
        "class_name": branch.member("fClassName", none_if_missing=True) or "",
    }
    if isinstance(interpretation, UnknownInterpretation):
        if not branch.member("fLeaves") or "::" in path.rsplit(".", 1)[-1]:
            return None
        return StoredColumn(path, None, problem=f"{path} is of a type that uproot cannot read", **about)
    try:
        form = interpretation.awkward_form(branch.file)
    except CannotBeAwkward as error:
        return StoredColumn(path, None, problem=f"{path} holds C++ objects that cannot be an array: {error}", **about)
    if getattr(form, "fields", None) == [] and form.is_record:
        return None
    return StoredColumn(path, form, **about)


# RNTuples as stored tables -------------------------------------------------------------------------------------------------------


class RNTupleTable(StoredTable):
    """An open RNTuple."""

    def __init__(self, file: str, opened: Any, name: str) -> None:
        """Read header, footer and page lists; no event data."""
        self.file = file
        self.tree = name
        self._opened = opened
        with told_as_source_error(file, f"the RNTuple {name!r} cannot be read"):
            self._ntuple = key_named(opened, name).get()
            _know_children(self._ntuple)
            self.offered = offered(file)
            self.entries: int = int(self._ntuple.num_entries)
            check_claimed_entries(file, self.entries, int(opened.file.source.num_bytes))
            self.content = root_identity(opened, file, self.offered, self.entries, _records(self._ntuple))

    def columns(self) -> dict[str, StoredColumn]:
        """Give every field at the top; the fields inside are in its form."""
        with told_as_source_error(self.file, "the fields of the RNTuple cannot be understood"):
            return {f.name: self._column(f) for f in self._ntuple.fields}

    def _column(self, field: Any) -> StoredColumn:
        """Ask for one field at a time: uproot refuses all of them when one is of a type that it does not know."""
        about = {"title": field.description, "class_name": field.typename}
        try:
            # Asked of the field itself: asked of the ntuple, each takes the time of all.
            below = [f"{field.path}.{k}" for k in field.keys()]  # noqa: SIM118 - it is no dict
            form = self._ntuple.field_form(field.field_id, [field.path, *below])
        except Exception as error:  # noqa: BLE001 - whatever a type that uproot does not know leads to
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) cannot be read: {error}", **about)
        if form.is_record and not form.fields:
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) holds nothing to read", **about)
        return StoredColumn(field.name, form, **about)

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a field, with such fields inside."""
        field = next((f for f in self._ntuple.fields if f.name == path[0]), None)
        return field is not None and has_field(self._column(field).form, path[1:])

    def boundaries(self) -> Sequence[int]:
        """Give the first entries of the clusters, and the number of entries."""
        return sorted({0, self.entries, *[int(c.num_first_entry) for c in self._ntuple.cluster_summaries]})

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        """Read fields in one pass, only the wanted ones of records."""
        names = {".".join(p) for p in paths}  # a name in an RNTuple has no dot
        with told_as_source_error(self.file, f"{', '.join(names)} cannot be read, between events {start} and {stop}"):
            # By a function: a name would be taken for a pattern.
            array = self._ntuple.arrays(
                filter_field=lambda f: f.path in names, entry_start=start, entry_stop=stop, array_cache=None
            )
        found: dict[ColumnPath, ak.Array] = {}
        for path in paths:
            value = array
            for field in path:
                if field not in value.fields:
                    raise SourceError(
                        f"{shown(self.file)} has no field {'.'.join(path)!r}", why="the file changed since its schema was read"
                    )
                value = value[field]
            found[path] = value
        return found

    def item_bytes(self, path: ColumnPath) -> int:
        """Add up the values in the pages of a field and of those inside it."""
        found = self._ntuple.field_records
        places: list[tuple[str, ...]] = []
        for i, field in enumerate(found):
            above = () if field.parent_field_id == i else places[field.parent_field_id]
            places.append(above if field.field_name == "_0" else (*above, field.field_name))
        records = [(i, c) for i, c in enumerate(self._ntuple.column_records) if places[c.field_id][: len(path)] == path]
        inside = [(i, int(c.nbits)) for i, c in records if places[c.field_id] == path or len(records) == 1]
        total = 0
        for cluster in self._ntuple.page_link_list:
            total += sum([int(page.num_elements) * bits for i, bits in inside if i < len(cluster) for page in cluster[i].pages])
        return total // 8

    def stored_bytes(self, names: Collection[str]) -> int:
        """Add up the pages of fields and of those inside them."""
        tops: list[str] = []
        for i, field in enumerate(self._ntuple.field_records):
            top = field.parent_field_id
            tops.append(field.field_name if top == i else tops[top])
        columns = [i for i, c in enumerate(self._ntuple.column_records) if tops[c.field_id] in names]
        clusters = self._ntuple.page_link_list
        return sum([page.locator.num_bytes for pages in clusters for c in columns if c < len(pages) for page in pages[c].pages])

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _know_children(ntuple: Any) -> None:
    """Tell each field which fields are inside it: asked for those, each looks through all fields, which takes the square of their number.

    Nothing happens where fields keep that in another place: it only takes longer then.
    """
    records, fields = ntuple.field_records, ntuple.all_fields
    if not all(hasattr(f, "_fields") for f in fields):
        return
    inside: dict[int, list[int]] = {}
    for i, record in enumerate(records):
        if record.parent_field_id != i:
            inside.setdefault(record.parent_field_id, []).append(i)
    # What is inside an anonymous field counts as inside the field around it; children come after their parents.
    for i in reversed(range(len(fields))):
        found: list[Any] = []
        for child in inside.get(i, ()):
            found += (fields[child]._fields or ()) if fields[child].is_anonymous else [fields[child]]
        fields[i]._fields = found


def _records(ntuple: Any) -> list[tuple[int, int]]:
    """Give where the header, the footer and the page lists stand in the file."""
    records = []
    for part in ("Header", "Footer"):
        start = int(ntuple.member(f"fSeek{part}"))
        records.append((start, start + int(ntuple.member(f"fNBytes{part}"))))
    for group in ntuple.footer.cluster_group_records:
        locator = group.page_list_link.locator
        records.append((int(locator.offset), int(locator.offset) + int(locator.num_bytes)))
    return records
