"""Descriptions of files that were described before: a look at the file system instead of one into each file.

What is remembered of a file is found by its path and by all that the file system notes about its content: number, size, and the times
of the last change of the bytes and of the entry. The last one (``ctime``) cannot be set by a program, so a file that was replaced by
another of the same size and time is noticed. Files that changed a moment ago are not remembered, since a second change might carry the
same time; nor are files on other machines, of which nobody notes as much.

Schemas are remembered once for all files that have the same columns. Nothing here loads an array library.
"""

from __future__ import annotations

import sys
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
from hep_flows.sources.kinds import kinds, source_of
from hep_flows.sources.paths import Asked, check_exists
from hep_flows.sources.stored import is_settled, stamp_of, title_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.contract import Source


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
        local = {f: c for f, c in zip(table.files, table.content, strict=True) if _is_here(f, c)}
        if not local or table.model not in kinds().sources:
            return None
        asked = Asked(table.tree, missing_is_empty=True)
        unknown = []
        for file, content in local.items():
            known = self._remembered(table.model, file, asked)
            if known is None:
                unknown.append(file)
            elif known.content != content:
                return file
        if not unknown:
            return None
        from hep_flows.sources.describe import looked_at

        stamps = {f: stamp_of(f) for f in unknown}
        for one in looked_at(table.model, unknown, asked):
            if one.content != local[one.name]:
                return one.name
            self._note(table.model, one.name, asked, _Known(one.content, one.tree, one.identity(table.model)), stamps[one.name])
        return None

    def holds(self, table: Dataset, number: int) -> bool:
        """Say whether a file of a table holds what it held when the table was made; of files on other machines nothing is known here."""
        file, content, kind = table.files[number] if table.files else "", table.content[number], table.model
        if not _is_here(file, content) or kind not in kinds().sources:
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
        return digest(
            "schema",
            _code_of(type(source_of(kind))),
            kind,
            _first(known).tree,
            tuple(first),
            files,
            order,
            lists,
            asked.collections,
        )

    def _lists_name(self, kind: str, first: _Known) -> bytes:
        return digest("lists", _code_of(type(source_of(kind))), kind, first.tree, first.content)

    def _remembered(self, kind: str, file: str, asked: Asked) -> _Known | None:
        stamp = stamp_of(file)
        found = (
            self._facts.remembered(digest("file", _code_of(type(source_of(kind))), kind, file, asked.trees(kind), stamp))
            if stamp
            else None
        )
        match found:
            case [str(content), str(own_tree), str(columns)]:
                return _Known(content, own_tree, columns)
            case _:
                return None

    def _note(self, kind: str, file: str, asked: Asked, known: _Known, stamp: tuple[int, ...]) -> None:
        """Remember a file, if it did not change while it was looked at, nor a moment before."""
        if stamp and stamp == stamp_of(file) and is_settled(stamp):
            name = digest("file", _code_of(type(source_of(kind))), kind, file, asked.trees(kind), stamp)
            self._facts.remember(name, [known.content, known.tree, known.columns])


def _is_here(file: str, content: str) -> bool:
    """Say whether a file is a local one that was looked into; what only a server knows has an identity of another form."""
    return bool(file) and not is_url(file) and content.partition(":")[0].isdigit()


def _first(known: Mapping[str, _Known]) -> _Known:
    """Give the first file that has a tree: what was not named is what it has."""
    return next(k for k in known.values() if k.columns)


@cache
def _code_of(source: type[Source]) -> bytes:
    """Give what changes when the code that describes files does: what an older version found is not taken."""
    own = getattr(sys.modules.get(source.__module__), "__file__", None) or __file__
    stats = sorted([(p.name, p.stat()) for p in {Path(own), *Path(__file__).parent.glob("*.py")}], key=lambda pair: pair[0])
    return digest("code", tuple([(name, s.st_size, s.st_mtime_ns) for name, s in stats]))


# Which kind of table a file seems to be ------------------------------------------------------------------------------------------


def guessed_kind(file: str, tree: str, facts: Facts) -> tuple[str, str]:
    """Give the kind of table that a file seems to be, and why.

    Parameters
    ----------
    file : str
        The first file, without the name of a tree.
    tree : str
        The tree; empty where nothing is said.
    facts : Facts
        Where it is remembered what is in files.

    Raises
    ------
    SourceError
        When the file has to be looked into and cannot be.
    """
    known = kinds().sources
    ended = [k for k, s in known.items() if file.split("?", 1)[0].lower().endswith(s.endings)]
    if len(ended) == 1:
        return ended[0], "by the ending of its file"
    by_tree = {name: k for k, s in known.items() for name in s.trees}
    if tree:
        return by_tree.get(tree, "tree"), f"by the name of its tree, {tree}"
    found = _trees(file, facts)
    for name, kind in by_tree.items():
        if name in found:
            return kind, f"its file has a tree {name}"
    return "tree", f"its file has neither {' nor '.join(by_tree)}"


def _trees(file: str, facts: Facts) -> list[str]:
    """Give the trees in a file; of a local file they are remembered until it changes."""
    from hep_flows.sources.root import open_root, trees_in

    name = b""
    if not is_url(file):
        check_exists(file)
        name = digest("trees", file, *stamp_of(file))
        known = facts.remembered(name)
        if isinstance(known, list):
            return known
    with open_root(file) as opened:
        trees = list(trees_in(opened))
    if name:
        facts.remember(name, trees)
    return trees
