"""Names of files as they may be shown and written down."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/@]+@")


def is_url(file: str) -> bool:
    """Say whether the name is a URL and not a local path."""
    return "://" in file


def shown(file: str) -> str:
    """Give the name for messages and for what is stored: URLs without user, password and query, which may hold secrets."""
    return _USER.sub("", file.split("?", 1)[0]) if is_url(file) else file
