"""Which files a source stands for: paths, patterns, URLs, lists of these, and names of datasets that only a server can look up."""

from __future__ import annotations

import ast
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean, with_article
from hep_flows.sources.kinds import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Collections

    Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_WITH_TREE = re.compile(r"^(?P<file>.*\.root):(?P<tree>[^:]+)$")
_DATASET_NAME = re.compile(r"^[\w.-]+(:[\w.-]+/?)?$")
_PATTERN = re.compile(r"[*?\[]")
LOCAL = "localds://"
_NO_FILE = ("bogus.root", ["bogus.root"])  # what the client of ServiceX writes where files come from elsewhere
DATASETS = ("rucio://", "did://", "cernopendata://")


def files_of(source: Source, kind: str, tree: str = "", *, may_repeat: bool = True) -> tuple[tuple[str, ...], str]:
    """Give the files that a source stands for, local ones by absolute path, and the name of the tree.

    Parameters
    ----------
    may_repeat : bool
        Whether one path that is written twice means the file twice. By two spellings, links or patterns it never does.

    Raises
    ------
    SourceError
        When the list is empty, a pattern matches nothing, a dataset's name is given in place of files, or a file is there twice.
    """
    found: list[str] = []
    spelled: dict[object, str] = {}
    seen: set[str] = set()
    trees: set[str] = set()
    for one in _listed(source):
        file, named = _without_tree(one, kind)
        if named:
            trees.add(named)
        for path in _expanded(file, kind):
            known = spelled.setdefault(_same_file(path), one)
            if known != one or path in seen:
                _check_repeat(path, known, one, may_repeat=may_repeat and known == one and path == _absolute(file))
            seen.add(path)
            found.append(path)
    if not found:
        raise SourceError("a table needs at least one file", why="the list of files is empty")
    if len(trees | ({tree} if tree and trees and not source_of(kind).trees else set())) > 1:
        raise SourceError(
            f"one table has one tree, not {' and '.join(sorted(trees | {tree} - {''}))}", do="make one table for each tree"
        )
    return tuple(found), next(iter(trees), tree)


def _same_file(path: str) -> object:
    """Give what stands for a file however it is spelled: a local one by its place on the disk."""
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of files are looked at
    except OSError:
        return path
    return (found.st_dev, found.st_ino)


def _absolute(name: str) -> str:
    return name if "://" in name else os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - as for the others


def _check_repeat(path: str, known: str, again: str, *, may_repeat: bool) -> None:
    if not may_repeat:
        both = f"{known} and {again} are" if known != again else f"{again} stands in it twice, or matches it twice:"
        raise SourceError(
            f"{path.split('?', 1)[0]} is twice in the table",
            why=f"{both} the same file",
            do="leave one out: its events would count twice",
        )


def missing_tree_named(said: Any, here: str) -> str:
    """Give what a file without the tree means: ``empty`` or ``error``; empty when nothing is said.

    Raises
    ------
    SourceError
        For another word.
    """
    if said is None or said == "":
        return ""
    if isinstance(said, bool):
        return "empty" if said else "error"
    if said in ("empty", "error"):
        return str(said)
    raise SourceError(
        f"{here}: missing_tree is 'empty' or 'error', not {said!r}",
        why="it says what a file without the tree means",
        do="'empty' where such a file stands for no events",
    )


def collections_named(said: Any, here: str) -> Collections:
    """Give the collections that are named by their leaves, as plain data.

    Raises
    ------
    SourceError
        When it is no mapping of names to leaves.
    """
    if said is None:
        return ()
    do = 'collections={"jet": ["jet_pt", "jet_eta"]}'
    if not isinstance(said, Mapping):
        raise SourceError(f"{here}: collections are a mapping of names to leaves, not {with_article(said)}", do=do)
    for name, leaves in said.items():
        is_list = isinstance(leaves, list | tuple) and leaves and all(isinstance(n, str) for n in leaves)
        if not isinstance(name, str) or not name or not is_list:
            raise SourceError(f"{here}: the collection {name!r} is a list of names of leaves", do=do)
    return tuple([(name, tuple(leaves)) for name, leaves in said.items()])


def event_dataset(source: Any) -> tuple[Any, str]:
    """Give the names and the tree of a source of func_adl, such as ``UprootDataset("file.root", "Events")``.

    Anything else comes back as it is, without a tree.

    Raises
    ------
    SourceError
        When it is a query already, or names no files.
    """
    query = _query_of(source)
    if query is None:
        return source, ""
    what = type(source).__name__
    if not isinstance(query.func, ast.Name) or query.func.id != "EventDataset":
        raise SourceError(f"a table is made of a dataset, and {what} is a query already", do="give what the query starts with")
    try:
        names, tree = [*[ast.literal_eval(a) for a in query.args[:2]], None, None][:2]
    except ValueError as error:
        raise SourceError(f"what {what} names cannot be read", do="give the names of the files, or of the dataset") from error
    if not names or names in _NO_FILE:
        raise SourceError(f"{what} names no files", do="give them, or the name of a dataset: rucio://scope:name")
    return names[0] if isinstance(names, list) and len(names) == 1 else names, tree or ""


def _query_of(source: Any) -> ast.Call | None:
    """Give the syntax tree of a query of func_adl; None where the source is none."""
    found = None if isinstance(source, str | os.PathLike | list | tuple) else getattr(source, "query_ast", None)
    return found if isinstance(found, ast.Call) else None


def _listed(source: Source) -> list[str]:
    items = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(items, list | tuple):
        raise SourceError(
            f"a source is a path, a URL or a list of them, not {with_article(source)}",
            do='write "events.root", or ["a.root", "b.root"]',
        )
    wrong = [i for i in items if not isinstance(i, str | os.PathLike)]
    if wrong:
        raise SourceError(f"a list of files holds paths or URLs, not {with_article(wrong[0])}", do='write ["a.root", "b.root"]')
    texts = [os.fspath(i) for i in items]
    if any(not t for t in texts):
        raise SourceError("the name of a file is empty", do="give a path or a URL")
    return [t.removeprefix(LOCAL) for t in texts]


def _without_tree(name: str, kind: str) -> tuple[str, str]:
    """Split ``file.root:tree``, unless there is a file of that whole name."""
    found = _WITH_TREE.match(name) if source_of(kind).names_tree == "any" else None
    if found is None or os.path.exists(name):  # noqa: PTH110
        return name, ""
    return found["file"], found["tree"]


def _expanded(name: str, kind: str) -> list[str]:
    if name.startswith(DATASETS):
        raise _remote_dataset(name)
    if "://" in name:
        address = name.split("?", 1)[0]
        if _PATTERN.search(address):
            raise SourceError(f"{address}: a pattern works for local files only", do="list the URLs")
        return [name]
    path = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - URLs and patterns are texts, so paths are too
    if os.path.exists(path):  # noqa: PTH110
        return [path]
    if _PATTERN.search(name):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        if not matches:
            raise SourceError(f"no file matches {name}", why=f"patterns start from the current folder, {os.getcwd()}")  # noqa: PTH109
        return matches
    if source_of(kind).in_datasets and _DATASET_NAME.match(name) and ".root" not in name:
        raise _remote_dataset(name)
    return [path]


def check_exists(file: str) -> None:
    """Check that a local file is there, and is a file.

    Raises
    ------
    SourceError
        When it is not; near names in its folder are given.
    """
    path = Path(file)
    if path.is_dir():
        raise SourceError(f"{file} is a folder, not a file", do=f"give its files: {file.rstrip('/')}/*.root")
    if path.is_file():
        return
    if path.exists():
        raise SourceError(f"{file} is no regular file", why="it is a pipe, a socket or a device", do="give the path of a file")
    folder = path.parent
    if not folder.is_dir():
        raise SourceError(f"{file} does not exist", why=f"there is no folder {folder}")
    near = did_you_mean(path.name, [p.name for p in folder.iterdir()])
    raise SourceError(f"{file} does not exist", do=near)


def _remote_dataset(name: str) -> SourceError:
    return SourceError(
        f"{name} is not a file here",
        why="if it is a dataset of the grid: one server looks it up, and a table has one such dataset",
        do=f'servicex_table("rucio://{name.removeprefix("rucio://")}", kind="xaod") is its table',
    )


def dataset_name(source: Any) -> str:
    """Give the dataset that a source names, such as ``rucio://scope:name``; empty when it is made of files.

    Objects of ``servicex.dataset`` count as the names that they stand for.

    Raises
    ------
    SourceError
        When the name is not complete.
    """
    text = source if isinstance(source, str) else getattr(source, "did", "") if is_of_servicex(source) else ""
    if not isinstance(text, str) or not text.startswith(DATASETS):
        return ""
    scheme, _, name = text.partition("://")
    if scheme == "did":
        scheme = "rucio"
    if not name or (scheme == "rucio" and ":" not in name):
        raise SourceError(f"{text} names no dataset", do="write rucio://scope:name, or cernopendata://number")
    if scheme == "cernopendata" and not name.split("?", 1)[0].isdigit():
        raise SourceError(f"{text} names no record", do="write cernopendata://number")
    return f"{scheme}://{name}"


def listed_files(source: Any) -> Any:
    """Give the files of a list of ``servicex.dataset``; other sources come back as they are."""
    return list(source.files) if is_of_servicex(source) and isinstance(getattr(source, "files", None), list) else source


def is_of_servicex(source: object) -> bool:
    """Say whether a source is an object of the packages of ServiceX or func_adl."""
    return type(source).__module__.split(".")[0] == "servicex" or _query_of(source) is not None


# What is asked of the files of a table beside their names: the tree, what a file without it means, which leaves belong together ---


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user says about the files of a table.

    Parameters
    ----------
    tree : str
        The tree; empty where the kind of table or the file tells it.
    missing_is_empty : bool
        Whether a file without the tree stands for no events; else it is an error.
    collections : tuple
        The leaves that belong together, by the name of their collection.
    """

    tree: str = ""
    missing_is_empty: bool = False
    collections: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def trees(self, kind: str) -> tuple[str, ...]:
        """Give the trees to look for, in order; none where it is the only one in the file."""
        return (self.tree,) if self.tree else source_of(kind).trees
