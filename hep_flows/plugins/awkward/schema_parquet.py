"""Parquet: lists of structs are collections, structs are groups; lists of numbers belong together by their names, as in flat trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.plugins.awkward.schema_tree import flat_record

if TYPE_CHECKING:
    from hep_flows.expr.types import Record
    from hep_flows.plugins.awkward.schema_tree import Shared
    from hep_flows.plugins.awkward.stored import Columns


def parquet_record(columns: Columns, shared: Shared) -> Record:
    """Give the record of events of a Parquet file."""
    return flat_record(columns, shared, "parquet")
