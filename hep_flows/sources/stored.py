"""What every kind of file needs: fields of stored columns, and what a file's content is known by."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.contract import StoredColumn
from hep_flows.errors import HepFlowsError, SourceError
from hep_flows.expr.text import is_url, shown
from hep_flows.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import awkward as ak

    from hep_flows.contract import ColumnPath

Columns = Mapping[str, StoredColumn]


def field_of(arrays: Mapping[str, ak.Array], path: ColumnPath) -> ak.Array:
    """Give the array of a field inside a stored column that was read."""
    array = arrays[path[0]]
    for name in path[1:]:
        array = array[name]
    return array


def shared_lack(columns: Sequence[StoredColumn]) -> tuple[frozenset[int], str]:
    """Give the files that lack all of some columns, and a text that names one of them; nothing where each file has one."""
    lack = frozenset.intersection(*[c.lack for c in columns]) if columns else frozenset()
    return lack, columns[0].notes[()].lacking if lack else ""


# The identity of a file's content: it changes when, and only when, the content does ----------------------------------------------
#
# It is made of the file's size and of the record in which the file describes its own data (ROOT: identifier and the tree's record
# with the position and size of every basket; RNTuple: its envelopes; Parquet: the footer). Uncompressed data can change without
# changing any of these, so local files add their bytes: all of a small file, blocks spread over a big one. Paths and times of the
# file system are no part of it. Of a remote file that much cannot be read: what its server says about the content is added, a checksum
# where it has one, else its entity tag and the time of its last change.

# Two changes within this time may carry the same time stamp, on any file system in use.
SETTLED_S = 2.0
_SMALL_BYTES = 8 << 20
_BLOCK_BYTES = 16 << 10
_N_BLOCKS = 64


def stamp_of(file: str) -> tuple[int, ...]:
    """Give all that the file system notes about a local file's content; nothing for others."""
    if is_url(file):
        return ()
    try:
        found = os.stat(file)  # noqa: PTH116 - thousands of files are looked at
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def is_settled(stamp: tuple[int, ...]) -> bool:
    """Say whether a file changed so long ago that one more change would carry another time."""
    return bool(stamp) and time.time() - max(stamp[-1], stamp[-2]) / 1e9 > SETTLED_S


def identity(entries: int, parts: Iterable[bytes]) -> str:
    """Give the text that stands for a file's content: the number of events, and a digest."""
    made = sha256()
    for part in parts:
        made.update(b"%d:" % len(part))
        made.update(part)
    return f"{entries}:{made.hexdigest()}"


def entries_of(content: str) -> int:
    """Give the number of events that an identity tells."""
    return int(content.split(":", 1)[0])


def remote_options(file: str) -> dict[str, Any]:
    """Give what fsspec is told when it opens a remote file: how long a web server may send nothing, so that none is waited for for ever."""
    if not file.lower().startswith(("http://", "https://")):
        return {}
    import aiohttp

    limit = read_settings().request_s
    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=limit, sock_read=limit)}}


def offered(file: str) -> bytes:
    """Give what the server of a remote file says about its content beside the size: what would change with it; nothing for local files."""
    if not is_url(file):
        return b""
    import fsspec

    system, path = fsspec.core.url_to_fs(file, **remote_options(file))
    said = system.info(path)
    sums = [f"{name}={said[name]}" for name in ("Content-MD5", "Digest") if said.get(name)]
    marks = [f"{name}={said[name]}" for name in ("ETag", "Last-Modified", "LastModified", "VersionId", "mtime") if said.get(name)]
    return "\n".join([f"size={said.get('size')}", *(sums or marks)]).encode()


def checksum(file: str) -> bytes:
    """Give the checksum that an XRootD server has of a file; nothing where there is none, and for other files."""
    if not file.startswith(("root://", "roots://")):
        return b""
    import fsspec

    system, path = fsspec.core.url_to_fs(file)
    try:
        algorithm, value = system.checksum(path)
    except (OSError, AttributeError, TypeError, ValueError):
        return b""
    return f"{algorithm}={value}".encode()


def content_parts(file: str, said: bytes) -> list[bytes]:
    """Give what enters a file's identity beside the records that describe its data: bytes of a local file, a server's word of a remote one."""
    if not is_url(file):
        return [local_sample(file)]
    # A checksum is of the content alone; the time of the last change is not.
    known = checksum(file)
    return [known] if known else [said]


def whole_content(file: str, entries: int, said: bytes = b"") -> str:
    """Give the identity of a file that does not describe its own data, such as a text: every byte counts, or a server's word.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    if is_url(file):
        return identity(entries, content_parts(file, said))
    with Path(file).open("rb") as stream:
        return identity(entries, [file_digest(stream, "sha256").digest()])


def local_sample(file: str) -> bytes:
    """Give a digest of a local file's own bytes: of all of them, or of blocks spread over a big file."""
    path = Path(file)
    size = path.stat().st_size
    made = sha256(b"%d:" % size)
    with path.open("rb") as stream:
        if size <= _SMALL_BYTES:
            made.update(stream.read())
            return made.digest()
        for i in range(_N_BLOCKS):
            stream.seek((size - _BLOCK_BYTES) * i // (_N_BLOCKS - 1))
            made.update(stream.read(_BLOCK_BYTES))
    return made.digest()


# Errors of libraries over foreign bytes --------------------------------------------------------------------------------------------


@contextmanager
def told_as_source_error(file: str, what: str) -> Iterator[None]:
    """Turn the errors of damaged or unreachable files into one that names the file.

    Whatever a library raises over foreign bytes is one: which kinds of errors these are nobody says.
    """
    try:
        yield
    except HepFlowsError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{shown(file)} does not exist", why=_first_line(error, file)) from error
    except Exception as error:
        raise SourceError(f"{shown(file)}: {what}", why=f"{type(error).__name__}: {_first_line(error, file)}") from error


def _first_line(error: Exception, file: str) -> str:
    return (str(error).strip().splitlines() or [""])[0].replace(file, shown(file))


# How a table of several files is called ------------------------------------------------------------------------------------------


def title_of(files: Sequence[str]) -> str:
    """Give the name that a table of these files is shown by."""
    name = shown(files[0]).rstrip("/").rsplit("/", 1)[-1]
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"
