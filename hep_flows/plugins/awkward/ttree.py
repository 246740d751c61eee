"""TTrees as stored tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uproot.interpretation.grouped import AsGrouped
from uproot.interpretation.identify import UnknownInterpretation
from uproot.interpretation.objects import CannotBeAwkward

from hep_flows.errors import SourceError
from hep_flows.expr.file_names import is_url, shown
from hep_flows.plugins.awkward.root_files import root_identity, told_as_source_error
from hep_flows.plugins.awkward.stored import StoredColumn, field_of, has_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import awkward as ak

    from hep_flows.plugins.awkward.stored import ColumnPath, Columns


class TTreeTable:
    """An open TTree."""

    def __init__(self, file: str, opened: Any, name: str) -> None:
        """Read the tree's own record; no event data."""
        self.file = file
        self.tree = name
        self._opened = opened
        with told_as_source_error(file, f"the tree {name!r} cannot be read"):
            self._tree = opened.key(name).get()
            self.entries: int = int(self._tree.num_entries)
            key = opened.key(name)
            self.content = root_identity(opened, file, self.entries, [(key.fSeekKey, key.fSeekKey + key.fNbytes)])

    def columns(self) -> Columns:
        """Give every branch that holds values of its own, by its whole path."""
        with told_as_source_error(self.file, "the branches of the tree cannot be understood"):
            every = list(_branches(self._tree))
            paths = {branch.cache_key: path for path, branch in every}
            found = [_column(path, branch, paths) for path, branch in every]
        return {c.name: c for c in found if c is not None}

    def boundaries(self) -> Sequence[int]:
        """Give the first entries of the clusters, and the number of entries."""
        if self.entries == 0:
            return (0,)
        offsets = self._tree.common_entry_offsets()
        return [int(o) for o in offsets]

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a branch, with such fields inside."""
        for name, branch in _branches(self._tree):
            if name == path[0]:
                column = _column(name, branch, {})
                return column is not None and has_field(column.form, path[1:])
        return False

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, ak.Array]:
        """Read branches over a range of entries."""
        wanted = {p[0] for p in paths}
        branches = {path: branch for path, branch in _branches(self._tree) if path in wanted}
        missing = wanted - set(branches)
        if missing:
            raise SourceError(
                f"{shown(self.file)} has no branch {min(missing)!r}", why="the file changed since its schema was read"
            )
        arrays = self._in_one_request(branches, start, stop) if is_url(self.file) else self._one_by_one(branches, start, stop)
        return {p: field_of(arrays, p) for p in paths}

    def _one_by_one(self, branches: Mapping[str, Any], start: int, stop: int) -> dict[str, ak.Array]:
        """Read each branch by itself: uproot's joint reading looks every name up in the whole tree, 30 ms for each in a wide one."""
        arrays: dict[str, ak.Array] = {}
        for path, branch in branches.items():
            with told_as_source_error(self.file, f"{path} cannot be read, between events {start} and {stop}"):
                arrays[path] = branch.array(entry_start=start, entry_stop=stop, library="ak", array_cache=None)
        return arrays

    def _in_one_request(self, branches: Mapping[str, Any], start: int, stop: int) -> dict[str, ak.Array]:
        """Read branches together, since each request of a remote file costs a round trip; those of one short name take turns."""
        arrays: dict[str, ak.Array] = {}
        left = dict(branches)
        while left:
            by_short = {branch.name: path for path, branch in reversed(left.items())}
            chosen = {branches[path].cache_key for path in by_short.values()}
            with told_as_source_error(self.file, f"{', '.join(left)} cannot be read, between events {start} and {stop}"):
                got = self._tree.arrays(
                    filter_branch=lambda b, chosen=chosen: b.cache_key in chosen,
                    entry_start=start,
                    entry_stop=stop,
                    library="ak",
                    how=dict,
                    array_cache=None,
                )
            for short, path in by_short.items():
                arrays[path] = got[short]
                del left[path]
        return arrays

    def item_bytes(self, path: ColumnPath) -> int:
        """Give the size of the branch's baskets; the offsets in them are a few bytes an event more."""
        return next((int(branch.uncompressed_bytes) for name, branch in _branches(self._tree) if name == path[0]), 0)

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Give every branch by its whole path, parents before children."""
    stack = [(branch.name, branch) for branch in reversed(tree.branches)]
    while stack:
        path, branch = stack.pop()
        yield path, branch
        stack.extend([(f"{path}/{b.name}", b) for b in reversed(branch.branches)])


def _column(path: str, branch: Any, paths: Mapping[str, str]) -> StoredColumn | None:
    """Give what a branch holds, or None when it only holds other branches, or nothing at all.

    One that uproot fails on is a column that cannot be read: the others can.
    """
    try:
        return _understood(path, branch, paths)
    except Exception as error:  # noqa: BLE001 - whatever a type that uproot does not know leads to
        why = f"{path} cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return StoredColumn(path, None, problem=why)


def _understood(path: str, branch: Any, paths: Mapping[str, str]) -> StoredColumn | None:
    interpretation = branch.interpretation
    if isinstance(interpretation, AsGrouped):
        return None
    counter = branch.count_branch
    about = {
        "counter": "" if counter is None else paths.get(counter.cache_key, counter.name),
        "title": branch.title,
        "class_name": branch.member("fClassName", none_if_missing=True) or "",
    }
    if isinstance(interpretation, UnknownInterpretation):
        if not branch.member("fLeaves") or "::" in path.rsplit(".", 1)[-1]:
            return None
        return StoredColumn(path, None, problem=f"{path} is of a type that uproot cannot read", **about)
    try:
        form = interpretation.awkward_form(branch.file)
    except CannotBeAwkward as error:
        return StoredColumn(path, None, problem=f"{path} holds C++ objects that cannot be an array: {error}", **about)
    if getattr(form, "fields", None) == [] and form.is_record:
        return None
    return StoredColumn(path, form, **about)
