"""How diskcache keeps rows here: keys are texts, values are JSON. Nothing is ever unpickled, and no files are used."""

from __future__ import annotations

import json
from typing import Any

from diskcache import Disk
from diskcache.core import MODE_TEXT, UNKNOWN


class NoPickleDisk(Disk):  # type: ignore[misc]
    """Texts as keys, JSON as values; whatever else stands in the database is refused.

    diskcache's own ``JSONDisk`` still unpickles a row that says it is pickled.
    """

    def hash(self, key: str) -> int:
        """Give a number for the key."""
        return int(super().hash(_text(key)))

    def put(self, key: str) -> tuple[str, bool]:
        """Give the key as it is kept."""
        return _text(key), True

    def get(self, key: object, raw: object) -> str:
        """Give the key again."""
        if not raw:
            raise ValueError("the index has a key that is no text")
        return _text(key)

    def store(self, value: Any, read: bool, key: object = UNKNOWN) -> tuple[int, int, None, str]:  # noqa: ARG002, FBT001
        """Give the value as it is kept."""
        return 0, MODE_TEXT, None, json.dumps(value, sort_keys=True)

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> Any:  # noqa: ARG002, FBT001
        """Give the value again."""
        if mode != MODE_TEXT or filename is not None or not isinstance(value, str):
            raise ValueError("the index has a value that is no JSON")
        return json.loads(value)

    def remove(self, file_path: str) -> None:
        """Remove no file: there are none, and a database that names one was altered."""


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError("keys of the index are texts")
    return key
