"""Parquet files as stored tables, through pyarrow; pandas is never loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from awkward.forms import IndexedForm, IndexedOptionForm, ListForm, ListOffsetForm, RecordForm, RegularForm, UnmaskedForm

from hep_flows.contract import Note, StoredColumn, StoredTable
from hep_flows.errors import SourceError
from hep_flows.expr.text import is_url, shown
from hep_flows.sources.root import check_claimed_entries, check_remote
from hep_flows.sources.schema import is_option, is_text
from hep_flows.sources.stored import content_parts, field_of, identity, offered, remote_options, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import awkward as ak
    from awkward.forms import Form

    from hep_flows.contract import ColumnPath

_TAIL_BYTES = 8


class ParquetTable(StoredTable):
    """An open Parquet file."""

    def __init__(self, file: str) -> None:
        """Read the footer; no event data."""
        import pyarrow.parquet as pq

        self.file = file
        self.tree = ""
        self._stream = _opened(file)
        try:
            with told_as_source_error(file, "the Parquet file cannot be read"):
                size, footer = _footer(file, self._stream)
                self._parquet = pq.ParquetFile(self._stream)
                self._leaves = _leaves(self._parquet)
        except BaseException:
            self._stream.close()
            raise
        self.entries: int = self._parquet.metadata.num_rows
        check_claimed_entries(file, self.entries, size)
        with told_as_source_error(file, "the file cannot be looked at"):
            self.offered = offered(file)
            self.content = identity(self.entries, [b"%d" % size, footer, *content_parts(file, self.offered)])

    def columns(self) -> dict[str, StoredColumn]:
        """Give every column at the top; the fields of structs are in its form."""
        nulls = _nulls(self._parquet)
        return {f.name: self._column(f, nulls) for f in self._parquet.schema_arrow}

    def _column(self, field: Any, nulls: Mapping[str, int | None]) -> StoredColumn:
        import awkward as ak
        import pyarrow as pa

        plain = field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        notes: dict[ColumnPath, Note] = {}
        plain = plain.with_type(_with_forms(plain.type, (), field.name, notes))
        if () in notes:
            return StoredColumn(field.name, None, problem=notes[()].unreadable)
        form = ak.from_arrow_schema(pa.schema([plain])).content(field.name)
        may_miss = {name for name, paths in self._leaves.items() if any(nulls[p] != 0 for p in paths)}
        return StoredColumn(
            field.name, _settled(form, (field.name,), may_miss, missing=False), class_name=str(field.type), notes=notes
        )

    def boundaries(self) -> Sequence[int]:
        """Give the first rows of the row groups, and the number of rows."""
        ends = [0]
        metadata = self._parquet.metadata
        for i in range(metadata.num_row_groups):
            ends.append(ends[-1] + metadata.row_group(i).num_rows)
        return sorted(set(ends))

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a column, with such fields inside."""
        return path in self._leaves

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        """Read the leaves of the row groups that hold the range, and cut the range out."""
        import awkward as ak

        unknown = [".".join(p) for p in paths if p not in self._leaves]
        if unknown:
            raise SourceError(f"{shown(self.file)} has no column {unknown[0]!r}", why="the file changed since its schema was read")
        groups, skipped = self._groups(start, stop)
        stored = list(dict.fromkeys(name for p in paths for name in self._leaves[p]))
        with told_as_source_error(self.file, f"{', '.join(['.'.join(p) for p in paths])} cannot be read"):
            table = self._parquet.read_row_groups(groups, columns=stored, use_threads=False)
            table = _decoded(table).slice(start - skipped, stop - start).replace_schema_metadata(None)
            arrays = {c: ak.from_arrow(table.select([c]))[c] for c in dict.fromkeys(p[0] for p in paths)}
        return {p: field_of(arrays, p) for p in paths}

    def item_bytes(self, path: ColumnPath) -> int:
        """Add up the values of the leaves of a column; of text, the size of its pages."""
        wide = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
        wanted, metadata, total = set(self._leaves.get(path, ())), self._parquet.metadata, 0
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            for part in [group.column(c) for c in range(group.num_columns)]:
                if part.path_in_schema in wanted:
                    total += part.num_values * wide.get(part.physical_type, 0) or part.total_uncompressed_size
        return total

    def stored_bytes(self, names: Collection[str]) -> int:
        """Add up the column chunks of all row groups."""
        metadata = self._parquet.metadata
        groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
        chunks = [group.column(c) for group in groups for c in range(group.num_columns)]
        return sum([c.total_compressed_size for c in chunks if c.path_in_schema.split(".")[0] in names])

    def _groups(self, start: int, stop: int) -> tuple[list[int], int]:
        """Give the row groups that overlap a range, and the number of rows before the first."""
        metadata = self._parquet.metadata
        groups: list[int] = []
        skipped = first = 0
        for i in range(metadata.num_row_groups):
            last = first + metadata.row_group(i).num_rows
            if last > start and first < stop:
                if not groups:
                    skipped = first
                groups.append(i)
            first = last
        return groups, skipped if groups else start

    def close(self) -> None:
        """Close the file."""
        self._parquet.close()
        self._stream.close()


def _with_forms(kind: Any, inside: ColumnPath, column: str, notes: dict[ColumnPath, Note]) -> Any:
    """Give a type with nothing in the place of the fields that awkward has no form for; the notes say which these are."""
    import awkward as ak
    import pyarrow as pa

    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([f.with_type(_with_forms(f.type, (*inside, f.name), column, notes)) for f in fields])
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_struct(kind.value_type):
        value = kind.value_field.with_type(_with_forms(kind.value_type, inside, column, notes))
        return pa.large_list(value) if pa.types.is_large_list(kind) else pa.list_(value)
    try:
        ak.from_arrow_schema(pa.schema([pa.field("x", kind)]))
    except Exception as error:  # noqa: BLE001 - whatever a type without a form leads to
        why = f"{error}".strip() or "there is no such array"
        notes[inside] = Note(unreadable=f"{'.'.join((column, *inside))} is a {kind}: {why}")
        return pa.null()
    return kind


def _opened(file: str) -> Any:
    with told_as_source_error(file, "the file cannot be opened"):
        if is_url(file):
            check_remote(file)
            import fsspec

            return fsspec.open(file, "rb", **remote_options(file)).open()
        check_parquet_file(file)
        return Path(file).open("rb")


def check_parquet_file(file: str) -> None:
    """Check that a local file begins and ends as Parquet files do.

    Raises
    ------
    SourceError
        When it is empty, of another kind, or truncated.
    """
    path = Path(file)
    size = path.stat().st_size
    if size == 0:
        raise SourceError(f"{file} is empty: it has 0 bytes", do="write or copy the file again")
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(0, size - 4))
        tail = stream.read(4)
    if head == b"root":
        raise SourceError(f"{file} is a ROOT file, not a Parquet file", do="open it with nanoaod_table, xaod_table or tree_table")
    if head != b"PAR1":
        raise SourceError(f"{file} is not a Parquet file", why=f"it begins with {head!r} instead of b'PAR1'")
    if tail != b"PAR1":
        raise SourceError(
            f"{file} is truncated: it has {size} bytes", why="the footer at its end is missing", do="copy the file again"
        )


def _footer(file: str, stream: Any) -> tuple[int, bytes]:
    """Give the size of the file and the bytes of its footer."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length + _TAIL_BYTES > size:
        raise SourceError(f"{shown(file)} is not a complete Parquet file", why="the footer at its end is missing or damaged")
    stream.seek(size - _TAIL_BYTES - length)
    footer = stream.read(length)
    stream.seek(0)
    return size, footer


def _leaves(parquet: Any) -> dict[ColumnPath, list[str]]:
    """Give for each column and each field inside the paths of its leaves: the two schemas list leaves in one order."""
    found: dict[ColumnPath, list[str]] = {}
    number = 0
    for field in parquet.schema_arrow:
        for names in _leaf_names(field.type, ((field.name,),)):
            for name in names:
                found.setdefault(name, []).append(parquet.schema.column(number).path)
            number += 1
    return found


def _leaf_names(kind: Any, prefix: tuple[ColumnPath, ...]) -> Iterator[tuple[ColumnPath, ...]]:
    """Give for each leaf the names under which it is read: itself, and all that it stands in."""
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            field = kind.field(i)
            yield from _leaf_names(field.type, (*prefix, (*prefix[-1], field.name)))
    elif pa.types.is_map(kind):
        yield from _leaf_names(kind.key_type, prefix)
        yield from _leaf_names(kind.item_type, prefix)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaf_names(kind.value_type, prefix)
    else:
        yield prefix


def _nulls(parquet: Any) -> dict[str, int | None]:
    """Give by leaf path how many values are missing, None where the file does not say; empty lists count too."""
    metadata = parquet.metadata
    found: dict[str, int | None] = {}
    for i in range(metadata.num_columns):
        total: int | None = 0
        for g in range(metadata.num_row_groups):
            statistics = metadata.row_group(g).column(i).statistics
            known = statistics is not None and statistics.has_null_count
            total = total + statistics.null_count if known and total is not None else None
        found[parquet.schema.column(i).path] = total
    return found


def _settled(form: Form, name: ColumnPath, may_miss: AbstractSet[ColumnPath], *, missing: bool) -> Form:
    """Give the form with options at leaves only, and only where the file may hold missing values."""
    if is_option(form):
        return _settled(form.content, name, may_miss, missing=True)
    if isinstance(form, IndexedForm | UnmaskedForm):
        return _settled(form.content, name, may_miss, missing=missing)
    if isinstance(form, RecordForm):
        parts = [_settled(form.content(f), (*name, f), may_miss, missing=missing) for f in form.fields]
        return RecordForm(parts, form.fields)
    if isinstance(form, ListForm | ListOffsetForm | RegularForm) and not is_text(form):
        # Missing lists are refused when they are read.
        return form.copy(content=_settled(form.content, name, may_miss, missing=False))
    return IndexedOptionForm("i64", form) if missing and name in may_miss else form


def _decoded(table: Any) -> Any:
    """Give the table with dictionary columns as plain ones."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(i).cast(field.type.value_type)
            table = table.set_column(i, field.with_type(field.type.value_type), column)
    return table
