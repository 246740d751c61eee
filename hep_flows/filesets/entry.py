"""One dataset of a fileset, as it was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Collections


@dataclass(frozen=True, slots=True)
class AtServer:
    """How ServiceX reads a dataset: the arguments of `hep_flows.servicex_table`, empty where nothing is said."""

    like: str = ""
    endpoint: str = ""
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """The files of a dataset, and what is said about them.

    Parameters
    ----------
    name : str
        The name of the dataset.
    files : tuple of str
        Paths, patterns or URLs, in order; ``file.root:tree`` too.
    tree : str
        The tree that all of them are read from; empty where nothing is said.
    kind : str
        The kind of table that was asked for; empty where nothing is said.
    metadata : mapping
        What else is said.
    events : mapping
        By file, how many events it was said to have.
    missing_tree : str
        What a file without the tree means: ``empty`` (no events) or ``error``; empty where nothing is said.
    collections : tuple
        The leaves of each collection that is named by its leaves.
    server : AtServer, optional
        How a server reads it; None where it is read from here.
    """

    name: str
    files: tuple[str, ...]
    tree: str = ""
    kind: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    server: AtServer | None = None
    missing_tree: str = ""
    collections: Collections = ()
