"""Folders of results that are there completely or not at all; for single files see `hep_flows.store.commit`."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from hep_flows.errors import StoreError
from hep_flows.store.claims import claimed
from hep_flows.store.commit import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def file_name(name: str) -> str:
    """Give a name as one part of a path: what means something to file systems is written as ``%2F``; no two names become one."""
    quoted = quote(name, safe=" +-.=@,")
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process after the other write into a folder: two at once would leave files of both."""
    with ExitStack() as held:
        with suppress(StoreError):  # where the file system has no locks there is no other way
            held.enter_context(claimed(str(folder / ".lock")))
        yield


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to fill; it takes the place of the old one at the end of the ``with`` block, unless that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:12]}")
    old = target.with_name(f"{part.name}-old")
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            _sync(file)
        if target.exists():
            target.rename(old)
        part.rename(target)
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed runs left in a folder of results."""
    for place in (folder, folder / "plots", *sorted(folder.glob("skims/*"))):
        for rest in place.glob(f"{UNFINISHED}*") if place.is_dir() else ():
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
            else:
                with suppress(OSError):
                    rest.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
