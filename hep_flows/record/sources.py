"""The first expression of all: a table of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.table import Table

if TYPE_CHECKING:
    from hep_flows.plugin import Description


def table_of(description: Description, kind: str) -> DataFrame:
    """Give the frame of a table from what a plug-in found in its files."""
    dataset = build.dataset(
        kind,
        description.content,
        description.tree,
        description.record,
        files=description.files,
        name=description.name,
    )
    return DataFrame._of(dataset, Table(dataset))  # noqa: SLF001
