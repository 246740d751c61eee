"""RNTuples as stored tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import shown
from hep_flows.plugins.awkward.root_files import root_identity, told_as_source_error
from hep_flows.plugins.awkward.stored import StoredColumn, split_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import awkward as ak

    from hep_flows.plugins.awkward.stored import Columns


class RNTupleTable:
    """An open RNTuple."""

    def __init__(self, file: str, opened: Any, name: str) -> None:
        """Read header, footer and page lists; no event data."""
        self.file = file
        self.tree = name
        self._opened = opened
        with told_as_source_error(file, f"the RNTuple {name!r} cannot be read"):
            self._ntuple = opened[name]
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
            whole, _ = self._ntuple.to_akform(filter_name=field.name)
        except (NotImplementedError, KeyError, ValueError, TypeError, AttributeError) as error:
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) cannot be read: {error}", **about)
        if field.name not in whole.fields:
            return StoredColumn(field.name, None, problem=f"{field.name} ({field.typename}) holds nothing to read", **about)
        return StoredColumn(field.name, whole.content(field.name), **about)

    def boundaries(self) -> Sequence[int]:
        """Give the first entries of the clusters, and the number of entries."""
        return sorted({0, self.entries, *[int(c.num_first_entry) for c in self._ntuple.cluster_summaries]})

    def read(self, names: Sequence[str], start: int, stop: int) -> Mapping[str, ak.Array]:
        """Read fields in one pass, only the wanted ones of records."""
        paths = [".".join([split_column(n)[0], *split_column(n)[1]]) for n in names]
        with told_as_source_error(self.file, f"{', '.join(names)} cannot be read, between events {start} and {stop}"):
            array = self._ntuple.arrays(filter_name=paths, entry_start=start, entry_stop=stop, array_cache=None)
        found: dict[str, ak.Array] = {}
        for name in names:
            column, fields = split_column(name)
            value = array
            for field in (column, *fields):
                if field not in value.fields:
                    raise SourceError(f"{shown(self.file)} has no field {name!r}", why="the file changed since its schema was read")
                value = value[field]
            found[name] = value
        return found

    def item_bytes(self, name: str) -> int:
        """Add up the values in the pages of a field and of those inside it."""
        column, fields = split_column(name)
        path, found = (column, *fields), self._ntuple.field_records
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
