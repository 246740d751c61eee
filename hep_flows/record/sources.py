"""The first expression of all: a table of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.contract import Description
    from hep_flows.expr.nodes import Collections, Dataset


def table_of(description: Description, kind: str, collections: Collections = ()) -> DataFrame:
    """Give the frame of a table from what a plug-in found in its files."""
    return frame_of(dataset_of(description, kind, collections=collections))


def dataset_of(description: Description, kind: str, name: str = "", collections: Collections = ()) -> Dataset:
    """Give the node of a table, under a name to show; ``collections`` are those that the user named by their leaves."""
    return build.dataset(
        kind,
        description.content,
        description.tree,
        description.record,
        files=description.files,
        name=name or description.name,
        collections=collections,
    )


def frame_of(dataset: Dataset, metadata: Mapping[str, object] | None = None) -> DataFrame:
    """Give the frame of a table, with what a fileset says about it."""
    return DataFrame._of(dataset, Table(dataset, metadata, DataFrame._of))  # noqa: SLF001
