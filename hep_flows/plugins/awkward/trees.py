"""What is asked of the files of a table beside their names: the tree, what a file without it means, which leaves belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The trees that a kind of table is in, where every such file calls it so; the first one that a file has is taken.
TREES: Mapping[str, tuple[str, ...]] = {"nanoaod": ("Events",), "xaod": ("CollectionTree", "EventData")}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user says about the files of a table.

    Parameters
    ----------
    tree : str
        The tree; empty where the kind of table or the file tells it.
    missing_is_empty : bool
        Whether a file without the tree stands for no events; else it is an error.
    collections : tuple
        The leaves that belong together, by the name of their collection.
    """

    tree: str = ""
    missing_is_empty: bool = False
    collections: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def trees(self, kind: str) -> tuple[str, ...]:
        """Give the trees to look for, in order; none where it is the only one in the file."""
        return (self.tree,) if self.tree else TREES.get(kind, ())
