"""Open tables, kept for the next reader: opening a wide ROOT file costs more than reading a few of its branches."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hep_flows.contract import StoredTable
from hep_flows.errors import PluginError, SourceError, with_article
from hep_flows.expr.text import is_url, shown
from hep_flows.sources.kinds import source_of
from hep_flows.sources.paths import check_exists
from hep_flows.sources.stored import is_settled, offered, stamp_of, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def open_table(kind: str, file: str, trees: Sequence[str]) -> StoredTable:
    """Open the first of these trees that a file has, for a kind of table; without a name the only tree there is.

    Raises
    ------
    NoTreeError
        When the file has no such tree.
    SourceError
        When it is missing, damaged or of another kind.
    """
    source = source_of(kind)
    if not is_url(file):
        check_exists(file)
    with told_as_source_error(file, "the file cannot be opened"):
        table = source.open(file, trees)
        wrong = wrong_in(table)
    if wrong:
        raise PluginError(
            f"the source of {kind} tables gave no table for {shown(file)}",
            why=wrong,
            do="mend it: hep_flows.contract says what it gives",
        )
    return table


def wrong_in(table: object) -> str:
    """Say what an opened table has that it may not have, or nothing."""
    if not isinstance(table, StoredTable):
        return f"it gave {with_article(table)}, and not a StoredTable"
    for name, kind in (("entries", int), ("content", str), ("tree", str), ("offered", bytes)):
        if not isinstance(getattr(table, name, None), kind):
            return f"its {name} is {with_article(getattr(table, name, None))}"
    if table.content.partition(":")[0] != f"{table.entries}":
        return (
            f"its content is {table.content!r}, which hep_flows.sources.stored.identity did not make for its {table.entries} events"
        )
    return ""


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
