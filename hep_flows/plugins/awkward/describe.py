"""Read the schema and the identity of the files of a dataset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.errors import SourceError
from hep_flows.plugin import Description
from hep_flows.plugins.awkward.file_names import shown
from hep_flows.plugins.awkward.forms import type_text
from hep_flows.plugins.awkward.open_tables import open_table
from hep_flows.plugins.awkward.schema_nanoaod import nanoaod_record
from hep_flows.plugins.awkward.schema_parquet import parquet_record
from hep_flows.plugins.awkward.schema_tree import tree_record
from hep_flows.plugins.awkward.schema_xaod import xaod_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.types import Record
    from hep_flows.plugins.awkward.stored import Columns, StoredColumn

_SCHEMAS: dict[str, Callable[[Columns], Record]] = {
    "nanoaod": nanoaod_record,
    "xaod": xaod_record,
    "tree": tree_record,
    "parquet": parquet_record,
}
_TREES = {"nanoaod": "Events", "xaod": "CollectionTree"}
_THREADS = 8


@dataclass(frozen=True, slots=True)
class _File:
    """What one file says."""

    name: str
    tree: str
    content: str
    columns: Columns


def describe(kind: str, files: Sequence[str], tree: str = "") -> Description:
    """Give the schema that the files share, and the identity of each.

    Columns that some files lack or hold with another type are in the schema, marked as unreadable with the reason.

    Raises
    ------
    SourceError
        When a file is missing, damaged, of another kind, or has no such tree.
    """
    if not files:
        raise SourceError("a table needs at least one file", why="the list of files is empty")
    wanted = tree or _TREES.get(kind, "")
    first = _look(kind, files[0], wanted)
    # A tree that was not named is found in the first file; the others must have it too.
    others = _look_at_all(kind, tuple(dict.fromkeys(files[1:])), first.tree)
    by_name = {f.name: f for f in [*others, first]}
    distinct = list(dict.fromkeys([first.name, *files[1:]]))
    record = _SCHEMAS[kind](merged_columns([(shown(f), by_name[f].columns) for f in distinct]))
    return Description(record, tuple(files), tuple([by_name[f].content for f in files]), first.tree, _title(files))


def _look(kind: str, file: str, tree: str) -> _File:
    table = open_table(kind, file, tree)
    try:
        return _File(file, table.tree, table.content, table.columns())
    finally:
        table.close()


def _look_at_all(kind: str, files: Sequence[str], tree: str) -> list[_File]:
    if not files:
        return []
    with ThreadPoolExecutor(min(_THREADS, len(files))) as threads:
        return list(threads.map(lambda f: _look(kind, f, tree), files))


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


def _title(files: Sequence[str]) -> str:
    name = shown(files[0]).rstrip("/").rsplit("/", 1)[-1]
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"
