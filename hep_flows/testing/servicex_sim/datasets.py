"""The files behind the names that a request gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Datasets:
    """Which files there are.

    Parameters
    ----------
    files : mapping
        Local paths by the names that requests use.
    datasets : mapping
        The names of the files of each dataset identifier, such as ``rucio://user.me:ttbar``.
    local : bool
        Whether a local path is a name too; else only what is listed here can be read.
    """

    files: Mapping[str, str]
    datasets: Mapping[str, Sequence[str]]
    local: bool = True

    def names(self, did: str) -> tuple[str, ...] | None:
        """Give the files of a dataset; None where there is no such dataset. ``?files=N`` gives the first N."""
        name, _, options = did.partition("?files=")
        found = self.datasets.get(name)
        if found is None:
            return None
        return tuple(found[: int(options)] if options.isdigit() else found)

    def path(self, name: str) -> str | None:
        """Give the local path of a file; None where there is none."""
        if name in self.files:
            return self.files[name]
        return name if self.local and Path(name).is_file() else None


def datasets_of_folder(folder: Path) -> Datasets:
    """Give the datasets of a folder: every ROOT file by path and by name, ``rucio://local:NAME`` for each, ``rucio://local:all`` for all.

    A folder inside is a dataset of its name.
    """
    files = {str(p): str(p) for p in sorted(folder.resolve().rglob("*.root"))}
    by_name = {Path(p).name: p for p in files}
    datasets: dict[str, tuple[str, ...]] = {f"rucio://local:{Path(p).stem}": (p,) for p in files}
    for inner in sorted({Path(p).parent for p in files}):
        datasets[f"rucio://local:{inner.name}"] = tuple([p for p in files if Path(p).parent == inner])
    return Datasets({**by_name, **files}, {**datasets, "rucio://local:all": tuple(files)}, local=False)
