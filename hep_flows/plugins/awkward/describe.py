"""Read the schema and the identity of the files of a dataset."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import shown
from hep_flows.plugin import Description
from hep_flows.plugins.awkward.file_names import title_of
from hep_flows.plugins.awkward.forms import type_text
from hep_flows.plugins.awkward.open_tables import open_table
from hep_flows.plugins.awkward.schema_nanoaod import nanoaod_record
from hep_flows.plugins.awkward.schema_parquet import parquet_record
from hep_flows.plugins.awkward.schema_tree import tree_record
from hep_flows.plugins.awkward.schema_xaod import xaod_record
from hep_flows.plugins.awkward.trees import TREES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.types import Record
    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

_SCHEMAS: dict[str, Callable[[Columns], Record]] = {
    "nanoaod": nanoaod_record,
    "xaod": xaod_record,
    "tree": tree_record,
    "parquet": parquet_record,
}
_THREADS = 8


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What one file says."""

    name: str
    tree: str
    content: str
    columns: Columns

    def identity(self) -> str:
        """Give a digest that files with the same columns share."""
        made = sha256()
        for c in self.columns.values():
            form = "" if c.form is None else json.dumps(c.form.to_dict(verbose=False), sort_keys=True)
            made.update(f"{c.name}\0{form}\0{c.counter}\0{c.title}\0{c.class_name}\0{c.problem}\0".encode())
        return made.hexdigest()


def describe(kind: str, files: Sequence[str], tree: str = "") -> Description:
    """Give the schema that the files share, and the identity of each.

    Columns that some files lack or hold with another type are in the schema, marked as unreadable with the reason.

    Raises
    ------
    SourceError
        When a file is missing, damaged, of another kind, or has no such tree.
    """
    return describe_looked(kind, files, look_at_all(kind, files, tree))


def describe_looked(kind: str, files: Sequence[str], looked: Mapping[str, LookedAt]) -> Description:
    """Give the description of files that were looked at, by name."""
    distinct = list(dict.fromkeys(files))
    record = _SCHEMAS[kind](merged_columns([(shown(f), looked[f].columns) for f in distinct]))
    return Description(record, tuple(files), tuple([looked[f].content for f in files]), looked[files[0]].tree, title_of(files))


def look_at_all(kind: str, files: Sequence[str], tree: str = "") -> dict[str, LookedAt]:
    """Look into each file; a tree that was not named is found in the first, and the others must have it too.

    Raises
    ------
    SourceError
        When a file is missing, damaged, of another kind, or has no such tree.
    """
    if not files:
        raise SourceError("a table needs at least one file", why="the list of files is empty")
    first = _look(kind, files[0], tree or TREES.get(kind, ""))
    others = looked_at(kind, tuple(dict.fromkeys([f for f in files[1:] if f != files[0]])), first.tree)
    return {f.name: f for f in [first, *others]}


def looked_at(kind: str, files: Sequence[str], tree: str) -> list[LookedAt]:
    """Look into some files, on threads."""
    if not files:
        return []
    with ThreadPoolExecutor(min(_THREADS, len(files))) as threads:
        return list(threads.map(lambda f: _look(kind, f, tree), files))


def _look(kind: str, file: str, tree: str) -> LookedAt:
    table = open_table(kind, file, tree)
    try:
        return LookedAt(file, table.tree, table.content, table.columns())
    finally:
        table.close()


def merged_columns(tables: Sequence[tuple[str, Columns]]) -> Columns:
    """Give the columns of all files, in the order of the first that has them; those that differ are unreadable."""
    merged: Columns = {}
    owner: dict[str, str] = {}
    for file, columns in tables:
        for name, column in columns.items():
            if name not in merged:
                merged[name], owner[name] = column, file
            elif not merged[name].problem:
                merged[name] = _joined(merged[name], owner[name], column, file)
    for file, columns in tables:
        for name in merged.keys() - columns.keys():
            if not merged[name].problem:
                merged[name] = replace(merged[name], problem=f"{file} has no {name}, {owner[name]} has it")
    return merged


def _joined(one: StoredColumn, file: str, other: StoredColumn, other_file: str) -> StoredColumn:
    if one.form == other.form and not other.problem:
        return one
    if other.problem:
        return replace(one, problem=f"{other_file}: {other.problem}")
    kinds = type_text(one.form), type_text(other.form)
    if kinds[0] != kinds[1]:
        return replace(one, problem=f"{one.name} is {kinds[0]} in {file} and {kinds[1]} in {other_file}")
    if one.counter != other.counter:
        return replace(one, problem=f"{one.name} is counted by {one.counter} in {file} and {other.counter} in {other_file}")
    # They differ in where values may be missing only: keep the one that says so.
    return other if len(str(other.form)) > len(str(one.form)) else one
