"""Names of files: which are URLs, and how they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_USER = re.compile(r"(?<=://)[^/@]+@")


def is_url(file: str) -> bool:
    """Say whether the name is a URL and not a local path."""
    return "://" in file


def shown(file: str) -> str:
    """Give the name for messages: URLs without user, password and query, which may hold secrets."""
    return _USER.sub("", file.split("?", 1)[0]) if is_url(file) else file


def title_of(files: Sequence[str]) -> str:
    """Give the name that a table of these files is shown by."""
    name = shown(files[0]).rstrip("/").rsplit("/", 1)[-1]
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"
