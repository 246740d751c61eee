"""What a file holds, told the same way for TTree, RNTuple and Parquet: columns with awkward forms, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import awkward as ak
    from awkward.forms import Form

# Between a stored column and a field inside it; no C++ or Parquet name has it.
INSIDE = "|"


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column of a file.

    Parameters
    ----------
    name : str
        As the file calls it; branches of branches with the whole path.
    form : Form, optional
        The layout of its array, events outside; None when it cannot be read.
    counter : str
        The branch that counts its entries, when the file names one.
    title, class_name : str
        As the file gives them.
    problem : str
        Why it cannot be read.
    """

    name: str
    form: Form | None
    counter: str = ""
    title: str = ""
    class_name: str = ""
    problem: str = ""

    @property
    def short(self) -> str:
        """The name without the branches that it stands in."""
        return self.name.rsplit("/", 1)[-1]


Columns = dict[str, StoredColumn]


class StoredTable(Protocol):
    """One open file's tree. Not to be used by two threads at a time."""

    file: str
    tree: str
    entries: int
    content: str

    def columns(self) -> Columns:
        """Give every column, in the file's order."""
        ...

    def boundaries(self) -> Sequence[int]:
        """Give the entries at which a range may start or stop without reading anything twice, from 0 to the last."""
        ...

    def read(self, names: Sequence[str], start: int, stop: int) -> Mapping[str, ak.Array]:
        """Read a range of entries of some columns (``column|field|field`` for a field inside), in one pass."""
        ...

    def item_bytes(self, name: str) -> int:
        """Give about how many bytes the values of a whole column have, not compressed, from the metadata."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


def inside(column: str, field: str) -> str:
    """Give the name of a field inside a stored column."""
    return f"{column}{INSIDE}{field}"


def split_column(name: str) -> tuple[str, tuple[str, ...]]:
    """Give the stored column, and the fields inside it that lead to the leaf."""
    column, *fields = name.split(INSIDE)
    return column, tuple(fields)


def field_of(arrays: Mapping[str, ak.Array], name: str) -> ak.Array:
    """Give the array of a field inside a stored column that was read."""
    column, fields = split_column(name)
    array = arrays[column]
    for field in fields:
        array = array[field]
    return array
