"""How many compressed bytes of the files some columns are: from the metadata, without reading events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.expr.types import Record
from hep_flows.plugins.awkward.root_files import open_root, told_as_source_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hep_flows.expr.nodes import Dataset


def column_bytes(dataset: Dataset, columns: Sequence[str]) -> int:
    """Give the compressed bytes of columns in all files of a dataset, with the branches that count their entries.

    Raises
    ------
    SourceError
        When a file cannot be read.
    """
    stored = {".".join(path): path[0] for path in _paths(dataset.type.item)}
    names = {stored.get(c, c) for c in columns}
    if dataset.kind == "parquet":
        return sum([_in_parquet(file, names) for file in dataset.files])
    return sum([_in_root(file, dataset.tree, names) for file in dataset.files])


def _paths(item: object) -> Iterator[tuple[str, ...]]:
    """Give the stored columns of a record and of those inside it, with the fields that lead to each leaf."""
    if isinstance(item, Record):
        for member in item.members.values():
            if member.column:
                yield member.path
            yield from _paths(member.item)


def _in_root(file: str, tree: str, wanted: Collection[str]) -> int:
    opened = open_root(file)
    try:
        with told_as_source_error(file, f"the sizes of {tree} cannot be read"):
            stored = opened.key(tree).get()
            if hasattr(stored, "page_link_list"):
                return _in_ntuple(stored, wanted)
            branches = {path: branch for path, branch in _branches(stored) if path in wanted}
            counters = [b.count_branch for b in branches.values() if b.count_branch is not None]
            every = {b.cache_key: int(b.compressed_bytes) for b in (*branches.values(), *counters)}
            return sum(every.values())
    finally:
        opened.close()


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Give every branch by its whole path, parents before children."""
    stack = [(branch.name, branch) for branch in reversed(tree.branches)]
    while stack:
        path, branch = stack.pop()
        yield path, branch
        stack.extend([(f"{path}/{b.name}", b) for b in reversed(branch.branches)])


def _in_ntuple(ntuple: Any, wanted: Collection[str]) -> int:
    """Add up the pages of the wanted fields and of those inside them."""
    fields = ntuple.field_records
    tops: list[str] = []
    for i, field in enumerate(fields):
        top = field.parent_field_id
        tops.append(field.field_name if top == i else tops[top])
    columns = [i for i, c in enumerate(ntuple.column_records) if tops[c.field_id] in wanted]
    total = 0
    for cluster in ntuple.page_link_list:
        total += sum([page.locator.num_bytes for c in columns if c < len(cluster) for page in cluster[c].pages])
    return total


def _in_parquet(file: str, wanted: Collection[str]) -> int:
    import fsspec
    import pyarrow.parquet as pq

    with told_as_source_error(file, "the Parquet file cannot be read"), fsspec.open(file, "rb") as stream:
        metadata = pq.ParquetFile(stream).metadata
        total = 0
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            parts = [group.column(c) for c in range(group.num_columns)]
            total += sum([p.total_compressed_size for p in parts if p.path_in_schema.split(".")[0] in wanted])
        return total
