"""``manifest.json``: which files a run wrote, and the key of each result in them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hep_flows.store.commit import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "manifest.json"
BEGUN = ".begun"
FORMAT = "hf-outputs/1"


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file that was written.

    Parameters
    ----------
    what : str
        ``histograms``, ``numbers``, ``skim``, ``plot`` or ``report``.
    key : str
        The key of what is in it, as digits; a file whose key is the same has the same content. Empty for reports.
    bytes : int
        Its size.
    """

    what: str
    key: str
    bytes: int


def read_manifest(folder: Path) -> dict[str, FileNote]:
    """Give the files of the last complete run in a folder, by path; none when there is no manifest that can be used."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if said["format"] == FORMAT:
            return {p: FileNote(str(n["what"]), str(n["key"]), int(n["bytes"])) for p, n in said["files"].items() if _is_inside(p)}
    return {}


class Begun:
    """The files that a run may have written, noted before it writes them: what a killed run leaves behind is known to the next one.

    Parameters
    ----------
    folder : Path
        The folder of results.
    """

    def __init__(self, folder: Path) -> None:
        """Note what the runs before wrote."""
        self._file = folder / BEGUN
        self.before = self._left() | read_manifest(folder)
        self._noted = set[str]()
        self.note(*self.before)
        (folder / NAME).unlink(missing_ok=True)  # what follows is not whole until the new one is there

    def note(self, *paths: str) -> None:
        """Say that files are about to be written."""
        new = [p for p in paths if p not in self._noted]
        if not new:
            return
        self._noted.update(new)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines([json.dumps(p) + "\n" for p in new])

    def ended(self) -> None:
        """Forget it: everything stands in the manifest."""
        self._file.unlink(missing_ok=True)

    def _left(self) -> dict[str, FileNote]:
        found = {}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a process that was killed
                    path = json.loads(line)
                    if isinstance(path, str) and _is_inside(path):
                        found[path] = FileNote("", "", -1)
        return found


def write_manifest(folder: Path, files: Mapping[str, FileNote], results: Any, notes: list[str], *, complete: bool) -> None:
    """Write the manifest: last of all, so where it stands everything stands."""
    listed = {path: asdict(files[path]) for path in sorted(files)}
    said = {"format": FORMAT, "complete": complete, "results": results, "files": listed, "notes": notes}
    write_text(folder / NAME, json.dumps(said, indent=1) + "\n")


def remove_stale(folder: Path, before: Mapping[str, FileNote], now: Mapping[str, FileNote]) -> None:
    """Remove what an earlier run wrote and this one did not: it would be taken for a result of this one."""
    for path in sorted(set(before) - set(now)):
        file = folder / path
        with suppress(OSError):
            file.unlink()
        for above in [p for p in file.parents if folder in p.parents]:
            with suppress(OSError):  # others have files in it
                above.rmdir()


def _is_inside(path: str) -> bool:
    """Say whether a path stays in the folder: the manifest is data, and what it lists may be removed."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()
