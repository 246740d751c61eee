"""Descriptions of files that were described before: a look at the file system instead of one into each file.

What is remembered of a file is found by its path and by all that the file system notes about its content: number, size, and the times
of the last change of the bytes and of the entry. The last one (``ctime``) cannot be set by a program, so a file that was replaced by
another of the same size and time is noticed. Files that changed a moment ago are not remembered, since a second change might carry the
same time; nor are files on other machines, of which nobody notes as much.

Schemas are remembered once for all files that have the same columns. Nothing here loads an array library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hep_flows.contract import Description
from hep_flows.errors import RecordError, SourceError
from hep_flows.expr import build
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.text import is_url
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.types import Record
from hep_flows.sources.paths import STORED_KINDS, Asked
from hep_flows.sources.stored import is_settled, stamp_of, title_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    """The identity of a file's content, its tree, and the identity of its columns: empty where it has no such tree."""

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

    def describe(self, kind: str, files: Sequence[str], tree: str = "", asked: Asked | None = None) -> Description:
        """Give the schema that the files share, and the identity of each; as `hep_flows.sources.describe.describe`.

        Raises
        ------
        SourceError
            When a file is missing, damaged, of another kind, or has no such tree.
        """
        asked = asked or Asked(tree)
        distinct = list(dict.fromkeys(files))
        known = self._files(kind, distinct, asked)
        record = None if known is None else self._schema(kind, known, asked)
        if known is None or record is None:
            return self._described(kind, distinct, files, asked)
        content = tuple([known[f].content for f in files])
        return Description(record, tuple(files), content, _first(known).tree, title_of(files))

    def changed(self, table: Dataset) -> str | None:
        """Give a local file that does not hold what it held when the table was made, or None when all do.

        A table stands for the content that it was made from. What is stored for that content stays right, but it is not what the
        user's files hold any more.
        """
        local = {f: c for f, c in zip(table.files, table.content, strict=True) if not is_url(f)}
        asked = Asked(table.tree, missing_is_empty=True)
        unknown = []
        for file, content in local.items():
            known = self._remembered(table.kind, file, asked)
            if known is None:
                unknown.append(file)
            elif known.content != content:
                return file
        if not unknown:
            return None
        from hep_flows.sources.describe import looked_at

        stamps = {f: stamp_of(f) for f in unknown}
        for one in looked_at(table.kind, unknown, asked):
            if one.content != local[one.name]:
                return one.name
            self._note(table.kind, one.name, asked, _Known(one.content, one.tree, one.identity(table.kind)), stamps[one.name])
        return None

    def holds(self, table: Dataset, number: int) -> bool:
        """Say whether a file of a table holds what it held when the table was made; of files on other machines nothing is known here."""
        file, content = table.files[number] if table.files else "", table.content[number]
        kind = table.kind.removeprefix("servicex-")
        if not file or is_url(file) or kind not in STORED_KINDS or not content.partition(":")[0].isdigit():
            return True
        known = self._remembered(kind, file, Asked(table.tree))
        if known is not None:
            return known.content == content
        from hep_flows.sources.open import open_table

        try:
            found = open_table(kind, file, (table.tree,) if table.tree else ())
        except SourceError:
            return False
        found.close()
        return found.content == content

    def _files(self, kind: str, files: Sequence[str], asked: Asked) -> dict[str, _Known] | None:
        """Give what is known of all files, looking into those that are new; None when the first that has a tree is new."""
        found: dict[str, _Known] = {}
        for file in files:
            one = self._remembered(kind, file, asked)
            if one is not None and (one.columns or asked.missing_is_empty):
                found[file] = one
            elif not any(k.columns for k in found.values()):
                return None
            if not asked.tree and one is not None and one.columns:
                asked = replace(asked, tree=one.tree)
        new = [f for f in files if f not in found]
        if new:
            from hep_flows.sources.describe import looked_at

            stamps = {f: stamp_of(f) for f in new}
            for one_file in looked_at(kind, new, asked):
                name = one_file.name
                found[name] = _Known(one_file.content, one_file.tree, one_file.identity(kind))
                self._note(kind, name, asked, found[name], stamps[name])
        return {f: found[f] for f in files} if any(k.columns for k in found.values()) else None

    def _described(self, kind: str, distinct: Sequence[str], files: Sequence[str], asked: Asked) -> Description:
        """Look into every file, and remember what is there."""
        from hep_flows.sources.describe import describe_looked, look_at_all

        stamps = {f: stamp_of(f) for f in distinct}
        looked = look_at_all(kind, files, asked)
        made = describe_looked(kind, files, looked, asked)
        known: dict[str, _Known] = {}
        for file in distinct:
            one = looked[file]
            known[file] = _Known(one.content, one.tree, one.identity(kind))
            self._note(kind, file, asked, known[file], stamps[file])
            if not asked.tree and one.columns is not None:
                asked = replace(asked, tree=made.tree)
        first = _first(known)
        if first.columns.startswith("~"):
            shared = next(one.shared for one in looked.values() if one.columns is not None)
            self._facts.remember(self._lists_name(kind, first), [[n, *columns] for n, columns in shared.items()])
        name = self._schema_name(kind, known, asked)
        if name is None:  # nothing is remembered here
            return made
        if name in self._schemas:
            return replace(made, record=self._schemas[name])
        self._schemas[name] = made.record
        schema = encode(build.dataset(kind, (), made.tree, made.record))
        self._facts.remember(name, schema.decode())
        return made

    def _schema(self, kind: str, known: dict[str, _Known], asked: Asked) -> Record | None:
        name = self._schema_name(kind, known, asked)
        if name is None:
            return None
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

    def _schema_name(self, kind: str, known: dict[str, _Known], asked: Asked) -> bytes | None:
        """Name a schema by the columns that it is made of; where files differ, its texts name the files.

        None where it depends on the lists of the first file, and these are not remembered.
        """
        first: dict[str, str] = {}
        for file, one in known.items():
            if one.columns:
                first.setdefault(one.columns, file)
        # Which files lack a leaf is in the schema by their place.
        order = tuple([list(first).index(one.columns) for one in known.values() if one.columns]) if len(first) > 1 else ()
        files = tuple(first.values()) if len(first) > 1 else ()
        lists: tuple[object, ...] = ()
        if _first(known).columns.startswith("~"):
            remembered = self._facts.remembered(self._lists_name(kind, _first(known)))
            if not isinstance(remembered, list):
                return None
            lists = tuple([tuple([str(n) for n in row]) for row in remembered])
        return digest("schema", self._code, kind, _first(known).tree, tuple(first), files, order, lists, asked.collections)

    def _lists_name(self, kind: str, first: _Known) -> bytes:
        return digest("lists", self._code, kind, first.tree, first.content)

    def _remembered(self, kind: str, file: str, asked: Asked) -> _Known | None:
        stamp = stamp_of(file)
        found = self._facts.remembered(digest("file", self._code, kind, file, asked.trees(kind), stamp)) if stamp else None
        match found:
            case [str(content), str(own_tree), str(columns)]:
                return _Known(content, own_tree, columns)
            case _:
                return None

    def _note(self, kind: str, file: str, asked: Asked, known: _Known, stamp: tuple[int, ...]) -> None:
        """Remember a file, if it did not change while it was looked at, nor a moment before."""
        if stamp and stamp == stamp_of(file) and is_settled(stamp):
            name = digest("file", self._code, kind, file, asked.trees(kind), stamp)
            self._facts.remember(name, [known.content, known.tree, known.columns])


def _first(known: Mapping[str, _Known]) -> _Known:
    """Give the first file that has a tree: what was not named is what it has."""
    return next(k for k in known.values() if k.columns)


@cache
def _code_stamp() -> bytes:
    """Give what changes when the code that describes files does: what an older version found is not taken."""
    stats = sorted([(p.name, p.stat()) for p in Path(__file__).parent.glob("*.py")], key=lambda pair: pair[0])
    return digest("code", tuple([(name, s.st_size, s.st_mtime_ns) for name, s in stats]))
