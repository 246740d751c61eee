"""The tables that the file of an analysis makes itself, where no fileset is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import AnalysisError
from hep_flows.expr.nodes import Dataset
from hep_flows.filesets.describe import Described
from hep_flows.filesets.entry import Entry
from hep_flows.record.dataframe import DataFrame

if TYPE_CHECKING:
    from hep_flows.analysis.load import Analysis

NAME = "events"


def own_tables(analysis: Analysis) -> tuple[Described, ...]:
    """Give the tables that stand in the file as ``events``: one, or a dict of several by dataset.

    Raises
    ------
    AnalysisError
        When there is none.
    """
    found = analysis.names.get(NAME)
    tables: dict[Any, Any] = found if isinstance(found, dict) else {NAME: found}
    for name, table in tables.items():
        if not isinstance(name, str) or not isinstance(table, DataFrame) or not isinstance(table._expr, Dataset):  # noqa: SLF001
            raise AnalysisError(
                f"{analysis.title} makes no table of its own",
                where=analysis.where,
                why=f"without a fileset, {NAME} in the file is the table, or a dict of tables by dataset",
                do=f"give a fileset, or write {NAME} = nanoaod_table(...) above the function",
            )
    return tuple([_described(n, t._table.dataset) for n, t in tables.items()])  # noqa: SLF001


def _described(name: str, table: Dataset) -> Described:
    from dataclasses import replace

    return Described(Entry(name, table.files, table.tree, table.kind, {"dataset": name}), replace(table, name=name), "")
