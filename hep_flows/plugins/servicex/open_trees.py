"""Open trees, kept for the next query: opening a wide file costs more than reading a few of its branches."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Key = tuple[str, str, tuple[int, ...]]


class OpenTrees:
    """A few open trees. A tree is lent to one thread at a time."""

    def __init__(self, limit: int = 8) -> None:
        """Start with none; at most ``limit`` unused ones are kept."""
        self._limit = limit
        self._unused: list[tuple[_Key, Any, dict[str, Any]]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._unused)

    def read(self, file: str, tree: str, names: Sequence[str]) -> Any:
        """Give branches of all events as one record, by the names that they have in queries.

        Raises
        ------
        KeyError
            When the file has no such tree or branch.
        OSError
            When it cannot be opened.
        """
        import awkward as ak

        with self._lent(file, tree) as branches:
            missing = [n for n in names if n not in branches]
            if missing:
                raise KeyError(f"{file} has no branch {missing[0]!r}")
            arrays = {n.rsplit("/", 1)[-1]: branches[n].array(library="ak", array_cache=None) for n in names}
        return ak.Array(ak.contents.RecordArray([a.layout for a in arrays.values()], list(arrays)))

    @contextmanager
    def _lent(self, file: str, tree: str) -> Iterator[dict[str, Any]]:
        key = (file, tree, _stamp(file))
        opened, branches = self._taken(key) or _opened(file, tree)
        try:
            yield branches
        except BaseException:
            opened.close()
            raise
        with self._lock:
            self._unused.append((key, opened, branches))
            n_surplus = max(0, len(self._unused) - self._limit)
            surplus = self._unused[:n_surplus]
            del self._unused[:n_surplus]
        _close_all(surplus)

    def _taken(self, key: _Key) -> tuple[Any, dict[str, Any]] | None:
        with self._lock:
            for i in reversed(range(len(self._unused))):
                if self._unused[i][0] == key:
                    _, opened, branches = self._unused.pop(i)
                    return opened, branches
        return None


def _opened(file: str, tree: str) -> tuple[Any, dict[str, Any]]:
    import uproot
    from uproot.source.file import MultithreadedFileSource

    # As a mapping, or uproot would take what follows a colon in the path for the name of an object. Local files are read without the
    # event loop that uproot runs by default: it costs as much as a small branch.
    options = {} if "://" in file else {"handler": MultithreadedFileSource}
    opened = uproot.open({file: None}, **options)
    try:
        found = opened[tree]
        if not hasattr(found, "branches"):
            raise TypeError(f"{file}: {tree} is an RNTuple, and the code generator reads TTrees")  # noqa: TRY301 - the file is closed below
        return opened, dict(_branches(found))
    except BaseException:
        opened.close()
        raise


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Give every branch by its whole path."""
    stack = [(branch.name, branch) for branch in reversed(tree.branches)]
    while stack:
        path, branch = stack.pop()
        yield path, branch
        stack.extend([(f"{path}/{b.name}", b) for b in reversed(branch.branches)])


def _stamp(file: str) -> tuple[int, ...]:
    """Give what the file system changes when a local file is written again; nothing for others."""
    if "://" in file or not Path(file).exists():
        return ()
    found = Path(file).stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _close_all(trees: list[tuple[_Key, Any, dict[str, Any]]]) -> None:
    for _, opened, _ in trees:
        opened.close()
