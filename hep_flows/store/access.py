"""Whether this user may write a cache folder: one that belongs to somebody else is read only."""

from __future__ import annotations

import os
import stat


def why_read_only(root: str, *, allow_foreign: bool) -> str:
    """Say why a folder is not written; empty when it may be, or is not there yet."""
    try:
        found = os.stat(root)
    except OSError:
        return ""
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    owner: int = found.st_uid
    if owner != os.geteuid() and not allow_foreign:
        return "it belongs to another user"
    return "" if os.access(root, os.W_OK | os.X_OK) else "this user may not write there"
