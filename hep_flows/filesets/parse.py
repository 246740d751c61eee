"""From the plain data of a fileset to its datasets: every form that coffea takes.

::

    {dataset: {"files": {path: tree}, "metadata": {...}}}
    {dataset: {"files": {path: {"object_path": tree, "steps": [[0, 1000]], "num_entries": 1000, "uuid": "..."}}}}
    {dataset: {"files": [path, ...], "treename": tree}}
    {dataset: [path, ...]}
    {dataset: path}
    {dataset: {"files": {path: tree}, "missing_tree": "empty", "collections": {"jet": ["jet_pt", "jet_eta"]}}}
    {dataset: {"files": {"rucio://scope:name": tree}, "metadata": {"kind": "nanoaod", "like": "file.root", "endpoint": "server"}}}

The last is a dataset of the grid, which a ServiceX server reads; so are files whose metadata name an ``endpoint`` or a ``dialect``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean, with_article
from hep_flows.filesets.entry import AtServer, Entry
from hep_flows.filesets.kinds import kind_named
from hep_flows.source_files import DATASETS, LOCAL, collections_named, missing_tree_named

if TYPE_CHECKING:
    from pathlib import Path

# Of what coffea writes, "form" and "compressed_form" help it to read, and "did" says where a dataset comes from.
_KNOWN = (
    "files",
    "metadata",
    "treename",
    "tree",
    "object_path",
    "format",
    "schema",
    "form",
    "compressed_form",
    "did",
    "missing_tree",
    "collections",
)
_FORM = "a dataset is {files: {path: tree}, metadata: {...}}, or a list of paths"


def parse(data: Any, folder: Path, title: str) -> tuple[Entry, ...]:
    """Give the datasets of a fileset.

    Parameters
    ----------
    data : mapping
        The fileset.
    folder : Path
        Where relative paths start.
    title : str
        What the fileset is called in errors.

    Raises
    ------
    SourceError
        When it has another form; the dataset is named.
    """
    if not isinstance(data, Mapping):
        raise SourceError(f"{title} is {with_article(data)}, not a mapping of datasets", do=_FORM)
    if not data:
        raise SourceError(f"{title} has no datasets", do=_FORM)
    for name in data:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise SourceError(
                f"{title}: {name!r} is no name of a dataset", why="names are texts", do='write them in quotes: "2018":'
            )
    return tuple([_entry(n, d, folder, title) for n, d in data.items()])


def _entry(name: str, said: Any, folder: Path, title: str) -> Entry:
    here = f"{title}: dataset {name!r}"
    if isinstance(said, str | os.PathLike | Sequence):
        said = {"files": said}
    if not isinstance(said, Mapping):
        raise SourceError(f"{here} is {with_article(said)}", do=_FORM)
    unknown = [k for k in said if k not in _KNOWN]
    if unknown:
        raise SourceError(
            f"{here} has {unknown[0]!r}", why=_FORM, do=did_you_mean(str(unknown[0]), _KNOWN) or "put it into metadata"
        )
    if "files" not in said:
        raise SourceError(f"{here} has no files", do=_FORM)
    metadata = said.get("metadata") or {}
    if not isinstance(metadata, Mapping) or not all(isinstance(k, str) for k in metadata):
        raise SourceError(f"{here}: its metadata is not a mapping of names to values")
    files, trees, events = _files(said["files"], folder, here)
    server = _at_server(files, metadata, folder, here)
    asked = {k: v for m in (metadata, said) for k, v in m.items() if k in {"schema", "format"}}
    kind = kind_named(asked.get("schema"), here) or kind_named(asked.get("format"), here)
    if server is not None:  # elsewhere the word is the user's own
        kind = kind_named(metadata.get("kind"), here) or kind
    own = next((said[k] for k in ("treename", "tree", "object_path") if said.get(k)), "")
    if not isinstance(own, str):
        raise SourceError(f"{here}: the name of its tree is a text, not {with_article(own)}")
    trees |= {own} - {""}
    if len(trees) > 1:
        raise SourceError(f"{here} has several trees: {', '.join(sorted(trees))}", do="make one dataset for each tree")
    tree = next(iter(trees), "")
    missing_tree = missing_tree_named(said.get("missing_tree"), here)
    collections = collections_named(said.get("collections"), here)
    return Entry(name, files, tree, kind, dict(metadata) | {"dataset": name}, events, server, missing_tree, collections)


def _at_server(files: Sequence[str], metadata: Mapping[str, Any], folder: Path, here: str) -> AtServer | None:
    """Give how a server reads the files; None where they are read from here."""
    on_grid = [f for f in files if f.startswith(DATASETS)]
    if not on_grid and not files[0].startswith(LOCAL) and not any(metadata.get(k) for k in ("endpoint", "dialect")):
        return None
    if on_grid and len(files) > 1:
        raise SourceError(
            f"{here} has {on_grid[0]} and {len(files) - 1} more",
            why="one server looks a dataset of the grid up, and a table has one such dataset",
            do="make a dataset of the fileset for each",
        )
    said = {k: metadata.get(k) or "" for k in ("like", "endpoint", "dialect")}
    wrong = next((k for k, v in said.items() if not isinstance(v, str)), None)
    if wrong is not None:
        raise SourceError(f"{here}: {wrong} is a text, not {with_article(said[wrong])}")
    return AtServer(_placed(said["like"], folder) if said["like"] else "", said["endpoint"], said["dialect"])


def _files(said: Any, folder: Path, here: str) -> tuple[tuple[str, ...], set[str], dict[str, int]]:
    """Give the files, the trees that are named, and how many events were said to be in each."""
    if isinstance(said, str | os.PathLike):
        said = [said]
    if not isinstance(said, Mapping | list | tuple):
        raise SourceError(f"{here}: its files are {with_article(said)}", do=_FORM)
    if not said:
        raise SourceError(f"{here} has no files", why="the list is empty")
    pairs = list(said.items()) if isinstance(said, Mapping) else [(f, None) for f in said]
    files: list[str] = []
    spelled: dict[str, str] = {}
    trees: set[str] = set()
    events: dict[str, int] = {}
    for path, about in pairs:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise SourceError(f"{here}: {path!r} is no path")
        file = _placed(os.fspath(path), folder)
        if file in spelled:
            what = f"{here}: {spelled[file]} and {os.fspath(path)} are the same file"
            raise SourceError(what, do="leave one out: its events would count twice")
        spelled[file] = os.fspath(path)
        files.append(file)
        tree, n_events = _about(about, f"{here}: {os.fspath(path)}")
        trees |= {tree} - {""}
        if n_events is not None:
            events[file] = n_events
    return tuple(files), trees, events


def _placed(path: str, folder: Path) -> str:
    if "://" in path:
        return path
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH100, PTH111, PTH118 - patterns are texts


def _about(about: Any, here: str) -> tuple[str, int | None]:
    """Give the tree of a file, and the number of its events where it is known."""
    if about is None or isinstance(about, str):
        return about or "", None
    if not isinstance(about, Mapping):
        raise SourceError(f"{here} is described by {with_article(about)}", do="write the name of its tree")
    tree, n_events = about.get("object_path") or "", about.get("num_entries")
    if not isinstance(tree, str) or not (n_events is None or type(n_events) is int):
        raise SourceError(f"{here} is not described as coffea does", why="object_path is a text, num_entries a number")
    return tree, _steps(about.get("steps"), n_events, here)


def _steps(steps: Any, n_events: int | None, here: str) -> int | None:
    """Give the number of events that steps cover; steps that leave events out are refused, else these would be read all the same."""
    if not steps:
        return n_events
    try:
        ranges = [(int(a), int(b)) for a, b in steps]
    except (TypeError, ValueError):
        raise SourceError(f"{here}: steps are pairs of numbers") from None
    ends = [0, *[b for _, b in ranges]]
    if [a for a, _ in ranges] != ends[:-1] or n_events not in (None, ends[-1]):
        raise SourceError(
            f"{here}: its steps leave events out",
            why="a table has all events of its files",
            do="select them in the analysis: events[:1000]",
        )
    return ends[-1]
