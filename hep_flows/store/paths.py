"""Where things stand in a cache folder. Every path is made from a checked key."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from hep_flows.errors import StoreError

# Results of one format: those of another are in a folder of their own, which is never touched.
OBJECTS = "objects-3"

_NAME = re.compile(r"[0-9a-f]{64}")


def key_name(key: bytes | str) -> str:
    """Give the 64 hexadecimal digits of a key.

    Raises
    ------
    StoreError
        For anything else than 32 bytes or such digits: no path is ever built from it.
    """
    name: object = key.hex() if isinstance(key, bytes) else key
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise StoreError(f"{key!r:.80} is no key of a result", why="a key is 32 bytes, or their 64 hexadecimal digits")
    return name


def is_key_name(text: str) -> bool:
    """Say whether a text is the 64 hexadecimal digits of a key."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Folder:
    """The places in one cache folder.

    Parameters
    ----------
    root : str
        The absolute path of the folder. Nothing inside repeats it, so the folder can be moved.
    """

    root: str

    @property
    def objects(self) -> str:
        """The folder of results."""
        return f"{self.root}/{OBJECTS}"

    @property
    def temporaries(self) -> str:
        """The folder of files that are being written."""
        return f"{self.root}/unfinished"

    @property
    def locks(self) -> str:
        """The folder of claims."""
        return f"{self.root}/locks"

    @property
    def pins(self) -> str:
        """The folder of marks that keep a result for ever."""
        return f"{self.root}/pins"

    @property
    def index(self) -> str:
        """The folder of the index."""
        return f"{self.root}/index"

    def shelf(self, name: str) -> str:
        """The folder that the object and the sidecar of a key share."""
        return f"{self.root}/{OBJECTS}/{name[:2]}"

    def object(self, name: str) -> str:
        """The Parquet file of a key that has one of its own."""
        return f"{self.root}/{OBJECTS}/{name[:2]}/{name}.parquet"

    def sidecar(self, name: str) -> str:
        """The sidecar of a key: where it stands, the object is committed."""
        return f"{self.root}/{OBJECTS}/{name[:2]}/{name}.json"

    def pack(self, name: str, ending: str = "parquet") -> str:
        """The file of an object of several results, or its sidecar, which stands under the key of each result too."""
        return f"{self.root}/{OBJECTS}/packs/{name}.{ending}"

    def lock(self, name: str) -> str:
        """The file that the one writer of a key holds."""
        return f"{self.root}/locks/{name}.lock"

    def pin(self, name: str) -> str:
        """The mark that keeps the result of a key."""
        return f"{self.root}/pins/{name}"


# Whether this user may write a cache folder: one that belongs to somebody else is read only --------------------------------------


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
