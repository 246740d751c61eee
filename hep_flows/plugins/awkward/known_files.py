"""Descriptions of files that were described before: a look at the file system instead of one into each file.

What is remembered of a file is found by its path and by all that the file system notes about its content: number, size, and the times
of the last change of the bytes and of the entry. The last one (``ctime``) cannot be set by a program, so a file that was replaced by
another of the same size and time is noticed. Files that changed a moment ago are not remembered, since a second change might carry the
same time; nor are files on other machines, of which nobody notes as much.

Schemas are remembered once for all files that have the same columns. Nothing here loads an array library.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.file_names import is_url
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.types import Record
from hep_flows.plugin import Description
from hep_flows.plugins.awkward.file_names import title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# Two changes within this time may carry the same time stamp, on any file system in use.
SETTLED_S = 2.0


class Facts(Protocol):
    """Where small things are remembered between processes."""

    def remembered(self, name: bytes) -> Any:
        """Give what was remembered under a name, or None."""
        ...

    def remember(self, name: bytes, value: Any) -> None:
        """Remember something that follows from the name."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """The identity of a file's content, its tree, and the identity of its columns."""

    content: str
    tree: str
    columns: str


class KnownFiles:
    """Describes files, and remembers what it found. Tables whose files have the same columns share one schema.

    Parameters
    ----------
    facts : Facts
        Where it is remembered.
    """

    def __init__(self, facts: Facts) -> None:
        """Nothing is looked at yet."""
        self._facts = facts
        self._code = _code_stamp()
        self._schemas: dict[bytes, Record] = {}

    def describe(self, kind: str, files: Sequence[str], tree: str = "") -> Description:
        """Give the schema that the files share, and the identity of each; as `hep_flows.plugins.awkward.describe.describe`.

        Raises
        ------
        SourceError
            When a file is missing, damaged, of another kind, or has no such tree.
        """
        distinct = list(dict.fromkeys(files))
        known = self._files(kind, distinct, tree)
        if known is None:
            return self._described(kind, distinct, files, tree)
        record = self._schema(kind, known)
        if record is None:
            return self._described(kind, distinct, files, tree)
        content = tuple([known[f].content for f in files])
        return Description(record, tuple(files), content, known[files[0]].tree, title_of(files))

    def changed(self, table: Dataset) -> str | None:
        """Give a local file that does not hold what it held when the table was made, or None when all do.

        A table stands for the content that it was made from. What is stored for that content stays right, but it is not what the
        user's files hold any more.
        """
        local = {f: c for f, c in zip(table.files, table.content, strict=True) if not is_url(f)}
        unknown = []
        for file, content in local.items():
            known = self._remembered(table.kind, file, table.tree)
            if known is None:
                unknown.append(file)
            elif known.content != content:
                return file
        if not unknown:
            return None
        from hep_flows.plugins.awkward.describe import looked_at

        stamps = {f: _stamp(f) for f in unknown}
        for one in looked_at(table.kind, unknown, table.tree):
            if one.content != local[one.name]:
                return one.name
            self._note(table.kind, one.name, table.tree, _Known(one.content, one.tree, one.identity()), stamps[one.name])
        return None

    def _files(self, kind: str, files: Sequence[str], tree: str) -> dict[str, _Known] | None:
        """Give what is known of all files, looking into those that are new; None when the first is new."""
        from hep_flows.plugins.awkward.trees import TREES

        wanted = tree or TREES.get(kind, "")
        found: dict[str, _Known] = {}
        for file in files:
            one = self._remembered(kind, file, wanted)
            if one is not None:
                found[file] = one
            elif not found:
                return None
            wanted = found[files[0]].tree
        new = [f for f in files if f not in found]
        if new:
            from hep_flows.plugins.awkward.describe import looked_at

            stamps = {f: _stamp(f) for f in new}
            for one_file in looked_at(kind, new, wanted):
                name = one_file.name
                found[name] = _Known(one_file.content, one_file.tree, one_file.identity())
                self._note(kind, name, wanted, found[name], stamps[name])
        return found

    def _described(self, kind: str, distinct: Sequence[str], files: Sequence[str], tree: str) -> Description:
        """Look into every file, and remember what is there."""
        from hep_flows.plugins.awkward.describe import describe_looked, look_at_all
        from hep_flows.plugins.awkward.trees import TREES

        stamps = {f: _stamp(f) for f in distinct}
        looked = look_at_all(kind, files, tree)
        made = describe_looked(kind, files, looked)
        wanted = tree or TREES.get(kind, "")
        known: dict[str, _Known] = {}
        for i, file in enumerate(distinct):
            one = looked[file]
            known[file] = _Known(one.content, one.tree, one.identity())
            self._note(kind, file, wanted if i == 0 else made.tree, known[file], stamps[file])
        name = self._schema_name(kind, known)
        if name in self._schemas:
            return replace(made, record=self._schemas[name])
        self._schemas[name] = made.record
        schema = encode(build.dataset(kind, (), made.tree, made.record))
        self._facts.remember(name, schema.decode())
        return made

    def _schema(self, kind: str, known: dict[str, _Known]) -> Record | None:
        name = self._schema_name(kind, known)
        if name in self._schemas:
            return self._schemas[name]
        written = self._facts.remembered(name)
        if not isinstance(written, str):
            return None
        try:
            table = decode(written.encode())
        except RecordError:
            return None
        if isinstance(table, Dataset) and isinstance(table.type.item, Record):
            self._schemas[name] = table.type.item
        return self._schemas.get(name)

    def _schema_name(self, kind: str, known: dict[str, _Known]) -> bytes:
        """Name a schema by the columns that it is made of; where files differ, its texts name the files."""
        first: dict[str, str] = {}
        for file, one in known.items():
            first.setdefault(one.columns, file)
        files = tuple(first.values()) if len(first) > 1 else ()
        return digest("schema", self._code, kind, next(iter(known.values())).tree, tuple(first), files)

    def _remembered(self, kind: str, file: str, tree: str) -> _Known | None:
        stamp = _stamp(file)
        found = self._facts.remembered(digest("file", self._code, kind, file, tree, stamp)) if stamp else None
        match found:
            case [str(content), str(own_tree), str(columns)]:
                return _Known(content, own_tree, columns)
            case _:
                return None

    def _note(self, kind: str, file: str, tree: str, known: _Known, stamp: tuple[int, ...]) -> None:
        """Remember a file, if it did not change while it was looked at, nor a moment before."""
        if stamp and stamp == _stamp(file) and time.time() - max(stamp[-1], stamp[-2]) / 1e9 > SETTLED_S:
            name = digest("file", self._code, kind, file, tree, stamp)
            self._facts.remember(name, [known.content, known.tree, known.columns])


def _stamp(file: str) -> tuple[int, ...]:
    """Give all that the file system notes about a local file's content; nothing for others."""
    if is_url(file):
        return ()
    try:
        found = os.stat(file)  # noqa: PTH116 - thousands of files are looked at
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _code_stamp() -> bytes:
    """Give what changes when the code that describes files does: what an older version found is not taken."""
    stats = sorted([(p.name, p.stat()) for p in Path(__file__).parent.glob("*.py")], key=lambda pair: pair[0])
    return digest("code", tuple([(name, s.st_size, s.st_mtime_ns) for name, s in stats]))
