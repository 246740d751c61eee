"""What the simulator can be told to do wrong: plain data, each with the number of times that it happens."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

ALWAYS = 10**9

FileKind = Literal["fails", "missing", "truncated", "wrong size", "damaged", "other columns", "other name", "slow", "held", "twice"]
RequestKind = Literal["Fatal", "Canceled", "Bad Dataset", "no files", "hangs", "never closes", "endless look-up", "forgotten"]


@dataclass(frozen=True, slots=True)
class HttpFault:
    """An answer that is not what the call deserves.

    Parameters
    ----------
    method, path : str
        Patterns with ``*``; the path stands without its query.
    status : int
        The status code. 0 closes the connection without an answer; 200 answers as usual, after the delay.
    times, after : int
        How often it happens, after how many calls that are answered as usual.
    delay_s : float
        The time before the answer.
    retry_after_s : int
        What the header ``Retry-After`` says; there is none for 0.
    quotes : bool
        Whether the answer quotes the caller's token, as careless servers do.
    """

    method: str = "*"
    path: str = "*"
    status: int = 503
    times: int = 1
    after: int = 0
    delay_s: float = 0.0
    retry_after_s: int = 0
    quotes: bool = False


@dataclass(frozen=True, slots=True)
class FileFault:
    """Something that goes wrong with the result of a file.

    Parameters
    ----------
    kind : str
        ``fails``: the transformation fails. ``missing``: the result is announced, the object is not there. ``truncated``: the object
        ends early. ``wrong size``: the announced size is wrong. ``damaged``: the object is no Parquet file. ``other columns``: it is one
        with other columns. ``other name``: the object's name does not come from the file's. ``slow``: it comes later. ``held``: it waits
        until it is let go. ``twice``: it is announced twice.
    file : str
        Pattern for the name of the file, with ``*``.
    times : int
        How often it happens.
    seconds : float
        How much later a ``slow`` one comes.
    """

    kind: FileKind
    file: str = "*"
    times: int = 1
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class RequestFault:
    """A request that does not end as it should.

    Parameters
    ----------
    kind : str
        ``Fatal``, ``Canceled``, ``Bad Dataset``: the status that it ends with. ``no files``: complete, with none. ``hangs``: running for
        ever. ``never closes``: complete, with more files counted than there are. ``endless look-up``: its files are never known.
        ``forgotten``: the server does not know it any more.
    dataset : str
        Pattern for the dataset, or for the first file of a list.
    times : int
        How often it happens.
    after_files : int
        How many files are delivered before.
    """

    kind: RequestKind
    dataset: str = "*"
    times: int = 1
    after_files: int = 0


Fault = HttpFault | FileFault | RequestFault


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int, int]] = []
        self._let_go: set[str] = set()

    def add(self, *faults: Fault) -> None:
        """Let these happen too."""
        with self._lock:
            self._left += [(f, f.times, f.after if isinstance(f, HttpFault) else 0) for f in faults]

    def clear(self) -> None:
        """Let nothing more happen."""
        with self._lock:
            self._left.clear()

    def let_go(self, file: str) -> None:
        """Let files that are held go on, now and later; the name may be a pattern."""
        with self._lock:
            self._let_go.add(file)

    def is_held(self, file: str) -> bool:
        """Say whether a file that is held still has to wait."""
        with self._lock:
            return not any([fnmatchcase(file, pattern) for pattern in self._let_go])

    def of_call(self, method: str, path: str) -> HttpFault | None:
        """Give the fault of a call, and count it."""
        found = self._claim(
            [f for f, *_ in self._left if isinstance(f, HttpFault) and fnmatchcase(method, f.method) and fnmatchcase(path, f.path)]
        )
        return found if isinstance(found, HttpFault) else None

    def of_file(self, file: str) -> tuple[FileFault, ...]:
        """Give every fault of a file that is about to be transformed, and count them."""
        fitting = [f for f, *_ in self._left if isinstance(f, FileFault) and fnmatchcase(file, f.file)]
        claimed = [self._claim([f]) for f in fitting]
        return tuple([f for f in claimed if isinstance(f, FileFault)])

    def of_request(self, dataset: str) -> RequestFault | None:
        """Give the fault of a request that was just made, and count it."""
        found = self._claim([f for f, *_ in self._left if isinstance(f, RequestFault) and fnmatchcase(dataset, f.dataset)])
        return found if isinstance(found, RequestFault) else None

    def _claim(self, wanted: list[Fault]) -> Fault | None:
        with self._lock:
            for i, (fault, times, after) in enumerate(self._left):
                if fault not in wanted or not times:
                    continue
                self._left[i] = (fault, times, after - 1) if after else (fault, times - 1, 0)
                if not after:
                    return fault
        return None
