"""The folder of one run: nothing but what was handed over stays in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def clear_folder(folder: Path, keep: Collection[str]) -> None:
    """Remove every file that is not to be kept, such as a half of a result, and the folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_dir() and str(path) not in keep:
            path.unlink(missing_ok=True)
    for path in [*sorted([p for p in folder.rglob("*") if p.is_dir()], reverse=True), folder]:
        with contextlib.suppress(OSError):  # it holds something
            path.rmdir()
