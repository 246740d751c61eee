"""Open ROOT files, find the tree in them, and say what is wrong with those that cannot be used."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uproot
from uproot.source.file import MultithreadedFileSource

from hep_flows.errors import HepFlowsError, SourceError, did_you_mean
from hep_flows.expr.file_names import is_url, shown
from hep_flows.plugins.awkward.file_identity import identity, local_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_HEADER_BYTES = 20
_BIG_FILE_VERSION = 1_000_000


def speed_up_zlib() -> None:
    """Let uproot decompress zlib baskets with isal, which takes two thirds of the time, where it is installed.

    uproot has a public switch for writing only; the class behind it serves reading. Nothing happens when either is gone.
    """
    decompressor = getattr(uproot.compression, "_DecompressZLIB", None)
    if decompressor is None or getattr(decompressor, "library", None) != "zlib":
        return
    with contextlib.suppress(ImportError):
        importlib.import_module("isal.isal_zlib")
        decompressor.library = "isal"


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


@contextlib.contextmanager
def told_as_source_error(file: str, what: str) -> Iterator[None]:
    """Turn the errors of damaged or unreachable files into one that names the file.

    Whatever a library raises over foreign bytes is one: which kinds of errors these are nobody says.
    """
    try:
        yield
    except (HepFlowsError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{shown(file)} does not exist", why=_first_line(error, file)) from error
    except Exception as error:
        raise SourceError(f"{shown(file)}: {what}", why=f"{type(error).__name__}: {_first_line(error, file)}") from error


def _first_line(error: Exception, file: str) -> str:
    return (str(error).strip().splitlines() or [""])[0].replace(file, shown(file))


def open_root(file: str) -> Any:
    """Open a ROOT file, local or remote; the caller closes it.

    Raises
    ------
    SourceError
        When it is missing, damaged or of another kind.
    """
    speed_up_zlib()
    with told_as_source_error(file, "the file cannot be opened"):
        if is_url(file):
            check_remote(file)
        else:
            check_root_file(file)
        # As a mapping, or uproot would take what follows a colon in the path for the name of an object. Local files are read
        # without the event loop that uproot runs by default: it costs as much as a small branch.
        options = {} if is_url(file) else {"handler": MultithreadedFileSource}
        return uproot.open({file: None}, **options)


def trees_in(opened: Any) -> dict[str, str]:
    """Give the class of each tree in an open file, by name, those in folders included."""
    return {name: kind for name, kind in opened.classnames(recursive=True, cycle=False).items() if kind in TREE_CLASSES}


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
            return (latest, every[plain]) if opened.key(latest).fCycle == opened.key(plain).fCycle else (plain, every[plain])
        other = opened.classnames(recursive=True, cycle=False).get(plain)
        if other is not None:
            listed = f"{name} is a {'folder' if other.startswith('TDirectory') else other}; {listed}"
    named = f"tree {' or '.join([repr(n) for n in wanted])}" if wanted else "tree"
    error = NoTreeError(f"{shown(file)} has no {named}", why=listed, do=did_you_mean(wanted[0], trees) if wanted else "")
    parts = [b"no tree", str(opened.file.source.num_bytes).encode(), opened.file.uuid.bytes]
    error.content = identity(0, parts if is_url(file) else [*parts, local_sample(file)])
    raise error


def root_identity(opened: Any, file: str, entries: int, records: list[tuple[int, int]]) -> str:
    """Give the identity of an open file from its identifier and the records that describe the tree.

    Parameters
    ----------
    records : list of tuple of int
        The first byte and the byte after the last of each record.
    """
    source = opened.file.source
    parts = [str(source.num_bytes).encode(), opened.file.uuid.bytes]
    parts += [bytes(source.chunk(start, stop).raw_data) for start, stop in records]
    if not is_url(file):
        parts.append(local_sample(file))
    return identity(entries, parts)
