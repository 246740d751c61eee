"""Results that this process made or read a short while ago, within a limit of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.plugin import Columns, HistogramResult, Scalar

if TYPE_CHECKING:
    from hep_flows.plugin import Result

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    result: Result
    nbytes: int
    stamp: Stamp


class Memory:
    """The latest results, until they have more than ``limit`` bytes together.

    Parameters
    ----------
    limit : int
        Bytes. A result that has more on its own is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return self._nbytes

    def get(self, name: str, stamp: Stamp) -> Result | None:
        """Give a result, if the files on disk are still those that it belongs to.

        Parameters
        ----------
        name : str
            The key, as digits.
        stamp : tuple of int
            What identifies the files.
        """
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            if entry.stamp != stamp:
                self._remove(name)
                return None
            self._entries.move_to_end(name)
        return _separate(entry.result)

    def put(self, name: str, stamp: Stamp, result: Result) -> None:
        """Keep a result."""
        nbytes = _size(result)
        if nbytes > self._limit:
            return
        kept = _Entry(_separate(result), nbytes, stamp)
        with self._lock:
            self._remove(name)
            self._entries[name] = kept
            self._nbytes += nbytes
            while self._nbytes > self._limit:
                self._remove(next(iter(self._entries)))

    def forget(self, name: str) -> None:
        """Drop a result."""
        with self._lock:
            self._remove(name)

    def _remove(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._nbytes -= entry.nbytes


def _size(result: Result) -> int:
    match result:
        case Columns(array):
            return int(array.nbytes) + 1024
        case Scalar(value):
            return int(getattr(value, "nbytes", 0)) + 1024
        case HistogramResult((counts, edges)):
            return int(counts.nbytes + edges.nbytes) + 1024
        case HistogramResult(histogram):
            return int(histogram.view(flow=True).nbytes) + 8192


def _separate(result: Result) -> Result:
    """Give a result that the user may fill or add members to without changing the one that is kept."""
    match result:
        case Columns(array, rows):
            return Columns(_shallow(array), rows)
        case Scalar(value):
            return Scalar(_shallow(value)) if type(value).__module__.startswith("awkward.") else result
        case HistogramResult((counts, edges)):
            return HistogramResult((counts.copy(), edges.copy()))
        case HistogramResult(histogram):
            return HistogramResult(histogram.copy())


def _shallow(array: Any) -> Any:
    """Give another wrapper of the same immutable layout."""
    return type(array)(array.layout, behavior=array.behavior, attrs=array.attrs or None)
