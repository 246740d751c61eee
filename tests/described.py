"""Datasets of real and made files, and every leaf of their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.types import Record
from hep_flows.sources.describe import describe
from hep_flows.sources.read import partitions, read_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import awkward as ak

    from hep_flows.expr.nodes import Dataset
    from hep_flows.expr.types import Member

Path = tuple[str, ...]


def described(kind: str, *files: str, tree: str = "") -> Dataset:
    """Give the dataset of some files."""
    found = describe(kind, [str(f) for f in files], tree)
    return build.dataset(kind, found.content, found.tree, found.record, files=found.files, name=found.name)


def read(dataset: Dataset, *paths: Path | str) -> dict[Path, ak.Array]:
    """Read leaves of the first file, ``"Jet.pt"`` or a tuple each."""
    members = [tuple(p.split(".")) if isinstance(p, str) else p for p in paths]
    return read_columns(dataset, partitions(dataset, 10**9)[0], members)


def one(dataset: Dataset, path: Path | str) -> ak.Array:
    """Read one leaf of the first file."""
    return next(iter(read(dataset, path).values()))


def member(dataset: Dataset, *path: str) -> Member:
    """Give what the schema says at a path."""
    record = dataset.type.item
    for name in path[:-1]:
        record = record.members[name].item
    return record.members[path[-1]]


def leaves(record: Record, path: Path = ()) -> Iterator[tuple[Path, Member]]:
    """Give every leaf with its path, those that cannot be read included."""
    for name, found in record.members.items():
        if isinstance(found.item, Record):
            yield from leaves(found.item, (*path, name))
        else:
            yield (*path, name), found


def axes_of(dataset: Dataset, *path: str) -> tuple:
    """Give the axes that an expression of that leaf has."""
    expr = dataset
    for name in path:
        expr = build.field(expr, name)
    return expr.type.axes
