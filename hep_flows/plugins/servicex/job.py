"""A query under way: what it is, and what has come so far, from whatever server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError, Query
    from hep_flows.plugins.servicex.remote_settings import RemoteSettings


@dataclass(frozen=True, slots=True)
class FileCount:
    """How many files a dataset turned out to have."""

    dataset: str
    files: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """That something is asked for once more; the second attempt is number 2."""

    number: int


@dataclass(frozen=True, slots=True)
class Job:
    """A query under way.

    Parameters
    ----------
    query : Query
        What is asked of every file.
    folder : str
        Where results go.
    settings : RemoteSettings
        How.
    put : callable
        Gets every result, every final failure, the number of files of each dataset, and every attempt after the first.
    settled : set of str
        The names, of those that were asked for, that are done or have failed for good.
    have : dict
        The names of the results that came, by dataset.
    """

    query: Query
    folder: str
    settings: RemoteSettings
    put: Callable[[Delivered | EndpointError | FileCount | Attempt], None]
    settled: set[str] = field(default_factory=set)
    have: dict[str, set[str]] = field(default_factory=dict)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Give the names that are not settled."""
        return [n for n in dict.fromkeys(names) if n not in self.settled]

    def deliver(self, result: Delivered) -> None:
        """Hand a result on."""
        if result.dataset:
            self.have.setdefault(result.dataset, set()).add(result.file)
        else:
            self.settled.add(result.file)
        self.put(result)

    def settle(self, name: str, error: EndpointError | None = None) -> None:
        """Note that nothing more comes for a name, and hand on why that is a failure."""
        self.settled.add(name)
        if error is not None:
            self.put(error)
