"""RNTuples as stored tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import shown
from hep_flows.plugins.awkward.root_files import root_identity, told_as_source_error
from hep_flows.plugins.awkward.stored import StoredColumn, has_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import awkward as ak

    from hep_flows.plugins.awkward.stored import ColumnPath, Columns


class RNTupleTable:
    """An open RNTuple."""

    def __init__(self, file: str, opened: Any, name: str) -> None:
        """Read header, footer and page lists; no event data."""
        self.file = file
        self.tree = name
        self._opened = opened
        with told_as_source_error(file, f"the RNTuple {name!r} cannot be read"):
            self._ntuple = opened.key(name).get()
            self.entries: int = int(self._ntuple.num_entries)
            self.content = root_identity(opened, file, self.entries, _records(self._ntuple))

    def columns(self) -> Columns:
        """Give every field at the top; the fields inside are in its form."""
        with told_as_source_error(self.file, "the fields of the RNTuple cannot be understood"):
            return {f.name: self._column(f) for f in self._ntuple.fields}

    def _column(self, field: Any) -> StoredColumn:
        """Ask for one field at a time: uproot refuses all of them when one is of a type that it does not know."""
        about = {"title": field.description, "class_name": field.typename}
        try:
            # Asked of the field itself: asked of the ntuple, each takes the time of all.
            below = [f"{field.path}.{k}" for k in field.keys()]  # noqa: SIM118 - it is no dict
            form = self._ntuple.field_form(field.field_id, [field.path, *below])
        except Exception as error:  # noqa: BLE001 - whatever a type that uproot does not know leads to
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) cannot be read: {error}", **about)
        if form.is_record and not form.fields:
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) holds nothing to read", **about)
        return StoredColumn(field.name, form, **about)

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a field, with such fields inside."""
        field = next((f for f in self._ntuple.fields if f.name == path[0]), None)
        return field is not None and has_field(self._column(field).form, path[1:])

    def boundaries(self) -> Sequence[int]:
        """Give the first entries of the clusters, and the number of entries."""
        return sorted({0, self.entries, *[int(c.num_first_entry) for c in self._ntuple.cluster_summaries]})

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        """Read fields in one pass, only the wanted ones of records."""
        names = {".".join(p) for p in paths}  # a name in an RNTuple has no dot
        with told_as_source_error(self.file, f"{', '.join(names)} cannot be read, between events {start} and {stop}"):
            # By a function: a name would be taken for a pattern.
            array = self._ntuple.arrays(
                filter_field=lambda f: f.path in names, entry_start=start, entry_stop=stop, array_cache=None
            )
        found: dict[ColumnPath, ak.Array] = {}
        for path in paths:
            value = array
            for field in path:
                if field not in value.fields:
                    raise SourceError(
                        f"{shown(self.file)} has no field {'.'.join(path)!r}", why="the file changed since its schema was read"
                    )
                value = value[field]
            found[path] = value
        return found

    def item_bytes(self, path: ColumnPath) -> int:
        """Add up the values in the pages of a field and of those inside it."""
        found = self._ntuple.field_records
        places: list[tuple[str, ...]] = []
        for i, field in enumerate(found):
            above = () if field.parent_field_id == i else places[field.parent_field_id]
            places.append(above if field.field_name == "_0" else (*above, field.field_name))
        records = [(i, c) for i, c in enumerate(self._ntuple.column_records) if places[c.field_id][: len(path)] == path]
        inside = [(i, int(c.nbits)) for i, c in records if places[c.field_id] == path or len(records) == 1]
        total = 0
        for cluster in self._ntuple.page_link_list:
            total += sum([int(page.num_elements) * bits for i, bits in inside if i < len(cluster) for page in cluster[i].pages])
        return total // 8

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _records(ntuple: Any) -> list[tuple[int, int]]:
    """Give where the header, the footer and the page lists stand in the file."""
    records = []
    for part in ("Header", "Footer"):
        start = int(ntuple.member(f"fSeek{part}"))
        records.append((start, start + int(ntuple.member(f"fNBytes{part}"))))
    for group in ntuple.footer.cluster_group_records:
        locator = group.page_list_link.locator
        records.append((int(locator.offset), int(locator.offset) + int(locator.num_bytes)))
    return records
