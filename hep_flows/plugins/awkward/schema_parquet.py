"""Parquet: lists of structs are collections, structs are groups, lists of numbers have an axis of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.types import Record
from hep_flows.plugins.awkward.forms import member_of

if TYPE_CHECKING:
    from hep_flows.plugins.awkward.stored import Columns


def parquet_record(columns: Columns) -> Record:
    """Give the record of events of a Parquet file."""
    return Record("event", {c.name: member_of(c, c.name, "parquet") for c in columns.values()}, "parquet")
