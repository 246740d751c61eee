"""Tables of events: a source, and the schema that is read from it.

::

    nanoaod_table("nano.root")                       CMS NanoAOD, tree Events
    xaod_table("DAOD_PHYSLITE.root")                 ATLAS PHYSLITE, tree CollectionTree
    tree_table("ntuple.root", tree="analysis")       any TTree or RNTuple; tree_table("ntuple.root:analysis") is the same
    parquet_table("events.parquet")                  Parquet
    servicex_table("nano.root", kind="nanoaod")      the same files, read by ServiceX: queries are computed where the files are

A source is a path, a pattern (``"data/*.root"``), a URL (``http://``, ``https://``, ``root://``), or a list of these; several
files are one table, in the order given. Files that are written ``localds://path`` are read by ServiceX. Making a table reads the schema and no event data.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hep_flows.errors import HepFlowsError, SourceError, did_you_mean, line_of, with_article
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.store.store import Store

    Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_WITH_TREE = re.compile(r"^(?P<file>.*\.root):(?P<tree>[^:]+)$")
_DATASET_NAME = re.compile(r"^[\w.-]+(:[\w.-]+/?)?$")
_PATTERN = re.compile(r"[*?\[]")
_LOCAL = "localds://"
_SERVICEX_KINDS = ("nanoaod", "xaod", "tree")


def nanoaod_table(source: Source, *, tree: str = "Events") -> DataFrame:
    """Give the table of the events of CMS NanoAOD files.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or has no such tree.
    """
    return _table("nanoaod", source, tree)


def xaod_table(source: Source) -> DataFrame:
    """Give the table of the events of ATLAS xAOD files in PHYSLITE format.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or the source is a dataset's name.
    """
    return _table("xaod", source, "")


def tree_table(source: Source, tree: str = "") -> DataFrame:
    """Give the table of the entries of a TTree or RNTuple.

    Parameters
    ----------
    tree : str
        Its name; may be left out when the file has only one, or when the source is ``file.root:tree``.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or it is not clear which tree is meant.
    """
    return _table("tree", source, tree)


def parquet_table(source: Source) -> DataFrame:
    """Give the table of the rows of Parquet files.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind.
    """
    return _table("parquet", source, "")


def servicex_table(source: Source, *, kind: Literal["nanoaod", "xaod", "tree"], tree: str = "") -> DataFrame:
    """Give the table of the events of files that ServiceX reads: what it can compute is computed there.

    Parameters
    ----------
    source : path, URL, or list of these
        ``localds://path`` is the same as the path.
    kind : str
        How the files are to be understood: as `nanoaod_table`, `xaod_table` or `tree_table` do.
    tree : str
        The tree, as there.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or the kind is none of these.
    """
    if kind not in _SERVICEX_KINDS:
        do = did_you_mean(str(kind), _SERVICEX_KINDS) or f"kind={_SERVICEX_KINDS[0]!r}"
        raise SourceError(f"ServiceX reads {', '.join(_SERVICEX_KINDS)}, not {kind!r}", where=line_of(user_site()), do=do)
    return _table(kind, source, tree or ("Events" if kind == "nanoaod" else ""), by="servicex")


def changed_file(tables: Iterable[Dataset], store: Store | None, where: Where) -> SourceError | None:
    """Give the error of a local file that does not hold what it held when its table was made, or None when all do.

    Without a cache there is nothing to look for: reading a changed file is an error.
    """
    from hep_flows.execute.results import Results
    from hep_flows.plugins.awkward.known_files import KnownFiles
    from hep_flows.plugins.awkward.plugin import KINDS

    if store is None:
        return None
    known = KnownFiles(Results(store))
    for table in tables:
        stored_as = replace(table, kind=table.kind.removeprefix("servicex-"))
        if stored_as.kind not in KINDS:
            continue
        try:
            file = known.changed(stored_as)
        except SourceError as error:
            error.where = error.where or line_of(where)
            return error
        if file is not None:
            why = "a table stands for what its files held then"
            return SourceError(f"{file} has changed since the table was made", where=where, why=why, do="make the table again")
    return None


def _table(kind: str, source: Source, tree: str, by: str = "") -> DataFrame:
    """Make a table; ``by`` is the plug-in that reads its events, where it is not the one that reads its schema."""
    from hep_flows.execute.open_store import open_store
    from hep_flows.execute.results import Results
    from hep_flows.plugins.awkward.known_files import KnownFiles
    from hep_flows.record.sources import table_of
    from hep_flows.settings import read_settings

    where = line_of(user_site())
    try:
        by = by or _reader(source, kind)
        files, tree = files_of(source, kind, tree)
        known = KnownFiles(Results(open_store(read_settings())))
        return table_of(known.describe(kind, files, tree), f"{by}-{kind}" if by else kind)
    except HepFlowsError as error:
        if error.where is None:
            error.where = where
        raise


def files_of(source: Source, kind: str, tree: str = "") -> tuple[tuple[str, ...], str]:
    """Give the files that a source stands for, local ones by absolute path, and the name of the tree.

    Raises
    ------
    SourceError
        When the list is empty, a pattern matches nothing, or a dataset's name is given in place of files.
    """
    found: list[str] = []
    trees: set[str] = set()
    for one in _listed(source):
        file, named = _without_tree(one, kind)
        if named:
            trees.add(named)
        found += _expanded(file, kind)
    if not found:
        raise SourceError("a table needs at least one file", why="the list of files is empty")
    if len(trees | ({tree} if tree and trees and kind == "tree" else set())) > 1:
        raise SourceError(
            f"one table has one tree, not {' and '.join(sorted(trees | {tree} - {''}))}", do="make one table for each tree"
        )
    return tuple(found), next(iter(trees), tree)


def _reader(source: Source, kind: str) -> str:
    """Give the plug-in that is to read the events, where the source says so."""
    items = source if isinstance(source, list | tuple) else [source]
    marked = [i for i in items if isinstance(i, str) and i.startswith(_LOCAL)]
    if not marked:
        return ""
    if kind not in _SERVICEX_KINDS:
        raise SourceError(f"ServiceX reads {', '.join(_SERVICEX_KINDS)}, not {kind}", do=f"leave {_LOCAL} out")
    if len(marked) < len(items):
        raise SourceError(f"some files of the table are written {_LOCAL}, and others are not", do="write all of them alike")
    return "servicex"


def _listed(source: Source) -> list[str]:
    items = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(items, list | tuple):
        raise SourceError(f"a source is a path, a URL or a list of them, not {with_article(source)}")
    wrong = [i for i in items if not isinstance(i, str | os.PathLike)]
    if wrong:
        raise SourceError(f"a list of files holds paths or URLs, not {with_article(wrong[0])}")
    texts = [os.fspath(i) for i in items]
    if any(not t for t in texts):
        raise SourceError("the name of a file is empty", do="give a path or a URL")
    return [t.removeprefix(_LOCAL) for t in texts]


def _without_tree(name: str, kind: str) -> tuple[str, str]:
    """Split ``file.root:tree``, unless there is a file of that whole name."""
    found = _WITH_TREE.match(name) if kind in {"tree", "nanoaod"} else None
    if found is None or os.path.exists(name):  # noqa: PTH110
        return name, ""
    return found["file"], found["tree"]


def _expanded(name: str, kind: str) -> list[str]:
    if name.startswith(("rucio://", "did://")):
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
    if kind == "xaod" and _DATASET_NAME.match(name) and ".root" not in name:
        raise _remote_dataset(name)
    return [path]


def _remote_dataset(name: str) -> SourceError:
    return SourceError(
        f"{name} is not a file here",
        why="if it is a dataset of the grid: remote datasets need the ServiceX plug-in, which this version does not have",
        do="download its files, or give their root:// URLs",
    )
