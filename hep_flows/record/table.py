"""What belongs to one table: the columns that the user added, by collection."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hep_flows.errors import line_of
from hep_flows.record.looked import Looked
from hep_flows.record.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr


class ColumnRedefined(UserWarning):
    """A column was defined again; expressions that used the earlier definition keep it."""


class Table:
    """One table of events. Two tables are never the same one, even over the same file.

    ``leaves`` and ``found_columns`` remember what names were found to mean, by expression key and name: long chains of filters stay cheap.
    Columns are kept by the key of the expression that they were defined on, so that they belong to the collection and not to a
    Python object; expressions take over a definition when they use it. ``metadata`` is what a fileset says about it, ``looked`` what
    was looked at.
    """

    def __init__(self, dataset: Dataset, metadata: Mapping[str, object] | None = None) -> None:
        """Start without columns."""
        self.dataset = dataset
        self.looked = Looked()
        self.metadata = Metadata(metadata or {}, self.looked)
        self._columns: dict[bytes, dict[str, Expr]] = {}
        self._column_names: set[str] = set()
        self.leaves: dict[tuple[bytes, str], Expr] = {}
        self.found_columns: dict[tuple[bytes, str], Expr] = {}

    def has_column(self, name: str) -> bool:
        """Say whether any collection of the table has a column of that name."""
        return name in self._column_names

    @property
    def name(self) -> str:
        """The name to show."""
        return self.dataset.name

    def column(self, of: Expr, name: str) -> Expr | None:
        """Give a column that was defined on exactly this collection or view."""
        columns = self._columns.get(of.key)
        return None if columns is None else columns.get(name)

    def columns(self, of: Expr) -> tuple[str, ...]:
        """Give the names of the columns defined on exactly this collection or view."""
        return tuple(self._columns.get(of.key, ()))

    def add_column(self, of: Expr, name: str, definition: Expr, where: Where) -> None:
        """Define a column; a second definition replaces the first, with a warning."""
        columns = self._columns.setdefault(of.key, {})
        if name in columns and columns[name] != definition:
            line = line_of(where)
            place = f"\n{line.text()}" if line else ""
            warnings.warn(
                f"column {name!r} of {of.type.item} is defined again; expressions made before keep the earlier one{place}",
                ColumnRedefined,
                stacklevel=2,
            )
        columns[name] = definition
        self._column_names.add(name)
        self.found_columns.clear()
