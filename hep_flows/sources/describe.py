"""Read the schema and the identity of the files of a dataset."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from hep_flows.contract import Description, Note
from hep_flows.errors import PluginError, SourceError, bad_files, with_article
from hep_flows.expr.text import shown
from hep_flows.expr.types import Record
from hep_flows.sources.kinds import source_of
from hep_flows.sources.open import open_table
from hep_flows.sources.paths import Asked
from hep_flows.sources.root import NoTreeError
from hep_flows.sources.schema import chosen_collections, joined, lists_by_name
from hep_flows.sources.stored import title_of, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hep_flows.contract import StoredColumn, StoredTable
    from hep_flows.sources.schema import Shared
    from hep_flows.sources.stored import Columns

_THREADS = 8
# Of so many events at the beginning the lengths of lists are compared, to find those that belong together.
_LOOKED_AT_EVENTS = 1000
RANGE_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What one file says; nothing but its content where it has no such tree.

    ``shared`` are the collections that its lists without counters make, where that was looked for: in the first file of a table.
    """

    name: str
    tree: str
    content: str
    columns: Columns | None
    shared: dict[str, list[str]] | None = None

    def identity(self, kind: str) -> str:
        """Give a digest that files with the same columns share; empty without a tree.

        Where the data of the first file decide which lists belong together, it begins with ``~``.
        """
        if self.columns is None:
            return ""
        made = sha256()
        for c in self.columns.values():
            form = "" if c.form is None else json.dumps(c.form.to_dict(verbose=False), sort_keys=True)
            made.update(f"{c.name}\0{form}\0{c.counter}\0{c.title}\0{c.class_name}\0{c.problem}\0".encode())
        by_data = source_of(kind).by_lists and bool(lists_by_name(self.columns))
        return f"{'~' if by_data else ''}{made.hexdigest()}"


def describe(kind: str, files: Sequence[str], tree: str = "", asked: Asked | None = None) -> Description:
    """Give the schema that the files share, and the identity of each.

    Columns that some files lack or hold as another kind are in the schema, and marked.

    Raises
    ------
    SourceError
        When files are missing, damaged, of another kind, or have no such tree; all of them are named.
    """
    asked = asked or Asked(tree)
    looked, bad = look_at_all(kind, files, asked)
    if bad:
        raise bad_files(list(bad.values()))
    check_has_tree(kind, looked, asked)
    return describe_looked(kind, files, looked, asked)


def describe_looked(kind: str, files: Sequence[str], looked: Mapping[str, LookedAt], asked: Asked) -> Description:
    """Give the description of files that were looked at, by name."""
    there = [(f, c) for f in dict.fromkeys(files) if (c := looked[f].columns) is not None]
    first = looked[there[0][0]]
    columns = merged_columns([(shown(f), c) for f, c in there])
    lists = _shared(kind, columns, first.shared or {}, asked)
    with told_as_source_error(files[0], f"the columns of {kind} tables cannot be described"):
        record = source_of(kind).describe(columns, lists)
    if not isinstance(record, Record):
        raise PluginError(f"the source of {kind} tables described an event as {with_article(record)}, and not as a Record")
    return Description(record, tuple(files), tuple([looked[f].content for f in files]), first.tree, title_of(files))


def _shared(kind: str, columns: Columns, seen: Shared, asked: Asked) -> Shared:
    """Give the collections of lists without counters: those that the user names, then those that the data tell."""
    if asked.collections and not source_of(kind).by_lists:
        raise SourceError(f"collections are named for flat trees and Parquet, not for {kind}", do="use tree_table")
    chosen = chosen_collections(columns, dict(asked.collections))
    taken = {c for group in chosen.values() for c in group}
    left = {n: [c for c in group if c not in taken and not columns[c].problem] for n, group in seen.items() if n not in chosen}
    return {**chosen, **{n: group for n, group in left.items() if group}}


if TYPE_CHECKING:
    Looking = Callable[[Callable[[], LookedAt], Asked], LookedAt]


def _once(look: Callable[[], LookedAt], asked: Asked) -> LookedAt:
    del asked
    return look()


def look_at_all(
    kind: str,
    files: Sequence[str],
    asked: Asked,
    how: Looking = _once,
) -> tuple[dict[str, LookedAt], dict[str, SourceError]]:
    """Look into each file, and give what is in those that can be used, and why the others cannot.

    A tree that was not named is the one of the first file that has any; it is another file that lacks it.

    Parameters
    ----------
    how : callable
        Gets what looks into a file, and what is asked of it, and calls it: once, or again after an error that may pass.

    Raises
    ------
    SourceError
        When no file is given.
    """
    if not files:
        raise SourceError("a table needs at least one file", why="the list of files is empty")
    found: dict[str, LookedAt] = {}
    bad: dict[str, SourceError] = {}
    left = list(dict.fromkeys(files))
    is_known = len(asked.trees(kind)) == 1 or source_of(kind).names_tree == ""
    first: LookedAt | None = None
    while left and first is None:  # of a tree that is not known one file after the other is asked, and then all others for that one
        some, left = (left, []) if is_known else (left[:1], left[1:])
        _sort(looked_at(kind, some, asked, how, lists_of=some[0]), found, bad)
        first = next((found[f] for f in some if f in found and found[f].columns is not None), None)
    if first is not None and left:
        _sort(looked_at(kind, left, replace(asked, tree=first.tree), how), found, bad)
    if first is not None and first.name != next(iter(files)) and source_of(kind).by_lists:
        _sort(looked_at(kind, [first.name], replace(asked, tree=first.tree), how, lists_of=first.name), found, bad)
    return {f: found[f] for f in dict.fromkeys(files) if f in found}, bad


def check_has_tree(kind: str, looked: Mapping[str, LookedAt], asked: Asked) -> None:
    """Check that one of the files has the tree.

    Raises
    ------
    SourceError
        When none has it.
    """
    if all(one.columns is None for one in looked.values()):
        trees = " or ".join(asked.trees(kind)) or "a tree"
        raise SourceError(f"none of the {len(looked)} files has {trees}", do="name their tree")


def _sort(looked: Iterable[tuple[str, LookedAt | SourceError]], found: dict[str, LookedAt], bad: dict[str, SourceError]) -> None:
    for file, one in looked:
        if isinstance(one, LookedAt):
            found[file] = one
        else:
            found.pop(file, None)
            bad[file] = one


def looked_at(
    kind: str,
    files: Sequence[str],
    asked: Asked,
    how: Looking = _once,
    lists_of: str = "",
) -> list[tuple[str, LookedAt | SourceError]]:
    """Look into some files, on threads; gives by file what is in it, or why it cannot be used.

    Of the file ``lists_of`` it is found out, too, which of its lists belong together.
    """

    def one(file: str) -> tuple[str, LookedAt | SourceError]:
        try:
            return file, how(lambda: _look(kind, file, asked, is_first=file == lists_of), asked)
        except SourceError as error:
            return file, error.of_file(shown(file))

    if len(files) < 2:
        return [one(f) for f in files]
    with ThreadPoolExecutor(min(_THREADS, len(files))) as threads:
        return list(threads.map(one, files))


def _look(kind: str, file: str, asked: Asked, *, is_first: bool = False) -> LookedAt:
    try:
        table = open_table(kind, file, asked.trees(kind))
    except NoTreeError as error:
        if not asked.missing_is_empty:
            raise SourceError(error.what, why=error.why, do=error.do) from None
        return LookedAt(file, asked.tree, error.content, None)
    try:
        with told_as_source_error(file, "its columns cannot be understood"):
            columns = dict(table.columns())
        shared = _seen_lists(table, columns) if is_first and source_of(kind).by_lists else None
        return LookedAt(file, table.tree, table.content, columns, shared)
    finally:
        table.close()


def read_through(kind: str, file: str, tree: str) -> None:
    """Read every column of a file that can be understood, one after the other: what a run would stumble over is found.

    Raises
    ------
    SourceError
        When it cannot be opened, or a column not be read.
    """
    table = open_table(kind, file, (tree,) if tree else ())
    try:
        with told_as_source_error(file, "its columns cannot be read"):
            for name in [c.name for c in table.columns().values() if not c.problem]:
                for start in range(0, table.entries, RANGE_EVENTS):
                    table.read([(name,)], start, min(start + RANGE_EVENTS, table.entries))
    finally:
        table.close()


def _seen_lists(table: StoredTable, columns: Columns) -> dict[str, list[str]]:
    """Give the columns of lists without counters that share a prefix and, in the events that are looked at, the lengths of their lists.

    Of columns that share a prefix and not the lengths, those are a collection that outnumber all others of equal lengths.
    """
    groups = lists_by_name(columns)
    lengths = _lengths(table, [name for group in groups.values() if len(group) > 1 for name in group])
    found: dict[str, list[str]] = {}
    for prefix, group in groups.items():
        if len(group) == 1:
            found[prefix] = group
            continue
        alike: dict[bytes, list[str]] = {}
        for name in group:
            if name in lengths:
                alike.setdefault(lengths[name], []).append(name)
        most = sorted(alike.values(), key=len, reverse=True)
        if most and (len(most) == 1 or len(most[0]) > len(most[1])):
            found[prefix] = most[0]
    return found


def _lengths(table: StoredTable, names: Sequence[str]) -> dict[str, bytes]:
    """Give the lengths of the outermost lists of columns at the beginning of a file; without those that cannot be read."""
    import awkward as ak
    import numpy as np

    stop = min(table.entries, _LOOKED_AT_EVENTS)
    if not stop or not names:
        return dict.fromkeys(names, b"")
    try:
        with told_as_source_error(table.file, "it cannot be read"):
            arrays = table.read([(n,) for n in names], 0, stop)
    except SourceError:
        if len(names) == 1:
            return {}
        half = len(names) // 2
        return {**_lengths(table, names[:half]), **_lengths(table, names[half:])}
    found: dict[str, bytes] = {}
    for (name,), array in arrays.items():
        layout = ak.to_layout(array)
        while layout.is_indexed or layout.is_option:
            layout = layout.project()
        if len(layout) == stop and layout.is_list:  # no list is missing
            found[name] = np.diff(np.asarray(layout.to_ListOffsetArray64(True).offsets)).tobytes()
    return found


def merged_columns(tables: Sequence[tuple[str, Columns]]) -> Columns:
    """Give the columns of all files, in the order of the first that has them, with notes on where they differ."""
    merged: dict[str, StoredColumn] = {}
    owner: dict[str, str] = {}
    having: dict[str, set[int]] = {}
    for number, (file, columns) in enumerate(tables):
        for name, column in columns.items():
            having.setdefault(name, set()).add(number)
            if name not in merged:
                merged[name], owner[name] = column, file
            elif not merged[name].problem:
                merged[name] = _joined(merged[name], owner[name], column, file)
    everywhere = frozenset(range(len(tables)))
    for name, numbers in having.items():
        lack = everywhere - numbers
        if lack and not merged[name].problem:
            text = f"{tables[min(lack)][0]} has no {name}, {owner[name]} has it"
            note = replace(merged[name].notes.get((), Note()), lack=lack, lacking=text)
            merged[name] = replace(merged[name], notes={**merged[name].notes, (): note})
    return merged


def _joined(one: StoredColumn, file: str, other: StoredColumn, other_file: str) -> StoredColumn:
    if one.form == other.form and not other.problem:
        return one
    if other.problem:
        return replace(one, problem=f"{other_file}: {other.problem}")
    if one.counter != other.counter:
        return replace(one, problem=f"{one.name} is counted by {one.counter} in {file} and {other.counter} in {other_file}")
    return joined(one, other, (file, other_file))
