"""How a table of several files is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.file_names import shown

if TYPE_CHECKING:
    from collections.abc import Sequence


def title_of(files: Sequence[str]) -> str:
    """Give the name that a table of these files is shown by."""
    name = shown(files[0]).rstrip("/").rsplit("/", 1)[-1]
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"
