"""Open tables, kept for the next reader: opening a wide ROOT file costs more than reading a few of its branches."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.text import is_url, shown
from hep_flows.sources.root import open_root, told_as_source_error, tree_named
from hep_flows.sources.stored import is_settled, offered, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hep_flows.sources.stored import StoredTable


def open_table(kind: str, file: str, trees: Sequence[str]) -> StoredTable:
    """Open the first of these trees that a file has, for a kind of table; without a name the only tree there is.

    Raises
    ------
    NoTreeError
        When the file has no such tree.
    SourceError
        When it is missing, damaged or of another kind.
    """
    if not is_url(file):
        check_exists(file)
    if kind == "parquet":
        from hep_flows.sources.parquet import ParquetTable

        return ParquetTable(file)
    opened = open_root(file)
    try:
        return _tree_in(opened, file, trees)
    except BaseException:
        opened.close()
        raise


def _tree_in(opened: Any, file: str, trees: Sequence[str]) -> StoredTable:
    name, kind = tree_named(opened, file, trees)
    if kind.startswith("ROOT::"):
        from hep_flows.sources.root import RNTupleTable

        return RNTupleTable(file, opened, name)
    from hep_flows.sources.root import TTreeTable

    return TTreeTable(file, opened, name)


def check_exists(file: str) -> None:
    """Check that a local file is there, and is a file.

    Raises
    ------
    SourceError
        When it is not; near names in its folder are given.
    """
    path = Path(file)
    if path.is_dir():
        raise SourceError(f"{file} is a folder, not a file", do=f"give its files: {file.rstrip('/')}/*.root")
    if path.is_file():
        return
    if path.exists():
        raise SourceError(f"{file} is no regular file", why="it is a pipe, a socket or a device", do="give the path of a file")
    folder = path.parent
    if not folder.is_dir():
        raise SourceError(f"{file} does not exist", why=f"there is no folder {folder}")
    near = did_you_mean(path.name, [p.name for p in folder.iterdir()])
    raise SourceError(f"{file} does not exist", do=near)


_Key = tuple[str, str, str, tuple[int, ...]]


class OpenTables:
    """A few open tables. A table is lent to one thread at a time; when this object is closed, or let go, it closes them all."""

    def __init__(self, limit: int = 8, opening: Callable[[str, str, Sequence[str]], StoredTable] = open_table) -> None:
        """Start with none; at most ``limit`` unused ones are kept, and ``opening`` opens one."""
        self._limit = limit
        self._opening = opening
        self._unused: list[tuple[_Key, StoredTable]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._unused)

    @contextmanager
    def lent(self, kind: str, file: str, tree: str, content: str = "") -> Iterator[StoredTable]:
        """Lend a table, opened now or earlier.

        Raises
        ------
        SourceError
            When the file is not what ``content`` says it was.
        """
        # A file that was written again since it was opened is another file.
        key = (kind, file, tree, stamp_of(file))
        table = self._taken(key) or self._opening(kind, file, (tree,) if tree else ())
        try:
            _check_content(file, table.content, content)
            yield table
            _check_unchanged(key, table)
        except BaseException as error:
            table.close()
            if isinstance(error, SourceError) and stamp_of(file) != key[3]:  # what cannot be read was written to meanwhile
                raise _changed(file) from error
            raise
        self._give_back(key, table)

    def _taken(self, key: _Key) -> StoredTable | None:
        with self._lock:
            for i in reversed(range(len(self._unused))):
                if self._unused[i][0] == key:
                    return self._unused.pop(i)[1]
        return None

    def _give_back(self, key: _Key, table: StoredTable) -> None:
        with self._lock:
            self._unused.append((key, table))
            n_surplus = max(0, len(self._unused) - self._limit)
            surplus = self._unused[:n_surplus]
            del self._unused[:n_surplus]
        for _, old in surplus:
            old.close()

    def close(self) -> None:
        """Close every table that is not lent."""
        with self._lock:
            tables = self._unused[:]
            self._unused.clear()
        _close_all(tables)


def _close_all(tables: list[tuple[_Key, StoredTable]]) -> None:
    for _, table in tables:
        table.close()


def _changed(file: str) -> SourceError:
    error = SourceError(
        f"{shown(file)} changed while it was read", why="another program writes to it", do="run it again when that is over"
    )
    error.transient = True
    return error


def _check_unchanged(key: _Key, table: StoredTable) -> None:
    """Look at a file again after it was read: by what the file system or the server says, and where that is too coarse by its content."""
    kind, file, tree, before = key
    with told_as_source_error(file, "the file cannot be looked at again"):
        same = stamp_of(file) == before and offered(file) == table.offered
    if not same:
        raise _changed(file)
    if before and not is_settled(before):
        again = open_table(kind, file, (tree,) if tree else ())
        again.close()
        _check_content(file, again.content, table.content)


def _check_content(file: str, found: str, wanted: str) -> None:
    if wanted and found != wanted:
        raise SourceError(
            f"{shown(file)} changed since the table was made", why="its content is not what it was", do="make the table again"
        )
