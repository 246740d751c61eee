"""The tree that a kind of table is in, where every such file calls it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TREES: Mapping[str, str] = {"nanoaod": "Events", "xaod": "CollectionTree"}
