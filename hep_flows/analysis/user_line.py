"""The user's line of an error that is none of hep_flows."""

from __future__ import annotations

import traceback
from pathlib import Path

from hep_flows.errors import SourceLine

_PACKAGE = str(Path(__file__).parents[1])


def line_in(error: BaseException, folder: str = "") -> SourceLine | None:
    """Give the innermost line of a folder that an error went through; of the user's code at all where no folder is named."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_PACKAGE, "<"))]
    own = [f for f in frames if f.filename.startswith(folder)] if folder else [f for f in frames if not _is_library(f.filename)]
    if not (own or frames):
        return None
    last = (own or frames)[-1]
    one_line = last.end_lineno in (None, last.lineno)
    return SourceLine(last.filename, last.lineno or 1, last.colno or 0, (last.end_colno or 0) if one_line else 0)


def _is_library(file: str) -> bool:
    parts = Path(file).parts
    return "site-packages" in parts or f"python{_version()}" in parts


def _version() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"
