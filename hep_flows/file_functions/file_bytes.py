"""The bytes of a file that a function is made from: read once, when it is recorded, and never again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hep_flows.errors import SourceError
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from os import PathLike


def file_bytes(path: str | PathLike[str]) -> tuple[str, bytes]:
    """Give the name of a local file, without its folder, and what is in it.

    Raises
    ------
    SourceError
        When it cannot be read.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    try:
        return file.name, file.read_bytes()
    except OSError as error:
        raise SourceError(
            f"{os.fspath(path)} cannot be read", where=user_site(), why=error.strerror or f"{error}", do="check the path"
        ) from error
