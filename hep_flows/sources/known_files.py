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
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hep_flows.contract import Description
from hep_flows.errors import HepFlowsError, RecordError, SourceError, bad_files
from hep_flows.expr import build
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.text import is_url, shown
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.types import Record
from hep_flows.retry import DELAYS_S, tried
from hep_flows.sources.kinds import kinds, source_of
from hep_flows.sources.paths import Asked, check_exists
from hep_flows.sources.stored import is_settled, stamp_of, title_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.contract import Source
    from hep_flows.sources.describe import LookedAt


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


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in the files of a table.

    Parameters
    ----------
    good : Description, optional
        The files that can be used; None where there are none.
    bad : mapping of str to SourceError
        By file, why each other one cannot be used.
    """

    good: Description | None
    bad: Mapping[str, SourceError]

    @property
    def whole(self) -> Description:
        """All files.

        Raises
        ------
        SourceError
            When some cannot be used: all of them are named.
        """
        if self.bad or self.good is None:
            raise bad_files(list(self.bad.values()))
        return self.good


class KnownFiles:
    """Describes files, and remembers what it found. Tables whose files have the same columns share one schema.

    Parameters
    ----------
    facts : Facts
        Where it is remembered.
    delays_s : tuple of float
        How long to wait before each further look into a file, after an error that may pass.
    """

    def __init__(self, facts: Facts, delays_s: tuple[float, ...] = DELAYS_S) -> None:
        """Nothing is looked at yet."""
        self._facts = facts
        self._delays_s = delays_s
        self._schemas: dict[bytes, Record] = {}

    def describe(self, kind: str, files: Sequence[str], tree: str = "", asked: Asked | None = None) -> Description:
        """Give the schema that the files share, and the identity of each; as `hep_flows.sources.describe.describe`.

        Raises
        ------
        SourceError
            When files are missing, damaged, of another kind, or have no such tree.
        """
        return self.look(kind, files, tree, asked).whole

    def look(
        self,
        kind: str,
        files: Sequence[str],
        tree: str = "",
        asked: Asked | None = None,
        wrong: Callable[[str, str], SourceError | None] = lambda _file, _content: None,
    ) -> Looked:
        """Look into files, and describe those that can be used as a table of their own.

        Parameters
        ----------
        wrong : callable
            Gets a file and the identity of its content; says why it is not the file that is meant, or None.
        """
        asked = asked or Asked(tree)
        distinct = list(dict.fromkeys(files))
        known, looked, bad = self._files(kind, distinct, asked)
        for file, one in list(known.items()):
            error = wrong(file, one.content)
            if error is not None:
                bad[file] = error.of_file(shown(file))
                del known[file]
        if not known:
            return Looked(None, {f: bad[f] for f in distinct})
        if not any(k.columns for k in known.values()):
            if bad:  # one of these may be the one that has the tree
                return Looked(None, bad)
            from hep_flows.sources.describe import check_has_tree

            check_has_tree(kind, looked, asked)
        record = self._schema(kind, known, asked)
        if record is None:
            record = self._made(kind, known, looked, asked)
        good = tuple([f for f in files if f in known])
        content = tuple([known[f].content for f in good])
        described = Description(record, good, content, _first(known).tree, title_of(good))
        return Looked(described, {f: bad[f] for f in distinct if f in bad})

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
        for file, one in looked_at(table.model, unknown, asked):
            if isinstance(one, SourceError):
                raise one
            if one.content != local[file]:
                return file
            self._note(table.model, file, asked, _Known(one.content, one.tree, one.identity(table.model)), stamps[file])
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

    def _files(
        self, kind: str, files: Sequence[str], asked: Asked
    ) -> tuple[dict[str, _Known], dict[str, LookedAt], dict[str, SourceError]]:
        """Give what is known of files by now, what is in those that were looked into now, and why others cannot be used."""
        known: dict[str, _Known] = {}
        for file in files:
            one = self._remembered(kind, file, asked)
            if one is not None and (one.columns or asked.missing_is_empty):
                known[file] = one
                if not asked.tree and one.columns:
                    asked = replace(asked, tree=one.tree)
            elif not known and len(asked.trees(kind)) != 1:
                break  # which tree it is, the first file says
        new = [f for f in files if f not in known]
        looked: dict[str, LookedAt] = {}
        bad: dict[str, SourceError] = {}
        if new:
            looked, bad = self._look_at(kind, new, asked)
            known |= {f: _Known(one.content, one.tree, one.identity(kind)) for f, one in looked.items()}
        return {f: known[f] for f in files if f in known}, looked, bad

    def _look_at(self, kind: str, files: Sequence[str], asked: Asked) -> tuple[dict[str, LookedAt], dict[str, SourceError]]:
        """Look into files, again where that may help, and remember what is in them as soon as it is known."""
        from hep_flows.sources.describe import look_at_all

        stamps = {f: stamp_of(f) for f in files}

        def how(look: Callable[[], LookedAt], asked: Asked) -> LookedAt:
            one = tried(look, self._delays_s)
            self._note(kind, one.name, asked, _Known(one.content, one.tree, one.identity(kind)), stamps[one.name])
            return one

        return look_at_all(kind, files, asked, how)

    def _made(self, kind: str, known: dict[str, _Known], looked: dict[str, LookedAt], asked: Asked) -> Record:
        """Make the schema of files, looking into one of each columns, and remember it."""
        from hep_flows.sources.describe import LookedAt, describe_looked, looked_at

        asked = replace(asked, tree=_first(known).tree)
        of = {known[f].columns: one for f, one in reversed(looked.items()) if f in known}
        name = next(f for f, k in known.items() if k.columns)
        if name not in looked or looked[name].shared is None:
            of.pop(known[name].columns, None)  # of the first one it has to be known which of its lists belong together
        for file, one in known.items():
            if one.columns and one.columns not in of:
                ((_, found),) = looked_at(kind, [file], asked, lambda look, _: tried(look, self._delays_s), lists_of=name)
                if not isinstance(found, LookedAt):
                    raise found
                of[one.columns] = found
        whole = {f: replace(of[k.columns], name=f) if k.columns else LookedAt(f, k.tree, k.content, None) for f, k in known.items()}
        made = describe_looked(kind, list(known), whole, asked)
        if _first(known).columns.startswith("~"):
            shared = whole[name].shared or {}
            self._facts.remember(self._lists_name(kind, _first(known)), [[n, *columns] for n, columns in shared.items()])
        schema_name = self._schema_name(kind, known, asked)
        if schema_name is None:  # nothing is remembered here
            return made.record
        if schema_name not in self._schemas:
            self._schemas[schema_name] = made.record
            schema = encode(build.dataset(kind, (), made.tree, made.record))
            self._facts.remember(schema_name, schema.decode())
        return self._schemas[schema_name]

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


def guessed_kind(files: Sequence[str], tree: str, facts: Facts) -> tuple[str, str]:
    """Give the kind of table that files seem to be, and why.

    Parameters
    ----------
    files : sequence of str
        The files, without the name of a tree; the first that can be used is looked into, where one has to be.
    tree : str
        The tree; empty where nothing is said.
    facts : Facts
        Where it is remembered what is in files.

    Raises
    ------
    SourceError
        When they have to be looked into and cannot be.
    """
    known = kinds().sources
    ended = [k for k, s in known.items() if files[0].split("?", 1)[0].lower().endswith(s.endings)]
    if len(ended) == 1:
        return ended[0], "by the ending of its file"
    by_tree = {name: k for k, s in known.items() for name in s.trees}
    if tree:
        return by_tree.get(tree, "tree"), f"by the name of its tree, {tree}"
    found = _trees(files, facts)
    for name, kind in by_tree.items():
        if name in found:
            return kind, f"its file has a tree {name}"
    return "tree", f"its file has neither {' nor '.join(by_tree)}"


def _trees(files: Sequence[str], facts: Facts) -> list[str]:
    """Give the trees in the first file that can be used."""
    bad: list[HepFlowsError] = []
    for file in files:
        try:
            return tried(partial(_trees_in, file, facts), () if bad else DELAYS_S)
        except SourceError as error:
            bad.append(error.of_file(shown(file)))
    raise bad_files(bad)


def _trees_in(file: str, facts: Facts) -> list[str]:
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
