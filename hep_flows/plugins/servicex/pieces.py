"""What one request asks for: a dataset as a whole, or some files, of the user's list or of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.object_names import object_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATASETS = ("rucio://", "cernopendata://", "xrootd://")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the work.

    Parameters
    ----------
    files : tuple of str
        The files of a list; empty for a dataset as a whole.
    dataset : str
        The dataset that it is, or that the files are of; empty for files that the user listed.
    """

    files: tuple[str, ...] = ()
    dataset: str = ""

    @property
    def name(self) -> str:
        """Give what it is called in messages."""
        return self.dataset or self.files[0]


def is_dataset(name: str) -> bool:
    """Say whether the name is a dataset whose files the server looks up."""
    return name.startswith(_DATASETS)


def pieces(names: Sequence[str], most: int, *, converted: bool = False) -> list[Piece]:
    """Cut a list of files and datasets: each dataset is a piece of its own, and each file is in one piece once."""
    distinct = dict.fromkeys(names)
    datasets = [Piece(dataset=n) for n in distinct if is_dataset(n)]
    return [*datasets, *pieces_of_files([n for n in distinct if not is_dataset(n)], most, converted=converted)]


def pieces_of_files(files: Sequence[str], most: int, dataset: str = "", *, converted: bool = False) -> list[Piece]:
    """Cut a list of files; two whose results would have one name never stand in one piece: one would overwrite the other."""
    lists: list[list[str]] = []
    times: dict[str, int] = {}
    for file in files:
        name = object_name(file, converted=converted)
        times[name] = times.get(name, 0) + 1
        if times[name] > len(lists):
            lists.append([])
        lists[times[name] - 1].append(file)
    return [Piece(tuple(part[i : i + most]), dataset) for part in lists for i in range(0, len(part), most)]
