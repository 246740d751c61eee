"""One dataset of a fileset, as it was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """

    name: str
    files: tuple[str, ...]
    tree: str = ""
    kind: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
